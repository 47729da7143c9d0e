//! Sessions in a store: the cookie holds an id.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rocket::http::HeaderMap;

use super::record::{Fresh, Kept, Live, Write};
use super::{Backend, CookieChange, Opened, Plan, SWEEP_AT_ONCE, Settled, Stored};
use crate::session::clock;
use crate::session::codec::DecodeError;
use crate::session::cookie::{self, Sent};
use crate::session::data::{Change, PERMANENT, ROTATED, is_empty, is_permanent, unstamp};
use crate::session::error::Error;
use crate::session::forward::{self, Target};
use crate::session::settings::Settings;
use crate::session::signing::{ID_SALT, Rejected, Signer};
use crate::session::store::Store;
use crate::session::store::ended::Ended;
use crate::session::token::{SessionId, StoreKey};
use crate::session::value::{Map, Value};

/// A request that takes longer than this looks again before it sends its cookie once more.
const SLOW: Duration = Duration::from_millis(50);

/// A store and the settings for it.
#[derive(Debug)]
pub struct Server {
    pub settings: Arc<Settings>,
    pub store: Arc<Ended>,
    /// Where sessions are that the store does not know yet.
    pub migrate_from: Option<Box<Backend>>,
    /// Where the cookie's id is signed.
    signer: Option<Signer>,
}

impl Server {
    /// The settings' backend on `store`.
    pub fn new(settings: Settings, store: Arc<Ended>, migrate_from: Option<Box<Backend>>) -> Self {
        let signer = settings.use_signer.then(|| settings.signer(ID_SALT));
        Self { settings: Arc::new(settings), store, migrate_from, signer }
    }

    /// The session that the request's cookie names, or a new one with what a new one holds.
    pub async fn open(
        &self,
        headers: &HeaderMap<'_>,
        request_id: Option<&str>,
    ) -> Result<Opened, Error> {
        let id = match cookie::find(headers, &self.settings.cookie.name) {
            Sent::One(value) => self.id_in(&value),
            Sent::Nothing | Sent::Conflict => Ok(None),
        };
        // What has not moved yet is signed in another way.
        let forged = id == Err(Rejected::BadSignature) && self.migrate_from.is_none();
        self.sweep_by_chance();
        if let Ok(Some(id)) = id
            && let Some((live, values)) = self.load(id, request_id).await?
        {
            return Ok(Opened::new(Stored::Live(live), values));
        }
        if let Some(from) = &self.migrate_from
            && let Some(moved) = self.move_from(from, headers, request_id).await?
        {
            return Ok(moved);
        }
        Ok(Opened { forged, ..Opened::new(Stored::New, self.new_values()) })
    }

