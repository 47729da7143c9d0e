//! What the tests of faults share.

pub mod group;
pub mod load;
pub mod mount;
pub mod proxy;
pub mod row;
pub mod strace;

use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::support::{Browser, PASSWORD, Server, Site, USER};

/// Whether everything is done as often as documented.
pub fn full() -> bool {
    std::env::var_os("DEWAR_FAULTS").is_some_and(|mode| mode == "full")
}

/// How often: `short` by default, `long` in full.
pub fn times(short: usize, long: usize) -> usize {
    if full() { long } else { short }
}

/// Whether the kernel can do what a test needs and no package brings, or it is skipped aloud.
pub fn kernel_has(able: bool, what: &str, test: &str) -> bool {
    if !able {
        let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: this kernel has no {what}");
    }
    able
}

pub fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// A site whose database is in another directory than its configuration.
pub fn site_in(dir: &Path, settings: &str) -> Site {
    let site = Site::empty("");
    let database = dir.join("dewar.db");
    let text = format!("[default]\nport = 0\nDATABASE = {database:?}\n{settings}\n");
    std::fs::write(site.path().join("Rocket.toml"), text).unwrap();
    fill(&site);
    site
}

/// Adds the account of [`Browser::sign_in`], those of the load, and students.
pub fn fill(site: &Site) {
    for name in std::iter::once(USER.to_owned()).chain((0..load::CLIENTS).map(load::name)) {
        site.run_with_input(&["user", "add", &name, "--password-stdin"], PASSWORD);
    }
    let students = "id,name,age,gender\n1,Steel Eggs,17,Unknown\n2,Iron Egg,19,male\n";
    site.run_with_input(&["students", "import", "-"], students);
}

/// A site with the accounts of the load.
pub fn site(settings: &str) -> Site {
    let site = Site::empty(settings);
    fill(&site);
    site
}

pub fn sign_in(server: &Server) -> u16 {
    server.browser().post("/login", &[("username", USER), ("password", PASSWORD)]).status
}

pub fn cookie_of(browser: &Browser) -> String {
    browser.cookie.borrow().clone().expect("a cookie")
}

/// What SQLite says of a file, which must be at rest.
pub fn assert_sound(database: &Path) {
    let connection = rusqlite::Connection::open(database).unwrap();
    let sound: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok", "{}", database.display());
}

/// A number of `/proc/PID/status`, in KiB.
pub fn memory(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
