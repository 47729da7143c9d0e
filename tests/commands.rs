//! The commands, from the real binary.

mod support;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use support::{PASSWORD, Site, USER, dewar, output_of, wait_for};

#[test]
fn init_makes_a_site_that_serves() {
    let dir = tempfile::tempdir().unwrap();
    let init = |input: &str| {
        let mut command = dewar(&["init", "--user", USER, "--password-stdin"]);
        command.current_dir(dir.path());
        output_of(command, input.as_bytes())
    };
    let done = init(&format!("{PASSWORD}\n"));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let file = dir.path().join("Rocket.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let key = text.lines().find_map(|line| line.strip_prefix("SECRET_KEY = ")).unwrap();
    assert!(key.len() > 60, "{key}");

    let again = init(PASSWORD);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists already"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "left as it was");

    let mut serve = dewar(&[]);
    serve.current_dir(dir.path()).env("ROCKET_PORT", "0");
    support::Server::start(serve).signed_in();
}

#[test]
fn init_without_a_terminal_names_the_flags() {
    let site = tempfile::tempdir().unwrap();
    let mut command = dewar(&["init"]);
    command.current_dir(site.path());
    let output = output_of(command, b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--help"));
    assert_eq!(std::fs::read_dir(site.path()).unwrap().count(), 0);
}

#[test]
fn accounts_are_added_listed_locked_and_removed() {
    let site = Site::new("");
    let (status, error) =
        site.fail(&["user", "add", "GKF", "--password-stdin"], PASSWORD.as_bytes());
    assert_eq!(status, 1);
    assert!(error.contains("already"), "{error}");
    for bad in ["", " x", "a\nb", &"x".repeat(65)] {
        assert_eq!(site.fail(&["user", "add", bad, "--password-stdin"], b"pw").0, 2, "{bad:?}");
    }
    for bad in [&b""[..], b"\n", b"two\nlines", b"\xff\xfe"] {
        assert_eq!(site.fail(&["user", "add", "x", "--password-stdin"], bad).0, 2, "{bad:?}");
    }
    site.run(&["user", "disable", "gkf"]);
    let listed: serde_json::Value =
        serde_json::from_str(&site.run(&["user", "list", "--json"])).unwrap();
    assert_eq!(
        (listed[0]["name"].as_str(), listed[0]["disabled"].as_bool()),
        (Some("gkf"), Some(true))
    );
    site.run(&["user", "enable", "gkf"]);
    assert!(site.run(&["user", "list"]).contains("enabled"));
    site.run(&["user", "remove", "Gkf"]);
    for command in ["disable", "enable", "remove"] {
        let (status, error) = site.fail(&["user", command, "gkf"], b"");
        assert!(status == 1 && error.contains("there is no account gkf"), "{error}");
    }
}

#[test]
fn a_removed_accounts_number_is_not_used_again() {
    let site = Site::new("");
    let server = site.serve();
    let browser = server.signed_in();
    site.run(&["user", "remove", USER]);
    site.run_with_input(&["user", "add", USER, "--password-stdin"], PASSWORD);
    assert!(!browser.is_signed_in());
}

#[test]
fn students_go_out_and_come_back_as_csv() {
    let site = Site::new("");
    let csv = site.run(&["students", "export"]);
    assert_eq!(csv.lines().next(), Some("id,name,age,gender"));
    assert_eq!(csv.lines().count(), 4);
    let (status, error) = site.fail(&["students", "import", "-"], csv.as_bytes());
    assert!(status == 1 && error.contains("id 1 is in the database already"), "{error}");
    site.run_with_input(&["students", "import", "--replace", "-"], &csv.replace("Steel", "Tin"));
    assert!(site.run(&["students", "export"]).contains("Tin Eggs"));
    site.run(&["students", "add", "Zoë", "--age", "20"]);
    site.run(&["students", "remove", "2"]);
    assert_eq!(site.fail(&["students", "remove", "2"], b"").0, 1);
    assert!(site.run(&["students", "export", "-"]).ends_with("4,Zoë,20,\n"));
    site.run(&["students", "export", "out.csv"]);
    assert_eq!(std::fs::read_to_string(site.path().join("out.csv")).unwrap().lines().count(), 4);
    assert_eq!(site.fail(&["students", "export", "out.csv"], b"").0, 1, "nothing is overwritten");
    std::fs::write(site.database(), "garbage ".repeat(2000)).unwrap();
    assert_eq!(site.fail(&["students", "export", "later.csv"], b"").0, 1);
    assert!(!site.path().join("later.csv").exists(), "nothing in the way of the next try");
}

#[test]
fn an_audit_that_is_followed_begins_now_and_ends_with_its_reader() {
    let site = Site::new("");
    let mut command = site.command(&["audit", "--follow", "--limit", "0"]);
    let mut follower = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(follower.stdout.take().unwrap());
    std::thread::sleep(Duration::from_millis(1500));
    site.run(&["user", "disable", USER]);
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.contains("account-disabled"), "{line}");
    drop(said);
    site.run(&["user", "enable", USER]);
    let ended = wait_for("the follower to end", || follower.try_wait().unwrap());
    assert!(ended.success());
}

#[test]
fn of_a_file_with_a_bad_row_nothing_is_imported() {
    let site = Site::new("");
    let before = site.run(&["students", "export"]);
    for bad in ["10,New,20,\n11,,20,\n", "10,New,20,\n11,Old,x,\n", "10,New,20,\n1,Taken,20,\n"] {
        let input = format!("id,name,age,gender\n{bad}");
        let (status, error) = site.fail(&["students", "import", "-"], input.as_bytes());
        assert_eq!(status, 1);
        assert!(error.contains("nothing was imported"), "{error}");
        assert!(error.contains("line 3") || error.contains("id 1 "), "{error}");
        assert_eq!(site.run(&["students", "export"]), before);
    }
}

#[test]
fn a_sessions_handle_ends_it_and_cannot_sign_in() {
    let site = Site::new("");
    let server = site.serve();
    let (one, other) = (server.signed_in(), server.signed_in());
    let listed: serde_json::Value =
        serde_json::from_str(&site.run(&["sessions", "list", "--json"])).unwrap();
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 2);
    for session in listed {
        assert_eq!(session["account"].as_str(), Some(USER));
        let handle = session["handle"].as_str().unwrap();
        assert!(
            !support::Browser::with_cookie(server.port, &format!("session={handle}"))
                .is_signed_in()
        );
    }
    site.run(&["sessions", "revoke", listed[0]["handle"].as_str().unwrap()]);
    assert_eq!([&one, &other].iter().filter(|browser| browser.is_signed_in()).count(), 1);
    assert_eq!(site.fail(&["sessions", "revoke", "0123456789abcdef"], b"").0, 1);
    assert_eq!(site.fail(&["sessions", "revoke"], b"").0, 2);
    let stats: serde_json::Value =
        serde_json::from_str(&site.run(&["sessions", "stats", "--json"])).unwrap();
    assert_eq!((stats["live"].as_u64(), stats["signed_in"].as_u64()), (Some(1), Some(1)));
    assert!(site.run(&["sessions", "list"]).contains(USER));
    assert!(site.run(&["sessions", "sweep"]).contains("0 expired"));
}

