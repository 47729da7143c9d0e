//! Refuses requests that another site makes a browser send (cross-site request forgery).
//!
//! Browsers say where an unsafe request comes from, in `Sec-Fetch-Site` or else in `Origin`, and
//! pages cannot forge either. So no token is needed, and no session for visitors.

use rocket::Request;
use rocket::http::Method;

/// Whether the request changes something and comes from a page of another origin.
///
/// `trusted` are origins (`https://example.org`) whose pages may send such requests. A request
/// with neither header comes from no browser, and has no cookie it was not given.
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
