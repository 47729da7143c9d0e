//! `dewar user …`: the accounts.

use clap::Subcommand;
use serde_json::json;

use super::{Context, Failure, terminal};
use crate::auth::Accounts;
use crate::auth::accounts::{Outcome, name_problem};
use crate::auth::password;
use crate::auth::strength::{Weakness, weakness};
use crate::config::Config;

/// How a new password comes, and whether any will do.
#[derive(Debug, clap::Args)]
pub struct NewPassword {
    /// Read the password from standard input instead of asking
    #[arg(long)]
    pub password_stdin: bool,
    /// Take a password that is short or easy to guess, with a warning
    #[arg(long)]
    pub allow_weak_password: bool,
}

impl NewPassword {
    /// Reads a password for the account of a name.
    pub fn read(&self, config: &Config, name: &str) -> Result<String, Failure> {
        let min_length = config.accounts.password_min_length;
        let password = terminal::new_password(self.password_stdin, min_length)?;
        let site = config.urls.server_name.as_deref().unwrap_or_default();
        match weakness(&password, min_length, &[name, site]) {
            None => Ok(password),
            Some(weakness) if self.allow_weak_password && weakness != Weakness::TooLong => {
                terminal::note(&format!("warning: {weakness}"));
                Ok(password)
            }
            Some(Weakness::TooLong) => Err(Failure::Usage(Weakness::TooLong.to_string())),
            Some(weakness) => Err(Failure::Usage(format!(
                "{weakness}\n--allow-weak-password takes it all the same"
            ))),
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add an account
    #[command(
        after_help = "Example: printf %s \"$PASSWORD\" | dewar user add teacher --password-stdin"
    )]
    Add {
        /// Its name, found in any case afterwards
        name: String,
        #[command(flatten)]
        password: NewPassword,
    },
    /// Set another password and end the account's sessions
    #[command(after_help = "Example: dewar user passwd teacher")]
    Passwd {
        /// The account
        name: String,
        #[command(flatten)]
        password: NewPassword,
    },
    /// Lock an account and end its sessions
    #[command(after_help = "Example: dewar user disable teacher")]
    Disable {
        /// The account
        name: String,
    },
    /// Unlock an account
    #[command(after_help = "Example: dewar user enable teacher")]
    Enable {
        /// The account
        name: String,
    },
    /// Remove an account and end its sessions
    #[command(after_help = "Example: dewar user remove teacher")]
    Remove {
        /// The account
        name: String,
    },
    /// List the accounts
    #[command(after_help = "Example: dewar user list --json")]
    List,
}

pub async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    let (name, outcome, done) = match command {
        Command::List => return list(context).await,
        Command::Add { name, password } => {
            if let Some(problem) = name_problem(&name) {
                return Err(Failure::Usage(problem));
            }
            let config = context.config()?;
            let accounts = Accounts::new(&context.db()?);
            if accounts.id_of(&name).await?.is_some() {
                return Err(name_taken(&name));
            }
            let hash = password::hash(&password.read(&config, &name)?)?;
            let outcome = accounts.add(&name, hash).await?;
            let done = match config.urls.external("/login") {
                Some(url) => format!("added; sign in at {url}"),
                None => "added".into(),
            };
            (name, outcome, done)
        }
        Command::Passwd { name, password } => {
            let config = context.config()?;
            let accounts = Accounts::new(&context.db()?);
            if accounts.id_of(&name).await?.is_none() {
                return Err(no_such_account(&name));
            }
            let hash = password::hash(&password.read(&config, &name)?)?;
            let outcome = accounts.set_password(&name, hash).await?;
            (name, outcome, "has a new password; its sessions have ended".into())
        }
        Command::Disable { name } => {
            let outcome = Accounts::new(&context.db()?).set_disabled(&name, true).await?;
            (name, outcome, "disabled; its sessions have ended".into())
        }
        Command::Enable { name } => {
            let outcome = Accounts::new(&context.db()?).set_disabled(&name, false).await?;
            (name, outcome, "enabled".into())
        }
        Command::Remove { name } => {
            let outcome = Accounts::new(&context.db()?).remove(&name).await?;
            (name, outcome, "removed; its sessions have ended".into())
        }
    };
    match outcome {
        Outcome::Done => terminal::done(
            context.json,
            &format!("account {name} {done}"),
            &json!({ "account": name, "done": done }),
        ),
        Outcome::NoSuchAccount => Err(no_such_account(&name)),
        Outcome::Exists => Err(name_taken(&name)),
    }
}

async fn list(context: &Context) -> Result<(), Failure> {
    let accounts = Accounts::new(&context.db()?).list().await?;
    if context.json {
        let accounts: Vec<_> = accounts
            .iter()
            .map(|account| {
                json!({
                    "id": account.id,
                    "name": account.name,
                    "disabled": account.disabled,
                    "created": account.created,
                })
            })
            .collect();
        return terminal::print_json(&accounts);
    }
    let rows: Vec<_> = accounts
        .into_iter()
        .map(|account| {
            let state = if account.disabled { "disabled" } else { "enabled" };
            [account.id.to_string(), account.name, state.into(), terminal::time(account.created)]
        })
        .collect();
    terminal::print_table(["ID", "NAME", "STATE", "CREATED (UTC)"], &rows)
}

pub fn name_taken(name: &str) -> Failure {
    Failure::Failed(format!(
        "there is an account {name} already; `dewar user passwd` sets its password"
    ))
}

pub fn no_such_account(name: &str) -> Failure {
    Failure::Failed(format!("there is no account {name}; `dewar user list` shows those there are"))
}
