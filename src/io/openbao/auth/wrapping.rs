//! A wrapping token, before and when it gives what is in it: made for what it is given for, looked at without being used up.

use serde::Deserialize;

use super::super::{Problem, Server, answer, is_success, json, refusal};
use super::refused;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::secret::Token;

/// What to do where nothing comes out of a wrapping token.
const USED: &str = "it was unwrapped before, has expired, or was never one: find out who used it if it was not this host, and revoke what it \
                    held; then have a new one made";

pub(super) fn carried(token: Token) -> Result<Token, Problem> {
    if answer::is_carried_by_a_header(token.expose()) {
        return Ok(token);
    }
    Err(refused("the token holds characters that no token has".to_owned(), "write the plain token into the file"))
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
pub(super) fn used(problem: &Problem) -> Problem {
    if problem.failure.code != Code::RoleRefused {
        return problem.clone();
    }
    let text = format!("the wrapping token is of no use: {}", problem.failure.text);
    Problem::definite(Failure::new(Stage::Issue, Code::WrappingTokenUsed, text).hint(USED))
}
