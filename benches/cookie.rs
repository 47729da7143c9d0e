//! What a session costs: Flask's cookie read and written, a record read and written, a new id.
//!
//! `benches/against_itsdangerous` runs it beside the real Flask.

use criterion::{Criterion, criterion_group, criterion_main};
use dewar::session::codec::{msgpack, tagged};
use dewar::session::signing::{self, SESSION_SALT, Signer};
use dewar::session::{Map, SessionId, Value};

const NOW: i64 = 1_714_979_289;
const MAX_AGE: i64 = 31 * 86_400;

/// A visitor who is signed in and has a message waiting; `benches/itsdangerous.py` has the same.
fn session() -> Map {
    let flash = Value::Tuple(vec!["message".into(), "Saved".into()]);
    Map::from_iter([
        ("_permanent".into(), Value::Bool(true)),
        ("user".into(), "gkf".into()),
        ("csrf_token".into(), "0123456789abcdef0123456789abcdef01234567".into()),
        ("_flashes".into(), Value::List(vec![flash])),
        ("n".into(), Value::Int(41)),
    ])
}

fn load(cookie: &str, signer: &Signer) -> Map {
    let verified = signing::verify(cookie, signer, NOW, MAX_AGE).expect("it was signed here");
    let text = String::from_utf8(verified.payload).expect("it is ASCII");
    tagged::decode(&text).expect("it was written here")
}

fn dump(values: &Map, signer: &Signer) -> String {
    let payload = tagged::encode(values).expect("every value has a form");
    signing::sign(payload.as_bytes(), signer, NOW)
}

/// What is left of it when nothing but the sign-in is kept: too short to be compressed.
fn sign_in() -> Map {
    Map::from_iter([("_permanent".into(), Value::Bool(true)), ("user".into(), "gkf".into())])
}

fn cookie(criterion: &mut Criterion) {
    let signer = Signer::new(b"0123456789abcdef0123456789abcdef", &[], SESSION_SALT);
    for (name, values) in [("cookie", session()), ("sign_in", sign_in())] {
        let cookie = dump(&values, &signer);
        assert_eq!(load(&cookie, &signer), values);
        criterion.bench_function(&format!("{name}/loads"), |bencher| {
            bencher.iter(|| load(&cookie, &signer));
        });
        criterion.bench_function(&format!("{name}/dumps"), |bencher| {
            bencher.iter(|| dump(&values, &signer));
        });
    }
}

fn record(criterion: &mut Criterion) {
    let values = session();
    let record = msgpack::encode(&values).expect("every value has a form");
    criterion.bench_function("record/loads", |bencher| bencher.iter(|| msgpack::decode(&record)));
    criterion.bench_function("record/dumps", |bencher| bencher.iter(|| msgpack::encode(&values)));
}

/// The parts of a cookie by themselves. A short payload: nothing is compressed.
fn parts(criterion: &mut Criterion) {
    let signer = Signer::new(b"0123456789abcdef0123456789abcdef", &[], SESSION_SALT);
    let values = sign_in();
    let text = tagged::encode(&values).expect("every value has a form");
    let signed = signing::sign(text.as_bytes(), &signer, NOW);
    criterion.bench_function("signing/sign", |bencher| {
        bencher.iter(|| signing::sign(text.as_bytes(), &signer, NOW));
    });
    criterion.bench_function("signing/verify", |bencher| {
        bencher.iter(|| signing::verify(&signed, &signer, NOW, MAX_AGE));
    });
    criterion.bench_function("tagged/encode", |bencher| bencher.iter(|| tagged::encode(&values)));
    criterion.bench_function("tagged/decode", |bencher| bencher.iter(|| tagged::decode(&text)));
}

fn id(criterion: &mut Criterion) {
    criterion.bench_function("id/new", |bencher| {
        bencher.iter(|| SessionId::generate(32).expect("there are random bytes"));
    });
    let id = SessionId::generate(32).expect("there are random bytes");
    criterion.bench_function("id/store_key", |bencher| {
        bencher.iter(|| id.store_key("session:", true));
    });
}

criterion_group!(benches, cookie, parts, record, id);
criterion_main!(benches);
