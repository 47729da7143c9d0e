//! Every command that touches accounts or students, on PostgreSQL.

use serde_json::Value;

use super::servers::postgres::Postgres;
use super::support::{PASSWORD, USER, dewar, output_of};
use super::{node, one_node};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn accounts_are_added_listed_locked_and_removed() {
    let Some((_server, site)) = one_node("accounts_are_added_listed_locked_and_removed") else {
        return;
    };
    let add =
        |name: &str| site.run_with_input(&["user", "add", name, "--password-stdin"], PASSWORD);
    let list = || json(&site.run(&["user", "list", "--json"]));
    add("Zoë Æ");
    add("anna");
    for taken in ["ANNA", "zoË æ", USER] {
        let (status, error) =
            site.fail(&["user", "add", taken, "--password-stdin"], PASSWORD.as_bytes());
        assert_eq!(status, 1);
        assert!(error.contains("already"), "{error}");
    }
    let names: Vec<_> = list().as_array().unwrap().iter().map(|row| row["name"].clone()).collect();
    assert_eq!(names, ["anna", USER, "Zoë Æ"]);

    site.run(&["user", "disable", "Anna"]);
    assert_eq!(list()[0]["disabled"], true);
    site.run(&["user", "enable", "aNNa"]);
    assert_eq!(list()[0]["disabled"], false);
    site.run_with_input(
        &["user", "passwd", "anna", "--password-stdin"],
        "yet another one that is long",
    );

    let id = list()[0]["id"].clone();
    site.run(&["user", "remove", "anna"]);
    for command in [&["user", "remove", "anna"][..], &["user", "disable", "nobody"]] {
        assert!(site.fail(command, b"").1.contains("there is no account"), "{command:?}");
    }
    add("anna");
    assert_ne!(list()[0]["id"], id, "a number is not used again");
}

#[test]
fn students_go_out_and_come_back_as_csv() {
    let Some((server, site)) = one_node("students_go_out_and_come_back_as_csv") else { return };
    site.run(&["students", "export", "class.csv"]);
    let text = std::fs::read_to_string(site.path().join("class.csv")).unwrap();
    assert_eq!(text.lines().nth(1), Some("1,Steel Eggs,17,Unknown"));
    let (status, error) = site.fail(&["students", "import", "class.csv"], b"");
    assert_eq!(status, 1);
    assert!(error.contains("id 1 is in the database already"), "{error}");
    site.run(&["students", "import", "class.csv", "--replace"]);

    // Of a file that cannot be taken as a whole nothing is, however long it is.
    let mut rows = String::from("id,name\n");
    for id in (3..5000).rev() {
        rows += &format!("{id},Student {id}\n");
    }
    let (_, error) = site.fail(&["students", "import", "-"], rows.as_bytes());
    assert!(error.contains("id 3 "), "{error}");
    assert_eq!(server.sql("SELECT count(*) FROM students"), "3");
    site.run_with_input(&["students", "import", "-", "--replace"], &rows);
    assert_eq!(server.sql("SELECT count(*), max(id) FROM students"), "4999|4999");
    assert_eq!(json(&site.run(&["students", "export", "--json"])).as_array().unwrap().len(), 4999);

    assert_eq!(json(&site.run(&["students", "add", "New", "--json"]))["added"], 5000);
    assert!(site.fail(&["students", "add", "New", "--id", "5000"], b"").1.contains("already"));
    site.run(&["students", "remove", "5000"]);
    assert!(site.fail(&["students", "remove", "5000"], b"").1.contains("no student"));
}

#[test]
fn sessions_are_listed_and_ended_where_the_database_holds_them_too() {
    let test = "sessions_are_listed_and_ended_where_the_database_holds_them_too";
    let Some((server, site)) = one_node(test) else { return };
    let node = site.serve();
    let (one, two) = (node.signed_in(), node.signed_in());
    assert_eq!(server.sql("SELECT count(*) FROM sessions"), "2", "by default, beside the accounts");
    let list = json(&site.run(&["sessions", "list", "--user", USER, "--json"]));
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[0]["account"], USER);
    site.run(&["sessions", "revoke", list[0]["handle"].as_str().unwrap()]);
    assert_eq!([&one, &two].iter().filter(|browser| browser.is_signed_in()).count(), 1);
    site.run(&["sessions", "revoke", "--user", USER]);
    assert!(!one.is_signed_in() && !two.is_signed_in());
}

