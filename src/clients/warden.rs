//! The thread that looks at the connections, and closes what has been waited for too long.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::closer::Closer;
use super::connections::Connections;
use super::netlink::Netlink;
use super::requests::{Requests, Stage};
use crate::config::Live;
use crate::descriptors;

/// Between two looks, unless the settings ask for closer ones.
const PAUSE: Duration = Duration::from_secs(1);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// The fewest connections that are closed where descriptors run out.
const FEWEST: usize = 8;
const BETWEEN_WARNINGS: Duration = Duration::from_secs(10);

/// Why clients cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum Unable {
    /// Their connections cannot be listed.
    #[error("the kernel does not list the connections (a netlink socket: {0})")]
    List(Errno),
    /// They cannot be closed.
    #[error("connections cannot be closed from outside (the system call pidfd_getfd: {0})")]
    Close(Errno),
}

/// What it takes to watch the clients of an address.
pub struct Warden {
    netlink: Netlink,
    closer: Closer,
    local: SocketAddr,
    connections: Connections,
    evicted: Evicted,
}

impl Warden {
    /// # Errors
    /// Where the kernel, or what guards it, does not allow it.
    pub fn new(local: SocketAddr) -> Result<Self, Unable> {
        let mut netlink = Netlink::open().map_err(Unable::List)?;
        netlink.connections(local).map_err(Unable::List)?;
        let closer = Closer::open(local.port()).map_err(Unable::Close)?;
        Ok(Self {
            netlink,
            closer,
            local,
            connections: Connections::default(),
            evicted: Evicted::default(),
        })
    }

    /// Watches until the sender of `short` is gone; what comes from it asks for descriptors.
    pub fn watch(mut self, live: &Live, requests: &Requests, short: &Receiver<()>) {
        loop {
            let patience = live.get().patience;
            let pause = patience.shortest().map_or(PAUSE, |shortest| shortest / 8);
            let short = match short.recv_timeout(pause.clamp(SHORTEST_PAUSE, PAUSE)) {
                Ok(()) => true,
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let seen = match self.netlink.connections(self.local) {
                Ok(seen) => seen,
                Err(error) => {
                    log::warn!("the connections of slow clients cannot be seen: {error}");
                    continue;
                }
            };
            let stage = |peer| requests.stage(peer);
            let mut overdue = self.connections.look(Instant::now(), &seen, stage, &patience);
            if short {
                let at_most = FEWEST.max(descriptors::limit() / 64);
                overdue.extend(self.connections.dispensable(at_most));
            }
            // One may have come since.
            overdue.retain(|one| one.sending || requests.stage(one.peer) != Stage::Answering);
            if overdue.is_empty() {
                if short {
                    // All are busy, and more looks at them make no room.
                    thread::sleep(SHORTEST_PAUSE);
                }
                continue;
            }
            match self.closer.close(&overdue) {
                Ok(closed) if short => self.evicted.add(closed),
                Ok(closed) => log::debug!("closed {closed} connections of slow or silent clients"),
                Err(error) => log::warn!("slow clients' connections cannot be closed: {error}"),
            }
        }
    }
}

/// The connections closed for the sake of others, told of now and then.
#[derive(Default)]
struct Evicted {
    untold: usize,
    told: Option<Instant>,
}

impl Evicted {
    fn add(&mut self, closed: usize) {
        self.untold += closed;
        if self.untold > 0 && self.told.is_none_or(|told| told.elapsed() >= BETWEEN_WARNINGS) {
            log::warn!(
                "out of file descriptors (ulimit -n): closed {} idle connections to make room",
                self.untold
            );
            *self = Self { untold: 0, told: Some(Instant::now()) };
        }
    }
}
