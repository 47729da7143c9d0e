//! TOML and JSON files, as Flask's `Config.from_file` takes them: the upper-case names at the top.

use std::collections::HashMap;

use figment::providers::{Format, Toml};
use figment::value::{Dict, Value as FigmentValue};
use toml_edit::ImDocument;

use super::{Found, Refusal};

/// Reads TOML.
///
/// # Errors
/// When it is none.
pub fn read_toml(text: &str) -> Result<Found, Refusal> {
    let breaks: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let line = |at: usize| 1 + breaks.partition_point(|end| *end < at);
    // Its own message alone: the whole error quotes the file, secrets and all.
    let document = ImDocument::parse(text).map_err(|error| Refusal {
        line: error.span().map(|span| line(span.start)),
        problem: format!("is no TOML: {}", error.message().replace('\n', "; ")),
    })?;
    let values: Dict = Toml::from_str(text)
        .map_err(|_| Refusal { line: None, problem: "is TOML that cannot be read".into() })?;
    Ok(found(values, |name| {
        let key = document.as_table().key(name).and_then(toml_edit::Key::span);
        key.map_or(1, |span| line(span.start))
    }))
}

/// Reads JSON.
///
/// # Errors
/// When it is none, or no object.
pub fn read_json(text: &str) -> Result<Found, Refusal> {
    let refuse = |problem| Refusal { line: None, problem };
    // Read into a value of any type, the error quotes nothing.
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|error| refuse(format!("is no JSON: {error}")))?;
    let Ok(FigmentValue::Dict(_, values)) = FigmentValue::serialize(json) else {
        return Err(refuse("is no JSON object".into()));
    };
    let lines = lines_of_keys(text);
    Ok(found(values, |name| lines.get(name).copied().unwrap_or(1)))
}

/// The line of each key of a JSON object, those of objects within left out.
fn lines_of_keys(json: &str) -> HashMap<&str, usize> {
    let (mut keys, mut last) = (HashMap::new(), None);
    let (mut depth, mut line) = (0_usize, 1);
    let mut bytes = json.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\n' => line += 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b':' if depth == 1 => keys.extend(last.take()),
            b'"' => {
                while let Some((end, byte)) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => {
                            last = json.get(at + 1..end).map(|key| (key, line));
                            break;
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    keys
}

fn found(values: Dict, line: impl Fn(&str) -> usize) -> Found {
    let mut found = Found::default();
    for (name, value) in values {
        found.set(&name, line(&name), Ok(value.into()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::value::Value;
    use super::*;

    fn int(found: &Found, name: &str) -> (usize, Option<i128>) {
        let setting = &found.settings[name];
        let value = match setting.value {
            Ok(Value::Int(value)) => Some(value),
            _ => None,
        };
        (setting.line, value)
    }

    #[test]
    fn upper_case_names_at_the_top_are_settings() {
        let toml = "lower = 1\nA = 2\n[B]\nC = 3\n[table]\nD = 4\n";
        let json = "{\"lower\": {\"A\": \"}\\\"\"},\n\"A\": 2,\n\n\"B\": {\"C\": 3},\n\"N\": null}";
        let found = [read_toml(toml), read_json(json)].map(|found| found.ok().unwrap());
        assert_eq!(found[0].settings.keys().collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(found[1].settings.keys().collect::<Vec<_>>(), ["A", "B", "N"]);
        for found in &found {
            assert_eq!(int(found, "A"), (2, Some(2)));
        }
        assert_eq!((int(&found[0], "B").0, int(&found[1], "B").0), (3, 4));
        assert!(matches!(found[1].settings["N"].value, Ok(Value::None)));
    }

    #[test]
    fn what_is_no_toml_or_json_is_refused_without_being_shown() {
        let deep = format!("A = {}", "[".repeat(100_000));
        for toml in ["SECRET_KEY = \"hush", "SECRET_KEY = hush", "A = 1\nA = 2", deep.as_str()] {
            let refusal = read_toml(toml).err().unwrap();
            assert!(!refusal.problem.contains("hush"), "{}", refusal.problem);
        }
        let deep = "[".repeat(100_000);
        for json in ["{\"SECRET_KEY\": \"hush", "\"hush\"", "[\"hush\"]", "hush", &deep, ""] {
            let refusal = read_json(json).err().unwrap();
            assert!(!refusal.problem.contains("hush"), "{}", refusal.problem);
        }
    }
}
