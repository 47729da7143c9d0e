//! A small application on the session layer, asked in process, over a SQLite store that can be
//! made to fail.

#![allow(dead_code)]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dewar::session::store::{Cursor, Merge, Page, Record, Replacement, SqliteStore, Store};
use dewar::session::{Error, Map, Session, SessionId, Sessions, SetupError, StoreKey, Value};
use dewar::sqlite::Statistics;
use rocket::figment::Figment;
use rocket::figment::providers::{Format, Toml};
use rocket::http::{Header, HeaderMap, Status};
use rocket::local::asynchronous::Client;
use rocket::{Route, catch, catchers, get, post, routes};

pub struct App {
    client: Client,
    sessions: Sessions,
    pub store: Arc<Fragile>,
    place: String,
    _dir: tempfile::TempDir,
}

pub struct Answer {
    pub status: Status,
    pub set_cookie: Option<String>,
    pub vary: Option<String>,
    pub retry_after: Option<String>,
    pub body: String,
}

/// `name=value` of a `Set-Cookie` header.
pub fn cookie_of(set_cookie: &str) -> String {
    set_cookie.split(';').next().unwrap().to_owned()
}

/// The key of a cookie's id.
pub fn key_of(cookie: &str) -> StoreKey {
    let id = SessionId::parse(cookie.split_once('=').unwrap().1).unwrap();
    id.store_key("session:", true)
}

fn figment(settings: &str) -> Figment {
    let toml = format!("[default]\n{settings}");
    let config = rocket::Config { log_level: rocket::config::LogLevel::Off, ..Default::default() };
    Figment::from(config).merge(Toml::string(&toml).nested()).select("default")
}

impl App {
    pub async fn new(settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Fragile::open(dir.path().join("sessions.db")));
        let sessions = Sessions::with_store(Arc::clone(&store) as Arc<dyn Store>);
        let rocket = rocket::custom(figment(settings))
            .attach(sessions.clone())
            .mount("/", routes())
            .register("/", catchers![unavailable]);
        let client = Client::untracked(rocket).await.unwrap();
        Self { client, sessions, store, place: String::new(), _dir: dir }
    }

    /// Sessions live where the settings say; the store is there for nothing.
    pub async fn configured(settings: &str) -> Self {
        Self::at("", settings).await
    }

    /// The same, with the settings that say where apart from the others.
    pub async fn at(place: &str, settings: &str) -> Self {
        let settings = &format!("{place}{settings}");
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Fragile::open(dir.path().join("unused.db")));
        let sessions = Sessions::fairing();
        let rocket =
            rocket::custom(figment(settings)).attach(sessions.clone()).mount("/", routes());
        let client = Client::untracked(rocket).await.unwrap();
        Self { client, sessions, store, place: place.into(), _dir: dir }
    }

    /// The store in force.
    pub fn sessions_store(&self) -> Arc<dyn Store> {
        self.sessions.store().unwrap().unwrap()
    }

    /// The record of a cookie's id, decoded.
    pub async fn values(&self, cookie: &str) -> Option<Map> {
        let record = self.sessions_store().load(&key_of(cookie)).await.unwrap()?;
        Some(self.sessions.settings().unwrap().format.decode(&record.bytes).unwrap())
    }

    /// Makes the id of a cookie look older than it is.
    pub async fn age(&self, cookie: &str, seconds: i128) {
        let (store, key) = (self.sessions_store(), key_of(cookie));
        let seen = store.load(&key).await.unwrap().unwrap().bytes;
        let format = self.sessions.settings().unwrap().format;
        let mut values = format.decode(&seen).unwrap();
        let Some(Value::Int(at)) = values.get("_rotated").cloned() else { panic!("no stamp") };
        values.insert("_rotated", Value::Int(at - seconds));
        let (bytes, ttl) = (format.encode(&values).unwrap(), Duration::from_secs(3600));
        assert!(store.replace(&key, &seen, &Replacement::Bytes { bytes, ttl }).await.unwrap());
    }

    /// Puts other settings in force, the place of the sessions being the same.
    pub fn set(&self, settings: &str) {
        self.reload(&format!("{}{settings}", self.place)).unwrap();
    }

    pub fn reload(&self, settings: &str) -> Result<(), SetupError> {
        self.sessions.reload(&figment(settings))
    }

    pub async fn get(&self, path: &str, cookie: &str) -> Answer {
        self.answer(self.client.get(path.to_owned()), cookie).await
    }

    pub async fn post(&self, path: &str, cookie: &str) -> Answer {
        self.answer(self.client.post(path.to_owned()), cookie).await
    }

    async fn answer<'c>(
        &self,
        request: rocket::local::asynchronous::LocalRequest<'c>,
        cookie: &str,
    ) -> Answer {
        let response = request.header(Header::new("Cookie", cookie.to_owned())).dispatch().await;
        let status = response.status();
        let [set_cookie, vary, retry_after] =
            ["Set-Cookie", "Vary", "Retry-After"].map(|name| only_header(response.headers(), name));
        let body = response.into_string().await.unwrap_or_default();
        Answer { status, set_cookie, vary, retry_after, body }
    }

    /// The cookie of a new session that holds one number.
    pub async fn session_with(&self, key: &str, value: i64) -> String {
        cookie_of(&self.post(&format!("/set/{key}/{value}"), "").await.set_cookie.unwrap())
    }

    pub fn statistics(&self) -> Statistics {
        self.store.inner.database().statistics()
    }

    pub async fn sleep(&self, milliseconds: u64) {
        rocket::tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }

    pub async fn keys(&self) -> Vec<String> {
        let all = self.store.inner.scan("session:", None, 1000).await.unwrap().unwrap();
        all.sessions.into_iter().map(|listed| listed.key.as_str().to_owned()).collect()
    }

    pub async fn sessions(&self) -> usize {
        self.keys().await.len()
    }

    pub async fn put(&self, key: &str, bytes: &[u8]) {
        let hour = Duration::from_secs(3600);
        assert!(self.store.inner.create(&StoreKey::new(key), bytes, hour).await.unwrap());
    }

    pub async fn put_expired(&self, key: &str) {
        let moment = Duration::from_millis(1);
        assert!(self.store.inner.create(&StoreKey::new(key), b"x", moment).await.unwrap());
        self.sleep(20).await;
        assert_eq!(self.rows(), 1);
    }

    /// The records in the table, live and expired.
    pub fn rows(&self) -> i64 {
        let count = |connection: &rusqlite::Connection| {
            connection.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0))
        };
        self.store.inner.database().read_blocking(count).unwrap()
    }

    pub async fn record(&self, key: &str) -> Option<Vec<u8>> {
        let record = self.store.inner.load(&StoreKey::new(key)).await.unwrap();
        record.map(|record| record.bytes)
    }
}

