//! A private PostgreSQL.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Service;
use crate::support::{has, output_of};

/// Where Debian keeps the newest version's programs.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let mut found: Vec<_> = versions
        .map(|version| version.path().join("bin"))
        .filter(|dir| dir.join("initdb").is_file())
        .collect();
    found.sort();
    found.pop()
}

/// PostgreSQL with the role and the database `dewar`.
pub struct Postgres {
    service: Service,
    programs: PathBuf,
}

impl Postgres {
    /// Starts one, if this machine has the programs. `settings` are such as `-c`, `ssl=on`.
    pub fn start(test: &str, settings: &'static [&'static str]) -> Option<Self> {
        let programs = programs();
        has(programs.is_some(), "PostgreSQL (Debian's postgresql)", test);
        let programs = programs?;
        let dir = programs.clone();
        let service = Service::start("postgres", move |data, port| {
            if !data.join("data").exists() {
                prepare(&dir, data);
            }
            let mut command = unprivileged(&dir.join("postgres"));
            command.arg("-D").arg(data.join("data")).args(["-p", &port.to_string()]);
            command.args(["-c", "listen_addresses=127.0.0.1", "-c"]);
            command.arg(format!("unix_socket_directories={}", data.display())).args(settings);
            command
        });
        let server = Self { service, programs };
        server.wait_until_it_answers();
        Some(server)
    }

    /// The store's URL for it.
    pub fn url(&self) -> String {
        format!("postgresql+psycopg2://dewar:secret@127.0.0.1:{}/dewar", self.service.port)
    }

    pub fn dir(&self) -> &Path {
        self.service.dir()
    }

    /// Runs statements as the superuser and gives what they print.
    pub fn sql(&self, statements: &str) -> String {
        self.try_sql(statements).unwrap_or_else(|error| panic!("{statements}: {error}"))
    }

    fn try_sql(&self, statements: &str) -> Result<String, String> {
        let port = self.service.port.to_string();
        let mut command = Command::new(self.programs.join("psql"));
        command.env("PGOPTIONS", "-c default_transaction_read_only=off");
        command.args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-XAtq"]);
        command.args(["-v", "ON_ERROR_STOP=1", "-c", statements, "dewar"]);
        let output = command.output().unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    fn wait_until_it_answers(&self) {
        for _ in 0..1000 {
            if self.try_sql("SELECT 1").is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("PostgreSQL does not answer: {:?}", self.try_sql("SELECT 1"));
    }

    /// Ends all its processes at once.
    pub fn kill(&mut self) {
        signal("-KILL", &self.processes());
        self.service.kill();
    }

    /// Starts it again after [`kill`](Self::kill).
    pub fn restart(&mut self) {
        self.service.restart();
        self.wait_until_it_answers();
    }

    /// Hangs the server and every process that serves a connection.
    pub fn hang(&self) {
        signal("-STOP", &self.processes());
    }

    pub fn go_on(&self) {
        signal("-CONT", &self.processes());
    }

    /// The server, and its children, each of which leads a process group of its own.
    fn processes(&self) -> Vec<String> {
        let server = std::fs::read_to_string(self.dir().join("data/postmaster.pid")).unwrap();
        let server = server.lines().next().unwrap().to_owned();
        let children = format!("/proc/{server}/task/{server}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        let mut all = vec![server];
        all.extend(children.split_whitespace().map(str::to_owned));
        all
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

fn signal(name: &str, processes: &[String]) {
    // One of them may have ended by itself.
    let _ = Command::new("kill").arg(name).args(processes).output();
}

/// A command as the user `postgres` if this process is root's, whom PostgreSQL refuses.
fn unprivileged(program: &Path) -> Command {
    if user("-u", None) != 0 {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

fn user(which: &str, name: Option<&str>) -> u32 {
    let output = Command::new("id").arg(which).args(name).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

fn prepare(programs: &Path, dir: &Path) {
    if user("-u", None) == 0 {
        let owner = (user("-u", Some("postgres")), user("-g", Some("postgres")));
        chown(dir, Some(owner.0), Some(owner.1)).unwrap();
    }
    let data = dir.join("data");
    let run = |command: Command, input: &str| {
        let output = output_of(command, input.as_bytes());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let mut initdb = unprivileged(&programs.join("initdb"));
    initdb.arg("-D").arg(&data).args(["-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"]);
    initdb.args(["--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync"]);
    run(initdb, "");
    std::fs::write(
        data.join("pg_hba.conf"),
        "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n",
    )
    .unwrap();
    let mut single = unprivileged(&programs.join("postgres"));
    single.args(["--single", "-D"]).arg(&data).arg("postgres");
    run(single, "CREATE ROLE dewar LOGIN PASSWORD 'secret'\nCREATE DATABASE dewar OWNER dewar\n");
}
