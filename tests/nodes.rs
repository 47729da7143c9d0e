//! Accounts and students on PostgreSQL: all that works on a SQLite file works there, and on several
//! nodes at once.

#[path = "nodes/account.rs"]
mod account;
#[path = "nodes/commands.rs"]
mod commands;
#[path = "nodes/copying.rs"]
mod copying;
#[path = "nodes/moving.rs"]
mod moving;
#[path = "nodes/pages.rs"]
mod pages;
mod servers;
#[path = "nodes/service.rs"]
mod service;
mod support;
#[path = "nodes/throttle.rs"]
mod throttle;

use servers::postgres::Postgres;
use support::{PASSWORD, Site, USER};

/// A node's directory: no database in it, but a configuration that names one.
fn node(url: &str, settings: &str) -> Site {
    let site = Site::empty("");
    let text = format!("[default]\nport = 0\nDATABASE = \"{url}\"\n{settings}\n");
    std::fs::write(site.path().join("Rocket.toml"), text).unwrap();
    site
}

/// The account and the students that [`Site::new`] makes.
fn fill(site: &Site) {
    site.run_with_input(&["user", "add", USER, "--password-stdin"], PASSWORD);
    let students = "id,name,age,gender\n1,Steel Eggs,17,Unknown\n2,Iron Egg,19,male\n3,maidservant,18,female\n";
    site.run_with_input(&["students", "import", "-"], students);
}

/// A server with a filled database and a node on it.
fn one_node(test: &str) -> Option<(Postgres, Site)> {
    let server = Postgres::start(test, &[])?;
    let site = node(&server.url(), "");
    fill(&site);
    Some((server, site))
}
