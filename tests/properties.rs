//! What holds for every value, every byte sequence, every header and every configuration: chosen
//! at random, a few hundred of each. `fuzz/run` searches the same ground for longer.

use std::time::Duration;

use dewar::session::codec::{json, msgpack, tagged};
use dewar::session::settings::{StoreSettings, keys};
use dewar::session::signing::{self, ID_SALT, SESSION_SALT, Signer};
use dewar::session::{BigInt, Error, Map, Session, Sessions, Settings, Uuid, Value};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::Union;
use proptest::test_runner::TestRunner;
use rocket::figment::Figment;
use rocket::figment::providers::{Format, Toml};
use rocket::http::{Header, Status};
use rocket::local::blocking::Client;
use rocket::{get, routes};

const NOW: i64 = 1_714_979_289;
/// The first second of the year 100 and the last of 9999: Flask's dates say no others plainly.
const PLAIN_DATES: std::ops::Range<i64> = -59_011_459_200..253_402_300_800;
const TAGS: [&str; 8] = [" di", " t", " b", " m", " u", " d", " t__", " x"];

/// A format and what it brings back as it was.
#[derive(Clone, Copy, PartialEq)]
enum Codec {
    Tagged,
    Msgpack,
    Json,
}

impl Codec {
    fn encode(self, values: &Map) -> Option<Vec<u8>> {
        match self {
            Self::Tagged => tagged::encode(values).ok().map(String::into_bytes),
            Self::Msgpack => msgpack::encode(values).ok(),
            Self::Json => json::encode(values).ok(),
        }
    }

    fn decode(self, bytes: &[u8]) -> Option<Map> {
        match self {
            Self::Tagged => tagged::decode(std::str::from_utf8(bytes).ok()?).ok(),
            Self::Msgpack => msgpack::decode(bytes).ok(),
            Self::Json => json::decode(bytes).ok(),
        }
    }

    /// The values without items that it carries.
    fn leaves(self) -> BoxedStrategy<Value> {
        let mut kinds = vec![
            Just(Value::Null).boxed(),
            any::<bool>().prop_map(Value::Bool).boxed(),
            any::<i64>().prop_map(|number| Value::Int(number.into())).boxed(),
            (i128::from(i64::MAX)..=u64::MAX.into()).prop_map(Value::Int).boxed(),
            any::<f64>().prop_map(Value::Float).boxed(),
            (-4_000_000_000_i64..4_000_000_000)
                .prop_map(|quarters| Value::Float(quarters as f64 / 4.0))
                .boxed(),
            "(?s).{0,40}".prop_map(Value::Str).boxed(),
        ];
        let bytes = prop::collection::vec(any::<u8>(), 0..40);
        let fractions = 0..1_000_000_000_u32;
        if self != Self::Msgpack {
            kinds.push(any::<i128>().prop_map(Value::Int).boxed());
            kinds.push(big_integer().boxed());
        }
        if self != Self::Json {
            kinds.push(
                select(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0])
                    .prop_map(Value::Float)
                    .boxed(),
            );
            kinds.push(bytes.clone().prop_map(Value::Bytes).boxed());
        }
        match self {
            Self::Tagged => kinds.extend([
                ".{0,40}".prop_map(Value::Markup).boxed(),
                any::<[u8; 16]>().prop_map(|bytes| Value::Uuid(Uuid(bytes))).boxed(),
                PLAIN_DATES.prop_map(|at| time((at, 0))).boxed(),
            ]),
            Self::Msgpack => kinds.extend([
                any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))).boxed(),
                (any::<i64>(), fractions.clone()).prop_map(time).boxed(),
                (0..1_i64 << 35, fractions).prop_map(time).boxed(),
                (any::<i8>().prop_filter("that is a time", |kind| *kind != -1), bytes)
                    .prop_map(|(kind, bytes)| Value::Extension(kind, bytes))
                    .boxed(),
            ]),
            Self::Json => {}
        }
        Union::new(kinds).boxed()
    }

    /// The sessions that it carries.
    fn sessions(self) -> BoxedStrategy<Map> {
        let text = || prop_oneof![".{0,12}", select(&TAGS[..]).prop_map(str::to_owned)];
        let texts = move || text().prop_map(Value::Str).boxed();
        let keys = match self {
            Self::Msgpack => prop_oneof![texts(), self.leaves()].boxed(),
            _ => texts(),
        };
        let values = self.leaves().prop_recursive(4, 24, 4, move |inner| {
            let list = prop::collection::vec(inner.clone(), 0..5);
            let map = prop::collection::vec((keys.clone(), inner), 0..4).prop_map(into_map);
            let tuple = if self == Self::Tagged { Value::Tuple } else { Value::List };
            prop_oneof![
                list.clone().prop_map(Value::List),
                list.prop_map(tuple),
                map.prop_map(Value::Map)
            ]
        });
        prop::collection::vec((texts(), values), 0..8).prop_map(into_map).boxed()
    }
}

