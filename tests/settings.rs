//! Flask's settings and what each changes, seen from outside.

mod support;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::{PASSWORD, Server, Site, USER, output_of};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const MULTIPART: (&str, &str) = ("Content-Type", "multipart/form-data; boundary=b");

fn multipart(fields: &[(&str, &str)]) -> Vec<u8> {
    let parts = fields.iter().map(|(name, value)| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    });
    (parts.collect::<String>() + "--b--\r\n").into_bytes()
}

fn status(server: &Server, kind: (&str, &str), body: &[u8]) -> u16 {
    server.browser().send("POST", "/login", &[kind], body).unwrap().status
}

#[test]
fn bodies_forms_and_their_parts_have_their_limits() {
    let site = Site::new("MAX_FORM_MEMORY_SIZE = 1000\nMAX_FORM_PARTS = 5");
    let server = site.serve();
    let pair = [("username", USER), ("password", PASSWORD)];
    assert_eq!(status(&server, MULTIPART, &multipart(&pair)), 303);
    let with = |more: &[(&str, &str)]| multipart(&[&pair[..], more].concat());
    assert_eq!(status(&server, MULTIPART, &with(&[("x", &"y".repeat(1000))])), 303);
    assert_eq!(status(&server, MULTIPART, &with(&[("x", &"y".repeat(1001))])), 413);
    assert_eq!(status(&server, MULTIPART, &with(&[("x", ""); 3])), 303);
    assert_eq!(status(&server, MULTIPART, &with(&[("x", ""); 4])), 413);
    let plain = format!("username={USER}&password=wrong&x=");
    let padded =
        |length: usize| format!("{plain}{}", "y".repeat(length - plain.len())).into_bytes();
    assert_eq!(status(&server, FORM, &padded(1000)), 200);
    assert_eq!(status(&server, FORM, &padded(1001)), 413);

    let site = Site::new("MAX_CONTENT_LENGTH = 300");
    let server = site.serve();
    assert_eq!(status(&server, FORM, &padded(300)), 200);
    assert_eq!(status(&server, FORM, &padded(301)), 413);
    assert_eq!(status(&server, MULTIPART, &with(&[("x", &"y".repeat(300))])), 413);
}

#[test]
fn requests_to_other_hosts_are_refused() {
    let site = Site::new("TRUSTED_HOSTS = ['example.org', '.example.net', '127.0.0.1']");
    let server = site.serve();
    let at =
        |host: &str| server.browser().send("GET", "/login", &[("Host", host)], b"").unwrap().status;
    for host in ["example.org", "EXAMPLE.org:8000", "example.net", "a.b.example.net"] {
        assert_eq!(at(host), 200, "{host}");
    }
    for host in ["a.example.org", "example.org.evil.test", "badexample.net", "localhost"] {
        assert_eq!(at(host), 400, "{host}");
    }
}

#[test]
fn options_tells_the_methods_of_an_address() {
    let ask = |server: &Server, method: &str, path: &str| {
        let answer = server.browser().send(method, path, &[], b"").unwrap();
        (answer.status, answer.header("Allow").map(str::to_owned))
    };
    let site = Site::new("");
    let server = site.serve();
    let allow = |methods: &str| Some(methods.to_owned());
    assert_eq!(ask(&server, "OPTIONS", "/login"), (200, allow("GET, HEAD, OPTIONS, POST")));
    assert_eq!(ask(&server, "OPTIONS", "/logout"), (200, allow("OPTIONS, POST")));
    assert_eq!(ask(&server, "OPTIONS", "/static/style.css"), (200, allow("GET, HEAD, OPTIONS")));
    assert_eq!(ask(&server, "OPTIONS", "/nowhere").0, 404);
    assert_eq!(ask(&server, "DELETE", "/login"), (405, allow("GET, HEAD, OPTIONS, POST")));

    let site = Site::new("PROVIDE_AUTOMATIC_OPTIONS = false");
    let server = site.serve();
    assert_eq!(ask(&server, "OPTIONS", "/login"), (405, allow("GET, HEAD, POST")));
}

