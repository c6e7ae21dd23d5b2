//! What services of a host use today, as settings of omens: one certificate for each pair in use, and what renews it until now.
//!
//! [`gather`] reads; [`write::settings`] says it as TOML. What only a person can know is a text that begins with [`FILL_IN`], which the
//! settings refuse by name until somebody wrote something else. Nothing is trusted because it lies here: the pin of the root is one of these.

mod asked;
mod material;
mod plugins;
mod replaced;
mod services;
pub mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::facts::findings::HostFindings;
use super::facts::wiring::Wiring;
use super::run::{self, Told};
use crate::config::service::Drivers;
pub use crate::config::shape::FILL_IN;
use crate::io::look::View;
use crate::model::audit::Location;
use crate::model::clock::Time;
pub use asked::Asked;
use material::Material;
pub use plugins::Plugin;
pub use replaced::Replaced;
pub use services::{Endpoint, Reload};

/// Where omens publishes, unless its settings say otherwise: what services read from there it has already.
const PUBLISHED: &str = "/run/omens";
/// The TPM by its resource manager.
const TPM: &str = "/dev/tpmrm0";

/// The `schema` of the document.
const SCHEMA: &str = "omens.init/1";

/// What is on a host, and what omens would make of it.
#[derive(Clone, Debug, Serialize)]
pub struct Adoption {
    /// `omens.init/1`.
    pub schema: &'static str,
    /// Its name, where it has one.
    pub host: Option<String>,
    /// The root under which most of its certificates are, and where it lies.
    pub anchor: Option<Root>,
    /// Whether it is another host than the one that this runs on.
    pub elsewhere: bool,
    /// Whether there is a TPM to seal keys to.
    pub tpm: bool,
    /// Addresses, mounts and roles that what renews today asks.
    pub issuer: Asked,
    /// One for each pair in use.
    pub certificates: Vec<Adopted>,
    /// What is in use and was left out.
    pub skipped: Vec<Skipped>,
    /// What renews certificates today, and has to be switched off once omens does.
    pub replaces: Vec<Replaced>,
}

impl Adoption {
    /// Of a host that could not be looked at.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            schema: SCHEMA,
            host: None,
            anchor: None,
            elsewhere: false,
            tpm: false,
            issuer: Asked::default(),
            certificates: Vec::new(),
            skipped: Vec::new(),
            replaces: Vec::new(),
        }
    }
}

/// A root of certificates in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Root {
    /// Its subject.
    pub subject: String,
    /// SHA-256 of its DER.
    pub sha256: String,
    /// A file that holds it and nothing else.
    pub alone: Option<PathBuf>,
    /// A file that holds it.
    pub file: PathBuf,
}

/// A pair in use.
#[derive(Clone, Debug, Serialize)]
pub struct Adopted {
    /// What the settings call it.
    pub name: String,
    /// Which shipped profile fits, by its usages; `None` where none does.
    pub profile: Option<&'static str>,
    /// How long its successors are to live.
    pub ttl_seconds: u64,
    /// How long it lives itself.
    pub lifetime_seconds: u64,
    /// Subject.
    pub common_name: String,
    /// DNS names of its SAN beside the subject.
    pub dns: Vec<String>,
    /// Addresses of its SAN.
    pub ip: Vec<String>,
    /// URIs of its SAN.
    pub uri: Vec<String>,
    /// E-mail addresses of its SAN.
    pub email: Vec<String>,
    /// Names of other kinds, which are not asked for.
    pub other_names: Vec<String>,
    /// The key's algorithm, where the settings have a word for it.
    pub algorithm: Option<&'static str>,
    /// The group that may read the key.
    pub group: Option<Group>,
    /// The file of the leaf.
    pub file: PathBuf,
    /// Who is told to use it, and where.
    pub used_by: Vec<Usage>,
    /// The paths that are in use.
    pub install: Vec<Installed>,
    /// What makes its services take up another one.
    pub reload: Vec<Reload>,
    /// Where it can be seen.
    pub verify: Vec<Endpoint>,
}

/// A group of the host that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its number there.
    pub gid: u32,
}

/// A service's use of a pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// The service, as the audit calls it.
    pub service: String,
    /// The configuration file.
    pub file: String,
    /// The line.
    pub line: Option<u32>,
}

/// Files of one directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// The directory.
    pub dir: PathBuf,
    /// Part of a generation and file name.
    pub files: BTreeMap<&'static str, String>,
}

/// Something in use that was left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Skipped {
    /// Where it is named.
    pub file: String,
    /// The line.
    pub line: Option<u32>,
    /// What it is.
    pub what: String,
    /// Why it was left out.
    pub why: String,
}

