//! `SESSION_MIGRATE_FROM`: sessions that are still elsewhere move here with their next request.

use rocket::http::HeaderMap;

use super::server::Server;
use super::{Backend, Opened, Stored};
use crate::session::clock;
use crate::session::codec::EncodeError;
use crate::session::copy::translated;
use crate::session::data::ROTATED;
use crate::session::error::Error;
use crate::session::store::{Replacement, Store};
use crate::session::token::SessionId;
use crate::session::value::{Map, Value};

/// How often a session is tried to be moved that others change or move meanwhile.
const MOVE_TRIES: usize = 8;

impl Server {
    /// Moves the request's session here from where it still is.
    ///
    /// It is made here before it is taken there, so that a crash in between loses nothing. Who
    /// made it and then finds it taken or changed has come too late, perhaps after its end, and
    /// takes back what it made.
    pub async fn move_from(
        &self,
        from: &Backend,
        headers: &HeaderMap<'_>,
        request_id: Option<&str>,
    ) -> Result<Option<Opened>, Error> {
        for _ in 0..MOVE_TRIES {
            // Boxed, as a future cannot hold itself.
            let Opened { stored, values, forged, .. } =
                Box::pin(from.open(headers, request_id)).await?;
            let live = match stored {
                // A cookie is no record: this one gets an id with the answer.
                Stored::Signed(_) => {
                    let values = without_markup(values);
                    let fits = self.settings.format.encode(&values);
                    return Ok(self
                        .fitting(fits, "a signed cookie", request_id)
                        .map(|_| Opened { moved: true, ..Opened::new(Stored::New, values) }));
                }
                Stored::Live(live) => live,
                Stored::New if forged => {
                    let opened = Opened::new(Stored::New, self.new_values());
                    return Ok(Some(Opened { forged, ..opened }));
                }
                Stored::New | Stored::Ended => return Ok(None),
            };
            let Some(old_store) = from.store() else { return Ok(None) };
            let mut values = without_markup(values);
            let key = match live.former {
                false => self.key(&live.id),
                // Its present id is nobody's here yet, so that it gets one with the answer.
                true => {
                    values.remove(ROTATED);
                    match translated(&live.key, from.settings(), &self.settings) {
                        Some(key) => key,
                        None => return Ok(None),
                    }
                }
            };
            let ttl = self.settings.record_lifetime(&values, clock::since_epoch());
            let ttl = live.expires_in.map_or(ttl, |left| left.min(ttl));
            let encoded = self.settings.format.encode(&values);
            let Some(bytes) =
                self.fitting(encoded, &format!("session {}", live.key.handle()), request_id)
            else {
                return Ok(None);
            };
            let made = self.store.create(&key, &bytes, ttl).await?;
            if made && !old_store.replace(&live.key, &live.bytes, &Replacement::Removed).await? {
                self.store.delete(&key).await?;
            } else if let Some((live, values)) =
                self.load_at(&live.id, key, live.former, request_id).await?
            {
                return Ok(Some(Opened { moved: true, ..Opened::new(Stored::Live(live), values) }));
            }
        }
        Ok(None)
    }

    /// What can be kept here, or a word in the log of what cannot.
    fn fitting(
        &self,
        encoded: Result<Vec<u8>, EncodeError>,
        what: &str,
        request_id: Option<&str>,
    ) -> Option<Vec<u8>> {
        encoded
            .inspect_err(|_| {
                log::warn!(
                    request_id;
                    "{what} holds a value that has no form here, and does not move"
                );
            })
            .ok()
    }

    /// Ends a session where sessions are moved from, lest it come back from there.
    pub async fn forget(&self, id: &SessionId) -> Result<(), Error> {
        match self.migrate_from.as_deref() {
            Some(Backend::Server(from)) => from.store.delete(&from.key(id)).await,
            Some(Backend::Cookie(_)) | None => Ok(()),
        }
    }
}

/// Flask's cookie and pickles hold markup, which the records' formats do not: it becomes its text.
fn without_markup(values: Map) -> Map {
    fn text(value: &Value) -> Value {
        match value {
            Value::Markup(text) => Value::Str(text.clone()),
            Value::List(items) => Value::List(items.iter().map(text).collect()),
            Value::Tuple(items) => Value::Tuple(items.iter().map(text).collect()),
            Value::Map(map) => {
                Value::Map(map.iter().map(|(key, value)| (key.clone(), text(value))).collect())
            }
            other => other.clone(),
        }
    }
    values.iter().map(|(key, value)| (key.clone(), text(value))).collect()
}
