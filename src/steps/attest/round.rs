//! One attestation with a Keylime verifier: log in, ask what it says, offer evidence, check what it asks for, quote, send, and wait until the
//! quote is counted. What a verifier may cost is bounded: logins, negotiations and evidences are counted, and all of it ends in time.

use std::time::{Duration, Instant};

use crate::io::keylime::Api;
use crate::io::keylime::fault::Fault;
use crate::io::keylime::logs::{Logs, lines_from};
use crate::io::keylime::request::{Offer, Wanted};
use crate::io::keylime::verifier::{Begun, Evidence, Own};
use crate::io::tpm::TpmError;
use crate::io::tpm::connection::Connection;
use crate::judge::attestation::{Said, Sent, Status, verdict};
use crate::model::clock::Clock;
use crate::model::pcr::PcrValues;
use crate::model::secret::Token;
use crate::model::verdict::Verdict;

const LOGINS: u32 = 6;
const NEGOTIATIONS: u32 = 12;
const EVIDENCES: u32 = 3;
/// How long a quote is waited for to be counted; Keylime takes a tenth of a second ([What a verdict is
/// worth](crate::io::keylime#what-a-verdict-is-worth)).
const SETTLE: Duration = Duration::from_secs(10);
/// Between two looks at that.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Why an attestation ends without a verdict of its verifier.
#[derive(Debug)]
pub(super) enum Stop {
    /// The verifier, or what it says.
    Fault(Fault),
    /// The TPM.
    Tpm(TpmError),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<TpmError> for Stop {
    fn from(why: TpmError) -> Self {
        Self::Tpm(why)
    }
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) verdict: Verdict,
    /// Seconds until the next attestation.
    pub(super) next: Option<u64>,
}

/// One attestation under way.
#[derive(Debug)]
pub(super) struct Round<'a> {
    pub(super) api: &'a Api,
    pub(super) tpm: &'a Connection,
    pub(super) own: &'a Own,
    pub(super) offer: &'a Offer,
    pub(super) logs: &'a Logs,
    pub(super) clock: Clock,
    pub(super) until: Instant,
    /// The session; kept by an agent from one attestation to the next.
    pub(super) token: Option<Token>,
    pub(super) spent: Spent,
    /// What was quoted last.
    pub(super) quoted: PcrValues,
}

/// What was asked of a verifier so far, and every challenge that it gave.
#[derive(Debug, Default)]
pub(super) struct Spent {
    logins: u32,
    negotiations: u32,
    evidences: u32,
    nonces: Vec<Vec<u8>>,
}

