//! Flask's settings, read once and checked as a whole.

mod cookie;
mod duration;
mod elsewhere;
pub(crate) mod env;
mod filesystem;
mod host;
mod lifetimes;
mod reader;
mod secret;
mod stores;

use std::fmt;
use std::time::Duration;

use figment::Figment;

use super::codec::Format;
use super::cookie::CookieSettings;
use super::signing::Signer;
#[cfg(feature = "app")]
pub(crate) use duration::parse as parse_duration;
pub(crate) use elsewhere::overlap;
pub use env::FlaskEnv;
#[cfg(feature = "app")]
pub(crate) use env::SECRETS;
pub use filesystem::{FileHash, FileSettings};
pub(crate) use host::host_in_ascii;
#[cfg(feature = "app")]
pub(crate) use reader::without_excerpt;
pub use reader::{Origin, Reader, SettingsError};
pub use stores::StoreSettings;

/// The names this layer reads, with what each does in a line.
///
/// `dewar check` prints them; a name near to one of them, but not in the list, stops the launch.
pub fn keys() -> impl Iterator<Item = &'static (&'static str, &'static str)> + Clone {
    KEYS.iter().chain(stores::KEYS)
}

/// Where a missing key comes from.
const KEY_REMEDY: &str =
    "(`dewar key` prints one; a service's own is found by CREDENTIALS_DIRECTORY)";

const KEYS: &[(&str, &str)] = &[
    ("SECRET_KEY", "signs cookies; 32 random bytes or more"),
    ("SECRET_KEY_FALLBACKS", "older keys, which verify only"),
    ("MAX_COOKIE_SIZE", "warn when the session cookie is longer; 0 does not"),
    ("SESSION_COOKIE_OVERSIZE", "\"warn\" of a longer cookie, or answer an \"error\""),
    ("SESSION_SERIALIZATION_FORMAT", "how a store holds sessions: \"msgpack\" or \"json\""),
    ("SESSION_COOKIE_NAME", "the cookie's name"),
    ("SESSION_COOKIE_DOMAIN", "the cookie's Domain; unset: this host alone"),
    ("SESSION_COOKIE_PATH", "the cookie's Path; unset: APPLICATION_ROOT"),
    ("SESSION_COOKIE_HTTPONLY", "keep the cookie from scripts"),
    ("SESSION_COOKIE_SECURE", "send the cookie over https only"),
    ("SESSION_COOKIE_SAMESITE", "\"Strict\", \"Lax\" or \"None\"; empty leaves the attribute out"),
    ("SESSION_COOKIE_PARTITIONED", "one cookie for each top-level site; implies Secure"),
    ("SESSION_PERMANENT", "whether new sessions outlive the browser"),
    ("PERMANENT_SESSION_LIFETIME", "seconds, or text such as \"31 days\""),
    ("SESSION_IDLE_LIFETIME", "end a session that was not used for so long; unset: no such limit"),
    ("SESSION_ABSOLUTE_LIFETIME", "end a session so long after it began, used or not"),
    ("SESSION_ROTATE_AFTER", "give a session a new id when its id is so old; unset: never"),
    ("SESSION_ROTATE_GRACE", "how long the old id still leads to the session"),
    ("SESSION_REFRESH_EACH_REQUEST", "restart the lifetime at each visit"),
    ("SESSION_EAGER", "open the session on every request, as Flask does"),
    ("SESSION_TOUCH_INTERVAL", "write a restarted lifetime at most this often"),
    ("SESSION_KEY_PREFIX", "what each key in the store begins with"),
    ("SESSION_ID_LENGTH", "random bytes in a session id"),
    ("SESSION_USE_SIGNER", "sign the id in the cookie, where a store holds sessions"),
    ("SESSION_HASH_IDS", "store a hash in place of the id"),
    ("APPLICATION_ROOT", "the path the application lies under"),
];

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
    /// `SESSION_IDLE_LIFETIME`: how long a session lives that is not used, if it is limited. Any
    /// request that opens it uses it.
    pub idle_lifetime: Option<Duration>,
    /// `SESSION_ABSOLUTE_LIFETIME`: how long a session lives however much it is used, if that is
    /// limited.
    pub absolute_lifetime: Option<Duration>,
    /// `SESSION_ROTATE_AFTER`: how old a session's id may be before the next request that opens the
    /// session gives it a new one, if there is a limit. Always `None` where sessions live in cookies.
    pub rotate_after: Option<Duration>,
    /// `SESSION_ROTATE_GRACE`: how long an id that was replaced for its age still leads to the
    /// session.
    pub rotate_grace: Duration,
    /// `SESSION_REFRESH_EACH_REQUEST`: whether each request restarts the lifetime.
    pub refresh_each_request: bool,
    /// `SESSION_EAGER`: whether every request opens the session, as Flask does, and not only one
    /// whose handler asks for it.
    pub eager: bool,
    /// `SESSION_TOUCH_INTERVAL`: how often, at most, a restarted lifetime is written to the
    /// store. Records live that much longer, so no session ends early by it.
    pub touch_interval: Duration,
    /// `SESSION_TYPE` and what belongs to it.
    pub store: StoreSettings,
    /// `SESSION_MIGRATE_FROM`: where sessions are that have not moved here yet. Those that the
    /// store does not know are looked for there, and moved when they are found.
    pub migrate_from: Option<Box<Settings>>,
    /// `SESSION_SERIALIZATION_FORMAT`: the form of the store's records, which in files is always
    /// Python's pickle. Others are read too.
    pub format: Format,
    /// `SESSION_STORE_TIMEOUT`: how long a store on the network may take to answer.
    pub store_timeout: Duration,
    /// `SESSION_CLEANUP_N_REQUESTS`: sweep the store about every so many requests, besides once a
    /// minute.
    pub cleanup_n_requests: Option<u64>,
    /// `MAX_COOKIE_SIZE`, in bytes; 0 for no limit.
    pub max_cookie_size: usize,
    /// `SESSION_COOKIE_OVERSIZE`.
    pub oversize: Oversize,
    /// `SESSION_KEY_PREFIX`.
    pub key_prefix: String,
    /// `SESSION_ID_LENGTH`, in bytes.
    pub id_length: usize,
    /// `SESSION_USE_SIGNER`.
    pub use_signer: bool,
    /// `SESSION_HASH_IDS`.
    pub hash_ids: bool,
}

