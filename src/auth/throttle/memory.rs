//! The counters in memory, of one process.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rocket::tokio::sync::Notify;

use super::kept::{Change, Kept};
use super::{ACCOUNT, ADDRESS, CAPACITY, Keys, Limit, MEMORY, Outcome, PATIENCE, Verdict};
use crate::sqlite::{Database, Error};

#[derive(Clone, Copy, Debug)]
struct Tries {
    /// Failed in a row.
    failed: u32,
    /// Being checked now.
    pending: u32,
    /// The last failure.
    last: Instant,
}

impl Tries {
    fn new(now: Instant) -> Self {
        Self { failed: 0, pending: 0, last: now }
    }

    /// How long until the next try: nothing at first, then 1, 2, 4 … seconds after each failure.
    fn wait(self, limit: Limit, now: Instant) -> Option<Duration> {
        let over = self.failed.checked_sub(limit.free)?;
        let wait = Duration::from_secs(1 << over.min(16)).min(limit.longest);
        (self.last + wait).checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// Whether one more could fail without too many having been let through at once.
    fn has_room(self, limit: Limit) -> bool {
        self.pending == 0 || self.failed + self.pending < limit.free
    }
}

/// The counters: some 40 bytes for each account and each address.
#[derive(Debug, Default)]
pub struct Memory {
    state: Mutex<State>,
    settled: Notify,
    /// For the next start, where there is a file.
    kept: Option<Kept>,
}

#[derive(Debug, Default)]
struct State {
    /// By the first 64 bits of a hash: enough that nobody finds another name or network with the
    /// same.
    tries: HashMap<i64, Tries>,
    /// Pairs of account and address that have signed in.
    known: HashMap<i64, Instant>,
}

/// A try that is being checked. It counts as failed unless something else is said.
#[derive(Debug)]
pub struct Attempt<'t> {
    throttle: &'t Memory,
    keys: Keys<i64>,
    outcome: Outcome,
}

fn short(keys: &Keys<Vec<u8>>) -> Keys<i64> {
    let short = |hash: &[u8]| i64::from_be_bytes(hash.first_chunk().copied().unwrap_or_default());
    Keys { account: short(&keys.account), pair: short(&keys.pair), address: short(&keys.address) }
}

impl Memory {
    /// The counters that go on from what the file says, and are kept there.
    pub fn kept_in(file: &Arc<Database>) -> Self {
        let kept = Kept::new(file);
        let now = Instant::now();
        // One may come from before the machine was started.
        let at = |age: Duration| now.checked_sub(age).unwrap_or(now);
        let mut state = State::default();
        match kept.load() {
            Ok(found) => {
                for (key, failed, age) in found.tries {
                    state.tries.insert(key, Tries { failed, pending: 0, last: at(age) });
                }
                state.known.extend(found.known.into_iter().map(|(key, age)| (key, at(age))));
            }
            Err(error) => log::warn!("failed sign-ins are counted from 0: {error}"),
        }
        Self { state: Mutex::new(state), settled: Notify::new(), kept: Some(kept) }
    }

    /// Removes from the file what is too old to count.
    pub async fn sweep(&self) -> Result<(), Error> {
        match &self.kept {
            Some(kept) => kept.sweep().await,
            None => Ok(()),
        }
    }

