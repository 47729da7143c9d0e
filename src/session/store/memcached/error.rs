//! What can go wrong with memcached, in words that say what to do. None holds a key or a value.

use std::io;

/// An operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// An address in `SESSION_MEMCACHED` is none.
    #[error("SESSION_MEMCACHED: an address must be like \"127.0.0.1:11211\"")]
    Address,
    /// No connection could be made.
    #[error("cannot connect to memcached at {address}: {source}")]
    Connect {
        /// The server.
        address: String,
        /// What went wrong.
        source: io::Error,
    },
    /// The connection was lost with the answer outstanding.
    #[error("the connection to memcached was lost before it answered: {0}")]
    Lost(#[from] io::Error),
    /// The key is one that memcached would not take.
    #[error(
        "memcached takes keys of up to 250 bytes without blanks: shorten SESSION_KEY_PREFIX or \
         SESSION_ID_LENGTH"
    )]
    Key,
    /// The record is larger than the server takes.
    #[error(
        "the session is larger than memcached takes ({0} bytes): keep less in it, or start \
         memcached with a larger -I"
    )]
    TooLarge(usize),
    /// The server has no memory for the record and may not forget others.
    #[error(
        "memcached is out of memory and forgets nothing (-M): start it with a larger -m, or \
         without -M"
    )]
    OutOfMemory,
    /// The server answered with an error of its own.
    #[error("memcached answered with an error")]
    Refused,
    /// The answer is not memcached's, or is larger than any session.
    #[error("the server's answer is not memcached's")]
    Unexpected,
}