fn only_header(headers: &HeaderMap<'_>, name: &str) -> Option<String> {
    let values: Vec<_> = headers.get(name).collect();
    assert!(values.len() <= 1, "{name} stands {} times", values.len());
    values.first().map(|value| (*value).to_owned())
}

pub fn routes() -> Vec<Route> {
    routes![
        clear,
        clear_and_set,
        debug,
        fail,
        flash,
        flashes,
        get_key,
        increment,
        is_new,
        mark,
        mutate,
        mutate_save_and_mark,
        noise,
        permanent,
        plain,
        regenerate,
        remove,
        save,
        save_again,
        save_and_clear,
        save_in_haste,
        set,
        slow,
        slow_clear,
        slow_flashes,
        slow_get,
        slow_regenerate,
        vary
    ]
}

#[catch(503)]
fn unavailable() -> &'static str {
    "the application's 503 page"
}

#[get("/plain")]
fn plain() -> &'static str {
    "plain"
}

#[get("/get/<key>")]
fn get_key(session: &Session, key: &str) -> Result<String, Error> {
    let value: Option<i64> = session.get(key)?;
    Ok(value.map_or_else(|| "null".into(), |value| value.to_string()))
}

#[post("/set/<key>/<value>")]
fn set(session: &Session, key: &str, value: i64) -> Result<(), Error> {
    session.insert(key, &value)
}

#[post("/set_and_fail/<key>/<value>")]
fn fail(session: &Session, key: &str, value: i64) -> Status {
    session.insert(key, &value).unwrap();
    Status::InternalServerError
}

#[post("/slow/<key>/<value>")]
async fn slow(session: &Session, key: &str, value: i64) -> Result<(), Error> {
    rocket::tokio::time::sleep(Duration::from_millis(400)).await;
    session.insert(key, &value)
}

