//! Requests that another site makes a browser send, and methods that are not what they seem.

use super::siege::{Siege, is_refused, right_pair, set_cookies};
use super::support::{PASSWORD, USER};
use super::wire::{FORM, MULTIPART, Wire, exchange, multipart};

const OWN: &str = "http://dewar.test";

/// What Rocket's form parser reads as a first field of the name `_method`.
const METHOD_FIELDS: &[&str] = &[
    "_method",
    "&_method",
    "&&_method",
    "[_method]",
    "[_method",
    "._method",
    "_method[]",
    "_method.",
];

/// A sign-out and a sign-in, as a page of another site would have them sent.
fn unsafe_requests() -> [Wire; 2] {
    [Wire::post("/logout", FORM, ""), Wire::post("/login", FORM, right_pair())]
}

#[test]
fn unsafe_requests_of_another_origin_do_nothing() {
    let siege = Siege::new();
    let before = siege.live_sessions();
    for headers in [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Sec-Fetch-Site: CROSS-SITE\r\n",
        "Sec-Fetch-Site: \r\n",
        "Sec-Fetch-Site: same-origin, cross-site\r\n",
        "Sec-Fetch-Site: Same-Origin\r\n",
        "Sec-Fetch-Site: cross-site\r\nOrigin: http://dewar.test\r\n",
        "Sec-Fetch-Site: cross-site\r\nReferer: http://dewar.test/\r\n",
        "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n",
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: \r\n",
        "Origin: dewar.test\r\n",
        "Origin: //dewar.test\r\n",
        "Origin: http:/dewar.test\r\n",
        "Origin: http://dewar.test.evil.example\r\n",
        "Origin: http://evil-dewar.test\r\n",
        "Origin: http://evil.example/dewar.test\r\n",
        "Origin: http://evil.example?dewar.test\r\n",
        "Origin: http://evil.example#dewar.test\r\n",
        "Origin: http://dewar.test@evil.example\r\n",
        "Origin: http://evil.example\\@dewar.test\r\n",
        "Origin: http://user@dewar.test\r\n",
        "Origin: http://dewar.test:8080\r\n",
        "Origin: http://dewar.test.\r\n",
        "Origin: http://dewar.tes\r\n",
        "Origin: http://xn--dewar-test\r\n",
        "Origin: http://dewar.test http://evil.example\r\n",
        "Origin: http://dewar.test, http://evil.example\r\n",
        "Origin: http://dewar.test\r\nOrigin: http://evil.example\r\n",
        "Origin: http://evil.example\r\nOrigin: http://dewar.test\r\n",
        "Origin: file://\r\n",
        "Origin: chrome-extension://abcdefghijklmnop\r\n",
    ] {
        for request in unsafe_requests() {
            let answer = siege.as_insider(request.headers(headers));
            assert_eq!((answer.status, set_cookies(&answer).len()), (403, 0), "{headers:?}");
        }
        assert!(siege.insider.is_signed_in(), "{headers:?}");
    }
    assert_eq!(siege.live_sessions(), before);
}

#[test]
fn every_unsafe_method_of_another_origin_is_refused_on_every_path() {
    let siege = Siege::new();
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        for path in ["/", "/login", "/logout", "/detailed?id=1", "/static/style.css", "/nowhere"] {
            let request = Wire::new(method, path).header("Origin", "https://evil.example").body("");
            assert_eq!(siege.as_insider(request).status, 403, "{method} {path}");
        }
    }
}

#[test]
fn the_sites_own_pages_and_plain_clients_may_send_forms() {
    let siege = Siege::with("TRUSTED_ORIGINS = [\"https://friend.example\"]");
    for headers in [
        "",
        "Sec-Fetch-Site: same-origin\r\n",
        "Sec-Fetch-Site: none\r\n",
        &format!("Origin: {OWN}\r\n"),
        "Origin: HTTP://DEWAR.TEST\r\n",
        &format!("Sec-Fetch-Site: same-origin\r\nOrigin: {OWN}\r\n"),
        "Origin: https://friend.example\r\n",
        "Sec-Fetch-Site: cross-site\r\nOrigin: https://friend.example\r\n",
    ] {
        let answer = unsafe_requests()[1].clone().headers(headers).send(siege.port());
        assert_eq!((answer.status, set_cookies(&answer).len()), (303, 1), "{headers:?}");
    }
    for headers in [
        "Origin: https://friend.example.evil.example\r\n",
        "Origin: http://friend.example\r\n",
        "Origin: https://friend.example:444\r\n",
        "Origin: https://friend.example\r\nOrigin: https://evil.example\r\n",
    ] {
        let answer = unsafe_requests()[1].clone().headers(headers).send(siege.port());
        assert_eq!(answer.status, 403, "{headers:?}");
    }
}

#[test]
fn of_two_fetch_site_headers_the_worse_one_counts() {
    let siege = Siege::new();
    for [first, second] in [["cross-site", "same-origin"], ["same-origin", "cross-site"]] {
        for request in unsafe_requests() {
            let doubled = request.header("Sec-Fetch-Site", first).header("Sec-Fetch-Site", second);
            let answer = doubled.send(siege.port());
            assert!(is_refused(&answer), "{first}, {second}: {answer:?}");
        }
    }
}

