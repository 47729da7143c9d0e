//! Bodies: too large, too many parts, too deep, cut short, or no form at all.

use std::time::{Duration, Instant};

use super::siege::{Siege, is_refused, right_pair, set_cookies};
use super::support::{PASSWORD, USER};
use super::wire::{FORM, MULTIPART, Wire, exchange, multipart, urlencoded};

/// Far more than anything linear takes even in a debug build on a busy machine.
const QUICK: Duration = Duration::from_secs(5);

/// More than `MAX_CONTENT_LENGTH`, which is 128 KiB.
const LARGE: usize = 200_000;

fn both_framings(kind: &str, body: &str) -> [Wire; 2] {
    let head = Wire::new("POST", "/login").header("Content-Type", kind);
    [head.clone().body(body), head.chunked(body.as_bytes())]
}

#[test]
fn a_form_over_the_limit_is_too_large_in_both_kinds_and_framings() {
    let siege = Siege::new();
    let large = "a".repeat(LARGE);
    for field in ["username", "password", "next", "remember", "unknown"] {
        // A field in its place, or else behind the credentials.
        let mut fields = vec![("username", USER), ("password", PASSWORD), (field, &*large)];
        if let Some(place) = fields.iter().take(2).position(|(name, _)| *name == field) {
            fields.swap_remove(place);
        }
        for (kind, body) in [(FORM, urlencoded(&fields)), (MULTIPART, multipart(&fields))] {
            for request in both_framings(kind, &body) {
                let began = Instant::now();
                let answer = request.send(siege.port());
                assert_eq!(answer.status, 413, "{field} as {kind}: {answer:?}");
                assert!(answer.body.contains("Error 413") && set_cookies(&answer).is_empty());
                assert!(began.elapsed() < QUICK, "{field} as {kind}");
            }
        }
    }
}

#[test]
fn a_body_over_the_limit_ends_no_session_in_either_framing() {
    let siege = Siege::new();
    let visitor = siege.server.signed_in();
    let cookie = visitor.cookie.borrow().clone().unwrap();
    let large = format!("x={}", "a".repeat(LARGE));
    for path in ["/logout", "/account/sessions/end-others"] {
        let head = Wire::new("POST", path)
            .header("Content-Type", FORM)
            .header("Cookie", &cookie)
            .header("Sec-Fetch-Site", "same-origin");
        for request in [head.clone().body(&large), head.chunked(large.as_bytes())] {
            let answer = request.send(siege.port());
            assert_eq!(answer.status, 413, "{path}: {answer:?}");
        }
    }
    assert!(visitor.is_signed_in());
}

#[test]
fn what_surrounds_the_fields_counts_towards_the_limit() {
    let siege = Siege::new();
    let (large, pair) = ("a".repeat(LARGE), right_pair());
    let parts = multipart(&[("username", USER), ("password", PASSWORD)]);
    let long_name =
        format!("--x\r\nContent-Disposition: form-data; name=\"{large}\"\r\n\r\nv\r\n{parts}");
    let long_header = format!("--x\r\nX-Long: {large}\r\n\r\nv\r\n{parts}");
    for (what, kind, body) in [
        ("name", FORM, format!("{large}=1&{pair}")),
        ("ampersands", FORM, format!("{}{pair}", "&".repeat(LARGE))),
        ("preamble", MULTIPART, format!("{large}\r\n{parts}")),
        ("name of a part", MULTIPART, long_name),
        ("header of a part", MULTIPART, long_header),
    ] {
        for request in both_framings(kind, &body) {
            let answer = request.send(siege.port());
            assert!(is_refused(&answer), "{what}: {answer:?}");
        }
    }
}

#[test]
fn an_announced_length_over_the_limit_is_refused_without_waiting_for_it() {
    let siege = Siege::new();
    for kind in [FORM, MULTIPART] {
        let began = Instant::now();
        let answer = Wire::new("POST", "/login")
            .header("Content-Type", kind)
            .header("Content-Length", "1000000000")
            .unframed("username=gkf&password=123")
            .send(siege.port());
        assert_eq!(answer.status, 413);
        assert!(began.elapsed() < QUICK);
    }
}

