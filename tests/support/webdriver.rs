//! A headless Chromium, driven through chromedriver by W3C WebDriver.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::wait_for;

pub const TAB: &str = "\u{E004}";
pub const ENTER: &str = "\u{E007}";
pub const SHIFT: &str = "\u{E008}";

/// What WebDriver calls the field that holds an element's id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One browser at a time: two share a small machine so badly that both run into timeouts.
static TURN: Mutex<()> = Mutex::new(());

/// Where a program is, if it is installed.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::iter::once(PathBuf::from("/usr/bin")).chain(std::env::split_paths(&path));
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// chromedriver. Dropped, it is killed.
struct Driver {
    child: Child,
    port: u16,
}

impl Driver {
    /// `home` takes whatever driver and browser leave behind.
    fn start(home: &Path) -> Self {
        let mut child = Command::new(program("chromedriver").expect("chromedriver"))
            .arg("--port=0")
            .env("HOME", home)
            .env("TMPDIR", home)
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_CACHE_HOME")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut driver = Self { child, port: 0 };
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        driver.port = port.expect("chromedriver names its port");
        // A full pipe would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        driver
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A browser with a profile of its own. Dropped, it is gone, and its profile too.
pub struct Chromium {
    /// The site that it visits, without the final slash.
    base: String,
    http: ureq::Agent,
    session: String,
    pid: u64,
    // Dropped in this order: the driver before the files it writes, the next one's turn last.
    _driver: Driver,
    _home: TempDir,
    _turn: Option<MutexGuard<'static, ()>>,
}

fn turn() -> MutexGuard<'static, ()> {
    // A test that failed does not concern the next.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Chromium {
    /// For the site on a port of this machine.
    pub fn visiting(port: u16) -> Self {
        Self::start(port, json!({}), Some(turn()))
    }

    /// Another one beside this, for the same site.
    pub fn another(&self) -> Self {
        let (_, port) = self.base.rsplit_once(':').unwrap();
        Self::start(port.parse().unwrap(), json!({}), None)
    }

    /// The same with JavaScript turned off in the browser's settings.
    pub fn without_javascript(port: u16) -> Self {
        let off = json!({ "profile.managed_default_content_settings.javascript": 2 });
        Self::start(port, off, Some(turn()))
    }

    fn start(port: u16, preferences: Value, turn: Option<MutexGuard<'static, ()>>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let driver = Driver::start(home.path());
        let http = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        let url = format!("http://127.0.0.1:{}/session", driver.port);
        let opened = exchange(&http, "POST", &url, capabilities(home.path(), preferences));
        let opened = opened.unwrap_or_else(|error| panic!("Chromium does not start: {error}"));
        let id = opened["sessionId"].as_str().expect("a session id");
        Self {
            base: format!("http://127.0.0.1:{port}"),
            http,
            session: format!("{url}/{id}"),
            pid: opened["capabilities"]["goog:processID"].as_u64().expect("a process id"),
            _driver: driver,
            _home: home,
            _turn: turn,
        }
    }

    fn ask(&self, method: &str, path: &str, body: Value) -> Result<Value, String> {
        exchange(&self.http, method, &format!("{}/{path}", self.session), body)
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        self.ask("GET", path, Value::Null).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    #[track_caller]
    fn post(&self, path: &str, body: Value) -> Value {
        self.ask("POST", path, body).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Goes to a page of the site.
    #[track_caller]
    pub fn open(&self, path: &str) {
        self.open_elsewhere(&format!("{}{path}", self.base));
    }

    #[track_caller]
    pub fn open_elsewhere(&self, url: &str) {
        self.post("url", json!({ "url": url }));
    }

    #[track_caller]
    pub fn back(&self) {
        self.post("back", json!({}));
    }

    /// The page's address, without the site's.
    pub fn address(&self) -> String {
        let url = text(self.get("url"));
        url.strip_prefix(&self.base).map(str::to_owned).unwrap_or(url)
    }

    /// Waits until the browser has come to a page.
    #[track_caller]
    pub fn is_at(&self, path: &str) {
        wait_for(&format!("the page {path}"), || (self.address() == path).then_some(()));
    }

    pub fn title(&self) -> String {
        text(self.get("title"))
    }

    /// All that a reader sees. Nothing while a page gives way to the next.
    pub fn words(&self) -> String {
        let body = "return document.body ? document.body.innerText : ''";
        self.ask("POST", "execute/sync", json!({ "script": body, "args": [] }))
            .map(text)
            .unwrap_or_default()
    }

    /// Waits until the page says something.
    #[track_caller]
    pub fn says(&self, words: &str) {
        wait_for(&format!("the page to say {words:?}"), || {
            self.words().contains(words).then_some(())
        });
    }

    /// Waits for the element that a CSS selector finds.
    #[track_caller]
    pub fn find(&self, css: &str) -> Element<'_> {
        self.locate("css selector", css)
    }

    /// Waits for a link with this text.
    #[track_caller]
    pub fn link(&self, text: &str) -> Element<'_> {
        self.locate("link text", text)
    }

    #[track_caller]
    fn locate(&self, using: &str, value: &str) -> Element<'_> {
        let query = json!({ "using": using, "value": value });
        wait_for(&format!("an element {value:?}"), || {
            self.ask("POST", "element", query.clone()).ok().map(|found| self.element(found))
        })
    }

