//! Every error as a page of the site.

use rocket::http::{Header, Method, Status};
use rocket::response::{self, Redirect, Responder};
use rocket::{Request, catch, uri};
use serde::Serialize;

use super::form::BadForm;
use super::login::LONGEST_NEXT;
use super::methods;
use super::templates::Page;
use crate::config::Requests;
use crate::db;
use crate::session::request_id;

#[derive(Serialize)]
pub struct ErrorPage {
    code: u16,
    title: &'static str,
    message: &'static str,
    detail: Option<String>,
    /// What finds the request's lines in the log, where it is the server's fault.
    reference: Option<String>,
}

/// To the sign-in page, and from there back to where the visitor wanted.
#[catch(401)]
pub fn not_signed_in(request: &Request<'_>) -> Redirect {
    let wanted = request.uri().to_string();
    let is_kept = request.method() == Method::Get && wanted.len() <= LONGEST_NEXT;
    let next = is_kept.then_some(wanted);
    Redirect::to(uri!(super::login::form(next = next)))
}

/// Nothing at this address, or not for this method.
#[derive(Responder)]
pub enum Unmatched<T> {
    #[response(status = 200)]
    Options((), Header<'static>),
    Problem((Status, T)),
}

impl<T> Unmatched<T> {
    /// The answer to a request that no route took; `page` makes that of an error.
    pub fn answer(request: &Request<'_>, page: impl FnOnce(Status) -> (Status, T)) -> Self {
        match methods::Unmatched::by(request) {
            methods::Unmatched::Options(allowed) => {
                Self::Options((), Header::new("Allow", allowed))
            }
            methods::Unmatched::NotAllowed => Self::Problem(page(Status::MethodNotAllowed)),
            methods::Unmatched::NotFound => Self::Problem(page(Status::NotFound)),
        }
    }
}

#[catch(404)]
pub fn not_found(request: &Request<'_>) -> Unmatched<Strict<Page<ErrorPage>>> {
    Unmatched::answer(request, |status| page(status, None))
}

#[catch(default)]
pub fn default(status: Status, request: &Request<'_>) -> (Status, Strict<Page<ErrorPage>>) {
    let (status, mut page) = page(status, None);
    page.0.1.reference =
        request_id(request.headers()).filter(|_| status.code >= 500).map(str::to_owned);
    (status, page)
}

/// The page for a form that is not taken, with the fields that are at fault where
/// `TRAP_BAD_REQUEST_ERRORS` wants them told.
pub fn bad_form(bad: BadForm, requests: &Requests) -> (Status, Strict<Page<ErrorPage>>) {
    let told = requests.explain_bad_requests && !bad.fields.is_empty();
    page(bad.status, told.then(|| format!("Missing or wrong: {}.", bad.fields.join(", "))))
}

fn page(status: Status, detail: Option<String>) -> (Status, Strict<Page<ErrorPage>>) {
    let (title, message) = words(status);
    let page = ErrorPage { code: status.code, title, message, detail, reference: None };
    (status, Strict(Page("error.html", page)))
}

/// Why there is no page. Told in the log, and answered by the page for its status.
pub enum PageError {
    /// The database could not be asked.
    Database(db::Error),
    /// Something else, which is logged already.
    Failed(Status),
}

impl From<db::Error> for PageError {
    fn from(error: db::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Status> for PageError {
    fn from(status: Status) -> Self {
        Self::Failed(status)
    }
}

impl<'r> Responder<'r, 'static> for PageError {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        match self {
            Self::Database(error) => {
                log::error!(request_id = request_id(request.headers()); "{error}");
                Err(Status::ServiceUnavailable)
            }
            Self::Failed(status) => Err(status),
        }
    }
}

/// A title and a sentence for people.
pub fn words(status: Status) -> (&'static str, &'static str) {
    match status.code {
        400 => ("Bad request", "The server did not understand this request."),
        401 => ("Not signed in", "Sign in first."),
        403 => {
            ("Refused", "This did not come from a page of this site. Open the page and try again.")
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
            "The server cannot reach its data or has too much to do. Nobody was signed out.",
        ),
        500..600 => ("Server error", "Something went wrong on the server."),
        _ => ("Error", "The server cannot answer this request."),
    }
}

/// An answer with the constant headers, whether Rocket runs its fairings on it or not.
pub struct Strict<T>(pub T);

impl<'r, T: Responder<'r, 'static>> Responder<'r, 'static> for Strict<T> {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let mut response = self.0.respond_to(request)?;
        super::headers::set_constant(&mut response);
        Ok(response)
    }
}
