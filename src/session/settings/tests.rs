use figment::providers::{Format, Serialized, Toml};

use super::*;
use crate::session::cookie::SameSite;

fn read(toml: &str) -> Result<Settings, SettingsError> {
    let toml = format!("[default]\n{toml}");
    Settings::from_figment(&Figment::from(Toml::string(&toml).nested()).select("default"))
}

fn problem(toml: &str) -> String {
    read(toml).expect_err(toml).to_string()
}

#[test]
fn without_settings_flasks_defaults_hold_but_for_the_documented_departures() {
    let settings = read("").unwrap();
    assert_eq!(settings.cookie.name, "session");
    assert_eq!(settings.cookie.path, "/");
    assert_eq!(settings.cookie.domain, None);
    assert!(settings.cookie.http_only);
    assert!(!settings.cookie.secure && !settings.cookie.partitioned);
    assert_eq!(settings.cookie.same_site, Some(SameSite::Lax));
    assert_eq!(settings.lifetime, Duration::from_secs(2_678_400));
    assert_eq!(settings.touch_interval, Duration::from_secs(600));
    assert!(settings.permanent && settings.refresh_each_request && settings.hash_ids);
    assert_eq!((settings.id_length, &*settings.key_prefix), (32, "session:"));
}

#[test]
fn the_cookie_path_falls_back_to_the_application_root() {
    let both = "APPLICATION_ROOT = '/app'\nSESSION_COOKIE_PATH = '/own'";
    assert_eq!(read(both).unwrap().cookie.path, "/own");
    assert_eq!(read("APPLICATION_ROOT = '/app'").unwrap().cookie.path, "/app");
}

#[test]
fn a_short_lifetime_is_touched_at_each_request() {
    let settings = read("PERMANENT_SESSION_LIFETIME = 2").unwrap();
    assert_eq!(settings.touch_interval, Duration::ZERO);
    let idle = read("SESSION_IDLE_LIFETIME = 30").unwrap();
    assert_eq!(idle.touch_interval, Duration::ZERO);
    let idle = read("SESSION_IDLE_LIFETIME = '30 minutes'").unwrap();
    assert_eq!(idle.touch_interval, Duration::from_secs(30));
}

#[test]
fn an_old_id_has_half_a_minute_of_grace_or_as_long_as_ids_live() {
    let grace = |toml: &str| read(toml).unwrap().rotate_grace.as_secs();
    assert_eq!(grace("SESSION_ROTATE_AFTER = '15 minutes'"), 30);
    assert_eq!(grace("SESSION_ROTATE_AFTER = 5"), 5);
    assert_eq!(grace("SESSION_ROTATE_AFTER = 600\nSESSION_ROTATE_GRACE = 300"), 300);
    let cookies =
        "SESSION_TYPE = 'cookie'\nSECRET_KEY = 'a key of the tests, long enough for it'\n";
    assert_eq!(read(&format!("{cookies}SESSION_ROTATE_AFTER = 5")).unwrap().rotate_after, None);
}

#[test]
fn contradictions_and_nonsense_are_refused_with_the_key() {
    for (toml, key) in [
        ("SESSION_COOKIE_SAMESITE = 'None'", "SESSION_COOKIE_SECURE"),
        ("SESSION_COOKIE_SAMESITE = 'Sometimes'", "SESSION_COOKIE_SAMESITE"),
        ("SESSION_COOKIE_NAME = '__Host-session'", "SESSION_COOKIE_SECURE"),
        ("SESSION_COOKIE_NAME = ''", "SESSION_COOKIE_NAME"),
        ("SESSION_COOKIE_NAME = 'a b'", "SESSION_COOKIE_NAME"),
        ("SESSION_COOKIE_PATH = 'app'", "SESSION_COOKIE_PATH"),
        ("SESSION_COOKIE_DOMAIN = 'a;b'", "SESSION_COOKIE_DOMAIN"),
        ("SESSION_COOKIE_SECURE = 'maybe'", "SESSION_COOKIE_SECURE"),
        ("PERMANENT_SESSION_LIFETIME = 0", "PERMANENT_SESSION_LIFETIME"),
        ("PERMANENT_SESSION_LIFETIME = -5", "PERMANENT_SESSION_LIFETIME"),
        ("PERMANENT_SESSION_LIFETIME = 'for ever'", "PERMANENT_SESSION_LIFETIME"),
        ("SESSION_ID_LENGTH = 8", "SESSION_ID_LENGTH"),
        ("SESSION_TOUCH_INTERVAL = '5000 days'", "SESSION_TOUCH_INTERVAL"),
        ("SESSION_TOUCH_INTERVAL = 60\nSESSION_IDLE_LIFETIME = 30", "than SESSION_IDLE_LIFETIME"),
        ("SESSION_IDLE_LIFETIME = 0", "SESSION_IDLE_LIFETIME must be one second"),
        ("SESSION_IDLE_LIFETIME = '32 days'", "than PERMANENT_SESSION_LIFETIME"),
        (
            "SESSION_IDLE_LIFETIME = 3601\nSESSION_ABSOLUTE_LIFETIME = 3600",
            "than SESSION_ABSOLUTE_LIFETIME",
        ),
        ("SESSION_ABSOLUTE_LIFETIME = 0.5", "SESSION_ABSOLUTE_LIFETIME must be one second"),
        ("SESSION_ABSOLUTE_LIFETIME = '4000 days'", "SESSION_ABSOLUTE_LIFETIME must be ten years"),
        ("SESSION_ROTATE_AFTER = 0", "SESSION_ROTATE_AFTER must be one second"),
        (
            "SESSION_ROTATE_AFTER = 3600\nSESSION_ABSOLUTE_LIFETIME = 3600",
            "shorter than SESSION_ABSOLUTE_LIFETIME",
        ),
        ("SESSION_ROTATE_GRACE = 0", "SESSION_ROTATE_GRACE must be one second"),
        ("SESSION_ROTATE_GRACE = 30\nSESSION_ROTATE_AFTER = 20", "than SESSION_ROTATE_AFTER"),
        ("SESSION_TYPE = 'punchcards'", "SESSION_TYPE"),
        ("SECRET_KEY = 12", "SECRET_KEY"),
        ("SESSION_TYPE = 'cookie'", "SECRET_KEY is missing"),
        ("SESSION_USE_SIGNER = true", "SECRET_KEY is missing"),
        ("SECRET_KEY_FALLBACKS = 'old'", "SECRET_KEY_FALLBACKS must be a list"),
        ("SECRET_KEY_FALLBACKS = ['']", "SECRET_KEY_FALLBACKS"),
        ("SESSION_COOKIE_OVERSIZE = 'ignore'", "SESSION_COOKIE_OVERSIZE"),
        ("SESSION_SERIALIZATION_FORMAT = 'pickle'", "SESSION_SERIALIZATION_FORMAT"),
        ("SESSION_FILE_THRESHOLD = -1", "SESSION_FILE_THRESHOLD"),
        ("SESSION_FILE_MODE = 600", "SESSION_FILE_MODE"),
        ("SESSION_FILE_MODE = '0800'", "SESSION_FILE_MODE"),
        ("SESSION_FILE_MODE = 0o400", "SESSION_FILE_MODE"),
        ("SESSION_FILE_MODE = true", "SESSION_FILE_MODE"),
        ("SESSION_FILE_HASH = 'sha1'", "SESSION_FILE_HASH"),
        ("SECRET_KEY = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'", "SECRET_KEY repeats itself"),
        ("SECRET_KEY = 'dev'", "SECRET_KEY is one that documents show"),
        ("SECRET_KEY = 'Kq3v9XwPz7Lm2Rt8Yc5Bn4Hd6Gf1Js0'", "SECRET_KEY is shorter than 32 bytes"),
        ("SECRET_KEY_FALLBACKS = ['dev']", "SECRET_KEY_FALLBACKS holds a key that is one that"),
    ] {
        let shown = problem(toml);
        assert!(shown.contains(key), "{toml}: {shown}");
    }
    let host = "SESSION_COOKIE_NAME = '__Host-s'\nSESSION_COOKIE_SECURE = true\n";
    assert!(read(host).is_ok());
    assert!(problem(&format!("{host}SESSION_COOKIE_DOMAIN = 'a.org'")).contains("__Host-"));
    assert!(problem(&format!("{host}SESSION_COOKIE_PATH = '/a'")).contains("__Host-"));
}

