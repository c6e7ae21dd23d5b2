//! Logins whose end is known, and whether they last until runs need them: a certificate that logs in by its own end, a token by what the last
//! run learnt. Only reads; nothing is asked of a server.

use std::path::Path;

use super::generation::certificates;
use super::standing::Standing;
use crate::config::settings::Settings;
use crate::io::dir::{Dir, DiskError};
use crate::io::look::{LookError, View};
use crate::judge::cert::Facts;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::Warning;
use crate::model::layout;
use crate::model::login_end::{LoginEnd, Logins, UnknownEnd};
use crate::model::name::CertName;
use crate::model::openbao::{AuthMethod, GivenToken};
use crate::model::secret::SecretSource;
use crate::model::span;

/// All that is known, of the auth methods that the settings name.
///
/// # Errors
/// What may not be read.
pub fn known(settings: &Settings) -> Result<Logins, DiskError> {
    let content = Dir::open(&settings.paths.state)?.map_or(Ok(None), |state| state.read(layout::LOGINS))?;
    let noted: Logins = content.and_then(|content| serde_json::from_slice(&content.bytes).ok()).unwrap_or_default();
    let mut known = Logins { logins: by_certificate(settings), ..Logins::none() };
    let mut seen: Vec<&str> = Vec::new();
    for method in &settings.openbao.login {
        // Two of a kind are told together.
        if !seen.contains(&method.word()) {
            seen.push(method.word());
            of_method(method, &noted, &mut known);
        }
    }
    Ok(known)
}

fn of_method(method: &AuthMethod, noted: &Logins, known: &mut Logins) {
    let word = method.word();
    let secret = match method {
        AuthMethod::AppRole(approle) if !approle.wrapped => Some(&approle.secret_id),
        AuthMethod::Token(given) => Some(&given.token),
        _ => None,
    };
    let unknown = |why: String| UnknownEnd { method: word.to_owned(), why };
    if let Some(file) = secret.and_then(gone) {
        known.unknown.push(unknown(format!("{} is not there, which it logs in with", file.display())));
        return;
    }
    let newer = secret.and_then(changed).filter(|changed| noted.learnt.get(word).is_some_and(|learnt| changed > learnt));
    if let Some(changed) = newer {
        known.unknown.push(unknown(format!("what it logs in with was changed at {changed}, and no run has logged in by it since")));
        return;
    }
    let ends: Vec<LoginEnd> = noted.logins.iter().filter(|login| login.method == word).cloned().collect();
    let unknowns: Vec<UnknownEnd> = noted.unknown.iter().filter(|login| login.method == word).cloned().collect();
    let is_silent = ends.is_empty() && unknowns.is_empty() && !noted.endless.iter().any(|one| one == word);
    known.unknown.extend(secret.filter(|_| is_silent).map(|_| unknown(NOT_YET.to_owned())));
    known.logins.extend(ends);
    known.unknown.extend(unknowns);
}

const NOT_YET: &str = "no run has logged in by it yet";

/// When a secret was last changed, where that can be seen.
fn changed(secret: &SecretSource) -> Option<Time> {
    let SecretSource::File(path) = secret else { return None };
    View::host().meta(path).ok().map(|meta| meta.modified)
}

/// The file of a secret, where it can be seen that there is none.
fn gone(secret: &SecretSource) -> Option<&Path> {
    let SecretSource::File(path) = secret else { return None };
    matches!(View::host().meta(path), Err(LookError::Absent(_))).then_some(path.as_path())
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
        Some(LoginEnd { method: login.word().to_owned(), expires: facts.not_after, renews, uses_left: None })
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
        let is_short = |login: &&LoginEnd| login.expires < needed(login) || has_too_few(login);
        // The first that it is not there for any more.
        let misses = |login: &LoginEnd| {
            let misses_next = login.renews || login.expires < self.next || login.uses_left == Some(0);
            if misses_next {
                Missed { which: "the next renewal", at: self.next }
            } else {
                Missed { which: "the next renewal but one", at: self.after }
            }
        };
        let short = logins.iter().filter(is_short);
        short.map(|login| Warning::new(Code::LoginEnds, text(login, misses(login), now))).collect()
    }
}

