//! Two nodes on one PostgreSQL and one Redis, behind a client that takes turns as a proxy does.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::servers::postgres::Postgres;
use super::servers::{Service, redis};
use super::support::{Answer, Browser, PASSWORD, Server, Site, USER, has};
use super::{fill, node};

/// The servers, and two nodes' directories.
struct Set {
    postgres: Postgres,
    redis: Service,
    sites: [Site; 2],
}

impl Set {
    fn start(test: &str) -> Option<Self> {
        let postgres = Postgres::start(test, &[])?;
        if !has(redis::is_here(), "redis-server and redis-cli", test) {
            return None;
        }
        let redis = redis::server();
        let settings = format!(
            "SESSION_TYPE = \"redis\"\nSESSION_REDIS = \"redis://127.0.0.1:{}/0\"\n\
             SESSION_STORE_TIMEOUT = 2",
            redis.port
        );
        let sites = [(); 2].map(|()| node(&postgres.url(), &settings));
        Some(Self { postgres, redis, sites })
    }

    fn filled(test: &str) -> Option<Self> {
        let set = Self::start(test)?;
        fill(&set.sites[0]);
        Some(set)
    }

    fn serve(&self) -> [Server; 2] {
        [self.sites[0].serve(), self.sites[1].serve()]
    }
}

fn restart(site: &Site, port: u16) -> Server {
    let mut command = site.command(&["serve"]);
    command.env("ROCKET_PORT", port.to_string());
    Server::start(command)
}

/// A browser behind a proxy: each request goes to the next node, or to the other one where that
/// does not answer.
struct Visitor<'p> {
    browser: Browser,
    ports: &'p [u16; 2],
    turn: usize,
}

impl<'p> Visitor<'p> {
    fn new(ports: &'p [u16; 2], turn: usize) -> Self {
        Self { browser: Browser::new(ports[0]), ports, turn }
    }

    fn ask(&mut self, ask: impl Fn(&Browser) -> Result<Answer, ureq::Error>) -> Answer {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            self.turn += 1;
            self.browser.base = format!("http://127.0.0.1:{}", self.ports[self.turn % 2]);
            match ask(&self.browser) {
                Ok(answer) => return answer,
                Err(error) => assert!(Instant::now() < deadline, "no node answers: {error}"),
            }
        }
    }

    fn get(&mut self, path: &str) -> Answer {
        self.ask(|browser| browser.try_get(path))
    }

    fn sign_in(&mut self, name: &str) {
        let form = [("username", name), ("password", PASSWORD)];
        let answer = self.ask(|browser| browser.try_post("/login", &form));
        assert_eq!(answer.status, 303, "{}", answer.body);
    }

    fn cookie(&self) -> String {
        self.browser.cookie.borrow().clone().expect("a session")
    }
}

fn is_in(ports: &[u16; 2], cookie: &str) -> [bool; 2] {
    ports.map(|port| Browser::with_cookie(port, cookie).is_signed_in())
}

#[test]
fn what_ends_sessions_on_one_node_ends_them_on_the_other_at_once() {
    let test = "what_ends_sessions_on_one_node_ends_them_on_the_other_at_once";
    let Some(set) = Set::filled(test) else { return };
    let nodes = set.serve();
    let ports = [nodes[0].port, nodes[1].port];
    let here = nodes[0].signed_in();
    let cookie = here.cookie.borrow().clone().unwrap();
    assert_eq!(is_in(&ports, &cookie), [true; 2]);
    here.post("/logout", &[]);
    assert_eq!(is_in(&ports, &cookie), [false; 2]);

    for end in [
        &["user", "passwd", USER, "--password-stdin"][..],
        &["user", "disable", USER],
        &["sessions", "revoke", "--user", USER],
        &["sessions", "revoke", "--all"],
    ] {
        let cookies = [&nodes[0], &nodes[1]].map(|node| node.signed_in().cookie.take().unwrap());
        for cookie in &cookies {
            assert_eq!(is_in(&ports, cookie), [true; 2]);
        }
        set.sites[1].run_with_input(end, PASSWORD);
        for cookie in &cookies {
            assert_eq!(is_in(&ports, cookie), [false; 2], "{end:?}");
        }
        set.sites[0].run(&["user", "enable", USER]);
    }
}

