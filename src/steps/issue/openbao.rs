//! OpenBao as issuer: a certificate's role signs, in one session with the server for the whole run. It must never send a request that its
//! budget does not allow, nor ask again what a second try cannot cure.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;

use super::unrevoked::not_revoked;
use super::{Issuer, Order, Revocations, revoke, roles, too_slow};
use crate::config::settings::{IssuerSettings, Settings};
use crate::io::identity::OfHost;
use crate::io::openbao::{Health, HealthState, HostIdentity, Means, Problem, RefusedKey, Session, is_the_servers_matter, pause};
use crate::io::tpm::connection::Connection;
use crate::io::tpm::limit::Unanswered;
use crate::model::clock::{Clock, Time};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::login_end::Logins;
use crate::model::name::{CertName, Generation};
use crate::model::openbao::{AuthMethod, Once, OpenBao, TpmIdentity};
use crate::model::request::Signed;

/// The PKI secrets engine of one OpenBao server.
#[derive(Debug)]
pub struct OpenBaoIssuer {
    settings: OpenBao,
    means: Means,
    /// The certificate of ours by which it is logged in at, where there is one.
    identity: Option<TpmIdentity>,
    clock: Clock,
    opened: OnceCell<Result<Opened, Failure>>,
    /// Certificates in a row that the server had no answer for. After three the rest of the run is not asked for: each would wait its
    /// full time, and use up its budget.
    in_vain: Mutex<Vec<Failure>>,
    /// What is worth saying of logins that ended before the run did.
    left: Mutex<Vec<Warning>>,
    /// Whether anything was signed.
    has_signed: AtomicBool,
    /// Whether a login that was given for one use has ended.
    has_ended_once: AtomicBool,
}

/// A session, and what its health is worth saying about the run.
#[derive(Debug)]
struct Opened {
    session: Session,
    warnings: Vec<Warning>,
}

impl OpenBaoIssuer {
    /// The issuer of these settings. Nothing is sent yet.
    #[must_use]
    pub fn new(settings: &Settings, clock: Clock) -> Self {
        let identity = means_of_tpm(settings, None);
        let at = Self::at(&settings.openbao, settings.credentials.as_deref(), clock);
        Self { means: at.means.clone().with_identity(identity), ..at }
    }

    /// The same over the connection to the TPM that others of the run use too.
    #[must_use]
    pub fn over(self, settings: &Settings, tpm: Option<Connection>) -> Self {
        Self { means: self.means.clone().with_identity(means_of_tpm(settings, tpm)), ..self }
    }

    /// The same with other logins than those of the settings.
    #[must_use]
    pub fn with_logins(mut self, login: Vec<AuthMethod>) -> Self {
        self.settings.login = login;
        self
    }

    /// The issuer at one server. `credentials` is systemd's `$CREDENTIALS_DIRECTORY`.
    #[must_use]
    pub fn at(settings: &OpenBao, credentials: Option<&Path>, clock: Clock) -> Self {
        Self {
            settings: settings.clone(),
            means: Means::of_credentials(credentials),
            identity: settings.login.iter().find_map(AuthMethod::identity).cloned(),
            clock,
            opened: OnceCell::new(),
            in_vain: Mutex::default(),
            left: Mutex::default(),
            has_signed: AtomicBool::new(false),
            has_ended_once: AtomicBool::new(false),
        }
    }

    /// The login that a person gave for one use.
    fn once(&self) -> Option<&Once> {
        if let [AuthMethod::Once(once)] = self.settings.login.as_slice() { Some(once) } else { None }
    }

    /// Whether the login that a person gave for one use was used and has ended. A token by which nothing was signed is left as it was.
    #[must_use]
    pub fn has_ended_once(&self) -> bool {
        self.has_ended_once.load(Ordering::Relaxed)
    }

    async fn opened(&self) -> Result<&Opened, Failure> {
        let open = || async {
            let session = Session::open(&self.settings, self.means.clone(), self.clock).await?;
            let warnings = judge_health(session.server().name(), session.health())?;
            Ok(Opened { session, warnings })
        };
        self.opened.get_or_init(open).await.as_ref().map_err(Clone::clone)
    }

