//! Dealings with one OpenBao server over a time: its health once, one login when something first needs it, the end of the token. It must
//! never log in where nothing is asked, nor more than once again, nor keep a token beyond its end.
//!
//! Used by all who deal with OpenBao: the issuer of a run, `check-config --online` and `chain-audit`. What each makes of an answer, and what
//! it says of it, is its own.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Mutex as AsyncMutex;

use super::answering::{Answering, first_that_serves};
use super::login::{self, Granted, Refusals, Tried, Until};
use super::means::Means;
use super::{Grant, Health, Problem, Server, lasting, with_one_more_try};
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::failure::Failure;
use crate::model::login_end::Logins;
use crate::model::name::{CertName, Generation};
use crate::model::openbao::{AuthMethod, OpenBao, TpmIdentity};

/// An open session. Any number of tasks may use it at a time.
#[derive(Debug)]
pub struct Session {
    server: Server,
    settings: OpenBao,
    means: Means,
    health: Health,
    login: AsyncMutex<State>,
    passed_over: Mutex<Vec<Failure>>,
    /// What was learnt of logins that ended before the session.
    ended: Mutex<Logins>,
    refused_keys: Mutex<Vec<RefusedKey>>,
    /// Why addresses before the one that answered did not.
    skipped: Vec<Failure>,
}

/// How far the session's login is.
#[derive(Debug)]
enum State {
    /// Nobody needed it yet.
    NotYet,
    /// Granted, by the auth method of this word.
    Granted { grant: Arc<Grant>, method: &'static str, worth: Worth },
    /// Refused, for all who ask.
    Refused(Refusals),
}

/// What a token was seen to be worth, and with that whether a refusal of it can be cured by another login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    /// Nothing was done by it yet. Where the server does not accept it, it does not accept the next one either.
    Fresh,
    /// The server has signed for it: should it not accept it any more, it has ended since, or its uses are used up.
    Proven,
    /// It took the place of one that had ended: there is no third.
    Again,
}

/// The session's token and what granted it.
struct Granting {
    grant: Arc<Grant>,
    method: &'static str,
}

/// A token of ours that could not be revoked.
#[derive(Clone, Debug)]
pub struct Unrevoked {
    /// Why not.
    pub problem: Problem,
    /// How long it lives, if the login said so.
    pub lease: Option<std::time::Duration>,
}

/// A key of this host that is of no use any more: what it should sign, the TPM refuses for good.
#[derive(Clone, Debug)]
pub struct RefusedKey {
    /// Whose key it is.
    pub name: CertName,
    /// Why it does not sign.
    pub failure: Failure,
}

impl Session {
    /// Asks a server for its health, and nothing else.
    ///
    /// # Errors
    /// `unreachable`, `tls-untrusted` …: there is no answer at all. What the answer says stops nothing here.
    pub async fn open(settings: &OpenBao, means: Means, clock: Clock) -> Result<Self, Failure> {
        let Answering { server, health, skipped } = first_that_serves(settings, clock).await?;
        Ok(Self {
            server,
            skipped,
            settings: settings.clone(),
            means,
            health,
            login: AsyncMutex::new(State::NotYet),
            passed_over: Mutex::default(),
            ended: Mutex::new(Logins::none()),
            refused_keys: Mutex::default(),
        })
    }

    /// The server.
    #[must_use]
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// What it said of itself.
    #[must_use]
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// The session's one login, made when first needed.
    ///
    /// # Errors
    /// Why no auth method granted one; the same to all who ask.
    pub async fn grant(&self) -> Result<Arc<Grant>, Refusals> {
        let mut state = self.login.lock().await;
        match &*state {
            State::Granted { grant, .. } => Ok(Arc::clone(grant)),
            State::Refused(refusals) => Err(refusals.clone()),
            State::NotYet => self.fill(&mut state, Worth::Fresh).await,
        }
    }

    /// Notes that the server has signed for this token.
    pub async fn proven(&self, proven: &Arc<Grant>) {
        if let State::Granted { grant, worth, .. } = &mut *self.login.lock().await
            && Arc::ptr_eq(grant, proven)
            && *worth == Worth::Fresh
        {
            *worth = Worth::Proven;
        }
    }

    /// Another login in place of a token that is no longer accepted: once a session, whoever asks first. `None` after that, and of a token that
    /// never was accepted.
    ///
    /// # Errors
    /// As [`Session::grant`].
    pub async fn grant_instead_of(&self, stale: &Arc<Grant>) -> Result<Option<Arc<Grant>>, Refusals> {
        let mut state = self.login.lock().await;
        match &*state {
            State::Granted { grant, .. } if !Arc::ptr_eq(grant, stale) => Ok(Some(Arc::clone(grant))),
            State::Refused(refusals) => Err(refusals.clone()),
            State::Granted { worth: Worth::Fresh | Worth::Again, .. } => Ok(None),
            State::Granted { worth: Worth::Proven, .. } | State::NotYet => self.fill(&mut state, Worth::Again).await.map(Some),
        }
    }

