//! Slows down guessing: a few free tries, then growing waits, for each account and each address.
//!
//! Waits stay short enough that nobody is locked out for long, and an address from which an
//! account has signed in before is counted on its own, so that guessing elsewhere does not keep
//! its owner out.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How failures turn into waiting.
#[derive(Clone, Copy, Debug)]
struct Limit {
    /// Failures that cost nothing.
    free: u32,
    /// The longest wait.
    longest: Duration,
}

const ACCOUNT: Limit = Limit { free: 5, longest: Duration::from_secs(30) };
const ADDRESS: Limit = Limit { free: 30, longest: Duration::from_secs(60) };
/// Failures are forgotten after this long without another.
const MEMORY: Duration = Duration::from_secs(15 * 60);
/// How many accounts and addresses are remembered, 24 bytes each.
const CAPACITY: usize = 50_000;

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    /// How long after the last failure the next try may come: at once, then 1, 2, 4 … seconds.
    fn wait(self, limit: Limit) -> Option<Duration> {
        let over = self.count.checked_sub(limit.free)?;
        Some(Duration::from_secs(1 << over.min(16)).min(limit.longest))
    }
}

/// The counters, in memory.
#[derive(Debug, Default)]
pub struct Throttle {
    // Keys are keyed hashes: short, and of no use to whoever wants to fill one place.
    hasher: RandomState,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: HashMap<u64, Failures>,
    /// Pairs of account and address that have signed in.
    known: HashMap<u64, Instant>,
}

impl Throttle {
    /// Counts a try at `account` from `address` as failed until [`succeeded`](Self::succeeded)
    /// says otherwise, so that tries at the same time count as well; or tells how long to wait.
    ///
    /// # Errors
    /// The time until the next try is taken.
    pub fn begin(&self, account: &str, address: IpAddr) -> Result<(), Duration> {
        self.begin_at(account, address, Instant::now())
    }

    fn begin_at(&self, account: &str, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = self.limits(&state, account, address);
        let wait = limits.iter().filter_map(|(key, limit)| {
            let failures = state.failures.get(key).filter(|f| now - f.last < MEMORY)?;
            (failures.last + failures.wait(*limit)?).checked_duration_since(now)
        });
        if let Some(wait) = wait.max().filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        make_room(&mut state.failures, |failures| failures.last, now);
        for (key, _) in limits {
            let failures = state.failures.entry(key).or_insert(Failures { count: 0, last: now });
            if now - failures.last >= MEMORY {
                failures.count = 0;
            }
            *failures = Failures { count: failures.count.saturating_add(1), last: now };
        }
        Ok(())
    }

    /// Takes back what [`begin`](Self::begin) counted: the account's failures are forgotten, the
    /// address's are one fewer, for whoever guesses must not clear them with an account of his
    /// own.
    pub fn succeeded(&self, account: &str, address: IpAddr) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let [(account_key, _), (address_key, _)] = self.limits(&state, account, address);
        state.failures.remove(&account_key);
        if let Some(failures) = state.failures.get_mut(&address_key) {
            failures.count = failures.count.saturating_sub(1);
        }
        let now = Instant::now();
        make_room(&mut state.known, |last| *last, now);
        state.known.insert(self.pair(account, address), now);
    }

    fn pair(&self, account: &str, address: IpAddr) -> u64 {
        self.key(("pair", account, network(address)))
    }

    fn key(&self, of: impl Hash) -> u64 {
        self.hasher.hash_one(of)
    }

    fn limits(&self, state: &State, account: &str, address: IpAddr) -> [(u64, Limit); 2] {
        let pair = self.pair(account, address);
        let account = match state.known.contains_key(&pair) {
            true => pair,
            false => self.key(("account", account)),
        };
        [(account, ACCOUNT), (self.key(("address", network(address))), ADDRESS)]
    }
}

/// Forgets the older half when the map is full.
fn make_room<T>(map: &mut HashMap<u64, T>, last: impl Fn(&T) -> Instant, now: Instant) {
    if map.len() < CAPACITY {
        return;
    }
    map.retain(|_, entry| now - last(entry) < MEMORY);
    if map.len() >= CAPACITY {
        let mut times: Vec<_> = map.values().map(&last).collect();
        let (_, median, _) = times.select_nth_unstable(CAPACITY / 2);
        let median = *median;
        map.retain(|_, entry| last(entry) > median);
    }
}

/// Who an address stands for: all of an IPv6 /64 is usually one household.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn guessing_at_one_account_is_slowed_from_any_address() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let taken = (0..50).filter(|i| throttle.begin_at("gkf", address(*i), now).is_ok()).count();
        assert_eq!(taken, 5);
        assert!(throttle.begin_at("other", address(99), now).is_ok());
    }

    #[test]
    fn one_address_trying_many_accounts_is_slowed() {
        let throttle = Throttle::default();
        let now = Instant::now();
        let tries = (0..99).map(|i| throttle.begin_at(&format!("user{i}"), address(1), now));
        assert_eq!(tries.filter(Result::is_ok).count(), 30);
    }

    #[test]
    fn waits_grow_and_stay_bounded() {
        let throttle = Throttle::default();
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for i in 0..20 {
            if let Err(wait) = throttle.begin_at("gkf", address(i), now) {
                waits.push(wait.as_secs());
                now += wait;
                assert!(throttle.begin_at("gkf", address(i), now).is_ok());
            }
        }
        assert_eq!(waits[..7], [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn the_owners_usual_address_is_not_kept_out_by_others() {
        let throttle = Throttle::default();
        throttle.succeeded("gkf", address(1));
        let now = Instant::now();
        for i in 2..30 {
            let _ = throttle.begin_at("gkf", address(i), now);
        }
        assert!(throttle.begin_at("gkf", address(1), now).is_ok());
        assert!(throttle.begin_at("gkf", address(40), now).is_err());
    }

    #[test]
    fn success_forgets_the_accounts_failures_but_not_the_addresses() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for i in 0..25 {
            throttle.begin_at(&format!("victim{i}"), address(1), now).unwrap();
        }
        throttle.begin_at("own", address(1), now).unwrap();
        throttle.succeeded("own", address(1));
        let left = (0..50).map(|i| throttle.begin_at(&format!("next{i}"), address(1), now));
        assert_eq!(left.filter(Result::is_ok).count(), 5);
    }

    #[test]
    fn a_try_that_began_before_another_was_counted_waits_for_nothing() {
        let throttle = Throttle::default();
        let now = Instant::now();
        throttle.begin_at("one", address(1), now + Duration::from_millis(1)).unwrap();
        assert_eq!(throttle.begin_at("other", address(1), now), Ok(()));
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let two: IpAddr = "2001:db8::ffff:2".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(network(one), network(two));
        assert_eq!(network(mapped), address(1));
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for i in 0..200_000_u32 {
            let spread = IpAddr::from((u128::from(i) << 64).to_be_bytes());
            let _ =
                throttle.begin_at(&i.to_string(), spread, now + Duration::from_micros(i.into()));
        }
        assert!(throttle.state.lock().unwrap().failures.len() <= CAPACITY + 2);
    }
}
