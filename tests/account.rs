//! What people do about their own account, and what is recorded of it.

mod support;

use std::collections::BTreeSet;

use dewar::session::store::{SqliteStore, Store};
use dewar::session::{SessionId, StoreKey};
use rusqlite::Connection;
use serde_json::Value;
use support::{Answer, Browser, PASSWORD, Server, Site, USER, wait_for};

const NEW: &str = "wet otter pays the tram";
const KEY: &str = "a secret key that is long enough for anybody";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

fn in_cookies() -> String {
    format!("SESSION_TYPE = 'cookie'\nSECRET_KEY = '{KEY}'")
}

/// The ids of the sessions on the page that can be ended.
fn listed(page: &Answer) -> Vec<String> {
    assert_eq!(page.status, 200, "{}", page.body);
    let fields = page.body.split("name=\"id\" value=\"").skip(1);
    fields.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

fn sessions(browser: &Browser) -> Vec<String> {
    listed(&browser.get("/account/sessions"))
}

fn end(browser: &Browser, id: &str) -> Answer {
    browser.post("/account/sessions/end", &[("id", id)])
}

fn change(browser: &Browser, current: &str, new: &str, again: &str) -> Answer {
    browser.post("/account/password", &[("current", current), ("new", new), ("again", again)])
}

fn signed_in_as(server: &Server, name: &str, password: &str) -> Browser {
    let browser = server.browser();
    let answer = browser.post("/login", &[("username", name), ("password", password)]);
    assert_eq!(answer.status, 303, "{name}: {}", answer.body);
    browser
}

fn sql<T: rusqlite::types::FromSql>(site: &Site, query: &str) -> T {
    let connection = Connection::open(site.database()).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    connection.query_row(query, [], |row| row.get(0)).unwrap()
}

fn change_sql(site: &Site, statement: &str) {
    let connection = Connection::open(site.database()).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    connection.execute_batch(statement).unwrap();
}

fn audit(site: &Site, arguments: &[&str]) -> Vec<Value> {
    serde_json::from_str(&site.run(&[&["audit", "--json"], arguments].concat())).unwrap()
}

/// Waits for what is noted aside.
fn audited(site: &Site, event: &str, count: usize) -> Vec<Value> {
    wait_for(&format!("{count} of {event}"), || {
        let found = audit(site, &["--event", event]);
        (found.len() >= count).then_some(found)
    })
}

#[test]
fn one_session_is_ended_from_another_wherever_sessions_live() {
    for settings in ["", "SESSION_TYPE = 'filesystem'", &in_cookies()] {
        let site = Site::new(settings);
        let server = site.serve();
        let (here, there, third) = (server.signed_in(), server.signed_in(), server.signed_in());
        let others = sessions(&here);
        assert_eq!(others.len(), 2, "{settings}");
        // The last used comes first, and of two in one second any.
        let copies = [&there, &third].map(|browser| browser.cookie.borrow().clone().unwrap());
        let answer = end(&here, &others[0]);
        assert_eq!(answer.location(), "/account/sessions", "{settings}");
        assert!(here.get("/account/sessions").body.contains("The session has ended."));
        assert!(!here.get("/account/sessions").body.contains("has ended."), "shown once");
        let left = [&there, &third].into_iter().filter(|browser| browser.is_signed_in());
        assert_eq!(left.count(), 1, "{settings}");
        let alive =
            copies.iter().filter(|cookie| Browser::with_cookie(server.port, cookie).is_signed_in());
        assert_eq!(alive.count(), 1, "nor does a copy of its cookie help: {settings}");

        let more = server.signed_in();
        assert_eq!(here.post("/account/sessions/end-others", &[]).location(), "/account/sessions");
        assert!(here.is_signed_in() && !there.is_signed_in() && !third.is_signed_in());
        assert!(!more.is_signed_in(), "{settings}");
        assert!(sessions(&here).is_empty());
        assert_eq!(sql::<i64>(&site, "SELECT count(*) FROM sign_ins"), 1);
    }
}

#[test]
fn a_session_that_is_nobodys_or_somebody_elses_is_not_ended() {
    let site = Site::new("");
    site.run_with_input(&["user", "add", "other", "--password-stdin"], PASSWORD);
    let server = site.serve();
    let (mine, second) = (server.signed_in(), server.signed_in());
    let other = signed_in_as(&server, "other", PASSWORD);
    let theirs = sessions(&signed_in_as(&server, "other", PASSWORD));
    assert_eq!(theirs.len(), 1, "others' sessions are not listed");
    let own = sessions(&mine);
    for id in [&*theirs[0], "AAAAAAAAAAAAAAAAAAAAAA", "", "x", "' OR 1=1 --", "\0", &own[0][1..]] {
        let answer = end(&mine, id);
        assert_eq!(answer.status, 404, "{id:?}");
        assert!(answer.body.contains("There is no such session of yours"), "{}", answer.body);
    }
    assert!(other.is_signed_in() && second.is_signed_in() && mine.is_signed_in());
    assert_eq!(mine.post("/account/sessions/end", &[]).status, 422);

    // Nor is one at the wish of another site, or of nobody.
    let headers =
        [("Content-Type", "application/x-www-form-urlencoded"), ("Origin", "https://evil.example")];
    for path in ["/account/sessions/end", "/account/sessions/end-others", "/account/password"] {
        let body = format!("id={}", own[0]);
        let answer = mine.send("POST", path, &headers, body.as_bytes()).unwrap();
        assert_eq!(answer.status, 403, "{path}");
        assert_eq!(server.browser().post(path, &[]).location(), "/login", "{path}");
    }
    server.wait_for_log("refused a POST from another site to /account/password, from 127.0.0.1");
    for path in ["/account/sessions", "/account/password"] {
        assert!(server.browser().get(path).location().starts_with("/login?next="), "{path}");
    }
    assert!(second.is_signed_in());
}

#[test]
fn the_page_tells_browser_address_and_times_and_marks_this_session() {
    let site = Site::new("");
    let server = site.serve();
    let form = format!("username={USER}&password={}", support::encode(PASSWORD));
    let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("User-Agent", FIREFOX)];
    server.browser().send("POST", "/login", &headers, form.as_bytes()).unwrap();
    let page = server.signed_in().get("/account/sessions");
    assert!(page.body.contains("Firefox on Linux"), "{}", page.body);
    assert!(page.body.contains("127.0.0.1"), "{}", page.body);
    assert_eq!(page.body.matches("This session").count(), 1);
    let (_, rest) = page.body.split_once("<time datetime=\"").unwrap();
    let year = &rest[..4];
    assert!(rest.contains("Z\">") && year.parse::<u16>().unwrap() > 2024, "{rest}");
    assert_eq!(page.header("Cache-Control"), Some("no-store"));
    assert!(!page.body.contains("<script") && !page.body.contains("style="), "{}", page.body);
}

