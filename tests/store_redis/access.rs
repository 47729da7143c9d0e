//! Passwords, permissions and TLS.

use std::process::Stdio;

use dewar::session::StoreKey;
use dewar::session::store::Replacement;

use crate::servers::{self, redis};
use crate::support::has;
use crate::{LONG, conformance, is_here, key, open, server, url};

#[rocket::async_test]
async fn passwords_are_used_and_never_shown() {
    let Some(server) = server("passwords_are_used_and_never_shown") else { return };
    let at = format!("127.0.0.1:{}", server.port);
    redis::ask(server.port, &["ACL", "SETUSER", "app", "on", ">hunter2:@/", "~session:*", "+@all"]);
    redis::ask(
        server.port,
        &["ACL", "SETUSER", "reader", "on", ">hunter2", "~*", "+@read", "+ping"],
    );
    redis::ask(server.port, &["CONFIG", "SET", "requirepass", "hunter3"]);
    for (login, words) in
        [("", "wants a password"), (":hunter2@", "refuses"), ("nobody:hunter2@", "refuses")]
    {
        let store = open(&format!("redis://{login}{at}"));
        let failure = store.load(&key()).await.unwrap_err();
        let shown = format!("{failure} {failure:?} {store:?}");
        assert!(shown.contains(words), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    for login in ["app:hunter2%3A%40%2F@", ":hunter3@", "default:hunter3@"] {
        let store = open(&format!("redis://{login}{at}"));
        assert!(store.create(&key(), b"x", LONG).await.unwrap(), "{login}");
    }
    let reader = open(&format!("redis://reader:hunter2@{at}"));
    assert_eq!(reader.load(&key()).await.unwrap(), None);
    let shown = reader.create(&key(), b"x", LONG).await.unwrap_err().to_string();
    assert!(shown.contains("lacks a permission"), "{shown}");
    let beyond = open(&format!("redis://:hunter3@{at}/99"));
    let shown = beyond.ping().await.unwrap_err().to_string();
    assert!(shown.contains("no database of the number"), "{shown}");
}

#[rocket::async_test]
async fn the_documented_user_may_do_all_that_is_needed() {
    let Some(server) = server("the_documented_user_may_do_all_that_is_needed") else { return };
    let docs = include_str!("../../docs/stores.md");
    let line = docs.lines().find(|line| line.starts_with("ACL SETUSER")).unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(redis::ask(server.port, &words), "OK");
    let store = open(&format!("redis://dewar:password@127.0.0.1:{}/1", server.port));
    let (key, to) = (key(), key());
    let change = Replacement::Bytes { bytes: b"y".to_vec(), ttl: LONG };
    let moved =
        Replacement::Moved { key: to.clone(), bytes: b"z".to_vec(), ttl: LONG, forward: None };
    assert!(store.create(&key, b"x", LONG).await.unwrap());
    assert!(store.replace(&key, b"x", &change).await.unwrap());
    assert!(store.replace(&key, b"y", &moved).await.unwrap());
    assert!(store.touch(&to, LONG).await.unwrap());
    assert_eq!(store.scan("session:", None, 10).await.unwrap().unwrap().sessions.len(), 1);
    assert!(store.replace(&to, b"z", &Replacement::Removed).await.unwrap());
    store.delete(&to).await.unwrap();
    store.ping().await.unwrap();
    assert_eq!(redis::connections(server.port), 1, "it may give its name");
    assert!(store.create(&StoreKey::new("other:1"), b"x", LONG).await.is_err());
}

#[rocket::async_test]
async fn tls_wants_an_authority_that_this_machine_trusts() {
    let test = "access::tls_wants_an_authority_that_this_machine_trusts";
    if let Some((place, key)) = conformance::in_another_process() {
        let store = open(&place);
        store.create(&key, b"over TLS", LONG).await.unwrap();
        return conformance::all(|| async { open(&place) }).await;
    }
    let here = is_here(test) && has(servers::find("openssl").is_some(), "openssl", test);
    if !here {
        return;
    }
    let (server, authority) = redis::with_tls();
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("rediss://{host}:{}", server.port);
        let key = key();
        let mut trusting = conformance::another_process(test, &url, &key);
        assert!(trusting.env("SSL_CERT_FILE", &authority).status().unwrap().success());
    }
    // Without the authority it is no better than a stranger.
    let mut stranger =
        conformance::another_process(test, &format!("rediss://127.0.0.1:{}", server.port), &key());
    let output = stranger.env_remove("SSL_CERT_FILE").stderr(Stdio::piped()).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && shown.contains("SSL_CERT_FILE"), "{shown}");
    // And one that does not speak TLS gets nowhere.
    let shown = open(&url(&server)).load(&key()).await.unwrap_err().to_string();
    assert!(shown.contains("by rediss://"), "{shown}");
    let plain = redis::server();
    let store = open(&format!("rediss://127.0.0.1:{}", plain.port));
    let shown = store.load(&key()).await.unwrap_err().to_string();
    assert!(shown.contains("by redis://"), "{shown}");
}
