//! A resident key as whoever holds its file uses it: each signature is one of the TPM that it was made in, and comes in time or not at all.

use std::time::Duration;

use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use p256::ecdsa::Signature;

use super::Sealed;
use super::connection::Connection;
use super::error::TpmError;
use super::limit::LIMIT;
use super::resident::{self, Scheme};
use crate::judge::pair;
use crate::model::key::KeyAlgorithm;
use crate::model::pcr::PcrValues;
use crate::model::resident::ResidentKeyFile;

/// Signs with one resident key.
#[derive(Clone, Debug)]
pub struct Signer {
    tpm: Connection,
    srk: Vec<u8>,
    pcrs: PcrValues,
    key: Sealed,
    algorithm: KeyAlgorithm,
    spki: Vec<u8>,
    limit: Duration,
}

impl Signer {
    /// The key of this file, in the TPM at the end of this connection. Nothing is opened yet.
    ///
    /// # Errors
    /// The file holds no key of its PCRs.
    pub fn of(file: &ResidentKeyFile, tpm: Connection) -> Result<Self, TpmError> {
        let key = Sealed { public: file.public.0.clone(), private: file.private.0.clone() };
        let spki = resident::spki(&key.public, &file.pcrs)?;
        let algorithm = pair::sound(&spki).and_then(|()| pair::algorithm_of_spki(&spki));
        let algorithm = algorithm.map_err(|why| TpmError::Damaged(format!("its public key: {why}")))?;
        Ok(Self { tpm, srk: file.srk.0.clone(), pcrs: file.pcrs.clone(), key, algorithm, spki, limit: LIMIT })
    }

    /// The same with another limit for one signature.
    #[must_use]
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// What kind of key it is.
    #[must_use]
    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// DER of its SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// With SHA-256 of the message, as requests are signed: ECDSA in DER (RFC 5758 §3.2), or RSASSA-PKCS1-v1_5. It blocks.
    ///
    /// # Errors
    /// Another TPM, a changed PCR, or why the TPM cannot be asked.
    pub fn signature(&self, message: &[u8]) -> Result<Vec<u8>, TpmError> {
        self.signature_by(if self.algorithm.is_rsa() { Scheme::Pkcs1 } else { Scheme::Ecdsa }, message)
    }

    /// The same by another scheme of this key.
    ///
    /// # Errors
    /// As there; and where the TPM's RSASSA-PSS is not that of TLS 1.3.
    pub fn signature_by(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, TpmError> {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, message);
        let Self { srk, pcrs, key, .. } = self.clone();
        let signature = self.tpm.ask(self.limit, move |tpm| {
            tpm.known_storage(&srk)?;
            tpm.sign_resident(&key, &pcrs, scheme, digest.as_ref())
        })?;
        match scheme {
            Scheme::Ecdsa => {
                let none = || TpmError::Damaged("the TPM's signature is none".to_owned());
                Ok(Signature::from_slice(&signature).map_err(|_| none())?.to_der().as_bytes().to_vec())
            }
            Scheme::Pkcs1 => Ok(signature),
            Scheme::Pss => salted_as_tls_has_it(&self.spki, message, &signature).map(|()| signature),
        }
    }
}

