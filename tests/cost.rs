//! What a page costs in reads and writes of the database: the number is the contract.

use std::sync::Arc;
use std::time::Duration;

use dewar::auth::{Accounts, password};
use dewar::db::{Db, Location};
use dewar::session::store::{SqliteStore, Store};
use dewar::sqlite::{Database, Statistics};
use rocket::figment::Figment;
use rocket::figment::providers::Serialized;
use rocket::http::{ContentType, Header, Method};
use rocket::local::asynchronous::Client;

struct App {
    client: Client,
    file: Arc<Database>,
    cookie: String,
    _dir: tempfile::TempDir,
}

impl App {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dewar.db");
        let limit = Duration::from_secs(2);
        let db = Db::open(&Location::File(path.clone()), limit).unwrap();
        Accounts::new(&db).add("gkf", password::hash("123").unwrap()).await.unwrap();
        let Db::Sqlite(file) = db else { panic!("another database") };
        let figment = Figment::from(rocket::Config::debug_default())
            .merge(("log_level", "off"))
            .merge(Serialized::default("DATABASE", &path));
        let client = Client::untracked(dewar::rocket(figment).unwrap()).await.unwrap();
        let answer = client
            .post("/login")
            .header(ContentType::Form)
            .body("username=gkf&password=123")
            .dispatch()
            .await;
        let set_cookie = answer.headers().get_one("Set-Cookie").unwrap();
        let cookie = set_cookie.split(';').next().unwrap().to_owned();
        drop(answer);
        // The throttle notes that aside.
        rocket::tokio::time::sleep(Duration::from_millis(200)).await;
        Self { client, file, cookie, _dir: dir }
    }

    /// The reads and writes of one request.
    async fn cost(&self, path: &str, cookie: &str) -> (u64, u64) {
        self.visit(path, cookie).await.0
    }

    /// The reads and writes of one request, and its answer.
    async fn visit(&self, path: &str, cookie: &str) -> ((u64, u64), String) {
        let before: Statistics = self.file.statistics();
        let cookie = Header::new("Cookie", cookie.to_owned());
        let answer = self.client.get(path.to_owned()).header(cookie).dispatch().await;
        let page = answer.into_string().await.unwrap_or_default();
        let after = self.file.statistics();
        ((after.reads - before.reads, after.writes - before.writes), page)
    }
}

#[rocket::async_test]
async fn a_page_costs_one_read_of_the_session_one_of_the_account_and_its_own() {
    let app = App::new().await;
    app.cost("/brief_introduction", &app.cookie).await;
    for _ in 0..3 {
        assert_eq!(app.cost("/brief_introduction", &app.cookie).await, (2, 0), "kept");
        assert_eq!(app.cost("/detailed?id=1", &app.cookie).await, (2 + 1, 0));
        assert_eq!(app.cost("/detailed?id=x", &app.cookie).await, (2, 0));
    }
}

#[rocket::async_test]
async fn the_list_is_read_once_for_each_state_of_the_table() {
    let app = App::new().await;
    let elsewhere = rusqlite::Connection::open(app.file.path()).unwrap();
    for (change, shown) in [
        ("INSERT INTO students VALUES (1, 'Steel Eggs', 17, NULL)", ["Steel Eggs", "1 student"]),
        ("UPDATE students SET name = 'Tin Egg'", ["Tin Egg", "1 student"]),
        ("INSERT INTO students VALUES (2, 'Iron Egg', 19, NULL)", ["Iron Egg", "2 students"]),
        ("DELETE FROM students WHERE id = 1", ["Iron Egg", "1 student"]),
        ("DELETE FROM students", ["No students yet", ""]),
    ] {
        elsewhere.execute(change, []).unwrap();
        for reads in [2 + 1, 2] {
            let (cost, page) = app.visit("/brief_introduction", &app.cookie).await;
            assert!(shown.iter().all(|text| page.contains(text)), "{change}: {page}");
            assert_eq!(cost, (reads, 0), "{change}");
        }
    }
}

