//! Changes to the record of a live session, whatever others do to it at the same time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::server::Server;
use crate::session::clock;
use crate::session::data::{Change, ROTATED, is_empty, replay};
use crate::session::error::Error;
use crate::session::forward::{self, Target};
use crate::session::settings::Settings;
use crate::session::store::{Forward, Merge, Replacement, Store};
use crate::session::token::{SessionId, StoreKey};
use crate::session::value::{Map, Value};

/// A record in the store, as it was read or written last.
#[derive(Clone)]
pub struct Live {
    /// The id in the request's cookie, or the one that the session has got since.
    pub id: SessionId,
    pub key: StoreKey,
    pub bytes: Vec<u8>,
    pub expires_in: Option<Duration>,
    /// Whether `id` is one that the session had before, and led to `key`.
    pub former: bool,
    /// When it was read or written last.
    pub seen: Instant,
}

/// What is to be done with a record.
#[derive(Clone)]
pub struct Write {
    pub changes: Arc<[Change]>,
    pub modified: bool,
    pub fresh: Fresh,
    /// For the log.
    pub request_id: Option<Arc<str>>,
}

/// Whether the session gets another id.
#[derive(Clone)]
pub enum Fresh {
    No,
    /// This one, and the old one ends.
    Regenerated(SessionId),
    /// This one, unless another request has been faster, and the old one leads to it for a while.
    Rotated(SessionId),
}

/// What has become of a record that was to stay as it is.
pub enum Kept {
    /// It lives for so long, if that is known.
    For(Option<Duration>),
    /// It is this now, and holds these values.
    Changed(Live, Map),
    /// There is none.
    Gone,
}

/// What a merge has come to.
enum Merged {
    Nothing,
    Written(Live, Map),
    /// There was nothing to write.
    Unchanged(Live, Map),
    Forwarded(Target),
}

impl Server {
    /// Does `write` to the record, wherever the session has moved meanwhile. Answers what the record
    /// holds now, or `None` when there is none.
    pub async fn update(&self, live: &Live, write: Write) -> Result<Option<(Live, Map)>, Error> {
        if !matches!(write.fresh, Fresh::No) {
            self.forget(&live.id).await?;
        }
        let written = self.write(live, write).await?;
        if written.as_ref().is_some_and(|(_, values)| is_empty(values)) {
            self.forget(&live.id).await?;
        }
        Ok(written)
    }

    async fn write(&self, live: &Live, write: Write) -> Result<Option<(Live, Map)>, Error> {
        let mut live = live.clone();
        for _ in 0..=forward::AT_MOST {
            let merged = Arc::new(Mutex::new(Merged::Nothing));
            let merge = self.merge(&live, write.clone(), Arc::clone(&merged));
            let written = self.store.update(&live.key, &live.bytes, merge).await;
            let merged = std::mem::replace(&mut *lock(&merged), Merged::Nothing);
            match (written, merged) {
                (Ok(true), Merged::Written(live, values))
                | (Err(_), Merged::Unchanged(live, values)) => return Ok(Some((live, values))),
                (Err(_), Merged::Forwarded(Target::Key(to))) => {
                    let Some(record) = self.store.load(&to).await? else { return Ok(None) };
                    (live.key, live.former) = (to, true);
                    (live.bytes, live.expires_in) = (record.bytes, record.expires_in);
                }
                (Ok(_), _) | (Err(_), Merged::Forwarded(Target::Nowhere)) => return Ok(None),
                (Err(error), _) => return Err(error),
            }
        }
        Err(Error::Contention)
    }

