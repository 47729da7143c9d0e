//! A database that is down, hung, refusing or read-only: errors in time, and service again by
//! itself.

use std::time::Instant;

use super::*;
use dewar::session::Error;
use dewar::session::store::Replacement;
use rocket::tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(1);

/// Where a session lives that must outlive every outage.
struct Site {
    store: Arc<dyn Store>,
    key: StoreKey,
}

impl Site {
    async fn new(url: &str) -> Self {
        let store = open_with(url, &[("SESSION_STORE_TIMEOUT", "1s")]);
        let key = key();
        assert!(store.create(&key, b"here", LONG).await.unwrap());
        Self { store, key }
    }

    fn unchanged(&self) -> Replacement {
        Replacement::Bytes { bytes: b"here".to_vec(), ttl: LONG }
    }

    /// Reads and writes fail, in time and in words.
    async fn is_down(&self) {
        for _ in 0..3 {
            self.fails(self.store.load(&self.key)).await;
            self.cannot_be_written().await;
            self.fails(self.store.ping()).await;
        }
    }

    async fn cannot_be_written(&self) -> String {
        self.fails(self.store.touch(&self.key, LONG)).await;
        self.fails(self.store.delete(&key())).await;
        self.fails(self.store.replace(&self.key, b"here", &self.unchanged())).await
    }

