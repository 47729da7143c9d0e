//! What is no HTTP, or another version of it, or more of it than anybody sends.

use super::siege::{Siege, is_refused};
use super::wire::Wire;

#[test]
fn http_2_in_clear_text_is_not_spoken() {
    let siege = Siege::new();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let answers = siege.exchange(preface);
    assert!(answers.iter().all(is_refused), "{answers:?}");
    let upgrade = Wire::bare("GET /login HTTP/1.1")
        .header("Host", "dewar.test")
        .header("Connection", "Upgrade, HTTP2-Settings, close")
        .header("Upgrade", "h2c")
        .header("HTTP2-Settings", "AAMAAABkAAQAAP__");
    let answer = upgrade.send(siege.port());
    assert_eq!((answer.status, answer.header("Upgrade")), (200, None));
}

#[test]
fn trace_connect_and_unknown_methods_are_refused_and_echo_nothing() {
    let siege = Siege::new();
    let long = "A".repeat(5_000);
    for method in [
        "TRACE",
        "TRACK",
        "CONNECT",
        "DEBUG",
        "PROPFIND",
        "MKCOL",
        "PURGE",
        "FROBNICATE",
        "get",
        "Post",
        "G\0T",
        "G(T",
        "",
        &long,
    ] {
        for target in ["/login", "/logout", "/brief_introduction", "/static/style.css"] {
            let request = Wire::new(method, target).header("X-Mark", "mark-of-the-request");
            let answer = siege.as_insider(request);
            let refused = is_refused(&answer) || answer.status == 501;
            assert!(refused, "{method} {target}: {}", answer.status);
            assert!(!answer.body.contains("mark-of-the-request"), "{method}");
            assert!(!answer.body.contains(&siege.id()), "{method}");
        }
    }
}

#[test]
fn bytes_that_are_no_request_are_refused() {
    let siege = Siege::new();
    let every_byte: Vec<u8> = (0..=255).cycle().take(4096).collect();
    let tls = [&b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..], &[7; 505]].concat();
    let host = "Host: a\r\nConnection: close\r\n\r\n";
    for (what, bytes) in [
        ("every byte", every_byte),
        ("tls", tls),
        ("nothing but ends of lines", b"\r\n\r\n\r\n\r\nx\r\n\r\n".to_vec()),
        ("nul", vec![0; 1000]),
        ("no version", format!("GET /login\r\n{host}").into()),
        ("odd version", format!("GET /login HTTP/1.2\r\n{host}").into()),
        ("high version", format!("GET /login HTTP/9.9\r\n{host}").into()),
        ("no path", format!("GET HTTP/1.1\r\n{host}").into()),
        ("relative path", format!("GET login HTTP/1.1\r\n{host}").into()),
        ("blank in path", format!("GET /log in HTTP/1.1\r\n{host}").into()),
        ("control in path", format!("GET /log\x01in HTTP/1.1\r\n{host}").into()),
        ("bad host in target", format!("GET http://[::1 HTTP/1.1\r\n{host}").into()),
        ("no utf-8 in path", [b"GET /\xff HTTP/1.1\r\n", host.as_bytes()].concat()),
        ("no utf-8 in query", [b"GET /detailed?id=\xff HTTP/1.1\r\n", host.as_bytes()].concat()),
        ("folded header", format!("GET /login HTTP/1.1\r\nX: a\r\n b\r\n{host}").into()),
        ("blank before colon", format!("GET /login HTTP/1.1\r\nCookie : a=b\r\n{host}").into()),
        ("no colon", format!("GET /login HTTP/1.1\r\nCookie\r\n{host}").into()),
        ("no name", format!("GET /login HTTP/1.1\r\n: a\r\n{host}").into()),
        ("nul in header", format!("GET /login HTTP/1.1\r\nX: a\0b\r\n{host}").into()),
        ("bare cr in header", format!("GET /login HTTP/1.1\r\nX: a\rb\r\n{host}").into()),
        ("long path", format!("GET /{} HTTP/1.1\r\n{host}", "a".repeat(70_000)).into()),
        ("endless path", format!("GET /{} HTTP/1.1\r\n{host}", "a".repeat(1 << 20)).into()),
        ("long header", format!("GET / HTTP/1.1\r\nX: {}\r\n{host}", "a".repeat(1 << 20)).into()),
        ("many headers", format!("GET / HTTP/1.1\r\n{}{host}", "X: 1\r\n".repeat(5_000)).into()),
    ] {
        let answers = siege.exchange(&bytes);
        assert!(!answers.is_empty() && answers.iter().all(is_refused), "{what}: {answers:?}");
    }
}

#[test]
fn headers_of_any_value_leave_a_page_as_it_is() {
    let siege = Siege::new();
    let many = "a/b;q=0.1,".repeat(5_000);
    let addresses = "1.2.3.4, ".repeat(5_000);
    for (name, value) in [
        ("Accept", &b"\xff"[..]),
        ("Accept", many.as_bytes()),
        ("Accept-Encoding", b"\xff, gzip;q=x"),
        ("Accept-Language", b"%s%s%n"),
        ("Content-Type", b";;;"),
        ("Content-Type", b"\xff/\xff"),
        ("If-None-Match", b"\xff"),
        ("If-None-Match", b"*"),
        ("If-Modified-Since", b"yesterday"),
        ("Range", b"bytes=0-,-99999999999999999999"),
        ("Referer", b"\xff"),
        ("User-Agent", b"() { :; }; echo ${jndi:ldap://x/y}"),
        ("X-Forwarded-For", addresses.as_bytes()),
        ("X-Real-IP", b"not an address"),
        ("Forwarded", b"for=\"_unclosed"),
        ("Authorization", b"Basic \xff"),
        ("Upgrade", b"websocket"),
        ("Expect", b"the unexpected"),
        ("X", b""),
    ] {
        let answer = siege.as_insider(Wire::get("/brief_introduction").header(name, value));
        let shown = String::from_utf8_lossy(&value[..value.len().min(30)]).into_owned();
        let page = answer.status == 200 && answer.body.contains("Steel Eggs");
        assert!(page || is_refused(&answer), "{name}: {shown}: {answer:?}");
    }
}
