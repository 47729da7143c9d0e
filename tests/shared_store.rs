//! What a store needs to be shared with Flask-Session: record formats and signed ids.

#![cfg(feature = "sqlite")]

mod layer;

use std::time::Duration;

use dewar::session::StoreKey;
use dewar::session::signing::{ID_SALT, Signer};
use dewar::session::store::{Replacement, Store};
use layer::{App, cookie_of};
use rocket::http::Status;

const PLAIN: &str = "SESSION_HASH_IDS = false";

fn id_of(cookie: &str) -> &str {
    cookie.strip_prefix("session=").unwrap()
}

#[rocket::async_test]
async fn records_are_in_the_format_that_is_set_and_read_in_any() {
    let json = format!("{PLAIN}\nSESSION_SERIALIZATION_FORMAT = 'json'");
    let app = App::new(&json).await;
    let cookie = app.session_with("a", 1).await;
    let key = format!("session:{}", id_of(&cookie));
    assert_eq!(app.record(&key).await.unwrap(), br#"{"_permanent":true,"a":1}"#);

    app.reload(PLAIN).unwrap();
    assert_eq!(app.get("/get/a", &cookie).await.body, "1");
    app.post("/increment/a", &cookie).await;
    assert_eq!(app.record(&key).await.unwrap(), b"\x82\xaa_permanent\xc3\xa1a\x02");

    app.reload(&json).unwrap();
    app.post("/increment/a", &cookie).await;
    assert_eq!(app.record(&key).await.unwrap(), br#"{"_permanent":true,"a":3}"#);
}

#[rocket::async_test]
async fn a_pickle_from_before_is_read_and_never_run() {
    let app = App::new(PLAIN).await;
    for (id, pickle, read) in [
        ("old", &b"\x80\x04}\x8c\x01aK\x07s."[..], "7"),
        ("evil", b"\x80\x04}\x8c\x01acposix\nsystem\n\x8c\x04true\x85Rs.", "null"),
    ] {
        app.put(&format!("session:{id}"), pickle).await;
        assert_eq!(app.get("/get/a", &format!("session={id}")).await.body, read);
    }
    app.post("/increment/a", "session=old").await;
    assert_eq!(app.record("session:old").await.unwrap(), b"\x81\xa1a\x08");
}

#[rocket::async_test]
async fn a_record_that_becomes_unreadable_meanwhile_is_left_alone() {
    let app = App::new(PLAIN).await;
    let cookie = app.session_with("a", 1).await;
    let key = StoreKey::new(format!("session:{}", id_of(&cookie)));
    let before = app.record(key.as_str()).await.unwrap();
    let (answer, ()) = rocket::tokio::join!(app.post("/slow/b/2", &cookie), async {
        app.sleep(100).await;
        let bytes = b"\x80\x04\x8f.".to_vec();
        let set = Replacement::Bytes { bytes, ttl: Duration::from_secs(60) };
        assert!(app.store.replace(&key, &before, &set).await.unwrap());
    });
    assert_eq!((answer.status, answer.set_cookie), (Status::Ok, None));
    assert_eq!(app.record(key.as_str()).await.unwrap(), b"\x80\x04\x8f.");
}

#[rocket::async_test]
async fn a_signed_id_is_taken_and_no_other() {
    let key = "SECRET_KEY = 'the key that signs ids, and only ids'\nSESSION_USE_SIGNER = true";
    let app = App::new(&format!("{PLAIN}\n{key}")).await;
    let cookie = app.session_with("a", 1).await;
    let (id, _) = id_of(&cookie).rsplit_once('.').unwrap();
    let signer = Signer::new(b"the key that signs ids, and only ids", &[], ID_SALT);
    assert_eq!(id_of(&cookie), signer.sign(id));
    assert!(app.record(&format!("session:{id}")).await.is_some(), "stored under the bare id");
    assert_eq!(app.get("/get/a", &cookie).await.body, "1");
    let other = Signer::new(b"another key", &[], ID_SALT).sign(id);
    for unsigned in [id, &format!("{id}."), &other, &signer.sign(&cookie)] {
        assert_eq!(app.get("/get/a", &format!("session={unsigned}")).await.body, "null");
    }

    let rotated = "SECRET_KEY = 'the next key that signs ids, and only ids'\nSECRET_KEY_FALLBACKS = ['the key that signs ids, and only ids']\n\
                   SESSION_USE_SIGNER = true";
    app.reload(&format!("{PLAIN}\n{rotated}")).unwrap();
    assert_eq!(app.get("/get/a", &cookie).await.body, "1");
    let renewed = app.post("/set/b/2", &cookie).await.set_cookie.unwrap();
    assert_eq!(
        id_of(&cookie_of(&renewed)),
        Signer::new(b"the next key that signs ids, and only ids", &[], ID_SALT).sign(id)
    );
}
