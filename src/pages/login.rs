//! Signing in and out.

use rocket::form::{Errors, Form};
use rocket::http::{Header, Status, uri::Origin};
use rocket::response::Redirect;
use rocket::{FromForm, Responder, State, get, post, uri};
use serde::Serialize;

use super::errors::{ErrorPage, Strict};
use super::form::{Arrived, Measured, Tokens, read};
use super::templates::Page;
use super::traffic::Visit;
use crate::auth::audit::Event;
use crate::auth::form_token;
use crate::auth::origin::Source;
use crate::auth::{Accounts, Checker, Client, GuardError, Refusal, SignIns, User, sign_in};
use crate::config::Live;
use crate::metrics::SignIn;
use crate::session::{Session, Sessions};

/// In bytes. An answer leads there, and proxies take no longer headers than 4 KB.
pub const LONGEST_NEXT: usize = 1024;

const WRONG: &str = "Account or password error";
const NO_ACCOUNTS: &str = "There are no accounts yet. On the server, run: dewar user add NAME";

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
    let next = next.filter(|next| next.len() <= LONGEST_NEXT).unwrap_or_default();
    Page("login.html", LoginPage { next, hint: empty.then_some(NO_ACCOUNTS), ..Default::default() })
}

/// Checks the pair and signs in, on a new session id.
#[post("/login", data = "<form>")]
pub async fn submit<'r>(
    form: Arrived<Result<Form<Measured<'r, Credentials<'r>>>, Errors<'r>>>,
    config: &State<Live>,
    session: &Session,
    sessions: &State<Sessions>,
    sign_ins: &State<SignIns>,
    checker: Checker<'_>,
    visit: Visit<'_>,
) -> Answer<'r> {
    let client = visit.client;
    let form = match read(form, &config.get().requests) {
        Ok(form) => form,
        Err(page) => return Answer::Incomplete(page),
    };
    let checked = checker.check(form.username, form.password, Event::FailedSignIn).await;
    let account = match checked {
        Ok(right) => right.account,
        Err(Refusal::Wrong) => {
            visit.count(SignIn::Failure);
            return Answer::Wrong(again(&form, WRONG.into()));
        }
        Err(Refusal::Wait(seconds)) => {
            visit.count(SignIn::Throttled);
            return Answer::Slower(again(&form, slower(seconds)), retry_after(seconds));
        }
        Err(Refusal::Unavailable) => return Answer::Failed(Status::ServiceUnavailable),
    };
    let remember = form.remember();
    if let Err(error) = sign_in(session, sessions, sign_ins, &account, remember, client).await {
        log::error!(request_id = client.request_id; "{error}");
        return Answer::Failed(error.status());
    }
    visit.count(SignIn::Success);
    log::info!(
        event = "sign_in", account = account.id, client = client.shown().as_deref(),
        request_id = client.request_id;
        "account {} signed in from {client}", account.name
    );
    Answer::SignedIn(Redirect::to(destination(form.next)))
}

/// What to tell somebody who tried too often.
pub fn slower(seconds: u64) -> String {
    let plural = if seconds == 1 { "" } else { "s" };
    format!("Too many attempts. Please try again in {seconds} second{plural}.")
}

/// The same for programs.
pub fn retry_after(seconds: u64) -> Header<'static> {
    Header::new("Retry-After", seconds.to_string())
}

/// Ends the session on the server. Without one it is no error, and does nothing.
///
/// It has to come from a page of this site, which the browser says or the form's token shows. A
/// wrong token is refused whatever the browser says.
#[post("/logout", data = "<sent>")]
pub async fn logout(
    sent: Arrived<Tokens<'_>>,
    source: Source,
    session: &Session,
    sessions: &State<Sessions>,
    user: Result<User, GuardError>,
    sign_ins: &State<SignIns>,
    client: Client<'_>,
) -> Result<Redirect, Status> {
    let tokens = sent.0.0?;
    // An account that was locked or removed has had its session emptied on the way here.
    if !session.is_new() && !session.is_empty() {
        form_token::demand(source, session, &tokens, client)?;
        let registered = match user {
            Ok(user) => {
                let ended = sign_ins.sign_out(user.id, &user.sign_in, client).await;
                ended.inspect(|()| {
                    log::info!(
                        event = "sign_out", account = user.id, client = client.shown().as_deref(),
                        request_id = client.request_id;
                        "account {} signed out from {client}", user.name
                    );
                })
            }
            Err(GuardError::Database(error)) => Err(error),
            Err(_) => Ok(()),
        };
        if let Err(error) = registered {
            log::error!(
                request_id = client.request_id; "a sign-out is not in the registry: {error}"
            );
            // Where sessions live on the server this one ends all the same. A copy of a cookie does
            // not.
            if !matches!(sessions.store(), Ok(Some(_))) {
                return Err(Status::ServiceUnavailable);
            }
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
    let own_path = next.len() <= LONGEST_NEXT
        && next.starts_with('/')
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
