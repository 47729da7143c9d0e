//! Clients that are slow, silent, rude or many, and those that only look so.

mod servers;
mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;
use servers::redis;
use support::{Server, Site, USER, has, under, wait_for};

/// Held by a test that takes the whole machine, and by one that has moments to keep.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

const IMPATIENT: &str = "REQUEST_TIMEOUT = 2\nkeep_alive = 2\nSEND_TIMEOUT = 2\n";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(("127.0.0.1", server.port)).unwrap()
}

/// A connection on which these bytes have been sent.
fn sent(server: &Server, bytes: &str) -> TcpStream {
    let mut client = connect(server);
    client.write_all(bytes.as_bytes()).unwrap();
    client
}

/// The next answer, headers and as much of the body as was announced.
fn answer(client: &mut TcpStream) -> String {
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    let headers = String::from_utf8(answer).unwrap();
    let length = headers.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body).unwrap();
    headers + &String::from_utf8_lossy(&body)
}

/// Sends a byte every now and then until the connection is closed.
fn wait_until_closed(mut client: TcpStream, trickle: &str, what: &str) {
    client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut bytes = trickle.bytes().cycle();
    let mut heard = [0; 4096];
    let deadline = Instant::now() + Duration::from_secs(40);
    while Instant::now() < deadline {
        if let Some(byte) = bytes.next()
            && client.write_all(&[byte]).is_err()
        {
            return;
        }
        match client.read(&mut heard) {
            Ok(0) => return,
            Err(error)
                if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                return;
            }
            _ => {}
        }
    }
    panic!("{what}: still open");
}

/// The answer to a body of so many bytes, which are sent in pieces and to their end, as proxies do,
/// before anything is read.
fn answer_after_sending(server: &Server, to: &str, kind: &str, length: usize) -> String {
    let head = format!("{to} HTTP/1.1\r\nHost: x\r\n{kind}\r\nContent-Length: {length}\r\n\r\n");
    let mut client = sent(server, &head);
    for _ in 0..length / 10_000 {
        client.write_all(&[b'a'; 10_000]).unwrap();
        std::thread::sleep(Duration::from_micros(500));
    }
    answer(&mut client)
}

#[test]
fn who_is_still_sending_what_is_refused_gets_the_answer() {
    let server = Site::empty("").serve();
    for length in [200_000, 1_000_000] {
        let answer = answer_after_sending(&server, "POST /login", FORM, length);
        assert!(answer.starts_with("HTTP/1.1 413 "), "{length}: {answer}");
    }
}

#[test]
fn who_is_still_sending_what_nobody_reads_gets_the_answer() {
    let server = Site::empty("").serve();
    for (to, kind, status) in [
        ("POST /nowhere", FORM, 404),
        ("PUT /static/style.css", FORM, 405),
        ("POST /brief_introduction", FORM, 405),
        ("POST /login", "Content-Type: text/plain", 415),
        ("POST /logout", "Content-Type: text/plain", 303),
        ("GET /login", "Content-Type: text/plain", 413),
    ] {
        let answer = answer_after_sending(&server, to, kind, 100_000);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{to}: {answer}");
    }
}

#[test]
fn who_stops_sending_what_is_refused_gets_the_answer() {
    let server = Site::empty("").serve();
    for length in [200_000, 1_000_000_000] {
        let head = format!("POST /login HTTP/1.1\r\nHost: x\r\n{FORM}\r\n");
        let start = format!("{head}Content-Length: {length}\r\n\r\nusername=gkf&password=");
        let answer = answer(&mut sent(&server, &start));
        assert!(answer.starts_with("HTTP/1.1 413 "), "{length}: {answer}");
    }
}

