//! `FLASK_<NAME>` environment variables, `FLASK_<NAME>_FILE`, and systemd credentials.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Error, Metadata, Profile, Provider};

/// The settings whose value is a secret or holds one: read from systemd credentials too, and never
/// shown with it.
pub(crate) const SECRETS: &[&str] = &[
    "DATABASE",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "SESSION_MONGODB",
    "SESSION_REDIS",
    "SESSION_SQLALCHEMY",
    "SQLALCHEMY_DATABASE_URI",
];

/// Variables of the `flask` command itself, which are no settings.
const FLASK_CLI: &[&str] = &["APP", "ENV", "SKIP_DOTENV"];

/// The environment as Flask's `Config.from_prefixed_env` reads it: `FLASK_X` sets `X`, as JSON
/// where it parses and as text where not; `FLASK_A__B` sets `B` in the table `A`.
///
/// Beyond Flask, `FLASK_X_FILE` names a file that holds the value, and a secret may be a systemd
/// credential of the setting's name. A variable wins over a file, and a file over a credential.
/// They apply to all profiles.
#[derive(Clone, Debug, Default)]
pub struct FlaskEnv {
    variables: Vec<(String, OsString)>,
    credentials: Option<PathBuf>,
}

impl FlaskEnv {
    pub(super) const NAME: &str = "FLASK_ environment";

    /// The process's environment.
    pub fn from_process() -> Self {
        let mut variables: Vec<_> = std::env::vars_os()
            .filter_map(|(name, value)| {
                let name = name.to_str()?.strip_prefix("FLASK_")?.to_owned();
                is_setting(&name).then_some((name, value))
            })
            .collect();
        variables.sort();
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self { variables, credentials }
    }

    /// Which variable, file or credential gives `key` its value, in words.
    pub(super) fn origin(&self, key: &str) -> String {
        let (file, table) = (format!("{key}_FILE"), format!("{key}__"));
        let candidates: [&dyn Fn(&str) -> bool; 3] =
            [&|name| name == key, &|name| name == file, &|name| name.starts_with(&table)];
        candidates
            .iter()
            .find_map(|matches| self.variables.iter().find(|(name, _)| matches(name)))
            .map(|(name, _)| format!("environment variable FLASK_{name}"))
            .unwrap_or_else(|| format!("systemd credential {key}"))
    }

    /// The files that `FLASK_X_FILE` variables name, under the settings' names.
    #[cfg(feature = "app")]
    pub(super) fn files(&self) -> impl Iterator<Item = (String, PathBuf)> {
        self.variables
            .iter()
            .filter_map(|(name, file)| Some((name.strip_suffix("_FILE")?.to_owned(), file.into())))
    }

    fn dict(&self) -> Result<Dict, String> {
        let mut dict = Dict::new();
        for key in SECRETS {
            if let Some(file) = self.credentials.as_ref().map(|dir| dir.join(key))
                && file.exists()
            {
                dict.insert((*key).into(), parse(key, &read_file(&file)?));
            }
        }
        let (files, plain): (Vec<_>, Vec<_>) =
            self.variables.iter().partition(|(name, _)| name.ends_with("_FILE"));
        for (name, value) in files {
            let key = name.trim_end_matches("_FILE");
            set(&mut dict, key, parse(key, &read_file(Path::new(value))?));
        }
        for (name, value) in plain {
            let text = value.to_str().ok_or_else(|| format!("FLASK_{name} is not UTF-8 text"))?;
            set(&mut dict, name, parse(name, text));
        }
        Ok(dict)
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// Whether a variable's name without `FLASK_` is a setting's, and not the `flask` command's.
pub(crate) fn is_setting(name: &str) -> bool {
    // Within a table, behind `__`, names have whatever case they have.
    let top = name.split("__").next().unwrap_or_default();
    !name.is_empty()
        && !top.chars().any(char::is_lowercase)
        && !name.starts_with("RUN_")
        && !FLASK_CLI.contains(&name)
}

/// A variable's value: JSON where it parses, text where not.
pub(crate) fn parse(key: &str, text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::String(_, text)) => text.into(),
        // A key of digits alone is a key and no number.
        Ok(value) if key != "SECRET_KEY" => value,
        _ => text.into(),
    }
}

