//! Where metrics are served.

use std::net::SocketAddr;

use crate::session::settings::Reader;

/// These settings, with what each does in a line.
pub const KEYS: &[(&str, &str)] = &[
    ("METRICS_ADDRESS", "where to serve /metrics for Prometheus, such as \"127.0.0.1:9184\""),
    ("METRICS_REMOTE", "let METRICS_ADDRESS be one that other machines reach"),
];

/// Where metrics are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsSettings {
    /// `METRICS_ADDRESS`, if they are served at all.
    pub address: Option<SocketAddr>,
    /// `METRICS_REMOTE`: whether other machines may reach it.
    pub remote: bool,
}

impl MetricsSettings {
    /// Anybody who reaches the address may read, so one beyond this machine needs
    /// `METRICS_REMOTE` as well, and the pages' own port is refused.
    pub(super) fn read(reader: &mut Reader) -> Self {
        let key = "METRICS_ADDRESS";
        let remote = reader.bool("METRICS_REMOTE").unwrap_or(false);
        let text = reader.text(key).filter(|text| !text.is_empty());
        let address = text.as_ref().and_then(|text| text.parse::<SocketAddr>().ok());
        let port = reader.figment().extract_inner::<u16>("port").unwrap_or_default();
        let remedy = match address {
            None if text.is_some() => "must be an address and a port, such as \"127.0.0.1:9184\"",
            Some(address) if !address.ip().is_loopback() && !remote => {
                "can be reached from other machines, and asks nobody for a password; take \
                 \"127.0.0.1:9184\", or set METRICS_REMOTE = true"
            }
            Some(address) if port != 0 && port == address.port() => {
                "must have a port other than `port`, where pages are served"
            }
            _ => return Self { address, remote },
        };
        reader.refuse(key, remedy);
        Self { address: None, remote }
    }
}
