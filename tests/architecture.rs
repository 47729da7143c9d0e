//! The layers: what a part of the program may import. Arrows point down only.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each part and the parts of this crate that it may import.
const ALLOWED: &[(&str, &[&str])] = &[
    ("descriptors", &[]),
    ("sqlite", &[]),
    ("sql", &[]),
    ("session", &["sql", "sqlite"]),
    ("db", &["sql", "sqlite"]),
    ("auth", &["session", "db", "sql", "sqlite"]),
    ("students", &["db", "sql", "sqlite"]),
    ("config", &["session", "auth", "db", "sql"]),
    ("logging", &["config", "session"]),
    ("clients", &["config", "descriptors"]),
    ("metrics", &["descriptors", "logging", "session"]),
    ("pages", &["auth", "students", "clients", "config", "session", "db", "metrics"]),
    (
        "cli",
        &[
            "lib",
            "clients",
            "config",
            "descriptors",
            "auth",
            "students",
            "session",
            "db",
            "sqlite",
            "logging",
            "metrics",
        ],
    ),
    ("lib", &["pages", "config", "auth", "students", "session", "db", "sqlite", "metrics"]),
    ("main", &["cli"]),
];

/// Files of the session layer that know nothing of Rocket.
const PURE: &[&str] = &["data", "date", "value", "codec", "signing", "token"];

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn source_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The part a file belongs to: its first folder or its name.
fn part_of(file: &Path) -> String {
    let relative = file.strip_prefix(source_dir()).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// What follows `crate::` in the code before the unit tests.
fn imports(file: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap();
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    code.split("crate::")
        .skip(1)
        .map(|rest| {
            rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned()
        })
        .map(|name| match name.as_str() {
            "" | "StartError" | "rocket" => "lib".to_owned(),
            _ => name,
        })
        .collect()
}

#[test]
fn imports_point_down_only() {
    for file in sources(&source_dir()) {
        let part = part_of(&file);
        let (_, allowed) = ALLOWED
            .iter()
            .find(|(known, _)| *known == part)
            .unwrap_or_else(|| panic!("{}: give {part} its place in this test", file.display()));
        for import in imports(&file) {
            // `lib.rs` opens with a `cfg`, and may import whatever it declares.
            let fine = import == part || allowed.contains(&import.as_str()) || part == "lib";
            assert!(fine, "{} imports {import}, which is above {part}", file.display());
        }
    }
}

#[test]
fn the_pure_parts_of_the_session_layer_know_nothing_of_rocket() {
    for file in sources(&source_dir().join("session")) {
        let relative = file.strip_prefix(source_dir().join("session")).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_string_lossy();
        if PURE.contains(&first.trim_end_matches(".rs")) {
            let text = std::fs::read_to_string(&file).unwrap();
            assert!(!text.contains("rocket"), "{}", file.display());
        }
    }
}

#[test]
fn one_store_never_imports_another() {
    let dir = source_dir().join("session/store");
    let stores: Vec<String> = sources(&dir)
        .iter()
        .map(|file| file.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    for file in sources(&dir) {
        let text = std::fs::read_to_string(&file).unwrap();
        let own = file.file_stem().unwrap().to_string_lossy();
        for other in stores.iter().filter(|other| **other != own) {
            assert!(
                !text.contains(&format!("store::{other}")),
                "{} imports {other}",
                file.display()
            );
        }
    }
}