/// The next renewal needs one use of a secret id, and so does the one after it.
const USES: u64 = 2;

/// Of a token itself each needs two: that it is looked at, and one signature.
const USES_OF_TOKEN: u64 = 4;

fn is_token(login: &LoginEnd) -> bool {
    login.method == GivenToken::WORD
}

fn has_too_few(login: &LoginEnd) -> bool {
    let needed = if is_token(login) { USES_OF_TOKEN } else { USES };
    login.uses_left.is_some_and(|uses| uses < needed)
}

/// A renewal that a login does not last for.
struct Missed {
    which: &'static str,
    at: Time,
}

fn text(login: &LoginEnd, missed: Missed, now: Time) -> String {
    let LoginEnd { method, expires, uses_left, .. } = login;
    let Missed { which: until, at: needed } = missed;
    let remedy = "bring a new one, or a login that lasts or renews itself";
    if let Some(uses) = uses_left.filter(|_| has_too_few(login)) {
        let times = if uses == 1 { "time" } else { "times" };
        let how_often = if uses == 0 { "is used up".to_owned() } else { format!("can be used {uses} {times} more") };
        if is_token(login) {
            return format!("the token of the login by {method} {how_often}, and each renewal takes two or more of them: {remedy}");
        }
        return format!("the secret id of the login by {method} {how_often}, and {until} needs it at {needed}: {remedy}");
    }
    let when = if *expires > now { format!("ends in {}", span::about(expires.since(now))) } else { "has ended".to_owned() };
    format!("the login by {method} {when}, at {expires}, and {until} needs it at {needed}: {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_renews_itself_lasts_until_the_next_run_and_everything_else_until_the_one_after() {
        let at = |hours: i64| Time::from_unix(1_800_000_000 + hours * 3600);
        let needs = Needs { next: at(16), after: at(32) };
        for (expires, renews, warned) in [(15, true, true), (17, true, false), (31, false, true), (33, false, false), (-1, false, true)] {
            let login = LoginEnd { method: "token".to_owned(), expires: at(expires), renews, uses_left: None };
            let warnings = needs.warnings(std::slice::from_ref(&login), at(0));
            assert_eq!(warnings.len(), usize::from(warned), "{login:?}: {warnings:?}");
            assert!(warnings.iter().all(|warning| warning.code == Code::LoginEnds && warning.text.contains("by token")));
            // What ends before the very next one is not said to be there for it.
            let names_next = warnings.iter().all(|warning| warning.text.contains("the next renewal needs it"));
            assert_eq!(names_next, !warned || expires < 16, "{warnings:?}");
        }
    }

    #[test]
    fn a_secret_id_that_is_used_up_before_it_ends_is_warned_of() {
        let at = |hours: i64| Time::from_unix(1_800_000_000 + hours * 3600);
        let needs = Needs { next: at(16), after: at(32) };
        for (uses_left, warned) in [(None, false), (Some(2), false), (Some(1), true), (Some(0), true)] {
            let login = LoginEnd { method: "approle".to_owned(), expires: Time::last(), renews: false, uses_left };
            let warnings = needs.warnings(std::slice::from_ref(&login), at(0));
            assert_eq!(warnings.len(), usize::from(warned), "{login:?}: {warnings:?}");
            assert!(warnings.iter().all(|warning| warning.text.contains("secret id of the login by approle")));
        }
        for (uses_left, warned) in [(None, false), (Some(4), false), (Some(3), true), (Some(0), true)] {
            let login = LoginEnd { method: "token".to_owned(), expires: Time::last(), renews: false, uses_left };
            let warnings = needs.warnings(std::slice::from_ref(&login), at(0));
            assert_eq!(warnings.len(), usize::from(warned), "{login:?}: {warnings:?}");
            assert!(warnings.iter().all(|warning| warning.text.contains("the token of the login by token")));
        }
    }
}
