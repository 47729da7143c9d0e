//! Wrong configurations: found by `dewar check` as by a start, and refused by a reload.

use crate::harness::row::Row;
use crate::support::{Site, wait_for};

/// Each with what its message has to name.
const WRONG: [(&str, &str); 20] = [
    ("SESSION_COOKIE_NAM = 'x'", "SESSION_COOKIE_NAME"),
    ("PERMANENT_SESSION_LIFETIME = 0", "PERMANENT_SESSION_LIFETIME"),
    ("PERMANENT_SESSION_LIFETIME = 'soon'", "PERMANENT_SESSION_LIFETIME"),
    ("SESSION_COOKIE_SAMESITE = 'None'", "SESSION_COOKIE_SAMESITE"),
    ("SESSION_COOKIE_SAMESITE = 'Maybe'", "SESSION_COOKIE_SAMESITE"),
    ("SESSION_COOKIE_NAME = '__Host-session'", "SESSION_COOKIE_SECURE"),
    ("SESSION_COOKIE_NAME = 'a b'", "SESSION_COOKIE_NAME"),
    ("SESSION_COOKIE_SECURE = 'perhaps'", "SESSION_COOKIE_SECURE"),
    ("SESSION_TYPE = 'punchcards'", "SESSION_TYPE"),
    ("SESSION_TYPE = 'cookie'", "SECRET_KEY"),
    ("SESSION_TYPE = 'redis'\nSESSION_REDIS = 'http://x'", "SESSION_REDIS"),
    ("SESSION_ID_LENGTH = 1", "SESSION_ID_LENGTH"),
    ("SESSION_STORE_TIMEOUT = 0", "SESSION_STORE_TIMEOUT"),
    ("SESSION_SERIALIZATION_FORMAT = 'xml'", "SESSION_SERIALIZATION_FORMAT"),
    ("SESSION_USE_SIGNER = true", "SECRET_KEY"),
    ("MAX_CONTENT_LENGTH = 0", "MAX_CONTENT_LENGTH"),
    ("TRUSTED_ORIGINS = ['example.org']", "TRUSTED_ORIGINS"),
    ("USE_X_SENDFILE = true", "USE_X_SENDFILE"),
    ("DATABASE = 'postgresql://h:port/d'", "DATABASE"),
    ("[[[", "TOML"),
];

#[test]
fn a_wrong_file_is_found_before_a_start_and_leaves_a_running_server_alone() {
    let mut row = Row::new(45, "configuration with an error: check, start, SIGHUP");
    let site = Site::new("GENDER_LABELS = { Unknown = \"not told\" }");
    let server = site.serve();
    let browser = server.signed_in();
    for (settings, named) in WRONG {
        match settings.starts_with("DATABASE") {
            // A key twice is no TOML.
            true => std::fs::write(
                site.path().join("Rocket.toml"),
                format!("[default]\nport = 0\n{settings}\n"),
            )
            .unwrap(),
            false => site.configure(settings),
        }
        let (checked, said) = site.fail(&["check"], b"");
        let (started, told) = site.fail(&["serve"], b"");
        assert_eq!((checked, started), (2, 2), "{settings}: {said}");
        assert!(said.contains(named) && told.contains(named), "{settings}: {said} {told}");
        assert_eq!(said, told, "{settings}");
        let refusals = || server.log().matches("the old ones stay in force").count();
        let before = refusals();
        server.signal("-HUP");
        wait_for("the refusal", || (refusals() > before).then_some(()));
        assert!(server.log().contains(named), "{settings}");
        assert!(browser.get("/detailed?id=1").body.contains("not told"), "{settings}");
        row.rounds += 1;
    }
    row.tell("20 of 20 found by check, status 2, in the words of the start; the old settings stay");
}
