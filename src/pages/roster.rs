//! The list of students as everybody sees it, made once for each state of the table.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rocket::http::Status;
use rocket::uri;
use rocket_dyn_templates::Metadata;
use serde::Serialize;

use super::errors::PageError;
use super::frame::Frame;
use super::templates;
use crate::config::{Config, Live};
use crate::db::Revision;
use crate::students::{Entry, Students};

pub const PER_PAGE: u64 = 50;

/// How many pages and searches are kept.
const KEPT: usize = 128;

/// The lists that were made last, and the page around them.
#[derive(Default)]
pub struct Roster {
    lists: Mutex<HashMap<Wanted, Made>>,
    has_frame: bool,
    frame: OnceLock<Option<Frame>>,
}

/// Which part of the list.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// What is searched for, or nothing.
    pub q: String,
    /// Which page, from 1.
    pub page: u64,
}

struct Made {
    revision: Revision,
    html: Arc<str>,
}

#[derive(Serialize)]
struct List<'a> {
    students: Vec<Entry>,
    q: &'a str,
    page: u64,
    pages: u64,
    total: u64,
    previous: Option<String>,
    next_page: Option<String>,
}

impl Roster {
    /// None made yet. Operators' own templates may make something else of a page for each visitor,
    /// so that theirs has no frame.
    pub fn new(config: &Config) -> Self {
        Self { has_frame: templates::are_built_in(config), ..Self::default() }
    }

    /// The page around the lists, if it has a frame.
    pub fn frame(&self, engine: &Metadata<'_>) -> Option<&Frame> {
        let frame = || self.has_frame.then(|| Frame::render(engine)).flatten();
        self.frame.get_or_init(frame).as_ref()
    }

    /// The list in HTML; `revision` is of a moment before, if it is known.
    ///
    /// # Errors
    /// When the students cannot be read or the template fails.
    pub async fn html(
        &self,
        wanted: Wanted,
        revision: Option<Revision>,
        students: &Students,
        config: &Live,
        templates: &Metadata<'_>,
    ) -> Result<Arc<str>, PageError> {
        let fresh = config.get().templates.auto_reload;
        // It was told before the list is read, so that what is kept is never older than it.
        if let Some(html) = revision.and_then(|revision| self.kept(&wanted, revision)) {
            return Ok(html);
        }
        let html: Arc<str> = make(&wanted, students, fresh, templates).await?.into();
        if let Some(revision) = revision.filter(|_| !fresh) {
            self.keep(wanted, Made { revision, html: Arc::clone(&html) });
        }
        Ok(html)
    }

    fn kept(&self, wanted: &Wanted, revision: Revision) -> Option<Arc<str>> {
        let lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let made = lists.get(wanted).filter(|made| made.revision == revision)?;
        Some(Arc::clone(&made.html))
    }

    fn keep(&self, wanted: Wanted, made: Made) {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if lists.len() >= KEPT {
            lists.clear();
        }
        lists.insert(wanted, made);
    }
}

async fn make(
    wanted: &Wanted,
    students: &Students,
    fresh: bool,
    engine: &Metadata<'_>,
) -> Result<String, PageError> {
    let Wanted { q, page } = wanted;
    let listing = students.list(q, *page, PER_PAGE).await?;
    let pages = listing.total.div_ceil(PER_PAGE).max(1);
    let list = List {
        students: listing.entries,
        q,
        page: *page,
        pages,
        total: listing.total,
        previous: (*page > 1).then(|| address(q, (page - 1).min(pages))),
        next_page: (*page < pages).then(|| address(q, page + 1)),
    };
    templates::render(engine, fresh, "students.html", list)
        .ok_or(PageError::Failed(Status::InternalServerError))
}

/// Where a part of the list is.
pub fn address(q: &str, page: u64) -> String {
    let q = Some(q).filter(|q| !q.is_empty());
    let page = Some(page).filter(|page| *page > 1);
    uri!(super::students::brief_introduction(q = q, page = page)).to_string()
}
