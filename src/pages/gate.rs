//! What no handler should see: requests from other sites, bodies over the limit, hosts that are
//! malformed or not ours.
//!
//! Routes of their own, before all others: each answers with an error or passes the request on.

use std::net::Ipv6Addr;
use std::time::Duration;

use rocket::data::ByteUnit;
use rocket::fairing::{Fairing, Info, Kind};
use rocket::form::Form;
use rocket::http::uri::Host;
use rocket::http::{Method, Status};
use rocket::route::{Handler, Outcome};
use rocket::tokio::io::sink;
use rocket::tokio::time::timeout;
use rocket::{Data, Request, Route};

use super::methods::{self, ALL};
use crate::auth::origin::{Source, is_cross_origin, is_safe};
use crate::auth::{Client, Forwarded};
use crate::config::{Config, Live, is_own_machine};
use crate::session::request_id;

/// What is read of a refused body and thrown away, and for how long.
const LINGER: ByteUnit = ByteUnit::Mebibyte(1);
const LINGER_FOR: Duration = Duration::from_secs(2);

/// What a request may have in its body whose method gives it no meaning.
const BODY_OF_NO_USE: u64 = 16 * 1024;

#[derive(Clone)]
struct Gate;

/// After all other routes: what none of them read.
#[derive(Clone)]
struct Rest;

pub fn routes() -> Vec<Route> {
    use Method::{Delete, Get, Head, Options, Patch, Post, Put};
    let first = [Get, Head, Options, Post, Put, Patch, Delete]
        .map(|method| Route::ranked(-100, method, ALL, Gate));
    let last = [Post, Put, Patch, Delete].map(|method| Route::ranked(100, method, ALL, Rest));
    first.into_iter().chain(last).collect()
}

fn refusal(request: &Request<'_>) -> Option<Status> {
    let config = request.rocket().state::<Live>()?.get();
    let headers = request.headers();
    let request_id = request_id(headers);
    // RFC 9112, section 3.2: exactly one well-formed Host.
    let mut hosts = headers.get("Host");
    let host = hosts.next();
    // A request made in process, without a connection, needs no host.
    let missing = request.remote().is_some() && request.host().is_none();
    let malformed = host.is_some_and(is_malformed);
    if hosts.next().is_some() || missing || malformed {
        return Some(Status::BadRequest);
    }
    if request.host().is_some_and(|host| !config.requests.trusts(host)) {
        log::warn!(
            event = "refused_host", client = Client::of(request).shown().as_deref(), request_id;
            "refused a request to a host that is none of TRUSTED_HOSTS"
        );
        return Some(Status::BadRequest);
    }
    let most = match is_safe(request.method()) {
        true => BODY_OF_NO_USE.min(config.requests.max_content_length),
        false => config.requests.max_content_length,
    };
    if announced(request).is_some_and(|length| length > most) {
        return Some(Status::PayloadTooLarge);
    }
    if is_cross_origin(request, &config.requests.trusted_origins, https(request, &config)) {
        let client = Client::of(request);
        let (method, path) = (request.method(), request.uri().path());
        log::warn!(
            event = "refused_cross_site", client = client.shown().as_deref(), request_id;
            "refused a {method} from another site to {path}, from {client}"
        );
        return Some(Status::Forbidden);
    }
    if acts_on_a_session(request) && Source::of(request) == Source::Untold {
        let client = Client::of(request);
        log::warn!(
            event = "refused_untold", client = client.shown().as_deref(), request_id;
            "refused a {} that does not say where it comes from, from {client}", request.method()
        );
        return Some(Status::Forbidden);
    }
    if request.local_cache(|| NamesItsMethod(false)).0 {
        return Some(Status::BadRequest);
    }
    None
}

/// Whether a `Host` that Rocket takes names nothing: no name, an account, or no address in brackets.
fn is_malformed(host: &str) -> bool {
    let literal = host.strip_prefix('[').map(|rest| rest.split(']').next().unwrap_or_default());
    host.is_empty()
        || host.starts_with(':')
        || host.contains('@')
        || literal.is_some_and(|literal| literal.parse::<Ipv6Addr>().is_err())
}

/// How long the body is said to be.
fn announced(request: &Request<'_>) -> Option<u64> {
    request.headers().get_one("Content-Length")?.parse().ok()
}

/// Reads what is on its way of a body that is refused. Whoever is still sending when the connection
/// is closed gets a reset in place of the answer, and a proxy makes a 502 of it.
pub async fn let_finish(request: &Request<'_>, data: Data<'_>) {
    let waits = request.headers().contains("Expect");
    if !waits && announced(request).is_none_or(|length| length <= LINGER.as_u64()) {
        let _ = timeout(LINGER_FOR, data.open(LINGER).stream_to(sink())).await;
    }
}

/// Whether the site is reached by https, where that is known. Browsers take a page of their own
/// machine for as good as one over https, and `Secure` cookies from it.
fn https(request: &Request<'_>, config: &Config) -> Option<bool> {
    let meant = config.sessions.cookie.secure || config.urls.scheme == "https";
    let is_own = |host: &Host<'_>| is_own_machine(host.domain().as_str().trim_matches(['[', ']']));
    match Forwarded::of(request).https {
        None if meant => (!request.host().is_some_and(is_own)).then_some(true),
        told => told.map(|https| https || meant),
    }
}

/// Whether the request changes something by the power of a cookie. Signing in needs none, and where
/// a form has a token that is looked at.
fn acts_on_a_session(request: &Request<'_>) -> bool {
    let path = request.uri().path();
    let has_token = matches!(path.as_str(), "/login" | "/logout") || path.starts_with("/account/");
    !is_safe(request.method()) && !has_token && request.headers().contains("Cookie")
}

#[rocket::async_trait]
impl Handler for Gate {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        match refusal(request) {
            Some(status) => {
                let_finish(request, data).await;
                Outcome::error(status)
            }
            None => Outcome::forward(data, Status::NotFound),
        }
    }
}

#[rocket::async_trait]
impl Handler for Rest {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        let_finish(request, data).await;
        // A route that takes the method has passed the request on for what its body is.
        Outcome::error(match methods::is_taken(request) {
            true => Status::UnsupportedMediaType,
            false => Status::NotFound,
        })
    }
}

/// Keeps a form that begins with a field `_method` from choosing the method that the checks and the
/// routes see, as Rocket lets it.
///
/// Where the method is the one that the form names, it may be the form's doing, and what was on the
/// wire cannot be told any more: such a request is checked as the `POST` it most likely was, and
/// refused.
pub struct WireMethod;

struct NamesItsMethod(bool);

#[rocket::async_trait]
impl Fairing for WireMethod {
    fn info(&self) -> Info {
        Info { name: "Method on the wire", kind: Kind::Request }
    }

    async fn on_request(&self, request: &mut Request<'_>, data: &mut Data<'_>) {
        if request.method() == Method::Post || !request.content_type().is_some_and(|t| t.is_form())
        {
            return;
        }
        // As much as Rocket looks at, read as Rocket reads it.
        let start = data.peek("_method=delete".len()).await;
        let first = std::str::from_utf8(start).ok().and_then(|form| Form::values(form).next());
        let named = first.filter(|field| field.name == "_method").map(|field| field.value.parse());
        if named == Some(Ok(request.method())) {
            request.set_method(Method::Post);
            request.local_cache(|| NamesItsMethod(true));
        }
    }
}
