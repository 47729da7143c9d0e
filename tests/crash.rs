//! The server is killed again and again under load: what it has acknowledged stays.

mod support;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use support::{Browser, PASSWORD, Site};

const ROUNDS: usize = 50;
const CLIENTS: usize = 6;

/// What the clients were told, each entry after the whole answer was read.
#[derive(Default)]
struct Acknowledged {
    signed_in: Vec<String>,
    signed_out: Vec<String>,
}

/// Signs in again and again, every other time out as well, until the server is gone.
fn client(port: u16, name: &str, acknowledged: &Mutex<Acknowledged>) {
    for turn in 0.. {
        let browser = Browser::new(port);
        let form = [("username", name), ("password", PASSWORD)];
        let Ok(answer) = browser.try_post("/login", &form) else { return };
        assert_eq!(answer.status, 303, "{}", answer.body);
        let cookie = browser.cookie.borrow().clone().unwrap();
        if turn % 2 == 0 {
            acknowledged.lock().unwrap().signed_in.push(cookie);
            continue;
        }
        let Ok(answer) = browser.try_post("/logout", &[]) else { return };
        assert_eq!(answer.status, 303);
        acknowledged.lock().unwrap().signed_out.push(cookie);
    }
}

#[test]
fn fifty_kills_under_load_lose_no_acknowledged_sign_in_and_revive_no_sign_out() {
    let site = Site::new("");
    let names: Vec<_> = (0..CLIENTS).map(|i| format!("client{i}")).collect();
    for name in &names {
        site.run_with_input(&["user", "add", name, "--password-stdin"], PASSWORD);
    }
    let acknowledged = Mutex::new(Acknowledged::default());
    let mut server = site.serve();
    for round in 0..ROUNDS {
        let port = server.port;
        std::thread::scope(|scope| {
            for name in &names {
                scope.spawn(|| client(port, name, &acknowledged));
            }
            // A spread of moments without a random seed to report: 5 to 495 ms.
            std::thread::sleep(Duration::from_millis((5 + round * 10) as u64));
            server.kill();
        });
        let began = Instant::now();
        server = site.serve();
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "the restart took {:?}",
            began.elapsed()
        );
    }
    let Acknowledged { signed_in, signed_out } = acknowledged.into_inner().unwrap();
    assert!(signed_in.len() > ROUNDS && signed_out.len() > ROUNDS, "too little load to tell");
    let lost = signed_in.iter().filter(|cookie| !is_alive(server.port, cookie)).count();
    let revived = signed_out.iter().filter(|cookie| is_alive(server.port, cookie)).count();
    println!("{ROUNDS} kills, {} sign-ins, {} sign-outs", signed_in.len(), signed_out.len());
    assert_eq!((lost, revived), (0, 0), "lost sign-ins and revived sign-outs");

    drop(server);
    let connection = rusqlite::Connection::open(site.database()).unwrap();
    let sound: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
}

fn is_alive(port: u16, cookie: &str) -> bool {
    Browser::with_cookie(port, cookie).is_signed_in()
}
