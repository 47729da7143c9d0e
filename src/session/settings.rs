//! Flask's settings, read once and checked as a whole.

mod cookie;
mod duration;
pub(crate) mod env;
mod reader;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use figment::Figment;

use super::cookie::CookieSettings;
pub use env::FlaskEnv;
pub use reader::{Origin, Reader, SettingsError};

/// The names this layer reads, with what each does in a line.
///
/// `dewar check` prints them; a name near to one of them, but not in the list, stops the launch.
pub const KEYS: &[(&str, &str)] = &[
    ("SECRET_KEY", "signs cookies; 32 random bytes or more"),
    ("SECRET_KEY_FALLBACKS", "older keys, which verify only"),
    ("SESSION_TYPE", "where sessions live: \"sqlite\" or \"cookie\""),
    ("MAX_COOKIE_SIZE", "warn when the session cookie is longer; 0 does not"),
    ("SESSION_COOKIE_OVERSIZE", "\"warn\" of a longer cookie, or answer an \"error\""),
    ("SESSION_SQLITE_PATH", "the SQLite file of the sessions"),
    ("SESSION_COOKIE_NAME", "the cookie's name"),
    ("SESSION_COOKIE_DOMAIN", "the cookie's Domain; unset: this host alone"),
    ("SESSION_COOKIE_PATH", "the cookie's Path; unset: APPLICATION_ROOT"),
    ("SESSION_COOKIE_HTTPONLY", "keep the cookie from scripts"),
    ("SESSION_COOKIE_SECURE", "send the cookie over https only"),
    ("SESSION_COOKIE_SAMESITE", "\"Strict\", \"Lax\" or \"None\"; empty leaves the attribute out"),
    ("SESSION_COOKIE_PARTITIONED", "one cookie for each top-level site; implies Secure"),
    ("SESSION_PERMANENT", "whether new sessions outlive the browser"),
    ("PERMANENT_SESSION_LIFETIME", "seconds, or text such as \"31 days\""),
    ("SESSION_REFRESH_EACH_REQUEST", "restart the lifetime at each visit"),
    ("SESSION_TOUCH_INTERVAL", "write a restarted lifetime at most this often"),
    ("SESSION_KEY_PREFIX", "what each key in the store begins with"),
    ("SESSION_ID_LENGTH", "random bytes in a session id"),
    ("SESSION_HASH_IDS", "store a hash in place of the id"),
    ("APPLICATION_ROOT", "the path the application lies under"),
];

/// 31 days, Flask's default.
const LIFETIME: Duration = Duration::from_secs(31 * 86_400);

/// Where sessions live: `SESSION_TYPE`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreSettings {
    /// `cookie`: in the visitors' own cookies, signed, as in Flask without an extension.
    Cookie,
    /// `sqlite`: a table in a SQLite file.
    Sqlite {
        /// `SESSION_SQLITE_PATH`, or else `DATABASE`; relative to the configuration file.
        path: PathBuf,
    },
}

/// `SESSION_COOKIE_OVERSIZE`: what to do with a session that does not fit its cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversize {
    /// Send it all the same and log a warning, as Flask does. Browsers drop it.
    Warn,
    /// Answer 500, so that nothing is lost silently.
    Error,
}

/// A secret that does not show in `Debug` output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// All settings of the session layer, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `SECRET_KEY`, when there is one. Sessions in a store need none.
    pub secret_key: Option<Secret>,
    /// `SECRET_KEY_FALLBACKS`, in Flask's order: the last is tried first.
    pub fallbacks: Vec<Secret>,
    /// The `SESSION_COOKIE_*` settings.
    pub cookie: CookieSettings,
    /// `SESSION_PERMANENT`: whether a new session outlives the browser.
    pub permanent: bool,
    /// `PERMANENT_SESSION_LIFETIME`: how long a session lives after its last change or refresh,
    /// and how long a permanent session's cookie does.
    pub lifetime: Duration,
    /// `SESSION_REFRESH_EACH_REQUEST`: whether each request restarts the lifetime.
    pub refresh_each_request: bool,
    /// `SESSION_TOUCH_INTERVAL`: how often, at most, a restarted lifetime is written to the
    /// store. Records live that much longer, so no session ends early by it.
    pub touch_interval: Duration,
    /// `SESSION_TYPE` and what belongs to it.
    pub store: StoreSettings,
    /// `MAX_COOKIE_SIZE`, in bytes; 0 for no limit.
    pub max_cookie_size: usize,
    /// `SESSION_COOKIE_OVERSIZE`.
    pub oversize: Oversize,
    /// `SESSION_KEY_PREFIX`.
    pub key_prefix: String,
    /// `SESSION_ID_LENGTH`, in bytes.
    pub id_length: usize,
    /// `SESSION_HASH_IDS`.
    pub hash_ids: bool,
}

