//! The application's configuration: `Rocket.toml`, the environment, and what they mean.

mod accounts;
mod clients;
mod exposure;
mod files;
mod json;
mod logging;
mod metrics;
mod no_effect;
mod requests;
mod show;
mod templates;
mod urls;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::Value;
use rocket::data::{Limits, ToByteUnit};

use crate::db::Location;
use crate::session::Settings;
use crate::session::settings::{self, Reader, SettingsError};

pub use accounts::AccountSettings;
pub use clients::Patience;
pub use exposure::{is_own_machine, warnings as exposed};
pub use files::Files;
pub use json::JsonStyle;
pub use logging::{LogFormat, LogSettings};
pub use metrics::MetricsSettings;
pub use requests::{Requests, TrustedHost};
pub use templates::Templates;
pub use urls::Urls;

/// So much that some hundred sign-outs fit, however the log stands.
const DATABASE_RESERVE: u64 = 1024 * 1024;

/// The settings of no other group, with what each does in a line.
const KEYS: &[(&str, &str)] = &[
    (
        "DATABASE",
        "of accounts, students and, by default, sessions: a SQLite file or postgresql://…",
    ),
    ("DATABASE_RESERVE", "bytes of the disk kept for signing out when it is full; 0 keeps none"),
    ("GENDER_LABELS", "what to show in place of a stored gender"),
];

/// Rocket's settings and the two directories, all in lower case.
const ROCKET: &[&str] = &[
    "address",
    "cli_colors",
    "ident",
    "ip_header",
    "keep_alive",
    "limits",
    "log_level",
    "max_blocking",
    "port",
    "profile",
    "proxy_proto_header",
    "shutdown",
    "static_dir",
    "temp_dir",
    "template_dir",
    "tls",
    "workers",
];

/// The sections of the file that Rocket reads whatever the profile, or with a usual one.
const SECTIONS: [&str; 4] = ["default", "global", "debug", "release"];

/// Every setting there is, with what each does in a line.
pub fn keys() -> impl Iterator<Item = &'static (&'static str, &'static str)> + Clone {
    let own = [
        KEYS,
        accounts::KEYS,
        requests::KEYS,
        clients::KEYS,
        urls::KEYS,
        files::KEYS,
        json::KEYS,
        templates::KEYS,
        logging::KEYS,
        metrics::KEYS,
        no_effect::KEYS,
    ];
    settings::keys().chain(own.into_iter().flatten())
}

/// What the application runs with, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The session layer's settings.
    pub sessions: Settings,
    /// `DATABASE`.
    pub database: Location,
    /// `DATABASE_RESERVE`, in bytes: what is kept beside each SQLite file.
    pub database_reserve: u64,
    /// `GENDER_LABELS`.
    pub gender_labels: HashMap<String, String>,
    /// Passwords, and what is recorded of those who use them.
    pub accounts: AccountSettings,
    /// What requests may look like.
    pub requests: Requests,
    /// How long clients are waited for.
    pub patience: Patience,
    /// The site's own address.
    pub urls: Urls,
    /// How files are sent.
    pub files: Files,
    /// How JSON answers are written.
    pub json: JsonStyle,
    /// Where templates come from.
    pub templates: Templates,
    /// What is logged.
    pub log: LogSettings,
    /// Where metrics are served.
    pub metrics: MetricsSettings,
    /// The settings that are set and mean nothing here, each with the reason.
    pub without_effect: Vec<String>,
}

/// Why there is no configuration.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file named does not exist or cannot be read.
    #[error("cannot read {}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The file is no TOML, or one of Rocket's own settings is wrong.
    #[error("{0}")]
    Figment(String),
    /// A setting is unknown, wrong or contradicts another.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

impl Config {
    /// Reads and checks everything, Rocket's own settings included.
    ///
    /// # Errors
    /// All problems found.
    pub fn from_figment(figment: &Figment) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(figment);
        reader.refuse_unknown(keys().map(|(key, _)| *key));
        reader.refuse_lower_case(keys().map(|(key, _)| *key), ROCKET);
        refuse_what_rocket_ignores(&mut reader);
        let debug = reader.bool("DEBUG").unwrap_or(false);
        let config = Self {
            sessions: Settings::read(&mut reader),
            database: read_database(&mut reader),
            database_reserve: reader.integer("DATABASE_RESERVE").unwrap_or(DATABASE_RESERVE),
            gender_labels: reader.table("GENDER_LABELS").unwrap_or_default().into_iter().collect(),
            accounts: AccountSettings::read(&mut reader),
            requests: Requests::read(&mut reader, debug),
            patience: Patience::read(&mut reader),
            urls: Urls::read(&mut reader),
            files: Files::read(&mut reader),
            json: JsonStyle::read(&mut reader, debug),
            templates: Templates::read(&mut reader, debug),
            log: LogSettings::read(&mut reader, debug),
            metrics: MetricsSettings::read(&mut reader),
            without_effect: no_effect::read(&reader),
        };
        exposure::refuse_private_files(&mut reader, &config);
        let config = reader.finish(config)?;
        rocket_config(figment)?;
        Ok(config)
    }
}

