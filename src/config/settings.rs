//! Validated settings: parsed types, nothing optional that is required. Only `config::load` makes them.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::anchor::Anchor;
use crate::model::key::Keep;
use crate::model::name::CertName;
use crate::model::openbao::OpenBao;
use crate::model::pcr::PcrList;
use crate::model::request::Request;
use crate::model::tcti::Tcti;

/// Everything a run needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file of `--config`.
    pub file: PathBuf,
    /// `host.name`, for reports and the jitter.
    pub host: String,
    /// Where things lie.
    pub paths: Paths,
    /// The pinned root.
    pub anchor: Anchor,
    /// The file the root was read from.
    pub anchor_file: PathBuf,
    /// The certificate authority.
    pub openbao: OpenBao,
    /// The TPM that private keys are sealed to, where there is one.
    pub sealing: Option<Sealing>,
    /// All certificates, in the order of the files, names unique.
    pub certificates: Vec<Certificate>,
    /// `$CREDENTIALS_DIRECTORY`, where `credential:NAME` secrets lie.
    pub credentials: Option<PathBuf>,
}

impl Settings {
    /// The certificate of this name.
    #[must_use]
    pub fn certificate(&self, name: &CertName) -> Option<&Certificate> {
        self.certificates.iter().find(|c| &c.request.name == name)
    }
}

/// `[tpm]`: what private keys are sealed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealing {
    /// The TPM.
    pub tcti: Tcti,
    /// What new sealing keys are bound to, beside the TPM itself (default: nothing).
    pub pcrs: PcrList,
    /// How old a sealing key may be to serve for new private keys (default 7 days).
    pub max_age: Duration,
}

/// `[paths]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// What survives a reboot (default `/var/lib/omens`).
    pub state: PathBuf,
    /// What consumers read (default `/run/omens`).
    pub run: PathBuf,
    /// Profiles in `certificates/` below it (default `/etc/omens/policies`).
    pub policies: PathBuf,
}

/// What a certificate says of the issuer that signs it: a variant for each kind of issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerSettings {
    /// OpenBao's PKI secrets engine.
    OpenBao {
        /// The role of the mount that signs it.
        role: String,
    },
}

impl IssuerSettings {
    /// The role to name in a remedy.
    #[must_use]
    pub fn role(&self) -> &str {
        match self {
            Self::OpenBao { role } => role,
        }
    }
}

/// One `[[certificate]]`.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// What is asked of the CA.
    pub request: Request,
    /// Who signs it.
    pub issuer: IssuerSettings,
    /// Where the private key rests.
    pub keep: Keep,
    /// Who may read the published key.
    pub owner: Owner,
    /// Consumers' own paths.
    pub install: Vec<Install>,
    /// How its services take it up.
    pub reload: Vec<Driver>,
    /// Where it can be seen.
    pub verify: Vec<Endpoint>,
}

impl Certificate {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &CertName {
        &self.request.name
    }
}

/// `owner` and `group`, resolved to numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// User id, where `owner` is set (needs CAP_CHOWN).
    pub uid: Option<u32>,
    /// Group id, where `group` is set.
    pub gid: Option<u32>,
}

/// One entry of `install`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// The consumer's directory.
    pub dir: PathBuf,
    /// Links or copies.
    pub kind: InstallKind,
    /// File name in `dir` for each part that is wanted.
    pub files: Vec<(Part, String)>,
}

/// Links are atomic and follow every swap; copies are for consumers that refuse links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstallKind {
    /// Files renewed one after the other, key last.
    Copy,
    /// Symbolic links into the run directory.
    Link,
}

/// A part of a generation a consumer can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The pinned root, from the trust directory.
    Ca,
    /// The leaf.
    Cert,
    /// The intermediates.
    Chain,
    /// Full chain and key in one file.
    Combined,
    /// Leaf and intermediates.
    Fullchain,
    /// The private key.
    Key,
}

/// How a service takes a new certificate up (`reload`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Driver {
    /// nginx.
    Nginx(Nginx),
    /// Any unit that systemd runs.
    Systemd {
        /// The unit.
        unit: String,
        /// Reload or restart.
        action: UnitAction,
        /// Whether a stopped unit is started.
        start: bool,
    },
}

/// Where nginx is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nginx {
    /// A process without systemd.
    Process {
        /// `-c`, if set.
        conf: Option<PathBuf>,
        /// `-p`, if set.
        prefix: Option<PathBuf>,
        /// Its pid file, if set.
        pid: Option<PathBuf>,
    },
    /// A unit, reloaded by systemd.
    Unit(String),
}

/// What systemd is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnitAction {
    /// `systemctl reload`.
    Reload,
    /// `systemctl restart`.
    Restart,
}

/// `{ tls = { address, server_name, deadline } }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `HOST:PORT`.
    pub address: String,
    /// SNI, and the name the served certificate must have.
    pub server_name: ServerName,
    /// How long the new certificate may take to appear (default 15 s).
    pub deadline: Duration,
}

/// A DNS name or an address, as in a SAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerName {
    /// A DNS name.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
}
