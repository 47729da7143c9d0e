//! The signed-in visitor as a request guard.

use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};
use rocket::{Request, State};

use super::accounts::Account;
use super::client::Client;
use super::form_token;
use super::sign_ins::{BeginError, SignInId, SignIns};
use crate::db::{self, Revision};
use crate::session::{self, Session, Sessions, request_id};

/// The session's keys for who is signed in.
const ID: &str = "user_id";
const EPOCH: &str = "user_epoch";
const SIGN_IN: &str = "user_sign_in";

/// Someone who is signed in, with an account that is neither disabled nor removed, by a sign-in that
/// has not been ended since.
///
/// Costs one read of the session and one of the database. Without such a visitor the guard fails
/// with 401, which the catcher turns into the way to the sign-in page; with 503 when the store or
/// the database cannot tell.
#[derive(Clone, Debug)]
pub struct User {
    /// The account's number.
    pub id: i64,
    /// The account's name.
    pub name: String,
    /// The sign-in that the session belongs to.
    pub sign_in: SignInId,
    /// How the students were when the account was looked up, where the database told that as well.
    pub students: Option<Revision>,
}

/// Why there is no [`User`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody is signed in.
    #[error("not signed in")]
    NotSignedIn,
    /// The session could not be read.
    #[error(transparent)]
    Session(#[from] session::Error),
    /// The account could not be read.
    #[error(transparent)]
    Database(#[from] db::Error),
}

impl Error {
    /// What to answer.
    pub fn status(&self) -> Status {
        match self {
            Self::NotSignedIn => Status::Unauthorized,
            Self::Session(error) => error.status(),
            Self::Database(_) => Status::ServiceUnavailable,
        }
    }
}

impl From<BeginError> for Error {
    fn from(error: BeginError) -> Self {
        match error {
            BeginError::Random(error) => Self::Session(error),
            BeginError::Database(error) => Self::Database(error),
        }
    }
}

/// Makes the visitor signed in as `account`, on a new session id, and saves the session. Nothing of
/// the old session survives. `remember` keeps the session beyond the browser's end.
///
/// # Errors
/// When the database or the session cannot be written, or the operating system has no random bytes.
/// Whoever was signed in before still is.
pub async fn sign_in(
    session: &Session,
    sessions: &Sessions,
    sign_ins: &SignIns,
    account: &Account,
    remember: bool,
    client: Client<'_>,
) -> Result<(), Error> {
    let before = sign_in_in(session).ok().flatten();
    let id = sign_ins.begin(account, &sessions.settings()?, client).await?;
    session.clear();
    session.regenerate();
    session.set_permanent(remember);
    form_token::draw(session)?;
    session.insert(ID, &account.id)?;
    session.insert(EPOCH, &account.epoch)?;
    session.insert(SIGN_IN, id.as_str())?;
    // A row without a session lets nobody in, and ends by itself where it cannot be removed.
    let saved = session.save().await;
    let over = if saved.is_ok() { before } else { Some(id) };
    if let Some(over) = over
        && let Err(error) = sign_ins.forget(vec![over]).await
    {
        log::warn!("a sign-in that is over stays listed: {error}");
    }
    Ok(saved?)
}

/// Moves the visitor's session, signed in as before, to a new session id and to the account's new
/// epoch.
///
/// # Errors
/// Never in practice: numbers fit a session.
pub fn go_on(session: &Session, epoch: i64) -> Result<(), session::Error> {
    session.regenerate();
    session.insert(EPOCH, &epoch)
}

/// The number of the account that a session's values are signed in to.
pub fn account_id(values: &session::Map) -> Option<i64> {
    values.get(ID)?.deserialize_into().ok()
}

/// The sign-in that a session's values name.
pub fn sign_in_id(values: &session::Map) -> Option<SignInId> {
    SignInId::parse(values.get(SIGN_IN)?.as_str()?)
}

/// The same of a visitor's session; an error when there is something else in its place.
fn sign_in_in(session: &Session) -> Result<Option<SignInId>, Error> {
    match session.get::<String>(SIGN_IN) {
        Ok(None) => Ok(None),
        Ok(Some(text)) => SignInId::parse(&text).map(Some).ok_or(Error::NotSignedIn),
        Err(_) => Err(Error::NotSignedIn),
    }
}

/// The account that a request's [`User`] guard found.
struct Found(Option<i64>);

/// The number of the account that a request was answered for, once a guard has found it.
pub fn signed_in_account(request: &Request<'_>) -> Option<i64> {
    request.local_cache(|| Found(None)).0
}

async fn user(request: &Request<'_>) -> Result<User, Error> {
    let session = Session::of(request).await?;
    // A value of another shape was not put there by `sign_in`.
    let signed_in = session.get::<i64>(ID).ok().flatten();
    let epoch = session.get::<i64>(EPOCH).ok().flatten();
    let (Some(id), Some(epoch)) = (signed_in, epoch) else {
        return Err(Error::NotSignedIn);
    };
    let rocket = request.rocket();
    let sign_ins = rocket.state::<SignIns>().ok_or(Error::NotSignedIn)?;
    let sessions = rocket.state::<Sessions>().ok_or(session::Error::NoFairing)?;
    let client = Client::of(request);
    let named = sign_in_in(session)?;
    let found = match named.clone() {
        Some(sign_in) => {
            let visitor = sign_ins.visitor(id, epoch, &sign_in).await?;
            visitor.map(|visitor| (sign_in, visitor))
        }
        // Made by a build without the registry.
        None => sign_ins.adopt(id, epoch, &sessions.settings()?, client).await?,
    };
    let Some((made, visitor)) = found else {
        // While this very sign-in sets a new password, its session is a moment behind.
        let is_behind = match named {
            Some(sign_in) => sign_ins.list(id).await?.iter().any(|it| it.id == sign_in),
            None => false,
        };
        if !is_behind {
            session.clear();
        }
        return Err(Error::NotSignedIn);
    };
    let sign_in = match session.contains_key(SIGN_IN) {
        true => made,
        false => keep(session, sign_ins, made).await?,
    };
    request.local_cache(|| Found(Some(id)));
    form_token::show(request, session);
    sign_ins.seen(&sign_in, visitor.last_seen, || sessions.settings().ok(), client);
    Ok(User { id, name: visitor.name, sign_in, students: visitor.students })
}

/// Puts a sign-in into a session that had none. Where another request did so meanwhile, that one's
/// counts.
async fn keep(session: &Session, sign_ins: &SignIns, made: SignInId) -> Result<SignInId, Error> {
    session.set_default(SIGN_IN, &made.as_str().to_owned())?;
    let saved = session.save().await;
    let kept = sign_in_in(session).ok().flatten().filter(|_| saved.is_ok());
    if kept.as_ref() != Some(&made) {
        sign_ins.forget(vec![made]).await?;
    }
    match saved {
        Ok(()) => kept.ok_or(Error::NotSignedIn),
        Err(session::Error::Ended) => Err(Error::NotSignedIn),
        Err(error) => Err(error.into()),
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for User {
    type Error = Error;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Error> {
        match user(request).await {
            Ok(user) => Outcome::Success(user),
            Err(error) => {
                if let Error::Database(error) = &error {
                    log::error!(request_id = request_id(request.headers()); "{error}");
                }
                Outcome::Error((error.status(), error))
            }
        }
    }
}

/// Names the state the guard needs, so that a launch without it is refused.
impl rocket::Sentinel for User {
    fn abort(rocket: &rocket::Rocket<rocket::Ignite>) -> bool {
        <&State<SignIns> as rocket::Sentinel>::abort(rocket)
    }
}
