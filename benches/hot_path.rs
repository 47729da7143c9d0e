//! Does one thing so often and nothing else, for `benches/instructions` to count:
//!
//! ```text
//! hot_path read|write|cookie COUNT
//! ```
//!
//! One request each, routed and answered by Rocket but over no socket: a page that reads the
//! session from SQLite with rolling expiry on, one that changes it there, and one that reads it
//! from Flask's signed cookie.

use dewar::session::{Error, Session, Sessions};
use rocket::http::{Header, Status};
use rocket::local::asynchronous::Client;
use rocket::{get, routes, tokio};

#[get("/sign-in")]
fn sign_in(session: &Session) -> Result<(), Error> {
    session.set_permanent(true);
    session.insert("user", "gkf")
}

#[get("/read")]
fn read(session: &Session) -> Result<Option<String>, Error> {
    session.get("user")
}

#[get("/write")]
fn write(session: &Session) -> Result<&'static str, Error> {
    session.modify("n", |n: &mut u64| *n += 1)?;
    Ok("written")
}

async fn run(operation: &str, count: u64) {
    let directory = tempfile::tempdir().expect("there is room for a file");
    let (store, path) = match operation {
        "read" => ("sqlite", "/read"),
        "write" => ("sqlite", "/write"),
        "cookie" => ("cookie", "/read"),
        _ => panic!("no such operation: {operation}"),
    };
    let figment = rocket::Config::figment()
        .merge(("log_level", "off"))
        .merge(("SECRET_KEY", "c4e1f09ab7d25386e0f1a2b3948576cd"))
        .merge(("SESSION_TYPE", store))
        .merge(("SESSION_SQLITE_PATH", directory.path().join("sessions.db")));
    let rocket = rocket::custom(figment)
        .attach(Sessions::fairing())
        .mount("/", routes![sign_in, read, write]);
    let client = Client::untracked(rocket).await.expect("it starts");
    let answer = client.get("/sign-in").dispatch().await;
    let cookie = answer.headers().get_one("Set-Cookie").expect("there is a session");
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    drop(answer);
    for _ in 0..count {
        let request = client.get(path).header(Header::new("Cookie", cookie.clone()));
        assert_eq!(request.dispatch().await.status(), Status::Ok);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [operation, count, ..] = &arguments[..] else {
        return println!("counted by benches/instructions, not timed");
    };
    let Ok(count) = count.parse() else { return println!("how often, in digits") };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("there is a runtime")
        .block_on(run(operation, count));
}