fn big_integer() -> impl Strategy<Value = Value> {
    "-?[1-9][0-9]{37,120}".prop_map(|digits| BigInt::parse(&digits).unwrap())
}

fn time((seconds, nanoseconds): (i64, u32)) -> Value {
    Value::Timestamp { seconds, nanoseconds }
}

fn into_map(entries: Vec<(Value, Value)>) -> Map {
    entries.into_iter().collect()
}

/// Sessions with whatever there is in them and its keys, carried by a format or not.
fn any_session() -> impl Strategy<Value = Map> {
    let leaf = || {
        prop_oneof![
            Codec::Tagged.leaves(),
            Codec::Msgpack.leaves().prop_filter("read back as another", |value| match value {
                Value::Timestamp { seconds, .. } => *seconds >= PLAIN_DATES.start,
                _ => true,
            }),
        ]
    };
    let values = leaf().prop_recursive(4, 48, 8, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..8);
        let entries = prop::collection::vec((inner.clone(), inner.clone()), 0..4);
        let numbered = prop::collection::vec((any::<i8>(), inner), 0..4);
        prop_oneof![
            list.clone().prop_map(Value::List),
            list.prop_map(Value::Tuple),
            entries.prop_map(into_map).prop_map(Value::Map),
            numbered.prop_map(|entries| {
                let number = |(key, value): (i8, Value)| (Value::Int(key.into()), value);
                Value::Map(entries.into_iter().map(number).collect())
            }),
        ]
    });
    prop::collection::vec((".{0,12}".prop_map(Value::Str), values), 0..4).prop_map(into_map)
}

/// A change of some bytes.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Cut(Index),
    Remove(Index),
    Insert(Index, u8),
    Repeat(Index, Index),
}

impl Damage {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            (any::<Index>(), 1..=255_u8).prop_map(|(at, by)| Self::Flip(at, by)),
            any::<Index>().prop_map(Self::Cut),
            any::<Index>().prop_map(Self::Remove),
            (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Self::Insert(at, byte)),
            (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Self::Repeat(from, to)),
        ]
    }

    /// `bytes`, of which there is one at least, with the change.
    fn inflict(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let len = bytes.len();
        match self {
            Self::Flip(at, by) => bytes[at.index(len)] ^= by,
            Self::Cut(at) => bytes.truncate(at.index(len)),
            Self::Remove(at) => drop(bytes.remove(at.index(len))),
            Self::Insert(at, byte) => bytes.insert(at.index(len), *byte),
            Self::Repeat(from, to) => {
                let again = bytes[from.index(len)..].to_vec();
                let to = to.index(len);
                bytes.splice(to..to, again);
            }
        }
        bytes
    }
}

fn signer(key: &str) -> Signer {
    Signer::new(key.as_bytes(), &[b"older".to_vec()], SESSION_SALT)
}