#[test]
fn an_account_is_signed_out_everywhere_where_sessions_live_in_cookies() {
    let key = "a secret key that is long enough for anybody";
    let site = Site::new(&format!("SESSION_TYPE = 'cookie'\nSECRET_KEY = '{key}'"));
    site.run_with_input(&["user", "add", "other", "--password-stdin"], PASSWORD);
    let server = site.serve();
    let (one, two, other) = (server.signed_in(), server.signed_in(), server.browser());
    other.post("/login", &[("username", "other"), ("password", PASSWORD)]);
    let (status, problem) = site.fail(&["sessions", "list"], b"");
    assert!(status == 1 && problem.contains("in the visitors' cookies"), "{problem}");

    let told = site.run(&["sessions", "revoke", "--user", USER, "--json"]);
    assert!(told.contains("null"), "{told}");
    assert!(!one.is_signed_in() && !two.is_signed_in() && other.is_signed_in());
    assert!(server.signed_in().is_signed_in(), "until the next sign-in");
    site.run(&["sessions", "revoke", "--all"]);
    assert!(!other.is_signed_in());
}

#[test]
fn a_backup_is_taken_and_restored_while_the_server_runs() {
    let site = Site::new("");
    let server = site.serve();
    let before = server.signed_in();
    site.run(&["backup", "copy.db"]);
    assert_eq!(site.fail(&["backup", "copy.db"], b"").0, 2, "nothing is overwritten");
    site.run(&["backup", "copy.db", "--force"]);
    let (status, error) = site.fail(&["backup", "dewar.db", "--force"], b"");
    assert!(status == 2 && error.contains("the database itself"), "{error}");
    let after = server.signed_in();
    site.run(&["students", "remove", "1"]);

    assert_eq!(site.fail(&["restore", "copy.db"], b"").0, 2, "no terminal to ask at");
    site.run(&["restore", "copy.db", "--yes"]);
    assert!(before.is_signed_in(), "signed in when the copy was made");
    assert!(!after.is_signed_in(), "signed in later");
    assert!(before.get("/brief_introduction").body.contains("Steel Eggs"));
    server.signed_in();

    std::fs::write(site.path().join("text"), "not a database").unwrap();
    let other = site.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let mut cut = std::fs::read(site.path().join("copy.db")).unwrap();
    cut.truncate(cut.len() - 5000);
    std::fs::write(site.path().join("cut.db"), cut).unwrap();
    for bad in ["text", "other.db", "cut.db", "missing.db"] {
        let (status, error) = site.fail(&["restore", bad, "--yes"], b"");
        assert!(status == 1 && error.contains(bad), "{error}");
        assert!(before.is_signed_in());
    }
}

