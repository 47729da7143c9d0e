//! Talking to whoever sits at the terminal, and to pipes.

use std::io::{self, IsTerminal, Read, Write};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::Failure;
use crate::session::rfc3339;

/// A note on standard error.
pub fn note(message: &str) {
    let _ = writeln!(io::stderr(), "{message}");
}

/// Text on standard output. A reader that went away, as `head` does, ends nothing badly.
pub fn print(text: &str) -> Result<(), Failure> {
    offer(text).map(drop)
}

/// The same, and whether somebody still reads.
pub fn offer(text: &str) -> Result<bool, Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A value as JSON on standard output.
pub fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    print(&(serde_json::to_string_pretty(value)? + "\n"))
}

/// What a command has done: a line on standard error or, with `--json`, a value on standard output.
pub fn done(json: bool, message: &str, value: &impl Serialize) -> Result<(), Failure> {
    match json {
        true => print_json(value),
        false => {
            note(message);
            Ok(())
        }
    }
}

/// Rows under headings on standard output, columns aligned.
pub fn print_table<const N: usize>(
    headings: [&str; N],
    rows: &[[String; N]],
) -> Result<(), Failure> {
    print(&table(headings, rows))
}

/// Rows under headings as text, columns aligned.
pub fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([headings[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut table = String::new();
    for row in std::iter::once(headings.map(str::to_owned)).chain(rows.iter().cloned()) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line += &format!("{cell:width$}  ");
        }
        table += line.trim_end();
        table.push('\n');
    }
    table
}

/// Seconds since 1970 as `YYYY-MM-DD HH:MM:SS` in UTC.
pub fn time(seconds: i64) -> String {
    rfc3339(seconds, 0).replace('T', " ").trim_end_matches('Z').to_owned()
}

/// Asks for a line.
pub fn ask(question: &str) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage("there is no terminal to ask at; see --help for flags".into()));
    }
    let mut stderr = io::stderr();
    write!(stderr, "{question}")?;
    stderr.flush()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// Asks a question to be answered with yes.
pub fn confirm(question: &str) -> Result<bool, Failure> {
    Ok(matches!(ask(&format!("{question} [y/N] "))?.to_lowercase().as_str(), "y" | "yes"))
}

/// A new password: from standard input, or asked for twice without showing it, and with the length
/// that it is to have.
pub fn new_password(from_stdin: bool, min_length: usize) -> Result<String, Failure> {
    let password = if from_stdin {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => Failure::Usage("the password is not UTF-8 text".into()),
            _ => error.into(),
        })?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        line.strip_suffix('\r').unwrap_or(line).to_owned()
    } else {
        if !io::stdin().is_terminal() {
            return Err(Failure::Usage(
                "there is no terminal to ask for a password at; use --password-stdin".into(),
            ));
        }
        let question = format!("Password ({min_length} characters or more): ");
        let first = rpassword::prompt_password(question)?;
        if first != rpassword::prompt_password("The same again: ")? {
            return Err(Failure::Usage("the two passwords differ".into()));
        }
        first
    };
    if password.is_empty() {
        return Err(Failure::Usage("the password is empty".into()));
    }
    if password.contains('\n') {
        return Err(Failure::Usage("the password must be a single line".into()));
    }
    Ok(password)
}

/// A progress bar on standard error, shown on a terminal only.
pub fn progress(length: usize, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(length as u64);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len}") {
        bar.set_style(style);
    }
    bar.with_message(what)
}

/// The same for work whose length is not known.
pub fn counter(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{msg} {human_pos} ({per_sec})") {
        bar.set_style(style);
    }
    bar.with_message(what)
}
