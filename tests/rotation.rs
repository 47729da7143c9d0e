//! Ids that are replaced for their age.

mod layer;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dewar::session::Settings;
use dewar::session::copy::{Copied, Copier};
use layer::{Answer, App, cookie_of, key_of};
use rocket::figment::Figment;
use rocket::figment::providers::{Format, Toml};
use rocket::futures::future::join_all;
use rocket::http::Status;

const SETTINGS: &str = "SESSION_ROTATE_AFTER = 3600\nSESSION_ROTATE_GRACE = 30";
const SHORT_GRACE: &str = "SESSION_ROTATE_AFTER = 3600\nSESSION_ROTATE_GRACE = 2";

/// An application on each of two stores.
struct Places {
    apps: Vec<App>,
    _files: tempfile::TempDir,
}

impl Places {
    async fn new(settings: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let dir = format!("SESSION_TYPE = 'filesystem'\nSESSION_FILE_DIR = {:?}\n", files.path());
        let apps = vec![App::new(settings).await, App::at(&dir, settings).await];
        Self { apps, _files: files }
    }
}

/// A session whose id is due to be replaced.
async fn due(app: &App) -> String {
    let cookie = app.session_with("a", 1).await;
    app.age(&cookie, 4000).await;
    cookie
}

/// The ids of a session that has just got another: the old and the new one.
async fn rotated(app: &App) -> (String, String) {
    let old = due(app).await;
    let answer = app.get("/get/a", &old).await;
    assert_eq!(answer.body, "1");
    (old, cookie(&answer).unwrap())
}

fn cookie(answer: &Answer) -> Option<String> {
    answer.set_cookie.as_deref().map(cookie_of)
}

async fn seen(app: &App, cookie: &str) -> String {
    app.get("/get/a", cookie).await.body
}

#[rocket::async_test]
async fn an_old_id_is_replaced_and_works_for_the_grace_alone() {
    for app in Places::new(SHORT_GRACE).await.apps {
        let (old, new) = rotated(&app).await;
        assert_ne!(old, new);
        for cookie in [&old, &new] {
            assert_eq!(seen(&app, cookie).await, "1");
        }
        app.sleep(4_200).await;
        assert_eq!(seen(&app, &old).await, "null");
        assert_eq!(seen(&app, &new).await, "1");
        assert_eq!(app.get("/get/a", &new).await.set_cookie.map(|set| cookie_of(&set)), Some(new));
    }
}

#[rocket::async_test]
async fn a_young_id_stays_and_a_page_that_reads_costs_no_write() {
    for rest in ["", "\nSESSION_REFRESH_EACH_REQUEST = false", "\nSESSION_PERMANENT = false"] {
        let app = App::new(&format!("{SETTINGS}{rest}")).await;
        let old = app.session_with("a", 1).await;
        let before = app.statistics();
        for _ in 0..5 {
            let answer = app.get("/get/a", &old).await;
            assert!(cookie(&answer).is_none_or(|cookie| cookie == old));
        }
        let after = app.statistics();
        assert_eq!((after.reads - before.reads, after.writes - before.writes), (5, 0));
        app.age(&old, 4000).await;
        let before = app.statistics().writes;
        assert_ne!(cookie(&app.get("/get/a", &old).await).unwrap(), old);
        assert_eq!(app.statistics().writes, before + 1);
    }
}

#[rocket::async_test]
async fn requests_that_are_due_together_rotate_once() {
    for app in Places::new(SETTINGS).await.apps {
        for path in ["/get/a", "/increment/n"] {
            let old = due(&app).await;
            let answers = join_all((0..8).map(|_| async {
                match path {
                    "/get/a" => app.get(path, &old).await,
                    _ => app.post(path, &old).await,
                }
            }))
            .await;
            assert!(answers.iter().all(|answer| answer.status == Status::Ok));
            let new: Vec<_> = answers.iter().filter_map(cookie).collect();
            assert_eq!(new.len(), 1, "{path}");
            assert_ne!(new[0], old);
            if path != "/get/a" {
                assert_eq!(app.get("/get/n", &new[0]).await.body, "8");
            }
        }
    }
}

#[rocket::async_test]
async fn both_ids_read_and_write_one_session() {
    for app in Places::new(SETTINGS).await.apps {
        let (old, new) = rotated(&app).await;
        for cookie in [&old, &new, &old, &new] {
            assert_eq!(app.post("/increment/n", cookie).await.status, Status::Ok);
        }
        assert_eq!(app.get("/get/n", &old).await.body, "4");
        assert_eq!(app.get("/get/n", &new).await.body, "4");
        assert_eq!(app.post("/set/b/2", &old).await.set_cookie, None, "it would be the old id");
    }
}

