//! Revocation at OpenBao: by serial number, with a login of its own. A token that may use `MOUNT/revoke` can revoke every certificate of the
//! mount, OpenBao's own included, so the login of renewals must not. It never uses `revoke-with-key`, which sends a private key.

use std::time::Duration;

use crate::io::openbao::{Means, Session};
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::openbao::OpenBao;

/// All of it ends within this.
const LIMIT: Duration = Duration::from_secs(30);

/// Revokes these serial numbers, each for itself.
pub(super) async fn revoke(
    settings: &OpenBao,
    means: Means,
    clock: Clock,
    serials: &[String],
) -> Result<Vec<Result<(), Failure>>, Failure> {
    if settings.revoke_login.is_empty() {
        return Err(Failure::new(
            Stage::Issue,
            Code::Missing,
            "the settings have no openbao.revoke_login, and the login of renewals revokes nothing",
        )
        .hint("set openbao.revoke_login to a login of its own that may use MOUNT/revoke"));
    }
    let own = OpenBao { login: settings.revoke_login.clone(), ..settings.clone() };
    let work = async {
        let session = Session::open(&own, means, clock).await?;
        let answers = by(&session, &own.mount, serials).await;
        if let Some(unrevoked) = session.close().await {
            tracing::warn!(why = %unrevoked.problem.failure, "the token that revoked certificates lives on");
        }
        answers
    };
    let late = || Failure::new(Stage::Issue, Code::Unreachable, "OpenBao did not answer in time");
    tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| Err(late()))
}

async fn by(session: &Session, mount: &str, serials: &[String]) -> Result<Vec<Result<(), Failure>>, Failure> {
    let grant = session.grant().await.map_err(|refusals| refusals.together())?;
    let mut answers = Vec::new();
    for serial in serials {
        answers.push(session.server().revoke(&grant, mount, serial).await.map_err(|problem| problem.failure));
    }
    Ok(answers)
}
