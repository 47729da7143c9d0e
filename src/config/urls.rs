//! The site's own address, where no request tells it.

use rocket::http::uri::Authority;

use crate::session::settings::Reader;

/// These settings, with what each does in a line.
pub const KEYS: &[(&str, &str)] = &[
    ("SERVER_NAME", "the site's host, for addresses that are told outside requests"),
    ("PREFERRED_URL_SCHEME", "the scheme of those addresses"),
];

/// Where people reach the site: `PREFERRED_URL_SCHEME`, `SERVER_NAME` and `APPLICATION_ROOT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Urls {
    /// `PREFERRED_URL_SCHEME`: `http` or `https`.
    pub scheme: String,
    /// `SERVER_NAME`, with its port if it has one.
    pub server_name: Option<String>,
    /// `APPLICATION_ROOT`.
    pub root: String,
}

impl Urls {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let server_name = reader.text("SERVER_NAME").filter(|name| !name.is_empty());
        let well_formed = |name: &String| {
            Authority::parse(name).is_ok_and(|authority| {
                authority.user_info().is_none() && !authority.host().is_empty()
            })
        };
        if server_name.as_ref().is_some_and(|name| !well_formed(name)) {
            let remedy = "must be a host and perhaps a port, such as \"students.example.org\"";
            reader.refuse("SERVER_NAME", remedy);
        }
        let scheme = reader.text("PREFERRED_URL_SCHEME").unwrap_or_else(|| "http".into());
        if !matches!(scheme.as_str(), "http" | "https") {
            reader.refuse("PREFERRED_URL_SCHEME", "must be \"http\" or \"https\"");
        }
        let root = reader.text("APPLICATION_ROOT").filter(|root| !root.is_empty());
        Self { scheme, server_name, root: root.unwrap_or_else(|| "/".into()) }
    }

    /// The address of a path of the site, when `SERVER_NAME` tells it.
    pub fn external(&self, path: &str) -> Option<String> {
        let (scheme, root) = (&self.scheme, self.root.trim_end_matches('/'));
        self.server_name.as_ref().map(|name| format!("{scheme}://{name}{root}{path}"))
    }
}
