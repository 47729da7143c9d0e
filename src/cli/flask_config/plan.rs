//! What to write for what was found, and what to say of it.

use std::path::Path;

use figment::providers::{Data, Format, Serialized, Toml};
use figment::value::{Dict, Map};
use figment::{Error, Figment, Metadata, Profile, Provider};

use super::render::{Written, render};
use super::report::{Report, Row};
use super::value::Value;
use super::{Found, Setting, Unread, is_known};
use crate::cli::{Failure, generate};
use crate::config::{self, Config};
use crate::session::Settings;

/// The stores of Flask-Session, under its names.
const FLASK_SESSION: &[&str] =
    &["redis", "memcached", "filesystem", "cachelib", "mongodb", "sqlalchemy", "dynamodb"];

/// Settings that are true or false. Flask takes any text but an empty one for true.
const FLAGS: &[&str] = &[
    "SESSION_COOKIE_HTTPONLY",
    "SESSION_COOKIE_PARTITIONED",
    "SESSION_COOKIE_SECURE",
    "SESSION_PERMANENT",
    "SESSION_REFRESH_EACH_REQUEST",
    "TEMPLATES_AUTO_RELOAD",
];

/// A checked configuration that does what Flask's does.
pub struct Plan {
    settings: Vec<Written>,
    /// What became of each setting.
    pub report: Report,
}

impl Plan {
    /// The `Rocket.toml`.
    pub fn text(&self) -> String {
        render(&self.settings, true)
    }

    /// The same without its secrets, for reading.
    pub fn text_to_show(&self) -> String {
        render(&self.settings, false)
    }
}

/// Where the Flask application keeps its sessions.
enum Store {
    /// In its signed cookie.
    Cookie,
    /// In a store of Flask-Session that Dewar has.
    FlaskSession,
    /// In a store that only Dewar has a name for.
    Own,
    /// In one that Dewar does not have, and what it says of it.
    Unsupported(String),
    /// The file does not tell.
    Unknown,
}

impl Store {
    fn of(found: &Found) -> Self {
        match found.settings.get("SESSION_TYPE").map(|setting| &setting.value) {
            None if found.problems.iter().any(|p| p.name.as_deref() == Some("SESSION_TYPE")) => {
                Self::Unknown
            }
            None | Some(Ok(Value::None)) => Self::Cookie,
            Some(Ok(Value::Text(kind))) => match unsupported(kind) {
                Some(problem) => Self::Unsupported(problem),
                None if FLASK_SESSION.contains(&&*kind.to_lowercase()) => Self::FlaskSession,
                None => Self::Own,
            },
            Some(_) => Self::Unknown,
        }
    }
}

/// What Dewar says of a `SESSION_TYPE` that it does not have.
fn unsupported(kind: &str) -> Option<String> {
    const ORIGIN: &str = "asked";
    let figment = Figment::from(Serialized::default("SECRET_KEY", "not looked at"))
        .merge(Named { name: ORIGIN.into(), toml: line("SESSION_TYPE", &kind.into()) });
    let error = Settings::from_figment(&figment).err()?;
    let begins = format!("{ORIGIN}: SESSION_TYPE ");
    error.problems.iter().find_map(|problem| Some(problem.strip_prefix(&begins)?.to_owned()))
}

/// Plans the configuration.
///
/// # Errors
/// When Dewar refuses a value, with the line of the Flask file that sets it.
pub fn plan(path: &Path, found: &Found) -> Result<Plan, Failure> {
    let mut planner = Planner {
        store: Store::of(found),
        settings: Vec::new(),
        figment: config::figment(None)?,
        report: Report::new(path),
    };
    let mut settings: Vec<_> = found.settings.iter().collect();
    settings.sort_by_key(|(_, setting)| setting.line);
    for (name, setting) in settings {
        planner.setting(name, setting);
    }
    for problem in &found.problems {
        planner.unread(problem.name.as_deref(), problem.line, &problem.unread, found);
    }
    if found.more_problems > 0 {
        let why = format!("{} more places of the file", found.more_problems);
        planner.report.not_read.push(Row { name: None, line: None, source: None, why: Some(why) });
    }
    planner.complete(found)?;
    if let Err(error) = Config::from_figment(&planner.figment) {
        return Err(Failure::Usage(format!("{error}\nnothing was written")));
    }
    Ok(Plan { settings: planner.settings, report: planner.report })
}

