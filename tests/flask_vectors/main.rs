//! What the real Flask, itsdangerous, Werkzeug, msgspec, cachelib and pymongo did, case by case: read and
//! written the same way here.
//!
//! The cases are in `tests/data/flask.json`, made by `tests/data/make_flask_vectors.py`;
//! `DEWAR_VECTORS` names another file of the same form.

#![cfg(feature = "app")]

mod behaviour;
mod differences;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dewar::session::codec::{Format, json, msgpack, pickle, tagged};
use dewar::session::settings::{FileHash, FileSettings};
use dewar::session::signing::{self, ID_SALT, Rejected, SESSION_SALT, Signer};
use dewar::session::store::filesystem::{CacheFile, file_name};
use dewar::session::store::{FilesystemStore, SessionDocument, Store, expiry_text, memcached};
use dewar::session::{BigInt, Map, StoreKey, Uuid, Value, cookie};
use serde_json::Value as Json;

fn vectors() -> BTreeMap<String, Json> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/flask.json");
    let path = std::env::var("DEWAR_VECTORS").unwrap_or_else(|_| default.into());
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).unwrap()
}

#[test]
fn every_case_comes_out_as_it_did_in_python() {
    let mut counts = BTreeMap::new();
    for (kind, cases) in vectors() {
        let check: fn(&Json) = match kind.as_str() {
            "about" | "how_to_read" | "versions" => continue,
            "cookies" => cookie,
            "records" => record,
            "record_decode" => record_decode,
            "signer" => signer,
            "http_date" => http_date,
            "behaviour" => behaviour::check,
            "cookie_header" => cookie_header,
            "mongodb_documents" => mongodb_document,
            "filesystem" => {
                filesystem(&cases);
                counts.insert(kind, cases["files"].as_array().unwrap().len());
                continue;
            }
            "memcached_exptime" => memcached_exptime,
            "memcached_servers" => memcached_servers,
            "sqlalchemy_rows" => sqlalchemy_row,
            other => panic!("cases of the kind {other:?} are not read here"),
        };
        let cases = cases.as_array().expect(&kind);
        cases.iter().for_each(check);
        counts.insert(kind, cases.len());
    }
    println!("{counts:?}");
    assert!(counts.values().sum::<usize>() > 100, "{counts:?}");
}

fn text<'j>(case: &'j Json, key: &str) -> &'j str {
    case[key].as_str().unwrap_or_else(|| panic!("{key} of {case}"))
}

/// The file's unambiguous form of a value. `None` for a time without a zone, which is Python's own.
fn value(json: &Json) -> Option<Value> {
    read_value(json, "")
}

/// The same, a time without a zone being in `zone`.
fn read_value(json: &Json, zone: &str) -> Option<Value> {
    let value = |json: &Json| read_value(json, zone);
    let (kind, content) = json.as_object().unwrap().iter().next().unwrap();
    let content_text = || content.as_str().unwrap();
    let items = || content.as_array().unwrap().iter().map(&value).collect::<Option<Vec<_>>>();
    Some(match kind.as_str() {
        "null" => Value::Null,
        "bool" => Value::Bool(content.as_bool().unwrap()),
        "int" => BigInt::parse(content_text()).unwrap(),
        "float" => Value::Float(content_text().parse().unwrap()),
        "str" => Value::from(content_text()),
        "bytes" => Value::Bytes(STANDARD.decode(content_text()).unwrap()),
        "list" => Value::List(items()?),
        "tuple" => Value::Tuple(items()?),
        "dict" => {
            let pairs = content.as_array().unwrap().iter();
            let pairs = pairs.map(|pair| Some((value(&pair[0])?, value(&pair[1])?)));
            Value::Map(pairs.collect::<Option<Map>>()?)
        }
        "markup" => Value::Markup(content_text().into()),
        "uuid" => Value::Uuid(Uuid::parse(content_text()).unwrap()),
        "datetime" => moment(content_text(), zone)?,
        "ext" => {
            let kind = i8::try_from(content[0].as_i64().unwrap()).unwrap();
            Value::Extension(kind, STANDARD.decode(content[1].as_str().unwrap()).unwrap())
        }
        other => panic!("a value of the kind {other:?}"),
    })
}

