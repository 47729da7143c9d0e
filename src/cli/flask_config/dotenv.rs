//! `.env` files, as python-dotenv reads them for the `flask` command.

use std::collections::HashMap;

use figment::value::Dict;

use super::{Found, Problem, Unread, is_setting};
use crate::session::settings::env;

const PREFIX: &str = "FLASK_";
/// The longest name that is looked at. `A__B__C…` nests a table for each part.
const MAX_NAME: usize = 128;
/// How much text may be copied from one variable into others. Without a bound, `${A}${A}` would
/// double it with each line.
const MAX_COPIED: usize = 1 << 20;

/// Reads `FLASK_<NAME>` variables, and those that are named like a setting themselves.
pub fn read(text: &str) -> Found {
    let mut found = Found::default();
    let mut variables: HashMap<String, (usize, String)> = HashMap::new();
    let mut left = MAX_COPIED;
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut reader = Reader { rest: text.trim_start_matches('\u{feff}'), line: 1 };
    while let Some((line, binding)) = reader.binding() {
        let (name, why) = match binding {
            Ok(None) => continue,
            Ok(Some((name, value))) => match interpolate(&value, &variables, &mut left) {
                Some(value) => {
                    variables.insert(name, (line, value));
                    continue;
                }
                None => {
                    variables.remove(&name);
                    let name = name.strip_prefix(PREFIX).unwrap_or(&name).to_owned();
                    (Some(name), "refers to a variable that the file does not set before")
                }
            },
            Err(Unreadable) => (None, "is no variable"),
        };
        found.problem(|| Problem { line, name, unread: Unread { why, source: None } });
    }
    settings(variables, &mut found);
    found
}

/// Takes the settings among variables.
fn settings(variables: HashMap<String, (usize, String)>, found: &mut Found) {
    // In the order of their names, as Flask takes them; those that Flask itself takes win.
    let mut variables: Vec<_> = variables.into_iter().collect();
    variables.sort_by(|(a, _), (b, _)| (a.starts_with(PREFIX), a).cmp(&(b.starts_with(PREFIX), b)));
    let mut values = Dict::new();
    let mut lines: HashMap<String, usize> = HashMap::new();
    for (variable, (line, text)) in &variables {
        let flask = variable.strip_prefix(PREFIX);
        let name = flask.unwrap_or(variable);
        let top = name.split_once("__").map_or(name, |(table, _)| table);
        if !is_setting(top) || name.len() > MAX_NAME {
            continue;
        }
        if flask.is_some() && !env::is_setting(name) {
            let unread = Unread { why: "is for the flask command", source: None };
            let name = Some(variable.clone());
            found.problem(|| Problem { line: *line, name, unread });
            continue;
        }
        let last = lines.entry(top.to_owned()).or_default();
        *last = (*line).max(*last);
        env::set(&mut values, name, env::parse(name, text));
    }
    for (name, value) in values {
        let line = lines.get(&name).copied().unwrap_or_default();
        found.set(&name, line, Ok(value.into()));
    }
}

/// Puts the variables in for `${NAME}` and `${NAME:-default}`, in whatever quotes they stand.
/// Nothing if there is one that the process's environment would have to give.
fn interpolate(
    value: &str,
    variables: &HashMap<String, (usize, String)>,
    left: &mut usize,
) -> Option<String> {
    let mut result = String::new();
    let mut rest = value;
    while let Some((before, reference)) = rest.split_once("${") {
        if !reference.contains('}') {
            break;
        }
        result.push_str(before);
        let end = reference.find(['}', ':'])?;
        let (name, behind) = reference.split_at(end);
        let (default, behind) = match behind.strip_prefix(":-") {
            Some(behind) => behind.split_once('}').map(|(text, rest)| (Some(text), rest))?,
            None => match behind.strip_prefix('}') {
                Some(behind) => (None, behind),
                None => {
                    // `${A:` without a default is text.
                    result.push_str("${");
                    rest = reference;
                    continue;
                }
            },
        };
        let text = match variables.get(name) {
            Some((_, text)) => text,
            None => default?,
        };
        *left = left.checked_sub(text.len())?;
        result.push_str(text);
        rest = behind;
    }
    result.push_str(rest);
    Some(result)
}

/// A variable's name and value, if the line sets one.
type Binding = Result<Option<(String, String)>, Unreadable>;

struct Unreadable;

