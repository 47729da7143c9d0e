//! Rocket with rocket_flex_session on SQLite: `DATABASE`, `ROLLING`.

#[path = "../../page.rs"]
mod page;

use page::{LIST, ListPage};
use rocket::http::Status;
use rocket::{get, launch, routes};
use rocket_dyn_templates::Template;
use rocket_flex_session::storage::sqlx::{SessionSqlx, SqlxSqliteStorage};
use rocket_flex_session::{RocketFlexSession, Session, SessionIdentifier};
use serde::{Deserialize, Serialize};
use sqlx::Sqlite;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous};

#[derive(Clone, Serialize, Deserialize)]
struct Visitor {
    user: String,
    n: u64,
}

impl SessionIdentifier for Visitor {
    type Id = String;

    fn identifier(&self) -> Option<String> {
        Some(self.user.clone())
    }
}

impl SessionSqlx<Sqlite> for Visitor {
    type Error = serde_json::Error;
    type Data = String;

    fn into_sql(self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&self)
    }

    fn from_sql(value: String) -> Result<Self, serde_json::Error> {
        serde_json::from_str(&value)
    }
}

#[get("/sign-in")]
fn sign_in(mut session: Session<Visitor>) -> &'static str {
    session.set(Visitor { user: "gkf".into(), n: 0 });
    "signed in"
}

#[get("/page")]
fn list(session: Session<Visitor>) -> Result<Template, Status> {
    let visitor = session.get().ok_or(Status::Unauthorized)?;
    Ok(Template::render(LIST, ListPage::new(visitor.user)))
}

#[get("/write")]
fn write(mut session: Session<Visitor>) -> Result<Template, Status> {
    let visitor = add_one(&mut session)?;
    Ok(Template::render(LIST, ListPage::new(visitor.user)))
}

#[get("/increment")]
fn increment(mut session: Session<Visitor>) -> Result<String, Status> {
    Ok(format!("n={}", add_one(&mut session)?.n))
}

#[get("/count")]
fn count(session: Session<Visitor>) -> Result<String, Status> {
    Ok(format!("n={}", session.get().ok_or(Status::Unauthorized)?.n))
}

fn add_one(session: &mut Session<Visitor>) -> Result<Visitor, Status> {
    session
        .tap_mut(|visitor| {
            let visitor = visitor.as_mut()?;
            visitor.n += 1;
            Some(visitor.clone())
        })
        .ok_or(Status::Unauthorized)
}

#[launch]
async fn rocket() -> _ {
    let file = std::env::var("DATABASE").expect("DATABASE names a file");
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    let pool = SqlitePool::connect_with(options).await.expect("the database opens");
    sqlx::query(
        "CREATE TABLE IF NOT EXISTS sessions (id TEXT NOT NULL PRIMARY KEY, data TEXT NOT NULL, \
         user_id TEXT, expires TEXT NOT NULL)",
    )
    .execute(&pool)
    .await
    .expect("the table is made");
    let storage = SqlxSqliteStorage::builder().pool(pool).table_name("sessions").build();
    let rolling = std::env::var("ROLLING").is_ok_and(|value| value == "1");
    let figment = rocket::Config::figment().merge(("template_dir", "/dev/null"));
    rocket::custom(figment)
        .attach(
            RocketFlexSession::<Visitor>::builder()
                .storage(storage)
                .with_options(|options| {
                    options.rolling = rolling;
                    options.secure = false;
                })
                .build(),
        )
        .attach(Template::try_custom(|engines| {
            page::prepare(&mut engines.minijinja).map_err(Into::into)
        }))
        .mount("/", routes![sign_in, list, write, increment, count])
}
