//! A real Flask application and this layer side by side, one cookie between them.

#![cfg(feature = "app")]

mod servers;
mod support;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dewar::session::codec::pickle;
use dewar::session::settings::{FileHash, FileSettings};
use dewar::session::store::filesystem::file_name;
use dewar::session::store::{FilesystemStore, Store};
use dewar::session::{BigInt, Map, StoreKey, Value as SessionValue};
use serde_json::{Value, json};
use servers::mariadb::Mariadb;
use servers::postgres::Postgres;
use support::{Browser, Server, has};

const KEY: &str = "the key that both of them know, and nobody else";

/// Flask on a free port. Dropped, it is killed.
struct Flask {
    child: Child,
    port: u16,
}

impl Flask {
    fn start(python: &str, environment: &[(&str, &str)]) -> Self {
        let app = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/flask_app.py");
        let mut child = Command::new(python)
            .arg(app)
            .envs(environment.iter().copied())
            // Flask-Session calls some of its stores deprecated.
            .env("PYTHONWARNINGS", "ignore")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { child, port: port.trim().parse().expect("Flask starts") }
    }
}

impl Drop for Flask {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The example `playground`, which a full test run has built beside the tests.
fn playground(environment: &[(&str, &str)]) -> Server {
    let tests: PathBuf = std::env::current_exe().unwrap().parent().unwrap().into();
    let mut command = Command::new(tests.parent().unwrap().join("examples/playground"));
    command.current_dir(std::env::temp_dir()).envs(environment.iter().copied());
    command
        .env("ROCKET_PORT", "0")
        .env("ROCKET_LOG_LEVEL", "normal")
        .env("ROCKET_CLI_COLORS", "false");
    Server::start_saying(command, "launched from http://")
}

/// One visitor of both.
struct Visitor {
    flask: Browser,
    dewar: Browser,
}

#[derive(Clone, Copy)]
enum At {
    Flask,
    Dewar,
}

impl Visitor {
    fn new(flask: &Flask, dewar: &Server) -> Self {
        Self { flask: Browser::new(flask.port), dewar: dewar.browser() }
    }

