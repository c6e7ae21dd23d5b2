//! The settings of a host that is looked at from outside (`--root`): what they ask of each certificate against the files that lie there. It
//! must never open a file of this host, nor judge what of the settings depends on the host: of them the form alone is judged here.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::{Table, Value};

use super::files::{drop_ins, written};
use super::lints;
use super::roots::{self, ders};
use crate::audit::facts::chains;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::wiring::Wiring;
use crate::config;
use crate::config::form::{self, Written};
use crate::config::service::Drivers;
use crate::io::look::View;
use crate::judge::assess::{Question, Requirements, assess};
use crate::judge::{Gate, cert::Facts, gate, lint};
use crate::model::anchor::Anchor;
use crate::model::audit::{Location, Object, Target};
use crate::model::key::KeyAlgorithm;
use crate::model::layout;
use crate::model::name::CertName;
use crate::model::profile::Profile;
use crate::model::request::{Request, SUBJECT_KEYS, SubjectField, SubjectKey};
use crate::model::span;

/// What the settings of another host ask for.
#[derive(Debug, Default)]
pub struct Mounted {
    /// DER of the pinned roots that lie there.
    pub anchors: Vec<Vec<u8>>,
    certificates: Vec<Asked>,
    state: PathBuf,
    run: PathBuf,
}

/// One certificate of the settings.
#[derive(Debug)]
struct Asked {
    request: Request,
    location: Location,
    /// Whether the key must not lie in clear.
    sealed: bool,
    /// The full chain, or certificate and chain, at a consumer's own path.
    installed: Vec<PathBuf>,
    /// Every file at a consumer's own path.
    placed: Vec<PathBuf>,
    /// Drivers of services that are to read it.
    services: Vec<String>,
}

/// Reads them and says what is wrong with them; `None` where there are none.
#[must_use]
pub fn read(view: &View, file: &Path, drivers: Drivers, findings: &mut HostFindings) -> Option<Mounted> {
    let directory = file.parent().unwrap_or(Path::new("/")).join("omens.d");
    if view.meta(file).is_err_and(|error| error.is_absent()) {
        return None;
    }
    let main = written(view, file.to_path_buf(), findings)?;
    let names = drop_ins(view, &directory, findings);
    let drop_ins: Vec<Written> = names.into_iter().filter_map(|name| written(view, directory.join(name), findings)).collect();
    let all: Vec<Read> = std::iter::once(&main).chain(&drop_ins).map(Read::new).collect();
    let main_table = all.first()?.value.clone();
    let place = |key: &str, default: &str| PathBuf::from(text(&main_table, &["paths", key]).unwrap_or(default));
    let policies = place("policies", "/etc/omens/policies");
    let has_profile = |name: &str| profile(view, name, &policies).is_some();
    super::settings_are_wrong(&form::faults(main, drop_ins, drivers, &has_profile), findings);
    let has_tpm = main_table.contains_key("tpm");
    let mut mounted = Mounted {
        anchors: roots::pinned(view, &main_table, file, findings),
        certificates: Vec::new(),
        state: place("state", "/var/lib/omens"),
        run: place("run", "/run/omens"),
    };
    for read in &all {
        let Some(Value::Array(entries)) = read.value.get("certificate") else { continue };
        let asked =
            entries.iter().filter_map(Value::as_table).filter_map(|entry| asked(view, entry, &policies, has_tpm, &read.file, &read.text));
        mounted.certificates.extend(asked);
    }
    Some(mounted)
}

/// A file of settings, as far as it is TOML.
struct Read {
    file: PathBuf,
    value: Table,
    text: String,
}

impl Read {
    fn new(written: &Written) -> Self {
        let text = String::from_utf8_lossy(&written.bytes).into_owned();
        Self { file: written.file.clone(), value: text.parse().unwrap_or_default(), text }
    }
}

fn text<'t>(table: &'t Table, path: &[&str]) -> Option<&'t str> {
    let (last, above) = path.split_last()?;
    let inner = above.iter().try_fold(table, |table, key| table.get(*key)?.as_table())?;
    inner.get(*last)?.as_str()
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let all = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The profile of a certificate: of the host's own policies, or the shipped one.
fn profile(view: &View, name: &str, policies: &Path) -> Option<Arc<Profile>> {
    let file = policies.join("certificates").join(format!("{name}.toml"));
    let own = match view.bytes(&file) {
        Ok(bytes) => Some((file.display().to_string(), bytes.to_vec())),
        Err(error) if error.is_absent() => None,
        // The shipped one of this name is not what that host goes by.
        Err(_) => return None,
    };
    config::profile_of(name, own)
}

