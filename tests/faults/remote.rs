//! A store on the network, Redis, that is away, silent, slow, cut off, full, emptied, or talks
//! nonsense.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::harness::load::{Load, name};
use crate::harness::proxy::{Proxy, Way};
use crate::harness::row::Row;
use crate::harness::{cookie_of, kernel_has, memory, run, sign_in, site, times};
use crate::servers::{Service, find, redis};
use crate::support::{Browser, PASSWORD, Server, Site, has, wait_for};

/// `SESSION_STORE_TIMEOUT`, and what a busy machine may add.
const LIMIT: Duration = Duration::from_secs(2);
const LEEWAY: Duration = Duration::from_secs(3);
/// How soon after a fault all must be right.
const BACK: Duration = Duration::from_secs(5);

fn is_here(test: &str) -> bool {
    has(redis::is_here(), "Redis (Debian's redis-server and redis-tools)", test)
}

/// Redis that has each write on the disk before it answers.
fn durable() -> Service {
    Service::start("redis-server", |dir, port| {
        let mut command = std::process::Command::new(find("redis-server").unwrap());
        command.current_dir(dir).args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
        command
    })
}

fn site_on(port: u16) -> Site {
    site(&format!("SESSION_TYPE = 'redis'\nSESSION_REDIS = 'redis://127.0.0.1:{port}/0'"))
}

fn comes_back(server: &Server) -> Duration {
    let began = Instant::now();
    wait_for("signing in to work", || (sign_in(server) == 303).then_some(()));
    assert!(began.elapsed() < BACK, "right after {:?}", began.elapsed());
    began.elapsed()
}

/// What a page that needs the session is answered, in time.
fn assert_refused(browser: &Browser) -> Duration {
    let began = Instant::now();
    let answer = browser.get("/brief_introduction");
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.header("Retry-After").is_some() && answer.header("Set-Cookie").is_none());
    assert!(began.elapsed() < LIMIT + LEEWAY, "{:?}", began.elapsed());
    began.elapsed()
}

#[test]
fn a_store_that_is_down_at_the_start_is_503_until_it_is_up() {
    if !is_here("a_store_that_is_down_at_the_start_is_503_until_it_is_up") {
        return;
    }
    let mut row = Row::new(20, "store down at the start");
    let mut store = redis::server();
    for _ in 0..times(1, 10) {
        store.kill();
        let site = site_on(store.port);
        let server = site.serve();
        assert_eq!(server.browser().get("/login").status, 200);
        assert_eq!(server.browser().get("/static/style.css").status, 200);
        assert_eq!(sign_in(&server), 503);
        assert_eq!(server.browser().get("/healthz").status, 503);
        server.wait_for_log("the session store failed to");
        store.restart();
        let back = comes_back(&server);
        row.rounds += 1;
        row.tell(format!("right after {back:.1?}"));
    }
}

#[test]
fn a_killed_store_signs_nobody_out() {
    if !is_here("a_killed_store_signs_nobody_out") {
        return;
    }
    let mut row = Row::new(21, "store killed and back (Redis, appendfsync always)");
    let mut store = durable();
    let site = site_on(store.port);
    let server = site.serve();
    let (mut slowest, mut latest) = (Duration::ZERO, Duration::ZERO);
    for round in 0..times(3, 50) {
        let visitor = server.signed_in();
        let load = Load::on(server.port);
        std::thread::sleep(Duration::from_millis(300 + (round as u64 * 137) % 500));
        store.kill();
        slowest = slowest.max(assert_refused(&visitor));
        std::thread::sleep(Duration::from_secs(times(1, 10) as u64));
        store.restart();
        latest = latest.max(comes_back(&server));
        let ledger = load.stop();
        let found = ledger.replay(server.port);
        row.rounds += 1;
        row.acknowledged += ledger.acknowledged();
        row.holds(found.lost, found.revived);
    }
    row.tell(format!("503 within {slowest:.2?}; right {latest:.1?} after the store at most"));
}

