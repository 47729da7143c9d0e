//! Who makes a request, as far as that can be told.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rocket::Request;
use rocket::request::{FromRequest, Outcome};

use super::address::Forwarded;
use crate::session::request_id;

/// The longest `User-Agent` that is recorded, in characters.
const MAX_AGENT: usize = 256;

/// `SESSION_RECORD_CLIENT`: whether addresses and user agents are recorded, and logged. Managed by
/// the application; where it is not, they are.
#[derive(Clone, Debug)]
pub struct RecordClients(Arc<AtomicBool>);

impl RecordClients {
    /// The setting at the start.
    pub fn new(record: bool) -> Self {
        Self(Arc::new(AtomicBool::new(record)))
    }

    /// The setting from now on.
    pub fn set(&self, record: bool) {
        self.0.store(record, Ordering::Relaxed);
    }
}

/// The client of a request. It displays as its address, unless clients are not recorded.
#[derive(Clone, Copy, Debug)]
pub struct Client<'r> {
    /// Where it is; 0.0.0.0 where that cannot be told.
    pub address: IpAddr,
    agent: Option<&'r str>,
    /// The request's id, for the log.
    pub request_id: Option<&'r str>,
    is_recorded: bool,
}

/// What is recorded of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Its address.
    pub address: Option<String>,
    /// Its `User-Agent`, cut to 256 characters.
    pub agent: Option<String>,
    /// The request's `X-Request-Id`.
    pub request: Option<String>,
}

impl<'r> Client<'r> {
    /// The client of a request.
    pub fn of(request: &'r Request<'_>) -> Self {
        let recorded = request.rocket().state::<RecordClients>();
        Self {
            address: address(request),
            agent: request.headers().get_one("User-Agent"),
            request_id: request_id(request.headers()),
            is_recorded: recorded.is_none_or(|recorded| recorded.0.load(Ordering::Relaxed)),
        }
    }

    /// Its address, unless clients are not recorded.
    pub fn shown(&self) -> Option<String> {
        self.is_recorded.then(|| self.address.to_string())
    }

    /// What is recorded of it.
    pub fn trace(&self) -> Trace {
        Trace {
            address: self.shown(),
            agent: self.agent.filter(|_| self.is_recorded).and_then(|text| cut(text, MAX_AGENT)),
            request: self.request_id.map(str::to_owned),
        }
    }
}

/// The one place that tells a client's address, for the throttle as for the log.
fn address(request: &Request<'_>) -> IpAddr {
    Forwarded::of(request).address.unwrap_or(Ipv4Addr::UNSPECIFIED.into())
}

/// The text without control characters, as far as there is room; `None` when nothing is left.
fn cut(text: &str, room: usize) -> Option<String> {
    let plain = |c: &char| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}');
    let text: String = text.trim().chars().filter(plain).take(room).collect();
    (!text.is_empty()).then_some(text)
}

impl fmt::Display for Client<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_recorded {
            true => self.address.fmt(formatter),
            false => formatter.write_str("an address that is not recorded"),
        }
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Client<'r> {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        Outcome::Success(Self::of(request))
    }
}
