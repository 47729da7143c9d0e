//! The layer's clock: it tells the time of day and never goes back while the process lives.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// By how much the system's clock has to go back for the log to say so. A leap second is less.
const WORTH_TELLING: Duration = Duration::from_secs(5);

/// What was read last of a clock that could only go forward, and when by the monotonic clock.
struct Reading {
    time: SystemTime,
    at: Instant,
    told: bool,
}

static LAST: Mutex<Option<Reading>> = Mutex::new(None);

/// The system's time. Where the system's clock is set back, this one goes on at the pace of the
/// monotonic clock, so that nothing lives the longer for it. Where it is set forward, or the machine
/// has slept, this one follows.
///
/// So after a jump forward and back it stays ahead until the system's clock has caught up or the
/// process is started again, and sessions end by as much too early, once. What was signed or stored
/// meanwhile bears times that are ahead.
pub fn now() -> SystemTime {
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let (time, at) = (SystemTime::now(), Instant::now());
    let last = last.get_or_insert(Reading { time, at, told: false });
    let now = last.next(time, at);
    let behind = now.duration_since(time).unwrap_or_default();
    if behind >= WORTH_TELLING && !std::mem::replace(&mut last.told, true) {
        log::warn!(
            "the system's clock has gone back by {} seconds; sessions are timed as if it had not. \
             Restart when the clock is right",
            behind.as_secs()
        );
    }
    now
}

/// The same since 1970.
pub fn since_epoch() -> Duration {
    now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The same in whole seconds.
pub fn seconds() -> i64 {
    i64::try_from(since_epoch().as_secs()).unwrap_or(i64::MAX)
}

impl Reading {
    fn next(&mut self, time: SystemTime, at: Instant) -> SystemTime {
        let carried = self.time.checked_add(at.saturating_duration_since(self.at)).unwrap_or(time);
        if time >= carried {
            *self = Self { time, at, told: false };
        }
        carried.max(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn it_follows_the_systems_clock_forward_and_never_back() {
        let (start, at) = (UNIX_EPOCH + HOUR * 500_000, Instant::now());
        let mut clock = Reading { time: start, at, told: false };
        let mut read = |time, passed| clock.next(time, at + passed);
        assert_eq!(read(start + HOUR, HOUR), start + HOUR);
        assert_eq!(read(start + HOUR * 5, HOUR * 2), start + HOUR * 5, "three hours forward");
        assert_eq!(read(start + HOUR * 3, HOUR * 3), start + HOUR * 6, "and back");
        assert_eq!(read(UNIX_EPOCH, HOUR * 4), start + HOUR * 7, "to 1970");
        assert_eq!(read(start + HOUR * 9, HOUR * 5), start + HOUR * 9, "caught up with");
        let (y2106, mut last) = (UNIX_EPOCH + Duration::from_secs(1 << 32), start);
        assert_eq!(read(y2106, HOUR * 6), y2106);
        for hour in 7..50 {
            let now = read(start + HOUR * (hour % 7), HOUR * hour);
            assert!(now > last);
            last = now;
        }
    }
}
