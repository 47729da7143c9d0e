//! The page around the list of students: but for a few words it is the same for everybody, and so
//! rendered once.

use std::fmt::Write;

use minijinja::HtmlEscape;
use rocket_dyn_templates::Metadata;
use serde::Serialize;

use super::templates;

pub const TEMPLATE: &str = "brief_introduction.html";

/// What the page's template is rendered with.
#[derive(Serialize)]
pub struct Shown<'a> {
    /// The visitor's name.
    pub user: &'a str,
    /// The list in HTML.
    pub list: &'a str,
    /// The token for the page's forms, where the session has one.
    pub csrf_token: Option<&'a str>,
}

#[derive(Clone, Copy)]
enum Gap {
    User,
    List,
    Token,
}

/// What stands in the gaps while the frame is rendered: nothing that a template says, or escapes.
const MARKS: [(Gap, &str); 3] =
    [(Gap::User, "GapForUser"), (Gap::List, "GapForList"), (Gap::Token, "GapForToken")];

/// The page with gaps for what differs: texts, and the gap after each.
pub struct Frame {
    parts: Vec<(String, Gap)>,
    end: String,
}

impl Frame {
    /// Renders the frame. Only for the built-in templates, which show the three as they are and ask
    /// for no more than whether they are there. `None` when they fail, which is logged.
    pub fn render(engine: &Metadata<'_>) -> Option<Self> {
        let [(_, user), (_, list), (_, token)] = MARKS;
        let shown = Shown { user, list, csrf_token: Some(token) };
        let html = templates::render(engine, false, TEMPLATE, shown)?;
        let mut rest = &*html;
        let mut parts = Vec::new();
        while let Some((at, gap, mark)) = first_gap(rest) {
            parts.push((rest[..at].to_owned(), gap));
            rest = &rest[at + mark.len()..];
        }
        Some(Self { parts, end: rest.to_owned() })
    }

    /// The page of a visitor.
    pub fn fill(&self, user: &str, list: &str, token: &str) -> String {
        let fixed = self.parts.iter().map(|(text, _)| text.len()).sum::<usize>() + self.end.len();
        let mut html = String::with_capacity(fixed + list.len() + token.len() + 4 * user.len());
        for (text, gap) in &self.parts {
            html.push_str(text);
            match gap {
                Gap::List => html.push_str(list),
                // Writing to a string does not fail.
                Gap::User => drop(write!(html, "{}", HtmlEscape(user))),
                Gap::Token => drop(write!(html, "{}", HtmlEscape(token))),
            }
        }
        html.push_str(&self.end);
        html
    }
}

fn first_gap(html: &str) -> Option<(usize, Gap, &'static str)> {
    let found = MARKS.iter().filter_map(|(gap, mark)| Some((html.find(mark)?, *gap, *mark)));
    found.min_by_key(|(at, ..)| *at)
}
