//! The MongoDB store keeps every store's promises, and some of its own: against a stand-in for
//! MongoDB (`tests/servers/mongodb.rs`) that shows each command and document.
//!
//! `DEWAR_MONGODB` may be the URL of a real server, which the conformance suite then runs on.

mod conformance;
mod servers;
mod support;

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dewar::session::store::{Replacement, Store, connect};
use dewar::session::{SessionId, Settings, StoreKey};
use mongodb::Collection;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc, serialize_to_vec};
use rocket::figment::Figment;
use servers::Service;
use servers::mongodb::{self as server, Control};
use support::has;

const LONG: Duration = Duration::from_secs(3600);
const LIMIT: Duration = Duration::from_secs(1);

#[test]
#[ignore = "the stand-in itself, which the other tests start"]
fn the_stand_in() {
    server::serve();
}

fn stand_in() -> Service {
    server::stand_in("the_stand_in")
}

fn key() -> StoreKey {
    SessionId::generate(32).unwrap().store_key("session:", true)
}

/// The store at a URL, as the settings open it.
fn open(url: &str) -> Arc<dyn Store> {
    open_for(url, LIMIT)
}

fn open_for(url: &str, limit: Duration) -> Arc<dyn Store> {
    let settings = Figment::from(("SESSION_TYPE", "mongodb"))
        .merge(("SESSION_MONGODB", url))
        .merge(("SESSION_STORE_TIMEOUT", limit.as_secs()));
    connect(&Settings::from_figment(&settings).unwrap()).unwrap().unwrap()
}

fn url(server: &Service) -> String {
    format!("mongodb://127.0.0.1:{}", server.port)
}

async fn sessions(server: &Service) -> Collection<Document> {
    server::client(server.port).await.database("flask_session").collection("sessions")
}

fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

fn document(key: &str, bytes: &[u8], expires_in: i64) -> Document {
    let expiration = DateTime::from_millis(DateTime::now().timestamp_millis() + expires_in);
    doc! { "_id": ObjectId::new(), "id": key, "val": binary(bytes), "expiration": expiration }
}

fn bytes(bytes: &[u8]) -> Replacement {
    Replacement::Bytes { bytes: bytes.to_vec(), ttl: LONG }
}

fn moved(key: &StoreKey) -> Replacement {
    Replacement::Moved { key: key.clone(), bytes: b"moved".to_vec(), ttl: LONG, forward: None }
}

#[rocket::async_test]
async fn it_conforms() {
    if let Ok(url) = std::env::var("DEWAR_MONGODB") {
        return conformance::all(|| async { open(&url) }).await;
    }
    let server = stand_in();
    conformance::all(|| async { open(&url(&server)) }).await;
}

#[rocket::async_test]
async fn it_conforms_where_ids_may_be_double() {
    let server = stand_in();
    let double = || document("session:double", b"x", 3_600_000);
    sessions(&server).await.insert_many([double(), double()]).await.unwrap();
    conformance::all(|| async { open(&url(&server)) }).await;
}

#[rocket::async_test]
async fn processes_that_update_at_the_same_time_lose_nothing() {
    let test = "processes_that_update_at_the_same_time_lose_nothing";
    let open = |place: String| async move { open(&place) };
    if conformance::in_another_process().is_some() {
        return conformance::processes_that_update_at_the_same_time_lose_nothing(test, "", open)
            .await;
    }
    let server = stand_in();
    let url = url(&server);
    conformance::processes_that_update_at_the_same_time_lose_nothing(test, &url, open).await;
}

#[rocket::async_test]
async fn outages_end_within_the_limit_and_by_themselves() {
    let mut server = stand_in();
    let (store, port) = (open(&url(&server)), server.port);
    let connections = || {
        // A runtime cannot wait for another on its own thread.
        let count = async move { Control::of(port).await.connections().await };
        let wait = || rocket::tokio::runtime::Runtime::new().unwrap().block_on(count);
        std::thread::spawn(wait).join().unwrap()
    };
    // One more watches the server.
    servers::outage::is_survived(store, &mut server, LIMIT, connections, 17).await;
}

