//! Flask configurations: what they set, and the `Rocket.toml` that does the same.

mod data;
mod dotenv;
mod plan;
mod python;
mod render;
mod report;
mod value;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use indexmap::IndexMap;

pub use self::plan::{Plan, plan};
pub use self::render::{Written, render};
pub use self::report::Report;
use self::value::Value;
use super::Failure;
use crate::config;

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// How many pieces of a file are listed as not read.
const MAX_PROBLEMS: usize = 100;

/// What a configuration sets.
#[derive(Default)]
pub struct Found {
    /// By name, where it was set last.
    settings: IndexMap<String, Setting>,
    /// What may set more, but could not be read: the first of them.
    problems: Vec<Problem>,
    /// How many more there are.
    more_problems: usize,
}

/// A setting.
#[derive(Clone)]
struct Setting {
    /// The line that sets it, from 1.
    line: usize,
    value: Result<Value, Unread>,
}

/// A piece of a file that could not be read.
#[derive(Clone)]
struct Problem {
    line: usize,
    /// The setting it is about.
    name: Option<String>,
    unread: Unread,
}

/// Why something has no value here.
#[derive(Clone)]
struct Unread {
    /// "is …".
    why: &'static str,
    /// How it stands in the file, unless that could be a secret.
    source: Option<String>,
}

/// Why a file is not read at all.
struct Refusal {
    /// The line that is the reason.
    line: Option<usize>,
    /// What is wrong there, or with the file.
    problem: String,
}

impl Found {
    /// Sets a name, if it is one that Flask would take.
    fn set(&mut self, name: &str, line: usize, value: Result<Value, Unread>) {
        if is_setting(name) {
            let value = match value {
                Ok(Value::Client(_)) if !CLIENTS.contains(&name) => {
                    Err(Unread { why: "is not a literal", source: None })
                }
                value => value,
            };
            self.settings.insert(name.to_owned(), Setting { line, value });
        }
    }

    /// Adds what is read after this, and wins.
    fn add(&mut self, later: &Self) {
        self.settings.extend(later.settings.iter().map(|(name, s)| (name.clone(), s.clone())));
        for problem in &later.problems {
            self.problem(|| problem.clone());
        }
        self.more_problems += later.more_problems;
    }

    fn problem(&mut self, problem: impl FnOnce() -> Problem) {
        match self.problems.len() < MAX_PROBLEMS {
            true => self.problems.push(problem()),
            false => self.more_problems += 1,
        }
    }
}

/// The settings that Flask-Session wants a server's client for.
const CLIENTS: &[&str] = &["SESSION_REDIS", "SESSION_MONGODB", "SESSION_MEMCACHED"];

/// Reads a configuration by the kind that its name tells; `class` is for Python alone.
///
/// # Errors
/// When the file cannot be read or is not of that kind.
pub fn read(path: &Path, class: Option<&str>) -> Result<Found, Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let extension = name.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default();
    let python = matches!(extension, "py" | "cfg");
    if class.is_some() && !python {
        return Err(Failure::Usage("--flask-class is for a Python file".into()));
    }
    let dotenv = extension == "env" || name.starts_with(".env") || name.starts_with(".flaskenv");
    let read: &dyn Fn(&str) -> Result<Found, Refusal> = match extension {
        _ if python => &|text| python::read(text, class),
        _ if dotenv => &|text| Ok(dotenv::read(text)),
        "toml" => &data::read_toml,
        "json" => &data::read_json,
        _ => {
            return Err(Failure::Usage(format!(
                "{}: a Flask configuration is a .py, .cfg, .env, .flaskenv, .toml or .json file",
                path.display()
            )));
        }
    };
    read(&text(path)?).map_err(|refusal| {
        let line = refusal.line.map(|line| format!("{line}:")).unwrap_or_default();
        Failure::Usage(format!("{}:{line} {}", path.display(), refusal.problem))
    })
}

fn text(path: &Path) -> Result<String, Failure> {
    let refuse = |why: &str| Failure::Usage(format!("{}: {why}", path.display()));
    let cannot = |error: std::io::Error| refuse(&format!("cannot be read: {error}"));
    // Asked first, because opening a pipe would wait for its other end.
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(refuse("is not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(cannot)?.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(refuse("is larger than 1 MiB, which no configuration is"));
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(refuse("is not UTF-8 text")),
    }
}

/// Whether Flask takes the name for a setting: Python's `str.isupper`, of what can be a name.
fn is_setting(name: &str) -> bool {
    name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && name.contains(char::is_uppercase)
        && !name.contains(char::is_lowercase)
}

/// Whether Dewar has a setting of this name.
fn is_known(name: &str) -> bool {
    config::keys().any(|(key, _)| *key == name)
}