struct Planner {
    store: Store,
    settings: Vec<Written>,
    /// The settings, each with the place in the Flask file as its origin.
    figment: Figment,
    report: Report,
}

impl Planner {
    fn setting(&mut self, name: &str, setting: &Setting) {
        let line = Some(setting.line);
        if let Some(why) = self.no_place_for(name, setting) {
            return self.report.not_carried_over.push(Row::new(name, line, Some(why)));
        }
        let value = match &setting.value {
            Ok(value) => value,
            Err(unread) => return self.not_read(Some(name), setting.line, unread),
        };
        match (name, value) {
            ("SESSION_COOKIE_SAMESITE", Value::None) => self.same_site(line),
            (_, Value::None) | ("SESSION_COOKIE_DOMAIN", Value::Bool(false)) => {
                self.changed(name, line, "counts as not set: Dewar's default holds");
            }
            _ => match value.to_toml() {
                Err(why) => {
                    self.report.not_carried_over.push(Row::new(name, line, Some(why.into())));
                }
                Ok(toml) => {
                    self.write(name, line, toml, None);
                    let off =
                        |text: &str| ["false", "no", "off"].contains(&text.to_lowercase().as_str());
                    match value {
                        Value::Text(text) if FLAGS.contains(&name) && off(text) => {
                            let why = "is text, which Flask takes for true; it is false here";
                            self.changed(name, line, why);
                        }
                        _ => self.report.taken.push(Row::new(name, line, None)),
                    }
                }
            },
        }
    }

    /// Why Dewar has no use for a setting, if it has none.
    fn no_place_for(&self, name: &str, setting: &Setting) -> Option<String> {
        let why = match (name, &setting.value) {
            // Flask's tutorial has made it the name of the application's own database.
            ("DATABASE", _) => "Dewar keeps a database of its own",
            ("SESSION_USE_SIGNER", Ok(Value::Bool(true) | Value::Int(1))) if !is_known(name) => {
                "Dewar does not sign the ids of sessions, so users sign in again"
            }
            _ if !is_known(name) => "Dewar has no such setting",
            ("SESSION_TYPE", Ok(Value::Text(_))) => {
                let Store::Unsupported(problem) = &self.store else { return None };
                return Some(format!(
                    "{problem}; sessions live in Dewar's own database, and users sign in again"
                ));
            }
            _ => return None,
        };
        Some(why.into())
    }

    /// Lists a place of the file that could not be read, or that it sets what Dewar does not know.
    fn unread(&mut self, name: Option<&str>, line: usize, unread: &Unread, found: &Found) {
        match name {
            Some(name) if name == "DATABASE" || !is_known(name) => {
                let listed = |row: &Row| row.name.as_deref() == Some(name);
                if !found.settings.contains_key(name)
                    && !self.report.not_carried_over.iter().any(listed)
                {
                    let why = Some("Dewar has no such setting".into());
                    self.report.not_carried_over.push(Row::new(name, Some(line), why));
                }
            }
            name => self.not_read(name, line, unread),
        }
    }

    fn not_read(&mut self, name: Option<&str>, line: usize, unread: &Unread) {
        let why = match name {
            Some(name) => format!("{}; the variable FLASK_{name} sets it", unread.why),
            None => unread.why.to_owned(),
        };
        self.report.not_read.push(Row {
            name: name.map(str::to_owned),
            line: Some(line),
            source: unread.source.clone(),
            why: Some(why),
        });
    }

