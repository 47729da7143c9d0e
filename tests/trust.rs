//! `docs/trust.md` names every claim once, and only tests that there are.

use std::collections::BTreeMap;
use std::path::Path;

/// How many claims there are under each letter.
const CLAIMS: &[(char, usize)] = &[
    ('A', 8),
    ('B', 12),
    ('C', 10),
    ('D', 5),
    ('E', 9),
    ('F', 9),
    ('G', 9),
    ('H', 3),
    ('I', 7),
    ('J', 11),
    ('K', 4),
    ('L', 2),
    ('M', 2),
    ('N', 3),
    ('O', 6),
    ('P', 4),
    ('Q', 3),
    ('R', 7),
    ('S', 2),
    ('T', 2),
    ('U', 2),
];

/// The rows: a claim's id, its verdict and its proof.
fn rows() -> Vec<[&'static str; 3]> {
    let cells = |line: &'static str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let is_claim = cells.len() == 6 && cells[1].starts_with(|c: char| c.is_ascii_uppercase());
        is_claim.then(|| [cells[1], cells[3], cells[4]])
    };
    include_str!("../docs/trust.md").lines().filter_map(cells).collect()
}

#[test]
fn every_claim_stands_there_once() {
    let ids =
        CLAIMS.iter().flat_map(|(letter, count)| (1..=*count).map(move |n| format!("{letter}{n}")));
    let found: Vec<_> = rows().into_iter().map(|[id, ..]| id).collect();
    assert_eq!(found, ids.collect::<Vec<_>>());
    assert_eq!(found.len(), 120);
}

#[test]
fn every_claim_has_a_verdict_and_whatever_holds_a_proof() {
    let mut verdicts = BTreeMap::new();
    for [id, verdict, proof] in rows() {
        *verdicts.entry(verdict).or_insert(0) += 1;
        assert!(matches!(verdict, "holds" | "does not apply" | "not met"), "{id}: {verdict}");
        assert!(!proof.is_empty(), "{id} gives neither test nor reason");
        assert!(verdict != "holds" || proof.contains("::"), "{id} holds, and nothing proves it");
    }
    println!("{verdicts:?}");
}

#[test]
fn every_test_that_is_named_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for [id, _, proof] in rows() {
        let named = proof.split('`').skip(1).step_by(2);
        for name in named.filter(|name| name.contains("::") || name.starts_with("packaging/")) {
            let (file, function) = name.split_once("::").unwrap_or((name, ""));
            let text = std::fs::read_to_string(root.join(file));
            let text = text.unwrap_or_else(|error| panic!("{id}: {file}: {error}"));
            let there = function.is_empty() || text.contains(&format!("fn {function}("));
            assert!(there, "{id}: there is no {function} in {file}");
        }
    }
}
