//! TLS as this program speaks it: rustls on aws-lc-rs, TLS 1.2 and 1.3, trusting only the roots it is given. It must never read the
//! system's roots, the environment or a process-wide default, and nothing here can be switched to trust more.

mod danger;
mod device;
mod tickets;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, SupportedProtocolVersion};
use zeroize::Zeroize as _;

use crate::model::clock::Clock;

pub(in crate::io) use danger::{Record, Shown, danger_interview, danger_recording};
pub use device::{LastRefusal, OfDevice, Signs};
pub(in crate::io) use tickets::Tickets;

/// Why no TLS configuration could be made. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A client certificate file is not what it should be.
    #[error("{0}")]
    Identity(String),
    /// A root cannot serve as a trust anchor.
    #[error("root certificate {number} of {count} cannot be used as a trust anchor")]
    Root {
        /// Which, from 1.
        number: usize,
        /// Of how many.
        count: usize,
        /// Why.
        #[source]
        source: Error,
    },
    /// rustls takes the parts, but not together.
    #[error("cannot set up TLS")]
    Setup(#[source] Error),
    /// No root was given.
    #[error("no root certificate to trust was given")]
    NoRoots,
}

/// A TLS client certificate with its key, loaded into rustls.
#[derive(Clone, Debug)]
pub struct Identity(Arc<CertifiedKey>);

impl Identity {
    /// From PEM: leaf, then intermediates; the key in PKCS#8, PKCS#1 or SEC 1. The decoded copy of the key made on the way is wiped.
    ///
    /// # Errors
    /// What is missing, or that certificate and key do not belong together.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let fail = |text: &str| TlsError::Identity(text.to_owned());
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(|_| fail("the certificate file holds damaged PEM"))?;
        if chain.is_empty() {
            return Err(fail("the certificate file holds no PEM CERTIFICATE"));
        }
        let mut key = PrivateKeyDer::from_pem_slice(key).map_err(|_| fail("the key file holds no unencrypted PEM private key"))?;
        let signer = aws_lc_rs::sign::any_supported_type(&key);
        key.zeroize();
        let pair = CertifiedKey::new(chain, signer.map_err(|_| fail("the key file holds a key that TLS cannot use"))?);
        pair.keys_match().map_err(|_| fail("certificate and key do not belong together"))?;
        Ok(Self(Arc::new(pair)))
    }
}

/// A chain that was not trusted, and why; for the words of an error.
#[derive(Clone, Debug)]
pub struct Distrust {
    /// What the check said.
    pub why: CertificateError,
    /// The chain as sent, leaf first, DER.
    pub chain: Vec<Vec<u8>>,
    /// The name or address it was checked for.
    pub name: String,
}

/// The last chain a configuration of [`trusting`] refused.
#[derive(Clone, Debug, Default)]
pub struct LastDistrust(Arc<Mutex<Option<Distrust>>>);

impl LastDistrust {
    /// That chain.
    #[must_use]
    pub fn seen(&self) -> Option<Distrust> {
        lock(&self.0).clone()
    }
}

/// A client that trusts exactly these roots (DER), checks names and dates by this clock, and shows `identity` to servers that ask.
///
/// # Errors
/// A root that is none, or no root at all.
pub fn trusting(roots: &[Vec<u8>], identity: Option<&Identity>, clock: Clock) -> Result<(ClientConfig, LastDistrust), TlsError> {
    if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    let mut store = RootCertStore::empty();
    for (index, der) in roots.iter().enumerate() {
        let wrong = |source| TlsError::Root { number: index + 1, count: roots.len(), source };
        store.add(CertificateDer::from(der.as_slice())).map_err(wrong)?;
    }
    let provider = preferring_hybrid();
    let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider))
        .build()
        .map_err(|why| TlsError::Setup(Error::General(why.to_string())))?;
    let last = LastDistrust::default();
    let verifier = Arc::new(Remembering { webpki, last: last.clone() });
    let mut config = configured(provider, clock, verifier)?;
    if let Some(Identity(pair)) = identity {
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(Arc::clone(pair)));
    }
    Ok((config, last))
}

