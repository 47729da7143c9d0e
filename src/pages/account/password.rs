//! A new password.

use rocket::form::{Errors, Form};
use rocket::http::{Header, Status};
use rocket::response::Redirect;
use rocket::{FromForm, Responder, State, get, post, uri};
use serde::Serialize;

use crate::auth::audit::Event;
use crate::auth::form_token;
use crate::auth::origin::Source;
use crate::auth::strength::weakness;
use crate::auth::{Checker, Refusal, SignIns, User, go_on};
use crate::config::{Config, Live};
use crate::pages::errors::{ErrorPage, PageError, Strict};
use crate::pages::form::{Arrived, Measured, read};
use crate::pages::login::{retry_after, slower};
use crate::pages::templates::Page;
use crate::session::Session;

const WRONG: &str = "The current password is not right.";
const DIFFERENT: &str = "The new password and its repetition differ. Type both again.";
const THE_SAME: &str = "The new password is the current one. Choose another.";
const DONE: &str = "Your password is changed, and all other sessions have ended.";

#[derive(Serialize)]
pub struct PasswordPage {
    user: String,
    error: Option<String>,
    min_length: usize,
}

type Again = Page<PasswordPage>;

#[derive(Responder)]
pub enum Answer {
    Done(Redirect),
    #[response(status = 422)]
    Refused(Again),
    #[response(status = 429)]
    Slower(Again, Header<'static>),
    Incomplete((Status, Strict<Page<ErrorPage>>)),
}

#[derive(FromForm)]
pub struct Change<'r> {
    current: &'r str,
    new: &'r str,
    again: &'r str,
    csrf_token: Vec<&'r str>,
}

/// The form.
#[get("/account/password")]
pub fn form(user: User, config: &State<Live>) -> Again {
    page(user, &config.get(), None)
}

fn page(user: User, config: &Config, error: Option<String>) -> Again {
    let min_length = config.accounts.password_min_length;
    Page("account_password.html", PasswordPage { user: user.name, error, min_length })
}

/// Sets the new password, which ends all other sessions; this one goes on under a new id.
#[post("/account/password", data = "<form>")]
pub async fn change<'r>(
    user: User,
    form: Arrived<Result<Form<Measured<'r, Change<'r>>>, Errors<'r>>>,
    source: Source,
    config: &State<Live>,
    session: &Session,
    sign_ins: &State<SignIns>,
    checker: Checker<'_>,
) -> Result<Answer, PageError> {
    let (config, client) = (config.get(), checker.client);
    let form = match read(form, &config.requests) {
        Ok(form) => form,
        Err(page) => return Ok(Answer::Incomplete(page)),
    };
    form_token::demand(source, session, &form.csrf_token, client)?;
    if let Some(problem) = problem(&form, &user, &config) {
        return Ok(Answer::Refused(page(user, &config, Some(problem))));
    }
    let checked = checker.check(&user.name, form.current, Event::FailedPasswordChange);
    let right = match checked.await {
        Ok(right) if right.account.id == user.id => right,
        Ok(_) | Err(Refusal::Wrong) => {
            return Ok(Answer::Refused(page(user, &config, Some(WRONG.into()))));
        }
        Err(Refusal::Wait(seconds)) => {
            let again = page(user, &config, Some(slower(seconds)));
            return Ok(Answer::Slower(again, retry_after(seconds)));
        }
        Err(Refusal::Unavailable) => return Err(Status::ServiceUnavailable.into()),
    };
    let hash = checker.hash(form.new).await.map_err(|error| {
        log::warn!(
            client = client.shown().as_deref(), request_id = client.request_id;
            "a new password from {client}: {error}"
        );
        Status::ServiceUnavailable
    })?;
    let changed = sign_ins.change_password(user.id, &user.sign_in, right.hash, hash, client).await;
    let Some(epoch) = changed? else {
        return Ok(Answer::Refused(page(user, &config, Some(WRONG.into()))));
    };
    log::info!(
        event = "password_changed", account = user.id, client = client.shown().as_deref(),
        request_id = client.request_id;
        "account {} has a new password, from {client}", user.name
    );
    go_on(session, epoch).map_err(|error| error.status())?;
    session.flash(DONE, "message");
    Ok(Answer::Done(Redirect::to(uri!(super::sessions::list))))
}

/// What is wrong with the new password.
fn problem(form: &Change<'_>, user: &User, config: &Config) -> Option<String> {
    if form.new != form.again {
        return Some(DIFFERENT.into());
    }
    if form.new == form.current {
        return Some(THE_SAME.into());
    }
    let site = config.urls.server_name.as_deref().unwrap_or_default();
    let weakness = weakness(form.new, config.accounts.password_min_length, &[&user.name, site])?;
    let mut text = weakness.to_string();
    text.replace_range(..1, &text[..1].to_uppercase());
    Some(text + ".")
}
