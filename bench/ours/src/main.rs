//! The peers' pages on `dewar::session`, and what else is measured of the library:
//!
//! ```text
//! ours                             serve the pages; ROCKET_… and FLASK_… variables, DATABASE
//! ours fill FILE COUNT EXPIRED COOKIES    write sessions into a Dewar database
//! ours hash COUNT                  check a password so often; prints the CPU time of one
//! ```

mod fill;
mod hash;
#[path = "../../peers/page.rs"]
mod page;

use std::path::PathBuf;
use std::sync::Arc;

use dewar::session::{Error, Session, Sessions};
use dewar::sqlite::{self, Database};
use page::{LIST, ListPage};
use rocket::http::Status;
use rocket::response::Redirect;
use rocket::{Build, Rocket, State, get, routes};
use rocket_dyn_templates::Template;

type Page = Result<Template, Status>;

fn user(session: &Session) -> Result<String, Status> {
    session.get::<String>("user").map_err(failed)?.ok_or(Status::Unauthorized)
}

fn failed(error: Error) -> Status {
    error.status()
}

fn render(user: String) -> Template {
    Template::render(LIST, ListPage::new(user))
}

fn add_one(session: &Session) -> Result<u64, Status> {
    session.modify("n", |n: &mut u64| *n += 1).map_err(failed)?;
    Ok(session.get("n").map_err(failed)?.unwrap_or(0))
}

/// Gives a visitor a new session, as signing in does.
#[get("/sign-in")]
fn sign_in(session: &Session) -> Result<&'static str, Error> {
    session.clear();
    session.regenerate();
    session.set_permanent(true);
    session.insert("user", "gkf")?;
    Ok("signed in")
}

#[get("/page")]
fn list(session: &Session) -> Page {
    Ok(render(user(session)?))
}

/// The same with the account looked up, as the directory does.
#[get("/account")]
async fn account(session: &Session, accounts: &State<Arc<Database>>) -> Page {
    known(user(session)?, accounts.read(name_of).await)
}

/// The same with the account looked up on a thread that may wait.
#[get("/hop")]
async fn hop(session: &Session, accounts: &State<Arc<Database>>) -> Page {
    known(user(session)?, accounts.read_long(name_of).await)
}

fn name_of(connection: &rusqlite::Connection) -> rusqlite::Result<String> {
    connection
        .prepare_cached("SELECT name FROM bench_accounts WHERE id = ?1")?
        .query_row([1], |row| row.get(0))
}

fn known(name: String, found: Result<String, sqlite::Error>) -> Page {
    let found = found.map_err(|_| Status::ServiceUnavailable)?;
    if found == name { Ok(render(name)) } else { Err(Status::Unauthorized) }
}

#[get("/write")]
fn write(session: &Session) -> Page {
    let user = user(session)?;
    add_one(session)?;
    Ok(render(user))
}

#[get("/increment")]
fn increment(session: &Session) -> Result<String, Status> {
    user(session)?;
    Ok(format!("n={}", add_one(session)?))
}

#[get("/count")]
fn count(session: &Session) -> Result<String, Status> {
    Ok(format!("n={}", session.get::<u64>("n").map_err(failed)?.unwrap_or(0)))
}

/// A page that leaves the session alone, in a program that has one.
#[get("/without")]
fn without() -> Template {
    render("gkf".into())
}

#[get("/text")]
fn text() -> &'static str {
    "signed in"
}

#[get("/redirect")]
fn redirect() -> Redirect {
    Redirect::to("/login?next=%2Fredirect")
}

fn rocket() -> Rocket<Build> {
    let file: PathBuf = std::env::var_os("DATABASE").expect("DATABASE names a file").into();
    let database = Database::open(&file).expect("the database opens");
    database
        .write_blocking(|connection| {
            connection.execute_batch(
                "CREATE TABLE IF NOT EXISTS bench_accounts \
                 (id INTEGER PRIMARY KEY, name TEXT NOT NULL); \
                 INSERT OR IGNORE INTO bench_accounts VALUES (1, 'gkf');",
            )
        })
        .expect("the account is made");
    let figment = rocket::Config::figment()
        .merge(("template_dir", "/dev/null"))
        .merge(("SESSION_SQLITE_PATH", &file));
    let pages =
        routes![sign_in, list, account, hop, write, increment, count, without, text, redirect];
    rocket::custom(figment)
        .manage(database)
        .attach(Sessions::fairing())
        .attach(Template::try_custom(|engines| {
            page::prepare(&mut engines.minijinja).map_err(Into::into)
        }))
        .mount("/", pages)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => {
            rocket::execute(rocket().launch())?;
        }
        ["fill", file, count, expired, cookies] => {
            fill::run(file.as_ref(), count.parse()?, expired.parse()?, cookies.as_ref())?;
        }
        ["hash", count] => hash::run(count.parse()?)?,
        _ => {
            return Err(
                "usage: ours | ours fill FILE COUNT EXPIRED COOKIES | ours hash COUNT".into()
            );
        }
    }
    Ok(())
}
