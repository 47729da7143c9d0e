//! What requests may look like: hosts, origins, sizes and methods.

use std::fmt;

use figment::value::Value;
use rocket::http::uri::Host;

use crate::auth::TrustedProxies;
use crate::auth::origin::origin_problem;
use crate::session::settings::{Origin, Reader, host_in_ascii};

/// These settings, with what each does in a line.
pub const KEYS: &[(&str, &str)] = &[
    ("MAX_CONTENT_LENGTH", "the largest request body, in bytes"),
    ("MAX_FORM_MEMORY_SIZE", "the largest form and the largest text field in one, in bytes"),
    ("MAX_FORM_PARTS", "the most fields of a form"),
    ("TRUSTED_HOSTS", "the hosts that requests may name; \".example.org\" takes all below it too"),
    ("TRUSTED_ORIGINS", "other origins whose pages may send forms here"),
    ("TRUSTED_PROXIES", "addresses and networks of proxies that are believed who the client is"),
    ("PROVIDE_AUTOMATIC_OPTIONS", "answer OPTIONS with the methods an address takes"),
    ("TRAP_BAD_REQUEST_ERRORS", "say which field of a form is missing or wrong"),
];

pub const MAX_CONTENT_LENGTH: u64 = 128 * 1024;
pub const MAX_FORM_MEMORY_SIZE: u64 = 500_000;
const MAX_FORM_PARTS: u64 = 1000;

/// What requests may look like.
#[derive(Clone, Debug)]
pub struct Requests {
    /// `MAX_CONTENT_LENGTH`, in bytes.
    pub max_content_length: u64,
    /// `MAX_FORM_MEMORY_SIZE`, in bytes.
    pub max_form_memory_size: u64,
    /// `MAX_FORM_PARTS`.
    pub max_form_parts: u64,
    /// `TRUSTED_HOSTS`; `None` trusts every host.
    pub trusted_hosts: Option<Vec<TrustedHost>>,
    /// `TRUSTED_ORIGINS`.
    pub trusted_origins: Vec<String>,
    /// `TRUSTED_PROXIES`.
    pub trusted_proxies: TrustedProxies,
    /// `PROVIDE_AUTOMATIC_OPTIONS`.
    pub automatic_options: bool,
    /// `TRAP_BAD_REQUEST_ERRORS`, or else `DEBUG`.
    pub explain_bad_requests: bool,
}

impl Requests {
    pub(super) fn read(reader: &mut Reader, debug: bool) -> Self {
        let trusted_origins = reader.list("TRUSTED_ORIGINS").unwrap_or_default();
        if let Some(problem) = trusted_origins.iter().find_map(|origin| origin_problem(origin)) {
            reader.refuse("TRUSTED_ORIGINS", problem);
        }
        let size = |reader: &mut Reader, key, default| {
            let size = reader.integer(key).unwrap_or(default);
            if size == 0 {
                reader.refuse(key, "must be 1 or more");
            }
            size
        };
        Self {
            max_content_length: size(reader, "MAX_CONTENT_LENGTH", MAX_CONTENT_LENGTH),
            max_form_memory_size: size(reader, "MAX_FORM_MEMORY_SIZE", MAX_FORM_MEMORY_SIZE),
            max_form_parts: size(reader, "MAX_FORM_PARTS", MAX_FORM_PARTS),
            trusted_hosts: read_hosts(reader),
            trusted_origins,
            trusted_proxies: read_proxies(reader),
            automatic_options: reader.bool("PROVIDE_AUTOMATIC_OPTIONS").unwrap_or(true),
            explain_bad_requests: reader.bool("TRAP_BAD_REQUEST_ERRORS").unwrap_or(debug),
        }
    }

    /// Whether a request may name this host.
    pub fn trusts(&self, host: &Host<'_>) -> bool {
        self.trusted_hosts.as_ref().is_none_or(|trusted| {
            let domain = host.domain().as_str().trim_matches(['[', ']']);
            let domain = host_in_ascii(domain).unwrap_or_default().to_lowercase();
            trusted.iter().any(|trusted| trusted.covers(&domain))
        })
    }
}

/// One entry of `TRUSTED_HOSTS`, without port, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedHost {
    host: String,
    /// Whether every host below it is trusted as well: the entry begins with a dot.
    below: bool,
}

impl TrustedHost {
    fn parse(entry: &str) -> Option<Self> {
        let (below, host) = match entry.strip_prefix('.') {
            Some(host) => (true, host),
            None => (false, entry),
        };
        Some(Self { host: host_in_ascii(host)?.to_lowercase(), below })
    }

    fn covers(&self, host: &str) -> bool {
        match host.strip_suffix(&self.host) {
            Some("") => true,
            Some(rest) => self.below && rest.ends_with('.'),
            None => false,
        }
    }
}

impl fmt::Display for TrustedHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", if self.below { "." } else { "" }, self.host)
    }
}

fn read_hosts(reader: &mut Reader) -> Option<Vec<TrustedHost>> {
    let entries = reader.list("TRUSTED_HOSTS")?;
    let hosts: Option<Vec<_>> = entries.iter().map(|entry| TrustedHost::parse(entry)).collect();
    if hosts.as_ref().is_none_or(Vec::is_empty) {
        reader.refuse(
            "TRUSTED_HOSTS",
            "must be a list of host names, such as [\"example.org\", \".example.net\"]",
        );
    }
    hosts
}

fn read_proxies(reader: &mut Reader) -> TrustedProxies {
    // Rocket would believe its header from anyone who reaches the port. Its own default, in a figment
    // that others have built, does nothing, as nobody here asks Rocket for the address.
    let default = matches!(reader.origin("ip_header"), Origin::Other(words) if words.contains("rocket::Config"));
    if !default && matches!(reader.value("ip_header"), Some(Value::String(..))) {
        reader.refuse(
            "ip_header",
            "is not used; name the proxy's address in TRUSTED_PROXIES instead",
        );
    }
    let entries = reader.list("TRUSTED_PROXIES").unwrap_or_default();
    TrustedProxies::parse(&entries).unwrap_or_else(|entry| {
        let remedy = format!(
            "holds {entry:?}, which is no address or network, such as \"10.0.0.1\" or \"10.0.0.0/8\""
        );
        reader.refuse("TRUSTED_PROXIES", remedy);
        TrustedProxies::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_trusted_by_its_name_or_by_the_dot_before_it() {
        let covers = |entry: &str, host: &str| TrustedHost::parse(entry).unwrap().covers(host);
        for (entry, host) in [
            ("example.org", "example.org"),
            ("Example.ORG:8000", "example.org"),
            (".example.org", "example.org"),
            (".example.org", "a.b.example.org"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]:8000", "::1"),
        ] {
            assert!(covers(entry, host), "{entry} {host}");
        }
        for (entry, host) in [
            ("example.org", "a.example.org"),
            (".example.org", "badexample.org"),
            ("example.org", "example.org.evil.test"),
        ] {
            assert!(!covers(entry, host), "{entry} {host}");
        }
        assert_eq!(TrustedHost::parse(""), None);
        assert_eq!(TrustedHost::parse("a b"), None);
    }
}
