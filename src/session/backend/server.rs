//! Sessions in a store: the cookie holds an id.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rocket::http::HeaderMap;

use super::{Backend, CookieChange, Opened, Plan, SWEEP_AT_ONCE, Settled, Stored};
use crate::session::clock;
use crate::session::codec::DecodeError;
use crate::session::cookie::{self, Sent};
use crate::session::data::{Change, PERMANENT, is_empty, is_permanent, replay, unstamp};
use crate::session::error::Error;
use crate::session::settings::Settings;
use crate::session::signing::{ID_SALT, Signer};
use crate::session::store::{Merge, Replacement, Store};
use crate::session::token::{SessionId, StoreKey};
use crate::session::value::{Map, Value};

/// A store and the settings for it.
#[derive(Debug)]
pub struct Server {
    pub settings: Arc<Settings>,
    pub store: Arc<dyn Store>,
    /// Where sessions are that the store does not know yet.
    pub migrate_from: Option<Box<Backend>>,
    /// Where the cookie's id is signed.
    signer: Option<Signer>,
}

impl Server {
    /// The settings' backend on `store`.
    pub fn new(
        settings: Settings,
        store: Arc<dyn Store>,
        migrate_from: Option<Box<Backend>>,
    ) -> Self {
        let signer = settings.use_signer.then(|| settings.signer(ID_SALT));
        Self { settings: Arc::new(settings), store, migrate_from, signer }
    }

    /// The session that the request's cookie names, or a new one with what a new one holds.
    pub async fn open(&self, headers: &HeaderMap<'_>) -> Result<Opened, Error> {
        let id = match cookie::find(headers, &self.settings.cookie.name) {
            Sent::One(value) => self.id_in(&value),
            Sent::Nothing | Sent::Conflict => None,
        };
        self.sweep_by_chance();
        if let Some(id) = id
            && let Some((stored, values)) = self.load(id).await?
        {
            return Ok(Opened::new(stored, values));
        }
        if let Some(from) = &self.migrate_from
            && let Some(moved) = self.move_from(from, headers).await?
        {
            return Ok(moved);
        }
        Ok(Opened::new(Stored::New, self.new_values()))
    }

    pub(super) async fn load(&self, id: SessionId) -> Result<Option<(Stored, Map)>, Error> {
        let key = self.key(&id);
        let Some(record) = self.store.load(&key).await? else { return Ok(None) };
        match self.settings.format.decode(&record.bytes) {
            Ok(values) if self.settings.is_over(&values, clock::since_epoch()) => {}
            Ok(values) => {
                let (bytes, expires_in) = (record.bytes, record.expires_in);
                return Ok(Some((Stored::Live { id, key, bytes, expires_in }, values)));
            }
            Err(DecodeError::Null) => {}
            Err(error) => {
                log::warn!("session {} is unreadable and left alone: {error}", key.handle());
            }
        }
        Ok(None)
    }

    /// Flask-Session's clean-up about every `SESSION_CLEANUP_N_REQUESTS` requests.
    fn sweep_by_chance(&self) {
        let every = self.settings.cleanup_n_requests.filter(|every| *every > 0);
        if every.is_some_and(|every| rand::random_range(0..=every) == 0) {
            let store = Arc::clone(&self.store);
            rocket::tokio::spawn(async move {
                if let Err(error) = store.sweep(SWEEP_AT_ONCE).await {
                    log::warn!("{error}");
                }
            });
        }
    }

    /// The id in a cookie's value, if it has the form of one, and is signed where it has to be.
    fn id_in(&self, value: &str) -> Option<SessionId> {
        let id = match &self.signer {
            Some(signer) => signer.unsign(value).ok()?.0,
            None => value,
        };
        SessionId::parse(id)
    }

    fn new_values(&self) -> Map {
        match self.settings.permanent {
            true => Map::from_iter([(Value::from(PERMANENT), Value::Bool(true))]),
            false => Map::new(),
        }
    }

    pub(super) fn key(&self, id: &SessionId) -> StoreKey {
        id.store_key(&self.settings.key_prefix, self.settings.hash_ids)
    }

