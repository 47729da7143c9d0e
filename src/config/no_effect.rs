//! Flask's settings for which there is nothing here that they could mean. They are taken, so that
//! a Flask application's configuration can be used as it is, and the log says so once.

use crate::session::settings::Reader;

/// Each with the reason.
pub const KEYS: &[(&str, &str)] = &[
    ("ENV", "Rocket's profile takes its place: set ROCKET_PROFILE"),
    ("PRESERVE_CONTEXT_ON_EXCEPTION", "there is no debugger in the browser to keep a request for"),
    ("PROPAGATE_EXCEPTIONS", "Rocket catches what fails in a handler, and a page answers it"),
    ("TESTING", "Rocket's test client sees every error by itself"),
    ("TRAP_HTTP_EXCEPTIONS", "an error is a status here and no exception; a page answers it"),
];

/// The settings among them that are set, in words for the log.
pub(super) fn read(reader: &Reader) -> Vec<String> {
    KEYS.iter()
        .filter(|(key, _)| reader.value(key).is_some())
        .map(|(key, reason)| format!("{key} has no effect: {reason}"))
        .collect()
}
