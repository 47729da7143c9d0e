//! The check of a name and a password: throttled, in the same time whoever is asked for, and noted.

use std::convert::Infallible;

use rocket::Request;
use rocket::request::{FromRequest, Outcome};

use super::accounts::{Account, Accounts, name_key};
use super::audit::{Audit, Event};
use super::client::Client;
use super::password::{self, PasswordHash, Passwords, Verdict};
use super::throttle::{self, Attempt, Throttle};
use crate::db;

/// Nobody's password is longer, and a longer text costs nothing but its transfer.
const MAX_PASSWORD: usize = 64 * 1024;

/// What it takes to check a password.
#[derive(Clone, Copy, Debug)]
pub struct Checker<'r> {
    accounts: &'r Accounts,
    passwords: &'r Passwords,
    throttle: &'r Throttle,
    audit: &'r Audit,
    /// Who asks.
    pub client: Client<'r>,
}

/// An account whose password was given.
#[derive(Debug)]
pub struct Right {
    /// The account, which is not disabled.
    pub account: Account,
    /// The hash of its password.
    pub hash: String,
}

/// Why a password does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such account, it has another password, or it is disabled.
    Wrong,
    /// There were too many tries: the next is taken after so many seconds.
    Wait(u64),
    /// It cannot be checked now.
    Unavailable,
}

impl Checker<'_> {
    /// Checks `password` for the account of `name`; `failure` is what a wrong one is noted as.
    ///
    /// # Errors
    /// Why it does not count. The log says more.
    pub async fn check(
        &self,
        name: &str,
        password: &str,
        failure: Event,
    ) -> Result<Right, Refusal> {
        let client = self.client;
        let attempt = match self.throttle.begin(&name_key(name), client.address).await {
            Ok(attempt) => attempt,
            Err(throttle::Refusal::Unavailable(error)) => return Err(unavailable(&error, client)),
            Err(throttle::Refusal::Wait(wait)) => {
                let seconds = wait.as_secs() + 1;
                log::warn!(
                    event = "sign_in_throttled", client = client.shown().as_deref(),
                    request_id = client.request_id;
                    "sign-in from {client} is told to wait {seconds} s"
                );
                self.audit.throttled(self.accounts, name, client);
                return Err(Refusal::Wait(seconds));
            }
        };
        let found = match self.accounts.find_by_name(name).await {
            Ok(found) => found,
            Err(error) => {
                void(attempt, client).await;
                return Err(unavailable(&error, client));
            }
        };
        let (account, stored) = found.unzip();
        let password = match password.len() {
            0..=MAX_PASSWORD => password.to_owned(),
            _ => String::new(),
        };
        // Disabled accounts are checked like others, so that the time tells nothing.
        let verdict = match self.passwords.check(password.clone(), stored.clone()).await {
            Ok(verdict) => verdict,
            Err(error) => {
                log::warn!(
                    client = client.shown().as_deref(), request_id = client.request_id;
                    "sign-in from {client}: {error}"
                );
                void(attempt, client).await;
                return Err(Refusal::Unavailable);
            }
        };
        let right = match (account, stored) {
            (Some(account), Some(hash)) if verdict != Verdict::Wrong && !account.disabled => {
                Right { account, hash }
            }
            (account, _) => {
                self.note_failure(failure, account.as_ref(), verdict, client);
                attempt.failed().await.map_err(|error| unavailable(&error, client))?;
                return Err(Refusal::Wrong);
            }
        };
        attempt.succeeded().await.map_err(|error| unavailable(&error, client))?;
        match verdict {
            Verdict::RightButOld => Ok(self.renewed(right, password).await),
            Verdict::Right | Verdict::Wrong => Ok(right),
        }
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// When too many wait for that.
    pub async fn hash(&self, password: &str) -> Result<PasswordHash, password::Error> {
        self.passwords.hash(password.to_owned()).await
    }

    fn note_failure(
        &self,
        failure: Event,
        account: Option<&Account>,
        verdict: Verdict,
        client: Client<'_>,
    ) {
        let what = match failure {
            Event::FailedPasswordChange => "failed password change",
            _ => "failed sign-in",
        };
        let event = match failure {
            Event::FailedPasswordChange => "password_change_failed",
            _ => "sign_in_failed",
        };
        let of = account.map(|account| format!(" as {}", account.name)).unwrap_or_default();
        log::info!(
            event, account = account.map(|account| account.id),
            client = client.shown().as_deref(), request_id = client.request_id;
            "{what} from {client}{of}"
        );
        let detail = (verdict != Verdict::Wrong).then_some("the account is disabled");
        self.audit.failure(failure, account, client, detail);
    }

    /// Stores the same password as it would be hashed today. That may fail.
    async fn renewed(&self, right: Right, password: String) -> Right {
        let Right { account, hash } = right;
        let Ok(new) = self.passwords.hash(password).await else { return Right { account, hash } };
        match self.accounts.renew_hash(account.id, hash.clone(), new.clone()).await {
            Ok(()) => Right { account, hash: new.as_str().to_owned() },
            Err(error) => {
                log::warn!("the password hash of account {} was not renewed: {error}", account.id);
                Right { account, hash }
            }
        }
    }
}

fn unavailable(error: &db::Error, client: Client<'_>) -> Refusal {
    log::error!(request_id = client.request_id; "{error}");
    Refusal::Unavailable
}

/// Lets a try count for nothing. Where that cannot be told it will count as failed.
async fn void(attempt: Attempt<'_>, client: Client<'_>) {
    if let Err(error) = attempt.void().await {
        log::error!(request_id = client.request_id; "{error}");
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Checker<'r> {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        let rocket = request.rocket();
        let state = (rocket.state(), rocket.state(), rocket.state(), rocket.state());
        match state {
            (Some(accounts), Some(passwords), Some(throttle), Some(audit)) => {
                let client = Client::of(request);
                Outcome::Success(Self { accounts, passwords, throttle, audit, client })
            }
            _ => Outcome::Forward(rocket::http::Status::InternalServerError),
        }
    }
}
