//! The commands of MongoDB that the stand-in knows, and the data they work on.

use std::collections::BTreeMap;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Array, Bson, DateTime, Document, doc};

use super::expression::order;
use super::filter::{changed, finds, projected, start};

/// What a command comes to.
pub enum Answer {
    Document(Document),
    /// The connection ends without an answer.
    Lost,
    /// The connection stays, and no answer comes.
    Stalled,
}

/// An error that the server answers with.
#[derive(Clone)]
pub struct Refusal {
    code: i32,
    name: String,
    message: String,
}

pub fn refusal(code: i32, message: &str) -> Refusal {
    Refusal { code, name: String::new(), message: message.to_owned() }
}

#[derive(Default)]
struct Collection {
    documents: Vec<Document>,
    indexes: Vec<Document>,
}

/// A command that is to fail.
struct Fault {
    command: String,
    times: i32,
    how: How,
}

#[derive(Clone)]
enum How {
    /// With an error.
    Refused(Refusal),
    /// After it was done, its answer being lost.
    Lost,
    /// As one that takes for ever.
    Stalled,
}

/// The data, what was asked, and what tests want of it.
pub struct Server {
    port: u16,
    collections: BTreeMap<String, Collection>,
    cursors: BTreeMap<i64, (String, Vec<Document>)>,
    /// The answers to writes that may be sent again, by their session and number.
    done: BTreeMap<(Vec<u8>, i64), Document>,
    commands: Vec<Document>,
    clients: Vec<String>,
    faults: Vec<Fault>,
    clock: Option<DateTime>,
}

impl Server {
    pub fn new(port: u16) -> Self {
        Self {
            port,
            collections: BTreeMap::new(),
            cursors: BTreeMap::new(),
            done: BTreeMap::new(),
            commands: Vec::new(),
            clients: Vec::new(),
            faults: Vec::new(),
            clock: None,
        }
    }

    pub fn connected(&mut self, client: &str) {
        self.clients.push(client.to_owned());
    }

    pub fn disconnected(&mut self, client: &str) {
        if let Some(at) = self.clients.iter().position(|other| other == client) {
            self.clients.swap_remove(at);
        }
    }

    fn now(&self) -> DateTime {
        self.clock.unwrap_or_else(DateTime::now)
    }

    pub fn answer(&mut self, command: &Document, client: &str) -> Answer {
        let name = command.keys().next().cloned().unwrap_or_default();
        if name == "standIn" {
            return Answer::Document(self.control(command));
        }
        let of_itself = ["hello", "ismaster", "ping", "endsessions", "buildinfo"];
        if client != "tests" && !of_itself.contains(&&*name.to_lowercase()) {
            self.commands.push(command.clone());
        }
        let fault = self.faults.iter_mut().find(|it| it.command == name && it.times > 0);
        let fault = fault.filter(|_| client != "tests").map(|fault| {
            fault.times -= 1;
            fault.how.clone()
        });
        match fault {
            Some(How::Refused(error)) => Answer::Document(error.into_answer()),
            Some(How::Stalled) => Answer::Stalled,
            Some(How::Lost) => {
                self.once(&name, command);
                Answer::Lost
            }
            None => Answer::Document(self.once(&name, command)),
        }
    }

    /// Runs a command; a write that comes again with the number it had is not done again.
    fn once(&mut self, name: &str, command: &Document) -> Document {
        let number = command.get_i64("txnNumber").ok();
        let session = command.get_document("lsid").ok().and_then(|session| session.get("id"));
        let session = session.and_then(|id| match id {
            Bson::Binary(id) => Some(id.bytes.clone()),
            _ => None,
        });
        let number = number.zip(session);
        if let Some((number, session)) = &number
            && let Some(answer) = self.done.get(&(session.clone(), *number))
        {
            return answer.clone();
        }
        let answer = self.run(name, command);
        let answer = match answer {
            Ok(answer) => doc! { "ok": 1.0 }.into_iter().chain(answer).collect(),
            Err(refusal) => return refusal.into_answer(),
        };
        if let Some((number, session)) = number {
            self.done.insert((session, number), Document::clone(&answer));
        }
        answer
    }