#[test]
fn two_nodes_start_at_once_on_an_empty_database() {
    let Some(set) = Set::start("two_nodes_start_at_once_on_an_empty_database") else { return };
    let nodes = std::thread::scope(|scope| {
        let starting = set.sites.each_ref().map(|site| scope.spawn(|| site.serve()));
        starting.map(|node| node.join().unwrap())
    });
    fill(&set.sites[1]);
    let cookie = nodes[0].signed_in().cookie.take().unwrap();
    assert_eq!(is_in(&[nodes[0].port, nodes[1].port], &cookie), [true; 2]);
    assert_eq!(set.postgres.sql("SELECT count(*) FROM dewar_schema"), "1");
    for node in &nodes {
        assert!(!node.log().contains("ERROR"), "{}", node.log());
    }
}

/// What was told to be done while a node was killed.
#[derive(Default)]
struct Done {
    signed_in: Mutex<Vec<String>>,
    signed_out: Mutex<Vec<String>>,
    students: Mutex<BTreeSet<i64>>,
    passwords: Mutex<Vec<(String, String)>>,
    pages: AtomicUsize,
}

fn note<T: Extend<V>, V>(list: &Mutex<T>, value: V) {
    list.lock().unwrap_or_else(PoisonError::into_inner).extend([value]);
}

#[test]
fn a_node_may_be_killed_under_load_and_nobody_is_signed_out_and_nothing_done_is_lost() {
    let test = "a_node_may_be_killed_under_load_and_nobody_is_signed_out_and_nothing_done_is_lost";
    let Some(set) = Set::filled(test) else { return };
    let accounts = ["leaver0", "leaver1", "changed0", "changed1", "changed2", "changed3"];
    for name in accounts {
        set.sites[0].run_with_input(&["user", "add", name, "--password-stdin"], PASSWORD);
    }
    let [mut first, second] = set.serve();
    let ports = [first.port, second.port];
    let (done, over) = (Done::default(), AtomicBool::new(false));
    let goes_on = || !over.load(Ordering::Relaxed);
    let is_over = || over.store(true, Ordering::Relaxed);
    std::thread::scope(|scope| {
        // Whoever fails ends the load, so that the failure is seen.
        struct Ends<F: Fn()>(F);
        impl<F: Fn()> Drop for Ends<F> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    (self.0)();
                }
            }
        }
        let (done, ports, set) = (&done, &ports, &set);
        for turn in 0..4 {
            scope.spawn(move || {
                let _ends = Ends(is_over);
                let mut visitor = Visitor::new(ports, turn);
                visitor.sign_in(USER);
                while goes_on() {
                    let page = visitor.get("/brief_introduction");
                    assert_eq!(page.status, 200, "signed out: {page:?}");
                    done.pages.fetch_add(1, Ordering::Relaxed);
                }
                note(&done.signed_in, visitor.cookie());
            });
        }
        for (turn, name) in ["leaver0", "leaver1"].into_iter().enumerate() {
            scope.spawn(move || {
                let _ends = Ends(is_over);
                let mut visitor = Visitor::new(ports, turn);
                while goes_on() {
                    visitor.sign_in(name);
                    let cookie = visitor.cookie();
                    let left = visitor.ask(|browser| browser.try_post("/logout", &[]));
                    assert_eq!(left.location(), "/login");
                    note(&done.signed_out, cookie);
                }
            });
        }
        scope.spawn(move || {
            let _ends = Ends(is_over);
            for (i, name) in ["changed0", "changed1", "changed2", "changed3"].iter().enumerate() {
                let site = &set.sites[i % 2];
                let password = format!("the next password of {name}");
                site.run_with_input(&["user", "passwd", name, "--password-stdin"], &password);
                note(&done.passwords, ((*name).to_owned(), password));
            }
            for id in (1000..).take_while(|_| goes_on()) {
                let name = format!("Student {id}");
                set.sites[0].run(&["students", "add", &name, "--id", &id.to_string()]);
                note(&done.students, id);
            }
        });

        let _ends = Ends(is_over);
        for _ in 0..2 {
            std::thread::sleep(Duration::from_secs(1));
            first.kill();
            std::thread::sleep(Duration::from_millis(500));
            first = restart(&set.sites[0], ports[0]);
        }
        std::thread::sleep(Duration::from_secs(1));
        is_over();
    });

    let pages = done.pages.load(Ordering::Relaxed);
    assert!(pages > 50, "{pages} pages");
    let all = |list: &Mutex<Vec<String>>| list.lock().unwrap().clone();
    assert_eq!(all(&done.signed_in).len(), 4);
    for cookie in all(&done.signed_in) {
        assert_eq!(is_in(&ports, &cookie), [true; 2]);
    }
    let left = all(&done.signed_out);
    assert!(left.len() > 2, "{}", left.len());
    for cookie in left {
        assert_eq!(is_in(&ports, &cookie), [false; 2], "signed out, and in again");
    }
    let reader = Browser::with_cookie(ports[0], &all(&done.signed_in)[0]);
    let students = done.students.lock().unwrap().clone();
    assert!(!students.is_empty());
    for id in students {
        assert_eq!(reader.get(&format!("/api/students/{id}")).status, 200, "{id} is lost");
    }
    let passwords = done.passwords.lock().unwrap().clone();
    assert_eq!(passwords.len(), 4);
    for (name, password) in passwords {
        let form = [("username", &*name), ("password", &*password)];
        assert_eq!(Browser::new(ports[1]).post("/login", &form).status, 303, "{name}");
    }
}

