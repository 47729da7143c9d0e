//! How much work checking a password is, so that it is the same for every name: whether there is
//! such an account, and however strong the hash is that it has from earlier days.
//!
//! Work is counted in KiB filled, which is what Argon2 takes its time for: its memory times its
//! passes.

use std::sync::atomic::{AtomicU32, Ordering};

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::{Argon2, Params};

/// What one of today's hashes takes.
const TODAY: u32 = Params::DEFAULT_M_COST * Params::DEFAULT_T_COST;

/// More than this is not made up for: one hash too strong must not slow every sign-in down.
const MOST: u32 = 8 * TODAY;

/// The work of the costliest hash there is, as far as it is known.
#[derive(Debug)]
pub struct Work(AtomicU32);

impl Default for Work {
    fn default() -> Self {
        Self(AtomicU32::new(TODAY))
    }
}

impl Work {
    /// Learns that there is such a hash. What stands behind the parameters may be missing.
    pub fn expect(&self, stored: &str) {
        self.0.fetch_max(of(stored).min(MOST), Ordering::Relaxed);
    }

    /// What remains to be done for a name after its own hash was checked, or after none was.
    pub fn remaining(&self, stored: Option<&str>) -> Option<Params> {
        // What cannot be read was not worked at.
        let done = stored.filter(|stored| Phc::new(stored).is_ok()).map_or(0, of);
        let rest = self.0.load(Ordering::Relaxed).saturating_sub(done);
        // With today's memory, in as many passes as it takes.
        let passes = (rest / Params::DEFAULT_M_COST).max(1);
        // What is less shows no more than the weather does.
        (rest > TODAY / 20).then(|| Params::new(rest / passes, passes, 1, None).ok()).flatten()
    }
}

/// Does it, for nothing.
pub fn spend(password: &str, params: Params) {
    let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    // Nothing depends on the result, and without memory there is none to spend.
    let _ = argon2.hash_password_into(password.as_bytes(), &[0; 16], &mut [0; 32]);
}

/// The work of a hash with these parameters; none for what is not Argon2's.
fn of(stored: &str) -> u32 {
    let number = |name: &str| {
        let (_, rest) = stored.split_once(name)?;
        rest.split([',', '$']).next()?.parse::<u32>().ok()
    };
    match (number("m="), number("t=")) {
        (Some(memory), Some(passes)) if stored.starts_with("$argon2") => {
            memory.saturating_mul(passes)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: &str = "$YWFhYWFhYWFhYWFhYWFhYQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    /// What is done for a name in all.
    fn total(work: &Work, stored: Option<&str>) -> u32 {
        let rest = work.remaining(stored).map_or(0, |params| params.m_cost() * params.t_cost());
        rest + stored.filter(|stored| Phc::new(stored).is_ok()).map_or(0, of)
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
            let there = |stored: &&String| of(stored) <= unknown;
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
        assert!(total(&work, None) <= MOST);
        assert!(work.remaining(None).unwrap().m_cost() < 2 * Params::DEFAULT_M_COST);
    }
}
