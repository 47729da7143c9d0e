use super::support::{PASSWORD, USER, encode};
use super::{Victim, raw};

const WRONG: &str = "Account or password error";

#[test]
fn credentials_count_in_the_body_of_a_post_alone() {
    let victim = Victim::new();
    let browser = victim.server.browser();
    let query = format!("username={USER}&password={}", encode(PASSWORD));
    assert_eq!(browser.get(&format!("/login?{query}")).header("Set-Cookie"), None);
    assert_eq!(browser.post(&format!("/login?{query}"), &[]).status, 422);
    let half = browser.post(&format!("/login?{query}"), &[("username", USER), ("password", "x")]);
    assert!(half.body.contains(WRONG));
    assert!(browser.cookie.borrow().is_none());
}

#[test]
fn a_doubled_field_is_not_a_second_try() {
    let victim = Victim::new();
    let twice = [("username", USER), ("password", "wrong"), ("password", PASSWORD)];
    assert!(victim.server.browser().post("/login", &twice).cookie_free());
}

trait CookieFree {
    fn cookie_free(&self) -> bool;
}

impl CookieFree for super::support::Answer {
    fn cookie_free(&self) -> bool {
        self.header("Set-Cookie").is_none()
    }
}

#[test]
fn a_password_is_compared_exactly() {
    let victim = Victim::new();
    let password = format!(" Größe\t{}\0 ", "x".repeat(80));
    for (name, word) in [("spaced", password.as_str()), ("long", &"ab".repeat(100))] {
        victim.site.run_with_input(&["user", "add", name, "--password-stdin"], word);
        let sign_in = |word: &str| {
            let answer =
                victim.server.browser().post("/login", &[("username", name), ("password", word)]);
            answer.status == 303
        };
        assert!(sign_in(word), "{name}");
        assert!(!sign_in(word.trim_matches([' ', '\0'])) || word.trim_matches([' ', '\0']) == word);
        assert!(!sign_in(&word.to_uppercase()));
        assert!(!sign_in(&word[..word.len() - 2]));
    }
}

#[test]
fn what_is_typed_is_escaped_and_never_a_template_or_sql() {
    let victim = Victim::new();
    for name in [
        "<script>alert(1)</script>",
        "\"><img src=x>",
        "{{ 7*7 }}",
        "{% for %}",
        "${7*7}",
        "' OR '1'='1",
        "gkf'--",
        "gkf\" --",
        "\u{202e}gkf",
        "gkf\0",
        "%",
        "_",
        "gk%",
    ] {
        let browser = victim.server.browser();
        let answer = browser
            .post("/login", &[("username", name), ("password", "' OR '1'='1"), ("next", name)]);
        assert!(matches!(answer.status, 200 | 429), "{name:?}");
        assert!(answer.cookie_free());
        for raw in ["<script>", "<img src=x", "49"] {
            assert!(!answer.body.contains(raw), "{name:?}: {}", answer.body);
        }
        assert!(!answer.body.contains("next\" value=\"<"), "{name:?}");
    }
    victim.is_unharmed();
}

#[test]
fn names_from_the_tables_are_escaped() {
    let victim = Victim::new();
    let name = "<script>alert('x')</script> & {{ 7*7 }}";
    victim.site.run(&["students", "add", name, "--id", "9", "--gender", "<b>"]);
    victim.site.run_with_input(&["user", "add", "<i>\"'&", "--password-stdin"], PASSWORD);
    let browser = victim.server.browser();
    browser.post("/login", &[("username", "<i>\"'&"), ("password", PASSWORD)]);
    for path in ["/brief_introduction", "/detailed?id=9", "/brief_introduction?q=%3Cscript%3E"] {
        let body = browser.get(path).body;
        assert!(body.contains("&lt;script&gt;"), "{body}");
        for raw in ["<script>", "<i>", "<b>", "49"] {
            assert!(!body.contains(raw), "{path}: {body}");
        }
    }
}

