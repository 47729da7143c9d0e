//! Signing in and out.

use std::net::{IpAddr, Ipv4Addr};

use rocket::form::{Errors, Form};
use rocket::http::{Header, Status, uri::Origin};
use rocket::response::Redirect;
use rocket::{FromForm, Responder, State, get, post, uri};
use serde::Serialize;

use super::errors::{self, ErrorPage, Strict};
use super::form::Measured;
use super::templates::Page;
use crate::auth::accounts::{Accounts, name_key};
use crate::auth::form_token;
use crate::auth::origin::Source;
use crate::auth::password::{Passwords, Verdict};
use crate::auth::throttle::{Attempt, Refusal, Throttle};
use crate::auth::{User, sign_in};
use crate::config::Live;
use crate::db;
use crate::session::{self, Session};

const WRONG: &str = "Account or password error";
const NO_ACCOUNTS: &str = "There are no accounts yet. On the server, run: dewar user add NAME";
/// Nobody's password is longer, and a longer text costs nothing but its transfer.
const MAX_PASSWORD: usize = 64 * 1024;

#[derive(Default, Serialize)]
pub struct LoginPage<'r> {
    error: Option<String>,
    hint: Option<&'static str>,
    username: &'r str,
    next: &'r str,
    remember: bool,
}

#[derive(FromForm)]
pub struct Credentials<'r> {
    username: &'r str,
    password: &'r str,
    #[field(default = "")]
    next: &'r str,
    /// A check box: absent when it is not checked.
    remember: Option<&'r str>,
}

impl Credentials<'_> {
    fn remember(&self) -> bool {
        let off = ["", "0", "false", "no", "off"];
        self.remember.is_some_and(|value| !off.contains(&value.to_lowercase().as_str()))
    }
}

type Login<'r> = Page<LoginPage<'r>>;

#[derive(Responder)]
pub enum Answer<'r> {
    SignedIn(Redirect),
    Wrong(Login<'r>),
    #[response(status = 429)]
    Slower(Login<'r>, Header<'static>),
    Incomplete((Status, Strict<Page<ErrorPage>>)),
    Failed(Status),
}

/// The form. It looks at no session, so that it costs strangers and the server nothing.
#[get("/login?<next>")]
pub async fn form<'r>(next: Option<&'r str>, accounts: &State<Accounts>) -> Login<'r> {
    let empty = matches!(accounts.any().await, Ok(false));
    let next = next.unwrap_or_default();
    Page("login.html", LoginPage { next, hint: empty.then_some(NO_ACCOUNTS), ..Default::default() })
}

/// Checks the pair and signs in, on a new session id.
#[post("/login", data = "<form>")]
pub async fn submit<'r>(
    form: Result<Form<Measured<'r, Credentials<'r>>>, Errors<'r>>,
    config: &State<Live>,
    session: &Session,
    accounts: &State<Accounts>,
    passwords: &State<Passwords>,
    throttle: &State<Throttle>,
    address: Option<IpAddr>,
) -> Result<Answer<'r>, session::Error> {
    let requests = &config.get().requests;
    let form = match form.map(Form::into_inner) {
        Ok(measured) => measured.within(requests),
        Err(errors) => Err(errors.into()),
    };
    let form = match form {
        Ok(form) => form,
        Err(bad) => return Ok(Answer::Incomplete(errors::bad_form(bad, requests))),
    };
    let address = address.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let name = name_key(form.username);
    let attempt = match throttle.begin(&name, address).await {
        Ok(attempt) => attempt,
        Err(Refusal::Unavailable(error)) => return Ok(unavailable(&error)),
        Err(Refusal::Wait(wait)) => {
            let seconds = wait.as_secs() + 1;
            log::warn!("sign-in from {address} is told to wait {seconds} s");
            let plural = if seconds == 1 { "" } else { "s" };
            let error = format!("Too many attempts. Please try again in {seconds} second{plural}.");
            let retry = Header::new("Retry-After", seconds.to_string());
            return Ok(Answer::Slower(again(&form, error), retry));
        }
    };
    let found = match accounts.find_by_name(form.username).await {
        Ok(found) => found,
        Err(error) => {
            void(attempt).await;
            return Ok(unavailable(&error));
        }
    };
    let (account, stored) = found.unzip();
    let password = match form.password.len() {
        0..=MAX_PASSWORD => form.password.to_owned(),
        _ => String::new(),
    };
    // Disabled accounts are checked like others, so that the time tells nothing.
    let verdict = match passwords.check(password.clone(), stored.clone()).await {
        Ok(verdict) => verdict,
        Err(error) => {
            log::warn!("sign-in from {address}: {error}");
            void(attempt).await;
            return Ok(Answer::Failed(Status::ServiceUnavailable));
        }
    };
    let Some(account) = account.filter(|account| verdict != Verdict::Wrong && !account.disabled)
    else {
        log::info!("failed sign-in from {address}");
        if let Err(error) = attempt.failed().await {
            return Ok(unavailable(&error));
        }
        return Ok(Answer::Wrong(again(&form, WRONG.into())));
    };
    if let Err(error) = attempt.succeeded().await {
        return Ok(unavailable(&error));
    }
    sign_in(session, &account, form.remember())?;
    log::info!("account {} signed in from {address}", account.id);
    if let (Verdict::RightButOld, Some(old)) = (verdict, stored)
        && let Ok(new) = passwords.hash(password).await
        && let Err(error) = accounts.renew_hash(account.id, old, new).await
    {
        log::warn!("the password hash of account {} was not renewed: {error}", account.id);
    }
    Ok(Answer::SignedIn(Redirect::to(destination(form.next))))
}

