//! One connection to memcached and the commands that sessions need, in its text protocol.
//!
//! Every command has an answer that is waited for. After an error nothing is known of what is
//! still on its way, so the connection must not be used again.

use std::time::Duration;

use rocket::tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use rocket::tokio::net::TcpStream;

use super::error::Failure;
use super::exptime;

/// The longest line taken from a server.
const MAX_LINE: u64 = 2048;
/// The longest value taken from a server. memcached itself takes a mebibyte if not told otherwise.
const MAX_VALUE: usize = 64 << 20;

/// An item as it was read.
pub struct Item {
    pub bytes: Vec<u8>,
    /// Its number, which changes with every write.
    pub unique: u64,
    /// How long it is sure to live, where the server tells.
    pub expires_in: Option<Duration>,
}

/// Whether a conditional write was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    Yes,
    /// The condition does not hold.
    No,
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    /// Whether the server is a memcached of version 1.6 or later, which tells how long an item
    /// will live.
    tells_time: bool,
}

impl Connection {
    pub async fn open(host: &str, port: u16) -> Result<Self, Failure> {
        let failed = |source| Failure::Connect { address: format!("{host}:{port}"), source };
        let stream = TcpStream::connect((host, port)).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let mut connection = Self { stream: BufReader::new(stream), tells_time: false };
        connection.tells_time = tells_time(&connection.version().await?);
        Ok(connection)
    }

    /// Whether the server has neither closed it nor said what nobody asked for.
    pub fn is_quiet(&self) -> bool {
        let nothing_yet = |result: std::io::Result<usize>| matches!(result, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
        self.stream.buffer().is_empty() && nothing_yet(self.stream.get_ref().try_read(&mut [0]))
    }

    pub async fn version(&mut self) -> Result<String, Failure> {
        let answer = self.ask(b"version\r\n").await?;
        answer.strip_prefix("VERSION ").map(str::to_owned).ok_or_else(|| refused(&answer, 0))
    }

    /// The item under `key`. One without a value counts as absent.
    pub async fn get(&mut self, key: &str) -> Result<Option<Item>, Failure> {
        let item = match self.tells_time {
            true => self.meta_get(key).await?,
            false => self.gets(key).await?,
        };
        Ok(item.filter(|item| !item.bytes.is_empty()))
    }

    async fn meta_get(&mut self, key: &str) -> Result<Option<Item>, Failure> {
        let answer = self.ask(format!("mg {key} v t c\r\n").as_bytes()).await?;
        let mut words = answer.split(' ');
        match words.next() {
            Some("EN") => Ok(None),
            Some("VA") => {
                let length = number(words.next())?;
                let (mut seconds, mut unique) = (None, None);
                for flag in words {
                    match flag.split_at_checked(1) {
                        Some(("t", value)) => seconds = Some(number::<i64>(Some(value))?),
                        Some(("c", value)) => unique = Some(number(Some(value))?),
                        _ => {}
                    }
                }
                let unique = unique.ok_or(Failure::Unexpected)?;
                let expires_in = seconds.and_then(exptime::left);
                Ok(Some(Item { bytes: self.value(length).await?, unique, expires_in }))
            }
            _ => Err(refused(&answer, 0)),
        }
    }

    async fn gets(&mut self, key: &str) -> Result<Option<Item>, Failure> {
        let answer = self.ask(format!("gets {key}\r\n").as_bytes()).await?;
        let words: Vec<&str> = answer.split(' ').collect();
        match *words {
            ["END"] => Ok(None),
            ["VALUE", _, _, length, unique] => {
                let (length, unique) = (number(Some(length))?, number(Some(unique))?);
                let bytes = self.value(length).await?;
                match &*self.line().await? {
                    "END" => Ok(Some(Item { bytes, unique, expires_in: None })),
                    _ => Err(Failure::Unexpected),
                }
            }
            _ => Err(refused(&answer, 0)),
        }
    }

    /// Stores an item where none is.
    pub async fn add(&mut self, key: &str, exptime: i64, bytes: &[u8]) -> Result<Stored, Failure> {
        self.store(&format!("add {key} 0 {exptime} {}", bytes.len()), bytes).await
    }

    /// Stores an item in the place of the one with the number `unique`.
    pub async fn cas(
        &mut self,
        key: &str,
        exptime: i64,
        bytes: &[u8],
        unique: u64,
    ) -> Result<Stored, Failure> {
        self.store(&format!("cas {key} 0 {exptime} {} {unique}", bytes.len()), bytes).await
    }

    async fn store(&mut self, command: &str, bytes: &[u8]) -> Result<Stored, Failure> {
        let message = [command.as_bytes(), b"\r\n", bytes, b"\r\n"].concat();
        let answer = self.ask(&message).await?;
        match &*answer {
            "STORED" => Ok(Stored::Yes),
            "NOT_STORED" | "EXISTS" | "NOT_FOUND" => Ok(Stored::No),
            _ => Err(refused(&answer, bytes.len())),
        }
    }

    /// Gives an item a new time to live; false when there is none.
    pub async fn touch(&mut self, key: &str, exptime: i64) -> Result<bool, Failure> {
        let answer = self.ask(format!("touch {key} {exptime}\r\n").as_bytes()).await?;
        match &*answer {
            "TOUCHED" => Ok(true),
            "NOT_FOUND" => Ok(false),
            _ => Err(refused(&answer, 0)),
        }
    }

    pub async fn delete(&mut self, key: &str) -> Result<(), Failure> {
        let answer = self.ask(format!("delete {key}\r\n").as_bytes()).await?;
        match &*answer {
            "DELETED" | "NOT_FOUND" => Ok(()),
            _ => Err(refused(&answer, 0)),
        }
    }

    async fn ask(&mut self, message: &[u8]) -> Result<String, Failure> {
        self.stream.get_mut().write_all(message).await?;
        self.line().await
    }

    /// A line without its end.
    async fn line(&mut self) -> Result<String, Failure> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(MAX_LINE);
        limited.read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Err(Failure::Lost(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let line = line.strip_suffix(b"\r\n").ok_or(Failure::Unexpected)?;
        String::from_utf8(line.to_vec()).map_err(|_| Failure::Unexpected)
    }

    async fn value(&mut self, length: usize) -> Result<Vec<u8>, Failure> {
        if length > MAX_VALUE {
            return Err(Failure::Unexpected);
        }
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes).await?;
        match bytes.ends_with(b"\r\n") {
            true => {
                bytes.truncate(length);
                Ok(bytes)
            }
            false => Err(Failure::Unexpected),
        }
    }
}

fn number<T: std::str::FromStr>(word: Option<&str>) -> Result<T, Failure> {
    word.and_then(|word| word.parse().ok()).ok_or(Failure::Unexpected)
}

/// What an answer is that should be another.
fn refused(answer: &str, length: usize) -> Failure {
    match answer {
        _ if answer.starts_with("SERVER_ERROR object too large") => Failure::TooLarge(length),
        _ if answer.starts_with("SERVER_ERROR out of memory") => Failure::OutOfMemory,
        _ if ["SERVER_ERROR", "CLIENT_ERROR", "ERROR"].iter().any(|e| answer.starts_with(e)) => {
            Failure::Refused
        }
        _ => Failure::Unexpected,
    }
}

/// Whether a memcached of this version has `mg`, with the time to live.
fn tells_time(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= (1, 6),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        for (version, tells) in
            [("1.6.18", true), ("1.6.0-rc", true), ("2.0", true), ("1.5.22", false), ("x", false)]
        {
            assert_eq!(tells_time(version), tells, "{version}");
        }
    }
}
