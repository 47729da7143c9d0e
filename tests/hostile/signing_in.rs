//! The sign-in form: one pair, in the body of a POST, compared exactly and answered alike.

use super::siege::{Siege, id_in, is_private, right_pair, set_cookies};
use super::support::{Answer, PASSWORD, USER};
use super::wire::{FORM, MULTIPART, Wire, multipart, urlencoded};

const WRONG: &str = "Account or password error";

/// Both ways to send a form.
fn both_kinds(fields: &[(&str, &str)]) -> [Wire; 2] {
    [
        Wire::post("/login", FORM, urlencoded(fields)),
        Wire::post("/login", MULTIPART, multipart(fields)),
    ]
}

fn signs_in(answer: &Answer) -> bool {
    answer.status == 303 && set_cookies(answer).iter().any(|cookie| !id_in(cookie).is_empty())
}

#[test]
fn credentials_outside_a_posts_body_sign_nobody_in() {
    let siege = Siege::new();
    let pair = right_pair();
    let query = format!("/login?{pair}");
    let password_only = pair.split('&').nth(1).unwrap();
    let basic = "Basic Z2tmOmNvcnJlY3QgaG9yc2UgYmF0dGVyeSBzdGFwbGU=";
    for request in [
        Wire::get(&query),
        Wire::get("/login").header("Content-Type", FORM).body(&pair),
        Wire::get("/login").header("Authorization", basic),
        Wire::get("/brief_introduction").header("Authorization", basic),
        Wire::get(format!("/brief_introduction?{pair}")),
        Wire::post(&query, FORM, ""),
        Wire::post(&query, FORM, "next=/"),
        Wire::post(format!("/login?{password_only}"), FORM, format!("username={USER}")),
        Wire::post(&query, FORM, format!("username={USER}&password=wrong")),
        Wire::post("/login", FORM, "").header("Authorization", basic),
        Wire::post("/login", FORM, "").header("Cookie", pair.replace('&', "; ")),
        Wire::post("/", FORM, &pair),
        Wire::post("/brief_introduction", FORM, &pair),
        Wire::new("PUT", "/login").header("Content-Type", FORM).body(&pair),
        Wire::new("PATCH", "/login").header("Content-Type", FORM).body(&pair),
        Wire::new("OPTIONS", "/login").header("Content-Type", FORM).body(&pair),
    ] {
        let answer = request.send(siege.port());
        assert!(!signs_in(&answer) && !is_private(&answer), "{answer:?}");
    }
}

#[test]
fn a_repeated_field_is_one_try_and_never_two() {
    let siege = Siege::new();
    for extra in ["password", "password[]", "password[1]", "password.x", "Password"] {
        let fields = [("username", USER), ("password", "wrong"), (extra, PASSWORD)];
        for request in both_kinds(&fields) {
            assert!(!signs_in(&request.send(siege.port())), "{extra}");
            // A success lets the next try in at once.
            assert!(signs_in(&siege.sign_in(USER, PASSWORD)));
        }
    }
    let fields = [("username", "nobody"), ("username", USER), ("password", PASSWORD)];
    for request in both_kinds(&fields) {
        assert!(!signs_in(&request.send(siege.port())));
    }
}

#[test]
fn a_password_is_compared_to_its_last_byte_and_as_it_is() {
    let siege = Siege::new();
    let right = format!("  Größe e\u{301}\0 + % & = \u{1f600} \"{}' tail ", "x".repeat(60));
    siege.add_account("exact", &right);
    for request in both_kinds(&[("username", "exact"), ("password", &right)]) {
        assert!(signs_in(&request.send(siege.port())));
    }
    let first_72_bytes = &right.as_bytes()[..72];
    let others = [
        right.trim(),
        right.trim_start(),
        right.trim_end(),
        &right.to_uppercase(),
        &right.to_lowercase(),
        std::str::from_utf8(first_72_bytes).unwrap(),
        right.split('\0').next().unwrap(),
        &right.replace('\0', ""),
        &right.replace("e\u{301}", "\u{e9}"),
        &right.replace(" + ", "   "),
        &right.replace('ö', "o"),
        &format!("{right}\0"),
        &format!("{right} "),
        &format!("{right}\n"),
        &format!("{right}\r\n"),
        &format!("\u{feff}{right}"),
    ];
    for (index, wrong) in others.into_iter().enumerate() {
        let request = &both_kinds(&[("username", "exact"), ("password", wrong)])[index % 2];
        let answer = request.send(siege.port());
        assert!(!signs_in(&answer) && answer.status == 200, "{wrong:?}: {answer:?}");
        // A success lets the next try in at once.
        assert!(signs_in(&siege.sign_in("exact", &right)));
    }
}

#[test]
fn long_passwords_of_any_script_work() {
    let siege = Siege::new();
    for (name, password) in [
        ("long", "p".repeat(64)),
        ("longer", "q".repeat(1000)),
        ("emoji", "\u{1f600}".repeat(64)),
        ("han", "密码".repeat(64)),
        ("controls", "\u{1}\u{7f}\u{85}\u{2028}\u{202e}\t\u{b} end".into()),
    ] {
        siege.add_account(name, &password);
        for request in both_kinds(&[("username", name), ("password", &password)]) {
            assert!(signs_in(&request.send(siege.port())), "{name}");
        }
    }
}