#[rocket::async_test]
async fn connections_on_which_no_answer_comes_are_given_up() {
    let server = stand_in();
    let (store, control) = (open(&url(&server)), Control::of(server.port).await);
    store.ping().await.unwrap();
    // The driver asks again where it lost a connection, which it does not here.
    control.stall("find", 16).await;
    let load = || {
        let store = Arc::clone(&store);
        rocket::tokio::spawn(async move { store.load(&key()).await })
    };
    let begin = Instant::now();
    for load in (0..16).map(|_| load()).collect::<Vec<_>>() {
        assert!(load.await.unwrap().is_err());
    }
    while store.load(&key()).await.is_err() {}
    assert!(begin.elapsed() < LIMIT * 4, "{:?}", begin.elapsed());
    assert!(control.connections().await <= 17);
}

#[rocket::async_test]
async fn a_document_is_flask_sessions_to_the_byte() {
    let server = stand_in();
    let (store, control) = (open(&url(&server)), Control::of(server.port).await);
    let stored = sessions(&server).await;
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/flask.json");
    let path = std::env::var("DEWAR_VECTORS").unwrap_or_else(|_| default.into());
    let vectors: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = vectors["mongodb_documents"].as_array().unwrap();
    assert!(!cases.is_empty());
    let decode = |text: &serde_json::Value| STANDARD.decode(text.as_str().unwrap()).unwrap();
    for case in cases {
        let (key, val) = (StoreKey::new(case["id"].as_str().unwrap()), decode(&case["val"]));
        // A time to live is rounded up by a millisecond.
        let end = case["expiration_ms"].as_i64().unwrap();
        control.stop_clock(end - 3_600_001).await;
        let find = doc! { "id": key.as_str() };
        let written = async || {
            let mut document = stored.find_one(find.clone()).await.unwrap().unwrap();
            assert_eq!(document.keys().next().unwrap(), "_id");
            assert!(matches!(document.remove("_id"), Some(Bson::ObjectId(_))));
            assert_eq!(serialize_to_vec(&document).unwrap(), decode(&case["bson_without__id"]));
        };
        assert!(store.create(&key, &val, LONG).await.unwrap());
        written().await;
        assert!(store.replace(&key, &val, &bytes(b"other")).await.unwrap());
        assert!(store.replace(&key, b"other", &bytes(&val)).await.unwrap());
        written().await;
        assert!(store.touch(&key, LONG).await.unwrap());
        let from = self::key();
        store.delete(&key).await.unwrap();
        store.create(&from, b"x", LONG).await.unwrap();
        let moved =
            Replacement::Moved { key: key.clone(), bytes: val.clone(), ttl: LONG, forward: None };
        assert!(store.replace(&from, b"x", &moved).await.unwrap());
        written().await;
        assert_eq!(store.load(&key).await.unwrap().unwrap().bytes, val);
        // It lives until that moment and not beyond.
        control.stop_clock(end - 1).await;
        let left = store.load(&key).await.unwrap().unwrap().expires_in;
        assert_eq!(left, Some(Duration::from_millis(1)));
        control.stop_clock(end).await;
        assert_eq!(store.load(&key).await.unwrap(), None);
        control.start_clock().await;
        store.delete(&key).await.unwrap();
    }
}

/// What a command asks, without what the driver adds to each.
fn asked(mut command: Document) -> Document {
    for name in ["lsid", "$clusterTime", "txnNumber", "$readPreference", "$db", "ordered"] {
        command.remove(name);
    }
    command
}

