//! What is logged, and under which name.

use crate::session::settings::Reader;

/// These settings, with what each does in a line.
pub const KEYS: &[(&str, &str)] = &[
    ("DEBUG", "log more, and turn on what helps while developing; never in production"),
    ("LOGGER_NAME", "the name that this program's log lines begin with"),
    ("LOG_FORMAT", "\"text\" for people, or \"json\": an object a line"),
    ("LOG_REQUESTS", "log a line for each request"),
    ("LOG_CLIENT_ADDRESS", "name the client's address in the line for a request"),
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
    /// `LOG_FORMAT`.
    pub format: LogFormat,
    /// `LOG_REQUESTS`.
    pub requests: bool,
    /// `LOG_CLIENT_ADDRESS`.
    pub client_address: bool,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Time, level and message, for people.
    #[default]
    Text,
    /// A JSON object.
    Json,
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
        let format = match reader.text("LOG_FORMAT").as_deref() {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(_) => {
                reader.refuse("LOG_FORMAT", "must be \"text\" or \"json\"");
                LogFormat::Text
            }
        };
        let requests = reader.bool("LOG_REQUESTS").unwrap_or(false);
        let client_address = reader.bool("LOG_CLIENT_ADDRESS").unwrap_or(false);
        if client_address && !requests {
            reader.refuse(
                "LOG_CLIENT_ADDRESS",
                "adds to the lines of LOG_REQUESTS; turn that on too",
            );
        }
        Self { verbose: debug, name, silent, format, requests, client_address }
    }
}
