//! This host as an attestation agent of Keylime (push model): its keys, its registration, and one attestation after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::files::{Files, Ours};
pub use super::identity::Identity;
use super::identity::{Halt, Host, Ready};
use super::round::{Ended, Round, Spent, Stop};
use super::{Attester, LIMIT};
use crate::config::settings::{Attestation, Keylime, Settings};
use crate::io::keylime::fault::Fault;
use crate::io::keylime::logs::{self, Logs};
use crate::io::keylime::request::Offer;
use crate::io::keylime::verifier::Own;
use crate::io::tpm::TpmError;
use crate::io::tpm::connection::Connection;
use crate::model::clock::Clock;
use crate::model::failure::{Failure, Stage};
use crate::model::pcr::{PcrList, PcrValues};
use crate::model::secret::Token;
use crate::model::verdict::{Conclusion, Verdict};

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
    tpm: Connection,
    logs: Logs,
    files: Files,
    clock: Clock,
    /// Kept from one attestation to the next.
    session: tokio::sync::Mutex<Option<Token>>,
}

impl KeylimeAttester {
    /// The agent of these settings and this connection to the TPM; `None` where they name none. Nothing is opened and nobody is asked yet.
    #[must_use]
    pub fn of(settings: &Settings, clock: Clock, tpm: Option<Connection>) -> Option<Self> {
        let Attestation { max_age, by, .. } = settings.attestation.as_ref()?;
        let tpm = tpm?;
        Some(Self {
            settings: by.clone()?,
            max_age: *max_age,
            logs: Logs::of(tpm.tcti()),
            tpm,
            files: Files::of(&settings.paths.state, &settings.paths.run),
            clock,
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
        // Held until the verdict is kept.
        let lock = self.files.lock(until, self.clock).await;
        let tried = match &lock {
            Ok(Some(_)) => match tokio::time::timeout_at(until.into(), self.alone(until, &mut identity)).await {
                Ok(ended) => ended,
                Err(_) => Ok(out_of_time(self.clock)),
            },
            Ok(None) => Ok(held_up(self.clock)),
            Err(failure) => Err(Halt::Failure(failure.clone())),
        };
        let now = self.clock.now();
        let ended = match tried {
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
        let agent_id = identity.map_or_else(|| self.host().configured_id().unwrap_or_default(), |identity| identity.agent_id.clone());
        let kept = self.files.keep_verdict(&self.ours(Some(&agent_id)), verdict, self.clock.now(), self.max_age);
        if let Err(why) = kept {
            tracing::warn!(%why, "the verdict was not kept");
        }
        if verdict.conclusion == Conclusion::Pass
            && let Err(why) = self.files.forget_break_glass()
        {
            tracing::warn!(%why, "the note about a certificate without a verdict stays");
        }
    }

    fn ours<'a>(&'a self, agent_id: Option<&'a str>) -> Ours<'a> {
        Ours { agent_id, verifier: &self.settings.verifier }
    }

    fn host(&self) -> Host<'_> {
        Host { settings: &self.settings, tpm: &self.tpm, files: &self.files, clock: self.clock }
    }

    /// Opens the TPM and says who this host is, and the values of these PCRs now. Nobody is asked.
    ///
    /// # Errors
    /// The TPM does not give them, or the key cannot be kept.
    pub async fn identify(&self, pcrs: PcrList, until: Instant) -> Result<(Identity, PcrValues), Failure> {
        let of_tpm = |why: TpmError| Failure { stage: Stage::Attest, ..why.failure() };
        let lock = self.files.lock(until, self.clock).await?;
        let ready = self.host().ready().await.map_err(|halt| match halt {
            Halt::Failure(failure) => failure,
            Halt::Stop(Stop::Tpm(why)) => of_tpm(why),
            Halt::Stop(Stop::Fault(fault)) => {
                let verdict = fault.verdict(self.clock.now());
                Failure::new(Stage::Attest, verdict.conclusion.blocks().unwrap_or(crate::model::code::Code::VerdictMalformed), verdict.text)
            }
        })?;
        let values = ready.tpm.asked(move |tpm| tpm.pcrs_now(&pcrs)).await;
        drop(lock);
        Ok((ready.identity, values.map_err(of_tpm)?))
    }

    async fn alone(&self, until: Instant, identity: &mut Option<Identity>) -> Result<Ended, Halt> {
        self.files.clean()?;
        let mut ready = self.host().ready().await?;
        let ended = self.opened(&mut ready, until, identity).await;
        self.release().await;
        ended
    }

    /// Gives back what attesting has loaded: others of this run want to ask the TPM, and it has few slots.
    async fn release(&self) {
        let released = self.tpm.asked(|tpm| {
            tpm.release_endorsement();
            Ok(())
        });
        if let Err(why) = released.await {
            tracing::debug!(%why, "what attesting loaded in the TPM stays until its connection ends");
        }
    }

    /// Closes the TPM until the next attestation.
    pub async fn rest(&self) {
        let tpm = self.tpm.clone();
        if let Err(why) = tokio::task::spawn_blocking(move || tpm.close()).await {
            tracing::debug!(%why, "the end of a connection to the TPM was not waited for");
        }
    }

    async fn opened(&self, ready: &mut Ready, until: Instant, identity: &mut Option<Identity>) -> Result<Ended, Halt> {
        *identity = Some(ready.identity.clone());
        if !ready.identity.registered {
            self.host().register(ready, until).await?;
            *identity = Some(ready.identity.clone());
        }
        match self.round(ready, until).await {
            // It may be another verifier's registrar by now: told once more who this host is, it can be enrolled.
            Err(Stop::Fault(unknown @ Fault::Unknown(_))) => {
                self.host().register(ready, until).await?;
                Err(Stop::Fault(unknown).into())
            }
            ended => Ok(ended?),
        }
    }

    async fn round(&self, ready: &Ready, until: Instant) -> Result<Ended, Stop> {
        let api = self.host().api(&self.settings.verifier)?;
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
            quoted: PcrValues::default(),
        };
        let ended = round.attest().await;
        *session = round.token.take();
        ended
    }
}

impl Attester for KeylimeAttester {
    fn attest(&self, until: Instant) -> BoxFuture<'_, Result<Verdict, Failure>> {
        async move {
            let ours = self.host().configured_id();
            if let Some(pass) = self.files.young_pass(&self.ours(ours.as_deref()), self.clock.now(), self.max_age) {
                return Ok(pass);
            }
            self.attest_anew(until).await.result
        }
        .boxed()
    }
}

fn out_of_time(clock: Clock) -> Ended {
    let verdict = Verdict::new(Conclusion::Unreachable, clock.now(), format!("no verdict within {} s", LIMIT.as_secs()));
    Ended { verdict: verdict.hint("see whether Keylime answers; a certificate that is in use keeps serving"), next: None }
}

fn held_up(clock: Clock) -> Ended {
    let verdict = Verdict::new(Conclusion::Unreachable, clock.now(), "another attester of this host did not end within 10 s");
    Ended { verdict: verdict.hint("wait for it: `omens attest` or a run is at work"), next: None }
}

/// The attester of these settings.
#[must_use]
pub fn of(settings: &Settings, clock: Clock, tpm: Option<Connection>) -> Option<Arc<KeylimeAttester>> {
    KeylimeAttester::of(settings, clock, tpm).map(Arc::new)
}