#[post("/slow_clear")]
async fn slow_clear(session: &Session) {
    session.is_empty();
    rocket::tokio::time::sleep(Duration::from_millis(400)).await;
    session.clear();
}

/// Takes the messages at once, and is saved later.
#[get("/slow_flashes")]
async fn slow_flashes(session: &Session) -> String {
    let shown = flashes(session);
    rocket::tokio::time::sleep(Duration::from_millis(400)).await;
    shown
}

#[get("/slow_get/<key>")]
async fn slow_get(session: &Session, key: &str) -> Result<String, Error> {
    let value = get_key(session, key);
    rocket::tokio::time::sleep(Duration::from_millis(400)).await;
    value
}

#[post("/slow_regenerate/<key>/<value>")]
async fn slow_regenerate(session: &Session, key: &str, value: i64) -> Result<(), Error> {
    rocket::tokio::time::sleep(Duration::from_millis(400)).await;
    session.regenerate();
    session.insert(key, &value)
}

#[post("/save/<key>/<value>")]
async fn save(session: &Session, key: &str, value: i64) -> &'static str {
    session.insert(key, &value).unwrap();
    if session.save().await.is_ok() { "saved" } else { "not saved" }
}

/// Tries again a moment after it has failed.
#[post("/save_again/<key>/<value>")]
async fn save_again(session: &Session, key: &str, value: i64) -> &'static str {
    session.insert(key, &value).unwrap();
    if session.save().await.is_ok() {
        return "saved at once";
    }
    rocket::tokio::time::sleep(Duration::from_millis(400)).await;
    if session.save().await.is_ok() { "saved" } else { "not saved" }
}

/// Does not wait until it is saved.
#[post("/save_in_haste/<key>/<value>")]
async fn save_in_haste(session: &Session, key: &str, value: i64) -> &'static str {
    session.insert(key, &value).unwrap();
    let saved = rocket::tokio::time::timeout(Duration::from_millis(50), session.save());
    if saved.await.is_ok() { "saved" } else { "not waited for" }
}

#[get("/is_new")]
fn is_new(session: &Session) -> String {
    session.is_new().to_string()
}

#[get("/debug")]
fn debug(session: &Session) -> String {
    format!("{session:?}")
}

#[post("/save_and_clear")]
async fn save_and_clear(session: &Session) {
    session.insert("b", &2).unwrap();
    // Begun first, and answered later by the writer.
    let (saved, ()) = rocket::tokio::join!(session.save(), async { session.clear() });
    saved.unwrap();
}

#[post("/increment/<key>")]
fn increment(session: &Session, key: &str) -> Result<(), Error> {
    session.modify(key, |count: &mut i64| *count += 1)
}

#[post("/mutate_save_and_mark/<key>")]
async fn mutate_save_and_mark(session: &Session, key: &str) -> Result<(), Error> {
    mutate(session, key)?;
    session.save().await?;
    session.set_modified(true);
    Ok(())
}

#[post("/mutate/<key>")]
fn mutate(session: &Session, key: &str) -> Result<(), Error> {
    session.mutate(key, |count: &mut i64| *count += 1)
}

#[post("/mark/<modified>")]
fn mark(session: &Session, modified: bool) {
    session.set_modified(modified);
}

#[post("/remove/<key>")]
fn remove(session: &Session, key: &str) {
    session.remove(key);
}

#[post("/clear")]
fn clear(session: &Session) {
    session.clear();
}

#[post("/clear_and_set/<key>/<value>")]
fn clear_and_set(session: &Session, key: &str, value: i64) -> Result<(), Error> {
    session.clear();
    session.insert(key, &value)
}

#[post("/regenerate")]
fn regenerate(session: &Session) {
    session.regenerate();
}

#[post("/permanent/<on>")]
fn permanent(session: &Session, on: bool) {
    session.set_permanent(on);
}

#[post("/flash/<category>/<message>")]
fn flash(session: &Session, category: &str, message: &str) {
    session.flash(message, category);
}

