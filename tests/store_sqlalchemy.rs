//! The store `sqlalchemy` keeps every store's promises on PostgreSQL, MariaDB and SQLite, and some of its own.

mod conformance;
mod servers;
mod support;

use std::sync::Arc;

use dewar::session::Settings;
use dewar::session::store::{Store, connect};
use rocket::figment::Figment;
use servers::mariadb::{self, Mariadb};
use servers::postgres::{self, Postgres};
use support::has;

/// A new connection to the table of a database.
fn open(url: &str, table: &str) -> Arc<dyn Store> {
    let settings = Settings::from_figment(
        &Figment::from(("SESSION_TYPE", "sqlalchemy"))
            .merge(("SESSION_SQLALCHEMY", url))
            .merge(("SESSION_SQLALCHEMY_TABLE", table)),
    );
    connect(&settings.unwrap()).unwrap().unwrap()
}

fn postgres(test: &str) -> Option<Postgres> {
    let programs = postgres::programs();
    has(programs.is_some(), "PostgreSQL (Debian's postgresql)", test);
    programs.map(|programs| Postgres::start(&programs))
}

fn mariadb(test: &str) -> Option<Mariadb> {
    let program = mariadb::program();
    has(program.is_some(), "MariaDB (Debian's mariadb-server)", test);
    program.map(|program| Mariadb::start(&program))
}

#[rocket::async_test]
async fn it_conforms_on_postgresql() {
    let Some(server) = postgres("it_conforms_on_postgresql") else { return };
    let url = server.url();
    conformance::all(|| async { open(&url, "sessions") }).await;
}

#[rocket::async_test]
async fn it_conforms_on_mariadb() {
    let Some(server) = mariadb("it_conforms_on_mariadb") else { return };
    let url = server.url();
    conformance::all(|| async { open(&url, "sessions") }).await;
}

#[rocket::async_test]
async fn it_conforms_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:///{}", dir.path().join("sessions.db").display());
    conformance::all(|| async { open(&url, "sessions") }).await;
}
