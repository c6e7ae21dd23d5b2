//! `approle`: a role id and a secret id.

use std::path::Path;

use serde::Serialize;
use zeroize::Zeroizing;

use super::super::{Grant, Problem, Server, answer, is_success, json, refusal};
use super::wrapping::{self, Wrapped};
use super::{refused, unreadable};
use crate::io::read;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::openbao::AppRole;
use crate::model::secret::Token;

/// Gives a wrapping token for the secret id in it. That works once: where it does not, somebody else may have been first.
async fn unwrapped(server: &Server, wrapping: Token) -> Result<Token, Problem> {
    if !answer::is_carried_by_a_header(wrapping.expose()) {
        return Err(refused("the wrapping token holds characters that no token has".to_owned(), USED));
    }
    let path = "sys/wrapping/unwrap";
    let grant = Grant::given(wrapping);
    let answer = server.ask(path, &grant, Some(Zeroizing::new(b"{}".to_vec()))).await?;
    if !is_success(&answer) {
        let problem = refusal::of_call(path, &answer, &grant.secrets(), server.clock.now());
        return Err(refused(problem.failure.text, USED));
    }
    answer::unwrapped_secret_id(&answer.body).map_err(|why| server.malformed(path, &why))
}

/// Asks about the wrapping token of a secret id, and does not use it: when it ends, where that is said.
pub(super) async fn looked_at(server: &Server, method: &AppRole, credentials: Option<&Path>) -> Result<Option<Time>, Problem> {
    read::token(&method.role_id, credentials).map_err(|why| unreadable(&why))?;
    let token = wrapping::carried(read::token(&method.secret_id, credentials).map_err(|why| unreadable(&why))?)?;
    let Wrapped { made_by, ends } = wrapping::wrapped(server, &token).await.map_err(|problem| match problem.failure.code {
        Code::WrappingTokenUsed => refused(problem.failure.text, USED),
        _ => problem,
    })?;
    if wrapping::makes_secret_ids(&method.mount, &made_by) {
        return Ok(ends);
    }
    let text = format!("the wrapping token was made by {made_by}, which gives no secret id of auth/{}", method.mount);
    Err(refused(text, "have a secret id wrapped: bao write -wrap-ttl=1h -f auth/MOUNT/role/ROLE/secret-id"))
}

/// What to do where nothing comes out of it.
const USED: &str =
    "a wrapping token gives its secret id once: have a new one written, and find out who used this one if it was not this host";

#[derive(Serialize)]
struct Body<'a> {
    role_id: &'a str,
    secret_id: &'a str,
}

pub(super) async fn log_in(server: &Server, method: &AppRole, credentials: Option<&Path>) -> Result<Grant, Problem> {
    let role_id = read::token(&method.role_id, credentials).map_err(|why| unreadable(&why))?;
    let secret_id = read::token(&method.secret_id, credentials).map_err(|why| unreadable(&why))?;
    let secret_id = if method.wrapped { unwrapped(server, secret_id).await? } else { secret_id };
    let grant = by(server, &method.mount, role_id, secret_id).await.map_err(|problem| refused_as(method, problem))?;
    // One out of a wrapping token is used this once.
    Ok(if method.wrapped { grant } else { grant.with_lasting_secret_id() })
}

/// OpenBao says the same of every wrong id; what helps most is a new one of those that end.
fn refused_as(method: &AppRole, mut problem: Problem) -> Problem {
    if problem.failure.code == Code::LoginRefused && !method.wrapped {
        problem.failure.hint = Some(format!(
            "a secret id that has expired or is used up is refused like a wrong one: an administrator makes a new one (bao write -f \
             auth/{}/role/ROLE/secret-id), which belongs into {}; else correct role_id or mount",
            method.mount, method.secret_id
        ));
    }
    problem
}

/// The login itself.
pub(super) async fn by(server: &Server, mount: &str, role_id: Token, secret_id: Token) -> Result<Grant, Problem> {
    let body = json(&Body { role_id: role_id.expose(), secret_id: secret_id.expose() })?;
    server.log_in(&server.http, mount, body, vec![role_id, secret_id]).await
}
