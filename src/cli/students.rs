//! `dewar students …`: the roster.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::{Context, Failure, terminal};
use crate::auth::Audit;
use crate::auth::audit::Event;
use crate::db::Db;
use crate::students::{OnConflict, Student, Students, read_csv, write_csv};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add the students of a CSV file with the header id,name,age,gender
    #[command(after_help = "Example: dewar students import class.csv\n\n\
                            All rows are added or, when one is wrong, none.")]
    Import {
        /// The file; - for standard input
        file: PathBuf,
        /// Replace students whose id is in the database already
        #[arg(long)]
        replace: bool,
    },
    /// Write all students as CSV, or as JSON with --json
    #[command(after_help = "Example: dewar students export class.csv")]
    Export {
        /// The file, which must not exist; - for standard output
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// Add one student
    #[command(after_help = "Example: dewar students add \"Iron Egg\" --age 19 --gender male")]
    Add {
        /// The name
        name: String,
        /// The number [default: the next free one]
        #[arg(long)]
        id: Option<i64>,
        /// The age in years
        #[arg(long)]
        age: Option<u8>,
        /// The gender
        #[arg(long)]
        gender: Option<String>,
    },
    /// Remove one student
    #[command(after_help = "Example: dewar students remove 3")]
    Remove {
        /// The number
        id: i64,
    },
}

pub async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Import { file, replace } => import(context, &file, replace).await,
        Command::Export { file } => export(context, &file).await,
        Command::Add { name, id, age, gender } => {
            let db = context.db()?;
            let students = Students::new(&db);
            let id = match id {
                Some(id) => id,
                None => students.next_id().await?,
            };
            let student = Student { id, name, age, gender };
            if let Some(problem) = student.problem() {
                return Err(Failure::Usage(problem));
            }
            match students.import(vec![student], OnConflict::Refuse, |_| {}).await? {
                None => {
                    note(&db, format!("student {id} added")).await?;
                    terminal::done(
                        context.json,
                        &format!("student {id} added"),
                        &json!({ "added": id }),
                    )
                }
                Some(id) => Err(Failure::Failed(format!("there is a student {id} already"))),
            }
        }
        Command::Remove { id } => {
            let db = context.db()?;
            if !Students::new(&db).remove(id).await? {
                return Err(Failure::Failed(format!("there is no student {id}")));
            }
            note(&db, format!("student {id} removed")).await?;
            terminal::done(
                context.json,
                &format!("student {id} removed"),
                &json!({ "removed": id }),
            )
        }
    }
}

/// Writes a change of the roster into the audit trail.
async fn note(db: &Db, what: String) -> Result<(), Failure> {
    Ok(Audit::new(db).by_operator(Event::StudentsChanged, None, &what).await?)
}

async fn import(context: &Context, file: &Path, replace: bool) -> Result<(), Failure> {
    let is_stdin = file == Path::new("-");
    let wrong = |error: &dyn std::fmt::Display| {
        let name = if is_stdin { "standard input".into() } else { file.display().to_string() };
        Failure::Failed(format!("{name}: {error}; nothing was imported"))
    };
    let input: Box<dyn Read> = match is_stdin {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(file).map_err(|error| wrong(&error))?),
    };
    let rows = read_csv(input).map_err(|error| wrong(&error))?;
    let count = rows.len();
    let on_conflict = if replace { OnConflict::Replace } else { OnConflict::Refuse };
    let bar = terminal::progress(count, "Importing");
    let shown = bar.clone();
    let progress = move |done: usize| {
        if done.is_multiple_of(1000) {
            shown.set_position(done as u64);
        }
    };
    let db = context.db()?;
    let taken = Students::new(&db).import(rows, on_conflict, progress).await;
    bar.finish_and_clear();
    match taken? {
        None => {
            let message = format!("imported {count} students");
            note(&db, message.clone()).await?;
            terminal::done(context.json, &message, &json!({ "imported": count }))
        }
        Some(id) => Err(wrong(&format!(
            "id {id} is in the database already (--replace replaces such students)"
        ))),
    }
}

async fn export(context: &Context, file: &Path) -> Result<(), Failure> {
    let all = Students::new(&context.db()?).all().await?;
    let mut text = Vec::new();
    match context.json {
        true => {
            serde_json::to_writer_pretty(&mut text, &all)?;
            text.push(b'\n');
        }
        false => write_csv(&mut text, all).map_err(Failure::failed)?,
    }
    if file == Path::new("-") {
        return terminal::print(&String::from_utf8_lossy(&text));
    }
    // Whole or not at all.
    let failed = |error: io::Error| Failure::Failed(format!("{}: {error}", file.display()));
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut part = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
    part.write_all(&text).map_err(failed)?;
    part.persist_noclobber(file).map_err(|error| failed(error.error))?;
    Ok(())
}
