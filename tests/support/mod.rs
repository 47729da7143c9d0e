//! Runs the real `dewar` binary in a directory of its own and talks to it over HTTP.

#![allow(dead_code, missing_docs)]

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The account that [`Site::new`] makes.
pub const USER: &str = "gkf";
pub const PASSWORD: &str = "correct horse battery staple";

/// Waits until `ready` gives something, or panics with `what`.
pub fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited 30 s for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A directory with a `Rocket.toml`, a database, an account and the demo's three students.
pub struct Site {
    dir: TempDir,
}

impl Site {
    /// `settings` go into `[default]`.
    pub fn new(settings: &str) -> Self {
        let site = Self::empty(settings);
        site.run_with_input(&["user", "add", USER, "--password-stdin"], PASSWORD);
        let students = "id,name,age,gender\n1,Steel Eggs,17,Unknown\n2,Iron Egg,19,male\n3,maidservant,18,female\n";
        site.run_with_input(&["students", "import", "-"], students);
        site
    }

    /// Without account and students.
    pub fn empty(settings: &str) -> Self {
        Self::in_dir(tempfile::tempdir().unwrap(), settings)
    }

    pub fn in_dir(dir: TempDir, settings: &str) -> Self {
        let site = Self { dir };
        site.configure(settings);
        site
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn database(&self) -> PathBuf {
        self.path().join("dewar.db")
    }

    pub fn configure(&self, settings: &str) {
        let text = format!("[default]\nport = 0\nDATABASE = \"dewar.db\"\n{settings}\n");
        std::fs::write(self.path().join("Rocket.toml"), text).unwrap();
    }

    /// The command, in the directory, with nothing of this process's configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = dewar(arguments);
        command.current_dir(self.path());
        command
    }

