//! Password hashing with Argon2id: 19 MiB, two passes, as OWASP's Password Storage cheat sheet
//! recommends and as the argon2 crate does by default.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params};
use rocket::tokio::sync::{Semaphore, oneshot};

use super::work::{Work, spend};

/// More waiting sign-ins than this are answered with 503 at once.
const MAX_WAITING: usize = 64;

/// A password's hash, salt and parameters in PHC form: the only form in which one is stored.
#[derive(Clone)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The `$argon2id$…` text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a password could not be hashed or checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Too many sign-ins wait already.
    #[error("too many sign-ins at once")]
    Overloaded,
    /// The hash function failed: no memory or no random bytes.
    #[error("password hashing failed: {0}")]
    Hash(String),
}

/// What checking a password found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the password, and the hash is of today's strength.
    Right,
    /// It is the password, but the hash should be made anew.
    RightButOld,
    /// It is not, or the stored hash is unreadable.
    Wrong,
}

/// Hashes a password with a new salt, on the calling thread: some 20 ms and 19 MiB.
///
/// # Errors
/// [`Error::Hash`].
pub fn hash(password: &str) -> Result<PasswordHash, Error> {
    let hash: Phc = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|error| Error::Hash(error.to_string()))?;
    Ok(PasswordHash(hash.to_string()))
}

/// Checks a password on the calling thread.
fn verify(password: &str, stored: &str) -> Verdict {
    let Ok(parsed) = Phc::new(stored) else {
        log::error!("an account's password hash is unreadable; set a new password");
        return Verdict::Wrong;
    };
    match Argon2::default().verify_password(password.as_bytes(), &parsed) {
        Ok(()) if same_parameters(stored) => Verdict::Right,
        Ok(()) => Verdict::RightButOld,
        Err(_) => Verdict::Wrong,
    }
}

/// Whether algorithm, version and parameters, which stand before the salt, are today's.
fn same_parameters(stored: &str) -> bool {
    let params = Params::default();
    let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    stored.starts_with(&format!("$argon2id$v=19$m={memory},t={passes},p={lanes}$"))
}

/// Checks passwords, as many at once as there are processors, each on a thread of its own: what a
/// thread has freed, it keeps for its next hash, so that no more threads may have to do with them.
#[derive(Clone, Debug)]
pub struct Passwords {
    jobs: Sender<Job>,
    waiting: Arc<Semaphore>,
    work: Arc<Work>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Default for Passwords {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..processors {
            let queue = Arc::clone(&queue);
            let thread = std::thread::Builder::new().name("passwords".into());
            if let Err(error) = thread.spawn(move || work_off(&queue)) {
                log::error!("a thread for passwords cannot be started: {error}");
            }
        }
        Self {
            jobs,
            waiting: Arc::new(Semaphore::new(processors + MAX_WAITING)),
            work: Arc::default(),
        }
    }
}

/// Until nobody can send any more.
fn work_off(queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A panic has been logged, and is told to who waits by the channel that it drops.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

impl Passwords {
    /// Learns with which parameters passwords are stored, so that none takes longer to check than
    /// another: beginnings of hashes will do.
    pub fn expect(&self, stored: &[String]) {
        stored.iter().for_each(|stored| self.work.expect(stored));
    }

    /// Checks `password` against `stored`; against nothing, in the same time, when there is no
    /// such account.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when too many sign-ins wait.
    pub async fn check(&self, password: String, stored: Option<String>) -> Result<Verdict, Error> {
        let work = Arc::clone(&self.work);
        self.run(move || {
            let verdict = stored.as_ref().map_or(Verdict::Wrong, |stored| {
                work.expect(stored);
                verify(&password, stored)
            });
            if let Some(rest) = work.remaining(stored.as_deref()) {
                spend(&password, rest);
            }
            verdict
        })
        .await
    }

    /// Hashes `password` anew.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when too many sign-ins wait.
    pub async fn hash(&self, password: String) -> Result<PasswordHash, Error> {
        self.run(move || hash(&password)).await?
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let waiting = Arc::clone(&self.waiting);
        let waiting = waiting.try_acquire_owned().map_err(|_| Error::Overloaded)?;
        let (answer, answered) = oneshot::channel();
        let job = move || {
            let _waiting = waiting;
            // Whoever has gone away needs no answer.
            if !answer.is_closed() {
                let _ = answer.send(work());
            }
        };
        self.jobs.send(Box::new(job)).map_err(|_| Error::Hash("there is no thread".into()))?;
        answered.await.map_err(|_| Error::Hash("it was not finished".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_password_is_right() {
        let long = format!("{}x", "a".repeat(72));
        for password in ["", "123", "pass\0word", "Grüße 😀", &long] {
            let stored = hash(password).unwrap();
            assert!(stored.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
            assert_eq!(verify(password, stored.as_str()), Verdict::Right);
            for other in [&format!("{password} "), &format!("{password}\0"), "pass", &long[..72]] {
                assert_eq!(verify(other, stored.as_str()), Verdict::Wrong, "{other:?}");
            }
        }
    }

    #[test]
    fn a_weaker_hash_is_recognised_and_a_broken_one_is_wrong() {
        let params = argon2::Params::new(8, 1, 1, None).unwrap();
        let weak = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let stored: Phc = weak.hash_password(b"123").unwrap();
        assert_eq!(verify("123", &stored.to_string()), Verdict::RightButOld);
        for broken in
            ["", "123", "$argon2id$", "$argon2id$v=19$m=4294967295,t=9,p=1$YWFh$YWFh", "ü"]
        {
            assert_eq!(verify("123", broken), Verdict::Wrong, "{broken}");
        }
    }
}
