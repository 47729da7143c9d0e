//! How long a session lives, and the stamps among its values that tell since when.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::data::{CREATED, ROTATED, SAVED, is_permanent};
use super::settings::Settings;
use super::value::{Map, Value};

/// How far a stamp may be ahead, as the clocks of several machines differ. What is further ahead is
/// of a clock that was wrong, and counts as missing.
const SKEW: Duration = Duration::from_secs(60);

const SECOND: Duration = Duration::from_secs(1);

/// What has nothing left is still written with some time to live.
const MOMENT: Duration = Duration::from_millis(1);

/// When something happened that a stamp tells, since 1970.
fn read_stamp(values: &Map, key: &str, now: Duration) -> Option<Duration> {
    let Some(Value::Int(seconds)) = values.get(key) else { return None };
    let at = Duration::from_secs(u64::try_from(*seconds).ok()?);
    (at <= now.saturating_add(SKEW)).then_some(at)
}

/// All times are since 1970, by the layer's clock.
impl Settings {
    /// The stamps that these settings need, each with whether a change of the session renews it.
    fn stamps(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let created = self.absolute_lifetime.is_some().then_some((CREATED, false));
        let saved = self.keeps_saved().then_some((SAVED, true));
        let rotated = self.rotate_after.is_some().then_some((ROTATED, false));
        created.into_iter().chain(saved).chain(rotated)
    }

    /// Whether a record's time to live, or a cookie's age, no longer tells when the session was
    /// changed last: it is written again although it was not, and its lifetime is to go on.
    pub(super) fn keeps_saved(&self) -> bool {
        let rewritten = self.idle_lifetime.is_some() || self.rotate_after.is_some();
        rewritten && !self.refresh_each_request
    }

    /// Puts in the stamps that are missing, and, when the session has been changed, renews those of
    /// its last change.
    pub(super) fn stamp(&self, values: &mut Map, at: Duration, changed: bool) {
        for (key, renewed) in self.stamps() {
            if changed && renewed || read_stamp(values, key, at).is_none() {
                values.insert(key, Value::Int(at.as_secs().into()));
            }
        }
    }

