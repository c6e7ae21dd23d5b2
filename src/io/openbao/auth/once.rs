//! Logins that a person gave for one use: a token, or a wrapping token with a token or a secret id in it. Whatever token comes of it is ours to
//! revoke.

use std::path::Path;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::super::{Grant, Problem, Server, answer, is_success, json, refusal};
use super::{approle, refused, unreadable};
use crate::io::read;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::openbao::{AppRole, Once};
use crate::model::secret::{SecretSource, Token};

/// What to do where nothing comes out of a wrapping token.
const USED: &str = "it was unwrapped before, has expired, or was never one: find out who used it if it was not this host, and revoke what it \
                    held; then have a new one made";

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
            approle::by(server, mount, role_id, secret_id).await
        }
    }
}

pub(super) fn carried(token: Token) -> Result<Token, Problem> {
    if answer::is_carried_by_a_header(token.expose()) {
        return Ok(token);
    }
    Err(refused("the token holds characters that no token has".to_owned(), "write the plain token into the file"))
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

/// Whether this path of the auth method gives secret ids.
pub(super) fn makes_secret_ids(mount: &str, path: &str) -> bool {
    let of_a_role = path.strip_prefix("auth/").and_then(|path| path.strip_prefix(mount)).is_some_and(|path| path.starts_with("/role/"));
    of_a_role && (path.ends_with("/secret-id") || path.ends_with("/custom-secret-id"))
}

#[derive(Deserialize)]
struct Lookup {
    creation_path: String,
    creation_time: Option<String>,
    creation_ttl: Option<i64>,
}

/// What is known of a wrapping token that was not used yet.
pub(super) struct Wrapped {
    /// The path whose answer it holds.
    pub(super) made_by: String,
    /// When it ends.
    pub(super) ends: Option<Time>,
}

/// Asks about a wrapping token, which needs no login and does not use it up.
pub(super) async fn wrapped(server: &Server, wrapping: &Token) -> Result<Wrapped, Problem> {
    #[derive(serde::Serialize)]
    struct Body<'a> {
        token: &'a str,
    }
    let path = "sys/wrapping/lookup";
    let answer = server.post(path, json(&Body { token: wrapping.expose() })?).await.map_err(|why| why.without(&[wrapping.expose()]))?;
    if !is_success(&answer) {
        return Err(used(&refusal::of_call(path, &answer, &[wrapping.expose()], server.clock.now())));
    }
    let data = answer::data(&answer.body).map_err(|why| server.malformed(path, &why))?;
    let lookup: Lookup = serde_json::from_value(data).map_err(|_| server.malformed(path, "no creation_path"))?;
    let made = lookup.creation_time.as_deref().and_then(Time::parse);
    let ends = made.zip(lookup.creation_ttl).map(|(made, seconds)| made.plus(seconds));
    Ok(Wrapped { made_by: lookup.creation_path, ends })
}

/// A refusal to unwrap; what is the server's matter stays that.
fn used(problem: &Problem) -> Problem {
    if problem.failure.code != Code::RoleRefused {
        return problem.clone();
    }
    let text = format!("the wrapping token is of no use: {}", problem.failure.text);
    Problem::definite(Failure::new(Stage::Issue, Code::WrappingTokenUsed, text).hint(USED))
}