#[test]
fn no_more_than_the_hundred_last_used_sessions_are_listed() {
    let site = Site::new("");
    let server = site.serve();
    let browser = server.signed_in();
    change_sql(
        &site,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
         INSERT INTO sign_ins SELECT printf('%022d', i), 1, 0, i, 99999999999, NULL, NULL FROM n",
    );
    let found = sessions(&browser);
    assert_eq!(found.len(), 99);
    assert_eq!(found[0], format!("{:022}", 300));
    browser.post("/account/sessions/end-others", &[]);
    assert_eq!(sql::<i64>(&site, "SELECT count(*) FROM sign_ins"), 1, "all are ended");
}

#[test]
fn a_new_password_ends_all_other_sessions_and_keeps_this_one_under_a_new_id() {
    for settings in ["", &in_cookies()] {
        let site = Site::new(settings);
        let server = site.serve();
        let (here, there) = (server.signed_in(), server.signed_in());
        let before = here.cookie.borrow().clone().unwrap();
        assert_eq!(change(&here, PASSWORD, NEW, NEW).location(), "/account/sessions");
        assert_ne!(here.cookie.borrow().clone().unwrap(), before);
        let page = here.get("/account/sessions");
        assert!(page.body.contains("Your password is changed"), "{}", page.body);
        assert!(listed(&page).is_empty() && here.is_signed_in());
        assert!(!there.is_signed_in(), "{settings}");
        assert!(!Browser::with_cookie(server.port, &before).is_signed_in(), "{settings}");
        let old = [("username", USER), ("password", PASSWORD)];
        assert_eq!(server.browser().post("/login", &old).status, 200);
        signed_in_as(&server, USER, NEW);
        let changed = audit(&site, &["--event", "password-changed"]);
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0]["actor"], "visitor");
    }
}

