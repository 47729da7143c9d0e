//! What every answer carries, whoever asks for whatever.

use super::Victim;
use super::siege::{Siege, id_in, right_pair, set_cookies};
use super::support::Answer;
use super::wire::{FORM, Wire, exchange};

/// One answer of each kind, with a name for it.
fn every_kind(siege: &Siege) -> Vec<(&'static str, Answer)> {
    let port = siege.port();
    let pair = right_pair();
    let large = "x".repeat(200_000);
    vec![
        ("list", siege.as_insider(Wire::get("/brief_introduction"))),
        ("empty list", siege.as_insider(Wire::get("/brief_introduction?q=nobody"))),
        ("details", siege.as_insider(Wire::get("/detailed?id=1"))),
        ("no such student", siege.as_insider(Wire::get("/detailed?id=99"))),
        ("no id", siege.as_insider(Wire::get("/detailed"))),
        ("form", Wire::get("/login").send(port)),
        ("start", Wire::get("/").send(port)),
        ("stranger", Wire::get("/brief_introduction").send(port)),
        ("stranger's student", Wire::get("/detailed?id=1").send(port)),
        ("wrong pair", siege.sign_in("nobody", "wrong")),
        ("right pair", Wire::post("/login", FORM, &pair).send(port)),
        ("kept", Wire::post("/login", FORM, format!("{pair}&remember=1")).send(port)),
        ("no session to end", Wire::post("/logout", FORM, "").send(port)),
        ("bad request", Wire::get("/login").header("Host", "another").send(port)),
        ("foreign", Wire::post("/login", FORM, "").header("Origin", "null").send(port)),
        ("nowhere", Wire::get("/nowhere").send(port)),
        ("nowhere, signed in", siege.as_insider(Wire::get("/nowhere"))),
        ("wrong method", Wire::new("DELETE", "/login").send(port)),
        ("trace", Wire::new("TRACE", "/login").send(port)),
        ("too large", Wire::post("/login", FORM, large).send(port)),
        ("wrong kind", Wire::post("/login", "text/plain", "x").send(port)),
        ("incomplete", Wire::post("/login", FORM, "username=x").send(port)),
        ("style", Wire::get("/static/style.css").send(port)),
        ("picture", Wire::get("/static/favicon.svg").send(port)),
        ("no file", Wire::get("/static/nothing.css").send(port)),
        ("health", Wire::get("/healthz").send(port)),
    ]
}

fn assert_strict(name: &str, answer: &Answer) {
    let policy = answer.header("Content-Security-Policy").unwrap_or_default();
    let directives: Vec<_> = policy.split(';').map(str::trim).collect();
    for wanted in
        ["default-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"]
    {
        assert!(directives.contains(&wanted), "{name}: {wanted} is not in {policy:?}");
    }
    let action = |directive: &&str| directive.starts_with("form-action 'self'");
    assert!(directives.iter().any(action), "{name}: {policy:?}");
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{name}: {policy:?}");
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"), "{name}");
    assert_eq!(answer.header("X-Frame-Options"), Some("DENY"), "{name}");
    let safe = ["no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin"];
    assert!(safe.contains(&answer.header("Referrer-Policy").unwrap_or_default()), "{name}");
    assert_eq!(answer.header("Cross-Origin-Opener-Policy"), Some("same-origin"), "{name}");
    assert!(answer.header("Permissions-Policy").is_some(), "{name}");
}

#[test]
fn every_answer_forbids_scripts_plugins_frames_sniffing_and_referrers() {
    let siege = Siege::new();
    for (name, answer) in every_kind(&siege) {
        assert_strict(name, &answer);
    }
}

#[test]
fn a_request_by_an_unknown_method_gets_as_strict_an_answer_as_any_other() {
    let siege = Siege::new();
    for method in ["PROPFIND", "FROBNICATE", "get"] {
        let answer = Wire::new(method, "/login").send(siege.port());
        assert_eq!(answer.status / 100, 4, "{method}");
        assert_strict(method, &answer);
        assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{method}");
    }
}

