//! The language of fixtures/estates: hosts as files, certificates and modes, made from healthy ones by small edits.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

/// A file of the corpus.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    #[serde(default)]
    base: BTreeMap<String, Host>,
    #[serde(default)]
    estate: Vec<Estate>,
    #[serde(default)]
    across: Vec<Across>,
}

/// Several hosts, whose reports are joined. Certificates of the same name are the same, with the same key.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Across {
    pub name: String,
    /// What happened there, for people.
    pub story: String,
    pub hosts: Vec<Estate>,
    #[serde(default)]
    pub expect: Vec<Joined>,
}

/// One finding of the joined report.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joined {
    pub id: String,
    /// All of its hosts.
    pub hosts: Vec<String>,
    #[serde(default)]
    pub severity: Option<String>,
}

/// What a host holds.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    #[serde(default)]
    pub certs: BTreeMap<String, Cert>,
    #[serde(default)]
    pub files: BTreeMap<String, File>,
}

/// A host with what is wrong on it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estate {
    pub name: String,
    /// What happened there, for people.
    #[serde(default)]
    pub story: String,
    /// Its name, where that matters.
    #[serde(default)]
    pub host: Option<String>,
    /// Healthy hosts that it begins with.
    #[serde(default)]
    pub base: Vec<String>,
    /// Certificates besides, or in place of the base's. What is not said here is as in the base.
    #[serde(default)]
    pub certs: BTreeMap<String, Cert>,
    /// Files besides, or in place of the base's.
    #[serde(default)]
    pub files: BTreeMap<String, File>,
    #[serde(default)]
    pub edit: Vec<Edit>,
    /// Files of the bases that are gone.
    #[serde(default)]
    pub remove: Vec<String>,
    /// Words for the command line.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Whether its settings are read.
    #[serde(default)]
    pub settings: bool,
    /// What must be found. None at all: a healthy host.
    #[serde(default)]
    pub expect: Vec<Expect>,
    /// Ids that may be `high` besides: what follows from the same defect.
    #[serde(default)]
    pub also: Vec<String>,
}

/// An edit of one file: every `from` becomes `to`; there must be one.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    pub path: String,
    pub from: String,
    pub to: String,
}

/// One finding.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub id: String,
    /// One of its files.
    pub file: String,
    #[serde(default)]
    pub line: Option<u64>,
    /// `high` unless said otherwise.
    #[serde(default)]
    pub severity: Option<String>,
    /// Words that its texts hold.
    #[serde(default)]
    pub says: Vec<String>,
}

/// A file: its text with `{{…}}` for certificates, or more about it.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum File {
    Text(String),
    More(More),
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct More {
    #[serde(default)]
    pub text: Option<String>,
    #[serde(default)]
    pub link: Option<String>,
    #[serde(default)]
    pub directory: bool,
    #[serde(default)]
    pub mode: Option<String>,
    #[serde(default)]
    pub owner: Option<String>,
    #[serde(default)]
    pub group: Option<String>,
}

impl File {
    pub fn more(&self) -> More {
        match self {
            Self::Text(text) => More { text: Some(text.clone()), ..More::default() },
            Self::More(more) => more.clone(),
        }
    }
}

/// A certificate. What is not said is that of a healthy leaf of 24 hours, or of a healthy authority.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cert {
    pub cn: Option<String>,
    pub dns: Option<Vec<String>>,
    pub ip: Option<Vec<String>>,
    pub uri: Option<Vec<String>>,
    /// `server`, `client`, `any`, `code`.
    pub eku: Option<Vec<String>>,
    /// Names of RFC 5280 §4.2.1.3.
    pub ku: Option<Vec<String>>,
    /// Another certificate of this host; itself for a root.
    pub issuer: Option<String>,
    /// Begin, from the time of the audit: `-1h`.
    pub from: Option<String>,
    /// `24h`.
    pub life: Option<String>,
    /// `ec`, `p384`, `rsa`, `ed25519`, or `same NAME` for another certificate's key.
    pub key: Option<String>,
    pub ca: Option<bool>,
    pub path_length: Option<u8>,
    /// Whether there is an authority key identifier.
    pub aki: Option<bool>,
    pub serial: Option<String>,
}

impl Cert {
    /// This one over that one.
    pub fn over(&self, under: &Self) -> Self {
        let (a, b) = (self.clone(), under.clone());
        Self {
            cn: a.cn.or(b.cn),
            dns: a.dns.or(b.dns),
            ip: a.ip.or(b.ip),
            uri: a.uri.or(b.uri),
            eku: a.eku.or(b.eku),
            ku: a.ku.or(b.ku),
            issuer: a.issuer.or(b.issuer),
            from: a.from.or(b.from),
            life: a.life.or(b.life),
            key: a.key.or(b.key),
            ca: a.ca.or(b.ca),
            path_length: a.path_length.or(b.path_length),
            aki: a.aki.or(b.aki),
            serial: a.serial.or(b.serial),
        }
    }
}

/// Reads the whole corpus; every estate comes out with its bases worked in.
pub fn read(directory: &Path) -> Vec<Estate> {
    read_all(directory).0
}

/// The same, and the groups of hosts.
pub fn read_all(directory: &Path) -> (Vec<Estate>, Vec<Across>) {
    let mut paths: Vec<_> = std::fs::read_dir(directory).expect("the corpus").map(|entry| entry.expect("entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let (mut bases, mut estates, mut groups) = (BTreeMap::new(), Vec::new(), Vec::new());
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a file of the corpus");
        let book: Book = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for (name, host) in book.base {
            assert!(bases.insert(name.clone(), host).is_none(), "base {name} twice");
        }
        estates.extend(book.estate);
        groups.extend(book.across);
    }
    for estate in estates.iter_mut().chain(groups.iter_mut().flat_map(|group: &mut Across| &mut group.hosts)) {
        work_in(estate, &bases);
    }
    (estates, groups)
}

fn work_in(estate: &mut Estate, bases: &BTreeMap<String, Host>) {
    let mut host = Host::default();
    for name in &estate.base {
        let base = bases.get(name).unwrap_or_else(|| panic!("{}: there is no base {name}", estate.name)).clone();
        host.certs.extend(base.certs);
        host.files.extend(base.files);
    }
    for (name, cert) in &estate.certs {
        let under = host.certs.get(name).cloned().unwrap_or_default();
        host.certs.insert(name.clone(), cert.over(&under));
    }
    for path in &estate.remove {
        assert!(host.files.remove(path).is_some(), "{}: {path} is not there to be removed", estate.name);
    }
    host.files.extend(estate.files.clone());
    for edit in &estate.edit {
        let file = host.files.get_mut(&edit.path).unwrap_or_else(|| panic!("{}: {} is not there", estate.name, edit.path));
        let mut more = file.more();
        let text = more.text.take().expect("a text");
        assert!(text.contains(&edit.from), "{}: {} does not hold {:?}", estate.name, edit.path, edit.from);
        more.text = Some(text.replace(&edit.from, &edit.to));
        *file = File::More(more);
    }
    estate.certs = host.certs;
    estate.files = host.files;
}
