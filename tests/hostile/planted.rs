//! Cookies that a sibling domain or a careless client plants beside the server's own.

use super::Victim;
use super::siege::{Siege, id_in, set_cookies};
use super::wire::Wire;

#[test]
fn another_spelling_of_the_cookies_name_is_another_cookie() {
    let siege = Siege::new();
    let id = siege.id();
    for name in [
        "Session",
        "SESSION",
        "%73ession",
        "sessio%6E",
        "session%20",
        "\u{2000}session",
        "session\u{2000}",
        "\u{a0}session",
        "\u{feff}session",
        "session[]",
        "session[0]",
        "$session",
        "\"session\"",
        "xsession",
        "session.x",
        "a,session",
        "=session",
        "",
        "session\u{301}",
        "sessi\u{1d0f}n",
    ] {
        let answer = siege.with_cookie_bytes(format!("{name}={id}"));
        assert_eq!(answer.status, 303, "{name:?}");
    }
    assert_eq!(siege.with_cookie_bytes(&id).status, 303, "without a name");
}

#[test]
fn nobody_forges_the_prefix_that_browsers_guard() {
    let victim =
        Victim::with("SESSION_COOKIE_SECURE = true\nSESSION_COOKIE_NAME = \"__Host-session\"");
    let browser = victim.server.signed_in();
    let own = browser.cookie.borrow().clone().unwrap();
    let id = id_in(&own);
    assert!(victim.signed_in_with(&own));
    for name in [
        "%5F%5FHost-session",
        "__Host%2Dsession",
        "\u{2000}__Host-session",
        "\u{85}__Host-session",
        "__host-session",
        "__HOST-SESSION",
        "=__Host-session",
        "__Host-session%00",
        "session",
        "__Secure-session",
    ] {
        let request = Wire::get("/brief_introduction").header("Cookie", format!("{name}={id}"));
        let answer = request.send(victim.port());
        assert!(matches!(answer.status, 303 | 400), "{name:?}: {}", answer.status);
    }
}

#[test]
fn two_different_session_cookies_are_no_session_in_either_order() {
    let siege = Siege::new();
    let (one, other) = (siege.cookie(), siege.server.signed_in());
    let other = other.cookie.borrow().clone().unwrap();
    let unquoted = format!("session=\"{}x\"", siege.id());
    for (a, b) in [
        (&*one, &*other),
        (&one, "session=junk"),
        (&one, "session=%00"),
        (&one, &unquoted),
        (&one, "session=a b"),
    ] {
        for (first, second) in [(a, b), (b, a)] {
            let together = Wire::get("/brief_introduction")
                .header("Cookie", format!("x=y; {first}; {second}; z"))
                .send(siege.port());
            let apart = Wire::get("/brief_introduction")
                .header("Cookie", first)
                .header("Cookie", second)
                .send(siege.port());
            // What is no cookie at all, as a value with a blank in it, does not count as another.
            let expected = if second.contains(' ') || first.contains(' ') { 200 } else { 303 };
            assert_eq!((together.status, apart.status), (expected, expected), "{first} {second}");
        }
    }
    let twice = siege.with_cookie_bytes(format!("{one}; {one}"));
    assert_eq!(twice.status, 200, "the same cookie twice is one");
}

#[test]
fn an_empty_session_cookie_beside_a_full_one_counts_the_same_in_either_order() {
    let siege = Siege::new();
    let full = siege.cookie();
    for empty in ["session=", "session", "session=\"\""] {
        let first = siege.with_cookie_bytes(format!("{empty}; {full}"));
        let last = siege.with_cookie_bytes(format!("{full}; {empty}"));
        assert_eq!(first.status, last.status, "{empty:?} first, {empty:?} last");
    }
}

#[test]
fn a_cookie_header_of_any_bytes_is_refused_or_no_session() {
    let siege = Siege::new();
    let many: String = (0..5_000).map(|i| format!("c{i}=v; ")).collect();
    let mut headers: Vec<Vec<u8>> = [
        &b"session=\0"[..],
        b"session=\x01",
        b"session=\x7f",
        b"session=a\x0bb",
        b"session=\xff\xfe",
        b"session=\xc0\xaf",
        b"session=\xed\xa0\x80",
        b"session=\xf4\x90\x80\x80",
        b"\xff=session",
        b"session=\"unclosed",
        b"session=\"\\",
        b"session=\"\\377\\376\"",
        b"session=;;;;=;=",
        b"=;session==;",
        b"session=eyJ1c2VyX2lkIjoxfQ.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb",
        b"session=.eJyrVopPTi5RslIqKS1OLYoHAAA",
        b"session=../../../../etc/passwd",
        b"session={\"$ne\":null}",
        b"session=gASVKAAAAAAAAACMBXBvc2l4",
        b"session=a\r\nSet-Cookie: b=c",
        b"",
        b";",
        b"\t",
    ]
    .iter()
    .map(|header| header.to_vec())
    .collect();
    headers.push([b"session=", &b"A".repeat(65_536)[..]].concat());
    headers.push([&b"A".repeat(65_536)[..], b"=session"].concat());
    headers.push(b"session=A; ".repeat(6_000));
    headers.push(b"a=\"\\\";".repeat(10_000));
    headers.push(b"\"".repeat(65_536));
    headers.push(many.into_bytes());
    for header in headers {
        let answer = siege.with_cookie_bytes(&header);
        let shown = String::from_utf8_lossy(&header[..header.len().min(40)]).into_owned();
        assert!(matches!(answer.status, 303 | 400 | 431), "{shown:?}: {}", answer.status);
        assert!(set_cookies(&answer).is_empty(), "{shown:?}");
    }
}

#[test]
fn a_thousand_cookies_in_fifty_headers_do_not_hide_the_right_one() {
    let siege = Siege::new();
    let mut request = Wire::get("/brief_introduction");
    for header in 0..50 {
        let cookies: Vec<_> = (0..20).map(|i| format!("c{header}x{i}=v")).collect();
        request = request.header("Cookie", cookies.join("; "));
    }
    assert_eq!(siege.as_insider(request).status, 200);
}