#[test]
fn a_new_password_takes_the_current_one_and_has_to_be_a_good_one() {
    let site = Site::new("");
    let server = site.serve();
    let browser = server.signed_in();
    for (current, new, again, told) in [
        (PASSWORD, NEW, "wet otter pays the train", "differ"),
        (PASSWORD, "short", "short", "at least 15 characters"),
        (PASSWORD, "passwordpassword", "passwordpassword", "easy to guess"),
        (PASSWORD, "gkfgkfgkfgkfgkfgkf", "gkfgkfgkfgkfgkfgkf", "easy to guess"),
        (PASSWORD, PASSWORD, PASSWORD, "is the current one"),
        ("not it", NEW, NEW, "current password is not right"),
    ] {
        let answer = change(&browser, current, new, again);
        assert_eq!(answer.status, 422, "{told}");
        assert!(answer.body.contains(told), "{told}: {}", answer.body);
        assert!(!answer.body.contains(new) || new == "short", "nothing typed comes back");
    }
    assert_eq!(browser.post("/account/password", &[("current", PASSWORD)]).status, 422);
    assert_eq!(audited(&site, "failed-password-change", 1).len(), 1);
    server.signed_in();
}

#[test]
fn wrong_current_passwords_are_throttled_as_failed_sign_ins_are() {
    let site = Site::new("");
    let server = site.serve();
    let browser = server.signed_in();
    let answers: Vec<_> = (0..10).map(|_| change(&browser, "guess", NEW, NEW).status).collect();
    let tried = answers.iter().filter(|status| **status == 422).count();
    assert!((1..=6).contains(&tried), "{answers:?}");
    let last = change(&browser, PASSWORD, NEW, NEW);
    assert_eq!(last.status, 429);
    assert!(last.header("Retry-After").is_some() && last.body.contains("Too many attempts"));
    assert!(browser.is_signed_in());
}

#[test]
fn signing_out_ends_a_copy_of_the_cookie_too_and_takes_the_session_off_the_list() {
    for settings in ["", &in_cookies()] {
        let site = Site::new(settings);
        let server = site.serve();
        let (here, there) = (server.signed_in(), server.signed_in());
        let copy = there.cookie.borrow().clone().unwrap();
        there.post("/logout", &[]);
        assert!(!Browser::with_cookie(server.port, &copy).is_signed_in(), "{settings}");
        assert!(sessions(&here).is_empty());
        // Signing in once more in one browser leaves no second entry.
        here.sign_in();
        assert_eq!(sql::<i64>(&site, "SELECT count(*) FROM sign_ins"), 1);
        let id = sql::<String>(&site, "SELECT id FROM sign_ins");
        assert_eq!(end(&here, &id).location(), "/login", "one's own session is signed out");
        assert!(!here.is_signed_in());
    }
}