#[rocket::async_test]
async fn each_operation_is_one_command_whose_filter_holds_the_condition() {
    let server = stand_in();
    let (store, control) = (open(&url(&server)), Control::of(server.port).await);
    store.ping().await.unwrap();
    control.commands().await;
    let (key, to) = (StoreKey::new("session:a"), StoreKey::new("session:b"));
    let live = || doc! { "$gt": ["$expiration", "$$NOW"] };
    let end = || doc! { "$add": ["$$NOW", 3_600_001_i64] };
    let concern = || doc! { "w": "majority", "wtimeout": 1000, "j": true };
    let literal = |bytes: &[u8]| doc! { "$literal": binary(bytes) };
    let update = |q: Document, u: Vec<Document>, upsert: bool| {
        let mut update = doc! { "q": q, "u": u };
        if upsert {
            update.insert("upsert", true);
        }
        doc! { "update": "sessions", "writeConcern": concern(), "updates": [update] }
    };
    let delete = |q: Document, limit: i32| {
        let delete = doc! { "q": q, "limit": limit };
        doc! { "delete": "sessions", "writeConcern": concern(), "deletes": [delete] }
    };
    let seen = |bytes: &[u8]| doc! { "id": "session:a", "$expr": live(), "val": binary(bytes) };
    let one = async |what: &str, expected: Document| {
        let commands = control.commands().await;
        let [command] = &commands[..] else { panic!("{what}: {commands:?}") };
        assert_eq!(command.get_str("$db").unwrap(), "flask_session");
        let mut command = asked(command.clone());
        let mut expected = expected;
        // The order of a command's own fields says nothing, but for the first.
        assert_eq!(command.keys().next(), expected.keys().next());
        for (name, value) in std::mem::take(&mut expected) {
            assert_eq!(command.remove(&name), Some(value), "{what}: {name}");
        }
        assert_eq!(command, doc! {}, "{what}");
    };

    assert!(store.create(&key, b"x", LONG).await.unwrap());
    let val = doc! { "$cond": [live(), "$val", literal(b"x")] };
    let expiration = doc! { "$cond": [live(), "$expiration", end()] };
    let set = doc! { "$set": { "val": val, "expiration": expiration } };
    one("create", update(doc! { "id": "session:a" }, vec![set], true)).await;

    store.load(&key).await.unwrap();
    let left = doc! { "$subtract": ["$expiration", "$$NOW"] };
    let mut find = doc! { "find": "sessions", "filter": { "id": "session:a", "$expr": live() } };
    find.extend(doc! { "projection": { "_id": 0, "val": 1, "left": left }, "limit": 1 });
    find.extend(doc! { "singleBatch": true, "readConcern": { "level": "local" } });
    find.insert("limit", 1_i64);
    one("load", find).await;

    assert!(store.replace(&key, b"x", &bytes(b"y")).await.unwrap());
    let set = doc! { "$set": { "val": literal(b"y"), "expiration": end() } };
    one("replace", update(seen(b"x"), vec![set], false)).await;

    assert!(store.touch(&key, LONG).await.unwrap());
    let set = doc! { "$set": { "expiration": end() } };
    let filter = doc! { "id": "session:a", "$expr": live() };
    one("touch", update(filter, vec![set], false)).await;

    assert!(!store.replace(&key, b"x", &moved(&to)).await.unwrap());
    let id = doc! { "$set": { "id": { "$literal": "session:b" } } };
    let set = doc! { "$set": { "val": literal(b"moved"), "expiration": end() } };
    one("move", update(seen(b"x"), vec![id, set], false)).await;

    assert!(store.replace(&key, b"y", &Replacement::Removed).await.unwrap());
    one("remove", delete(seen(b"y"), 1)).await;

    store.delete(&key).await.unwrap();
    one("delete", delete(doc! { "id": "session:a" }, 0)).await;
}

#[rocket::async_test]
async fn an_answer_that_is_lost_is_not_a_second_write() {
    let server = stand_in();
    // Long enough for a busy machine to connect anew in.
    let store = open_for(&url(&server), LIMIT * 10);
    let control = Control::of(server.port).await;
    let (key, to) = (key(), key());
    store.ping().await.unwrap();
    control.lose_the_answer("update").await;
    assert!(store.create(&key, b"x", LONG).await.unwrap(), "it was created, once");
    control.lose_the_answer("update").await;
    assert!(store.replace(&key, b"x", &bytes(b"y")).await.unwrap());
    control.lose_the_answer("update").await;
    assert!(store.replace(&key, b"y", &moved(&to)).await.unwrap());
    control.lose_the_answer("delete").await;
    assert!(store.replace(&to, b"moved", &Replacement::Removed).await.unwrap());
    assert_eq!(sessions(&server).await.find_one(doc! {}).await.unwrap(), None);
}

