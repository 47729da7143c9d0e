use super::support::Browser;
use super::{Victim, raw};

fn id_of(browser: &Browser) -> String {
    browser.cookie.borrow().as_ref().unwrap().strip_prefix("session=").unwrap().to_owned()
}

#[test]
fn only_the_exact_cookie_is_a_session() {
    let victim = Victim::new();
    let browser = victim.server.signed_in();
    let id = id_of(&browser);
    let mut forms = vec![
        format!("session={id} x"),
        format!("session={}", &id[..42]),
        format!("session={id}A"),
        format!("session={}", id.to_lowercase()),
        format!("session={}", id.to_uppercase()),
        format!("session=%{:02X}{}", id.as_bytes()[0], &id[1..]),
        format!("Session={id}"),
        format!("SESSION={id}"),
        format!("%73ession={id}"),
        format!("session[]={id}"),
        format!("session%20={id}"),
        format!("={id}"),
        id.clone(),
        format!("session={id}; session=other"),
        format!("session=other; session={id}"),
        format!("$Version=1; session=\"{id}"),
        format!("xsession={id}"),
        format!("__Host-session={id}"),
    ];
    for at in [0, 20, 42] {
        let other = if id.as_bytes()[at] == b'x' { 'y' } else { 'x' };
        forms.push(format!("session={}{other}{}", &id[..at], &id[at + 1..]));
    }
    for form in forms {
        assert!(!victim.signed_in_with(&form), "{form}");
    }
    for same in [
        format!("a=b; session={id}; c=d"),
        format!("session={id};"),
        format!("session={id}; session={id}"),
    ] {
        assert!(victim.signed_in_with(&same), "{same}");
    }
}

#[test]
fn a_name_with_unicode_blanks_around_it_is_another_name() {
    let victim = Victim::new();
    let id = id_of(&victim.server.signed_in());
    for name in ["\u{2000}session", "session\u{a0}", "\u{3000}session\u{3000}", "\u{feff}session"] {
        let header = format!("Cookie: {name}={id}\r\n");
        let answer = raw::get(victim.port(), "/brief_introduction", header.as_bytes());
        assert!(matches!(raw::status(&answer), 303 | 400), "{name:?}: {answer}");
    }
}

#[test]
fn an_id_counts_in_the_cookie_alone_and_stands_in_no_page() {
    let victim = Victim::new();
    let browser = victim.server.signed_in();
    let id = id_of(&browser);
    for target in
        [format!("/brief_introduction?session={id}"), format!("/brief_introduction;session={id}")]
    {
        assert_ne!(victim.server.browser().get(&target).status, 200, "{target}");
    }
    for header in ["Authorization: Bearer", "X-Session:", "Session:", "X-Auth-Token:"] {
        let answer =
            raw::get(victim.port(), "/brief_introduction", format!("{header} {id}\r\n").as_bytes());
        assert_eq!(raw::status(&answer), 303, "{header}");
    }
    for page in ["/brief_introduction", "/detailed?id=1", "/detailed?id=x", "/nowhere", "/login"] {
        assert!(!browser.get(page).body.contains(&id), "{page}");
    }
    assert!(!victim.server.log().contains(&id));
}

#[test]
fn a_cookie_of_any_bytes_and_size_is_no_session_and_costs_little() {
    let victim = Victim::new();
    let mut values: Vec<Vec<u8>> = [
        &b"\x00"[..],
        b"\x01\x02",
        b"\x7f",
        b"\xff\xfe",
        b"\xc3\x28",
        b"\xed\xa0\x80",
        b"..%2f..%2fetc%2fpasswd",
        b"../../etc/passwd",
        b"' OR 1=1 --",
        b"{\"$ne\":null}",
        b"*",
        b"%",
        b"\\",
        b"\"",
        b"\"\"\"",
        b"a\tb",
        b";;;;",
        b"=",
    ]
    .iter()
    .map(|value| value.to_vec())
    .collect();
    for length in [4_000, 20_000, 64_000] {
        values.push(vec![b'A'; length]);
    }
    for value in values {
        let header = [b"Cookie: session=", &value[..], b"\r\n"].concat();
        let answer = raw::get(victim.port(), "/brief_introduction", &header);
        let shown = String::from_utf8_lossy(&value[..value.len().min(30)]).into_owned();
        assert!(matches!(raw::status(&answer), 303 | 400 | 431), "{shown:?}: {answer}");
    }
    let many = "Cookie: a=b\r\n".repeat(50);
    assert!(matches!(
        raw::status(&raw::get(victim.port(), "/brief_introduction", many.as_bytes())),
        303
    ));
    victim.is_unharmed();
}

#[test]
fn strangers_get_no_cookie_and_make_no_row() {
    let victim = Victim::new();
    let browser = victim.server.browser();
    for i in 0..300 {
        let path = [
            "/",
            "/login",
            "/brief_introduction",
            "/detailed?id=1",
            "/nowhere",
            "/static/style.css",
            "/healthz",
        ][i % 7];
        let answer = browser.get(path);
        assert_eq!(answer.header("Set-Cookie"), None, "{path}");
    }
    assert_eq!(victim.live_sessions(), 0);
}

#[test]
fn a_chosen_id_is_not_adopted_and_a_new_one_comes_with_each_sign_in() {
    let victim = Victim::new();
    let chosen = format!("session={}", "A".repeat(43));
    let browser = Browser::with_cookie(victim.port(), &chosen);
    browser.sign_in();
    let first = id_of(&browser);
    assert!(!chosen.contains(&first) && !victim.signed_in_with(&chosen));

    browser.sign_in();
    let second = id_of(&browser);
    assert_ne!(first, second);
    assert!(!victim.signed_in_with(&format!("session={first}")), "the old id lives");
    assert_eq!(victim.live_sessions(), 1);

    let wrong = browser.post("/login", &[("username", "gkf"), ("password", "wrong")]);
    assert_eq!((wrong.status, wrong.header("Set-Cookie")), (200, None));
    assert!(browser.is_signed_in(), "a failed sign-in ended the session");
}

#[test]
fn ids_are_long_random_and_tell_nothing() {
    let victim = Victim::new();
    let ids: Vec<_> = (0..4).map(|_| id_of(&victim.server.signed_in())).collect();
    for id in &ids {
        assert_eq!(id.len(), 43);
        assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        assert_eq!(ids.iter().filter(|other| other == &id).count(), 1);
        let common = ids.iter().filter(|other| other[..4] == id[..4]).count();
        assert_eq!(common, 1, "{ids:?}");
    }
}

#[test]
fn logging_out_ends_this_session_and_no_other() {
    let victim = Victim::new();
    let (one, other) = (victim.server.signed_in(), victim.server.signed_in());
    let cookie = one.cookie.borrow().clone().unwrap();
    let answer = one.post("/logout", &[]);
    let removal = answer.header("Set-Cookie").unwrap();
    assert!(removal.starts_with("session=; Expires=Thu, 01 Jan 1970"), "{removal}");
    assert!(removal.ends_with("; HttpOnly; Path=/; SameSite=Lax"), "{removal}");
    assert!(!victim.signed_in_with(&cookie));
    assert!(other.is_signed_in());
    for again in [&cookie, "session=junk", ""] {
        let browser = Browser::with_cookie(victim.port(), again);
        assert_eq!(browser.post("/logout", &[]).location(), "/login", "{again}");
    }
}
