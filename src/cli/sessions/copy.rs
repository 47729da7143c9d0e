//! `dewar sessions copy`: the sessions of one store in another.

use figment::value::Value;
use serde_json::json;

use super::AT_ONCE;
use crate::cli::{Context, Failure, terminal};
use crate::session::Settings;
use crate::session::copy::{Copied, Copier, CopyError};
use crate::session::settings::env::parse;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where the sessions are: a SESSION_TYPE or a store's URL
    #[arg(long, value_name = "PLACE")]
    from: String,
    /// Where they go to
    #[arg(long, value_name = "PLACE")]
    to: String,
    /// Another setting for where they are, such as SESSION_HASH_IDS=false
    #[arg(long, value_name = "SETTING=VALUE")]
    from_set: Vec<String>,
    /// Another setting for where they go to
    #[arg(long, value_name = "SETTING=VALUE")]
    to_set: Vec<String>,
    /// Take each that is copied out where it was; what is in the other place already stays in both
    #[arg(long)]
    remove: bool,
}

pub async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let figment = context.figment()?;
    let place = |place: &str, set: &[String]| {
        let set = set.iter().map(|setting| assignment(setting)).collect::<Result<Vec<_>, _>>()?;
        Settings::elsewhere(&figment, place, &set)
            .map_err(|error| Failure::Usage(error.to_string()))
    };
    let from = place(&arguments.from, &arguments.from_set)?;
    let to = place(&arguments.to, &arguments.to_set)?;
    let copier = Copier::open(from, to, arguments.remove).map_err(|error| match error {
        CopyError::Store(error) => error.into(),
        error => Failure::Usage(error.to_string()),
    })?;
    copy(context, &copier).await
}

async fn copy(context: &Context, copier: &Copier) -> Result<(), Failure> {
    let bar = terminal::counter("Copying sessions");
    let (mut made, mut there, mut ended, mut unreadable) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut from = None;
    loop {
        let page = copier.list(from.as_ref(), AT_ONCE).await?.ok_or_else(|| {
            Failure::Failed(
                "the store that the sessions are in cannot list them; SESSION_MIGRATE_FROM moves \
                 them one by one, as their visitors come"
                    .into(),
            )
        })?;
        for session in &page.sessions {
            match copier.copy(session).await? {
                Copied::Made => made += 1,
                Copied::There => there += 1,
                Copied::Ended => ended += 1,
                Copied::Unreadable => unreadable += 1,
            }
            bar.inc(1);
        }
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    bar.finish_and_clear();
    terminal::done(
        context.json,
        &format!(
            "{made} sessions copied; {there} were there already, {ended} ended meanwhile, \
             {unreadable} cannot be read"
        ),
        &json!({ "copied": made, "there": there, "ended": ended, "unreadable": unreadable }),
    )
}

/// A setting of the command line, read as a `FLASK_` variable is: JSON where it parses.
fn assignment(text: &str) -> Result<(String, Value), Failure> {
    let (name, value) = text.split_once('=').ok_or_else(|| {
        Failure::Usage(format!("{text:?} is not SETTING=VALUE, such as SESSION_HASH_IDS=false"))
    })?;
    Ok((name.to_owned(), parse(name, value)))
}