impl Skipped {
    fn at(location: &Location, what: &Path, why: impl Into<String>) -> Self {
        Self { file: location.path.clone(), line: location.line, what: what.display().to_string(), why: why.into() }
    }
}

/// Certificates and keys whose path is known at the handshake only.
fn from_variables(findings: &HostFindings) -> impl Iterator<Item = Skipped> {
    let lint = &crate::audit::consumer::nginx::lints::FROM_VARIABLE;
    let own = findings.list().iter().filter(|finding| finding.id == lint.id);
    own.filter_map(|finding| finding.files.first().map(|file| Skipped::at(file, Path::new(&finding.found), lint.title)))
}

/// Looks at a host. It starts nothing and changes nothing.
#[must_use]
pub fn gather(view: &View, drivers: Drivers, at: Time) -> Adoption {
    let host = view.host_name();
    // What is wrong is for `chain-audit` to say.
    let mut unheard = HostFindings::new(at, host.as_deref().unwrap_or("localhost"));
    let told = run::told(view, &mut unheard);
    let read = material::read(view, &told.wiring);
    let mut skipped = read.skipped;
    skipped.extend(from_variables(&unheard));
    let anchor = material::commonest_root(&read.pairs);
    let look = Look { view, told: &told, drivers, anchor: anchor.as_ref() };
    let mut taken = Taken::default();
    let mut certificates = Vec::new();
    for pair in read.pairs {
        if let (Some(root), Some(anchor)) = (&pair.root, &anchor)
            && root.sha256 != anchor.sha256
        {
            let why = format!("it ends at another root, {}: add that one to [trust] also, or leave it to what renews it", root.subject);
            skipped.push(Skipped::at(&pair.location, &pair.file, why));
            continue;
        }
        match adopt(&look, &pair, &mut taken) {
            Ok(adopted) => certificates.push(adopted),
            Err(left_out) => skipped.push(left_out),
        }
    }
    skipped.sort();
    skipped.dedup();
    let replaces = replaced::find(view, &told, &certificates);
    let mut issuer = asked::read(view, &told);
    issuer.here(&certificates);
    let tpm = view.meta(Path::new(TPM)).is_ok();
    Adoption { schema: SCHEMA, host, anchor, elsewhere: view.is_elsewhere(), tpm, issuer, certificates, skipped, replaces }
}

/// What one pair is seen beside.
struct Look<'a> {
    view: &'a View,
    told: &'a Told,
    drivers: Drivers,
    anchor: Option<&'a Root>,
}

/// What no two certificates may share.
#[derive(Debug, Default)]
struct Taken {
    names: BTreeSet<String>,
    targets: BTreeSet<PathBuf>,
}

fn adopt(look: &Look<'_>, pair: &Material, taken: &mut Taken) -> Result<Adopted, Skipped> {
    let Look { view, told, .. } = *look;
    if let Some(target) = pair.targets().find(|target| taken.targets.contains(target)) {
        let why = format!("{} belongs to another certificate of this host", target.display());
        return Err(Skipped::at(&pair.location, &pair.file, why));
    }
    taken.targets.extend(pair.targets());
    let programs = services::programs(&told.wiring, &pair.indexes);
    let name = unique(&services::name(&programs, pair), &mut taken.names);
    let names = pair.names();
    let profile = services::profile(&told.wiring, &programs, pair);
    let lifetime = pair.lifetime();
    Ok(Adopted {
        name,
        profile,
        ttl_seconds: services::ttl(profile, lifetime),
        lifetime_seconds: lifetime,
        common_name: names.common_name,
        dns: names.dns,
        ip: names.ip,
        uri: names.uri,
        email: names.email,
        other_names: names.others,
        algorithm: pair.algorithm(),
        group: pair.group(view, &told.wiring),
        file: pair.file.clone(),
        used_by: used_by(&told.wiring, &pair.indexes),
        install: pair.install(),
        reload: services::reload(look, pair, &programs),
        verify: services::verify(&told.wiring, pair),
    })
}

fn used_by(wiring: &Wiring, indexes: &[usize]) -> Vec<Usage> {
    let mut all: Vec<Usage> = Vec::new();
    for pair in indexes.iter().filter_map(|index| wiring.pairs.get(*index)) {
        let Location { path, line } = pair.consumer.location.clone();
        let usage = Usage { service: pair.consumer.program.name.to_owned(), file: path, line };
        if !all.contains(&usage) {
            all.push(usage);
        }
    }
    all
}

/// A name that no other certificate has.
fn unique(wish: &str, names: &mut BTreeSet<String>) -> String {
    let numbered = (2_u32..).map(|number| format!("{wish}-{number}"));
    let name = std::iter::once(wish.to_owned()).chain(numbered).find(|name| !names.contains(name)).unwrap_or_default();
    names.insert(name.clone());
    name
}
