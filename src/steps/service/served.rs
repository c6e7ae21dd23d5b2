//! Where a service can be seen and asked by its driver: by default the first endpoint of `verify`. Handshakes and requests of drivers go through
//! here; like those of `verify` they trust the pinned root alone.

use std::path::PathBuf;
use std::time::Duration;

use super::keys;
use crate::config::service::{Deployed, Eyes};
use crate::config::settings::{Endpoint, ServerName};
use crate::config::shape::{Errors, Shape, parsed};
use crate::config::tree::Node;
use crate::config::value;
use crate::io::handshake::{self, Target};
use crate::io::http::{Answer, Client, Request};
use crate::io::read;
use crate::io::tls::Identity;
use crate::model::anchor::Fingerprint;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::secret::SecretSource;

/// How long is waited for an address that no endpoint gives a deadline for.
const DEADLINE: Duration = Duration::from_secs(15);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// One handshake's own limit.
const ONE_LOOK: Duration = Duration::from_secs(5);

/// Where a driver looks at its service.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    address: String,
    name: String,
    /// How long it may take to serve there.
    pub(super) deadline: Duration,
}

impl Spot {
    /// The address of the driver's settings, or else of the first endpoint; `None` where there is neither.
    pub(super) fn of(address: Option<&str>, deployed: &Deployed) -> Option<Self> {
        let first = deployed.endpoints.first();
        let Some(address) = address else { return first.map(Self::at) };
        let same = deployed.endpoints.iter().find(|endpoint| endpoint.address == address);
        if let Some(endpoint) = same.or(first) {
            return Some(Self { address: address.to_owned(), ..Self::at(endpoint) });
        }
        Some(Self { address: address.to_owned(), name: shown(&value::host_of(address)?), deadline: DEADLINE })
    }

    fn at(endpoint: &Endpoint) -> Self {
        Self { address: endpoint.address.clone(), name: shown(&endpoint.server_name), deadline: endpoint.deadline }
    }

    /// Waits until the leaf is served here.
    ///
    /// # Errors
    /// Stage `verify`, at the deadline.
    pub(super) async fn serves(&self, deployed: &Deployed, deadline: Duration) -> Result<(), Failure> {
        let clock = deployed.eyes.clock;
        let end = clock.instant() + deadline;
        loop {
            let target = Target {
                address: self.address.clone(),
                server_name: self.name.clone(),
                only: None,
                starttls: None,
                identity: None,
                deadline: ONE_LOOK,
            };
            let why = match handshake::look(&target, clock).await {
                Ok(seen) if seen.chain.first().is_some_and(|der| deployed.leaf.sha256.is_of(der)) => return Ok(()),
                Ok(seen) => {
                    let found = seen.chain.first().map_or_else(|| "none".to_owned(), |der| Fingerprint::of(der).to_string());
                    let text =
                        format!("{} serves another certificate: expected leaf {}, found {found}", self.address, deployed.leaf.sha256);
                    Failure::new(Stage::Verify, Code::OtherLeaf, text).hint("look at which files the service's own configuration names")
                }
                Err(why) => Failure::new(Stage::Verify, Code::Unreachable, why.to_string()).hint("look at the service's own log"),
            };
            if clock.instant() >= end {
                return Err(why);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One GET, where the server is trusted.
    ///
    /// # Errors
    /// Why there is no answer, in words.
    pub(super) async fn get(&self, path: &str, eyes: &Eyes, identity: Option<&Identity>) -> Result<Answer, String> {
        let client = self.client(eyes, identity).await?;
        client.send(Request { path, token: None, namespace: None, json: None }).await.map_err(|why| why.to_string())
    }

    /// A client for this server.
    ///
    /// # Errors
    /// Why there can be none, in words.
    pub(super) async fn client(&self, eyes: &Eyes, identity: Option<&Identity>) -> Result<Client, String> {
        Client::reaching(&self.name, &self.address, &eyes.roots, identity, eyes.clock).await
    }

    /// Waits until a GET is answered with one of these statuses.
    ///
    /// # Errors
    /// Stage `verify`, at the deadline.
    pub(super) async fn answers(&self, path: &str, good: &[u16], eyes: &Eyes) -> Result<(), Failure> {
        let end = eyes.clock.instant() + self.deadline;
        loop {
            let found = match self.get(path, eyes, None).await {
                Ok(answer) if good.contains(&answer.status) => return Ok(()),
                Ok(answer) => format!("{} answers GET /{path} with {}, expected {good:?}", self.address, answer.status),
                Err(why) => why,
            };
            if eyes.clock.instant() >= end {
                return Err(Failure::new(Stage::Verify, Code::Unreachable, found)
                    .hint("it serves its certificate and does not answer: look at its own log"));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn shown(name: &ServerName) -> String {
    match name {
        ServerName::Dns(name) => name.clone(),
        ServerName::Ip(address) => address.to_string(),
    }
}

/// The pair of an administrator: `{ cert = FILE, key = "file:FILE" }`.
#[derive(Clone, Debug)]
pub(super) struct Admin {
    cert: PathBuf,
    key: SecretSource,
}

impl Admin {
    pub(super) fn parse(node: &Node, errors: &Errors) -> Option<Self> {
        let shape = Shape::of(&keys::ADMIN_TABLE, node, errors)?;
        let (cert, key) = (shape.required("cert", parsed(value::path)), shape.required("key", parsed(value::secret)));
        shape.finish();
        Some(Self { cert: cert?, key: key? })
    }

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn identity(&self, eyes: &Eyes) -> Result<Identity, String> {
        let certificates = read::file(&self.cert, read::LIMIT).map_err(|why| why.to_string())?;
        let key = read::secret(&self.key, eyes.credentials.as_deref()).map_err(|why| why.to_string())?;
        Identity::from_pem(&certificates, &key).map_err(|why| format!("{} with {}: {why}", self.cert.display(), self.key))
    }

    pub(super) fn shown(&self) -> String {
        self.cert.display().to_string()
    }
}
