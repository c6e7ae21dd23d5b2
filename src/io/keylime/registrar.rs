//! The registrar (API 2.6): tells it which endorsement and attestation key this host has, and proves that both are in one TPM.

use aws_lc_rs::hmac;
use base64ct::{Base64, Encoding as _};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::fault::Fault;
use super::{Api, Envelope, JSON};
use crate::io::http::Verb;
use crate::model::anchor::hex;

/// What a host says of itself.
#[derive(Debug, Serialize)]
struct Registration {
    ek_tpm: String,
    aik_tpm: String,
    ekcert: Option<String>,
    ip: Option<String>,
    port: Option<u16>,
    mtls_cert: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Blob {
    blob: String,
}

#[derive(Debug, Serialize)]
struct Activation<'a> {
    auth_tag: &'a str,
}

#[derive(Debug, Deserialize)]
struct Nothing {}

/// What a host registers: TPM2B_PUBLIC of both keys, and the endorsement key's certificate (DER) where it has one.
#[derive(Debug)]
pub struct Keys {
    /// The endorsement key.
    pub ek: Vec<u8>,
    /// The attestation key.
    pub ak: Vec<u8>,
    /// The certificate.
    pub ek_certificate: Option<Vec<u8>>,
}

/// What only the TPM with both keys can open: TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET, without their lengths.
#[derive(Debug, PartialEq, Eq)]
pub struct Hidden {
    /// The first.
    pub id_object: Vec<u8>,
    /// The second.
    pub secret: Vec<u8>,
}

impl Api {
    /// Registers the keys under this id. The same keys again are no error, and make the agent inactive until it is activated.
    ///
    /// # Errors
    /// Other keys are registered under it, or there is no answer to go on with.
    pub async fn register(&self, agent_id: &str, keys: &Keys) -> Result<Hidden, Fault> {
        let registration = Registration {
            ek_tpm: Base64::encode_string(&keys.ek),
            aik_tpm: Base64::encode_string(&keys.ak),
            ekcert: keys.ek_certificate.as_deref().map(Base64::encode_string),
            ip: None,
            port: None,
            mtls_cert: None,
        };
        let path = format!("v2.6/agents/{agent_id}");
        let called = self.call(Verb::Post, &path, None, Some(Self::body(JSON, &registration)?)).await?;
        if called.answer.status == 403 {
            let text = format!("{} knows other keys under the id {agent_id}", self.server());
            return Err(Fault::Mismatch(text));
        }
        let Envelope { results: Blob { blob } } = self.parsed(&called, "register", &[200], &[])?;
        let malformed = || Fault::Malformed(format!("{} answers with a challenge that is none", self.server()));
        Base64::decode_vec(&blob).ok().and_then(|blob| unpack(&blob)).ok_or_else(malformed)
    }

    /// Shows what was hidden in the challenge of [`Self::register`].
    ///
    /// # Errors
    /// It was something else, or there is no answer to go on with.
    pub async fn activate(&self, agent_id: &str, opened: &[u8]) -> Result<(), Fault> {
        let key = Zeroizing::new(Base64::encode_string(opened));
        let key = hmac::Key::new(hmac::HMAC_SHA384, key.as_bytes());
        let auth_tag = hex(hmac::sign(&key, agent_id.as_bytes()).as_ref());
        let path = format!("v2.6/agents/{agent_id}/activate");
        let called = self.call(Verb::Put, &path, None, Some(Self::body(JSON, &Activation { auth_tag: &auth_tag })?)).await?;
        self.parsed::<Envelope<Nothing>>(&called, "activate the registration", &[200], &[&auth_tag]).map(drop)
    }
}

/// Magic, version, and two structures behind their lengths.
fn unpack(blob: &[u8]) -> Option<Hidden> {
    let rest = blob.strip_prefix(&[0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1])?;
    let sized = |bytes: &[u8]| -> Option<usize> { Some(usize::from(u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?))) };
    let length = sized(rest)?;
    let (id_object, rest) = (rest.get(2..2 + length)?, rest.get(2 + length..)?);
    let secret = rest.get(2..2 + sized(rest)?)?;
    (rest.len() == 2 + secret.len()).then(|| Hidden { id_object: id_object.to_vec(), secret: secret.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_taken_apart_to_the_last_byte() {
        let good = [0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1, 0, 2, 7, 8, 0, 1, 9];
        assert_eq!(unpack(&good), Some(Hidden { id_object: vec![7, 8], secret: vec![9] }));
        for length in 0..good.len() {
            assert_eq!(unpack(&good[..length]), None, "{length}");
        }
        assert_eq!(unpack(&[&good[..], &[0]].concat()), None);
    }
}
