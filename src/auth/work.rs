//! How much work checking a password is, so that it is the same for every name: whether there is
//! such an account, and however strong the hash is that it has from earlier days.
//!
//! Work is counted in KiB filled, which is what Argon2 takes its time for: its memory times its
//! passes. The same work in more memory takes longer, so the memory is the costliest hash's too.

use std::sync::{Mutex, PoisonError};

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::{Algorithm, Params, Version};

use super::argon2id::compute;
use super::password::Error;

/// Memory in KiB, and how often it is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    memory: u32,
    passes: u32,
}

impl Cost {
    fn work(self) -> u32 {
        self.memory.saturating_mul(self.passes)
    }
}

/// What one of today's hashes takes.
const TODAY: Cost = Cost { memory: Params::DEFAULT_M_COST, passes: Params::DEFAULT_T_COST };

/// More than this is not made up for: one hash too strong must not slow every sign-in down.
const MOST_MEMORY: u32 = 4 * TODAY.memory;
const MOST_WORK: u32 = 8 * TODAY.memory * TODAY.passes;

/// The cost of the costliest hash there is, as far as it is known.
#[derive(Debug)]
pub struct Work(Mutex<Cost>);

impl Default for Work {
    fn default() -> Self {
        Self(Mutex::new(TODAY))
    }
}

impl Work {
    /// Learns that there is such a hash. What stands behind the parameters may be missing.
    pub fn expect(&self, stored: &str) {
        let Some(mut cost) = of(stored) else { return };
        cost.memory = cost.memory.clamp(1, MOST_MEMORY);
        cost.passes = cost.passes.min(MOST_WORK / cost.memory);
        let mut costliest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cost.work() > costliest.work() {
            *costliest = cost;
        }
    }

    /// What remains to be done for a name after its own hash was checked, or after none was.
    pub fn remaining(&self, stored: Option<&str>) -> Option<Params> {
        let costliest = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What cannot be read was not worked at.
        let done = stored.filter(|stored| Phc::new(stored).is_ok()).and_then(of);
        let rest = costliest.work().saturating_sub(done.map_or(0, Cost::work));
        let passes = rest.div_ceil(costliest.memory).max(1);
        // What is less shows no more than the weather does.
        let tells = rest > TODAY.work() / 20;
        tells.then(|| Params::new(rest / passes, passes, 1, None).ok()).flatten()
    }
}

/// Does it, for nothing.
///
/// # Errors
/// [`Error::Hash`] when there is no memory: an answer without the work would tell names apart.
pub fn spend(password: &str, params: Params) -> Result<(), Error> {
    let kind = (Algorithm::Argon2id, Version::V0x13, params);
    // Nothing depends on the result.
    let spent = compute(kind, password.as_bytes(), &[0; 16], &mut [0; 32]);
    spent.map_err(|error| Error::Hash(error.to_string()))
}

/// The cost of a hash with these parameters; none for what is not Argon2's.
fn of(stored: &str) -> Option<Cost> {
    let number = |name: &str| {
        let (_, rest) = stored.split_once(name)?;
        rest.split([',', '$']).next()?.parse::<u32>().ok()
    };
    let cost = Cost { memory: number("m=")?, passes: number("t=")? };
    stored.starts_with("$argon2").then_some(cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: &str = "$YWFhYWFhYWFhYWFhYWFhYQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    /// What is done for a name in all.
    fn total(work: &Work, stored: Option<&str>) -> u32 {
        let rest = work.remaining(stored).map_or(0, |params| params.m_cost() * params.t_cost());
        let done = stored.filter(|stored| Phc::new(stored).is_ok()).and_then(of);
        rest + done.map_or(0, Cost::work)
    }

    #[test]
    fn every_name_takes_the_work_of_the_costliest_hash() {
        let table: Vec<_> = ["m=19456,t=2,p=1", "m=4096,t=3,p=1", "m=8,t=1,p=1", "m=65536,t=3,p=4"]
            .map(|parameters| format!("$argon2id$v=19${parameters}{SALT}"))
            .into();
        for costliest in 0..table.len() {
            let work = Work::default();
            work.expect(&table[costliest]);
            let unknown = total(&work, None);
            assert_eq!(unknown > 65535 * 3 - 100, costliest == 3, "{unknown}");
            let there = |stored: &&String| of(stored).unwrap().work() <= unknown;
            for stored in table.iter().filter(there) {
                let ratio = f64::from(total(&work, Some(stored))) / f64::from(unknown);
                assert!((0.9..1.1).contains(&ratio), "{stored}: {ratio}");
            }
            for broken in ["", "x", "$argon2id$", "$2b$12$abc", "$argon2id$v=19$m=1,t=x,p=1$"] {
                assert_eq!(total(&work, Some(broken)), unknown, "{broken}");
            }
        }
    }

    #[test]
    fn one_hash_too_strong_does_not_set_the_measure_for_all() {
        let work = Work::default();
        work.expect("$argon2id$v=19$m=2097152,t=9,");
        assert!(total(&work, None) <= MOST_WORK);
        assert!(work.remaining(None).unwrap().m_cost() <= MOST_MEMORY);
    }
}
