//! The operator's mistakes: refused with the setting's name, or told of at the start.

use std::os::unix::fs::PermissionsExt;

use super::support::{PASSWORD, Server, Site, output_of};
use super::wire::{FORM, Wire};

#[test]
fn a_misspelt_setting_stops_the_start_and_is_named() {
    let site = Site::empty("");
    for misspelt in [
        "SESION_COOKIE_NAME",
        "SESSION_COKIE_NAME",
        "SESSION_COOKIE_NAMES",
        "SESSIONCOOKIENAME",
        "SESSION_COOKIE_SECUR",
        "SESSION_COOKIE_SECURED",
        "SESSION_SECURE_COOKIE",
        "SESSION_COOKIE_HTTP_ONLY",
        "SESSION_COOKIE_SAME_SITE",
        "SESSION_COOKIE_SAMESTIE",
        "SESSION_COOKIE_PAHT",
        "SESSION_COOKIE_DOMIAN",
        "SESSION_PERMANANT",
        "PERMANENT_SESSION_LIFTIME",
        "PERMANENT_SESSION_LIFETIMES",
        "SESSION_LIFETIME",
        "SESSION_REFRESH_EACH_REQEST",
        "SECRETKEY",
        "SECRET_KEY_FALLBACK",
        "SESSION_TIPE",
        "SESSION_KEY_PREFX",
        "SESSION_HASH_ID",
        "SESSION_ID_LENGHT",
        "session_cookie_secure",
        "Session_Cookie_Secure",
        "session_type",
        "secret_key",
        "adress",
        "prot",
        "TRUSTED_HOST",
        "NO_SUCH_SETTING",
    ] {
        site.configure(&format!("{misspelt} = \"x\""));
        for command in ["serve", "check"] {
            let (status, error) = site.fail(&[command], b"");
            assert_eq!(status, 2, "{misspelt}: {error}");
            assert!(error.contains(misspelt) && error.contains("Rocket.toml:4"), "{error}");
        }
        site.configure("");
        let upper = misspelt.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        let mut variable = site.command(&["serve"]);
        match upper {
            true => variable.env(format!("FLASK_{misspelt}"), "x"),
            false => variable.env(format!("ROCKET_{}", misspelt.to_uppercase()), "x"),
        };
        let output = output_of(variable, b"");
        assert_eq!(output.status.code(), Some(2), "{misspelt} in the environment: {output:?}");
    }
    for section in ["[defalt]", "[defaults]", "[session]", "[default.session]", "[relese]"] {
        let text = format!("[default]\nport = 0\n{section}\nSESSION_COOKIE_SECURE = true\n");
        std::fs::write(site.path().join("Rocket.toml"), text).unwrap();
        let (status, error) = site.fail(&["serve"], b"");
        assert!(status == 2 && error.contains("nothing reads"), "{section}: {error}");
    }
    std::fs::write(site.path().join("Rocket.toml"), "SESSION_COOKIE_SECURE = true\n").unwrap();
    assert_eq!(site.fail(&["serve"], b"").0, 2, "without a section");
}

#[test]
fn a_dangerous_set_of_settings_stops_the_start() {
    let site = Site::empty("");
    let host = "SESSION_COOKIE_NAME = '__Host-session'";
    let secure = "SESSION_COOKIE_SECURE = true";
    for (settings, named) in [
        ("SESSION_COOKIE_SAMESITE = 'None'", "SESSION_COOKIE_SECURE"),
        (host, "SESSION_COOKIE_SECURE"),
        ("SESSION_COOKIE_NAME = '__host-session'", "SESSION_COOKIE_SECURE"),
        ("SESSION_COOKIE_NAME = '__Secure-session'", "SESSION_COOKIE_SECURE"),
        (&format!("{host}\n{secure}\nSESSION_COOKIE_DOMAIN = 'example.org'"), "__Host-"),
        (&format!("{host}\n{secure}\nSESSION_COOKIE_PATH = '/app'"), "__Host-"),
        (&format!("{host}\n{secure}\nAPPLICATION_ROOT = '/app'"), "__Host-"),
        ("PERMANENT_SESSION_LIFETIME = 0", "PERMANENT_SESSION_LIFETIME"),
        ("PERMANENT_SESSION_LIFETIME = -60", "PERMANENT_SESSION_LIFETIME"),
        ("PERMANENT_SESSION_LIFETIME = '10 years'", "PERMANENT_SESSION_LIFETIME"),
        ("SESSION_COOKIE_NAME = ''", "SESSION_COOKIE_NAME"),
        ("SESSION_COOKIE_NAME = 'a;b'", "SESSION_COOKIE_NAME"),
        ("SESSION_COOKIE_PATH = 'app'", "SESSION_COOKIE_PATH"),
        ("SESSION_COOKIE_PATH = \"/a\\r\\nSet-Cookie: x\"", "SESSION_COOKIE_PATH"),
        ("SESSION_COOKIE_DOMAIN = 'a b'", "SESSION_COOKIE_DOMAIN"),
        ("SESSION_ID_LENGTH = 8", "SESSION_ID_LENGTH"),
        ("TRUSTED_ORIGINS = ['*']", "TRUSTED_ORIGINS"),
        ("tls = { certs = 'a', key = 'b' }", "tls"),
    ] {
        site.configure(settings);
        let (status, error) = site.fail(&["serve"], b"");
        assert_eq!(status, 2, "{settings}: {error}");
        assert!(error.contains(named), "{settings}: {error}");
    }
    assert!(!site.database().exists(), "nothing was made");
}

