//! The pages over HTTP, from the real binary.

mod support;

use support::{Browser, PASSWORD, Site, USER};

#[test]
fn a_visitor_signs_in_sees_the_students_and_signs_out() {
    let site = Site::new("");
    let server = site.serve();
    let browser = server.browser();

    assert_eq!(browser.get("/").location(), "/brief_introduction");
    let refused = browser.get("/detailed?id=2");
    assert_eq!((refused.status, refused.location()), (303, "/login?next=%2Fdetailed%3Fid%3D2"));
    assert!(browser.cookie.borrow().is_none());

    let form = [("username", "GKF"), ("password", PASSWORD), ("next", "/detailed?id=2")];
    assert_eq!(browser.post("/login", &form).location(), "/detailed?id=2");

    let list = browser.get("/brief_introduction").body;
    for name in ["Steel Eggs", "Iron Egg", "maidservant"] {
        assert!(list.contains(name));
    }
    let details = browser.get("/detailed?id=1").body;
    assert!(details.contains("Steel Eggs") && details.contains("17"));
    assert!(details.contains("Unknown"), "no label is the default");

    let cookie = browser.cookie.borrow().clone().unwrap();
    assert_eq!(browser.post("/logout", &[]).location(), "/login");
    assert!(browser.cookie.borrow().is_none());
    assert!(!Browser::with_cookie(server.port, &cookie).is_signed_in());
}

