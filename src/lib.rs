//! Flask-style sessions for [Rocket](https://rocket.rs), and a student directory on them.
//!
//! [`session`] is the layer for applications of one's own; take the crate with
//! `default-features = false, features = ["sqlite"]` to get that alone. With the feature `app`
//! the crate is also the application behind the `dewar` command: [`rocket`](rocket()) builds it.

pub mod session;
#[cfg(feature = "sqlalchemy")]
pub mod sql;
#[cfg(feature = "sqlite")]
pub mod sqlite;

#[cfg(feature = "app")]
pub mod auth;
#[cfg(feature = "app")]
pub mod cli;
#[cfg(feature = "app")]
pub mod config;
#[cfg(feature = "app")]
pub mod db;
#[cfg(feature = "app")]
pub mod logging;
#[cfg(feature = "app")]
mod pages;
#[cfg(feature = "app")]
pub mod students;

#[cfg(feature = "app")]
pub use app::{StartError, rocket};

#[cfg(feature = "app")]
mod app {
    use std::sync::Arc;

    use figment::Figment;
    use rocket::{Build, Rocket};

    use crate::auth::Accounts;
    use crate::auth::password::Passwords;
    use crate::auth::throttle::Throttle;
    use crate::config::{Config, ConfigError, Live};
    use crate::db::{self, Db};
    use crate::pages;
    use crate::session::settings::StoreSettings;
    use crate::session::{Sessions, SetupError};
    use crate::sqlite::Database;
    use crate::students::Students;

    /// A larger file is not read through at the start, which should not take long.
    const CHECKED_AT_START: u64 = 32 * 1024 * 1024;

    /// Why the application cannot start.
    #[derive(Debug, thiserror::Error)]
    #[non_exhaustive]
    pub enum StartError {
        /// The configuration.
        #[error(transparent)]
        Config(#[from] ConfigError),
        /// The accounts' and students' database.
        #[error(transparent)]
        Database(#[from] db::Error),
        /// The session store.
        #[error(transparent)]
        Sessions(#[from] SetupError),
    }

    /// The whole application: configuration checked, database opened and migrated, everything
    /// attached in its order.
    ///
    /// # Errors
    /// When the configuration is wrong or the database cannot be used.
    pub fn rocket(figment: Figment) -> Result<Rocket<Build>, StartError> {
        let config = Config::from_figment(&figment)?;
        let db = Db::open(&config.database, config.sessions.store_timeout)?;
        // Opened here so that a failure is reported once and in full.
        let sessions = Sessions::open(&figment)?;
        for file in files(&config)? {
            file.check(CHECKED_AT_START).map_err(db::Error::from)?;
            reserve(&file, config.database_reserve);
        }
        let templates = pages::templates(&config);
        // `Template` asks for an existing directory, but the templates are built in.
        let figment = figment.merge(("template_dir", "/dev/null"));
        let rocket = rocket::custom(figment)
            .manage(Accounts::new(&db))
            .manage(Students::new(&db))
            .manage(Passwords::default())
            .manage(Throttle::new(&db))
            .manage(Live::new(config))
            .attach(sessions)
            .attach(templates);
        Ok(pages::mount(rocket))
    }

    /// The SQLite files in use.
    fn files(config: &Config) -> Result<Vec<Arc<Database>>, db::Error> {
        let sessions = match &config.sessions.store {
            StoreSettings::Sqlite { path } => Some(path),
            _ => None,
        };
        let paths = config.database.file().into_iter().chain(sessions);
        let mut files = paths.map(|path| Database::open(path)).collect::<Result<Vec<_>, _>>()?;
        files.dedup_by(|one, other| Arc::ptr_eq(one, other));
        Ok(files)
    }

    /// Keeps some of the disk for signing out, or tells why not: nothing else depends on it.
    fn reserve(file: &Database, bytes: u64) {
        let path = file.path().display();
        match file.keep_reserve(bytes) {
            Ok(true) => {}
            Ok(false) => log::warn!(
                "the disk of {path} has too little space for DATABASE_RESERVE: when it is full, \
                 signing out may answer 503"
            ),
            Err(error) => log::warn!("DATABASE_RESERVE cannot be kept: {error}"),
        }
    }
}

/// Compiles the README's examples.
#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct Readme;
