//! The students' pages.

use rocket::http::Status;
use rocket::response::Redirect;
use rocket::{State, get};
use rocket_dyn_templates::Metadata;
use serde::Serialize;

use super::errors::PageError;
use super::roster::{self, Roster, Wanted};
use super::templates::Page;
use crate::auth::User;
use crate::config::{Config, Live};
use crate::students::{Student, Students};

const MAX_SEARCH: usize = 100;

#[derive(Serialize)]
pub struct ListPage {
    user: String,
    list: String,
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
pub async fn brief_introduction(
    user: User,
    q: Option<&str>,
    page: Option<u64>,
    students: &State<Students>,
    roster: &State<Roster>,
    config: &State<Live>,
    templates: Metadata<'_>,
) -> Result<Page<ListPage>, PageError> {
    let wanted = Wanted { q: search_text(q), page: page.unwrap_or(1).max(1) };
    let list = roster.html(wanted, students, config, &templates).await?;
    let list = list.as_ref().into();
    Ok(Page("brief_introduction.html", ListPage { user: user.name, list }))
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
