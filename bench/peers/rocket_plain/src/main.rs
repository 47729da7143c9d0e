//! Rocket with nothing of ours: what a page costs without session or account.
//!
//! `STUDENTS` names a Dewar database to list students from.

#[path = "../../page.rs"]
mod page;

use std::sync::{Mutex, PoisonError};

use page::{LIST, ListPage, Student};
use rocket::fs::FileServer;
use rocket::http::{ContentType, Header};
use rocket::response::Redirect;
use rocket::{Responder, State, get, launch, routes};
use rocket_dyn_templates::{Metadata, Template, context};
use rusqlite::Connection;

/// The user name that other programs find in the session.
const USER: &str = "gkf";

#[get("/page")]
fn list() -> Template {
    Template::render(LIST, ListPage::new(USER.into()))
}

/// The same with the students read as Dewar reads them, on the worker.
#[get("/students")]
fn students(file: &State<Mutex<Connection>>) -> Option<Template> {
    let connection = file.lock().unwrap_or_else(PoisonError::into_inner);
    let (students, total) = read(&connection).ok()?;
    Some(Template::render(LIST, ListPage::of(USER.into(), students, total)))
}

/// The same as Dewar does it: what is the same for everybody is rendered once for each state of the
/// table, and only that state is read.
#[get("/kept")]
fn kept(
    file: &State<Mutex<Connection>>,
    kept: &State<Kept>,
    engine: Metadata<'_>,
) -> Option<Template> {
    let connection = file.lock().unwrap_or_else(PoisonError::into_inner);
    let now: i64 = connection
        .prepare_cached("SELECT revision FROM roster")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .ok()?;
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let list = match &*kept {
        Some((revision, list)) if *revision == now => list.clone(),
        _ => {
            let (students, total) = read(&connection).ok()?;
            let page = ListPage::of(USER.into(), students, total);
            let list = engine.render("students.html", page)?.1;
            kept.insert((now, list)).1.clone()
        }
    };
    Some(Template::render("brief_introduction.html", context! { user: USER, list }))
}

/// The list, and the state of the table that it shows.
type Kept = Mutex<Option<(i64, String)>>;

fn read(connection: &Connection) -> rusqlite::Result<(Vec<Student>, u64)> {
    let connection = connection.unchecked_transaction()?;
    let total = connection
        .prepare_cached("SELECT count(*) FROM students")?
        .query_row([], |row| row.get(0))?;
    let students = connection
        .prepare_cached("SELECT id, name FROM students ORDER BY id LIMIT ?2 OFFSET ?1")?
        .query_map([0, 50], |row| Ok(Student { id: row.get(0)?, name: row.get(1)? }))?
        .collect::<Result<_, _>>()?;
    Ok((students, total))
}

/// A page of about the same size that nothing renders.
#[get("/text")]
fn text() -> (ContentType, &'static str) {
    (ContentType::HTML, include_str!("../../../../templates/students.html"))
}

#[get("/redirect")]
fn redirect() -> Redirect {
    Redirect::to("/login?next=%2Fredirect")
}

#[derive(Responder)]
struct Embedded(&'static str, ContentType, Header<'static>, Header<'static>);

/// A file from inside the program, with the headers that Dewar gives it.
#[get("/embedded/style.css")]
fn embedded() -> Embedded {
    Embedded(
        include_str!("../../../../static/style.css"),
        ContentType::CSS,
        Header::new("ETag", "\"0123456789ab\""),
        Header::new("Cache-Control", "no-cache"),
    )
}

#[launch]
fn rocket() -> _ {
    let file = match std::env::var("STUDENTS") {
        Ok(path) => Connection::open(path),
        Err(_) => Connection::open_in_memory(),
    };
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");
    let figment = rocket::Config::figment().merge(("template_dir", "/dev/null"));
    rocket::custom(figment)
        .manage(Mutex::new(file.expect("the students' database opens")))
        .manage(Kept::default())
        .attach(Template::try_custom(|engines| {
            page::prepare(&mut engines.minijinja).map_err(Into::into)
        }))
        .mount("/", routes![list, students, kept, text, redirect, embedded])
        .mount("/static", FileServer::from(format!("{repository}/static")))
}