    /// The cookie of a session that was written or refreshed.
    fn cookie(&self, id: &SessionId, values: &Map, modified: bool) -> CookieChange {
        let refreshed = is_permanent(values) && self.settings.refresh_each_request;
        if !modified && !refreshed {
            return CookieChange::Keep;
        }
        let value = match &self.signer {
            Some(signer) => signer.sign(id.expose()),
            None => id.expose().to_owned(),
        };
        CookieChange::Set(value, self.settings.cookie_expiry(values, clock::since_epoch()))
    }

    /// Does what the request wants, once. On an error the stored session is as it was.
    ///
    /// Flask-Session's table, but for reads that only restart the lifetime: empty and modified,
    /// ended; modified, written and the cookie set; changed inside a value, written along with
    /// the refresh; else refreshed.
    pub async fn commit(&self, plan: Plan) -> Result<Settled, Error> {
        let modified = plan.modified || plan.regenerate;
        let unmarked = self.settings.refresh_each_request && !plan.changes.is_empty();
        if !modified && !unmarked || is_empty(&plan.values) && !plan.modified {
            return self.refresh(plan, false).await;
        }
        match &plan.stored {
            Stored::Ended | Stored::Signed(_) => Err(Error::Ended),
            Stored::New if is_empty(&plan.values) => Ok(self.emptied(plan.values)),
            // Without a cookie nobody would find the record.
            Stored::New if !modified && !is_permanent(&plan.values) => {
                self.refresh(plan, false).await
            }
            Stored::New => self.create(plan.values, modified).await,
            Stored::Live { id, key, bytes, .. } => {
                let cleared =
                    plan.changes.iter().any(|change| matches!(change, Change::Clear { .. }));
                if is_empty(&plan.values) && (cleared || plan.changes.is_empty()) {
                    self.forget(id).await?;
                    self.store.delete(key).await?;
                    return Ok(self.emptied(plan.values));
                }
                let fresh = match plan.regenerate {
                    true => Some(SessionId::generate(self.settings.id_length)?),
                    false => None,
                };
                // What was set to what it was is not written, if nobody has changed it meanwhile.
                let mut values = plan.values.clone();
                self.settings.stamp(&mut values, clock::since_epoch(), modified);
                if fresh.is_none()
                    && self.settings.format.encode(&values)? == *bytes
                    && (plan.changes.is_empty() || self.holds(key, bytes).await?)
                {
                    return self.refresh(plan, modified).await;
                }
                if fresh.is_some() {
                    self.forget(id).await?;
                }
                let changes = plan.changes.into();
                let now = fresh.clone().unwrap_or_else(|| id.clone());
                match self.update(key, bytes, fresh.as_ref(), changes, modified).await? {
                    Some((values, _)) if is_empty(&values) => Ok(self.emptied(values)),
                    Some((values, bytes)) => Ok(self.settled(now, values, bytes, modified)),
                    // Cleared and moved, as at a sign-in: nothing of the old session was wanted,
                    // so its end does not stop the new one.
                    None if cleared && fresh.is_some() => self.create(plan.values, true).await,
                    None => Err(Error::Ended),
                }
            }
        }
    }

    async fn holds(&self, key: &StoreKey, bytes: &[u8]) -> Result<bool, Error> {
        Ok(self.store.load(key).await?.is_some_and(|record| record.bytes == bytes))
    }

    fn emptied(&self, mut values: Map) -> Settled {
        unstamp(&mut values);
        Settled { stored: Stored::New, values, cookie: CookieChange::Remove }
    }

    fn settled(&self, id: SessionId, values: Map, bytes: Vec<u8>, modified: bool) -> Settled {
        let cookie = self.cookie(&id, &values, modified);
        let expires_in = Some(self.settings.record_lifetime(&values, clock::since_epoch()));
        let stored = Stored::Live { key: self.key(&id), id, bytes, expires_in };
        Settled { stored, values, cookie }
    }

    async fn create(&self, mut values: Map, modified: bool) -> Result<Settled, Error> {
        let now = clock::since_epoch();
        self.settings.stamp(&mut values, now, true);
        let ttl = self.settings.record_lifetime(&values, now);
        let bytes = self.settings.format.encode(&values)?;
        for _ in 0..4 {
            let id = SessionId::generate(self.settings.id_length)?;
            if self.store.create(&self.key(&id), &bytes, ttl).await? {
                return Ok(self.settled(id, values, bytes, modified));
            }
        }
        Err(Error::Random("four fresh session ids were taken already".into()))
    }