#[test]
fn backup_and_restore_name_the_servers_own_tools() {
    let site = node("postgresql://dewar:s3cret@127.0.0.1:9/dewar", "");
    for (command, tool) in [("backup", "pg_dump"), ("restore", "pg_restore")] {
        let (status, error) = site.fail(&[command, "file"], b"");
        assert_eq!(status, 2);
        assert!(error.contains(tool) && error.contains("127.0.0.1:9"), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn check_shows_the_database_without_its_password() {
    let site = node("postgresql://dewar:s3cret@127.0.0.1:9/dewar?sslmode=disable", "");
    let output = output_of(site.command(&["check"]), b"");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("postgresql://dewar:…@127.0.0.1:9/dewar"), "{shown}");
    assert!(shown.contains("\"sqlalchemy\""), "sessions are there as well: {shown}");
    assert!(!shown.contains("s3cret"), "{shown}");

    let credentials = tempfile::tempdir().unwrap();
    std::fs::write(credentials.path().join("DATABASE"), "postgresql://dewar:s3cret@other/dewar\n")
        .unwrap();
    let mut check = site.command(&["check"]);
    check.env("CREDENTIALS_DIRECTORY", credentials.path());
    let shown = String::from_utf8(output_of(check, b"").stdout).unwrap();
    assert!(shown.contains("postgresql://dewar:…@other/dewar"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");

    let wrong = node("postgresql://dewar:s3cret@127.0.0.1/dewar?sslmode=maybe", "");
    let (status, error) = wrong.fail(&["check"], b"");
    assert_eq!(status, 2);
    assert!(error.contains("DATABASE") && error.contains("sslmode"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");

    let no_file = node("postgresql://dewar@127.0.0.1/dewar", "SESSION_TYPE = \"sqlite\"");
    let (_, error) = no_file.fail(&["check"], b"");
    assert!(error.contains("SESSION_SQLITE_PATH"), "{error}");
}

#[test]
fn a_server_that_is_not_there_is_told_of_without_the_password() {
    let site = node("postgresql://dewar:s3cret@127.0.0.1:9/dewar", "");
    for command in [&["serve"][..], &["user", "list"], &["students", "export"]] {
        let (status, error) = site.fail(command, b"");
        assert_eq!(status, 1, "{command:?}");
        assert!(error.contains("127.0.0.1:9"), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn no_command_waits_for_a_server_that_hangs() {
    let Some((server, site)) = one_node("no_command_waits_for_a_server_that_hangs") else { return };
    server.hang();
    for command in [&["serve"][..], &["user", "list"], &["students", "export"]] {
        let begin = std::time::Instant::now();
        let (status, error) = site.fail(command, b"");
        assert_eq!(status, 1, "{command:?}");
        assert!(error.contains("does not answer within 2 s"), "{error}");
        assert!(begin.elapsed() < std::time::Duration::from_secs(5), "{:?}", begin.elapsed());
    }
    server.go_on();
    site.run(&["user", "list"]);
}

#[test]
fn init_takes_a_database_on_a_server() {
    let Some(server) = Postgres::start("init_takes_a_database_on_a_server", &[]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let url = server.url();
    let mut init =
        dewar(&["init", "--user", USER, "--password-stdin", "--database", &url, "--json"]);
    init.current_dir(dir.path());
    let output = output_of(init, PASSWORD.as_bytes());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("dewar:…@") && !told.contains("secret"), "{told}");
    let mut serve = dewar(&[]);
    serve.current_dir(dir.path()).env("ROCKET_PORT", "0");
    super::support::Server::start(serve).signed_in();
    assert_eq!(server.sql("SELECT name FROM accounts"), USER);
    assert!(!dir.path().join("dewar.db").exists());
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let Some((server, site)) = one_node("a_newer_schema_is_refused_and_left_alone") else { return };
    server.sql("UPDATE dewar_schema SET version = 99");
    let (status, error) = site.fail(&["user", "list"], b"");
    assert_eq!(status, 1);
    assert!(error.contains("newer version") && error.contains("99"), "{error}");
    assert_eq!(server.sql("SELECT version FROM dewar_schema"), "99");
}

#[test]
fn twenty_programs_that_start_at_once_on_an_empty_database_migrate_it_once() {
    let test = "twenty_programs_that_start_at_once_on_an_empty_database_migrate_it_once";
    let Some(server) = Postgres::start(test, &[]) else { return };
    let site = node(&server.url(), "");
    std::thread::scope(|scope| {
        for i in 0..20 {
            let site = &site;
            scope.spawn(move || {
                site.run(&["students", "add", "Somebody", "--id", &(i + 1).to_string()]);
            });
        }
    });
    assert_eq!(server.sql("SELECT count(*) FROM students"), "20");
    assert_eq!(server.sql("SELECT count(*) FROM dewar_schema"), "1");
}
