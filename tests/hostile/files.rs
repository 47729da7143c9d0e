//! The operator's own files: what stands beside them, behind links and under dots stays there.

use std::os::unix::fs::symlink;

use super::Victim;
use super::support::Site;
use super::wire::Wire;

/// A site with a directory `files` of files and links.
fn site() -> Site {
    let site = Site::new("");
    let files = site.path().join("files");
    std::fs::create_dir_all(files.join("deep/.git")).unwrap();
    std::fs::create_dir(site.path().join("beside")).unwrap();
    for (name, text) in [
        ("files/deep/plain.txt", "plain"),
        ("files/picture.svg", "<svg/>"),
        ("files/data.xml", "<x/>"),
        ("files/code.js", "1"),
        ("files/.env", "hidden"),
        ("files/.htpasswd", "hidden"),
        ("files/deep/.git/config", "hidden"),
        ("beside/secret.txt", "secret"),
    ] {
        std::fs::write(site.path().join(name), text).unwrap();
    }
    for (target, link) in [
        ("/etc/passwd", "passwd"),
        ("../Rocket.toml", "settings.txt"),
        ("../beside/secret.txt", "secret.txt"),
        ("../beside", "beside"),
        ("deep/plain.txt", "inside.txt"),
        ("deep", "inside"),
        ("/", "root"),
    ] {
        symlink(target, files.join(link)).unwrap();
    }
    site
}

#[test]
fn links_dot_files_and_listings_are_not_served() {
    let site = site();
    // The directory itself may be reached over a link.
    symlink("files", site.path().join("linked")).unwrap();
    for (dir, more) in [("files", ""), ("linked", ""), ("files", "\nUSE_X_SENDFILE = true")] {
        site.configure(&format!("static_dir = '{dir}'{more}"));
        let server = site.serve();
        let get = |path: &str| Wire::get(path).send(server.port);
        assert_eq!(get("/static/deep/plain.txt").status, 200, "{dir}");
        for path in [
            "/static/passwd",
            "/static/settings.txt",
            "/static/secret.txt",
            "/static/beside/secret.txt",
            "/static/inside.txt",
            "/static/inside/plain.txt",
            "/static/root/etc/passwd",
            "/static/.env",
            "/static/%2eenv",
            "/static/.htpasswd",
            "/static/deep/.git/config",
            "/static/deep/%2egit/config",
            "/static/deep/../.env",
            "/static/deep",
            "/static/deep/",
            "/static/",
            "/static",
            "/static/deep//plain.txt/x",
        ] {
            let answer = get(path);
            assert_eq!(answer.status, 404, "{path} of {dir}: {answer:?}");
            assert_eq!(answer.header("X-Sendfile"), None, "{path}");
            for text in ["root:", "[default]", "secret", "hidden"] {
                assert!(!answer.body.contains(text), "{path}: {answer:?}");
            }
        }
    }
}

#[test]
fn every_file_tells_its_type_and_a_text_its_charset() {
    let site = site();
    site.configure("static_dir = 'files'");
    let server = site.serve();
    for (path, kind) in [
        ("deep/plain.txt", "text/plain; charset=utf-8"),
        ("picture.svg", "image/svg+xml; charset=utf-8"),
        ("data.xml", "text/xml; charset=utf-8"),
        ("code.js", "text/javascript; charset=utf-8"),
        ("favicon.svg", "image/svg+xml; charset=utf-8"),
    ] {
        let answer = Wire::get(format!("/static/{path}")).send(server.port);
        assert_eq!(answer.header("Content-Type"), Some(kind), "{path}");
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"), "{path}");
    }
}

#[test]
fn a_directory_with_the_data_or_the_configuration_in_it_stops_the_start() {
    let site = Site::new("");
    for dir in ["public", "public/inner", "data"] {
        std::fs::create_dir(site.path().join(dir)).unwrap();
    }
    symlink(".", site.path().join("here")).unwrap();
    std::fs::write(site.path().join("public/key"), "x").unwrap();
    for (settings, named) in [
        ("static_dir = '.'", "dewar.db"),
        ("static_dir = 'here'", "dewar.db"),
        ("static_dir = '..'", "dewar.db"),
        ("static_dir = '/'", "dewar.db"),
        ("static_dir = 'public'\nSESSION_SQLITE_PATH = 'public/s.db'", "public/s.db"),
        ("static_dir = 'public'\nSESSION_SQLITE_PATH = 'public/inner/s.db'", "inner/s.db"),
        (
            "static_dir = 'public'\nSESSION_TYPE = 'filesystem'\nSESSION_FILE_DIR = 'public/new'",
            "public/new",
        ),
        (
            "static_dir = 'public'\nSESSION_MIGRATE_FROM = { SESSION_TYPE = 'filesystem', \
             SESSION_FILE_DIR = 'public' }",
            "public",
        ),
    ] {
        site.configure(settings);
        for command in ["serve", "check"] {
            let (status, error) = site.fail(&[command], b"");
            assert_eq!(status, 2, "{settings}: {error}");
            assert!(error.contains("static_dir") && error.contains(named), "{settings}: {error}");
        }
    }
    // The configuration alone, with the data elsewhere.
    let public = site.path().join("public");
    let file = format!("[default]\nDATABASE = '{}'\nstatic_dir = '.'", site.database().display());
    std::fs::write(public.join("Rocket.toml"), file).unwrap();
    let (status, error) = site.fail(&["--config", "public/Rocket.toml", "check"], b"");
    assert!(status == 2 && error.contains("Rocket.toml, which everybody"), "{error}");

    site.configure("static_dir = 'public'");
    let mut command = site.command(&["check"]);
    command.env("FLASK_SECRET_KEY_FILE", public.join("key"));
    let output = super::support::output_of(command, b"");
    assert!(String::from_utf8_lossy(&output.stderr).contains("public/key"));
    site.run(&["check"]);
}

#[test]
fn a_reload_gives_nothing_away_either() {
    let victim = Victim::with("");
    std::fs::create_dir(victim.site.path().join("files")).unwrap();
    victim.site.configure("static_dir = '.'");
    victim.server.signal("-HUP");
    victim.server.wait_for_log("stay in force");
    assert_eq!(Wire::get("/static/Rocket.toml").send(victim.port()).status, 404);
}
