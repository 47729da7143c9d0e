//! One request each: a script run in the view, and what the answer and the store then hold.
//!
//! The cases were recorded at a time of their own. So a signed request cookie is signed anew at the
//! same age, and the answer's times are told back; everything else is compared to the byte.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dewar::session::signing::{self, SESSION_SALT, Signer};
use dewar::session::store::{SqliteStore, Store};
use dewar::session::{Session, Sessions, Settings, StoreKey, Value};
use rocket::figment::Figment;
use rocket::figment::providers::Serialized;
use rocket::http::{Header, Status};
use rocket::local::asynchronous::Client;
use rocket::{State, get, routes};
use serde_json::Value as Json;

use super::differences::{self, Answered};
use super::text;

/// How long the records before the request have left. No case has this lifetime.
const BEFORE: Duration = Duration::from_secs(5000);

pub fn check(case: &Json) {
    rocket::tokio::runtime::Runtime::new().unwrap().block_on(run(case));
}

async fn run(case: &Json) {
    let native = text(case, "interface") == "native";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sessions.db");
    let mut settings = Figment::from(rocket::Config::debug_default())
        .merge(("log_level", "off"))
        // For the cases' keys, which are as short as in examples.
        .merge(Serialized::default("DEBUG", true))
        .merge(Serialized::default("SECRET_KEY", text(case, "secret_key")))
        .merge(Serialized::default("SESSION_TYPE", if native { "cookie" } else { "sqlite" }))
        .merge(Serialized::default("SESSION_SQLITE_PATH", &path))
        .merge(Serialized::default("SESSION_EAGER", true))
        .merge(Serialized::default("SESSION_HASH_IDS", false))
        .merge(Serialized::default("SESSION_TOUCH_INTERVAL", 0))
        .merge(Serialized::default("SESSION_COOKIE_SAMESITE", ""));
    for (key, value) in case["config"].as_object().unwrap() {
        let value = if value.is_null() { &Json::from("") } else { value };
        settings = settings.merge(Serialized::default(key, value));
    }
    for (option, value) in case["options"].as_object().into_iter().flatten() {
        assert_eq!(option, "permanent", "{case}");
        settings = settings.merge(Serialized::default("SESSION_PERMANENT", value));
    }
    if let Some(key) = differences::refused_at_launch(case) {
        let problems = Settings::from_figment(&settings).unwrap_err().to_string();
        assert!(problems.contains(key), "{problems}: {case}");
        return;
    }
    let problems = Settings::from_figment(&settings).err();
    assert_eq!(problems, None, "{case}");
    let script: Script = case["script"].as_array().unwrap().clone().into();
    let rocket = rocket::custom(settings)
        .attach(Sessions::fairing())
        .manage(script)
        .mount("/", routes![view]);
    let client = Client::untracked(rocket).await.unwrap();

    let store = SqliteStore::open(&path).unwrap();
    let mut records = BTreeMap::new();
    for (key, bytes) in case["store_before"].as_object().into_iter().flatten() {
        let bytes = STANDARD.decode(bytes.as_str().unwrap()).unwrap();
        assert!(store.create(&StoreKey::new(key), &bytes, BEFORE).await.unwrap());
        records.insert(key.clone(), (bytes, BEFORE));
    }

    let earliest = unix_now();
    let mut request = client.get("/");
    if let Some(cookie) = case["request_cookie"].as_str() {
        request.add_header(Header::new("Cookie", at_the_same_age(cookie, case, earliest)));
    }
    let response = request.dispatch().await;
    let headers = |name| response.headers().get(name).map(str::to_owned).collect::<Vec<_>>();
    let answered = Answered {
        status: response.status().code,
        set_cookie: headers("Set-Cookie"),
        vary: headers("Vary"),
    };
    let expected = differences::expected(case);
    if answered.status == 500 {
        assert_eq!((500, &vec![]), (expected.status, &answered.set_cookie), "{case}");
    } else {
        let told_back = (earliest..=unix_now()).find(|now| {
            let told = answered.set_cookie.iter().map(|header| tell_back(header, case, *now));
            let told = Answered { set_cookie: told.collect(), ..answered.clone() };
            told.with_plain_cookies() == expected.with_plain_cookies()
        });
        assert!(told_back.is_some(), "{answered:?} is not {expected:?}: {case}");
    }
    if !native {
        replay(case, &mut records, &answered.set_cookie);
        compare(case, &store, &records).await;
    }
}

/// The view's script.
type Script = Arc<[Json]>;

#[get("/")]
fn view(session: &Session, script: &State<Script>) -> Result<(), Status> {
    script.iter().try_for_each(|step| operate(session, step.as_array().unwrap()))
}

