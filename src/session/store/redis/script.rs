//! The conditional writes as Lua scripts, which Redis runs one at a time.
//!
//! An empty value counts as absent, as in Flask-Session.

use std::sync::LazyLock;

use redis::{Pipeline, Value, pipe};
use sha1::{Digest, Sha1};

use crate::session::token::StoreKey;

/// A script: its text and the SHA-1 that Redis knows it by once it has run there.
pub struct Script {
    text: &'static str,
    hash: String,
}

/// Puts ARGV\[2\], to live ARGV\[3\] milliseconds, in the place of ARGV\[1\] at KEYS\[1\].
pub static REPLACE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("replace.lua")));
/// Puts ARGV\[2\], to live ARGV\[3\] milliseconds, at KEYS\[2\], where nothing is, and in the place
/// of ARGV\[1\] at KEYS\[1\] nothing or ARGV\[4\], to live ARGV\[5\] milliseconds.
pub static MOVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("move.lua")));
/// Removes ARGV\[1\] from KEYS\[1\].
pub static REMOVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("remove.lua")));

impl Script {
    fn new(text: &'static str) -> Self {
        let hash = Sha1::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { text, hash }
    }

    /// The call of a script that the server may not know.
    pub fn by_hash(&self, keys: &[&StoreKey], arguments: &[&[u8]]) -> Pipeline {
        call("EVALSHA", &self.hash, keys, arguments)
    }

    /// The call that makes the script known as well.
    pub fn in_full(&self, keys: &[&StoreKey], arguments: &[&[u8]]) -> Pipeline {
        call("EVAL", self.text, keys, arguments)
    }
}

/// Whether the server did nothing, as it does not know the script.
pub fn is_unknown(answers: &[Value]) -> bool {
    matches!(answers, [Value::ServerError(error)] if error.code() == "NOSCRIPT")
}

fn call(name: &str, script: &str, keys: &[&StoreKey], arguments: &[&[u8]]) -> Pipeline {
    let mut command = pipe();
    command.cmd(name).arg(script).arg(keys.len());
    for key in keys {
        command.arg(key.as_str());
    }
    for argument in arguments {
        command.arg(*argument);
    }
    command
}
