//! The command line: arguments to a command, one error on standard error, an exit status.

mod audit;
mod backup;
mod check;
mod cookie;
mod database;
mod demo;
mod flask_config;
mod generate;
mod init;
mod serve;
mod sessions;
mod stop;
mod students;
mod systemd;
mod terminal;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use figment::Figment;
use rocket::tokio::runtime::Builder;

use crate::config::{self, Config, ConfigError};
use crate::db::{self, Db};
use crate::{StartError, logging, session};

/// A login-protected student directory on a SQLite file or a PostgreSQL server.
///
/// Without a command it serves. Settings come from Rocket.toml, from ROCKET_… variables for the
/// server's own and from FLASK_… variables for Flask's; `dewar check` shows them all.
#[derive(Debug, Parser)]
#[command(name = "dewar", version, max_term_width = 100)]
#[command(
    after_help = "Example: dewar demo\n\nExit status: 0 done, 1 failed, 2 wrong usage or configuration."
)]
struct Cli {
    /// The configuration file [default: Rocket.toml, if it exists]
    #[arg(long, short, global = true, env = "ROCKET_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON where there is something to print
    #[arg(long, global = true)]
    json: bool,
    /// Log more
    #[arg(long, short, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the directory until SIGTERM or SIGINT; SIGHUP reads the settings again
    #[command(after_help = "Example: dewar serve --config /etc/dewar/Rocket.toml")]
    Serve,
    /// Try it: three students, an account, no files left behind
    #[command(after_help = "Example: dewar demo --port 8080")]
    Demo(demo::Arguments),
    /// Write a Rocket.toml with a fresh key, make the database and the first account
    #[command(
        after_help = "Example: printf %s \"$PASSWORD\" | dewar init --user teacher --password-stdin\n\n\
                      A Flask application's settings: dewar init --from-flask ../app/config.py"
    )]
    Init(init::Arguments),
    /// Check the configuration and show every setting with where it comes from
    #[command(after_help = "Example: dewar check --config /etc/dewar/Rocket.toml")]
    Check,
    /// Print a fresh SECRET_KEY
    #[command(after_help = "Example: (umask 077; dewar key > /etc/dewar/SECRET_KEY)")]
    Key,
    /// Manage the accounts
    #[command(subcommand, after_help = "Example: dewar user add teacher")]
    User(user::Command),
    /// Manage the students
    #[command(subcommand, after_help = "Example: dewar students import class.csv")]
    Students(students::Command),
    /// See and end sessions
    #[command(subcommand, after_help = "Example: dewar sessions revoke --user teacher")]
    Sessions(sessions::Command),
    /// Show who signed in, who failed to, and what was done to accounts
    #[command(after_help = "Example: dewar audit --since 7d --user teacher")]
    Audit(audit::Arguments),
    /// Look into Flask's session cookies, and make them
    #[command(subcommand, after_help = "Example: dewar cookie decode eyJhIjoxfQ.ZjiB2Q.6-gS…")]
    Cookie(cookie::Command),
    /// Move accounts and students between SQLite and PostgreSQL
    #[command(subcommand, after_help = "Example: dewar database copy --to dewar.db")]
    Database(database::Command),
    /// Copy the SQLite database to a file, while the server runs
    #[command(after_help = "Example: dewar backup /var/backups/dewar.db")]
    Backup(backup::BackupArguments),
    /// Put a backup in the place of the SQLite database, while the server runs
    #[command(after_help = "Example: dewar restore /var/backups/dewar.db --yes")]
    Restore(backup::RestoreArguments),
    /// Print a completion script
    #[command(after_help = "Example: dewar completions bash > /etc/bash_completion.d/dewar")]
    Completions(generate::CompletionsArguments),
    /// Print the man page
    #[command(after_help = "Example: dewar man | man -l -")]
    Man(generate::ManArguments),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The arguments or the configuration are wrong: exit status 2.
    #[error("{0}")]
    Usage(String),
    /// It did not work: exit status 1.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Config(error) => error.into(),
            error => Self::failed(error),
        }
    }
}

macro_rules! failures {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::failed(error)
            }
        }
    )*};
}

failures!(
    db::Error,
    crate::sqlite::Error,
    session::Error,
    crate::auth::password::Error,
    std::io::Error,
    serde_json::Error
);

/// What every command is told.
struct Context {
    config: Option<PathBuf>,
    json: bool,
}

impl Context {
    fn figment(&self) -> Result<Figment, Failure> {
        let file = config::locate(self.config.as_deref())?;
        Ok(config::figment(file.as_deref())?)
    }

    fn config(&self) -> Result<Config, Failure> {
        Ok(Config::from_figment(&self.figment()?)?)
    }

    fn db(&self) -> Result<Db, Failure> {
        let config = self.config()?;
        Ok(Db::open(&config.database, config.sessions.store_timeout)?)
    }
}

/// Runs what waits for a database or a store.
fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    Builder::new_current_thread().enable_all().build()?.block_on(future)
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.verbose);
    let context = Context { config: cli.config, json: cli.json };
    let result = match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(&context),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Init(arguments) => init::run(&context, &arguments),
        Command::Check => check::run(&context),
        Command::Key => generate::key(context.json),
        Command::User(command) => block_on(user::run(&context, command)),
        Command::Students(command) => block_on(students::run(&context, command)),
        Command::Sessions(command) => block_on(sessions::run(&context, command)),
        Command::Audit(arguments) => block_on(audit::run(&context, &arguments)),
        Command::Cookie(command) => cookie::run(&context, command),
        Command::Database(command) => block_on(database::run(&context, command)),
        Command::Backup(arguments) => backup::backup(&context, &arguments),
        Command::Restore(arguments) => backup::restore(&context, &arguments),
        Command::Completions(arguments) => generate::completions(&arguments),
        Command::Man(arguments) => generate::man(&arguments),
    };
    match result {
        Ok(()) => {
            log::logger().flush();
            ExitCode::SUCCESS
        }
        Err(failure) => {
            for line in failure.to_string().lines() {
                logging::fatal(line);
            }
            log::logger().flush();
            ExitCode::from(if matches!(failure, Failure::Usage(_)) { 2 } else { 1 })
        }
    }
}