#[test]
fn a_form_that_lacks_a_field_is_told_which_on_request() {
    for (settings, told) in
        [("", false), ("TRAP_BAD_REQUEST_ERRORS = true", true), ("DEBUG = true", true)]
    {
        let site = Site::new(settings);
        let server = site.serve();
        let answer = server.browser().post("/login", &[("username", USER)]);
        assert_eq!(answer.status, 422);
        assert_eq!(answer.body.contains("Missing or wrong: password."), told, "{settings}");
    }
}

#[test]
fn the_students_are_there_as_json_behind_the_same_sign_in() {
    let site = Site::new("GENDER_LABELS = { Unknown = 'not told' }");
    let server = site.serve();
    let stranger = server.browser().get("/api/students");
    assert_eq!((stranger.status, stranger.header("Location")), (401, None));
    let told: Value = serde_json::from_str(&stranger.body).unwrap();
    assert_eq!(told, json!({ "code": 401, "error": "Not signed in" }));
    assert_eq!(stranger.header("Content-Type"), Some("application/json"));
    assert_eq!(stranger.header("Cache-Control"), Some("no-store"));

    let browser = server.signed_in();
    let get = |path: &str| {
        let answer = browser.get(path);
        (answer.status, serde_json::from_str::<Value>(&answer.body).unwrap())
    };
    let (_, list) = get("/api/students?q=egg");
    let entry = |id: u8, name: &str| json!({ "id": id, "name": name });
    assert_eq!(
        list,
        json!({
            "students": [entry(1, "Steel Eggs"), entry(2, "Iron Egg")],
            "page": 1, "pages": 1, "total": 2,
        })
    );
    let (_, one) = get("/api/students/1");
    assert_eq!(one, json!({ "id": 1, "name": "Steel Eggs", "age": 17, "gender": "not told" }));
    for path in ["/api/students/9", "/api/students/01", "/api/students/x", "/api/nothing"] {
        assert_eq!(get(path).0, 404, "{path}");
    }
    assert_eq!(browser.send("DELETE", "/api/students/1", &[], b"").unwrap().status, 405);
}

#[test]
fn json_is_written_as_flask_writes_it_or_as_set() {
    let body = |settings: &str| {
        let site = Site::new(settings);
        let more = "id,name,age,gender\n7,Zoë 😀,20,female\n";
        site.run_with_input(&["students", "import", "-"], more);
        let answer = site.serve().signed_in().get("/api/students/7");
        (answer.header("Content-Type").unwrap().to_owned(), answer.body)
    };
    let plain =
        "{\"age\":20,\"gender\":\"female\",\"id\":7,\"name\":\"Zo\\u00eb \\ud83d\\ude00\"}\n";
    assert_eq!(body(""), ("application/json".into(), plain.into()));
    let (content_type, text) = body(
        "JSON_AS_ASCII = false\nJSON_SORT_KEYS = false\nJSONIFY_PRETTYPRINT_REGULAR = true\n\
         JSONIFY_MIMETYPE = 'application/vnd.school+json'",
    );
    assert_eq!(content_type, "application/vnd.school+json");
    let pretty =
        "{\n  \"id\": 7,\n  \"name\": \"Zoë 😀\",\n  \"age\": 20,\n  \"gender\": \"female\"\n}\n";
    assert_eq!(text, pretty);
    assert!(body("DEBUG = true").1.contains("\n  \"age\": 20"));
}

