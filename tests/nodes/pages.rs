//! The pages, on PostgreSQL.

use super::one_node;
use super::support::{Browser, PASSWORD, USER};

#[test]
fn a_visitor_signs_in_sees_the_students_and_signs_out() {
    let Some((_server, site)) = one_node("a_visitor_signs_in_sees_the_students_and_signs_out")
    else {
        return;
    };
    let server = site.serve();
    let browser = server.browser();
    assert_eq!(browser.get("/healthz").body, "sessions: ok\ndatabase: ok\n");
    for (name, password) in [(USER, "wrong"), ("nobody", PASSWORD), ("gkf\0", PASSWORD)] {
        let answer = browser.post("/login", &[("username", name), ("password", password)]);
        assert_eq!(answer.status, 200, "{name:?}");
        assert!(answer.body.contains("Account or password error"));
    }
    let form = [("username", "GKF"), ("password", PASSWORD), ("next", "/detailed?id=2")];
    assert_eq!(browser.post("/login", &form).location(), "/detailed?id=2");
    let list = browser.get("/brief_introduction").body;
    for name in ["Steel Eggs", "Iron Egg", "maidservant"] {
        assert!(list.contains(name));
    }
    let details = browser.get("/detailed?id=1").body;
    assert!(details.contains("Steel Eggs") && details.contains("17"));
    assert_eq!(browser.get("/detailed?id=4").status, 404);
    let student = browser.get("/api/students/2").body;
    assert!(student.contains("\"Iron Egg\"") && student.contains("19"), "{student}");

    let cookie = browser.cookie.borrow().clone().unwrap();
    assert_eq!(browser.post("/logout", &[]).location(), "/login");
    assert!(!Browser::with_cookie(server.port, &cookie).is_signed_in());
}

#[test]
fn a_locked_changed_or_removed_account_is_out_at_the_next_request() {
    let test = "a_locked_changed_or_removed_account_is_out_at_the_next_request";
    let Some((_server, site)) = one_node(test) else { return };
    let server = site.serve();
    for end in [
        &["user", "disable", USER][..],
        &["user", "passwd", USER, "--password-stdin"],
        &["sessions", "revoke", "--user", USER],
        &["sessions", "revoke", "--all"],
        &["user", "remove", USER],
    ] {
        let browser = server.signed_in();
        assert!(browser.is_signed_in());
        site.run_with_input(end, PASSWORD);
        assert!(!browser.is_signed_in(), "{end:?}");
        if end[1] == "disable" {
            site.run(&["user", "enable", USER]);
        }
    }
    assert!(server.browser().get("/login").body.contains("dewar user add"), "nobody is left");
}

/// What is found, and in which order, is the same on a SQLite file.
#[test]
fn a_large_roster_is_paged_and_searched_as_on_sqlite() {
    let test = "a_large_roster_is_paged_and_searched_as_on_sqlite";
    let Some((_server, site)) = one_node(test) else { return };
    let other = super::support::Site::new("");
    let mut csv = String::from("id,name,age,gender\n");
    for id in 4..=20_000 {
        csv += &format!("{id},Student {id} 100%,{},\n", id % 90);
    }
    for (id, name) in [(20_001, "ÄÖ ä_ö \\ 'x' \"y\""), (20_002, "STRASSE Straße"), (20_003, "İı")]
    {
        csv += &format!("{id},\"{}\",,\n", name.replace('"', "\"\""));
    }
    for site in [&site, &other] {
        site.run_with_input(&["students", "import", "-"], &csv);
    }
    let (on_postgresql, on_sqlite) = (site.serve(), other.serve());
    let (browser, expected) = (on_postgresql.signed_in(), on_sqlite.signed_in());
    let mut paths: Vec<String> = [
        "Steel",
        "sTEEL%20eGGS",
        "gg",
        "19999",
        "2",
        "%202%20",
        "%2B2",
        "100%25",
        "_eel",
        "%25%25%25",
        "%22",
        "%5C",
        "_",
        "%27%20OR%201=1",
        "%EF%BF%BD",
        "%C3%84",
        "%C3%A4",
        "%C3%A4_%C3%B6",
        "stra%C3%9Fe",
        "strasse",
        "i",
        "%C4%B1",
        "99999999999999999999",
        "-9223372036854775808",
    ]
    .iter()
    .map(|query| format!("/api/students?q={query}"))
    .collect();
    for page in ["0", "2", "400", "401", "402", "18446744073709551615", "18446744073709551616", "x"]
    {
        paths.push(format!("/api/students?page={page}"));
        paths.push(format!("/api/students?q=udent&page={page}"));
    }
    for path in paths {
        let answers = [&browser, &expected].map(|browser| browser.get(&path));
        assert_eq!(answers[0].status, 200, "{path}");
        assert_eq!(answers[0].body, answers[1].body, "{path}");
    }
}

#[test]
fn thirty_two_clients_sign_in_at_once() {
    let Some((_server, site)) = one_node("thirty_two_clients_sign_in_at_once") else { return };
    let server = site.serve();
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                let browser = server.browser();
                browser.sign_in();
                assert!(browser.is_signed_in());
            });
        }
    });
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}