#[test]
fn every_body_has_a_type_and_every_text_a_charset() {
    let siege = Siege::new();
    for (name, answer) in every_kind(&siege) {
        let kind = answer.header("Content-Type").unwrap_or_default();
        match kind {
            "" => assert!(answer.body.is_empty(), "{name}"),
            "image/svg+xml; charset=utf-8" => assert_eq!(name, "picture"),
            _ => assert!(
                kind.starts_with("text/") && kind.ends_with("; charset=utf-8"),
                "{name}: {kind}"
            ),
        }
    }
}

#[test]
fn nothing_private_and_no_answer_with_a_cookie_is_kept_by_caches() {
    let siege = Siege::new();
    for (name, answer) in every_kind(&siege) {
        let caching = answer.header("Cache-Control").unwrap_or_default();
        let is_file = matches!(name, "style" | "picture");
        assert_eq!(caching == "no-store", !is_file, "{name}: {caching:?}");
        assert!(!is_file || set_cookies(&answer).is_empty(), "{name}");
    }
}

#[test]
fn whatever_looked_at_the_session_varies_by_cookie() {
    let siege = Siege::new();
    let kept = Wire::post("/login", FORM, right_pair() + "&remember=1").send(siege.port());
    let kept = format!("session={}", id_in(set_cookies(&kept)[0]));
    for cookie in ["", "session=junk", "session=a; session=b", &siege.cookie(), &kept] {
        for (target, looks) in [
            ("/brief_introduction", true),
            ("/brief_introduction?q=x&page=2", true),
            ("/detailed?id=1", true),
            ("/detailed?id=x", true),
            ("/login", false),
            ("/", false),
            ("/nowhere", false),
            ("/healthz", false),
            ("/static/style.css", false),
        ] {
            let answer = Wire::get(target).header("Cookie", cookie).send(siege.port());
            let varies = answer.header("Vary").is_some_and(|by| by.contains("Cookie"));
            assert_eq!(varies, looks, "{target} with {cookie:?}");
            assert!(varies || set_cookies(&answer).is_empty(), "{target} with {cookie:?}");
        }
    }
    // Ending a session last, since afterwards there is none to look at.
    for (target, form) in [("/login", right_pair()), ("/logout", String::new())] {
        for cookie in ["", "session=junk", &kept] {
            let request = Wire::post(target, FORM, &form)
                .header("Cookie", cookie)
                .header("Origin", "http://dewar.test");
            let answer = request.send(siege.port());
            assert_eq!((answer.status, answer.header("Vary")), (303, Some("Cookie")), "{cookie:?}");
        }
    }
}

#[test]
fn a_stranger_is_sent_to_sign_in_for_this_once() {
    let siege = Siege::new();
    for target in ["/brief_introduction", "/brief_introduction?q=x", "/detailed?id=1", "/detailed"]
    {
        let answer = Wire::get(target).send(siege.port());
        assert_eq!(answer.status, 303, "{target}");
        assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{target}");
        assert!(answer.location().starts_with("/login?next=%2F"), "{target}");
        assert_eq!(answer.header("Expires"), None, "{target}");
    }
}

#[test]
fn no_answer_tells_what_software_gave_it() {
    let siege = Siege::new();
    let unreadable = exchange(siege.port(), b"no http at all\r\n\r\n").remove(0);
    for (name, answer) in every_kind(&siege).into_iter().chain([("unreadable", unreadable)]) {
        for header in ["Server", "X-Powered-By", "Via", "X-Version", "X-Runtime"] {
            assert_eq!(answer.header(header), None, "{name}");
        }
        for product in ["Rocket", "hyper", "Rust", "0.5.2", env!("CARGO_PKG_VERSION")] {
            assert!(name == "style" || !answer.body.contains(product), "{name}: {product}");
        }
    }
}

#[test]
fn with_a_secure_cookie_the_site_insists_on_https() {
    let victim =
        Victim::with("SESSION_COOKIE_SECURE = true\nSESSION_COOKIE_NAME = \"__Host-session\"");
    let answer = victim.server.browser().post(
        "/login",
        &[("username", crate::support::USER), ("password", crate::support::PASSWORD)],
    );
    let cookie = answer.header("Set-Cookie").unwrap();
    assert!(
        cookie.starts_with("__Host-session=") && cookie.contains("; Secure; HttpOnly; Path=/; ")
    );
    assert!(!cookie.contains("Domain"));
    assert!(answer.header("Strict-Transport-Security").unwrap().contains("max-age=31536000"));
}
