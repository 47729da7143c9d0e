//! Every error as a page of the site.

use rocket::http::{Method, Status};
use rocket::response::{self, Redirect, Responder};
use rocket::{Request, catch, uri};
use serde::Serialize;

use super::templates::Page;

#[derive(Serialize)]
struct ErrorPage {
    code: u16,
    title: &'static str,
    message: &'static str,
}

/// To the sign-in page, and from there back to where the visitor wanted.
#[catch(401)]
pub fn not_signed_in(request: &Request<'_>) -> Redirect {
    let wanted = request.uri().to_string();
    let next = (request.method() == Method::Get).then_some(wanted);
    Redirect::to(uri!(super::login::form(next = next)))
}

#[catch(default)]
pub fn default(
    status: Status,
    _request: &Request<'_>,
) -> (Status, Strict<Page<impl Serialize + use<>>>) {
    let (title, message) = match status.code {
        400 => ("Bad request", "The server did not understand this request."),
        403 => {
            ("Refused", "This request came from another site. Open the page here and try again.")
        }
        404 => ("Page not found", "There is no page at this address."),
        405 => ("Not allowed", "This address does not take such a request."),
        413 => ("Too large", "What you sent is larger than this server takes."),
        415 => ("Wrong form", "This server does not take data of this kind."),
        422 => (
            "Incomplete form",
            "A field is missing, or holds what it cannot. Go back and check it.",
        ),
        429 => ("Too many requests", "Please wait a little before you try again."),
        503 => (
            "Temporarily unavailable",
            "The server cannot reach its data. You are still signed in.",
        ),
        500..600 => ("Server error", "Something went wrong on the server."),
        _ => ("Error", "The server cannot answer this request."),
    };
    (status, Strict(Page("error.html", ErrorPage { code: status.code, title, message })))
}

/// An answer with the constant headers, whether Rocket runs its fairings on it or not.
pub struct Strict<T>(T);

impl<'r, T: Responder<'r, 'static>> Responder<'r, 'static> for Strict<T> {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let mut response = self.0.respond_to(request)?;
        super::headers::set_constant(&mut response);
        Ok(response)
    }
}
