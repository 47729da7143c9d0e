//! Databases on the network: their URLs, TLS to them, and a bounded number of connections.
//!
//! Below both the session store and the application's tables, which may be on one server.

mod error;
mod pool;
mod postgresql;
mod tls;
mod url;

pub use error::Error;
pub(crate) use pool::{Lease, pool};
pub use postgresql::Postgresql;
pub(crate) use tls::authorities;
#[cfg(feature = "app")]
pub(crate) use url::without_password;
pub(crate) use url::{Url, refused};