impl Settings {
    /// Reads and checks the settings in `figment`'s selected profile, `FLASK_` environment
    /// variables over them.
    ///
    /// An upper-case name that is near to one of [`keys`] but none of them is refused as a
    /// misspelling; other unknown names are taken to be the application's own.
    ///
    /// # Errors
    /// Every problem found, each with its key, where it was set, and the remedy.
    pub fn from_figment(figment: &Figment) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(figment);
        reader.refuse_misspelt(keys().map(|(key, _)| *key));
        let settings = Self::read(&mut reader);
        reader.finish(settings)
    }

    /// Reads the settings with a reader that may go on to read the application's own.
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let lifetimes = lifetimes::read(reader);
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
        let store = stores::read(reader);
        if store == StoreSettings::Cookie && secret_key.is_none() {
            reader.refuse(
                "SECRET_KEY",
                format!("is missing; sessions in cookies need it {KEY_REMEDY}"),
            );
        }
        let use_signer = reader.bool("SESSION_USE_SIGNER").unwrap_or(false);
        if use_signer && secret_key.is_none() {
            reader.refuse(
                "SECRET_KEY",
                format!("is missing; SESSION_USE_SIGNER needs it {KEY_REMEDY}"),
            );
        }
        let format = match (read_format(reader), &store) {
            (_, StoreSettings::Filesystem(_)) => Format::Pickle,
            (format, _) => format,
        };
        // Flask-Session's default; Flask's own is a session that ends with the browser.
        let permanent = store != StoreSettings::Cookie;
        Self {
            secret_key,
            fallbacks: read_fallbacks(reader),
            cookie: cookie::read(reader),
            permanent: reader.bool("SESSION_PERMANENT").unwrap_or(permanent),
            lifetime: lifetimes.lifetime,
            idle_lifetime: lifetimes.idle,
            absolute_lifetime: lifetimes.absolute,
            // A session in its cookie has no id.
            rotate_after: lifetimes.rotate_after.filter(|_| store != StoreSettings::Cookie),
            rotate_grace: lifetimes.rotate_grace,
            refresh_each_request: reader.bool("SESSION_REFRESH_EACH_REQUEST").unwrap_or(true),
            eager: reader.bool("SESSION_EAGER").unwrap_or(false),
            touch_interval: lifetimes.touch_interval,
            migrate_from: elsewhere::read_migrate_from(reader, &store, &key_prefix),
            store,
            store_timeout: read_store_timeout(reader),
            cleanup_n_requests: reader.integer("SESSION_CLEANUP_N_REQUESTS"),
            format,
            max_cookie_size: reader
                .integer("MAX_COOKIE_SIZE")
                .map_or(4093, |size| usize::try_from(size).unwrap_or(usize::MAX)),
            oversize: read_oversize(reader),
            key_prefix,
            id_length: usize::try_from(id_length).unwrap_or(32),
            use_signer,
            hash_ids: reader.bool("SESSION_HASH_IDS").unwrap_or(true),
        }
    }

    /// What signs for one purpose with `SECRET_KEY`, and verifies with the older keys too.
    pub(crate) fn signer(&self, salt: &str) -> Signer {
        let key = self.secret_key.as_ref().map_or("", |key| key.expose());
        let fallbacks: Vec<_> =
            self.fallbacks.iter().map(|key| key.expose().as_bytes().to_vec()).collect();
        Signer::new(key.as_bytes(), &fallbacks, salt)
    }
}