/// aws-lc with every key exchange group that it has: a listener may insist on one that clients do not offer by default.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { kx_groups: aws_lc_rs::ALL_KX_GROUPS.to_vec(), ..aws_lc_rs::default_provider() })
}

/// The same for servers that are spoken with. A server in Go, as OpenBao is, takes X25519MLKEM768 wherever it is offered: a client that sends
/// a key share for another group first is asked for this one by a HelloRetryRequest (RFC 8446 §4.1.4), and has made a key for nothing. With
/// it goes one for X25519, for servers that do not know it. Who is only looked at is offered the smaller one first.
fn preferring_hybrid() -> Arc<CryptoProvider> {
    let hybrid = aws_lc_rs::kx_group::X25519MLKEM768;
    let others = aws_lc_rs::ALL_KX_GROUPS.iter().copied().filter(|group| group.name() != hybrid.name());
    Arc::new(CryptoProvider { kx_groups: std::iter::once(hybrid).chain(others).collect(), ..aws_lc_rs::default_provider() })
}

fn configured(provider: Arc<CryptoProvider>, clock: Clock, verifier: Arc<dyn ServerCertVerifier>) -> Result<ClientConfig, TlsError> {
    versions(provider, clock, verifier, &[&rustls::version::TLS13, &rustls::version::TLS12])
}

fn versions(
    provider: Arc<CryptoProvider>,
    clock: Clock,
    verifier: Arc<dyn ServerCertVerifier>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ClientConfig, TlsError> {
    Ok(ClientConfig::builder_with_details(provider, Arc::new(ClockTime(clock)))
        .with_protocol_versions(versions)
        .map_err(TlsError::Setup)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// The run's clock as rustls reads it.
#[derive(Debug)]
struct ClockTime(Clock);

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<UnixTime> {
        u64::try_from(self.0.now().unix()).ok().map(|seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// webpki's verdict, unchanged; a chain it refuses is remembered, because "unknown issuer" alone helps nobody.
#[derive(Debug)]
struct Remembering {
    webpki: Arc<WebPkiServerVerifier>,
    last: LastDistrust,
}

impl ServerCertVerifier for Remembering {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.webpki.verify_server_cert(leaf, intermediates, name, ocsp, now);
        if let Err(Error::InvalidCertificate(why)) = &verdict {
            let distrust = Distrust { why: why.clone(), chain: as_sent(leaf, intermediates), name: name.to_str().into_owned() };
            *lock(&self.last.0) = Some(distrust);
        }
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

fn as_sent(leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Vec<Vec<u8>> {
    std::iter::once(leaf).chain(intermediates).map(|der| der.to_vec()).collect()
}

/// A value behind a lock is a plain record here: whoever panicked while holding it left nothing half-done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_a_pem_pair_that_belongs_together() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let other = rcgen::KeyPair::generate().expect("a key");
        let certificate =
            rcgen::CertificateParams::new(["a.example".to_owned()]).and_then(|p| p.self_signed(&key)).expect("a certificate").pem();
        let cut = certificate.replace("-----END", "-----FIN");
        for (certificates, key, says) in [
            (certificate.as_str(), key.serialize_pem(), None),
            (&certificate, other.serialize_pem(), Some("do not belong together")),
            ("", key.serialize_pem(), Some("no PEM CERTIFICATE")),
            (&cut, key.serialize_pem(), Some("damaged PEM")),
            (&certificate, certificate.clone(), Some("no unencrypted PEM private key")),
            (&certificate, String::new(), Some("no unencrypted PEM private key")),
        ] {
            let got = Identity::from_pem(certificates.as_bytes(), key.as_bytes()).map_err(|why| why.to_string());
            match says {
                None => assert!(got.is_ok(), "{got:?}"),
                Some(words) => assert!(got.as_ref().is_err_and(|why| why.contains(words)), "{got:?}"),
            }
        }
    }
}
