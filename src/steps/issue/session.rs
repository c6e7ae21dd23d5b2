//! A run's dealings with OpenBao: its health once, one login when the first certificate needs it, the signing, the token's end. It must never
//! log in where nothing is asked, nor more than once again, nor keep a token beyond the run.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex as AsyncMutex;

use super::{Budget, Issuer, log_in, too_slow};
use crate::config::settings::OpenBao;
use crate::io::openbao::{Grant, Health, HealthState, Problem, Server, Signed, Skew, pause};
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::request::Request;
use crate::model::span;

/// A token that cannot be revoked but ends within this is not worth a warning.
const SHORT_LEASE: Duration = Duration::from_secs(3600);

/// An open session. Any number of tasks may sign through it at a time.
#[derive(Debug)]
pub struct Session {
    server: Server,
    settings: OpenBao,
    credentials: Option<PathBuf>,
    skew: Option<Skew>,
    login: AsyncMutex<State>,
    warnings: Mutex<Vec<Warning>>,
    /// Certificates in a row that the server had no answer for. After three the rest of the run is not asked for: each would wait its
    /// full time, and use up its budget.
    in_vain: Mutex<Vec<Failure>>,
}

/// How far the run's login is.
#[derive(Debug)]
enum State {
    /// Nobody needed it yet.
    NotYet,
    /// Granted; `again` after the one repetition.
    Granted { grant: Arc<Grant>, again: bool },
    /// Refused, for all certificates of the run.
    Failed(Failure),
}

impl Session {
    /// Asks for OpenBao's health; nothing else is asked when that says it would be in vain.
    ///
    /// `credentials` is systemd's `$CREDENTIALS_DIRECTORY`.
    ///
    /// # Errors
    /// `unreachable`, `tls-untrusted`, `server-sealed` or `clock-skew`, for every certificate of the run.
    pub async fn open(settings: &OpenBao, clock: Clock, credentials: Option<&Path>) -> Result<Self, Failure> {
        let server = Server::new(&settings.address, &settings.ca, clock)?;
        let health = ask_health(&server).await?;
        let warnings = judge_health(&server, &health)?;
        Ok(Self {
            server,
            settings: settings.clone(),
            credentials: credentials.map(Path::to_path_buf),
            skew: health.skew,
            login: AsyncMutex::new(State::NotYet),
            warnings: Mutex::new(warnings),
            in_vain: Mutex::default(),
        })
    }

    /// What is worth saying about the run as a whole, so far.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        lock(&self.warnings).clone()
    }

    /// Revokes the run's token, if it is ours, and gives all warnings of the run. Never fails a run.
    pub async fn close(self) -> Vec<Warning> {
        let state = self.login.into_inner();
        let mut warnings = self.warnings.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let State::Granted { grant, .. } = state
            && grant.is_ours()
            && let Err(problem) = self.server.revoke_self(&grant).await
        {
            warnings.extend(not_revoked(&grant, &problem));
        }
        warnings
    }

    /// The run's login, made when first needed.
    async fn grant(&self) -> Result<Arc<Grant>, Failure> {
        let mut state = self.login.lock().await;
        match &*state {
            State::Granted { grant, .. } => Ok(Arc::clone(grant)),
            State::Failed(failure) => Err(failure.clone()),
            State::NotYet => self.fill(&mut state, false).await,
        }
    }

    /// Another login in place of a token that is no longer accepted: once a run, whichever task asks first.
    async fn grant_instead_of(&self, stale: &Arc<Grant>, refusal: Failure) -> Result<Arc<Grant>, Failure> {
        let mut state = self.login.lock().await;
        match &*state {
            State::Granted { grant, .. } if !Arc::ptr_eq(grant, stale) => Ok(Arc::clone(grant)),
            State::Failed(failure) => Err(failure.clone()),
            State::Granted { again: true, .. } => Err(refusal),
            State::Granted { .. } | State::NotYet => self.fill(&mut state, true).await,
        }
    }

    async fn fill(&self, state: &mut State, again: bool) -> Result<Arc<Grant>, Failure> {
        match self.first_login_granted().await {
            Ok(grant) => {
                let grant = Arc::new(grant);
                *state = State::Granted { grant: Arc::clone(&grant), again };
                Ok(grant)
            }
            Err(failure) => {
                *state = State::Failed(failure.clone());
                Err(failure)
            }
        }
    }

    async fn first_login_granted(&self) -> Result<Grant, Failure> {
        let mut refused = Vec::new();
        for login in &self.settings.login {
            match log_in(&self.server, login, self.credentials.as_deref()).await {
                Ok(grant) => {
                    let warned = refused.iter().map(|failure: &Failure| Warning::new(Code::LoginRefused, &*failure.text));
                    lock(&self.warnings).extend(warned);
                    return Ok(grant);
                }
                Err(failure) if is_the_servers_matter(failure.code) => return Err(failure),
                Err(failure) => refused.push(failure),
            }
        }
        Err(none_granted(&self.server, refused))
    }
}

