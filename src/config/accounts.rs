//! Passwords, and what is recorded of those who use them.

use std::time::Duration;

use crate::session::settings::Reader;

/// These settings, with what each does in a line.
pub const KEYS: &[(&str, &str)] = &[
    ("PASSWORD_MIN_LENGTH", "the fewest characters of a new password"),
    ("SESSION_RECORD_CLIENT", "record and log clients' addresses and user agents"),
    ("AUDIT_LIFETIME", "how long entries of the audit trail are kept"),
];

/// What NIST SP 800-63B asks for where a password is the only proof.
const MIN_LENGTH: u64 = 15;
const AUDIT_LIFETIME: Duration = Duration::from_secs(365 * 86_400);

/// Passwords, and what is recorded of those who use them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSettings {
    /// `PASSWORD_MIN_LENGTH`, in characters.
    pub password_min_length: usize,
    /// `SESSION_RECORD_CLIENT`.
    pub record_client: bool,
    /// `AUDIT_LIFETIME`.
    pub audit_lifetime: Duration,
}

impl AccountSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let length = reader.integer("PASSWORD_MIN_LENGTH").unwrap_or(MIN_LENGTH);
        if !(8..=64).contains(&length) {
            reader.refuse(
                "PASSWORD_MIN_LENGTH",
                "must be 8 to 64 characters; 15 is the default, and shorter ones are guessed",
            );
        }
        let audit_lifetime = reader.duration("AUDIT_LIFETIME").unwrap_or(AUDIT_LIFETIME);
        if audit_lifetime < Duration::from_secs(60) {
            reader.refuse("AUDIT_LIFETIME", "must be a minute or more; 365 days is the default");
        }
        Self {
            password_min_length: usize::try_from(length).unwrap_or(64),
            record_client: reader.bool("SESSION_RECORD_CLIENT").unwrap_or(true),
            audit_lifetime,
        }
    }
}
