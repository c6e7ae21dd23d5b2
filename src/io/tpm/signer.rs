//! A resident key as whoever holds its file uses it: each signature opens the TPM that it was made in, in time, and closes it again.

use std::time::Duration;

use p256::ecdsa::Signature;

use super::error::TpmError;
use super::limit::{LIMIT, Unanswered};
use super::{Sealed, Tpm};
use crate::model::pcr::PcrValues;
use crate::model::resident::ResidentKeyFile;
use crate::model::tcti::Tcti;

/// Signs with one resident key.
#[derive(Clone, Debug)]
pub struct Signer {
    tcti: Tcti,
    srk: Vec<u8>,
    pcrs: PcrValues,
    key: Sealed,
    limit: Duration,
    unanswered: Unanswered,
}

impl Signer {
    /// The key of this file, in the TPM at this place. Nothing is opened yet.
    #[must_use]
    pub fn of(file: &ResidentKeyFile, tcti: &Tcti, unanswered: Unanswered) -> Self {
        let key = Sealed { public: file.public.0.clone(), private: file.private.0.clone() };
        Self { tcti: tcti.clone(), srk: file.srk.0.clone(), pcrs: file.pcrs.clone(), key, limit: LIMIT, unanswered }
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
        let Self { tcti, srk, pcrs, key, .. } = self.clone();
        let work = move || {
            let mut tpm = Tpm::open_known(&tcti, &srk)?;
            let signed = tpm.sign_resident(&key, &pcrs, digest.as_ref());
            let commands = tpm.close();
            tracing::debug!(commands, "closes the TPM");
            signed
        };
        let signature = self.unanswered.within(self.limit, &self.tcti, work)??;
        let none = || TpmError::Damaged("the TPM's signature is none".to_owned());
        Ok(Signature::from_slice(&signature).map_err(|_| none())?.to_der().as_bytes().to_vec())
    }
}