    async fn signed(&self, order: &Order<'_>) -> Result<Signed, Failure> {
        let late = || too_slow(&order.request.name);
        let opened = tokio::time::timeout_at(order.until.into(), self.opened()).await;
        let Opened { session, .. } = opened.unwrap_or_else(|_| Err(late()))?;
        if let Some(skew) = session.health().skew {
            skew.for_lifetime(session.server().name(), order.request.ttl)?;
        }
        if let [_, _, last, ..] = lock(&self.in_vain).as_slice() {
            return Err(last.clone());
        }
        // A time limit lets its work begin before it looks at the clock: a request would be on its way.
        if self.clock.instant() >= order.until {
            return Err(late());
        }
        let asked = tokio::time::timeout_at(order.until.into(), self.ask(session, order)).await;
        let signed = asked.unwrap_or_else(|_| Err(late()));
        let mut in_vain = lock(&self.in_vain);
        match &signed {
            Err(failure) if is_the_servers_matter(failure.code) => in_vain.push(failure.clone()),
            _ => in_vain.clear(),
        }
        signed
    }

    /// Sends the request, within the budget, until it is signed or more tries cannot help.
    async fn ask(&self, session: &Session, order: &Order<'_>) -> Result<Signed, Failure> {
        let IssuerSettings::OpenBao { role } = order.issuer;
        let mut grant = session.grant().await.map_err(|refusals| refusals.together())?;
        let mut tried_again = false;
        let mut refused: Option<Failure> = None;
        loop {
            // Where the budget of this run ends a retry, what was refused is what counts.
            order.budget.take().await.map_err(|stop| refused.take().unwrap_or(stop))?;
            let Problem { failure, again, definite, token_not_accepted } =
                match session.server().sign(&grant, &self.settings.mount, role, order.csr, order.request.ttl).await {
                    Ok(signed) => {
                        self.has_signed.store(true, Ordering::Relaxed);
                        session.proven(&grant).await;
                        return Ok(signed);
                    }
                    Err(problem) => problem,
                };
            if definite {
                order.budget.give_back().await;
            }
            if token_not_accepted {
                // Ends: the second refusal of a run comes back as it is, and so does that of a token which was never accepted.
                let other = session.grant_instead_of(&grant).await.map_err(|refusals| refusals.together())?;
                grant = other.ok_or_else(|| failure.clone())?;
                refused = Some(failure);
            } else if let (Some(wait), false) = (again, tried_again) {
                tried_again = true;
                refused = Some(failure);
                pause(wait).await;
            } else {
                return Err(roles::explained(failure, session.server(), &self.settings.mount, role, &grant).await);
            }
        }
    }

    async fn logged_in_with(&self, name: &CertName, generation: Generation) -> Result<(), Failure> {
        let none = || Failure::new(Stage::Verify, Code::NotAvailable, format!("{name} is no login of the settings"));
        let identity = self.identity.as_ref().filter(|identity| identity.certificate == *name).ok_or_else(none)?;
        let Opened { session, .. } = self.opened().await?;
        let unrevoked = session.log_in_with(identity, Some(generation)).await?;
        self.has_ended_once.store(self.once().is_some(), Ordering::Relaxed);
        lock(&self.left).extend(unrevoked.as_ref().and_then(not_revoked));
        Ok(())
    }