#[test]
fn the_demo_needs_no_files_and_shows_the_labels() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = support::dewar(&["demo", "--port", "0"]);
    command.current_dir(dir.path());
    // Nor does it listen to what is configured for another server.
    command.env("FLASK_DATABASE", dir.path().join("real.db")).env("ROCKET_PORT", "1");
    let server = support::Server::start(command);
    let browser = server.browser();
    let answer = browser.post("/login", &[("username", "gkf"), ("password", "123")]);
    assert_eq!(answer.location(), "/brief_introduction");
    assert!(browser.get("/detailed?id=1").body.contains("<dd>male</dd>"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_wrong_pair_gets_the_form_again_and_the_same_answer_for_unknown_users() {
    let site = Site::new("");
    site.run_with_input(&["user", "add", "locked", "--password-stdin"], PASSWORD);
    site.run(&["user", "disable", "locked"]);
    let server = site.serve();
    let body = |name: &str, password: &str| {
        let answer = server.browser().post("/login", &[("username", name), ("password", password)]);
        assert_eq!((answer.status, answer.header("Set-Cookie")), (200, None), "{name}");
        assert!(answer.body.contains("Account or password error"));
        answer.body.replace(name, "NAME")
    };
    let wrong = body(USER, "wrong");
    assert_eq!(wrong, body("nobody", "wrong"));
    assert_eq!(wrong, body("locked", PASSWORD));
}

#[test]
fn keep_me_signed_in_decides_whether_the_cookie_outlives_the_browser() {
    let site = Site::new("");
    let server = site.serve();
    let sign_in = |remember: &[(&str, &str)]| {
        let form = [&[("username", USER), ("password", PASSWORD)], remember].concat();
        let answer = server.browser().post("/login", &form);
        answer.header("Set-Cookie").unwrap().to_owned()
    };
    assert!(sign_in(&[("remember", "1")]).contains("; Expires="));
    assert!(!sign_in(&[]).contains("Expires"));
}

#[test]
fn signing_in_takes_multipart_forms_too() {
    let site = Site::new("");
    let server = site.serve();
    let field = |name: &str, value: &str| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = field("username", USER) + &field("password", PASSWORD) + "--x--\r\n";
    let kind = [("Content-Type", "multipart/form-data; boundary=x")];
    let answer = server.browser().send("POST", "/login", &kind, body.as_bytes()).unwrap();
    assert_eq!((answer.status, answer.location()), (303, "/brief_introduction"));
}

#[test]
fn an_id_that_is_none_gets_the_query_error() {
    let site = Site::new("");
    let server = site.serve();
    let browser = server.signed_in();
    for (query, status) in [
        ("", 400),
        ("?id=", 400),
        ("?id=x", 400),
        ("?id=01", 400),
        ("?id=%2B1", 400),
        ("?id=%D9%A1", 400),
        ("?id=99999999999999999999", 400),
        ("?id=%FF", 400),
        ("?id=4", 404),
    ] {
        let answer = browser.get(&format!("/detailed{query}"));
        assert_eq!(answer.status, status, "{query}");
        assert!(answer.body.contains("Query error please try again"), "{query}");
    }
}

#[test]
fn without_accounts_the_sign_in_page_tells_how_to_add_one() {
    let site = Site::empty("");
    let server = site.serve();
    assert!(server.browser().get("/login").body.contains("dewar user add"));
    server.wait_for_log("dewar user add");
    site.run_with_input(&["user", "add", USER, "--password-stdin"], PASSWORD);
    assert!(!server.browser().get("/login").body.contains("dewar user add"));
    server.signed_in();
}

#[test]
fn a_locked_changed_or_removed_account_is_out_at_the_next_request() {
    let site = Site::new("");
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
}

#[test]
fn a_page_that_meets_a_new_password_half_set_leaves_the_session_alone() {
    let site = Site::new("");
    let server = site.serve();
    let browser = server.signed_in();
    let cookie = browser.cookie.borrow().clone().unwrap();
    let database = rusqlite::Connection::open(site.database()).unwrap();
    // As long as the account has the new password and the session not yet its number.
    database.execute("UPDATE accounts SET epoch = epoch + 1", []).unwrap();
    let answer = browser.get("/brief_introduction");
    assert_eq!((answer.status, answer.header("Set-Cookie")), (303, None));
    database.execute("UPDATE accounts SET epoch = epoch - 1", []).unwrap();
    assert!(Browser::with_cookie(server.port, &cookie).is_signed_in());
}

#[test]
fn where_a_visitor_wanted_to_is_forgotten_when_it_is_long() {
    let site = Site::new("");
    let server = site.serve();
    let long = format!("/brief_introduction?q={}", "a".repeat(3500));
    assert_eq!(server.browser().get(&long).location(), "/login");
    let page = server.browser().get(&format!("/login?next={long}"));
    assert!(page.status == 200 && page.body.len() < 8000, "{} bytes", page.body.len());
    let form = [("username", USER), ("password", PASSWORD), ("next", &*long)];
    let answer = server.browser().post("/login", &form);
    assert_eq!(answer.location(), "/brief_introduction");
}

#[test]
fn files_are_cached_by_their_hash_and_touch_no_session() {
    let site = Site::new("");
    let server = site.serve();
    let browser = server.signed_in();
    let page = browser.get("/login").body;
    let link = page.split('"').find(|part| part.starts_with("/static/style.css?v=")).unwrap();
    let file = browser.get(link);
    assert_eq!(file.header("Cache-Control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(file.header("Content-Type"), Some("text/css; charset=utf-8"));
    assert_eq!((file.header("Vary"), file.header("Set-Cookie")), (None, None));
    let plain = browser.get("/static/style.css");
    assert_eq!(plain.header("Cache-Control"), Some("no-cache"));
    let tag = [("If-None-Match", plain.header("ETag").unwrap())];
    let again = browser.send("GET", "/static/style.css", &tag, b"").unwrap();
    assert_eq!((again.status, &*again.body), (304, ""));
    assert_eq!(browser.get("/static/Rocket.toml").status, 404);
}

#[test]
fn every_error_has_a_page_of_the_site() {
    let site = Site::new("MAX_CONTENT_LENGTH = 1000");
    let server = site.serve();
    let browser = server.browser();
    let foreign =
        [("Origin", "https://evil.example"), ("Content-Type", "application/x-www-form-urlencoded")];
    let large = format!("username={}", "x".repeat(2000));
    for (answer, status) in [
        (browser.get("/nowhere"), 404),
        (browser.send("DELETE", "/login", &[], b"").unwrap(), 405),
        (browser.post("/login", &[]), 422),
        (browser.send("POST", "/login", &foreign, b"username=a").unwrap(), 403),
        (browser.send("POST", "/login", &foreign[1..], large.as_bytes()).unwrap(), 413),
    ] {
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.body.contains(&format!("Error {status}")), "{}", answer.body);
        assert!(answer.header("Content-Security-Policy").is_some());
        assert_eq!(answer.header("Set-Cookie"), None);
    }
}

#[test]
fn an_operators_template_replaces_the_built_in_one() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("mine")).unwrap();
    let site = Site::in_dir(dir, "template_dir = \"mine\"\nTEMPLATES_AUTO_RELOAD = true");
    let template = site.path().join("mine/login.html");
    std::fs::write(&template, "mine for {{ next }}").unwrap();
    let server = site.serve();
    let browser = server.browser();
    let page = browser.get("/login?next=%3Cb%3E");
    assert_eq!(page.body, "mine for &lt;b&gt;");
    assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
    std::fs::write(&template, "changed").unwrap();
    assert_eq!(browser.get("/login").body, "changed");
    std::fs::write(&template, "{% broken").unwrap();
    assert_eq!(browser.get("/login").status, 500);
    std::fs::remove_file(&template).unwrap();
    assert!(browser.get("/login").body.contains("Sign in"));
}

#[test]
fn a_list_rendered_once_for_everybody_is_the_page_that_a_template_makes_for_each() {
    let page = |settings: &str| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("mine")).unwrap();
        let site = Site::in_dir(dir, settings);
        let name = "O'Neil <b>&\"/{{ 7 }}GapForList";
        site.run_with_input(&["user", "add", name, "--password-stdin"], PASSWORD);
        let server = site.serve();
        let browser = server.browser();
        let form = [("username", name), ("password", PASSWORD)];
        assert_eq!(browser.post("/login", &form).status, 303);
        let query = "/brief_introduction?q=GapForUser%3Cb%3E";
        [browser.get("/brief_introduction").body, browser.get(query).body].map(|body| {
            let (before, rest) = body.split_once("name=\"csrf_token\" value=\"").unwrap();
            let (token, after) = rest.split_once('"').unwrap();
            assert!(token.len() > 40 && body.contains("O&#x27;Neil &lt;b&gt;"), "{body}");
            format!("{before}{after}")
        })
    };
    // Operators' templates may differ for each visitor, also where none is there yet.
    assert_eq!(page(""), page("template_dir = \"mine\""));
}

