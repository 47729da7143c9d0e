//! Which of several servers has a key.

/// The index of the node that has `key`, as pymemcache's `HashClient` chooses among servers named
/// `host:port`: the one that scores highest with it (rendezvous hashing). `None` without nodes.
pub fn node<'n>(nodes: impl IntoIterator<Item = &'n str>, key: &str) -> Option<usize> {
    let score = |node: &'n str| (murmur3(format!("{node}-{key}").as_bytes()), node);
    let scores = nodes.into_iter().map(score).enumerate();
    scores.max_by_key(|(_, score)| *score).map(|(index, _)| index)
}

/// MurmurHash3 of 32 bits, with the seed 0.
fn murmur3(bytes: &[u8]) -> u32 {
    let scramble =
        |word: u32| word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (words, tail) = bytes.as_chunks::<4>();
    let hash = words.iter().fold(0u32, |hash, word| {
        let hash = hash ^ scramble(u32::from_le_bytes(*word));
        hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    let tail = tail.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
    // As the hash is defined for lengths below 4 GiB, which keys are.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let hash = hash ^ scramble(tail) ^ length;
    let hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_murmur3() {
        for (text, hash) in [
            ("", 0),
            ("a", 0x3c25_69b2),
            ("ab", 0x9bbf_d75f),
            ("abc", 0xb3dd_93fa),
            ("abcd", 0x43ed_676a),
            ("Hello, world!", 0xc036_3e43),
        ] {
            assert_eq!(murmur3(text.as_bytes()), hash, "{text}");
        }
    }

    #[test]
    fn a_lone_node_has_every_key_and_no_node_has_none() {
        assert_eq!(node(["a:1"], "x"), Some(0));
        assert_eq!(node([], "x"), None);
    }
}
