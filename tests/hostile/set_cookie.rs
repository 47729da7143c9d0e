//! The cookie that the server sets and removes, and for whom.

use super::Victim;
use super::siege::{Siege, id_in, right_pair, set_cookies};
use super::support::{Answer, Browser, PASSWORD, USER};
use super::wire::{FORM, Wire};

/// What stands behind a cookie's value, without the expiry.
fn attributes(set_cookie: &str) -> Vec<&str> {
    let expiry = |part: &&str| !part.starts_with("Expires=") && !part.starts_with("Max-Age=");
    set_cookie.split("; ").skip(1).filter(expiry).collect()
}

fn only_cookie(answer: &Answer) -> &str {
    let cookies = set_cookies(answer);
    assert_eq!(cookies.len(), 1, "{answer:?}");
    cookies[0]
}

/// Every kind of answer that sets the cookie or removes it.
fn answers_with_a_cookie(victim: &Victim) -> [Answer; 5] {
    let pair = [("username", USER), ("password", PASSWORD)];
    let kept = [pair[0], pair[1], ("remember", "1")];
    let browser = victim.server.browser();
    [
        browser.post("/login", &pair),
        browser.post("/login", &kept),
        browser.get("/brief_introduction"),
        browser.get("/detailed?id=x"),
        browser.post("/logout", &[]),
    ]
}

#[test]
fn the_session_cookie_is_for_this_host_http_and_the_own_site_alone() {
    let siege = Siege::new();
    for answer in answers_with_a_cookie(&siege) {
        let attributes = attributes(only_cookie(&answer));
        assert_eq!(attributes, ["HttpOnly", "Path=/", "SameSite=Lax"], "{answer:?}");
    }
}

#[test]
fn a_response_sets_a_cookie_of_one_name_once() {
    let siege = Siege::new();
    // Old id out and new id in, at once: the case in which two are tempting.
    let form = right_pair() + "&remember=1";
    let again = siege.as_insider(Wire::post("/login", FORM, form));
    siege.insider.sign_in();
    for answer in answers_with_a_cookie(&siege).iter().chain([&again]) {
        let headers = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
        let mut names: Vec<_> = headers.map(|(_, value)| value.split('=').next()).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all, "{answer:?}");
        only_cookie(answer);
    }
}

