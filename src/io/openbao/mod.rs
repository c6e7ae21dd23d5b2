//! The calls of OpenBao's API that this program makes, typed. It must never call a path that returns or takes a private key, follow what a
//! server asks of it, or retry: whoever calls decides that from the [`Problem`].
//!
#![doc = include_str!("facts.md")]

pub mod advisory;
mod again;
pub mod answer;
mod answering;
mod auth;
mod grant;
mod lasting;
mod login;
mod means;
mod refusal;
mod roles;
mod session;
mod skew;
mod untrusted;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::http::{Answer, Client, HttpError, Request};
use super::tls::TlsError;
use crate::model::clock::{Clock, Time};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::request::Signed;
use crate::model::secret::Token;

pub use again::pause;
use again::with_one_more_try;
pub use answer::{Health, HealthState};
pub use answering::ask_health;
pub use grant::Grant;
pub use login::{Granted, Refusals, Refused, Tried, Untried, is_the_servers_matter};
pub use means::{Carried, HostIdentity, Means};
pub use refusal::Problem;
pub use roles::known_roles;
pub use session::{RefusedKey, Session, Unrevoked};
pub use skew::Skew;

/// One OpenBao server.
#[derive(Debug)]
pub struct Server {
    http: Client,
    address: String,
    namespace: Option<String>,
    roots: Vec<Vec<u8>>,
    clock: Clock,
}

#[derive(Serialize)]
struct SignRequest<'a> {
    csr: &'a str,
    ttl: String,
    // The only value that a hardened policy allows (io/openbao/facts.md, "Roles and policies"); pem_bundle would mix the root in.
    format: &'static str,
}

#[derive(Serialize)]
struct RevokeRequest<'a> {
    serial_number: &'a str,
}

#[derive(Serialize)]
struct Paths<'a> {
    paths: &'a [String],
}

impl Server {
    /// A server at `https://HOST[:PORT]`, trusted by these roots (DER) only. Nothing is sent yet.
    ///
    /// # Errors
    /// The roots are none (`tls-untrusted`).
    pub fn new(address: &str, roots: &[Vec<u8>], clock: Clock) -> Result<Self, Failure> {
        let http = Client::new(address, roots, None, clock).map_err(|why| setup(&why))?;
        Ok(Self { http, address: address.to_owned(), namespace: None, roots: roots.to_vec(), clock })
    }

    /// The same, asked in a namespace. Its health is that of the whole server.
    #[must_use]
    pub fn in_namespace(self, namespace: Option<&str>) -> Self {
        Self { namespace: namespace.map(str::to_owned), ..self }
    }

    /// The same server with connections of its own, for another event loop.
    fn again(&self) -> Result<Self, Problem> {
        let made = Self::new(&self.address, &self.roots, self.clock).map_err(Problem::last)?;
        Ok(made.in_namespace(self.namespace.as_deref()))
    }

    /// `HOST[:PORT]`, for texts.
    #[must_use]
    pub fn name(&self) -> &str {
        self.http.server()
    }

    /// `sys/health`: state and time. What is no such answer (404, HTML) is [`HealthState::Unknown`], not an error.
    ///
    /// # Errors
    /// No answer at all.
    pub async fn health(&self) -> Result<Health, Problem> {
        let asked = self.clock.now();
        let sent = self.http.send(Request { path: "v1/sys/health", namespace: None, token: None, json: None }).await;
        match sent {
            Ok(answer) => Ok(answer::health(self.name(), &answer, asked, self.clock.now())),
            Err(why @ (HttpError::Redirected { .. } | HttpError::Malformed(_))) => Ok(Health::unknown(why.to_string())),
            Err(why) => Err(self.no_answer(&why)),
        }
    }

