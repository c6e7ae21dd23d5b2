//! This host as an attestation agent of Keylime (push model): its keys, its registration, and one attestation after the other. The TPM is open
//! while it attests and not longer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rsa::pkcs8::{EncodePublicKey as _, LineEnding};

use super::files::Files;
use super::round::{Ended, Round, Spent, Stop};
use super::{Attester, LIMIT};
use crate::config::settings::{AgentId, Attestation, Keylime, Settings};
use crate::io::keylime::Api;
use crate::io::keylime::fault::Fault;
use crate::io::keylime::logs::{self, Logs};
use crate::io::keylime::registrar::Keys;
use crate::io::keylime::request::Offer;
use crate::io::keylime::verifier::Own;
use crate::io::tls::TlsError;
use crate::io::tpm::endorsed::rsa_public_key;
use crate::io::tpm::limit::{LIMIT as TPM_LIMIT, Unanswered};
use crate::io::tpm::quoted::{AttestationKey, sized};
use crate::io::tpm::worker::Worker;
use crate::io::tpm::{Sealed, TpmError};
use crate::model::anchor::Fingerprint;
use crate::model::attestation::{AkFile, Registered};
use crate::model::clock::Clock;
use crate::model::failure::{Failure, Stage};
use crate::model::pcr::{PcrList, PcrValues};
use crate::model::secret::Token;
use crate::model::tcti::Tcti;
use crate::model::verdict::{Conclusion, Verdict};

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

/// What came of one attestation.
#[derive(Debug)]
pub struct Attestatum {
    /// Who attested; `None` where the TPM did not come that far.
    pub identity: Option<Identity>,
    /// The verdict, or why the TPM gave no evidence.
    pub result: Result<Verdict, Failure>,
    /// Seconds until the verifier wants the next one.
    pub next: Option<u64>,
}

/// The agent.
#[derive(Debug)]
pub struct KeylimeAttester {
    settings: Keylime,
    max_age: Duration,
    tcti: Tcti,
    logs: Logs,
    files: Files,
    clock: Clock,
    unanswered: Unanswered,
    /// Kept from one attestation to the next.
    session: tokio::sync::Mutex<Option<Token>>,
}

/// An open TPM with its keys.
struct Ready {
    tpm: Worker,
    identity: Identity,
    ek_certificate: Option<Vec<u8>>,
    file: AkFile,
}

impl KeylimeAttester {
    /// The agent of these settings; `None` where they name none. Nothing is opened and nobody is asked yet.
    #[must_use]
    pub fn of(settings: &Settings, clock: Clock, unanswered: Unanswered) -> Option<Self> {
        let Attestation { max_age, by, .. } = settings.attestation.as_ref()?;
        let tcti = settings.sealing.as_ref()?.tcti.clone();
        Some(Self {
            settings: by.clone()?,
            max_age: *max_age,
            logs: Logs::of(&tcti),
            tcti,
            files: Files::of(&settings.paths.state, &settings.paths.run),
            clock,
            unanswered,
            session: tokio::sync::Mutex::default(),
        })
    }

    /// The same with other logs.
    #[must_use]
    pub fn with_logs(self, logs: Logs) -> Self {
        Self { logs, ..self }
    }

    /// Attests now, whatever verdict is kept, and keeps the new one.
    pub async fn attest_anew(&self, until: Instant) -> Attestatum {
        let mut identity = None;
        let tried = tokio::time::timeout_at(until.into(), self.locked(until, &mut identity)).await;
        let now = self.clock.now();
        let ended = match tried.unwrap_or_else(|_| Ok(out_of_time(self.clock))) {
            Ok(ended) => Ok(ended),
            Err(Halt::Stop(Stop::Fault(fault))) => Ok(Ended { verdict: fault.verdict(now), next: None }),
            Err(Halt::Stop(Stop::Tpm(why))) => Err(Failure { stage: Stage::Attest, ..why.failure() }),
            Err(Halt::Failure(failure)) => Err(failure),
        };
        match ended {
            Ok(Ended { verdict, next }) => {
                self.keep(identity.as_ref(), &verdict);
                Attestatum { identity, result: Ok(verdict), next }
            }
            Err(failure) => Attestatum { identity, result: Err(failure), next: None },
        }
    }

