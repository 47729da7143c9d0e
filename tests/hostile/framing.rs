//! Where a message ends and whom it is for: lengths, chunks and hosts.

use super::siege::{Siege, is_refused, right_pair, set_cookies};
use super::support::Answer;
use super::wire::{FORM, Wire, exchange, exchange_cut};

/// A sign-in form without a length, and behind it a request that must not be taken for one of a
/// message whose end is in doubt.
fn with_a_follower(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let form = Wire::bare("POST /login HTTP/1.1")
        .header("Host", "dewar.test")
        .header("Content-Type", FORM)
        .headers(headers)
        .unframed(body)
        .bytes();
    [form, Wire::get("/static/favicon.svg").bytes()].concat()
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

#[test]
fn a_length_beside_chunks_leaves_nothing_to_smuggle() {
    let siege = Siege::new();
    let form = right_pair();
    let chunks = format!("{:x}\r\n{form}\r\n0\r\n\r\n", form.len());
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Transfer-Encoding: Chunked\r\nContent-Length: 1000\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: gzip, chunked\r\n",
    ] {
        let answers = siege.exchange(&with_a_follower(headers, &chunks));
        // Refused, or answered as chunked and the connection closed: RFC 9112, section 6.3.
        assert_eq!(answers.len(), 1, "{headers:?}: {answers:?}");
        let status = answers[0].status;
        assert!(is_refused(&answers[0]) || status == 303, "{headers:?}: {status}");
    }
}

#[test]
fn a_length_that_is_no_plain_number_is_refused() {
    let siege = Siege::new();
    for length in [
        "+5",
        "-5",
        "-0",
        "5,6",
        "5, 5",
        "5 5",
        "5;",
        "0x5",
        "5.0",
        "5e0",
        "five",
        "",
        "\u{665}",
        "99999999999999999999999999999",
        "18446744073709551616",
        "18446744073709551615",
        "9223372036854775808",
        "1000000000",
        "5\r\nContent-Length: 6",
        "6\r\nContent-Length: 5",
    ] {
        let headers = format!("Content-Length: {length}\r\n");
        let answers = siege.exchange(&with_a_follower(&headers, "a=b&c"));
        assert_eq!(answers.len(), 1, "{length:?}: {answers:?}");
        assert!(is_refused(&answers[0]), "{length:?}: {answers:?}");
    }
}

#[test]
fn a_coding_that_is_not_chunked_is_refused() {
    let siege = Siege::new();
    for coding in ["identity", "gzip", "chunked, gzip", "xchunked", "\u{b}chunked", "chunked;q=1"] {
        let headers = format!("Transfer-Encoding: {coding}\r\n");
        let answers = siege.exchange(&with_a_follower(&headers, "0\r\n\r\n"));
        assert!(answers.len() == 1 && is_refused(&answers[0]), "{coding:?}: {answers:?}");
    }
}

#[test]
fn chunks_of_a_bad_size_or_shape_are_refused() {
    let siege = Siege::new();
    let long_extension = format!("5;{}\r\na=b&c\r\n0\r\n\r\n", "x".repeat(70_000));
    let long_trailer = format!("5\r\na=b&c\r\n0\r\n{}\r\n", "a: b\r\n".repeat(10_000));
    for chunks in [
        "-1\r\na\r\n0\r\n\r\n",
        "+5\r\na=b&c\r\n0\r\n\r\n",
        "0x5\r\na=b&c\r\n0\r\n\r\n",
        "g\r\na=b&c\r\n0\r\n\r\n",
        "5.0\r\na=b&c\r\n0\r\n\r\n",
        "\r\na=b&c\r\n0\r\n\r\n",
        "5\0\r\na=b&c\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\na=b&c\r\n0\r\n\r\n",
        "5\r\na=b&cX\r\n0\r\n\r\n",
        "5\na=b&c\n0\n\n",
        &long_extension,
        &long_trailer,
    ] {
        let answers = siege.exchange(&with_a_follower("Transfer-Encoding: chunked\r\n", chunks));
        let shown = &chunks[..chunks.len().min(40)];
        assert_eq!(answers.len(), 1, "{shown:?}: {answers:?}");
        assert!(is_refused(&answers[0]), "{shown:?}: {answers:?}");
    }
}

#[test]
fn a_message_cut_short_is_refused_and_does_nothing() {
    let siege = Siege::new();
    let before = siege.live_sessions();
    let head = format!("POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: {FORM}\r\n");
    let pair = right_pair();
    for cut in [
        format!("{head}Content-Length: {}\r\n\r\n{pair}", pair.len() + 1),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{pair}", pair.len()),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{pair}\r\n", pair.len()),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{pair}\r\n0\r\n", pair.len()),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n{pair}"),
        format!("{head}Content-Length: 10\r\n"),
        "POST /login".into(),
        "G".into(),
        String::new(),
    ] {
        for answer in exchange_cut(siege.port(), cut.as_bytes()) {
            assert!(is_refused(&answer), "{cut:?}: {answer:?}");
            assert!(set_cookies(&answer).is_empty(), "{cut:?}");
        }
    }
    assert_eq!(siege.live_sessions(), before);
}

#[test]
fn a_missing_second_or_malformed_host_is_refused_on_every_path() {
    let siege = Siege::new();
    for hosts in [
        "",
        "Host: a\r\nHost: b\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nhost: b\r\n",
        "Host: \r\n",
        "Host: a b\r\n",
        "Host: a\tb\r\n",
        "Host: a/b\r\n",
        "Host: a?b\r\n",
        "Host: a#b\r\n",
        "Host: user@a\r\n",
        "Host: :80\r\n",
        "Host: [a]\r\n",
        "Host: http://a\r\n",
        "Host: [::1\r\n",
        "Host: a:b\r\n",
        "Host: a:80:80\r\n",
        "Host: a:99999\r\n",
        "Host: a:-1\r\n",
        "Host: <a>\r\n",
        "Host: a\\b\r\n",
    ] {
        for target in ["/login", "/brief_introduction", "/static/style.css", "/healthz", "/nowhere"]
        {
            let request = Wire::bare(format!("GET {target} HTTP/1.1"))
                .header("Connection", "close")
                .headers(hosts);
            assert_eq!(request.send(siege.port()).status, 400, "{target} {hosts:?}");
        }
    }
    let unreadable =
        Wire::bare("GET /login HTTP/1.1").header("Connection", "close").header("Host", b"\xff\xfe");
    assert_eq!(unreadable.send(siege.port()).status, 400);
}

#[test]
fn a_refused_message_ends_its_connection_and_no_other() {
    let siege = Siege::new();
    let bad = b"GET /login HTTP/1.1\r\nHost : a\r\n\r\n";
    let bytes = [&bad[..], &Wire::get("/login").bytes()].concat();
    assert_eq!(statuses(&exchange(siege.port(), &bytes)), [400]);
    let large = Wire::bare("POST /login HTTP/1.1")
        .header("Host", "dewar.test")
        .header("Content-Type", FORM)
        .body("x".repeat(300_000));
    // What was not read of a body must not be read as the next request.
    let answers = exchange(siege.port(), &[large.bytes(), Wire::get("/nowhere").bytes()].concat());
    assert!(matches!(statuses(&answers)[..], [413] | [413, 404]), "{answers:?}");
}
