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
mod clients;
#[cfg(feature = "app")]
pub mod config;
#[cfg(feature = "app")]
pub mod db;
#[cfg(feature = "app")]
mod descriptors;
#[cfg(feature = "app")]
pub mod logging;
#[cfg(feature = "app")]
pub mod metrics;
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
    use rocket::fairing::AdHoc;
    use rocket::{Build, Orbit, Rocket};

    use crate::auth::password::Passwords;
    use crate::auth::throttle::Throttle;
    use crate::auth::{self, Accounts, Audit, RecordClients, SignIns};
    use crate::config::{Config, ConfigError, Live};
    use crate::db::{self, Db};
    use crate::metrics::{LiveSessions, Metrics};
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
        let metrics = match config.metrics.address {
            Some(_) => Metrics::new(),
            None => Metrics::off(),
        };
        let sessions = Sessions::fairing().watched_by(metrics.watch());
        // Opened here so that a failure is reported once and in full.
        sessions.reload(&figment)?;
        for file in files(&config)? {
            file.check(CHECKED_AT_START).map_err(db::Error::from)?;
            reserve(&file, config.database_reserve);
        }
        let templates = pages::templates(&config);
        // `Template` asks for an existing directory, but the templates are built in.
        let figment = figment.merge(("template_dir", "/dev/null"));
        let rocket = rocket::custom(figment)
            .manage(Accounts::new(&db))
            .manage(SignIns::new(&db))
            .manage(Audit::new(&db))
            .manage(RecordClients::new(config.accounts.record_client))
            .manage(Students::new(&db))
            .manage(Passwords::default())
            .manage(Throttle::new(&db))
            .manage(metrics)
            .manage(LiveSessions::of(&sessions))
            .manage(Live::new(config))
            .attach(pages::Arrival::default())
            .attach(AdHoc::on_liftoff("Password hashes", |rocket| {
                Box::pin(expect_stored_hashes(rocket))
            }))
            .attach(sessions)
            .attach(templates)
            .attach(AdHoc::on_liftoff("Upkeep", |rocket| Box::pin(async move { upkeep(rocket) })));
        Ok(pages::mount(rocket))
    }

    /// Has what is over removed until the shutdown.
    fn upkeep(rocket: &Rocket<Orbit>) {
        let state = (rocket.state(), rocket.state(), rocket.state());
        let (Some(sign_ins), Some(audit), Some(live)) = state else { return };
        let (sign_ins, audit, live) =
            (SignIns::clone(sign_ins), Audit::clone(audit), Live::clone(live));
        let Some(throttle) = rocket.state::<Throttle>().cloned() else { return };
        let shutdown = rocket.shutdown();
        rocket::tokio::spawn(async move {
            let lifetime = || live.get().accounts.audit_lifetime;
            rocket::tokio::select! {
                () = auth::upkeep(&sign_ins, &audit, &throttle, lifetime) => {}
                () = shutdown => {}
            }
        });
    }

    /// What is not known here is learnt at the first sign-in to each account.
    async fn expect_stored_hashes(rocket: &Rocket<Orbit>) {
        let (Some(accounts), Some(passwords)) = (rocket.state(), rocket.state()) else { return };
        let (accounts, passwords): (&Accounts, &Passwords) = (accounts, passwords);
        match accounts.hash_parameters().await {
            Ok(stored) => passwords.expect(&stored),
            Err(error) => log::warn!("the accounts' password hashes cannot be read: {error}"),
        }
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
