//! A private MariaDB.

use std::path::Path;
use std::process::Command;

use super::{Service, find};
use crate::support::has;

/// Run at each start.
const INIT: &str = "CREATE DATABASE IF NOT EXISTS dewar;
CREATE USER IF NOT EXISTS dewar@127.0.0.1 IDENTIFIED BY 'secret';
GRANT ALL ON dewar.* TO dewar@127.0.0.1;
";

/// MariaDB, with TLS where a test has put `own.pem` and `own.key`, with the account and the database `dewar`.
pub struct Mariadb {
    pub service: Service,
}

impl Mariadb {
    /// Starts one, if this machine has the program.
    pub fn start(test: &str) -> Option<Self> {
        let program = find("mariadbd");
        has(program.is_some(), "MariaDB (Debian's mariadb-server)", test);
        let program = program?;
        let service = Service::start("mariadbd", move |dir, port| {
            let data = dir.join("data");
            if !data.exists() {
                prepare(&data);
            }
            let mut command = Command::new(&program);
            command.args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1"]);
            command.arg(format!("--datadir={}", data.display()));
            command.arg(format!("--socket={}", dir.join("socket").display()));
            command.arg(format!("--pid-file={}", dir.join("pid").display()));
            command.arg(format!("--port={port}"));
            let init = dir.join("init.sql");
            std::fs::write(&init, INIT).unwrap();
            command.arg(format!("--init-file={}", init.display()));
            if dir.join("own.pem").exists() {
                command.arg(format!("--ssl-cert={}", dir.join("own.pem").display()));
                command.arg(format!("--ssl-key={}", dir.join("own.key").display()));
            }
            command
        });
        Some(Self { service })
    }

    /// The store's URL for it.
    pub fn url(&self) -> String {
        format!("mysql+pymysql://dewar:secret@127.0.0.1:{}/dewar", self.service.port)
    }

    /// Runs statements as root and gives what they print.
    pub fn sql(&self, statements: &str) -> String {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "-uroot", "-N", "-B", "-e", statements, "dewar"]);
        command.arg(format!("--socket={}", self.service.dir().join("socket").display()));
        let output = command.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{statements}: {error}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

fn prepare(data: &Path) {
    let mut install = Command::new("mariadb-install-db");
    install.args(["--no-defaults", "--user=root", "--auth-root-authentication-method=normal"]);
    install.args(["--skip-test-db", "--skip-log-bin"]);
    install.arg(format!("--datadir={}", data.display()));
    let output = install.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
