//! A way between the server and its store that can be blocked, cut or slowed down.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens on the way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    Open,
    /// Connections are taken and nothing goes through.
    Silent,
    /// Each connection ends after so many more bytes of the store's answers.
    Cut(usize),
    /// Each piece of an answer comes so much later.
    Slow(Duration),
}

pub struct Proxy {
    pub port: u16,
    way: Arc<Mutex<Way>>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    pub fn to(store: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (way, open) = (Arc::new(Mutex::new(Way::Open)), Arc::new(Mutex::new(Vec::new())));
        let proxy = Self { port, way: Arc::clone(&way), open: Arc::clone(&open) };
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", store)) else { continue };
                let both = [client.try_clone().unwrap(), server.try_clone().unwrap()];
                open.lock().unwrap().extend(both);
                let (asks, answers) = (Arc::clone(&way), Arc::clone(&way));
                let ends = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || pass(client, server, &asks, false));
                std::thread::spawn(move || pass(ends.1, ends.0, &answers, true));
            }
        });
        proxy
    }

    /// From now on. Connections are ended where they could have missed something.
    pub fn set(&self, way: Way) {
        let before = std::mem::replace(&mut *self.way.lock().unwrap(), way);
        if before != Way::Open {
            for stream in self.open.lock().unwrap().drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, way: &Mutex<Way>, is_answer: bool) {
    let mut buffer = [0; 16 * 1024];
    let (mut passed, mut before) = (0, Way::Open);
    while let Ok(length) = from.read(&mut buffer) {
        let way = *way.lock().unwrap();
        if way != before {
            (passed, before) = (0, way);
        }
        let length = match way {
            _ if length == 0 => break,
            Way::Silent => continue,
            Way::Cut(most) if is_answer => length.min(most - passed),
            Way::Open | Way::Cut(_) | Way::Slow(_) => length,
        };
        if let (Way::Slow(time), true) = (way, is_answer) {
            std::thread::sleep(time);
        }
        passed += length;
        let done = matches!(way, Way::Cut(most) if is_answer && passed >= most);
        if to.write_all(&buffer[..length]).is_err() || done {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
