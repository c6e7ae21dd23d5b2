//! A resident key as whoever holds its file uses it: each signature is one of the TPM that it was made in, and comes in time or not at all.

use std::time::Duration;

use p256::ecdsa::Signature;

use super::Sealed;
use super::connection::Connection;
use super::error::TpmError;
use super::limit::LIMIT;
use crate::model::pcr::PcrValues;
use crate::model::resident::ResidentKeyFile;

/// Signs with one resident key.
#[derive(Clone, Debug)]
pub struct Signer {
    tpm: Connection,
    srk: Vec<u8>,
    pcrs: PcrValues,
    key: Sealed,
    limit: Duration,
}

impl Signer {
    /// The key of this file, in the TPM at the end of this connection. Nothing is opened yet.
    #[must_use]
    pub fn of(file: &ResidentKeyFile, tpm: Connection) -> Self {
        let key = Sealed { public: file.public.0.clone(), private: file.private.0.clone() };
        Self { tpm, srk: file.srk.0.clone(), pcrs: file.pcrs.clone(), key, limit: LIMIT }
    }

    /// The same with another limit for one signature.
    #[must_use]
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// ECDSA with SHA-256 of the message, in DER (RFC 5758 §3.2). It blocks.
    ///
    /// # Errors
    /// Another TPM, a changed PCR, or why the TPM cannot be asked.
    pub fn signature(&self, message: &[u8]) -> Result<Vec<u8>, TpmError> {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, message);
        let Self { srk, pcrs, key, .. } = self.clone();
        let signature = self.tpm.ask(self.limit, move |tpm| {
            tpm.known_storage(&srk)?;
            tpm.sign_resident(&key, &pcrs, digest.as_ref())
        })?;
        let none = || TpmError::Damaged("the TPM's signature is none".to_owned());
        Ok(Signature::from_slice(&signature).map_err(|_| none())?.to_der().as_bytes().to_vec())
    }
}
