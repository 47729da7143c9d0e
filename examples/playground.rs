//! Every operation of a session as a route, for trying settings and for tests.
//!
//! `ROCKET_PORT=8000 cargo run --example playground --no-default-features --features sqlite`

use dewar::session::{Error, Session, Sessions};
use rocket::serde::json::{Json, Value, json};
use rocket::{get, launch, post, routes};

type Answer = Result<Json<Value>, Error>;

fn all(session: &Session) -> Answer {
    Ok(Json(json!(session.values())))
}

#[get("/get")]
fn get(session: &Session) -> Answer {
    all(session)
}

#[post("/set", data = "<values>")]
fn set(session: &Session, values: Json<serde_json::Map<String, Value>>) -> Answer {
    for (key, value) in values.iter() {
        session.insert(key, value)?;
    }
    all(session)
}

#[post("/pop/<key>")]
fn pop(session: &Session, key: &str) -> Answer {
    session.remove(key);
    all(session)
}

#[post("/clear")]
fn clear(session: &Session) -> Answer {
    session.clear();
    all(session)
}

#[post("/permanent/<on>")]
fn permanent(session: &Session, on: u8) -> Answer {
    session.set_permanent(on != 0);
    all(session)
}

#[post("/increment/<key>")]
async fn increment(session: &Session, key: &str) -> Answer {
    session.modify(key, |count: &mut i64| *count += 1)?;
    // Saved before it is read, so that the answer counts what other requests did meanwhile.
    session.save().await?;
    all(session)
}

#[post("/flash/<category>/<message>")]
fn flash(session: &Session, category: &str, message: &str) {
    session.flash(message, category);
}

#[get("/flashes")]
fn flashes(session: &Session) -> Json<Value> {
    let messages = session.flashed_messages(&[]).into_iter();
    Json(messages.map(|flash| json!([flash.category, flash.message])).collect())
}

#[post("/regenerate")]
fn regenerate(session: &Session) -> Answer {
    session.regenerate();
    all(session)
}

#[launch]
fn rocket() -> _ {
    rocket::build()
        .attach(Sessions::fairing())
        .mount("/", routes![get, set, pop, clear, permanent, increment, flash, flashes, regenerate])
}
