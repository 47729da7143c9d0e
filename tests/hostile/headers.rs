use super::{Victim, raw};

#[test]
fn every_page_forbids_scripts_frames_sniffing_and_keeping() {
    let victim = Victim::new();
    let browser = victim.server.signed_in();
    let stranger = victim.server.browser();
    let answers = [
        browser.get("/brief_introduction"),
        browser.get("/detailed?id=1"),
        browser.get("/detailed?id=x"),
        browser.get("/nowhere"),
        stranger.get("/brief_introduction"),
        stranger.get("/login"),
        stranger.post("/login", &[("username", "x"), ("password", "y")]),
        stranger.post("/login", &[]),
    ];
    for answer in answers {
        let policy = answer.header("Content-Security-Policy").unwrap();
        for part in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(answer.header("X-Frame-Options"), Some("DENY"));
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
        assert!(answer.header("Referrer-Policy").is_some());
        assert!(answer.header("Cross-Origin-Opener-Policy").is_some());
        assert_eq!(answer.header("Access-Control-Allow-Origin"), None);
        assert_eq!(answer.header("Strict-Transport-Security"), None, "this is http");
        assert_eq!((answer.header("Server"), answer.header("X-Powered-By")), (None, None));
        if !answer.body.is_empty() {
            assert_eq!(answer.header("Content-Type"), Some("text/html; charset=utf-8"));
        }
        let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie").count();
        assert!(cookies <= 1);
    }
}

#[test]
fn pages_that_look_at_the_session_vary_by_cookie() {
    let victim = Victim::new();
    let browser = victim.server.signed_in();
    for (path, varies) in [
        ("/brief_introduction", true),
        ("/detailed?id=1", true),
        ("/login", false),
        ("/nowhere", false),
        ("/static/style.css", false),
        ("/healthz", false),
    ] {
        for browser in [&browser, &victim.server.browser()] {
            let varied = browser.get(path).header("Vary") == Some("Cookie");
            assert_eq!(varied, varies, "{path}");
        }
    }
}

#[test]
fn with_a_secure_cookie_the_site_insists_on_https() {
    let victim =
        Victim::with("SESSION_COOKIE_SECURE = true\nSESSION_COOKIE_NAME = \"__Host-session\"");
    let answer = victim.server.browser().post(
        "/login",
        &[("username", super::support::USER), ("password", super::support::PASSWORD)],
    );
    let cookie = answer.header("Set-Cookie").unwrap();
    assert!(
        cookie.starts_with("__Host-session=") && cookie.contains("; Secure; HttpOnly; Path=/; ")
    );
    assert!(!cookie.contains("Domain"));
    assert!(answer.header("Strict-Transport-Security").unwrap().contains("max-age=31536000"));
}

#[test]
fn the_host_of_a_request_stands_in_no_answer() {
    let victim = Victim::new();
    for target in ["/", "/brief_introduction", "/login", "/nowhere"] {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\n\
             X-Forwarded-Proto: https\r\nForwarded: host=evil.example\r\n\r\n"
        );
        let answer = raw::exchange(victim.port(), request.as_bytes());
        assert!(!answer.contains("evil.example"), "{answer}");
        assert!(!answer.to_lowercase().contains("strict-transport-security"), "{answer}");
    }
}

#[test]
fn a_missing_doubled_or_malformed_host_is_refused() {
    let victim = Victim::new();
    for hosts in [
        "",
        "Host: a\r\nHost: b\r\n",
        "Host: a b\r\n",
        "Host: http://a/\r\n",
        "Host: a@b\r\n",
        "Host: \r\n",
    ] {
        let answer =
            raw::exchange(victim.port(), format!("GET /login HTTP/1.1\r\n{hosts}\r\n").as_bytes());
        assert_eq!(raw::status(&answer), 400, "{hosts:?}: {answer}");
    }
}

#[test]
fn other_spellings_of_private_pages_are_not_served() {
    let victim = Victim::new();
    let browser = victim.server.signed_in();
    for path in [
        "/brief_introduction.css",
        "/brief_introduction/x.css",
        "/brief_introduction;x.css",
        "/detailed.js?id=1",
        "/brief_introduction%2f",
        "/brief_introduction%00",
        "/Brief_Introduction",
        "/static/../brief_introduction",
        "/static/..%2fRocket.toml",
        "/static/%2e%2e/dewar.db",
        "/static/",
        "/static",
        "/.git/config",
        "/Rocket.toml",
    ] {
        assert_eq!(browser.get(path).status, 404, "{path}");
    }
}
