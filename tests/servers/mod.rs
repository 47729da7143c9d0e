//! Private servers for tests: each on a free port of this machine, with throwaway data, ended with
//! the test.

#![allow(dead_code)]

pub mod mariadb;
pub mod memcached;
#[cfg(feature = "mongodb")]
pub mod mongodb;
pub mod outage;
pub mod postgres;
pub mod redis;

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Makes the command from a directory for data and a port.
type Start = dyn Fn(&Path, u16) -> Command + Send + Sync;

/// A server that can be stopped, hung, killed and started again on its port and its data.
pub struct Service {
    program: &'static str,
    command: Box<Start>,
    child: Option<Child>,
    pub port: u16,
    dir: TempDir,
}

impl Service {
    /// Starts what `command` makes of a directory for data and a port, and waits until it takes
    /// connections.
    pub fn start(
        program: &'static str,
        command: impl Fn(&Path, u16) -> Command + Send + Sync + 'static,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut service =
            Self { program, command: Box::new(command), child: None, port: free_port(), dir };
        service.restart();
        service
    }

    /// Where its data is.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts it again after [`kill`](Self::kill).
    pub fn restart(&mut self) {
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        let mut command = (self.command)(self.dir.path(), self.port);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.program));
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = child.try_wait().unwrap();
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
                let _ = child.kill();
                panic!("{} does not start ({ended:?}): {log}", self.program);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child = Some(child);
    }

    /// Ends it at once, its data staying.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // One that is hung is ended by this signal alone.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Hangs it: it keeps its connections and answers nothing.
    pub fn hang(&self) {
        self.signal("-STOP");
        // A thread goes on until it notices.
        while !self.threads().iter().all(|state| *state == b'T') {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The states of its threads, as Linux tells them.
    fn threads(&self) -> Vec<u8> {
        let pid = self.child.as_ref().expect("a running server").id();
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().map_while(Result::ok);
        // One that ends meanwhile has no state.
        let stats = threads.filter_map(|thread| std::fs::read(thread.path().join("stat")).ok());
        // After the name, which is in parentheses.
        let state = |stat: &Vec<u8>| Some(stat[stat.iter().rposition(|byte| *byte == b')')? + 2]);
        stats.filter_map(|stat| state(&stat)).collect()
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("a running server").id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The settings in `docs/stores.md` that are of this `SESSION_TYPE`.
pub fn documented(kind: &str) -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/stores.md");
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let of_kind = format!("SESSION_TYPE = \"{kind}\"");
    blocks.filter(|block| block.contains(&of_kind)).map(str::to_owned).collect()
}

/// A port of the loopback interface that nobody uses.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Where a program is, in `PATH` or in one of the directories that Debian keeps servers in.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/usr/local/bin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(more)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}
