//! `token`: a token that somebody else made. One that may be renewed is, when half of it is over.

use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use super::super::{Grant, Problem, Server, answer, is_success, refusal};
use super::{refused, unreadable};
use crate::io::read;
use crate::model::openbao::GivenToken;

/// What to do where nothing is left of it.
const COUNTED: &str = "put a new one where the login reads it, made without num_uses: each run takes two or more of them";

/// Asks the token about itself. A policy may forbid that question; then the token is good.
pub(super) async fn log_in(server: &Server, method: &GivenToken, credentials: Option<&Path>) -> Result<Grant, Problem> {
    let token = read::token(&method.token, credentials).map_err(|why| unreadable(&why))?;
    if !answer::is_carried_by_a_header(token.expose()) {
        return Err(Problem::definite(refusal::login_refused("the token holds characters that no token has".to_owned())));
    }
    let path = "auth/token/lookup-self";
    let grant = Grant::given(token);
    let answer = server.ask(path, &grant, None).await?;
    if !is_success(&answer) {
        refusal::of_own_token(path, &answer, &grant.secrets(), server.clock.now())?;
        return Ok(grant);
    }
    let Some(life) = answer::token_life(&answer.body) else { return Ok(grant) };
    if life.uses_left() == Some(0) {
        return Err(refused("the token is used up: its uses are counted, and this question was the last".to_owned(), COUNTED));
    }
    let grant = grant.with_uses_left(life.uses_left());
    if life.wants_renewal() {
        // It is good for this run whatever comes of it; that it ends is said by whoever asks how long it lives.
        let renewed = server.ask("auth/token/renew-self", &grant, Some(Zeroizing::new(b"{}".to_vec()))).await;
        match renewed {
            Ok(answer) if is_success(&answer) => {
                let lease = answer::login(&answer.body).ok().and_then(|granted| granted.lease);
                return Ok(grant.with_lease(lease).that_renews(life.period > 0));
            }
            Ok(answer) => tracing::warn!(status = answer.status, "half of the token is over, and it could not be renewed"),
            Err(problem) => tracing::warn!(why = %problem.failure, "half of the token is over, and it could not be renewed"),
        }
    }
    if life.ttl == 0 {
        return Ok(grant.that_does_not_end());
    }
    // One without a period may be renewed until its last end only, which it does not say.
    let renews = life.renewable && life.period > 0 && !life.wants_renewal();
    Ok(grant.with_lease(Some(Duration::from_secs(life.ttl))).that_renews(renews))
}
