//! Who a request comes from, and by which scheme: a proxy that is trusted may say, and nobody else.

use super::siege::{Siege, right_pair};
use super::support::{Answer, Site};
use super::wire::{FORM, Wire, urlencoded};

const TRUSTED: &str = "TRUSTED_PROXIES = [\"127.0.0.1\", \"10.0.0.0/8\"]";
const ANOTHER: &str = "TRUSTED_PROXIES = [\"192.0.2.1\"]";
const FOR: &str = "X-Forwarded-For";

/// Guesses at accounts of different names, each with the headers of its number, and how many of
/// them were looked at: an address has thirty.
fn tried(siege: &Siege, headers: impl Fn(usize) -> Vec<(&'static str, String)>) -> usize {
    let guess = |i: usize| -> Answer {
        let name = format!("user{i}");
        let form = urlencoded(&[("username", &name), ("password", "Winter2026")]);
        let mut request = Wire::post("/login", FORM, form);
        for (name, value) in headers(i) {
            request = request.header(name, value);
        }
        request.send(siege.port())
    };
    (0..45).map(guess).filter(|answer| answer.status == 200).count()
}

#[test]
fn headers_of_a_peer_that_is_not_the_trusted_proxy_do_not_help() {
    let siege = Siege::with(ANOTHER);
    let all = |i: usize| {
        let address = format!("198.51.100.{i}");
        vec![
            (FOR, address.clone()),
            ("X-Real-IP", address.clone()),
            ("Forwarded", format!("for={address}")),
        ]
    };
    assert!((10..=35).contains(&tried(&siege, all)));
}

#[test]
fn clients_behind_a_trusted_proxy_are_told_apart() {
    for header in [FOR, "X-Real-IP"] {
        let siege = Siege::with(TRUSTED);
        assert_eq!(tried(&siege, |i| vec![(header, format!("198.51.100.{i}"))]), 45, "{header}");
    }
}

#[test]
fn clients_behind_two_proxies_are_told_apart() {
    let siege = Siege::with(TRUSTED);
    let chain = |i: usize| vec![(FOR, format!("198.51.100.{i}, 10.0.0.2"))];
    assert_eq!(tried(&siege, chain), 45);
}

#[test]
fn what_a_client_puts_before_the_proxys_word_does_not_help() {
    let siege = Siege::with(TRUSTED);
    let chain = |i: usize| vec![(FOR, format!("198.51.100.{i}, 203.0.113.9, 10.0.0.2"))];
    assert!((10..=35).contains(&tried(&siege, chain)));
    let siege = Siege::with(TRUSTED);
    let lines = |i: usize| {
        vec![(FOR, format!("10.0.0.{i}, 198.51.100.{i}")), (FOR, "10.0.0.2,203.0.113.9".into())]
    };
    assert!((10..=35).contains(&tried(&siege, lines)));
}

#[test]
fn a_header_that_the_proxy_does_not_set_itself_does_not_help() {
    // As behind a proxy that sets one of the two and passes the other on as it came.
    let siege = Siege::with(TRUSTED);
    let real =
        |i: usize| vec![("X-Real-IP", format!("198.51.100.{i}")), (FOR, "203.0.113.9".to_owned())];
    assert!((10..=35).contains(&tried(&siege, real)));
    let siege = Siege::with(TRUSTED);
    let forwarded =
        |i: usize| vec![(FOR, format!("198.51.100.{i}")), ("X-Real-IP", "203.0.113.9".to_owned())];
    assert!((10..=35).contains(&tried(&siege, forwarded)));
}

#[test]
fn the_log_names_the_client_and_not_the_proxy() {
    let siege = Siege::with(TRUSTED);
    let form = urlencoded(&[("username", "x"), ("password", "y")]);
    Wire::post("/login", FORM, form).header(FOR, "::ffff:203.0.113.9").send(siege.port());
    siege.server.wait_for_log("failed sign-in from 203.0.113.9");
}

/// A sign-in from a page of an origin.
fn from_page(siege: &Siege, origin: &str, headers: &str) -> u16 {
    let request = Wire::post("/login", FORM, right_pair()).header("Origin", origin);
    request.headers(headers).send(siege.port()).status
}

#[test]
fn behind_a_tls_proxy_the_own_origin_is_compared_with_its_scheme() {
    let (https, http) = ("X-Forwarded-Proto: https\r\n", "X-Forwarded-Proto: http\r\n");
    let siege = Siege::with(TRUSTED);
    assert_eq!(from_page(&siege, "https://dewar.test", https), 303);
    assert_eq!(from_page(&siege, "https://dewar.test:443", https), 303);
    assert_eq!(from_page(&siege, "http://dewar.test", https), 403);
    assert_eq!(from_page(&siege, "http://dewar.test", http), 303);
    assert_eq!(from_page(&siege, "https://dewar.test", http), 403);
    // A stranger's header neither closes nor opens anything.
    let siege = Siege::with(ANOTHER);
    assert_eq!(from_page(&siege, "http://dewar.test", https), 303);
    for told in ["SESSION_COOKIE_SECURE = true", "PREFERRED_URL_SCHEME = \"https\""] {
        let siege = Siege::with(told);
        for headers in ["", http, https] {
            assert_eq!(from_page(&siege, "https://dewar.test", headers), 303, "{told}");
            assert_eq!(from_page(&siege, "http://dewar.test", headers), 403, "{told}");
        }
    }
}

#[test]
fn no_header_turns_strict_transport_security_on_or_off() {
    let answer = |siege: &Siege, scheme: &str| {
        let request = Wire::get("/login").header("X-Forwarded-Proto", scheme).send(siege.port());
        request.header("Strict-Transport-Security").is_some()
    };
    for settings in [TRUSTED, ANOTHER] {
        let siege = Siege::with(settings);
        assert!(!answer(&siege, "https"), "{settings}");
        let siege = Siege::with(&format!("{settings}\nSESSION_COOKIE_SECURE = true"));
        assert!(answer(&siege, "http"), "{settings}");
    }
}

#[test]
fn https_without_a_secure_cookie_is_told_of_once() {
    let siege = Siege::with(TRUSTED);
    for _ in 0..3 {
        Wire::get("/login").header("X-Forwarded-Proto", "https").send(siege.port());
    }
    siege.server.wait_for_log("set SESSION_COOKIE_SECURE");
    assert_eq!(siege.server.log().matches("set SESSION_COOKIE_SECURE").count(), 1);
}

#[test]
fn rockets_own_header_and_what_is_no_address_are_refused_with_the_remedy() {
    for (settings, part) in [
        ("ip_header = \"X-Real-IP\"", "TRUSTED_PROXIES"),
        ("TRUSTED_PROXIES = [\"proxy.example\"]", "\"proxy.example\""),
        ("TRUSTED_PROXIES = \"10.0.0.1\"", "must be a list"),
    ] {
        let (status, error) = Site::empty(settings).fail(&["check"], b"");
        assert_eq!(status, 2, "{settings}");
        assert!(error.contains(part), "{settings}: {error}");
    }
    for (settings, part) in [
        ("address = \"0.0.0.0\"\nTRUSTED_PROXIES = [\"10.0.0.1\"]", "SESSION_COOKIE_SECURE"),
        ("TRUSTED_PROXIES = [\"0.0.0.0/0\"]", "everybody"),
    ] {
        let output = super::support::output_of(Site::empty(settings).command(&["check"]), b"");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains(part), "{settings}: {said}");
    }
}