    /// The values with their stamps, as [`stamp`](Self::stamp) puts them in.
    pub(super) fn stamped<'v>(&self, values: &'v Map, at: Duration, changed: bool) -> Cow<'v, Map> {
        let mut values = Cow::Borrowed(values);
        if self.stamps().next().is_some() {
            self.stamp(values.to_mut(), at, changed);
        }
        values
    }

    /// Whether a stamp is missing, as in a session from before the setting.
    pub(super) fn lacks_stamp(&self, values: &Map, now: Duration) -> bool {
        self.stamps().any(|(key, _)| read_stamp(values, key, now).is_none())
    }

    /// When the session ends whether it is used or not, if anything says so.
    fn end(&self, values: &Map, now: Duration) -> Option<Duration> {
        let after = |key, lifetime| Some(read_stamp(values, key, now)?.saturating_add(lifetime));
        let absolute = self.absolute_lifetime.and_then(|lifetime| after(CREATED, lifetime));
        let saved = self.keeps_saved().then(|| after(SAVED, self.lifetime)).flatten();
        absolute.into_iter().chain(saved).min()
    }

    /// Whether the session has ended by its stamps, whatever its record's time to live.
    pub(super) fn is_over(&self, values: &Map, now: Duration) -> bool {
        self.end(values, now).is_some_and(|end| end <= now)
    }

    /// Whether the session is to get a new id. With a former one it came from a browser that has not
    /// got the answer with the new one: if some time has passed since, it never will.
    pub(super) fn is_rotation_due(&self, values: &Map, former: bool, now: Duration) -> bool {
        let age = read_stamp(values, ROTATED, now).map(|at| now.saturating_sub(at));
        match (former, self.rotate_after) {
            // A stamp may have lost a second.
            (true, _) => age.is_none_or(|age| age >= self.rotate_grace / 3 + SECOND),
            (false, Some(after)) => age.is_some_and(|age| age >= after),
            (false, None) => false,
        }
    }

    /// How long an unused session lives, but for a touch that has been put off.
    pub(super) fn unused_lifetime(&self) -> Duration {
        self.lifetime.min(self.idle_lifetime.unwrap_or(Duration::MAX))
    }

    /// How long a record is to live in the store from now on.
    pub(super) fn record_lifetime(&self, values: &Map, now: Duration) -> Duration {
        let touched = self.touch_interval;
        let permanent = match self.refresh_each_request {
            true => self.lifetime + touched,
            false => self.lifetime,
        };
        let idle = self.idle_lifetime.map(|idle| idle + touched);
        let left = self.end(values, now).map(|end| end.saturating_sub(now).max(MOMENT));
        [Some(permanent), idle, left].into_iter().flatten().min().unwrap_or(permanent)
    }

    /// How long a session that is used once more may live from then on, at most.
    #[cfg(feature = "app")]
    pub(crate) fn longest_unused(&self) -> Duration {
        self.record_lifetime(&Map::new(), Duration::ZERO)
    }

    /// Whether a record that has `left` is to be given its `lifetime` again.
    pub(super) fn is_touch_due(&self, left: Duration, lifetime: Duration) -> bool {
        left + self.touch_interval < lifetime || left > lifetime + SECOND
    }

    /// Whether using a session restarts a time limit of its record.
    pub(super) fn use_prolongs(&self) -> bool {
        self.refresh_each_request || self.idle_lifetime.is_some()
    }

    /// When the browser is to forget the cookie; `None` for when it ends.
    pub(super) fn cookie_expiry(&self, values: &Map, now: Duration) -> Option<SystemTime> {
        // Where each visit brings the cookie again it says what holds here.
        let unused = match self.refresh_each_request {
            true => self.unused_lifetime(),
            false => self.lifetime,
        };
        let unused = now.saturating_add(unused);
        let expiry = self.end(values, now).map_or(unused, |end| end.min(unused));
        is_permanent(values).then(|| UNIX_EPOCH.checked_add(expiry)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use figment::Figment;
    use figment::providers::Serialized;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_714_979_289);

    fn settings(set: &[(&str, u64)]) -> Settings {
        let figment = set.iter().fold(Figment::new(), |figment, (key, value)| {
            figment.merge(Serialized::default(
                key,
                match *key {
                    "SESSION_REFRESH_EACH_REQUEST" => figment::value::Value::from(*value != 0),
                    _ => figment::value::Value::from(*value),
                },
            ))
        });
        Settings::from_figment(&figment).unwrap()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn permanent(settings: &Settings) -> Map {
        let mut values = Map::from_iter([(Value::from("_permanent"), Value::Bool(true))]);
        settings.stamp(&mut values, NOW, true);
        values
    }

    #[test]
    fn without_the_settings_nothing_is_stamped_and_the_lifetime_holds() {
        let plain = settings(&[("PERMANENT_SESSION_LIFETIME", 6000)]);
        let values = permanent(&plain);
        assert_eq!(values.len(), 1);
        assert_eq!(plain.record_lifetime(&values, NOW), seconds(6100));
        assert_eq!(plain.cookie_expiry(&values, NOW), Some(UNIX_EPOCH + NOW + seconds(6000)));
        assert_eq!(plain.cookie_expiry(&Map::new(), NOW), None);
    }

    #[test]
    fn the_shortest_limit_holds() {
        let set = settings(&[("SESSION_IDLE_LIFETIME", 600), ("SESSION_ABSOLUTE_LIFETIME", 3600)]);
        let values = permanent(&set);
        for (passed, record, cookie) in [(0, 610, 600), (2990, 610, 600), (3100, 500, 500)] {
            let now = NOW + seconds(passed);
            assert_eq!(set.record_lifetime(&values, now), seconds(record), "{passed}");
            let expiry = UNIX_EPOCH + now + seconds(cookie);
            assert_eq!(set.cookie_expiry(&values, now), Some(expiry), "{passed}");
        }
        assert!(!set.is_over(&values, NOW + seconds(3599)));
        assert!(set.is_over(&values, NOW + seconds(3600)));
        assert_eq!(set.record_lifetime(&values, NOW + seconds(9999)), MOMENT);
    }

    #[test]
    fn use_without_refresh_does_not_prolong_the_permanent_lifetime() {
        let set = settings(&[
            ("SESSION_REFRESH_EACH_REQUEST", 0),
            ("PERMANENT_SESSION_LIFETIME", 3600),
            ("SESSION_IDLE_LIFETIME", 600),
        ]);
        let mut values = permanent(&set);
        let later = NOW + seconds(3300);
        set.stamp(&mut values, later, false);
        assert_eq!(set.record_lifetime(&values, later), seconds(300));
        assert_eq!(set.cookie_expiry(&values, later), Some(UNIX_EPOCH + NOW + seconds(3600)));
        assert!(set.is_over(&values, NOW + seconds(3600)));
        set.stamp(&mut values, later, true);
        assert_eq!(set.record_lifetime(&values, later), seconds(610));
    }

    #[test]
    fn a_stamp_that_is_missing_wrong_or_far_ahead_is_put_anew() {
        let set = settings(&[("SESSION_ABSOLUTE_LIFETIME", 3600)]);
        let ahead = i128::from(NOW.as_secs()) + 61;
        for stamp in [None, Some(Value::from("x")), Some(Value::Int(-1)), Some(Value::Int(ahead))] {
            let mut values = Map::from_iter(stamp.map(|stamp| (Value::from(CREATED), stamp)));
            assert!(set.lacks_stamp(&values, NOW) && !set.is_over(&values, NOW));
            set.stamp(&mut values, NOW, false);
            assert_eq!(values.get(CREATED), Some(&Value::Int(NOW.as_secs().into())));
            set.stamp(&mut values, NOW + seconds(9), true);
            assert_eq!(values.get(CREATED), Some(&Value::Int(NOW.as_secs().into())));
        }
    }

    #[test]
    fn a_touch_is_due_once_an_interval_and_when_the_limit_has_become_shorter() {
        let set = settings(&[("SESSION_IDLE_LIFETIME", 600)]);
        let lifetime = set.record_lifetime(&Map::new(), NOW);
        assert_eq!(lifetime, seconds(610));
        for (left, due) in [(610, false), (600, false), (599, true), (611, false), (612, true)] {
            assert_eq!(set.is_touch_due(seconds(left), lifetime), due, "{left}");
        }
    }
}
