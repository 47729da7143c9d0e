//! How long sessions last.

use std::time::Duration;

use super::Reader;

const LIFETIME: &str = "PERMANENT_SESSION_LIFETIME";
const TOUCH: &str = "SESSION_TOUCH_INTERVAL";
const IDLE: &str = "SESSION_IDLE_LIFETIME";
const ABSOLUTE: &str = "SESSION_ABSOLUTE_LIFETIME";

const ROTATE: &str = "SESSION_ROTATE_AFTER";
const GRACE: &str = "SESSION_ROTATE_GRACE";

const USUAL_GRACE: Duration = Duration::from_secs(30);
/// 31 days, Flask's default.
const DEFAULT: Duration = Duration::from_secs(31 * 86_400);

const SECOND: Duration = Duration::from_secs(1);

pub struct Lifetimes {
    pub lifetime: Duration,
    pub touch_interval: Duration,
    pub idle: Option<Duration>,
    pub absolute: Option<Duration>,
    pub rotate_after: Option<Duration>,
    pub rotate_grace: Duration,
}

pub fn read(reader: &mut Reader) -> Lifetimes {
    let lifetime = reader.duration(LIFETIME).unwrap_or(DEFAULT);
    if lifetime < SECOND {
        reader.refuse(LIFETIME, "must be one second or more");
    } else if lifetime > Duration::from_secs(400 * 86_400) {
        reader.refuse(LIFETIME, "must be 400 days or less: browsers keep no cookie longer");
    }
    let absolute = limit(reader, ABSOLUTE);
    let idle = limit(reader, IDLE);
    let longer = |other: Option<Duration>| idle > other && other.is_some();
    if longer(Some(lifetime)) {
        reader.refuse(IDLE, format!("must be no longer than {LIFETIME}, or it never matters"));
    } else if longer(absolute) {
        reader.refuse(IDLE, format!("must be no longer than {ABSOLUTE}, or it never matters"));
    }
    let unused = idle.map_or(lifetime, |idle| idle.min(lifetime));
    let sixtieth = Duration::from_secs((unused.as_secs() / 60).min(600));
    let touch_interval = reader.duration(TOUCH).unwrap_or(sixtieth);
    if touch_interval > unused {
        let limit = if unused < lifetime { IDLE } else { LIFETIME };
        reader.refuse(TOUCH, format!("must be no longer than {limit}"));
    }
    let rotate_after = limit(reader, ROTATE);
    if rotate_after >= absolute && absolute.is_some() {
        reader.refuse(ROTATE, format!("must be shorter than {ABSOLUTE}, or it never matters"));
    }
    let rotate_grace = read_grace(reader, rotate_after);
    Lifetimes { lifetime, touch_interval, idle, absolute, rotate_after, rotate_grace }
}

fn read_grace(reader: &mut Reader, rotate_after: Option<Duration>) -> Duration {
    let longest = rotate_after.unwrap_or(Duration::MAX);
    let Some(grace) = reader.duration(GRACE) else { return USUAL_GRACE.min(longest) };
    if !(SECOND..=Duration::from_secs(600)).contains(&grace) {
        reader.refuse(GRACE, "must be one second to 10 minutes; 30 seconds is the default");
    } else if grace > longest {
        reader.refuse(GRACE, format!("must be no longer than {ROTATE}"));
    }
    grace
}

/// A limit that is off unless it is set.
fn limit(reader: &mut Reader, key: &str) -> Option<Duration> {
    let limit = reader.duration(key)?;
    if limit < SECOND {
        reader.refuse(key, "must be one second or more; leave it out for no such limit");
    } else if limit > Duration::from_secs(3660 * 86_400) {
        reader.refuse(key, "must be ten years or less");
    }
    Some(limit)
}
