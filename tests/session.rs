//! The session layer through requests, in one process.

mod layer;

use std::sync::Arc;
use std::time::Duration;

use layer::{App, cookie_of};
use rocket::http::Status;

#[rocket::async_test]
async fn a_page_without_the_session_costs_nothing_and_says_nothing() {
    let app = App::new("").await;
    let cookie = app.session_with("a", 1).await;
    let before = app.statistics();
    for request in [app.get("/plain", ""), app.get("/plain", &cookie), app.get("/nowhere", &cookie)]
    {
        let answer = request.await;
        assert_eq!(answer.set_cookie, None);
        assert_eq!(answer.vary, None);
    }
    assert_eq!(app.statistics(), before);
}

#[rocket::async_test]
async fn a_page_that_reads_costs_one_read_and_no_write_inside_the_window() {
    let app = App::new("").await;
    let cookie = app.session_with("a", 1).await;
    let before = app.statistics();
    for _ in 0..10 {
        assert_eq!(app.get("/get/a", &cookie).await.body, "1");
    }
    let after = app.statistics();
    assert_eq!(after.reads - before.reads, 10);
    assert_eq!(after.writes, before.writes);
}

#[rocket::async_test]
async fn a_refresh_is_written_once_a_window() {
    let app = App::new("SESSION_TOUCH_INTERVAL = 1").await;
    let cookie = app.session_with("a", 1).await;
    let before = app.statistics().writes;
    for _ in 0..5 {
        app.get("/get/a", &cookie).await;
    }
    assert_eq!(app.statistics().writes, before);
    app.sleep(1_100).await;
    for _ in 0..5 {
        app.get("/get/a", &cookie).await;
    }
    assert_eq!(app.statistics().writes, before + 1);
}

#[rocket::async_test]
async fn visits_keep_a_session_alive_and_silence_ends_it() {
    let app = App::new("PERMANENT_SESSION_LIFETIME = 2").await;
    let cookie = app.session_with("a", 1).await;
    for _ in 0..4 {
        app.sleep(1_000).await;
        assert_eq!(app.get("/get/a", &cookie).await.body, "1");
    }
    app.sleep(2_100).await;
    assert_eq!(app.get("/get/a", &cookie).await.body, "null");
}

#[rocket::async_test]
async fn without_refresh_a_session_ends_at_its_time() {
    let app =
        App::new("PERMANENT_SESSION_LIFETIME = 2\nSESSION_REFRESH_EACH_REQUEST = false").await;
    let cookie = app.session_with("a", 1).await;
    app.sleep(1_200).await;
    let answer = app.get("/get/a", &cookie).await;
    assert_eq!((&*answer.body, answer.set_cookie), ("1", None));
    app.sleep(1_000).await;
    assert_eq!(app.get("/get/a", &cookie).await.body, "null");
}

#[rocket::async_test]
async fn an_empty_session_is_neither_stored_nor_announced() {
    let app = App::new("").await;
    let before = app.statistics();
    let answer = app.get("/get/a", "").await;
    assert_eq!((answer.set_cookie, answer.vary.as_deref()), (None, Some("Cookie")));
    assert_eq!(app.statistics(), before);
    // Flask-Session's truth: permanence alone is no session.
    let answer = app.post("/permanent/true", "").await;
    assert!(answer.set_cookie.unwrap().starts_with("session=; Expires=Thu, 01 Jan 1970"));
    assert_eq!(app.statistics(), before);
}

#[rocket::async_test]
async fn a_permanent_session_has_an_expiry_and_a_browser_length_one_has_none() {
    let app = App::new("").await;
    let permanent = app.post("/set/a/1", "").await.set_cookie.unwrap();
    assert!(
        permanent.contains("; Expires=")
            && permanent.contains(" GMT; HttpOnly; Path=/; SameSite=Lax")
    );
    let cookie = cookie_of(&permanent);
    assert!(app.get("/get/a", &cookie).await.set_cookie.unwrap().contains("Expires="), "refreshed");
    let browser_length = app.post("/permanent/false", &cookie).await.set_cookie.unwrap();
    assert!(!browser_length.contains("Expires="));
    assert_eq!(app.get("/get/a", &cookie).await.set_cookie, None);
}

