//! One line an event on standard error.
//!
//! Rocket's own logger spreads a request over several coloured lines and shows nothing of a
//! release build's warnings, so this one takes its place: the program's own messages from `info`
//! on, everybody else's from `warn` on.

use std::io::Write;
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::LogSettings;
use crate::session::rfc3339;
use log::{Level, LevelFilter, Log, Metadata, Record};

/// What this program's own targets begin with.
const OWN: &str = "dewar";

struct Logger {
    /// Under systemd the journal stamps the time and reads the priority from a prefix.
    journal: bool,
    /// Whether the command line asks for more.
    verbose: bool,
    settings: RwLock<LogSettings>,
}

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Starts logging; a second call changes nothing. `verbose` shows everybody's `info` and this
/// program's `debug` messages as well.
pub fn start(verbose: bool) {
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let logger = LOGGER.get_or_init(|| Logger { journal, verbose, settings: RwLock::default() });
    if log::set_logger(logger).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

/// Puts the configured settings in force.
pub fn configure(settings: &LogSettings) {
    if let Some(logger) = LOGGER.get() {
        let mut current = logger.settings.write().unwrap_or_else(PoisonError::into_inner);
        current.clone_from(settings);
    }
}

impl Logger {
    fn settings(&self) -> RwLockReadGuard<'_, LogSettings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let settings = self.settings();
        if settings.silent {
            return false;
        }
        let all = self.verbose || settings.verbose;
        let target = metadata.target();
        let own = target.starts_with(OWN);
        // Rocket marks its notes on a request so, and names its address in a form of its own.
        let note = target.ends_with('_') && !target.starts_with("rocket_dyn_templates")
            || target.starts_with("rocket::launch");
        if note && !all {
            return false;
        }
        let least = match (own, all) {
            (true, true) => Level::Debug,
            (true, false) | (false, true) => Level::Info,
            (false, false) => Level::Warn,
        };
        metadata.level() <= least
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut message = one_line(&record.args().to_string());
        if let Some(name) = &self.settings().name
            && record.target().starts_with(OWN)
        {
            message = format!("{name}: {message}");
        }
        let line = match self.journal {
            true => {
                let priority = match record.level() {
                    Level::Error => 3,
                    Level::Warn => 4,
                    Level::Info => 6,
                    Level::Debug | Level::Trace => 7,
                };
                format!("<{priority}>{message}\n")
            }
            false => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
                let now = rfc3339(seconds, now.subsec_millis() * 1_000_000);
                format!("{now} {:5} {message}\n", record.level())
            }
        };
        // A dead log is no reason to stop serving.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

/// Takes from a message what would end its line, colour it or forge another.
fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(c) = rest.chars().next() {
        if let Some(code) = rest.strip_prefix("\u{1b}[")
            && let Some(end) = code.find(|c: char| c.is_ascii_alphabetic())
        {
            rest = &code[end + 1..];
            continue;
        }
        if c.is_control() || c == '\u{2028}' || c == '\u{2029}' {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    line
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn nobody_forges_a_line() {
        assert_eq!(one_line("a\nERROR b\u{2028}c\u{1b}]x"), "a\\nERROR b\\u{2028}c\\u{1b}]x");
        assert_eq!(one_line("\u{1b}[31mred\u{1b}[0m ü"), "red ü");
    }
}
