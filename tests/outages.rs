//! The whole server while its session store is killed, hangs, or takes no writes.

mod servers;
mod support;

use std::time::{Duration, Instant};

use servers::mariadb::Mariadb;
use servers::postgres::Postgres;
use servers::{memcached, mongodb, redis};
use support::{Answer, Browser, Server, Site, has};

/// `SESSION_STORE_TIMEOUT`.
const LIMIT: Duration = Duration::from_secs(1);
/// What a busy machine may add to that.
const LEEWAY: Duration = Duration::from_secs(2);
/// How soon after the store the service is back.
const BACK: Duration = Duration::from_secs(2);

struct Stage {
    _site: Site,
    server: Server,
    visitor: Browser,
}

impl Stage {
    fn new(settings: &str) -> Self {
        let limit = LIMIT.as_secs();
        let site = Site::new(&format!("SESSION_STORE_TIMEOUT = {limit}\n{settings}"));
        let server = site.serve();
        let visitor = server.signed_in();
        assert!(visitor.is_signed_in());
        Self { _site: site, server, visitor }
    }

    /// What a page that needs the session is answered, and the rest goes on.
    fn assert_down(&self, what: &str) {
        for (method, path) in [("GET", "/brief_introduction"), ("POST", "/logout")] {
            let answer = self.in_time(what, || self.visitor.send(method, path, &[], b"").unwrap());
            assert_eq!(answer.status, 503, "{what} {path}: {}", answer.body);
            assert!(answer.header("Retry-After").is_some(), "{what} {path}");
            assert_eq!(answer.header("Set-Cookie"), None, "{what} {path}");
        }
        let stranger = self.server.browser();
        for path in ["/static/style.css", "/login"] {
            let answer = self.in_time(what, || stranger.get(path));
            assert_eq!(answer.status, 200, "{what} {path}");
        }
        assert_eq!(self.in_time(what, || stranger.get("/brief_introduction")).status, 303);
        let health = self.in_time(what, || stranger.get("/healthz"));
        assert_eq!(health.status, 503, "{what}");
        assert_eq!(health.body, "sessions: failing\ndatabase: ok\n", "{what}");
    }

    fn in_time(&self, what: &str, ask: impl FnOnce() -> Answer) -> Answer {
        let started = Instant::now();
        let answer = ask();
        assert!(started.elapsed() < LIMIT + LEEWAY, "{what}: {:?}", started.elapsed());
        answer
    }

    /// Many at once all get their answer, and others are served beside them.
    fn assert_hung(&self) {
        let what = "hung";
        self.assert_down(what);
        let cookie = self.visitor.cookie.borrow().clone().unwrap();
        let port = self.server.port;
        let started = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..100 {
                let cookie = &cookie;
                scope.spawn(move || {
                    let answer = Browser::with_cookie(port, cookie).get("/brief_introduction");
                    assert_eq!(answer.status, 503, "{what}");
                });
            }
            let stranger = self.server.browser();
            assert_eq!(self.in_time(what, || stranger.get("/static/style.css")).status, 200);
        });
        assert!(started.elapsed() < 2 * LIMIT + LEEWAY, "{what}: {:?}", started.elapsed());
    }

    /// The service is back by itself, and nobody was signed out.
    fn assert_back(&self, what: &str) {
        let started = Instant::now();
        while self.visitor.get("/healthz").status != 200 {
            assert!(started.elapsed() < BACK + LEEWAY, "{what}: not back");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(self.visitor.is_signed_in(), "{what}: signed out");
    }
}

#[test]
fn redis_may_hang_die_and_run_full() {
    let test = "redis_may_hang_die_and_run_full";
    if !has(redis::is_here(), "Redis (Debian's redis-server and redis-tools)", test) {
        return;
    }
    let mut store = redis::server();
    let port = store.port;
    let stage = Stage::new(&format!(
        "SESSION_TYPE = 'redis'\nSESSION_REDIS = 'redis://127.0.0.1:{port}/0'"
    ));
    store.hang();
    stage.assert_hung();
    store.go_on();
    stage.assert_back("hung");
    store.kill();
    stage.assert_down("killed");
    store.restart();
    stage.assert_back("killed");

    redis::ask(port, &["CONFIG", "SET", "maxmemory", "1"]);
    assert!(stage.visitor.is_signed_in(), "reading goes on");
    let form = [("username", support::USER), ("password", support::PASSWORD)];
    let answer = stage.server.browser().post("/login", &form);
    assert_eq!((answer.status, answer.header("Set-Cookie")), (503, None));
    stage.server.wait_for_log("out of memory");
    redis::ask(port, &["CONFIG", "SET", "maxmemory", "0"]);
    stage.server.signed_in();
}

#[test]
fn memcached_may_hang() {
    let test = "memcached_may_hang";
    if !has(memcached::is_here(), "memcached (Debian's memcached)", test) {
        return;
    }
    let store = memcached::server(&[]);
    let stage = Stage::new(&format!(
        "SESSION_TYPE = 'memcached'\nSESSION_MEMCACHED = '127.0.0.1:{}'",
        store.port
    ));
    store.hang();
    stage.assert_hung();
    store.go_on();
    stage.assert_back("hung");
}

#[test]
fn postgresql_may_hang_and_die() {
    let test = "postgresql_may_hang_and_die";
    let Some(mut store) = Postgres::start(test, &[]) else { return };
    let stage =
        Stage::new(&format!("SESSION_TYPE = 'sqlalchemy'\nSESSION_SQLALCHEMY = '{}'", store.url()));
    store.hang();
    stage.assert_hung();
    store.go_on();
    stage.assert_back("hung");
    store.kill();
    stage.assert_down("killed");
    store.restart();
    stage.assert_back("killed");
}

#[test]
fn mariadb_may_hang_and_die() {
    let test = "mariadb_may_hang_and_die";
    let Some(mut store) = Mariadb::start(test) else { return };
    let stage =
        Stage::new(&format!("SESSION_TYPE = 'sqlalchemy'\nSESSION_SQLALCHEMY = '{}'", store.url()));
    store.service.hang();
    stage.assert_hung();
    store.service.go_on();
    stage.assert_back("hung");
    store.service.kill();
    stage.assert_down("killed");
    store.service.restart();
    stage.assert_back("killed");
}

#[test]
#[ignore = "the stand-in itself, which another test starts"]
fn the_stand_in() {
    mongodb::serve();
}

#[test]
fn what_stands_in_for_mongodb_may_hang() {
    let store = mongodb::stand_in("the_stand_in");
    let url = format!("mongodb://127.0.0.1:{}", store.port);
    let stage = Stage::new(&format!("SESSION_TYPE = 'mongodb'\nSESSION_MONGODB = '{url}'"));
    store.hang();
    stage.assert_hung();
    store.go_on();
    stage.assert_back("hung");
}
