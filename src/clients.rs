//! Slow and silent clients, for whom Rocket waits without end.
//!
//! Rocket's listener is its own, and so are the connections it accepts. Here they are watched from
//! beside: once a second the kernel is asked how each fares, and one that has been waited for too long
//! is closed, which Rocket takes for a client's leaving. The application says which clients have a
//! request with it, as that is never the client's fault. `docs/clients.md` weighs this against other
//! ways.

#[cfg(target_os = "linux")]
mod closer;
#[cfg(target_os = "linux")]
mod connections;
#[cfg(target_os = "linux")]
mod fairing;
#[cfg(target_os = "linux")]
mod gate;
#[cfg(target_os = "linux")]
mod netlink;
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nobody watches"))]
mod requests;
#[cfg(target_os = "linux")]
mod warden;

use std::net::SocketAddr;

use rocket::{Build, Ignite, Rocket};

use crate::config::Patience;
#[cfg(target_os = "linux")]
use crate::descriptors;

pub use requests::arrived;

/// What to do where clients cannot be watched.
const REMEDY: &str = "slow clients are not cut off; put a proxy such as nginx or Caddy in front";

/// Launches, and watches the clients where the system allows it.
#[cfg(target_os = "linux")]
pub async fn launch(rocket: Rocket<Build>) -> Result<Rocket<Ignite>, rocket::Error> {
    descriptors::raise_limit();
    let (short, asked) = std::sync::mpsc::sync_channel(1);
    let fairing = fairing::Clients::new(asked);
    let rocket = rocket.attach(fairing).ignite().await?;
    let shutdown = rocket.shutdown();
    gate::admit(rocket.launch(), shutdown, short).await
}

/// Launches.
#[cfg(not(target_os = "linux"))]
pub async fn launch(rocket: Rocket<Build>) -> Result<Rocket<Ignite>, rocket::Error> {
    log::warn!("this is not Linux: {REMEDY}");
    rocket.launch().await
}

/// Why the clients of an address cannot be watched on this system, and what to do; `None` where
/// they can, or need not.
pub fn obstacle(local: SocketAddr, patience: &Patience) -> Option<String> {
    if !patience.is_limited() {
        return None;
    }
    #[cfg(target_os = "linux")]
    let obstacle = warden::Warden::new(local).err()?;
    #[cfg(not(target_os = "linux"))]
    let obstacle = format!("{local} is not on Linux");
    Some(format!("{obstacle}: {REMEDY}"))
}