    /// Logs in with the committed certificate of ours, to see whether that works. `close` ends what it is granted.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn tries_identity(&self, name: &CertName) -> Result<(), Failure> {
        let none = || Failure::new(Stage::Issue, Code::NotAvailable, format!("{name} is no login of the settings"));
        let identity = self.identity.as_ref().filter(|identity| identity.certificate == *name).ok_or_else(none)?;
        self.opened().await?.session.log_in_with(identity, None).await.map(drop)
    }

    /// Revokes the run's token, if it is ours, and gives all warnings of the run.
    async fn closed(&self) -> Vec<Warning> {
        let Some(Ok(Opened { session, warnings })) = self.opened.get() else { return Vec::new() };
        let passed_over = session.passed_over().into_iter().map(|failure| Warning::new(Code::LoginRefused, failure.text));
        let skipped = session.skipped().iter().map(|failure| Warning::new(failure.code, failure.text.as_str()));
        let mut warnings: Vec<Warning> = skipped.chain(warnings.iter().cloned()).chain(passed_over).collect();
        warnings.append(&mut lock(&self.left));
        if matches!(self.once(), Some(Once::Token(_))) && !self.has_signed.load(Ordering::Relaxed) {
            session.leave().await;
            return warnings;
        }
        if self.once().is_some() && session.is_logged_in().await {
            self.has_ended_once.store(true, Ordering::Relaxed);
        }
        warnings.extend(session.close().await.as_ref().and_then(not_revoked));
        warnings
    }
}

impl Issuer for OpenBaoIssuer {
    fn open(&self) -> BoxFuture<'_, Result<(), Failure>> {
        async { self.opened().await.map(drop) }.boxed()
    }

    fn sign<'a>(&'a self, order: &'a Order<'a>) -> BoxFuture<'a, Result<Signed, Failure>> {
        self.signed(order).boxed()
    }

    fn log_in_with<'a>(&'a self, identity: &'a CertName, generation: Generation) -> BoxFuture<'a, Result<(), Failure>> {
        let of_verify = |why: Failure| Failure { stage: Stage::Verify, ..why };
        self.logged_in_with(identity, generation).map(move |done| done.map_err(of_verify)).boxed()
    }

    fn revoked<'a>(&'a self, serial: &'a str) -> BoxFuture<'a, Result<Option<Time>, Failure>> {
        async move {
            let Opened { session, .. } = self.opened().await?;
            session.server().revoked(&self.settings.mount, serial).await.map_err(|problem| problem.failure)
        }
        .boxed()
    }

    fn revoke<'a>(&'a self, serials: &'a [String]) -> BoxFuture<'a, Result<Revocations, Failure>> {
        revoke::revoke(&self.settings, self.means.clone(), self.clock, serials).boxed()
    }

    fn logins(&self) -> BoxFuture<'_, Logins> {
        async {
            match self.opened.get() {
                Some(Ok(Opened { session, .. })) => session.logins().await,
                Some(Err(_)) | None => Logins::none(),
            }
        }
        .boxed()
    }

    fn refused_keys(&self) -> Vec<RefusedKey> {
        match self.opened.get() {
            Some(Ok(Opened { session, .. })) => session.refused_keys(),
            Some(Err(_)) | None => Vec::new(),
        }
    }

    fn close(&self) -> BoxFuture<'_, Vec<Warning>> {
        self.closed().boxed()
    }
}

/// Who has this host's own certificates, where a login of the settings shows one.
fn means_of_tpm(settings: &Settings, tpm: Option<Connection>) -> Option<Arc<dyn HostIdentity>> {
    let mut logins = settings.openbao.login.iter().chain(&settings.openbao.revoke_login);
    let sealing = settings.sealing.as_ref().filter(|_| logins.any(|login| login.identity().is_some()))?;
    let tpm = tpm.unwrap_or_else(|| Connection::new(&sealing.tcti, Unanswered::default()));
    Some(Arc::new(OfHost::new(&settings.paths.state, tpm)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What health says about asking at all.
fn judge_health(name: &str, health: &Health) -> Result<Vec<Warning>, Failure> {
    let mut warnings = Vec::new();
    match &health.state {
        HealthState::Active => {}
        HealthState::Sealed => {
            let hint = "an operator must unseal OpenBao (bao operator unseal); a certificate that is in use keeps serving";
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

#[cfg(test)]
mod tests {
    use super::*;

    use crate::io::openbao::Skew;

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
            let judged = judge_health("bao.example:8200", &health(state.clone(), ahead));
            let found = judged.as_ref().map(|warnings| warnings.iter().map(|w| w.code.as_str()).collect()).map_err(|why| why.code.as_str());
            assert_eq!(found, expected, "{state:?} {ahead}");
        }
    }
}
