//! The part of it that Rocket calls.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
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
            Err(obstacle) => {
                if live.get().patience.is_limited() {
                    log::warn!("{obstacle}: {REMEDY}");
                }
                return;
            }
        };
        let requests = self.requests.clone();
        let watch = move || warden.watch(&live, &requests, &short);
        if let Err(error) = thread::Builder::new().name("slow-clients".into()).spawn(watch) {
            log::warn!("no thread can be started ({error}): {REMEDY}");
        }
    }

    async fn on_request(&self, request: &mut Request<'_>, data: &mut Data<'_>) {
        let whole = is_whole(request, data).await;
        self.requests.begin(request, !whole);
    }
}

/// Whether the body is known to be there to its end, as short ones mostly are. Does not wait.
async fn is_whole(request: &Request<'_>, data: &mut Data<'_>) -> bool {
    let Some(length) = request.headers().get_one("Content-Length") else {
        return data.peek_complete();
    };
    let Ok(length) = length.parse() else {
        return false;
    };
    let mut peek = pin!(data.peek(length));
    let is_there = |start: Poll<&[u8]>| start.map(<[u8]>::len) == Poll::Ready(length);
    poll_fn(|context| Poll::Ready(is_there(peek.as_mut().poll(context)))).await
}
