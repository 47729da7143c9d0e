//! What became of each setting, for people and for programs.

use std::path::Path;

use serde::Serialize;

/// What became of a Flask configuration. Holds names and places, and no values.
#[derive(Serialize)]
pub struct Report {
    /// The file.
    pub from: String,
    /// Settings taken as they are.
    pub taken: Vec<Row>,
    /// Settings whose value is another here, or that the file does not set.
    pub changed: Vec<Row>,
    /// What Dewar has no use for.
    pub not_carried_over: Vec<Row>,
    /// What has no value that could be read.
    pub not_read: Vec<Row>,
}

/// One setting, or one piece of the file.
#[derive(Serialize)]
pub struct Row {
    /// The setting, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The line in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// How it stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Why it was not simply taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Row {
    /// A row about a setting.
    pub fn new(name: &str, line: Option<usize>, why: Option<String>) -> Self {
        Self { name: Some(name.to_owned()), line, source: None, why }
    }
}

impl Report {
    /// One about `from` with nothing in it yet.
    pub fn new(from: &Path) -> Self {
        let (taken, changed, not_carried_over, not_read) = Default::default();
        Self { from: from.display().to_string(), taken, changed, not_carried_over, not_read }
    }

    /// The headings and rows of a table.
    pub fn table(&self) -> ([&'static str; 3], Vec<[String; 3]>) {
        let sections = [
            ("taken", &self.taken),
            ("changed", &self.changed),
            ("not carried over", &self.not_carried_over),
            ("not read", &self.not_read),
        ];
        let rows = sections.into_iter().flat_map(|(became, rows)| {
            rows.iter().map(move |row| {
                let name = row.name.as_deref().or(row.source.as_deref()).unwrap_or("(not shown)");
                let place = match (row.line, &row.name) {
                    (Some(line), _) => format!("{}:{line}", self.from),
                    (None, Some(_)) => "(not set)".into(),
                    (None, None) => String::new(),
                };
                // A name of the file's own may have any length.
                let name = name.chars().take(64).collect();
                let source = row.source.as_ref().filter(|_| row.name.is_some());
                let source = source.map(|source| format!(" ({source})")).unwrap_or_default();
                let why = row.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                [name, place, format!("{became}{why}{source}")]
            })
        });
        (["SETTING", "FROM", "WHAT BECAME OF IT"], rows.collect())
    }
}
