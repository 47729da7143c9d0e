//! Requests that act on a session and do not say where they come from, and the token that speaks
//! for them.

use super::siege::{Siege, right_pair, set_cookies};
use super::support::Browser;
use super::wire::{FORM, MULTIPART, Wire, multipart, urlencoded};

/// The token in the sign-out form of a page.
fn token_in(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"csrf_token\" value=\"").expect("a token");
    rest.split('"').next().unwrap().to_owned()
}

fn token_of(visitor: &Browser) -> String {
    token_in(&visitor.get("/brief_introduction").body)
}

/// A sign-out in both kinds of form, without a word of where it comes from.
fn both_kinds(fields: &[(&str, &str)]) -> [Wire; 2] {
    [
        Wire::post("/logout", FORM, urlencoded(fields)),
        Wire::post("/logout", MULTIPART, multipart(fields)),
    ]
}

#[test]
fn signing_out_without_a_token_and_an_origin_does_nothing() {
    let siege = Siege::new();
    for request in [
        Wire::post("/logout", FORM, ""),
        Wire::new("POST", "/logout").body(""),
        Wire::new("POST", "/logout"),
        Wire::new("POST", "/logout").chunked(b"x"),
        Wire::post("/logout", "text/plain", "csrf_token=x"),
        Wire::post("/logout", FORM, "csrf_tokens=x&token=y"),
        Wire::post("/logout", FORM, "").header("Referer", "http://dewar.test/"),
        Wire::post("/logout", FORM, "").header("X-Requested-With", "XMLHttpRequest"),
    ] {
        let answer = siege.as_insider(request);
        assert_eq!((answer.status, set_cookies(&answer).len()), (403, 0), "{answer:?}");
        assert!(siege.insider.is_signed_in());
    }
}

#[test]
fn the_token_of_the_page_or_the_own_origin_signs_out() {
    let siege = Siege::new();
    for page in ["/brief_introduction", "/brief_introduction?q=x", "/detailed?id=1", "/detailed"] {
        for index in 0..2 {
            let leaver = siege.server.signed_in();
            let cookie = leaver.cookie.borrow().clone().unwrap();
            let token = token_in(&leaver.get(page).body);
            let request = both_kinds(&[("csrf_token", &token)])[index].clone();
            let answer = request.header("Cookie", &cookie).send(siege.port());
            assert_eq!((answer.status, answer.location()), (303, "/login"), "{page}: {answer:?}");
            assert!(!siege.signed_in_with(&cookie), "{page}");
        }
    }
    for headers in ["Origin: http://dewar.test\r\n", "Sec-Fetch-Site: same-origin\r\n"] {
        let leaver = siege.server.signed_in();
        let cookie = leaver.cookie.borrow().clone().unwrap();
        let request = Wire::post("/logout", FORM, "").headers(headers).header("Cookie", &cookie);
        assert_eq!(request.send(siege.port()).status, 303, "{headers}");
        assert!(!siege.signed_in_with(&cookie), "{headers}");
    }
}

#[test]
fn a_wrong_token_is_refused_whatever_the_browser_says() {
    let siege = Siege::new();
    let own = token_of(&siege.insider);
    let other = token_of(&siege.server.signed_in());
    let swapped = own.to_lowercase().replace('a', "b");
    let wrong = [
        "",
        " ",
        &own[..own.len() - 1],
        &own[1..],
        &format!("{own}{own}"),
        &format!("{own}A"),
        &format!("{own}="),
        &format!("{own} "),
        &format!("{own}\0"),
        &format!("{own}ü"),
        "ключ-\u{1f600}",
        &swapped,
        &other,
        &siege.id(),
        "null",
        &"x".repeat(10_000),
    ];
    for token in wrong {
        for request in both_kinds(&[("csrf_token", token)]) {
            for headers in ["", "Origin: http://dewar.test\r\n"] {
                let answer = siege.as_insider(request.clone().headers(headers));
                assert_eq!(answer.status, 403, "{token:?} {headers:?}: {answer:?}");
            }
        }
    }
    for fields in [
        [("csrf_token", &*own), ("csrf_token", &*own)],
        [("csrf_token", &own), ("csrf_token", "x")],
        [("csrf_token", "x"), ("csrf_token", &own)],
    ] {
        for request in both_kinds(&fields) {
            assert_eq!(siege.as_insider(request).status, 403, "{fields:?}");
        }
    }
    // In any other place it is no token.
    let elsewhere = [
        Wire::post(format!("/logout?csrf_token={own}"), FORM, ""),
        Wire::post("/logout", FORM, "").header("X-CSRF-Token", &own),
        Wire::post("/logout", FORM, format!("CSRF_TOKEN={own}")),
        Wire::post("/logout", FORM, b"csrf_token=\xff"),
    ];
    for request in elsewhere {
        assert_eq!(siege.as_insider(request).status, 403);
    }
    assert_eq!(own, token_of(&siege.insider), "the page keeps its token");
    siege.server.wait_for_log("refused a form that no page of this site sent, from 127.0.0.1");
}