#[test]
fn a_great_many_fields_parts_and_levels_are_read_quickly() {
    let siege = Siege::new();
    let pair = right_pair();
    let parts = multipart(&[("username", USER), ("password", PASSWORD)]);
    let many_parts = multipart(&vec![("a", "b"); 2_000]).replace("--x--\r\n", &parts);
    let many_headers = format!("--x\r\n{}\r\nv\r\n{parts}", "X: y\r\n".repeat(18_000));
    for (what, kind, body) in [
        ("fields", FORM, "a=b&".repeat(28_000) + &pair),
        ("fields of one name", FORM, "username=b&".repeat(10_000) + &pair),
        ("levels", FORM, format!("{}=1&{pair}", "a.".repeat(60_000))),
        ("levels of a known field", FORM, format!("username{}=1&password=x", ".a".repeat(60_000))),
        ("brackets", FORM, format!("a{}=1&{pair}", "[0]".repeat(40_000))),
        ("unclosed brackets", FORM, format!("a{}=1&{pair}", "[".repeat(120_000))),
        ("escapes", FORM, format!("a={}&{pair}", "%41".repeat(40_000))),
        ("broken escapes", FORM, format!("a={}&{pair}", "%".repeat(120_000))),
        ("equals", FORM, format!("{}&{pair}", "=".repeat(120_000))),
        ("ampersands", FORM, format!("{}&{pair}", "&".repeat(120_000))),
        ("one long line", FORM, format!("a={}&{pair}", "b".repeat(120_000))),
        ("parts", MULTIPART, many_parts),
        ("headers of a part", MULTIPART, many_headers),
        ("dashes", MULTIPART, format!("{}\r\n{parts}", "--".repeat(60_000))),
        ("false boundaries", MULTIPART, format!("{}{parts}", "\r\n--y".repeat(24_000))),
        ("ends of lines", MULTIPART, format!("{}{parts}", "\r\n".repeat(60_000))),
    ] {
        for request in both_framings(kind, &body) {
            let began = Instant::now();
            let answer = request.send(siege.port());
            assert!(began.elapsed() < QUICK, "{what} took {:?}", began.elapsed());
            assert!(answer.status < 500, "{what}: {answer:?}");
        }
    }
}

#[test]
fn chunks_of_a_byte_each_are_put_together() {
    let siege = Siege::new();
    let pair = right_pair();
    let chunks: String = pair.bytes().map(|b| format!("1\r\n{}\r\n", b as char)).collect();
    let request = Wire::new("POST", "/login")
        .header("Content-Type", FORM)
        .header("Transfer-Encoding", "chunked")
        .unframed(chunks + "0\r\n\r\n");
    assert_eq!(request.send(siege.port()).status, 303);
}

#[test]
fn a_body_that_is_no_form_is_refused() {
    let siege = Siege::new();
    let pair = right_pair();
    let part = |head: &str, value: &str| format!("--x\r\n{head}\r\n\r\n{value}\r\n--x--\r\n");
    for (kind, body) in [
        (FORM, b"".to_vec()),
        (FORM, b"\0\0\0\0".to_vec()),
        (FORM, b"\xff\xfe\xfd".to_vec()),
        (FORM, b"username=\xff&password=x".to_vec()),
        (FORM, b"username=x".to_vec()),
        (FORM, b"password=x".to_vec()),
        (FORM, b"Username=x&Password=y".to_vec()),
        (FORM, b"username=x;password=y".to_vec()),
        (FORM, b"{\"username\":\"x\",\"password\":\"y\"}".to_vec()),
        (MULTIPART, b"".to_vec()),
        (MULTIPART, pair.clone().into_bytes()),
        (MULTIPART, b"\0".repeat(1_000)),
        (MULTIPART, part("Content-Disposition: form-data", "v").into_bytes()),
        (MULTIPART, part("Content-Disposition: attachment", "v").into_bytes()),
        (MULTIPART, part("\u{e9}: x", "v").into_bytes()),
        (MULTIPART, part("", "v").into_bytes()),
        (MULTIPART, multipart(&[("username", "x")]).into_bytes()),
        ("multipart/form-data", b"--x--".to_vec()),
        ("multipart/form-data; boundary=", b"--x--".to_vec()),
        ("multipart/form-data; boundary=\"", b"--x--".to_vec()),
        ("multipart/mixed; boundary=x", multipart(&[("username", "x")]).into_bytes()),
        ("application/json", b"{\"username\":\"x\",\"password\":\"y\"}".to_vec()),
        ("application/x-www-form-urlencoded-not", pair.clone().into_bytes()),
        ("text/plain", pair.clone().into_bytes()),
        ("", pair.clone().into_bytes()),
        ("\u{e9}/\u{e9}", pair.clone().into_bytes()),
        (";;;", pair.clone().into_bytes()),
    ] {
        let answer = Wire::post("/login", kind, &body).send(siege.port());
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert!(is_refused(&answer), "{kind}: {shown:?}: {answer:?}");
        assert!(answer.body.contains("Error 4"), "{kind}: {shown:?}: {answer:?}");
    }
    let untyped = Wire::new("POST", "/login").body(&pair).send(siege.port());
    assert_eq!(untyped.status, 415);
}