/// `YYYY-MM-DDTHH:MM:SS[.ffffff]+HH:MM`.
fn moment(iso: &str, default: &str) -> Option<Value> {
    let end = iso[10..].find(['+', '-', 'Z']).map_or(iso.len(), |at| at + 10);
    let (civil, zone) = iso.split_at(end);
    let zone = if zone.is_empty() { default } else { zone };
    let number = |range: std::ops::Range<usize>| civil[range].parse::<i64>().unwrap();
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let fraction = civil.get(20..).unwrap_or("");
    let nanoseconds = format!("{fraction:0<9}").parse().unwrap();
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let years: i64 = match year {
        1970.. => (1970..year).map(|year| 365 + i64::from(leap(year))).sum(),
        _ => -(year..1970).map(|year| 365 + i64::from(leap(year))).sum::<i64>(),
    };
    let february = 28 + i64::from(leap(year));
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days = years + lengths[..month as usize - 1].iter().sum::<i64>() + day - 1;
    let offset = match zone {
        "" => return None,
        "Z" => 0,
        _ => {
            let (hours, minutes) = zone[1..].split_once(':').unwrap();
            let offset =
                hours.parse::<i64>().unwrap() * 3600 + minutes.parse::<i64>().unwrap() * 60;
            if zone.starts_with('-') { -offset } else { offset }
        }
    };
    let seconds =
        days * 86_400 + number(11..13) * 3600 + number(14..16) * 60 + number(17..19) - offset;
    Some(Value::Timestamp { seconds, nanoseconds })
}

fn keys(case: &Json, salt: &str) -> Signer {
    let key = |key: &Json| match key.as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => STANDARD.decode(text(key, "b64")).unwrap(),
    };
    let fallbacks: Vec<_> = case["fallbacks"].as_array().into_iter().flatten().map(key).collect();
    Signer::new(&key(&case["secret_key"]), &fallbacks, salt)
}

fn cookie(case: &Json) {
    let signer = keys(case, SESSION_SALT);
    let (now, max_age) = (case["valid_at"].as_i64().unwrap(), case["max_age"].as_i64().unwrap());
    let verified = signing::verify(text(case, "cookie"), &signer, now, max_age);
    let read = verified.clone().map(|verified| {
        String::from_utf8(verified.payload).ok().and_then(|text| tagged::decode(&text).ok())
    });
    match text(case, "expect") {
        // Python's base64 takes what others may refuse.
        "ok" if case["optional"] == true && !matches!(read, Ok(Some(_))) => {}
        "ok" => assert_eq!(
            read.unwrap().map(Value::Map).unwrap(),
            value(&case["loads_to"]).unwrap(),
            "{case}"
        ),
        "reject" => assert!(!matches!(verified, Ok(_) | Err(Rejected::Unreadable)), "{case}"),
        "error" => assert!(matches!(read, Ok(None) | Err(Rejected::Unreadable)), "{case}"),
        other => panic!("expect {other:?}"),
    }
    if case["encode"].is_null() {
        return;
    }
    // Flask takes a time without a zone to be in UTC.
    let Some(Value::Map(values)) = read_value(&case["value"], "Z") else {
        panic!("no value in {case}")
    };
    let payload = tagged::encode(&values).unwrap();
    assert_eq!(payload, text(case, "payload"), "{case}");
    let signed = signing::sign(payload.as_bytes(), &signer, case["timestamp"].as_i64().unwrap());
    match text(case, "encode") {
        "exact" => assert_eq!(signed, text(case, "cookie")),
        "json" => assert_eq!(signing::peek(&signed).unwrap().0, payload.as_bytes()),
        other => panic!("encode {other:?}"),
    }
}