    /// What makes of a record's bytes those that replace them; an error where nothing does.
    fn merge(&self, live: &Live, write: Write, merged: Arc<Mutex<Merged>>) -> Merge {
        let (live, settings) = (live.clone(), Arc::clone(&self.settings));
        let fresh = match write.fresh {
            Fresh::No => None,
            Fresh::Regenerated(id) => Some((self.key(&id), id, false)),
            Fresh::Rotated(id) => Some((self.key(&id), id, true)),
        };
        let Write { changes, modified, request_id, .. } = write;
        Arc::new(move |current| {
            // What it holds now is no session here. Another application may read it.
            let mut values = settings.format.decode(current).map_err(|error| {
                let handle = live.key.handle();
                log::warn!(
                    request_id = request_id.as_deref();
                    "session {handle} has become unreadable and is left alone: {error}"
                );
                Error::Ended
            })?;
            if let Some(target) = forward::target(&values) {
                *lock(&merged) = Merged::Forwarded(target);
                return Err(Error::Ended);
            }
            let now = clock::since_epoch();
            let fresh = fresh.as_ref().filter(|(_, _, rotated)| {
                !rotated || settings.is_rotation_due(&values, live.former, now)
            });
            let wanted = modified || !changes.is_empty() || fresh.is_some();
            if !wanted && !settings.lacks_stamp(&values, now) {
                let bytes = current.to_vec();
                *lock(&merged) = Merged::Unchanged(Live { bytes, ..live.clone() }, values);
                return Err(Error::Ended);
            }
            replay(&mut values, &changes)?;
            if is_empty(&values) {
                *lock(&merged) = Merged::Written(live.clone(), values);
                return Ok(Replacement::Removed);
            }
            if fresh.is_some() {
                values.remove(ROTATED);
            }
            settings.stamp(&mut values, now, modified);
            let ttl = settings.record_lifetime(&values, now);
            let mut next = live.clone();
            next.expires_in = Some(ttl);
            let replacement = match fresh {
                None => {
                    next.bytes = settings.format.encode(&values)?;
                    Replacement::Bytes { bytes: next.bytes.clone(), ttl }
                }
                Some((key, id, rotated)) => {
                    if *rotated {
                        values.insert(ROTATED, Value::Int(now.as_secs().into()));
                    }
                    next.bytes = settings.format.encode(&values)?;
                    (next.key, next.id, next.former) = (key.clone(), id.clone(), false);
                    let forward = rotated.then(|| forward_to(&settings, key, now)).transpose()?;
                    let bytes = next.bytes.clone();
                    Replacement::Moved { key: key.clone(), bytes, ttl, forward }
                }
            };
            *lock(&merged) = Merged::Written(next, values);
            Ok(replacement)
        })
    }

    /// Ends the session for good, by whichever of its ids the request came.
    pub async fn end(&self, live: &Live) -> Result<(), Error> {
        let ended = match self.settings.rotate_after.is_some() || live.former {
            true => forward::end(&*self.store, self.settings.format, &live.key, &live.bytes).await,
            false => self.store.delete(&live.key).await,
        };
        // Whether or not the one store failed, the other is asked too.
        self.forget(&live.id).await.and(ended)
    }

    /// Does to a record that stays as it is what is due: a new time to live, a missing stamp, a new
    /// id.
    pub async fn keep(
        &self,
        live: &Live,
        values: &Map,
        modified: bool,
        request_id: Option<Arc<str>>,
    ) -> Result<Kept, Error> {
        let now = clock::since_epoch();
        let fresh = self.rotation(live, values)?;
        if !matches!(fresh, Fresh::No) || self.settings.lacks_stamp(values, now) {
            let write = Write { changes: Arc::new([]), modified, fresh, request_id };
            let written = self.update(live, write).await?;
            return Ok(written.map_or(Kept::Gone, |(live, values)| Kept::Changed(live, values)));
        }
        let ttl = self.settings.record_lifetime(values, now);
        let due = live.expires_in.is_none_or(|left| self.settings.is_touch_due(left, ttl));
        if !due || !modified && !self.settings.use_prolongs() {
            return Ok(Kept::For(live.expires_in));
        }
        Ok(match self.store.touch(&live.key, ttl).await? {
            true => Kept::For(Some(ttl)),
            false => Kept::Gone,
        })
    }

    /// A new id, where one is due.
    pub fn rotation(&self, live: &Live, values: &Map) -> Result<Fresh, Error> {
        let now = clock::since_epoch();
        match self.settings.is_rotation_due(values, live.former, now) {
            true => Ok(Fresh::Rotated(SessionId::generate(self.settings.id_length)?)),
            false => Ok(Fresh::No),
        }
    }
}

fn forward_to(settings: &Settings, key: &StoreKey, now: Duration) -> Result<Forward, Error> {
    let ttl = settings.rotate_grace;
    let bytes = settings.format.encode(&forward::values(key, now, ttl))?;
    Ok(Forward { bytes, ttl })
}

fn lock(merged: &Mutex<Merged>) -> std::sync::MutexGuard<'_, Merged> {
    merged.lock().unwrap_or_else(PoisonError::into_inner)
}