impl Settings {
    /// Reads and checks the settings in `figment`'s selected profile, `FLASK_` environment
    /// variables over them.
    ///
    /// An upper-case name that is near to one of [`KEYS`] but none of them is refused as a
    /// misspelling; other unknown names are taken to be the application's own.
    ///
    /// # Errors
    /// Every problem found, each with its key, where it was set, and the remedy.
    pub fn from_figment(figment: &Figment) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(figment);
        reader.refuse_misspelt(KEYS.iter().map(|(key, _)| *key));
        let settings = Self::read(&mut reader);
        reader.finish(settings)
    }

    /// Reads the settings with a reader that may go on to read the application's own.
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let lifetime = reader.duration("PERMANENT_SESSION_LIFETIME").unwrap_or(LIFETIME);
        if lifetime < Duration::from_secs(1) {
            reader.refuse("PERMANENT_SESSION_LIFETIME", "must be one second or more");
        } else if lifetime > Duration::from_secs(400 * 86_400) {
            reader.refuse(
                "PERMANENT_SESSION_LIFETIME",
                "must be 400 days or less: browsers keep no cookie longer",
            );
        }
        let refresh_each_request = reader.bool("SESSION_REFRESH_EACH_REQUEST").unwrap_or(true);
        let sixtieth = Duration::from_secs((lifetime.as_secs() / 60).min(600));
        let touch_interval = reader.duration("SESSION_TOUCH_INTERVAL").unwrap_or(sixtieth);
        let id_length = reader.integer("SESSION_ID_LENGTH").unwrap_or(32);
        if !(16..=128).contains(&id_length) {
            reader.refuse("SESSION_ID_LENGTH", "must be 16 to 128 bytes; 32 is the default");
        }
        let key_prefix = reader.text("SESSION_KEY_PREFIX").unwrap_or_else(|| "session:".into());
        if key_prefix.len() > 64 || key_prefix.chars().any(|c| c.is_control() || c == ' ') {
            reader.refuse(
                "SESSION_KEY_PREFIX",
                "must be 64 bytes or less, without blanks and control characters",
            );
        }
        let secret_key = read_secret_key(reader);
        let store = read_store(reader);
        if store == StoreSettings::Cookie && secret_key.is_none() {
            reader
                .refuse("SECRET_KEY", "is missing; sessions in cookies need it (see `dewar key`)");
        }
        // Flask-Session's default; Flask's own is a session that ends with the browser.
        let permanent = store != StoreSettings::Cookie;
        Self {
            secret_key,
            fallbacks: read_fallbacks(reader),
            cookie: cookie::read(reader),
            permanent: reader.bool("SESSION_PERMANENT").unwrap_or(permanent),
            lifetime,
            refresh_each_request,
            touch_interval,
            store,
            max_cookie_size: reader
                .integer("MAX_COOKIE_SIZE")
                .map_or(4093, |size| usize::try_from(size).unwrap_or(usize::MAX)),
            oversize: read_oversize(reader),
            key_prefix,
            id_length: usize::try_from(id_length).unwrap_or(32),
            hash_ids: reader.bool("SESSION_HASH_IDS").unwrap_or(true),
        }
    }

    /// How long a record is to live in the store from now on.
    pub(crate) fn record_lifetime(&self) -> Duration {
        match self.refresh_each_request {
            true => self.lifetime + self.touch_interval,
            false => self.lifetime,
        }
    }
}

fn read_secret_key(reader: &mut Reader) -> Option<Secret> {
    let key = reader.text("SECRET_KEY").filter(|key| !key.is_empty())?;
    if key.trim().is_empty() || key.chars().all(|c| key.starts_with(c)) && key.len() > 3 {
        reader.refuse(
            "SECRET_KEY",
            "is one character repeated; take the output of `dewar key`, or of \
             `python -c 'import secrets; print(secrets.token_hex())'`",
        );
    }
    Some(Secret(key))
}

fn read_fallbacks(reader: &mut Reader) -> Vec<Secret> {
    // A lone text would be taken apart into keys of one letter each, as Flask does.
    let keys = reader.list("SECRET_KEY_FALLBACKS").unwrap_or_default();
    if keys.iter().any(String::is_empty) {
        reader.refuse("SECRET_KEY_FALLBACKS", "holds an empty key, with which anybody could sign");
    }
    keys.into_iter().map(Secret).collect()
}

fn read_oversize(reader: &mut Reader) -> Oversize {
    match reader.text("SESSION_COOKIE_OVERSIZE").as_deref() {
        None | Some("warn") => Oversize::Warn,
        Some("error") => Oversize::Error,
        Some(_) => {
            reader.refuse("SESSION_COOKIE_OVERSIZE", "must be \"warn\" or \"error\"");
            Oversize::Warn
        }
    }
}

fn read_store(reader: &mut Reader) -> StoreSettings {
    let kind = reader.text("SESSION_TYPE").unwrap_or_else(|| "sqlite".into());
    let path = reader.path("SESSION_SQLITE_PATH").or_else(|| reader.path("DATABASE"));
    let sqlite = StoreSettings::Sqlite { path: path.unwrap_or_else(|| "dewar.db".into()) };
    match kind.to_lowercase().as_str() {
        "sqlite" => sqlite,
        "cookie" => StoreSettings::Cookie,
        _ => {
            let problem = "is a store this version does not have; it has \"sqlite\" and \"cookie\"";
            reader.refuse("SESSION_TYPE", problem);
            sqlite
        }
    }
}

#[cfg(test)]
mod tests;
