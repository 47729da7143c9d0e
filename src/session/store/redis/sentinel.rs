//! Finding the primary that Sentinels watch over.

use redis::{Value, pipe};
use rocket::tokio::task::JoinSet;

use super::error::{Failure, text, unexpected};
use super::link::Connection;
use super::url::{Address, Login, Place, Watched};

/// A connection to the server that a Sentinel names and that calls itself the primary.
///
/// All Sentinels are asked at once, as any may hang or be behind the others: the first whose word
/// proves true wins.
pub async fn connect_to_primary(watched: &Watched) -> Result<Connection, Failure> {
    let mut attempts = JoinSet::new();
    for sentinel in watched.sentinels.clone() {
        attempts.spawn(follow(sentinel, watched.clone()));
    }
    let mut last = Failure::NoPrimary("none".into());
    while let Some(ended) = attempts.join_next().await {
        match ended {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(failure)) => last = Failure::NoPrimary(failure.to_string()),
            Err(_) => {}
        }
    }
    Err(last)
}

/// Goes where one Sentinel points.
async fn follow(sentinel: Address, watched: Watched) -> Result<Connection, Failure> {
    let address = ask(&sentinel, &watched).await?;
    let Watched { login, database, .. } = watched;
    let connection =
        Connection::open(&Place { address, tls: false, login, database }, None).await?;
    let mut command = pipe();
    command.cmd("ROLE");
    match connection.ask(&command).await?.pop() {
        Some(Value::Array(role)) => match text(role.into_iter().next())?.as_str() {
            "master" => Ok(connection),
            _ => Err(Failure::Refused("the server it names is a replica")),
        },
        other => Err(unexpected(other)),
    }
}

/// The address of the primary, as one Sentinel knows it. Sentinels mostly want no password; one
/// that does is given the primary's.
async fn ask(sentinel: &Address, watched: &Watched) -> Result<Address, Failure> {
    let mut place =
        Place { address: sentinel.clone(), tls: false, login: Login::default(), database: 0 };
    let mut command = pipe();
    command.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(&watched.name);
    let mut answer = Connection::open(&place, None).await?.ask(&command).await?.pop();
    if matches!(&answer, Some(Value::ServerError(error)) if error.code() == "NOAUTH") {
        place.login = watched.login.clone();
        answer = Connection::open(&place, None).await?.ask(&command).await?.pop();
    }
    match answer {
        Some(Value::Array(parts)) => {
            let mut parts = parts.into_iter();
            let (host, port) = (text(parts.next())?, text(parts.next())?);
            let port = port.parse().map_err(|_| Failure::Unexpected)?;
            Ok(Address { host, port })
        }
        Some(Value::Nil) => Err(Failure::Refused(
            "it does not know the name in SESSION_REDIS (sentinel monitor NAME …)",
        )),
        other => Err(unexpected(other)),
    }
}
