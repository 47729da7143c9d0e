//! Clients that sign in, list, look at a record and sign out, and note what they are told.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::{Answer, Browser, PASSWORD, wait_for};

pub const CLIENTS: usize = 8;

/// The account of a client.
pub fn name(client: usize) -> String {
    format!("client{client}")
}

/// What a client knows of a session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Live,
    Dead,
    /// Its end was asked for and not acknowledged: either is right.
    Asked,
}

/// What the clients were told, each entry after the whole answer was read.
#[derive(Default)]
pub struct Ledger {
    sessions: HashMap<String, State>,
    pub signed_in: usize,
    pub signed_out: usize,
    /// How often each status came.
    pub answers: BTreeMap<u16, usize>,
    /// Requests without an answer.
    pub broken: BTreeMap<String, usize>,
    /// What must never be, in words.
    pub wrong: Vec<String>,
    /// How long each answer took.
    spent: Vec<Duration>,
    frozen: bool,
}

/// What became of the acknowledged sessions.
#[derive(Debug, Default)]
pub struct Found {
    pub lost: usize,
    pub revived: usize,
}

impl Ledger {
    /// Nothing counts as acknowledged from now on.
    pub fn freeze(&mut self) {
        self.frozen = true;
    }

    pub fn acknowledged(&self) -> usize {
        self.signed_in + self.signed_out
    }

    pub fn count(&self, status: u16) -> usize {
        self.answers.get(&status).copied().unwrap_or(0)
    }

    pub fn slowest(&self) -> Duration {
        self.spent.iter().max().copied().unwrap_or_default()
    }

    /// What 99 of 100 answers took at most.
    pub fn p99(&self) -> Duration {
        let mut spent = self.spent.clone();
        spent.sort();
        spent.get(spent.len() * 99 / 100).copied().unwrap_or_default()
    }

    /// The cookies of acknowledged sessions, and of those whose end was.
    pub fn cookies(&self) -> (Vec<String>, Vec<String>) {
        let of = |wanted| {
            let found = self.sessions.iter().filter(|(_, state)| **state == wanted);
            found.map(|(cookie, _)| cookie.clone()).collect()
        };
        (of(State::Live), of(State::Dead))
    }

    /// Comes back with every cookie.
    pub fn replay(&self, port: u16) -> Found {
        assert!(self.wrong.is_empty(), "{:?}", self.wrong);
        let (live, dead) = self.cookies();
        let alive = |cookies: &[String]| {
            let part = cookies.len().div_ceil(CLIENTS).max(1);
            std::thread::scope(|scope| {
                let parts: Vec<_> = cookies
                    .chunks(part)
                    .map(|cookies| {
                        scope.spawn(move || {
                            let browser = Browser::new(port);
                            let is_alive = |cookie: &&String| {
                                browser.cookie.replace(Some((*cookie).clone()));
                                browser.is_signed_in()
                            };
                            cookies.iter().filter(is_alive).count()
                        })
                    })
                    .collect();
                parts.into_iter().map(|part| part.join().unwrap()).sum::<usize>()
            })
        };
        Found { lost: live.len() - alive(&live), revived: alive(&dead) }
    }
}

/// The clients at work.
pub struct Load {
    ports: Arc<Vec<AtomicU16>>,
    stop: Arc<AtomicBool>,
    ledger: Arc<Mutex<Ledger>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// On one server.
    pub fn on(port: u16) -> Self {
        Self::over(&[port], CLIENTS)
    }

    /// On several, each client turning to the next when one is gone.
    pub fn over(ports: &[u16], clients: usize) -> Self {
        let ports: Arc<Vec<_>> = Arc::new(ports.iter().map(|port| AtomicU16::new(*port)).collect());
        let (stop, ledger) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let clients = (0..clients)
            .map(|number| {
                let client = Client {
                    name: name(number % CLIENTS),
                    ports: Arc::clone(&ports),
                    at: AtomicUsize::new(number),
                    stop: Arc::clone(&stop),
                    ledger: Arc::clone(&ledger),
                };
                std::thread::spawn(move || client.work())
            })
            .collect();
        Self { ports, stop, ledger, clients }
    }

    /// Waits until the clients are well at work, on a slow machine too.
    pub fn under_way(self) -> Self {
        wait_for("the clients", || self.peek(|ledger| (ledger.acknowledged() >= 4).then_some(())));
        self
    }

    /// A server listens elsewhere now.
    pub fn moved(&self, server: usize, port: u16) {
        self.ports[server].store(port, Ordering::SeqCst);
    }

