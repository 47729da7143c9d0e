//! The random token that a browser holds, and the key its session is stored under.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};

use super::error::Error;

/// What a browser's cookie holds: random bytes from the operating system as URL-safe base64
/// without padding, as Python's `secrets.token_urlsafe` makes them.
///
/// Whoever knows it is signed in, so it is never shown: its `Debug` form is a placeholder.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId(String);

impl SessionId {
    /// The longest id taken from a cookie, in characters.
    pub const MAX_LENGTH: usize = 255;

    /// A new id of `bytes` random bytes.
    ///
    /// # Errors
    /// [`Error::Random`] when the operating system has none. There is no weaker fallback.
    pub fn generate(bytes: usize) -> Result<Self, Error> {
        let mut random = vec![0; bytes];
        SysRng.try_fill_bytes(&mut random).map_err(|error| Error::Random(error.to_string()))?;
        Ok(Self(URL_SAFE_NO_PAD.encode(random)))
    }

    /// The id in a cookie's value, when it has the form of one: 1 to 255 of `A–Z a–z 0–9 - _`.
    /// Whether such a session exists only the store knows.
    pub fn parse(cookie_value: &str) -> Option<Self> {
        let well_formed = (1..=Self::MAX_LENGTH).contains(&cookie_value.len())
            && cookie_value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        well_formed.then(|| Self(cookie_value.to_owned()))
    }

    /// The id as the cookie carries it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The key in the store: `prefix` and the SHA-256 of the id in URL-safe base64 without
    /// padding, or, unhashed, `prefix` and the id itself as Flask-Session has it.
    pub fn store_key(&self, prefix: &str, hashed: bool) -> StoreKey {
        StoreKey(match hashed {
            true => format!("{prefix}{}", URL_SAFE_NO_PAD.encode(Sha256::digest(&self.0))),
            false => format!("{prefix}{}", self.0),
        })
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SessionId(…)")
    }
}

/// The key of one session in a store.
///
/// With hashed ids it is of no use to a thief; with plain ids it holds the cookie's value, so its
/// `Debug` form shows its [handle](StoreKey::handle) alone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreKey(String);

impl StoreKey {
    /// A key as a store holds it.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name for the session that tells nothing: the first 16 hexadecimal digits of the SHA-256
    /// of its key. It cannot be used to sign in, whether ids are hashed or not.
    pub fn handle(&self) -> String {
        Sha256::digest(&self.0)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StoreKey({})", self.handle())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_32_bytes_is_43_characters_and_never_the_same() {
        let (a, b) = (SessionId::generate(32).unwrap(), SessionId::generate(32).unwrap());
        assert_eq!(a.expose().len(), 43);
        assert_ne!(a, b);
        assert_eq!(SessionId::parse(a.expose()), Some(a));
    }

    #[test]
    fn only_the_alphabet_of_ids_is_taken() {
        let long = "a".repeat(256);
        for bad in ["", " a", "a ", "a.b", "a/b", "../x", "a\0", "é", "a=", &long] {
            assert_eq!(SessionId::parse(bad), None, "{bad:?}");
        }
        assert!(SessionId::parse("0b6e1d1e-6fb0-4a0c-9a8f-2a58a3a0c7c1").is_some());
    }

    #[test]
    fn a_hashed_key_does_not_contain_the_id() {
        let id = SessionId::parse("OLDSID").unwrap();
        assert_eq!(id.store_key("session:", false).as_str(), "session:OLDSID");
        let hashed = id.store_key("session:", true);
        assert!(!hashed.as_str().contains("OLDSID"));
        assert_eq!(hashed.as_str().len(), "session:".len() + 43);
    }

    #[test]
    fn debug_output_gives_nobody_a_session() {
        let id = SessionId::parse("secretsecret").unwrap();
        let shown = format!("{id:?} {:?}", id.store_key("session:", false));
        assert!(!shown.contains("secretsecret"), "{shown}");
    }
}
