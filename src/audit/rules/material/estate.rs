//! Estates for tests: a directory that is a host's root, what its services are told, and what the audit says of it.
#![expect(clippy::disallowed_methods, reason = "a test makes the files that are looked at")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose as Eku, KeyPair};

use super::Basis;
use crate::audit::consumer::nginx;
use crate::audit::facts::findings::HostFindings;
use crate::audit::facts::given::Given;
use crate::audit::facts::program::Program;
use crate::audit::facts::wiring::{ClientAuth, Connection, Consumer, Listener, Needs, Pair, Trust, Wiring};
use crate::io::look::View;
use crate::judge::kit::{self, Authority, Pki};
use crate::judge::pem;
use crate::model::audit::{Document, Location, Target};
use crate::model::clock::Time;
use crate::model::finding::Severity;
use crate::model::profile::Purpose;

pub(crate) const CERT: &str = "/etc/tls/cert.pem";
pub(crate) const KEY: &str = "/etc/tls/key.pem";
pub(crate) const ROOT: &str = "/etc/tls/root.pem";

/// A host with a healthy pair and its root, and nginx told to serve it.
pub(crate) struct Estate {
    pub(crate) top: tempfile::TempDir,
    pub(crate) pki: Pki,
    pub(crate) wiring: Wiring,
    pub(crate) at: Time,
    pub(crate) anchors: Vec<Vec<u8>>,
    lost: String,
}

impl Estate {
    pub(crate) fn empty() -> Self {
        let top = tempfile::tempdir().unwrap();
        let estate = Self { top, pki: Pki::new(), wiring: Wiring::default(), at: kit::now(), anchors: vec![], lost: String::new() };
        estate.put("/etc/passwd", "root:x:0:0::/:/bin/sh\nwww-data:x:33:33::/:/bin/false\nkeylime:x:991:991::/:/bin/false\nspire:x:992:992::/:/bin/false\nalice:x:1000:1000::/:/bin/sh\n", 0o644);
        estate.put(
            "/etc/group",
            "root:x:0:\nwww-data:x:33:\nkeylime:x:991:\nspire:x:992:\nalice:x:1000:\nops:x:50:alice\nmesh:x:51:spire\nusers:x:100:\n",
            0o644,
        );
        estate
    }

    pub(crate) fn new() -> Self {
        let mut estate = Self::empty();
        let leaf = estate.pki.leaf();
        estate.put(CERT, pems(&[&leaf, &estate.pki.middle.der]), 0o644);
        estate.put(KEY, estate.pki.key.serialize_pem(), 0o600);
        estate.put(ROOT, pems(&[&estate.pki.root.der]), 0o644);
        estate.wiring.pair(pair(&nginx::program::NGINX, CERT, KEY, Purpose::Server));
        estate.wiring.trust(trust(&nginx::program::NGINX, &[ROOT], Purpose::Client, Needs::Root));
        estate
    }

    pub(crate) fn host(&self, path: &str) -> PathBuf {
        self.top.path().join(path.trim_start_matches('/'))
    }

