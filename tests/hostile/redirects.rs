//! Where `next` leads, as a browser reads the answer, and what cannot be put into a header.

use super::siege::{Siege, set_cookies};
use super::support::{PASSWORD, USER};
use super::wire::{FORM, MULTIPART, Wire, multipart, urlencoded};

const LIST: &str = "/brief_introduction";

/// What a browser would follow to another site, or to nowhere.
const FOREIGN: &[&str] = &[
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "//evil.example/brief_introduction",
    "//user@evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "/\\/evil.example",
    "//\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r/evil.example",
    "\t//evil.example",
    "\u{0}//evil.example",
    "\u{1}//evil.example",
    " //evil.example",
    "\u{a0}//evil.example",
    "/ /evil.example",
    "http://evil.example",
    "https://evil.example/brief_introduction",
    "HTTPS://evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:\\\\evil.example",
    "http:///evil.example",
    "ftp://evil.example",
    "javascript:alert(1)",
    "java\nscript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "mailto:a@evil.example",
    "evil.example",
    "evil.example/brief_introduction",
    "@evil.example",
    ":80",
    "?next=//evil.example",
    "#//evil.example",
    ".//evil.example",
    "..//evil.example",
    "%2f%2fevil.example",
    "/\u{ff0f}evil.example",
    "/\u{2215}evil.example",
    "\u{ff0f}\u{ff0f}evil.example",
    "/\u{202e}elpmaxe.live//",
    "",
    " ",
    "/\r\nSet-Cookie: a=b",
    "/\r\n\r\n<script>",
    "/login",
    "/login?next=/login",
    "/logout",
    "/logout?x",
];

fn sign_in_to(next: &str) -> [Wire; 2] {
    let fields = [("username", USER), ("password", PASSWORD), ("next", next)];
    [
        Wire::post("/login", FORM, urlencoded(&fields)),
        Wire::post("/login", MULTIPART, multipart(&fields)),
    ]
}

#[test]
fn next_leads_to_the_list_unless_it_is_an_own_path() {
    let siege = Siege::new();
    for (index, next) in FOREIGN.iter().enumerate() {
        let answer = &sign_in_to(next)[index % 2].send(siege.port());
        assert_eq!((answer.status, answer.location()), (303, LIST), "{next:?}");
        assert_eq!(set_cookies(answer).len(), 1, "{next:?}");
    }
}

#[test]
fn whatever_next_says_a_browser_stays_on_the_site() {
    let siege = Siege::new();
    let long = format!("/{}", "a".repeat(8_000));
    for next in [
        "/",
        "/detailed?id=1",
        "/brief_introduction?q=a%20b&page=2",
        "/.//evil.example",
        "/..//evil.example",
        "/%2f%2fevil.example",
        "/%5cevil.example",
        "/%09/evil.example",
        "/@evil.example",
        "/;@evil.example",
        "/x?y=//evil.example",
        "/x#@evil.example",
        "/%0d%0aSet-Cookie:%20a=b",
        "/%00",
        "/:80",
        "/http://evil.example",
        "/%ff",
        "/%",
        &long,
    ] {
        for request in sign_in_to(next) {
            let answer = request.send(siege.port());
            let location = answer.location();
            assert_eq!(answer.status, 303, "{next:?}");
            // What Fetch and every browser resolve against the site itself.
            let mut bytes = location.bytes();
            let own = bytes.next() == Some(b'/') && !matches!(bytes.next(), Some(b'/' | b'\\'));
            let plain = location.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
            assert!(own && plain, "{next:?}: {location:?}");
        }
    }
}

#[test]
fn a_next_in_the_address_of_the_form_is_not_followed_by_itself() {
    let siege = Siege::new();
    let form = urlencoded(&[("username", USER), ("password", PASSWORD)]);
    for target in ["/login?next=//evil.example", "/login?next=/detailed?id=1"] {
        let answer = Wire::post(target, FORM, &form).send(siege.port());
        assert_eq!((answer.status, answer.location()), (303, LIST), "{target}");
        let page = siege.as_insider(Wire::get(target));
        assert_eq!((page.status, page.header("Location")), (200, None), "{target}");
    }
}

#[test]
fn the_host_that_a_client_claims_stands_in_no_answer() {
    let siege = Siege::new();
    for (name, value) in [
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Prefix", "//evil.example"),
        ("X-Original-URL", "//evil.example"),
        ("X-Rewrite-URL", "/brief_introduction"),
        ("Forwarded", "host=evil.example;proto=https"),
    ] {
        for target in ["/", "/brief_introduction", "/login", "/nowhere"] {
            let request = Wire::bare(format!("GET {target} HTTP/1.1"))
                .header("Host", "evil.example")
                .header("Connection", "close")
                .header(name, value);
            let answer = request.send(siege.port());
            let header = |(_, value): &(String, String)| value.contains("evil.example");
            assert!(!answer.headers.iter().any(header), "{target} {name}: {answer:?}");
            assert!(!answer.body.contains("evil.example"), "{target} {name}");
            assert_eq!(answer.header("Strict-Transport-Security"), None, "{target} {name}");
        }
    }
}

#[test]
fn ends_of_lines_in_any_parameter_split_no_header() {
    let siege = Siege::new();
    for end in
        ["%0d%0a", "%0a", "%0d", "%0D%0A%20", "%E5%98%8A%E5%98%8D", "%C4%8A", "%00%0a", "\\r\\n"]
    {
        let line = format!("{end}X-Injected:%20yes{end}Set-Cookie:%20a=b{end}{end}body");
        let pair = urlencoded(&[("username", USER), ("password", PASSWORD)]);
        for request in [
            Wire::get(format!("/{line}")),
            Wire::get(format!("/login?next={line}")),
            Wire::get(format!("/brief_introduction?q={line}")),
            Wire::get(format!("/detailed?id={line}")),
            Wire::get(format!("/static/{line}")),
            Wire::get(format!("/static/style.css?v={line}")),
            Wire::post("/login", FORM, format!("{pair}&next=/{line}")),
            Wire::post("/login", FORM, format!("{pair}&next={line}&remember={line}")),
            Wire::post(format!("/logout?{line}"), FORM, ""),
        ] {
            let answer = request.send(siege.port());
            assert_eq!(answer.header("X-Injected"), None, "{end}: {answer:?}");
            let own = |cookie: &&str| cookie.starts_with("session=");
            assert!(set_cookies(&answer).iter().all(own), "{end}: {answer:?}");
        }
    }
}
