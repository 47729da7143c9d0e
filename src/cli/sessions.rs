//! `dewar sessions …`: who is signed in, and ending that.

mod copy;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Subcommand;
use serde_json::json;

use super::user::no_such_account;
use super::{Context, Failure, terminal};
use crate::auth::audit::Event;
use crate::auth::{Accounts, Audit, SignInId, SignIns, account_id, sign_in_id};
use crate::session::Map;
use crate::session::codec::Format;
use crate::session::store::{self, Listed, Store};
use crate::session::{end, is_forward};

const AT_ONCE: usize = 500;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the live sessions; a handle names one and cannot be used to sign in
    #[command(after_help = "Example: dewar sessions list --user teacher")]
    List {
        /// Only those of this account
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
    /// End sessions, effective with their next request
    #[command(after_help = "Example: dewar sessions revoke 0f1e2d3c4b5a6978")]
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Revoke {
        /// The sessions' handles, from `dewar sessions list`
        #[arg(group = "which", value_name = "HANDLE")]
        handles: Vec<String>,
        /// All of this account's
        #[arg(long, group = "which", value_name = "NAME")]
        user: Option<String>,
        /// Everybody's
        #[arg(long, group = "which")]
        all: bool,
    },
    /// Copy the live sessions from one store to another, while both are in use
    #[command(
        after_help = "Example: dewar sessions copy --from sqlite --to redis://127.0.0.1:6379/0\n\n\
                      A place is a SESSION_TYPE, whose settings are the configured ones, or a \
                      store's URL. Records change their format, and plain ids become hashed, as \
                      the settings of both say. What is there already stays, so the command can \
                      be given again. SESSION_MIGRATE_FROM moves sessions one by one instead, as \
                      their visitors come."
    )]
    Copy(copy::Arguments),
    /// Delete expired sessions now; the server does so by itself
    #[command(after_help = "Example: dewar sessions sweep")]
    Sweep,
    /// Count the live sessions
    #[command(after_help = "Example: dewar sessions stats --json")]
    Stats,
}

/// The store if there is one, and the accounts' names.
struct Desk {
    store: Option<Arc<dyn Store>>,
    prefix: String,
    format: Format,
    accounts: Accounts,
    sign_ins: SignIns,
    audit: Audit,
    names: HashMap<i64, String>,
    /// The sign-ins that have not been ended.
    live: HashSet<SignInId>,
}

/// Whose session one is.
struct Owner {
    account: Option<i64>,
    sign_in: Option<SignInId>,
    /// Whether its sign-in has not been ended meanwhile.
    is_signed_in: bool,
}

impl Desk {
    async fn open(context: &Context) -> Result<Self, Failure> {
        let settings = context.config()?.sessions;
        let store = store::connect(&settings)?;
        let db = context.db()?;
        let (accounts, sign_ins) = (Accounts::new(&db), SignIns::new(&db));
        let names = accounts.list().await?;
        Ok(Self {
            store,
            prefix: settings.key_prefix,
            format: settings.format,
            names: names.into_iter().map(|account| (account.id, account.name)).collect(),
            accounts,
            live: sign_ins.all().await?.into_iter().collect(),
            sign_ins,
            audit: Audit::new(&db),
        })
    }

    fn owner(&self, values: &Map) -> Owner {
        let (account, sign_in) = (account_id(values), sign_in_id(values));
        let counts = sign_in.as_ref().is_none_or(|id| self.live.contains(id));
        Owner { is_signed_in: account.is_some() && counts, account, sign_in }
    }

    fn store(&self) -> Result<&Arc<dyn Store>, Failure> {
        self.store.as_ref().ok_or_else(|| {
            Failure::Failed(
                "sessions live in the visitors' cookies, where they cannot be listed; \
                 `dewar sessions revoke --user NAME` ends an account's all the same"
                    .into(),
            )
        })
    }

    /// Hands each live session on, with its account's number if it has one.
    async fn for_each(
        &self,
        mut each: impl FnMut(&Listed, Owner) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match self.scan(&mut each).await? {
            true => Ok(()),
            false => Err(Failure::Failed(
                "this session store cannot list its sessions; `dewar sessions revoke --user NAME` \
                 ends an account's all the same"
                    .into(),
            )),
        }
    }

    /// The same; false when the store cannot list its sessions.
    async fn scan(
        &self,
        each: &mut impl FnMut(&Listed, Owner) -> Result<(), Failure>,
    ) -> Result<bool, Failure> {
        let (mut from, mut seen) = (None, HashSet::new());
        loop {
            let page = self.store()?.scan(&self.prefix, from.as_ref(), AT_ONCE);
            let Some(page) = page.await? else { return Ok(false) };
            for session in
                page.sessions.into_iter().filter(|session| seen.insert(session.key.clone()))
            {
                let values = self.format.decode(&session.bytes).unwrap_or_default();
                if is_forward(&values) {
                    continue;
                }
                each(&session, self.owner(&values))?;
            }
            from = page.next;
            if from.is_none() {
                return Ok(true);
            }
        }
    }

    async fn account(&self, name: &str) -> Result<i64, Failure> {
        self.accounts.id_of(name).await?.ok_or_else(|| no_such_account(name))
    }
}