#[test]
fn files_of_the_operator_come_before_the_built_in_ones() {
    let site = Site::new("");
    std::fs::create_dir_all(site.path().join("files/deep")).unwrap();
    for (name, text) in
        [("files/deep/a.txt", "hello"), ("files/style.css", "own"), ("secret.txt", "secret")]
    {
        std::fs::write(site.path().join(name), text).unwrap();
    }
    std::fs::create_dir(site.path().join("own")).unwrap();
    let login = "<link href=\"{{ static('style.css') }}\"><link href=\"{{ static('favicon.svg') }}\">\
                 <a href=\"{{ static('deep/a.txt') }}\">";
    std::fs::write(site.path().join("own/login.html"), login).unwrap();
    site.configure("static_dir = 'files'\ntemplate_dir = 'own'");
    let server = site.serve();
    let browser = server.browser();

    let file = browser.get("/static/deep/a.txt");
    assert_eq!((file.status, &*file.body), (200, "hello"));
    assert_eq!(file.header("Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(file.header("Cache-Control"), Some("no-cache"));
    let tag = file.header("ETag").unwrap().to_owned();
    let again = browser.send("GET", "/static/deep/a.txt", &[("If-None-Match", &tag)], b"").unwrap();
    assert_eq!((again.status, &*again.body), (304, ""));
    assert_eq!(browser.get("/static/style.css?v=whatever").body, "own");
    let page = browser.get("/login").body;
    assert!(page.contains("\"/static/style.css\"") && page.contains("/static/favicon.svg?v="));
    assert!(page.contains("\"/static/deep/a.txt\""), "{page}");
    for path in [
        "/static/../secret.txt",
        "/static/%2e%2e/secret.txt",
        "/static/..%2fsecret.txt",
        "/static/deep",
        "/static/",
        "/static/none",
    ] {
        assert_eq!(browser.get(path).status, 404, "{path}");
    }

    site.configure(
        "static_dir = 'files'\nSEND_FILE_MAX_AGE_DEFAULT = '1 hour'\nUSE_X_SENDFILE = true",
    );
    let server = site.serve();
    let browser = server.browser();
    let file = browser.get("/static/deep/a.txt");
    assert_eq!((file.status, &*file.body), (200, ""));
    let path = site.path().canonicalize().unwrap().join("files/deep/a.txt");
    assert_eq!(file.header("X-Sendfile").map(std::path::PathBuf::from), Some(path));
    assert_eq!(file.header("Cache-Control"), Some("public, max-age=3600"));
    let built_in = browser.get("/static/favicon.svg");
    assert_eq!(built_in.header("Cache-Control"), Some("public, max-age=3600"));
    assert!(built_in.body.contains("<svg") && built_in.header("X-Sendfile").is_none());

    site.configure("USE_X_SENDFILE = true");
    assert!(site.fail(&["check"], b"").1.contains("USE_X_SENDFILE needs a static_dir"));
}

#[test]
fn a_file_that_brings_a_cookie_along_is_kept_by_no_shared_cache() {
    let site = Site::new("SESSION_EAGER = true\nSEND_FILE_MAX_AGE_DEFAULT = 60");
    let server = site.serve();
    let visitor = server.browser();
    let form = [("username", USER), ("password", PASSWORD), ("remember", "1")];
    assert_eq!(visitor.post("/login", &form).status, 303);
    let caching = |file: support::Answer| {
        let cookie = file.header("Set-Cookie").is_some();
        (cookie, file.header("Cache-Control").unwrap().to_owned())
    };
    let file = "/static/style.css";
    assert_eq!(caching(visitor.get(file)), (true, "private, max-age=60".into()));
    assert_eq!(caching(server.browser().get(file)), (false, "public, max-age=60".into()));
}

#[test]
fn template_loading_is_explained_on_request() {
    let site = Site::new("");
    std::fs::create_dir(site.path().join("own")).unwrap();
    std::fs::write(site.path().join("own/login.html"), "own page").unwrap();
    site.configure("template_dir = 'own'\nEXPLAIN_TEMPLATE_LOADING = true");
    let server = site.serve();
    let log = server.log();
    assert!(log.contains("template \"login.html\": found as"), "{log}");
    assert!(log.contains("template \"layout.html\": not at"), "{log}");
    assert!(log.contains("template \"layout.html\": found among the built-in ones"), "{log}");
    site.configure("");
    assert!(!site.serve().log().contains("template \""));
}

#[test]
fn debug_reads_templates_anew_and_logs_more() {
    let site = Site::new("");
    std::fs::create_dir(site.path().join("own")).unwrap();
    let page = |text: &str| std::fs::write(site.path().join("own/login.html"), text).unwrap();
    for (settings, second) in [("DEBUG = true\nport = 0", "two"), ("", "one")] {
        page("one");
        site.configure("template_dir = 'own'");
        let mut command = site.command(&["serve"]);
        if !settings.is_empty() {
            command.env("FLASK_DEBUG", "1");
        }
        let server = Server::start(command);
        assert_eq!(server.browser().get("/login").body, "one");
        page("two");
        assert_eq!(server.browser().get("/login").body, second, "{settings}");
        let rockets_notes = server.log().contains("GET /login");
        assert_eq!(rockets_notes, !settings.is_empty(), "{}", server.log());
    }
}

#[test]
fn the_log_has_the_name_and_the_policy_it_was_given() {
    let line = |settings: &str| {
        let site = Site::new(&format!("LOGGER_NAME = 'directory'\n{settings}"));
        let server = site.serve();
        server.browser().post("/login", &[("username", "a"), ("password", "b")]);
        server.wait_for_log("failed sign-in");
        server.log()
    };
    assert!(line("").contains("INFO  directory: failed sign-in from 127.0.0.1"));
    assert!(line("LOGGER_HANDLER_POLICY = 'production'").contains("directory: serving on"));
    assert!(line("LOGGER_HANDLER_POLICY = 'debug'\nDEBUG = true").contains("directory: serving"));

    for settings in [
        "LOGGER_HANDLER_POLICY = 'never'",
        "LOGGER_HANDLER_POLICY = 'debug'",
        "LOGGER_HANDLER_POLICY = 'production'\nDEBUG = true",
    ] {
        // Nothing tells the port then, so it is chosen before.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let site = Site::new(settings);
        let mut command = site.command(&["serve"]);
        command.env("ROCKET_PORT", port.to_string());
        let server = Server::start_on(command, port);
        server.browser().post("/login", &[("username", "a"), ("password", "b")]);
        assert_eq!(server.log(), "", "{settings}");
    }
}

#[test]
fn what_means_nothing_here_is_taken_and_told_once() {
    let settings = "TESTING = true\nENV = 'production'\nPROPAGATE_EXCEPTIONS = true\n\
                    PRESERVE_CONTEXT_ON_EXCEPTION = false\nTRAP_HTTP_EXCEPTIONS = false";
    let site = Site::new(settings);
    let log = site.serve().log();
    let told: BTreeSet<&str> = log
        .lines()
        .filter_map(|line| line.split_once(" has no effect: ")?.0.rsplit(' ').next())
        .collect();
    let keys = settings.lines().map(|line| line.split(' ').next().unwrap());
    assert_eq!(told, keys.collect());
    assert_eq!(log.matches("TESTING").count(), 1);
    let checked = output_of(site.command(&["check"]), b"");
    assert_eq!(String::from_utf8_lossy(&checked.stderr).matches("TESTING").count(), 1);
    site.configure("");
    assert!(!site.serve().log().contains("no effect"));
}

#[test]
fn the_sites_address_is_told_where_no_request_tells_it() {
    let site = Site::new(
        "SERVER_NAME = 'students.example.org:8443'\nPREFERRED_URL_SCHEME = 'https'\n\
         APPLICATION_ROOT = '/school/'",
    );
    let add = ["user", "add", "new", "--password-stdin", "--json"];
    let told = site.run_with_input(&add, PASSWORD);
    assert!(told.contains("sign in at https://students.example.org:8443/school/login"), "{told}");
    let log = site.serve().log();
    assert!(log.contains("at https://students.example.org:8443/school/\n"), "{log}");
    for (settings, key) in [
        ("SERVER_NAME = 'https://example.org'", "SERVER_NAME"),
        ("PREFERRED_URL_SCHEME = 'gopher'", "PREFERRED_URL_SCHEME"),
        ("TRUSTED_HOSTS = 'example.org'", "TRUSTED_HOSTS"),
        ("TRUSTED_HOSTS = []", "TRUSTED_HOSTS"),
        ("JSONIFY_MIMETYPE = 'json'", "JSONIFY_MIMETYPE"),
        ("LOGGER_HANDLER_POLICY = 'sometimes'", "LOGGER_HANDLER_POLICY"),
        ("MAX_FORM_PARTS = 0", "MAX_FORM_PARTS"),
        ("static_dir = 'nowhere'", "static_dir"),
    ] {
        site.configure(settings);
        let (status, problem) = site.fail(&["check"], b"");
        assert!(status == 2 && problem.contains(key), "{settings}: {problem}");
    }
}

#[test]
fn check_shows_each_setting() {
    let site = Site::new("");
    let shown: Value = serde_json::from_str(&site.run(&["check", "--json"])).unwrap();
    for (key, _) in dewar::config::keys() {
        let row = shown["settings"].as_array().unwrap().iter().find(|row| row["key"] == *key);
        let value = row.unwrap_or_else(|| panic!("{key} is missing"))["value"].as_str().unwrap();
        assert!(!value.is_empty(), "{key}");
    }
}
