//! axum with tower-sessions on SQLite: `DATABASE`, `PORT`, `ROLLING`.

#[path = "../../page.rs"]
mod page;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::get;
use axum::{Router, serve};
use minijinja::Environment;
use page::{LIST, ListPage};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous};
use tower_sessions::{Expiry, Session, SessionManagerLayer};
use tower_sessions_sqlx_store::SqliteStore;

type Engine = State<Arc<Environment<'static>>>;
type Failure = (StatusCode, String);

fn failed(error: impl std::fmt::Display) -> Failure {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

async fn user(session: &Session) -> Result<String, Failure> {
    let user = session.get::<String>("user").await.map_err(failed)?;
    user.ok_or_else(|| (StatusCode::UNAUTHORIZED, "nobody is signed in".into()))
}

async fn add_one(session: &Session) -> Result<u64, Failure> {
    let n = session.get::<u64>("n").await.map_err(failed)?.unwrap_or(0) + 1;
    session.insert("n", n).await.map_err(failed)?;
    Ok(n)
}

fn render(engine: &Environment<'_>, user: String) -> Result<Html<String>, Failure> {
    let template = engine.get_template(LIST).map_err(failed)?;
    template.render(ListPage::new(user)).map(Html).map_err(failed)
}

async fn sign_in(session: Session) -> Result<&'static str, Failure> {
    session.insert("user", "gkf").await.map_err(failed)?;
    Ok("signed in")
}

async fn list(session: Session, State(engine): Engine) -> Result<Html<String>, Failure> {
    render(&engine, user(&session).await?)
}

async fn write(session: Session, State(engine): Engine) -> Result<Html<String>, Failure> {
    let user = user(&session).await?;
    add_one(&session).await?;
    render(&engine, user)
}

async fn increment(session: Session) -> Result<String, Failure> {
    user(&session).await?;
    Ok(format!("n={}", add_one(&session).await?))
}

async fn count(session: Session) -> Result<String, Failure> {
    Ok(format!("n={}", session.get::<u64>("n").await.map_err(failed)?.unwrap_or(0)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = SqliteConnectOptions::new()
        .filename(std::env::var("DATABASE")?)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    let store = SqliteStore::new(SqlitePool::connect_with(options).await?);
    store.migrate().await?;
    let rolling = std::env::var("ROLLING").is_ok_and(|value| value == "1");
    let sessions = SessionManagerLayer::new(store)
        .with_secure(false)
        .with_always_save(rolling)
        .with_expiry(Expiry::OnInactivity(time::Duration::days(31)));
    let mut engine = Environment::new();
    page::prepare(&mut engine)?;
    let app = Router::new()
        .route("/sign-in", get(sign_in))
        .route("/page", get(list))
        .route("/write", get(write))
        .route("/increment", get(increment))
        .route("/count", get(count))
        .layer(sessions)
        .with_state(Arc::new(engine));
    let port: u16 = std::env::var("PORT")?.parse()?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(serve(listener, app).await?)
}
