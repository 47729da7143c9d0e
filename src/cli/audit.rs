//! `dewar audit`: what happened to accounts and sessions.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use rocket::tokio::time::sleep;

use super::{Context, Failure, terminal};
use crate::auth::Audit;
use crate::auth::audit::{Actor, Entry, Event, Filter};
use crate::session::settings::parse_duration;
use crate::session::unix_now;

/// How often `--follow` looks for more.
const LOOK_EVERY: Duration = Duration::from_secs(1);

const HEADINGS: [&str; 5] = ["TIME (UTC)", "EVENT", "ACCOUNT", "FROM", "DETAIL"];

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only what happened within this time, such as 90m, 7d or "2 weeks"
    #[arg(long, value_name = "TIME", value_parser = span)]
    since: Option<Duration>,
    /// Only what is about accounts of this name, removed ones included
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only this kind
    #[arg(long, value_parser = PossibleValuesParser::new(Event::ALL.iter().map(|e| e.name())))]
    event: Option<String>,
    /// At most so many entries, the newest
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Go on with what happens from now on; with --json each entry is a line
    #[arg(long, short)]
    follow: bool,
}

fn span(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "must be a time such as 90m, 7d or \"2 weeks\"".into())
}

pub async fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let audit = Audit::new(&context.db()?);
    let mut filter = Filter {
        since: arguments.since.map(|since| unix_now().saturating_sub_unsigned(since.as_secs())),
        name: arguments.user.clone(),
        event: arguments.event.as_deref().and_then(Event::named),
        after: 0,
        limit: arguments.limit,
    };
    let entries = audit.list(filter.clone()).await?;
    if !arguments.follow {
        return match context.json {
            true => terminal::print_json(&entries),
            false => terminal::print_table(HEADINGS, &entries.iter().map(row).collect::<Vec<_>>()),
        };
    }
    if arguments.limit == 0 {
        let newest = Filter { limit: 1, ..Filter::default() };
        filter.after = audit.list(newest).await?.last().map_or(0, |entry| entry.id);
    }
    filter.limit = u32::MAX;
    let mut entries = entries;
    loop {
        for entry in &entries {
            filter.after = entry.id;
            let line = match context.json {
                true => serde_json::to_string(entry)?,
                false => row(entry).join("  ").trim_end().to_owned(),
            };
            if !terminal::offer(&format!("{line}\n"))? {
                return Ok(());
            }
        }
        sleep(LOOK_EVERY).await;
        entries = audit.list(filter.clone()).await?;
    }
}

fn row(entry: &Entry) -> [String; 5] {
    let known = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let from = match (&entry.address, &entry.agent) {
        (Some(address), Some(agent)) => format!("{address} ({agent})"),
        (Some(address), None) => address.clone(),
        (None, _) if entry.actor == Actor::Visitor.name() => "-".into(),
        (None, _) => entry.actor.clone(),
    };
    [
        terminal::time(entry.at),
        entry.event.clone(),
        known(&entry.name).unwrap_or_else(|| "-".into()),
        from,
        known(&entry.detail).unwrap_or_default(),
    ]
}
