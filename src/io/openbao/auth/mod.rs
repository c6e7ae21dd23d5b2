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
mod token;

use std::path::Path;

use super::{Grant, Problem, Server};
use crate::io::read::ReadError;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::openbao::AuthMethod;

/// Logs in once, reading the secrets now. `credentials` is systemd's `$CREDENTIALS_DIRECTORY`.
pub(super) async fn log_in(server: &Server, method: &AuthMethod, credentials: Option<&Path>) -> Result<Grant, Problem> {
    match method {
        AuthMethod::AppRole(method) => approle::log_in(server, method, credentials).await,
        AuthMethod::Cert(method) => cert::log_in(server, method, credentials).await,
        AuthMethod::Jwt(method) => jwt::log_in(server, method, credentials).await,
        AuthMethod::Token(method) => token::log_in(server, method, credentials).await,
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
