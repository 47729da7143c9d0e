//! Where metrics are read: `/metrics` on an address of its own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::registry::Registry;
use rocket::error::ErrorKind;
use rocket::fairing::AdHoc;
use rocket::http::{ContentType, Status};
use rocket::tokio::sync::oneshot;
use rocket::{Shutdown, State, catch, catchers, get, routes};

use super::{LiveSessions, Metrics, Registered};

/// Why the metrics are not served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve metrics on {address}: {problem}")]
pub struct Error {
    address: SocketAddr,
    problem: String,
}

/// Serves the metrics in the background, on this runtime, until the answer is notified; answers
/// when the address listens.
///
/// # Errors
/// When it cannot be listened at.
pub async fn serve(
    address: SocketAddr,
    metrics: &Metrics,
    live: &LiveSessions,
) -> Result<Option<Shutdown>, Error> {
    let Some(metrics) = metrics.0.clone() else { return Ok(None) };
    let (ready, listening) = oneshot::channel();
    let ready = Mutex::new(Some(ready));
    let server = rocket::custom(config(address))
        .manage(metrics)
        .manage(live.clone())
        .mount("/", routes![read])
        .register("/", catchers![plain])
        .attach(AdHoc::on_liftoff("Listening", move |rocket| {
            let ready = ready.lock().unwrap_or_else(PoisonError::into_inner).take();
            let address = SocketAddr::new(rocket.config().address, rocket.config().port);
            log::info!("metrics on http://{address}/metrics");
            Box::pin(async move { drop(ready.map(|ready| ready.send(rocket.shutdown()))) })
        }));
    let failed = |error: rocket::Error| match error.kind() {
        ErrorKind::Bind(error) | ErrorKind::Io(error) => error.to_string(),
        kind => kind.to_string(),
    };
    let server = rocket::tokio::spawn(async move { server.launch().await.map_err(failed).err() });
    match listening.await {
        Ok(shutdown) => Ok(Some(shutdown)),
        // It ended before it listened.
        Err(_) => {
            let problem = server.await.ok().flatten().unwrap_or_else(|| "it ended at once".into());
            Err(Error { address, problem })
        }
    }
}

fn config(address: SocketAddr) -> rocket::Config {
    rocket::Config {
        address: address.ip(),
        port: address.port(),
        ident: rocket::config::Ident::none(),
        ip_header: None,
        cli_colors: false,
        // Signals are for the server of the pages, which then stops this one.
        shutdown: rocket::config::Shutdown {
            ctrlc: false,
            signals: Default::default(),
            grace: 0,
            mercy: 0,
            ..Default::default()
        },
        ..rocket::Config::release_default()
    }
}

#[get("/metrics")]
async fn read(
    metrics: &State<Arc<Registered>>,
    live: &State<LiveSessions>,
) -> Result<(ContentType, String), Status> {
    live.renew().await;
    let mut more = Registry::default();
    more.register_collector(Box::new(live.inner().clone()));
    let text = metrics.text(&more).map_err(|_| Status::InternalServerError)?;
    let kind = ContentType::new("application", "openmetrics-text")
        .with_params([("version", "1.0.0"), ("charset", "utf-8")]);
    Ok((kind, text))
}

#[catch(default)]
fn plain(status: Status, _request: &rocket::Request<'_>) -> String {
    format!("{status}\nThe metrics are at /metrics.\n")
}