#[test]
fn signing_out_is_not_pretended_where_a_cookie_holds_the_session() {
    let site = Site::new(&in_cookies());
    let server = site.serve();
    let browser = server.signed_in();
    let cookie = browser.cookie.borrow().clone().unwrap();
    let other = rusqlite::Connection::open(site.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = browser.post("/logout", &[]);
    assert_eq!((answer.status, answer.header("Set-Cookie")), (503, None), "{}", answer.body);
    other.execute_batch("COMMIT").unwrap();
    assert!(Browser::with_cookie(server.port, &cookie).is_signed_in(), "it went on, as was told");
    assert_eq!(browser.post("/logout", &[]).status, 303);
    assert!(!Browser::with_cookie(server.port, &cookie).is_signed_in());
}

#[test]
fn sessions_of_earlier_builds_go_on_and_are_listed_then() {
    let site = Site::new("");
    let server = site.serve();
    let token = "an-id-of-an-earlier-build-of-32-by";
    let key = SessionId::parse(token).unwrap().store_key("session:", true);
    let values = format!("{{\"_permanent\":true,\"user_epoch\":{},\"user_id\":1}}", 0);
    let create = |key: &StoreKey, values: &str| {
        let store = SqliteStore::open(&site.database()).unwrap();
        let hour = std::time::Duration::from_secs(3600);
        let runtime = rocket::tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(runtime.block_on(store.create(key, values.as_bytes(), hour)).unwrap());
    };
    create(&key, &values);
    let cookie = format!("session={token}");
    let statuses: BTreeSet<u16> = std::thread::scope(|scope| {
        let visits: Vec<_> = (0..8)
            .map(|_| {
                let browser = Browser::with_cookie(server.port, &cookie);
                scope.spawn(move || browser.get("/brief_introduction").status)
            })
            .collect();
        visits.into_iter().map(|visit| visit.join().unwrap()).collect()
    });
    assert_eq!(statuses, [200].into());
    let browser = Browser::with_cookie(server.port, &cookie);
    assert!(browser.is_signed_in());
    assert_eq!(sql::<i64>(&site, "SELECT count(*) FROM sign_ins"), 1, "one row for one session");
    let other = server.signed_in();
    assert_eq!(end(&other, &sessions(&other)[0]).status, 303);
    assert!(!browser.is_signed_in());

    // What an earlier build would not have taken is not taken now.
    for (token, values) in [
        ("of-an-older-epoch", "{\"user_epoch\":7,\"user_id\":1}"),
        ("of-no-account", "{\"user_epoch\":0,\"user_id\":9}"),
        ("of-another-shape", "{\"user_epoch\":0,\"user_id\":1,\"user_sign_in\":[1]}"),
        ("of-no-sign-in", "{\"user_epoch\":0,\"user_id\":1,\"user_sign_in\":\"\"}"),
    ] {
        create(&SessionId::parse(token).unwrap().store_key("session:", true), values);
        let browser = Browser::with_cookie(server.port, &format!("session={token}"));
        assert!(!browser.is_signed_in(), "{token}");
    }
    server.signed_in();
}

#[test]
fn a_database_of_an_earlier_build_is_brought_up_to_date() {
    let site = Site::new("");
    change_sql(
        &site,
        "DROP TABLE sign_ins; DROP TABLE audit; DROP TABLE sign_in_tries;
         DROP TABLE sign_in_known; DROP TABLE roster; DROP TRIGGER roster_inserted;
         DROP TRIGGER roster_deleted; DROP TRIGGER roster_updated; PRAGMA user_version = 2",
    );
    let server = site.serve();
    assert_eq!(sessions(&server.signed_in()).len(), 0);
    assert!(!audit(&site, &[]).is_empty());
}

#[test]
fn clients_are_recorded_and_logged_only_if_wanted_and_a_reload_decides_anew() {
    let site = Site::new("SESSION_RECORD_CLIENT = false");
    let server = site.serve();
    let browser = server.signed_in();
    server.browser().post("/login", &[("username", USER), ("password", "wrong")]);
    audited(&site, "failed-sign-in", 1);
    let recorded = "SELECT count(*) FROM sign_ins WHERE address IS NOT NULL OR agent IS NOT NULL";
    assert_eq!(sql::<i64>(&site, recorded), 0);
    assert!(audit(&site, &[]).iter().all(|entry| entry["address"].is_null()));
    assert!(audit(&site, &[]).iter().all(|entry| entry["agent"].is_null()));
    let page = browser.get("/account/sessions").body;
    assert!(page.contains("An unknown browser") && !page.contains("127.0.0.1"), "{page}");
    let lines = server.log();
    assert!(lines.contains("signed in from an address that is not recorded"), "{lines}");
    let after_start = lines.split_once("serving on").unwrap().1;
    let after_start = after_start.split_once('\n').unwrap().1;
    assert!(!after_start.contains("127.0.0.1"), "{lines}");

    site.configure("");
    server.signal("-HUP");
    server.wait_for_log("settings were read again");
    server.signed_in();
    assert_eq!(sql::<i64>(&site, recorded), 1);
    server.wait_for_log("signed in from 127.0.0.1");
}

#[test]
fn the_trail_tells_what_happened_to_whom_and_never_what_was_typed() {
    let site = Site::new("TRUSTED_PROXIES = [\"127.0.0.1\"]");
    let server = site.serve();
    let browser = server.signed_in();
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("X-Request-Id", "req-4711"),
        ("User-Agent", FIREFOX),
    ];
    let wrong = format!("username={USER}&password=wrong");
    browser.send("POST", "/login", &headers, wrong.as_bytes()).unwrap();
    for _ in 0..8 {
        server.browser().post("/login", &[("username", "my-password"), ("password", "x")]);
    }
    end(&browser, &sessions(&{ server.signed_in() })[0]);
    server.signed_in().post("/logout", &[]);
    site.run_with_input(&["user", "add", "Zoë", "--password-stdin"], NEW);
    site.run(&["user", "disable", "Zoë"]);
    let form = [("username", "zoË"), ("password", NEW)];
    assert_eq!(server.browser().post("/login", &form).status, 200);
    site.run(&["user", "enable", "Zoë"]);
    site.run_with_input(&["user", "passwd", "Zoë", "--password-stdin"], "a wholly other phrase");
    site.run(&["sessions", "revoke", "--user", "Zoë"]);
    site.run(&["sessions", "revoke", "--all"]);
    site.run(&["user", "remove", "Zoë"]);
    site.run(&["students", "remove", "3"]);
    audited(&site, "throttled", 1);
    audited(&site, "failed-sign-in", 7);

    let all = audit(&site, &[]);
    let events: BTreeSet<&str> = all.iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    let expected = [
        "account-added",
        "account-disabled",
        "account-enabled",
        "account-removed",
        "failed-sign-in",
        "password-changed",
        "session-ended",
        "sessions-revoked",
        "sign-in",
        "sign-out",
        "students-changed",
        "throttled",
    ];
    assert_eq!(events, expected.into());
    let text = site.run(&["audit"]) + &site.run(&["audit", "--json"]);
    assert!(!text.contains("my-password") && !text.contains("argon2"), "{text}");
    let failed = all.iter().find(|entry| entry["request"] == "req-4711").unwrap();
    assert_eq!(failed["name"], USER);
    assert_eq!(failed["address"], "127.0.0.1");
    assert_eq!(failed["agent"], "Firefox on Linux");
    assert_eq!(failed["event"], "failed-sign-in");

    let of_zoe = audit(&site, &["--user", "ZOË"]);
    let of_zoe: Vec<_> = of_zoe.iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    assert_eq!(
        of_zoe,
        [
            "account-added",
            "account-disabled",
            "failed-sign-in",
            "account-enabled",
            "password-changed",
            "sessions-revoked",
            "account-removed",
        ],
        "in order, and though the account is gone"
    );
    let disabled = audit(&site, &["--user", "Zoë", "--event", "failed-sign-in"]);
    assert_eq!(disabled[0]["detail"], "the account is disabled");
    assert_eq!(audit(&site, &["--limit", "2"]), all[all.len() - 2..]);
    assert_eq!(audit(&site, &["--since", "7d", "--limit", "1000"]).len(), all.len());
    change_sql(&site, "UPDATE audit SET at = at - 7200");
    assert!(audit(&site, &["--since", "1 h 30 min"]).is_empty());
    assert_eq!(site.fail(&["audit", "--since", "yesterday"], b"").0, 2);
    assert_eq!(site.fail(&["audit", "--event", "nothing"], b"").0, 2);
    let table = site.run(&["audit"]);
    assert!(table.starts_with("TIME (UTC)"), "{table}");
    assert!(table.trim_end().ends_with("student 3 removed"), "{table}");
}

