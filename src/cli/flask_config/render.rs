//! The commented `Rocket.toml` with settings in force.

use toml_edit::{DocumentMut, Value};

/// The configuration that `dewar init` writes, every setting in it commented out.
const TEMPLATE: &str = include_str!("../../../Rocket.toml");

/// A setting to write.
pub struct Written {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// Why it is there, for those who read the file.
    pub comment: Option<&'static str>,
}

impl Written {
    /// Whether the value is to be kept from terminals: a key, or a URL that may hold a password.
    fn is_secret(&self) -> bool {
        let url = self.value.as_str().and_then(|text| text.split_once("://"));
        self.name.starts_with("SECRET_KEY")
            || url.is_some_and(|(_, rest)| rest.contains(['@', '?']))
    }

    /// The line, with the comment that the template has behind the setting.
    fn line(&self, template: &str, show_secrets: bool) -> String {
        let mut comment = String::new();
        if let Ok(document) = template.parse::<DocumentMut>()
            && let Some(value) = document.get(&self.name).and_then(toml_edit::Item::as_value)
        {
            comment = value.decor().suffix().and_then(|raw| raw.as_str()).unwrap_or("").to_owned();
        }
        let why = self.comment.map(|why| format!("# {why}\n")).unwrap_or_default();
        match show_secrets || !self.is_secret() {
            true => format!("{why}{} = {}{comment}\n", self.name, self.value),
            // Commented out, so that it is never taken for the value.
            false => format!("{why}# {} = \"(not shown)\"{comment}\n", self.name),
        }
    }
}

/// The template with the settings at their places. Without `show_secrets` it is for reading only.
pub fn render(settings: &[Written], show_secrets: bool) -> String {
    let mut text = String::new();
    for line in TEMPLATE.lines() {
        let setting = line.strip_prefix("# ").and_then(|line| {
            let (name, _) = line.split_once(" = ")?;
            Some((line, settings.iter().find(|setting| setting.name == name)?))
        });
        match setting {
            Some((line, setting)) => text += &setting.line(line, show_secrets),
            None => text += &format!("{line}\n"),
        }
    }
    let others: Vec<_> = settings.iter().filter(|setting| !stands_in_template(setting)).collect();
    if !others.is_empty() {
        text += "\n\n# --- Others ---\n\n";
        text.extend(others.iter().map(|setting| setting.line("", show_secrets)));
    }
    text
}

fn stands_in_template(setting: &Written) -> bool {
    let begins = format!("# {} = ", setting.name);
    TEMPLATE.lines().any(|line| line.starts_with(&begins))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, value: impl Into<Value>, comment: Option<&'static str>) -> Written {
        Written { name: name.into(), value: value.into(), comment }
    }

    #[test]
    fn settings_stand_at_their_places_and_keep_their_comments() {
        let settings = [
            written("SECRET_KEY", "a \"key\"", None),
            written("SESSION_COOKIE_SAMESITE", "Strict", None),
            written("SESSION_TYPE", "cookie", Some("as in Flask")),
            written("NEW", 1, None),
        ];
        let text = render(&settings, true);
        let document: DocumentMut = text.parse().unwrap();
        assert_eq!(document["default"]["SECRET_KEY"].as_str(), Some("a \"key\""));
        assert_eq!(document["default"]["NEW"].as_integer(), Some(1));
        assert!(text.contains("\nSESSION_COOKIE_SAMESITE = \"Strict\"           # or \"Strict\""));
        assert!(text.contains("\n# as in Flask\nSESSION_TYPE = \"cookie\"\n"));
        assert_eq!(text.lines().count(), TEMPLATE.lines().count() + 6);
        assert_eq!(render(&[], true), TEMPLATE);
    }

    #[test]
    fn secrets_are_shown_only_where_they_are_to_be_written() {
        let settings = [
            written("SECRET_KEY", "hush", None),
            written("SECRET_KEY_FALLBACKS", toml_edit::Array::from_iter(["hush"]), None),
            written("SESSION_REDIS", "redis://:hush@localhost", None),
        ];
        let text = render(&settings, false);
        assert!(!text.contains("hush"));
        assert!(text.contains("\n# SECRET_KEY = \"(not shown)\"\n"));
        assert_eq!(render(&settings, true).matches("hush").count(), 3);
    }
}
