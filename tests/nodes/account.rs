//! One's own sessions and password, and the audit trail, over two nodes on PostgreSQL.

use serde_json::Value;

use super::support::{Answer, Browser, PASSWORD, Server, Site, USER, wait_for};
use super::{node, one_node};

const NEW: &str = "wet otter pays the tram";

/// Two nodes on one database, for sessions in it.
fn two(test: &str) -> Option<(super::Postgres, [Site; 2])> {
    let (server, site) = one_node(test)?;
    let other = node(&server.url(), "");
    Some((server, [site, other]))
}

fn others(page: &Answer) -> Vec<String> {
    assert_eq!(page.status, 200, "{}", page.body);
    let fields = page.body.split("name=\"id\" value=\"").skip(1);
    fields.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

fn at(server: &Server, browser: &Browser) -> Browser {
    Browser::with_cookie(server.port, &browser.cookie.borrow().clone().unwrap())
}

fn audit(site: &Site, arguments: &[&str]) -> Vec<Value> {
    serde_json::from_str(&site.run(&[&["audit", "--json"], arguments].concat())).unwrap()
}

#[test]
fn a_session_ended_at_one_node_has_ended_at_the_other() {
    let test = "a_session_ended_at_one_node_has_ended_at_the_other";
    let Some((database, sites)) = two(test) else { return };
    let [one, other] = sites.each_ref().map(Site::serve);
    let (here, there) = (one.signed_in(), other.signed_in());
    let ids = others(&here.get("/account/sessions"));
    assert_eq!(ids.len(), 1);
    for unknown in ["AAAAAAAAAAAAAAAAAAAAAA", "\0", "' OR 1=1 --"] {
        assert_eq!(here.post("/account/sessions/end", &[("id", unknown)]).status, 404);
    }
    assert_eq!(here.post("/account/sessions/end", &[("id", &ids[0])]).status, 303);
    assert!(!there.is_signed_in() && at(&other, &here).is_signed_in());

    let more = [one.signed_in(), other.signed_in()];
    assert_eq!(here.post("/account/sessions/end-others", &[]).status, 303);
    assert!(more.iter().all(|browser| !browser.is_signed_in()) && here.is_signed_in());
    let ended = &audit(&sites[1], &["--event", "other-sessions-ended"])[0];
    assert_eq!((&ended["name"], &ended["detail"]), (&USER.into(), &"sessions: 2".into()));

    let there = other.signed_in();
    let change = [("current", PASSWORD), ("new", NEW), ("again", NEW)];
    assert_eq!(here.post("/account/password", &change).location(), "/account/sessions");
    assert!(here.is_signed_in() && at(&other, &here).is_signed_in() && !there.is_signed_in());
    assert!(others(&here.get("/account/sessions")).is_empty());

    // When it was last used is written aside, once.
    database.sql("UPDATE sign_ins SET last_seen = last_seen - 1000");
    assert!(here.is_signed_in());
    let old = "SELECT count(*) FROM sign_ins WHERE last_seen < created";
    wait_for("the last use", || (database.sql(old) == "0").then_some(()));
    here.post("/logout", &[]);
    assert_eq!(database.sql("SELECT count(*) FROM sign_ins"), "0");
}

#[test]
fn a_session_of_an_earlier_build_goes_on() {
    let Some((database, site)) = one_node("a_session_of_an_earlier_build_goes_on") else { return };
    let cookie = "SESSION_TYPE = 'cookie'\nSECRET_KEY = 'a secret key that is long enough'";
    let site = node(&database.url(), &format!("{cookie}\n# {}", site.path().display()));
    let encoded = site.run_with_input(&["cookie", "encode"], r#"{"user_epoch":0,"user_id":1}"#);
    let server = site.serve();
    let browser = Browser::with_cookie(server.port, &format!("session={}", encoded.trim()));
    assert!(browser.is_signed_in() && browser.is_signed_in());
    assert_eq!(database.sql("SELECT count(*) FROM sign_ins"), "1");
}

#[test]
fn the_trail_of_all_nodes_is_one() {
    let Some((database, sites)) = two("the_trail_of_all_nodes_is_one") else { return };
    let servers = sites.each_ref().map(Site::serve);
    for server in &servers {
        server.signed_in();
        for name in [USER, "my-password"] {
            server.browser().post("/login", &[("username", name), ("password", "wrong")]);
        }
    }
    let run = |command: &[&str]| sites[0].run_with_input(command, PASSWORD);
    run(&["user", "add", "anna", "--password-stdin"]);
    assert_eq!(sites[0].fail(&["user", "add", "ANNA", "--password-stdin"], b"").0, 1);
    for change in ["disable", "enable", "remove"] {
        run(&["user", change, "anna"]);
    }
    run(&["sessions", "revoke", "--user", USER]);
    run(&["sessions", "revoke", "--all"]);
    let failed = wait_for("the failures", || {
        let failed = audit(&sites[1], &["--event", "failed-sign-in"]);
        (failed.len() == 4).then_some(failed)
    });
    assert_eq!(failed.iter().filter(|entry| entry["name"] == USER).count(), 2);
    let of_anna = audit(&sites[1], &["--user", "Anna"]);
    let of_anna: Vec<_> = of_anna.iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    let expected = ["account-added", "account-disabled", "account-enabled", "account-removed"];
    assert_eq!(of_anna, expected);
    assert_eq!(audit(&sites[1], &["--event", "sessions-revoked"]).len(), 2);
    assert_eq!(database.sql("SELECT count(*) FROM audit WHERE audit::text LIKE '%my-pass%'"), "0");
    database.sql(
        "INSERT INTO audit (at, event, actor) SELECT 9999999999, 'throttled', 'visitor'
         FROM generate_series(1, 100700);
         INSERT INTO audit (at, event, actor) VALUES (1, 'sign-in', 'visitor');
         INSERT INTO sign_ins (id, account, created, last_seen, expires) VALUES ('over', 1, 0, 0, 9)",
    );
    let left = "SELECT (SELECT count(*) FROM audit WHERE event = 'throttled')
                + (SELECT count(*) FROM audit WHERE at = 1)
                + (SELECT count(*) FROM sign_ins WHERE id = 'over')";
    wait_for("the sweep", || (database.sql(left) == "100000").then_some(()));
}
