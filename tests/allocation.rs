//! What reading a session takes in memory at its peak: it follows the size of what is read, not
//! what that says of itself.

use allocation_counter::measure;
use dewar::session::codec::{json, msgpack, tagged};
use dewar::session::signing::{self, MAX_PAYLOAD, SESSION_SALT, Signer};

/// Bytes held for each byte read, at most. An empty map, one byte, takes the most.
const MULTIPLE: usize = 128;
/// Items in a list, one past where its growth has left the most room.
const ITEMS: usize = (1 << 15) + 1;

/// The most bytes held at one time during `work`.
fn peak(work: impl FnOnce()) -> usize {
    usize::try_from(measure(work).bytes_max).unwrap()
}

/// A record whose only value is a list of so many times `item`.
fn list(item: &[u8]) -> Vec<u8> {
    let mut record = b"\x81\xa1a\xdd".to_vec();
    record.extend(u32::try_from(ITEMS).unwrap().to_be_bytes());
    record.extend(item.repeat(ITEMS));
    record
}

#[test]
fn an_announced_length_takes_no_memory() {
    for tag in [0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf] {
        for depth in [0, 1, 100] {
            let mut lie = b"\x81\xa1a".to_vec();
            lie.extend(b"\x91".repeat(depth));
            lie.push(tag);
            lie.extend([0xff; 8]);
            let taken = peak(|| assert!(msgpack::decode(&lie).is_err(), "{tag:x}"));
            assert!(taken <= 1024 + MULTIPLE * lie.len(), "{taken} bytes for {tag:x}");
        }
    }
}

#[test]
fn lists_in_lists_do_not_each_take_the_whole_rest() {
    let mut lie = b"\x81\xa1a".to_vec();
    lie.extend(b"\xdd\x00\x01\x00\x00".repeat(100));
    lie.extend(b"\xc0".repeat(1 << 16));
    let taken = peak(|| assert!(msgpack::decode(&lie).is_err()));
    assert!(taken <= MULTIPLE * lie.len(), "{taken} bytes for {}", lie.len());
}

#[test]
fn the_densest_records_take_a_bounded_multiple() {
    let items: [&[u8]; 6] =
        [b"\xc0", b"\x90", b"\x80", b"\x91\xc0", b"\x81\xc0\xc0", b"\x81\xa1a\x01"];
    for item in items {
        let record = list(item);
        let taken = peak(|| assert!(msgpack::decode(&record).is_ok()));
        assert!(
            taken <= MULTIPLE * record.len(),
            "{taken} bytes for {} of {item:x?}",
            record.len()
        );
    }
    for item in ["0", "[]", "{}", r#"{"":0}"#, r#"{" t":[0]}"#, "1e9", r#""\n""#] {
        let text = format!(r#"{{"a":[{item}{}]}}"#, format!(",{item}").repeat(ITEMS - 1));
        let taken = [
            peak(|| assert!(json::decode(text.as_bytes()).is_ok())),
            peak(|| assert!(tagged::decode(&text).is_ok())),
        ];
        assert!(taken.into_iter().all(|n| n <= MULTIPLE * text.len()), "{taken:?} for {item}");
    }
}

#[test]
fn a_bomb_in_a_cookie_takes_no_more_than_the_limit() {
    let signer = Signer::new(b"dev", &[], SESSION_SALT);
    let bomb = signing::sign(&vec![b' '; 64 * MAX_PAYLOAD], &signer, 0);
    let taken = peak(|| assert!(signing::verify(&bomb, &signer, 0, 0).is_err()));
    assert!(taken <= 4 * MAX_PAYLOAD, "{taken} bytes");
}