impl Round<'_> {
    /// Attests once.
    pub(super) async fn attest(&mut self) -> Result<Ended, Stop> {
        let before = self.said().await?;
        let begun = match self.begun().await {
            // The verifier has said already what it thinks of this host.
            Err(Stop::Fault(Fault::Later { .. } | Fault::Again(_))) if before.status == Status::Fail => {
                return Ok(Ended { verdict: verdict(&before, None, self.clock.now()), next: None });
            }
            begun => begun?,
        };
        let next = self.sent(begun).await?;
        let said = self.settled(&before).await?;
        let sent = Sent { before: &before, quoted: &self.quoted };
        Ok(Ended { verdict: verdict(&said, Some(&sent), self.clock.now()), next })
    }

    /// What the verifier says of this host.
    async fn said(&mut self) -> Result<Said, Stop> {
        loop {
            let token = self.token().await?;
            match self.api.said(self.own, &token).await {
                Ok(said) => {
                    self.token = Some(token);
                    return Ok(said);
                }
                Err(fault) => self.recover(fault, token).await?,
            }
        }
    }

    /// Begins an attestation, waiting where the verifier wants it.
    async fn begun(&mut self) -> Result<Begun, Stop> {
        loop {
            let token = self.token().await?;
            self.spent.negotiations += 1;
            if self.spent.negotiations > NEGOTIATIONS {
                return Err(Fault::Again(format!("{} began {NEGOTIATIONS} attestations in vain", self.api.server())).into());
            }
            match self.api.negotiate(&self.own.agent_id, &token, self.offer).await {
                Ok(begun) => {
                    self.token = Some(token);
                    for wanted in begun.request.wanted() {
                        if let Wanted::Quote { nonce, .. } = wanted {
                            self.fresh(nonce)?;
                        }
                    }
                    return Ok(begun);
                }
                Err(Fault::Again(text)) if self.spent.negotiations < NEGOTIATIONS => {
                    tracing::debug!(text, "the attestation is begun anew");
                    self.token = Some(token);
                }
                Err(fault) => self.recover(fault, token).await?,
            }
        }
    }

    /// Sends evidence for it; an attestation that the verifier dropped meanwhile is begun anew.
    async fn sent(&mut self, mut begun: Begun) -> Result<Option<u64>, Stop> {
        let mut evidence = self.evidence(&begun).await?;
        loop {
            self.spent.evidences += 1;
            if self.spent.evidences > EVIDENCES {
                return Err(Fault::Again(format!("{} took no evidence in {EVIDENCES} attempts", self.api.server())).into());
            }
            let token = self.token().await?;
            match self.api.submit(&begun, &token, &evidence).await {
                Ok(next) => {
                    self.token = Some(token);
                    return Ok(next);
                }
                Err(Fault::Again(_)) => {
                    self.token = Some(token);
                    begun = self.begun().await?;
                    evidence = self.evidence(&begun).await?;
                }
                Err(fault) => self.recover(fault, token).await?,
            }
        }
    }

    /// What the verifier says once it has counted the quote, or in the end.
    async fn settled(&mut self, before: &Said) -> Result<Said, Stop> {
        let end = self.until.min(self.clock.instant() + SETTLE);
        loop {
            let said = self.said().await?;
            if said.is_settled_after(before) || self.clock.instant() + LOOK_AGAIN >= end {
                return Ok(said);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Quotes and reads what is asked for, in its order. The logs are read after the quote: a list that grew meanwhile holds what the quote is
    /// over.
    async fn evidence(&mut self, begun: &Begun) -> Result<Vec<Evidence>, Stop> {
        let mut quotes = Vec::new();
        for wanted in begun.request.wanted() {
            if let Wanted::Quote { nonce, list } = wanted.clone() {
                let quote = self.tpm.asked(move |tpm| tpm.quote(&list, &nonce)).await?;
                self.quoted = quote.values.clone();
                quotes.push(quote);
            }
        }
        let mut quotes = quotes.into_iter();
        let (mut evidence, mut missing) = (Vec::new(), false);
        for wanted in begun.request.wanted() {
            let piece = match wanted {
                Wanted::Quote { .. } => quotes.next().map(|quote| Evidence::Quote(Box::new(quote))),
                Wanted::UefiLog => Some(Evidence::UefiLog(self.logs.uefi())),
                Wanted::ImaLog { offset } => Some(Evidence::ImaLog(lines_from(&self.logs.ima(), *offset))),
            };
            missing |= !piece.as_ref().is_some_and(|piece| piece.answers(wanted));
            evidence.extend(piece);
        }
        if missing { Err(Fault::Malformed("there is not all the evidence that was asked for".to_owned()).into()) } else { Ok(evidence) }
    }

    /// The token of the session, logging in where there is none.
    async fn token(&mut self) -> Result<Token, Stop> {
        loop {
            if let Some(token) = self.token.take() {
                return Ok(token);
            }
            self.spent.logins += 1;
            if self.spent.logins > LOGINS {
                let text = format!("{} granted {LOGINS} sessions and takes none of their tokens", self.api.server());
                return Err(Fault::Malformed(text).into());
            }
            match self.log_in().await {
                Ok(token) => return Ok(token),
                Err(Stop::Fault(fault @ Fault::Later { .. })) => self.wait(fault).await?,
                Err(other) => return Err(other),
            }
        }
    }

    async fn log_in(&mut self) -> Result<Token, Stop> {
        let challenge = self.api.open_session(&self.own.agent_id).await?;
        self.fresh(&challenge.nonce)?;
        let nonce = challenge.nonce.clone();
        let certified = self.tpm.asked(move |tpm| tpm.certify(&nonce)).await?;
        Ok(self.api.prove(&self.own.agent_id, &challenge, &certified).await?)
    }

    /// A challenge that was given before proves nothing, whoever repeats it.
    fn fresh(&mut self, nonce: &[u8]) -> Result<(), Stop> {
        if self.spent.nonces.iter().any(|known| known == nonce) {
            return Err(Fault::Malformed(format!("{} repeats a challenge: nothing was sent for it", self.api.server())).into());
        }
        self.spent.nonces.push(nonce.to_vec());
        Ok(())
    }

    /// Goes on after a fault that time or another login cures.
    async fn recover(&mut self, fault: Fault, token: Token) -> Result<(), Stop> {
        match fault {
            Fault::LogIn(text) if self.spent.logins >= LOGINS => Err(Fault::LogIn(text).into()),
            // The token is dropped.
            Fault::LogIn(_) => Ok(()),
            Fault::Later { .. } => {
                self.token = Some(token);
                self.wait(fault).await
            }
            other => Err(other.into()),
        }
    }

    /// Waits as long as the server wants, where that ends in time.
    async fn wait(&self, fault: Fault) -> Result<(), Stop> {
        let Fault::Later { wait: Some(wait), .. } = &fault else { return Err(fault.into()) };
        let wait = (*wait).max(Duration::from_millis(250));
        if self.clock.instant() + wait >= self.until {
            return Err(fault.into());
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }
}
