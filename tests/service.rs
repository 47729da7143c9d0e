//! The server as a service: starting, reloading, stopping, and talking to systemd.

mod support;

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::{Browser, PASSWORD, Server, Site, USER, wait_for};

#[test]
fn a_hangup_puts_new_settings_in_force_and_signs_nobody_out() {
    let site = Site::new("");
    let server = site.serve();
    let browser = server.signed_in();
    site.configure(
        "GENDER_LABELS = { Unknown = \"not told\" }\nSESSION_COOKIE_SAMESITE = \"Strict\"",
    );
    server.signal("-HUP");
    server.wait_for_log("in force");
    assert!(!server.log().contains("takes a restart"), "{}", server.log());
    assert!(browser.get("/detailed?id=1").body.contains("not told"));
    let form = [("username", USER), ("password", PASSWORD)];
    let answer = server.browser().post("/login", &form);
    assert!(answer.header("Set-Cookie").unwrap().ends_with("SameSite=Strict"));
}

#[test]
fn what_a_hangup_cannot_change_is_told_for_as_long_as_it_differs() {
    let site = Site::new("workers = 2");
    let server = site.serve();
    let told = |what: &str| server.log().matches(&format!("a changed {what} takes")).count();
    for times in [1, 2] {
        site.configure("workers = 3\nDATABASE_RESERVE = 5000");
        server.signal("-HUP");
        wait_for("the answer", || {
            (server.log().matches("in force").count() == times).then_some(())
        });
        assert_eq!([told("workers"), told("DATABASE_RESERVE")], [times; 2]);
    }
    site.configure("workers = 2");
    server.signal("-HUP");
    wait_for("the answer", || (server.log().matches("in force").count() == 3).then_some(()));
    assert_eq!(told("workers"), 2, "as it runs");
}

#[test]
fn a_bad_file_leaves_the_old_settings_and_says_why() {
    let site = Site::new("GENDER_LABELS = { Unknown = \"not told\" }");
    let server = site.serve();
    let browser = server.signed_in();
    for (settings, part) in [
        ("SESSION_COOKIE_NAM = \"x\"", "did you mean SESSION_COOKIE_NAME?"),
        ("PERMANENT_SESSION_LIFETIME = 0", "PERMANENT_SESSION_LIFETIME"),
        ("[[[", "TOML"),
    ] {
        site.configure(settings);
        server.signal("-HUP");
        server.wait_for_log(part);
        wait_for("the refusal", || server.log().contains("stay in force").then_some(()));
        assert!(browser.get("/detailed?id=1").body.contains("not told"), "{settings}");
    }
    std::fs::remove_file(site.path().join("Rocket.toml")).unwrap();
    server.signal("-HUP");
    assert!(browser.is_signed_in());
}

#[test]
fn systemd_hears_of_readiness_reloads_the_watchdog_and_the_end() {
    let site = Site::new("");
    let path = site.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let heard = |wanted: &str| {
        let mut buffer = [0; 4096];
        loop {
            let length = socket.recv(&mut buffer).unwrap_or_else(|_| panic!("no {wanted}"));
            if String::from_utf8_lossy(&buffer[..length]).lines().any(|line| line == wanted) {
                return;
            }
        }
    };
    let mut command = site.command(&["serve"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
    let mut server = Server::start(command);
    heard("READY=1");
    assert_eq!(server.browser().get("/login").status, 200);
    heard("WATCHDOG=1");
    heard("WATCHDOG=1");
    server.signal("-HUP");
    heard("RELOADING=1");
    heard("READY=1");
    server.signal("-TERM");
    heard("STOPPING=1");
    assert!(server.child.wait().unwrap().success());
}

#[test]
fn a_stop_finishes_the_requests_it_has_accepted() {
    let site = Site::new("");
    for i in 0..4 {
        site.run_with_input(&["user", "add", &format!("c{i}"), "--password-stdin"], PASSWORD);
    }
    let mut server = site.serve();
    let answered = AtomicUsize::new(0);
    let port = server.port;
    let cookies = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|i| {
                let answered = &answered;
                scope.spawn(move || {
                    let name = format!("c{i}");
                    let mut cookies = Vec::new();
                    // A connection for each request, so that none waits idle for the next.
                    loop {
                        let browser = Browser::new(port);
                        let form = [("username", &*name), ("password", PASSWORD)];
                        match browser.try_post("/login", &form) {
                            Ok(answer) => {
                                assert_eq!(answer.status, 303);
                                cookies.extend(browser.cookie.borrow().clone());
                                answered.fetch_add(1, Ordering::SeqCst);
                            }
                            Err(ureq::Error::Io(error))
                                if error.kind() == std::io::ErrorKind::ConnectionRefused =>
                            {
                                return cookies;
                            }
                            Err(error) => panic!("an accepted request got no answer: {error}"),
                        }
                    }
                })
            })
            .collect();
        wait_for("some sign-ins", || (answered.load(Ordering::SeqCst) > 8).then_some(()));
        server.signal("-TERM");
        let began = Instant::now();
        assert!(server.child.wait().unwrap().success());
        assert!(began.elapsed() < Duration::from_secs(6), "took {:?}", began.elapsed());
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(!site.path().join("dewar.db-wal").exists(), "the log is written back at the end");
    let server = site.serve();
    for cookie in cookies {
        assert!(Browser::with_cookie(server.port, &cookie).is_signed_in());
    }
}

#[test]
fn idle_and_stuck_clients_do_not_hold_up_a_stop() {
    use std::io::Write;
    let site = Site::empty("");
    let mut server = site.serve();
    let mut open = Vec::new();
    for i in 0..200 {
        let mut socket = std::net::TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        if i % 2 == 0 {
            socket
                .write_all(b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nuser")
                .unwrap();
        }
        open.push(socket);
    }
    std::thread::sleep(Duration::from_millis(200));
    server.signal("-TERM");
    let began = Instant::now();
    let status = server.child.wait().unwrap();
    assert!(status.success(), "{status}: {}", server.log());
    assert!(began.elapsed() < Duration::from_secs(7), "took {:?}", began.elapsed());
}

#[test]
fn a_dead_log_does_not_stop_the_service() {
    let site = Site::new("");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command: Command = site.command(&["serve"]);
    command.env("ROCKET_PORT", free.to_string()).stderr(full).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let browser = Browser::new(free);
    wait_for("the server", || browser.try_get("/healthz").ok());
    browser.post("/login", &[("username", USER), ("password", "wrong")]);
    browser.sign_in();
    assert!(browser.is_signed_in());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_unreadable_secret_file_stops_the_start_and_is_named() {
    let site = Site::empty("");
    let mut command = site.command(&["serve"]);
    command.env("FLASK_SECRET_KEY_FILE", "/nonexistent/secret");
    let output = support::output_of(command, b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nonexistent/secret"));
}
