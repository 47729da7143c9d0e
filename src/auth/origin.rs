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

/// Whether a method asks for nothing to be changed.
pub fn is_safe(method: Method) -> bool {
    matches!(method, Method::Get | Method::Head | Method::Options)
}

/// Whether the request changes something and comes from a page of another origin.
///
/// `trusted` are origins (`https://example.org`) whose pages may send such requests. A request
/// with neither header is not known to be foreign; see [`Source`]. `https` is whether the site is
/// reached that way, where that is known: a page that came over plain http may be anybody's.
pub fn is_cross_origin(request: &Request<'_>, trusted: &[String], https: Option<bool>) -> bool {
    if is_safe(request.method()) {
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
    origins.iter().any(|origin| !host.as_ref().is_some_and(|host| is_own(origin, host, https)))
}

/// Whether an origin is that of a host's pages.
fn is_own(origin: &str, host: &str, https: Option<bool>) -> bool {
    let origin = origin.to_ascii_lowercase();
    let (secure, authority) = match origin.split_once("://") {
        Some(("https", authority)) => (true, authority),
        Some(("http", authority)) => (false, authority),
        _ => return false,
    };
    let port = if secure { ":443" } else { ":80" };
    let without_port =
        |authority: &str| authority.strip_suffix(port).unwrap_or(authority).to_ascii_lowercase();
    https.is_none_or(|https| https == secure) && without_port(authority) == without_port(host)
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

#[cfg(test)]
mod tests {
    use super::is_own;

    #[test]
    fn an_origin_is_compared_in_full() {
        for (origin, host, https) in [
            ("http://a.test", "a.test", None),
            ("https://a.test", "a.test", None),
            ("https://a.test", "a.test", Some(true)),
            ("http://a.test", "a.test", Some(false)),
            ("HTTPS://A.test:443", "a.TEST", Some(true)),
            ("https://a.test", "a.test:443", Some(true)),
            ("http://a.test:8000", "a.test:8000", None),
            ("http://[::1]:8000", "[::1]:8000", None),
        ] {
            assert!(is_own(origin, host, https), "{origin} {host} {https:?}");
        }
        for (origin, host, https) in [
            ("http://a.test", "a.test", Some(true)),
            ("https://a.test", "a.test", Some(false)),
            ("http://a.test:443", "a.test", None),
            ("https://a.test:80", "a.test", None),
            ("https://a.test:8443", "a.test", Some(true)),
            ("ftp://a.test", "a.test", None),
            ("a.test", "a.test", None),
            ("null", "a.test", None),
        ] {
            assert!(!is_own(origin, host, https), "{origin} {host} {https:?}");
        }
    }
}