#[test]
fn whoever_does_not_finish_a_request_is_cut_off() {
    let site = Site::empty(IMPATIENT);
    let server = site.serve();
    let get = "GET /login HTTP/1.1\r\nHost: x\r\n";
    let form = format!("POST /login HTTP/1.1\r\nHost: x\r\n{FORM}\r\n");
    let multipart = "POST /login HTTP/1.1\r\nHost: x\r\n\
        Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n\
        --b\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\n";
    let clients = [
        ("silence", "", String::new()),
        ("trickled headers", "a", format!("{get}X-Slow: ")),
        ("trickled headers after an answer", "a", format!("{get}\r\n{get}X-Slow: ")),
        ("a kept connection", "", format!("{get}\r\n")),
        ("no body", "", format!("{form}Content-Length: 1000\r\n\r\n")),
        ("a body that hardly begins", "", format!("{form}Content-Length: 1000\r\n\r\nuser")),
        (
            "a trickled body",
            "a",
            format!("{form}Content-Length: 1000\r\n\r\nusername=gkf&password="),
        ),
        (
            "a trickled body that was asked for",
            "a",
            format!("{form}Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n"),
        ),
        (
            "trickled chunks",
            "1\r\na\r\n",
            format!("{form}Transfer-Encoding: chunked\r\n\r\n15\r\nusername=abcdefghijkl\r\n"),
        ),
        ("a trickled multipart form", "a", multipart.to_owned()),
        ("a body that nobody reads", "a", format!("{get}Content-Length: 1000\r\n\r\n")),
        (
            "a body for another method",
            "a",
            format!("PUT{}", &form[4..]) + "Content-Length: 99\r\n\r\n",
        ),
    ];
    std::thread::scope(|scope| {
        for (what, trickle, request) in &clients {
            let client = sent(&server, request);
            scope.spawn(move || wait_until_closed(client, trickle, what));
        }
    });
    assert!(!server.log().contains("ERROR"), "{}", server.log());
    assert_eq!(server.browser().get("/login").status, 200);
}

