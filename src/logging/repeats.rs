//! Errors that repeat: a store that is down would otherwise fill the log with one line a request.

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The same error is written this often at most.
const EVERY: Duration = Duration::from_secs(1);
/// How many different errors are told apart at a time. Further ones, as from a store that says
/// something else each time, are counted together.
const KINDS: usize = 16;
/// What further ones are told as.
const OTHERS: &str = "errors of further kinds";

/// What was written lately, by target and message.
#[derive(Default)]
pub struct Repeats(Mutex<HashMap<(String, String), Seen>>);

struct Seen {
    written: Instant,
    since: u64,
}

/// An error that came again after it was written.
pub struct Repeat {
    pub target: String,
    pub message: String,
    /// How often.
    pub times: u64,
}

impl Repeats {
    fn seen(&self) -> MutexGuard<'_, HashMap<(String, String), Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an error: how often it came since it was written last if it is to be written now, or
    /// `None`.
    pub fn count(&self, target: &str, message: &str) -> Option<u64> {
        let mut seen = self.seen();
        let kinds = seen.len();
        let key = (target.to_owned(), message.to_owned());
        match seen.get_mut(&key) {
            Some(seen) if seen.written.elapsed() < EVERY => {
                seen.since += 1;
                None
            }
            Some(seen) => {
                seen.written = Instant::now();
                Some(mem::take(&mut seen.since))
            }
            None if kinds < KINDS => {
                seen.insert(key, Seen { written: Instant::now(), since: 0 });
                Some(0)
            }
            None => {
                let others = (target.to_owned(), OTHERS.to_owned());
                let others =
                    seen.entry(others).or_insert(Seen { written: Instant::now(), since: 0 });
                others.since += 1;
                None
            }
        }
    }

    /// What came again and was not written for long enough, which is to be written now; what did not
    /// come again is forgotten.
    pub fn due(&self) -> Vec<Repeat> {
        let mut due = Vec::new();
        self.seen().retain(|(target, message), seen| {
            let over = seen.written.elapsed() >= EVERY;
            let forgotten = over && seen.since == 0;
            if over && !forgotten {
                let times = mem::take(&mut seen.since);
                due.push(Repeat { target: target.clone(), message: message.clone(), times });
                seen.written = Instant::now();
            }
            !forgotten
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_error_is_written_once_and_counted() {
        let repeats = Repeats::default();
        assert_eq!(repeats.count("a", "down"), Some(0));
        assert_eq!(repeats.count("a", "down"), None);
        assert_eq!(repeats.count("a", "down"), None);
        assert_eq!((repeats.count("b", "down"), repeats.count("a", "up")), (Some(0), Some(0)));
        std::thread::sleep(EVERY);
        assert_eq!(repeats.count("a", "down"), Some(2));
        assert_eq!(repeats.count("a", "down"), None);
        std::thread::sleep(EVERY);
        let due = repeats.due();
        assert_eq!((due.len(), due[0].times), (1, 1));
        assert_eq!(repeats.count("a", "down"), None, "it was written just now");
        std::thread::sleep(EVERY);
        assert_eq!(repeats.due().len(), 1);
        std::thread::sleep(EVERY);
        assert!(repeats.due().is_empty() && repeats.seen().is_empty());
    }

    #[test]
    fn errors_that_differ_each_time_neither_fill_the_log_nor_the_memory() {
        let repeats = Repeats::default();
        let written = (0..1000).filter(|i| repeats.count("a", &i.to_string()).is_some()).count();
        assert_eq!((written, repeats.seen().len()), (KINDS, KINDS + 1));
        std::thread::sleep(EVERY);
        let due = repeats.due();
        assert_eq!((due.len(), &*due[0].message, due[0].times), (1, OTHERS, 1000 - KINDS as u64));
        assert_eq!(repeats.count("a", "new"), Some(0), "the former kinds are forgotten");
    }
}
