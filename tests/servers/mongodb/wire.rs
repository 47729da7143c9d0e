//! MongoDB's protocol: `OP_MSG`, and `OP_QUERY` for a first `isMaster`.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use mongodb::bson::{Document, deserialize_from_slice, doc, serialize_to_vec};

use super::command::{Answer, Server};

const OP_REPLY: i32 = 1;
const OP_QUERY: i32 = 2004;
const OP_MSG: i32 = 2013;

/// Serves for ever.
pub fn serve(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let server = Arc::new(Mutex::new(Server::new(port)));
    for stream in listener.incoming().map_while(Result::ok) {
        let server = Arc::clone(&server);
        std::thread::spawn(move || {
            let mut client = String::new();
            let ended = converse(stream, &server, &mut client);
            server.lock().unwrap().disconnected(&client);
            ended
        });
    }
}

/// `client` is the name that the other side gives itself.
fn converse(mut stream: TcpStream, server: &Mutex<Server>, client: &mut String) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let mut header = [0; 16];
        stream.read_exact(&mut header)?;
        let number = |at: usize| i32::from_le_bytes(header[at..at + 4].try_into().unwrap());
        let (length, request, kind) = (number(0), number(4), number(12));
        let mut body = vec![0; usize::try_from(length).unwrap() - header.len()];
        stream.read_exact(&mut body)?;
        let command = match kind {
            OP_MSG => message(&body),
            OP_QUERY => query(&body),
            other => panic!("a message of the kind {other}"),
        };
        if client.is_empty()
            && let Ok(told) = command.get_document("client")
        {
            let application = told.get_document("application");
            *client = application.and_then(|it| it.get_str("name")).unwrap_or("?").to_owned();
            server.lock().unwrap().connected(client);
        }
        let answer = server.lock().unwrap().answer(&command, client);
        let answer = match answer {
            Answer::Document(answer) => serialize_to_vec(&answer).unwrap(),
            Answer::Lost => return Ok(()),
            Answer::Stalled => {
                // Until the client goes.
                while stream.read(&mut header)? > 0 {}
                return Ok(());
            }
        };
        // OP_MSG: flags, and a section of one document. OP_REPLY: flags, cursor, start, count.
        let (kind, before) = match kind {
            OP_MSG => (OP_MSG, vec![0; 5]),
            _ => (OP_REPLY, [&[0; 16][..], &1_i32.to_le_bytes()].concat()),
        };
        let length = i32::try_from(16 + before.len() + answer.len()).unwrap();
        let header = [length, 0, request, kind].map(i32::to_le_bytes).concat();
        stream.write_all(&[header, before, answer].concat())?;
    }
}

fn document(bytes: &[u8]) -> (Document, &[u8]) {
    let length = i32::from_le_bytes(bytes[..4].try_into().unwrap());
    let (document, rest) = bytes.split_at(usize::try_from(length).unwrap());
    (deserialize_from_slice(document).unwrap(), rest)
}

fn text(bytes: &[u8]) -> (String, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap();
    (String::from_utf8(bytes[..end].to_vec()).unwrap(), &bytes[end + 1..])
}

/// The command in an `OP_MSG`; documents that follow it apart become an array in it.
fn message(body: &[u8]) -> Document {
    let (mut command, mut rest) = (doc! {}, &body[4..]);
    let mut apart = doc! {};
    while let [kind, section @ ..] = rest {
        match kind {
            0 => (command, rest) = document(section),
            1 => {
                let length = i32::from_le_bytes(section[..4].try_into().unwrap());
                let (section, after) = section.split_at(usize::try_from(length).unwrap());
                let (name, mut documents) = text(&section[4..]);
                let mut array = Vec::new();
                while !documents.is_empty() {
                    let (document, more) = self::document(documents);
                    array.push(document);
                    documents = more;
                }
                apart.insert(name, array);
                rest = after;
            }
            other => panic!("a section of the kind {other}"),
        }
    }
    command.extend(apart);
    command
}

fn query(body: &[u8]) -> Document {
    let (_collection, rest) = text(&body[4..]);
    document(&rest[8..]).0
}
