//! A session's document, and what is read of it.

use std::time::Duration;

use mongodb::bson::RawDocument;
use mongodb::bson::spec::BinarySubtype;

use crate::session::store::Record;

/// A session's document as Flask-Session writes it, but for the `_id` that MongoDB gives it.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionDocument {
    /// `id`: the store key.
    pub id: String,
    /// `val`, binary of subtype 0: the record.
    pub val: Vec<u8>,
    /// `expiration`: a date, in milliseconds since 1970.
    pub expiration: i64,
}

impl SessionDocument {
    /// Reads BSON; `None` where it is no session's document.
    pub fn parse(bson: &[u8]) -> Option<Self> {
        let document = RawDocument::from_bytes(bson).ok()?;
        Some(Self {
            id: document.get_str("id").ok()?.to_owned(),
            val: val(document)?,
            expiration: document.get_datetime("expiration").ok()?.timestamp_millis(),
        })
    }
}

/// The record of the fields that `load` asks for. The server has looked at the expiration, so one
/// whose record is no binary is no session's.
pub fn record(bson: &[u8]) -> Option<Record> {
    let document = RawDocument::from_bytes(bson).ok()?;
    let left = document.get_i64("left").ok().and_then(|left| u64::try_from(left).ok());
    Some(Record { bytes: val(document)?, expires_in: left.map(Duration::from_millis) })
}

fn val(document: &RawDocument) -> Option<Vec<u8>> {
    let val = document.get_binary("val").ok()?;
    (val.subtype == BinarySubtype::Generic).then(|| val.bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Binary, Bson, DateTime, doc, serialize_to_vec};

    use super::*;

    fn with(val: impl Into<Bson>) -> Vec<u8> {
        let expiration = DateTime::from_millis(5);
        let val: Bson = val.into();
        serialize_to_vec(&doc! { "id": "a", "val": val, "expiration": expiration, "left": 3_i64 })
            .unwrap()
    }

    #[test]
    fn what_is_no_session_is_not_read() {
        let good = with(Binary { subtype: BinarySubtype::Generic, bytes: b"x".to_vec() });
        assert_eq!(SessionDocument::parse(&good).unwrap().val, b"x");
        assert_eq!(record(&good).unwrap().expires_in, Some(Duration::from_millis(3)));
        let old = with(Binary { subtype: BinarySubtype::BinaryOld, bytes: b"x".to_vec() });
        for bad in [with("x"), with(Bson::Null), old, good[..good.len() - 1].to_vec(), Vec::new()] {
            assert!(SessionDocument::parse(&bad).is_none() && record(&bad).is_none());
        }
    }
}