#[test]
fn looking_at_any_page_in_any_way_changes_nothing() {
    let siege = Siege::new();
    let before = (siege.live_sessions(), siege.site.run(&["students", "export"]));
    for method in ["GET", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "LOGOUT", "get", "Post"] {
        for path in ["/logout", "/logout?confirm=1", "/logout/", "/login", "/detailed?id=1"] {
            let answer = siege.as_insider(Wire::new(method, path));
            assert!(answer.status < 500, "{method} {path}");
        }
        assert!(siege.insider.is_signed_in(), "{method}");
    }
    for path in ["/logout", "/login", "/brief_introduction"] {
        // Its answer tells the length of a body that does not come, so only ureq can read it.
        siege.insider.send("HEAD", path, &[], b"").unwrap();
        assert!(siege.insider.is_signed_in(), "HEAD {path}");
    }
    assert_eq!((siege.live_sessions(), siege.site.run(&["students", "export"])), before);
}

#[test]
fn a_get_with_a_form_in_its_body_stays_a_get() {
    let siege = Siege::new();
    let form = |path: &str, body: &str| {
        siege.as_insider(Wire::get(path).header("Content-Type", FORM).body(body))
    };
    for field in METHOD_FIELDS {
        for body in [format!("{field}=post"), format!("{field}=get&a=b"), format!("{field}=x&a")] {
            form("/logout", &body);
            assert!(siege.insider.is_signed_in(), "{body} made a GET sign somebody out");
            let answer = form("/login", &format!("{body}&{}", right_pair()));
            assert!(set_cookies(&answer).is_empty(), "{body} made a GET sign somebody in");
        }
    }
}

#[test]
fn a_form_cannot_choose_the_method_that_the_checks_see() {
    let siege = Siege::new();
    let before = siege.live_sessions();
    let pair = right_pair();
    for field in METHOD_FIELDS {
        for method in ["get", "GET", "head", "put", "delete", "options", "trace"] {
            for (path, body) in [
                ("/logout", format!("{field}={method}")),
                ("/logout", format!("{field}={method}&a=b")),
                ("/login", format!("{field}={method}&{pair}")),
            ] {
                let foreign =
                    Wire::post(path, FORM, &body).header("Origin", "https://evil.example");
                let answers = exchange(siege.port(), &foreign.bytes());
                let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
                assert_eq!(statuses, [403], "{path} {body}");
            }
        }
    }
    assert_eq!(siege.live_sessions(), before);
}

#[test]
fn a_form_that_names_a_method_is_refused_or_taken_for_what_it_is() {
    let siege = Siege::new();
    let pair = right_pair();
    for field in METHOD_FIELDS {
        for method in ["get", "HEAD", "put", "DELETE", "options", "post", "connect", "nonsense"] {
            let body = format!("{field}={method}&{pair}");
            let answers = exchange(siege.port(), &Wire::post("/login", FORM, &body).bytes());
            assert_eq!(answers.len(), 1, "{field}={method} got no answer");
            let signed_in = answers[0].status == 303 && set_cookies(&answers[0]).len() == 1;
            let status = answers[0].status;
            assert!(signed_in || is_refused(&answers[0]), "{field}={method}: {status}");
        }
    }
    let fields = [("_method", "GET"), ("username", USER), ("password", PASSWORD)];
    let answer = Wire::post("/login", MULTIPART, multipart(&fields)).send(siege.port());
    assert_eq!((answer.status, set_cookies(&answer).len()), (303, 1));
}

#[test]
fn a_header_or_a_query_cannot_choose_the_method() {
    let siege = Siege::new();
    for name in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "Method"] {
        let get = Wire::get("/logout").header(name, "POST").header("Content-Type", FORM);
        assert_eq!(siege.as_insider(get).status, 405, "{name}");
        let foreign = Wire::post("/logout", FORM, "")
            .header(name, "GET")
            .header("Origin", "https://evil.example");
        assert_eq!(siege.as_insider(foreign).status, 403, "{name}");
    }
    assert_eq!(siege.as_insider(Wire::get("/logout?_method=post")).status, 405);
    let foreign = Wire::post("/logout?_method=get", FORM, "").header("Origin", "null");
    assert_eq!(siege.as_insider(foreign).status, 403);
}

#[test]
fn no_other_origin_may_read_an_answer() {
    let siege = Siege::new();
    for origin in ["https://evil.example", "null", "http://dewar.test.evil.example", OWN] {
        for request in [
            Wire::get("/brief_introduction"),
            Wire::get("/login"),
            Wire::get("/static/style.css"),
            Wire::get("/healthz"),
            Wire::get("/nowhere"),
            Wire::new("OPTIONS", "/login")
                .header("Access-Control-Request-Method", "POST")
                .header("Access-Control-Request-Headers", "x-anything"),
        ] {
            let answer = siege.as_insider(request.header("Origin", origin));
            let shared = |(name, _): &(String, String)| name.starts_with("access-control-");
            assert!(!answer.headers.iter().any(shared), "{origin}: {answer:?}");
        }
    }
}
