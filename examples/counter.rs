//! Counts a visitor's page views in the session.
//!
//! `cargo run --example counter --no-default-features --features sqlite`

use dewar::session::{Error, Session, Sessions};
use rocket::response::Redirect;
use rocket::{get, launch, post, routes};

#[get("/")]
fn index(session: &Session) -> Result<String, Error> {
    session.modify("visits", |visits: &mut u64| *visits += 1)?;
    Ok(format!("visit {}", session.get::<u64>("visits")?.unwrap_or(0)))
}

#[post("/forget")]
fn forget(session: &Session) -> Redirect {
    session.clear();
    Redirect::to("/")
}

#[launch]
fn rocket() -> _ {
    rocket::build().attach(Sessions::fairing()).mount("/", routes![index, forget])
}