fn asked(view: &View, entry: &Table, policies: &Path, has_tpm: bool, file: &Path, settings: &str) -> Option<Asked> {
    let name = text(entry, &["name"])?;
    let profile = profile(view, text(entry, &["profile"])?, policies)?;
    let algorithm = match text(entry, &["key", "algorithm"]) {
        Some(word) => KeyAlgorithm::parse(word)?,
        None => *profile.keys.first()?,
    };
    let keep = text(entry, &["key", "keep"]).unwrap_or(if has_tpm { "sealed" } else { "file" });
    let request = Request {
        name: CertName::parse(name).ok()?,
        // One that is wrong was said.
        ttl: span::parse(text(entry, &["ttl"])?).ok()?,
        profile,
        common_name: text(entry, &["common_name"]).unwrap_or_default().to_owned(),
        dns: texts(entry.get("dns")),
        uri: texts(entry.get("uri")),
        email: texts(entry.get("email")),
        subject: subject(entry),
        ip: texts(entry.get("ip")).iter().filter_map(|ip| ip.parse::<IpAddr>().ok()).collect(),
        algorithm,
    };
    let said = |line: &&str| line.trim_start().starts_with("name") && line.contains(&format!("\"{name}\""));
    let line = settings.lines().position(|line| said(&line)).and_then(|index| u32::try_from(index + 1).ok());
    let location = Location { path: file.display().to_string(), line };
    let (installed, placed) = installed(entry);
    Some(Asked { request, location, sealed: keep != "file", installed, placed, services: services(entry) })
}

/// The fields of `subject`.
fn subject(entry: &Table) -> Vec<SubjectField> {
    let said = |key: &SubjectKey| match entry.get("subject")?.get(key.key)? {
        Value::String(one) => Some(vec![one.clone()]),
        all => Some(texts(Some(all))),
    };
    let fields = SUBJECT_KEYS.iter().filter_map(|key| Some((key.attribute, said(key)?)));
    fields.flat_map(|(attribute, values)| values.into_iter().map(move |value| SubjectField { attribute, value })).collect()
}

/// Paths of `install`: those that hold the chain from the leaf on, and all.
fn installed(entry: &Table) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let entries: Vec<&Table> = match entry.get("install") {
        Some(Value::Table(one)) => vec![one],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_table).collect(),
        _ => Vec::new(),
    };
    let of = |entry: &Table, keys: &[&str]| -> Vec<PathBuf> {
        let Some(directory) = text(entry, &["dir"]) else { return Vec::new() };
        keys.iter().filter_map(|key| text(entry, &[key])).map(|name| Path::new(directory).join(name)).collect()
    };
    let chains = entries.iter().flat_map(|entry| of(entry, &["fullchain", "combined", "cert"])).collect();
    let all = ["fullchain", "combined", "cert", "chain", "key", "ca", "anchors", "bundle"];
    (chains, entries.iter().flat_map(|entry| of(entry, &all)).collect())
}

