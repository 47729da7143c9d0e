//! The session layer's one error type.

use std::sync::Arc;

use rocket::Request;
use rocket::http::Status;
use rocket::response::{self, Responder};

use super::codec::EncodeError;
use super::request_id::request_id;
use super::value::ValueError;

/// What can go wrong with a session.
///
/// Neither its `Debug` nor its `Display` form holds a session id, a key or a value, so that it
/// may be logged, as Rocket does with the error of a failed guard.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store could not be read or written. The visitor's session is as it was: answer 503,
    /// never "not signed in".
    #[error("the session store failed to {operation}: {source}")]
    Store {
        /// What was asked of it: `load`, `save`, `delete`, ….
        operation: &'static str,
        /// The store's own error.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// Other requests changed the session too often while this one tried to.
    #[error("the session is changed by too many requests at once")]
    Contention,
    /// The session was ended, on this device or another, while the request ran. Its changes are
    /// dropped: a logout stays a logout.
    #[error("the session was ended while the request ran")]
    Ended,
    /// A session's value is not of the type that was asked for, or a value has no form in a
    /// session.
    #[error("session key {key:?}: {source}")]
    Value {
        /// The session key.
        key: String,
        /// What does not fit.
        source: ValueError,
    },
    /// The session's values have no form in the record format.
    #[error("the session cannot be stored: {0}")]
    Encode(#[from] EncodeError),
    /// The session does not fit the cookie it should live in (`SESSION_COOKIE_OVERSIZE`).
    #[error("the session cookie would be {length} bytes, more than MAX_COOKIE_SIZE, {limit}")]
    CookieTooLarge {
        /// The length of the whole header value.
        length: usize,
        /// `MAX_COOKIE_SIZE`.
        limit: usize,
    },
    /// The operating system gave no random bytes, so no session id can be made.
    #[error("the operating system gave no random bytes of use: {0}")]
    Random(String),
    /// The [`Sessions`](super::Sessions) fairing is not attached.
    #[error("the Sessions fairing is not attached")]
    NoFairing,
}

impl Error {
    pub(crate) fn store(
        operation: &'static str,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Store { operation, source: Arc::new(source) }
    }

    /// The status that a response with this error should have: 503 for what goes away by itself,
    /// 500 for the rest.
    pub fn status(&self) -> Status {
        match self {
            Self::Store { .. } | Self::Contention | Self::Ended | Self::Random(_) => {
                Status::ServiceUnavailable
            }
            Self::Value { .. }
            | Self::Encode(_)
            | Self::CookieTooLarge { .. }
            | Self::NoFairing => Status::InternalServerError,
        }
    }
}

/// Lets handlers use `?`: the error is logged and answered by the catcher for its
/// [status](Error::status).
impl<'r> Responder<'r, 'static> for Error {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        log::error!(request_id = request_id(request.headers()); "{self}");
        Err(self.status())
    }
}
