//! `SESSION_MIGRATE_FROM`: sessions that are still elsewhere move here with their next request.

use rocket::http::HeaderMap;

use super::server::Server;
use super::{Backend, Opened, Stored};
use crate::session::error::Error;
use crate::session::store::Replacement;
use crate::session::token::SessionId;

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
    ) -> Result<Option<Opened>, Error> {
        for _ in 0..MOVE_TRIES {
            // Boxed, as a future cannot hold itself.
            let Opened { stored, values, .. } = Box::pin(from.open(headers)).await?;
            let (id, old_key, old_bytes, expires_in) = match stored {
                // A cookie is no record: this one gets an id with the answer.
                Stored::Signed => {
                    return Ok(Some(Opened { stored: Stored::New, values, moved: true }));
                }
                Stored::Live { id, key, bytes, expires_in } => (id, key, bytes, expires_in),
                Stored::New | Stored::Ended => return Ok(None),
            };
            let Some(old_store) = from.store() else { return Ok(None) };
            let key = self.key(&id);
            let bytes = self.settings.format.encode(&values)?;
            let ttl = expires_in.unwrap_or_else(|| self.settings.record_lifetime());
            let made = self.store.create(&key, &bytes, ttl).await?;
            if made && !old_store.replace(&old_key, &old_bytes, &Replacement::Removed).await? {
                self.store.delete(&key).await?;
            } else if let Some((stored, values)) = self.load(id).await? {
                return Ok(Some(Opened { stored, values, moved: true }));
            }
        }
        Ok(None)
    }

    /// Ends a session where sessions are moved from, lest it come back from there.
    pub async fn forget(&self, id: &SessionId) -> Result<(), Error> {
        match self.migrate_from.as_deref() {
            Some(Backend::Server(from)) => from.store.delete(&from.key(id)).await,
            Some(Backend::Cookie(_)) | None => Ok(()),
        }
    }
}
