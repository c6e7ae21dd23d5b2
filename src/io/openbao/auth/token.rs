//! `token`: a token that somebody else made and renews.

use std::path::Path;

use super::super::{Grant, Problem, Server, answer, is_success, refusal};
use super::unreadable;
use crate::io::read;
use crate::model::openbao::GivenToken;

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
    }
    Ok(grant)
}
