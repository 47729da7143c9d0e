//! Clocks that jump, and zones: the real server under libfaketime, which shows it another time of
//! day and leaves the monotonic clock alone.

mod support;

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use support::{PASSWORD, Server, Site, USER, has};

const PLACES: [&str; 3] = [
    "",
    "SESSION_TYPE = 'filesystem'",
    "SESSION_TYPE = 'cookie'\nSECRET_KEY = 'a key of the tests, not of anybody else'",
];

/// Far in the past and the future, in seconds since 1970.
const Y1970: i64 = 100;
const Y2038: i64 = 2_147_558_400;
const Y2106: i64 = 4_294_944_000 + 86_400;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn library() -> Option<String> {
    let multiarch = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    let found = multiarch.map(|dir| dir.join("faketime/libfaketimeMT.so.1")).find(|it| it.exists());
    found.map(|path| path.display().to_string())
}

/// A server whose time of day can be changed.
struct Faked {
    server: Server,
    site: Site,
}

impl Faked {
    fn new(settings: &str) -> Option<Self> {
        let library = library();
        if !has(library.is_some(), "libfaketime", "a clock that jumps") {
            return None;
        }
        let site = Site::new(settings);
        set(site.path(), 0);
        let mut command = site.command(&["serve"]);
        command.envs([
            ("LD_PRELOAD", &*library?),
            ("FAKETIME_TIMESTAMP_FILE", site.path().join("now").to_str()?),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("NO_FAKE_STAT", "1"),
        ]);
        let server = Server::start(command);
        Some(Self { server, site })
    }

    /// Sets the clock so many seconds off.
    fn jump(&self, seconds: i64) {
        set(self.site.path(), seconds);
    }

    /// Sets the clock to a time since 1970.
    fn jump_to(&self, time: i64) {
        self.jump(time - now());
    }

    fn check(&self, words: &str) {
        let log = self.server.log();
        assert!(!log.contains("panicked"), "{words}: {log}");
        assert_eq!(self.server.browser().get("/healthz").status, 200, "{words}");
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

fn set(dir: &Path, seconds: i64) {
    let next = dir.join("next");
    std::fs::write(&next, format!("{seconds:+}\n")).unwrap();
    std::fs::rename(next, dir.join("now")).unwrap();
}

#[test]
fn visitors_can_sign_in_whatever_the_clock_does() {
    for place in PLACES {
        let Some(faked) = Faked::new(&format!("{place}\nSESSION_ABSOLUTE_LIFETIME = '30 days'"))
        else {
            return;
        };
        let mut seen_2106 = false;
        for time in [now() + HOUR, now() - DAY, Y1970, Y2038, Y2106] {
            for offset in [time - now(), 0] {
                faked.jump(offset);
                seen_2106 |= time == Y2106;
                faked.check(place);
                let visitor = faked.server.signed_in();
                // cachelib's files have 4 bytes for the second in which they expire, and after that
                // no session lives in them.
                let over = seen_2106 && place.contains("filesystem");
                assert_eq!(visitor.is_signed_in(), !over, "{place}: {time}, {offset} off");
            }
        }
    }
}

#[test]
fn a_clock_that_goes_back_prolongs_no_life() {
    for place in PLACES {
        let settings = format!(
            "{place}\nSESSION_ABSOLUTE_LIFETIME = 8\nSESSION_IDLE_LIFETIME = 4\nSESSION_PERMANENT = true"
        );
        let Some(faked) = Faked::new(&settings) else { return };
        let (used, unused) = (faked.server.signed_in(), faked.server.signed_in());
        let idle = unused.cookie.borrow().clone().unwrap();
        for (second, offset) in [-HOUR, -DAY, Y1970 - now(), -HOUR].into_iter().enumerate() {
            faked.jump(offset);
            sleep(Duration::from_millis(1_500));
            assert!(second > 2 || used.is_signed_in(), "{place}: after {second} visits");
        }
        sleep(Duration::from_millis(500));
        let copy = support::Browser::with_cookie(faked.server.port, &idle);
        assert!(!copy.is_signed_in(), "{place}: unused");
        for _ in 0..3 {
            sleep(Duration::from_millis(1_000));
            used.get("/brief_introduction");
        }
        assert!(!used.is_signed_in(), "{place}: used");
        faked.check(place);
        faked.server.wait_for_log("the system's clock has gone back");
    }
}

#[test]
fn a_clock_that_goes_ahead_and_back_ends_no_session_that_began_meanwhile() {
    for place in PLACES {
        let Some(faked) = Faked::new(place) else { return };
        let before = faked.server.signed_in();
        faked.jump(HOUR);
        let ahead = faked.server.signed_in();
        assert!(before.is_signed_in() && ahead.is_signed_in(), "{place}");
        faked.jump(0);
        let after = faked.server.signed_in();
        for visitor in [&before, &ahead, &after] {
            assert!(visitor.is_signed_in(), "{place}");
        }
        faked.jump(32 * DAY);
        assert!(!before.is_signed_in(), "{place}: its time is over");
        faked.jump_to(Y2038);
        assert!(!ahead.is_signed_in() && faked.server.signed_in().is_signed_in(), "{place}");
    }
}

#[test]
fn times_are_stored_alike_in_every_zone() {
    let lifetime = 31 * DAY + 600;
    let sqlalchemy = "SESSION_TYPE = 'sqlalchemy'\nSESSION_SQLALCHEMY = 'sqlite:///flask.db'";
    for (settings, file, query) in [
        ("", "dewar.db", "SELECT max(expires) / 1000 FROM sessions"),
        (
            sqlalchemy,
            "flask.db",
            "SELECT CAST(strftime('%s', max(expiry)) AS INTEGER) FROM sessions",
        ),
    ] {
        let site = Site::new(settings);
        for zone in [
            "UTC",
            "Europe/Berlin",
            "America/New_York",
            "America/St_Johns",
            "Asia/Kolkata",
            "Asia/Kathmandu",
            "Asia/Tokyo",
            "Australia/Lord_Howe",
            "Pacific/Apia",
            "Pacific/Marquesas",
            "XYZ+12",
            "XYZ-14",
        ] {
            let mut command: Command = site.command(&["serve"]);
            command.env("TZ", zone);
            let server = Server::start(command);
            let form = [("username", USER), ("password", PASSWORD), ("remember", "on")];
            let visitor = server.browser();
            let before = now();
            let answer = visitor.post("/login", &form);
            let cookie = answer.header("Set-Cookie").unwrap().to_owned();
            let database = rusqlite::Connection::open(site.path().join(file)).unwrap();
            let expiry: i64 = database.query_row(query, [], |row| row.get(0)).unwrap();
            let off = expiry - before - lifetime;
            assert!((-1..60).contains(&off), "{zone}: {off} s off");
            assert!(visitor.is_signed_in(), "{zone}");
            assert!(cookie.contains(" GMT"), "{zone}: {cookie}");
        }
    }
}
