//! memcached's time to live.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What memcached takes for an item that is dead already.
pub const PAST: i64 = -1;

/// 30 days: what is longer memcached takes for a time since 1970.
const MOST_RELATIVE: i64 = 30 * 86_400;

/// memcached's `exptime` for a lifetime in seconds, from `now` in seconds since 1970: up to and
/// with 30 days the lifetime itself, beyond that the time it ends. The same as Flask-Session's.
pub fn exptime(now: i64, lifetime: i64) -> i64 {
    match lifetime > MOST_RELATIVE {
        true => now.saturating_add(lifetime),
        false => lifetime,
    }
}

/// The `exptime` of an item that is to live `ttl` from now on, or a little longer: memcached's
/// clock moves once a second, so that the first of its seconds may be over at once.
pub fn of(ttl: Duration) -> i64 {
    let up = |duration: Duration| {
        let seconds = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
        i64::try_from(seconds).unwrap_or(i64::MAX)
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    exptime(up(now), up(ttl).saturating_add(1))
}

/// How long an item is sure to live of which memcached says `seconds`; `None` for one that lives
/// for ever.
pub fn left(seconds: i64) -> Option<Duration> {
    u64::try_from(seconds).ok().map(|seconds| Duration::from_secs(seconds.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_lives_a_second_longer_than_it_must() {
        assert_eq!(of(Duration::from_secs(1)), 2);
        assert_eq!(of(Duration::from_millis(1)), 2);
        assert_eq!(of(Duration::from_millis(1001)), 3);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let month = i64::try_from(now).unwrap() + 2_678_401;
        assert!((month..month + 5).contains(&of(Duration::from_secs(31 * 86_400))));
        assert!(of(Duration::MAX) > 0);
        assert_eq!(left(3601), Some(Duration::from_secs(3600)));
        assert_eq!(left(-1), None);
    }
}
