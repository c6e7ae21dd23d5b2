//! A TLS client certificate whose key stays in its device, which signs each handshake. It must never see the key.

use std::sync::{Arc, Mutex};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

use super::{Identity, TlsError, lock};
use crate::model::failure::Failure;

/// Signs with a P-256 key of a device. It blocks as long as the device takes.
pub trait Signs: std::fmt::Debug + Send + Sync {
    /// ECDSA with SHA-256 of the message, in DER (RFC 5758 §3.2).
    ///
    /// # Errors
    /// The device refuses, or cannot be reached.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Failure>;
}

/// Why the device refused last: a handshake says no more than that it failed.
#[derive(Clone, Debug, Default)]
pub struct LastRefusal(Arc<Mutex<Option<Failure>>>);

impl LastRefusal {
    /// That refusal.
    #[must_use]
    pub fn seen(&self) -> Option<Failure> {
        lock(&self.0).clone()
    }
}

impl Identity {
    /// A chain (PEM, the leaf first) with the device that signs for it.
    ///
    /// # Errors
    /// The chain is none.
    pub fn of_device(chain: &[u8], device: Arc<dyn Signs>) -> Result<OfDevice, TlsError> {
        let damaged = || TlsError::Identity("the chain holds damaged PEM".to_owned());
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(|_| damaged())?;
        if chain.is_empty() {
            return Err(TlsError::Identity("the chain holds no PEM CERTIFICATE".to_owned()));
        }
        let refusal = LastRefusal::default();
        let key = Arc::new(Device { device, refusal: refusal.clone() });
        Ok(OfDevice { identity: Self(Arc::new(CertifiedKey::new(chain, key))), refusal })
    }
}

/// Such an identity, and what its device says where a handshake fails.
#[derive(Debug)]
pub struct OfDevice {
    /// It.
    pub identity: Identity,
    /// Why its device refused.
    pub refusal: LastRefusal,
}

#[derive(Clone, Debug)]
struct Device {
    device: Arc<dyn Signs>,
    refusal: LastRefusal,
}

impl SigningKey for Device {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ECDSA_NISTP256_SHA256).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for Device {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.device.sign(message).map_err(|why| {
            let text = why.text.clone();
            *lock(&self.refusal.0) = Some(why);
            Error::General(text)
        })
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}
