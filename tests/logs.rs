//! The log as programs read it, and a log that nobody reads.

mod support;

use std::collections::BTreeSet;
use std::io::Read;
use std::net::TcpListener;
use std::process::{Child, Stdio};

use serde_json::Value;
use support::{Browser, PASSWORD, Server, Site, USER, wait_for};

const JSON: &str = "LOG_FORMAT = \"json\"\nLOG_REQUESTS = true";

/// The lines so far, each of which has to be an object.
fn lines(server: &Server) -> Vec<Value> {
    server.log().lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// The first line whose field is this, as soon as there is one.
fn line_with(server: &Server, field: &str, value: impl Into<Value>) -> Value {
    let value = value.into();
    let found = || lines(server).into_iter().find(|line| line[field] == value);
    wait_for(&format!("a line with {field} {value}"), found)
}

#[test]
fn each_line_is_an_object_with_its_fields_as_keys() {
    let site = Site::new(JSON);
    let server = site.serve();
    server.browser().post("/login", &[("username", "typed-by-somebody"), ("password", "wrong")]);
    let browser = server.signed_in();
    let list = browser.get("/brief_introduction?q=Iron");
    browser.get("/nowhere?x=y");
    browser.post("/logout", &[]);

    let page = line_with(&server, "request_id", list.header("X-Request-Id").unwrap());
    assert_eq!(page["target"], "dewar::requests");
    assert_eq!((&page["method"], &page["route"]), (&"GET".into(), &"/brief_introduction".into()));
    assert_eq!((&page["status"], &page["account"]), (&200.into(), &1.into()));
    assert_eq!(page["bytes"], list.body.len());
    assert!(page["duration_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(page.get("client"), None);
    let words = page["message"].as_str().unwrap();
    assert!(words.starts_with("GET /brief_introduction 200 in ") && !words.contains("Iron"));
    let unknown = line_with(&server, "status", 404);
    assert_eq!(unknown["route"], "(none)");

    for (event, account) in
        [("sign_in_failed", Value::Null), ("sign_in", 1.into()), ("sign_out", 1.into())]
    {
        let line = line_with(&server, "event", event);
        assert_eq!(line["account"], account, "{line}");
        // The request has a line of its own with the same id.
        let id = line["request_id"].as_str().unwrap();
        let of_request = || lines(&server).iter().filter(|line| line["request_id"] == id).count();
        wait_for("both lines", || (of_request() == 2).then_some(()));
    }
    assert_eq!(line_with(&server, "event", "sign_in")["client"], "127.0.0.1");
    assert!(!server.log().contains("typed-by-somebody"));
    for line in lines(&server) {
        let keys: BTreeSet<_> = line.as_object().unwrap().keys().cloned().collect();
        let always = ["level", "message", "target", "time"].map(str::to_owned);
        assert!(keys.is_superset(&BTreeSet::from(always)), "{line}");
        let time = line["time"].as_str().unwrap();
        assert!(time.len() >= "2026-01-01T00:00:00Z".len() && time.ends_with('Z'), "{line}");
    }
}

#[test]
fn requests_and_addresses_are_logged_where_that_is_asked_for() {
    let site = Site::new("");
    let server = site.serve();
    server.browser().get("/login");
    server.signed_in();
    server.wait_for_log("signed in from 127.0.0.1");
    assert!(!server.log().contains("GET /login"), "{}", server.log());

    site.configure("LOG_REQUESTS = true");
    server.signal("-HUP");
    server.wait_for_log("in force");
    server.browser().get("/login");
    server.wait_for_log("GET /login 200 in ");
    let line = server.log().lines().last().unwrap().to_owned();
    assert!(line.contains(" request_id=") && !line.contains("127.0.0.1"), "{line}");

    site.configure(&format!("{JSON}\nLOG_CLIENT_ADDRESS = true"));
    server.signal("-HUP");
    server.wait_for_log("\"message\":\"the settings were read again");
    server.browser().get("/login");
    server.wait_for_log("\"message\":\"GET ");
    let line = server.log().lines().last().unwrap().to_owned();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["client"], "127.0.0.1");
}

#[test]
fn contradictions_stop_the_start() {
    for (settings, part) in [
        ("LOG_FORMAT = \"xml\"", "LOG_FORMAT must be \"text\" or \"json\""),
        ("LOG_CLIENT_ADDRESS = true", "LOG_REQUESTS"),
    ] {
        let (status, error) = Site::empty(settings).fail(&["serve"], b"");
        assert_eq!(status, 2);
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn what_stops_the_start_is_an_object_too() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::empty(JSON);
    let mut command = site.command(&["serve"]);
    command.env("ROCKET_PORT", taken.local_addr().unwrap().port().to_string());
    let output = support::output_of(command, b"");
    assert_eq!(output.status.code(), Some(1));
    let last = String::from_utf8(output.stderr).unwrap().lines().last().unwrap().to_owned();
    let last: Value = serde_json::from_str(&last).unwrap();
    assert!(last["message"].as_str().unwrap().starts_with("cannot listen on 127.0.0.1:"));
    assert_eq!(last["level"], "ERROR");
}

#[test]
fn nobody_forges_an_object() {
    let site = Site::new(JSON);
    let server = site.serve();
    for end in ["\n", "\r\n", "\u{1b}[2K", "\u{85}", "\u{2028}", "\u{2029}", "\"}\n{\"", "\0"] {
        let forged = format!("{end}{{\"level\":\"ERROR\",\"message\":\"forged\"}}");
        let path = format!("/x{}", support::encode(&forged));
        let headers = [("Origin", "null"), ("Content-Type", "text/plain")];
        assert_eq!(server.browser().send("POST", &path, &headers, b"x").unwrap().status, 403);
        server.browser().post("/login", &[("username", &forged), ("password", &forged)]);
    }
    server.signed_in();
    line_with(&server, "event", "sign_in");
    for line in lines(&server) {
        assert_eq!(
            line["level"],
            if line["event"] == "refused_cross_site" { "WARN" } else { "INFO" }
        );
        assert_ne!(line["message"], "forged");
    }
    let harmful = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{2028}' | '\u{2029}');
    assert!(!server.log().contains(harmful));
}

/// A server whose standard error is `log`, or a pipe that the child has the other end of.
fn serve_into(site: &Site, log: Stdio) -> (Child, Browser) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = site.command(&["serve"]);
    command.env("ROCKET_PORT", port.to_string()).stdout(Stdio::null()).stderr(log);
    let child = command.spawn().unwrap();
    let browser = Browser::new(port);
    wait_for("the server", || browser.try_get("/login").ok());
    (child, browser)
}

fn end(mut child: Child) {
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_log_that_nobody_reads_holds_nobody_up_and_tells_later_what_it_lost() {
    let site = Site::new(&format!("{JSON}\nLOG_CLIENT_ADDRESS = true"));
    let (mut child, browser) = serve_into(&site, Stdio::piped());
    // More than the pipe and the queue take.
    for _ in 0..6000 {
        assert_eq!(browser.get("/static/style.css?what-nobody-reads").status, 200);
    }
    browser.sign_in();
    assert!(browser.is_signed_in());
    let mut log = child.stderr.take().unwrap();
    let (sender, read) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let (mut text, mut buffer) = (String::new(), vec![0; 65536]);
        while let Ok(length @ 1..) = log.read(&mut buffer) {
            text += std::str::from_utf8(&buffer[..length]).unwrap();
            let _ = sender.send(text.contains("lines were dropped"));
        }
        text
    });
    wait_for("the word on what was dropped", || read.recv().unwrap().then_some(()));
    browser.get("/nowhere");
    end(child);
    let log = reader.join().unwrap();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).expect(line);
        assert!(line["message"].is_string());
    }
    assert!(log.lines().last().unwrap().contains("SIGTERM"), "{:?}", log.lines().last());
    assert!(log.contains("\"status\":404"));
}

