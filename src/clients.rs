//! Slow and silent clients, for whom Rocket waits without end.
//!
//! Rocket's listener is its own, and so are the connections it accepts. Here they are watched from
//! beside: once a second the kernel is asked how each fares, and one that has been waited for too long
//! is closed, which Rocket takes for a client's leaving. The application says which clients have a
//! request with it, as that is never the client's fault. `docs/clients.md` weighs this against other
//! ways.

#[cfg(target_os = "linux")]
mod connections;
#[cfg(target_os = "linux")]
mod descriptors;
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
/// they can.
pub fn obstacle(local: SocketAddr) -> Option<String> {
    #[cfg(target_os = "linux")]
    let obstacle = warden::Warden::new(local).err()?;
    #[cfg(not(target_os = "linux"))]
    let obstacle = format!("{local} is not on Linux");
    Some(format!("{obstacle}: {REMEDY}"))
}

#[cfg(target_os = "linux")]
mod fairing {
    use std::net::SocketAddr;
    use std::sync::mpsc::Receiver;
    use std::sync::{Mutex, PoisonError};
    use std::thread;

    use rocket::fairing::{Fairing, Info, Kind};
    use rocket::{Data, Orbit, Request, Rocket};

    use super::REMEDY;
    use super::requests::Requests;
    use super::warden::Warden;
    use crate::config::Live;

    /// Keeps account of the requests in progress and has a thread watch their clients.
    pub struct Clients {
        requests: Requests,
        short: Mutex<Option<Receiver<()>>>,
    }

    impl Clients {
        pub fn new(short: Receiver<()>) -> Self {
            Self { requests: Requests::default(), short: Mutex::new(Some(short)) }
        }
    }

    #[rocket::async_trait]
    impl Fairing for Clients {
        fn info(&self) -> Info {
            Info { name: "Slow clients", kind: Kind::Liftoff | Kind::Request }
        }

        async fn on_liftoff(&self, rocket: &Rocket<Orbit>) {
            let config = rocket.config();
            let short = self.short.lock().unwrap_or_else(PoisonError::into_inner).take();
            let (Some(short), Some(live)) = (short, rocket.state::<Live>().cloned()) else {
                return;
            };
            let warden = match Warden::new(SocketAddr::new(config.address, config.port)) {
                Ok(warden) => warden,
                Err(obstacle) => return log::warn!("{obstacle}: {REMEDY}"),
            };
            let requests = self.requests.clone();
            let watch = move || warden.watch(&live, &requests, &short);
            if let Err(error) = thread::Builder::new().name("slow-clients".into()).spawn(watch) {
                log::warn!("no thread can be started ({error}): {REMEDY}");
            }
        }

        async fn on_request(&self, request: &mut Request<'_>, data: &mut Data<'_>) {
            // As much as Rocket allows, which is all of most bodies.
            data.peek(usize::MAX).await;
            self.requests.begin(request, !data.peek_complete());
        }
    }
}
