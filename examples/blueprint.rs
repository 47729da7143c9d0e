//! Flask's blueprints are Rocket's mounts: a module hands out its routes, and the application says
//! under which path they lie. The session is one for all of them.
//!
//! `cargo run --example blueprint --no-default-features --features sqlite`, then
//! `curl -b jar -c jar -d name=gkf http://127.0.0.1:8000/user/reg`.

use dewar::session::{Error, Session, Sessions};
use rocket::{get, launch, routes};

/// The pages about users, wherever they are mounted.
mod user {
    use dewar::session::{Error, Session};
    use rocket::form::Form;
    use rocket::response::Redirect;
    use rocket::{FromForm, Route, get, post, routes};

    #[derive(FromForm)]
    struct Visitor<'r> {
        name: &'r str,
    }

    #[post("/reg", data = "<visitor>")]
    fn reg(session: &Session, visitor: Form<Visitor<'_>>) -> Result<Redirect, Error> {
        // A new id whenever a visitor's rights change.
        session.regenerate();
        session.insert("user", visitor.name)?;
        session.flash("You are registered", "message");
        Ok(Redirect::to("/"))
    }

    #[get("/login")]
    fn login(session: &Session) -> Result<String, Error> {
        let user: Option<String> = session.get("user")?;
        Ok(user.map_or_else(|| "nobody".into(), |user| format!("signed in as {user}")))
    }

    pub fn blueprint() -> Vec<Route> {
        routes![reg, login]
    }
}

#[get("/")]
fn index(session: &Session) -> Result<String, Error> {
    let user = session.get::<String>("user")?.unwrap_or_else(|| "stranger".into());
    let flashes = session.flashed_messages(&[]);
    let messages: Vec<_> = flashes.iter().map(|flash| flash.message.as_str()).collect();
    Ok(format!("Hello, {user}. {}", messages.join(" ")))
}

#[launch]
fn rocket() -> _ {
    rocket::build()
        .attach(Sessions::fairing())
        .mount("/", routes![index])
        .mount("/user", user::blueprint())
}
