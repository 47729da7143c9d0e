//! What the program is built from: licences, sources, and nothing twice that should be there once.

use std::process::Command;

use serde_json::Value;

const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Unicode-3.0",
    "Zlib",
    "Unlicense",
    "CC0-1.0",
    "0BSD",
    "MIT-0",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "Apache-2.0 WITH LLVM-exception",
];

/// What would be a second HTTP or TLS stack in the program, or a native library to install.
const UNWANTED: &[&str] = &["openssl-sys", "native-tls", "reqwest", "h2", "actix-http", "isahc"];

fn cargo(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// All packages of a build for this machine, tests included, which are there once this runs.
fn packages() -> Vec<Value> {
    let version = String::from_utf8(cargo(&["-vV"])).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let metadata = cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--offline",
        "--filter-platform",
        host,
    ]);
    let metadata: Value = serde_json::from_slice(&metadata).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Whether an SPDX expression can be met with [`LICENCES`]. Parentheses only ever group
/// alternatives here, so "each AND part has an OR part that is allowed" decides it.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], "");
    expression
        .split(" AND ")
        .all(|part| part.split(" OR ").any(|licence| LICENCES.contains(&licence.trim())))
}

#[test]
fn every_dependency_has_a_licence_that_allows_this_use() {
    for package in packages() {
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(is_allowed(licence), "{} is under {licence:?}", package["name"]);
    }
    assert!(!is_allowed("GPL-3.0"));
    assert!(!is_allowed("MIT AND GPL-3.0"));
    assert!(!is_allowed(""));
}

#[test]
fn every_dependency_comes_from_the_registry() {
    for package in packages() {
        if package["name"] != "dewar" {
            let source = package["source"].as_str().unwrap_or("a path");
            assert!(source.starts_with("registry+"), "{} comes from {source}", package["name"]);
        }
    }
}

#[test]
fn there_is_one_http_stack_and_no_native_tls() {
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        assert!(!UNWANTED.contains(&name), "{name}");
    }
}

#[test]
fn sqlite_is_past_the_wal_reset_defect() {
    // Versions 3.7.0 to 3.51.2 could damage a database that two connections checkpoint at once.
    let version = rusqlite::version_number();
    assert!(version >= 3_051_003, "SQLite {version}");
}