async fn indexes(server: &Service) -> Vec<(String, Document, Option<Duration>, bool)> {
    use rocket::futures::TryStreamExt;
    let listed = sessions(server).await.list_indexes().await.unwrap();
    let listed: Vec<_> = listed.try_collect().await.unwrap();
    let told = listed.into_iter().map(|index| {
        let options = index.options.unwrap();
        (options.name.unwrap(), index.keys, options.expire_after, options.unique == Some(true))
    });
    told.filter(|(name, ..)| name != "_id_").collect()
}

#[rocket::async_test]
async fn indexes_are_flask_sessions_and_one_that_keeps_ids_unique() {
    let server = stand_in();
    let store = open(&url(&server));
    store.ping().await.unwrap();
    let expected = [
        ("expiration_1".into(), doc! { "expiration": 1 }, Some(Duration::ZERO), false),
        ("dewar_id_unique".into(), doc! { "id": 1 }, None, true),
    ];
    assert_eq!(indexes(&server).await, expected);
    // Another process finds them.
    let control = Control::of(server.port).await;
    control.commands().await;
    open(&url(&server)).ping().await.unwrap();
    let commands = control.commands().await;
    let names: Vec<_> = commands.iter().filter_map(|command| command.keys().next()).collect();
    assert_eq!(names, ["listIndexes", "find"]);
}

#[rocket::async_test]
async fn double_documents_keep_ids_from_being_unique_and_end_together() {
    let server = stand_in();
    let double = || document("session:double", b"x", 3_600_000);
    let stored = sessions(&server).await;
    stored.insert_many([double(), double()]).await.unwrap();
    let (store, key) = (open(&url(&server)), StoreKey::new("session:double"));
    assert!(store.load(&key).await.unwrap().is_some());
    let names: Vec<_> =
        indexes(&server).await.into_iter().map(|index| (index.0, index.3)).collect();
    assert_eq!(names, [("expiration_1".into(), false), ("dewar_id".into(), false)]);
    let free = self::key();
    store.create(&free, b"y", LONG).await.unwrap();
    assert!(!store.replace(&free, b"y", &moved(&key)).await.unwrap(), "the place is taken");
    store.delete(&key).await.unwrap();
    assert_eq!(store.load(&key).await.unwrap(), None);
    assert!(store.replace(&free, b"y", &moved(&key)).await.unwrap());
}

#[rocket::async_test]
async fn indexes_of_others_are_left_as_they_are() {
    let server = stand_in();
    let client = server::client(server.port).await;
    let index = |field: &str, name: &str, expires: i32| {
        doc! { "key": { field: 1 }, "name": name, "expireAfterSeconds": expires }
    };
    let theirs = [
        index("expiration", "expiration_1", 600),
        doc! { "key": { "id": 1 }, "name": "theirs", "unique": true },
    ];
    let command = doc! { "createIndexes": "sessions", "indexes": &theirs[..] };
    client.database("flask_session").run_command(command).await.unwrap();
    let before = indexes(&server).await;
    let (store, key) = (open(&url(&server)), key());
    store.create(&key, b"x", Duration::from_millis(1)).await.unwrap();
    rocket::tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(store.load(&key).await.unwrap(), None);
    assert_eq!(store.sweep(10).await.unwrap(), 1);
    assert_eq!(indexes(&server).await, before);
}

#[rocket::async_test]
async fn a_user_that_may_make_no_index_has_a_store_all_the_same() {
    let server = stand_in();
    let control = Control::of(server.port).await;
    control.refuse("createIndexes", 100, 13, "Unauthorized").await;
    conformance::all(|| async { open(&url(&server)) }).await;
    assert_eq!(indexes(&server).await.len(), 0);
}

#[rocket::async_test]
async fn indexes_are_made_once_the_server_takes_writes() {
    let server = stand_in();
    let control = Control::of(server.port).await;
    // The driver tries again by itself, once.
    control.refuse("createIndexes", 4, 50, "MaxTimeMSExpired").await;
    let store = open(&url(&server));
    let shown = store.ping().await.unwrap_err().to_string();
    assert!(shown.contains("did not finish within SESSION_STORE_TIMEOUT"), "{shown}");
    while store.ping().await.is_err() {}
    assert_eq!(indexes(&server).await.len(), 2);
}