/// What a route of the signed-in reads and writes, in this order: what follows finds things as the
/// one before it left them.
const ROUTES: [(Method, &str, &str, (u64, u64)); 15] = [
    (Method::Get, "/", "", (0, 0)),
    (Method::Get, "/healthz", "", (2, 0)),
    (Method::Get, "/login", "", (1, 0)),
    (Method::Get, "/brief_introduction", "", (2, 0)),
    (Method::Get, "/brief_introduction?q=nobody", "", (2 + 1, 0)),
    (Method::Get, "/detailed?id=1", "", (2 + 1, 0)),
    (Method::Get, "/api/students", "", (2 + 1, 0)),
    (Method::Get, "/api/students/1", "", (2 + 1, 0)),
    (Method::Get, "/account/password", "", (2, 0)),
    (Method::Get, "/account/sessions", "", (2 + 1, 0)),
    (Method::Post, "/account/sessions/end", "id=AAAAAAAAAAAAAAAAAAAAAA", (2 + 1, 1)),
    // The row that ends, and the message about it in the session.
    (Method::Post, "/account/sessions/end-others", "", (2, 2)),
    (Method::Post, "/account/password", "current=wrong&new=a&again=b", (2, 0)),
    // The sign-in's row and its trail, the session in the old one's place, the old one's row gone, and
    // aside the throttle.
    (Method::Post, "/login", "username=gkf&password=123", (2, 4)),
    // By the old cookie.
    (Method::Post, "/logout", "", (1, 0)),
];

#[rocket::async_test]
async fn each_route_costs_what_is_written_here() {
    let app = App::new().await;
    app.cost("/brief_introduction", &app.cookie).await;
    for (method, path, body, cost) in ROUTES {
        let before = app.file.statistics();
        let request = app.client.req(method, path).header(ContentType::Form).body(body);
        let own = Header::new("Sec-Fetch-Site", "same-origin");
        let answer =
            request.header(Header::new("Cookie", app.cookie.clone())).header(own).dispatch().await;
        let status = answer.status().code;
        drop(answer);
        let found = || {
            let after = app.file.statistics();
            (after.reads - before.reads, after.writes - before.writes)
        };
        // Until what is noted aside has been counted, and a moment more for what should not come.
        for _ in 0..50 {
            if found() == cost {
                break;
            }
            rocket::tokio::time::sleep(Duration::from_millis(100)).await;
        }
        rocket::tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(found(), cost, "{method} {path}, answered with {status}");
    }
}

#[rocket::async_test]
async fn strangers_and_files_cost_no_session_operation() {
    let app = App::new().await;
    for path in ["/", "/static/style.css", "/nowhere"] {
        assert_eq!(app.cost(path, &app.cookie).await, (0, 0), "{path}");
    }
    assert_eq!(app.cost("/brief_introduction", "").await, (0, 0));
    assert_eq!(app.cost("/brief_introduction", "session=%00").await, (0, 0));
    assert_eq!(app.cost("/login", &app.cookie).await, (1, 0), "whether there are accounts");
}

#[rocket::async_test]
async fn expired_rows_cost_a_visitor_nothing() {
    let app = App::new().await;
    let store = SqliteStore::open(app.file.path()).unwrap();
    for i in 0..300 {
        let key = dewar::session::StoreKey::new(format!("session:{i}"));
        store.create(&key, b"\x80", Duration::from_millis(1)).await.unwrap();
    }
    assert_eq!(app.cost("/detailed?id=x", &app.cookie).await, (2, 0));
}

#[rocket::async_test]
async fn when_a_sign_in_was_last_used_is_written_once_in_five_minutes() {
    let app = App::new().await;
    let ago = |seconds: i64| {
        let back = move |db: &rusqlite::Connection| {
            db.execute("UPDATE sign_ins SET last_seen = last_seen - ?1", [seconds])
        };
        app.file.write_blocking(back).unwrap();
    };
    ago(290);
    assert_eq!(app.cost("/detailed?id=x", &app.cookie).await, (2, 0));
    ago(20);
    for written in [1, 0, 0] {
        let before = app.file.statistics().writes;
        app.cost("/detailed?id=x", &app.cookie).await;
        // No page waits for it.
        rocket::tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(app.file.statistics().writes - before, written);
    }
}
