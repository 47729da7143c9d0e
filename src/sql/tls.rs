//! TLS to PostgreSQL, with libpq's meanings of `sslmode`.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_postgres::config::SslMode;

use super::url::refused;

/// How much of a server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Nothing: what is sent is hidden from those who listen, not from those in the middle.
    Nothing,
    /// That an authority known here signed it.
    Authority,
    /// That, and that it is for the host of the URL.
    Full,
}

/// What the parameter `sslmode` asks for. Without one it is `prefer`, as in libpq.
pub(super) fn mode(
    sslmode: Option<&str>,
    has_authority: bool,
) -> Result<(SslMode, Check), super::Error> {
    Ok(match sslmode {
        Some("disable") => (SslMode::Disable, Check::Nothing),
        None | Some("allow" | "prefer") => (SslMode::Prefer, Check::Nothing),
        // With an authority named, libpq has `require` check it.
        Some("require") if has_authority => (SslMode::Require, Check::Authority),
        Some("require") => (SslMode::Require, Check::Nothing),
        Some("verify-ca") => (SslMode::Require, Check::Authority),
        Some("verify-full") => (SslMode::Require, Check::Full),
        Some(_) => {
            return Err(refused(
                "sslmode",
                "must be disable, prefer, require, verify-ca or verify-full",
            ));
        }
    })
}

/// A client that checks so much, against the authorities in the PEM file `sslrootcert` or, without
/// one, those that this machine knows.
pub(super) fn client(
    check: Check,
    sslrootcert: Option<&str>,
) -> Result<ClientConfig, super::Error> {
    let failed = |error: &dyn std::fmt::Display| super::Error::Connection(format!("TLS: {error}"));
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    let authority = match check {
        Check::Nothing => None,
        Check::Authority | Check::Full => {
            let roots = Arc::new(roots(sslrootcert)?);
            let verifier =
                WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
            Some(verifier.map_err(|error| failed(&error))?)
        }
    };
    let verifier = Arc::new(Verifier { authority, host: check == Check::Full, provider });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Those that this machine knows.
pub(crate) fn authorities() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

fn roots(sslrootcert: Option<&str>) -> Result<RootCertStore, super::Error> {
    let mut roots = RootCertStore::empty();
    let Some(path) = sslrootcert.filter(|path| *path != "system") else {
        roots.add_parsable_certificates(authorities());
        let none =
            "asks for a check, but this machine knows no authorities; name some by sslrootcert";
        return if roots.is_empty() { Err(refused("sslmode", none)) } else { Ok(roots) };
    };
    let failed = |error: &dyn std::fmt::Display| {
        refused("sslrootcert", &format!("names {path:?}, which cannot be read: {error}"))
    };
    let certificates =
        CertificateDer::pem_file_iter(Path::new(path)).map_err(|error| failed(&error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| failed(&error))?;
        roots.add(certificate).map_err(|error| failed(&error))?;
    }
    match roots.is_empty() {
        true => Err(failed(&"it holds no certificate in PEM form")),
        false => Ok(roots),
    }
}

#[derive(Debug)]
struct Verifier {
    authority: Option<Arc<WebPkiServerVerifier>>,
    host: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authority) = &self.authority else {
            return Ok(ServerCertVerified::assertion());
        };
        match authority.verify_server_cert(certificate, intermediates, host, ocsp, now) {
            // Names are looked at last, when all else is well.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.host => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