#[test]
fn text_that_is_no_utf_8_in_a_multipart_form_is_refused() {
    let siege = Siege::new();
    for field in ["username", "password", "next"] {
        let mut body = multipart(&[("username", USER), ("password", PASSWORD)]).into_bytes();
        body.truncate(body.len() - "--x--\r\n".len());
        let head = format!("--x\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n");
        // First, so that it is the one that counts.
        let body = [head.as_bytes(), b"\xff\xfe\r\n", &body, b"--x--\r\n"].concat();
        let answer = Wire::post("/login", MULTIPART, body).send(siege.port());
        assert!(is_refused(&answer) && set_cookies(&answer).is_empty(), "{field}: {answer:?}");
    }
}

#[test]
fn a_multipart_form_that_stops_early_is_incomplete_and_not_too_large() {
    let siege = Siege::new();
    let whole = multipart(&[("username", USER), ("password", PASSWORD)]);
    let in_a_value = whole.find("battery").unwrap();
    let in_a_header = whole.rfind("form-data").unwrap();
    for body in [
        "--x",
        "nothing of the kind",
        &whole[..in_a_value],
        &whole[..in_a_header],
        &whole[..whole.len() - 5],
    ] {
        let answer = Wire::post("/login", MULTIPART, body).send(siege.port());
        assert!(matches!(answer.status, 400 | 422), "{body:?}: {}", answer.status);
    }
}

#[test]
fn a_file_in_place_of_a_field_is_text_or_refused() {
    let siege = Siege::new();
    for file in [
        "filename=\"../../etc/passwd\"",
        "filename=\"\"",
        "filename*=UTF-8''%00",
        "filename=\"a\"; filename=\"b\"",
    ] {
        let body = format!(
            "--x\r\nContent-Disposition: form-data; name=\"username\"; {file}\r\n\
             Content-Type: application/octet-stream\r\n\r\n{USER}\r\n{}",
            multipart(&[("password", "wrong")])
        );
        let answer = Wire::post("/login", MULTIPART, body).send(siege.port());
        let wrong_pair = answer.body.contains("Account or password error");
        assert!(wrong_pair || is_refused(&answer), "{file}: {answer:?}");
    }
}

#[test]
fn bodies_where_none_belongs_change_nothing() {
    let siege = Siege::new();
    for (method, target) in [
        ("GET", "/login"),
        ("GET", "/brief_introduction"),
        ("GET", "/static/style.css"),
        ("GET", "/nowhere"),
        ("DELETE", "/login"),
        ("POST", "/nowhere"),
        ("POST", "/logout"),
    ] {
        for body in ["", "x", "\0\0\0", &"x".repeat(LARGE)] {
            let request = Wire::new(method, target).header("Content-Type", FORM).body(body);
            let answers = exchange(siege.port(), &request.bytes());
            assert_eq!(answers.len(), 1, "{method} {target}");
            assert!(answers[0].status < 500, "{method} {target}: {answers:?}");
            assert!(body.len() < LARGE || answers[0].status == 413, "{method} {target}");
        }
    }
}
