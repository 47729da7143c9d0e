//! What is malformed, oversized or hostile gets a clear answer, and everybody else is served.

mod answers;
mod at_rest;
mod content;
mod crowd;
mod files;
mod forgery;
mod form_tokens;
mod forms;
mod framing;
mod garbage;
mod guessing;
mod identity;
mod keys;
mod log;
mod mistakes;
mod parameters;
mod paths;
mod planted;
mod proxies;
mod redirects;
mod references;
mod set_cookie;
mod shared;
mod siege;
mod signing_in;
#[path = "../support/mod.rs"]
mod support;
mod wire;

use support::{Browser, Server, Site};

/// A site and a server to be unfriendly to.
struct Victim {
    site: Site,
    server: Server,
}

impl Victim {
    fn new() -> Self {
        Self::with("")
    }

    fn with(settings: &str) -> Self {
        let site = Site::new(settings);
        let server = site.serve();
        Self { site, server }
    }

    fn port(&self) -> u16 {
        self.server.port
    }

    fn live_sessions(&self) -> u64 {
        let stats: serde_json::Value =
            serde_json::from_str(&self.site.run(&["sessions", "stats", "--json"])).unwrap();
        stats["live"].as_u64().unwrap()
    }

    fn signed_in_with(&self, cookie: &str) -> bool {
        Browser::with_cookie(self.port(), cookie).is_signed_in()
    }
}