fn unavailable<'r>(error: &db::Error) -> Answer<'r> {
    log::error!("{error}");
    Answer::Failed(Status::ServiceUnavailable)
}

/// Lets a try count for nothing. Where that cannot be told it will count as failed.
async fn void(attempt: Attempt<'_>) {
    if let Err(error) = attempt.void().await {
        log::error!("{error}");
    }
}

#[derive(FromForm)]
pub struct SignOut<'r> {
    csrf_token: Vec<&'r str>,
}

/// Ends the session on the server. Without one it is no error, and does nothing.
///
/// It has to come from a page of this site, which the browser says or the form's token shows. A
/// wrong token is refused whatever the browser says.
#[post("/logout", data = "<sent>")]
pub fn logout(
    sent: Option<Form<SignOut<'_>>>,
    source: Source,
    session: &Session,
    user: Result<User, crate::auth::GuardError>,
) -> Result<Redirect, Status> {
    // An account that was locked or removed has had its session emptied on the way here.
    if !session.is_new() && !session.is_empty() {
        let tokens = sent.as_ref().map_or(&[][..], |form| &form.csrf_token);
        let ours = match tokens {
            [] => source == Source::Own,
            [token] => form_token::is_right(session, token),
            _ => false,
        };
        if !ours {
            log::warn!("refused a sign-out that no page of this site sent");
            return Err(Status::Forbidden);
        }
        if let Ok(user) = user {
            log::info!("account {} signed out", user.id);
        }
        session.clear();
    }
    Ok(Redirect::to(uri!(form(next = Option::<&str>::None))))
}

fn again<'r>(form: &Credentials<'r>, error: String) -> Login<'r> {
    let Credentials { username, next, .. } = *form;
    let remember = form.remember();
    Page("login.html", LoginPage { error: Some(error), hint: None, username, next, remember })
}

/// Where to go after signing in: an own path, as a browser reads it, or else the list.
fn destination(next: &str) -> Origin<'static> {
    let own_path = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let path = next.split(['?', '#']).next().unwrap_or_default();
    own_path
        .then(|| Origin::parse_owned(next.to_owned()).ok())
        .flatten()
        .filter(|_| !matches!(path, "/login" | "/logout"))
        .unwrap_or_else(|| {
            uri!(super::students::brief_introduction(
                q = Option::<&str>::None,
                page = Option::<u64>::None
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::destination;

    #[test]
    fn only_an_own_path_is_followed() {
        for own in ["/detailed?id=1", "/", "/brief_introduction?q=a%20b&page=2"] {
            assert_eq!(destination(own).to_string(), own);
        }
        for foreign in [
            "",
            "detailed",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/\tevil",
            "/\n/evil.example",
            " /x",
            "/a b",
            "/\u{ff0f}evil",
            "/login",
            "/login?next=/login",
            "/logout",
            "@evil.example",
        ] {
            assert_eq!(destination(foreign).to_string(), "/brief_introduction", "{foreign:?}");
        }
    }
}