#[get("/flashes")]
fn flashes(session: &Session) -> String {
    let messages = session.flashed_messages(&[]);
    let pairs: Vec<_> = messages.iter().map(|flash| (&flash.category, &flash.message)).collect();
    format!(
        "{} again {}, errors {}",
        serde_json::to_string(&pairs).unwrap(),
        session.flashed_messages(&[]).len(),
        session.flashed_messages(&["error"]).len(),
    )
}

/// Puts in as many bytes that do not compress.
#[post("/noise/<length>")]
fn noise(session: &Session, length: usize) -> Result<(), Error> {
    let mut state = 1_u32;
    let mut digits = String::new();
    while digits.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        digits.push(char::from(b'!' + (state >> 24) as u8 % 90));
    }
    session.insert("noise", &digits)
}

#[derive(rocket::Responder)]
struct Varied(&'static str, Header<'static>);

#[get("/vary")]
fn vary(session: &Session) -> Varied {
    session.is_empty();
    Varied("", Header::new("Vary", "Accept-Encoding"))
}

/// A SQLite store whose connection can be cut.
#[derive(Debug)]
pub struct Fragile {
    pub inner: SqliteStore,
    reads_fail: AtomicBool,
    writes_fail: AtomicBool,
    taken: AtomicUsize,
    /// How long an update takes to reach the store, in milliseconds.
    distance: AtomicU64,
}

impl Fragile {
    fn open(path: PathBuf) -> Self {
        let inner = SqliteStore::open(&path).unwrap();
        let (reads_fail, writes_fail) = (false.into(), false.into());
        Self { inner, reads_fail, writes_fail, taken: 0.into(), distance: 0.into() }
    }

    pub fn break_down(&self, down: bool) {
        self.reads_fail.store(down, Ordering::SeqCst);
        self.writes_fail.store(down, Ordering::SeqCst);
    }

    /// Has the next `creations` find their keys taken, as a generator that repeats itself would.
    pub fn repeat_ids(&self, creations: usize) {
        self.taken.store(creations, Ordering::SeqCst);
    }

    pub fn move_away(&self, distance: Duration) {
        self.distance.store(distance.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }

    pub fn break_down_writes(&self, down: bool) {
        self.writes_fail.store(down, Ordering::SeqCst);
    }

    fn check(&self, switch: &AtomicBool) -> Result<(), Error> {
        match switch.load(Ordering::SeqCst) {
            false => Ok(()),
            true => Err(Error::Store {
                operation: "reach",
                source: Arc::new(std::io::Error::other("the cable is cut")),
            }),
        }
    }
}

#[rocket::async_trait]
impl Store for Fragile {
    async fn load(&self, key: &StoreKey) -> Result<Option<Record>, Error> {
        self.check(&self.reads_fail)?;
        self.inner.load(key).await
    }

    async fn create(&self, key: &StoreKey, bytes: &[u8], ttl: Duration) -> Result<bool, Error> {
        self.check(&self.writes_fail)?;
        let one_less = |taken: usize| taken.checked_sub(1);
        if self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            return Ok(false);
        }
        self.inner.create(key, bytes, ttl).await
    }

    async fn replace(
        &self,
        key: &StoreKey,
        expected: &[u8],
        replacement: &Replacement,
    ) -> Result<bool, Error> {
        self.check(&self.writes_fail)?;
        self.inner.replace(key, expected, replacement).await
    }

    async fn update(&self, key: &StoreKey, expected: &[u8], merge: Merge) -> Result<bool, Error> {
        self.check(&self.writes_fail)?;
        let distance = Duration::from_millis(self.distance.load(Ordering::SeqCst));
        rocket::tokio::time::sleep(distance).await;
        self.inner.update(key, expected, merge).await
    }

    async fn touch(&self, key: &StoreKey, ttl: Duration) -> Result<bool, Error> {
        self.check(&self.writes_fail)?;
        self.inner.touch(key, ttl).await
    }

    async fn delete(&self, key: &StoreKey) -> Result<(), Error> {
        self.check(&self.writes_fail)?;
        self.inner.delete(key).await
    }

    async fn sweep(&self, limit: usize) -> Result<usize, Error> {
        self.inner.sweep(limit).await
    }

    async fn scan(
        &self,
        prefix: &str,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Option<Page>, Error> {
        self.inner.scan(prefix, from, limit).await
    }

    async fn ping(&self) -> Result<(), Error> {
        self.check(&self.reads_fail)
    }
}
