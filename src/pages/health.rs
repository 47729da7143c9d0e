//! Whether the server can do its work, for load balancers and monitors.

use rocket::http::Status;
use rocket::{State, get};

use crate::auth::{Accounts, Client};
use crate::session::Sessions;

/// 200 when the session store and the database answer, else 503; a line for each.
#[get("/healthz")]
pub async fn healthz(
    sessions: &State<Sessions>,
    accounts: &State<Accounts>,
    client: Client<'_>,
) -> (Status, String) {
    let sessions = sessions.ping().await.map_err(|error| error.to_string());
    let database = accounts.any().await.map(|_| ()).map_err(|error| error.to_string());
    let mut status = Status::Ok;
    let mut line = |part: &str, result: Result<(), String>| match result {
        Ok(()) => format!("{part}: ok\n"),
        Err(error) => {
            // What exactly is wrong may name paths, which are nobody's business outside.
            log::error!(request_id = client.request_id; "health check: {part}: {error}");
            status = Status::ServiceUnavailable;
            format!("{part}: failing\n")
        }
    };
    let report = line("sessions", sessions) + &line("database", database);
    (status, report)
}
