//! The one verifier that judges nothing: it records what a server sends, for `handshake`, where a chain must be seen before it can be judged.
//! It must never be given to anything that sends application data, and what it saw is always judged afterwards
//! ([What must always be true](crate#what-must-always-be-true), 7).

use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, ProtocolVersion, SignatureScheme, SupportedProtocolVersion};

use super::{Identity, Tickets, TlsError, as_sent, configured, lock, versions};
use crate::model::clock::Clock;
use crate::model::key::KeyAlgorithm;

/// A client that shows what a server sends and **judges nothing but the server's possession of the key**. Only `handshake` may use it:
/// it sends no application data, does not resume, and what it saw is judged afterwards.
///
/// With `only`, the signature schemes of that kind of key are offered and no others: a server with several certificates answers by what
/// is offered ([Proof on the wire](crate::cli#proof-on-the-wire)).
///
/// # Errors
/// rustls does not take the configuration.
pub(in crate::io) fn danger_recording(
    record: &Arc<Record>,
    only: Option<KeyAlgorithm>,
    shown: Option<Shown<'_>>,
    clock: Clock,
) -> Result<ClientConfig, TlsError> {
    let provider = super::provider();
    let algorithms = provider.signature_verification_algorithms;
    let schemes = only.map_or_else(|| algorithms.supported_schemes(), schemes_of);
    let verifier = Arc::new(DangerRecordingVerifier { record: Arc::clone(record), schemes, algorithms });
    let mut config = configured(provider, clock, verifier)?;
    let identity = shown.as_ref().map(|shown| Arc::clone(&shown.identity.0));
    config.client_auth_cert_resolver = Arc::new(NoticesRequest { record: Arc::clone(record), identity });
    config.resumption = shown.map_or_else(Resumption::disabled, |shown| Resumption::store(shown.tickets));
    Ok(config)
}

/// The same for an interview: with a certificate of ours to show, for one version of TLS where one is asked about, and told of tickets, which
/// a TLS 1.3 server sends only once it has taken the client's certificate (RFC 8446 §4.6.1).
///
/// # Errors
/// rustls does not take the configuration.
pub(in crate::io) fn danger_interview(
    record: &Arc<Record>,
    identity: Option<&Identity>,
    only: Option<&'static SupportedProtocolVersion>,
    tickets: Arc<Tickets>,
    clock: Clock,
) -> Result<ClientConfig, TlsError> {
    let provider = super::provider();
    let algorithms = provider.signature_verification_algorithms;
    let verifier = Arc::new(DangerRecordingVerifier { record: Arc::clone(record), schemes: algorithms.supported_schemes(), algorithms });
    let mut config = match only {
        None => configured(provider, clock, verifier)?,
        Some(version) => versions(provider, clock, verifier, &[version])?,
    };
    config.client_auth_cert_resolver =
        Arc::new(NoticesRequest { record: Arc::clone(record), identity: identity.map(|own| Arc::clone(&own.0)) });
    config.resumption = Resumption::store(tickets);
    Ok(config)
}

/// What is shown to a server that asks for it, and who notices that it was taken.
#[derive(Debug)]
pub(in crate::io) struct Shown<'a> {
    /// The certificate and its key.
    pub(in crate::io) identity: &'a Identity,
    /// Told of tickets.
    pub(in crate::io) tickets: Arc<Tickets>,
}

/// The schemes a key of this kind signs a handshake with (RFC 8446 §4.2.3). For EC the one that TLS 1.3 ties to the curve, so that a
/// P-256 and a P-384 certificate are told apart as well.
fn schemes_of(algorithm: KeyAlgorithm) -> Vec<SignatureScheme> {
    match algorithm {
        KeyAlgorithm::EcP256 => vec![SignatureScheme::ECDSA_NISTP256_SHA256],
        KeyAlgorithm::EcP384 => vec![SignatureScheme::ECDSA_NISTP384_SHA384],
        KeyAlgorithm::Ed25519 => vec![SignatureScheme::ED25519],
        KeyAlgorithm::MlDsa44 => vec![SignatureScheme::ML_DSA_44],
        KeyAlgorithm::MlDsa65 => vec![SignatureScheme::ML_DSA_65],
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

/// Notes that the server asks for a client certificate, and gives the one it was given, if any, whatever issuers the server names.
#[derive(Debug)]
struct NoticesRequest {
    record: Arc<Record>,
    identity: Option<Arc<CertifiedKey>>,
}

impl ResolvesClientCert for NoticesRequest {
    fn resolve(&self, issuers: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        lock(&self.record.0).client_auth = Some(issuers.iter().map(|name| name.to_vec()).collect());
        self.identity.clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}