#[rocket::async_test]
async fn a_request_under_way_while_the_id_changes_loses_nothing() {
    for app in Places::new(SETTINGS).await.apps {
        let old = app.session_with("a", 1).await;
        let slow = app.post("/slow/left/1", &old);
        let meanwhile = async {
            app.sleep(100).await;
            app.age(&old, 4000).await;
            cookie(&app.post("/set/right/2", &old).await).unwrap()
        };
        let (slow, new) = rocket::tokio::join!(slow, meanwhile);
        assert_eq!((slow.status, slow.set_cookie), (Status::Ok, None));
        for cookie in [&old, &new] {
            assert_eq!(app.get("/get/left", cookie).await.body, "1");
            assert_eq!(app.get("/get/right", cookie).await.body, "2");
        }
    }
}

#[rocket::async_test]
async fn signing_out_by_either_id_ends_both_at_once() {
    for app in Places::new(SETTINGS).await.apps {
        for by_old in [true, false] {
            let (old, new) = rotated(&app).await;
            let removed = app.post("/clear", if by_old { &old } else { &new }).await.set_cookie;
            assert!(removed.unwrap().starts_with("session=; Expires=Thu, 01 Jan 1970"));
            for cookie in [&old, &new] {
                assert_eq!(seen(&app, cookie).await, "null", "{by_old}");
            }
        }
    }
}

#[rocket::async_test]
async fn signing_out_wins_against_requests_under_way_with_either_id() {
    for app in Places::new(SETTINGS).await.apps {
        for path in ["/slow/b/2", "/slow_regenerate/b/2"] {
            for by_old in [true, false] {
                let (old, new) = rotated(&app).await;
                let out = async {
                    app.sleep(100).await;
                    app.post("/clear", if by_old { &old } else { &new }).await
                };
                let (one, other, _) =
                    rocket::tokio::join!(app.post(path, &old), app.post(path, &new), out);
                for answer in [one, other] {
                    assert_eq!((answer.status, answer.set_cookie), (Status::Ok, None));
                }
                for cookie in [&old, &new] {
                    assert_eq!(seen(&app, cookie).await, "null", "{path}");
                }
            }
        }
    }
}

/// The request that signs out has read the session before its id changed.
#[rocket::async_test]
async fn signing_out_while_the_id_changes_ends_the_session_under_its_new_id() {
    for app in Places::new(SETTINGS).await.apps {
        let old = app.session_with("a", 1).await;
        let out = app.post("/slow_clear", &old);
        let meanwhile = async {
            app.sleep(100).await;
            app.age(&old, 4000).await;
            cookie(&app.get("/get/a", &old).await).unwrap()
        };
        let (_, new) = rocket::tokio::join!(out, meanwhile);
        assert_ne!(old, new);
        for cookie in [&old, &new] {
            assert_eq!(seen(&app, cookie).await, "null");
        }
    }
}

#[rocket::async_test]
async fn regenerating_ends_every_former_id_at_once() {
    for app in Places::new(SETTINGS).await.apps {
        for by_old in [true, false] {
            let (old, new) = rotated(&app).await;
            let answer = app.post("/regenerate", if by_old { &old } else { &new }).await;
            let fresh = cookie(&answer).unwrap();
            for cookie in [&old, &new] {
                assert_eq!(seen(&app, cookie).await, "null", "{by_old}");
            }
            assert_eq!(seen(&app, &fresh).await, "1");
        }
    }
}

#[rocket::async_test]
async fn a_browser_that_missed_the_answer_gets_another_id_of_the_same_session() {
    for app in Places::new(SETTINGS).await.apps {
        let (old, missed) = rotated(&app).await;
        assert_eq!(app.get("/get/a", &old).await.set_cookie, None, "the answer may be on its way");
        app.age(&missed, 12).await;
        let again = cookie(&app.post("/increment/n", &old).await).unwrap();
        assert!(again != old && again != missed);
        for cookie in [&old, &missed, &again] {
            app.post("/increment/n", cookie).await;
        }
        for cookie in [&old, &missed, &again] {
            assert_eq!(app.get("/get/n", cookie).await.body, "4");
        }
        app.post("/clear", &missed).await;
        for cookie in [&old, &missed, &again] {
            assert_eq!(seen(&app, cookie).await, "null");
        }
    }
}

#[rocket::async_test]
async fn a_rotation_that_cannot_be_written_is_put_off() {
    let app = App::new(SETTINGS).await;
    let old = due(&app).await;
    app.store.break_down_writes(true);
    let answer = app.get("/get/a", &old).await;
    assert_eq!((answer.status, &*answer.body, answer.set_cookie), (Status::Ok, "1", None));
    app.store.break_down_writes(false);
    assert_ne!(cookie(&app.get("/get/a", &old).await).unwrap(), old);
}

#[rocket::async_test]
async fn a_rotation_keeps_the_age_of_the_session_and_the_end_of_its_lifetime() {
    for rest in ["SESSION_ABSOLUTE_LIFETIME = 5000", "SESSION_REFRESH_EACH_REQUEST = false"] {
        for app in Places::new(&format!("{SETTINGS}\n{rest}")).await.apps {
            let old = due(&app).await;
            let before = app.values(&old).await.unwrap();
            app.sleep(1_100).await;
            let new = cookie(&app.get("/get/a", &old).await).unwrap();
            let after = app.values(&new).await.unwrap();
            for stamp in ["_created", "_saved"] {
                assert_eq!(after.get(stamp), before.get(stamp));
            }
            assert_ne!(after.get("_rotated"), before.get("_rotated"));
        }
    }
}

