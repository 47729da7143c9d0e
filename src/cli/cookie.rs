//! `dewar cookie …`: looking into Flask's session cookies, and making them.

use std::io::Read;

use clap::Subcommand;
use serde_json::json;

use super::{Context, Failure, terminal};
use crate::config::ConfigError;
use crate::session::codec::tagged;
use crate::session::settings::Reader;
use crate::session::signing::{self, Rejected, SESSION_SALT, Signer};
use crate::session::{Map, rfc3339, unix_now};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what a cookie holds, how old it is and which key verifies it; exit 1 when none does
    #[command(
        after_help = "Example: dewar cookie decode eyJhIjoxfQ.ZjiB2Q.6-gS… --secret-key dev\n\n\
                            A key on the command line can be seen by others on this machine; \
                            without one SECRET_KEY and SECRET_KEY_FALLBACKS are tried."
    )]
    Decode {
        /// The cookie's value
        #[arg(allow_hyphen_values = true)]
        cookie: String,
        /// A key to try, the signing one first [default: the configured ones]
        #[arg(long, value_name = "KEY")]
        secret_key: Vec<String>,
        /// The time to count its age at, in seconds since 1970 [default: now]
        #[arg(long, value_name = "UNIX")]
        at: Option<i64>,
        /// Print the tagged JSON exactly as it was signed
        #[arg(long)]
        tagged: bool,
    },
    /// Read tagged JSON on standard input and print the cookie
    #[command(
        after_help = "Example: echo '{\"user\":\"gkf\"}' | dewar cookie encode --secret-key dev"
    )]
    Encode {
        /// The key [default: the configured SECRET_KEY]
        #[arg(long, value_name = "KEY")]
        secret_key: Option<String>,
        /// The time to sign for, in seconds since 1970 [default: now]
        #[arg(long, value_name = "UNIX")]
        at: Option<i64>,
    },
}

pub fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Decode { cookie, secret_key, at, tagged } => {
            let keys = match secret_key.is_empty() {
                true => configured(context)?,
                false => secret_key,
            };
            decode(&cookie, &keys, at.unwrap_or_else(unix_now), tagged)
        }
        Command::Encode { secret_key, at } => {
            let keys = match secret_key {
                Some(key) => vec![key],
                None => configured(context)?,
            };
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            let values = read_tagged(&text)?;
            let payload = tagged::encode(&values).map_err(Failure::failed)?;
            let cookie =
                signing::sign(payload.as_bytes(), &signer(&keys), at.unwrap_or_else(unix_now));
            terminal::print(&(cookie + "\n"))
        }
    }
}

/// The configured keys in the order in which they are tried.
fn configured(context: &Context) -> Result<Vec<String>, Failure> {
    // Nothing but the keys is looked at: a weak one is no reason not to look into a cookie.
    let mut reader = Reader::new(&context.figment()?);
    let key = reader.text("SECRET_KEY").filter(|key| !key.is_empty());
    let fallbacks = reader.list("SECRET_KEY_FALLBACKS").unwrap_or_default();
    let keys: Vec<_> = key.into_iter().chain(fallbacks.into_iter().rev()).collect();
    reader.finish(()).map_err(ConfigError::from)?;
    match keys.is_empty() {
        true => {
            Err(Failure::Usage("no SECRET_KEY is configured; give one with --secret-key".into()))
        }
        false => Ok(keys),
    }
}

fn signer(keys: &[String]) -> Signer {
    let key = |key: &String| key.as_bytes().to_vec();
    // The fallbacks are tried from the last.
    let fallbacks: Vec<_> = keys.iter().skip(1).rev().map(key).collect();
    Signer::new(keys.first().map(key).as_deref().unwrap_or_default(), &fallbacks, SESSION_SALT)
}

fn read_tagged(text: &str) -> Result<Map, Failure> {
    tagged::decode(text.trim()).map_err(|error| Failure::Failed(format!("the input: {error}")))
}

fn decode(cookie: &str, keys: &[String], at: i64, as_signed: bool) -> Result<(), Failure> {
    let signer = signer(keys);
    let verdict = signer.unsign(cookie);
    let Some((payload, timestamp)) = signing::peek(cookie) else {
        let problem = verdict.err().unwrap_or(Rejected::Unreadable);
        return Err(Failure::Failed(format!("the cookie cannot be read: {problem}")));
    };
    let payload = String::from_utf8_lossy(&payload).into_owned();
    if as_signed {
        terminal::print(&(payload + "\n"))?;
    } else {
        let values = read_tagged(&payload)?;
        terminal::print_json(&json!({
            "payload": values,
            "verified": verdict.is_ok(),
            "key": verdict.as_ref().ok().map(|(_, key)| key),
            "signed": rfc3339(timestamp, 0),
            "age": at.saturating_sub(timestamp),
        }))?;
    }
    match verdict {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::Failed(format!("the payload is not verified: {error}"))),
    }
}