/// One operation on the session; 500 where Python raises.
fn operate(session: &Session, step: &[Json]) -> Result<(), Status> {
    let (operation, arguments) = step.split_first().unwrap();
    let key = || arguments[0].as_str().unwrap();
    let there = |yes: bool| yes.then_some(()).ok_or(Status::InternalServerError);
    match operation.as_str().unwrap() {
        "append" => {
            there(session.contains_key(key()))?;
            let item = Value::from_serialize(&arguments[1]).unwrap();
            let append = move |list: &mut Vec<Value>| list.push(item.clone());
            session.mutate(key(), append).map_err(|_| Status::InternalServerError)?;
        }
        "bool" => drop(session.is_empty()),
        "clear" => session.clear(),
        "contains" => drop(session.contains_key(key())),
        "del" => there(session.remove(key()))?,
        "flash" => session.flash(key(), arguments[1].as_str().unwrap()),
        "flashes" => drop(session.flashed_messages(&[])),
        "get" => drop(session.get::<Value>(key()).unwrap()),
        "len" => drop(session.len()),
        "modified" => session.set_modified(arguments[0].as_bool().unwrap()),
        "permanent" => session.set_permanent(arguments[0].as_bool().unwrap()),
        "pop" => drop(session.remove(key())),
        "read_permanent" => drop(session.permanent()),
        "regenerate" => session.regenerate(),
        "set" => session.insert(key(), &arguments[1]).unwrap(),
        "setdefault" => drop(session.set_default::<Json>(key(), &arguments[1]).unwrap()),
        "update" => {
            session.set_modified(true);
            for (key, value) in arguments[0].as_object().unwrap() {
                session.insert(key, value).unwrap();
            }
        }
        other => panic!("the operation {other:?}"),
    }
    Ok(())
}

fn unix_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

fn signer(case: &Json) -> Signer {
    Signer::new(text(case, "secret_key").as_bytes(), &[], SESSION_SALT)
}

/// Signs the cookie's value again for another time, if it was signed rightly for `from`.
fn signed_again(value: &str, case: &Json, at: impl Fn(i64) -> i64) -> Option<String> {
    let signer = signer(case);
    signer.unsign(value).ok()?;
    let (payload, timestamp) = signing::peek(value)?;
    Some(signing::sign(&payload, &signer, at(timestamp)))
}

fn at_the_same_age(cookie: &str, case: &Json, now: i64) -> String {
    let recorded = case["now"].as_i64().unwrap();
    let (name, value) = cookie.split_once('=').unwrap();
    match signed_again(value, case, |timestamp| timestamp + now - recorded) {
        Some(value) => format!("{name}={value}"),
        None => cookie.to_owned(),
    }
}

/// The header as it would have been at the case's time, if it was made at `now`; as it is where it
/// was not.
fn tell_back(header: &str, case: &Json, now: i64) -> String {
    let recorded = case["now"].as_i64().unwrap();
    let (cookie, attributes) = header.split_once("; ").unwrap();
    let (name, value) = cookie.split_once('=').unwrap();
    let then = |timestamp: i64| if timestamp == now { recorded } else { timestamp };
    // Flask-Session's ids are drawn.
    let fresh = text(case, "interface") == "flask-session" && value.len() == 43;
    let value = match fresh {
        true => differences::NEW_ID.to_owned(),
        false => signed_again(value, case, then).unwrap_or_else(|| value.to_owned()),
    };
    let lifetime = case["config"]["PERMANENT_SESSION_LIFETIME"].as_i64().unwrap_or(2_678_400);
    let [expires, expected] = [now, recorded].map(|from| http_date(from + lifetime));
    format!("{name}={value}; {}", attributes.replace(&expires, &expected))
}

fn http_date(seconds: i64) -> String {
    let settings = dewar::session::CookieSettings {
        name: "n".into(),
        domain: None,
        path: "/".into(),
        http_only: false,
        secure: false,
        same_site: None,
        partitioned: false,
    };
    let at = UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap());
    let header = settings.set("", Some(at));
    header.split("; ").nth(1).unwrap().to_owned()
}

/// What the store holds after the case's log; an id made by the request is the answer's.
fn replay(case: &Json, records: &mut BTreeMap<String, (Vec<u8>, Duration)>, answer: &[String]) {
    let prefix = "session:";
    for entry in case["store_log"].as_array().unwrap() {
        let key = entry[1].as_str().unwrap();
        let ours = answer.first().and_then(|header| header.split([';', '=']).nth(1));
        let key = match (key.contains(differences::NEW_ID), ours) {
            (true, Some(id)) if !id.is_empty() => format!("{prefix}{id}"),
            _ => key.to_owned(),
        };
        match entry[0].as_str().unwrap() {
            "read" => {}
            "write" => {
                let bytes = STANDARD.decode(entry[2].as_str().unwrap()).unwrap();
                records.insert(key, (bytes, Duration::from_secs(entry[3].as_u64().unwrap())));
            }
            "delete" => drop(records.remove(&key)),
            other => panic!("the store operation {other:?}"),
        }
    }
}

async fn compare(
    case: &Json,
    store: &SqliteStore,
    expected: &BTreeMap<String, (Vec<u8>, Duration)>,
) {
    let listed = store.scan("session:", None, 10).await.unwrap().unwrap();
    let keys: Vec<_> =
        listed.sessions.iter().map(|listed| listed.key.as_str().to_owned()).collect();
    assert_eq!(keys, expected.keys().cloned().collect::<Vec<_>>(), "{case}");
    for (key, (bytes, lifetime)) in expected {
        let record = store.load(&StoreKey::new(key)).await.unwrap().unwrap();
        assert_eq!(&record.bytes, bytes, "{case}");
        let left = record.expires_in.unwrap();
        let near = left <= *lifetime && left + Duration::from_secs(60) > *lifetime;
        assert!(near, "{left:?} of {lifetime:?}: {case}");
    }
}
