//! The key that signs: which are none, where it must not show, and how one follows another.

use dewar::session::signing::{SESSION_SALT, Signer, sign};

use super::siege::id_in;
use super::support::{Browser, Server, Site, output_of};

const OLD: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69aa";
const NEW: &str = "b3cf01d2a4957e8866f7a1e29d30c45b8fe17a6c2d93045e";

/// Known, short and repeated ones; as a file, a variable or a secret's file gives them.
const WEAK: &[&str] = &[
    "x",
    "dev",
    "secret",
    "changeme",
    "password",
    "temporary_key",
    "_5#y2L\"F4Q8z\\n\\xec]/",
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    "A0Zr98j/3yX R~XHH!jmN]LWX/,?RT",
    "\\2\\1thisismyscretkey\\1\\2\\e\\y\\y\\h",
    "CHANGE_ME_TO_A_COMPLEX_RANDOM_SECRET",
    "YOUR_OWN_RANDOM_GENERATED_SECRET_KEY",
    "c292a0a3aa32397cdb050e233733900f",
    "you-will-never-guess",
    "super secret key",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "00000000000000000000000000000000000000000000000000000000",
    "secretsecretsecretsecretsecretsecret",
    "12345678901234567890123456789012",
    "0123456789abcdef0123456789abcdef",
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "Kq3v9XwPz7Lm2Rt8Yc5Bn4Hd6Gf1Js0",
];

#[test]
fn a_key_that_others_could_guess_stops_the_start() {
    let site = Site::empty("");
    let file = site.path().join("key");
    for weak in WEAK {
        let mut commands = Vec::new();
        for kind in ["sqlite", "cookie"] {
            site.configure(&format!("SESSION_TYPE = '{kind}'"));
            let mut variable = site.command(&["serve"]);
            variable.env("FLASK_SECRET_KEY", weak);
            std::fs::write(&file, format!("{weak}\n")).unwrap();
            let mut secret_file = site.command(&["serve"]);
            secret_file.env("FLASK_SECRET_KEY_FILE", &file);
            commands.extend([variable, secret_file]);
        }
        for command in commands {
            let output = output_of(command, b"");
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{weak:?}: {error}");
            assert!(error.contains("SECRET_KEY") && error.contains("dewar key"), "{error}");
            let shown = weak.len() > 8 && error.contains(weak);
            assert!(!shown, "the key is shown: {error}");
        }
        site.configure(&format!("SECRET_KEY = '{weak}'"));
        assert_eq!(site.fail(&["serve"], b"").0, 2, "{weak:?}");
    }
    site.configure("SESSION_TYPE = 'cookie'");
    let (status, error) = site.fail(&["serve"], b"");
    assert!(status == 2 && error.contains("SECRET_KEY is missing"), "{error}");
    for fallbacks in ["['dev']", &format!("['{OLD}', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa']"), "['']"]
    {
        let settings = format!("SECRET_KEY = '{NEW}'\nSECRET_KEY_FALLBACKS = {fallbacks}");
        site.configure(&settings);
        let (status, error) = site.fail(&["serve"], b"");
        assert!(status == 2 && error.contains("SECRET_KEY_FALLBACKS"), "{fallbacks}: {error}");
    }
    assert!(!site.database().exists(), "nothing was made");
    // Whoever develops may have Flask's "dev".
    site.configure("SECRET_KEY = 'dev'\nDEBUG = true");
    site.run(&["check"]);
}

#[test]
fn a_cookie_signed_with_a_key_that_everybody_knows_is_no_session() {
    let payload = br#"{"_permanent":true,"user_id":1,"user_epoch":0}"#;
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs().try_into().unwrap();
    for settings in ["", &format!("SESSION_TYPE = 'cookie'\nSECRET_KEY = '{NEW}'")] {
        let site = Site::new(settings);
        let server = site.serve();
        let cookie = |key: &str| {
            let signer = Signer::new(key.as_bytes(), &[], SESSION_SALT);
            format!("session={}", sign(payload, &signer, now))
        };
        for key in WEAK.iter().chain(&["", OLD]) {
            let forger = Browser::with_cookie(server.port, &cookie(key));
            assert!(!forger.is_signed_in(), "{key:?} with {settings}");
        }
        // With the right key it is one, or the above would show nothing.
        let owner = Browser::with_cookie(server.port, &cookie(NEW));
        assert_eq!(owner.is_signed_in(), !settings.is_empty());
    }
}

fn signed_in_after(site: &Site, key: &str, fallbacks: &str, cookie: &str) -> (bool, String) {
    site.configure(&format!(
        "SESSION_TYPE = 'cookie'\nSECRET_KEY = '{key}'\nSECRET_KEY_FALLBACKS = {fallbacks}"
    ));
    let server = site.serve();
    let signed_in = Browser::with_cookie(server.port, cookie).is_signed_in();
    let fresh = server.signed_in().cookie.borrow().clone().unwrap();
    (signed_in, fresh)
}

#[test]
fn over_three_restarts_a_cookie_is_good_as_long_as_its_key_is_there() {
    let site = Site::new("");
    let (_, cookie) = signed_in_after(&site, OLD, "[]", "");
    assert!(signed_in_after(&site, OLD, "[]", &cookie).0);
    let (good, fresh) = signed_in_after(&site, NEW, &format!("['{OLD}']"), &cookie);
    assert!(good);
    let (good, _) = signed_in_after(&site, NEW, "[]", &cookie);
    assert!(!good, "the key is gone, its cookies are not");
    assert!(signed_in_after(&site, NEW, "[]", &fresh).0, "it was not signed with the newest key");
    assert_ne!(id_in(&cookie), id_in(&fresh));
}

#[test]
fn the_key_shows_in_no_log_no_error_no_process_list_and_no_core_dump() {
    let site = Site::new("");
    site.configure(&format!(
        "SESSION_TYPE = 'cookie'\nDEBUG = true\nSECRET_KEY_FALLBACKS = ['{OLD}']"
    ));
    let mut command = site.command(&["serve", "--verbose"]);
    command.env("FLASK_SECRET_KEY", NEW).env("ROCKET_LOG_LEVEL", "debug");
    let server = Server::start(command);
    server.signed_in().get("/brief_introduction");
    Browser::with_cookie(server.port, "session=a.b.c").get("/brief_introduction");
    let line = format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: session={}\r\n\r\n", "x".repeat(99));
    super::wire::exchange_cut(server.port, line.as_bytes());
    server.signal("-HUP");
    server.wait_for_log("in force");

    let process = format!("/proc/{}", server.child.id());
    let read = |name: &str| {
        String::from_utf8_lossy(&std::fs::read(format!("{process}/{name}")).unwrap()).into_owned()
    };
    let limits = read("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");

    site.configure("SESSION_TYPE = 'cookie'\nPERMANENT_SESSION_LIFETIME = 0");
    let mut wrong = site.command(&["serve"]);
    wrong.env("FLASK_SECRET_KEY", NEW);
    let wrong = output_of(wrong, b"");
    let mut check = site.command(&["check", "--json"]);
    check.env("FLASK_SECRET_KEY", NEW).env("FLASK_PERMANENT_SESSION_LIFETIME", "60");
    let check = output_of(check, b"");
    assert!(check.status.success());
    let all = [server.log(), read("cmdline"), format!("{wrong:?}"), format!("{check:?}")];
    for (place, text) in ["log", "cmdline", "error", "check"].iter().zip(all) {
        assert!(!text.contains(NEW) && !text.contains(OLD), "{place}: {text}");
    }
}