#[test]
fn a_right_token_does_not_make_another_site_ours() {
    let siege = Siege::new();
    let own = token_of(&siege.insider);
    for headers in [
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Sec-Fetch-Site: cross-site\r\nOrigin: http://dewar.test\r\n",
    ] {
        for request in both_kinds(&[("csrf_token", &own)]) {
            assert_eq!(siege.as_insider(request.headers(headers)).status, 403, "{headers}");
        }
    }
}

#[test]
fn a_token_is_long_each_sessions_own_and_shown_in_the_form_alone() {
    let siege = Siege::new();
    let mut tokens: Vec<_> = (0..6).map(|_| token_of(&siege.server.signed_in())).collect();
    for token in &tokens {
        // 43 characters of six bits.
        assert_eq!(token.len(), 43, "{token}");
    }
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 6);
    let page = siege.insider.get("/brief_introduction");
    let token = token_in(&page.body);
    assert_eq!(page.body.matches(&token).count(), page.body.matches("csrf_token").count());
    for (name, value) in &page.headers {
        assert!(!value.contains(&token), "{name}");
    }
    assert!(!page.body.contains(&format!("?csrf_token={token}")));
    assert_ne!(token, siege.id());
    let stranger = Wire::get("/login").send(siege.port());
    assert!(!stranger.body.contains("csrf_token"), "visitors need no session");
}

#[test]
fn a_token_from_before_signing_in_again_is_dead() {
    let siege = Siege::new();
    let before = token_of(&siege.insider);
    siege.insider.sign_in();
    assert_ne!(before, token_of(&siege.insider));
    let [request, _] = both_kinds(&[("csrf_token", &before)]);
    assert_eq!(siege.as_insider(request).status, 403);
}

#[test]
fn nothing_of_a_session_from_before_signing_in_survives() {
    let siege = Siege::new();
    let old = siege.cookie();
    let answer = Wire::post("/login", FORM, right_pair()).header("Cookie", &old).send(siege.port());
    let fresh = set_cookies(&answer)[0].split(';').next().unwrap().to_owned();
    let fresh = Browser::with_cookie(siege.port(), &fresh);
    assert!(fresh.is_signed_in() && !siege.signed_in_with(&old));
    siege.insider.sign_in();
    assert_ne!(token_of(&fresh), token_of(&siege.insider));
}

#[test]
fn whatever_else_acts_by_a_cookie_has_to_say_where_it_comes_from() {
    let siege = Siege::new();
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        for path in ["/", "/brief_introduction", "/detailed?id=1", "/api/students/1", "/nowhere"] {
            let request = Wire::new(method, path).header("Content-Type", FORM).body("");
            assert_eq!(siege.as_insider(request.clone()).status, 403, "{method} {path}");
            let told = siege.as_insider(request.clone().header("Origin", "http://dewar.test"));
            assert!(matches!(told.status, 404 | 405), "{method} {path}: {}", told.status);
            let bare = request.send(siege.port());
            assert!(matches!(bare.status, 404 | 405), "{method} {path}: {}", bare.status);
        }
    }
}
