//! The walk of docs/scale.md, from one machine to two nodes.

use super::node;
use super::servers::postgres::Postgres;
use super::servers::redis;
use super::support::{Browser, PASSWORD, Site, USER, has};

#[test]
fn a_service_moves_from_one_machine_to_two_nodes_and_nobody_signs_in_again() {
    let test = "a_service_moves_from_one_machine_to_two_nodes_and_nobody_signs_in_again";
    let Some(server) = Postgres::start(test, &[]) else { return };
    if !has(redis::is_here(), "redis-server and redis-cli", test) {
        return;
    }
    let redis = redis::server();
    let sessions = format!("redis://127.0.0.1:{}/0", redis.port);
    let site = Site::new("");
    let old = site.serve();
    let cookies: Vec<_> = (0..6).map(|_| old.signed_in().cookie.take().unwrap()).collect();
    let is_in = |port: u16, cookie: &String| Browser::with_cookie(port, cookie).is_signed_in();

    site.run(&["database", "copy", "--to", &server.url()]);
    drop(old);
    let on =
        |more: &str| format!("SESSION_TYPE = \"redis\"\nSESSION_REDIS = \"{sessions}\"\n{more}");
    let from =
        "SESSION_MIGRATE_FROM = { SESSION_TYPE = \"sqlite\", SESSION_SQLITE_PATH = \"dewar.db\" }";
    let configure = |site: &Site, more: &str| {
        let text = format!("[default]\nport = 0\nDATABASE = \"{}\"\n{}\n", server.url(), on(more));
        std::fs::write(site.path().join("Rocket.toml"), text).unwrap();
    };
    configure(&site, from);
    let first = site.serve();
    assert!(is_in(first.port, &cookies[0]), "moved when it came");

    let place = ["--from-set", "SESSION_SQLITE_PATH=dewar.db", "--to", &sessions];
    site.run(&[&["sessions", "copy", "--from", "sqlite"], &place[..]].concat());
    drop(first);
    configure(&site, "");
    let other = node(&server.url(), &on(""));
    let nodes = [site.serve(), other.serve()];
    for cookie in &cookies {
        for node in &nodes {
            assert!(is_in(node.port, cookie));
        }
    }
    site.run_with_input(&["user", "passwd", USER, "--password-stdin"], PASSWORD);
    for cookie in &cookies {
        for node in &nodes {
            assert!(!is_in(node.port, cookie));
        }
    }
}
