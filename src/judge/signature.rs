//! The signature algorithms of webpki, with a memory: the same key, message and signature give the same answer, so that an intermediate that
//! stands in a thousand chains is verified once. It must never remember anything but a signature that was right.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex};

use aws_lc_rs::digest::{Context, SHA256};
use rustls::pki_types::{AlgorithmIdentifier, FipsStatus, InvalidSignature, SignatureVerificationAlgorithm};

/// As many signatures are remembered before the memory is emptied (2 MiB).
const MAX_KNOWN: usize = 65_536;

static REMEMBERING: LazyLock<Vec<Remembering>> = LazyLock::new(|| {
    webpki::ALL_VERIFICATION_ALGS.iter().enumerate().map(|(number, inner)| Remembering { number, inner: *inner }).collect()
});
static ALGORITHMS: LazyLock<Vec<&'static dyn SignatureVerificationAlgorithm>> =
    LazyLock::new(|| REMEMBERING.iter().map(|one| one as &dyn SignatureVerificationAlgorithm).collect());
/// SHA-256 over algorithm, key, message and signature of those that were right.
static KNOWN: LazyLock<Mutex<HashSet<[u8; 32]>>> = LazyLock::new(Mutex::default);

/// Every algorithm of webpki.
pub(super) fn algorithms() -> &'static [&'static dyn SignatureVerificationAlgorithm] {
    &ALGORITHMS
}

#[derive(Debug)]
struct Remembering {
    number: usize,
    inner: &'static dyn SignatureVerificationAlgorithm,
}

impl SignatureVerificationAlgorithm for Remembering {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let print = print(self.number, [public_key, message, signature]);
        // A poisoned lock is no reason to trust or to refuse: the signature is verified anew.
        if KNOWN.lock().is_ok_and(|known| known.contains(&print)) {
            return Ok(());
        }
        self.inner.verify_signature(public_key, message, signature)?;
        if let Ok(mut known) = KNOWN.lock() {
            if known.len() >= MAX_KNOWN {
                known.clear();
            }
            known.insert(print);
        }
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.inner.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.inner.signature_alg_id()
    }

    fn fips_status(&self) -> FipsStatus {
        self.inner.fips_status()
    }
}

/// Every part with its length before it, so that none can run into the next.
fn print(algorithm: usize, parts: [&[u8]; 3]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(&algorithm.to_be_bytes());
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    let mut print = [0; 32];
    print.copy_from_slice(context.finish().as_ref());
    print
}

#[cfg(test)]
mod tests {
    use super::super::kit::Pki;
    use super::*;

    #[test]
    fn only_what_was_right_is_remembered_and_nothing_else_passes_for_it() {
        let one = |algorithm: usize, parts: [&[u8]; 3]| print(algorithm, parts);
        let base = one(1, [b"key", b"message", b"signature"]);
        assert_eq!(base, one(1, [b"key", b"message", b"signature"]));
        for other in [
            one(2, [b"key", b"message", b"signature"]),
            one(1, [b"ke", b"ymessage", b"signature"]),
            one(1, [b"key", b"message", b"signaturf"]),
            one(1, [b"keymessage", b"", b"signature"]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn a_forged_signature_is_refused_before_and_after_the_good_one_is_known() {
        let pki = Pki::new();
        let good = pki.leaf();
        let mut forged = good.clone();
        let last = forged.len() - 1;
        forged[last] ^= 1;
        let beside = std::slice::from_ref(&pki.middle.der);
        for _ in 0..2 {
            assert!(pki.judge(&forged, beside).refused());
            assert!(!pki.judge(&good, beside).refused());
        }
    }
}