fn warnings(site: &Site, change: impl Fn(&mut std::process::Command)) -> (String, String) {
    let mut check = site.command(&["check", "--json"]);
    change(&mut check);
    let checked = output_of(check, b"");
    assert!(checked.status.success(), "{checked:?}");
    let mut serve = site.command(&["serve"]);
    change(&mut serve);
    let server = Server::start(serve);
    server.wait_for_log("serving on");
    // Each time another, for whom nobody has to wait.
    let form = format!("username=a{}&password=b", server.port);
    Wire::post("/login", FORM, form).send(server.port);
    server.wait_for_log("failed sign-in");
    (String::from_utf8(checked.stdout).unwrap(), server.log())
}

#[test]
fn what_is_unsafe_in_production_is_told_at_the_start_and_by_check() {
    let site = Site::new("");
    let key = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69aa";
    let open = |path: &std::path::Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let file = site.path().join("Rocket.toml");
    let secret = site.path().join("key");
    std::fs::write(&secret, key).unwrap();
    let nothing = |_: &mut std::process::Command| {};
    let with_secret = |command: &mut std::process::Command| {
        command.env("FLASK_SECRET_KEY_FILE", &secret);
    };
    let address = |command: &mut std::process::Command| {
        // Listening beyond this machine is all that is asked; nobody is spoken to.
        command.env("ROCKET_ADDRESS", "0.0.0.0");
    };
    for (told, text) in [
        (warnings(&site, address), "listens beyond this machine without SESSION_COOKIE_SECURE"),
        (
            {
                site.configure(&format!("SECRET_KEY = '{key}'"));
                open(&file, 0o644);
                warnings(&site, nothing)
            },
            "Rocket.toml holds SECRET_KEY and is open to others; chmod 600 it",
        ),
        (
            {
                site.configure("");
                open(&secret, 0o604);
                warnings(&site, with_secret)
            },
            "key holds SECRET_KEY and is open to others; chmod 600 it",
        ),
        (
            {
                open(&site.database(), 0o644);
                warnings(&site, nothing)
            },
            "dewar.db holds data and is open to others; chmod 600 it",
        ),
        (
            {
                open(&site.database(), 0o600);
                site.configure("DEBUG = true");
                warnings(&site, nothing)
            },
            "DEBUG is for development",
        ),
    ] {
        let (check, log) = told;
        assert!(check.contains(text), "{text} is not in {check}");
        assert!(log.contains(&format!("WARN  {text}")) || log.contains(text), "{text}: {log}");
    }
    site.configure("");
    open(&secret, 0o600);
    let (check, log) = warnings(&site, with_secret);
    assert!(check.contains("\"warnings\":[]") || check.contains("\"warnings\": []"), "{check}");
    assert!(!log.contains("WARN"), "{log}");
}

#[test]
fn a_url_with_a_password_in_a_file_that_others_read_is_told_of() {
    let site = Site::empty("");
    let file = site.path().join("Rocket.toml");
    for (settings, told) in [
        ("SESSION_TYPE = 'redis'\nSESSION_REDIS = 'redis://:hush@127.0.0.1/0'", true),
        ("SESSION_TYPE = 'redis'\nSESSION_REDIS = 'redis://127.0.0.1/0'", false),
        ("DATABASE = 'postgresql://dewar:hush@127.0.0.1/dewar'", true),
        ("DATABASE = 'postgresql://dewar@127.0.0.1/dewar'", false),
    ] {
        std::fs::write(&file, format!("[default]\n{settings}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let output = output_of(site.command(&["check"]), PASSWORD.as_bytes());
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        assert_eq!(text.contains("is open to others"), told, "{settings}: {text}");
        assert!(!text.contains("hush"), "{text}");
    }
}

#[test]
fn an_error_in_the_file_shows_no_line_of_it() {
    let site = Site::empty("");
    for wrong in [
        "SECRET_KEY = 'hush hush",
        "SECRET_KEY = 'hush hush' x",
        "SECRET_KEY = 'hush hush'\nSECRET_KEY = 'hush hush'",
        "SECRET_KEY = [hush hush]",
        "SECRET_KEY = 'hush hush\u{1}'",
        "'SECRET_KEY = hush hush'",
        "[default]\nSECRET_KEY = 'hush hush'",
    ] {
        site.configure(wrong);
        let (status, error) = site.fail(&["serve"], b"");
        assert!(status == 2 && error.contains("TOML"), "{wrong}: {error}");
        assert!(!error.contains("hush"), "{wrong}: {error}");
        assert!(error.contains("line "), "{wrong}: {error}");
    }
}
