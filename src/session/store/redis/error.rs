//! What can go wrong with Redis, in words that say what to do. None holds a password, a key or a
//! value: of an error that the server words itself only the code is passed on.

use std::io;
use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerError, Value};

use super::url::Address;

/// An operation that failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// `SESSION_REDIS` is no URL of a kind that is known.
    #[error("SESSION_REDIS: {0}")]
    Url(&'static str),
    /// The machine's list of authorities cannot be used.
    #[error("SESSION_REDIS: TLS needs a list of authorities to trust, and {0}")]
    Authorities(String),
    /// No connection could be made.
    #[error("cannot connect to Redis at {address}: {source}")]
    Connect {
        /// The server.
        address: Address,
        /// What went wrong.
        source: Arc<io::Error>,
    },
    /// The connection was lost with the answer outstanding.
    #[error("the connection to Redis was lost before it answered")]
    Lost,
    /// The server answered with an error.
    #[error("{0}")]
    Refused(&'static str),
    /// The server answered with an error that has no words here.
    #[error("Redis answered with the error {0}")]
    Code(String),
    /// The server's answer is not one to the command.
    #[error("the server's answer is not Redis's")]
    Unexpected,
    /// No Sentinel named the primary.
    #[error("no Sentinel names a primary that takes this name for its own; the last answer: {0}")]
    NoPrimary(String),
    /// No node of the Cluster told how the keys are spread.
    #[error("no node of the Redis Cluster tells where the keys are; the last answer: {0}")]
    NoTopology(String),
    /// The Cluster has no server for a key, or sent the command around too often.
    #[error("a part of the Redis Cluster has no server at the moment")]
    NoNode,
}

impl Failure {
    pub fn connect(address: &Address, source: io::Error) -> Self {
        Self::Connect { address: address.clone(), source: Arc::new(source) }
    }

    /// What the client library says of a connection.
    pub fn of_connection(error: &RedisError) -> Self {
        match error.kind() {
            ErrorKind::Parse => Self::Unexpected,
            _ => Self::Lost,
        }
    }

    fn of_server(error: &ServerError) -> Self {
        // Older servers wrap what stopped a script into an error of their own.
        let within = |code: &str| error.details().is_some_and(|text| text.contains(code));
        let code = match error.code() {
            "ERR" if within("-OOM ") => "OOM",
            "ERR" if within("-READONLY ") => "READONLY",
            "ERR" if within("-MISCONF ") => "MISCONF",
            "ERR" if within("DB index is out of range") => "SELECT",
            "ERR" if within("SELECT is not allowed in cluster mode") => "MOVED",
            "ERR" if within("without any password configured") => "WRONGPASS",
            code => code,
        };
        Self::Refused(match code {
            "OOM" => {
                "Redis is out of memory (maxmemory) and takes no writes: give it more, or end \
                 what else is kept there"
            }
            "READONLY" => {
                "this Redis is a replica and takes no writes: SESSION_REDIS must name the \
                 primary, or its Sentinels (redis+sentinel://)"
            }
            "MISCONF" => {
                "Redis cannot save to its disk and takes no writes (MISCONF): see its log and \
                 its disk"
            }
            "NOREPLICAS" => {
                "Redis takes no writes: too few replicas answer (min-replicas-to-write)"
            }
            "LOADING" => "Redis is still loading its data from disk; it answers when that is done",
            "NOAUTH" => {
                "Redis wants a password: SESSION_REDIS must hold it, as in \
                 redis://:password@host"
            }
            "WRONGPASS" => "Redis refuses the user or the password in SESSION_REDIS",
            "NOPERM" => {
                "the user in SESSION_REDIS lacks a permission: it needs GET, SET, DEL, PTTL, \
                 PEXPIRE, EVAL, EVALSHA, PING, and SCAN and INFO for listings, on the keys that \
                 begin with SESSION_KEY_PREFIX"
            }
            "WRONGTYPE" => {
                "a session's key holds something else: another application uses the prefix in \
                 SESSION_KEY_PREFIX"
            }
            "SELECT" => "Redis has no database of the number that SESSION_REDIS ends with",
            "MOVED" | "ASK" => {
                "this Redis is a node of a Cluster: SESSION_REDIS must begin with \
                 redis+cluster:// (or rediss+cluster://) and name no database"
            }
            "CLUSTERDOWN" => "a part of the Redis Cluster is down (CLUSTERDOWN)",
            "TRYAGAIN" => "the Redis Cluster is moving the key; try again",
            "MASTERDOWN" => "this Redis is a replica that has lost its primary (MASTERDOWN)",
            "BUSY" => "Redis is busy with a script that does not end (BUSY)",
            code => {
                let plain = code.len() <= 32 && code.bytes().all(|b| b.is_ascii_uppercase());
                return Self::Code(if plain { code } else { "of an unknown kind" }.to_owned());
            }
        })
    }
}

/// What an answer that should be another is.
pub fn unexpected(answer: Option<Value>) -> Failure {
    match answer {
        Some(Value::ServerError(error)) => Failure::of_server(&error),
        _ => Failure::Unexpected,
    }
}

/// The answer that is a number.
pub fn integer(answer: Option<Value>) -> Result<i64, Failure> {
    match answer {
        Some(Value::Int(number)) => Ok(number),
        other => Err(unexpected(other)),
    }
}

/// The answer that is text.
pub fn text(answer: Option<Value>) -> Result<String, Failure> {
    match answer {
        Some(Value::BulkString(bytes)) => String::from_utf8(bytes).map_err(|_| Failure::Unexpected),
        Some(Value::SimpleString(text) | Value::VerbatimString { text, .. }) => Ok(text),
        other => Err(unexpected(other)),
    }
}
