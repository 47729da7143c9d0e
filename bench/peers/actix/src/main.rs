//! actix-web with actix-session: `STORE` (`redis` or `cookie`), `REDIS`, `PORT`, `ROLLING`.

#[path = "../../page.rs"]
mod page;

use std::sync::Arc;

use actix_session::config::{PersistentSession, TtlExtensionPolicy};
use actix_session::storage::{CookieSessionStore, RedisSessionStore, SessionStore};
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::error::{ErrorInternalServerError, ErrorUnauthorized};
use actix_web::web::{Data, Html};
use actix_web::{App, Error, HttpServer, get};
use minijinja::Environment;
use page::{LIST, ListPage};

fn user(session: &Session) -> Result<String, Error> {
    session.get::<String>("user")?.ok_or_else(|| ErrorUnauthorized("nobody is signed in"))
}

fn add_one(session: &Session) -> Result<u64, Error> {
    let n = session.get::<u64>("n")?.unwrap_or(0) + 1;
    session.insert("n", n)?;
    Ok(n)
}

fn render(engine: &Environment<'_>, user: String) -> Result<Html, Error> {
    let template = engine.get_template(LIST).map_err(ErrorInternalServerError)?;
    template.render(ListPage::new(user)).map(Html::new).map_err(ErrorInternalServerError)
}

#[get("/sign-in")]
async fn sign_in(session: Session) -> Result<&'static str, Error> {
    session.insert("user", "gkf")?;
    Ok("signed in")
}

#[get("/page")]
async fn list(session: Session, engine: Data<Environment<'static>>) -> Result<Html, Error> {
    render(&engine, user(&session)?)
}

#[get("/write")]
async fn write(session: Session, engine: Data<Environment<'static>>) -> Result<Html, Error> {
    let user = user(&session)?;
    add_one(&session)?;
    render(&engine, user)
}

#[get("/increment")]
async fn increment(session: Session) -> Result<String, Error> {
    user(&session)?;
    Ok(format!("n={}", add_one(&session)?))
}

#[get("/count")]
async fn count(session: Session) -> Result<String, Error> {
    Ok(format!("n={}", session.get::<u64>("n")?.unwrap_or(0)))
}

async fn serve<S: SessionStore + 'static>(
    store: impl Fn() -> S + Clone + Send + 'static,
) -> std::io::Result<()> {
    let mut engine = Environment::new();
    page::prepare(&mut engine).expect("the templates are right");
    let engine = Data::from(Arc::new(engine));
    let rolling = std::env::var("ROLLING").is_ok_and(|value| value == "1");
    let policy = match rolling {
        true => TtlExtensionPolicy::OnEveryRequest,
        false => TtlExtensionPolicy::OnStateChanges,
    };
    let key = Key::generate();
    let port = std::env::var("PORT").expect("PORT").parse().expect("PORT is a number");
    HttpServer::new(move || {
        let lifecycle = PersistentSession::default().session_ttl_extension_policy(policy.clone());
        let sessions = SessionMiddleware::builder(store(), key.clone())
            .cookie_secure(false)
            .session_lifecycle(lifecycle)
            .build();
        App::new()
            .wrap(sessions)
            .app_data(engine.clone())
            .service(sign_in)
            .service(list)
            .service(write)
            .service(increment)
            .service(count)
    })
    .bind(("127.0.0.1", port))?
    .run()
    .await
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    match std::env::var("STORE").as_deref() {
        Ok("redis") => {
            let url = std::env::var("REDIS").expect("REDIS is a URL");
            let store = RedisSessionStore::new(url).await.expect("Redis answers");
            serve(move || store.clone()).await
        }
        _ => serve(CookieSessionStore::default).await,
    }
}