    fn keep(&self, identity: Option<&Identity>, verdict: &Verdict) {
        let agent_id = identity.map_or_else(|| self.configured_id().unwrap_or_default(), |identity| identity.agent_id.clone());
        let kept = self.files.keep_verdict(&agent_id, verdict, self.clock.now(), self.max_age);
        if let Err(why) = kept {
            tracing::warn!(%why, "the verdict was not kept");
        }
        if verdict.conclusion == Conclusion::Pass
            && let Err(why) = self.files.forget_break_glass()
        {
            tracing::warn!(%why, "the note about a certificate without a verdict stays");
        }
    }

    fn configured_id(&self) -> Option<String> {
        if let AgentId::Fixed(id) = &self.settings.agent_id { Some(id.clone()) } else { None }
    }

    /// Opens the TPM and says who this host is, and the values of these PCRs now. Nobody is asked.
    ///
    /// # Errors
    /// The TPM does not give them, or the key cannot be kept.
    pub async fn identify(&self, pcrs: PcrList, until: Instant) -> Result<(Identity, PcrValues), Failure> {
        let of_tpm = |why: TpmError| Failure { stage: Stage::Attest, ..why.failure() };
        let lock = self.files.lock(until).await?;
        let ready = self.ready().await.map_err(|halt| match halt {
            Halt::Failure(failure) => failure,
            Halt::Stop(Stop::Tpm(why)) => of_tpm(why),
            Halt::Stop(Stop::Fault(fault)) => {
                let verdict = fault.verdict(self.clock.now());
                Failure::new(Stage::Attest, verdict.conclusion.blocks().unwrap_or(crate::model::code::Code::VerdictMalformed), verdict.text)
            }
        })?;
        let values = ready.tpm.ask(move |tpm| tpm.pcrs(&pcrs)).await;
        ready.tpm.close().await;
        drop(lock);
        Ok((ready.identity, values.map_err(of_tpm)?))
    }

    async fn locked(&self, until: Instant, identity: &mut Option<Identity>) -> Result<Ended, Halt> {
        let Some(_lock) = self.files.lock(until).await? else {
            let text = "another attester of this host did not end within 10 s";
            let verdict = Verdict::new(Conclusion::Unreachable, self.clock.now(), text);
            return Ok(Ended { verdict: verdict.hint("wait for it: `omens attest` or a run is at work"), next: None });
        };
        let mut ready = self.ready().await?;
        let ended = self.opened(&mut ready, until, identity).await;
        ready.tpm.close().await;
        ended
    }

    async fn opened(&self, ready: &mut Ready, until: Instant, identity: &mut Option<Identity>) -> Result<Ended, Halt> {
        *identity = Some(ready.identity.clone());
        if !ready.identity.registered {
            self.register(ready, until).await?;
            *identity = Some(ready.identity.clone());
        }
        match self.round(ready, until).await {
            // It may be another verifier's registrar by now: told once more who this host is, it can be enrolled.
            Err(Stop::Fault(unknown @ Fault::Unknown(_))) => {
                self.register(ready, until).await?;
                Err(Stop::Fault(unknown).into())
            }
            ended => Ok(ended?),
        }
    }

    async fn round(&self, ready: &Ready, until: Instant) -> Result<Ended, Stop> {
        let api = self.api(&self.settings.verifier)?;
        let identity = &ready.identity;
        let own = Own { agent_id: identity.agent_id.clone(), ek_public: identity.ek_public.clone(), ak_public: identity.ak.public.clone() };
        let boot_time = logs::boot_time().ok_or_else(|| {
            Fault::Malformed(
                "this host does not say when it was started: /proc/stat cannot be read (in a unit, ProcSubset=pid hides it)".to_owned(),
            )
        })?;
        let offer = Offer {
            ak_public: identity.ak.public.clone(),
            ak_name: identity.ak.name.clone(),
            boot_time,
            uefi_entries: logs::event_count(&self.logs.uefi()),
            ima_entries: logs::line_count(&self.logs.ima()),
        };
        let mut session = self.session.lock().await;
        let mut round = Round {
            api: &api,
            tpm: &ready.tpm,
            own: &own,
            offer: &offer,
            logs: &self.logs,
            clock: self.clock,
            until,
            token: session.take(),
            spent: Spent::default(),
        };
        let ended = round.attest().await;
        *session = round.token.take();
        ended
    }

