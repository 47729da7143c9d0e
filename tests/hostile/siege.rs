//! A server under attack with somebody signed in, who must not notice.

use std::ops::Deref;

use super::support::{Answer, Browser, PASSWORD, USER};
use super::wire::{FORM, Wire, urlencoded};
use super::{Victim, wire};

/// Checks, when it is dropped, that whoever was signed in still is and that nothing broke.
pub(crate) struct Siege {
    victim: Victim,
    pub insider: Browser,
}

impl Siege {
    pub fn new() -> Self {
        Self::with("")
    }

    pub fn with(settings: &str) -> Self {
        let victim = Victim::with(settings);
        let insider = victim.server.signed_in();
        Self { victim, insider }
    }

    /// The insider's `session=…`.
    pub fn cookie(&self) -> String {
        self.insider.cookie.borrow().clone().unwrap()
    }

    pub fn id(&self) -> String {
        id_in(&self.cookie()).to_owned()
    }

    /// Sends a request as the insider.
    pub fn as_insider(&self, request: Wire) -> Answer {
        request.header("Cookie", self.cookie()).send(self.port())
    }

    /// The answer to a private page for the bytes of a `Cookie` header.
    pub fn with_cookie_bytes(&self, cookie: impl AsRef<[u8]>) -> Answer {
        Wire::get("/brief_introduction").header("Cookie", cookie).send(self.port())
    }

    /// A sign-in over a connection of its own.
    pub fn sign_in(&self, name: &str, password: &str) -> Answer {
        let form = urlencoded(&[("username", name), ("password", password)]);
        Wire::post("/login", FORM, form).send(self.port())
    }

    pub fn exchange(&self, bytes: &[u8]) -> Vec<Answer> {
        wire::exchange(self.port(), bytes)
    }

    pub fn add_account(&self, name: &str, password: &str) {
        let add = ["user", "add", name, "--password-stdin", "--allow-weak-password"];
        self.site.run_with_input(&add, password);
    }
}

impl Deref for Siege {
    type Target = Victim;

    fn deref(&self) -> &Victim {
        &self.victim
    }
}

impl Drop for Siege {
    fn drop(&mut self) {
        // A second panic would hide the first.
        if std::thread::panicking() {
            return;
        }
        assert!(self.insider.is_signed_in(), "the attack signed somebody out");
        let log = self.victim.server.log();
        assert!(!log.contains("panicked"), "{log}");
        assert!(!log.contains(" ERROR "), "{log}");
    }
}

/// The value of a `session=…` pair or of a whole `Set-Cookie` header.
pub fn id_in(cookie: &str) -> &str {
    cookie.split(';').next().unwrap().split_once('=').unwrap().1
}

/// The credentials that [`Victim`] knows.
pub fn right_pair() -> String {
    urlencoded(&[("username", USER), ("password", PASSWORD)])
}

/// Whether an answer shows what only those who are signed in may see.
pub fn is_private(answer: &Answer) -> bool {
    answer.body.contains("Iron Egg") || answer.body.contains("Steel Eggs")
}

/// What an answer does to the session's cookie, leaving out the one with which signing out makes
/// browsers forget their pages.
pub fn set_cookies(answer: &Answer) -> Vec<&str> {
    let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
    let values = cookies.map(|(_, value)| value.as_str());
    values.filter(|value| !value.starts_with("signed_out=")).collect()
}

/// Refused by whoever reads HTTP or by the application, and by nothing breaking.
pub fn is_refused(answer: &Answer) -> bool {
    (400..500).contains(&answer.status)
}