    /// Asks an auth method for a token. What was `presented` for it is kept out of every text of the server.
    async fn log_in(&self, http: &Client, mount: &str, body: Zeroizing<Vec<u8>>, presented: Vec<Token>) -> Result<Grant, Problem> {
        let path = format!("auth/{mount}/login");
        let secrets: Vec<&str> = presented.iter().map(Token::expose).collect();
        let sent =
            http.send(Request { path: &format!("v1/{path}"), namespace: self.namespace.as_deref(), token: None, json: Some(body) }).await;
        let answer = sent.map_err(|why| match &why {
            // The server has been reached before, so what it refuses here is the client certificate.
            HttpError::Tls(text) => Problem::definite(refusal::login_refused(format!("{path}: {text}"))),
            _ => self.no_answer(&why).without(&secrets),
        })?;
        if !is_success(&answer) {
            return Err(refusal::of_login(&path, &answer, &secrets, self.clock.now()));
        }
        let answer::LoggedIn { token, lease, role } = answer::login(&answer.body).map_err(|why| self.malformed(&path, &why))?;
        Ok(Grant::ours(token, lease, presented).of_role(mount, role))
    }

    /// Asks `MOUNT/sign/ROLE` to sign a CSR (PEM). Not idempotent: an answer that is lost leaves a certificate behind.
    ///
    /// # Errors
    /// No answer, a refusal, or an answer without a certificate.
    pub async fn sign(&self, grant: &Grant, mount: &str, role: &str, csr: &str, ttl: Duration) -> Result<Signed, Problem> {
        let path = sign_path(mount, role);
        let body = json(&SignRequest { csr, ttl: format!("{}s", ttl.as_secs()), format: "pem" })?;
        let answer = self.call(&path, grant, body).await?;
        if answer::awaits_approval(&answer.body) {
            return Err(refusal::awaits_approval(&path));
        }
        answer::signed(&answer.body, &grant.secrets()).map_err(|why| self.malformed(&path, &why))
    }

    /// Revokes the token itself.
    ///
    /// # Errors
    /// No answer, or that is not allowed.
    pub async fn revoke_self(&self, grant: &Grant) -> Result<(), Problem> {
        self.call("auth/token/revoke-self", grant, Zeroizing::new(b"{}".to_vec())).await.map(drop)
    }

    /// Revokes the certificate of this serial number, never by its private key. One that is revoked already stays so.
    ///
    /// # Errors
    /// No answer, or that is not allowed.
    pub async fn revoke(&self, grant: &Grant, mount: &str, serial: &str) -> Result<(), Problem> {
        self.call(&format!("{mount}/revoke"), grant, json(&RevokeRequest { serial_number: serial })?).await.map(drop)
    }

    /// When the certificate of this serial number was revoked; `None` where it is not, or is not known. Needs no login
    /// ([Certificates and lists](crate::io::openbao#certificates-and-lists)).
    ///
    /// # Errors
    /// No answer.
    pub async fn revoked(&self, mount: &str, serial: &str) -> Result<Option<Time>, Problem> {
        let data = self.read(&format!("{mount}/cert/{serial}"), None).await?;
        let at = data.and_then(|data| data.get("revocation_time").and_then(Value::as_i64)).filter(|at| *at > 0);
        Ok(at.map(Time::from_unix))
    }

    /// What the token may do on each of these paths (`sys/capabilities-self`).
    ///
    /// # Errors
    /// No answer, or that is not allowed.
    pub async fn capabilities_self(&self, grant: &Grant, paths: &[String]) -> Result<BTreeMap<String, Vec<String>>, Problem> {
        let path = "sys/capabilities-self";
        let answer = self.call(path, grant, json(&Paths { paths })?).await?;
        answer::capabilities(&answer.body).map_err(|why| self.malformed(path, &why))
    }

    /// Reads a path: what the answer's `data` holds, or `None` where there is nothing or it may not be read.
    ///
    /// # Errors
    /// No answer, or one that is none.
    pub async fn read(&self, path: &str, grant: Option<&Grant>) -> Result<Option<Value>, Problem> {
        let secrets = grant.map(Grant::secrets).unwrap_or_default();
        let request =
            Request { path: &format!("v1/{path}"), namespace: self.namespace.as_deref(), token: grant.map(Grant::token), json: None };
        let answer = self.http.send(request).await.map_err(|why| self.no_answer(&why).without(&secrets))?;
        match answer.status {
            200..300 => answer::data(&answer.body).map(Some).map_err(|why| self.malformed(path, &why)),
            403 | 404 => Ok(None),
            _ => Err(refusal::of_call(path, &answer, &secrets, self.clock.now())),
        }
    }