fn read_secret_key(reader: &mut Reader) -> Option<Secret> {
    let key = reader.text("SECRET_KEY").filter(|key| !key.is_empty())?;
    // Whoever develops may take Flask's "dev".
    if let Some(weakness) = secret::weakness(&key).filter(|_| !is_debug(reader)) {
        let remedy = "so that others could sign sessions; take the output of `dewar key`, or of \
                      `python -c 'import secrets; print(secrets.token_hex())'`";
        let kept = match secret::guessable(&key) {
            Some(_) => "",
            None => ", and keep this one in SECRET_KEY_FALLBACKS until its cookies have run out",
        };
        reader.refuse("SECRET_KEY", format!("{weakness}, {remedy}{kept}"));
    }
    Some(Secret(key))
}

fn is_debug(reader: &mut Reader) -> bool {
    reader.bool("DEBUG").unwrap_or(false)
}

fn read_fallbacks(reader: &mut Reader) -> Vec<Secret> {
    // A lone text would be taken apart into keys of one letter each, as Flask does.
    let keys = reader.list("SECRET_KEY_FALLBACKS").unwrap_or_default();
    if keys.iter().any(String::is_empty) {
        reader.refuse("SECRET_KEY_FALLBACKS", "holds an empty key, with which anybody could sign");
    } else if let Some(weakness) = keys.iter().find_map(|key| secret::guessable(key))
        && !is_debug(reader)
    {
        let problem = format!("holds a key that {weakness}, so that others could sign sessions");
        reader.refuse("SECRET_KEY_FALLBACKS", problem);
    }
    keys.into_iter().map(Secret).collect()
}

fn read_store_timeout(reader: &mut Reader) -> Duration {
    let key = "SESSION_STORE_TIMEOUT";
    let limit = reader.duration(key).unwrap_or(Duration::from_secs(2));
    if !(Duration::from_millis(50)..=Duration::from_secs(60)).contains(&limit) {
        reader.refuse(key, "must be 0.05 seconds to a minute; 2 seconds is the default");
    }
    limit
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

fn read_format(reader: &mut Reader) -> Format {
    match reader.text("SESSION_SERIALIZATION_FORMAT").as_deref() {
        None | Some("msgpack") => Format::MessagePack,
        Some("json") => Format::Json,
        Some(_) => {
            reader.refuse("SESSION_SERIALIZATION_FORMAT", "must be \"msgpack\" or \"json\"");
            Format::MessagePack
        }
    }
}

#[cfg(test)]
mod tests;