/// What would otherwise be passed over in silence.
fn refuse_what_rocket_ignores(reader: &mut Reader) {
    if reader.value("tls").is_some() {
        reader.refuse("tls", "is not spoken here; put a proxy that speaks https in front");
    }
    let selected = reader.figment().profile().clone();
    let sections: Vec<_> = reader.figment().profiles().cloned().collect();
    for section in sections.iter().filter(|section| **section != selected) {
        let name = section.as_str().as_str();
        if ["session", "sessions", "flask", "dewar"].contains(&name) {
            let problem = "is a section that nothing reads; settings stand in [default]";
            reader.refuse(&format!("[{name}]"), problem);
        }
        let near = |known: &&&str| strsim::damerau_levenshtein(name, known) < 3 && name != **known;
        if let Some(known) = SECTIONS.iter().find(near).filter(|_| !SECTIONS.contains(&name)) {
            let problem = format!("is a section that nothing reads; did you mean [{known}]?");
            reader.refuse(&format!("[{name}]"), problem);
        }
    }
}

/// A URL of PostgreSQL's, or else a file.
fn read_database(reader: &mut Reader) -> Location {
    let key = "DATABASE";
    let value = reader.value(key).and_then(Value::into_string);
    let Some(location) = value.and_then(|text| Location::url(&text)) else {
        return Location::File(reader.path(key).unwrap_or_else(|| "dewar.db".into()));
    };
    if let Some(problem) = location.problem() {
        reader.refuse(key, format!("cannot be used: {problem}"));
    }
    location
}

/// Rocket's own settings.
///
/// # Errors
/// When one of them is wrong.
pub fn rocket_config(figment: &Figment) -> Result<rocket::Config, ConfigError> {
    rocket::Config::try_from(figment).map_err(|error| ConfigError::Figment(describe(error)))
}

fn describe(error: figment::Error) -> String {
    error.into_iter().map(|error| settings::without_excerpt(&error)).collect::<Vec<_>>().join("\n")
}

/// Where the configuration file is: `explicit`, or `ROCKET_CONFIG`, or `Rocket.toml` in the
/// working directory if there is one.
///
/// # Errors
/// When a file that was named is not there.
pub fn locate(explicit: Option<&Path>) -> Result<Option<PathBuf>, ConfigError> {
    let named =
        explicit.map(Path::to_path_buf).or_else(|| Some(std::env::var_os("ROCKET_CONFIG")?.into()));
    let Some(path) = named else {
        let default = PathBuf::from("Rocket.toml");
        return Ok(default.exists().then_some(default));
    };
    match std::fs::File::open(&path) {
        Ok(_) => Ok(Some(path)),
        Err(error) => Err(ConfigError::File { path, problem: error.to_string() }),
    }
}

/// Everything in order of growing weight: this program's defaults, the file, `ROCKET_…`
/// variables. `FLASK_…` variables are added where settings are read.
///
/// # Errors
/// When the file is no TOML.
pub fn figment(file: Option<&Path>) -> Result<Figment, ConfigError> {
    let profile = figment::Profile::from_env_or("ROCKET_PROFILE", rocket::Config::DEFAULT_PROFILE);
    let mut figment = Figment::from(defaults());
    if let Some(file) = file {
        figment = figment.merge(Toml::file_exact(file).nested());
    }
    figment = figment
        .merge(Env::prefixed("ROCKET_").ignore(&["PROFILE", "CONFIG"]).global())
        .select(profile);
    figment
        .extract::<figment::value::Dict>()
        .map_err(|error| ConfigError::Figment(describe(error)))?;
    let mut reader = Reader::new(&figment);
    let body = reader.integer("MAX_CONTENT_LENGTH").unwrap_or(requests::MAX_CONTENT_LENGTH);
    let form = reader.integer("MAX_FORM_MEMORY_SIZE").unwrap_or(requests::MAX_FORM_MEMORY_SIZE);
    let limits = ["data-form", "string", "bytes", "file", "json"]
        .into_iter()
        .fold(Limits::new(), |limits, kind| limits.limit(kind, body.bytes()))
        .limit("form", body.min(form).bytes());
    Ok(figment.join(Serialized::default("limits", limits)))
}

/// Rocket's defaults with what a server on its own needs: no believed `X-Real-IP`, no software
/// name in answers, few threads, and a stop that waits for requests but not for idle browsers.
fn defaults() -> rocket::Config {
    rocket::Config {
        address: [127, 0, 0, 1].into(),
        port: 8000,
        ident: rocket::config::Ident::none(),
        ip_header: None,
        max_blocking: 64,
        cli_colors: false,
        keep_alive: clients::KEEP_ALIVE,
        shutdown: rocket::config::Shutdown {
            // `serve` handles the signals, and stops what is accepted first.
            ctrlc: false,
            signals: std::collections::HashSet::new(),
            grace: 2,
            mercy: 2,
            ..Default::default()
        },
        limits: Limits::new(),
        ..rocket::Config::release_default()
    }
}

/// The configuration in force. Requests take a snapshot; a reload swaps it.
#[derive(Clone)]
pub struct Live(Arc<RwLock<Arc<Config>>>);

impl Live {
    /// Puts a first configuration in force.
    pub fn new(config: Config) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(config))))
    }

    /// The configuration in force now.
    pub fn get(&self) -> Arc<Config> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another one in force.
    pub fn set(&self, config: Config) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Live(…)")
    }
}
