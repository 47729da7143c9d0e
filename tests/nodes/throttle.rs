//! Failed sign-ins count over all nodes, by the rules that hold on one.

use std::net::IpAddr;
use std::time::Duration;

use dewar::auth::throttle::{Refusal, Throttle};
use dewar::db::{Db, Location};
use rocket::futures::future::join_all;
use rocket::tokio;

use super::servers::postgres::Postgres;
use super::support::{Browser, USER};
use super::{node, one_node};

fn throttle(server: &Postgres) -> Throttle {
    let location = Location::Postgresql(server.url());
    Throttle::new(&Db::open(&location, Duration::from_secs(10)).unwrap())
}

/// Two nodes' counters in one database.
fn two(test: &str) -> Option<(Postgres, [Throttle; 2])> {
    let server = Postgres::start(test, &[])?;
    let throttles = [throttle(&server), throttle(&server)];
    Some((server, throttles))
}

fn address(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

/// A try that fails, if it is taken.
async fn guess(throttle: &Throttle, account: &str, from: IpAddr) -> Result<(), Duration> {
    match throttle.begin(account, from).await {
        Ok(attempt) => {
            attempt.failed().await.unwrap();
            Ok(())
        }
        Err(Refusal::Wait(wait)) => Err(wait),
        Err(error) => panic!("{error}"),
    }
}

async fn sign_in(throttle: &Throttle, account: &str, from: IpAddr) {
    throttle.begin(account, from).await.unwrap().succeeded().await.unwrap();
}

/// Lets time pass.
fn later(server: &Postgres, time: &str) {
    server.sql(&format!(
        "UPDATE sign_in_tries SET last = last - '{time}'::interval, begun = begun - '{time}'::interval"
    ));
}

#[rocket::async_test]
async fn guessing_at_one_account_is_slowed_from_any_address_and_at_any_node() {
    let test = "guessing_at_one_account_is_slowed_from_any_address_and_at_any_node";
    let Some((_server, nodes)) = two(test) else { return };
    let mut taken = 0;
    for i in 0..20 {
        let tried = guess(&nodes[usize::from(i) % 2], "gkf", address(i)).await;
        taken += usize::from(tried.is_ok());
    }
    assert_eq!(taken, 5);
    for node in &nodes {
        assert!(guess(node, "other", address(99)).await.is_ok());
    }
}

#[rocket::async_test]
async fn one_address_trying_many_accounts_is_slowed() {
    let Some((_server, nodes)) = two("one_address_trying_many_accounts_is_slowed") else { return };
    let mut taken = 0;
    for i in 0..40 {
        let tried = guess(&nodes[i % 2], &format!("user{i}"), address(1)).await;
        taken += usize::from(tried.is_ok());
    }
    assert_eq!(taken, 30);
}

#[rocket::async_test]
async fn waits_grow_stay_bounded_and_are_forgotten() {
    let Some((server, nodes)) = two("waits_grow_stay_bounded_and_are_forgotten") else { return };
    let mut waits = Vec::new();
    for i in 0..24 {
        if let Err(wait) = guess(&nodes[i % 2], "gkf", address(1)).await {
            waits.push(wait.as_secs_f64().ceil() as u64);
            later(&server, &format!("{} ms", wait.as_millis() + 1));
        }
    }
    assert_eq!(waits[..8], [1, 2, 4, 8, 16, 30, 30, 30]);
    later(&server, "16 minutes");
    for _ in 0..5 {
        assert!(guess(&nodes[0], "gkf", address(1)).await.is_ok());
    }
    assert!(guess(&nodes[1], "gkf", address(1)).await.is_err());
}

#[rocket::async_test]
async fn the_owners_usual_address_is_not_kept_out_by_others() {
    let test = "the_owners_usual_address_is_not_kept_out_by_others";
    let Some((_server, nodes)) = two(test) else { return };
    sign_in(&nodes[0], "gkf", address(1)).await;
    for i in 2..15 {
        let _ = guess(&nodes[0], "gkf", address(i)).await;
    }
    assert!(guess(&nodes[1], "gkf", address(1)).await.is_ok());
    assert!(guess(&nodes[1], "gkf", address(40)).await.is_err());
}

#[rocket::async_test]
async fn success_forgets_the_accounts_failures_but_not_the_addresses() {
    let test = "success_forgets_the_accounts_failures_but_not_the_addresses";
    let Some((_server, nodes)) = two(test) else { return };
    for i in 0..25 {
        guess(&nodes[0], &format!("victim{i}"), address(1)).await.unwrap();
    }
    for _ in 0..4 {
        guess(&nodes[0], "own", address(2)).await.unwrap();
    }
    sign_in(&nodes[1], "own", address(1)).await;
    for _ in 0..5 {
        guess(&nodes[0], "own", address(2)).await.unwrap();
    }
    let mut left = 0;
    for i in 0..10 {
        left += usize::from(guess(&nodes[1], &format!("next{i}"), address(1)).await.is_ok());
    }
    assert_eq!(left, 5);
}

#[rocket::async_test]
async fn what_could_not_be_checked_is_nobodys_failure() {
    let test = "what_could_not_be_checked_is_nobodys_failure";
    let Some((_server, nodes)) = two(test) else { return };
    for _ in 0..40 {
        nodes[0].begin("gkf", address(1)).await.unwrap().void().await.unwrap();
    }
}

#[rocket::async_test]
async fn many_who_know_the_password_all_get_in_and_guesses_at_once_do_not() {
    let test = "many_who_know_the_password_all_get_in_and_guesses_at_once_do_not";
    let Some((_server, nodes)) = two(test) else { return };
    let right = (0..60).map(|i| {
        let node = &nodes[i % 2];
        async move {
            let attempt = node.begin("gkf", address(1)).await.unwrap();
            tokio::task::yield_now().await;
            attempt.succeeded().await.unwrap();
        }
    });
    join_all(right).await;
    let wrong = (0..60).map(|i| guess(&nodes[i % 2], "other", address(2)));
    let taken = join_all(wrong).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(taken, 5);
}

#[rocket::async_test]
async fn a_try_that_is_given_up_or_whose_node_is_gone_counts_as_failed() {
    let test = "a_try_that_is_given_up_or_whose_node_is_gone_counts_as_failed";
    let Some((server, nodes)) = two(test) else { return };
    drop(nodes[0].begin("gkf", address(1)).await.unwrap());
    let failed = || server.sql("SELECT DISTINCT failed FROM sign_in_tries");
    super::support::wait_for("the failure", || (failed() == "1").then_some(()));

    for _ in 0..4 {
        // As a killed node leaves it.
        std::mem::forget(nodes[0].begin("gkf", address(1)).await.unwrap());
    }
    later(&server, "31 seconds");
    assert!(guess(&nodes[1], "gkf", address(9)).await.is_ok(), "31 seconds were waited");
    assert!(guess(&nodes[1], "gkf", address(9)).await.is_err());
}

#[rocket::async_test]
async fn refused_tries_leave_nothing_behind() {
    let Some((server, nodes)) = two("refused_tries_leave_nothing_behind") else { return };
    for i in 0..40 {
        let _ = guess(&nodes[i % 2], &format!("made up {i}"), address(1)).await;
    }
    assert_eq!(server.sql("SELECT count(*), sum(failed) FROM sign_in_tries"), "31|60");
}

#[rocket::async_test]
async fn what_is_old_or_too_much_is_removed() {
    let Some((server, nodes)) = two("what_is_old_or_too_much_is_removed") else { return };
    server.sql(
        "INSERT INTO sign_in_tries (key, last) SELECT int4send(i), now() - i * interval '1 ms' \
         FROM generate_series(1, 60000) AS i; \
         INSERT INTO sign_in_tries (key, last, begun) SELECT int4send(-i), now() - interval '1 h', \
         now() - interval '1 h' FROM generate_series(1, 100) AS i; \
         INSERT INTO sign_in_known SELECT int4send(i), now() - i * interval '1 d' \
         FROM generate_series(1, 60000) AS i",
    );
    guess(&nodes[0], "gkf", address(1)).await.unwrap();
    assert_eq!(server.sql("SELECT count(*) FROM sign_in_tries"), "50002");
    assert_eq!(server.sql("SELECT count(*) FROM sign_in_known"), "50000");
    assert_eq!(server.sql("SELECT max(last) < now() - interval '12 h' FROM sign_in_known"), "t");
}

#[test]
fn who_guesses_at_one_node_is_told_to_wait_at_the_other() {
    let test = "who_guesses_at_one_node_is_told_to_wait_at_the_other";
    let Some((server, site)) = one_node(test) else { return };
    let other = node(&server.url(), "");
    let nodes = [site.serve(), other.serve()];
    let guess =
        |browser: Browser| browser.post("/login", &[("username", USER), ("password", "a guess")]);
    let answers: Vec<_> = (0..12).map(|i| guess(nodes[i % 2].browser())).collect();
    let tried = answers.iter().filter(|answer| answer.status == 200).count();
    // A slow machine lets a wait of a second or two pass.
    assert!((5..=8).contains(&tried), "{tried} tries");
    let last = answers.last().unwrap();
    assert_eq!(last.status, 429);
    assert!(last.header("Retry-After").unwrap().parse::<u64>().unwrap() > 0);
    // What people type there may be a password: it is stored nowhere.
    let dump = server.sql("SELECT * FROM sign_in_tries");
    assert!(!dump.contains(USER) && !dump.contains("127.0.0.1"), "{dump}");
}
