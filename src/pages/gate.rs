//! What no handler should see: requests from other sites, bodies over the limit, malformed hosts.
//!
//! Routes of their own, before all others: each answers with an error or passes the request on.

use rocket::http::{Method, Status};
use rocket::route::{Handler, Outcome};
use rocket::{Data, Request, Route};

use crate::auth::origin::is_cross_origin;
use crate::config::Live;

#[derive(Clone)]
struct Gate;

pub fn routes() -> Vec<Route> {
    use Method::{Delete, Get, Head, Options, Patch, Post, Put};
    [Get, Head, Options, Post, Put, Patch, Delete]
        .map(|method| Route::ranked(-100, method, "/<path..>", Gate))
        .into()
}

fn refusal(request: &Request<'_>) -> Option<Status> {
    let config = request.rocket().state::<Live>()?.get();
    let headers = request.headers();
    // RFC 9112, section 3.2: exactly one well-formed Host.
    let mut hosts = headers.get("Host");
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() || first.is_some() && request.host().is_none() {
        return Some(Status::BadRequest);
    }
    let length = headers.get_one("Content-Length").and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > config.max_content_length) {
        return Some(Status::PayloadTooLarge);
    }
    if is_cross_origin(request, &config.trusted_origins) {
        log::warn!("refused a {} from another site to {}", request.method(), request.uri().path());
        return Some(Status::Forbidden);
    }
    None
}

#[rocket::async_trait]
impl Handler for Gate {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        match refusal(request) {
            Some(status) => Outcome::error(status),
            None => Outcome::forward(data, Status::NotFound),
        }
    }
}
