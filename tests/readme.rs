//! The README and the commented Rocket.toml say what the program does.

mod support;

use std::path::Path;

use support::{Site, dewar, output_of};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

/// The lines of all shell blocks that run the program, without prompts and comments.
fn commands() -> Vec<Vec<String>> {
    readme()
        .split("```sh\n")
        .skip(1)
        .flat_map(|block| {
            block.split("```").next().unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .filter_map(|line| {
            let line = line.split('#').next().unwrap().trim().to_owned();
            let arguments =
                line.strip_prefix("cargo run --release -- ").or(line.strip_prefix("dewar"))?;
            Some(arguments.split_whitespace().map(str::to_owned).collect())
        })
        .collect()
}

#[test]
fn each_command_of_the_readme_exists_with_its_flags() {
    let commands = commands();
    assert!(commands.len() > 8, "{commands:?}");
    for command in commands {
        // A file name or account ends the names of commands; flags are looked up in the help.
        let names = [
            "demo", "init", "students", "import", "user", "add", "sessions", "list", "revoke",
            "audit", "backup", "check",
        ];
        let path: Vec<&str> =
            command.iter().map(String::as_str).filter(|word| names.contains(word)).collect();
        let output = output_of(dewar(&[&path[..], &["--help"]].concat()), b"");
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{command:?}");
        for flag in command.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(flag.as_str()), "{command:?} has no {flag}");
        }
        assert!(command.is_empty() || !path.is_empty(), "{command:?}");
    }
}

#[test]
fn the_two_commands_are_there() {
    let readme = readme();
    assert!(readme.contains("```sh\ncargo run --release -- demo\n```"));
    assert!(readme.contains("```sh\ntests/all\n```"));
    assert!(root().join("tests/all").exists());
    let ci = std::fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(ci.lines().any(|line| line == "tests/all"));
}

#[test]
fn every_setting_stands_in_its_document_and_in_rocket_toml() {
    let [document, toml] = ["docs/settings.md", "Rocket.toml"]
        .map(|name| std::fs::read_to_string(root().join(name)).unwrap());
    for (key, _) in dewar::config::keys() {
        assert!(document.contains(&format!("| `{key}` |")), "{key} is missing in docs/settings.md");
        let line = |line: &str| line.trim_start_matches("# ").starts_with(&format!("{key} = "));
        assert!(toml.lines().any(line), "{key} is missing in Rocket.toml");
    }
}

#[test]
fn rocket_toml_is_valid_with_every_setting_switched_on() {
    let toml = std::fs::read_to_string(root().join("Rocket.toml")).unwrap();
    let on: String = toml
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(setting) if setting.split_once(" = ").is_some_and(|(key, _)| is_key(key)) => {
                setting
            }
            _ => line,
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let site = Site::empty("");
    for dir in ["templates", "static"] {
        std::fs::create_dir(site.path().join(dir)).unwrap();
    }
    for text in [&toml, &on] {
        std::fs::write(site.path().join("Rocket.toml"), text).unwrap();
        assert!(site.run(&["check"]).contains("SESSION_COOKIE_NAME"));
    }
    assert!(on.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')).count() > 25);
}

fn is_key(key: &str) -> bool {
    key.chars().all(|c| c.is_ascii_alphabetic() || c == '_')
}

#[test]
fn the_links_lead_to_files() {
    let docs = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let documents = docs.filter(|path| path.extension().is_some_and(|end| end == "md"));
    for document in documents.chain([root().join("README.md")]) {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            if !target.starts_with("http") {
                let path = document.parent().unwrap().join(target);
                assert!(path.exists(), "{target} in {}", document.display());
            }
        }
    }
}