impl Desk {
    /// Takes sessions that were ended one by one out of the registry, and notes whose they were.
    async fn note_ended(&self, owners: Vec<Owner>) -> Result<(), Failure> {
        let mut counts: HashMap<i64, usize> = HashMap::new();
        for account in owners.iter().filter_map(|owner| owner.account) {
            *counts.entry(account).or_default() += 1;
        }
        self.sign_ins
            .forget(owners.into_iter().filter_map(|owner| owner.sign_in).collect())
            .await?;
        for (account, count) in counts {
            let whose = self.names.get(&account).map(|name| (account, name.clone()));
            let detail = format!("sessions: {count}");
            self.audit.by_operator(Event::SessionsRevoked, whose, &detail).await?;
        }
        Ok(())
    }
}

pub async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    let desk = || Desk::open(context);
    match command {
        Command::Copy(arguments) => copy::run(context, &arguments).await,
        Command::List { user } => list(context, &desk().await?, user.as_deref()).await,
        Command::Revoke { handles, user, all } => {
            revoke(context.json, &desk().await?, &handles, user.as_deref(), all).await
        }
        Command::Sweep => sweep(context, &desk().await?).await,
        Command::Stats => stats(context, &desk().await?).await,
    }
}

async fn sweep(context: &Context, desk: &Desk) -> Result<(), Failure> {
    let mut swept = 0;
    loop {
        match desk.store()?.sweep(AT_ONCE).await? {
            AT_ONCE => swept += AT_ONCE,
            last => {
                swept += last;
                break;
            }
        }
    }
    match context.json {
        true => terminal::print_json(&json!({ "swept": swept })),
        false => terminal::print(&format!("{swept} expired sessions deleted\n")),
    }
}

async fn list(context: &Context, desk: &Desk, user: Option<&str>) -> Result<(), Failure> {
    let only = match user {
        Some(name) => Some(desk.account(name).await?),
        None => None,
    };
    let mut found = Vec::new();
    desk.for_each(|session, owner| {
        let account = owner.account.filter(|_| owner.is_signed_in);
        if only.is_none() || only == account {
            let name = account.and_then(|id| desk.names.get(&id));
            found.push((session.key.handle(), name.cloned(), session.expires.map(unix)));
        }
        Ok(())
    })
    .await?;
    if context.json {
        let sessions: Vec<_> = found
            .iter()
            .map(|(handle, account, expires)| {
                json!({ "handle": handle, "account": account, "expires": expires })
            })
            .collect();
        return terminal::print_json(&sessions);
    }
    let rows: Vec<_> = found
        .into_iter()
        .map(|(handle, account, expires)| {
            let expires = expires.map_or_else(|| "unknown".into(), terminal::time);
            [handle, account.unwrap_or_else(|| "-".into()), expires]
        })
        .collect();
    terminal::print_table(["HANDLE", "ACCOUNT", "EXPIRES (UTC)"], &rows)
}

fn unix(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().try_into().unwrap_or(i64::MAX))
}

async fn revoke(
    json: bool,
    desk: &Desk,
    handles: &[String],
    user: Option<&str>,
    all: bool,
) -> Result<(), Failure> {
    let account = match user {
        Some(name) => Some(desk.account(name).await?),
        None => None,
    };
    // These hold for sessions that no list shows, in cookies and in stores that cannot list.
    if all {
        desk.accounts.sign_out_all().await?;
    }
    if let Some(name) = user {
        desk.accounts.sign_out(name).await?;
    }
    let mut missing: Vec<&String> = handles.iter().collect();
    let (mut found, mut owners) = (Vec::new(), Vec::new());
    let mut find = |session: &Listed, owner: Owner| {
        let handle = session.key.handle();
        missing.retain(|wanted| **wanted != handle);
        if all || account.is_some() && owner.account == account || handles.contains(&handle) {
            found.push(session.clone());
            owners.push(owner);
        }
        Ok(())
    };
    if handles.is_empty() && (desk.store.is_none() || !desk.scan(&mut find).await?) {
        let who = user.map_or_else(|| "everybody".into(), |name| format!("account {name}"));
        let done =
            format!("{who} is signed out everywhere; how many sessions that were is not known");
        return terminal::done(json, &done, &json!({ "ended": null }));
    }
    if !handles.is_empty() {
        desk.for_each(find).await?;
    }
    let bar = terminal::progress(found.len(), "Ending sessions");
    for Listed { key, bytes, .. } in &found {
        end(&**desk.store()?, desk.format, key, bytes).await?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    if !handles.is_empty() {
        desk.note_ended(owners).await?;
    }
    let ended = found.len();
    terminal::done(json, &format!("{ended} sessions ended"), &json!({ "ended": ended }))?;
    match missing.as_slice() {
        [] => Ok(()),
        missing => {
            let missing: Vec<_> = missing.iter().map(|handle| handle.as_str()).collect();
            Err(Failure::Failed(format!("no live session has the handle {}", missing.join(", "))))
        }
    }
}

async fn stats(context: &Context, desk: &Desk) -> Result<(), Failure> {
    let (mut live, mut signed_in, mut bytes) = (0_u64, 0_u64, 0_u64);
    desk.for_each(|session, owner| {
        live += 1;
        signed_in += u64::from(owner.is_signed_in);
        bytes += session.bytes.len() as u64;
        Ok(())
    })
    .await?;
    match context.json {
        true => {
            terminal::print_json(&json!({ "live": live, "signed_in": signed_in, "bytes": bytes }))
        }
        false => terminal::print(&format!(
            "live sessions  {live}\nsigned in      {signed_in}\nbytes of data  {bytes}\n"
        )),
    }
}