    fn run(&mut self, name: &str, command: &Document) -> Result<Document, Refusal> {
        let place = |key: &str| {
            let database = command.get_str("$db").unwrap_or_default();
            format!("{database}.{}", command.get_str(key).unwrap_or_default())
        };
        let list = |key: &str| {
            let list = command.get_array(key).map_err(|_| refusal(40414, "a field is missing"))?;
            Ok(list.iter().filter_map(Bson::as_document).cloned().collect::<Vec<_>>())
        };
        match name {
            "hello" | "isMaster" | "ismaster" => Ok(self.hello()),
            "ping" | "endSessions" | "killCursors" => Ok(doc! {}),
            "buildInfo" => Ok(doc! { "version": "7.0.0" }),
            "saslStart" => Err(Refusal { name: "AuthenticationFailed".into(), ..refusal(18, "") }),
            "createIndexes" => self.create_indexes(&place(name), list("indexes")?),
            "listIndexes" => {
                let place = place(name);
                let collection = self.collections.get(&place).ok_or(Refusal {
                    name: "NamespaceNotFound".into(),
                    ..refusal(26, &format!("ns does not exist: {place}"))
                })?;
                let of_id = doc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" };
                let indexes = collection.indexes.iter().cloned();
                let indexes = std::iter::once(of_id).chain(indexes).collect();
                Ok(self.cursor(place, indexes, 100, "firstBatch"))
            }
            "insert" => self.writes(list("documents")?, |server, document| {
                let place = place(name);
                server.insert(&place, document.clone())?;
                Ok(doc! { "n": 1 })
            }),
            "update" => {
                self.writes(list("updates")?, |server, update| server.update(&place(name), update))
            }
            "delete" => {
                self.writes(list("deletes")?, |server, delete| server.delete(&place(name), delete))
            }
            "find" => self.find(place(name), command),
            "getMore" => {
                let id = command.get_i64("getMore").unwrap_or_default();
                let (place, rest) = self.cursors.remove(&id).ok_or(Refusal {
                    name: "CursorNotFound".into(),
                    ..refusal(43, "cursor id not found")
                })?;
                Ok(self.cursor(place, rest, batch(command), "nextBatch"))
            }
            _ => Err(Refusal { name: "CommandNotFound".into(), ..refusal(59, "no such command") }),
        }
    }

    fn hello(&self) -> Document {
        let me = format!("127.0.0.1:{}", self.port);
        doc! {
            "helloOk": true,
            "ismaster": true,
            "isWritablePrimary": true,
            "secondary": false,
            "setName": "stand-in",
            "setVersion": 1,
            "electionId": ObjectId::from_bytes([0x7f; 12]),
            "hosts": [&me],
            "primary": &me,
            "me": &me,
            "maxBsonObjectSize": 16_777_216,
            "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000,
            "localTime": DateTime::now(),
            "logicalSessionTimeoutMinutes": 30,
            "minWireVersion": 0,
            "maxWireVersion": 21,
            "readOnly": false,
        }
    }

    fn create_indexes(&mut self, place: &str, new: Vec<Document>) -> Result<Document, Refusal> {
        let collection = self.collections.entry(place.to_owned()).or_default();
        for index in new {
            let with_same = |field: &str| {
                collection.indexes.iter().find(|old| old.get(field) == index.get(field))
            };
            let options = |it: &Document| {
                let expires = it.get("expireAfterSeconds").map(Bson::to_string);
                (it.get("key").cloned(), expires, it.get_bool("unique").unwrap_or(false))
            };
            match (with_same("name"), with_same("key")) {
                (Some(old), _) if options(old) == options(&index) => continue,
                (Some(_), _) => {
                    let name = "IndexKeySpecsConflict".into();
                    return Err(Refusal { name, ..refusal(86, "same name, another index") });
                }
                (None, Some(_)) => {
                    let name = "IndexOptionsConflict".into();
                    return Err(Refusal { name, ..refusal(85, "same key, another name") });
                }
                (None, None) => {}
            }
            if index.get_bool("unique").unwrap_or(false) {
                let documents = &collection.documents;
                for (at, document) in documents.iter().enumerate() {
                    is_new(std::slice::from_ref(&index), &documents[..at], document)?;
                }
            }
            collection.indexes.push(index);
        }
        Ok(doc! {})
    }

