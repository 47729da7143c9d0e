//! What is seen of a request from outside: its id, its line in the log and its place in the
//! metrics.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::{Header, Method, Status};
use rocket::request::{FromRequest, Outcome};
use rocket::{Data, Request, Response};

use super::methods::ALL;
use crate::auth::{Client, Forwarded, signed_in_account};
use crate::config::Live;
use crate::metrics::{Metrics, SignIn};
use crate::session::{LogClient, REQUEST_ID, request_id};

/// Gives a request its id, and finds out who its client is, before anything else looks at it.
///
/// The id stands in the request's `X-Request-Id`, in place of whatever a client has put there; one
/// that a trusted proxy has drawn is kept.
#[derive(Default)]
pub struct Arrival {
    ids: Ids,
    /// Whether a proxy's https without `SESSION_COOKIE_SECURE` was told of.
    told: AtomicBool,
}

/// Ids that differ from one another and between starts; they need not be hard to guess.
#[derive(Default)]
struct Ids {
    next: AtomicU64,
    key: RandomState,
}

impl Ids {
    fn draw(&self) -> String {
        format!("{:016x}", self.key.hash_one(self.next.fetch_add(1, Ordering::Relaxed)))
    }
}

/// When a request came, and by what method: Rocket answers HEAD as GET.
#[derive(Clone, Copy)]
struct Begun {
    at: Instant,
    method: Method,
}

#[rocket::async_trait]
impl Fairing for Arrival {
    fn info(&self) -> Info {
        Info { name: "Arrival", kind: Kind::Request }
    }

    async fn on_request(&self, request: &mut Request<'_>, _data: &mut Data<'_>) {
        let begun = Begun { at: Instant::now(), method: request.method() };
        let Some(config) = request.rocket().state::<Live>().map(Live::get) else { return };
        let proxies = &config.requests.trusted_proxies;
        let client = Forwarded::behind(proxies, request.remote(), request.headers());
        let given = client.proxied.then(|| request_id(request.headers())).flatten();
        let id = given.map_or_else(|| self.ids.draw(), str::to_owned);
        request.replace_header(Header::new(REQUEST_ID, id));
        request.local_cache(|| client);
        let is_logged = config.accounts.record_client;
        request.local_cache(|| LogClient(client.address.filter(|_| is_logged)));
        request.local_cache(|| begun);
        if client.https == Some(true)
            && !config.sessions.cookie.secure
            && !self.told.swap(true, Ordering::Relaxed)
        {
            log::warn!("the proxy speaks https; set SESSION_COOKIE_SECURE = true");
        }
    }
}

/// Tells of a request when its answer is ready. The last of the fairings, so that it sees what is
/// sent.
pub struct Departure;

#[rocket::async_trait]
impl Fairing for Departure {
    fn info(&self) -> Info {
        Info { name: "Departure", kind: Kind::Response }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let id = request_id(request.headers());
        if let Some(id) = id {
            response.set_raw_header(REQUEST_ID, id);
        }
        let Begun { at, method } =
            *request.local_cache(|| Begun { at: Instant::now(), method: request.method() });
        let (took, status) = (at.elapsed(), response.status().code);
        // The path of a route that sees every request, and answers for no address, tells nothing.
        let route = request.route().map(|route| route.uri.path()).filter(|path| *path != ALL);
        let route = route.unwrap_or("(none)");
        if let Some(metrics) = request.rocket().state::<Metrics>() {
            metrics.answered(route, method.as_str(), status, took);
        }
        let Some(config) = request.rocket().state::<Live>().map(Live::get) else { return };
        if !config.log.requests {
            return;
        }
        let bytes = match method == Method::Head || response.status() == Status::NotModified {
            true => None,
            false => response.body_mut().size().await,
        };
        let account = signed_in_account(request);
        let client = Client::of(request).shown().filter(|_| config.log.client_address);
        let duration_ms = (took.as_secs_f64() * 1e6).round() / 1e3;
        let mut words = format!("{method} {route} {status} in {duration_ms} ms");
        bytes.inspect(|bytes| words += &format!(", {bytes} bytes"));
        account.inspect(|account| words += &format!(", account {account}"));
        client.as_ref().inspect(|client| words += &format!(", from {client}"));
        log::info!(
            target: "dewar::requests",
            method = method.as_str(),
            route,
            status,
            duration_ms,
            bytes,
            account,
            client = client.as_deref(),
            request_id = id;
            "{words}"
        );
    }
}

/// Who asks, and where what becomes of it is counted.
pub struct Visit<'r> {
    /// Who asks.
    pub client: Client<'r>,
    metrics: Option<&'r Metrics>,
}

impl Visit<'_> {
    /// Counts a try to sign in.
    pub fn count(&self, outcome: SignIn) {
        if let Some(metrics) = self.metrics {
            metrics.sign_in(outcome);
        }
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Visit<'r> {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        let metrics = request.rocket().state::<Metrics>();
        Outcome::Success(Self { client: Client::of(request), metrics })
    }
}