#[test]
fn a_connection_that_is_used_outlives_every_limit() {
    let site = Site::empty(IMPATIENT);
    let server = site.serve();
    let request = "GET /static/favicon.svg HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut client = connect(&server);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(8) {
        // Pipelined.
        client.write_all(request.repeat(3).as_bytes()).unwrap();
        for _ in 0..3 {
            assert!(answer(&mut client).starts_with("HTTP/1.1 200 "));
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn nobody_is_cut_off_for_what_the_server_takes_its_time_for() {
    let test = "nobody_is_cut_off_for_what_the_server_takes_its_time_for";
    if !has(redis::is_here(), "Redis (Debian's redis-server and redis-tools)", test) {
        return;
    }
    let store = redis::server();
    let site = Site::new(&format!(
        "REQUEST_TIMEOUT = 1\nkeep_alive = 1\nSEND_TIMEOUT = 1\nSESSION_STORE_TIMEOUT = 20\n\
         SESSION_TYPE = 'redis'\nSESSION_REDIS = 'redis://127.0.0.1:{}/0'",
        store.port
    ));
    let server = site.serve();
    let cookie = server.signed_in().cookie.borrow().clone().unwrap();
    let headers = format!("Host: x\r\nCookie: {cookie}\r\n");
    let body = format!("username={USER}&password=wrong");
    let length = body.len();
    for request in [
        format!("GET /brief_introduction HTTP/1.1\r\n{headers}\r\n"),
        format!(
            "POST /login HTTP/1.1\r\n{headers}{FORM}\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
    ] {
        redis::ask(store.port, &["CLIENT", "PAUSE", "5000"]);
        let began = Instant::now();
        let answer = answer(&mut sent(&server, &request));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(began.elapsed() > Duration::from_secs(3), "the store was waited for");
    }
}

#[test]
fn a_request_that_came_while_the_server_stood_still_is_answered() {
    let _alone = ALONE.lock();
    let site = Site::empty(IMPATIENT);
    let server = site.serve();
    let mut kept = sent(&server, "GET /login HTTP/1.1\r\nHost: x\r\n\r\n");
    answer(&mut kept);
    let mut begun = sent(&server, "GET /login HTTP/1.1\r\n");
    std::thread::sleep(Duration::from_millis(600));
    server.signal("-STOP");
    kept.write_all(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    begun.write_all(b"Host: x\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_secs(4));
    server.signal("-CONT");
    for client in [&mut kept, &mut begun] {
        assert!(answer(client).starts_with("HTTP/1.1 200 "));
    }
}

/// A server that has a large file to send.
fn server_of_a_large_file(length: usize) -> (Site, Server) {
    let site = Site::empty("");
    std::fs::create_dir(site.path().join("files")).unwrap();
    std::fs::write(site.path().join("files/large"), vec![b'x'; length]).unwrap();
    site.configure(&format!("{IMPATIENT}static_dir = 'files'"));
    let server = site.serve();
    (site, server)
}

const DOWNLOAD: &str = "GET /static/large HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn a_reader_that_does_not_read_is_cut_off() {
    const LENGTH: usize = 50_000_000;
    let (_site, server) = server_of_a_large_file(LENGTH);
    let clients: Vec<_> = (0..20).map(|_| sent(&server, DOWNLOAD)).collect();
    let mut byte_by_byte = sent(&server, DOWNLOAD);
    wait_for("the answers to be given up", || {
        let _ = byte_by_byte.read(&mut [0]);
        (connections(&server) == 0).then_some(())
    });
    for mut client in clients {
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest);
        assert!(rest.len() < LENGTH);
    }
}

#[test]
fn a_slow_download_is_finished() {
    const LENGTH: usize = 12_000_000;
    let (_site, server) = server_of_a_large_file(LENGTH);
    let mut client = sent(&server, DOWNLOAD);
    let (mut read, mut part) = (0, vec![0; 100_000]);
    let began = Instant::now();
    while read < LENGTH {
        match client.read(&mut part).unwrap() {
            0 => panic!("cut off after {read} bytes"),
            length => read += length,
        }
        std::thread::sleep(Duration::from_millis(60));
    }
    assert!(began.elapsed() > Duration::from_secs(5), "slow enough to be looked at often");
}

#[test]
fn without_limits_clients_are_waited_for() {
    let site = Site::empty("REQUEST_TIMEOUT = 0\nSEND_TIMEOUT = 0\nkeep_alive = 600");
    let server = site.serve();
    let mut client = sent(&server, "GET /login HTTP/1.1\r\n");
    std::thread::sleep(Duration::from_secs(3));
    client.write_all(b"Host: x\r\n\r\n").unwrap();
    assert!(answer(&mut client).starts_with("HTTP/1.1 200 "));
    site.configure(IMPATIENT);
    server.signal("-HUP");
    server.wait_for_log("in force");
    wait_until_closed(client, "", "after a reload");
}

#[test]
fn ipv6_and_ipv4_clients_of_one_socket_are_cut_off_alike() {
    for (address, clients) in [("::1", &["::1"][..]), ("::", &["::1", "127.0.0.1"])] {
        let site = Site::empty(&format!("{IMPATIENT}address = '{address}'"));
        let server = site.serve();
        for client in clients {
            let client = TcpStream::connect((*client, server.port)).unwrap();
            wait_until_closed(client, "G", address);
        }
    }
}

#[test]
fn clients_that_take_every_descriptor_keep_nobody_out() {
    let test = "clients_that_take_every_descriptor_keep_nobody_out";
    if !has(servers::find("prlimit").is_some(), "prlimit (Debian's util-linux)", test) {
        return;
    }
    let site = Site::new("");
    std::fs::create_dir(site.path().join("files")).unwrap();
    std::fs::write(site.path().join("files/a.txt"), "a file").unwrap();
    site.configure("static_dir = 'files'");
    let limited = under("prlimit", &["--nofile=64:64", "--"], &site.command(&["serve"]));
    let server = Server::start(limited);
    let silent: Vec<_> = (0..200).map(|_| connect(&server)).collect();
    for _ in 0..5 {
        let browser = server.signed_in();
        assert!(browser.is_signed_in());
        assert_eq!(browser.get("/static/a.txt").body, "a file");
    }
    assert!(descriptors(&server) <= 64 - 16, "some are kept back");
    let log = server.log();
    assert!(log.contains("to make room"), "{log}");
    assert!(!log.contains("panicked") && !log.contains("accept error"), "{log}");
    drop(silent);
    assert!(server.signed_in().is_signed_in());
}

#[test]
fn resets_at_every_byte_leave_nothing_behind() {
    let site = Site::new("");
    let server = site.serve();
    assert!(server.signed_in().is_signed_in());
    let before = wait_for("the browser to be gone", || {
        (connections(&server) == 0).then(|| descriptors(&server))
    });
    let body = format!("username={USER}&password=wrong");
    let length = body.len();
    let form = format!(
        "POST /login HTTP/1.1\r\nHost: x\r\n{FORM}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let get = "GET /brief_introduction HTTP/1.1\r\nHost: x\r\n\r\n";
    for request in [&form, get] {
        for length in 0..=request.len() {
            let client = sent(&server, &request[..length]);
            set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
            if length % 3 == 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
    wait_for("all descriptors to be given back", || {
        (connections(&server) == 0 && descriptors(&server) <= before).then_some(())
    });
    assert!(!server.log().contains("ERROR"), "{}", server.log());
    assert!(server.browser().get("/login").status == 200);
}

#[test]
fn where_the_system_forbids_it_the_start_and_the_check_say_so() {
    let test = "where_the_system_forbids_it_the_start_and_the_check_say_so";
    if !has(servers::find("strace").is_some(), "strace", test) {
        return;
    }
    let site = Site::new("");
    let forbid = |call: &str, command: &str| {
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error=EPERM"));
        // With -D the server stays this process's child.
        let strace = ["-D", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        under("strace", &strace, &site.command(&[command]))
    };
    let advice = "put a proxy such as nginx or Caddy in front";
    for call in ["pidfd_open", "pidfd_getfd"] {
        let output = support::output_of(forbid(call, "check"), b"");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && told.contains(advice), "{call}: {told}");
    }
    let output = support::output_of(site.command(&["check"]), b"");
    assert!(!String::from_utf8_lossy(&output.stderr).contains(advice));
    let server = Server::start(forbid("pidfd_getfd", "serve"));
    server.wait_for_log(advice);
    assert!(server.signed_in().is_signed_in());
    site.configure("REQUEST_TIMEOUT = 0\nSEND_TIMEOUT = 0");
    let output = support::output_of(forbid("pidfd_getfd", "check"), b"");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!told.contains(advice), "a proxy sees to it: {told}");
}

const BROWSERS: usize = 10_000;
/// In KiB: 200 MB, and half as much again for what is built without optimisation.
const MEMORY: u64 = if cfg!(debug_assertions) { 300 * 1024 } else { 200 * 1024 };

#[test]
fn ten_thousand_idle_browsers_fit_in_200_mb_and_are_let_go() {
    let _alone = ALONE.lock();
    let test = "ten_thousand_idle_browsers_fit_in_200_mb_and_are_let_go";
    let enough = limit_of(std::process::id()) > 12_000;
    if !has(enough, "12,000 open files (ulimit -n)", test)
        || !has(redis::is_here(), "Redis (Debian's redis-server and redis-tools)", test)
    {
        return;
    }
    let store = redis::server();
    let sessions =
        format!("SESSION_TYPE = 'redis'\nSESSION_REDIS = 'redis://127.0.0.1:{}/0'\n", store.port);
    let site = Site::new(&format!("{sessions}keep_alive = 600"));
    let server = site.serve();
    let cookie = server.signed_in().cookie.borrow().clone().unwrap();
    let request =
        format!("GET /detailed?id=1 HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
    let browsers: Vec<_> = (0..BROWSERS)
        .map(|_| {
            let mut browser = sent(&server, &request);
            let mut answer = [0; 4096];
            let length = browser.read(&mut answer).unwrap();
            assert!(answer[..length].starts_with(b"HTTP/1.1 200 "), "{length} bytes");
            browser
        })
        .collect();
    let used = resident(&server);
    assert!(used < MEMORY, "{used} KiB");
    assert!(redis::connections(store.port) <= 16);
    assert!(server.signed_in().is_signed_in(), "others are served");

    let of_redis = || redis::ask(store.port, &["CLIENT", "LIST", "TYPE", "normal"]);
    let ids = |list: String| -> Vec<String> {
        let ours = list.lines().filter(|line| line.contains("name=dewar"));
        ours.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    let to_the_store = ids(of_redis());
    site.configure(&format!("{sessions}keep_alive = 2"));
    server.signal("-HUP");
    server.wait_for_log("in force");
    wait_for("all to be let go", || {
        assert!(server.signed_in().is_signed_in(), "others are served meanwhile");
        (connections(&server) <= 1).then_some(())
    });
    assert_eq!(ids(of_redis()), to_the_store, "connections to the store are not touched");
    drop(browsers);
}

/// How many descriptors the server has.
fn descriptors(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.child.id())).unwrap().count()
}

/// How many connections of clients the server holds.
fn connections(server: &Server) -> usize {
    let mut accepted = std::collections::HashSet::new();
    for table in ["tcp", "tcp6"] {
        let text = std::fs::read_to_string(format!("/proc/net/{table}")).unwrap();
        for line in text.lines().skip(1) {
            let fields: Vec<_> = line.split_whitespace().collect();
            let listens = fields[3] == "0A";
            if fields[1].ends_with(&format!(":{:04X}", server.port)) && !listens {
                accepted.insert(format!("socket:[{}]", fields[9]));
            }
        }
    }
    let held = std::fs::read_dir(format!("/proc/{}/fd", server.child.id())).unwrap();
    held.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| accepted.contains(&target.display().to_string()))
        .count()
}

/// The soft limit of open files of a process.
fn limit_of(process: u32) -> u64 {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The server's memory in KiB.
fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
