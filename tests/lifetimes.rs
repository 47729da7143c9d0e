//! The idle and the absolute lifetime, in a store, in files and in the cookie.

mod layer;

use layer::{App, cookie_of};
use rocket::futures::future::join_all;

/// One of each kind of place for sessions.
struct Places {
    apps: Vec<(&'static str, App)>,
    files: tempfile::TempDir,
}

impl Places {
    async fn new(settings: &str) -> Self {
        let mut places = Self { apps: Vec::new(), files: tempfile::tempdir().unwrap() };
        places.apps.push(("sqlite", App::new(settings).await));
        for place in ["filesystem", "cookie"] {
            places.apps.push((place, App::configured(&(places.kind(place) + settings)).await));
        }
        places
    }

    /// The settings that name a place.
    fn kind(&self, place: &str) -> String {
        match place {
            "filesystem" => {
                let dir = self.files.path();
                format!("SESSION_TYPE = 'filesystem'\nSESSION_FILE_DIR = {dir:?}\n")
            }
            "cookie" => "SESSION_TYPE = 'cookie'\n\
                         SECRET_KEY = 'a key of the tests, not of anybody else'\n"
                .into(),
            _ => String::new(),
        }
    }

    /// A visitor to each, in turn.
    async fn visitors(&self) -> Vec<Visitor<'_>> {
        let mut visitors = Vec::new();
        for (place, app) in &self.apps {
            visitors.push(Visitor { place, app, cookie: app.session_with("a", 1).await });
        }
        visitors
    }
}

/// A browser that ignores when a cookie is to be forgotten.
struct Visitor<'a> {
    place: &'static str,
    app: &'a App,
    cookie: String,
}

impl Visitor<'_> {
    /// What it is shown, and the cookie that comes along.
    async fn visit(&mut self) -> (String, Option<String>) {
        let answer = self.app.get("/get/a", &self.cookie).await;
        if let Some(set) = &answer.set_cookie {
            self.cookie = cookie_of(set);
        }
        (answer.body, answer.set_cookie)
    }

    async fn send(&mut self, path: &str) -> Option<String> {
        let answer = self.app.post(path, &self.cookie).await;
        if let Some(set) = &answer.set_cookie {
            self.cookie = cookie_of(set);
        }
        answer.set_cookie
    }

    async fn sees(&mut self, expected: &str) {
        let (place, seen) = (self.place, self.visit().await.0);
        assert_eq!(seen, expected, "{place}");
    }
}

async fn sleep(milliseconds: u64) {
    rocket::tokio::time::sleep(std::time::Duration::from_millis(milliseconds)).await;
}

#[rocket::async_test]
async fn use_keeps_a_session_alive_and_disuse_ends_it_permanent_or_not() {
    let kinds = [
        "",
        "SESSION_PERMANENT = false",
        "SESSION_REFRESH_EACH_REQUEST = false\nSESSION_PERMANENT = true",
        "SESSION_REFRESH_EACH_REQUEST = false\nSESSION_PERMANENT = false",
    ];
    join_all(kinds.map(async |rest| {
        let places = Places::new(&format!("SESSION_IDLE_LIFETIME = 3\n{rest}")).await;
        let mut visitors = places.visitors().await;
        for _ in 0..4 {
            sleep(1_200).await;
            for visitor in &mut visitors {
                visitor.sees("1").await;
            }
        }
        // Whole seconds round up.
        sleep(4_300).await;
        for visitor in &mut visitors {
            visitor.sees("null").await;
        }
    }))
    .await;
}

#[rocket::async_test]
async fn without_refresh_the_permanent_lifetime_ends_a_session_in_use() {
    let places = Places::new(
        "SESSION_IDLE_LIFETIME = 2\nPERMANENT_SESSION_LIFETIME = 4\nSESSION_PERMANENT = true\n\
         SESSION_REFRESH_EACH_REQUEST = false",
    )
    .await;
    let mut visitors = places.visitors().await;
    for passed in 1..5 {
        sleep(1_200).await;
        for visitor in &mut visitors {
            match passed {
                1 | 2 => visitor.sees("1").await,
                3 => drop(visitor.visit().await),
                _ => visitor.sees("null").await,
            }
        }
    }
}

