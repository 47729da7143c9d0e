//! Which methods an address takes, and what the others are answered.

use std::collections::BTreeSet;

use rocket::Request;
use rocket::http::Method;

use crate::config::Live;

/// The path of the routes that see every request and answer for no address.
pub const ALL: &str = "/<path..>";

/// What a request is answered that no route took.
pub enum Unmatched {
    /// Flask's automatic answer to `OPTIONS`: the methods that the address takes.
    Options(String),
    /// The address takes other methods.
    NotAllowed,
    /// There is nothing at this address.
    NotFound,
}

impl Unmatched {
    /// Looks for what the address takes.
    pub fn by(request: &Request<'_>) -> Self {
        let methods = methods(request);
        match request.method() {
            _ if methods.is_empty() => Self::NotFound,
            Method::Options if methods.contains("OPTIONS") => Self::Options(list(methods)),
            // A route took the method, and found nothing.
            method if methods.contains(method.as_str()) => Self::NotFound,
            _ => Self::NotAllowed,
        }
    }
}

/// Whether a route takes the request's method at its address.
pub fn is_taken(request: &Request<'_>) -> bool {
    methods(request).contains(request.method().as_str())
}

/// The value of an `Allow` header for the request's address.
pub fn allowed(request: &Request<'_>) -> String {
    list(methods(request))
}

fn list(methods: BTreeSet<&str>) -> String {
    methods.into_iter().collect::<Vec<_>>().join(", ")
}

fn methods(request: &Request<'_>) -> BTreeSet<&'static str> {
    let path = request.uri().path().as_str();
    let mut methods: BTreeSet<_> = request
        .rocket()
        .routes()
        .filter(|route| route.uri.path() != ALL && matches(route.uri.path(), path))
        .map(|route| route.method.as_str())
        .collect();
    // Rocket answers HEAD by what answers GET.
    if methods.contains("GET") {
        methods.insert("HEAD");
    }
    let config = request.rocket().state::<Live>();
    let automatic = config.is_some_and(|config| config.get().requests.automatic_options);
    if automatic && !methods.is_empty() {
        methods.insert("OPTIONS");
    }
    methods
}

/// Whether a route's path, `<one>` and `<many..>` standing for anything, is the request's.
fn matches(route: &str, path: &str) -> bool {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    for expected in route.split('/').filter(|segment| !segment.is_empty()) {
        if expected.ends_with("..>") {
            return true;
        }
        match segments.next() {
            Some(segment) if expected.starts_with('<') || segment == expected => {}
            _ => return false,
        }
    }
    segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_route_matches_its_own_addresses_alone() {
        for (route, path) in [
            ("/", "/"),
            ("/login", "/login"),
            ("/api/students/<id>", "/api/students/7"),
            ("/static/<path..>", "/static/a/b"),
        ] {
            assert!(matches(route, path), "{route} {path}");
        }
        for (route, path) in [
            ("/", "/login"),
            ("/login", "/login/x"),
            ("/api/students/<id>", "/api/students"),
            ("/static/<path..>", "/other"),
        ] {
            assert!(!matches(route, path), "{route} {path}");
        }
    }
}