/// Sets a variable's value, in the table that its name has before `__`.
pub(crate) fn set(dict: &mut Dict, name: &str, value: Value) {
    match name.split_once("__") {
        Some((table, rest)) if !table.is_empty() && !rest.is_empty() => {
            let mut inner = match dict.remove(table) {
                Some(Value::Dict(_, inner)) => inner,
                _ => Dict::new(),
            };
            set(&mut inner, rest, value);
            dict.insert(table.into(), inner.into());
        }
        _ => {
            dict.insert(name.into(), value);
        }
    }
}

impl Provider for FlaskEnv {
    fn metadata(&self) -> Metadata {
        Metadata::named(Self::NAME)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Map::from([(Profile::Global, self.dict().map_err(Error::from)?)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(variables: &[(&str, &str)]) -> FlaskEnv {
        let variables =
            variables.iter().map(|(name, value)| ((*name).into(), value.into())).collect();
        FlaskEnv { variables, credentials: None }
    }

    #[test]
    fn values_are_json_where_they_parse_and_text_where_not() {
        let dict = env(&[
            ("GENDER_LABELS__Unknown", "male"),
            ("PERMANENT_SESSION_LIFETIME", "31 days"),
            ("SECRET_KEY", "12345"),
            ("SESSION_COOKIE_SECURE", "true"),
            ("SESSION_ID_LENGTH", "64"),
        ])
        .dict()
        .unwrap();
        assert_eq!(dict["PERMANENT_SESSION_LIFETIME"].as_str(), Some("31 days"));
        assert_eq!(dict["SECRET_KEY"].as_str(), Some("12345"));
        assert_eq!(dict["SESSION_COOKIE_SECURE"].to_bool(), Some(true));
        assert_eq!(dict["SESSION_ID_LENGTH"].to_u128(), Some(64));
        assert_eq!(dict["GENDER_LABELS"].as_dict().unwrap()["Unknown"].as_str(), Some("male"));
    }

    #[test]
    fn a_key_in_quotes_is_what_is_between_them_as_flask_reads_it() {
        let key = |text| parse("SECRET_KEY", text).into_string();
        assert_eq!(key(r#""in \"quotes\"""#).as_deref(), Some(r#"in "quotes""#));
        for as_it_is in ["in \"the middle", "true", "[1]", "{}", "null", "'single'"] {
            assert_eq!(key(as_it_is).as_deref(), Some(as_it_is));
        }
    }

    #[test]
    fn a_variable_wins_over_a_file_and_a_file_over_a_credential() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("SECRET_KEY"), "from the credential\n").unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "from the file\n").unwrap();
        let mut env = env(&[]);
        env.credentials = Some(dir.path().into());
        assert_eq!(env.dict().unwrap()["SECRET_KEY"].as_str(), Some("from the credential"));
        env.variables.push(("SECRET_KEY_FILE".into(), file.into()));
        assert_eq!(env.dict().unwrap()["SECRET_KEY"].as_str(), Some("from the file"));
        env.variables.push(("SECRET_KEY".into(), "from the variable".into()));
        assert_eq!(env.dict().unwrap()["SECRET_KEY"].as_str(), Some("from the variable"));
        assert_eq!(env.origin("SECRET_KEY"), "environment variable FLASK_SECRET_KEY");
    }

    #[test]
    fn names_within_tables_have_any_case_and_the_flask_commands_own_are_left_out() {
        for name in ["SECRET_KEY", "GENDER_LABELS__Unknown", "A__b__C"] {
            assert!(is_setting(name), "{name}");
        }
        for name in ["", "lower", "APP", "ENV", "RUN_PORT"] {
            assert!(!is_setting(name), "{name}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = env(&[("SECRET_KEY_FILE", "/nonexistent/key")]).dict().unwrap_err();
        assert!(error.contains("/nonexistent/key"), "{error}");
    }
}
