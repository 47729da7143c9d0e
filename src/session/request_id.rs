//! What ties lines of the log to the request they are about.

use std::net::IpAddr;

use rocket::http::HeaderMap;

/// The header that holds a request's id. A fairing that runs before [`Sessions`](super::Sessions)
/// may set it; the session layer's log lines about a request then carry it as `request_id`.
pub const REQUEST_ID: &str = "X-Request-Id";

/// Who makes a request, as the session layer's log tells it under the key `client`. A fairing that
/// runs before [`Sessions`](super::Sessions) may leave it in the request's local cache; where none
/// does, the log names nobody.
#[derive(Clone, Copy, Debug)]
pub struct LogClient(pub Option<IpAddr>);

const MAX_LENGTH: usize = 64;

/// The request's id, if it has one that can stand in a log: 1 to 64 of `A–Z a–z 0–9 - _ .`.
pub fn request_id<'h>(headers: &'h HeaderMap<'_>) -> Option<&'h str> {
    let mut ids = headers.get(REQUEST_ID);
    let id = ids.next().filter(|_| ids.next().is_none())?;
    let well_formed = (1..=MAX_LENGTH).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    well_formed.then_some(id)
}

#[cfg(test)]
mod tests {
    use rocket::http::Header;

    use super::*;

    fn id_of(values: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        values.iter().for_each(|value| headers.add(Header::new(REQUEST_ID, *value)));
        request_id(&headers).map(str::to_owned)
    }

    #[test]
    fn one_id_that_can_stand_in_a_log_is_taken() {
        assert_eq!(id_of(&["4f5c-A.b_9"]).as_deref(), Some("4f5c-A.b_9"));
        let long = "a".repeat(65).leak();
        for bad in [&[][..], &[""], &["a", "a"], &["a b"], &["a\n"], &["é"], &["a=b"], &[&*long]] {
            assert_eq!(id_of(bad), None, "{bad:?}");
        }
    }
}
