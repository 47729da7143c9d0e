use super::{Victim, raw};

#[test]
fn requests_from_other_sites_are_refused() {
    let victim = Victim::with("TRUSTED_ORIGINS = [\"https://friend.example\"]");
    let port = victim.port();
    let browser = victim.server.signed_in();
    let cookie = format!("Cookie: {}\r\n", browser.cookie.borrow().as_ref().unwrap());
    let own = format!("Origin: http://127.0.0.1:{port}\r\n");
    for foreign in [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Sec-Fetch-Site: nonsense\r\n",
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://127.0.0.1\r\n",
        &format!("Origin: http://127.0.0.1:{port}.evil.example\r\n"),
        &format!("Origin: http://127.0.0.1:{port}0\r\n"),
        &format!("Origin: http://evil.example/127.0.0.1:{port}\r\n"),
        "Origin: https://friend.example.evil.example\r\n",
        &format!("{own}Origin: https://evil.example\r\n"),
        &format!("{own}Sec-Fetch-Site: cross-site\r\n"),
        "Origin: \r\n",
    ] {
        for target in ["/logout", "/login"] {
            let answer =
                raw::post(port, target, &format!("{cookie}{foreign}"), b"username=gkf&password=x");
            assert_eq!(raw::status(&answer), 403, "{target} {foreign:?}: {answer}");
        }
        assert!(browser.is_signed_in(), "{foreign:?}");
    }
    for fine in [
        "",
        &own,
        "Sec-Fetch-Site: same-origin\r\n",
        "Sec-Fetch-Site: none\r\n",
        "Origin: https://friend.example\r\nSec-Fetch-Site: cross-site\r\n",
    ] {
        let answer = raw::post(port, "/login", fine, b"username=nobody&password=x");
        assert_eq!(raw::status(&answer), 200, "{fine:?}: {answer}");
    }
}

#[test]
fn looking_never_changes_anything() {
    let victim = Victim::new();
    let browser = victim.server.signed_in();
    for method in
        ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "FROBNICATE"]
    {
        let request = format!(
            "{method} /logout HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nCookie: {}\r\n\r\n",
            victim.port(),
            browser.cookie.borrow().as_ref().unwrap()
        );
        let status = raw::status(&raw::exchange(victim.port(), request.as_bytes()));
        assert!((400..=501).contains(&status), "{method}: {status}");
        assert!(browser.is_signed_in(), "{method}");
    }
}

#[test]
fn a_method_in_the_form_or_a_header_has_no_effect() {
    let victim = Victim::new();
    let cookie = victim.server.signed_in().cookie.borrow().clone().unwrap();
    // The form's method would take the request past the check for foreign posts.
    for method in ["get", "GET", "head", "options", "put", "delete", "post"] {
        let body = format!("_method={method}&username={method}&password=x");
        let foreign = "Origin: https://evil.example\r\n";
        let answer = raw::post(victim.port(), "/login", foreign, body.as_bytes());
        assert_eq!(raw::status(&answer), 403, "{method}: {answer}");
        let answer = raw::post(victim.port(), "/login", "", body.as_bytes());
        assert!(answer.contains("Account or password error"), "{method}: {answer}");
    }
    let header = format!("Cookie: {cookie}\r\nX-HTTP-Method-Override: POST\r\n");
    assert_eq!(raw::status(&raw::get(victim.port(), "/logout", header.as_bytes())), 404);
    assert!(victim.signed_in_with(&cookie));
}

#[test]
fn clear_text_http_2_is_off() {
    let victim = Victim::new();
    let answer =
        raw::exchange(victim.port(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    assert!(matches!(raw::status(&answer), 0 | 400 | 505), "{answer}");
    let upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    assert_eq!(raw::status(&raw::get(victim.port(), "/login", upgrade)), 200);
}

#[test]
fn pipelined_requests_keep_their_own_session() {
    let victim = Victim::new();
    let cookie = victim.server.signed_in().cookie.borrow().clone().unwrap();
    let host = format!("Host: 127.0.0.1:{}\r\n", victim.port());
    let request = format!(
        "GET /brief_introduction HTTP/1.1\r\n{host}Cookie: {cookie}\r\n\r\n\
         GET /brief_introduction HTTP/1.1\r\n{host}Connection: close\r\n\r\n"
    );
    use std::io::{Read, Write};
    let mut socket = std::net::TcpStream::connect(("127.0.0.1", victim.port())).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answers = String::new();
    socket.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 1, "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 303").count(), 1, "{answers}");
}

#[test]
fn contradictory_and_odd_lengths_are_refused() {
    let victim = Victim::new();
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 99999999999999999999999999999999\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x5\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
    ] {
        let request = format!(
            "POST /login HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/x-www-form-urlencoded\r\n{headers}\r\n0\r\n\r\n",
            victim.port()
        );
        let status = raw::status(&raw::exchange(victim.port(), request.as_bytes()));
        // hyper answers both lengths as chunked and closes, which RFC 9112, section 6.3, allows.
        assert!(status == 0 || (400..500).contains(&status), "{headers:?}: {status}");
    }
    for chunks in [
        "zz\r\nabc\r\n0\r\n\r\n",
        "-1\r\n\r\n",
        "ffffffffffffffffff\r\n\r\n",
        "5 ;\x00\r\nabcde\r\n0\r\n\r\n",
    ] {
        let request = format!(
            "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"
        );
        let status = raw::status(&raw::exchange(victim.port(), request.as_bytes()));
        assert!(status == 0 || (400..500).contains(&status), "{chunks:?}: {status}");
    }
    victim.is_unharmed();
}

#[test]
fn lines_and_headers_beyond_measure_are_refused() {
    let victim = Victim::new();
    let long = "a".repeat(1 << 20);
    for request in [
        format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\nX-Long: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-Many: 1\r\n".repeat(5000)),
        "GET / HTTP/9.9\r\nHost: a\r\n\r\n".into(),
        "\r\n\r\n\0\0\0garbage\r\n\r\n".into(),
        "GET http://[::1 HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "GET /%zz%c3%28 HTTP/1.1\r\nHost: a\r\n\r\n".into(),
    ] {
        let status = raw::status(&raw::exchange(victim.port(), request.as_bytes()));
        assert!(status < 500 || status == 505, "{}: {status}", &request[..40.min(request.len())]);
    }
    victim.is_unharmed();
}