    /// A POST whose only good answers are 2xx.
    async fn call(&self, path: &str, grant: &Grant, json: Zeroizing<Vec<u8>>) -> Result<Answer, Problem> {
        let answer = self.ask(path, grant, Some(json)).await?;
        if is_success(&answer) { Ok(answer) } else { Err(refusal::of_call(path, &answer, &grant.secrets(), self.clock.now())) }
    }

    /// A POST without a token.
    async fn post(&self, path: &str, json: Zeroizing<Vec<u8>>) -> Result<Answer, Problem> {
        let (path, namespace) = (format!("v1/{path}"), self.namespace.as_deref());
        let sent = self.http.send(Request { path: &path, namespace, token: None, json: Some(json) }).await;
        sent.map_err(|why| self.no_answer(&why))
    }

    async fn ask(&self, path: &str, grant: &Grant, json: Option<Zeroizing<Vec<u8>>>) -> Result<Answer, Problem> {
        let (path, namespace) = (format!("v1/{path}"), self.namespace.as_deref());
        let sent = self.http.send(Request { path: &path, namespace, token: Some(grant.token()), json }).await;
        sent.map_err(|why| self.no_answer(&why).without(&grant.secrets()))
    }

    fn malformed(&self, path: &str, why: &str) -> Problem {
        let text = format!("{} answers to {path} with {why}", self.name());
        Problem::last(
            Failure::new(Stage::Issue, Code::AnswerMalformed, text)
                .hint("check that openbao.address names OpenBao itself and no proxy's error page"),
        )
    }

    fn no_answer(&self, why: &HttpError) -> Problem {
        let failure = |code| Failure::new(Stage::Issue, code, why.to_string());
        match why {
            HttpError::Unreachable { .. } => {
                let hint = "check that OpenBao runs and that openbao.address is right and reachable from here; a certificate that is in use keeps serving";
                Problem::lost(failure(Code::Unreachable).hint(hint))
            }
            HttpError::Untrusted(distrust) => Problem::last(untrusted::failure(self.name(), distrust, &self.roots)),
            HttpError::Tls(_) => {
                Problem::last(failure(Code::TlsUntrusted).hint(
                    "check that openbao.address names OpenBao's TLS listener; a listener that demands client certificates refuses us",
                ))
            }
            HttpError::Redirected { .. } => Problem::definite(
                failure(Code::ServerError)
                    .hint("set openbao.address to the server that answers; behind a load balancer it must forward, not redirect"),
            ),
            HttpError::Malformed(_) => {
                Problem::last(failure(Code::AnswerMalformed).hint("check that openbao.address names OpenBao itself"))
            }
            HttpError::Invalid(_) => Problem::last(failure(Code::Unreachable).hint("correct openbao.address and the login's secrets")),
        }
    }
}

fn is_success(answer: &Answer) -> bool {
    (200..300).contains(&answer.status)
}

/// The path that signs for a role, as policies name it.
#[must_use]
pub fn sign_path(mount: &str, role: &str) -> String {
    format!("{mount}/sign/{role}")
}

fn setup(why: &TlsError) -> Failure {
    let text = match why {
        TlsError::Root { source, .. } => format!("{why}: {source}"),
        other => other.to_string(),
    };
    Failure::new(Stage::Issue, Code::TlsUntrusted, text).hint("check the certificates in openbao.ca (default: trust.anchor)")
}

fn json(value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, Problem> {
    // Room in advance, so that growing leaves no copies of a secret behind.
    let mut body = Zeroizing::new(Vec::with_capacity(16 * 1024));
    serde_json::to_writer(&mut *body, value)
        .map_err(|why| Problem::last(Failure::new(Stage::Issue, Code::AnswerMalformed, format!("cannot write a request: {why}"))))?;
    Ok(body)
}

/// Warnings of a server as records.
fn warnings(texts: &[String], secrets: &[&str]) -> Vec<Warning> {
    texts.iter().take(answer::MAX_WARNINGS).map(|text| Warning::new(Code::Openbao, crate::model::text::of_server(text, secrets))).collect()
}
