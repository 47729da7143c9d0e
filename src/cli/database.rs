//! `dewar database …`: accounts and students, as a whole.

use std::path::PathBuf;

use clap::Subcommand;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use super::{Context, Failure, terminal};
use crate::db::{self, Db, Location};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copy accounts, students, sign-ins and audit trail to another database, and check that both hold the same
    #[command(
        after_help = "Example: dewar database copy --to postgresql://dewar@db.example/dewar\n\n\
                      All of it is copied or nothing, with the accounts' numbers, passwords and \
                      ends of sessions, so that nobody has to sign in again who could go on. \
                      What is changed while it runs may not be in the copy: stop the server, or \
                      change nothing, until the other database is in DATABASE. Sessions are \
                      copied by `dewar sessions copy`."
    )]
    Copy {
        /// Where to: a SQLite file or a PostgreSQL server's URL
        #[arg(long, value_name = "PLACE")]
        to: String,
        /// Where from [default: DATABASE]
        #[arg(long, value_name = "PLACE")]
        from: Option<String>,
        /// Replace what the other database holds
        #[arg(long)]
        force: bool,
    },
}

pub async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    let Command::Copy { to, from, force } = command;
    let config = context.config()?;
    let from = from.map_or(Ok(config.database), |text| place("--from", &text))?;
    let to = place("--to", &to)?;
    if from == to {
        return Err(Failure::Usage(format!("{to} cannot be copied to itself")));
    }
    if let Some(path) = from.file() {
        let failed = |problem: &dyn std::fmt::Display| {
            Failure::Failed(format!("{}: {problem}", path.display()))
        };
        if !path.exists() {
            return Err(failed(&"there is no such file"));
        }
        // Opened below, any file gets the tables.
        let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE);
        let ours = file.and_then(|file| db::is_ours(&file)).map_err(|error| failed(&error))?;
        if !ours {
            return Err(failed(&"this is no database of this or an older version of dewar"));
        }
    }
    let limit = config.sessions.store_timeout;
    let (source, target) = (Db::open(&from, limit)?, Db::open(&to, limit)?);
    if !target.fill(source.contents().await?, force).await? {
        return Err(Failure::Failed(format!(
            "{to} holds accounts, students or an audit trail; nothing was copied (--force \
             replaces them)"
        )));
    }
    compare(context, (&from, &source), (&to, &target)).await
}

/// Reads both anew and shows what they hold.
async fn compare(
    context: &Context,
    (from, source): (&Location, &Db),
    (to, target): (&Location, &Db),
) -> Result<(), Failure> {
    let (here, there) = (source.contents().await?, target.contents().await?);
    if context.json {
        let table = |from, to| json!({ "from": from, "to": to });
        terminal::print_json(&json!({
            "from": from.to_string(),
            "to": to.to_string(),
            "accounts": table(here.accounts(), there.accounts()),
            "students": table(here.students(), there.students()),
            "sign_ins": table(here.sign_ins(), there.sign_ins()),
            "audit": table(here.audit(), there.audit()),
        }))?;
    } else {
        let rows = [
            ("accounts", from, here.accounts()),
            ("accounts", to, there.accounts()),
            ("students", from, here.students()),
            ("students", to, there.students()),
            ("sign_ins", from, here.sign_ins()),
            ("sign_ins", to, there.sign_ins()),
            ("audit", from, here.audit()),
            ("audit", to, there.audit()),
        ];
        let rows = rows.map(|(table, place, sum)| {
            [table.into(), sum.rows.to_string(), sum.sha256, place.to_string()]
        });
        terminal::print_table(["TABLE", "ROWS", "SHA-256", "DATABASE"], &rows)?;
    }
    match here == there {
        true => Ok(()),
        false => Err(Failure::Failed(
            "the two differ, as one of them was changed meanwhile; stop what changes them and copy \
             again with --force"
                .into(),
        )),
    }
}

fn place(flag: &str, text: &str) -> Result<Location, Failure> {
    let location = Location::url(text);
    if location.is_none() && text.contains("://") {
        return Err(Failure::Usage(format!(
            "{flag} must be a SQLite file or a URL that begins with postgresql://"
        )));
    }
    let location = location.unwrap_or_else(|| Location::File(PathBuf::from(text)));
    match location.problem() {
        Some(problem) => Err(Failure::Usage(format!("{flag}: {problem}"))),
        None => Ok(location),
    }
}
