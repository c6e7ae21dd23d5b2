//! Evidence of a TPM in the forms that are sent, and whether it is what was asked for: judged here before anybody else sees it, since one
//! bad quote is remembered for good (`io/keylime/facts.md`, "What a verifier remembers"). It must never pass what it could not compare.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::structures::{Attest, AttestInfo, Public, Signature};
use tss_esapi::traits::{Marshall as _, UnMarshall as _};

use crate::model::pcr::{LENGTH, PcrList, PcrValues};

/// TPMS_ATTEST and TPMT_SIGNATURE: what a TPM says of itself, signed by its attestation key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// TPMS_ATTEST.
    pub message: Vec<u8>,
    /// TPMT_SIGNATURE.
    pub signature: Vec<u8>,
}

/// A quote and the PCR values that it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// What was signed.
    pub signed: Signed,
    /// The values.
    pub values: PcrValues,
}

/// An attestation key's public half: what evidence is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestationKey {
    /// TPMT_PUBLIC.
    pub public: Vec<u8>,
    /// Its Name (TPM 2.0 Part 1, §16).
    pub name: Vec<u8>,
}

impl AttestationKey {
    /// A key of this TPMT_PUBLIC; its Name is computed here (SHA-256).
    #[must_use]
    pub fn of(public: Vec<u8>) -> Self {
        const TPM2_ALG_SHA256: [u8; 2] = [0x00, 0x0b];
        let name = [&TPM2_ALG_SHA256[..], digest(&SHA256, &public).as_ref()].concat();
        Self { public, name }
    }

    /// Checks a certification of the key by itself.
    ///
    /// # Errors
    /// What is not as it should be.
    pub fn check_certified(&self, signed: &Signed, nonce: &[u8]) -> Result<(), &'static str> {
        let attest = self.checked(signed, nonce)?;
        let AttestInfo::Certify { info } = attest.attested() else { return Err("the TPM's answer is no certification") };
        if info.name().value() == self.name { Ok(()) } else { Err("the TPM certified another key") }
    }

    /// Checks a quote: signed by this key, over exactly these PCRs of one bank with these values, and over this nonce.
    ///
    /// # Errors
    /// What is not as it should be.
    pub fn check_quote(&self, quote: &Quote, list: &PcrList, nonce: &[u8]) -> Result<(), &'static str> {
        let attest = self.checked(&quote.signed, nonce)?;
        let AttestInfo::Quote { info } = attest.attested() else { return Err("the TPM's answer is no quote") };
        let [selection] = info.pcr_selection().get_selections() else { return Err("the quote is over other banks than asked for") };
        if selection.hashing_algorithm() != HashingAlgorithm::Sha256 {
            return Err("the quote is over another bank than asked for");
        }
        let mut quoted: Vec<u32> = selection.selected().into_iter().map(|slot| u32::from(slot).trailing_zeros()).collect();
        quoted.sort_unstable();
        if quoted != list.numbers() || quote.values.list != *list || !quote.values.is_whole() {
            return Err("the quote is over other PCRs than asked for");
        }
        if info.pcr_digest().value() == pcr_digest(&quote.values) { Ok(()) } else { Err("the quote is over other values than were read") }
    }

    fn checked(&self, signed: &Signed, nonce: &[u8]) -> Result<Attest, &'static str> {
        // Its first field is the magic that only the TPM writes (TPM 2.0 Part 2, §10.12.12): unmarshalling compares it.
        let attest = Attest::unmarshall(&signed.message).map_err(|_| "the TPM's answer cannot be read")?;
        if attest.marshall().ok().as_deref() != Some(signed.message.as_slice()) {
            return Err("the TPM's answer has no single form");
        }
        if attest.extra_data().value() != nonce {
            return Err("the TPM's answer is over another challenge");
        }
        if self.verifies(signed) { Ok(attest) } else { Err("the TPM's signature is not one of the attestation key") }
    }

    fn verifies(&self, signed: &Signed) -> bool {
        let (Ok(Public::Rsa { unique, .. }), Ok(Signature::RsaSsa(signature))) =
            (Public::unmarshall(&self.public), Signature::unmarshall(&signed.signature))
        else {
            return false;
        };
        // The exponent that a TPM means by its default, 0 (TPM 2.0 Part 2, §12.2.3.5).
        let key = RsaPublicKeyComponents { n: unique.value(), e: &[1, 0, 1] };
        signature.hashing_algorithm() == HashingAlgorithm::Sha256
            && key.verify(&RSA_PKCS1_2048_8192_SHA256, &signed.message, signature.signature().value()).is_ok()
    }
}

