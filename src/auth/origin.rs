//! Refuses requests that another site makes a browser send (cross-site request forgery).
//!
//! Browsers say where an unsafe request comes from, in `Sec-Fetch-Site` or else in `Origin`, and
//! pages cannot forge either. So signing in needs no token, and no session for visitors. What acts
//! on a session wants to be told, by such a header or by the session's
//! [token](super::form_token).

use std::convert::Infallible;

use rocket::Request;
use rocket::http::Method;
use rocket::request::{FromRequest, Outcome};

/// Whether the request changes something and comes from a page of another origin.
///
/// `trusted` are origins (`https://example.org`) whose pages may send such requests. A request
/// with neither header is not known to be foreign; see [`Source`].
pub fn is_cross_origin(request: &Request<'_>, trusted: &[String]) -> bool {
    if matches!(request.method(), Method::Get | Method::Head | Method::Options) {
        return false;
    }
    let headers = request.headers();
    let origins: Vec<_> = headers.get("Origin").collect();
    if !origins.is_empty() && origins.iter().all(|origin| is_in(trusted, origin)) {
        return false;
    }
    let mut sites = headers.get("Sec-Fetch-Site").peekable();
    if sites.peek().is_some() {
        return !sites.all(|site| matches!(site, "same-origin" | "none"));
    }
    let host = request.host().map(|host| host.to_string());
    origins.iter().any(|origin| {
        let Some((_, authority)) = origin.split_once("://") else { return true };
        host.as_ref().is_none_or(|host| !host.eq_ignore_ascii_case(authority))
    })
}

/// Whether the browser, or whoever sends the request, says where it comes from.
///
/// As a guard it is of a request that the gate let pass, so that whoever says so says it rightly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From this site's pages, or those of a trusted origin.
    Own,
    /// It says nothing: no browser of these years, or none at all.
    Untold,
}

impl Source {
    /// What the headers say, of a request that does not come from another origin.
    pub fn of(request: &Request<'_>) -> Self {
        let headers = request.headers();
        match headers.contains("Origin") || headers.contains("Sec-Fetch-Site") {
            true => Self::Own,
            false => Self::Untold,
        }
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Source {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        Outcome::Success(Self::of(request))
    }
}

fn is_in(trusted: &[String], origin: &str) -> bool {
    trusted.iter().any(|known| known.eq_ignore_ascii_case(origin))
}

/// Tells what is wrong with an entry of `TRUSTED_ORIGINS`, if anything is.
pub fn origin_problem(origin: &str) -> Option<String> {
    let well_formed = ["http://", "https://"].iter().any(|scheme| {
        origin.strip_prefix(scheme).is_some_and(|authority| {
            !authority.is_empty() && !authority.contains(['/', ' ', '*', '@', '?', '#'])
        })
    });
    (!well_formed).then(|| {
        format!("holds {origin:?}, which is not an origin such as \"https://example.org:8443\"")
    })
}