    /// Begins a try, perhaps after standing in line.
    pub async fn begin(&self, account: &str, address: IpAddr) -> Result<Attempt<'_>, Duration> {
        let deadline = rocket::tokio::time::Instant::now() + PATIENCE;
        loop {
            let settled = self.settled.notified();
            rocket::tokio::pin!(settled);
            settled.as_mut().enable();
            match self.try_begin(account, address, Instant::now()) {
                Verdict::Begun(attempt) => return Ok(attempt),
                Verdict::Later(wait) => return Err(wait),
                Verdict::Full => {}
            }
            if rocket::tokio::time::timeout_at(deadline, settled).await.is_err() {
                return Err(Duration::from_secs(1));
            }
        }
    }

    fn try_begin(&self, account: &str, address: IpAddr, now: Instant) -> Verdict<Attempt<'_>> {
        let mut state = self.state();
        let mut keys = short(&Keys::of(account, address));
        // Where somebody has signed in to the account before, others' failures do not count.
        if state.known.contains_key(&keys.pair) {
            keys.account = keys.pair;
        }
        let limits = [(keys.account, ACCOUNT), (keys.address, ADDRESS)];
        let tries = limits.map(|(key, limit)| {
            let mut tries = state.tries.get(&key).copied().unwrap_or(Tries::new(now));
            if now.saturating_duration_since(tries.last) >= MEMORY {
                tries.failed = 0;
            }
            (key, limit, tries)
        });
        if let Some(wait) = tries.iter().filter_map(|(_, limit, t)| t.wait(*limit, now)).max() {
            return Verdict::Later(wait);
        }
        if !tries.iter().all(|(_, limit, tries)| tries.has_room(*limit)) {
            return Verdict::Full;
        }
        // Only now is anything remembered: a try that is refused costs nothing, and must not push
        // out what others have earned.
        make_room(&mut state.tries, |tries| (tries.pending > 0, tries.last), now);
        for (key, _, tries) in tries {
            state.tries.insert(key, Tries { pending: tries.pending + 1, ..tries });
        }
        Verdict::Begun(Attempt { throttle: self, keys, outcome: Outcome::Failed })
    }

    fn settle(&self, attempt: &Attempt<'_>, now: Instant) {
        let mut state = self.state();
        let keys = &attempt.keys;
        let mut changes = Vec::new();
        for key in [keys.account, keys.address] {
            if let Some(tries) = state.tries.get_mut(&key) {
                tries.pending = tries.pending.saturating_sub(1);
                if attempt.outcome == Outcome::Failed {
                    tries.failed = tries.failed.saturating_add(1);
                    tries.last = now;
                    changes.push((key, Change::Failed(tries.failed)));
                }
            }
        }
        if attempt.outcome == Outcome::Succeeded {
            // The address's failures stay: whoever guesses must not clear them with an account
            // of his own.
            if let Some(tries) = state.tries.get_mut(&keys.account)
                && tries.failed > 0
            {
                tries.failed = 0;
                changes.push((keys.account, Change::Forgiven));
            }
            make_room(&mut state.known, |last| (false, *last), now);
            state.known.insert(keys.pair, now);
            changes.push((keys.pair, Change::Known));
        }
        for key in [keys.account, keys.address] {
            if state.tries.get(&key).is_some_and(|tries| tries.failed + tries.pending == 0) {
                state.tries.remove(&key);
            }
        }
        drop(state);
        if let Some(kept) = &self.kept {
            kept.write(changes);
        }
        self.settled.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// Says how it ended.
    pub fn settle(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.throttle.settle(self, Instant::now());
    }
}

