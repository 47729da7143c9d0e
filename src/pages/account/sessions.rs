//! Where one is signed in, and ending that.

use rocket::form::{Errors, Form};
use rocket::http::Status;
use rocket::response::Redirect;
use rocket::{FromForm, Responder, State, get, post, uri};
use serde::Serialize;

use crate::auth::form_token;
use crate::auth::origin::Source;
use crate::auth::sign_ins::SignIn;
use crate::auth::{Client, SignInId, SignIns, User, agent};
use crate::config::Live;
use crate::pages::errors::{ErrorPage, PageError, Strict};
use crate::pages::form::{Arrived, Measured, Tokens, read};
use crate::pages::templates::Page;
use crate::session::{FlashMessage, Session, rfc3339};

const UNKNOWN: &str = "There is no such session of yours. It may have ended already.";

#[derive(Serialize)]
pub struct SessionsPage {
    user: String,
    messages: Vec<FlashMessage>,
    problem: Option<&'static str>,
    sessions: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    what: String,
    address: Option<String>,
    created: Moment,
    last_seen: Moment,
    is_this: bool,
}

#[derive(Serialize)]
struct Moment {
    machine: String,
    people: String,
}

impl Moment {
    /// Seconds since 1970; for people to the minute, in UTC.
    fn of(seconds: i64) -> Self {
        let machine = rfc3339(seconds, 0);
        let people = match machine.get(..16) {
            Some(minute) => minute.replace('T', " "),
            None => machine.clone(),
        };
        Self { machine, people }
    }
}

impl Shown {
    fn of(sign_in: SignIn, this: &SignInId) -> Self {
        Self {
            what: agent::words(sign_in.agent.as_deref().unwrap_or_default()),
            address: sign_in.address,
            created: Moment::of(sign_in.created),
            last_seen: Moment::of(sign_in.last_seen),
            is_this: sign_in.id == *this,
            id: sign_in.id.to_string(),
        }
    }
}

type Listing = Page<SessionsPage>;

#[derive(Responder)]
pub enum Answer {
    Done(Redirect),
    #[response(status = 404)]
    Unknown(Listing),
    Incomplete((Status, Strict<Page<ErrorPage>>)),
}

#[derive(FromForm)]
pub struct Which<'r> {
    id: &'r str,
    csrf_token: Vec<&'r str>,
}

/// Where the visitor is signed in, this session first, then the last used.
#[get("/account/sessions")]
pub async fn list(
    user: User,
    session: &Session,
    sign_ins: &State<SignIns>,
) -> Result<Listing, PageError> {
    listing(user, session, sign_ins, None).await
}

async fn listing(
    user: User,
    session: &Session,
    sign_ins: &SignIns,
    problem: Option<&'static str>,
) -> Result<Listing, PageError> {
    let found = sign_ins.list(user.id).await?;
    let mut sessions: Vec<_> =
        found.into_iter().map(|sign_in| Shown::of(sign_in, &user.sign_in)).collect();
    sessions.sort_by_key(|shown| !shown.is_this);
    let messages = session.flashed_messages(&[]);
    let page = SessionsPage { user: user.name, messages, problem, sessions };
    Ok(Page("account_sessions.html", page))
}

/// Ends one of the visitor's sessions.
#[post("/account/sessions/end", data = "<form>")]
pub async fn end<'r>(
    user: User,
    form: Arrived<Result<Form<Measured<'r, Which<'r>>>, Errors<'r>>>,
    source: Source,
    config: &State<Live>,
    session: &Session,
    sign_ins: &State<SignIns>,
    client: Client<'_>,
) -> Result<Answer, PageError> {
    let which = match read(form, &config.get().requests) {
        Ok(form) => {
            form_token::demand(source, session, &form.csrf_token, client)?;
            SignInId::parse(form.id)
        }
        Err(page) => return Ok(Answer::Incomplete(page)),
    };
    let ended = match &which {
        Some(id) => sign_ins.end(user.id, id, client).await?,
        None => false,
    };
    if !ended {
        let page = listing(user, session, sign_ins, Some(UNKNOWN)).await?;
        return Ok(Answer::Unknown(page));
    }
    log::info!(
        event = "session_ended", account = user.id, client = client.shown().as_deref(),
        request_id = client.request_id;
        "account {} ended a session from {client}", user.name
    );
    if which.as_ref() == Some(&user.sign_in) {
        session.clear();
        let login = uri!(crate::pages::login::form(next = Option::<&str>::None));
        return Ok(Answer::Done(Redirect::to(login)));
    }
    session.flash("The session has ended.", "message");
    Ok(Answer::Done(Redirect::to(uri!(list))))
}

/// Ends all of the visitor's sessions but this one.
#[post("/account/sessions/end-others", data = "<form>")]
pub async fn end_others(
    user: User,
    form: Arrived<Tokens<'_>>,
    source: Source,
    session: &Session,
    sign_ins: &State<SignIns>,
    client: Client<'_>,
) -> Result<Redirect, PageError> {
    form_token::demand(source, session, &form.0.0?, client)?;
    let ended = sign_ins.end_others(user.id, &user.sign_in, client).await?;
    log::info!(
        event = "sessions_ended", account = user.id, client = client.shown().as_deref(),
        request_id = client.request_id;
        "account {} ended {ended} other sessions from {client}", user.name
    );
    session.flash("All other sessions have ended.", "message");
    Ok(Redirect::to(uri!(list)))
}
