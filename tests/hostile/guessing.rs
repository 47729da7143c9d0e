//! Guessing passwords: counted for each account and each address, by their number alone.

use std::collections::BTreeSet;

use super::siege::{Siege, right_pair, set_cookies};
use super::support::{Answer, PASSWORD, USER};
use super::wire::{FORM, Wire, urlencoded};

/// With a proxy that names the client, so that one test can come from many addresses.
const BEHIND_A_PROXY: &str = "TRUSTED_PROXIES = [\"127.0.0.1\"]";

fn guess_from(siege: &Siege, address: &str, name: &str) -> Answer {
    let form = urlencoded(&[("username", name), ("password", "a guess")]);
    Wire::post("/login", FORM, form).header("X-Real-IP", address).send(siege.port())
}

/// How many of the answers were looked at at all; the others were told to wait.
fn tried(answers: &[Answer]) -> usize {
    for answer in answers {
        assert!(matches!(answer.status, 200 | 429), "{answer:?}");
        assert!(set_cookies(answer).is_empty());
    }
    answers.iter().filter(|answer| answer.status == 200).count()
}

#[test]
fn wrong_passwords_for_one_account_are_soon_told_to_wait() {
    let siege = Siege::new();
    let answers: Vec<_> = (0..20).map(|_| siege.sign_in("victim", "a guess")).collect();
    assert!((1..=8).contains(&tried(&answers)), "{} tries", tried(&answers));
    let last = answers.last().unwrap();
    let wait: u64 = last.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(last.body.contains("Too many attempts"), "{}", last.body);
}

#[test]
fn guessing_at_one_account_from_many_addresses_is_slowed_as_well() {
    let siege = Siege::with(BEHIND_A_PROXY);
    let answers: Vec<_> =
        (0..30).map(|i| guess_from(&siege, &format!("192.0.2.{i}"), "victim")).collect();
    assert!((1..=8).contains(&tried(&answers)), "{} tries", tried(&answers));
    assert_eq!(guess_from(&siege, "192.0.2.200", "somebody else").status, 200);
}

#[test]
fn guesses_sent_at_once_are_counted_each() {
    let siege = Siege::new();
    let port = siege.port();
    let guess = move || Wire::post("/login", FORM, "username=victim&password=guess").send(port);
    let guesses: Vec<_> = (0..24).map(|_| std::thread::spawn(guess)).collect();
    let answers: Vec<_> = guesses.into_iter().map(|guess| guess.join().unwrap()).collect();
    assert!((1..=8).contains(&tried(&answers)), "{} tries", tried(&answers));
}

#[test]
fn another_spelling_of_the_account_is_no_fresh_start() {
    let siege = Siege::new();
    let names = ["gkf2", "GKF2", " gkf2", "gkf2 ", "Gkf2", "\tgkf2\n", "\u{a0}gkf2"];
    let answers: Vec<_> =
        names.iter().cycle().take(21).map(|name| siege.sign_in(name, "a guess")).collect();
    assert!((1..=8).contains(&tried(&answers)), "{} tries", tried(&answers));
}

#[test]
fn one_address_that_tries_many_accounts_is_slowed() {
    let siege = Siege::new();
    let answers: Vec<_> =
        (0..45).map(|i| siege.sign_in(&format!("user{i}"), "Winter2026")).collect();
    assert!((10..=35).contains(&tried(&answers)), "{} tries", tried(&answers));
}

#[test]
fn a_claimed_address_does_not_help_who_guesses() {
    let siege = Siege::new();
    let answers: Vec<_> = (0..45)
        .map(|i| {
            let form = format!("username=user{i}&password=Winter2026");
            let mut request = Wire::post("/login", FORM, form);
            for name in [
                "X-Real-IP",
                "X-Forwarded-For",
                "X-Client-IP",
                "True-Client-IP",
                "CF-Connecting-IP",
                "X-Cluster-Client-IP",
                "X-Originating-IP",
            ] {
                request = request.header(name, format!("192.0.2.{i}"));
            }
            request.header("Forwarded", format!("for=192.0.2.{i}")).send(siege.port())
        })
        .collect();
    assert!((10..=35).contains(&tried(&answers)), "{} tries", tried(&answers));
}

#[test]
fn waiting_tells_nobody_which_accounts_exist() {
    let siege = Siege::with(BEHIND_A_PROXY);
    siege.add_account("real", PASSWORD);
    siege.add_account("locked", PASSWORD);
    siege.site.run(&["user", "disable", "locked"]);
    let shape = |name: &str, answer: &Answer| {
        let mut names: Vec<_> = answer.headers.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        // How long to wait depends on the moment; everything else must agree.
        let body = answer.body.replace(name, "NAME").replace(|c: char| c.is_ascii_digit(), "");
        (answer.status, names, body)
    };
    let shapes = |name: &str, address: &str| {
        let answers = (0..12).map(|_| guess_from(&siege, address, name));
        answers.map(|answer| shape(name, &answer)).collect::<BTreeSet<_>>()
    };
    let real = shapes("real", "192.0.2.1");
    let statuses: Vec<_> = real.iter().map(|(status, ..)| *status).collect();
    assert_eq!(statuses, [200, 429]);
    assert_eq!(real, shapes("nonesuch", "192.0.2.2"));
    assert_eq!(real, shapes("locked", "192.0.2.3"));
}

#[test]
fn open_sessions_go_on_while_their_account_is_guessed_at() {
    let siege = Siege::new();
    let answers: Vec<_> = (0..15).map(|_| siege.sign_in(USER, "a guess")).collect();
    assert!(tried(&answers) < 10);
    for _ in 0..5 {
        assert!(siege.insider.is_signed_in());
        assert_eq!(siege.insider.get("/detailed?id=1").status, 200);
    }
}

#[test]
fn the_owner_signs_in_from_a_known_address_while_others_guess() {
    let siege = Siege::with(BEHIND_A_PROXY);
    let owner = || {
        let request = Wire::post("/login", FORM, right_pair()).header("X-Real-IP", "198.51.100.7");
        request.send(siege.port()).status
    };
    assert_eq!(owner(), 303);
    let answers: Vec<_> =
        (0..20).map(|i| guess_from(&siege, &format!("192.0.2.{i}"), USER)).collect();
    assert!(tried(&answers) < 10);
    assert_eq!(owner(), 303, "the owner is locked out");
    assert_eq!(guess_from(&siege, "192.0.2.99", USER).status, 429);
}

#[test]
fn signing_in_as_oneself_does_not_clear_an_address() {
    let siege = Siege::new();
    siege.add_account("own", PASSWORD);
    let mut answers = Vec::new();
    for i in 0..45 {
        answers.push(siege.sign_in(&format!("user{i}"), "Winter2026"));
        if i % 5 == 0 {
            let own = siege.sign_in("own", PASSWORD);
            assert!(matches!(own.status, 303 | 429), "{own:?}");
        }
    }
    assert!((10..=35).contains(&tried(&answers)), "{} tries", tried(&answers));
}
