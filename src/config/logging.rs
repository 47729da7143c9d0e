//! What is logged, and under which name.

use crate::session::settings::Reader;

/// These settings, with what each does in a line.
pub const KEYS: &[(&str, &str)] = &[
    ("DEBUG", "log more, and turn on what helps while developing; never in production"),
    ("LOGGER_NAME", "the name that this program's log lines begin with"),
    ("LOGGER_HANDLER_POLICY", "when to log: \"always\", \"debug\", \"production\" or \"never\""),
];

/// What is logged, and under which name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// `DEBUG`: whether everybody's notes are logged too.
    pub verbose: bool,
    /// `LOGGER_NAME`: what this program's lines begin with.
    pub name: Option<String>,
    /// `LOGGER_HANDLER_POLICY`: whether nothing at all is logged.
    pub silent: bool,
}

impl LogSettings {
    pub(super) fn read(reader: &mut Reader, debug: bool) -> Self {
        let name = reader.text("LOGGER_NAME").filter(|name| !name.is_empty());
        if name.as_ref().is_some_and(|name| name.chars().any(char::is_control)) {
            reader.refuse("LOGGER_NAME", "must hold no control characters");
        }
        let silent = match reader.text("LOGGER_HANDLER_POLICY").as_deref() {
            None | Some("always") => false,
            Some("debug") => !debug,
            Some("production") => debug,
            Some("never") => true,
            Some(_) => {
                let remedy = "must be \"always\", \"debug\", \"production\" or \"never\"";
                reader.refuse("LOGGER_HANDLER_POLICY", remedy);
                false
            }
        };
        Self { verbose: debug, name, silent }
    }
}
