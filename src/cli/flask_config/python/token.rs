//! Python's tokens, grouped into logical lines with their indentation.

use std::ops::Range;

/// How deep f-strings may stand in f-strings. Python has no use for more than two or three.
const MAX_NESTED_STRINGS: usize = 16;

/// How deep blocks may stand in blocks: Python's own limit.
const MAX_BLOCKS: usize = 100;

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Kind {
    /// A name or a keyword.
    Name,
    /// A number, not looked into yet.
    Number,
    /// A string or bytes literal with its prefix and quotes.
    Text,
    /// An operator or a bracket.
    Op,
    /// A character that Python has no use for there.
    Bad,
}

/// A token and where it stands.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug))]
pub struct Token<'s> {
    /// What it is.
    pub kind: Kind,
    /// Its source text.
    pub text: &'s str,
    /// Where that begins, in bytes.
    pub start: usize,
    /// The line it begins on, from 1.
    pub line: usize,
}

impl Token<'_> {
    /// Where its source text ends, in bytes.
    pub fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether it is this operator or bracket.
    pub fn is(&self, op: &str) -> bool {
        self.kind == Kind::Op && self.text == op
    }

    /// Whether it is this name or keyword.
    pub fn is_name(&self, name: &str) -> bool {
        self.kind == Kind::Name && self.text == name
    }

    /// How it changes the number of open brackets.
    pub fn opens(&self) -> isize {
        match self.text {
            "(" | "[" | "{" => 1,
            ")" | "]" | "}" if self.kind == Kind::Op => -1,
            _ => 0,
        }
    }
}

/// A logical line: its tokens and how deep it is indented.
#[cfg_attr(test, derive(Debug))]
pub struct Line {
    /// How many blocks it stands in.
    pub level: usize,
    /// Its tokens; never none.
    pub tokens: Range<usize>,
}

/// What Python would not take a file apart for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Malformed {
    /// The line where it begins.
    pub line: usize,
    problem: &'static str,
}

const STRING: &str = "the string that begins here is not closed";
const BRACKET: &str = "the bracket that begins here is not closed";
const INDENTED: &str = "is indented too deeply";

/// A file's tokens.
#[cfg_attr(test, derive(Debug))]
pub struct Tokens<'s> {
    /// All of them.
    pub all: Vec<Token<'s>>,
    /// The logical lines they form.
    pub lines: Vec<Line>,
}

/// Takes `source` apart, in time and memory proportional to its length.
///
/// # Errors
/// When a string or a bracket is not closed, or blocks nest too deeply.
pub fn tokenize(source: &str) -> Result<Tokens<'_>, Malformed> {
    let mut scanner = Scanner { source, at: 0, line: 1, tokens: Vec::new() };
    let mut lines = Vec::new();
    let mut columns = vec![0];
    while scanner.at < source.len() {
        let column = scanner.indentation();
        let first = scanner.tokens.len();
        scanner.logical_line()?;
        let tokens = first..scanner.tokens.len();
        if tokens.is_empty() {
            continue;
        }
        while columns.last().is_some_and(|outer| *outer > column) {
            columns.pop();
        }
        if columns.last() != Some(&column) {
            columns.push(column);
        }
        if columns.len() > MAX_BLOCKS {
            let line = scanner.tokens.get(tokens.start).map_or(0, |token| token.line);
            return Err(Malformed { line, problem: INDENTED });
        }
        lines.push(Line { level: columns.len() - 1, tokens });
    }
    Ok(Tokens { all: scanner.tokens, lines })
}

struct Scanner<'s> {
    source: &'s str,
    at: usize,
    line: usize,
    tokens: Vec<Token<'s>>,
}

