//! What MongoDB is asked: the filters, and the changes that it works out by its own clock.

use std::time::Duration;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, doc};

use crate::session::token::StoreKey;

/// Whether a document has not expired, by the server's clock. One without a date has: anything
/// else sorts before a date in MongoDB's order of types.
pub fn is_live() -> Document {
    doc! { "$gt": ["$expiration", "$$NOW"] }
}

/// The live record under a key.
pub fn live(key: &StoreKey) -> Document {
    doc! { "id": key.as_str(), "$expr": is_live() }
}

/// What is left of an expired one.
pub fn expired(key: &StoreKey) -> Document {
    doc! { "id": key.as_str(), "$expr": { "$not": [is_live()] } }
}

/// The live records of a listing that come after `after`. Ids are compared with ids alone, so that
/// documents of another kind are no part of it.
pub fn begins_with(prefix: &str, after: Option<ObjectId>) -> Document {
    let after = after.unwrap_or(ObjectId::from_bytes([0; 12]));
    // No character comes after the last of Unicode.
    let end = format!("{prefix}\u{10ffff}");
    doc! {
        "_id": { "$gt": after },
        "id": { "$gte": prefix, "$lt": end },
        "$expr": is_live(),
    }
}

/// A record as MongoDB keeps it.
pub fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

/// Writes other bytes, which live `ttl` from now on.
pub fn replaced(bytes: &[u8], ttl: Duration) -> Vec<Document> {
    let val = doc! { "$literal": binary(bytes) };
    vec![doc! { "$set": { "val": val, "expiration": end(ttl) } }]
}

/// Makes a change give the document another key too.
pub fn with_id(key: &StoreKey, change: Vec<Document>) -> Vec<Document> {
    let id = doc! { "$set": { "id": { "$literal": key.as_str() } } };
    std::iter::once(id).chain(change).collect()
}

/// Gives a document another time to live.
pub fn kept_for(ttl: Duration) -> Vec<Document> {
    vec![doc! { "$set": { "expiration": end(ttl) } }]
}

/// For an upsert: writes a document where none is or an expired one, and leaves a live one as it
/// is, which the server then counts as not modified. (The condition cannot be in the filter:
/// MongoDB takes no `$expr` in an upsert's.)
pub fn absent_or_expired_is_written(bytes: &[u8], ttl: Duration) -> Vec<Document> {
    let val = doc! { "$cond": [is_live(), "$val", { "$literal": binary(bytes) }] };
    let expiration = doc! { "$cond": [is_live(), "$expiration", end(ttl)] };
    vec![doc! { "$set": { "val": val, "expiration": expiration } }]
}

/// The time `ttl` from now. The server's now has lost the rest of its millisecond, which is given
/// back, so that nothing expires early.
fn end(ttl: Duration) -> Document {
    // Far more than any lifetime, and far from what MongoDB has no date for.
    const MOST: u128 = 100 * 366 * 86_400_000;
    let milliseconds = ttl.as_nanos().div_ceil(1_000_000).min(MOST);
    doc! { "$add": ["$$NOW", i64::try_from(milliseconds).unwrap_or(0) + 1] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_live_are_rounded_up() {
        let milliseconds = |ttl| end(ttl).get_array("$add").unwrap()[1].as_i64().unwrap();
        assert_eq!(milliseconds(Duration::ZERO), 1);
        assert_eq!(milliseconds(Duration::from_micros(1500)), 3);
        assert_eq!(milliseconds(Duration::from_secs(31 * 86_400)), 2_678_400_001);
        assert_eq!(milliseconds(Duration::MAX), 100 * 366 * 86_400_000 + 1);
    }

    #[test]
    fn what_looks_like_a_field_is_written_as_it_is() {
        let change = with_id(&StoreKey::new("$val"), kept_for(Duration::ZERO));
        let id = change[0].get_document("$set").unwrap().get_document("id").unwrap();
        assert_eq!(id.get_str("$literal").unwrap(), "$val");
    }
}
