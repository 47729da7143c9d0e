//! The log: no secrets in it, and no lines that somebody else wrote.

use super::Victim;
use super::siege::{Siege, right_pair};
use super::support::{PASSWORD, Server, USER, encode, wait_for};
use super::wire::{FORM, MULTIPART, Wire, exchange, multipart, urlencoded};

/// Stands in whatever should not be written down; in lower case, as header names come.
const MARK: &str = "marked-secret";

/// A mark of its own for each place, so that a failure names it.
fn mark(place: &str) -> String {
    format!("{MARK}-{place}")
}

/// Secrets in bodies, cookies and headers.
fn requests_with_secrets() -> Vec<Wire> {
    let fields: Vec<_> = ["username", "password", "next", "remember", "unknown"]
        .iter()
        .map(|name| (*name, mark(name)))
        .collect();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let form = urlencoded(&fields);
    let broken = [mark("broken").as_bytes(), b"\xff"].concat();
    let cut = multipart(&fields).replace("--x--", "");
    let mut requests = vec![
        Wire::post("/login", FORM, &form),
        Wire::post("/login", MULTIPART, multipart(&fields)),
        Wire::post("/login", MULTIPART, cut),
        Wire::post("/login", MULTIPART, mark("no-form")),
        Wire::post("/login", FORM, mark("no-fields")),
        Wire::post("/login", FORM, format!("{}=1", mark("field-name"))),
        Wire::post("/login", FORM, [b"username=", &broken[..]].concat()),
        Wire::post("/login", FORM, format!("_method={}&{form}", mark("method-field"))),
        Wire::post("/login", "application/json", format!("{{\"password\":\"{}\"}}", mark("json"))),
        Wire::post("/login", FORM, format!("{form}{}", "x".repeat(200_000))),
        Wire::post("/login", FORM, &form).header("Origin", format!("http://{}", mark("origin"))),
        Wire::post("/login", FORM, &form).header("Sec-Fetch-Site", mark("site")),
        Wire::post("/logout", FORM, &form).header("Cookie", format!("session={}", mark("end"))),
        Wire::get("/brief_introduction").header("Cookie", format!("session={}", mark("cookie"))),
        Wire::get("/brief_introduction").header("Cookie", format!("session=\"{}", mark("quoted"))),
        Wire::get("/brief_introduction").header("Cookie", [b"session=", &broken[..]].concat()),
        Wire::get("/brief_introduction")
            .header("Cookie", format!("session=a; session={}", mark("twice"))),
        Wire::get("/login").header("Host", mark("host")),
        Wire::bare("GET /login HTTP/1.1")
            .header("Host", format!("{}/", mark("bad-host")))
            .header("Connection", "close"),
    ];
    for name in [
        "Authorization",
        "Proxy-Authorization",
        "Referer",
        "User-Agent",
        "X-Real-IP",
        "X-Forwarded-For",
        "Forwarded",
        "Upgrade",
        "Expect",
        "If-None-Match",
        "Accept",
    ] {
        let request = Wire::get("/brief_introduction");
        requests.push(request.clone().header(name, mark(&name.to_lowercase())));
        requests.push(request.header(name, &broken));
    }
    requests
}

fn requests_with_secrets_in_the_head() -> Vec<Wire> {
    let value = mark("query");
    vec![
        Wire::get(format!("/login?next={value}&password={value}")),
        Wire::get(format!("/brief_introduction?q={value}&page={value}")),
        Wire::get(format!("/detailed?id={value}")),
        Wire::get(format!("/nowhere?token={value}")),
        Wire::get(format!("/static/style.css?v={value}")),
        Wire::post(format!("/login?password={value}"), FORM, "username=x&password=y"),
        Wire::post(format!("/login?password={value}"), FORM, "").header("Origin", "null"),
        Wire::new("DELETE", format!("/login?password={value}")),
        Wire::new("FROBNICATE", format!("/login?password={value}")),
        Wire::get(format!("/login?password={value}%ff")),
        Wire::post("/login", &format!("text/{}", mark("type")), ""),
    ]
}

/// The log when it has come to a sign-in that follows everything else.
fn log_after(server: &Server) -> String {
    let sign_ins = || server.log().matches("signed in").count();
    let before = sign_ins();
    let answer = Wire::post("/login", FORM, right_pair()).send(server.port);
    assert_eq!(answer.status, 303);
    wait_for("the sign-in's line", || (sign_ins() > before).then_some(()));
    server.log()
}

fn assert_unmarked(log: &str) {
    let marked: Vec<_> = log.lines().filter(|line| line.to_lowercase().contains(MARK)).collect();
    assert!(marked.is_empty(), "{marked:#?}");
}

#[test]
fn no_secret_of_any_field_cookie_header_or_address_reaches_the_log() {
    let victim = Victim::new();
    for request in requests_with_secrets().iter().chain(&requests_with_secrets_in_the_head()) {
        exchange(victim.port(), &request.bytes());
    }
    let log = log_after(&victim.server);
    assert_unmarked(&log);
    assert!(!log.contains(PASSWORD), "{log}");
}

#[test]
fn a_verbose_log_shows_paths_but_no_query_field_cookie_or_header() {
    let victim = Victim::new();
    let server = Server::start(victim.site.command(&["serve", "--verbose"]));
    for request in requests_with_secrets().iter().chain(&requests_with_secrets_in_the_head()) {
        exchange(server.port, &request.bytes());
    }
    let log = log_after(&server);
    assert!(log.contains("GET /brief_introduction"), "{log}");
    assert_unmarked(&log);
    assert!(!log.contains(PASSWORD), "{log}");
}

