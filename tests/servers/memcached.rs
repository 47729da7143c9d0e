//! A private memcached.

use std::process::Command;

use super::{Service, find};

/// Whether the program is there.
pub fn is_here() -> bool {
    find("memcached").is_some()
}

/// A server with these options besides.
pub fn server(options: &'static [&'static str]) -> Service {
    Service::start("memcached", move |dir, port| {
        let mut command = Command::new(find("memcached").unwrap());
        command.current_dir(dir).args(["-l", "127.0.0.1", "-p", &port.to_string(), "-U", "0"]);
        // It refuses to run as root without being told whom to become.
        command.args(["-u", "nobody"]).args(options);
        command
    })
}
