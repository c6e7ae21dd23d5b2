//! Logins whose end is known, and whether they last until runs need them: a certificate that logs in by its own end, a token by what the last
//! run learnt. Only reads; nothing is asked of a server.

use super::generation::certificates;
use super::standing::Standing;
use crate::config::settings::Settings;
use crate::io::dir::{Dir, DiskError};
use crate::io::look::View;
use crate::judge::cert::Facts;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::Warning;
use crate::model::layout;
use crate::model::login_end::{LoginEnd, Logins};
use crate::model::name::CertName;
use crate::model::openbao::AuthMethod;
use crate::model::span;

/// All that are known, of the auth methods that the settings name.
///
/// # Errors
/// What may not be read.
pub fn known(settings: &Settings) -> Result<Vec<LoginEnd>, DiskError> {
    let mut known = by_certificate(settings);
    let content = Dir::open(&settings.paths.state)?.map_or(Ok(None), |state| state.read(layout::LOGINS))?;
    let noted: Logins = content.and_then(|content| serde_json::from_slice(&content.bytes).ok()).unwrap_or_default();
    let is_named = |login: &LoginEnd| settings.openbao.login.iter().any(|method| method.word() == login.method);
    known.extend(noted.logins.into_iter().filter(is_named));
    Ok(known)
}

fn by_certificate(settings: &Settings) -> Vec<LoginEnd> {
    let ends = settings.openbao.login.iter().filter_map(|login| {
        let own = |name: &CertName| {
            let certificate = settings.paths.state.join(layout::CERTS).join(name.as_str());
            certificate.join(layout::LIVE).join(layout::CERT)
        };
        let file = match login {
            AuthMethod::Cert(login) => login.cert.clone(),
            AuthMethod::TpmIdentity(identity) => own(&identity.certificate),
            _ => return None,
        };
        let pem = View::host().text(&file).ok()?;
        let facts = Facts::parse(certificates(pem.as_bytes()).first()?).ok()?;
        // One of our own is renewed like every other.
        let renews = login.identity().is_some() || file.starts_with(&settings.paths.run);
        Some(LoginEnd { method: login.word().to_owned(), expires: facts.not_after, renews })
    });
    ends.collect()
}

/// When runs need a login: for the next certificate that is due, and for the one after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    next: Time,
    after: Time,
}

impl Needs {
    /// Of these certificates; `None` where there are none.
    #[must_use]
    pub fn of(settings: &Settings, standings: &[Standing], now: Time) -> Option<Self> {
        let mut needs: Vec<Time> = Vec::new();
        for standing in standings {
            let Some(certificate) = settings.certificate(&standing.planned.name) else { continue };
            let ttl = certificate.request.ttl;
            let interval = i64::try_from((ttl - certificate.renew_at.left(ttl)).as_secs()).unwrap_or(i64::MAX);
            let first = standing.planned.due_at.map_or(now, |due| due.max(now));
            needs.extend([first, first.plus(interval)]);
        }
        needs.sort_unstable();
        Some(Self { next: *needs.first()?, after: *needs.get(1)? })
    }

    /// What does not last so long.
    #[must_use]
    pub fn warnings(self, logins: &[LoginEnd], now: Time) -> Vec<Warning> {
        let needed = |login: &LoginEnd| if login.renews { self.next } else { self.after };
        let short = logins.iter().filter(|login| login.expires < needed(login));
        short.map(|login| Warning::new(Code::LoginEnds, text(login, needed(login), now))).collect()
    }
}

fn text(login: &LoginEnd, needed: Time, now: Time) -> String {
    let LoginEnd { method, expires, .. } = login;
    let when = if *expires > now { format!("ends in {}", span::about(expires.since(now))) } else { "has ended".to_owned() };
    let until = if login.renews { "the next renewal" } else { "the next renewal but one" };
    format!(
        "the login by {method} {when}, at {expires}, and {until} needs it at {needed}: bring a new one, or a login that lasts or renews itself"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_renews_itself_lasts_until_the_next_run_and_everything_else_until_the_one_after() {
        let at = |hours: i64| Time::from_unix(1_800_000_000 + hours * 3600);
        let needs = Needs { next: at(16), after: at(32) };
        for (expires, renews, warned) in [(15, true, true), (17, true, false), (31, false, true), (33, false, false), (-1, false, true)] {
            let login = LoginEnd { method: "token".to_owned(), expires: at(expires), renews };
            let warnings = needs.warnings(std::slice::from_ref(&login), at(0));
            assert_eq!(warnings.len(), usize::from(warned), "{login:?}: {warnings:?}");
            assert!(warnings.iter().all(|warning| warning.code == Code::LoginEnds && warning.text.contains("by token")));
        }
    }
}
