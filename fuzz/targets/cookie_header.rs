//! A request's `Cookie` header, through the fairing and the guard: no header is a failure, and
//! the session that comes back in `Set-Cookie` is the one that was there and what was put in.
#![no_main]

use std::sync::{LazyLock, Mutex};

use dewar::session::codec::tagged;
use dewar::session::signing::{self, SESSION_SALT, Signer};
use dewar::session::{Error, Map, Session, Sessions, Value};
use libfuzzer_sys::fuzz_target;
use rocket::http::{Header, Status};
use rocket::local::blocking::Client;
use rocket::{get, routes};

/// What the handler found.
static SEEN: Mutex<Option<Map>> = Mutex::new(None);

#[get("/")]
fn index(session: &Session) -> Result<(), Error> {
    let mut seen = SEEN.lock().unwrap();
    *seen = Some(session.values());
    session.insert("seen", &true)
}

const KEY: &str = "c4e1f09ab7d25386e0f1a2b3948576cd";

fn client() -> Client {
    let figment = rocket::Config::figment()
        .merge(("log_level", "off"))
        .merge(("SECRET_KEY", KEY))
        .merge(("SESSION_TYPE", "cookie"))
        .merge(("PERMANENT_SESSION_LIFETIME", "400 days"));
    let rocket = rocket::custom(figment).attach(Sessions::fairing()).mount("/", routes![index]);
    Client::untracked(rocket).expect("it launches")
}

thread_local! {
    static CLIENT: Client = client();
}

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::new(KEY.as_bytes(), &[], SESSION_SALT));

fn now() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().expect("the clock is right").as_secs();
    i64::try_from(since).expect("the clock is right")
}

/// Sends one header and reads what comes back.
fn visit(header: String) {
    let set_cookie = CLIENT.with(|client| {
        let response = client.get("/").header(Header::new("Cookie", header)).dispatch();
        assert_eq!(response.status(), Status::Ok);
        response.headers().get_one("Set-Cookie").expect("the session was changed").to_owned()
    });
    let cookie = set_cookie.split([';', '=']).nth(1).expect("it has a value");
    let verified = signing::verify(cookie, &SIGNER, now(), 60).expect("it was signed just now");
    let text = String::from_utf8(verified.payload).expect("it is ASCII");
    let mut expected = SEEN.lock().unwrap().take().expect("the handler ran");
    expected.insert("seen", Value::Bool(true));
    assert_eq!(tagged::decode(&text), Ok(expected));
}

fuzz_target!(|text: &str| {
    // A word that stands for a cookie of today, which no seed can hold.
    let cookie = signing::sign(br#"{"user":"gkf"}"#, &SIGNER, now());
    visit(text.replace("COOKIE", &cookie));
    visit(format!("session={}; {text}", signing::sign(text.as_bytes(), &SIGNER, now())));
});
