//! `dewar database copy`, from a SQLite file to PostgreSQL and back.

use std::path::Path;

use serde_json::Value;

use super::node;
use super::servers::postgres::Postgres;
use super::support::{PASSWORD, Site, USER};

/// Every row of the tables, and the number the next account gets.
fn rows(path: &Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let all = |statement: &str, columns: usize| {
        let mut prepared = connection.prepare(statement).unwrap();
        let rows = prepared.query_map([], |row| {
            let values: Result<Vec<rusqlite::types::Value>, _> =
                (0..columns).map(|column| row.get(column)).collect();
            Ok(format!("{:?}", values?))
        });
        rows.unwrap().map(Result::unwrap).collect::<Vec<_>>()
    };
    let mut found = all("SELECT * FROM accounts ORDER BY id", 7);
    found.extend(all("SELECT * FROM students ORDER BY id", 4));
    found.extend(all("SELECT * FROM sign_ins ORDER BY id", 7));
    let entry = "at, event, actor, account, name, name_key, address, agent, request, detail";
    found.extend(all(&format!("SELECT {entry} FROM audit ORDER BY id"), 10));
    found.extend(all("SELECT seq FROM sqlite_sequence WHERE name = 'accounts'", 1));
    found
}

/// A site with something of everything that a row may hold.
fn site() -> Site {
    let site = Site::new("");
    for name in ["Zoë Æ", "locked", "removed"] {
        site.run_with_input(&["user", "add", name, "--password-stdin"], PASSWORD);
    }
    site.run(&["user", "disable", "locked"]);
    site.run(&["sessions", "revoke", "--user", USER]);
    site.run(&["user", "remove", "removed"]);
    let mut csv = String::from("id,name,age,gender\n9223372036854775807,\"ÄÖ \"\"x\"\"\",200,\n");
    for id in 10..3500 {
        csv += &format!("{id},Student {id},,\n");
    }
    site.run_with_input(&["students", "import", "-"], &csv);
    site
}

#[test]
fn everything_goes_to_postgresql_and_comes_back_the_same() {
    let test = "everything_goes_to_postgresql_and_comes_back_the_same";
    let Some(server) = Postgres::start(test, &[]) else { return };
    let url = server.url();
    let site = site();
    let cookie = site.serve().signed_in().cookie.take().unwrap();
    let before = rows(&site.database());

    let told = site.run(&["database", "copy", "--to", &url]);
    assert!(told.contains("accounts  3") && told.contains("students  3494"), "{told}");
    assert!(told.contains("sign_ins  1 ") && !told.contains("audit     0"), "{told}");
    assert!(!told.contains("secret"), "{told}");
    let sums = |table: &str| {
        let lines = told.lines().filter(|line| line.starts_with(table));
        lines.map(|line| line.split_whitespace().nth(2).unwrap()).collect::<Vec<_>>()
    };
    for table in ["accounts", "students", "sign_ins", "audit"] {
        let sums = sums(table);
        assert!(sums.len() == 2 && sums[0] == sums[1] && sums[0].len() == 64, "{told}");
    }

    site.run(&["database", "copy", "--from", &url, "--to", "back.db", "--json"]);
    assert_eq!(rows(&site.path().join("back.db")), before);
    assert!(before.last().unwrap().contains("Integer(4)"), "{:?}", before.last());

    // Who was signed in stays so on the other database, which gives no number twice either.
    let other = node(&url, "SESSION_TYPE = \"sqlite\"\nSESSION_SQLITE_PATH = \"dewar.db\"");
    std::fs::copy(site.database(), other.database()).unwrap();
    let serving = other.serve();
    assert!(super::support::Browser::with_cookie(serving.port, &cookie).is_signed_in());
    other.run_with_input(&["user", "add", "next", "--password-stdin"], PASSWORD);
    assert_eq!(server.sql("SELECT id FROM accounts WHERE name = 'next'"), "5");
}

#[test]
fn a_database_that_holds_something_is_replaced_only_by_force() {
    let test = "a_database_that_holds_something_is_replaced_only_by_force";
    let Some(server) = Postgres::start(test, &[]) else { return };
    let url = server.url();
    let site = Site::new("");
    let other = node(&url, "");
    other.run(&["students", "add", "Already there", "--id", "77"]);
    let count = || server.sql("SELECT count(*), max(id) FROM students");

    let (status, error) = site.fail(&["database", "copy", "--to", &url], b"");
    assert_eq!(status, 1);
    assert!(error.contains("--force") && !error.contains("secret"), "{error}");
    assert_eq!(count(), "1|77");
    site.run(&["database", "copy", "--to", &url, "--force"]);
    assert_eq!(count(), "3|3");

    // What cannot be put in as a whole leaves all as it was.
    let connection = rusqlite::Connection::open(site.database()).unwrap();
    connection
        .execute("INSERT INTO students (id, name) VALUES (5, 'nul ' || char(0))", [])
        .unwrap();
    let (status, error) = site.fail(&["database", "copy", "--to", &url, "--force"], b"");
    assert_eq!(status, 1, "{error}");
    assert_eq!(count(), "3|3");
    assert_eq!(server.sql("SELECT name FROM accounts"), USER);

    site.run(&["database", "copy", "--from", &url, "--to", "dewar.db", "--force"]);
    let json: Value = serde_json::from_str(&site.run(&["students", "export", "--json"])).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 3);
}

#[test]
fn a_place_that_is_none_is_told_of() {
    let site = Site::new("");
    for (arguments, status, word) in [
        (&["--to", "mysql://h/d"][..], 2, "postgresql://"),
        (&["--to", "postgresql://u:s3cret@h/d?sslmode=maybe"], 2, "sslmode"),
        (&["--to", "x.db", "--from", "none.db"], 1, "none.db"),
        (&["--to", "postgresql://u:s3cret@127.0.0.1:9/d"], 1, "127.0.0.1:9"),
        (&["--to", "x.db", "--from", "x.db"], 2, "itself"),
        (&[], 2, "--to"),
    ] {
        let (code, error) = site.fail(&[&["database", "copy"], arguments].concat(), b"");
        assert_eq!(code, status, "{arguments:?}: {error}");
        assert!(error.contains(word) && !error.contains("s3cret"), "{arguments:?}: {error}");
    }
    assert!(!site.path().join("x.db").exists());
}