/// The drivers of `reload`.
fn services(entry: &Table) -> Vec<String> {
    let entries = match entry.get("reload") {
        Some(Value::Array(all)) => all.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    entries.iter().filter_map(Value::as_table).flat_map(|table| table.keys().cloned()).collect()
}

impl Mounted {
    /// Judges what lies there by what is asked for; `wiring` is what the services of that host are told.
    pub fn judge(&self, view: &View, wiring: &Wiring, findings: &mut HostFindings) {
        for asked in &self.certificates {
            let name = asked.request.name.as_str();
            let live = self.state.join(layout::CERTS).join(name).join(layout::LIVE);
            let parts = [layout::CERT, layout::CHAIN].map(|part| view.text(&live.join(part)).unwrap_or_default());
            let committed = (live.join(layout::CERT), parts.concat());
            let placed = asked.installed.iter().filter_map(|path| Some((path.clone(), view.text(path).ok()?)));
            let found = std::iter::once(committed).chain(placed).find(|(_, text)| text.contains("-----BEGIN CERTIFICATE"));
            match found {
                Some((path, text)) => self.by_profile(asked, &path, &ders(&text), findings),
                None if view.is_directory(&self.state) => {
                    findings.add(about(&lints::MISSING, asked).expected(live.display().to_string()).found("nothing was ever issued"));
                }
                None => {}
            }
            let key = live.join(layout::KEY);
            if asked.sealed && view.is_file(&key) {
                let draft = about(&lints::PLAIN_KEY, asked).file(Location::file(&key)).expected("no key in clear");
                findings.add(draft.found(format!("{} is a key in clear", key.display())));
            }
            self.consumers(asked, view, wiring, findings);
        }
    }

    /// The same verdict as the gate's.
    fn by_profile(&self, asked: &Asked, path: &Path, ders: &[Vec<u8>], findings: &mut HostFindings) {
        let Some((leaf, candidates)) = ders.split_first() else { return };
        let Ok(facts) = Facts::parse(leaf) else { return };
        let anchors: Vec<Anchor> = self.anchors.iter().cloned().map(Anchor::new).collect();
        let pinned: Vec<&Anchor> = anchors.iter().collect();
        let request = &asked.request;
        let verdict = gate(&Gate { request, anchors: &pinned, leaf, candidates, spki: &facts.spki, serves_until: None }, findings.at());
        // Without its root a copy says nothing about paths.
        let known = |id: &str| !self.anchors.is_empty() || !["path.", "anchor."].iter().any(|area| id.starts_with(area));
        for finding in verdict.findings.iter().filter(|finding| known(&finding.id)) {
            let Some(draft) = NewFinding::of(finding, target(asked), Object::certificate(&facts.sha256)) else { continue };
            let draft = draft.file(Location::file(path)).file(asked.location.clone());
            let remedy = lint::find(&finding.id).is_some_and(|lint| lint.remedy.is_empty());
            findings.add(if remedy {
                draft.remedy("run omens renew --force for this certificate, or correct the settings")
            } else {
                draft
            });
        }
        let profile = &request.profile;
        let asked_for = Requirements { profile: Some(Arc::clone(profile)), purpose: Some(profile.purpose), ..Requirements::default() };
        let question = Question { leaf, candidates, anchors: &self.anchors, crls: &[], spki: None, asked: &asked_for, at: findings.at() };
        let chain = chains::chain(target(asked), &assess(&question), findings.at());
        findings.chain(chain);
    }

    /// Services that are to read the certificate, and read others.
    fn consumers(&self, asked: &Asked, view: &View, wiring: &Wiring, findings: &mut HostFindings) {
        let name = asked.request.name.as_str();
        let own = [self.run.join(name), self.state.join(layout::CERTS).join(name)];
        let is_own = |path: &Path| own.iter().any(|own| path.starts_with(own)) || asked.placed.iter().any(|placed| placed == path);
        for service in &asked.services {
            let pairs: Vec<_> = wiring.pairs.iter().filter(|pair| pair.consumer.program.name == service).collect();
            let Some(first) = pairs.first() else { continue };
            let real = |path: &Path| view.real(path).is_ok_and(|real| is_own(&real));
            let reads = pairs.iter().any(|pair| is_own(&pair.certificate) || real(&pair.certificate));
            // What is published lies in memory, which a copy is made without: an include that names it is enough.
            let run = format!("{}/", self.run.join(name).display());
            let includes = || wiring.files.iter().filter_map(|file| view.text(file).ok()).any(|text| text.contains(&run));
            if !reads && !includes() {
                let draft = about(&lints::CONSUMER_ELSEWHERE, asked).file(first.consumer.location.clone());
                let paths: Vec<String> = pairs.iter().take(6).map(|pair| pair.certificate.display().to_string()).collect();
                let wanted = asked.placed.first().cloned().unwrap_or_else(|| self.run.join(name).join(layout::LIVE));
                findings.add(draft.expected(format!("{service} reads {}", wanted.display())).found(paths.join(", ")));
            }
        }
    }
}

fn target(asked: &Asked) -> Target {
    Target::new("certificate", asked.request.name.as_str())
}

fn about(lint: &'static lint::Lint, asked: &Asked) -> NewFinding {
    NewFinding::at(lint, target(asked), asked.location.clone())
}
