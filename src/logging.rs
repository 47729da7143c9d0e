//! One line an event on standard error.
//!
//! Rocket's own logger spreads a request over several coloured lines and shows nothing of a
//! release build's warnings, so this one takes its place: the program's own messages from `info`
//! on, everybody else's from `warn` on.

mod line;
mod queue;
mod repeats;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::Write;
use std::panic::PanicHookInfo;
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::config::LogSettings;
use line::Line;
use queue::Queue;
use repeats::Repeats;

/// What this program's own targets begin with.
const OWN: &str = "dewar";
/// How long the end of the program waits for lines that nobody takes.
const PATIENCE: Duration = Duration::from_secs(1);

struct Logger {
    /// Under systemd the journal stamps the time and reads the priority from a prefix.
    journal: bool,
    /// Whether the command line asks for more.
    verbose: bool,
    settings: RwLock<LogSettings>,
    repeats: Repeats,
    /// The lines on their way, once [`in_background`] was called.
    queue: OnceLock<Queue>,
}

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Starts logging; a second call changes nothing. `verbose` shows everybody's `info` and this
/// program's `debug` messages as well.
pub fn start(verbose: bool) {
    let logger = LOGGER.get_or_init(|| Logger {
        journal: queue::is_the_journal(),
        verbose,
        settings: RwLock::default(),
        repeats: Repeats::default(),
        queue: OnceLock::new(),
    });
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

/// Has a thread of its own write the lines from now on, panics included, so that nobody else waits
/// for a log that is read slowly or not at all.
///
/// # Errors
/// When there can be no such thread.
pub fn in_background() -> std::io::Result<()> {
    let Some(logger) = LOGGER.get().filter(|logger| logger.queue.get().is_none()) else {
        return Ok(());
    };
    let queue = Queue::start(|dropped| logger.due(dropped))?;
    if logger.queue.set(queue).is_ok() {
        std::panic::set_hook(Box::new(tell_of_panic));
    }
    Ok(())
}

/// How many lines were dropped since the start, because nobody took them in time or they could not
/// be written.
pub fn dropped() -> u64 {
    LOGGER.get().and_then(|logger| logger.queue.get()).map_or(0, Queue::dropped)
}

/// Tells why the program ends: plainly, or as the log's format has it.
pub fn fatal(problem: &str) {
    let Some(logger) = LOGGER.get() else { return };
    let line = logger.line(Level::Error, OWN, problem);
    logger.write(line.fatal());
}

impl Logger {
    fn settings(&self) -> RwLockReadGuard<'_, LogSettings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn line<'l>(&self, level: Level, target: &'l str, message: &str) -> Line<'l> {
        let settings = self.settings();
        let name = settings.name.clone().filter(|_| target.starts_with(OWN));
        Line::new(settings.format, self.journal, level, target, message, name)
    }

    fn write(&self, line: String) {
        match self.queue.get() {
            Some(queue) => queue.put(line),
            // A dead log is no reason to fail.
            None => drop(std::io::stderr().write_all(line.as_bytes())),
        }
    }

    /// What the queue's thread adds by itself: how often errors came that were not written each,
    /// and how many lines were dropped.
    fn due(&self, dropped: u64) -> String {
        let mut due = String::new();
        for repeat in self.repeats.due() {
            let mut line = self.line(Level::Error, &repeat.target, &repeat.message);
            line.repeated = repeat.times;
            due += &line.to_string();
        }
        if dropped > 0 {
            let message = format!("{dropped} lines were dropped, as the log was not taken in time");
            due += &self.line(Level::Warn, module_path!(), &message).to_string();
        }
        due
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
        let (level, target) = (record.level(), record.target());
        let mut message = line::uncoloured(&record.args().to_string());
        if target.starts_with("rocket::server") {
            message = line::without_query(&message).to_owned();
        }
        // What visitors do is told each time; a failure that each request meets is not.
        let repeated = match level {
            Level::Error => self.repeats.count(target, &message),
            _ => Some(0),
        };
        let Some(repeated) = repeated else { return };
        let mut line = self.line(level, target, &message);
        line.repeated = repeated;
        line.add(record.key_values());
        self.write(line.to_string());
    }

    /// Waits until what was logged so far is written, but not long.
    fn flush(&self) {
        if let Some(queue) = self.queue.get() {
            queue.flush(PATIENCE);
        }
    }
}

/// Takes the place of the standard library's hook, which would wait for standard error.
fn tell_of_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let payload = panic.payload();
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let message = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
    let place = panic.location().map(ToString::to_string);
    let trace = match Backtrace::capture() {
        trace if trace.status() == BacktraceStatus::Captured => format!("\n{trace}"),
        _ => String::new(),
    };
    let place = place.as_deref().unwrap_or("an unknown place");
    log::error!("thread {thread} panicked at {place}: {message}{trace}");
}
