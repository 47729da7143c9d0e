//! Queries: ids, searches and page numbers, as strangers and as users spell them.

use super::siege::{Siege, is_private, is_refused};
use super::support::encode;
use super::wire::Wire;

const QUERY_ERROR: &str = "Query error please try again";

/// Every wrong way to say 1, or to say more than a number.
const BAD_IDS: &[&str] = &[
    "",
    "0",
    "-1",
    "-0",
    "+1",
    "%2B1",
    "01",
    "001",
    "%201",
    "1%20",
    "1+",
    "1%09",
    "1%0A",
    "1%0D%0A",
    "1%00",
    "%001",
    "1.0",
    "1.",
    "1,0",
    "1_0",
    "1e0",
    "0x1",
    "0b1",
    "1L",
    "%EF%BC%91",
    "%D9%A1",
    "%E0%A5%A7",
    "%C2%B9",
    "%E2%91%A0",
    "%F0%9D%9F%8F",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551617",
    "340282366920938463463374607431768211457",
    "one",
    "null",
    "None",
    "true",
    "NaN",
    "Infinity",
    "[1]",
    "%5B1%5D",
    "%7B%22%24gt%22:0%7D",
    "%FF",
    "1%FF",
    "%C0%B1",
    "%ED%A0%80",
    "%",
    "%zz",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E",
    "%7B%7B7*191%7D%7D",
    "../1",
    "1/../2",
    "1%2F",
    "1;id=2",
    "1%26id=2",
    "file:///etc/passwd",
];

#[test]
fn an_id_of_any_wrong_spelling_gets_the_query_error_and_nobodys_record() {
    let siege = Siege::new();
    for id in BAD_IDS {
        let answer = siege.as_insider(Wire::get(format!("/detailed?id={id}")));
        assert!(is_refused(&answer) && answer.body.contains(QUERY_ERROR), "{id}: {answer:?}");
        assert!(!is_private(&answer), "{id} is somebody: {answer:?}");
        for raw in ["<script", "<img src=x", "1337"] {
            assert!(!answer.body.contains(raw), "{id} came back raw: {answer:?}");
        }
    }
}

#[test]
fn an_id_of_any_wrong_spelling_finds_nobody_by_the_json_address_either() {
    let siege = Siege::new();
    let one = siege.as_insider(Wire::get("/api/students/1"));
    assert!(one.status == 200 && is_private(&one), "{one:?}");
    for id in BAD_IDS {
        // A path of its own, where a query would have been one name.
        let answer = siege.as_insider(Wire::get(format!("/api/students/{id}")));
        let names_the_list = id.is_empty() && answer.status == 200;
        assert!(is_refused(&answer) || names_the_list, "{id}: {answer:?}");
        assert!(!is_private(&answer) || names_the_list, "{id} is somebody: {answer:?}");
        let stranger = Wire::get(format!("/api/students/{id}")).send(siege.port());
        assert!(is_refused(&stranger) && !is_private(&stranger), "{id}: {stranger:?}");
    }
}

#[test]
fn a_query_of_any_shape_gets_the_query_error_or_the_one_record_it_names() {
    let siege = Siege::new();
    let long = "9".repeat(50_000);
    for query in [
        "",
        "?",
        "?id",
        "?ID=1",
        "?id%00=1",
        "?id=1&id=2",
        "?id=2&id=1",
        "?id=x&id=1",
        "?&&&&",
        "?=1",
        "?id==1",
        &format!("?id={long}"),
        &format!("?{}", "a=b&".repeat(10_000)),
    ] {
        let answer = siege.as_insider(Wire::get(format!("/detailed{query}")));
        let shown = &query[..query.len().min(40)];
        assert!(answer.status < 500, "{shown}: {answer:?}");
        assert!(!is_private(&answer), "{shown}: {answer:?}");
    }
}

#[test]
fn the_largest_id_is_only_unknown() {
    let siege = Siege::new();
    for id in ["9223372036854775807", "4", "1000000"] {
        let answer = siege.as_insider(Wire::get(format!("/detailed?id={id}")));
        assert_eq!(answer.status, 404, "{id}");
        assert!(answer.body.contains(QUERY_ERROR), "{id}");
    }
}

