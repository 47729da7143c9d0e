//! The metrics that Prometheus reads.

mod support;

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};

use support::{Browser, PASSWORD, Server, Site, USER, wait_for};

const ON: &str = "METRICS_ADDRESS = \"127.0.0.1:0\"";

/// A server and what reads its metrics.
struct Watched {
    site: Site,
    server: Server,
    metrics: Browser,
}

impl Watched {
    fn new(settings: &str) -> Self {
        let site = Site::new(&format!("{ON}\n{settings}"));
        let server = site.serve();
        let metrics = Browser::new(port_of_metrics(&server));
        Self { site, server, metrics }
    }

    fn text(&self) -> String {
        let answer = self.metrics.get("/metrics");
        assert_eq!(answer.status, 200);
        answer.body
    }

    /// The value of a line, 0 where there is none.
    fn value(&self, name: &str) -> f64 {
        let text = self.text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }
}

fn port_of_metrics(server: &Server) -> u16 {
    let log = server.log();
    let (_, rest) = log.split_once("metrics on http://127.0.0.1:").expect(&log);
    rest.split('/').next().unwrap().parse().unwrap()
}

#[test]
fn requests_sign_ins_and_the_store_are_counted_and_timed() {
    let watched = Watched::new("");
    let browser = watched.server.signed_in();
    for name in [USER, "nobody"] {
        watched.server.browser().post("/login", &[("username", name), ("password", "wrong")]);
    }
    for _ in 0..3 {
        assert!(browser.is_signed_in());
    }
    browser.get("/detailed?id=99");
    browser.send("HEAD", "/login", &[], b"").unwrap();
    for (name, expected) in [
        ("dewar_requests_total{route=\"/brief_introduction\",method=\"GET\",status=\"200\"}", 3.0),
        ("dewar_requests_total{route=\"/detailed\",method=\"GET\",status=\"404\"}", 1.0),
        ("dewar_requests_total{route=\"/login\",method=\"HEAD\",status=\"200\"}", 1.0),
        ("dewar_requests_total{route=\"/login\",method=\"POST\",status=\"303\"}", 1.0),
        ("dewar_request_duration_seconds_count{route=\"/brief_introduction\"}", 3.0),
        ("dewar_request_duration_seconds_bucket{le=\"+Inf\",route=\"/login\"}", 4.0),
        ("dewar_sign_ins_total{outcome=\"success\"}", 1.0),
        ("dewar_sign_ins_total{outcome=\"failure\"}", 2.0),
        ("dewar_sign_ins_total{outcome=\"throttled\"}", 0.0),
        (
            "dewar_store_operation_duration_seconds_count{store=\"sqlite\",operation=\"create\"}",
            1.0,
        ),
        ("dewar_store_operation_duration_seconds_count{store=\"sqlite\",operation=\"load\"}", 4.0),
        ("dewar_active_sessions", 1.0),
        ("dewar_log_lines_dropped_total", 0.0),
        (concat!("dewar_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ] {
        assert_eq!(watched.value(name), expected, "{name} in {}", watched.text());
    }
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"]
    {
        assert!(watched.value(name) > 1.0, "{name} in {}", watched.text());
    }
    for _ in 0..10 {
        watched.server.browser().post("/login", &[("username", USER), ("password", "wrong")]);
    }
    assert!(watched.value("dewar_sign_ins_total{outcome=\"throttled\"}") > 0.0);
}

#[test]
fn a_store_that_fails_is_counted_by_operation() {
    let watched = Watched::new("SESSION_SQLITE_PATH = \"sessions.db\"");
    let path = watched.site.path().join("sessions.db");
    rusqlite::Connection::open(path).unwrap().execute_batch("DROP TABLE sessions").unwrap();
    let browser = Browser::with_cookie(watched.server.port, "session=a");
    assert_eq!(browser.get("/brief_introduction").status, 503);
    let form = [("username", USER), ("password", PASSWORD)];
    assert_eq!(watched.server.browser().post("/login", &form).status, 503);
    for operation in ["load", "create"] {
        let name =
            format!("dewar_store_errors_total{{store=\"sqlite\",operation=\"{operation}\"}}");
        assert_eq!(watched.value(&name), 1.0, "{}", watched.text());
    }
    // Nobody knows how many there are.
    assert!(!watched.text().contains("dewar_active_sessions"));
}

#[test]
fn the_format_is_what_prometheus_reads_and_nothing_else_is_there() {
    let watched = Watched::new("");
    let answer = watched.metrics.get("/metrics");
    let kind = answer.header("Content-Type").unwrap();
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(answer.body.ends_with("# EOF\n"));
    let named = |line: &str| line.split(['{', ' ']).next().unwrap().to_owned();
    for line in answer.body.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let name = named(line);
        assert!(name.starts_with("dewar_") || name.starts_with("process_"), "{line}");
    }
    for path in ["/", "/login", "/healthz", "/metrics/x"] {
        assert_eq!(watched.metrics.get(path).status, 404, "{path}");
    }
    assert_eq!(watched.metrics.send("POST", "/metrics", &[], b"x").unwrap().status, 404);
    // The pages' own address does not tell.
    assert_eq!(watched.server.browser().get("/metrics").status, 404);
}

#[test]
fn what_visitors_send_makes_no_label() {
    let watched = Watched::new("");
    let labels = || -> BTreeSet<String> {
        let text = watched.text();
        let counts = text.lines().filter(|line| line.starts_with("dewar_requests_total"));
        counts.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
    };
    let browser = watched.server.browser();
    browser.get("/nowhere");
    browser.get("/static/nothing");
    browser.get("/api/students/none");
    let before = labels();
    for i in 0..50 {
        browser.get(&format!("/marked{i}?marked{i}"));
        browser.get(&format!("/static/marked{i}"));
        browser.get(&format!("/api/students/marked{i}"));
        let headers = [("Host", &*format!("marked{i}")), ("X-Request-Id", "marked")];
        browser.send("GET", "/nowhere", &headers, b"").unwrap();
    }
    assert_eq!(labels(), before);
    assert!(!watched.text().contains("marked"));
}

#[test]
fn they_are_off_unless_asked_for_and_end_with_the_server() {
    let site = Site::new("");
    let server = site.serve();
    assert!(!server.log().contains("metrics"));
    let mut watched = Watched::new("");
    let port = port_of_metrics(&watched.server);
    watched.text();
    watched.server.signal("-TERM");
    assert!(watched.server.child.wait().unwrap().success());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(!watched.site.path().join("dewar.db-wal").exists(), "the log is written back");
}

#[test]
fn an_address_that_is_taken_stops_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let site = Site::empty(&format!("METRICS_ADDRESS = \"{address}\""));
    let (status, error) = site.fail(&["serve"], b"");
    assert_eq!(status, 1);
    assert!(error.contains(&format!("cannot serve metrics on {address}: ")), "{error}");
}