fn record(case: &Json) {
    let values = value(&case["value"]);
    let encoded =
        |format: &str, written: Option<Result<Vec<u8>, _>>, expected: Option<Vec<u8>>| match (
            written, expected,
        ) {
            (Some(Ok(written)), Some(expected)) => assert_eq!(
                String::from_utf8_lossy(&written),
                String::from_utf8_lossy(&expected),
                "{format} {case}"
            ),
            (Some(written), None) => assert!(written.is_err(), "{format} {case}"),
            (Some(Err(error)), Some(_)) => panic!("{format} {error}: {case}"),
            (None, _) => {}
        };
    let map = match &values {
        Some(Value::Map(map)) => Some(map),
        _ => None,
    };
    let packed = case["msgpack"].as_str().map(|text| STANDARD.decode(text).unwrap());
    let written = case["json"].as_str().map(|text| text.as_bytes().to_vec());
    encoded("msgpack", map.map(msgpack::encode), packed.clone());
    // A moment here is in UTC, whatever zone it was told in; Python's JSON keeps the zone.
    let zoned = written.as_ref().is_some_and(|text| text.windows(6).any(|part| part == b"+08:00"));
    encoded("json", map.filter(|_| !zoned).map(json::encode), written.clone());
    if let Some(packed) = packed {
        let read = msgpack::decode(&packed).map(Value::Map).unwrap();
        assert_eq!(Some(read), value(&case["msgpack_loads_to"]), "{case}");
    }
    if let Some(written) = written {
        let read = json::decode(&written).map(Value::Map).unwrap();
        assert_eq!(Some(read), value(&case["json_loads_to"]), "{case}");
    }
}

fn record_decode(case: &Json) {
    let bytes = STANDARD.decode(text(case, "data")).unwrap();
    let format = match case["format"].as_str() {
        Some("json") => Format::Json,
        _ => Format::MessagePack,
    };
    let read = format.decode(&bytes);
    let not_a_session = case["loads_to"].get("dict").is_none();
    match text(case, "expect") {
        "ok" if not_a_session => assert!(read.is_err(), "{case}"),
        "ok" => assert_eq!(Some(Value::Map(read.unwrap())), value(&case["loads_to"]), "{case}"),
        "error" | "must_refuse" => assert!(read.is_err(), "{case}"),
        other => panic!("expect {other:?}"),
    }
}

fn filesystem(kind: &Json) {
    for (hash, key) in [(FileHash::Sha256, "count_file_sha256"), (FileHash::Md5, "count_file_md5")]
    {
        assert_eq!(file_name(hash, "__wz_cache_count"), text(kind, key));
    }
    let one = CacheFile { expiry: 0, record: pickle::dumps(&Value::Int(1)).unwrap() };
    assert_eq!(STANDARD.encode(one.to_bytes()), text(kind, "count_file_bytes_for_1"));
    let cases = kind["files"].as_array().unwrap();
    assert!(cases.len() > 10);
    cases.iter().for_each(session_file);
}

fn session_file(case: &Json) {
    let number = |key: &str| case[key].as_u64().unwrap();
    let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(seconds);
    let key = StoreKey::new(text(case, "store_id"));
    assert_eq!(file_name(FileHash::Sha256, key.as_str()), text(case, "filename_sha256"));
    assert_eq!(file_name(FileHash::Md5, key.as_str()), text(case, "filename_md5"));

    let bytes = STANDARD.decode(text(case, "file")).unwrap();
    let file = CacheFile::parse(&bytes).unwrap();
    assert_eq!(u64::from(file.expiry), number("expiry"), "{case}");
    assert_eq!(file.to_bytes(), bytes);
    for moment in case["live_at"].as_array().unwrap() {
        let time = at(moment[0].as_u64().unwrap());
        assert_eq!(file.is_live(time), moment[1].as_bool().unwrap(), "{case}");
    }
    if number("lifetime") > 0 {
        let lifetime = Duration::from_secs(number("lifetime"));
        assert_eq!(CacheFile::new(Vec::new(), at(number("now")), lifetime).expiry, file.expiry);
    }

    let values = pickle::decode(&file.record).unwrap();
    assert_eq!(Some(Value::Map(values.clone())), value(&case["loads_to"]), "{case}");
    assert_eq!(pickle::decode(&pickle::encode(&values).unwrap()), Ok(values));

    // The store finds it under either name, where it has not expired meanwhile.
    let runtime = rocket::tokio::runtime::Runtime::new().unwrap();
    for name in ["filename_sha256", "filename_md5"] {
        let dir = tempfile::tempdir().unwrap();
        let mode = u32::from_str_radix(text(case, "mode"), 8).unwrap();
        let hash = FileHash::Sha256;
        let settings = FileSettings { dir: dir.path().into(), threshold: 0, mode, hash };
        let store = FilesystemStore::open(settings).unwrap();
        let living = CacheFile { expiry: 0, ..file.clone() };
        std::fs::write(dir.path().join(text(case, name)), living.to_bytes()).unwrap();
        let record = runtime.block_on(store.load(&key)).unwrap().unwrap();
        assert_eq!(record.bytes, file.record);
    }
}

