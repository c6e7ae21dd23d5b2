//! One login of the settings, tried at OpenBao. It must never try another in its place: the order is the session's.

use std::path::Path;

use crate::config::settings::Login;
use crate::io::openbao::{Grant, Problem, Server, pause};
use crate::io::read::{self, ReadError};
use crate::io::tls::Identity;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};

/// Logs in, reading the secrets now, with one more try where that can help. The text of a failure begins with the method.
///
/// # Errors
/// `login-refused`, or what is the server's matter: `unreachable`, `tls-untrusted`, `server-sealed` …
pub(crate) async fn log_in(server: &Server, login: &Login, credentials: Option<&Path>) -> Result<Grant, Failure> {
    let first = once(server, login, credentials).await;
    let last = match first {
        Err(Problem { again: Some(wait), .. }) => {
            pause(wait).await;
            once(server, login, credentials).await
        }
        other => other,
    };
    last.map_err(|problem| {
        let Failure { text, .. } = &problem.failure;
        Failure { text: format!("login by {}: {text}", login.method()), ..problem.failure }
    })
}

async fn once(server: &Server, login: &Login, credentials: Option<&Path>) -> Result<Grant, Problem> {
    match login {
        Login::AppRole { mount, role_id, secret_id } => {
            let role_id = read::token(role_id, credentials).map_err(|why| unreadable(&why))?;
            let secret_id = read::token(secret_id, credentials).map_err(|why| unreadable(&why))?;
            server.approle(mount, role_id, secret_id).await
        }
        Login::Cert { mount, role, cert, key } => {
            let certificates = read::file(cert, read::LIMIT).map_err(|why| unreadable(&why))?;
            let pem = read::secret(key, credentials).map_err(|why| unreadable(&why))?;
            let identity = Identity::from_pem(&certificates, &pem).map_err(|why| {
                refused(format!("client certificate {} with {key}: {why}", cert.display()), "give a PEM pair that belongs together")
            })?;
            server.cert(mount, role, &identity).await
        }
        Login::Token { token } => server.token(read::token(token, credentials).map_err(|why| unreadable(&why))?).await,
    }
}

fn unreadable(why: &ReadError) -> Problem {
    refused(why.to_string(), &why.hint())
}

fn refused(text: String, hint: &str) -> Problem {
    let failure = Failure::new(Stage::Issue, Code::LoginRefused, text).hint(hint);
    Problem { failure, again: None, definite: false, token_not_accepted: false }
}