#[test]
fn a_stranger_cannot_tell_which_records_exist() {
    let siege = Siege::new();
    let strip = |id: &str| {
        let target = format!("/detailed?id={id}");
        let mut answer = Wire::get(&target).send(siege.port());
        assert_eq!(answer.location(), format!("/login?next={}", encode_as_rocket(&target)), "{id}");
        let differs = ["date", "location", "x-request-id"];
        answer.headers.retain(|(name, _)| !differs.contains(&&**name));
        answer.headers.sort();
        (answer.status, answer.headers, answer.body)
    };
    let existing = strip("1");
    assert_eq!(existing.0, 303);
    for id in BAD_IDS.iter().chain(&["2", "99", "9223372036854775807"]) {
        // The comparison of addresses is for those that have one spelling only.
        if id.bytes().all(|b| b.is_ascii_alphanumeric()) {
            assert_eq!(strip(id), existing, "{id}");
        } else {
            let answer = Wire::get(format!("/detailed?id={id}")).send(siege.port());
            assert_eq!((answer.status, answer.body.len()), (303, 0), "{id}");
        }
    }
}

/// What `uri!` makes of a path with a query in a query.
fn encode_as_rocket(target: &str) -> String {
    target.replace('/', "%2F").replace('?', "%3F").replace('=', "%3D")
}

#[test]
fn a_search_for_anything_is_a_search_and_comes_back_escaped() {
    let siege = Siege::new();
    let long = "x".repeat(40_000);
    let wide = "\u{1f600}".repeat(2_000);
    for q in [
        "%",
        "%%%",
        "___",
        "\\",
        "\\\\\\",
        "\"\"\"",
        "* NEAR (a b)",
        "[a-z]",
        "\u{202e}\u{200b}\u{feff}",
        "e\u{301}\u{301}\u{301}\u{301}",
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "{{ 7*191 }}",
        "\r\nX-Injected: 1",
        "9223372036854775808",
        "-1",
        &long,
        &wide,
    ] {
        let answer = siege.as_insider(Wire::get(format!("/brief_introduction?q={}", encode(q))));
        let shown: String = q.chars().take(30).collect();
        assert_eq!(answer.status, 200, "{shown:?}: {answer:?}");
        assert!(!is_private(&answer), "{shown:?} found everybody: {answer:?}");
        assert_eq!(answer.header("X-Injected"), None);
        for raw in ["<script", "<img src=x", "1337"] {
            assert!(!answer.body.contains(raw), "{shown:?}: {answer:?}");
        }
    }
    for raw_query in
        ["q=%FF%FE%FD", "q=%C0%AF%C0", "q=%ED%A0%80", "q=%", "q=%zz%z", "q[]=a", "q=a&q=b"]
    {
        let answer = siege.as_insider(Wire::get(format!("/brief_introduction?{raw_query}")));
        assert_eq!(answer.status, 200, "{raw_query}");
    }
}

#[test]
fn a_search_with_a_nul_in_it_matches_nobody_who_has_none() {
    let siege = Siege::new();
    // SQLite's LIKE ends a pattern at a NUL, and what is left of it matches more than was asked.
    for (q, name) in [("%00", "Iron Egg"), ("%00zzz", "Iron Egg"), ("Egg%00zzz", "Iron Egg")] {
        let answer = siege.as_insider(Wire::get(format!("/brief_introduction?q={q}")));
        assert_eq!(answer.status, 200, "{q}");
        let matched = answer.body.contains("for “") && answer.body.contains(name);
        assert!(!matched, "{q} is said to match {name}: {}", answer.body);
    }
}

#[test]
fn a_page_number_of_any_shape_is_some_page() {
    let siege = Siege::new();
    for page in [
        "",
        "0",
        "-1",
        "x",
        "1e9",
        "%00",
        "%FF",
        "%EF%BC%91",
        "99999999",
        "9223372036854775807",
        "18446744073709551615",
        "18446744073709551616",
        "1&page=2",
        "%2B1",
        "1.5",
        "[]",
    ] {
        let answer = siege.as_insider(Wire::get(format!("/brief_introduction?page={page}")));
        assert_eq!(answer.status, 200, "{page}");
        let searched =
            siege.as_insider(Wire::get(format!("/brief_introduction?q=egg&page={page}")));
        assert_eq!(searched.status, 200, "{page}");
    }
}
