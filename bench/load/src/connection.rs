//! One keep-alive connection with the cookies of one browser.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use memchr::memmem::Finder;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::response::{self, Answer};

pub struct Connection {
    stream: TcpStream,
    token: Token,
    address: SocketAddr,
    received: Vec<u8>,
    filled: usize,
    pub cookies: Vec<(String, String)>,
    /// When the request was sent, or was due, that waits for its answer.
    pub waiting_since: Option<Instant>,
}

/// What to ask for and what has to come.
pub struct Request {
    before_cookie: Vec<u8>,
    after_cookie: Vec<u8>,
    status: u16,
    markers: Vec<Finder<'static>>,
}

impl Request {
    pub fn new(path: &str, form: Option<&str>, status: u16, markers: &[String]) -> Self {
        let method = if form.is_some() { "POST" } else { "GET" };
        let mut after = String::from("Accept: */*\r\nUser-Agent: load\r\n");
        match form {
            Some(form) => after.push_str(&format!(
                "Content-Type: application/x-www-form-urlencoded\r\n\
                 Content-Length: {}\r\n\r\n{form}",
                form.len()
            )),
            None => after.push_str("\r\n"),
        }
        Self {
            before_cookie: format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n").into(),
            after_cookie: after.into(),
            status,
            markers: markers.iter().map(|text| Finder::new(text).into_owned()).collect(),
        }
    }

    fn with_cookie(&self, cookie: &str) -> Vec<u8> {
        let mut bytes = self.before_cookie.clone();
        if !cookie.is_empty() {
            bytes.extend_from_slice(b"Cookie: ");
            bytes.extend_from_slice(cookie.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(&self.after_cookie);
        bytes
    }

    fn problem(&self, answer: &Answer, bytes: &[u8]) -> Option<String> {
        let right = answer.status == self.status
            && self.markers.iter().all(|marker| marker.find(bytes).is_some());
        let shown = || String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).into_owned();
        (!right).then(shown)
    }
}

impl Connection {
    pub fn open(address: SocketAddr, token: Token, registry: &Registry) -> Result<Self, String> {
        let stream = connect(address, token, registry)?;
        Ok(Self {
            stream,
            token,
            address,
            received: vec![0; 64 * 1024],
            filled: 0,
            cookies: Vec::new(),
            waiting_since: None,
        })
    }

    /// Sends a request with this cookie, or with those that the server has set.
    pub fn send(
        &mut self,
        request: &Request,
        cookie: Option<&str>,
        since: Instant,
    ) -> Result<(), String> {
        let bytes = match cookie {
            Some(cookie) => request.with_cookie(cookie),
            None => request.with_cookie(&self.own_cookies()),
        };
        self.waiting_since = Some(since);
        match self.stream.write(&bytes) {
            Ok(written) if written == bytes.len() => Ok(()),
            Ok(_) => Err("a request was sent in part".into()),
            Err(error) => Err(format!("sending: {error}")),
        }
    }

    /// Those that the server has set, as a header holds them.
    pub fn own_cookies(&self) -> String {
        let pairs: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    /// Reads what has come: `None` when it is not the whole answer yet, or else what is wrong with
    /// the answer, if anything. Cookies are kept and a closed connection is opened anew.
    pub fn receive(
        &mut self,
        request: &Request,
        registry: &Registry,
    ) -> Option<Result<(), String>> {
        loop {
            if self.filled == self.received.len() {
                self.received.resize(2 * self.filled, 0);
            }
            match self.stream.read(&mut self.received[self.filled..]) {
                Ok(0) => return self.closed(registry),
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Some(Err(format!("receiving: {error}"))),
            }
            match response::parse(&self.received[..self.filled]) {
                Ok(None) => {}
                Ok(Some(answer)) => return Some(self.answered(request, answer, registry)),
                Err(problem) => return Some(Err(problem)),
            }
        }
    }

    fn answered(
        &mut self,
        request: &Request,
        answer: Answer,
        registry: &Registry,
    ) -> Result<(), String> {
        let extra = self.filled > answer.length;
        self.filled = 0;
        self.waiting_since = None;
        for (name, value) in &answer.cookies {
            self.cookies.retain(|(kept, _)| kept != name);
            self.cookies.extend(value.iter().map(|value| (name.clone(), value.clone())));
        }
        let problem = request.problem(&answer, &self.received[..answer.length]);
        if answer.closes {
            self.reopen(registry)?;
        }
        match problem {
            Some(problem) => Err(problem),
            None if extra => Err("more came than the answer".into()),
            None => Ok(()),
        }
    }

    /// A server may close a connection between requests; within one it is an error.
    fn closed(&mut self, registry: &Registry) -> Option<Result<(), String>> {
        let waiting = self.waiting_since.take().is_some();
        match self.reopen(registry) {
            Err(problem) => Some(Err(problem)),
            Ok(()) if waiting => Some(Err("the connection was closed".into())),
            Ok(()) => None,
        }
    }

    fn reopen(&mut self, registry: &Registry) -> Result<(), String> {
        self.filled = 0;
        self.stream = connect(self.address, self.token, registry)?;
        Ok(())
    }
}

fn connect(address: SocketAddr, token: Token, registry: &Registry) -> Result<TcpStream, String> {
    let stream = std::net::TcpStream::connect(address)
        .and_then(|stream| stream.set_nonblocking(true).map(|()| stream))
        .map_err(|error| format!("connecting to {address}: {error}"))?;
    let mut stream = TcpStream::from_std(stream);
    stream
        .set_nodelay(true)
        .and_then(|()| registry.register(&mut stream, token, Interest::READABLE))
        .map_err(|error| error.to_string())?;
    Ok(stream)
}