    fn api(&self, address: &str) -> Result<Api, Fault> {
        Api::new(address, &self.settings.ca, self.clock).map_err(|why: TlsError| Fault::Untrusted(why.to_string()))
    }

    /// Opens the TPM and loads the attestation key, or makes it. It is kept before anybody hears of it: the registrar takes no second one.
    async fn ready(&self) -> Result<Ready, Halt> {
        let kept = self.files.ak()?;
        let tpm = Worker::open(&self.tcti, TPM_LIMIT, &self.unanswered).await?;
        let opened = tpm
            .ask(|tpm| Ok(Opened { ek_public: tpm.ek_public().to_vec(), ek_certificate: tpm.ek_certificate().map(<[u8]>::to_vec) }))
            .await?;
        let key = rsa_public_key(&opened.ek_public).ok_or_else(|| unnamed())?;
        let (der, pem) = (key.to_public_key_der().map_err(|_| unnamed())?, key.to_public_key_pem(LineEnding::LF).map_err(|_| unnamed())?);
        let ek_sha256 = Fingerprint::of(der.as_bytes());
        let file = match kept {
            Some(file) if file.ek_sha256 == ek_sha256 => file,
            Some(file) => {
                let short = |print: &Fingerprint| print.as_str().chars().take(16).collect();
                return Err(TpmError::Replaced { expected: short(&file.ek_sha256), found: short(&ek_sha256) }.into());
            }
            None => {
                let made = tpm.ask(|tpm| tpm.make_ak()).await?;
                let file = AkFile::new(ek_sha256.clone(), self.clock.now(), made.public, made.private);
                self.files.keep_ak(&file)?;
                file
            }
        };
        let sealed = Sealed { public: file.public.0.clone(), private: file.private.0.clone() };
        let ak = tpm.ask(move |tpm| tpm.load_ak(&sealed).cloned()).await?;
        let agent_id = self.configured_id().unwrap_or_else(|| Fingerprint::of(pem.as_bytes()).as_str().to_owned());
        let registered =
            file.registered.as_ref().is_some_and(|known| known.agent_id == agent_id && known.registrar == self.settings.registrar);
        let identity = Identity { agent_id, ek_sha256, ak, ek_public: opened.ek_public, registered };
        Ok(Ready { tpm, identity, ek_certificate: opened.ek_certificate, file })
    }

    /// Registers both keys and proves that they are in one TPM; that it is done is kept.
    async fn register(&self, ready: &mut Ready, until: Instant) -> Result<(), Halt> {
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
        let opened = ready.tpm.ask(move |tpm| tpm.activate(hidden.id_object, hidden.secret)).await?;
        let Some(opened) = opened else {
            return Err(Fault::Malformed(format!("{} answers with a challenge that is not for this TPM", api.server())).into());
        };
        Ok(api.activate(agent_id, &opened).await?)
    }
}

impl Attester for KeylimeAttester {
    fn attest(&self, until: Instant) -> BoxFuture<'_, Result<Verdict, Failure>> {
        async move {
            let ours = self.configured_id();
            if let Some(pass) = self.files.young_pass(ours.as_deref(), self.clock.now(), self.max_age) {
                return Ok(pass);
            }
            self.attest_anew(until).await.result
        }
        .boxed()
    }
}

/// What is read of a TPM at first.
struct Opened {
    ek_public: Vec<u8>,
    ek_certificate: Option<Vec<u8>>,
}

/// Why an attestation does not come to an end.
enum Halt {
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

fn out_of_time(clock: Clock) -> Ended {
    let verdict = Verdict::new(Conclusion::Unreachable, clock.now(), format!("no verdict within {} s", LIMIT.as_secs()));
    Ended { verdict: verdict.hint("see whether Keylime answers; the certificate in use keeps serving"), next: None }
}

/// The attester of these settings.
#[must_use]
pub fn of(settings: &Settings, clock: Clock, unanswered: Unanswered) -> Option<Arc<KeylimeAttester>> {
    KeylimeAttester::of(settings, clock, unanswered).map(Arc::new)
}