    /// One write after another, until one is refused.
    fn writes(
        &mut self,
        writes: Vec<Document>,
        write: impl Fn(&mut Self, &Document) -> Result<Document, Refusal>,
    ) -> Result<Document, Refusal> {
        let (mut n, mut modified, mut upserted) = (0, 0, Array::new());
        for (index, one) in writes.iter().enumerate() {
            match write(self, one) {
                Ok(done) => {
                    n += done.get_i32("n").unwrap_or(0);
                    modified += done.get_i32("nModified").unwrap_or(0);
                    if let Some(id) = done.get("upserted") {
                        let index = i32::try_from(index).unwrap();
                        upserted.push(doc! { "index": index, "_id": id.clone() }.into());
                    }
                }
                Err(Refusal { code, message, .. }) => {
                    let index = i32::try_from(index).unwrap();
                    let error = doc! { "index": index, "code": code, "errmsg": message };
                    return Ok(doc! { "n": n, "nModified": modified, "writeErrors": [error] });
                }
            }
        }
        let mut answer = doc! { "n": n, "nModified": modified };
        if !upserted.is_empty() {
            answer.insert("upserted", upserted);
        }
        Ok(answer)
    }

    fn insert(&mut self, place: &str, document: Document) -> Result<(), Refusal> {
        let collection = self.collections.entry(place.to_owned()).or_default();
        is_new(&collection.indexes, &collection.documents, &document)?;
        collection.documents.push(document);
        Ok(())
    }

    fn update(&mut self, place: &str, update: &Document) -> Result<Document, Refusal> {
        let now = self.now();
        let filter = update.get_document("q").map_err(|_| refusal(9, "no filter"))?;
        let change = update.get("u").ok_or_else(|| refusal(9, "no change"))?;
        if update.get_bool("multi").unwrap_or(false) {
            return Err(refusal(9, "updates of many are not known to the stand-in"));
        }
        let upsert = update.get_bool("upsert").unwrap_or(false);
        let fresh = if upsert { Some(start(filter)?) } else { None };
        let collection = self.collections.entry(place.to_owned()).or_default();
        for at in 0..collection.documents.len() {
            let old = &collection.documents[at];
            if !finds(filter, old, now)? {
                continue;
            }
            let new = changed(old, change, now)?;
            let others = [&collection.documents[..at], &collection.documents[at + 1..]].concat();
            is_new(&collection.indexes, &others, &new)?;
            let modified = i32::from(new != *old);
            collection.documents[at] = new;
            return Ok(doc! { "n": 1, "nModified": modified });
        }
        let Some(fresh) = fresh else { return Ok(doc! { "n": 0 }) };
        let new = changed(&fresh, change, now)?;
        let id = new.get("_id").cloned();
        self.insert(place, new)?;
        Ok(doc! { "n": 1, "upserted": id })
    }

    fn delete(&mut self, place: &str, delete: &Document) -> Result<Document, Refusal> {
        let now = self.now();
        let filter = delete.get_document("q").map_err(|_| refusal(9, "no filter"))?;
        let one = matches!(delete.get("limit"), Some(Bson::Int32(1) | Bson::Int64(1)));
        let collection = self.collections.entry(place.to_owned()).or_default();
        let (mut kept, mut n) = (Vec::new(), 0);
        for document in &collection.documents {
            if (one && n == 1) || !finds(filter, document, now)? {
                kept.push(document.clone());
            } else {
                n += 1;
            }
        }
        collection.documents = kept;
        Ok(doc! { "n": n })
    }