#[test]
fn an_address_for_everybody_needs_a_second_word() {
    for (settings, part) in [
        ("METRICS_ADDRESS = \"0.0.0.0:0\"", "METRICS_REMOTE = true"),
        ("METRICS_ADDRESS = \"localhost:9184\"", "must be an address and a port"),
        ("METRICS_ADDRESS = \"127.0.0.1\"", "must be an address and a port"),
    ] {
        let (status, error) = Site::empty(settings).fail(&["check"], b"");
        assert_eq!(status, 2, "{settings}");
        assert!(error.contains(part), "{settings}: {error}");
    }
    let site = Site::empty("METRICS_ADDRESS = \"127.0.0.1:8123\"");
    let mut command = site.command(&["check"]);
    command.env("ROCKET_PORT", "8123");
    let output = support::output_of(command, b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("other than `port`"));

    let site = Site::empty("METRICS_ADDRESS = \"0.0.0.0:0\"\nMETRICS_REMOTE = true");
    let said = support::output_of(site.command(&["check"]), b"").stderr;
    assert!(String::from_utf8_lossy(&said).contains("asks nobody for a password"));
    site.serve();
}

#[test]
fn a_changed_address_takes_a_restart_and_says_so() {
    let watched = Watched::new("");
    watched.site.configure("METRICS_ADDRESS = \"127.0.0.1:1\"");
    watched.server.signal("-HUP");
    watched.server.wait_for_log("a changed METRICS_ADDRESS takes a restart");
    wait_for("the old one", || watched.text().contains("# EOF").then_some(()));
}