#[rocket::async_test]
async fn what_flask_session_writes_is_read_and_what_is_no_session_is_absent() {
    let server = stand_in();
    let (store, stored) = (open(&url(&server)), sessions(&server).await);
    for (index, record) in conformance::flask_records().iter().enumerate() {
        let key = format!("session:{index}");
        stored.insert_one(document(&key, record, 3_600_000)).await.unwrap();
        let read = store.load(&StoreKey::new(key)).await.unwrap().unwrap();
        assert_eq!(read.bytes, *record);
        assert!(read.expires_in.unwrap() > LONG - Duration::from_secs(60));
    }
    let expiration = DateTime::from_millis(DateTime::now().timestamp_millis() + 3_600_000);
    let others = [
        doc! { "id": "other:text", "val": "x", "expiration": expiration },
        doc! { "id": "other:never", "val": binary(b"x") },
        doc! { "id": "other:number", "val": binary(b"x"), "expiration": i64::MAX },
        doc! { "id": "other:null", "val": binary(b"x"), "expiration": Bson::Null },
        doc! { "id": 5, "val": binary(b"x"), "expiration": expiration },
        doc! { "_id": "other:", "id": "other:text id", "val": binary(b"x"), "expiration": expiration },
    ];
    stored.insert_many(&others).await.unwrap();
    for name in ["text", "never", "number", "null"] {
        assert_eq!(store.load(&StoreKey::new(format!("other:{name}"))).await.unwrap(), None);
    }
    assert!(store.scan("other:", None, 10).await.unwrap().unwrap().sessions.is_empty());
    assert_eq!(store.sweep(100).await.unwrap(), 0, "what is no session is not removed");
    assert!(stored.find_one(doc! { "id": "other:never" }).await.unwrap().is_some());
}

