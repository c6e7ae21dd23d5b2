//! `enroll`: the first certificate by which this host logs in, by a login that is used once. What follows is a renewal like any other; its proof
//! is a login with the new certificate, which ends the one that was used once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::flow::{self, Request, world::World};
use super::issue::OpenBaoIssuer;
use super::run::Command;
use crate::config::settings::Settings;
use crate::io::dir::Dir;
use crate::io::runtime::within;
use crate::io::write;
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Warning};
use crate::model::name::CertName;
use crate::model::openbao::{AppRole, AuthMethod, Jwt, Once};
use crate::model::report::Report;
use crate::model::secret::SecretSource;
use crate::plan::decide::Wishes;

/// What `enroll` was asked for.
#[derive(Debug)]
pub struct Enrolment {
    /// The certificate that a login of the settings shows.
    pub name: CertName,
    /// The login that is used once; `None`: the others of the settings.
    pub login: Option<AuthMethod>,
    /// How long to wait for another run's lock.
    pub wait: Duration,
}

/// Enrols this host, or says that it is.
#[must_use]
pub fn enroll(settings: &Arc<Settings>, enrolment: &Enrolment, world: World<'_>) -> Report {
    let others = settings.openbao.login.iter().filter(|login| login.identity().is_none()).cloned();
    let logins = enrolment.login.clone().map_or_else(|| others.collect(), |login| vec![login]);
    let issuer = Arc::new(OpenBaoIssuer::new(settings, world.clock).over(settings, world.tpm.clone()).with_logins(logins));
    let world = world.asking(issuer.clone());
    let renew = |force| {
        let request = Request {
            names: vec![enrolment.name.clone()],
            wishes: Wishes { force, ignore_window: true, check_revoked: false },
            wait: enrolment.wait,
        };
        flow::renew(settings, &request, &world)
    };
    let mut report = renew(false);
    if outcome(&report) == Some(Outcome::NotDue) {
        match tried(&world, &issuer, &enrolment.name) {
            Tried::Works => report.certificates.iter_mut().for_each(|one| one.outcome = Outcome::Kept),
            Tried::Blocked(why) => report.certificates.iter_mut().for_each(|one| {
                one.outcome = Outcome::Kept;
                let text = format!("whether it logs in was not tried, since nothing is asked without a verdict: {}", why.text);
                one.warnings.push(Warning::new(why.code, text));
            }),
            Tried::Refused(why) => {
                report = renew(true);
                let text = format!("the certificate that is here does not log in, and is replaced: {}", why.text);
                report.certificates.iter_mut().for_each(|one| one.warnings.push(Warning::new(Code::LoginRefused, text.clone())));
            }
        }
    }
    let left = enrolment.login.as_ref().and_then(|login| match outcome(&report) {
        Some(Outcome::Renewed) => forget(settings, login),
        Some(Outcome::Settled) if issuer.has_ended_once() => forget(settings, login),
        Some(Outcome::Kept | Outcome::Settled) => unused(settings, login),
        _ if issuer.has_ended_once() => ended(settings, login),
        _ => None,
    });
    report.certificates.iter_mut().for_each(|one| one.warnings.extend(left.clone()));
    Report { schema: Command::Enroll.schema().to_owned(), ..report }
}

fn outcome(report: &Report) -> Option<Outcome> {
    report.certificates.first().map(|one| one.outcome)
}

/// What came of logging in with the certificate that is here.
enum Tried {
    Works,
    /// It was not tried: nothing is to be issued, so nothing is lost by that.
    Blocked(Failure),
    Refused(Failure),
}

fn tried(world: &World<'_>, issuer: &OpenBaoIssuer, name: &CertName) -> Tried {
    let done = within(async {
        if let Err(why) = world.gate.pass(world.clock).await {
            return Tried::Blocked(why);
        }
        let tried = issuer.tries_identity(name).await;
        drop(super::issue::Issuer::close(issuer).await);
        tried.map_or_else(Tried::Refused, |()| Tried::Works)
    });
    done.unwrap_or_else(Tried::Refused)
}

/// The secret of a login that was given for one use: its name, and its file where it is nobody else's. A credential is systemd's, and ends with
/// the unit; what a login of the settings reads too is that one's.
fn given<'a>(settings: &Settings, login: &'a AuthMethod) -> Option<(&'static str, &'a Path)> {
    let (word, source) = match login {
        AuthMethod::Once(once @ (Once::Token(source) | Once::WrappedToken(source))) => (once.word(), source),
        AuthMethod::Once(once @ Once::WrappedSecretId(AppRole { secret_id, .. })) => (once.word(), secret_id),
        AuthMethod::AppRole(AppRole { secret_id, .. }) => ("secret id", secret_id),
        AuthMethod::Jwt(Jwt { jwt, .. }) => ("signed token", jwt),
        _ => return None,
    };
    let SecretSource::File(file) = source else { return None };
    let is_credential = settings.credentials.as_deref().is_some_and(|directory| file.starts_with(directory));
    let is_shared = settings.openbao.login.iter().any(|known| match known {
        AuthMethod::AppRole(AppRole { secret_id, .. }) => secret_id == source,
        AuthMethod::Jwt(Jwt { jwt, .. }) => jwt == source,
        AuthMethod::Token(token) => token.token == *source,
        _ => false,
    });
    (!is_credential && !is_shared).then_some((word, file.as_path()))
}

/// Removes the file of a login that was used: nothing of it stays on the disk.
fn forget(settings: &Settings, login: &AuthMethod) -> Option<Warning> {
    let (word, file) = given(settings, login)?;
    let (parent, name) = file.parent().zip(file.file_name().and_then(|name| name.to_str()))?;
    let why = Dir::open(parent).and_then(|dir| dir.map_or(Ok(()), |dir| write::remove(&dir, name))).err()?;
    Some(Warning::new(Code::TokenNotRevoked, format!("the {word} was used; its file stays: {why}")))
}

/// A login that was used, and brought no certificate into use: what lies there is of no use any more.
fn ended(settings: &Settings, login: &AuthMethod) -> Option<Warning> {
    let (word, file) = given(settings, login)?;
    let text = format!(
        "the {word} in {} was used and has ended with this run, although no certificate came into use: remove it, and have a new one made",
        file.display()
    );
    let code = if matches!(login, AuthMethod::Once(Once::Token(_))) { Code::LoginEnds } else { Code::WrappingTokenUsed };
    Some(Warning::new(code, text))
}

/// A login that was not needed still lets somebody in.
fn unused(settings: &Settings, login: &AuthMethod) -> Option<Warning> {
    let (word, file) = given(settings, login)?;
    let (parent, name) = file.parent().zip(file.file_name().and_then(|name| name.to_str()))?;
    let lies_there = Dir::open(parent).ok()??.kind(name).is_ok_and(|kind| kind.is_some());
    let text = format!("the {word} in {} was not needed, and still lets somebody in: remove it, and have it revoked", file.display());
    lies_there.then(|| Warning::new(Code::TokenNotRevoked, text))
}
