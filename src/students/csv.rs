//! Students as CSV: a header `id,name,age,gender` in any order, one student a row.

use std::collections::HashMap;
use std::io::{Read, Write};

use super::Student;

const COLUMNS: [&str; 4] = ["id", "name", "age", "gender"];

/// Why a file is not taken. Nothing of it is.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The file cannot be read or written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The first line does not name the columns.
    #[error("line 1: {0}; the header must be id,name,age,gender (age and gender may be left out)")]
    Header(String),
    /// A row is wrong.
    #[error("line {line}: {problem}")]
    Row {
        /// The file's line, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
}

/// Reads all rows, or tells of the first wrong one. A byte-order mark at the start is skipped.
///
/// # Errors
/// When the file is no such table, with the line.
pub fn read_csv(mut input: impl Read) -> Result<Vec<Student>, CsvError> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text);
    let header = reader.headers().map_err(|error| CsvError::Header(describe(&error)))?.clone();
    let mut column = HashMap::new();
    for (index, name) in header.iter().enumerate() {
        let name = name.to_lowercase();
        if !COLUMNS.contains(&&*name) {
            let separated = match name.contains(';') {
                true => "; the columns are to be separated by commas",
                false => "",
            };
            return Err(CsvError::Header(format!("unknown column {name:?}{separated}")));
        }
        if column.insert(name.clone(), index).is_some() {
            return Err(CsvError::Header(format!("column {name:?} stands twice")));
        }
    }
    if let Some(missing) = ["id", "name"].iter().find(|name| !column.contains_key(**name)) {
        return Err(CsvError::Header(format!("column {missing:?} is missing")));
    }

    let mut students = Vec::new();
    let mut lines = HashMap::new();
    for record in reader.records() {
        let record = record.map_err(|error| CsvError::Row {
            line: error.position().map_or(0, |position| position.line()),
            problem: describe(&error),
        })?;
        let line = record.position().map_or(0, |position| position.line());
        let wrong = |problem| CsvError::Row { line, problem };
        if record.len() != header.len() {
            let problem = format!("{} fields where the header has {}", record.len(), header.len());
            return Err(wrong(problem));
        }
        let field = |name: &str| {
            column.get(name).and_then(|index| record.get(*index)).filter(|text| !text.is_empty())
        };
        let student = Student {
            id: number(field("id"), "id").map_err(wrong)?.unwrap_or(0),
            name: field("name").unwrap_or_default().to_owned(),
            age: number(field("age"), "age").map_err(wrong)?,
            gender: field("gender").map(str::to_owned),
        };
        if let Some(problem) = student.problem() {
            return Err(wrong(problem));
        }
        if let Some(first) = lines.insert(student.id, line) {
            return Err(wrong(format!("id {} stands already in line {first}", student.id)));
        }
        students.push(student);
    }
    Ok(students)
}

fn number<T: std::str::FromStr>(text: Option<&str>, name: &str) -> Result<Option<T>, String> {
    let Some(text) = text else { return Ok(None) };
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits => Ok(Some(number)),
        _ => Err(format!("the {name} {text:?} is not a whole number in range")),
    }
}

fn describe(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "not UTF-8 text".into(),
        _ => error.to_string(),
    }
}

/// Writes the header and each student that `students` hands on.
///
/// # Errors
/// When `output` cannot be written.
pub fn write_csv(
    output: impl Write,
    students: impl IntoIterator<Item = Student>,
) -> Result<(), CsvError> {
    let mut writer = csv::Writer::from_writer(output);
    let failed = |error: csv::Error| CsvError::Io(error.into());
    writer.write_record(COLUMNS).map_err(failed)?;
    for student in students {
        let (id, age) = (student.id.to_string(), student.age.map(|age| age.to_string()));
        let row = [
            &id,
            &student.name,
            age.as_deref().unwrap_or(""),
            student.gender.as_deref().unwrap_or(""),
        ];
        writer.write_record(row).map_err(failed)?;
    }
    writer.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &[u8]) -> String {
        read_csv(text).expect_err("accepted").to_string()
    }

    #[test]
    fn what_is_written_reads_back() {
        let students = vec![
            Student {
                id: 1,
                name: "Steel \"Eggs\", Jr.".into(),
                age: Some(17),
                gender: Some("Unknown".into()),
            },
            Student { id: 7, name: "Zoë".into(), age: None, gender: None },
        ];
        let mut bytes = Vec::new();
        write_csv(&mut bytes, students.clone()).unwrap();
        assert_eq!(read_csv(&*bytes).unwrap(), students);
    }

    #[test]
    fn columns_may_come_in_any_order_and_with_a_mark_and_windows_lines() {
        let students =
            read_csv(&b"\xef\xbb\xbfName, ID\r\nIron Egg, 2\r\n\r\nX,3\r\n"[..]).unwrap();
        assert_eq!(students.len(), 2);
        assert_eq!((students[0].id, &*students[0].name), (2, "Iron Egg"));
    }

    #[test]
    fn a_wrong_row_is_named_by_its_line() {
        for (row, part) in [
            ("x,Name,1,", "id \"x\""),
            ("+1,Name,1,", "id \"+1\""),
            ("0,Name,1,", "1 or more"),
            (",Name,1,", "1 or more"),
            ("99999999999999999999,Name,1,", "range"),
            ("2,,1,", "name"),
            ("2,Name,999,", "age"),
            ("2,Name,-1,", "age"),
            ("2,Name", "2 fields"),
            ("2,\"a\nb\",1,", "name"),
            ("1,Again,1,", "line 2"),
        ] {
            let shown = problem(format!("id,name,age,gender\n1,First,1,\n{row}\n").as_bytes());
            assert!(shown.starts_with("line 3: ") && shown.contains(part), "{row}: {shown}");
        }
        assert!(problem(b"id,name\n1,\xff\n").contains("UTF-8"));
    }

    #[test]
    fn a_wrong_header_is_named() {
        assert!(problem(b"").contains("missing"));
        assert!(problem(b"1,Steel Eggs\n").contains("unknown column"));
        assert!(problem(b"id,id,name\n").contains("twice"));
        assert!(problem(b"id;name;age;gender\n").contains("separated by commas"));
    }
}