/// Forgets the older half when the map is full, except what is in use.
fn make_room<T>(
    map: &mut HashMap<i64, T>,
    use_and_time: impl Fn(&T) -> (bool, Instant),
    now: Instant,
) {
    if map.len() < CAPACITY {
        return;
    }
    let recent = |entry: &T, since: Instant| {
        let (in_use, last) = use_and_time(entry);
        in_use || last > since
    };
    if let Some(since) = now.checked_sub(MEMORY) {
        map.retain(|_, entry| recent(entry, since));
    }
    if map.len() >= CAPACITY {
        let mut times: Vec<_> = map.values().map(|entry| use_and_time(entry).1).collect();
        let (_, median, _) = times.select_nth_unstable(CAPACITY / 2);
        let median = *median;
        map.retain(|_, entry| recent(entry, median));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    /// A try that fails, if it is taken.
    fn guess(throttle: &Memory, account: &str, from: IpAddr, now: Instant) -> Result<(), Duration> {
        match throttle.try_begin(account, from, now) {
            Verdict::Begun(attempt) => {
                throttle.settle(&attempt, now);
                std::mem::forget(attempt);
                Ok(())
            }
            Verdict::Later(wait) => Err(wait),
            Verdict::Full => panic!("nothing else is being checked"),
        }
    }

    fn sign_in(throttle: &Memory, account: &str, from: IpAddr, now: Instant) {
        match throttle.try_begin(account, from, now) {
            Verdict::Begun(attempt) => attempt.settle(Outcome::Succeeded),
            _ => panic!("not let in"),
        }
    }

    #[test]
    fn guessing_at_one_account_is_slowed_from_any_address() {
        let throttle = Memory::default();
        let now = Instant::now();
        let taken = (0..50).filter(|i| guess(&throttle, "gkf", address(*i), now).is_ok()).count();
        assert_eq!(taken, 5);
        assert!(guess(&throttle, "other", address(99), now).is_ok());
    }

    #[test]
    fn one_address_trying_many_accounts_is_slowed() {
        let throttle = Memory::default();
        let now = Instant::now();
        let tries = (0..99).map(|i| guess(&throttle, &format!("user{i}"), address(1), now));
        assert_eq!(tries.filter(Result::is_ok).count(), 30);
    }

    #[test]
    fn waits_grow_and_stay_bounded() {
        let throttle = Memory::default();
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for i in 0..20 {
            if let Err(wait) = guess(&throttle, "gkf", address(i), now) {
                waits.push(wait.as_secs());
                now += wait;
                assert!(guess(&throttle, "gkf", address(i), now).is_ok());
            }
        }
        assert_eq!(waits[..7], [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn the_owners_usual_address_is_not_kept_out_by_others() {
        let throttle = Memory::default();
        let now = Instant::now();
        sign_in(&throttle, "gkf", address(1), now);
        for i in 2..30 {
            let _ = guess(&throttle, "gkf", address(i), now);
        }
        assert!(guess(&throttle, "gkf", address(1), now).is_ok());
        assert!(guess(&throttle, "gkf", address(40), now).is_err());
    }

    #[test]
    fn success_forgets_the_accounts_failures_but_not_the_addresses() {
        let throttle = Memory::default();
        let now = Instant::now();
        for i in 0..25 {
            guess(&throttle, &format!("victim{i}"), address(1), now).unwrap();
        }
        sign_in(&throttle, "own", address(1), now);
        let left = (0..50).map(|i| guess(&throttle, &format!("next{i}"), address(1), now));
        assert_eq!(left.filter(Result::is_ok).count(), 5);
    }

    #[test]
    fn what_could_not_be_checked_is_nobodys_failure() {
        let throttle = Memory::default();
        let now = Instant::now();
        for _ in 0..50 {
            match throttle.try_begin("gkf", address(1), now) {
                Verdict::Begun(attempt) => attempt.settle(Outcome::Void),
                _ => panic!("not let in"),
            }
        }
    }

    #[rocket::async_test]
    async fn many_who_know_the_password_all_get_in_and_guesses_at_once_do_not() {
        let throttle = Memory::default();
        let right = (0..100).map(|_| async {
            let attempt = throttle.begin("gkf", address(1)).await.unwrap();
            rocket::tokio::task::yield_now().await;
            attempt.settle(Outcome::Succeeded);
        });
        rocket::futures::future::join_all(right).await;
        let wrong = (0..100).map(|_| async {
            let attempt = throttle.begin("other", address(2)).await;
            rocket::tokio::task::yield_now().await;
            attempt.is_ok()
        });
        let taken = rocket::futures::future::join_all(wrong).await;
        assert_eq!(taken.into_iter().filter(|taken| *taken).count(), 5);
    }

    #[test]
    fn refused_tries_push_nothing_out() {
        let throttle = Memory::default();
        let now = Instant::now();
        for i in 0..5 {
            guess(&throttle, "gkf", address(i), now).unwrap();
        }
        let mut taken = 0;
        for i in 0..120_000_u32 {
            let later = now + Duration::from_micros(i.into());
            taken +=
                u32::from(guess(&throttle, &format!("made up {i}"), address(9), later).is_ok());
        }
        assert_eq!((taken, throttle.state().tries.len()), (30, 32 + 5));
        assert!(guess(&throttle, "gkf", address(50), now).is_err(), "still slowed");
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Memory::default();
        let now = Instant::now();
        for i in 0..200_000_u32 {
            let spread = IpAddr::from((u128::from(i) << 64).to_be_bytes());
            let _ = guess(&throttle, &i.to_string(), spread, now + Duration::from_micros(i.into()));
        }
        assert!(throttle.state().tries.len() <= CAPACITY + 2);
    }
}