    /// Sets what the file leaves to Flask's defaults, where Dewar's are others.
    fn complete(&mut self, found: &Found) -> Result<(), Failure> {
        let key = found.settings.get("SECRET_KEY").map(|setting| &setting.value);
        let written = self.settings.iter().any(|setting| setting.name == "SECRET_KEY");
        if !written || matches!(key, Some(Ok(Value::Text(key))) if key.is_empty()) {
            self.settings.retain(|setting| setting.name != "SECRET_KEY");
            self.report.taken.retain(|row| row.name.as_deref() != Some("SECRET_KEY"));
            self.write("SECRET_KEY", None, generate::fresh_key()?.into(), None);
            let why = match self.store {
                Store::Cookie => {
                    "is a fresh one, so users sign in again; with Flask's in its place they stay \
                     signed in"
                }
                _ => "is a fresh one",
            };
            self.changed("SECRET_KEY", None, why);
        }
        let is_set = |name: &str| {
            let problem = found.problems.iter().any(|p| p.name.as_deref() == Some(name));
            problem || found.settings.contains_key(name)
        };
        if !is_set("SESSION_COOKIE_SAMESITE") {
            self.same_site(None);
        }
        match self.store {
            Store::Cookie => {
                let comment = "Flask's own: the Flask application names no store.";
                self.write("SESSION_TYPE", None, "cookie".into(), Some(comment));
                let why = "is \"cookie\": without it Flask keeps sessions in its signed cookie";
                self.changed("SESSION_TYPE", None, why);
            }
            Store::FlaskSession if !is_set("SESSION_HASH_IDS") => {
                let comment = "Flask-Session looks for sessions under their plain ids.";
                self.write("SESSION_HASH_IDS", None, false.into(), Some(comment));
                let why = "is false: Flask-Session looks for sessions under their plain ids";
                self.changed("SESSION_HASH_IDS", None, why);
            }
            _ => {}
        }
        Ok(())
    }

    fn same_site(&mut self, line: Option<usize>) {
        let why = "stays \"Lax\", where Flask leaves the attribute out; \"\" does that here";
        self.changed("SESSION_COOKIE_SAMESITE", line, why);
    }

    fn changed(&mut self, name: &str, line: Option<usize>, why: &str) {
        self.report.changed.push(Row::new(name, line, Some(why.to_owned())));
    }

    fn write(
        &mut self,
        name: &str,
        line_number: Option<usize>,
        value: toml_edit::Value,
        comment: Option<&'static str>,
    ) {
        let path = &self.report.from;
        let origin = match line_number {
            Some(line) => format!("{path}:{line}"),
            None => path.to_string(),
        };
        let provider = Named { name: origin, toml: line(name, &value) };
        self.figment = std::mem::take(&mut self.figment).merge(provider);
        self.settings.push(Written { name: name.to_owned(), value, comment });
    }
}

fn line(name: &str, value: &toml_edit::Value) -> Data<Toml> {
    Toml::string(&format!("{name} = {value}"))
}

/// A setting that says where it is from.
struct Named {
    name: String,
    toml: Data<Toml>,
}

impl Provider for Named {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        self.toml.data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(settings: &[(&str, Value)]) -> Found {
        let mut found = Found::default();
        for (line, (name, value)) in settings.iter().enumerate() {
            found.set(name, line + 1, Ok(value.clone()));
        }
        found
    }

