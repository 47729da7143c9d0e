//! Many browsers that keep their connection and say nothing more.

mod servers;
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use servers::redis;
use support::{Server, Site, has};

const BROWSERS: usize = 10_000;
/// In KiB: 200 MB, and half as much again for what is built without optimisation.
const MEMORY: u64 = if cfg!(debug_assertions) { 300 * 1024 } else { 200 * 1024 };

#[test]
fn ten_thousand_idle_browsers_fit_in_200_mb() {
    let test = "ten_thousand_idle_browsers_fit_in_200_mb";
    let enough = files_that_may_be_open() > 12_000;
    if !has(enough, "12,000 open files (ulimit -n)", test)
        || !has(redis::is_here(), "Redis (Debian's redis-server and redis-tools)", test)
    {
        return;
    }
    let store = redis::server();
    let site = Site::new(&format!(
        "SESSION_TYPE = 'redis'\nSESSION_REDIS = 'redis://127.0.0.1:{}/0'",
        store.port
    ));
    let server = site.serve();
    let cookie = server.signed_in().cookie.borrow().clone().unwrap();
    let request =
        format!("GET /detailed?id=1 HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
    let ask = |mut browser: &TcpStream| {
        browser.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 4096];
        let length = browser.read(&mut answer).unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200 "), "{length} bytes");
    };
    let browsers: Vec<_> = (0..BROWSERS)
        .map(|_| {
            let browser = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
            ask(&browser);
            browser
        })
        .collect();
    let used = resident(&server);
    assert!(used < MEMORY, "{used} KiB");
    assert!(redis::connections(store.port) <= 16);
    assert!(server.signed_in().is_signed_in(), "others are served");
    drop(browsers);
}

/// The soft limit of this process.
fn files_that_may_be_open() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The server's memory in KiB.
fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