    async fn fails<T>(&self, operation: impl Future<Output = Result<T, Error>>) -> String {
        let in_time = timeout(LIMIT + Duration::from_millis(500), operation).await;
        let error = in_time.expect("an answer in time").err().expect("an error");
        let shown = format!("{error} {error:?}");
        for secret in ["secret", self.key.as_str(), "here"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        error.to_string()
    }

    /// Within two seconds all is as it was, and stays so.
    async fn is_back(&self) {
        let began = Instant::now();
        while let Err(error) = self.works().await {
            assert!(began.elapsed() < Duration::from_secs(2), "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for _ in 0..20 {
            self.works().await.unwrap();
        }
    }

    async fn works(&self) -> Result<(), Error> {
        let record = self.store.load(&self.key).await?;
        assert_eq!(record.expect("nobody is signed out").bytes, b"here");
        assert!(self.store.replace(&self.key, b"here", &self.unchanged()).await?);
        Ok(())
    }

    /// So many reads at once.
    async fn many(&self, count: usize) -> Vec<(Duration, Result<(), Error>)> {
        let tasks: Vec<_> = (0..count)
            .map(|_| {
                let (store, key) = (Arc::clone(&self.store), self.key.clone());
                tokio::spawn(async move {
                    let began = Instant::now();
                    let result = store.load(&key).await;
                    (began.elapsed(), result.map(|record| assert!(record.is_some())))
                })
            })
            .collect();
        let mut results = Vec::new();
        for task in tasks {
            results.push(task.await.unwrap());
        }
        results
    }

    async fn survives_a_hang(&self, hang: impl Fn(), go_on: impl Fn()) {
        // Connections that are in use, connections that are not.
        for result in self.many(50).await {
            result.1.unwrap();
        }
        hang();
        for (took, result) in self.many(200).await {
            assert!(took < LIMIT + Duration::from_millis(500), "{took:?}");
            assert!(result.is_err());
        }
        self.is_down().await;
        go_on();
        self.is_back().await;
        for result in self.many(200).await {
            result.1.unwrap();
        }
    }
}

#[rocket::async_test]
async fn postgresql_may_be_killed_and_started_again() {
    let test = "postgresql_may_be_killed_and_started_again";
    let Some(mut server) = Postgres::start(test, &[]) else { return };
    let site = Site::new(&server.url()).await;
    for _ in 0..2 {
        server.kill();
        site.is_down().await;
        server.restart();
        site.is_back().await;
    }
}

#[rocket::async_test]
async fn mariadb_may_be_killed_and_started_again() {
    let test = "mariadb_may_be_killed_and_started_again";
    let Some(mut server) = Mariadb::start(test) else { return };
    let site = Site::new(&server.url()).await;
    for _ in 0..2 {
        server.service.kill();
        site.is_down().await;
        server.service.restart();
        site.is_back().await;
    }
}

#[rocket::async_test]
async fn postgresql_may_be_down_when_the_program_starts() {
    let test = "postgresql_may_be_down_when_the_program_starts";
    let Some(mut server) = Postgres::start(test, &[]) else { return };
    server.kill();
    let store = open_with(&server.url(), &[("SESSION_STORE_TIMEOUT", "1s")]);
    let down = store.ping().await.unwrap_err().to_string();
    assert!(down.contains("cannot use PostgreSQL at 127.0.0.1:"), "{down}");
    server.restart();
    store.ping().await.unwrap();
}

#[rocket::async_test]
async fn postgresql_may_hang() {
    let Some(server) = Postgres::start("postgresql_may_hang", &[]) else { return };
    let site = Site::new(&server.url()).await;
    site.survives_a_hang(|| server.hang(), || server.go_on()).await;
}

#[rocket::async_test]
async fn mariadb_may_hang() {
    let Some(server) = Mariadb::start("mariadb_may_hang") else { return };
    let site = Site::new(&server.url()).await;
    site.survives_a_hang(|| server.service.hang(), || server.service.go_on()).await;
}

#[rocket::async_test]
async fn postgresql_may_refuse() {
    let Some(server) = Postgres::start("postgresql_may_refuse", &[]) else { return };
    let site = Site::new(&server.url()).await;
    server.sql(
        "ALTER ROLE dewar NOLOGIN; \
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dewar'",
    );
    site.is_down().await;
    let refused = site.fails(site.store.ping()).await;
    assert!(refused.contains("is not permitted to log in"), "{refused}");
    server.sql("ALTER ROLE dewar LOGIN");
    site.is_back().await;
}

#[rocket::async_test]
async fn mariadb_may_refuse() {
    let Some(server) = Mariadb::start("mariadb_may_refuse") else { return };
    let site = Site::new(&server.url()).await;
    server.sql("ALTER USER dewar@127.0.0.1 ACCOUNT LOCK; KILL USER dewar");
    site.is_down().await;
    let refused = site.fails(site.store.ping()).await;
    assert!(refused.contains("account is locked"), "{refused}");
    server.sql("ALTER USER dewar@127.0.0.1 ACCOUNT UNLOCK");
    site.is_back().await;
}

#[rocket::async_test]
async fn postgresql_may_be_read_only() {
    let Some(server) = Postgres::start("postgresql_may_be_read_only", &[]) else { return };
    let site = Site::new(&server.url()).await;
    let set = |to| {
        server.sql(&format!("ALTER SYSTEM SET default_transaction_read_only = {to}"));
        server.sql("SELECT pg_reload_conf()");
    };
    set("on");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(site.store.load(&site.key).await.unwrap().is_some());
    let refused = site.cannot_be_written().await;
    assert!(refused.contains("read-only"), "{refused}");
    set("off");
    site.is_back().await;
}

#[rocket::async_test]
async fn mariadb_may_be_read_only() {
    let Some(server) = Mariadb::start("mariadb_may_be_read_only") else { return };
    let site = Site::new(&server.url()).await;
    server.sql("SET GLOBAL read_only = ON");
    assert!(site.store.load(&site.key).await.unwrap().is_some());
    let refused = site.cannot_be_written().await;
    assert!(refused.contains("read-only"), "{refused}");
    server.sql("SET GLOBAL read_only = OFF");
    site.is_back().await;
}

/// As when somebody alters the table: statements that nobody waits for any more are ended at the
/// server too, so that it does not run out of connections.
#[rocket::async_test]
async fn a_locked_table_does_not_gather_connections_at_the_server() {
    let test = "a_locked_table_does_not_gather_connections_at_the_server";
    let (Some(postgres), Some(mariadb)) = (Postgres::start(test, &[]), Mariadb::start(test)) else {
        return;
    };
    let in_postgres = "BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(6)";
    let in_mariadb = "LOCK TABLES sessions WRITE; SELECT SLEEP(6)";
    let engines: [(String, Run, &str, &str); 2] = [
        (
            postgres.url(),
            &|sql| postgres.sql(sql),
            in_postgres,
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'dewar'",
        ),
        (
            mariadb.url(),
            &|sql| mariadb.sql(sql),
            in_mariadb,
            "SELECT count(*) FROM information_schema.processlist WHERE user = 'dewar'",
        ),
    ];
    for (url, run, lock, count) in engines {
        let site = Site::new(&url).await;
        std::thread::scope(|scope| {
            scope.spawn(|| run(lock));
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(async {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    for _ in 0..4 {
                        for (took, result) in site.many(40).await {
                            assert!(took < LIMIT + Duration::from_millis(500), "{took:?}");
                            assert!(result.is_err());
                        }
                    }
                    let open: usize = run(count).parse().unwrap();
                    assert!(open <= 40, "{open} connections");
                });
            });
        });
        site.is_back().await;
    }
}