proptest! {
    #[test]
    fn whatever_a_cookie_carries_comes_back(values in Codec::Tagged.sessions()) {
        let signer = signer("dev");
        let cookie = signing::sign(&Codec::Tagged.encode(&values).unwrap(), &signer, NOW);
        let verified = signing::verify(&cookie, &signer, NOW, 0).unwrap();
        prop_assert_eq!(Codec::Tagged.decode(&verified.payload), Some(values));
    }

    #[test]
    fn whatever_a_record_carries_comes_back(
        packed in Codec::Msgpack.sessions(),
        plain in Codec::Json.sessions(),
    ) {
        for (codec, values) in [(Codec::Msgpack, packed), (Codec::Json, plain)] {
            let record = codec.encode(&values).unwrap();
            prop_assert_eq!(codec.decode(&record), Some(values));
        }
    }

    #[test]
    fn what_cannot_be_carried_is_refused_or_settles_in_one_round(values in any_session()) {
        for codec in [Codec::Tagged, Codec::Msgpack, Codec::Json] {
            if let Some(written) = codec.encode(&values) {
                let read = codec.decode(&written).expect("what is written can be read");
                let again = codec.encode(&read).expect("what was read can be written");
                prop_assert_eq!(codec.decode(&again), Some(read));
            }
        }
    }

    #[test]
    fn damaged_records_are_refused_or_sound(
        values in any_session(),
        damages in prop::collection::vec(Damage::any(), 1..4),
    ) {
        for codec in [Codec::Tagged, Codec::Msgpack, Codec::Json] {
            let Some(written) = codec.encode(&values) else { continue };
            let damaged = damages.iter().fold(written, |bytes, damage| match bytes.is_empty() {
                true => bytes,
                false => damage.inflict(&bytes),
            });
            if let Some(read) = codec.decode(&damaged) {
                prop_assert!(codec.encode(&read).is_some());
            }
        }
    }

    #[test]
    fn no_bytes_at_all_make_a_reader_panic(bytes: Vec<u8>, text in r#"[\[\]{}":,a0-9\\u.eE+-]{0,60}"#) {
        for bytes in [&*bytes, text.as_bytes(), format!(r#"{{"a":{text}}}"#).as_bytes()] {
            for codec in [Codec::Tagged, Codec::Msgpack, Codec::Json] {
                let _ = codec.decode(bytes);
            }
            let text = String::from_utf8_lossy(bytes);
            let _ = (signer("dev").unsign(&text), signing::peek(&text));
            let _ = signing::verify(&text, &signer("dev"), NOW, 60);
        }
    }

    #[test]
    fn no_damaged_cookie_verifies(
        values in Codec::Tagged.sessions(),
        damage in Damage::any(),
        key in "[a-z]{1,8}",
    ) {
        let signer = signer(&key);
        let cookie = signing::sign(&Codec::Tagged.encode(&values).unwrap(), &signer, NOW);
        let damaged = damage.inflict(cookie.as_bytes());
        let damaged = String::from_utf8_lossy(&damaged);
        if damaged != cookie {
            prop_assert!(signing::verify(&damaged, &signer, NOW, i64::MAX).is_err());
            prop_assert!(signer.unsign(&damaged).is_err());
        }
        let _ = signing::peek(&damaged);
        for stranger in [
            Signer::new(format!("{key}x").as_bytes(), &[], SESSION_SALT),
            Signer::new(key.as_bytes(), &[], ID_SALT),
        ] {
            prop_assert!(signing::verify(&cookie, &stranger, NOW, i64::MAX).is_err());
        }
    }

    #[test]
    fn what_a_holder_of_the_key_damages_is_read_or_refused(
        values in Codec::Tagged.sessions(),
        damage in Damage::any(),
    ) {
        let signer = signer("dev");
        let cookie = signing::sign(&Codec::Tagged.encode(&values).unwrap(), &signer, NOW);
        let (message, _) = signer.unsign(&cookie).unwrap();
        let damaged = damage.inflict(message.as_bytes());
        let forged = signer.sign(&String::from_utf8_lossy(&damaged));
        if let Ok(verified) = signing::verify(&forged, &signer, NOW, i64::MAX) {
            let _ = Codec::Tagged.decode(&verified.payload);
        }
    }

    #[test]
    fn a_configuration_is_refused_or_keeps_its_promises(
        entries in prop::collection::btree_map(select(keys().collect::<Vec<_>>()), setting(), 0..6),
        text in "(?s).{0,100}",
    ) {
        let _ = settings(&text);
        let lines: Vec<_> = entries.iter().map(|((key, _), value)| format!("{key} = {value}\n")).collect();
        let Ok(settings) = settings(&format!("[default]\n{}", lines.concat())) else { return Ok(()) };
        prop_assert!((16..=128).contains(&settings.id_length));
        prop_assert!(settings.lifetime >= Duration::from_secs(1));
        prop_assert!(settings.store != StoreSettings::Cookie || settings.secret_key.is_some());
        prop_assert!(settings.fallbacks.iter().all(|key| !key.expose().is_empty()));
        for header in [settings.cookie.set("value", None), settings.cookie.remove()] {
            prop_assert!(header.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{header:?}");
            let mut attributes = header.split("; ");
            prop_assert!(attributes.next().unwrap().starts_with(&settings.cookie.name));
            prop_assert_eq!(attributes.filter(|text| text.starts_with("Path=")).count(), 1);
        }
    }
}

fn settings(toml: &str) -> Result<Settings, dewar::session::settings::SettingsError> {
    Settings::from_figment(&Figment::from(Toml::string(toml).nested()).select("default"))
}

/// A setting's value as TOML: of any type, and often one that some setting takes.
fn setting() -> impl Strategy<Value = String> {
    let words = [
        "cookie",
        "sqlite",
        "Lax",
        "None",
        "strict",
        "error",
        "on",
        "__Host-s",
        "/a b",
        ".a.org:80",
        "31 days",
        "2 h",
        "a",
        "",
    ];
    prop_oneof![
        select(&["true", "false", "1", "0", "32", "4093", "1e400", "nan", "-1", "[]", "{}"][..])
            .prop_map(str::to_owned),
        select(Vec::from(words)).prop_map(|word| format!("'{word}'")),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}")),
        "[^'\\p{Cc}]{0,12}".prop_map(|text| format!("'{text}'")),
        prop::collection::vec("[a-z]{0,3}", 0..3).prop_map(|texts| format!("{texts:?}")),
    ]
}

#[get("/")]
fn index(session: &Session) -> Result<String, Error> {
    Ok(session.get::<String>("user")?.unwrap_or_default())
}

#[test]
fn no_cookie_header_is_a_failure_and_none_signs_a_stranger_in() {
    let key = "the key of this test and of no other";
    let figment = Figment::from(rocket::Config::debug_default())
        .merge(("log_level", "off"))
        .merge(("SESSION_TYPE", "cookie"))
        .merge(("SECRET_KEY", key));
    let rocket = rocket::custom(figment).attach(Sessions::fairing()).mount("/", routes![index]);
    let client = Client::untracked(rocket).unwrap();
    let visit = |header: String| {
        let answer = client.get("/").header(Header::new("Cookie", header)).dispatch();
        (answer.status(), answer.into_string().unwrap())
    };

    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let payload = br#"{"user":"gkf"}"#;
    let signer = Signer::new(key.as_bytes(), &[], SESSION_SALT);
    let cookie = signing::sign(payload, &signer, i64::try_from(now).unwrap());
    assert_eq!(visit(format!("a=b; session={cookie}")), (Status::Ok, "gkf".to_owned()));

    let item = r#"(session|a|)[ \t]?=?[ \t]?("|)[!-~é]{0,8}(\\[0-3][0-7]{2}|)("|)"#;
    let header =
        prop_oneof![".{0,60}", prop::collection::vec(item, 0..5).prop_map(|i| i.join(";"))];
    let strategy = (header, Damage::any());
    TestRunner::default()
        .run(&strategy, |(header, damage)| {
            prop_assert_eq!(visit(header.clone()), (Status::Ok, String::new()));
            let both = visit(format!("session={cookie};{header}"));
            prop_assert_eq!(both.0, Status::Ok);
            let damaged = damage.inflict(cookie.as_bytes());
            let damaged = String::from_utf8_lossy(&damaged);
            // Blanks around a cookie do not count, and what follows one is not part of it.
            if !damaged.trim_start_matches([' ', '\t']).starts_with(&cookie) {
                prop_assert_eq!(visit(format!("session={damaged}")), (Status::Ok, String::new()));
            }
            Ok(())
        })
        .unwrap();
}