/// A request with a mark of its own: in a field, a header, a cookie, or the address.
fn request_with_secret(i: usize) -> Wire {
    const HEADERS: [&str; 16] = [
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "Referer",
        "User-Agent",
        "X-Real-IP",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Request-Id",
        "X-Api-Key",
        "Forwarded",
        "From",
        "Accept",
        "Accept-Language",
        "If-None-Match",
        "Range",
    ];
    const FIELDS: [&str; 5] = ["username", "password", "next", "remember", "unknown"];
    let mark = mark(&i.to_string());
    let header = HEADERS[i / 8 % HEADERS.len()];
    let field = FIELDS[i / 8 % FIELDS.len()];
    let fields: Vec<_> = ["username", "password"].into_iter().filter(|f| *f != field).collect();
    let mut form: Vec<_> = fields.into_iter().map(|name| (name, "x")).collect();
    form.push((field, &mark));
    match i % 8 {
        0 => Wire::post("/login", FORM, urlencoded(&form)),
        1 => Wire::post("/login", MULTIPART, multipart(&form)),
        2 => Wire::post(format!("/login?{field}={mark}"), FORM, urlencoded(&form)),
        3 => Wire::get(format!("/login?{field}={mark}")),
        4 => Wire::get(format!("/brief_introduction?q={mark}&page={mark}&{mark}")),
        5 => Wire::get("/detailed?id=1").header("Cookie", format!("session={mark}; {mark}={mark}")),
        6 => Wire::get("/brief_introduction").header(header, mark),
        _ => Wire::post("/logout", FORM, "").header(header, &mark).header("Origin", mark),
    }
}

#[test]
fn of_a_thousand_secrets_none_is_in_the_most_talkative_log() {
    let settings = "DEBUG = true\nLOG_REQUESTS = true\nLOG_CLIENT_ADDRESS = true\n\
                    LOG_FORMAT = \"json\"";
    let victim = Victim::with(settings);
    let server = Server::start(victim.site.command(&["serve", "--verbose"]));
    for i in 0..1000 {
        let answers = exchange(server.port, &request_with_secret(i).bytes());
        assert!(answers[0].status < 500, "{i}: {answers:?}");
    }
    Wire::get("/static/style.css").send(server.port);
    server.wait_for_log("\"route\":\"/static/<path..>\"");
    let log = server.log();
    assert!(log.matches("\"target\":\"dewar::requests\"").count() > 900);
    assert_unmarked(&log);
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(line["time"].is_string() && line["message"].is_string(), "{line}");
    }
}

#[test]
fn no_id_and_no_hash_of_a_live_session_reaches_the_log() {
    let siege = Siege::new();
    for request in [
        Wire::get("/brief_introduction"),
        Wire::get("/detailed?id=x"),
        Wire::post("/login", FORM, "username=x&password=y"),
        Wire::post("/logout", FORM, "").header("Origin", "null"),
        Wire::get("/login").header("Host", "another"),
    ] {
        siege.as_insider(request);
    }
    let log = log_after(&siege.server);
    assert!(!log.contains(&siege.id()) && !log.contains("argon2"), "{log}");
}

#[test]
fn nobody_forges_or_colours_a_line_of_the_log() {
    let siege = Siege::new();
    let forged = "2026-01-01T00:00:00.000Z ERROR forged";
    for end in
        ["\n", "\r", "\r\n", "\u{1b}[2K\u{1b}[1G", "\u{85}", "\u{2028}", "\u{2029}", "\u{b}", "\0"]
    {
        let text = format!("a{end}{forged}");
        let fields = [("username", &*text), ("password", &text), ("next", &text)];
        siege.sign_in(&text, "x");
        Wire::post("/login", FORM, urlencoded(&fields)).header("Origin", "null").send(siege.port());
        let escaped = encode(&text);
        // The path of a refused request is logged.
        Wire::post(format!("/{escaped}"), FORM, "").header("Origin", "null").send(siege.port());
        let raw = format!("/a{end}ERROR-forged");
        exchange(siege.port(), &Wire::post(&raw, FORM, "").header("Origin", "null").bytes());
        exchange(siege.port(), &Wire::get("/").header("Cookie", &text).bytes());
        exchange(siege.port(), &Wire::get("/").header("X-Real-IP", &text).bytes());
    }
    let log = log_after(&siege.server);
    for line in log.lines() {
        let (time, rest) = line.split_once(' ').unwrap_or_default();
        assert!(time.ends_with('Z') && !time.starts_with("2026-01-01"), "{line:?}");
        assert!(["INFO", "WARN"].iter().any(|level| rest.starts_with(level)), "{line:?}");
        let control = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        assert!(!line.contains(control), "{line:?}");
    }
}

#[test]
fn what_was_attempted_is_in_the_log_without_the_name_that_was_typed() {
    let siege = Siege::new();
    for _ in 0..8 {
        siege.sign_in("a-name-or-a-password", "wrong");
    }
    Wire::post("/logout", FORM, "").header("Origin", "null").send(siege.port());
    let log = log_after(&siege.server);
    for event in ["failed sign-in from 127.0.0.1", "told to wait", "from another site", "signed in"]
    {
        assert!(log.contains(event), "{event} is not in {log}");
    }
    assert!(!log.contains("a-name-or-a-password"), "{log}");
    assert!(log.contains(&format!("account {USER} signed in from 127.0.0.1")), "{log}");
}