impl<'s> Scanner<'s> {
    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Takes a character. `\r\n` and a lone `\r` are line breaks like `\n`.
    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        if c == '\r' && self.peek() == Some('\n') {
            self.at += 1;
        }
        if !matches!(c, '\n' | '\r') {
            return Some(c);
        }
        self.line += 1;
        Some('\n')
    }

    fn bump_while(&mut self, mut wanted: impl FnMut(char) -> bool) {
        while self.peek().is_some_and(&mut wanted) {
            self.bump();
        }
    }

    fn push(&mut self, kind: Kind, start: usize, line: usize) {
        let text = self.source.get(start..self.at).unwrap_or_default();
        self.tokens.push(Token { kind, text, start, line });
    }

    /// The column of a line's first character. A tab leads to the next multiple of eight.
    fn indentation(&mut self) -> usize {
        let mut column = 0;
        self.bump_while(|c| {
            column = match c {
                ' ' => column + 1,
                '\t' => column / 8 * 8 + 8,
                '\x0c' => 0,
                _ => return false,
            };
            true
        });
        column
    }

    /// Takes tokens to the end of a line that no bracket or backslash continues.
    fn logical_line(&mut self) -> Result<(), Malformed> {
        let mut open: Vec<(char, usize)> = Vec::new();
        while let Some(c) = self.peek() {
            let (start, line) = (self.at, self.line);
            match c {
                '\n' | '\r' => {
                    self.bump();
                    if open.is_empty() {
                        return Ok(());
                    }
                }
                ' ' | '\t' | '\x0c' => {
                    self.bump();
                }
                '#' => self.bump_while(|c| c != '\n' && c != '\r'),
                '\\' => {
                    self.bump();
                    match self.peek() {
                        Some('\n' | '\r') => drop(self.bump()),
                        _ => self.push(Kind::Bad, start, line),
                    }
                }
                '"' | '\'' => self.text(start, 0)?,
                '0'..='9' => self.number(),
                '.' if self.rest().strip_prefix('.').is_some_and(has_digit_first) => self.number(),
                _ if c.is_alphabetic() || c == '_' => {
                    self.bump_while(|c| c.is_alphanumeric() || c == '_');
                    let prefix = self.source.get(start..self.at).unwrap_or_default();
                    match self.peek() {
                        Some('"' | '\'') if is_prefix(prefix) => self.text(start, 0)?,
                        _ => self.push(Kind::Name, start, line),
                    }
                }
                '(' | '[' | '{' => {
                    open.push((c, line));
                    self.bump();
                    self.push(Kind::Op, start, line);
                }
                ')' | ']' | '}' => {
                    let opened = open.pop().map(|(opened, _)| opened);
                    let matching = matches!(
                        (opened, c),
                        (Some('('), ')') | (Some('['), ']') | (Some('{'), '}')
                    );
                    self.bump();
                    self.push(if matching { Kind::Op } else { Kind::Bad }, start, line);
                }
                _ => {
                    let op = operator(self.rest());
                    self.at += op.unwrap_or(c.len_utf8());
                    self.push(if op.is_some() { Kind::Op } else { Kind::Bad }, start, line);
                }
            }
        }
        match open.first() {
            None => Ok(()),
            Some(&(_, line)) => Err(Malformed { line, problem: BRACKET }),
        }
    }

    fn number(&mut self) {
        let (start, line) = (self.at, self.line);
        let radix = ["0x", "0X", "0b", "0B", "0o", "0O"].iter().any(|p| self.rest().starts_with(p));
        while let Some(c) = self.peek().filter(|c| c.is_alphanumeric() || matches!(c, '_' | '.')) {
            self.bump();
            let signed = self.rest().strip_prefix(['+', '-']);
            if !radix && matches!(c, 'e' | 'E') && signed.is_some_and(has_digit_first) {
                self.bump();
            }
        }
        self.push(Kind::Number, start, line);
    }

    /// A string literal whose prefix, from `start` on, is behind and whose quote is next.
    fn text(&mut self, start: usize, depth: usize) -> Result<(), Malformed> {
        let line = self.line;
        self.quoted(start, depth)?;
        if depth == 0 {
            self.push(Kind::Text, start, line);
        }
        Ok(())
    }

    fn quoted(&mut self, start: usize, depth: usize) -> Result<(), Malformed> {
        let line = self.line;
        let unclosed = || Malformed { line, problem: STRING };
        if depth > MAX_NESTED_STRINGS {
            return Err(unclosed());
        }
        let prefix = self.source.get(start..self.at).unwrap_or_default().to_ascii_lowercase();
        let (raw, formatted) = (prefix.contains('r'), prefix.contains(['f', 't']));
        let quote = self.bump().ok_or_else(unclosed)?;
        let twice = [quote, quote].iter().collect::<String>();
        let closing = match self.rest().starts_with(&twice) {
            true => {
                self.at += 2;
                format!("{quote}{twice}")
            }
            false => quote.to_string(),
        };
        loop {
            if self.rest().starts_with(&closing) {
                self.at += closing.len();
                return Ok(());
            }
            match self.bump().ok_or_else(unclosed)? {
                '\\' if formatted && !raw && self.rest().starts_with("N{") => {
                    self.bump_while(|c| c != '}' && c != quote && c != '\n');
                }
                '\\' if formatted && matches!(self.peek(), Some('{' | '}')) => {}
                '\\' => drop(self.bump().ok_or_else(unclosed)?),
                '\n' if closing.len() == 1 => return Err(unclosed()),
                '{' if formatted && self.peek() == Some('{') => drop(self.bump()),
                '{' if formatted => self.replacement(&closing, depth).ok_or_else(unclosed)?,
                _ => {}
            }
        }
    }

    /// The `{…}` of an f-string, whose brace is behind. The expression may hold strings in the
    /// quotes that are around it, its format more braces.
    fn replacement(&mut self, closing: &str, depth: usize) -> Option<()> {
        let (mut brackets, mut format) = (0_usize, false);
        loop {
            let start = self.at;
            if format && self.rest().starts_with(closing) {
                return None;
            }
            match self.bump()? {
                '}' if brackets == 0 || format => return Some(()),
                '{' if format => {
                    // One level for each: formats nest no deeper than f-strings may.
                    (depth < MAX_NESTED_STRINGS).then_some(())?;
                    self.replacement(closing, depth + 1)?;
                }
                _ if format => {}
                ':' if brackets == 0 => format = true,
                '(' | '[' | '{' => brackets += 1,
                ')' | ']' | '}' => brackets = brackets.saturating_sub(1),
                '"' | '\'' => {
                    self.at = start;
                    self.text(start, depth + 1).ok()?;
                }
                c if c.is_alphabetic() || c == '_' => {
                    self.bump_while(|c| c.is_alphanumeric() || c == '_');
                    let prefix = self.source.get(start..self.at)?;
                    if is_prefix(prefix) && matches!(self.peek(), Some('"' | '\'')) {
                        self.text(start, depth + 1).ok()?;
                    }
                }
                _ => {}
            }
        }
    }
}