#[rocket::async_test]
async fn a_session_from_before_the_setting_gets_its_first_new_id_after_that_time() {
    for app in Places::new("").await.apps {
        let cookie_before = app.session_with("a", 1).await;
        app.set(SETTINGS);
        assert_eq!(cookie(&app.get("/get/a", &cookie_before).await).unwrap(), cookie_before);
        app.age(&cookie_before, 4000).await;
        let (old, new) = (cookie_before.clone(), app.get("/get/a", &cookie_before).await);
        assert_ne!(cookie(&new).unwrap(), old);
        // Turned off again, the grace goes on.
        app.set("");
        assert_eq!(seen(&app, &old).await, "1");
    }
}

#[rocket::async_test]
async fn a_session_in_its_cookie_has_no_id_to_replace() {
    let cookies =
        "SESSION_TYPE = 'cookie'\nSECRET_KEY = 'a key of the tests, not of anybody else'\n";
    let app = App::configured(&format!("{cookies}{SETTINGS}")).await;
    let cookie = app.session_with("a", 1).await;
    assert!(cookie.starts_with("session=eyJhIjoxfQ."), "{cookie}");
    assert_eq!(app.get("/get/a", &cookie).await.set_cookie, None);
}

#[rocket::async_test(flavor = "multi_thread")]
async fn a_browser_with_many_requests_under_way_loses_nothing_while_ids_change() {
    let settings = "SESSION_ROTATE_AFTER = 4\nSESSION_ROTATE_GRACE = 4";
    for app in Places::new(settings).await.apps.into_iter().map(Arc::new) {
        let first = app.session_with("n", 0).await;
        let jar = Arc::new(Mutex::new((first, 0)));
        let until = Instant::now() + Duration::from_secs(14);
        let requests: Vec<_> = (0..6)
            .map(|_| {
                let (app, jar) = (Arc::clone(&app), Arc::clone(&jar));
                rocket::tokio::spawn(async move {
                    let mut count = 0;
                    while Instant::now() < until {
                        let sent = jar.lock().unwrap().0.clone();
                        let answer = app.post("/increment/n", &sent).await;
                        assert_eq!(answer.status, Status::Ok);
                        count += 1;
                        let mut jar = jar.lock().unwrap();
                        if let Some(set) = cookie(&answer).filter(|set| *set != jar.0) {
                            *jar = (set, jar.1 + 1);
                        }
                    }
                    count
                })
            })
            .collect();
        let counts = join_all(requests).await.into_iter().map(Result::unwrap);
        let (last, changes) = jar.lock().unwrap().clone();
        assert_eq!(app.get("/get/n", &last).await.body, counts.sum::<u64>().to_string());
        assert!(changes >= 3, "{changes}");
    }
}

#[rocket::async_test]
async fn copies_and_moves_take_the_session_and_not_its_forwards() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| {
        let path = dir.path().join(name);
        format!("SESSION_SQLITE_PATH = {path:?}\n")
    };
    let from = App::configured(&format!("{}{SETTINGS}", place("from.db"))).await;
    let (old, new) = rotated(&from).await;

    let settings = |toml: &str| {
        let toml = Toml::string(&format!("[default]\n{toml}")).nested();
        Settings::from_figment(&Figment::from(toml).select("default")).unwrap()
    };
    let to = place("copy.db");
    let copier = Copier::open(settings(&place("from.db")), settings(&to), false).unwrap();
    let page = copier.list(None, 10).await.unwrap().unwrap();
    let listed: Vec<_> = page.sessions.iter().map(|listed| listed.key.clone()).collect();
    assert_eq!(listed, [key_of(&new)]);
    // A session whose id changes between the listing and the copy is followed.
    let mut late = page.sessions[0].clone();
    late.key = key_of(&old);
    assert_eq!(copier.copy(&late).await.unwrap(), Copied::Made);
    let copy = App::configured(&format!("{to}{SETTINGS}")).await;
    assert_eq!(seen(&copy, &new).await, "1");

    let migrate = "SESSION_MIGRATE_FROM = { SESSION_SQLITE_PATH = ";
    let migrate = format!("{migrate}{:?} }}\n", dir.path().join("from.db"));
    let moved = App::configured(&format!("{}{migrate}{SETTINGS}", place("moved.db"))).await;
    let answer = moved.get("/get/a", &old).await;
    assert_eq!(answer.body, "1");
    let fresh = cookie(&answer).unwrap();
    for cookie in [&fresh, &new] {
        assert_eq!(seen(&moved, cookie).await, "1");
    }
    moved.post("/clear", &new).await;
    for cookie in [&fresh, &new, &old] {
        assert_eq!(seen(&moved, cookie).await, "null");
    }
}