    /// Replays `changes` on whatever the record holds, moving it to `fresh` if given. Answers what
    /// the record holds now, or `None` when there is none.
    async fn update(
        &self,
        key: &StoreKey,
        bytes: &[u8],
        fresh: Option<&SessionId>,
        changes: Arc<[Change]>,
        modified: bool,
    ) -> Result<Option<(Map, Vec<u8>)>, Error> {
        let merged = Arc::new(Mutex::new((Map::new(), Vec::new())));
        let result = Arc::clone(&merged);
        let (from, to) = (key.clone(), fresh.map(|id| self.key(id)));
        let settings = Arc::clone(&self.settings);
        let merge: Merge = Arc::new(move |current| {
            // What it holds now is no session here. Another application may read it.
            let mut values = settings.format.decode(current).map_err(|error| {
                let handle = from.handle();
                log::warn!("session {handle} has become unreadable and is left alone: {error}");
                Error::Ended
            })?;
            replay(&mut values, &changes)?;
            let now = clock::since_epoch();
            settings.stamp(&mut values, now, modified);
            let ttl = settings.record_lifetime(&values, now);
            let encode = |values| settings.format.encode(values);
            let replacement = match (is_empty(&values), &to) {
                (true, _) => Replacement::Removed,
                (false, None) => Replacement::Bytes { bytes: encode(&values)?, ttl },
                (false, Some(key)) => Replacement::Moved {
                    key: key.clone(),
                    bytes: encode(&values)?,
                    ttl,
                    forward: None,
                },
            };
            let bytes = match &replacement {
                Replacement::Bytes { bytes, .. } | Replacement::Moved { bytes, .. } => {
                    bytes.clone()
                }
                Replacement::Removed => Vec::new(),
            };
            *result.lock().unwrap_or_else(PoisonError::into_inner) = (values, bytes);
            Ok(replacement)
        });
        let written = self.store.update(key, bytes, merge).await?;
        let mut merged = merged.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(written.then(|| std::mem::take(&mut *merged)))
    }

    /// Restarts the lifetime of a session whose record stays as it is. Where nothing was to be
    /// saved, a failure is no reason to refuse a page which was rendered from good data.
    async fn refresh(&self, plan: Plan, modified: bool) -> Result<Settled, Error> {
        let Plan { mut stored, mut values, .. } = plan;
        let mut cookie = CookieChange::Keep;
        if let Stored::Live { id, key, bytes, expires_in } = &mut stored
            && (modified || !is_empty(&values))
        {
            match self.prolong(key, bytes, *expires_in, &mut values, modified).await {
                Ok(Some(left)) => {
                    cookie = self.cookie(id, &values, modified);
                    *expires_in = left;
                }
                Ok(None) if modified => return Err(Error::Ended),
                Ok(None) => stored = Stored::Ended,
                Err(error) if modified => return Err(error),
                Err(Error::Ended) => stored = Stored::Ended,
                Err(error) => log::warn!("{error}; the page is served, its refresh is not"),
            }
        }
        Ok(Settled { stored, values, cookie })
    }

    /// Gives a record its time to live again, if that is due. Answers how long it lives now; `None`
    /// when there is none.
    async fn prolong(
        &self,
        key: &StoreKey,
        bytes: &mut Vec<u8>,
        expires_in: Option<Duration>,
        values: &mut Map,
        modified: bool,
    ) -> Result<Option<Option<Duration>>, Error> {
        let now = clock::since_epoch();
        if self.settings.lacks_stamp(values, now) {
            let written = self.update(key, bytes, None, Arc::new([]), modified).await?;
            return Ok(written.map(|written| {
                (*values, *bytes) = written;
                Some(self.settings.record_lifetime(values, now))
            }));
        }
        let ttl = self.settings.record_lifetime(values, now);
        let due = expires_in.is_none_or(|left| self.settings.is_touch_due(left, ttl));
        if !due || !modified && !self.settings.use_prolongs() {
            return Ok(Some(expires_in));
        }
        Ok(self.store.touch(key, ttl).await?.then_some(Some(ttl)))
    }
}
