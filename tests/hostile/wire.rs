//! Requests as bytes, and all answers that come back on one connection.
//!
//! Unlike [`raw`](super::raw), which stops at the first answer, this reads until the server closes,
//! so that a hang is told from a close and an answer too many is seen.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::support::Answer;

/// Longer than any answer takes on a busy machine, so that running into it is a hang.
const PATIENCE: Duration = Duration::from_secs(10);

pub const FORM: &str = "application/x-www-form-urlencoded";
pub const MULTIPART: &str = "multipart/form-data; boundary=x";

/// A request in the making; nothing in it is checked.
#[derive(Clone)]
pub struct Wire {
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Wire {
    /// A request line and nothing else.
    pub fn bare(line: impl AsRef<[u8]>) -> Self {
        Self { head: [line.as_ref(), b"\r\n"].concat(), body: Vec::new() }
    }

    /// A request that the server accepts and closes after.
    pub fn new(method: &str, target: impl AsRef<[u8]>) -> Self {
        let line = [method.as_bytes(), b" ", target.as_ref(), b" HTTP/1.1"].concat();
        Self::bare(line).header("Host", "dewar.test").header("Connection", "close")
    }

    pub fn get(target: impl AsRef<[u8]>) -> Self {
        Self::new("GET", target)
    }

    pub fn post(target: impl AsRef<[u8]>, kind: &str, body: impl AsRef<[u8]>) -> Self {
        Self::new("POST", target).header("Content-Type", kind).body(body)
    }

    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers([name.as_bytes(), b": ", value.as_ref(), b"\r\n"].concat())
    }

    /// Whole lines, each ending in CRLF.
    pub fn headers(mut self, lines: impl AsRef<[u8]>) -> Self {
        self.head.extend_from_slice(lines.as_ref());
        self
    }

    pub fn body(self, body: impl AsRef<[u8]>) -> Self {
        let length = body.as_ref().len().to_string();
        self.header("Content-Length", length).unframed(body)
    }

    pub fn chunked(self, body: &[u8]) -> Self {
        let mut chunks = Vec::new();
        for chunk in body.chunks(4096) {
            chunks.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            chunks.extend_from_slice(chunk);
            chunks.extend(b"\r\n");
        }
        chunks.extend(b"0\r\n\r\n");
        self.header("Transfer-Encoding", "chunked").unframed(chunks)
    }

    /// What follows the head, with no header that tells its length.
    pub fn unframed(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        [&self.head, &b"\r\n"[..], &self.body].concat()
    }

    /// The one answer to it.
    pub fn send(&self, port: u16) -> Answer {
        let mut answers = exchange(port, &self.bytes());
        let shown = String::from_utf8_lossy(&self.head[..self.head.len().min(300)]).into_owned();
        assert_eq!(answers.len(), 1, "answers to {shown:?}: {answers:?}");
        answers.remove(0)
    }
}

/// Sends `bytes` and gives every answer until the server closes, which it must.
pub fn exchange(port: u16, bytes: &[u8]) -> Vec<Answer> {
    read_all(write_all(port, bytes))
}

/// As [`exchange`], but ends its own side first: a message cut short.
pub fn exchange_cut(port: u16, bytes: &[u8]) -> Vec<Answer> {
    let socket = write_all(port, bytes);
    // It fails when the server has closed already.
    let _ = socket.shutdown(Shutdown::Write);
    read_all(socket)
}

fn write_all(port: u16, bytes: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    match socket.write_all(bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("the server does not read"),
        // A server that refuses early closes while there is still something to send.
        _ => socket,
    }
}

fn read_all(mut socket: TcpStream) -> Vec<Answer> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 65536]);
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                panic!("the server hangs after {:?}", String::from_utf8_lossy(&bytes));
            }
            // A reset follows an answer to what was not read to its end.
            Err(_) => break,
        }
    }
    answers(&bytes)
}

fn answers(mut bytes: &[u8]) -> Vec<Answer> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut answer = parse_head(&head);
        let length = answer.header("Content-Length").map_or(0, |length| length.parse().unwrap());
        bytes = &bytes[end + 4..];
        assert!(bytes.len() >= length, "an answer was cut short: {head}");
        answer.body = String::from_utf8_lossy(&bytes[..length]).into_owned();
        bytes = &bytes[length..];
        // 100 Continue announces an answer and is none.
        if answer.status >= 200 {
            found.push(answer);
        }
    }
    found
}

fn parse_head(head: &str) -> Answer {
    let (line, lines) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_lowercase(), value.trim().to_owned())
    };
    Answer {
        status: status.unwrap_or_else(|| panic!("no status line: {line:?}")),
        headers: lines.split("\r\n").filter(|line| !line.is_empty()).map(header).collect(),
        body: String::new(),
    }
}

/// A form as a browser encodes it.
pub fn urlencoded(fields: &[(&str, &str)]) -> String {
    let encode = super::support::encode;
    let field = |(name, value): &(&str, &str)| format!("{}={}", encode(name), encode(value));
    fields.iter().map(field).collect::<Vec<_>>().join("&")
}

/// The same as [`MULTIPART`].
pub fn multipart(fields: &[(&str, &str)]) -> String {
    let part = |(name, value): &(&str, &str)| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    fields.iter().map(part).collect::<String>() + "--x--\r\n"
}