    /// The session of an id, or that a former id of it leads to.
    pub(super) async fn load(
        &self,
        id: SessionId,
        request_id: Option<&str>,
    ) -> Result<Option<(Live, Map)>, Error> {
        let (mut key, mut former) = (self.key(&id), false);
        for _ in 0..=forward::AT_MOST {
            let found = self.load_at(&id, key, former, request_id).await?;
            let Some((live, values)) = found else { return Ok(None) };
            match forward::target(&values) {
                None => return Ok(Some((live, values))),
                Some(Target::Key(to)) if to.as_str().starts_with(&self.settings.key_prefix) => {
                    (key, former) = (to, true);
                }
                Some(_) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// What a key holds, if that is live and can be read.
    pub(super) async fn load_at(
        &self,
        id: &SessionId,
        key: StoreKey,
        former: bool,
        request_id: Option<&str>,
    ) -> Result<Option<(Live, Map)>, Error> {
        let Some(record) = self.store.load(&key).await? else { return Ok(None) };
        match self.settings.format.decode(&record.bytes) {
            Ok(values) if self.settings.is_over(&values, clock::since_epoch()) => {}
            Ok(values) => {
                let (bytes, expires_in, seen) = (record.bytes, record.expires_in, Instant::now());
                let live = Live { id: id.clone(), key, bytes, expires_in, former, seen };
                return Ok(Some((live, values)));
            }
            Err(DecodeError::Null) => {}
            Err(error) => {
                let handle = key.handle();
                log::warn!(request_id; "session {handle} is unreadable and left alone: {error}");
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
                    log::error!("{error}");
                }
            });
        }
    }

    /// The id in a cookie's value, if it has the form of one, and is signed where it has to be.
    fn id_in(&self, value: &str) -> Result<Option<SessionId>, Rejected> {
        let id = match &self.signer {
            Some(signer) => signer.unsign(value)?.0,
            None => value,
        };
        Ok(SessionId::parse(id))
    }

    pub(super) fn new_values(&self) -> Map {
        match self.settings.permanent {
            true => Map::from_iter([(Value::from(PERMANENT), Value::Bool(true))]),
            false => Map::new(),
        }
    }

    pub(super) fn key(&self, id: &SessionId) -> StoreKey {
        id.store_key(&self.settings.key_prefix, self.settings.hash_ids)
    }

    /// The cookie of a session that was written or refreshed, for a request that came with the id
    /// `old`. There is none for a former id: another answer has brought the new one.
    fn cookie(&self, live: &Live, old: &SessionId, values: &Map, modified: bool) -> CookieChange {
        let refreshed = is_permanent(values) && self.settings.refresh_each_request;
        let wanted = live.id != *old || modified || refreshed;
        if live.former || !wanted {
            return CookieChange::Keep;
        }
        let value = match &self.signer {
            Some(signer) => signer.sign(live.id.expose()),
            None => live.id.expose().to_owned(),
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
            Stored::New if is_empty(&plan.values) => Ok(self.emptied(&plan.values)),
            // Without a cookie nobody would find the record.
            Stored::New if !modified && !is_permanent(&plan.values) => {
                self.refresh(plan, false).await
            }
            Stored::New => self.create(&plan.values, modified).await,
            Stored::Live(live) => {
                let cleared =
                    plan.changes.iter().any(|change| matches!(change, Change::Clear { .. }));
                if is_empty(&plan.values) && (cleared || plan.changes.is_empty()) {
                    self.end(live).await?;
                    return Ok(self.emptied(&plan.values));
                }
                let fresh = match plan.regenerate {
                    true => Fresh::Regenerated(SessionId::generate(self.settings.id_length)?),
                    false => self.rotation(live, &plan.values)?,
                };
                // What was set to what it was is not written, if nobody has changed it meanwhile.
                let values = self.settings.stamped(&plan.values, clock::since_epoch(), modified);
                if matches!(fresh, Fresh::No)
                    && self.settings.format.encode(&values)? == *live.bytes
                    && (plan.changes.is_empty() || self.holds(live).await?)
                {
                    return self.refresh(plan, modified).await;
                }
                let (changes, request_id) = (plan.changes.into(), plan.request_id);
                let write = Write { changes, modified, fresh, request_id };
                match self.update(live, write).await? {
                    Some((_, values)) if is_empty(&values) => Ok(self.emptied(&values)),
                    Some((now, values)) => {
                        let cookie = self.cookie(&now, &live.id, &values, modified);
                        Ok(Settled { stored: Stored::Live(now), values: values.into(), cookie })
                    }
                    // Cleared and moved, as at a sign-in: nothing of the old session was wanted,
                    // so its end does not stop the new one.
                    None if cleared && plan.regenerate => self.create(&plan.values, true).await,
                    None => Err(Error::Ended),
                }
            }
        }
    }

    /// Whether the session is still under the id that the request came with. One that has got
    /// another meanwhile would be lost to a browser that is sent the old one once more.
    async fn is_still_at(&self, live: &Live) -> bool {
        let now = self.load_at(&live.id, live.key.clone(), live.former, None).await;
        now.is_ok_and(|now| now.is_some_and(|(_, values)| !forward::is_forward(&values)))
    }

    async fn holds(&self, live: &Live) -> Result<bool, Error> {
        Ok(self.store.load(&live.key).await?.is_some_and(|record| record.bytes == live.bytes))
    }

    fn emptied(&self, values: &Map) -> Settled {
        let mut values = values.clone();
        unstamp(&mut values);
        Settled { stored: Stored::New, values: values.into(), cookie: CookieChange::Remove }
    }

    async fn create(&self, values: &Map, modified: bool) -> Result<Settled, Error> {
        let mut values = values.clone();
        let now = clock::since_epoch();
        values.remove(ROTATED);
        self.settings.stamp(&mut values, now, true);
        let ttl = self.settings.record_lifetime(&values, now);
        let bytes = self.settings.format.encode(&values)?;
        for _ in 0..4 {
            let id = SessionId::generate(self.settings.id_length)?;
            let key = self.key(&id);
            if self.store.create(&key, &bytes, ttl).await? {
                let (expires_in, seen) = (Some(ttl), Instant::now());
                let live = Live { id, key, bytes, expires_in, former: false, seen };
                let cookie = self.cookie(&live, &live.id, &values, modified);
                return Ok(Settled { stored: Stored::Live(live), values: values.into(), cookie });
            }
        }
        Err(Error::Random("four fresh session ids were taken already".into()))
    }

    /// Restarts the lifetime of a session whose record stays as it is. Where nothing was to be
    /// saved, a failure is no reason to refuse a page which was rendered from good data.
    async fn refresh(&self, plan: Plan, modified: bool) -> Result<Settled, Error> {
        let Plan { mut stored, values, request_id, .. } = plan;
        let mut cookie = CookieChange::Keep;
        let live = match &mut stored {
            Stored::Live(live) if modified || !is_empty(&values) => live,
            _ => return Ok(Settled { stored, values, cookie }),
        };
        match self.keep(live, &values, modified, request_id.clone()).await {
            Ok(Kept::For(left)) => {
                live.expires_in = left;
                cookie = self.cookie(live, &live.id, &values, modified);
                if live.seen.elapsed() >= SLOW
                    && matches!(cookie, CookieChange::Set(..))
                    && !self.is_still_at(live).await
                {
                    cookie = CookieChange::Keep;
                }
            }
            Ok(Kept::Changed(now, values)) => {
                let cookie = self.cookie(&now, &live.id, &values, modified);
                return Ok(Settled { stored: Stored::Live(now), values: values.into(), cookie });
            }
            Ok(Kept::Gone) | Err(Error::Ended) if modified => return Err(Error::Ended),
            Ok(Kept::Gone) | Err(Error::Ended) => stored = Stored::Ended,
            Err(error) if modified => return Err(error),
            Err(error) => log::error!(
                request_id = request_id.as_deref();
                "{error}; the page is served, its refresh is not"
            ),
        }
        Ok(Settled { stored, values, cookie })
    }
}