#[test]
fn next_leads_nowhere_else() {
    let victim = Victim::new();
    let browser = victim.server.browser();
    for next in [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "https://evil.example",
        "HTTPS:evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "@evil.example",
        "evil.example",
        "/%0d%0aSet-Cookie:%20a=b\r\nX: y",
        "/\u{ff0f}evil.example",
        "http:///evil.example",
        "/..//evil.example\\",
        "/logout",
        "/login?next=/login",
    ] {
        let answer =
            browser.post("/login", &[("username", USER), ("password", PASSWORD), ("next", next)]);
        assert_eq!((answer.status, answer.location()), (303, "/brief_introduction"), "{next:?}");
    }
    let answer = browser
        .post("/login", &[("username", USER), ("password", PASSWORD), ("next", "/a%0d%0aX:y")]);
    assert!(answer.header("X").is_none() && answer.location().starts_with('/'));
}

#[test]
fn guessing_is_slowed_for_an_account_whatever_address_is_claimed() {
    let victim = Victim::new();
    let open = victim.server.signed_in();
    victim.site.run_with_input(&["user", "add", "target", "--password-stdin"], PASSWORD);
    let mut slowed = 0;
    for i in 0..20 {
        let headers = format!(
            "X-Real-IP: 192.0.2.{i}\r\nX-Forwarded-For: 192.0.2.{i}\r\nForwarded: for=192.0.2.{i}\r\nTrue-Client-IP: 192.0.2.{i}\r\n"
        );
        let name = ["target", "TARGET", "Target", " target "][i % 4];
        let body = format!("username={}&password=wrong{i}", encode(name));
        let answer = raw::post(victim.port(), "/login", &headers, body.as_bytes());
        match raw::status(&answer) {
            200 => assert!(answer.contains(WRONG)),
            429 => {
                assert!(answer.to_lowercase().contains("retry-after: "), "{answer}");
                slowed += 1;
            }
            other => panic!("{other}: {answer}"),
        }
    }
    assert!(slowed >= 10, "only {slowed} of 20 were slowed");
    assert!(open.is_signed_in(), "an open session suffers");
    let unknown = (0..20).filter(|i| {
        let body = format!("username=nobody&password=wrong{i}");
        raw::status(&raw::post(victim.port(), "/login", "", body.as_bytes())) == 429
    });
    assert!(unknown.count() >= 10, "the throttle tells accounts apart");
}

#[test]
fn one_address_trying_many_accounts_is_slowed() {
    let victim = Victim::new();
    let slowed = (0..45).filter(|i| {
        let body = format!("username=user{i}&password=Winter2026");
        raw::status(&raw::post(victim.port(), "/login", "", body.as_bytes())) == 429
    });
    assert!(slowed.count() >= 10);
}

#[test]
fn no_secret_reaches_the_log_and_nobody_forges_a_line() {
    let victim = Victim::new();
    let marked = "MARKED-SECRET";
    let browser = victim.server.browser();
    browser.post("/login", &[("username", marked), ("password", marked), ("next", marked)]);
    browser.post("/login", &[("username", "x\nERROR forged\r\n\u{1b}[31m"), ("password", "x")]);
    browser.get(&format!("/login?password={marked}&next={marked}"));
    browser.get(&format!("/nowhere?token={marked}"));
    browser.get(&format!("/{marked}%0aERROR%20forged"));
    let header =
        format!("Cookie: session={marked}\r\nAuthorization: {marked}\r\nOrigin: {marked}\r\n");
    raw::get(victim.port(), "/brief_introduction", header.as_bytes());
    raw::post(victim.port(), "/login", &header, marked.as_bytes());
    victim.server.signed_in();
    victim.server.wait_for_log("signed in");
    let log = victim.server.log();
    assert!(!log.contains(marked), "{log}");
    assert!(!log.lines().any(|line| line.starts_with("ERROR")) && !log.contains('\u{1b}'), "{log}");
    assert!(!log.contains(PASSWORD), "{log}");
}
