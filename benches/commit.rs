//! What opening and committing a session adds to a request, with a store that costs next to
//! nothing: the difference to `request/without` is the layer's own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use dewar::session::store::{Cursor, Page, Record, Replacement};
use dewar::session::{Error, Session, Sessions, Store, StoreKey};
use rocket::http::{Header, Status};
use rocket::local::asynchronous::Client;
use rocket::{get, routes, tokio};

/// Records in a map. Nothing expires.
#[derive(Debug, Default)]
struct Memory(Mutex<HashMap<StoreKey, Vec<u8>>>);

impl Memory {
    fn records(&self) -> MutexGuard<'_, HashMap<StoreKey, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[rocket::async_trait]
impl Store for Memory {
    async fn load(&self, key: &StoreKey) -> Result<Option<Record>, Error> {
        let expires_in = Some(Duration::from_secs(31 * 86_400));
        Ok(self.records().get(key).map(|bytes| Record { bytes: bytes.clone(), expires_in }))
    }

    async fn create(&self, key: &StoreKey, bytes: &[u8], _ttl: Duration) -> Result<bool, Error> {
        Ok(self.records().insert(key.clone(), bytes.to_vec()).is_none())
    }

    async fn replace(
        &self,
        key: &StoreKey,
        expected: &[u8],
        replacement: &Replacement,
    ) -> Result<bool, Error> {
        let mut records = self.records();
        if records.get(key).is_none_or(|bytes| bytes != expected) {
            return Ok(false);
        }
        records.remove(key);
        match replacement {
            Replacement::Bytes { bytes, .. } => records.insert(key.clone(), bytes.clone()),
            Replacement::Moved { key, bytes, .. } => records.insert(key.clone(), bytes.clone()),
            Replacement::Removed => None,
        };
        Ok(true)
    }

    async fn touch(&self, key: &StoreKey, _ttl: Duration) -> Result<bool, Error> {
        Ok(self.records().contains_key(key))
    }

    async fn delete(&self, key: &StoreKey) -> Result<(), Error> {
        self.records().remove(key);
        Ok(())
    }

    async fn sweep(&self, _limit: usize) -> Result<usize, Error> {
        Ok(0)
    }

    async fn scan(
        &self,
        _prefix: &str,
        _from: Option<&Cursor>,
        _limit: usize,
    ) -> Result<Option<Page>, Error> {
        Ok(None)
    }

    async fn ping(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[get("/without")]
fn without() -> &'static str {
    "text"
}

#[get("/read")]
fn read(session: &Session) -> Result<&'static str, Error> {
    session.get::<String>("user")?;
    Ok("text")
}

#[get("/write")]
fn write(session: &Session) -> Result<&'static str, Error> {
    session.modify("n", |n: &mut u64| *n += 1)?;
    Ok("text")
}

/// Gives the visitor a new session, as signing in does.
#[get("/sign-in")]
fn sign_in(session: &Session) -> Result<&'static str, Error> {
    session.clear();
    session.regenerate();
    session.set_permanent(true);
    session.insert("user", "gkf")?;
    Ok("text")
}

fn request(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("there is a runtime");
    let store = Arc::new(Memory::default());
    let figment = rocket::Config::figment().merge(("log_level", "off"));
    let rocket = rocket::custom(figment)
        .attach(Sessions::with_store(store.clone()))
        .mount("/", routes![without, read, write, sign_in]);
    let client = runtime.block_on(Client::untracked(rocket)).expect("it starts");
    let ask = async |path: &'static str, cookie: &str| {
        let request = client.get(path).header(Header::new("Cookie", cookie.to_owned()));
        let answer = request.dispatch().await;
        assert_eq!(answer.status(), Status::Ok);
        answer.headers().get_one("Set-Cookie").map(str::to_owned).unwrap_or_default()
    };
    let cookie = runtime.block_on(ask("/sign-in", ""));
    let cookie = cookie.split(';').next().unwrap_or_default();
    for path in ["/without", "/read", "/write"] {
        criterion.bench_function(&format!("request{path}"), |bencher| {
            bencher.iter(|| runtime.block_on(ask(path, cookie)));
        });
    }
    criterion.bench_function("request/sign-in", |bencher| {
        bencher.iter(|| {
            store.records().clear();
            runtime.block_on(ask("/sign-in", ""))
        });
    });
}

criterion_group!(benches, request);
criterion_main!(benches);
