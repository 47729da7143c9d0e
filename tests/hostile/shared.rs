//! Connections that carry the requests of several visitors, and clients that sit on theirs.

use super::siege::{Siege, right_pair, set_cookies};
use super::support::PASSWORD;
use super::wire::{FORM, Wire, exchange};

#[test]
fn pipelined_requests_each_keep_their_own_session() {
    let siege = Siege::new();
    siege.add_account("other", PASSWORD);
    let other = siege.sign_in("other", PASSWORD);
    let other = set_cookies(&other)[0].split(';').next().unwrap().to_owned();
    let page = |cookie: &str| {
        format!("GET /brief_introduction HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n")
    };
    let (own, nobody) = (siege.cookie(), "session=nobody");
    let order = [own.as_str(), nobody, &other, "", &own, &other, nobody, &own];
    let requests: String = order.iter().map(|cookie| page(cookie)).collect();
    let last = String::from_utf8(Wire::get("/login").bytes()).unwrap();
    let answers = exchange(siege.port(), (requests + &last).as_bytes());
    assert_eq!(answers.len(), order.len() + 1);
    for (cookie, answer) in order.iter().zip(&answers) {
        let shown = ["gkf", "other"].map(|name| answer.body.contains(&format!("</span>{name}<")));
        let expected = [**cookie == own, **cookie == other];
        assert_eq!(shown, expected, "{cookie}: {answer:?}");
        assert_eq!(answer.status == 200, expected != [false, false], "{cookie}");
    }
}

#[test]
fn a_sign_in_on_a_shared_connection_signs_nobody_else_in() {
    let siege = Siege::new();
    let form = right_pair();
    let requests = format!(
        "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: {FORM}\r\nContent-Length: {}\r\n\r\n{form}\
         GET /brief_introduction HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        form.len()
    );
    let answers = exchange(siege.port(), requests.as_bytes());
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [303, 303], "{answers:?}");
    assert_eq!(answers[1].location(), "/login?next=%2Fbrief_introduction");
}

#[test]
fn clients_that_never_finish_their_request_keep_nobody_waiting() {
    use std::io::Write;
    let siege = Siege::new();
    let beginnings = [
        "",
        "GET",
        "GET /login HTTP/1.1\r\nHost: a\r\nX: ",
        "POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nuser",
        "POST /login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\nuser",
    ];
    let stuck: Vec<_> = beginnings
        .iter()
        .cycle()
        .take(250)
        .map(|beginning| {
            let mut socket = std::net::TcpStream::connect(("127.0.0.1", siege.port())).unwrap();
            socket.write_all(beginning.as_bytes()).unwrap();
            socket
        })
        .collect();
    assert_eq!(Wire::get("/brief_introduction").send(siege.port()).status, 303);
    assert_eq!(Wire::post("/login", FORM, right_pair()).send(siege.port()).status, 303);
    assert!(siege.insider.is_signed_in());
    drop(stuck);
}