    /// Runs a command that must succeed and gives its standard output.
    pub fn run(&self, arguments: &[&str]) -> String {
        self.run_with_input(arguments, "")
    }

    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> String {
        let output = output_of(self.command(arguments), input.as_bytes());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "dewar {arguments:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must fail and gives its exit status and standard error.
    pub fn fail(&self, arguments: &[&str], input: &[u8]) -> (i32, String) {
        let output = output_of(self.command(arguments), input);
        assert!(!output.status.success(), "dewar {arguments:?} succeeded");
        let status = output.status.code().expect("an exit status");
        (status, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    pub fn serve(&self) -> Server {
        Server::start(self.command(&["serve"]))
    }
}

/// The binary with a clean environment.
pub fn dewar(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dewar"));
    command.args(arguments);
    for (name, _) in std::env::vars() {
        if name.starts_with("FLASK_") || name.starts_with("ROCKET_") {
            command.env_remove(name);
        }
    }
    command
}

pub fn output_of(mut command: Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// A command run by another.
pub fn under(program: &str, arguments: &[&str], command: &Command) -> Command {
    let mut outer = Command::new(program);
    outer.args(arguments).arg(command.get_program()).args(command.get_args());
    outer.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

/// Adds the lines of a pipe to a log until it ends.
fn collect(pipe: impl Read + Send + 'static, log: &Arc<Mutex<String>>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
}

/// Starts a command and collects what it says.
fn spawn(mut command: Command) -> (Child, Arc<Mutex<String>>) {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let log = Arc::new(Mutex::new(String::new()));
    collect(child.stdout.take().unwrap(), &log);
    collect(child.stderr.take().unwrap(), &log);
    (child, log)
}

/// A running server. Dropped, it is killed.
pub struct Server {
    pub child: Child,
    pub port: u16,
    log: Arc<Mutex<String>>,
}

impl Server {
    /// Starts a command that logs its address and waits until it does.
    pub fn start(command: Command) -> Self {
        Self::start_saying(command, "serving on http://")
    }

    /// The same for a program that puts the address after other words.
    pub fn start_saying(command: Command, words: &str) -> Self {
        let (mut child, log) = spawn(command);
        let port = wait_for("the server to start", || {
            let log = log.lock().unwrap();
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended with {status}: {log}");
            }
            let (_, rest) = log.split_once(words)?;
            let (_, port) = rest.split(['"', '\n']).next()?.rsplit_once(':')?;
            port.trim().parse().ok()
        });
        Self { child, port, log }
    }

    /// The same for a server that says nothing, on a port that is known.
    pub fn start_on(command: Command, port: u16) -> Self {
        let (child, log) = spawn(command);
        wait_for("the port to open", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Self { child, port, log }
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line of the log that holds `text`.
    pub fn wait_for_log(&self, text: &str) {
        wait_for(&format!("the log to say {text:?}"), || self.log().contains(text).then_some(()));
    }

    pub fn browser(&self) -> Browser {
        Browser::new(self.port)
    }

    pub fn signed_in(&self) -> Browser {
        let browser = self.browser();
        browser.sign_in();
        browser
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that keeps the session cookie, says where its forms come from as browsers do, and
/// follows nothing by itself.
pub struct Browser {
    agent: ureq::Agent,
    pub base: String,
    pub cookie: RefCell<Option<String>>,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn location(&self) -> &str {
        self.header("Location").unwrap_or_default()
    }
}

impl Browser {
    pub fn new(port: u16) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Self {
            agent: config.into(),
            base: format!("http://127.0.0.1:{port}"),
            cookie: RefCell::new(None),
        }
    }

    pub fn with_cookie(port: u16, cookie: &str) -> Self {
        let browser = Self::new(port);
        *browser.cookie.borrow_mut() = Some(cookie.to_owned());
        browser
    }

    pub fn get(&self, path: &str) -> Answer {
        self.try_get(path).unwrap()
    }

    pub fn try_get(&self, path: &str) -> Result<Answer, ureq::Error> {
        self.send("GET", path, &[], b"")
    }

    pub fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.try_post(path, form).unwrap()
    }

    pub fn try_post(&self, path: &str, form: &[(&str, &str)]) -> Result<Answer, ureq::Error> {
        let body: Vec<_> =
            form.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let kind = [("Content-Type", "application/x-www-form-urlencoded")];
        self.send("POST", path, &kind, body.join("&").as_bytes())
    }

    pub fn sign_in(&self) {
        let answer = self.post("/login", &[("username", USER), ("password", PASSWORD)]);
        assert_eq!(answer.status, 303, "{}", answer.body);
        assert!(self.cookie.borrow().is_some());
    }

    /// Whether the list of students is shown.
    pub fn is_signed_in(&self) -> bool {
        let answer = self.get("/brief_introduction");
        assert!(matches!(answer.status, 200 | 303), "{answer:?}");
        answer.status == 200
    }

    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, ureq::Error> {
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let safe = matches!(method, "GET" | "HEAD" | "OPTIONS");
        if !safe && !headers.iter().any(|(name, _)| *name == "Origin") {
            request = request.header("Origin", &self.base);
        }
        if let Some(cookie) = &*self.cookie.borrow() {
            request = request.header("Cookie", cookie);
        }
        let response = match body.is_empty() && method != "POST" {
            true => self.agent.run(request.body(()).unwrap())?,
            false => self.agent.run(request.body(body).unwrap())?,
        };
        let status = response.status().as_u16();
        let headers: Vec<_> = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        for (_, value) in headers.iter().filter(|(name, _)| name == "set-cookie") {
            let pair = value.split(';').next().unwrap().to_owned();
            // What only tells a browser to forget its pages.
            if pair.starts_with("signed_out=") {
                continue;
            }
            let removed = pair.ends_with('=');
            *self.cookie.borrow_mut() = (!removed).then_some(pair);
        }
        let body = response.into_body().read_to_string()?;
        Ok(Answer { status, headers, body })
    }
}

/// Percent-encodes everything but letters and digits.
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte.is_ascii_alphanumeric() {
            true => (byte as char).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// Whether a test that needs more than a Rust toolchain runs: `present`, or it is skipped aloud,
/// or, where `DEWAR_TEST_ALL` is set, it fails.
pub fn has(present: bool, what: &str, test: &str) -> bool {
    if !present {
        assert!(std::env::var_os("DEWAR_TEST_ALL").is_none(), "{test} needs {what}");
        // Past the harness's capture, so that it is seen.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {test} needs {what}");
    }
    present
}