    fn ask(&self, at: At, method: &str, path: &str, body: &Value) -> Value {
        let (browser, other) = match at {
            At::Flask => (&self.flask, &self.dewar),
            At::Dewar => (&self.dewar, &self.flask),
        };
        let kind = [("Content-Type", "application/json")];
        let answer = browser.send(method, path, &kind, body.to_string().as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        other.cookie.replace(browser.cookie.borrow().clone());
        serde_json::from_str(&answer.body).unwrap_or(Value::Null)
    }

    fn post(&self, at: At, path: &str) -> Value {
        self.ask(at, "POST", path, &json!({}))
    }

    fn get(&self, at: At) -> Value {
        self.ask(at, "GET", "/get", &Value::Null)
    }
}

/// The interpreter that has Flask.
fn python(test: &str) -> Option<String> {
    let python = std::env::var("DEWAR_FLASK_PYTHON").ok();
    has(python.is_some(), "a Python with Flask (DEWAR_FLASK_PYTHON)", test);
    python
}

/// Visits both with the same settings. `fresh` is what a new session holds.
fn visit(python: &str, settings: &[(&str, &str)], fresh: &Value) {
    let (flask, dewar) = (Flask::start(python, settings), playground(settings));
    for (one, other) in [(At::Flask, At::Dewar), (At::Dewar, At::Flask)] {
        let visitor = Visitor::new(&flask, &dewar);
        let mut everything = json!({
            "user": "gkf", "n": 41, "f": 1.5, "big": u64::MAX, "none": null, "yes": true,
            "text": "é 😀 \u{2028} \" \\ </script>", "list": [1, [2, {"a": []}]], "map": {" t": 1},
            "long": "x".repeat(1000),
        });
        visitor.ask(one, "POST", "/set", &everything);
        everything.as_object_mut().unwrap().extend(fresh.as_object().unwrap().clone());
        assert_eq!(visitor.get(other), everything);
        visitor.post(other, "/increment/n");
        visitor.post(one, "/increment/n");
        assert_eq!(visitor.get(other)["n"], 43);
        visitor.post(other, "/permanent/1");
        assert_eq!(visitor.get(one)["_permanent"], true);
        visitor.post(one, "/pop/long");
        assert!(visitor.get(other).get("long").is_none());
        visitor.post(one, "/flash/error/Lost");
        visitor.post(other, "/flash/info/Found");
        let flashes = visitor.ask(one, "GET", "/flashes", &Value::Null);
        assert_eq!(flashes, json!([["error", "Lost"], ["info", "Found"]]));
        assert_eq!(visitor.ask(other, "GET", "/flashes", &Value::Null), json!([]));
        visitor.post(other, "/clear");
        assert!(visitor.flask.cookie.borrow().is_none(), "the cookie is removed for both");
        assert_eq!(visitor.get(one), *fresh);
    }
}

#[test]
fn a_visitor_of_both_stays_signed_in_whichever_writes() {
    let Some(python) = python("a_visitor_of_both_stays_signed_in_whichever_writes") else { return };
    let settings = [("FLASK_SECRET_KEY", KEY), ("FLASK_SESSION_TYPE", "cookie")];
    visit(&python, &settings, &json!({}));
}

#[test]
fn a_visitor_of_both_stays_signed_in_through_files() {
    let Some(python) = python("a_visitor_of_both_stays_signed_in_through_files") else { return };
    for signs in ["false", "true"] {
        let dir = tempfile::tempdir().unwrap();
        let settings = [
            ("FLASK_SECRET_KEY", KEY),
            ("FLASK_SESSION_TYPE", "filesystem"),
            ("FLASK_SESSION_FILE_DIR", dir.path().to_str().unwrap()),
            ("FLASK_SESSION_HASH_IDS", "false"),
            ("FLASK_SESSION_USE_SIGNER", signs),
        ];
        visit(&python, &settings, &json!({ "_permanent": true }));
    }
}

/// In the table that each of them makes, the other finding it there.
fn visit_through_sql(python: &str, url: &str, drop_table: impl Fn()) {
    let settings = |format| {
        [
            ("FLASK_SECRET_KEY", KEY),
            ("FLASK_SESSION_TYPE", "sqlalchemy"),
            ("FLASK_SQLALCHEMY_DATABASE_URI", url),
            ("FLASK_SESSION_SERIALIZATION_FORMAT", format),
            ("FLASK_SESSION_HASH_IDS", "false"),
        ]
    };
    for format in ["msgpack", "json"] {
        // Flask-Session makes it when it starts, the playground when a session is first looked for.
        visit(python, &settings(format), &json!({ "_permanent": true }));
        drop_table();
        let dewar = playground(&settings(format));
        let first = dewar.browser();
        let kind = [("Content-Type", "application/json")];
        let set = br#"{"user":"gkf"}"#;
        assert_eq!(first.send("POST", "/set", &kind, set).unwrap().status, 200);
        drop(dewar);
        visit(python, &settings(format), &json!({ "_permanent": true }));
        drop_table();
    }
}

#[test]
fn a_visitor_of_both_stays_signed_in_through_postgresql() {
    let test = "a_visitor_of_both_stays_signed_in_through_postgresql";
    let (Some(python), Some(server)) = (python(test), Postgres::start(test, &[])) else { return };
    visit_through_sql(&python, &server.url(), || drop(server.sql("DROP TABLE sessions")));
}

#[test]
fn a_visitor_of_both_stays_signed_in_through_mariadb() {
    let test = "a_visitor_of_both_stays_signed_in_through_mariadb";
    let (Some(python), Some(server)) = (python(test), Mariadb::start(test)) else { return };
    visit_through_sql(&python, &server.url(), || drop(server.sql("DROP TABLE sessions")));
}

#[test]
fn a_visitor_of_both_stays_signed_in_through_a_sqlite_file() {
    let test = "a_visitor_of_both_stays_signed_in_through_a_sqlite_file";
    let Some(python) = python(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sessions.db");
    let drop_table = || {
        let connection = rusqlite::Connection::open(&file).unwrap();
        connection.execute_batch("DROP TABLE sessions").unwrap();
    };
    visit_through_sql(&python, &format!("sqlite:///{}", file.display()), drop_table);
}

#[test]
fn keys_rotate_on_one_while_the_other_still_signs_with_the_old() {
    let Some(python) = python("keys_rotate_on_one_while_the_other_still_signs_with_the_old") else {
        return;
    };
    let old = [("FLASK_SECRET_KEY", KEY), ("FLASK_SESSION_TYPE", "cookie")];
    let fallbacks = json!(["older still", KEY]).to_string();
    let new = [
        ("FLASK_SECRET_KEY", "the next key, which one of them has learnt already"),
        ("FLASK_SECRET_KEY_FALLBACKS", &*fallbacks),
        ("FLASK_SESSION_TYPE", "cookie"),
    ];
    let (flask, dewar) = (Flask::start(&python, &old), playground(&new));
    let visitor = Visitor::new(&flask, &dewar);
    visitor.ask(At::Flask, "POST", "/set", &json!({ "user": "gkf" }));
    assert_eq!(visitor.get(At::Dewar)["user"], "gkf");
    visitor.ask(At::Dewar, "POST", "/set", &json!({ "a": 1 }));
    assert_eq!(visitor.get(At::Flask), json!({}), "Flask does not know the new key yet");

    let (flask, dewar) = (Flask::start(&python, &new), playground(&old));
    let visitor = Visitor::new(&flask, &dewar);
    visitor.ask(At::Dewar, "POST", "/set", &json!({ "user": "gkf" }));
    assert_eq!(visitor.get(At::Flask)["user"], "gkf");
}

/// What a Python program prints.
fn output_of_python(python: &str, arguments: &[&str], input: &[u8]) -> String {
    let mut command = Command::new(python);
    command.args(arguments);
    let output = support::output_of(command, input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn any_session_survives_the_way_from_python_and_back() {
    let Some(python) = python("any_session_survives_the_way_from_python_and_back") else { return };
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/pickles.py");
    for seed in ["1", "2", "3"] {
        let pickles = output_of_python(&python, &[program, "write", seed], b"");
        let returned: String = pickles
            .lines()
            .map(|line| {
                let values = pickle::decode(&STANDARD.decode(line).unwrap()).expect(line);
                STANDARD.encode(pickle::encode(&values).unwrap()) + "\n"
            })
            .collect();
        assert!(returned.lines().count() > 1000);
        output_of_python(&python, &[program, "check", seed], returned.as_bytes());
    }
}

/// Sets a key, prints what another holds, and the count of files.
const CACHELIB: &str = "
import hashlib, json, sys
from cachelib.file import FileSystemCache
directory, name, key, other = sys.argv[1:]
cache = FileSystemCache(directory, mode=0o600, hash_method=getattr(hashlib, name))
assert cache.set(key, {'by': 'cachelib', 'n': 2**70}, timeout=60)
print(json.dumps([cache.get(other), cache._file_count]))
assert cache.delete(other)
";

#[rocket::async_test]
async fn cachelib_reads_the_files_and_writes_them_alike() {
    let Some(python) = python("cachelib_reads_the_files_and_writes_them_alike") else { return };
    for (name, hash) in [("sha256", FileHash::Sha256), ("md5", FileHash::Md5)] {
        let dir = tempfile::tempdir().unwrap();
        let settings = FileSettings { dir: dir.path().into(), threshold: 0, mode: 0o600, hash };
        let store = FilesystemStore::open(settings).unwrap();
        let (own, theirs) = (StoreKey::new("session:own"), StoreKey::new("session:é"));
        let values = Map::from_iter([("by".into(), "dewar".into())]);
        let minute = Duration::from_secs(60);
        assert!(store.create(&own, &pickle::encode(&values).unwrap(), minute).await.unwrap());
        let arguments =
            ["-c", CACHELIB, dir.path().to_str().unwrap(), name, theirs.as_str(), own.as_str()];
        let told = output_of_python(&python, &arguments, b"");
        assert_eq!(told.trim(), r#"[{"by": "dewar"}, 2]"#);
        assert!(store.load(&own).await.unwrap().is_none(), "deleted there");

        let record = store.load(&theirs).await.unwrap().unwrap();
        let left = record.expires_in.unwrap();
        assert!(left <= minute && left > minute - Duration::from_secs(30), "{left:?}");
        let values = pickle::decode(&record.bytes).unwrap();
        assert_eq!(values.get("by").and_then(SessionValue::as_str), Some("cachelib"));
        assert_eq!(values.get("n"), BigInt::parse("1180591620717411303424").as_ref());
        store.delete(&theirs).await.unwrap();
        assert!(!dir.path().join(file_name(hash, theirs.as_str())).exists());
    }
}
