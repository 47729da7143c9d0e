//! Flask-style sessions for Rocket.
//!
//! Attach [`Sessions`], take [`&Session`](Session) in a handler, and read and write it. Flask's
//! settings, in upper case in `Rocket.toml` or as `FLASK_…` environment variables, say how the
//! cookie looks and where the sessions live; [`Settings`] lists them.
//!
//! ```no_run
//! use dewar::session::{Error, Session, Sessions};
//! use rocket::{get, launch, routes};
//!
//! #[get("/")]
//! fn index(session: &Session) -> Result<String, Error> {
//!     session.modify("visits", |visits: &mut u64| *visits += 1)?;
//!     Ok(format!("visit {}", session.get::<u64>("visits")?.unwrap_or(0)))
//! }
//!
//! #[launch]
//! fn rocket() -> _ {
//!     rocket::build().attach(Sessions::fairing()).mount("/", routes![index])
//! }
//! ```
//!
//! What it promises:
//!
//! - Requests that run at the same time never lose each other's changes. Each request's changes
//!   are recorded and made again on what the store holds by then ([`Session::modify`] for changes
//!   that depend on the old value).
//! - A session that was ended stays ended, however slow the request that still writes to it.
//! - When the store fails the answer is 503, never "not signed in", and never a cookie for a
//!   session that was not saved.
//! - A route that does not take the session costs no store operation and sends no cookie.
//! - What is stored cannot be used to sign in: the key is a hash of the cookie's value.
//!
//! How long a session lives, and its id:
//!
//! - `PERMANENT_SESSION_LIFETIME` is Flask's: from the last change, or from the last visit with
//!   `SESSION_REFRESH_EACH_REQUEST`.
//! - `SESSION_IDLE_LIFETIME` ends a session that no request has opened for so long, permanent or
//!   not. A use is written at most once in `SESSION_TOUCH_INTERVAL`, by which the session lives
//!   longer, so that none ends early.
//! - `SESSION_ABSOLUTE_LIFETIME` ends a session so long after it began or was cleared last, whatever
//!   happens in it. [`Session::regenerate`] does not begin a new one.
//! - `SESSION_ROTATE_AFTER` gives a session in a store a new id when its id is so old. The old one
//!   leads to the same session for `SESSION_ROTATE_GRACE`, so that requests under way lose nothing;
//!   the session's end is the end of both. [`Session::regenerate`] ends the old id at once.
//!
//! All of them are enforced here, whatever a browser does with its cookie, and by a clock that never
//! goes back while the process lives. What they need to know stands among the session's values under
//! the keys `_created`, `_saved` and `_rotated`.
//!
//! Its lines in the log that are about a request carry the request's id as the key `request_id`,
//! when a header [`X-Request-Id`](REQUEST_ID) has one.

mod backend;
mod clock;
pub mod codec;
pub mod cookie;
pub mod copy;
mod data;
mod date;
mod error;
mod fairing;
mod flash;
mod forward;
mod guard;
mod lifetime;
mod operations;
mod request_id;
pub mod settings;
pub mod signing;
pub mod store;
mod token;
mod value;

pub use cookie::{CookieSettings, SameSite};
#[cfg(feature = "app")]
pub(crate) use date::{rfc3339, unix_now};
pub use error::Error;
pub use fairing::{Sessions, SetupError};
pub use flash::FlashMessage;
#[cfg(feature = "app")]
pub(crate) use forward::{end, is_forward};
pub use guard::Session;
pub use request_id::{LogClient, REQUEST_ID, request_id};
pub use settings::Settings;
pub use store::Store;
pub use token::{SessionId, StoreKey};
pub use value::{BigInt, MAX_DEPTH, Map, Uuid, Value, ValueError};
