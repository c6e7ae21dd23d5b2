//! Revocation at OpenBao: by serial number, with a login of its own. A token that may use `MOUNT/revoke` can revoke every certificate of the
//! mount, OpenBao's own included, so the login of renewals must not. It never uses `revoke-with-key`, which sends a private key.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Revocations;
use super::unrevoked::not_revoked;
use crate::io::openbao::{Means, Refusals, Session, is_the_servers_matter};
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::openbao::OpenBao;

/// Login and revocations end within this; the token is revoked after that, whatever became of them.
const LIMIT: Duration = Duration::from_secs(30);

/// Revokes these serial numbers, each for itself. Logins are tried in order: also one that is granted may not be allowed to revoke.
pub(super) async fn revoke(settings: &OpenBao, means: Means, clock: Clock, serials: &[String]) -> Result<Revocations, Failure> {
    if settings.revoke_login.is_empty() {
        return Err(Failure::new(
            Stage::Issue,
            Code::Missing,
            "the settings have no openbao.revoke_login, and the login of renewals revokes nothing",
        )
        .hint("set openbao.revoke_login to a login of its own that may use MOUNT/revoke"));
    }
    let until = tokio::time::Instant::from_std(clock.instant() + LIMIT);
    let (mut answers, mut warnings, mut refused) = (BTreeMap::new(), Vec::new(), Vec::new());
    for method in &settings.revoke_login {
        let is_open = |serial: &&String| answers.get(*serial).is_none_or(is_denied);
        let open: Vec<String> = serials.iter().filter(is_open).cloned().collect();
        if open.is_empty() {
            break;
        }
        let own = OpenBao { login: vec![method.clone()], ..settings.clone() };
        match by(&own, means.clone(), clock, &open, until).await {
            Ok(done) => {
                answers.extend(open.into_iter().zip(done.answers));
                warnings.extend(done.warnings);
            }
            Err(failure) => {
                let ends = is_the_servers_matter(failure.code);
                refused.push(failure);
                if ends {
                    break;
                }
            }
        }
    }
    if answers.is_empty() && !serials.is_empty() {
        return Err(Refusals::of(refused).together());
    }
    warnings.extend(refused.into_iter().map(|failure| Warning::new(Code::LoginRefused, failure.text)));
    let none = || Failure::new(Stage::Issue, Code::Unreachable, "nobody was asked to revoke it");
    let answers = serials.iter().map(|serial| answers.get(serial).cloned().unwrap_or_else(|| Err(none()))).collect();
    Ok(Revocations { answers, warnings })
}

fn is_denied(answer: &Result<(), Failure>) -> bool {
    answer.as_ref().is_err_and(|failure| failure.code == Code::PermissionDenied)
}

/// The same by the one login of these settings.
async fn by(own: &OpenBao, means: Means, clock: Clock, serials: &[String], until: tokio::time::Instant) -> Result<Revocations, Failure> {
    let late = || Failure::new(Stage::Issue, Code::Unreachable, format!("OpenBao did not answer within {} s", LIMIT.as_secs()));
    let session = tokio::time::timeout_at(until, Session::open(own, means, clock)).await.unwrap_or_else(|_| Err(late()))?;
    let answers = match tokio::time::timeout_at(until, session.grant()).await {
        Err(_) => Err(late()),
        Ok(Err(refusals)) => Err(refusals.together()),
        Ok(Ok(grant)) => {
            let mut answers = Vec::new();
            for serial in serials {
                let asked = tokio::time::timeout_at(until, session.server().revoke(&grant, &own.mount, serial)).await;
                answers.push(asked.map_or_else(|_| Err(late()), |answer| answer.map_err(|problem| problem.failure)));
            }
            Ok(answers)
        }
    };
    let warnings: Vec<Warning> = session.close().await.as_ref().and_then(not_revoked).into_iter().collect();
    Ok(Revocations { answers: answers?, warnings })
}