fn has_digit_first(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

fn is_prefix(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["r", "u", "b", "f", "t", "br", "rb", "fr", "rf", "tr", "rt"].contains(&lower.as_str())
}

/// The length of the operator that `rest` begins with.
fn operator(rest: &str) -> Option<usize> {
    const LONG: &[&str] = &[
        "**=", "//=", ">>=", "<<=", "...", "**", "//", ">>", "<<", "==", "!=", "<=", ">=", "->",
        ":=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "@=",
    ];
    let long = LONG.iter().find(|op| rest.starts_with(**op)).map(|op| op.len());
    long.or_else(|| rest.starts_with(|c| "+-*/%@&|^~<>=,:;.".contains(c)).then_some(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each logical line's level and its tokens' texts.
    fn lines(source: &str) -> Vec<(usize, Vec<&str>)> {
        let tokens = tokenize(source).unwrap();
        let texts = |line: &Line| tokens.all[line.tokens.clone()].iter().map(|t| t.text).collect();
        tokens.lines.iter().map(|line| (line.level, texts(line))).collect()
    }

    #[test]
    fn brackets_and_backslashes_join_lines_and_comments_are_no_tokens() {
        let source = "A = [1, # one\n  2,\n]\nB = 1 \\\n  + 2\r\n# only this\n\nC='''x\ny'''\rD";
        let expected = [
            vec!["A", "=", "[", "1", ",", "2", ",", "]"],
            vec!["B", "=", "1", "+", "2"],
            vec!["C", "=", "'''x\ny'''"],
            vec!["D"],
        ];
        assert_eq!(lines(source), expected.map(|tokens| (0, tokens)));
        let tokens = tokenize(source).unwrap().all;
        assert_eq!(tokens.last().map(|token| token.line), Some(10));
    }

    #[test]
    fn indentation_is_counted_in_blocks() {
        let source = "if a:\n    b\n\n  # comment\n    if c:\n\td\n    e\nf\n  g";
        let levels: Vec<_> = lines(source).into_iter().map(|(level, _)| level).collect();
        assert_eq!(levels, [0, 1, 1, 2, 1, 0, 1]);
    }

    #[test]
    fn a_string_ends_where_python_ends_it() {
        for text in [
            r"'a\'b'",
            r#"rb"\"""#,
            r#""""a"b""c\"""""#,
            "''",
            "'a\\\n b'",
            "'a\\\r\n b'",
            r#"f"{x['a']}""#,
            r#"f"{x["a"]} {{ }} {y!r:>{width}}""#,
            r#"f'{", ".join(f"{z:'>3}" for z in "}")}'"#,
            r#"f"\N{EM DASH}{x}""#,
            "f'''{\n x\n}'''",
        ] {
            assert_eq!(lines(&format!("{text} end")), [(0, vec![text, "end"])], "{text}");
        }
    }

    #[test]
    fn what_is_not_closed_is_told_by_the_line_it_begins_on() {
        let nested: String = (0..200).map(|i| format!("{}if x:\n", " ".repeat(i))).collect();
        for (source, line, problem) in [
            ("A = 1\nB = 'x\nC = 2", 2, STRING),
            ("\n\nB = '''x\ny", 3, STRING),
            ("A = [\n(1,\n2", 1, BRACKET),
            ("f'{x", 1, STRING),
            ("f'{x:'", 1, STRING),
            ("'\\", 1, STRING),
            (&nested, 101, INDENTED),
        ] {
            assert_eq!(tokenize(source).unwrap_err(), Malformed { line, problem }, "{source}");
        }
    }

    #[test]
    fn numbers_and_operators_are_taken_whole() {
        let source = "1_000 0xFFe+1 1e-5 .5 1. a.b **=**//->... 5if";
        let expected = [
            "1_000", "0xFFe", "+", "1", "1e-5", ".5", "1.", "a", ".", "b", "**=", "**", "//", "->",
            "...", "5if",
        ];
        assert_eq!(lines(source), [(0, expected.to_vec())]);
    }

    #[test]
    fn what_python_does_not_know_is_a_bad_token_and_no_end() {
        let tokens = tokenize("A = $ ) ?\nB = 1").unwrap();
        let bad: Vec<_> = tokens.all.iter().filter(|t| t.kind == Kind::Bad).collect();
        assert_eq!(bad.iter().map(|t| t.text).collect::<Vec<_>>(), ["$", ")", "?"]);
        assert_eq!(tokens.lines.len(), 2);
    }
}