    /// What the keyboard acts on.
    pub fn active(&self) -> Element<'_> {
        self.element(self.get("element/active"))
    }

    fn element(&self, found: Value) -> Element<'_> {
        let id = found[ELEMENT].as_str().expect("an element");
        Element { browser: self, id: id.to_owned() }
    }

    /// What a screen reader calls the element that the keyboard acts on: its role and its name.
    /// Nothing while a page gives way to the next.
    pub fn focus(&self) -> String {
        let describe = || {
            let found = self.ask("GET", "element/active", Value::Null).ok()?;
            let id = found[ELEMENT].as_str()?;
            let part = |what| self.ask("GET", &format!("element/{id}/{what}"), Value::Null).ok();
            Some(format!("{} {}", text(part("computedrole")?), text(part("computedlabel")?)))
        };
        describe().unwrap_or_default()
    }

    /// Waits until the keyboard acts on an element, described as by [`focus`](Self::focus).
    #[track_caller]
    pub fn has_focus_on(&self, what: &str) {
        wait_for(&format!("the focus on {what:?}"), || (self.focus() == what).then_some(()));
    }

    /// Strikes one key after the other. [`SHIFT`] stays down to the end.
    #[track_caller]
    pub fn press(&self, keys: &str) {
        let strokes: Vec<_> = keys
            .chars()
            .map(|key| key.to_string())
            .flat_map(|key| {
                let down = json!({ "type": "keyDown", "value": key });
                let up = json!({ "type": "keyUp", "value": key });
                std::iter::once(down).chain((key != SHIFT).then_some(up))
            })
            .collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": strokes });
        self.post("actions", json!({ "actions": [keyboard] }));
        if keys.contains(SHIFT) {
            self.ask("DELETE", "actions", Value::Null).unwrap();
        }
    }

    /// Runs the body of a function in the page.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.post("execute/sync", json!({ "script": script, "args": [] }))
    }

    pub fn cookies(&self) -> Vec<Value> {
        self.get("cookie").as_array().unwrap().clone()
    }

    pub fn forget_cookies(&self) {
        self.ask("DELETE", "cookie", Value::Null).unwrap();
    }

    /// What the console said since it was asked last.
    pub fn console(&self) -> Vec<String> {
        let entries = self.post("se/log", json!({ "type": "browser" }));
        entries.as_array().unwrap().iter().map(|entry| entry["message"].to_string()).collect()
    }

    #[track_caller]
    fn devtools(&self, command: &str, parameters: Value) {
        self.post("goog/cdp/execute", json!({ "cmd": command, "params": parameters }));
    }

    /// Gives pages exactly this much room, less than a window could have.
    pub fn resize(&self, width: u32, height: u32) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size);
    }

    /// Prefers `light` or `dark`, and no motion, so that no colour is seen half way.
    pub fn prefer(&self, scheme: &str) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// The page as a PNG file.
    pub fn picture(&self) -> Vec<u8> {
        STANDARD.decode(text(self.get("screenshot"))).unwrap()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Asked, it has written its last file when the answer comes. If it does not answer, it
        // must not outlive the driver.
        if self.ask("DELETE", "", Value::Null).is_err() {
            let _ = Command::new("kill").args(["-KILL", &self.pid.to_string()]).status();
        }
    }
}

/// An element of the page that is shown.
pub struct Element<'b> {
    browser: &'b Chromium,
    id: String,
}

impl Element<'_> {
    #[track_caller]
    pub fn click(&self) {
        self.browser.post(&format!("element/{}/click", self.id), json!({}));
    }

    /// Clicks on its middle, whatever lies on top there.
    #[track_caller]
    pub fn click_on_its_place(&self) {
        let origin = json!({ ELEMENT: self.id });
        let strokes = json!([
            { "type": "pointerMove", "origin": origin, "x": 0, "y": 0 },
            { "type": "pointerDown", "button": 0 },
            { "type": "pointerUp", "button": 0 },
        ]);
        let mouse = json!({ "type": "pointer", "id": "mouse", "actions": strokes });
        self.browser.post("actions", json!({ "actions": [mouse] }));
    }

    #[track_caller]
    pub fn property(&self, name: &str) -> Value {
        self.browser.get(&format!("element/{}/property/{name}", self.id))
    }
}

fn capabilities(home: &Path, preferences: Value) -> Value {
    let profile = home.join("profile");
    let options = json!({
        "binary": program("chromium").expect("chromium"),
        "prefs": preferences,
        "args": [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            format!("--user-data-dir={}", profile.display()),
        ],
    });
    json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        "goog:chromeOptions": options,
        "goog:loggingPrefs": { "browser": "ALL" },
    } } })
}

/// One WebDriver command: its value, or what went wrong.
fn exchange(http: &ureq::Agent, method: &str, url: &str, body: Value) -> Result<Value, String> {
    let request = ureq::http::Request::builder().method(method).uri(url.trim_end_matches('/'));
    let response = match method {
        "POST" => http.run(request.body(body.to_string()).unwrap()),
        _ => http.run(request.body(()).unwrap()),
    };
    let mut response = response.map_err(|error| error.to_string())?;
    let mut answer: Value = response.body_mut().read_json().map_err(|error| error.to_string())?;
    let value = answer["value"].take();
    match response.status().is_success() {
        true => Ok(value),
        false => Err(format!("{}: {}", value["error"], value["message"])),
    }
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
