//! What may be shown of a statement.

use super::statement::config_call;
use super::token::{Kind, Token};

/// The longest piece of a file that is shown, in characters.
pub const MAX_SHOWN: usize = 60;

/// Parts of names and values that tell of a secret.
const SECRETS: [&str; 11] =
    ["SECRET", "KEY", "PASS", "PWD", "TOKEN", "URI", "URL", "DSN", "CREDENTIAL", "SALT", "://"];

/// The methods whose strings are the names of files and objects.
const NAMING: [&str; 4] = ["from_object", "from_pyfile", "from_file", "from_envvar"];

/// How a statement of `source` stands there: the beginning of it, without comments and without
/// what its strings hold; nothing at all if it seems to be about a secret.
pub fn shown(statement: &[Token<'_>], source: &str) -> Option<String> {
    let (first, last) = (statement.first()?, statement.last()?);
    let whole = source.get(first.start..last.end())?.to_uppercase();
    if SECRETS.iter().any(|secret| whole.contains(secret)) {
        return None;
    }
    let names = config_call(statement).is_some_and(|(method, _)| NAMING.contains(&method));
    let mut text = String::new();
    let mut end = first.start;
    for token in statement {
        if token.start > end {
            text.push(' ');
        }
        end = token.end();
        match token.kind == Kind::Text && !names {
            true => text.push_str("'…'"),
            false => text.push_str(token.text),
        }
        if text.len() > MAX_SHOWN {
            break;
        }
    }
    let mut short: String = text.chars().take(MAX_SHOWN).collect();
    if short.len() < text.len() || end < last.end() {
        short.push('…');
    }
    Some(short.replace(char::is_control, " "))
}
