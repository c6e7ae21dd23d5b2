//! Revocation at OpenBao: by serial number, with a login of its own. A token that may use `MOUNT/revoke` can revoke every certificate of the
//! mount, OpenBao's own included, so the login of renewals must not. It never uses `revoke-with-key`, which sends a private key.

use std::time::Duration;

use super::Revocations;
use super::unrevoked::not_revoked;
use crate::io::openbao::{Means, Session};
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::openbao::OpenBao;

/// Login and revocations end within this; the token is revoked after that, whatever became of them.
const LIMIT: Duration = Duration::from_secs(30);

/// Revokes these serial numbers, each for itself.
pub(super) async fn revoke(settings: &OpenBao, means: Means, clock: Clock, serials: &[String]) -> Result<Revocations, Failure> {
    if settings.revoke_login.is_empty() {
        return Err(Failure::new(
            Stage::Issue,
            Code::Missing,
            "the settings have no openbao.revoke_login, and the login of renewals revokes nothing",
        )
        .hint("set openbao.revoke_login to a login of its own that may use MOUNT/revoke"));
    }
    let own = OpenBao { login: settings.revoke_login.clone(), ..settings.clone() };
    let until = tokio::time::Instant::from_std(clock.instant() + LIMIT);
    let late = || Failure::new(Stage::Issue, Code::Unreachable, format!("OpenBao did not answer within {} s", LIMIT.as_secs()));
    let session = tokio::time::timeout_at(until, Session::open(&own, means, clock)).await.unwrap_or_else(|_| Err(late()))?;
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
