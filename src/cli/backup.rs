//! `dewar backup` and `dewar restore`, both while the server runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use super::{Context, Failure, terminal};
use crate::db;
use crate::sqlite::{self, BUSY_TIMEOUT};

#[derive(Debug, clap::Args)]
pub struct BackupArguments {
    /// The file to write
    file: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
pub struct RestoreArguments {
    /// The backup
    file: PathBuf,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// The database, if it is a file of ours to copy.
fn sqlite_file(context: &Context, instead: &str) -> Result<PathBuf, Failure> {
    let database = context.config()?.database;
    database.file().cloned().ok_or_else(|| {
        Failure::Usage(format!(
            "backup and restore are for SQLite, and DATABASE is {database}; use PostgreSQL's own \
             {instead}"
        ))
    })
}

/// Copies a snapshot to a file beside the target and puts it in place only when it is whole.
pub fn backup(context: &Context, arguments: &BackupArguments) -> Result<(), Failure> {
    let target = &arguments.file;
    if target.exists() && !arguments.force {
        return Err(Failure::Usage(format!("{} exists; --force replaces it", target.display())));
    }
    let database = sqlite_file(context, "pg_dump")?;
    if sqlite::is_same_file(target, &database) {
        return Err(Failure::Usage(format!(
            "{} is the database itself; name another file",
            target.display()
        )));
    }
    let source = open(&database)?;
    let failed =
        |error: &dyn std::fmt::Display| Failure::Failed(format!("{}: {error}", target.display()));
    let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Readable by its owner alone from the first byte on.
    let part = tempfile::Builder::new()
        .prefix(".dewar-backup-")
        .tempfile_in(dir)
        .map_err(|error| failed(&error))?;
    let mut copy = Connection::open(part.path()).map_err(|error| failed(&error))?;
    copy_all(&source, &mut copy, part.path())?;
    check_sound(&copy).map_err(|problem| failed(&problem))?;
    // A lone file: no log beside it to be forgotten when it is carried away.
    copy.pragma_update(None, "journal_mode", "DELETE").map_err(|error| failed(&error))?;
    copy.close().map_err(|(_, error)| failed(&error))?;
    part.as_file().sync_all()?;
    let written = match arguments.force {
        true => part.persist(target),
        false => part.persist_noclobber(target),
    };
    written.map_err(|error| failed(&error.error))?;
    File::open(dir)?.sync_all()?;
    let bytes = fs::metadata(target)?.len();
    terminal::done(
        context.json,
        &format!("wrote {} ({bytes} bytes)", target.display()),
        &json!({ "wrote": target, "bytes": bytes }),
    )
}

/// Puts a checked backup in the database's place in one transaction.
pub fn restore(context: &Context, arguments: &RestoreArguments) -> Result<(), Failure> {
    let file = &arguments.file;
    let database = sqlite_file(context, "pg_restore")?;
    let refused = |problem: &dyn std::fmt::Display| {
        Failure::Failed(format!("{}: {problem}; nothing was changed", file.display()))
    };
    let source = open(file)?;
    check_sound(&source).map_err(|problem| refused(&problem))?;
    if !db::is_ours(&source).map_err(|error| refused(&error))? {
        return Err(refused(&"this is no backup of this or an older version of dewar"));
    }
    let question = format!("Replace everything in {} by {}?", database.display(), file.display());
    if !arguments.yes && !terminal::confirm(&question)? {
        return Err(Failure::Failed("nothing was changed".into()));
    }
    replace(&source, &database)?;
    // An older backup is brought up to date at once.
    context.db()?;
    terminal::done(
        context.json,
        &format!(
            "restored {} from {}; sessions that were ended since are there again, and `dewar sessions \
             revoke --all` ends them",
            database.display(),
            file.display()
        ),
        &json!({ "restored": database, "from": file }),
    )
}

fn replace(source: &Connection, database: &Path) -> Result<(), sqlite::Error> {
    // One that is made anew is its owner's alone, and the owner is its directory's.
    if !database.exists() {
        sqlite::Database::open(database)?;
    }
    let attempt = || {
        let failed = |error| sqlite::Error::sqlite(database, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let mut target = Connection::open_with_flags(database, flags).map_err(failed)?;
        target.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        copy_all(source, &mut target, database)
    };
    match attempt() {
        // What cannot be read cannot be overwritten page by page: it is set aside, and a running
        // server notices the other file.
        Err(sqlite::Error::Corrupt { .. } | sqlite::Error::NotADatabase(_)) => {
            for suffix in ["", "-wal", "-shm"] {
                let with = |end: &str| {
                    let mut name = database.as_os_str().to_owned();
                    name.push(suffix);
                    name.push(end);
                    PathBuf::from(name)
                };
                // The side files need not be there.
                let _ = fs::rename(with(""), with(".damaged"));
            }
            sqlite::Database::open(database)?;
            attempt()
        }
        result => result,
    }
}

fn open(path: &Path) -> Result<Connection, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::Failed(format!("{}: {error}", path.display()));
    fs::metadata(path).map_err(|error| failed(&error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| failed(&error))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(|error| failed(&error))?;
    Ok(connection)
}

/// All pages in one step, so that the copy is of one moment however busy the server is.
fn copy_all(from: &Connection, to: &mut Connection, path: &Path) -> Result<(), sqlite::Error> {
    let failed = |error| sqlite::Error::sqlite(path, error);
    let backup = Backup::new(from, to).map_err(failed)?;
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match backup.step(-1).map_err(failed)? {
            StepResult::Done => return Ok(()),
            _ if Instant::now() > deadline => return Err(sqlite::Error::Busy(path.into())),
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn check_sound(connection: &Connection) -> Result<(), String> {
    let verdict: rusqlite::Result<String> =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0));
    match verdict {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(problem) => Err(format!("the database is damaged: {problem}")),
        Err(error) => Err(error.to_string()),
    }
}
