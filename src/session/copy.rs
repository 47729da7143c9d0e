//! Copying the live sessions of one store to another, while both are in use.

use std::sync::Arc;
use std::time::Duration;

use super::clock;
use super::error::Error;
use super::forward::{self, Target, is_forward};
use super::settings::{Settings, StoreSettings, overlap};
use super::store::{self, Cursor, Listed, Page, Replacement, Store};
use super::token::{SessionId, StoreKey};
use super::value::Map;

/// How often a session is tried that others change meanwhile.
const TRIES: usize = 8;

/// A way from one store to another.
///
/// Records change their format on the way where the stores' settings differ, and plain ids become
/// hashed ones.
#[derive(Debug)]
pub struct Copier {
    from: Place,
    to: Place,
    remove: bool,
}

#[derive(Debug)]
struct Place {
    settings: Settings,
    store: Arc<dyn Store>,
}

/// Why sessions cannot be copied that way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// One side is no store.
    #[error("sessions in cookies can be neither listed nor made; name a store")]
    Cookies,
    /// Hashed ids cannot be turned into plain ones.
    #[error(
        "the ids there are hashed and cannot become plain again; set SESSION_HASH_IDS = true for \
         where the sessions go to"
    )]
    Hashed,
    /// Both sides are one.
    #[error(
        "both name the same place; within one store give one side another SESSION_KEY_PREFIX, \
         neither beginning with the other"
    )]
    Same,
    /// A store cannot be opened.
    #[error(transparent)]
    Store(#[from] Error),
}

/// What became of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// It is there now.
    Made,
    /// It was there before, and stays as it is there.
    There,
    /// It ended meanwhile, and is not there either.
    Ended,
    /// Its record or its key cannot be read, or the other format has no form for a value in it; it
    /// was left alone.
    Unreadable,
}

impl Copier {
    /// Opens both stores. With `remove` a session is taken out where it came from once it is there.
    ///
    /// # Errors
    /// When sessions cannot go that way, or a store cannot be opened.
    pub fn open(from: Settings, to: Settings, remove: bool) -> Result<Self, CopyError> {
        let cookies = |settings: &Settings| settings.store == StoreSettings::Cookie;
        if cookies(&from) || cookies(&to) {
            return Err(CopyError::Cookies);
        }
        if from.hash_ids && !to.hash_ids {
            return Err(CopyError::Hashed);
        }
        if from.store == to.store && overlap(&from.key_prefix, &to.key_prefix) {
            return Err(CopyError::Same);
        }
        let place = |settings: Settings| match store::connect(&settings)? {
            Some(store) => Ok(Place { settings, store }),
            None => Err(CopyError::Cookies),
        };
        Ok(Self { from: place(from)?, to: place(to)?, remove })
    }

    /// A part of the sessions to be copied, as [`Store::scan`] lists them, without what former ids
    /// leave behind; `None` when the store cannot list.
    ///
    /// # Errors
    /// [`Error::Store`] when the store cannot be read.
    pub async fn list(&self, from: Option<&Cursor>, limit: usize) -> Result<Option<Page>, Error> {
        let Place { settings, store } = &self.from;
        let mut page = store.scan(&settings.key_prefix, from, limit).await?;
        if let Some(page) = &mut page {
            page.sessions.retain(|listed| {
                !settings.format.decode(&listed.bytes).is_ok_and(|values| is_forward(&values))
            });
        }
        Ok(page)
    }

    /// Copies one session. Done again, it changes nothing.
    ///
    /// # Errors
    /// [`Error::Store`] when a store fails. The session is then where it was, and perhaps in the
    /// other place as well.
    pub async fn copy(&self, session: &Listed) -> Result<Copied, Error> {
        let (from, to) = (&self.from.settings, &self.to.settings);
        let Some(key) = translated(&session.key, from, to) else { return Ok(Copied::Unreadable) };
        let mut bytes = session.bytes.clone();
        for _ in 0..TRIES {
            let Ok(values) = from.format.decode(&bytes) else { return Ok(Copied::Unreadable) };
            if is_forward(&values) {
                return self.follow(session, &values).await;
            }
            let Ok(record) = to.format.encode(&values) else { return Ok(Copied::Unreadable) };
            // Who makes it takes it, so that a server that moves it at the same time does not find
            // taken what it made itself.
            if !self.to.store.create(&key, &record, self.left(session)).await? {
                return Ok(Copied::There);
            }
            // What ended or changed since it was listed must not live on as it was.
            let now = self.from.store.load(&session.key).await?.map(|record| record.bytes);
            if now.as_ref() == Some(&bytes) && self.take(session, &bytes).await? {
                return Ok(Copied::Made);
            }
            self.to.store.delete(&key).await?;
            match now {
                Some(now) => bytes = now,
                None => return Ok(Copied::Ended),
            }
        }
        Err(Error::Contention)
    }

    /// Copies a session that has got another id since it was listed.
    async fn follow(&self, session: &Listed, forward: &Map) -> Result<Copied, Error> {
        let Some(Target::Key(key)) = forward::target(forward) else { return Ok(Copied::Ended) };
        let Some(record) = self.from.store.load(&key).await? else { return Ok(Copied::Ended) };
        let moved = Listed { key, bytes: record.bytes, expires: session.expires };
        Box::pin(self.copy(&moved)).await
    }

    /// Takes a session out where it came from, if that is wanted and it still holds `bytes`.
    async fn take(&self, session: &Listed, bytes: &[u8]) -> Result<bool, Error> {
        match self.remove {
            true => self.from.store.replace(&session.key, bytes, &Replacement::Removed).await,
            false => Ok(true),
        }
    }

    /// How long a listed session has left.
    fn left(&self, session: &Listed) -> Duration {
        session
            .expires
            .map_or(self.from.settings.lifetime, |at| {
                at.duration_since(clock::now()).unwrap_or_default()
            })
            .max(Duration::from_secs(1))
    }
}

/// The key elsewhere of a session that has `key` here; `None` where it has none.
pub(super) fn translated(key: &StoreKey, from: &Settings, to: &Settings) -> Option<StoreKey> {
    let rest = key.as_str().strip_prefix(&from.key_prefix)?;
    match (from.hash_ids, to.hash_ids) {
        (true, true) => Some(StoreKey::new(format!("{}{rest}", to.key_prefix))),
        (true, false) => None,
        (false, hashed) => Some(SessionId::parse(rest)?.store_key(&to.key_prefix, hashed)),
    }
}