fn mongodb_document(case: &Json) {
    let bson = STANDARD.decode(text(case, "bson_without__id")).unwrap();
    let document = SessionDocument::parse(&bson).unwrap();
    assert_eq!(document.id, text(case, "id"));
    assert_eq!(STANDARD.encode(&document.val), text(case, "val"));
    assert_eq!(Some(document.expiration), case["expiration_ms"].as_i64());
}

fn signer(case: &Json) {
    let signer = keys(case, ID_SALT);
    let (sid, cookie) = (text(case, "sid"), text(case, "cookie"));
    match text(case, "expect") {
        "ok" => assert_eq!(signer.unsign(cookie).unwrap().0, sid, "{case}"),
        _ => assert!(signer.unsign(cookie).is_err(), "{case}"),
    }
    if case["encode"] == true {
        assert_eq!(signer.sign(sid), cookie);
    }
}

fn http_date(case: &Json) {
    let seconds = case["unix"].as_i64().unwrap();
    let written = tagged::encode(&Map::from_iter([
        (Value::from("a"), Value::Null),
        (Value::from("d"), Value::Timestamp { seconds, nanoseconds: 0 }),
    ]));
    let expected = format!(r#"{{"a":null,"d":{{" d":"{}"}}}}"#, text(case, "http_date"));
    assert_eq!(written.unwrap(), expected);
}

/// The expiry of a row in SQLite, and the record in it.
fn sqlalchemy_row(case: &Json) {
    let Some(Value::Timestamp { seconds, nanoseconds }) = moment(text(case, "utcnow"), "Z") else {
        panic!("no time in {case}")
    };
    let lifetime = Duration::from_secs(case["lifetime"].as_u64().unwrap());
    let now = Duration::new(seconds.try_into().unwrap(), nanoseconds);
    let written = expiry_text(SystemTime::UNIX_EPOCH + now + lifetime);
    assert_eq!(written, text(case, "expiry_sqlite_text"));
    let data = STANDARD.decode(text(case, "data")).unwrap();
    let read = msgpack::decode(&data).or_else(|_| json::decode(&data)).unwrap();
    assert!(read.get("n").is_some(), "{case}");
}

/// How a `Cookie` header is read. Which of several session cookies counts is the session's affair:
/// two different ones count as none, where Flask takes the first.
fn cookie_header(case: &Json) {
    let (header, name) = (text(case, "header"), text(case, "name"));
    let value = cookie::parse(header).find(|(key, _)| *key == name).map(|(_, value)| value);
    assert_eq!(value.as_deref(), case["value"].as_str(), "{case}");
}

fn memcached_exptime(case: &Json) {
    let number = |key: &str| case[key].as_i64().unwrap();
    let exptime = memcached::exptime(number("now"), number("lifetime"));
    assert_eq!(exptime, number("exptime"), "{case}");
}

fn memcached_servers(case: &Json) {
    let servers: Vec<&str> =
        case["servers"].as_array().unwrap().iter().map(|server| server.as_str().unwrap()).collect();
    let index = memcached::node(servers.iter().copied(), text(case, "key")).unwrap();
    assert_eq!(servers[index], text(case, "server"), "{case}");
}