#[test]
fn a_very_long_password_is_only_wrong() {
    let siege = Siege::new();
    for length in [1_000, 30_000, 65_536, 65_537, 120_000] {
        // The right password's beginning would pass where something cuts.
        let padded = format!("{PASSWORD}{}", "x".repeat(length));
        let answer = siege.sign_in(USER, &padded);
        assert_eq!(answer.status, 200, "{length}");
        assert!(answer.body.contains(WRONG), "{length}");
        assert!(signs_in(&siege.sign_in(USER, PASSWORD)));
    }
}

#[test]
fn signing_in_over_a_planted_session_ends_it_and_takes_a_new_id() {
    let siege = Siege::new();
    siege.add_account("attacker", PASSWORD);
    let planted = siege.sign_in("attacker", PASSWORD);
    let planted = set_cookies(&planted)[0].split(';').next().unwrap().to_owned();
    let signed_in =
        Wire::post("/login", FORM, right_pair()).header("Cookie", &planted).send(siege.port());
    let fresh = set_cookies(&signed_in)[0].split(';').next().unwrap();
    assert_ne!(id_in(fresh), id_in(&planted));
    assert!(siege.signed_in_with(fresh));
    assert!(!siege.signed_in_with(&planted), "the attacker shares the session");
}

#[test]
fn signing_in_again_takes_a_new_id_and_ends_the_old_session() {
    let siege = Siege::new();
    let before = siege.live_sessions();
    let mut ids = vec![siege.cookie()];
    for _ in 0..4 {
        siege.insider.sign_in();
        ids.push(siege.cookie());
    }
    let last = ids.pop().unwrap();
    assert!(siege.signed_in_with(&last));
    for old in ids {
        assert_ne!(old, last);
        assert!(!siege.signed_in_with(&old), "an old id lives");
    }
    assert_eq!(siege.live_sessions(), before);
}

#[test]
fn a_failed_sign_in_neither_ends_nor_changes_the_session() {
    let siege = Siege::new();
    let before = (siege.cookie(), siege.live_sessions());
    for (fields, status) in [
        (&[("username", USER), ("password", "wrong")][..], 200),
        (&[("username", "nobody"), ("password", PASSWORD)], 200),
        (&[("username", ""), ("password", "")], 200),
        (&[("username", USER)], 422),
        (&[], 422),
    ] {
        let answer = siege.as_insider(Wire::post("/login", FORM, urlencoded(fields)));
        assert_eq!((answer.status, set_cookies(&answer).len()), (status, 0), "{fields:?}");
        assert!(siege.insider.is_signed_in(), "{fields:?}");
    }
    assert_eq!((siege.cookie(), siege.live_sessions()), before);
}

#[test]
fn unknown_wrong_and_disabled_accounts_get_one_and_the_same_answer() {
    let siege = Siege::new();
    siege.add_account("dis", PASSWORD);
    siege.site.run(&["user", "disable", "dis"]);
    // The names are equally long, so that even the lengths must agree.
    for index in 0..2 {
        let answer = |name: &str, password: &str| {
            let fields = [("username", name), ("password", password), ("next", "/detailed?id=1")];
            let mut answer = both_kinds(&fields)[index].send(siege.port());
            answer.headers.retain(|(name, _)| name != "date" && name != "x-request-id");
            answer.headers.sort();
            (answer.status, answer.headers, answer.body.replace(name, "NAME"))
        };
        let wrong = answer(USER, "wrong");
        assert!(wrong.2.contains(WRONG));
        assert_eq!(wrong, answer("xyz", "wrong"), "unknown");
        assert_eq!(wrong, answer("dis", PASSWORD), "disabled, right password");
        assert_eq!(wrong, answer("dis", "wrong"), "disabled");
        assert_eq!(wrong, answer("xyz", ""), "unknown, without a password");
    }
}

#[test]
fn what_is_typed_comes_back_escaped_and_is_no_template() {
    let siege = Siege::new();
    for (typed, raw) in [
        ("\"><script>alert(1)</script>", "<script"),
        ("'><img src=x onerror=alert(1)>", "<img src=x"),
        ("</title><svg onload=alert(1)>", "<svg onload"),
        ("\" autofocus onfocus=\"alert(1)", "\" autofocus onfocus"),
        ("{{ 7 * 191 }}{% raw %}", "1337"),
        ("${7*191}#{7*191}<%= 7*191 %>", "1337"),
        ("<!--", "value=\"<!--"),
    ] {
        let fields = [("username", typed), ("password", "x"), ("next", typed), ("remember", typed)];
        let wrong = Wire::post("/login", FORM, urlencoded(&fields)).send(siege.port());
        assert!(wrong.body.contains(WRONG), "{typed}: {wrong:?}");
        let query = urlencoded(&[("next", typed)]);
        let form = Wire::get(format!("/login?{query}")).send(siege.port());
        for answer in [wrong, form] {
            assert_eq!(answer.status, 200, "{typed}");
            assert!(!answer.body.contains(raw), "{typed}: {}", answer.body);
        }
    }
}
