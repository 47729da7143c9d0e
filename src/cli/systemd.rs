//! Telling systemd how the service is, where there is one to tell.

use rocket::{Orbit, Rocket};
use sd_notify::NotifyState;

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("systemd cannot be told of the service's state: {error}");
    }
}

/// The database is migrated and the socket listens. Starts answering the watchdog, from a task of
/// the runtime: when that stands still, so do the answers.
pub fn ready(rocket: &Rocket<Orbit>) {
    notify(&[NotifyState::Ready]);
    if let Some(interval) = sd_notify::watchdog_enabled() {
        let shutdown = rocket.shutdown();
        rocket::tokio::spawn(async move {
            let mut ticks = rocket::tokio::time::interval(interval / 2);
            rocket::tokio::pin!(shutdown);
            loop {
                rocket::tokio::select! {
                    _ = ticks.tick() => notify(&[NotifyState::Watchdog]),
                    () = &mut shutdown => break,
                }
            }
        });
    }
}

/// The settings are being read again.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
}

/// They have been read, or refused.
pub fn reloaded() {
    notify(&[NotifyState::Ready]);
}

/// The server has stopped.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}
