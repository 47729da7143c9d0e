//! Loads an HTTP/1.1 server over keep-alive connections from one thread, checks every answer, and
//! prints what it took as JSON.
//!
//! Only an answer with the expected status and the expected text in it counts as a request; what
//! else comes is an error. The CPU time is that of the server's processes, from the first counted
//! request to the last.

mod connection;
mod cpu;
mod histogram;
mod options;
mod response;
mod run;

use std::process::ExitCode;

use options::Options;

fn main() -> ExitCode {
    let result = Options::parse(std::env::args().skip(1)).and_then(|options| run::run(&options));
    match result {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("load: {problem}");
            ExitCode::FAILURE
        }
    }
}