/// TPMs choose the length of the salt themselves, and older ones take as much as there is room for (TPM 2.0 Part 1, Annex B.7); TLS 1.3
/// asks for that of the digest (RFC 8446 §4.2.3), and servers refuse another one without a word about it.
fn salted_as_tls_has_it(spki: &[u8], message: &[u8], signature: &[u8]) -> Result<(), TpmError> {
    let refused = || TpmError::Refused {
        doing: "sign a handshake of TLS 1.3 with an RSA key",
        why: "its RSASSA-PSS has another salt than one of 32 bytes (RFC 8446 §4.2.3)".to_owned(),
        hint: "make the key ec-p256; where the TPM has none, such a key serves TLS 1.2 alone, and another login has to be used",
    };
    let key = pair::subject_public_key(spki).map_err(|_| refused())?;
    UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key).verify(message, signature).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64, Encoding as _};

    use super::*;

    /// An RSA key (SubjectPublicKeyInfo), and its signatures of `a handshake` by OpenSSL: PSS with 32 bytes of salt, PSS with as much as there is
    /// room for, PKCS #1.
    const KEY: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAl37IuzlR6hf8i2s52apsEuGZUwpgceYisUaCAoCc0YOoieYu9V1Q8hZU5QV7pEMIoMx5e2RGCDxf\
        xg3tml+Pm+Z6PnFYiGcW3iaYTScDiWfZgrP5EB9jFiD2VB3f6AGOgiZioLAHX9MOiVRo4qZzqb+mvY1C0WinCoWxkxDLV1fWZg9lQlwWRIG0Q9qO6qg0CFJ1\
        VSsyIgblnmrizs+c3mmH5P/+oYjsZDGtyaa4sJTg+xQ+/vamExWkDB9XaEmkjirt/ia2Bp0E1+1UJx+eYou5O+3jw6FUwAmPg7xtLPCcouAsdazzR3998IlQ\
        xg9non40mMCdiB4lkICfiTCYZQIDAQAB";
    const SHORT: &str = "AehbfrzZRl23wDgE2sDN7sWwTzucXmZ+RTyWLck8nVuoH3Nh/a8pja+tSrGZyjlDrqZJumXA5iPER7RL1zuS3pg91YuZnxX3Aa3ESQBG1LKGEZkMDCGzv99B\
        MxQBByWmsfAYtkM2MYS56kb44yRaoakRX22cfl95/EnZLsX1SxAj/mRUCTSE0KBv1IE0ojCxqww+y5M6dBwpoZwF8FFEg2irozNgglFOqzSmCMLF9ztRIBR/\
        0jtDhdUxwlmcxhuX7Kgk0xCHj/MwhJxPztoced5kAbAePcalGmggbIHplRUebB+eRjK+Ze1pS/bNs1q4fX2yBWV1fhF6lW/vt1Dgrg==";
    const LONG: &str = "U3x9GJcSApcdCQX9H+p9nwH+k87Vkkg1Lna/o714nx9SCXmYkLMYAPSJd6L39jYmOqd7wmbJ6WxM/KCS2S+dGgA24CxvkXB1TQDAYlI98P6Yb4erOfZ5/axg\
        Z6D3FAqHHDhVqpUesth2RSbFgoOLAMETYxvLiqhgtNYcBwAuUVT0RCdDer59ln1IiqDV7bnZshapnJEJ8tANTsocNYdYmJWHbOaL5Uff0YAkAJCpf95j/0RP\
        qTUUdKt1zcocYKAzjOVQII9JjxOSvPCd2LBCXg7hc2QxcviEfUl/H8lp5GfZBYmv1nkknc2BHGqrfVDJEP54uH7is4W3Rc/FQkeYPA==";
    const PKCS1: &str = "krlPs0wk7c2ltE4+FWY/ntHeZF3+gofBDgg/lQguA42Q4gUq9zcmfIfQ/Ql81IzUw0XQ+sUkUDN17yuLWA/iIB1twpVFA34jyj//qecWfLW5hyy5vTXvjJ+Z\
        kljsnVB2pt4CBwhbfLVFI7zvzmig/+vjCjOrgyKr1sBvlOFNKLeUHk6x/Y0wN74nR8ZSScOhyfQmQEgIXIw9X03ocrtYPcGOqJI0z2LF+ATEG1UU9jCjbQ4+\
        wx1bCPYLpuAXqvAHUe9S/voJvEI7sUi9XF7r5ERiQoqbuxzb7JisSSta7r56HuMV9NjorbrecGnshHx5E1k99eUBQ5xWhyqNmgjAOg==";

    #[test]
    fn a_salt_that_tls_does_not_have_is_noticed_before_a_server_does() {
        let bytes = |text| Base64::decode_vec(text).unwrap();
        let judged = |message: &[u8], signature| salted_as_tls_has_it(&bytes(KEY), message, &bytes(signature));
        assert_eq!(judged(b"a handshake", SHORT), Ok(()));
        for (message, signature) in [(&b"another one"[..], SHORT), (b"a handshake", LONG), (b"a handshake", PKCS1)] {
            let why = judged(message, signature).unwrap_err();
            assert!(why.to_string().contains("RFC 8446") && why.hint().contains("ec-p256"), "{why}");
        }
    }
}
