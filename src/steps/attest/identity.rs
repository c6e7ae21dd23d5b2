//! Who this host is at Keylime: its attestation key, made once and kept, and its registration.

use std::time::Instant;

use rsa::pkcs8::{EncodePublicKey as _, LineEnding};

use super::files::Files;
use super::round::Stop;
use crate::config::settings::{AgentId, Keylime};
use crate::io::keylime::Api;
use crate::io::keylime::fault::Fault;
use crate::io::keylime::registrar::Keys;
use crate::io::tpm::connection::Connection;
use crate::io::tpm::endorsement::rsa_public_key;
use crate::io::tpm::quoted::{AttestationKey, sized};
use crate::io::tpm::{Sealed, Tpm, TpmError};
use crate::model::anchor::Fingerprint;
use crate::model::attestation::{AkFile, Registered};
use crate::model::clock::Clock;
use crate::model::failure::Failure;

/// How often a registration is begun in one attestation.
const REGISTRATIONS: u32 = 2;

/// Who this host is, as others know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id at Keylime.
    pub agent_id: String,
    /// SHA-256 of the DER of the endorsement key's SubjectPublicKeyInfo.
    pub ek_sha256: Fingerprint,
    /// The attestation key.
    pub ak: AttestationKey,
    /// TPMT_PUBLIC of the endorsement key.
    pub ek_public: Vec<u8>,
    /// Whether the registrar has it.
    pub registered: bool,
}

/// What there is to attest with.
pub(super) struct Ready {
    pub(super) tpm: Connection,
    pub(super) identity: Identity,
    ek_certificate: Option<Vec<u8>>,
    file: AkFile,
}

/// This host, by its settings.
pub(super) struct Host<'a> {
    pub(super) settings: &'a Keylime,
    pub(super) tpm: &'a Connection,
    pub(super) files: &'a Files,
    pub(super) clock: Clock,
}

impl Host<'_> {
    /// Its id, where the settings name one.
    pub(super) fn configured_id(&self) -> Option<String> {
        if let AgentId::Fixed(id) = &self.settings.agent_id { Some(id.clone()) } else { None }
    }

    pub(super) fn api(&self, address: &str) -> Result<Api, Fault> {
        Api::new(address, &self.settings.ca, self.clock).map_err(|why| Fault::Untrusted(why.to_string()))
    }

    /// Opens the TPM and loads the attestation key, or makes it. It is kept before anybody hears of it: the registrar takes no second one.
    pub(super) async fn ready(&self) -> Result<Ready, Halt> {
        let kept = self.files.ak()?;
        let tpm = self.tpm.clone();
        let opened = tpm.asked(Tpm::endorse).await?;
        let key = rsa_public_key(&opened.public).ok_or_else(unnamed)?;
        let (der, pem) = (key.to_public_key_der().map_err(|_| unnamed())?, key.to_public_key_pem(LineEnding::LF).map_err(|_| unnamed())?);
        let ek_sha256 = Fingerprint::of(der.as_bytes());
        let file = match kept {
            Some(file) if file.ek_sha256 == ek_sha256 => file,
            Some(file) => {
                let short = |print: &Fingerprint| print.as_str().chars().take(16).collect();
                return Err(TpmError::Replaced { expected: short(&file.ek_sha256), found: short(&ek_sha256) }.into());
            }
            None => {
                let made = tpm.asked(Tpm::make_ak).await?;
                let file = AkFile::new(ek_sha256.clone(), self.clock.now(), made.public, made.private);
                self.files.keep_ak(&file)?;
                file
            }
        };
        let sealed = Sealed { public: file.public.0.clone(), private: file.private.0.clone() };
        let ak = tpm.asked(move |tpm| tpm.load_ak(&sealed).cloned()).await?;
        let agent_id = self.configured_id().unwrap_or_else(|| Fingerprint::of(pem.as_bytes()).as_str().to_owned());
        let registered =
            file.registered.as_ref().is_some_and(|known| known.agent_id == agent_id && known.registrar == self.settings.registrar);
        let identity = Identity { agent_id, ek_sha256, ak, ek_public: opened.public, registered };
        Ok(Ready { tpm, identity, ek_certificate: opened.certificate, file })
    }

    /// Registers both keys and proves that they are in one TPM; that it is done is kept.
    pub(super) async fn register(&self, ready: &mut Ready, until: Instant) -> Result<(), Halt> {
        let api = self.api(&self.settings.registrar)?;
        for last in (0..REGISTRATIONS).rev() {
            let ended = self.registered_once(&api, ready).await;
            match ended {
                Ok(()) => break,
                Err(Stop::Fault(Fault::Later { wait: Some(wait), .. })) if last > 0 && self.clock.instant() + wait < until => {
                    tokio::time::sleep(wait).await;
                }
                Err(other) => return Err(other.into()),
            }
        }
        let (agent_id, registrar) = (ready.identity.agent_id.clone(), self.settings.registrar.clone());
        ready.file.registered = Some(Registered { agent_id, registrar, at: self.clock.now() });
        self.files.keep_ak(&ready.file)?;
        ready.identity.registered = true;
        Ok(())
    }

    async fn registered_once(&self, api: &Api, ready: &Ready) -> Result<(), Stop> {
        let agent_id = &ready.identity.agent_id;
        let keys = Keys {
            ek: sized(&ready.identity.ek_public),
            ak: sized(&ready.identity.ak.public),
            ek_certificate: ready.ek_certificate.clone(),
        };
        let hidden = api.register(agent_id, &keys).await?;
        let opened = ready.tpm.asked(move |tpm| tpm.activate(hidden.id_object, hidden.secret)).await?;
        let Some(opened) = opened else {
            return Err(Fault::Malformed(format!("{} answers with a challenge that is not for this TPM", api.server())).into());
        };
        Ok(api.activate(agent_id, &opened).await?)
    }
}

/// Why an attestation does not come to an end.
pub(super) enum Halt {
    /// The verifier, the registrar or the TPM.
    Stop(Stop),
    /// The disk.
    Failure(Failure),
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::Stop(Stop::Fault(fault))
    }
}

impl From<TpmError> for Halt {
    fn from(why: TpmError) -> Self {
        Self::Stop(Stop::Tpm(why))
    }
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

fn unnamed() -> TpmError {
    TpmError::Refused {
        doing: "name its endorsement key",
        why: "it is no RSA key".to_owned(),
        hint: "see what lies at 0x81010001 (tpm2_readpublic -c 0x81010001)",
    }
}
