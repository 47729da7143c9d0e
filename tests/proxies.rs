//! nginx and Caddy in front, as `packaging/` configures them: https outside, Dewar inside.

mod servers;
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use servers::{find, free_port};
use support::{PASSWORD, Server, Site, USER, has};

const BEHIND_A_PROXY: &str = "address = '127.0.0.1'\nTRUSTED_PROXIES = ['127.0.0.1']\n\
    SESSION_COOKIE_SECURE = true\nSESSION_COOKIE_NAME = '__Host-session'";

/// What stands in `packaging/`, with each of `changes` made wherever it fits.
fn shipped(name: &str, changes: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name);
    let mut text = std::fs::read_to_string(path).unwrap();
    for (old, new) in changes {
        assert!(text.contains(old), "{name} has no {old}");
        text = text.replace(old, new);
    }
    text
}

/// A directory for a proxy, with a certificate of its own making.
struct Proxy {
    dir: tempfile::TempDir,
    http: u16,
    https: u16,
}

impl Proxy {
    fn new() -> Self {
        let proxy =
            Self { dir: tempfile::tempdir().unwrap(), http: free_port(), https: free_port() };
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .arg("-keyout")
            .arg(proxy.path("key.pem"))
            .arg("-out")
            .arg(proxy.path("cert.pem"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        proxy
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text_of(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn nginx(&self, dewar: u16) -> Server {
        let site = shipped(
            "nginx.conf",
            &[
                ("127.0.0.1:8000", &format!("127.0.0.1:{dewar}")),
                ("listen 80;", &format!("listen 127.0.0.1:{};", self.http)),
                ("    listen [::]:80;\n", ""),
                ("listen 443 ssl http2;", &format!("listen 127.0.0.1:{} ssl http2;", self.https)),
                ("    listen [::]:443 ssl http2;\n", ""),
                ("students.example.org", "localhost"),
                ("/etc/ssl/certs/students.pem", &self.text_of("cert.pem")),
                ("/etc/ssl/private/students.key", &self.text_of("key.pem")),
            ],
        );
        std::fs::write(self.path("site.conf"), site).unwrap();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {};\n", self.text_of(kind)))
            .collect();
        let around = format!(
            "daemon off;\nmaster_process off;\npid {};\nerror_log stderr;\nevents {{}}\n\
             http {{\naccess_log off;\n{temporary}include {};\n}}\n",
            self.text_of("pid"),
            self.text_of("site.conf"),
        );
        std::fs::write(self.path("nginx.conf"), around).unwrap();
        let mut nginx = Command::new(find("nginx").unwrap());
        nginx
            .args(["-e", "stderr", "-p"])
            .arg(self.dir.path())
            .arg("-c")
            .arg(self.path("nginx.conf"));
        Server::start_on(nginx, self.https)
    }

    fn caddy(&self, dewar: u16) -> Server {
        let (cert, key) = (self.text_of("cert.pem"), self.text_of("key.pem"));
        let file = shipped(
            "Caddyfile",
            &[
                ("127.0.0.1:8000", &format!("127.0.0.1:{dewar}")),
                (
                    "{\n\tservers {",
                    &format!(
                        "{{\n\tadmin off\n\tdefault_bind 127.0.0.1\n\thttp_port {}\n\thttps_port {}\n\
                         \tservers {{",
                        self.http, self.https
                    ),
                ),
                ("students.example.org {", &format!("localhost {{\n\ttls {cert} {key}")),
            ],
        );
        std::fs::write(self.path("Caddyfile"), file).unwrap();
        let mut caddy = Command::new(find("caddy").unwrap());
        caddy.args(["run", "--adapter", "caddyfile", "--config"]).arg(self.path("Caddyfile"));
        caddy
            .env("HOME", self.dir.path())
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_CONFIG_HOME");
        Server::start_on(caddy, self.https)
    }

    /// What comes back for a path, headers first, over a client that keeps cookies as browsers do.
    fn curl(&self, scheme: &str, path: &str, arguments: &[&str]) -> String {
        let port = if scheme == "https" { self.https } else { self.http };
        let output: Output = Command::new(find("curl").unwrap())
            .args(["--silent", "--show-error", "--include", "--max-time", "30", "--noproxy", "*"])
            .args(["--cacert", &self.text_of("cert.pem")])
            .args(["--cookie-jar", &self.text_of("jar"), "--cookie", &self.text_of("jar")])
            .args(["--resolve", &format!("localhost:{port}:127.0.0.1")])
            .args(arguments)
            .arg(format!("{scheme}://localhost:{port}{path}"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{path} {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n")
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let headers = answer.split("\n\n").next().unwrap();
    let mut pairs = headers.lines().filter_map(|line| line.split_once(": "));
    pairs.find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
}

/// Signs in and out through a proxy, over each version of HTTP.
fn a_visit(proxy: &Proxy, dewar: &Server) {
    let origin = format!("Origin: https://localhost:{}", proxy.https);
    for version in ["--http1.1", "--http2"] {
        let get = |path| proxy.curl("https", path, &[version]);
        let post = |path, origin: &str, form: &str| {
            proxy.curl("https", path, &[version, "--header", origin, "--data", form])
        };
        let answer = get("/brief_introduction");
        assert_eq!(status(&answer), "303", "{answer}");
        assert_eq!(header(&answer, "Location"), "/login?next=%2Fbrief_introduction");
        let form = get("/login");
        assert_eq!(status(&form), "200", "{form}");
        assert!(header(&form, "Strict-Transport-Security").contains("max-age="), "{form}");

        let credentials = format!("username={USER}&password={}", support::encode(PASSWORD));
        let refused = post("/login", "Origin: https://evil.example", &credentials);
        assert_eq!(status(&refused), "403", "{refused}");
        let answer = post("/login", &origin, &credentials);
        assert_eq!(status(&answer), "303", "{answer}");
        assert_eq!(header(&answer, "Location"), "/brief_introduction");
        let cookie = header(&answer, "Set-Cookie");
        assert!(cookie.starts_with("__Host-session=") && cookie.contains("; Secure"), "{cookie}");
        let list = get("/brief_introduction");
        assert!(status(&list) == "200" && list.contains("Steel Eggs"), "{list}");
        assert!(header(&list, "Cache-Control").contains("no-store"), "{list}");
        let out = post("/logout", &origin, "");
        assert_eq!((status(&out), header(&out, "Location")), ("303", "/login"), "{out}");
        assert_eq!(status(&get("/brief_introduction")), "303");
    }
    let answer = proxy.curl("http", "/login", &[]);
    assert!(matches!(status(&answer), "301" | "308"), "{answer}");
    assert!(header(&answer, "Location").starts_with("https://localhost"), "{answer}");
    let large = format!("username=x&password={}", "x".repeat(200_000));
    std::fs::write(proxy.path("large"), large).unwrap();
    let body = format!("@{}", proxy.text_of("large"));
    let answer = proxy.curl("https", "/login", &["--data", &body]);
    assert_eq!(status(&answer), "413", "{answer}");
    for name in ["X-Real-IP", "X-Forwarded-For"] {
        let forged = format!("{name}: 203.0.113.9");
        let form = ["--header", &forged, "--data", "username=nobody&password=wrong"];
        proxy.curl("https", "/login", &form);
    }
    dewar.wait_for_log("failed sign-in from 127.0.0.1");
    assert!(!dewar.log().contains("203.0.113.9"), "what a client claims is not believed");
}

fn is_here(proxy: &str, test: &str) -> bool {
    let found = [proxy, "curl", "openssl"].iter().all(|program| find(program).is_some());
    has(found, &format!("{proxy}, curl and openssl"), test)
}

#[test]
fn nginx_as_packaged_carries_a_visit() {
    if is_here("nginx", "nginx_as_packaged_carries_a_visit") {
        let site = Site::new(BEHIND_A_PROXY);
        let (dewar, proxy) = (site.serve(), Proxy::new());
        let nginx = proxy.nginx(dewar.port);
        a_visit(&proxy, &dewar);
        drop(nginx);
    }
}

#[test]
fn caddy_as_packaged_carries_a_visit() {
    if is_here("caddy", "caddy_as_packaged_carries_a_visit") {
        let site = Site::new(BEHIND_A_PROXY);
        let (dewar, proxy) = (site.serve(), Proxy::new());
        let caddy = proxy.caddy(dewar.port);
        a_visit(&proxy, &dewar);
        drop(caddy);
    }
}

#[test]
fn a_proxy_does_not_outwait_dewar() {
    let (nginx, caddy) = (shipped("nginx.conf", &[]), shipped("Caddyfile", &[]));
    let seconds = |text: &str, setting: &str| -> u32 {
        let (_, rest) = text.split_once(setting).unwrap_or_else(|| panic!("no {setting}"));
        rest.split('s').next().unwrap().trim().parse().unwrap()
    };
    let site = Site::empty("");
    let settings: serde_json::Value =
        serde_json::from_str(&site.run(&["check", "--json"])).unwrap();
    let keep_alive = settings["settings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|setting| setting["key"] == "keep_alive")
        .and_then(|setting| setting["value"].as_str()?.parse().ok());
    let keep_alive: u32 = keep_alive.expect("a number of seconds");
    assert!(seconds(&nginx, "    keepalive_timeout ") < keep_alive);
    assert!(seconds(&caddy, "\t\t\tkeepalive ") < keep_alive);
}