/// What the directory answers while PostgreSQL is away: within the limit, each request of a crowd.
fn is_down(set: &Set, node: &Server, cookie: &str) {
    let limit = Duration::from_secs(2 + 2);
    let visitor = || Browser::with_cookie(node.port, cookie);
    let begin = Instant::now();
    let health = visitor().get("/healthz");
    assert_eq!((health.status, &*health.body), (503, "sessions: ok\ndatabase: failing\n"));
    assert!(begin.elapsed() < limit, "{:?}", begin.elapsed());
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                let begin = Instant::now();
                let page = visitor().get("/brief_introduction");
                assert!(begin.elapsed() < limit, "{:?}", begin.elapsed());
                assert_eq!(page.status, 503);
                assert!(page.header("Retry-After").is_some(), "{page:?}");
                assert_eq!(page.header("Set-Cookie"), None);
            });
        }
    });
    let form = [("username", USER), ("password", PASSWORD)];
    for answer in [
        visitor().post("/login", &form),
        visitor().get("/detailed?id=1"),
        visitor().get("/api/students"),
    ] {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.header("Retry-After").is_some(), "{answer:?}");
    }
    assert_eq!(visitor().get("/static/style.css").status, 200);
    assert_eq!(visitor().get("/login").status, 200);
    assert!(redis::ask(set.redis.port, &["PING"]).contains("PONG"));
}

fn comes_back(node: &Server, cookie: &str) {
    let begin = Instant::now();
    while Browser::with_cookie(node.port, cookie).get("/brief_introduction").status != 200 {
        assert!(begin.elapsed() < Duration::from_secs(4), "not back");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(node.browser().get("/healthz").body, "sessions: ok\ndatabase: ok\n");
    node.signed_in();
}

#[test]
fn postgresql_may_be_killed_or_hang_and_nobody_is_signed_out() {
    let test = "postgresql_may_be_killed_or_hang_and_nobody_is_signed_out";
    let Some(mut set) = Set::filled(test) else { return };
    let node = set.sites[0].serve();
    let cookie = node.signed_in().cookie.take().unwrap();
    comes_back(&node, &cookie);

    set.postgres.hang();
    is_down(&set, &node, &cookie);
    set.postgres.go_on();
    comes_back(&node, &cookie);

    set.postgres.kill();
    is_down(&set, &node, &cookie);
    set.postgres.restart();
    comes_back(&node, &cookie);
    assert!(!node.log().contains("secret"), "{}", node.log());
}

#[test]
fn a_read_only_postgresql_still_shows_the_students() {
    let Some(set) = Set::filled("a_read_only_postgresql_still_shows_the_students") else { return };
    let node = set.sites[0].serve();
    let visitor = node.signed_in();
    let become_read_only = |is: &str| {
        set.postgres.sql(&format!(
            "ALTER ROLE dewar SET default_transaction_read_only = {is}; \
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dewar'"
        ));
    };
    become_read_only("on");
    super::support::wait_for("new connections", || {
        (visitor.get("/brief_introduction").status == 200).then_some(())
    });
    assert_eq!(visitor.get("/detailed?id=1").status, 200);
    let form = [("username", USER), ("password", PASSWORD)];
    assert_eq!(node.browser().post("/login", &form).status, 503);
    assert!(set.sites[0].fail(&["user", "disable", USER], b"").1.contains("read-only"));
    become_read_only("off");
    super::support::wait_for("new connections", || {
        (node.browser().post("/login", &form).status == 303).then_some(())
    });
    assert!(visitor.is_signed_in());
}