#[test]
fn a_damaged_database_is_told_of_and_restored() {
    let site = Site::new("");
    site.run(&["backup", "copy.db"]);
    std::fs::write(site.database(), "garbage ".repeat(2000)).unwrap();
    for command in
        [&["serve"][..], &["user", "list"], &["students", "export"], &["sessions", "list"]]
    {
        let (status, error) = site.fail(command, b"");
        assert!(status == 1 && error.contains("not a SQLite database"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    site.run(&["restore", "copy.db", "--yes"]);
    site.serve().signed_in();
}

#[test]
fn check_shows_each_setting_with_its_origin_and_no_secret() {
    let key = "a very secret key of more than 32 characters";
    let site = Site::new(&format!("SECRET_KEY = \"{key}\"\nSESSION_COOKIE_NAME = \"sid\""));
    let mut command = site.command(&["check", "--json"]);
    command.env("FLASK_PERMANENT_SESSION_LIFETIME", "60").env("ROCKET_ADDRESS", "0.0.0.0");
    let output = output_of(command, b"");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains(key));
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let setting = |key: &str| {
        let settings = report["settings"].as_array().unwrap();
        let found = settings.iter().find(|setting| setting["key"] == key).expect(key);
        format!("{} from {}", found["value"].as_str().unwrap(), found["origin"].as_str().unwrap())
    };
    assert!(setting("SESSION_COOKIE_NAME").starts_with("\"sid\" from "));
    assert!(
        setting("SESSION_COOKIE_NAME").ends_with("Rocket.toml:5"),
        "{}",
        setting("SESSION_COOKIE_NAME")
    );
    assert!(
        setting("PERMANENT_SESSION_LIFETIME")
            .ends_with("environment variable FLASK_PERMANENT_SESSION_LIFETIME")
    );
    assert!(setting("SESSION_ID_LENGTH").ends_with("from default"));
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("SESSION_COOKIE_SECURE"), "{warnings}");
    assert!(warnings.contains("chmod 600"), "{warnings}");
}

#[test]
fn a_wrong_configuration_stops_every_command_with_status_2() {
    for (settings, part) in [
        ("SESION_COOKIE_NAME = \"x\"", "did you mean SESSION_COOKIE_NAME?"),
        ("COLOUR = \"red\"", "COLOUR is not a setting"),
        ("PERMANENT_SESSION_LIFETIME = 0", "PERMANENT_SESSION_LIFETIME"),
        ("SESSION_COOKIE_SAMESITE = \"None\"", "SESSION_COOKIE_SECURE"),
        ("TRUSTED_ORIGINS = \"https://a.org\"", "TRUSTED_ORIGINS must be a list"),
        ("TRUSTED_ORIGINS = [\"a.org\"]", "TRUSTED_ORIGINS"),
        ("GENDER_LABELS = 5", "GENDER_LABELS"),
        ("MAX_CONTENT_LENGTH = -1", "MAX_CONTENT_LENGTH"),
        ("template_dir = \"nowhere\"", "nowhere"),
        ("workers = \"many\"", "workers"),
        ("this is no toml", "TOML"),
        ("SECRET_KEY = \"\\u0000", "TOML"),
    ] {
        let site = Site::empty(settings);
        for command in [&["check"][..], &["serve"], &["user", "list"]] {
            let (status, error) = site.fail(command, b"");
            assert_eq!(status, 2, "{settings}: {error}");
            assert!(error.contains(part), "{settings}: {error}");
        }
        assert!(!site.database().exists(), "{settings}: nothing was made");
    }
    let site = Site::empty("");
    std::fs::write(site.path().join("Rocket.toml"), b"[default]\n\xff\xfe").unwrap();
    assert_eq!(site.fail(&["check"], b"").0, 2);
    assert_eq!(site.fail(&["--config", "missing.toml", "check"], b"").0, 2);
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in [
        &[][..],
        &["serve"],
        &["demo"],
        &["init"],
        &["check"],
        &["key"],
        &["user"],
        &["user", "add"],
        &["user", "passwd"],
        &["user", "disable"],
        &["user", "enable"],
        &["user", "remove"],
        &["user", "list"],
        &["students"],
        &["students", "import"],
        &["students", "export"],
        &["students", "add"],
        &["students", "remove"],
        &["sessions"],
        &["sessions", "list"],
        &["sessions", "revoke"],
        &["sessions", "sweep"],
        &["sessions", "stats"],
        &["database"],
        &["database", "copy"],
        &["backup"],
        &["restore"],
        &["cookie"],
        &["cookie", "decode"],
        &["cookie", "encode"],
        &["completions"],
        &["man"],
    ] {
        let output = output_of(dewar(&[command, &["--help"]].concat()), b"");
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && help.contains("Example: "), "{command:?}: {help}");
        assert!(help.contains("--config"), "{command:?}");
    }
    assert_eq!(output_of(dewar(&["frobnicate"]), b"").status.code(), Some(2));
}

