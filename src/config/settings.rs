//! Validated settings: parsed types, nothing optional that is required. Only `config::load` makes them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::LoadOptions;
pub use super::attestation::{AgentId, Attestation, Keylime};
pub use super::endpoint::{Check, ClientPair, Endpoint, ServerName};
pub use super::faults::{Faults, Faulty};
pub use super::install::{Container, Install, InstallKind, Part};
use super::service::{Drivers, Rendered, Rendering, Service};
use super::tree::Place;
pub use super::trust::{CrlFrom, CrlSource};
pub use super::written::Written;
use crate::io::account;
use crate::judge::pem;
use crate::model::anchor::Anchor;
use crate::model::key::Keep;
use crate::model::layout;
use crate::model::name::{CertName, Generation};
use crate::model::openbao::{AuthMethod, OpenBao};
use crate::model::pcr::PcrList;
use crate::model::program::Program;
use crate::model::renew_at::RenewAt;
use crate::model::report::SettingsError;
use crate::model::request::Request;
use crate::model::tcti::Tcti;
use crate::model::window::Windows;

/// Everything a run needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file of `--config`.
    pub file: PathBuf,
    /// `host.name`, for reports and the jitter.
    pub host: String,
    /// Where things lie.
    pub paths: Paths,
    /// The pinned root: the first of all roots that are trusted.
    pub anchor: Anchor,
    /// The file the root was read from.
    pub anchor_file: PathBuf,
    /// The roots that are trusted beside it, as long as one takes the place of another.
    pub also: Vec<Anchor>,
    /// Revocation lists that consumers are given.
    pub crls: Vec<CrlSource>,
    /// Where the roots beside the first are written, or would be.
    pub also_at: Place,
    /// The certificate authority.
    pub openbao: OpenBao,
    /// Where some of this is written.
    pub written: Written,
    /// The TPM that private keys are sealed to, where there is one.
    pub sealing: Option<Sealing>,
    /// Whether a verdict on this host's state is needed, and whose.
    pub attestation: Option<Attestation>,
    /// All certificates that can be worked on, in the order of the files, names unique.
    pub certificates: Vec<Certificate>,
    /// What is wrong and costs single certificates, which are not among `certificates`, or none.
    pub faults: Faults,
    /// The kinds of service that they may name.
    pub drivers: Drivers,
    /// Where every run leaves its metrics (`metrics.textfile`).
    pub metrics: MetricsFile,
    /// Who is told when something failed or recovered.
    pub notify: Option<Program>,
    /// `$CREDENTIALS_DIRECTORY`, where `credential:NAME` secrets lie.
    pub credentials: Option<PathBuf>,
}

impl Settings {
    /// The certificate of this name.
    #[must_use]
    pub fn certificate(&self, name: &CertName) -> Option<&Certificate> {
        self.certificates.iter().find(|c| &c.request.name == name)
    }

    /// How they are read again.
    #[must_use]
    pub fn options(&self) -> LoadOptions {
        let (file, credentials) = (self.file.clone(), self.credentials.clone());
        LoadOptions { file, credentials, check_secrets: false, drivers: self.drivers }
    }

    /// The names that certificates have and had before, also of those that cannot be worked on.
    pub fn renames(&self) -> impl Iterator<Item = (&CertName, &CertName)> {
        let faulty = self.faults.certificates.iter().filter_map(|faulty| Some((&faulty.name, faulty.renamed_from.as_ref()?)));
        self.certificates.iter().filter_map(|one| Some((one.name(), one.renamed_from.as_ref()?))).chain(faulty)
    }

    /// Whether a login of these settings shows the certificate of this name.
    #[must_use]
    pub fn is_identity(&self, name: &CertName) -> bool {
        self.openbao.login.iter().filter_map(AuthMethod::identity).any(|identity| identity.certificate == *name)
    }

    /// All pinned roots, the first one first.
    #[must_use]
    pub fn anchors(&self) -> Vec<&Anchor> {
        std::iter::once(&self.anchor).chain(&self.also).collect()
    }

    /// The same as DER.
    #[must_use]
    pub fn anchor_ders(&self) -> Vec<Vec<u8>> {
        self.anchors().into_iter().map(|anchor| anchor.der.clone()).collect()
    }