impl Issuer for Session {
    async fn sign<B: Budget>(&self, request: &Request, csr: &str, budget: &B, until: Instant) -> Result<Signed, Failure> {
        if let Some(skew) = self.skew {
            skew.for_lifetime(self.server.name(), request.ttl)?;
        }
        if let [_, _, last, ..] = lock(&self.in_vain).as_slice() {
            return Err(last.clone());
        }
        let signed = match tokio::time::timeout_at(until.into(), self.ask(request, csr, budget)).await {
            Ok(signed) => signed,
            Err(_) => Err(too_slow(&request.name)),
        };
        let mut in_vain = lock(&self.in_vain);
        match &signed {
            Err(failure) if is_the_servers_matter(failure.code) => in_vain.push(failure.clone()),
            _ => in_vain.clear(),
        }
        signed
    }
}

impl Session {
    /// Sends the request, within the budget, until it is signed or more tries cannot help.
    async fn ask<B: Budget>(&self, request: &Request, csr: &str, budget: &B) -> Result<Signed, Failure> {
        let mut grant = self.grant().await?;
        let mut tried_again = false;
        let mut refused: Option<Failure> = None;
        loop {
            // Where the budget of this run ends a retry, what was refused is what counts.
            budget.take().await.map_err(|stop| refused.take().unwrap_or(stop))?;
            let Problem { failure, again, definite, token_not_accepted } =
                match self.server.sign(&grant, &self.settings.mount, &request.role, csr, request.ttl).await {
                    Ok(signed) => return Ok(signed),
                    Err(problem) => problem,
                };
            if definite {
                budget.give_back().await;
            }
            if token_not_accepted {
                // Ends: the second refusal of a run comes back as it is.
                refused = Some(failure.clone());
                grant = self.grant_instead_of(&grant, failure).await?;
            } else if let (Some(wait), false) = (again, tried_again) {
                tried_again = true;
                refused = Some(failure);
                pause(wait).await;
            } else {
                return Err(failure);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Health, asked twice where the connection is lost.
pub(crate) async fn ask_health(server: &Server) -> Result<Health, Failure> {
    match server.health().await {
        Err(Problem { again: Some(wait), .. }) => {
            pause(wait).await;
            server.health().await
        }
        other => other,
    }
    .map_err(|problem| problem.failure)
}

/// What health says about asking at all.
fn judge_health(server: &Server, health: &Health) -> Result<Vec<Warning>, Failure> {
    let name = server.name();
    let mut warnings = Vec::new();
    match &health.state {
        HealthState::Active => {}
        HealthState::Sealed => {
            let hint = "an operator must unseal OpenBao (bao operator unseal); the certificate in use keeps serving";
            return Err(Failure::new(Stage::Issue, Code::ServerSealed, format!("{name} is sealed")).hint(hint));
        }
        HealthState::Uninitialised => {
            let hint = "an operator must initialise OpenBao; check that openbao.address names the right server";
            return Err(Failure::new(Stage::Issue, Code::ServerSealed, format!("{name} is not initialised")).hint(hint));
        }
        HealthState::Standby => {
            warnings.push(Warning::new(Code::Standby, format!("{name} is a standby node; it forwards to the active one")))
        }
        HealthState::Unknown(text) => {
            warnings.push(Warning::new(Code::HealthUnknown, format!("{text}; going on without knowing its state and clock")))
        }
    }
    if let Some(skew) = health.skew {
        skew.for_all(name)?;
        warnings.extend(skew.warning(name));
    }
    Ok(warnings)
}

/// Failures that the next login would meet as well.
const fn is_the_servers_matter(code: Code) -> bool {
    matches!(code, Code::Unreachable | Code::TlsUntrusted | Code::ServerSealed)
}

/// All failures in one text. Where no login was refused as such (a quota, an error of the server), the first one's code stays.
fn none_granted(server: &Server, refused: Vec<Failure>) -> Failure {
    let Some(first) = refused.first() else {
        return Failure::new(Stage::Issue, Code::LoginRefused, format!("no login is set for {}", server.name())).hint("set openbao.login");
    };
    let telling = refused.iter().find(|failure| failure.code == Code::LoginRefused).unwrap_or(first);
    let text = refused.iter().map(|failure| failure.text.as_str()).collect::<Vec<_>>().join("; ");
    Failure { text, ..telling.clone() }
}

fn not_revoked(grant: &Grant, problem: &Problem) -> Option<Warning> {
    // A policy without that right is a choice (facts/openbao §6), and harmless where the token soon ends by itself.
    if problem.definite && grant.lease().is_some_and(|lease| lease <= SHORT_LEASE) {
        return None;
    }
    let until = grant.lease().map_or_else(|| "for a time it did not say".to_owned(), |lease| format!("for up to {}", span::show(lease)));
    Some(Warning::new(
        Code::TokenNotRevoked,
        format!("the run's token could not be revoked and lives on {until}: {}", problem.failure.text),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::time::SystemTime;

    fn server() -> Server {
        let key = rcgen::KeyPair::generate().expect("a key");
        let root = rcgen::CertificateParams::default().self_signed(&key).expect("a root").der().to_vec();
        // Neither clock is read where nothing is sent.
        let clock = Clock::new(|| SystemTime::UNIX_EPOCH, || -> Instant { unreachable!("no deadline here") });
        Server::new("https://bao.example:8200", &[root], clock).expect("a server")
    }

    fn refused(code: Code, text: &str) -> Failure {
        Failure::new(Stage::Issue, code, text)
    }

    #[test]
    fn all_refused_logins_are_told_and_the_code_is_the_telling_one() {
        for (codes, expected) in [
            (vec![], "login-refused"),
            (vec!["login-refused", "login-refused"], "login-refused"),
            (vec!["rate-limited", "login-refused"], "login-refused"),
            (vec!["rate-limited", "server-error"], "rate-limited"),
            (vec!["answer-malformed"], "answer-malformed"),
        ] {
            let failures: Vec<Failure> =
                codes.iter().enumerate().map(|(n, code)| refused(Code::parse(code), &format!("login {n}"))).collect();
            let all = none_granted(&server(), failures.clone());
            assert_eq!(all.code, expected, "{codes:?}");
            assert!(failures.iter().all(|failure| all.text.contains(&failure.text)), "{}", all.text);
        }
    }

    #[test]
    fn a_server_that_cannot_sign_is_not_asked() {
        let health = |state, ahead| Health { state, skew: Some(Skew { ahead }), version: None };
        let unknown = || HealthState::Unknown("bao.example:8200 answers to sys/health with status 404 and no state".to_owned());
        for (state, ahead, expected) in [
            (HealthState::Active, 0, Ok(vec![])),
            (HealthState::Active, 31, Err("clock-skew")),
            (HealthState::Active, -61, Ok(vec!["clock-skew"])),
            (HealthState::Standby, 0, Ok(vec!["standby"])),
            (unknown(), 0, Ok(vec!["health-unknown"])),
            (HealthState::Sealed, 0, Err("server-sealed")),
            (HealthState::Uninitialised, 0, Err("server-sealed")),
        ] {
            let judged = judge_health(&server(), &health(state.clone(), ahead));
            let found = judged.as_ref().map(|warnings| warnings.iter().map(|w| w.code.as_str()).collect()).map_err(|why| why.code.as_str());
            assert_eq!(found, expected, "{state:?} {ahead}");
        }
    }

    #[test]
    fn a_token_left_behind_is_worth_a_warning_unless_it_soon_ends_by_itself() {
        let problem =
            |definite| Problem { failure: refused(Code::PermissionDenied, "no"), again: None, definite, token_not_accepted: false };
        for (lease, definite, warned) in [(Some(600), true, false), (Some(3601), true, true), (None, true, true), (Some(600), false, true)]
        {
            let got = not_revoked(&Grant::for_tests(lease.map(Duration::from_secs)), &problem(definite));
            assert_eq!(got.is_some(), warned, "{lease:?} {definite}");
        }
    }
}