#[test]
fn the_trail_can_be_followed() {
    let site = Site::new("");
    let mut following = site
        .command(&["audit", "--follow", "--json", "--limit", "1"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines =
        std::io::BufRead::lines(std::io::BufReader::new(following.stdout.take().unwrap()));
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["detail"], "imported 3 students");
    site.run(&["user", "disable", USER]);
    assert_eq!(next()["event"], "account-disabled");
    following.kill().unwrap();
    following.wait().unwrap();
}

#[test]
fn what_is_over_is_swept() {
    let site = Site::new("AUDIT_LIFETIME = '10 days'");
    let server = site.serve();
    let browser = server.signed_in();
    change_sql(
        &site,
        "INSERT INTO sign_ins VALUES ('over', 1, 0, 0, unixepoch() - 100, NULL, NULL);
         INSERT INTO sign_ins VALUES ('alive', 1, 0, 0, unixepoch() + 100, NULL, NULL);
         INSERT INTO audit (at, event, actor, detail) VALUES
         (unixepoch() - 11 * 86400, 'sign-in', 'visitor', 'old'),
         (unixepoch() - 9 * 86400, 'sign-in', 'visitor', 'kept');
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 101500)
         INSERT INTO audit (at, event, actor) SELECT unixepoch(), 'failed-sign-in', 'visitor' FROM n;
         INSERT INTO sign_in_tries VALUES (1, 9, 0)",
    );
    let count = |what: &str| sql::<i64>(&site, &format!("SELECT count(*) FROM {what}"));
    wait_for("the sweep", || {
        let swept = count("sign_ins WHERE id = 'over'") == 0
            && count("audit WHERE detail = 'old'") == 0
            && count("audit WHERE event = 'failed-sign-in'") == 100_000
            && count("sign_in_tries WHERE key = 1") == 0;
        swept.then_some(())
    });
    assert_eq!(count("sign_ins WHERE id = 'alive'"), 1);
    assert_eq!(count("audit WHERE detail = 'kept'"), 1);
    assert!(browser.is_signed_in());
}

