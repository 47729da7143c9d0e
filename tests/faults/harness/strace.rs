//! Faults of system calls, injected into a running server by strace.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::run;
use crate::support::has;

/// Whether strace is there and may trace.
pub fn is_here(test: &str) -> bool {
    has(run("strace", &["-f", "-o", "/dev/null", "true"]), "strace, allowed to trace", test)
}

/// Attached to a process until it is dropped.
pub struct Strace {
    child: Child,
    dir: TempDir,
}

impl Strace {
    pub fn attach(pid: u32, arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new("strace")
            .args(["-f", "-o", dir.path().join("log").to_str().unwrap(), "-p", &pid.to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let attached = said.by_ref().find(|line| line.contains("attached"));
        assert!(attached.is_some(), "strace does not attach");
        // What it says later must not fill the pipe.
        std::thread::spawn(move || said.for_each(drop));
        Self { child, dir }
    }

    pub fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// How many calls were made to fail.
    pub fn injected(&self) -> usize {
        let log = std::fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(&log).matches("(INJECTED)").count()
    }

    /// Lets go of the process.
    pub fn detach(&mut self) {
        run("kill", &["-INT", &self.child.id().to_string()]);
        let _ = self.child.wait();
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        self.detach();
    }
}