#[rocket::async_test]
async fn emptying_a_session_ends_it_and_removes_the_cookie_with_its_attributes() {
    let app = App::new("SESSION_COOKIE_SECURE = true\nSESSION_COOKIE_PATH = '/'").await;
    for end in ["/clear", "/remove/a"] {
        let cookie = app.session_with("a", 1).await;
        let removal = app.post(end, &cookie).await.set_cookie.unwrap();
        assert_eq!(
            removal,
            "session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Secure; HttpOnly; Path=/; SameSite=Lax"
        );
        assert_eq!(app.get("/get/a", &cookie).await.body, "null");
    }
}

#[rocket::async_test]
async fn an_unknown_forged_or_malformed_cookie_is_a_new_session_with_an_id_of_our_own() {
    let app = App::new("").await;
    let own = app.session_with("a", 1).await;
    let id = own.strip_prefix("session=").unwrap();
    let flipped = format!("session={}{}", &id[..42], if id.ends_with('A') { 'B' } else { 'A' });
    let chosen = format!("session={}", "A".repeat(43));
    for cookie in [
        &chosen,
        &flipped,
        "session=../../etc/passwd",
        "session=",
        "session=%41",
        "session=\"\"",
        &format!("session={id}x"),
        &format!("session={}", id.to_lowercase()),
        &format!("{own}; session=other"),
        &format!("session=other; {own}"),
        &format!("Session={id}"),
        &format!("%73ession={id}"),
    ] {
        assert_eq!(app.get("/get/a", cookie).await.body, "null", "{cookie}");
        let set = app.post("/set/b/2", cookie).await.set_cookie.unwrap();
        assert!(!cookie.contains(&cookie_of(&set)), "{cookie}");
    }
    assert_eq!(app.get("/get/a", &own).await.body, "1");
}

#[rocket::async_test]
async fn regenerating_moves_the_data_and_kills_the_old_id() {
    let app = App::new("").await;
    let old = app.session_with("a", 1).await;
    let new = cookie_of(&app.post("/regenerate", &old).await.set_cookie.unwrap());
    assert_ne!(old, new);
    assert_eq!(app.get("/get/a", &old).await.body, "null");
    assert_eq!(app.get("/get/a", &new).await.body, "1");
}

#[rocket::async_test]
async fn regenerating_nothing_does_nothing() {
    let app = App::new("").await;
    let before = app.statistics();
    let answer = app.post("/regenerate", "").await;
    assert_eq!((answer.status, answer.set_cookie), (Status::Ok, None));
    assert_eq!(app.statistics(), before);
}

#[rocket::async_test]
async fn two_requests_that_set_different_keys_both_win() {
    let app = App::new("").await;
    let cookie = app.session_with("a", 1).await;
    let slow = app.post("/slow/left/1", &cookie);
    let quick = async {
        app.sleep(100).await;
        app.post("/set/right/2", &cookie).await
    };
    rocket::tokio::join!(slow, quick);
    assert_eq!(app.get("/get/left", &cookie).await.body, "1");
    assert_eq!(app.get("/get/right", &cookie).await.body, "2");
}

#[rocket::async_test]
async fn a_slow_request_cannot_undo_a_logout() {
    let app = App::new("").await;
    for path in ["/slow/b/2", "/slow_regenerate/b/2"] {
        let cookie = app.session_with("a", 1).await;
        let before = app.sessions().await;
        let slow = app.post(path, &cookie);
        let logout = async {
            app.sleep(100).await;
            app.post("/clear", &cookie).await
        };
        let (slow, _) = rocket::tokio::join!(slow, logout);
        assert_eq!((slow.status, slow.set_cookie), (Status::Ok, None));
        assert_eq!(app.get("/get/a", &cookie).await.body, "null");
        assert_eq!(app.sessions().await, before - 1);
    }
}

#[rocket::async_test]
async fn a_slow_page_does_not_bring_back_the_id_that_was_replaced_meanwhile() {
    let app = App::new("").await;
    let cookie = app.session_with("a", 1).await;
    let slow = app.get("/slow_get/a", &cookie).await;
    assert_eq!(slow.set_cookie.map(|set| cookie_of(&set)).as_ref(), Some(&cookie), "as ever");
    let slow = app.get("/slow_get/a", &cookie);
    let replaced = async {
        app.sleep(100).await;
        app.post("/regenerate", &cookie).await
    };
    let (slow, replaced) = rocket::tokio::join!(slow, replaced);
    assert!(replaced.set_cookie.is_some());
    assert_eq!((&*slow.body, slow.set_cookie), ("1", None));
}