#[test]
fn a_server_with_a_log_that_nobody_reads_stops_all_the_same() {
    let site = Site::new(JSON);
    let (child, browser) = serve_into(&site, Stdio::piped());
    for _ in 0..1000 {
        browser.get("/static/style.css");
    }
    end(child);
}

#[test]
fn a_log_whose_reader_has_gone_stops_nothing() {
    let site = Site::new(JSON);
    let (mut child, browser) = serve_into(&site, Stdio::piped());
    drop(child.stderr.take());
    for _ in 0..100 {
        assert_eq!(browser.get("/login").status, 200);
    }
    browser.post("/login", &[("username", USER), ("password", PASSWORD)]);
    assert!(browser.is_signed_in());
    end(child);
}

#[test]
fn a_cookie_that_no_key_signed_is_told_of() {
    let key = "SECRET_KEY = \"0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978\"";
    let cookie = "SESSION_TYPE = \"cookie\"";
    let untraced = format!("{cookie}\nSESSION_RECORD_CLIENT = false");
    for kind in [cookie, &untraced, "SESSION_USE_SIGNER = true"] {
        let site = Site::new(&format!("{JSON}\n{key}\n{kind}"));
        let server = site.serve();
        let cookie = server.signed_in().cookie.borrow().clone().unwrap();
        let forged =
            Browser::with_cookie(server.port, &format!("{}A", &cookie[..cookie.len() - 2]));
        assert!(!forged.is_signed_in(), "{kind}");
        let line = line_with(&server, "event", "bad_signature");
        assert!(line["request_id"].is_string() && !line.to_string().contains(&cookie[8..30]));
        assert_eq!(line["client"].as_str(), (kind != untraced).then_some("127.0.0.1"));
        // A visitor without a cookie, or with one of another form, is nothing to tell of.
        server.browser().get("/brief_introduction");
        Browser::with_cookie(server.port, "session=abc").get("/brief_introduction");
        server.signed_in();
        let told = |line: &&Value| line["event"] == "bad_signature";
        assert_eq!(lines(&server).iter().filter(told).count(), 1, "{kind}");
    }
}

#[test]
fn the_journal_gets_priorities_and_no_other_file() {
    use std::os::unix::fs::MetadataExt;
    let site = Site::empty("");
    let log = site.path().join("log");
    let told = |journal: &dyn Fn(&std::fs::Metadata) -> String| {
        let file = std::fs::File::create(&log).unwrap();
        let stream = journal(&file.metadata().unwrap());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = site.command(&["serve"]);
        command.env("ROCKET_PORT", port.to_string()).env("JOURNAL_STREAM", stream);
        let child = command.stdout(Stdio::null()).stderr(file).spawn().unwrap();
        let browser = Browser::new(port);
        wait_for("the server", || browser.try_get("/login").ok());
        end(child);
        let log = std::fs::read_to_string(&log).unwrap();
        log.lines().find(|line| line.contains("no accounts yet")).unwrap().to_owned()
    };
    let journal = told(&|file| format!("{}:{}", file.dev(), file.ino()));
    assert!(journal.starts_with("<4>there are no accounts yet"), "{journal}");
    // As in a service whose standard error was led elsewhere.
    let elsewhere = told(&|file| format!("{}:{}", file.dev(), file.ino() + 1));
    assert!(elsewhere.contains("Z WARN  there are no accounts yet"), "{elsewhere}");
}
