//! Sessions in the visitors' own cookies, signed: Flask's native session.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use rocket::http::HeaderMap;

use super::{CookieChange, Opened, Plan, Settled, Stored};
use crate::session::clock;
use crate::session::codec::tagged;
use crate::session::cookie::{self, Sent};
use crate::session::data::{is_blank, is_permanent, unstamp};
use crate::session::error::Error;
use crate::session::settings::{Oversize, Settings};
use crate::session::signing::{self, Rejected, Signer, Verified};
use crate::session::value::Map;

/// The keys and the settings for them. Nothing is stored, so nothing can be ended either: a copy
/// of a cookie is good until its time is over.
#[derive(Debug)]
pub struct Cookie {
    pub settings: Arc<Settings>,
    pub signer: Signer,
}

impl Cookie {
    /// What the request's cookie holds, if it was signed here and is not too old.
    pub fn open(&self, headers: &HeaderMap<'_>, request_id: Option<&str>) -> Opened {
        let Sent::One(value) = cookie::find(headers, &self.settings.cookie.name) else {
            return Opened::new(Stored::New, Map::new());
        };
        let verified = match signing::verify(&value, &self.signer, clock::seconds(), self.max_age())
        {
            Ok(verified) => verified,
            Err(error) => {
                match error {
                    Rejected::BadSignature => {
                        return Opened { forged: true, ..Opened::new(Stored::New, Map::new()) };
                    }
                    Rejected::Unreadable => {
                        log::warn!(request_id; "a session cookie is not taken: {error}");
                    }
                    _ => {}
                }
                return Opened::new(Stored::New, Map::new());
            }
        };
        let Verified { payload, timestamp, .. } = verified;
        let text = String::from_utf8(payload).map_err(|error| error.to_string());
        match text.and_then(|text| tagged::decode(&text).map_err(|error| error.to_string())) {
            Ok(mut values) => {
                // Without a stamp it began at the latest when it was signed, however often it comes.
                if !is_blank(&values) {
                    self.settings.stamp(&mut values, seconds(timestamp), false);
                }
                match self.settings.is_over(&values, clock::since_epoch()) {
                    true => Opened::new(Stored::New, Map::new()),
                    false => Opened::new(Stored::Signed(timestamp), values),
                }
            }
            Err(error) => {
                log::warn!(request_id; "a session cookie is rightly signed, but unreadable: {error}");
                Opened::new(Stored::New, Map::new())
            }
        }
    }

    /// How old a cookie may be, in seconds. One that is sent again before its lifetime is restarted
    /// has a stamp for that.
    fn max_age(&self) -> i64 {
        let Settings { lifetime, touch_interval, .. } = *self.settings;
        let idle = self.settings.idle_lifetime.map(|idle| idle + touch_interval);
        let age = match self.settings.keeps_saved() {
            true => idle.unwrap_or(lifetime),
            false => idle.map_or(lifetime, |idle| idle.min(lifetime)),
        };
        i64::try_from(age.as_secs()).unwrap_or(i64::MAX)
    }

    /// Whether the cookie is old enough to be sent again for its idle lifetime alone.
    fn is_idle_due(&self, stored: &Stored) -> bool {
        let Stored::Signed(at) = stored else { return false };
        let age = clock::since_epoch().saturating_sub(seconds(*at));
        self.settings.idle_lifetime.is_some() && age >= self.settings.touch_interval
    }

    /// Flask's table: changed and empty, removed; changed, or to be refreshed, set; else kept.
    /// Permanent ones are refreshed each time if so set, and all where there is an idle lifetime.
    pub fn commit(&self, plan: Plan) -> Result<Settled, Error> {
        let Plan { stored, values, modified, request_id, .. } = plan;
        let refreshed = is_permanent(&values) && self.settings.refresh_each_request;
        let refreshed = refreshed || self.is_idle_due(&stored);
        Ok(match (is_blank(&values), modified) {
            (true, true) => {
                let mut values = Arc::unwrap_or_clone(values);
                unstamp(&mut values);
                Settled { stored: Stored::New, values: values.into(), cookie: CookieChange::Remove }
            }
            (false, modified) if modified || refreshed => {
                self.set(values, modified, request_id.as_deref())?
            }
            _ => Settled { stored, values, cookie: CookieChange::Keep },
        })
    }

    fn set(
        &self,
        mut values: Arc<Map>,
        modified: bool,
        request_id: Option<&str>,
    ) -> Result<Settled, Error> {
        let now = clock::since_epoch();
        if let Cow::Owned(stamped) = self.settings.stamped(&values, now, modified) {
            values = stamped.into();
        }
        let payload = tagged::encode(&values)?;
        let timestamp = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let value = signing::sign(payload.as_bytes(), &self.signer, timestamp);
        let expires = self.settings.cookie_expiry(&values, now);
        let length = self.settings.cookie.set(&value, expires).len();
        let limit = self.settings.max_cookie_size;
        if limit > 0 && length > limit {
            match self.settings.oversize {
                Oversize::Error => return Err(Error::CookieTooLarge { length, limit }),
                Oversize::Warn => log::warn!(
                    request_id;
                    "the session cookie is {length} bytes; browsers may ignore more than {limit}"
                ),
            }
        }
        let cookie = CookieChange::Set(value, expires);
        Ok(Settled { stored: Stored::Signed(timestamp), values, cookie })
    }
}

/// A cookie's time since 1970.
fn seconds(timestamp: i64) -> Duration {
    Duration::from_secs(u64::try_from(timestamp).unwrap_or(0))
}