#[test]
fn who_guesses_does_not_start_afresh_with_the_server() {
    let site = Site::new("");
    let mut server = site.serve();
    let form = [("username", "victim"), ("password", "a guess")];
    let guess = |server: &Server| server.browser().post("/login", &form).status;
    let first: Vec<_> = (0..7).map(|_| guess(&server)).collect();
    assert_eq!(first.last(), Some(&429), "{first:?}");
    wait_for("the counters to be kept", || {
        (sql::<i64>(&site, "SELECT coalesce(max(failed), 0) FROM sign_in_tries") >= 5).then_some(())
    });
    server.kill();
    let server = site.serve();
    let again: Vec<_> = (0..3).map(|_| guess(&server)).collect();
    assert!(again.contains(&429), "{again:?}");
    let names = "SELECT count(*) FROM sign_in_tries WHERE typeof(key) <> 'integer'";
    assert_eq!(sql::<i64>(&site, names), 0, "no name is kept");
}

#[test]
fn commands_take_good_passwords_and_others_only_when_told_so() {
    let site = Site::empty("");
    let add = ["user", "add", "maria", "--password-stdin"];
    for (password, told) in [
        ("password1", "at least 15 characters"),
        ("password1password1", "easy to guess"),
        ("maria-maria-maria", "easy to guess"),
        (&"wet otter pays".repeat(100), "at most 1024 bytes"),
    ] {
        let (status, error) = site.fail(&add, password.as_bytes());
        assert!(status == 2 && error.contains(told), "{password}: {error}");
        assert!(!error.contains(password), "{error}");
    }
    assert!(site.fail(&add, b"short").1.contains("--allow-weak-password"));
    assert_eq!(site.run(&["user", "list", "--json"]).trim(), "[]");
    site.run_with_input(&[&add[..], &["--allow-weak-password"]].concat(), "123");
    let passwd = ["user", "passwd", "maria", "--password-stdin"];
    assert_eq!(site.fail(&passwd, b"1234").0, 2);
    site.run_with_input(&passwd, NEW);

    site.configure("PASSWORD_MIN_LENGTH = 8");
    site.run_with_input(&passwd, "x7!kQz2p");
    assert!(site.fail(&passwd, b"password1").1.contains("easy to guess"));
    for settings in ["PASSWORD_MIN_LENGTH = 7", "PASSWORD_MIN_LENGTH = 65", "AUDIT_LIFETIME = 0"] {
        site.configure(settings);
        let key = settings.split(' ').next().unwrap();
        let (status, error) = site.fail(&["check"], b"");
        assert!(status == 2 && error.contains(key), "{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    let mut init = support::dewar(&["init", "--user", "x", "--password-stdin"]);
    init.current_dir(dir.path());
    assert_eq!(support::output_of(init, b"password1").status.code(), Some(2));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn a_session_ended_by_a_command_or_a_page_is_nowhere_listed_as_signed_in() {
    let site = Site::new("");
    let server = site.serve();
    let (here, _there) = (server.signed_in(), server.signed_in());
    let list = || -> Vec<Value> {
        let list = site.run(&["sessions", "list", "--user", USER, "--json"]);
        serde_json::from_str(&list).unwrap()
    };
    assert_eq!(list().len(), 2);
    end(&here, &sessions(&here)[0]);
    let left = list();
    assert_eq!(left.len(), 1);
    server.signed_in();
    let all = list();
    let other = all.iter().find(|session| **session != left[0]).unwrap();
    site.run(&["sessions", "revoke", other["handle"].as_str().unwrap()]);
    assert!(sessions(&here).is_empty(), "the page knows what the command did");
    let revoked = audit(&site, &["--event", "sessions-revoked"]);
    assert_eq!((&revoked[0]["name"], &revoked[0]["actor"]), (&USER.into(), &"operator".into()));
}