    fn find(&mut self, place: String, command: &Document) -> Result<Document, Refusal> {
        let (now, nothing) = (self.now(), doc! {});
        let part = |key: &str| command.get_document(key).unwrap_or(&nothing).clone();
        let (filter, sort, projection) = (part("filter"), part("sort"), part("projection"));
        let mut found = Vec::new();
        for document in self.collections.get(&place).map_or(&[][..], |it| &it.documents) {
            if finds(&filter, document, now)? {
                found.push(document.clone());
            }
        }
        if sort == doc! { "_id": 1 } {
            found.sort_by(|a, b| order(&a["_id"], &b["_id"]));
        } else if !sort.is_empty() {
            return Err(refusal(2, "this order is not known to the stand-in"));
        }
        let limit = match command.get("limit") {
            Some(Bson::Int32(limit)) => i64::from(*limit),
            Some(Bson::Int64(limit)) => *limit,
            _ => 0,
        };
        if limit != 0 {
            found.truncate(usize::try_from(limit.abs()).unwrap());
        }
        let found: Result<Vec<_>, _> =
            found.iter().map(|document| projected(document, &projection, now)).collect();
        Ok(self.cursor(place, found?, batch(command), "firstBatch"))
    }

    /// A batch of documents; the rest is there to be got.
    fn cursor(
        &mut self,
        place: String,
        mut documents: Vec<Document>,
        batch: usize,
        name: &str,
    ) -> Document {
        let rest = documents.split_off(batch.min(documents.len()));
        let mut id = 0;
        if !rest.is_empty() {
            id = self.cursors.keys().next_back().map_or(1, |last| last + 1);
            self.cursors.insert(id, (place.clone(), rest));
        }
        doc! { "cursor": { "id": id, "ns": place, name: documents } }
    }

    fn control(&mut self, command: &Document) -> Document {
        match command.get_str("standIn").unwrap() {
            "commands" => doc! { "ok": 1.0, "commands": std::mem::take(&mut self.commands) },
            "connections" => {
                let count = self.clients.iter().filter(|client| *client != "tests").count();
                doc! { "ok": 1.0, "connections": i64::try_from(count).unwrap() }
            }
            "clock" => {
                self.clock = command.get_datetime("at").ok().copied();
                doc! { "ok": 1.0 }
            }
            "fail" => {
                let how = match command.get_str("how").unwrap() {
                    "refused" => How::Refused(Refusal {
                        code: command.get_i32("code").unwrap(),
                        name: command.get_str("name").unwrap().to_owned(),
                        message: "a message with session:SECRET in it".to_owned(),
                    }),
                    "lost" => How::Lost,
                    "stalled" => How::Stalled,
                    other => panic!("{other} is no way to fail"),
                };
                let times = command.get_i32("times").unwrap();
                let command = command.get_str("command").unwrap().to_owned();
                self.faults.retain(|fault| fault.command != command);
                self.faults.push(Fault { command, times, how });
                doc! { "ok": 1.0 }
            }
            other => panic!("{other} is asked of the stand-in"),
        }
    }
}

impl Refusal {
    fn into_answer(self) -> Document {
        doc! { "ok": 0.0, "code": self.code, "codeName": self.name, "errmsg": self.message }
    }
}

fn batch(command: &Document) -> usize {
    match command.get("batchSize") {
        Some(Bson::Int32(size)) => usize::try_from(*size).unwrap(),
        Some(Bson::Int64(size)) => usize::try_from(*size).unwrap(),
        _ => 101,
    }
}

/// Whether the unique indexes let a document stand beside others.
fn is_new(indexes: &[Document], others: &[Document], document: &Document) -> Result<(), Refusal> {
    let of_id = doc! { "key": { "_id": 1 }, "unique": true };
    for index in indexes.iter().chain([&of_id]) {
        let Ok(true) = index.get_bool("unique") else { continue };
        let fields = index.get_document("key").unwrap();
        let same =
            |other: &&Document| fields.keys().all(|field| other.get(field) == document.get(field));
        if let Some(other) = others.iter().find(same) {
            let field = fields.keys().next().unwrap();
            let value = other.get(field).cloned().unwrap_or(Bson::Null);
            let message = format!("E11000 duplicate key error dup key: {{ {field}: {value} }}");
            return Err(Refusal { name: "DuplicateKey".into(), ..refusal(11000, &message) });
        }
    }
    Ok(())
}
