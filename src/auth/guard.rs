//! The signed-in visitor as a request guard.

use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};
use rocket::{Request, State};

use super::accounts::{Account, Accounts};
use super::form_token;
use crate::db;
use crate::session::{self, Session};

/// The session's keys for who is signed in.
const ID: &str = "user_id";
const EPOCH: &str = "user_epoch";

/// Someone who is signed in, with an account that is neither disabled nor removed and whose
/// sessions have not been ended since.
///
/// Costs one read of the session and one of the account. Without such a visitor the guard fails
/// with 401, which the catcher turns into the way to the sign-in page; with 503 when the store or
/// the database cannot tell.
#[derive(Clone, Debug)]
pub struct User {
    /// The account's number.
    pub id: i64,
    /// The account's name.
    pub name: String,
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

/// Makes the visitor signed in as `account`, on a new session id. Nothing of the old session
/// survives. `remember` keeps the session beyond the browser's end.
///
/// # Errors
/// When the operating system has no random bytes.
pub fn sign_in(session: &Session, account: &Account, remember: bool) -> Result<(), session::Error> {
    session.clear();
    session.regenerate();
    session.set_permanent(remember);
    form_token::draw(session)?;
    session.insert(ID, &account.id)?;
    session.insert(EPOCH, &account.epoch)
}

/// The number of the account that a session's values are signed in to.
pub fn account_id(values: &session::Map) -> Option<i64> {
    values.get(ID)?.deserialize_into().ok()
}

async fn user(request: &Request<'_>) -> Result<User, Error> {
    let session = Session::of(request).await?;
    // A value of another shape was not put there by `sign_in`.
    let signed_in = session.get::<i64>(ID).ok().flatten();
    let epoch = session.get::<i64>(EPOCH).ok().flatten();
    let (Some(id), Some(epoch)) = (signed_in, epoch) else {
        return Err(Error::NotSignedIn);
    };
    let accounts = request.rocket().state::<Accounts>().ok_or(Error::NotSignedIn)?;
    match accounts.find(id).await? {
        Some(account) if !account.disabled && account.epoch == epoch => {
            form_token::show(request, session);
            Ok(User { id, name: account.name })
        }
        _ => {
            session.clear();
            Err(Error::NotSignedIn)
        }
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for User {
    type Error = Error;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Error> {
        let status = match user(request).await {
            Ok(user) => return Outcome::Success(user),
            Err(error @ Error::NotSignedIn) => (Status::Unauthorized, error),
            Err(Error::Session(error)) => (error.status(), error.into()),
            Err(error @ Error::Database(_)) => {
                log::error!("{error}");
                (Status::ServiceUnavailable, error)
            }
        };
        Outcome::Error(status)
    }
}

/// Names the state the guard needs, so that a launch without it is refused.
impl rocket::Sentinel for User {
    fn abort(rocket: &rocket::Rocket<rocket::Ignite>) -> bool {
        <&State<Accounts> as rocket::Sentinel>::abort(rocket)
    }
}
