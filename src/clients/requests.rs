//! Which clients have a request with the application.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rocket::Request;

/// Where a client's request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nowhere: none has come, or not all of its headers, or it has been answered.
    None,
    /// Its headers have come, and its body may still be on the way.
    Arriving,
    /// The application has all of it, or has begun to answer.
    Answering,
}

/// The requests in progress, by the client's address.
#[derive(Clone, Default)]
pub struct Requests(Arc<Mutex<HashMap<SocketAddr, Open>>>);

#[derive(Clone, Copy, Default)]
struct Open {
    /// Two for a moment when the next request is read before the last one is let go.
    count: u32,
    arriving: bool,
}

/// Keeps a request among those in progress until Rocket lets go of it, which is when the last of
/// its answer has been handed on, or the client has gone.
struct Underway {
    requests: Requests,
    peer: SocketAddr,
}

impl Requests {
    /// A request has come, all of it or its headers at least.
    pub fn begin(&self, request: &Request<'_>, arriving: bool) {
        let Some(peer) = request.remote().map(canonical) else {
            return;
        };
        self.with(|open| {
            let open = open.entry(peer).or_default();
            open.count += 1;
            open.arriving = arriving;
        });
        request.local_cache(|| Some(Underway { requests: self.clone(), peer }));
    }

    /// Where a client's request is.
    pub fn stage(&self, peer: SocketAddr) -> Stage {
        match self.with(|open| open.get(&peer).copied()) {
            None => Stage::None,
            Some(Open { arriving: true, .. }) => Stage::Arriving,
            Some(_) => Stage::Answering,
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<SocketAddr, Open>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Notes that the body of a request has been read, or will not be: from now on the client is not
/// waited for.
pub fn arrived(request: &Request<'_>) {
    if let Some(Underway { requests, peer }) = request.local_cache(|| None::<Underway>) {
        requests.with(|open| {
            if let Some(open) = open.get_mut(peer) {
                open.arriving = false;
            }
        });
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.requests.with(|open| {
            if let Some(request) = open.get_mut(&self.peer) {
                request.count -= 1;
                if request.count == 0 {
                    open.remove(&self.peer);
                }
            }
        });
    }
}

/// An address, an IPv4 one in IPv6's clothes as what it is.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
