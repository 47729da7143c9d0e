//! What visitors see: routes, catchers, and what every answer carries.

mod account;
mod api;
mod assets;
mod disk;
mod errors;
mod form;
mod frame;
mod gate;
mod headers;
mod health;
mod json;
mod login;
mod methods;
mod roster;
mod students;
mod templates;
mod traffic;

use rocket::shield::Shield;
use rocket::{Build, Rocket, catchers, routes};

use crate::config::Live;
use roster::Roster;

pub use templates::fairing as templates;
pub use traffic::Arrival;

/// Adds the pages to an application, to which [`Arrival`] is attached before all else.
pub fn mount(rocket: Rocket<Build>) -> Rocket<Build> {
    let roster = rocket.state::<Live>().map(|live| Roster::new(&live.get())).unwrap_or_default();
    rocket
        .manage(roster)
        .mount("/", gate::routes())
        .mount(
            "/",
            routes![
                assets::file,
                health::healthz,
                login::form,
                login::submit,
                login::logout,
                account::sessions::list,
                account::sessions::end,
                account::sessions::end_others,
                account::password::form,
                account::password::change,
                students::brief_introduction,
                students::detailed,
                students::index,
            ],
        )
        .mount(api::BASE, routes![api::list, api::one])
        .register("/", catchers![errors::not_signed_in, errors::not_found, errors::default])
        .register(api::BASE, catchers![api::not_found, api::problem])
        .attach(gate::WireMethod)
        // After `Sessions`, so that the page which replaces a response has these headers too.
        .attach(headers::Headers)
        // They include what Rocket's own shield would set, with other values.
        .attach(Shield::new())
        .attach(traffic::Departure)
}