/// What a quote's pcrDigest is of: the values, in ascending order of their PCRs (TPM 2.0 Part 3, §18.4).
pub(super) fn pcr_digest(values: &PcrValues) -> Vec<u8> {
    let all: Vec<u8> = values.values.iter().flat_map(|value| value.0.iter().copied()).collect();
    digest(&SHA256, &all).as_ref().to_vec()
}

/// Bytes behind their length in two bytes, as TPM2B structures are.
#[must_use]
pub fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes()[..], bytes].concat()
}

/// Values of PCRs in the form of `tpm2_quote -F serialized`, which Keylime reads: libtss2's structures as they lie in memory, little-endian
/// (`io/keylime/facts.md`, "The push protocol").
#[must_use]
pub fn pcr_blob(values: &PcrValues) -> Vec<u8> {
    const BANKS: usize = 16;
    const DIGESTS: usize = 8;
    const DIGEST: usize = 64;
    const TPM2_ALG_SHA256: u16 = 0x000b;
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    let bits = values.list.numbers().iter().fold(0_u32, |bits, number| bits | 1_u32.checked_shl(*number).unwrap_or_default());
    let mut blob = Vec::new();
    blob.extend_from_slice(&count(1));
    // TPMS_PCR_SELECTION: hash, size of the bit field, bit field, one byte of padding.
    blob.extend_from_slice(&TPM2_ALG_SHA256.to_le_bytes());
    blob.push(3);
    blob.extend_from_slice(&bits.to_le_bytes());
    blob.push(0);
    blob.resize(4 + BANKS * 8, 0);
    let lists = values.values.chunks(DIGESTS);
    blob.extend_from_slice(&count(lists.len()));
    for list in lists {
        blob.extend_from_slice(&count(list.len()));
        for place in 0..DIGESTS {
            let value = list.get(place).map(|value| value.0.as_slice()).unwrap_or_default();
            let length = u16::try_from(value.len().min(DIGEST)).unwrap_or_default();
            blob.extend_from_slice(&length.to_le_bytes());
            blob.extend_from_slice(value);
            blob.resize(blob.len() + DIGEST - value.len().min(DIGEST), 0);
        }
    }
    blob
}

const _: () = assert!(LENGTH <= 64, "a value fits into the structure");

#[cfg(test)]
mod tests {
    use super::*;

    fn values(numbers: &[u32]) -> PcrValues {
        let filled = numbers.iter().map(|number| vec![u8::try_from(*number).unwrap(); LENGTH]).collect();
        PcrValues::new(PcrList::new(numbers).unwrap(), filled).unwrap()
    }

    #[test]
    fn pcr_values_take_the_form_of_tpm2_quote() {
        let one = pcr_blob(&values(&[23]));
        assert_eq!(one.len(), 668);
        assert_eq!(one[..12], [1, 0, 0, 0, 0x0b, 0, 3, 0, 0, 0x80, 0, 0]);
        assert_eq!(one[132..142], [1, 0, 0, 0, 1, 0, 0, 0, 32, 0]);
        assert_eq!(one[142..174], [23; 32]);
        assert!(one[174..].iter().all(|byte| *byte == 0));
        let nine = pcr_blob(&values(&[0, 1, 2, 3, 4, 5, 6, 7, 9]));
        assert_eq!(nine.len(), 668 + 532);
        assert_eq!(nine[4..12], [0x0b, 0, 3, 0xff, 0x02, 0, 0, 0]);
    }

    #[test]
    fn a_structure_stands_behind_its_length() {
        assert_eq!(sized(&[7; 3]), [0, 3, 7, 7, 7]);
    }

    #[test]
    fn what_cannot_be_read_passes_no_check() {
        let key = AttestationKey::of(vec![1, 2, 3]);
        assert_eq!(key.name.len(), 34);
        let quote = Quote { signed: Signed { message: vec![0; 40], signature: vec![] }, values: values(&[7]) };
        assert!(key.check_quote(&quote, &PcrList::new(&[7]).unwrap(), b"n").is_err());
        assert!(key.check_certified(&quote.signed, b"n").is_err());
    }
}