struct Reader<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Reader<'t> {
    /// The next line that is not blank, and what it sets: nothing if it is a comment or a name.
    fn binding(&mut self) -> Option<(usize, Binding)> {
        self.take(self.rest.len() - self.rest.trim_start().len());
        if self.rest.is_empty() {
            return None;
        }
        let line = self.line;
        let binding = self.assignment();
        if binding.is_err() {
            self.take(self.rest.find('\n').map_or(self.rest.len(), |end| end + 1));
        }
        Some((line, binding))
    }

    fn assignment(&mut self) -> Binding {
        if let Some(behind) = self.rest.strip_prefix("export")
            && behind.starts_with(is_blank)
        {
            self.take("export".len());
            self.blanks();
        }
        if self.rest.starts_with('#') {
            return self.line_end().map(|()| None);
        }
        let key = match self.rest.strip_prefix('\'') {
            Some(quoted) => {
                let key = quoted.split_once('\'').ok_or(Unreadable)?.0;
                self.take(key.len() + 2);
                key
            }
            None => {
                let stop = |c: char| c == '=' || c == '#' || c.is_whitespace();
                let end = self.rest.find(stop).unwrap_or(self.rest.len());
                self.take(end)
            }
        };
        if key.is_empty() {
            return Err(Unreadable);
        }
        self.blanks();
        if !self.rest.starts_with('=') {
            return self.line_end().map(|()| None);
        }
        self.take(1);
        self.blanks();
        let value = match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
            _ => {
                let value = self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
                before_comment(value).to_owned()
            }
        };
        self.line_end()?;
        Ok(Some((key.to_owned(), value)))
    }

    /// A quoted value, over several lines if need be.
    fn quoted(&mut self, quote: char) -> Result<String, Unreadable> {
        let inside = self.rest.get(1..).unwrap_or_default();
        let (mut end, mut escaped) = (None, false);
        for (at, c) in inside.char_indices() {
            if c == quote {
                // One behind a backslash ends the value only if none follows.
                end = Some(at);
                if !escaped {
                    break;
                }
            }
            // A backslash is no escape of another one here, as python-dotenv has it.
            escaped = c == '\\';
        }
        let value = inside.get(..end.ok_or(Unreadable)?).unwrap_or_default();
        self.take(value.len() + 2);
        Ok(unescape(value, quote))
    }

    /// Takes blanks and a comment, behind which the line has to end.
    fn line_end(&mut self) -> Result<(), Unreadable> {
        self.blanks();
        if self.rest.starts_with('#') {
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
        }
        match self.rest.is_empty() || self.rest.starts_with('\n') {
            true => Ok(()),
            false => Err(Unreadable),
        }
    }

    fn blanks(&mut self) {
        self.take(self.rest.len() - self.rest.trim_start_matches(is_blank).len());
    }

    fn take(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() && c != '\n'
}

/// A value without quotes ends at a `#` that follows a blank.
fn before_comment(value: &str) -> &str {
    let comment = value
        .char_indices()
        .zip(value.char_indices().skip(1))
        .find_map(|((at, blank), (_, hash))| (blank.is_whitespace() && hash == '#').then_some(at));
    value.get(..comment.unwrap_or(value.len())).unwrap_or_default().trim_end()
}

fn unescape(value: &str, quote: char) -> String {
    let mut result = String::with_capacity(value.len());
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = match (c, chars.peek(), quote) {
            ('\\', Some('\\'), _) => '\\',
            ('\\', Some('\''), _) => '\'',
            ('\\', Some('"'), '"') => '"',
            ('\\', Some('a'), '"') => '\x07',
            ('\\', Some('b'), '"') => '\x08',
            ('\\', Some('f'), '"') => '\x0c',
            ('\\', Some('n'), '"') => '\n',
            ('\\', Some('r'), '"') => '\r',
            ('\\', Some('t'), '"') => '\t',
            ('\\', Some('v'), '"') => '\x0b',
            _ => {
                result.push(c);
                continue;
            }
        };
        chars.next();
        result.push(escaped);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::super::value::Value;
    use super::*;

    fn text(source: &str, name: &str) -> (usize, String) {
        match read(source).settings.get(name).map(|setting| (setting.line, setting.value.clone())) {
            Some((line, Ok(Value::Text(text)))) => (line, text),
            _ => panic!("{source}"),
        }
    }

    #[test]
    fn values_are_read_as_python_dotenv_reads_them() {
        for (source, value) in [
            ("FLASK_A=x y", "x y"),
            ("  export  FLASK_A = x # comment", "x"),
            ("FLASK_A=x#y", "x#y"),
            ("FLASK_A= # all comment", "# all comment"),
            ("'FLASK_A'='x\\'y\\n' # comment", "x'y\\n"),
            ("FLASK_A=\"x\\ty\\q\\\"\"", "x\ty\\q\""),
            ("FLASK_A='two\nlines'", "two\nlines"),
            ("FLASK_A='x\\'", "x\\"),
            ("FLASK_A=x\r\nFLASK_B=y\r\n", "x"),
            ("B=b\nFLASK_A='${B}-${C:-c}'", "b-c"),
            ("FLASK_A=${B:c} $ {}", "${B:c} $ {}"),
            ("FLASK_A=x\nFLASK_A=", ""),
            ("A=x\nFLASK_A=y\nA=z", "y"),
        ] {
            assert_eq!(text(source, "A").1, value, "{source}");
        }
    }

    #[test]
    fn values_are_json_where_they_parse_and_tables_nest() {
        let found = read("FLASK_A=true\nFLASK_N=null\nFLASK_T__B=1\nFLASK_T__C=[2]\nA=0");
        assert!(matches!(found.settings["A"].value, Ok(Value::Bool(true))));
        assert!(matches!(found.settings["N"].value, Ok(Value::None)));
        let Ok(Value::Dict(table)) = &found.settings["T"].value else { panic!() };
        assert_eq!(table["B"], Value::Int(1));
        assert_eq!(table["C"], Value::List(vec![Value::Int(2)]));
        assert_eq!(found.settings["T"].line, 4);
    }

    #[test]
    fn what_sets_nothing_is_listed_by_its_line() {
        let source = "# comment\n\nFLASK_A\n=x\nFLASK_B=\"x\" y\nFLASK_C=${HOME}\nFLASK_APP=app\nlower=1\nFLASK_D='x";
        let found = read(source);
        assert!(found.settings.is_empty());
        let listed: Vec<_> = found.problems.iter().map(|p| (p.line, p.name.as_deref())).collect();
        let expected = [(4, None), (5, None), (6, Some("C")), (9, None), (7, Some("FLASK_APP"))];
        assert_eq!(listed, expected);
    }

    #[test]
    fn references_do_not_grow_without_bound() {
        let mut source = String::from("A0=0123456789\n");
        for i in 1..60 {
            source += &format!("A{i}=${{A{0}}}${{A{0}}}\n", i - 1);
        }
        let found = read(&source);
        assert!(found.settings.len() < 30 && !found.problems.is_empty());
    }
}
