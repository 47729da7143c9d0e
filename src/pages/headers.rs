//! The headers that every answer carries.

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::Status;
use rocket::{Request, Response};

use super::methods;
use crate::config::Live;

/// No script at all, styles and pictures from here, forms to here, and in nobody's frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'";

/// Keeps a signed-out visitor's way back from showing the pages once more. Chromium holds pages in
/// memory in spite of `no-store`, until a cookie changes that scripts cannot see; but it does not
/// count one change for a page that came with such a change itself, as the first page after
/// signing in does. So signing out makes two.
const FORGET_PAGES: &str = "signed_out=1; Max-Age=1; HttpOnly; Path=/; SameSite=Lax";

pub struct Headers;

#[rocket::async_trait]
impl Fairing for Headers {
    fn info(&self) -> Info {
        Info { name: "Security headers", kind: Kind::Response }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        set_constant(response);
        if response.status() == Status::ServiceUnavailable
            && !response.headers().contains("Retry-After")
        {
            response.set_raw_header("Retry-After", "2");
        }
        if response.status() == Status::MethodNotAllowed {
            response.set_raw_header("Allow", methods::allowed(request));
        }
        // With `SESSION_EAGER` a file may bring the session's cookie along.
        if response.headers().contains("Set-Cookie")
            && let Some(caching) = response.headers().get_one("Cache-Control")
            && caching.starts_with("public")
        {
            let private = caching.replacen("public", "private", 1);
            response.set_raw_header("Cache-Control", private);
        }
        let config = request.rocket().state::<Live>().map(Live::get);
        let secure = config.is_some_and(|config| config.sessions.cookie.secure);
        if secure {
            response.set_raw_header("Strict-Transport-Security", "max-age=31536000");
        }
        let signing_out = request.route().is_some_and(|route| route.uri.path() == "/logout");
        if signing_out && response.headers().contains("Set-Cookie") {
            let secure = if secure { "; Secure" } else { "" };
            response.adjoin_raw_header("Set-Cookie", format!("{FORGET_PAGES}{secure}"));
        }
    }
}

/// What does not depend on the request. Rocket runs no fairing on its answer to a request that it
/// cannot read, so the error page sets these by itself.
pub fn set_constant(response: &mut Response<'_>) {
    for (name, value) in [
        ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Permissions-Policy", "interest-cohort=()"),
    ] {
        response.set_raw_header(name, value);
    }
    // Whatever is not a file may be somebody's own.
    if !response.headers().contains("Cache-Control") {
        response.set_raw_header("Cache-Control", "no-store");
    }
}
