//! Password hashing with Argon2id: 19 MiB, two passes, as OWASP's Password Storage cheat sheet
//! recommends and as the argon2 crate does by default.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{Error as PhcError, PasswordHasher, PasswordVerifier};
use rocket::tokio::sync::{Semaphore, oneshot};

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
fn verify(password: &str, stored: &str) -> Result<Verdict, Error> {
    let Ok(parsed) = Phc::new(stored) else {
        log::error!("an account's password hash is unreadable; set a new password");
        return Ok(Verdict::Wrong);
    };
    match Argon2::default().verify_password(password.as_bytes(), &parsed) {
        Ok(()) if same_parameters(stored, &DUMMY) => Ok(Verdict::Right),
        Ok(()) => Ok(Verdict::RightButOld),
        // This says nothing of the password.
        Err(error @ PhcError::OutOfMemory) => Err(Error::Hash(error.to_string())),
        Err(_) => Ok(Verdict::Wrong),
    }
}

/// Compares algorithm, version and parameters: what stands before the salt.
fn same_parameters(a: &str, b: &str) -> bool {
    let parameters = |hash: &str| hash.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
    parameters(a) == parameters(b)
}

/// A hash that no password is checked against but that takes as long as one.
static DUMMY: LazyLock<String> = LazyLock::new(|| {
    let random = crate::session::SessionId::generate(32).map(|id| format!("{id:?}"));
    let password = random.unwrap_or_default();
    hash(&password).map(|hash| hash.0).unwrap_or_else(|_| "$argon2id$v=19$m=19456,t=2,p=1$".into())
});

/// Checks passwords, as many at once as there are processors.
#[derive(Clone, Debug)]
pub struct Passwords {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    workers: Sender<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

/// Threads for the work, until nobody can send any more. They are few: of the runtime's many each
/// would keep the memory of a hash, which the C library does not give back.
fn workers(count: usize) -> Sender<Job> {
    let (workers, jobs) = mpsc::channel::<Job>();
    let jobs = Arc::new(Mutex::new(jobs));
    for _ in 0..count {
        let jobs = Arc::clone(&jobs);
        let next = move || jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        std::thread::spawn(move || {
            while let Ok(job) = next() {
                // Whoever waits for one that panics hears that it is gone.
                let _ = catch_unwind(AssertUnwindSafe(job));
            }
        });
    }
    workers
}

impl Default for Passwords {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        // Made beside the start, which need not wait for it.
        std::thread::spawn(|| LazyLock::force(&DUMMY).len());
        Self {
            running: Arc::new(Semaphore::new(processors)),
            waiting: Arc::new(Semaphore::new(processors + MAX_WAITING)),
            workers: workers(processors),
        }
    }
}

impl Passwords {
    /// Checks `password` against `stored`; against nothing, in the same time, when there is no
    /// such account.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when too many sign-ins wait, [`Error::Hash`] when there is no memory.
    pub async fn check(&self, password: String, stored: Option<String>) -> Result<Verdict, Error> {
        self.run(move || match stored {
            Some(stored) => verify(&password, &stored),
            None => verify(&password, &DUMMY).map(|_| Verdict::Wrong),
        })
        .await?
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
        let _waiting = self.waiting.try_acquire().map_err(|_| Error::Overloaded)?;
        let running = Arc::clone(&self.running).acquire_owned().await;
        let (reply, answer) = oneshot::channel();
        let job = Box::new(move || {
            // Held by the work itself: a request that goes away must not let another begin.
            let _running = running;
            // The request may have gone away.
            let _ = reply.send(work());
        });
        let gone = || Error::Hash("the work was interrupted".into());
        self.workers.send(job).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
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
            assert_eq!(verify(password, stored.as_str()), Ok(Verdict::Right));
            for other in [&format!("{password} "), &format!("{password}\0"), "pass", &long[..72]] {
                assert_eq!(verify(other, stored.as_str()), Ok(Verdict::Wrong), "{other:?}");
            }
        }
    }

    #[test]
    fn a_weaker_hash_is_recognised_and_a_broken_one_is_wrong() {
        let params = argon2::Params::new(8, 1, 1, None).unwrap();
        let weak = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let stored: Phc = weak.hash_password(b"123").unwrap();
        assert_eq!(verify("123", &stored.to_string()), Ok(Verdict::RightButOld));
        for broken in
            ["", "123", "$argon2id$", "$argon2id$v=19$m=4294967295,t=9,p=1$YWFh$YWFh", "ü"]
        {
            assert_eq!(verify("123", broken), Ok(Verdict::Wrong), "{broken}");
        }
    }
}
