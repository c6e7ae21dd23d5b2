//! Logins that a person gave for one use: a token, or a wrapping token with a token or a secret id in it. Whatever token comes of it is ours to
//! revoke.

use std::path::Path;

use zeroize::Zeroizing;

use super::super::{Grant, Problem, Server, answer, is_success, refusal};
use super::wrapping::{carried, makes_secret_ids, used, wrapped};
use super::{approle, refused, unreadable};
use crate::io::read;
use crate::model::openbao::{AppRole, Once};
use crate::model::secret::SecretSource;

pub(super) async fn log_in(server: &Server, method: &Once, credentials: Option<&Path>) -> Result<Grant, Problem> {
    match method {
        Once::Token(source) => {
            let token = carried(read::token(source, credentials).map_err(|why| unreadable(&why))?)?;
            Ok(Grant::ours(token, None, Vec::new()))
        }
        Once::WrappedToken(source) => {
            let answer = unwrapped(server, source, credentials, &|path| path.starts_with("auth/token/create")).await?;
            let answer::LoggedIn { token, lease, .. } =
                answer::login(&answer).map_err(|why| server.malformed("sys/wrapping/unwrap", &why))?;
            Ok(Grant::ours(token, lease, Vec::new()))
        }
        Once::WrappedSecretId(AppRole { mount, role_id, secret_id, .. }) => {
            let answer = unwrapped(server, secret_id, credentials, &|path| makes_secret_ids(mount, path)).await?;
            let secret_id = answer::unwrapped_secret_id(&answer).map_err(|why| server.malformed("sys/wrapping/unwrap", &why))?;
            let role_id = read::token(role_id, credentials).map_err(|why| unreadable(&why))?;
            let granted = approle::by(server, mount, role_id, secret_id).await;
            granted.map_err(|mut problem| {
                problem.failure.text.push_str("; the wrapping token was used for that, and gives nothing more");
                problem
            })
        }
    }
}

/// What a wrapping token holds, once it is known that it was made for that: somebody else may have put his own in its place.
async fn unwrapped(
    server: &Server,
    source: &SecretSource,
    credentials: Option<&Path>,
    is_expected: &(dyn Fn(&str) -> bool + Sync),
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let wrapping = carried(read::token(source, credentials).map_err(|why| unreadable(&why))?)?;
    let made_by = wrapped(server, &wrapping).await?.made_by;
    if !is_expected(&made_by) {
        let text = format!("the wrapping token was made by {made_by}, which gives nothing to log in with here");
        return Err(refused(
            text,
            "a token is wrapped by `bao token create -wrap-ttl=…`; give a secret id as --approle file:ROLE,wrapped:FILE",
        ));
    }
    let path = "sys/wrapping/unwrap";
    let grant = Grant::given(wrapping);
    let answer = server.ask(path, &grant, Some(Zeroizing::new(b"{}".to_vec()))).await?;
    if is_success(&answer) {
        return Ok(answer.body);
    }
    Err(used(&refusal::of_call(path, &answer, &grant.secrets(), server.clock.now())))
}