#[test]
fn a_large_roster_is_paged_and_searched() {
    let site = Site::new("");
    let mut csv = String::from("id,name,age,gender\n");
    for id in 4..=100_000 {
        csv += &format!("{id},Student {id} 100%,{},\n", id % 90);
    }
    site.run_with_input(&["students", "import", "-"], &csv);
    let server = site.serve();
    let browser = server.signed_in();
    let page = browser.get("/brief_introduction?page=2000").body;
    assert!(page.contains("Student 100000 100%") && page.contains("Page 2000 of 2000"));
    for (query, found) in [
        ("Steel", "1 match"),
        ("steel%20eggs", "1 match"),
        ("gg", "2 matches"),
        ("99999", "1 match"),
        ("100%25", "99997 matches"),
        ("_eel", "No student matches"),
        ("%25%25%25", "No student matches"),
        ("%22", "No student matches"),
        ("%27%20OR%201=1", "No student matches"),
        ("%EF%BF%BD", "No student matches"),
    ] {
        let answer = browser.get(&format!("/brief_introduction?q={query}"));
        assert_eq!(answer.status, 200, "{query}");
        assert!(answer.body.contains(found), "{query}: {}", answer.body);
    }
    for page in ["0", "-1", "x", "99999999", "18446744073709551615", "18446744073709551616"] {
        assert_eq!(browser.get(&format!("/brief_introduction?page={page}")).status, 200, "{page}");
    }
}

#[test]
fn thirty_two_clients_sign_in_at_once() {
    let site = Site::new("");
    let server = site.serve();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..32)
            .map(|_| {
                scope.spawn(|| {
                    let browser = server.browser();
                    browser.sign_in();
                    assert!(browser.is_signed_in());
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
    });
    assert!(!server.log().contains("locked"), "{}", server.log());
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}
