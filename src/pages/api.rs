//! The students as JSON, behind the same sign-in as the pages.

use rocket::http::Status;
use rocket::{Request, State, catch, get};
use serde::Serialize;

use super::errors::{PageError, Strict, Unmatched, words};
use super::json::Jsonify;
use super::roster::PER_PAGE;
use super::students::{decimal, labelled, search_text};
use crate::auth::User;
use crate::config::Live;
use crate::students::{Entry, Student, Students};

/// Where the addresses of this module begin.
pub const BASE: &str = "/api";

#[derive(Serialize)]
pub struct List {
    students: Vec<Entry>,
    page: u64,
    pages: u64,
    total: u64,
}

#[derive(Serialize)]
pub struct Problem {
    code: u16,
    error: &'static str,
}

/// The number and name of each student, a page at a time.
#[get("/students?<q>&<page>")]
pub async fn list(
    _user: User,
    q: Option<&str>,
    page: Option<u64>,
    students: &State<Students>,
) -> Result<Jsonify<List>, PageError> {
    let page = page.unwrap_or(1).max(1);
    let found = students.list(&search_text(q), page, PER_PAGE).await?;
    let pages = found.total.div_ceil(PER_PAGE).max(1);
    Ok(Jsonify(List { students: found.entries, page, pages, total: found.total }))
}

/// All of one student.
#[get("/students/<id>")]
pub async fn one(
    _user: User,
    id: &str,
    students: &State<Students>,
    config: &State<Live>,
) -> Result<Option<Jsonify<Student>>, PageError> {
    let student = match decimal(id) {
        Some(id) => students.find(id).await?,
        None => None,
    };
    Ok(student.map(|student| Jsonify(labelled(student, &config.get()))))
}

type Answer = Strict<Jsonify<Problem>>;

/// Every error below [`BASE`], a missing sign-in included: programs want no way to a form.
#[catch(default)]
pub fn problem(status: Status, _request: &Request<'_>) -> (Status, Answer) {
    answer(status)
}

#[catch(404)]
pub fn not_found(request: &Request<'_>) -> Unmatched<Answer> {
    Unmatched::answer(request, answer)
}

fn answer(status: Status) -> (Status, Answer) {
    let (error, _) = words(status);
    (status, Strict(Jsonify(Problem { code: status.code, error })))
}