/// Seconds since 1970 of a date as cookies have it.
fn seconds_of(date: &str) -> i64 {
    let output = std::process::Command::new("date").args(["-u", "+%s", "-d", date]).output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn the_browser_keeps_the_cookie_as_long_as_the_server_and_31_days_at_most() {
    let now = || i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    for (settings, lifetime) in [("", 31 * 86_400), ("PERMANENT_SESSION_LIFETIME = 7200", 7200)] {
        let victim = Victim::with(settings);
        let before = now();
        let kept = answers_with_a_cookie(&victim);
        // After signing in with "keep me signed in", and again with each page.
        for answer in &kept[1..4] {
            let cookie = only_cookie(answer);
            let (_, date) = cookie.split_once("Expires=").unwrap();
            let ends = seconds_of(date.split(';').next().unwrap());
            let most = now() + lifetime;
            assert!((before + lifetime - 1..=most).contains(&ends), "{settings}: {cookie}");
        }
        let ends_with_the_browser = only_cookie(&kept[0]);
        assert!(
            !ends_with_the_browser.contains("Expires")
                && !ends_with_the_browser.contains("Max-Age")
        );
    }
}

#[test]
fn the_cookies_value_is_plain_and_small() {
    let siege = Siege::new();
    for answer in answers_with_a_cookie(&siege) {
        let cookie = only_cookie(&answer);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        assert!(id_in(cookie).bytes().all(plain), "{cookie}");
        assert!(cookie.len() < 4096, "{cookie}");
    }
}

#[test]
fn the_cookie_is_removed_with_the_attributes_it_was_set_with() {
    for settings in [
        "",
        "SESSION_COOKIE_SECURE = true\nSESSION_COOKIE_NAME = \"__Host-session\"",
        "SESSION_COOKIE_SECURE = true\nSESSION_COOKIE_DOMAIN = \"dewar.test\"\nSESSION_COOKIE_SAMESITE = \"Strict\"",
        "SESSION_COOKIE_PARTITIONED = true\nSESSION_COOKIE_SAMESITE = \"None\"",
        "SESSION_COOKIE_HTTPONLY = false\nSESSION_COOKIE_SAMESITE = \"\"",
    ] {
        let victim = Victim::with(settings);
        let [set, .., removed] = answers_with_a_cookie(&victim);
        let (set, removed) = (only_cookie(&set), only_cookie(&removed));
        assert_eq!(attributes(set), attributes(removed), "{settings}");
        assert_eq!(set.split('=').next(), removed.split('=').next(), "{settings}");
        assert_eq!(id_in(removed), "");
        assert!(removed.contains("Max-Age=0"), "{removed}");
    }
}

#[test]
fn strangers_make_no_session_whatever_they_ask_for() {
    let siege = Siege::new();
    let before = siege.live_sessions();
    let requests = [
        Wire::get("/"),
        Wire::get("/login"),
        Wire::get("/login").header("Cookie", "session=unknown"),
        Wire::get("/brief_introduction"),
        Wire::get("/brief_introduction").header("Cookie", "session=unknown"),
        Wire::get("/detailed?id=1"),
        Wire::get("/nowhere"),
        Wire::get("/static/style.css"),
        Wire::get("/static/nothing.css"),
        Wire::get("/healthz"),
        Wire::post("/logout", FORM, "").header("Cookie", "session=unknown"),
        Wire::post("/login", FORM, ""),
        Wire::post("/login", "text/plain", "x"),
        Wire::post("/nowhere", FORM, "a=b"),
        Wire::post("/login", FORM, "username=a&password=b").header("Origin", "null"),
    ];
    for request in requests.iter().cycle().take(600) {
        let answer = request.send(siege.port());
        assert!(set_cookies(&answer).is_empty(), "{answer:?}");
    }
    // A wrong pair is the only costly one, so it comes a few times only.
    for name in ["a", "b", "c"] {
        assert!(set_cookies(&siege.sign_in(name, "wrong")).is_empty());
    }
    assert_eq!(siege.live_sessions(), before);
}

#[test]
fn signing_out_ends_the_session_on_the_server_and_no_other() {
    let siege = Siege::new();
    let leaver = siege.server.signed_in();
    let cookie = leaver.cookie.borrow().clone().unwrap();
    let before = siege.live_sessions();
    assert_eq!(leaver.post("/logout", &[]).location(), "/login");
    assert_eq!(siege.live_sessions(), before - 1);
    for _ in 0..3 {
        let replayed = siege.with_cookie_bytes(&cookie);
        assert_eq!((replayed.status, set_cookies(&replayed).len()), (303, 0));
    }
    assert!(siege.insider.is_signed_in());
}

#[test]
fn signing_out_is_offered_on_every_private_page_and_never_an_error() {
    let siege = Siege::new();
    for page in
        ["/brief_introduction", "/brief_introduction?q=nobody", "/detailed?id=1", "/detailed?id=x"]
    {
        let body = siege.insider.get(page).body;
        assert!(body.contains("method=\"post\" action=\"/logout\""), "{page}: {body}");
    }
    let leaver = siege.server.signed_in();
    let cookie = leaver.cookie.borrow().clone().unwrap();
    leaver.post("/logout", &[]);
    let long = format!("session={}", "a".repeat(300));
    for again in
        [&cookie, "session=junk", "session=", "session=a; session=b", "=;;\"", &long, "a=b"]
    {
        let browser = Browser::with_cookie(siege.port(), again);
        let answer = browser.post("/logout", &[]);
        assert_eq!((answer.status, answer.location()), (303, "/login"), "{again}");
    }
    let odd = [
        Wire::post("/logout", FORM, "\u{1}=&&&="),
        Wire::post("/logout", "application/json", "{"),
        Wire::post("/logout", "multipart/form-data; boundary=", "--"),
        Wire::new("POST", "/logout?next=//evil.example").body(""),
        Wire::new("POST", "/logout").chunked(b"x"),
    ];
    for request in odd {
        let answer = request.send(siege.port());
        assert_eq!((answer.status, answer.location()), (303, "/login"), "{answer:?}");
    }
}
