//! The page that every program here serves: Dewar's own list of students, from the same templates,
//! rendered for each request.

use minijinja::{AutoEscape, Environment, Error};
use serde::Serialize;

pub const LIST: &str = "list.html";
const SOURCES: [(&str, &str); 4] = [
    ("layout.html", include_str!("../../templates/layout.html")),
    ("students.html", include_str!("../../templates/students.html")),
    ("brief_introduction.html", include_str!("../../templates/brief_introduction.html")),
    (LIST, include_str!("templates/list.html")),
];

#[derive(Serialize)]
pub struct Student {
    pub id: i64,
    pub name: String,
}

#[derive(Serialize)]
pub struct ListPage {
    pub user: String,
    pub students: Vec<Student>,
    pub q: &'static str,
    pub page: u64,
    pub pages: u64,
    pub total: u64,
    pub previous: Option<String>,
    pub next_page: Option<String>,
}

impl ListPage {
    /// With the three students of `dewar demo`.
    pub fn new(user: String) -> Self {
        let names = ["Steel Eggs", "Iron Egg", "maidservant"];
        let students =
            (1..).zip(names).map(|(id, name)| Student { id, name: name.to_owned() }).collect();
        Self::of(user, students, 3)
    }

    pub fn of(user: String, students: Vec<Student>, total: u64) -> Self {
        let (previous, next_page) = (None, None);
        Self { user, students, q: "", page: 1, pages: 1, total, previous, next_page }
    }
}

/// Makes the engine ready to render [`LIST`] as Dewar does.
pub fn prepare(environment: &mut Environment<'static>) -> Result<(), Error> {
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_trim_blocks(true);
    environment.add_function("static", |name: String| {
        minijinja::Value::from_safe_string(format!("/static/{name}?v=0123456789ab"))
    });
    SOURCES.iter().try_for_each(|(name, source)| environment.add_template(name, source))
}