#[rocket::async_test]
async fn prefixes_keep_applications_apart() {
    let server = stand_in();
    let store = open(&url(&server));
    for key in ["a.b:1", "aXb:1", "a.b:2", "$a:1", "^a:1", "a.", "A.b:1", "a.b;"] {
        assert!(store.create(&StoreKey::new(key), b"x", LONG).await.unwrap(), "{key}");
    }
    let listed = async |prefix: &str| {
        let page = store.scan(prefix, None, 100).await.unwrap().unwrap();
        page.sessions.iter().map(|listed| listed.key.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed("a.b:").await, ["a.b:1", "a.b:2"]);
    assert_eq!(listed("$a").await, ["$a:1"]);
    assert_eq!(listed("").await.len(), 8);
    assert!(store.load(&StoreKey::new("$a:1")).await.unwrap().is_some());
    let store = open(&(url(&server) + "/?retryWrites=false&readPreference=secondary&w=0"));
    assert!(store.load(&StoreKey::new("a.")).await.unwrap().is_some());
    assert!(store.replace(&StoreKey::new("a."), b"x", &bytes(b"y")).await.unwrap());
}

#[rocket::async_test]
async fn refusals_say_what_to_do_and_no_secret() {
    let server = stand_in();
    let (store, control) = (open(&url(&server)), Control::of(server.port).await);
    let key = key();
    store.create(&key, b"x", LONG).await.unwrap();
    for (code, name, words) in [
        (13, "Unauthorized", "readWrite on the database in SESSION_MONGODB_DB"),
        (10107, "NotWritablePrimary", "not the primary"),
        (64, "WriteConcernTimeout", "a majority"),
        (14031, "OutOfDiskSpace", "no room on its disk"),
        (17420, "BSONObjectTooLarge", "16 MiB"),
        (4711, "Strange", "4711 (Strange)"),
    ] {
        control.refuse("update", 2, code, name).await;
        let failure = store.replace(&key, b"x", &bytes(b"y")).await.unwrap_err();
        let shown = format!("{failure} {failure:?}");
        assert!(shown.contains(words), "{shown}");
        assert!(!shown.contains("SECRET") && !shown.contains(key.as_str()), "{shown}");
        control.refuse("update", 0, code, name).await;
        // A server that is no primary is looked at again first.
        while store.load(&key).await.is_err() {}
        assert_eq!(store.load(&key).await.unwrap().unwrap().bytes, b"x", "reads go on");
    }
}

#[rocket::async_test]
async fn passwords_are_used_and_never_shown() {
    let server = stand_in();
    let store = open(&format!("mongodb://app:hunter2@127.0.0.1:{}/", server.port));
    let failure = store.load(&key()).await.unwrap_err();
    let shown = format!("{failure} {failure:?} {store:?}");
    assert!(shown.contains("refuses the user or the password"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");

    let port = servers::free_port();
    let store = open(&format!("mongodb://app:hunter2@127.0.0.1:{port}/"));
    let shown = format!("{} {store:?}", store.ping().await.unwrap_err());
    assert!(shown.contains("Connection refused") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_url_that_cannot_be_used_is_refused_at_the_start() {
    for (url, words) in [
        ("mongodb://app:hunt/er2@host", "SESSION_MONGODB must be like"),
        ("mongodb://", "SESSION_MONGODB must be like"),
        ("mongodb://host/?hunter2", "SESSION_MONGODB must be like"),
        ("mongodb+srv://app:hunter2@host", "give the servers themselves"),
        ("redis://hunter2", "mongodb://"),
    ] {
        let settings = Figment::from(("SESSION_TYPE", "mongodb")).merge(("SESSION_MONGODB", url));
        let shown = match Settings::from_figment(&settings) {
            Ok(settings) => connect(&settings).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(shown.contains(words), "{url}: {shown}");
        assert!(!shown.contains("er2"), "{shown}");
    }
}

/// Runs `tests/data/flask_mongodb.py` and answers what it prints.
fn flask(python: &str, arguments: [&str; 4]) -> (serde_json::Value, String) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/flask_mongodb.py");
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (session, sid) = text.trim().split_once('\n').unwrap();
    (serde_json::from_str(session).unwrap(), sid.to_owned())
}

#[rocket::async_test]
async fn flask_session_and_this_store_share_a_collection() {
    let test = "flask_session_and_this_store_share_a_collection";
    let python = std::env::var("DEWAR_FLASK_PYTHON");
    let what = "DEWAR_FLASK_PYTHON, a Python with tests/data/requirements.txt";
    if !has(python.is_ok(), what, test) {
        return;
    }
    let (python, server) = (python.unwrap(), stand_in());
    let url = format!("{}/?directConnection=true", url(&server));
    for (format, suffix) in [("json", &b"}"[..]), ("msgpack", b"")] {
        let store = open(&url);
        let (_, sid) = flask(&python, [&url, format, "", r#"{"user": "gkf"}"#]);
        let key = StoreKey::new(format!("session:{sid}"));
        let record = store.load(&key).await.unwrap().unwrap();
        assert!(record.expires_in.unwrap() > Duration::from_secs(30 * 86_400));
        assert!(record.bytes.ends_with(suffix), "{record:?}");
        let other = dewar::session::codec::Format::Json;
        let mut values = other.decode(&record.bytes).unwrap();
        values.insert("city", "Kyōto".into());
        let changed = other.encode(&values).unwrap();
        assert!(store.replace(&key, &record.bytes, &bytes(&changed)).await.unwrap());
        let (session, same) = flask(&python, [&url, format, &sid, r#"{"n": 1}"#]);
        let expected = serde_json::json!({
            "_permanent": true, "user": "gkf", "city": "Kyōto", "n": 1,
        });
        assert_eq!((session, same), (expected, sid.clone()));
        assert!(!store.replace(&key, &changed, &bytes(b"")).await.unwrap(), "Flask changed it");

        store.delete(&key).await.unwrap();
        let (session, new) = flask(&python, [&url, format, &sid, "{}"]);
        assert_eq!(session, serde_json::json!({ "_permanent": true }));
        assert_ne!(new, sid, "an ended session stays ended");

        let made = self::key();
        store.create(&made, &changed, LONG).await.unwrap();
        let sid = made.as_str().strip_prefix("session:").unwrap();
        let (session, _) = flask(&python, [&url, format, sid, "{}"]);
        assert_eq!(session["city"], "Kyōto");
    }
}
