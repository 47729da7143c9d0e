//! What is malformed, oversized or hostile gets a clear answer, and everybody else is served.

mod bodies;
mod cookies;
mod headers;
mod login;
mod raw;
mod requests;
#[path = "../support/mod.rs"]
mod support;

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

    /// After whatever was done to it the server must still serve, and must not have panicked.
    fn is_unharmed(&self) {
        self.server.signed_in();
        let log = self.server.log();
        assert!(!log.contains("panicked"), "{log}");
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