#[rocket::async_test]
async fn a_session_in_use_ends_with_its_absolute_lifetime_and_so_does_its_cookie() {
    let kinds = ["", "SESSION_IDLE_LIFETIME = 2", "SESSION_REFRESH_EACH_REQUEST = false"];
    join_all(kinds.map(async |rest| {
        let settings = format!("SESSION_ABSOLUTE_LIFETIME = 4\nSESSION_PERMANENT = true\n{rest}");
        let places = Places::new(&settings).await;
        let mut visitors = places.visitors().await;
        for passed in 1..5 {
            sleep(1_200).await;
            for visitor in &mut visitors {
                match passed {
                    1 | 2 => visitor.sees("1").await,
                    3 => drop(visitor.visit().await),
                    _ => visitor.sees("null").await,
                }
            }
        }
    }))
    .await;
}

#[rocket::async_test]
async fn a_new_id_keeps_the_age_and_clearing_begins_a_new_session() {
    let places = Places::new("SESSION_ABSOLUTE_LIFETIME = 4").await;
    let (mut kept, mut cleared) = (places.visitors().await, places.visitors().await);
    sleep(2_200).await;
    for visitor in &mut kept {
        visitor.send("/regenerate").await;
        visitor.sees("1").await;
    }
    for visitor in &mut cleared {
        visitor.send("/clear_and_set/a/2").await;
    }
    sleep(2_000).await;
    for visitor in &mut kept {
        visitor.sees("null").await;
    }
    for visitor in &mut cleared {
        visitor.sees("2").await;
    }
}

#[rocket::async_test]
async fn a_session_from_before_the_limit_begins_when_it_is_seen() {
    let places = Places::new("").await;
    let mut visitors = places.visitors().await;
    sleep(1_200).await;
    for visitor in &mut visitors {
        let kind = places.kind(visitor.place);
        visitor.app.reload(&(kind + "SESSION_ABSOLUTE_LIFETIME = 4")).unwrap();
    }
    for passed in 0..5 {
        for visitor in &mut visitors {
            match passed {
                0 | 1 => visitor.sees("1").await,
                // A cookie tells when it was signed, and begins there.
                2 | 3 => drop(visitor.visit().await),
                _ => visitor.sees("null").await,
            }
        }
        sleep(1_200).await;
    }
}

#[rocket::async_test]
async fn a_page_that_reads_costs_no_write_until_a_touch_is_due() {
    for settings in [
        "SESSION_IDLE_LIFETIME = 600\nSESSION_ABSOLUTE_LIFETIME = 3600",
        "SESSION_IDLE_LIFETIME = 600\nSESSION_REFRESH_EACH_REQUEST = false",
    ] {
        let app = App::new(settings).await;
        let cookie = app.session_with("a", 1).await;
        let before = app.statistics();
        for _ in 0..10 {
            assert_eq!(app.get("/get/a", &cookie).await.body, "1");
        }
        let after = app.statistics();
        assert_eq!((after.reads - before.reads, after.writes - before.writes), (10, 0));

        // A session from before the setting costs one write.
        app.reload("").unwrap();
        let cookie = app.session_with("a", 1).await;
        app.reload(settings).unwrap();
        let before = app.statistics().writes;
        for _ in 0..10 {
            app.get("/get/a", &cookie).await;
        }
        assert_eq!(app.statistics().writes, before + 1);
    }
}

#[rocket::async_test]
async fn the_layers_stamps_alone_are_no_session() {
    let places = Places::new("SESSION_IDLE_LIFETIME = 60\nSESSION_ABSOLUTE_LIFETIME = 60").await;
    for mut visitor in places.visitors().await {
        let removed = visitor.send("/remove/a").await.unwrap();
        assert!(removed.starts_with("session=; Expires=Thu, 01 Jan 1970"), "{removed}");
        let answer = visitor.app.get("/get/a", "").await;
        assert_eq!(answer.set_cookie, None, "{}", visitor.place);
    }
}
