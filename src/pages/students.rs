//! The students' pages.

use std::sync::Arc;

use rocket::http::{ContentType, Status};
use rocket::response::{self, Redirect, Responder};
use rocket::{Request, State, get};
use rocket_dyn_templates::Metadata;
use serde::Serialize;

use super::errors::PageError;
use super::frame::{self, Frame};
use super::roster::{self, Roster, Wanted};
use super::templates::{Page, respond};
use crate::auth::{User, form_token};
use crate::config::{Config, Live};
use crate::students::{Student, Students};

const MAX_SEARCH: usize = 100;

/// The list in the page around it.
pub struct ListPage<'r> {
    user: String,
    list: Arc<str>,
    frame: Option<&'r Frame>,
}

impl<'r> Responder<'r, 'static> for ListPage<'r> {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let Self { user, list, frame } = self;
        match (frame, form_token::shown(request)) {
            (Some(frame), Some(token)) => {
                (ContentType::HTML, frame.fill(&user, &list, token)).respond_to(request)
            }
            (_, csrf_token) => {
                let shown = frame::Shown { user: &user, list: &list, csrf_token };
                respond(frame::TEMPLATE, shown, request)
            }
        }
    }
}

#[derive(Serialize)]
pub struct DetailPage {
    user: String,
    student: Option<Student>,
    error: Option<&'static str>,
}

#[get("/")]
pub fn index() -> Redirect {
    Redirect::to(roster::address("", 1))
}

/// The number and name of each student, a page at a time.
#[get("/brief_introduction?<q>&<page>")]
pub async fn brief_introduction<'r>(
    user: User,
    q: Option<&str>,
    page: Option<u64>,
    students: &State<Students>,
    roster: &'r State<Roster>,
    config: &State<Live>,
    templates: Metadata<'_>,
) -> Result<ListPage<'r>, PageError> {
    let wanted = Wanted { q: search_text(q), page: page.unwrap_or(1).max(1) };
    let list = roster.html(wanted, user.students, students, config, &templates).await?;
    Ok(ListPage { user: user.name, list, frame: roster.frame(&templates) })
}

/// All of one student.
#[get("/detailed?<id>")]
pub async fn detailed(
    user: User,
    id: Option<&str>,
    students: &State<Students>,
    config: &State<Live>,
) -> Result<(Status, Page<DetailPage>), PageError> {
    let id = id.and_then(decimal);
    let student = match id {
        Some(id) => students.find(id).await?,
        None => None,
    };
    let status = match (id, &student) {
        (_, Some(_)) => Status::Ok,
        (Some(_), None) => Status::NotFound,
        (None, None) => Status::BadRequest,
    };
    let student = student.map(|student| labelled(student, &config.get()));
    let error = student.is_none().then_some("Query error please try again");
    Ok((status, Page("detailed.html", DetailPage { user: user.name, student, error })))
}

/// What is searched for: no longer than it need be, without control characters.
pub fn search_text(q: Option<&str>) -> String {
    let q = q.unwrap_or_default().trim();
    q.chars().filter(|c| !c.is_control()).take(MAX_SEARCH).collect()
}

/// The student with the label of `GENDER_LABELS` in place of the gender.
pub fn labelled(mut student: Student, config: &Config) -> Student {
    if let Some(gender) = &mut student.gender
        && let Some(label) = config.gender_labels.get(gender)
    {
        gender.clone_from(label);
    }
    student
}

/// A number as it is written: no sign, no leading zero, ASCII digits alone.
pub fn decimal(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn an_id_has_one_spelling() {
        assert_eq!(decimal("1"), Some(1));
        assert_eq!(decimal("9223372036854775807"), Some(i64::MAX));
        for bad in [
            "",
            "0",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1.0",
            "1e3",
            "0x1",
            "１",
            "9223372036854775808",
            "1\0",
        ] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
    }
}
