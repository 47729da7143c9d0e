//! Paths that pretend to be others: out of the files, or private pages by public names.

use super::siege::{Siege, is_private, is_refused};
use super::wire::Wire;

#[test]
fn no_path_leaves_the_files() {
    let siege = Siege::new();
    for path in [
        "",
        "/",
        "/.",
        "/..",
        "/./",
        "/../Rocket.toml",
        "/..%2fRocket.toml",
        "/%2e%2e/Rocket.toml",
        "/%2e%2e%2fRocket.toml",
        "/..%5cRocket.toml",
        "/..\\Rocket.toml",
        "/....//Rocket.toml",
        "/..;/Rocket.toml",
        "/%252e%252e%252fRocket.toml",
        "/%c0%ae%c0%ae/Rocket.toml",
        "/../dewar.db",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/file:///etc/passwd",
        "/C:/boot.ini",
        "/style.css%00",
        "/style.css%00.png",
        "/style.css;",
        "/style.css~",
        "/style.css.bak",
        "/.style.css.swp",
        "/STYLE.CSS",
        "/style.css/x",
        "/style",
        "/.git/config",
        "/%ff",
        "/%",
        "/style.css/../../Rocket.toml",
        "/style.css%20",
    ] {
        for request in [
            Wire::get(format!("/static{path}")),
            Wire::get(format!("/static{path}?v=../Rocket.toml")),
        ] {
            let answer = siege.as_insider(request);
            assert!(is_refused(&answer), "{path}: {answer:?}");
            assert!(!answer.body.contains("[default]") && !answer.body.contains("root:"), "{path}");
        }
    }
    for path in
        ["/.git/config", "/Rocket.toml", "/dewar.db", "/dewar.db-wal", "/templates/login.html"]
    {
        assert_eq!(siege.as_insider(Wire::get(path)).status, 404, "{path}");
    }
}

#[test]
fn a_private_page_is_not_served_under_a_name_that_caches_keep() {
    let siege = Siege::new();
    for page in ["/brief_introduction", "/detailed"] {
        for disguise in [
            "/x.css",
            ".css",
            ";x.css",
            ";jsessionid=1",
            "%2fx.css",
            "%3bx.css",
            "%00.css",
            "%0a.css",
            "%23x.css",
            "\\x.css",
            "%5cx.css",
            "//x.css",
            "/..%2fstatic/x.css",
            "/%2e%2e/static/style.css",
            ".js",
            "~",
            "%20",
            "!",
            "/./x.css",
        ] {
            let target = format!("{page}{disguise}?id=1");
            let answer = siege.as_insider(Wire::get(&target));
            assert!(!is_private(&answer), "{target}: {answer:?}");
            assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{target}");
        }
        for spelling in
            [format!("/static/..{page}"), format!("/static/%2e%2e{page}"), page.to_uppercase()]
        {
            assert!(
                !is_private(&siege.as_insider(Wire::get(format!("{spelling}?id=1")))),
                "{spelling}"
            );
        }
        // Rocket takes these for the page itself, which is then as private as ever.
        for same in [
            format!("{page}/"),
            format!("/{page}"),
            page.replace('_', "%5F").replace("tai", "t%61i"),
        ] {
            let answer = siege.as_insider(Wire::get(format!("{same}?id=1")));
            assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{same}");
            assert!(!is_private(&Wire::get(format!("{same}?id=1")).send(siege.port())), "{same}");
        }
    }
}
