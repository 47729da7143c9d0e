//! Password hashing with Argon2id: 19 MiB, two passes, as OWASP's Password Storage cheat sheet
//! recommends and as the argon2 crate does by default.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt};
use argon2::{Algorithm, Params, Version};
use rand::TryRng;
use rand::rngs::SysRng;
use rocket::tokio::sync::{Semaphore, oneshot};

use super::argon2id::compute;
use super::work::{Work, spend};

/// More waiting sign-ins than this for each processor, some seconds' work, are answered with 503 at
/// once.
const MAX_WAITING: usize = 128;

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
    let failed = |error: &dyn std::fmt::Display| Error::Hash(error.to_string());
    let mut salt = [0; 16];
    SysRng.try_fill_bytes(&mut salt).map_err(|error| failed(&error))?;
    let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
    let kind = (Algorithm::Argon2id, Version::V0x13, Params::default());
    compute(kind, password.as_bytes(), &salt, &mut out).map_err(|error| failed(&error))?;
    let hash = Phc {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&Params::default()).map_err(|error| failed(&error))?,
        salt: Some(Salt::new(&salt).map_err(|error| failed(&error))?),
        hash: Some(Output::new(&out).map_err(|error| failed(&error))?),
    };
    Ok(PasswordHash(hash.to_string()))
}

/// Checks a password on the calling thread.
fn verify(password: &str, stored: &str) -> Result<Verdict, Error> {
    let Some((parsed, kind)) = parse(stored) else {
        log::error!("an account's password hash is unreadable; set a new password");
        return Ok(Verdict::Wrong);
    };
    let (Some(salt), Some(expected)) = (parsed.salt, parsed.hash) else {
        return Ok(Verdict::Wrong);
    };
    let mut out = vec![0; expected.len()];
    match compute(kind, password.as_bytes(), &salt, &mut out) {
        // This says nothing of the password.
        Err(error @ argon2::Error::OutOfMemory) => return Err(Error::Hash(error.to_string())),
        Err(_) => return Ok(Verdict::Wrong),
        Ok(()) => {}
    }
    // Compared in constant time.
    Ok(match Output::new(&out) == Ok(expected) {
        false => Verdict::Wrong,
        true if same_parameters(stored) => Verdict::Right,
        true => Verdict::RightButOld,
    })
}

/// A stored hash, and what to compute to compare with it.
fn parse(stored: &str) -> Option<(Phc, (Algorithm, Version, Params))> {
    let parsed = Phc::new(stored).ok()?;
    let algorithm = Algorithm::try_from(parsed.algorithm.as_str()).ok()?;
    let version = parsed.version.map_or(Ok(Version::default()), Version::try_from).ok()?;
    let params = Params::try_from(&parsed).ok()?;
    Some((parsed, (algorithm, version, params)))
}

/// Whether algorithm, version and parameters, which stand before the salt, are today's.
fn same_parameters(stored: &str) -> bool {
    let params = Params::default();
    let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    stored.starts_with(&format!("$argon2id$v=19$m={memory},t={passes},p={lanes}$"))
}

/// Checks passwords, as many at once as there are processors, each on a thread of its own,
/// which keeps the memory for the next one.
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
            waiting: Arc::new(Semaphore::new(processors * (1 + MAX_WAITING))),
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
    /// [`Error::Overloaded`] when too many sign-ins wait, [`Error::Hash`] when there is no memory.
    pub async fn check(&self, password: String, stored: Option<String>) -> Result<Verdict, Error> {
        let work = Arc::clone(&self.work);
        self.run(move || {
            let verdict = match &stored {
                Some(stored) => {
                    work.expect(stored);
                    verify(&password, stored)?
                }
                None => Verdict::Wrong,
            };
            if let Some(rest) = work.remaining(stored.as_deref()) {
                spend(&password, rest)?;
            }
            Ok(verdict)
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
            assert_eq!(verify(password, stored.as_str()), Ok(Verdict::Right));
            for other in [&format!("{password} "), &format!("{password}\0"), "pass", &long[..72]] {
                assert_eq!(verify(other, stored.as_str()), Ok(Verdict::Wrong), "{other:?}");
            }
        }
    }

    #[test]
    fn a_weaker_hash_is_recognised_and_a_broken_one_is_wrong() {
        use argon2::password_hash::PasswordHasher;
        let params = Params::new(8, 1, 1, None).unwrap();
        let weak = argon2::Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let stored: Phc = weak.hash_password(b"123").unwrap();
        assert_eq!(verify("123", &stored.to_string()), Ok(Verdict::RightButOld));
        for broken in
            ["", "123", "$argon2id$", "$argon2id$v=19$m=4294967295,t=9,p=1$YWFh$YWFh", "ü"]
        {
            assert_eq!(verify("123", broken), Ok(Verdict::Wrong), "{broken}");
        }
    }
}