#[test]
fn files_are_kept_as_flask_session_keeps_them_but_none_is_thrown_out() {
    let files = |toml: &str| {
        let settings = read(&format!("SESSION_TYPE = 'filesystem'\n{toml}")).unwrap();
        assert_eq!(settings.format, crate::session::codec::Format::Pickle);
        match settings.store {
            StoreSettings::Filesystem(files) => files,
            other => panic!("{other:?}"),
        }
    };
    let default = FileSettings {
        dir: "flask_session".into(),
        threshold: 0,
        mode: 0o600,
        hash: FileHash::Sha256,
    };
    assert_eq!(files("SESSION_SERIALIZATION_FORMAT = 'json'"), default);
    for mode in ["432", "0o660", "'0660'", "'0o660'", "'660'"] {
        assert_eq!(files(&format!("SESSION_FILE_MODE = {mode}")).mode, 0o660, "{mode}");
    }
    let set = files("SESSION_FILE_HASH = 'md5'\nSESSION_FILE_THRESHOLD = 500");
    assert_eq!((set.hash, set.threshold), (FileHash::Md5, 500));
}

#[test]
fn numbers_of_any_type_will_do() {
    for (value, expected) in [(serde_json::json!(1), true), (serde_json::json!("off"), false)] {
        let figment = Figment::from(Serialized::default("SESSION_COOKIE_SECURE", value))
            .merge(Serialized::default("SESSION_ID_LENGTH", 64_u64))
            .merge(Serialized::default("PERMANENT_SESSION_LIFETIME", 60.5_f32));
        let settings = Settings::from_figment(&figment).unwrap();
        assert_eq!(settings.cookie.secure, expected);
        assert_eq!(settings.id_length, 64);
        assert_eq!(settings.lifetime, Duration::from_millis(60_500));
    }
}

#[test]
fn a_misspelt_name_is_refused_and_named() {
    let shown = problem("SESION_COOKIE_NAME = 'x'\nSESSION_COOKIE_SAMESIT = 'Lax'");
    assert!(shown.contains("did you mean SESSION_COOKIE_NAME?"), "{shown}");
    assert!(shown.contains("did you mean SESSION_COOKIE_SAMESITE?"), "{shown}");
    assert!(read("MY_OWN_SETTING = 1\nlowercase = 2").is_ok());
}

#[test]
fn a_problem_tells_the_file_and_the_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("Rocket.toml");
    std::fs::write(&file, "[default]\n\nSESSION_ID_LENGTH = 1\n").unwrap();
    let figment = Figment::from(Toml::file(&file).nested()).select("default");
    let shown = Settings::from_figment(&figment).unwrap_err().to_string();
    assert!(shown.contains("Rocket.toml:3: SESSION_ID_LENGTH"), "{shown}");
}

#[test]
fn a_secret_is_never_shown() {
    let figment =
        Figment::from(Serialized::default("SECRET_KEY", "sehr geheim, und lang genug dazu"));
    let settings = Settings::from_figment(&figment).unwrap();
    assert!(!format!("{settings:?}").contains("geheim"));
}