#[rocket::async_test(flavor = "multi_thread")]
async fn many_clients_on_one_session_lose_no_increment() {
    let app = Arc::new(App::new("").await);
    let cookie = app.session_with("n", 0).await;
    let clients: Vec<_> = (0..32)
        .map(|_| {
            let (app, cookie) = (Arc::clone(&app), cookie.clone());
            rocket::tokio::spawn(async move {
                for _ in 0..500 {
                    assert_eq!(app.post("/increment/n", &cookie).await.status, Status::Ok);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(app.get("/get/n", &cookie).await.body, "16000");
}

#[rocket::async_test]
async fn flash_messages_are_shown_once() {
    let app = App::new("").await;
    let first = app.post("/flash/message/Saved", "").await;
    let cookie = cookie_of(&first.set_cookie.unwrap());
    app.post("/flash/error/Lost", &cookie).await;
    assert_eq!(
        app.get("/flashes", &cookie).await.body,
        r#"[["message","Saved"],["error","Lost"]] again 2, errors 1"#
    );
    assert_eq!(app.get("/flashes", &cookie).await.body, "[] again 0, errors 0");
}

#[rocket::async_test]
async fn a_message_that_comes_while_two_pages_show_another_is_not_lost() {
    let app = App::new("").await;
    let cookie = app.session_with("a", 1).await;
    app.post("/flash/message/Saved", &cookie).await;
    let slow = app.get("/slow_flashes", &cookie);
    let meanwhile = async {
        app.sleep(100).await;
        let shown = app.get("/flashes", &cookie).await.body;
        app.post("/flash/message/Sent", &cookie).await;
        shown
    };
    let (slow, quick) = rocket::tokio::join!(slow, meanwhile);
    assert_eq!(slow.body, quick, "both show the first");
    let next = app.get("/flashes", &cookie).await.body;
    assert!(next.starts_with(r#"[["message","Sent"]]"#), "{next}");
}

#[rocket::async_test]
async fn vary_is_merged_with_what_is_there() {
    let app = App::new("").await;
    assert_eq!(app.get("/vary", "").await.vary.as_deref(), Some("Accept-Encoding, Cookie"));
}

#[rocket::async_test]
async fn a_handler_that_fails_saves_its_changes_with_the_error_page() {
    let app = App::new("").await;
    let cookie = app.session_with("a", 1).await;
    let answer = app.post("/set_and_fail/b/2", &cookie).await;
    assert_eq!(answer.status, Status::InternalServerError);
    assert_eq!(app.get("/get/b", &cookie).await.body, "2");
}

#[rocket::async_test]
async fn an_outage_is_503_and_nobody_is_signed_out() {
    let app = App::new("").await;
    let cookie = app.session_with("a", 1).await;
    app.store.break_down(true);
    for answer in [
        app.get("/get/a", &cookie).await,
        app.post("/set/b/2", &cookie).await,
        app.post("/clear", &cookie).await,
        app.post("/set/b/2", "").await,
    ] {
        assert_eq!(answer.status, Status::ServiceUnavailable);
        assert_eq!(answer.body, "the application's 503 page");
        assert_eq!((answer.set_cookie, answer.retry_after.as_deref()), (None, Some("2")));
    }
    assert_eq!(app.get("/plain", &cookie).await.status, Status::Ok);
    app.store.break_down(false);
    assert_eq!(app.get("/get/a", &cookie).await.body, "1");
}

#[rocket::async_test]
async fn a_store_that_fails_between_reading_and_saving_gives_503_without_a_cookie() {
    let app = App::new("SESSION_TOUCH_INTERVAL = 0").await;
    let cookie = app.session_with("a", 1).await;
    app.store.break_down_writes(true);
    let answer = app.post("/set/b/2", &cookie).await;
    assert_eq!((answer.status, answer.set_cookie), (Status::ServiceUnavailable, None));
    let saved = app.post("/save/b/2", &cookie).await;
    assert_eq!((&*saved.body, saved.set_cookie), ("not saved", None));
    let read = app.get("/get/a", &cookie).await;
    assert_eq!((read.status, &*read.body, read.set_cookie), (Status::Ok, "1", None));
    app.store.break_down_writes(false);
    assert_eq!(app.get("/get/b", &cookie).await.body, "null");
}

#[rocket::async_test]
async fn a_save_that_failed_can_be_tried_again() {
    let app = App::new("").await;
    let cookie = app.session_with("a", 1).await;
    app.store.break_down_writes(true);
    let again = app.post("/save_again/b/2", &cookie);
    let mended = async {
        app.sleep(100).await;
        app.store.break_down_writes(false);
    };
    let (answer, ()) = rocket::tokio::join!(again, mended);
    assert_eq!((&*answer.body, answer.set_cookie.is_some()), ("saved", true));
    assert_eq!(app.get("/get/b", &cookie).await.body, "2");
}

#[rocket::async_test]
async fn what_a_handler_does_not_wait_for_is_saved_with_its_answer() {
    let app = App::new("").await;
    let cookie = app.session_with("a", 1).await;
    app.store.move_away(Duration::from_millis(200));
    assert_eq!(app.post("/save_in_haste/b/2", &cookie).await.body, "not waited for");
    assert_eq!(app.get("/get/b", &cookie).await.body, "2");
}

#[rocket::async_test]
async fn whether_a_session_is_new_depends_on_the_cookie() {
    let app = App::new("").await;
    let cookie = app.session_with("a", 1).await;
    for (cookie, new) in [("", "true"), (&cookie, "false")] {
        let answer = app.get("/is_new", cookie).await;
        assert_eq!((&*answer.body, answer.vary.as_deref()), (new, Some("Cookie")));
    }
}

#[rocket::async_test]
async fn what_a_session_holds_is_not_shown_when_it_is_printed() {
    let app = App::new("").await;
    let cookie = app.session_with("a", 987_654_321).await;
    assert_eq!(app.get("/debug", &cookie).await.body, "Session { .. }");
}

#[rocket::async_test]
async fn an_unreadable_record_is_an_empty_session_and_left_alone() {
    let app = App::new("SESSION_HASH_IDS = false").await;
    let id = "A".repeat(43);
    app.put(&format!("session:{id}"), b"\xc1 no msgpack").await;
    let cookie = format!("session={id}");
    assert_eq!(app.get("/get/a", &cookie).await.body, "null");
    let set = app.post("/set/a/1", &cookie).await.set_cookie.unwrap();
    assert_ne!(cookie_of(&set), cookie);
    assert_eq!(app.record(&format!("session:{id}")).await.unwrap(), b"\xc1 no msgpack");
}

#[rocket::async_test]
async fn what_is_stored_signs_nobody_in() {
    let app = App::new("").await;
    let cookie = app.session_with("a", 1).await;
    let id = cookie.strip_prefix("session=").unwrap();
    let keys = app.keys().await;
    assert_eq!(keys.len(), 1);
    assert!(!keys[0].contains(id));
    let replayed = format!("session={}", keys[0].strip_prefix("session:").unwrap());
    assert_eq!(app.get("/get/a", &replayed).await.body, "null");
}

#[rocket::async_test]
async fn a_reload_changes_the_settings_and_keeps_the_sessions() {
    let app = App::new("").await;
    let cookie = app.session_with("a", 1).await;
    app.reload("SESSION_COOKIE_HTTPONLY = false\nSESSION_COOKIE_SAMESITE = ''").unwrap();
    let answer = app.get("/get/a", &cookie).await;
    assert_eq!(answer.body, "1");
    assert!(answer.set_cookie.unwrap().ends_with(" GMT; Path=/"));
    let refused = app.reload("PERMANENT_SESSION_LIFETIME = 0").unwrap_err().to_string();
    assert!(refused.contains("PERMANENT_SESSION_LIFETIME"));
    assert_eq!(app.get("/get/a", &cookie).await.body, "1");
}

#[rocket::async_test]
async fn a_route_with_sessions_needs_the_fairing() {
    let rocket = rocket::custom(rocket::Config::figment().merge(("log_level", "off")))
        .mount("/", layer::routes());
    let refused = rocket.ignite().await.map(|_| ()).unwrap_err();
    assert!(matches!(refused.kind(), rocket::error::ErrorKind::SentinelAborts(_)));
}

const COOKIE_TYPE: &str =
    "SESSION_TYPE = 'cookie'\nSECRET_KEY = 'a key of the tests, not of anybody else'";

#[rocket::async_test]
async fn a_session_can_live_in_its_signed_cookie() {
    let app = App::configured(COOKIE_TYPE).await;
    let answer = app.post("/set/a/1", "").await;
    let set = answer.set_cookie.unwrap();
    assert!(set.ends_with("; HttpOnly; Path=/; SameSite=Lax") && !set.contains("Expires"), "{set}");
    let cookie = cookie_of(&set);
    assert!(cookie.starts_with("session=eyJhIjoxfQ."), "{cookie}");
    let read = app.get("/get/a", &cookie).await;
    assert_eq!((&*read.body, read.set_cookie, read.vary.as_deref()), ("1", None, Some("Cookie")));
    let permanent = app.post("/permanent/true", &cookie).await.set_cookie.unwrap();
    assert!(permanent.contains("; Expires="));
    let refreshed = app.get("/get/a", &cookie_of(&permanent)).await.set_cookie.unwrap();
    assert!(refreshed.contains("; Expires="));
    for end in ["/clear", "/remove/a"] {
        let removed = app.post(end, &cookie).await.set_cookie.unwrap();
        assert!(removed.starts_with("session=; Expires=Thu, 01 Jan 1970"), "{removed}");
    }
}

#[rocket::async_test]
async fn a_cookie_of_another_key_or_none_is_an_empty_session() {
    let app = App::configured(COOKIE_TYPE).await;
    let other = App::configured(&COOKIE_TYPE.replace("a key", "another key")).await;
    let cookie = app.session_with("a", 1).await;
    let flipped = cookie.replace("eyJhIjoxfQ", "eyJhIjoyfQ");
    for bad in
        [&other.session_with("a", 1).await, &flipped, "session=", "session=..", "session=.a.b"]
    {
        let answer = app.get("/get/a", bad).await;
        assert_eq!((&*answer.body, answer.set_cookie), ("null", None), "{bad}");
    }
    assert_eq!(app.get("/get/a", &cookie).await.body, "1");
}

#[rocket::async_test]
async fn keys_rotate_by_a_reload_and_nobody_is_signed_out() {
    let app = App::configured(COOKIE_TYPE).await;
    let old = app.session_with("a", 1).await;
    let fallbacks = "SECRET_KEY_FALLBACKS = ['a key of the tests, not of anybody else']";
    let new = "SESSION_TYPE = 'cookie'\nSECRET_KEY = 'the next key of these tests, much better'";
    app.reload(&format!("{new}\n{fallbacks}")).unwrap();
    assert_eq!(app.get("/get/a", &old).await.body, "1");
    let resigned = cookie_of(&app.post("/set/b/2", &old).await.set_cookie.unwrap());
    app.reload(new).unwrap();
    assert_eq!(app.get("/get/a", &resigned).await.body, "1");
    assert_eq!(app.get("/get/a", &old).await.body, "null");
}

#[rocket::async_test]
async fn a_cookie_expires_by_its_signed_time() {
    let app = App::configured(&format!("{COOKIE_TYPE}\nPERMANENT_SESSION_LIFETIME = 1")).await;
    let cookie = app.session_with("a", 1).await;
    assert_eq!(app.get("/get/a", &cookie).await.body, "1");
    app.sleep(2_100).await;
    assert_eq!(app.get("/get/a", &cookie).await.body, "null");
}

#[rocket::async_test]
async fn a_session_too_large_for_its_cookie_is_sent_or_refused_as_set() {
    let flask = App::configured(COOKIE_TYPE).await;
    assert!(flask.post("/noise/9000", "").await.set_cookie.unwrap().len() > 9000);
    let strict =
        App::configured(&format!("{COOKIE_TYPE}\nSESSION_COOKIE_OVERSIZE = 'error'")).await;
    let refused = strict.post("/noise/9000", "").await;
    assert_eq!((refused.status, refused.set_cookie), (Status::InternalServerError, None));
    assert_eq!(strict.post("/noise/2000", "").await.status, Status::Ok);
}

#[rocket::async_test]
async fn an_eager_session_is_opened_and_refreshed_on_every_request() {
    let app = App::new("SESSION_EAGER = true").await;
    let cookie = app.session_with("a", 1).await;
    for path in ["/plain", "/nowhere"] {
        let answer = app.get(path, &cookie).await;
        assert!(answer.set_cookie.unwrap().starts_with(&cookie), "{path}");
        assert_eq!(answer.vary.as_deref(), Some("Cookie"), "{path}");
        let stranger = app.get(path, "").await;
        assert_eq!((stranger.set_cookie, stranger.vary), (None, None), "{path}");
    }
}

#[rocket::async_test]
async fn an_eager_session_that_cannot_be_read_stops_only_who_asks_for_it() {
    let app = App::new("SESSION_EAGER = true").await;
    let cookie = app.session_with("a", 1).await;
    app.store.break_down(true);
    let answer = app.get("/plain", &cookie).await;
    assert_eq!((answer.status, &*answer.body, answer.set_cookie), (Status::Ok, "plain", None));
    assert_eq!(app.get("/get/a", &cookie).await.status, Status::ServiceUnavailable);
    app.store.break_down(false);
    assert_eq!(app.get("/get/a", &cookie).await.body, "1");
}

#[rocket::async_test]
async fn a_change_inside_a_value_is_saved_along_with_a_refresh_and_not_alone() {
    let app = App::new("SESSION_PERMANENT = false").await;
    let cookie = app.session_with("a", 1).await;
    let answer = app.post("/mutate/a", &cookie).await;
    assert_eq!((answer.status, answer.set_cookie), (Status::Ok, None));
    assert_eq!(app.get("/get/a", &cookie).await.body, "2");

    app.reload("SESSION_REFRESH_EACH_REQUEST = false").unwrap();
    app.post("/mutate/a", &cookie).await;
    assert_eq!(app.get("/get/a", &cookie).await.body, "2");
    assert_eq!(app.post("/mutate/b", "").await.set_cookie, None);
    app.post("/mutate_save_and_mark/a", &cookie).await;
    assert_eq!(app.get("/get/a", &cookie).await.body, "3", "it was left until then");
}

#[rocket::async_test]
async fn a_session_marked_as_modified_sends_its_cookie_again() {
    let app = App::new("SESSION_PERMANENT = false\nSESSION_REFRESH_EACH_REQUEST = false").await;
    let cookie = app.session_with("a", 1).await;
    assert_eq!(app.get("/get/a", &cookie).await.set_cookie, None);
    let marked = app.post("/mark/true", &cookie).await.set_cookie.unwrap();
    assert_eq!(cookie_of(&marked), cookie);
    assert_eq!(app.post("/mark/false", &cookie).await.set_cookie, None);
}

#[rocket::async_test]
async fn requests_sweep_now_and_then_when_told_to() {
    let app = App::new("SESSION_CLEANUP_N_REQUESTS = 1").await;
    app.put_expired("session:old").await;
    for _ in 0..64 {
        app.get("/get/a", "").await;
    }
    app.sleep(200).await;
    assert_eq!(app.rows(), 0);
}

#[rocket::async_test]
async fn setting_what_was_there_wins_over_who_changed_it_meanwhile() {
    let app = App::new("").await;
    let cookie = app.session_with("a", 1).await;
    let (slow, fast) = rocket::tokio::join!(app.post("/slow/a/1", &cookie), async {
        app.sleep(100).await;
        app.post("/set/a/2", &cookie).await
    });
    assert_eq!((slow.status, fast.status), (Status::Ok, Status::Ok));
    assert_eq!(app.get("/get/a", &cookie).await.body, "1");
}

#[rocket::async_test]
async fn clearing_while_the_session_is_saved_is_not_lost() {
    let app = App::new("").await;
    let cookie = app.session_with("a", 1).await;
    app.post("/save_and_clear", &cookie).await;
    assert_eq!(app.get("/get/a", &cookie).await.body, "null");
}

#[rocket::async_test]
async fn an_id_that_is_taken_is_drawn_anew_and_its_session_left_alone() {
    let app = App::new("").await;
    let other = app.session_with("a", 1).await;
    app.store.repeat_ids(2);
    let cookie = app.session_with("a", 2).await;
    assert_ne!(cookie, other);
    assert_eq!(app.get("/get/a", &other).await.body, "1");
    assert_eq!(app.get("/get/a", &cookie).await.body, "2");

    // A generator that gives nothing new at all gives no session.
    app.store.repeat_ids(usize::MAX);
    let answer = app.post("/set/a/3", "").await;
    assert_eq!((answer.status.class().is_server_error(), answer.set_cookie), (true, None));
    assert_eq!(app.sessions().await, 2);
}
