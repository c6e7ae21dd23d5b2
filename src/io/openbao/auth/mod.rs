//! Logging in by one of the auth methods of OpenBao that this program knows: a file each. It must never keep a secret: each is read when it
//! is sent.
//!
//! # How to add one
//! 1. `model/openbao.rs`: what the settings say of it, as a variant of [`AuthMethod`] with its word.
//! 2. A file here with its `log_in`, and an arm below.
//! 3. `config/login.rs`: a line of the table and the reader of its fields.
//!
//! The order in which methods are tried, the second try, the renewal of a token and its revocation are the same for all:
//! [`login`](super::login) and [`Session`](super::Session).

mod approle;
mod cert;
mod jwt;
mod jwt_svid;
mod once;
mod token;
mod tpm_identity;
mod wrapping;

use super::means::Means;
use super::{Grant, Problem, Server};
use crate::io::read::ReadError;
use crate::io::runtime::runtime;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::openbao::AuthMethod;

/// Logs in once, reading the secrets now.
pub(super) async fn log_in(server: &Server, method: &AuthMethod, means: &Means) -> Result<Grant, Problem> {
    let credentials = means.credentials.as_deref();
    match method {
        AuthMethod::AppRole(method) => approle::log_in(server, method, credentials).await,
        AuthMethod::Cert(method) => cert::log_in(server, method, credentials).await,
        AuthMethod::Jwt(method) => jwt::log_in(server, method, credentials).await,
        AuthMethod::JwtSvid(method) => jwt_svid::log_in(server, method).await,
        AuthMethod::Once(method) => once::log_in(server, method, credentials).await,
        AuthMethod::TpmIdentity(method) => tpm_identity::log_in(server, method, means).await,
        AuthMethod::Token(method) => token::log_in(server, method, credentials).await,
    }
}

/// Asks about what one login would use up, without that login: when it ends, where that is said.
pub(super) async fn looked_at(server: &Server, method: &AuthMethod, means: &Means) -> Result<Option<Time>, Problem> {
    match method {
        AuthMethod::AppRole(method) => approle::looked_at(server, method, means.credentials.as_deref()).await,
        _ => Ok(None),
    }
}

/// A secret that cannot be read.
fn unreadable(why: &ReadError) -> Problem {
    refused(why.to_string(), &why.hint())
}

/// What cannot even be sent: the next method may do better.
fn refused(text: String, hint: &str) -> Problem {
    Problem::last(Failure::new(Stage::Issue, Code::LoginRefused, text).hint(hint))
}

/// Does something that blocks in the middle of what it waits for, on a thread with an event loop of its own.
async fn without_blocking<T, F>(work: impl FnOnce() -> F + Send + 'static) -> Result<T, Problem>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Problem>>,
{
    let ended = tokio::task::spawn_blocking(move || {
        let runtime = runtime().map_err(|failure| Problem::last(Failure { stage: Stage::Issue, ..failure }))?;
        let done = runtime.block_on(work());
        runtime.shutdown_background();
        done
    });
    let ending = |why: tokio::task::JoinError| Failure::new(Stage::Issue, Code::Interrupted, format!("the run is ending: {why}"));
    ended.await.unwrap_or_else(|why| Err(Problem::last(ending(why))))
}
