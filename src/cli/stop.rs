//! Stopping so that whatever was accepted is answered.
//!
//! Rocket closes a connection on which no request has been read yet when it is told to stop, though
//! one may have been sent. So the port is made deaf first: whoever connects from then on hears
//! nothing until the next process listens, and tries again by itself. What is in line already is
//! accepted and answered, on connections that end with the answer; only then is Rocket told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rocket::fairing::AdHoc;
use rocket::tokio::signal::unix::{SignalKind, signal};
use rocket::{Build, Orbit, Rocket};

use super::systemd;

/// How long it takes at most, on a busy machine, to accept what is in line and read what was sent.
const DRAIN: Duration = Duration::from_millis(250);

/// Has SIGTERM and SIGINT stop the server, in place of Rocket's own handling of them.
pub fn gently(rocket: Rocket<Build>) -> Rocket<Build> {
    let stopping = Arc::new(AtomicBool::new(false));
    let ending = Arc::clone(&stopping);
    rocket
        .attach(AdHoc::on_liftoff("Stop", |rocket| {
            Box::pin(async move { on_signals(rocket, stopping) })
        }))
        .attach(AdHoc::on_response("Last answers", move |_, response| {
            let ending = ending.load(Ordering::Relaxed);
            Box::pin(async move {
                if ending {
                    response.set_raw_header("Connection", "close");
                }
            })
        }))
}

fn on_signals(rocket: &Rocket<Orbit>, stopping: Arc<AtomicBool>) {
    let shutdown = rocket.shutdown();
    let config = rocket.config();
    let address = SocketAddr::new(config.address, config.port);
    let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let [Ok(mut terminate), Ok(mut interrupt)] = signals else {
        return log::warn!("SIGTERM cannot be handled; it ends the process at once");
    };
    rocket::tokio::spawn(async move {
        let mut signals = async || {
            rocket::tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        let signal = signals().await;
        log::info!("{signal}: answering what was accepted, then stopping");
        systemd::stopping();
        stopping.store(true, Ordering::Relaxed);
        if let Err(error) = deafen(address) {
            log::debug!("{address} stays open until the end: {error}");
        }
        // Whoever asks twice does not want to wait.
        rocket::tokio::select! {
            () = rocket::tokio::time::sleep(DRAIN) => {}
            _ = signals() => {}
        }
        shutdown.notify();
    });
}

/// Has the system drop what comes to the listening socket from now on.
#[cfg(target_os = "linux")]
fn deafen(address: SocketAddr) -> std::io::Result<()> {
    use rustix::net::{getsockname, sockopt::socket_acceptconn};
    use socket2::{SockFilter, SockRef};

    use crate::descriptors::Own;

    /// The program of one instruction that keeps 0 bytes of a packet.
    const NOTHING: SockFilter = SockFilter::new(0x06, 0, 0, 0);

    // Rocket keeps the socket to itself; it is found among the process's own.
    let own = Own::open()?;
    for number in own.numbers()? {
        // One that was closed meanwhile is none of interest.
        let Ok(socket) = own.socket(number) else { continue };
        let listens = socket_acceptconn(&socket).unwrap_or(false)
            && getsockname(&socket).is_ok_and(|name| SocketAddr::try_from(name) == Ok(address));
        if listens {
            return SockRef::from(&socket).attach_filter(&[NOTHING]);
        }
    }
    Err(std::io::Error::other("the system does not let it be found"))
}

#[cfg(not(target_os = "linux"))]
fn deafen(_address: SocketAddr) -> std::io::Result<()> {
    Err(std::io::Error::other("this is not Linux"))
}
