//! A stand-in for MongoDB, as no real server can be had where these tests run: it speaks MongoDB's
//! protocol, keeps documents in memory and knows the commands, filters and expressions that the
//! store and Flask-Session use. It refuses all others, as MongoDB does what it does not know, so
//! that nothing passes here by being overlooked. It shows what a client sends; it is no proof of
//! what MongoDB does.
//!
//! It runs as a process of its own, so that it can be hung and killed: the test program again, at
//! the ignored test that calls [`serve`].

mod command;
mod expression;
mod filter;
mod wire;

use std::process::Command;

use mongodb::Client;
use mongodb::bson::{Bson, DateTime, Document, doc};

use super::Service;

const PORT: &str = "DEWAR_MONGODB_STAND_IN";

/// Starts it. `test` is the name of the ignored test.
pub fn stand_in(test: &'static str) -> Service {
    Service::start("the stand-in for MongoDB", move |_, port| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([test, "--exact", "--ignored", "--nocapture"]).env(PORT, port.to_string());
        command
    })
}

/// Is the stand-in, until it is killed.
pub fn serve() {
    let port = std::env::var(PORT).expect("the port, from the test that starts this").parse();
    wire::serve(port.unwrap());
}

/// A client of the tests' own.
pub async fn client(port: u16) -> Client {
    let url = format!("mongodb://127.0.0.1:{port}/?directConnection=true&appName=tests");
    Client::with_uri_str(url).await.unwrap()
}

/// What the tests alone ask of the stand-in.
pub struct Control(Client);

impl Control {
    pub async fn of(port: u16) -> Self {
        Self(client(port).await)
    }

    async fn ask(&self, command: Document) -> Document {
        self.0.database("admin").run_command(command).await.unwrap()
    }

    /// The commands that it was sent since this was asked last, but for those about itself and
    /// those of tests.
    pub async fn commands(&self) -> Vec<Document> {
        let answer = self.ask(doc! { "standIn": "commands" }).await;
        let commands = answer.get_array("commands").unwrap();
        commands.iter().map(|command| command.as_document().unwrap().clone()).collect()
    }

    /// How many connections clients but those of tests have.
    pub async fn connections(&self) -> usize {
        let answer = self.ask(doc! { "standIn": "connections" }).await;
        usize::try_from(answer.get_i64("connections").unwrap()).unwrap()
    }

    /// Sets its clock and stops it.
    pub async fn stop_clock(&self, milliseconds: i64) {
        self.ask(doc! { "standIn": "clock", "at": DateTime::from_millis(milliseconds) }).await;
    }

    /// Lets the clock go right.
    pub async fn start_clock(&self) {
        self.ask(doc! { "standIn": "clock", "at": Bson::Null }).await;
    }

    async fn fail(&self, command: &str, times: i32, how: Document) {
        let mut fail = doc! { "standIn": "fail", "command": command, "times": times };
        fail.extend(how);
        self.ask(fail).await;
    }

    /// Refuses the next so many of a command with an error.
    pub async fn refuse(&self, command: &str, times: i32, code: i32, name: &str) {
        self.fail(command, times, doc! { "how": "refused", "code": code, "name": name }).await;
    }

    /// Does the next of a command and closes the connection without an answer.
    pub async fn lose_the_answer(&self, command: &str) {
        self.fail(command, 1, doc! { "how": "lost" }).await;
    }

    /// Gives the next so many of a command no answer, and answers all else.
    pub async fn stall(&self, command: &str, times: i32) {
        self.fail(command, times, doc! { "how": "stalled" }).await;
    }
}
