//! The store `sqlalchemy` keeps every store's promises on PostgreSQL, MariaDB and SQLite, and some
//! of its own.

mod conformance;
#[path = "store_sqlalchemy/outages.rs"]
mod outages;
mod servers;
mod support;
#[path = "store_sqlalchemy/table.rs"]
mod table;
#[path = "store_sqlalchemy/tls.rs"]
mod tls;

use std::sync::Arc;
use std::time::Duration;

use dewar::session::store::{Store, connect};
use dewar::session::{SessionId, Settings, StoreKey};
use rocket::figment::Figment;
use rocket::tokio;
use servers::mariadb::Mariadb;
use servers::postgres::Postgres;

/// Runs statements at a server, past the store.
type Run<'a> = &'a (dyn Fn(&str) -> String + Sync);

const LONG: Duration = Duration::from_secs(3600);

fn key() -> StoreKey {
    SessionId::generate(32).unwrap().store_key("session:", false)
}

/// The settings for a database, with more of them.
fn settings(url: &str, more: &[(&str, &str)]) -> Settings {
    let mut figment = Figment::from(("SESSION_TYPE", "sqlalchemy"));
    for (name, value) in [("SESSION_SQLALCHEMY", url)].iter().chain(more) {
        figment = figment.merge((*name, *value));
    }
    Settings::from_figment(&figment).unwrap()
}

fn open_with(url: &str, more: &[(&str, &str)]) -> Arc<dyn Store> {
    connect(&settings(url, more)).unwrap().unwrap()
}

/// The store, with connections of its own.
fn open(url: &str) -> Arc<dyn Store> {
    open_with(url, &[])
}

fn sqlite(dir: &std::path::Path) -> String {
    format!("sqlite:///{}", dir.join("sessions.db").display())
}

#[rocket::async_test]
async fn it_conforms_on_postgresql() {
    let Some(server) = Postgres::start("it_conforms_on_postgresql", &[]) else { return };
    conformance::all(async || open(&server.url())).await;
    keys_of_another_prefix_are_left_alone(&*open(&server.url())).await;
}

#[rocket::async_test]
async fn it_conforms_on_mariadb() {
    let Some(server) = Mariadb::start("it_conforms_on_mariadb") else { return };
    conformance::all(async || open(&server.url())).await;
    keys_of_another_prefix_are_left_alone(&*open(&server.url())).await;
}

#[rocket::async_test]
async fn it_conforms_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    conformance::all(async || open(&sqlite(dir.path()))).await;
    keys_of_another_prefix_are_left_alone(&*open(&sqlite(dir.path()))).await;
}

async fn keys_of_another_prefix_are_left_alone(store: &dyn Store) {
    let id = SessionId::generate(32).unwrap();
    let [own, other, longer] = ["one:", "two:", "one::"].map(|prefix| id.store_key(prefix, false));
    for key in [&own, &other, &longer] {
        assert!(store.create(key, key.as_str().as_bytes(), LONG).await.unwrap());
    }
    let found = store.scan("two:", None, 10).await.unwrap().unwrap();
    assert_eq!(found.sessions.len(), 1);
    assert_eq!(found.sessions[0].key, other);
    assert!(store.scan("t_o:", None, 10).await.unwrap().unwrap().sessions.is_empty());
    assert!(store.scan("%", None, 10).await.unwrap().unwrap().sessions.is_empty());
    store.delete(&own).await.unwrap();
    for key in [&other, &longer] {
        let record = store.load(key).await.unwrap().unwrap();
        assert_eq!(record.bytes, key.as_str().as_bytes());
        store.delete(key).await.unwrap();
    }
}

async fn processes_lose_nothing(test: &str, start: impl FnOnce() -> Option<String>) {
    let place = match conformance::in_another_process() {
        Some(_) => Some(String::new()),
        None => start(),
    };
    let Some(place) = place else { return };
    let open = async |url: String| open(&url);
    conformance::processes_that_update_at_the_same_time_lose_nothing(test, &place, open).await;
}

#[rocket::async_test]
async fn processes_lose_nothing_on_postgresql() {
    let (test, mut server) = ("processes_lose_nothing_on_postgresql", None);
    let start = || Some(server.insert(Postgres::start(test, &[])?).url());
    processes_lose_nothing(test, start).await;
}

#[rocket::async_test]
async fn processes_lose_nothing_on_mariadb() {
    let (test, mut server) = ("processes_lose_nothing_on_mariadb", None);
    let start = || Some(server.insert(Mariadb::start(test)?).url());
    processes_lose_nothing(test, start).await;
}

#[rocket::async_test]
async fn processes_lose_nothing_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let start = || Some(sqlite(dir.path()));
    processes_lose_nothing("processes_lose_nothing_on_sqlite", start).await;
}

#[test]
fn a_url_that_cannot_be_used_is_refused_in_words_without_the_password() {
    for (url, word) in [
        ("sqlite://", "sqlite:///relative"),
        ("sqlite:///", "sqlite:///relative"),
        ("sqlite:///:memory:", "sqlite:///relative"),
        ("sqlite:////tmp/x.db?mode=ro", "mode"),
        ("sqlite:////no/such/dir/x.db", "/no/such/dir/x.db"),
        ("postgresql://dewar:hunter2@host/x?sslmode=always", "verify-full"),
        ("postgresql://dewar:hunter2@host/x?sslkey=hunter2", "sslkey"),
        ("postgresql://dewar:hunter2@host/x?nonsense=hunter2", "nonsense"),
        ("postgresql://dewar:hunter2@host:port/x", "PostgreSQL's URL"),
        ("postgresql://dewar:hunter2@host/x?sslmode=verify-full&sslrootcert=/no/x", "/no/x"),
        ("mysql://dewar:hunter2@host:port/x", "mysql://user:password"),
        ("mysql://dewar:hunter2@host/x?ssl_mode=hunter2", "VERIFY_IDENTITY"),
        ("mysql://dewar:hunter2@host/x?nonsense=hunter2", "nonsense"),
        ("mariadb+pymysql://dewar:hunter2@host/x?ssl_check_hostname=hunter2", "must be true"),
    ] {
        let refused = connect(&settings(url, &[])).map(|_| ()).unwrap_err();
        let shown = format!("{refused} {refused:?}");
        assert!(shown.contains(word), "{url}: {shown}");
        assert!(!shown.contains("hunter2"), "{url}: {shown}");
    }
}

#[test]
fn what_a_store_shows_of_itself_is_where_it_is_and_no_password() {
    for url in ["postgresql://dewar:hunter2@db.example/x", "mysql://dewar:hunter2@db.example/x"] {
        let shown = format!("{:?}", open(url));
        assert!(shown.contains("db.example") && !shown.contains("hunter2"), "{shown}");
    }
}