    /// The files that drivers put into a generation of this certificate. Of two with one name it is the first: they are the same file.
    #[must_use]
    pub fn rendered(&self, certificate: &Certificate, generation: Generation) -> Vec<Rendered> {
        let directory = layout::run_generation(&self.paths.run, certificate.name(), generation);
        let anchors = || self.anchors().iter().map(|anchor| pem::write(&anchor.der)).collect();
        let rendering = Rendering { directory: &directory, anchors: &anchors };
        // nginx reads no key that stays in a TPM from such a file.
        let always = self.drivers.iter().filter(|_| certificate.keep != Keep::Resident).filter_map(|kind| kind.always);
        let always = always.flat_map(|render| render(&directory));
        let mut files: Vec<Rendered> = Vec::new();
        for file in always.chain(certificate.reload.iter().flat_map(|service| service.files(&rendering))) {
            if files.iter().all(|known| known.name != file.name) {
                files.push(file);
            }
        }
        files
    }
}

/// Where runs leave their metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsFile {
    /// Nobody collects them.
    None,
    /// In this file.
    At(PathBuf),
    /// What the settings say of it cannot be read: it is where it was before.
    AsBefore,
}

/// What is left of settings that cannot be used: with it, what the state directory holds can be published and shown all the same.
#[derive(Clone, Debug)]
pub struct Remains {
    /// The main file, as it was asked for.
    pub file: PathBuf,
    /// `host.name`, where it can be made out.
    pub host: Option<String>,
    /// Where things lie: as the settings say, or by default where they say nothing; `None` where what they say is wrong.
    pub paths: Option<Paths>,
    /// The pinned roots, the first one first; none where they cannot be made out.
    pub anchors: Vec<Anchor>,
    /// The TPM.
    pub sealing: Option<Sealing>,
    /// Where every run leaves its metrics.
    pub metrics: MetricsFile,
    /// Who is told, where that can be made out.
    pub notify: Option<Program>,
    /// The kinds of service that there are.
    pub drivers: Drivers,
    /// All that is wrong, in the order of the files and their lines.
    pub errors: Vec<SettingsError>,
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
    /// Where its role is written.
    pub role_at: Place,
    /// Where the private key rests.
    pub keep: Keep,
    /// Who may read the published key.
    pub owner: Owner,
    /// The same as it was written.
    pub accounts: Accounts,
    /// What may refuse a new generation before it is published.
    pub before: Option<Program>,
    /// Consumers' own paths.
    pub install: Vec<Install>,
    /// The services that read it.
    pub reload: Vec<Arc<dyn Service>>,
    /// Where it can be seen.
    pub verify: Vec<Endpoint>,
    /// Programs that see it in use.
    pub checks: Vec<Check>,
    /// Whether the certificate that a proven one took the place of is revoked.
    pub revoke_replaced: bool,
    /// When it may be renewed; `None`: always.
    pub window: Option<Windows>,
    /// When in its life it is due.
    pub renew_at: RenewAt,
    /// Its earlier name: what is on disk under that one is carried over.
    pub renamed_from: Option<CertName>,
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

impl Owner {
    /// Whether a file with these ids is theirs. Where no owner is set it has to be ours: what was given away once would stay readable to whom
    /// the settings no longer name. Without a group its mode is 0600, and the group says nothing.
    #[must_use]
    pub fn has(self, uid: u32, gid: u32) -> bool {
        self.uid.unwrap_or_else(account::own_user) == uid && self.gid.is_none_or(|own| own == gid)
    }

    /// Who gets a directory through which its files are reached: the group, or the owner where there is no group, and else nobody but us.
    #[must_use]
    pub fn of_directory(self) -> Self {
        let owner = self.uid.filter(|_| self.gid.is_none());
        Self { uid: owner.or_else(|| Some(account::own_user())), gid: self.gid.or_else(|| Some(account::own_group())) }
    }
}

/// `owner` and `group` as they are written: a name or a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// `owner`.
    pub owner: Option<String>,
    /// `group`.
    pub group: Option<String>,
}