    fn planned(settings: &[(&str, Value)]) -> Plan {
        plan(Path::new("config.py"), &found(settings)).ok().unwrap()
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    fn names(rows: &[Row]) -> Vec<&str> {
        rows.iter().filter_map(|row| row.name.as_deref()).collect()
    }

    #[test]
    fn the_key_is_kept_or_drawn() {
        let kept = planned(&[(
            "SECRET_KEY",
            Value::Bytes(b"the key of Flask, of 32 bytes and more".to_vec()),
        )]);
        assert!(
            kept.text().contains("\nSECRET_KEY = \"the key of Flask, of 32 bytes and more\"\n")
        );
        assert_eq!(names(&kept.report.taken), ["SECRET_KEY"]);
        for key in [text(""), Value::None, Value::Bytes(b"\xff".to_vec())] {
            let drawn = planned(&[("SECRET_KEY", key)]);
            assert!(drawn.report.taken.is_empty());
            let text = drawn.text();
            let key = text.lines().find_map(|line| line.strip_prefix("SECRET_KEY = ")).unwrap();
            assert_eq!(key.len(), 66, "{key}");
            assert!(names(&drawn.report.changed).contains(&"SECRET_KEY"));
        }
    }

    #[test]
    fn without_a_store_sessions_live_in_the_cookie_as_flasks_do() {
        let plan = planned(&[]);
        assert!(plan.text().contains("\nSESSION_TYPE = \"cookie\"\n"));
        assert!(plan.text().contains("\n# SESSION_HASH_IDS"));
        let own = planned(&[("SESSION_TYPE", text("sqlite"))]);
        assert!(own.text().contains("\nSESSION_TYPE = \"sqlite\"\n"));
        assert!(own.text().contains("\n# SESSION_HASH_IDS"));
    }

    #[test]
    fn a_store_that_dewar_lacks_is_left_out_whole() {
        let plan = planned(&[("SESSION_TYPE", text("punchcards"))]);
        assert!(
            plan.text().contains("\n# SESSION_TYPE = ")
                && plan.text().contains("\n# SESSION_HASH_IDS")
        );
        let why = plan.report.not_carried_over[0].why.as_deref().unwrap();
        assert!(why.starts_with("is a store "), "{why}");
    }

    #[test]
    fn sessions_of_flask_session_are_found_under_their_plain_ids() {
        let mut planner = Planner {
            store: Store::FlaskSession,
            settings: Vec::new(),
            figment: Figment::new(),
            report: Report::new(Path::new("config.py")),
        };
        planner.complete(&Found::default()).ok().unwrap();
        let text = render(&planner.settings, true);
        assert!(text.contains("plain ids.\nSESSION_HASH_IDS = false\n"), "{text}");
        assert!(text.contains("\n# SESSION_TYPE"), "{text}");
    }

    #[test]
    fn texts_that_flask_takes_for_true_are_told() {
        let plan = planned(&[
            ("SESSION_COOKIE_SECURE", text("False")),
            ("SESSION_COOKIE_HTTPONLY", text("true")),
        ]);
        assert!(names(&plan.report.changed).contains(&"SESSION_COOKIE_SECURE"));
        assert_eq!(names(&plan.report.taken), ["SESSION_COOKIE_HTTPONLY"]);
    }

    #[test]
    fn what_is_not_dewars_is_listed_once_by_its_name() {
        let mut found = found(&[("CACHE_TYPE", text("simple")), ("DATABASE", text("flaskr.db"))]);
        for name in ["CACHE_TYPE", "MAIL_SERVER", "MAIL_SERVER", "DATABASE"] {
            let unread = Unread { why: "is not a literal", source: None };
            found.problem(|| super::super::Problem { line: 9, name: Some(name.into()), unread });
        }
        let plan = plan(Path::new("config.py"), &found).ok().unwrap();
        assert_eq!(names(&plan.report.not_carried_over), ["CACHE_TYPE", "DATABASE", "MAIL_SERVER"]);
        assert!(plan.report.not_read.is_empty());
        assert!(plan.text().contains("\nDATABASE = \"dewar.db\"\n"));
    }

    #[test]
    fn a_value_that_dewar_refuses_is_told_by_its_place_in_flasks_file() {
        let found = found(&[("A", Value::None), ("SESSION_COOKIE_SAMESITE", text("None"))]);
        let failure = plan(Path::new("config.py"), &found).err().unwrap().to_string();
        assert!(
            failure.starts_with("config.py:2: SESSION_COOKIE_SAMESITE is \"None\""),
            "{failure}"
        );
    }
}