#[test]
fn every_deed_is_told_as_json_when_asked() {
    let site = Site::new("");
    site.serve().signed_in();
    for (command, key) in [
        (&["user", "disable", USER][..], "account"),
        (&["students", "add", "New"], "added"),
        (&["students", "remove", "4"], "removed"),
        (&["sessions", "revoke", "--all"], "ended"),
        (&["sessions", "sweep"], "swept"),
        (&["backup", "copy.db"], "wrote"),
        (&["restore", "copy.db", "--yes"], "restored"),
        (&["key"], "SECRET_KEY"),
    ] {
        let told: serde_json::Value =
            serde_json::from_str(&site.run(&[command, &["--json"]].concat())).unwrap();
        assert!(told.get(key).is_some(), "{command:?}: {told}");
    }
    let students: serde_json::Value =
        serde_json::from_str(&site.run(&["students", "export", "--json"])).unwrap();
    assert_eq!(students[0]["name"], "Steel Eggs");
}

#[test]
fn a_broken_template_stops_the_start_and_is_named() {
    let site = Site::empty("template_dir = \"mine\"");
    std::fs::create_dir(site.path().join("mine")).unwrap();
    std::fs::write(site.path().join("mine/login.html"), "{% broken").unwrap();
    let (status, error) = site.fail(&["serve"], b"");
    assert_eq!(status, 1);
    assert!(error.contains("login.html"), "{error}");
}

#[test]
fn cookies_are_looked_into_and_made() {
    let site = Site::empty("SECRET_KEY = \"new\"\nSECRET_KEY_FALLBACKS = [\"older\", \"old\"]");
    let encode = |key: &[&str], input: &str| {
        let arguments = [&["cookie", "encode", "--at", "1714979289"], key].concat();
        site.run_with_input(&arguments, input).trim().to_owned()
    };
    let cookie = encode(&["--secret-key", "dev"], "{\"a\":1}");
    assert_eq!(cookie, "eyJhIjoxfQ.ZjiB2Q.6-gSX1eLpXoJZRd3KQ4PVNueye4");
    let decode = |more: &[&str]| {
        let arguments = [&["cookie", "decode", &cookie, "--at", "1714979299"], more].concat();
        serde_json::from_str::<serde_json::Value>(&site.run(&arguments)).unwrap()
    };
    let shown = decode(&["--secret-key", "x", "--secret-key", "dev"]);
    assert_eq!(
        (&shown["payload"]["a"], &shown["age"], &shown["key"]),
        (&1.into(), &10.into(), &1.into())
    );
    assert_eq!(shown["signed"], "2024-05-06T07:08:09Z");

    let output = output_of(site.command(&["cookie", "decode", &cookie]), b"");
    assert_eq!(output.status.code(), Some(1));
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&shown["payload"]["a"], &shown["verified"]), (&1.into(), &false.into()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not verified"));

    let tagged = "{\"t\":{\" t\":[1,{\" b\":\"/w==\"}]}}";
    let configured = encode(&[], tagged);
    let arguments = ["cookie", "decode", "--tagged", &configured];
    assert_eq!(site.run(&arguments).trim(), tagged);
    for (input, status) in [("not json", 1), ("[1]", 1), ("{\"x\":{\" u\":\"zz\"}}", 1)] {
        assert_eq!(site.fail(&["cookie", "encode"], input.as_bytes()).0, status, "{input}");
    }
    for bad in ["", "x", "..", "-a.b.c"] {
        assert_eq!(site.fail(&["cookie", "decode", bad], b"").0, 1, "{bad}");
    }
    assert_eq!(Site::empty("").fail(&["cookie", "encode"], b"{}").0, 2, "no key");
}

#[test]
fn keys_completions_and_man_pages_are_printed() {
    let text = |arguments: &[&str]| {
        let output = output_of(dewar(arguments), b"");
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let key = text(&["key"]);
    assert_eq!(key.trim().len(), 64);
    assert_ne!(key, text(&["key"]));
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&["completions", shell]).contains("dewar"));
    }
    assert!(text(&["man"]).contains(".TH"));
    let dir = tempfile::tempdir().unwrap();
    text(&["man", "--dir", dir.path().to_str().unwrap()]);
    assert!(dir.path().join("dewar-serve.1").exists());
}