#[test]
fn a_silent_store_is_503_in_time_for_everybody() {
    if !is_here("a_silent_store_is_503_in_time_for_everybody") {
        return;
    }
    let mut row = Row::new(22, "store silent behind a proxy");
    let store = redis::server();
    let proxy = Proxy::to(store.port);
    let site = site_on(proxy.port);
    let server = site.serve();
    let cookie = cookie_of(&server.signed_in());
    for _ in 0..times(1, 10) {
        proxy.set(Way::Silent);
        let port = server.port;
        let mut slowest = Duration::ZERO;
        std::thread::scope(|scope| {
            let asked: Vec<_> = (0..100)
                .map(|_| scope.spawn(|| assert_refused(&Browser::with_cookie(port, &cookie))))
                .collect();
            assert_eq!(server.browser().get("/static/style.css").status, 200);
            for answer in asked {
                slowest = slowest.max(answer.join().unwrap());
            }
        });
        proxy.set(Way::Open);
        let back = comes_back(&server);
        assert!(Browser::with_cookie(port, &cookie).is_signed_in());
        row.rounds += 100;
        row.tell(format!("100 of 100 within {slowest:.1?}, right after {back:.1?}"));
    }
}

#[test]
fn a_connection_cut_anywhere_gives_nobody_anothers_answer() {
    if !is_here("a_connection_cut_anywhere_gives_nobody_anothers_answer") {
        return;
    }
    let mut row = Row::new(23, "connections cut after n bytes of the answers, n = 0..300");
    let store = redis::server();
    let proxy = Proxy::to(store.port);
    let site = site_on(proxy.port);
    let server = site.serve();
    let visitors: Vec<_> = (0..2)
        .map(|client| {
            let browser = server.browser();
            let form = [("username", &*name(client)), ("password", PASSWORD)];
            assert_eq!(browser.post("/login", &form).status, 303);
            (name(client), cookie_of(&browser))
        })
        .collect();
    let mut answers = std::collections::BTreeMap::<u16, usize>::new();
    for cut in (0..=300).step_by(times(20, 1)) {
        // The eight share the connection that is there, and are cut off in the middle of it.
        proxy.set(Way::Open);
        assert!(Browser::with_cookie(server.port, &visitors[0].1).is_signed_in());
        proxy.set(Way::Cut(cut));
        let all: Vec<_> = std::thread::scope(|scope| {
            let asked: Vec<_> = (0..8)
                .map(|number| {
                    let (name, cookie) = &visitors[number % 2];
                    let port = server.port;
                    scope.spawn(move || {
                        let browser = Browser::with_cookie(port, cookie);
                        (name, browser.get("/brief_introduction"))
                    })
                })
                .collect();
            asked.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        for (name, answer) in all {
            *answers.entry(answer.status).or_default() += 1;
            let own = answer.body.contains(&**name);
            assert!(answer.status == 503 || answer.status == 200 && own, "{cut}: {answer:?}");
        }
        row.rounds += 1;
    }
    proxy.set(Way::Open);
    comes_back(&server);
    row.tell(format!("answers {answers:?}, none of another user"));
}

/// A server that gives the same answer to every command.
fn scripted(answer: &Arc<Mutex<Vec<u8>>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::clone(answer);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                let mut buffer = [0; 16 * 1024];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    // A command is an array of bulk strings; each begins with its `*`.
                    let commands = buffer[..length].iter().filter(|byte| **byte == b'*').count();
                    let answers = answer.lock().unwrap().repeat(commands);
                    if stream.write_all(&answers).is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}

#[test]
fn nonsense_from_the_store_is_503_and_no_crash() {
    let mut row = Row::new(24, "store that answers nonsense");
    let answer = Arc::new(Mutex::new(Vec::new()));
    let site = site_on(scripted(&answer));
    let server = site.serve();
    let id = "A".repeat(43);
    for nonsense in [
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-READONLY You can't write against a read only replica.\r\n",
        "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        "-MOVED 3999 127.0.0.1:6381\r\n",
        "-CLUSTERDOWN The cluster is down\r\n",
        "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
        "-NOAUTH Authentication required.\r\n",
        "-BUSY Redis is busy running a script.\r\n",
        ":42\r\n",
        "*0\r\n",
        "*2\r\n:1\r\n:2\r\n",
        "$5\r\nab\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "\0\u{1}\u{2}\r\n",
        "*9999999999\r\n",
        "$999999999999\r\n",
    ] {
        *answer.lock().unwrap() = nonsense.as_bytes().to_vec();
        let visitor = Browser::with_cookie(server.port, &format!("session={id}"));
        let refused = assert_refused(&visitor);
        assert!(refused < LIMIT + LEEWAY, "{nonsense:?}");
        assert_eq!(sign_in(&server), 503, "{nonsense:?}");
        row.rounds += 1;
    }
    assert!(!server.log().contains("panicked"), "{}", server.log());
    assert_eq!(server.browser().get("/login").status, 200);
    row.tell("each 503, the process alive");
    let lines = server.log().lines().count();
    row.tell(format!("{lines} lines in the log for {} failures", row.rounds * 2));
}

#[test]
fn a_slow_store_makes_pages_slow_and_nothing_else() {
    if !is_here("a_slow_store_makes_pages_slow_and_nothing_else") {
        return;
    }
    let mut row = Row::new(25, "store 200 ms away");
    from_afar(&mut row, false);
}

/// Puts a server under load whose store is 200 ms away, and perhaps loses packets on the way.
fn from_afar(row: &mut Row, lossy: bool) {
    let store = redis::server();
    let proxy = Proxy::to(store.port);
    let site = site_on(proxy.port);
    let server = site.serve();
    server.signed_in();
    proxy.set(Way::Slow(Duration::from_millis(200)));
    let loss = lossy.then(|| Loss::on(proxy.port));
    let load = Load::on(server.port).under_way();
    let before = memory(server.child.id(), "VmRSS:");
    std::thread::sleep(Duration::from_secs(times(4, 60) as u64));
    let after = memory(server.child.id(), "VmRSS:");
    let ledger = load.stop();
    drop(loss);
    proxy.set(Way::Open);
    comes_back(&server);
    let found = ledger.replay(server.port);
    row.rounds = 1;
    row.acknowledged = ledger.acknowledged();
    row.tell(format!(
        "p99 {:.1?}, slowest answer {:.1?}, {} refused of {}; memory {} KiB more",
        ledger.p99(),
        ledger.slowest(),
        ledger.count(503),
        ledger.answers.values().sum::<usize>(),
        after.saturating_sub(before)
    ));
    row.holds(found.lost, found.revived);
}

/// Loses one packet in twenty to and from a port of this machine until it is dropped.
struct Loss(String);

impl Loss {
    fn is_possible() -> bool {
        Self::try_on(1).is_some()
    }

    fn on(port: u16) -> Self {
        Self::try_on(port).unwrap()
    }

    fn try_on(port: u16) -> Option<Self> {
        let table = format!("dewar_faults_{port}");
        let rules = format!(
            "table inet {table} {{ chain lossy {{ type filter hook input priority 0; \
             tcp dport {port} numgen random mod 100 < 5 drop; \
             tcp sport {port} numgen random mod 100 < 5 drop; }}; }}"
        );
        run("nft", &[&rules]).then(|| Self(table))
    }
}

impl Drop for Loss {
    fn drop(&mut self) {
        run("nft", &["delete", "table", "inet", &self.0]);
    }
}

#[test]
fn lost_packets_make_pages_slow_and_nothing_else() {
    let test = "lost_packets_make_pages_slow_and_nothing_else";
    if !has(find("nft").is_some(), "nft (Debian's nftables)", test)
        || !kernel_has(Loss::is_possible(), "way to lose packets, or root is needed", test)
        || !is_here(test)
    {
        return;
    }
    let mut row = Row::new(25, "store 200 ms away, 5 % of the packets lost");
    from_afar(&mut row, true);
}

#[test]
fn evicted_sessions_have_to_sign_in_again_and_the_log_warns_of_it() {
    if !is_here("evicted_sessions_have_to_sign_in_again_and_the_log_warns_of_it") {
        return;
    }
    let mut row = Row::new(26, "eviction (maxmemory 2mb, allkeys-lru)");
    let store = redis::server();
    let site = site_on(store.port);
    let quiet = site.serve();
    quiet.signed_in();
    assert!(!quiet.log().contains("maxmemory-policy"), "{}", quiet.log());
    drop(quiet);
    redis::ask(store.port, &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    redis::ask(store.port, &["CONFIG", "SET", "maxmemory", "2mb"]);
    let server = site.serve();
    server.wait_for_log("maxmemory-policy");
    let visitors: Vec<_> = (0..20).map(|_| server.signed_in()).collect();
    let fill = "for i = 1, 20000 do redis.call('SET', 'x' .. i, string.rep('y', 500)) end";
    redis::ask(store.port, &["EVAL", fill, "0"]);
    let mut evicted = 0;
    for visitor in &visitors {
        let answer = visitor.get("/brief_introduction");
        assert!(matches!(answer.status, 200 | 303), "{answer:?}");
        evicted += usize::from(answer.status == 303);
    }
    assert_eq!(sign_in(&server), 303);
    assert!(evicted > 0, "nothing was evicted");
    row.rounds = 1;
    row.tell(format!("{evicted} of 20 had to sign in again, 0 errors; the start warns"));
}

#[test]
fn an_emptied_store_signs_everybody_out_and_fails_nobody() {
    if !is_here("an_emptied_store_signs_everybody_out_and_fails_nobody") {
        return;
    }
    let mut row = Row::new(27, "FLUSHALL under load");
    let store = redis::server();
    let site = site_on(store.port);
    let server = site.serve();
    for _ in 0..times(3, 30) {
        let visitors: Vec<_> = (0..5).map(|_| server.signed_in()).collect();
        let load = Load::on(server.port);
        std::thread::sleep(Duration::from_millis(200));
        redis::ask(store.port, &["FLUSHALL"]);
        assert_eq!(sign_in(&server), 303, "new sign-ins work at once");
        assert!(!visitors.iter().any(Browser::is_signed_in));
        let ledger = load.stop();
        assert_eq!((ledger.count(503), ledger.count(500)), (0, 0), "{:?}", ledger.answers);
        row.rounds += 1;
    }
    row.tell("0 answers of 5xx");
}

#[test]
fn an_older_copy_of_the_store_signs_nobody_in_again() {
    let test = "an_older_copy_of_the_store_signs_nobody_in_again";
    if !is_here(test) {
        return;
    }
    let mut row = Row::new(29, "older dump of a store restored");
    let mut store = Service::start("redis-server", |dir, port| {
        let mut command = std::process::Command::new(find("redis-server").unwrap());
        command.current_dir(dir).args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--save", ""]);
        command
    });
    let site = site_on(store.port);
    let server = site.serve();
    for _ in 0..times(1, 10) {
        let visitors: Vec<_> = (0..2).map(|_| server.signed_in()).collect();
        let cookies: Vec<_> = visitors.iter().map(cookie_of).collect();
        redis::ask(store.port, &["SAVE"]);
        assert_eq!(visitors[0].post("/logout", &[]).status, 303);
        store.kill();
        store.restart();
        comes_back(&server);
        let alive = |cookie: &String| Browser::with_cookie(server.port, cookie).is_signed_in();
        // The session is back; the registry of sign-ins, which is elsewhere, knows better.
        assert!(!alive(&cookies[0]), "who had signed out stays signed out");
        assert!(alive(&cookies[1]), "who had not signed out is still signed in");
        site.run(&["sessions", "revoke", "--all"]);
        assert!(!cookies.iter().any(alive), "all are ended");
        row.rounds += 1;
    }
    row.tell("who had signed out is not let in all the same, as the registry says");
}

#[test]
fn a_herd_is_served_when_the_store_comes_back() {
    const HERD: usize = 2000;
    let test = "a_herd_is_served_when_the_store_comes_back";
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let files = files.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    let enough = files.unwrap_or(0) > 2 * HERD;
    if !has(enough, "5,000 open files (ulimit -n)", test) || !is_here(test) {
        return;
    }
    let mut row = Row::new(28, "2000 clients when the store comes back");
    let store = redis::server();
    let site = site_on(store.port);
    let server = site.serve();
    let cookie = cookie_of(&server.signed_in());
    for _ in 0..times(1, 10) {
        store.hang();
        let request = format!(
            "GET /brief_introduction HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
        );
        let mut herd: Vec<_> =
            (0..HERD).map(|_| TcpStream::connect(("127.0.0.1", server.port)).unwrap()).collect();
        store.hang();
        for client in &mut herd {
            client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            client.write_all(request.as_bytes()).unwrap();
        }
        store.go_on();
        let back = Instant::now();
        let (mut served, mut refused) = (0, 0);
        for mut client in herd {
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            match answer.split(' ').nth(1) {
                Some("200") => served += 1,
                Some("503") => refused += 1,
                other => panic!("{other:?}"),
            }
        }
        let took = back.elapsed();
        let connections = redis::connections(store.port);
        assert!(took < Duration::from_secs(10) + LEEWAY, "took {took:?}");
        assert!(connections <= 1, "{connections} connections");
        assert!(Browser::with_cookie(server.port, &cookie).is_signed_in(), "a second collapse");
        row.rounds += 1;
        row.tell(format!(
            "{served} served and {refused} told 503 within {took:.1?}, over {connections} connection"
        ));
    }
}
