//! TLS as this program speaks it: rustls on aws-lc-rs, TLS 1.2 and 1.3, trusting only the roots it is given. It must never read the
//! system's roots, the environment or a process-wide default, and nothing here can be switched to trust more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, ProtocolVersion, RootCertStore, SignatureScheme};
use zeroize::Zeroize as _;

use crate::model::clock::Clock;
use crate::model::key::KeyAlgorithm;

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
    let provider = Arc::new(aws_lc_rs::default_provider());
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

/// A client that shows what a server sends and **judges nothing but the server's possession of the key**. Only `handshake` may use it:
/// it sends no application data, does not resume, and what it saw is judged afterwards.
///
/// With `only`, the signature schemes of that kind of key are offered and no others: a server with several certificates answers by what
/// is offered (CONTRACT, verify defaults).
///
/// # Errors
/// rustls does not take the configuration.
pub(in crate::io) fn danger_recording(record: &Arc<Record>, only: Option<KeyAlgorithm>, clock: Clock) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let schemes = only.map_or_else(|| algorithms.supported_schemes(), schemes_of);
    let verifier = Arc::new(DangerRecordingVerifier { record: Arc::clone(record), schemes, algorithms });
    let mut config = configured(provider, clock, verifier)?;
    config.client_auth_cert_resolver = Arc::new(NoticesRequest(Arc::clone(record)));
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn configured(provider: Arc<CryptoProvider>, clock: Clock, verifier: Arc<dyn ServerCertVerifier>) -> Result<ClientConfig, TlsError> {
    Ok(ClientConfig::builder_with_details(provider, Arc::new(ClockTime(clock)))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsError::Setup)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// The schemes a key of this kind signs a handshake with (RFC 8446 §4.2.3). For EC the one that TLS 1.3 ties to the curve, so that a
/// P-256 and a P-384 certificate are told apart as well.
fn schemes_of(algorithm: KeyAlgorithm) -> Vec<SignatureScheme> {
    match algorithm {
        KeyAlgorithm::EcP256 => vec![SignatureScheme::ECDSA_NISTP256_SHA256],
        KeyAlgorithm::EcP384 => vec![SignatureScheme::ECDSA_NISTP384_SHA384],
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => vec![
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512,
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
        ],
    }
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

/// What one handshake showed.
#[derive(Debug, Default)]
pub(in crate::io) struct Record(Mutex<Recorded>);

/// The values of a [`Record`].
#[derive(Clone, Debug, Default)]
pub(in crate::io) struct Recorded {
    /// The chain as sent, leaf first, DER.
    pub(in crate::io) chain: Vec<Vec<u8>>,
    /// Set once the server signed the handshake with the leaf's key, with the protocol that it did so in.
    pub(in crate::io) proven: Option<ProtocolVersion>,
    /// Set when the server asked for a client certificate: the issuers it names (DER of distinguished names), possibly none.
    pub(in crate::io) client_auth: Option<Vec<Vec<u8>>>,
}

impl Record {
    /// What was seen so far.
    pub(in crate::io) fn take(&self) -> Recorded {
        std::mem::take(&mut *lock(&self.0))
    }
}

/// Judges nothing but the signature of the handshake. See [`danger_recording`].
#[derive(Debug)]
struct DangerRecordingVerifier {
    record: Arc<Record>,
    schemes: Vec<SignatureScheme>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for DangerRecordingVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        lock(&self.record.0).chain = as_sent(leaf, intermediates);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = verify_tls12_signature(message, leaf, signed, &self.algorithms)?;
        lock(&self.record.0).proven = Some(ProtocolVersion::TLSv1_2);
        Ok(valid)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = verify_tls13_signature(message, leaf, signed, &self.algorithms)?;
        lock(&self.record.0).proven = Some(ProtocolVersion::TLSv1_3);
        Ok(valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

/// Notes that the server asks for a client certificate, and has none to give.
#[derive(Debug)]
struct NoticesRequest(Arc<Record>);

impl ResolvesClientCert for NoticesRequest {
    fn resolve(&self, issuers: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        lock(&self.0.0).client_auth = Some(issuers.iter().map(|name| name.to_vec()).collect());
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn as_sent(leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Vec<Vec<u8>> {
    std::iter::once(leaf).chain(intermediates).map(|der| der.to_vec()).collect()
}

/// A value behind a lock is a plain record here: whoever panicked while holding it left nothing half-done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
