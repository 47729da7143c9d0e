//! `dewar demo`: a server with something to see, and nothing left behind.

use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use figment::Figment;
use rocket::fairing::AdHoc;
use rocket::tokio::signal::unix::{SignalKind, signal};
use rocket::{Orbit, Rocket};

use super::{Failure, serve, terminal};
use crate::auth::Accounts;
use crate::auth::password;
use crate::config;
use crate::db::{Db, Location};
use crate::students::{OnConflict, Student, Students};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8000)]
    port: u16,
}

const NAME: &str = "gkf";
const PASSWORD: &str = "123";

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    without_configuration()?;
    let dir = tempfile::Builder::new()
        .prefix("dewar-demo-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir()?;
    let database = dir.path().join("demo.db");
    super::block_on(fill(&database))?;
    let figment = Figment::from(config::figment(None)?)
        .merge(("address", "127.0.0.1"))
        .merge(("port", arguments.port))
        .merge(("DATABASE", &database))
        .merge(("DATABASE_RESERVE", 0))
        .merge(("GENDER_LABELS.Unknown", "male"));
    serve::launch(figment, |rocket| {
        rocket.attach(AdHoc::on_liftoff("Demo", |rocket| {
            Box::pin(async move {
                let _ = terminal::print(&format!(
                    "Dewar demo: http://127.0.0.1:{}\nAccount:    {NAME}\nPassword:   {PASSWORD}\n\
                     Everything is in a temporary directory and gone afterwards. Stop with Ctrl-C.\n",
                    rocket.config().port
                ));
                leave_with_the_terminal(rocket);
            })
        }))
    })
}

/// Has a terminal that is closed stop the demo as Ctrl-C does, so that nothing is left behind.
fn leave_with_the_terminal(rocket: &Rocket<Orbit>) {
    let shutdown = rocket.shutdown();
    if let Ok(mut hangups) = signal(SignalKind::hangup()) {
        rocket::tokio::spawn(async move {
            hangups.recv().await;
            shutdown.notify();
        });
    }
}

/// Starts this program anew without the variables that configure it, if there are any: the demo
/// must never open somebody's real database.
fn without_configuration() -> Result<(), Failure> {
    let configures = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with("FLASK_") || name.starts_with("ROCKET_")
    };
    let names: Vec<_> = std::env::vars_os().map(|(name, _)| name).filter(configures).collect();
    if names.is_empty() {
        return Ok(());
    }
    let mut again = Command::new(std::env::current_exe()?);
    again.args(std::env::args_os().skip(1));
    for name in names {
        again.env_remove(name);
    }
    Err(again.exec().into())
}

async fn fill(database: &Path) -> Result<(), Failure> {
    let db = Db::open(&Location::File(database.into()), Duration::MAX)?;
    Accounts::new(&db).add(NAME, password::hash(PASSWORD)?).await?;
    let student = |id, name: &str, age, gender: &str| Student {
        id,
        name: name.into(),
        age: Some(age),
        gender: Some(gender.into()),
    };
    let students = vec![
        student(1, "Steel Eggs", 17, "Unknown"),
        student(2, "Iron Egg", 19, "male"),
        student(3, "maidservant", 18, "female"),
    ];
    Students::new(&db).import(students, OnConflict::Refuse, |_| {}).await?;
    Ok(())
}
