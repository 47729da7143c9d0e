//! `dewar init`: the first configuration, database and account.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Context, Failure, generate, terminal, user};
use crate::auth::Accounts;
use crate::auth::accounts::{Outcome, name_problem};
use crate::auth::password;

/// The commented configuration; the line of its key is replaced.
const TEMPLATE: &str = include_str!("../../Rocket.toml");
const KEY_LINE: &str = "# SECRET_KEY = \"\"";

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The first account's name [default: asks]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Read the first account's password from standard input
    #[arg(long, requires = "user")]
    password_stdin: bool,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let file = context.config.clone().unwrap_or_else(|| PathBuf::from("Rocket.toml"));
    if file.exists() {
        return Err(exists(&file));
    }
    let name = match &arguments.user {
        Some(name) => name.clone(),
        None => terminal::ask("Name of the first account: ")?,
    };
    if let Some(problem) = name_problem(&name) {
        return Err(Failure::Usage(problem));
    }
    let hash = password::hash(&terminal::new_password(arguments.password_stdin)?)?;

    let key_line = format!("SECRET_KEY = \"{}\"", generate::fresh_key()?);
    write_new(&file, &TEMPLATE.replace(KEY_LINE, &key_line))?;
    let context = Context { config: Some(file.clone()), json: context.json };
    let config = context.config()?;
    let accounts = Accounts::new(&context.db()?);
    match accounts.add(&name, hash)? {
        Outcome::Exists => return Err(user::name_taken(&name)),
        Outcome::Done | Outcome::NoSuchAccount => {}
    }
    let database = config.database.display();
    terminal::done(
        context.json,
        &format!(
            "wrote {}, made {database} and the account {name}; start the server with `dewar`",
            file.display()
        ),
        &json!({ "config": file, "database": config.database, "account": name }),
    )
}

/// Writes a file that is not there yet, for its owner's eyes alone.
fn write_new(file: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Failed(format!("{}: {error}", file.display()));
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(mut open) => {
            open.write_all(text.as_bytes()).and_then(|()| open.sync_all()).map_err(failed)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(exists(file)),
        Err(error) => Err(failed(error)),
    }
}

fn exists(file: &Path) -> Failure {
    Failure::Usage(format!(
        "{} exists already and was left as it is; add accounts with `dewar user add NAME`",
        file.display()
    ))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_template_has_a_place_for_the_key() {
        assert_eq!(super::TEMPLATE.matches(super::KEY_LINE).count(), 1);
    }
}