    async fn fill(&self, state: &mut State, worth: Worth) -> Result<Arc<Grant>, Refusals> {
        let Tried { granted, refused, .. } = self.log_in(Until::Granted).await;
        let refused: Vec<Failure> = refused.into_iter().map(|one| one.failure).collect();
        let Some(Granted { grant, method, .. }) = granted.into_iter().next() else {
            let refusals = Refusals(refused);
            *state = State::Refused(refusals.clone());
            return Err(refusals);
        };
        self.passed_over.lock().unwrap_or_else(PoisonError::into_inner).extend(refused);
        let grant = Arc::new(grant);
        *state = State::Granted { grant: Arc::clone(&grant), method, worth };
        Ok(grant)
    }

    /// Logs in by every auth method of the settings, to see which work; what a login uses up is only looked at. Whoever asked ends each of the
    /// tokens.
    pub async fn try_every_method(&self) -> Tried {
        self.log_in(Until::AllTried).await
    }

    async fn log_in(&self, until: Until) -> Tried {
        let tried = login::log_in(&self.server, &self.settings.login, &self.means, until).await;
        let refused = tried.refused.iter().filter(|refused| is_of_a_dead_key(refused.failure.code)).filter_map(|refused| {
            let name = self.settings.login.get(refused.entry)?.identity()?.certificate.clone();
            Some(RefusedKey { name, failure: refused.failure.clone() })
        });
        self.refused_keys.lock().unwrap_or_else(PoisonError::into_inner).extend(refused);
        tried
    }

    /// Logs in with this generation of a certificate of ours, or the committed one, and goes on with what that grants; the login before it ends.
    ///
    /// # Errors
    /// Why it is not granted; then the login before it stays.
    pub async fn log_in_with(&self, identity: &TpmIdentity, generation: Option<Generation>) -> Result<Option<Unrevoked>, Failure> {
        let means = Means { generation, ..self.means.clone() };
        let mut state = self.login.lock().await;
        let grant = login::log_in_by(&self.server, &AuthMethod::TpmIdentity(identity.clone()), &means).await?;
        let before =
            std::mem::replace(&mut *state, State::Granted { grant: Arc::new(grant), method: TpmIdentity::WORD, worth: Worth::Fresh });
        match before {
            State::Granted { grant, method, .. } => {
                let now = self.server.clock.now();
                self.ended.lock().unwrap_or_else(PoisonError::into_inner).add(method, grant.lasts(now), now);
                Ok(self.end(&grant).await)
            }
            State::NotYet | State::Refused(_) => Ok(None),
        }
    }

    /// Why auth methods before the one that granted did not.
    #[must_use]
    pub fn passed_over(&self) -> Vec<Failure> {
        self.passed_over.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keys of this host that did not sign for a login.
    #[must_use]
    pub fn refused_keys(&self) -> Vec<RefusedKey> {
        self.refused_keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long the logins go on that granted the session's tokens. The server is asked where it alone knows.
    pub async fn logins(&self) -> Logins {
        let granted = match &*self.login.lock().await {
            State::Granted { grant, method, .. } => Some(Granting { grant: Arc::clone(grant), method }),
            State::NotYet | State::Refused(_) => None,
        };
        let mut logins = self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(Granting { grant, method }) = granted {
            logins.add(method, lasting::of(&self.server, &grant).await, self.server.clock.now());
        }
        logins
    }

    /// Why addresses before the one that answered did not.
    #[must_use]
    pub fn skipped(&self) -> &[Failure] {
        &self.skipped
    }

    /// Whether a login was granted, and its token is not ended.
    pub async fn is_logged_in(&self) -> bool {
        matches!(&*self.login.lock().await, State::Granted { .. })
    }

    /// Forgets the session's token, and leaves it as it is at the server.
    pub async fn leave(&self) {
        *self.login.lock().await = State::NotYet;
    }

    /// Revokes a token, if it is ours.
    pub async fn end(&self, grant: &Grant) -> Option<Unrevoked> {
        if !grant.is_ours() {
            return None;
        }
        let problem = with_one_more_try(|| self.server.revoke_self(grant)).await.err()?;
        // What the server does not accept does not live on.
        Some(Unrevoked { problem, lease: grant.lease() }).filter(|unrevoked| !unrevoked.problem.token_not_accepted)
    }

    /// Revokes the token of the session's login, if there was one and it is ours.
    pub async fn close(&self) -> Option<Unrevoked> {
        let state = std::mem::replace(&mut *self.login.lock().await, State::NotYet);
        match state {
            State::Granted { grant, .. } => self.end(&grant).await,
            State::NotYet | State::Refused(_) => None,
        }
    }
}

/// What a TPM says of a key that it will not use again: other PCRs, another TPM, or no key of its own. What it may do at the next try is none.
const fn is_of_a_dead_key(code: Code) -> bool {
    matches!(code, Code::PcrChanged | Code::TpmReplaced | Code::BlobDamaged)
}
