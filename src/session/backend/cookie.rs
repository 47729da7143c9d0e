//! Sessions in the visitors' own cookies, signed: Flask's native session.

use rocket::http::HeaderMap;

use super::{CookieChange, Opened, Plan, Settled, Stored, expiry};
use crate::session::codec::tagged;
use crate::session::cookie::{self, Sent};
use crate::session::data::is_permanent;
use crate::session::date::unix_now;
use crate::session::error::Error;
use crate::session::request_id::request_id;
use crate::session::settings::{Oversize, Settings};
use crate::session::signing::{self, Rejected, Signer};
use crate::session::value::Map;

/// The keys and the settings for them. Nothing is stored, so nothing can be ended either: a copy
/// of a cookie is good until its time is over.
#[derive(Debug)]
pub struct Cookie {
    pub settings: Settings,
    pub signer: Signer,
}

impl Cookie {
    /// What the request's cookie holds, if it was signed here and is not too old.
    pub fn open(&self, headers: &HeaderMap<'_>) -> Opened {
        let Sent::One(value) = cookie::find(headers, &self.settings.cookie.name) else {
            return Opened::new(Stored::New, Map::new());
        };
        let request_id = request_id(headers);
        let max_age = i64::try_from(self.settings.lifetime.as_secs()).unwrap_or(i64::MAX);
        let payload = match signing::verify(&value, &self.signer, unix_now(), max_age) {
            Ok(verified) => verified.payload,
            Err(error) => {
                if error == Rejected::Unreadable {
                    log::warn!(request_id; "a session cookie is not taken: {error}");
                }
                return Opened::new(Stored::New, Map::new());
            }
        };
        let text = String::from_utf8(payload).map_err(|error| error.to_string());
        match text.and_then(|text| tagged::decode(&text).map_err(|error| error.to_string())) {
            Ok(values) => Opened::new(Stored::Signed, values),
            Err(error) => {
                log::warn!(request_id; "a session cookie is rightly signed, but unreadable: {error}");
                Opened::new(Stored::New, Map::new())
            }
        }
    }

    /// Flask's table: changed and empty, removed; changed, or permanent and to be refreshed, set;
    /// else kept.
    pub fn commit(&self, plan: Plan) -> Result<Settled, Error> {
        let Plan { stored, values, modified, request_id, .. } = plan;
        let refreshed = is_permanent(&values) && self.settings.refresh_each_request;
        let cookie = match (values.is_empty(), modified || refreshed) {
            (true, true) => CookieChange::Remove,
            (true, false) | (false, false) => CookieChange::Keep,
            (false, true) => self.set(&values, request_id.as_deref())?,
        };
        let stored = match cookie {
            CookieChange::Keep => stored,
            CookieChange::Remove => Stored::New,
            CookieChange::Set(..) => Stored::Signed,
        };
        Ok(Settled { stored, values, cookie })
    }

    fn set(&self, values: &Map, request_id: Option<&str>) -> Result<CookieChange, Error> {
        let payload = tagged::encode(values)?;
        let value = signing::sign(payload.as_bytes(), &self.signer, unix_now());
        let expires = expiry(&self.settings, values);
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
        Ok(CookieChange::Set(value, expires))
    }
}