    pub(crate) fn put(&self, path: &str, content: impl AsRef<[u8]>, mode: u32) {
        let at = self.host(path);
        let mut here = self.top.path().to_path_buf();
        for part in Path::new(path).parent().unwrap().strip_prefix("/").unwrap() {
            here.push(part);
            if fs::create_dir(&here).is_ok() {
                fs::set_permissions(&here, fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        fs::write(&at, content).unwrap();
        self.mode(path, mode);
    }

    pub(crate) fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.host(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn link(&self, path: &str, to: &str) {
        symlink(to, self.host(path)).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.host(path)).unwrap();
    }

    /// `estate.toml` is told who owns a path.
    pub(crate) fn own(&mut self, path: &str, owner: &str, group: &str) {
        self.lost.push_str(&format!("[[file]]\npath = \"{path}\"\nowner = \"{owner}\"\ngroup = \"{group}\"\n"));
        fs::write(self.host("/estate.toml"), &self.lost).unwrap();
    }

    pub(crate) fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = kit::leaf();
        change(&mut params);
        self.pki.leaf_of(&params)
    }

    /// The pair's certificate file is written anew with this leaf and the intermediate.
    pub(crate) fn serve(&self, leaf: &[u8]) {
        self.put(CERT, pems(&[leaf, &self.pki.middle.der]), 0o644);
    }

    pub(crate) fn audit(&self) -> Document {
        let view = View::root(self.top.path()).unwrap();
        let given = Given { anchors: self.anchors.clone(), ..Given::default() };
        let basis = Basis::new(&view, &given);
        let mut findings = HostFindings::new(self.at, "web.funlab.casa");
        super::judge(&basis, &self.wiring, &mut findings);
        findings.into_document()
    }

    /// Ids of the findings that are at least this bad, sorted, each once.
    pub(crate) fn ids(&self, least: Severity) -> Vec<String> {
        ids(&self.audit(), least)
    }
}

pub(crate) fn ids(document: &Document, least: Severity) -> Vec<String> {
    let mut ids: Vec<String> = document.findings.iter().filter(|f| f.severity >= least).map(|f| f.id.clone()).collect();
    ids.sort();
    ids.dedup();
    ids
}

pub(crate) fn pems(ders: &[&[u8]]) -> String {
    ders.iter().map(|der| pem::write(der)).collect()
}

pub(crate) fn consumer(program: &'static Program, path: &str, line: u32) -> Consumer {
    Consumer { program, target: Target::new("nginx", "web"), location: Location::line(path, line) }
}

pub(crate) fn pair(program: &'static Program, certificate: &str, key: &str, purpose: Purpose) -> Pair {
    Pair {
        consumer: consumer(program, "/etc/nginx/nginx.conf", 7),
        certificate: certificate.into(),
        key: Some(key.into()),
        intermediates: vec![],
        purpose,
        names: vec![],
        passphrase: false,
        account: None,
        leaf_only: false,
        placeholder: false,
    }
}

pub(crate) fn trust(program: &'static Program, files: &[&str], of: Purpose, needs: Needs) -> Trust {
    Trust {
        consumer: consumer(program, "/etc/nginx/nginx.conf", 9),
        files: files.iter().map(PathBuf::from).collect(),
        of,
        needs,
        terms: Default::default(),
    }
}

pub(crate) fn listener(program: &'static Program, port: u16, pair: usize, client_auth: ClientAuth, trust: Option<usize>) -> Listener {
    let consumer = consumer(program, "/etc/nginx/nginx.conf", 3);
    Listener {
        consumer,
        host: "0.0.0.0".into(),
        port,
        tls: true,
        names: vec![],
        pairs: vec![pair],
        client_auth,
        trust,
        terms: Default::default(),
    }
}

pub(crate) fn connection(program: &'static Program, port: u16, trust: Option<usize>, pair: Option<usize>) -> Connection {
    let consumer = consumer(program, "/etc/spire/agent.conf", 20);
    Connection {
        consumer,
        host: "127.0.0.1".into(),
        port,
        tls: true,
        name: Some("127.0.0.1".into()),
        trust,
        pair,
        terms: Default::default(),
    }
}

pub(crate) fn client(params: &mut CertificateParams) {
    params.extended_key_usages = vec![Eku::ClientAuth];
}

/// Another PKI with a leaf of its own key.
pub(crate) fn stranger(change: impl FnOnce(&mut CertificateParams)) -> (Authority, Authority, Vec<u8>, KeyPair) {
    let root = Authority::root("Plun-Darr");
    let middle = root.below("Castle Plun-Darr");
    let (key, mut params) = (kit::key(), kit::leaf());
    change(&mut params);
    let leaf = middle.sign(&params, &key);
    (root, middle, leaf, key)
}
