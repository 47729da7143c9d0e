//! TLS to Redis: rustls, with the authorities that this machine trusts.

use std::io;
use std::sync::Arc;

use rocket::tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use super::error::Failure;

/// Wraps connections into TLS.
#[derive(Clone)]
pub struct Tls(TlsConnector);

impl Tls {
    /// Reads the machine's authorities, or those in the file that `SSL_CERT_FILE` names.
    pub fn new() -> Result<Self, Failure> {
        let failed = |why: String| Failure::Authorities(why);
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (used, _) = roots.add_parsable_certificates(found.certs);
        if used == 0 {
            let why = found.errors.first().map_or_else(
                || "this machine has none: install ca-certificates, or set SSL_CERT_FILE".into(),
                |error| format!("this machine's cannot be read: {error}"),
            );
            return Err(failed(why));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Speaks TLS with the server at the other end, which must prove to be `host`.
    pub async fn wrap(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::other("the host is neither a name nor an address"))?;
        self.0.connect(name, stream).await.map_err(explained)
    }
}

fn explained(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    io::Error::other(match inner {
        Some(rustls::Error::InvalidCertificate(_)) => format!(
            "{error}; its authority must be in this machine's list, or in the file that \
             SSL_CERT_FILE names"
        ),
        _ => format!("no TLS with it ({error}); one without TLS is reached by redis://"),
    })
}