    pub fn peek<T>(&self, look: impl FnOnce(&mut Ledger) -> T) -> T {
        look(&mut self.ledger.lock().unwrap())
    }

    /// Lets the clients finish what they do, and gives what they know.
    pub fn stop(mut self) -> Ledger {
        self.end()
    }

    fn end(&mut self) -> Ledger {
        self.stop.store(true, Ordering::SeqCst);
        self.clients.drain(..).for_each(|client| client.join().unwrap());
        std::mem::take(&mut *self.ledger.lock().unwrap())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients.drain(..) {
            let _ = client.join();
        }
    }
}

struct Client {
    name: String,
    ports: Arc<Vec<AtomicU16>>,
    at: AtomicUsize,
    stop: Arc<AtomicBool>,
    ledger: Arc<Mutex<Ledger>>,
}

impl Client {
    fn work(&self) {
        for turn in 0.. {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let at = self.at.load(Ordering::SeqCst) % self.ports.len();
            let browser = Browser::new(self.ports[at].load(Ordering::SeqCst));
            if self.turn(&browser, turn).is_none() {
                self.at.store(at + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// `None` when the server is gone or fails.
    fn turn(&self, browser: &Browser, turn: usize) -> Option<()> {
        let cookie = self.sign_in(browser, None)?;
        self.look(browser, "/brief_introduction", 200)?;
        self.look(browser, "/detailed?id=1", 200)?;
        match turn % 4 {
            0 => {}
            1 => {
                self.sign_in(browser, Some(&cookie))?;
            }
            _ => {
                self.set(&cookie, State::Asked, true);
                let answer = self.ask(|| browser.try_post("/logout", &[]))?;
                if answer.status != 303 {
                    return self.refused("/logout", &answer);
                }
                self.set(&cookie, State::Dead, false);
                browser.cookie.replace(Some(cookie));
                self.look(browser, "/brief_introduction", 303)?;
            }
        }
        Some(())
    }

    /// Signs in, on a new session in place of `old`.
    fn sign_in(&self, browser: &Browser, old: Option<&String>) -> Option<String> {
        if let Some(old) = old {
            self.set(old, State::Asked, true);
        }
        let form = [("username", &*self.name), ("password", PASSWORD)];
        let answer = self.ask(|| browser.try_post("/login", &form))?;
        if answer.status != 303 {
            self.refused("/login", &answer)?;
        }
        let cookie = browser.cookie.borrow().clone()?;
        if let Some(old) = old {
            self.set(old, State::Dead, false);
        }
        self.set(&cookie, State::Live, false);
        Some(cookie)
    }

    fn look(&self, browser: &Browser, path: &str, wanted: u16) -> Option<()> {
        let answer = self.ask(|| browser.try_get(path))?;
        match answer.status == wanted {
            true => Some(()),
            false => self.refused(path, &answer),
        }
    }

    /// 503 is right while something is at fault, without a cookie and with a time to come back.
    fn refused(&self, path: &str, answer: &Answer) -> Option<()> {
        let clean = answer.header("Set-Cookie").is_none() && answer.header("Retry-After").is_some();
        if answer.status != 503 || !clean {
            let words = format!(
                "{path}: {} {:?} {}",
                answer.status,
                answer.header("Set-Cookie"),
                answer.body
            );
            let mut ledger = self.ledger.lock().unwrap();
            // The first of them tell enough.
            if ledger.wrong.len() < 4 {
                ledger.wrong.push(words);
            }
        }
        None
    }

    fn ask(&self, ask: impl FnOnce() -> Result<Answer, ureq::Error>) -> Option<Answer> {
        let began = Instant::now();
        let answer = ask();
        let mut ledger = self.ledger.lock().unwrap();
        match answer {
            Ok(answer) => {
                ledger.spent.push(began.elapsed());
                *ledger.answers.entry(answer.status).or_default() += 1;
                Some(answer)
            }
            Err(error) => {
                let kind = match error {
                    ureq::Error::Io(error) => format!("{:?}", error.kind()),
                    other => other.to_string(),
                };
                *ledger.broken.entry(kind).or_default() += 1;
                None
            }
        }
    }

    /// Notes a session's state; what is `asked` counts even when answers do no more.
    fn set(&self, cookie: &str, state: State, asked: bool) {
        let mut ledger = self.ledger.lock().unwrap();
        if ledger.frozen && !asked {
            return;
        }
        match state {
            State::Live => ledger.signed_in += 1,
            State::Dead => ledger.signed_out += 1,
            State::Asked => {}
        }
        ledger.sessions.insert(cookie.to_owned(), state);
    }
}
