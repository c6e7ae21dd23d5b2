//! A TLS client certificate whose key stays in its device, which signs each handshake. It must never see the key.

use std::sync::{Arc, Mutex};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

use super::{Identity, TlsError, lock};
use crate::model::failure::Failure;

/// Signs handshakes with a key of a device. It blocks as long as the device takes.
pub trait Signs: std::fmt::Debug + Send + Sync {
    /// How it can sign, what is preferred first.
    fn schemes(&self) -> &'static [SignatureScheme];

    /// Signs by one of these (RFC 8446 §4.2.3).
    ///
    /// # Errors
    /// The device refuses, or cannot be reached.
    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, Failure>;
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
        let scheme = *self.device.schemes().iter().find(|scheme| offered.contains(scheme))?;
        Some(Box::new(ByScheme { device: self.clone(), scheme }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.device.schemes().first() {
            Some(SignatureScheme::ECDSA_NISTP256_SHA256) => SignatureAlgorithm::ECDSA,
            _ => SignatureAlgorithm::RSA,
        }
    }
}

/// A device that signs by the scheme of one handshake.
#[derive(Debug)]
struct ByScheme {
    device: Device,
    scheme: SignatureScheme,
}

impl Signer for ByScheme {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let Device { device, refusal } = &self.device;
        device.sign(self.scheme, message).map_err(|why| {
            let text = why.text.clone();
            *lock(&refusal.0) = Some(why);
            Error::General(text)
        })
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Can(&'static [SignatureScheme]);

    impl Signs for Can {
        fn schemes(&self) -> &'static [SignatureScheme] {
            self.0
        }

        fn sign(&self, _: SignatureScheme, _: &[u8]) -> Result<Vec<u8>, Failure> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn a_device_signs_by_the_first_of_its_schemes_that_is_offered() {
        use SignatureScheme::{ECDSA_NISTP256_SHA256 as ECDSA, RSA_PKCS1_SHA256 as PKCS1, RSA_PSS_SHA256 as PSS};
        let rsa: &'static [SignatureScheme] = &[PKCS1, PSS];
        for (can, offered, chosen) in [
            (rsa, &[PSS, PKCS1][..], Some(PKCS1)),
            (rsa, &[ECDSA, PSS], Some(PSS)),
            (rsa, &[ECDSA], None),
            (&[ECDSA], &[PSS, ECDSA], Some(ECDSA)),
        ] {
            let device = Device { device: Arc::new(Can(can)), refusal: LastRefusal::default() };
            assert_eq!(device.choose_scheme(offered).map(|signer| signer.scheme()), chosen, "{can:?} {offered:?}");
        }
    }
}
