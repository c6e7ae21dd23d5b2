//! Clients of CAs that keep a file for each certificate: certbot, acme.sh, dehydrated, certmonger. Which files they write, and who is told. It
//! must never judge the certificates: they are judged where services use them.

mod base64;
pub mod lints;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::audit::consumer::scripts::{hook, hook_file};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::program::Program;
use crate::audit::facts::service::{Service, Source};
use crate::audit::facts::wiring::{Consumer, Renewal, Wiring};
use crate::io::look::{Kind, View};
use crate::model::audit::{Location, Target};
use crate::model::finding::Severity;

/// What the audit knows of them.
pub static SERVICE: Service = Service { usual, read, programs: &[&RENEWER], ..Service::named("renewers", lints::ALL) };

static RENEWER: Program = Program::named("renewer");

const CERTBOT: &str = "/etc/letsencrypt";
const CERTMONGER: &str = "/var/lib/certmonger/requests";
const DEHYDRATED: [&str; 2] = ["/etc/dehydrated/config", "/usr/local/etc/dehydrated/config"];
/// Homes of acme.sh besides those of users.
const ACME: [&str; 4] = ["/root/.acme.sh", "/etc/acme.sh", "/opt/acme.sh", "/usr/local/share/acme.sh"];
/// As many files of one client are read.
const FILES: usize = 2_000;

fn usual(view: &View) -> Vec<PathBuf> {
    let homes = view
        .list(Path::new("/home"))
        .unwrap_or_default()
        .into_iter()
        .take(FILES)
        .map(|name| PathBuf::from(format!("/home/{name}/.acme.sh")));
    let fixed = [CERTBOT, CERTMONGER].into_iter().chain(DEHYDRATED).chain(ACME).map(PathBuf::from);
    fixed.chain(homes).filter(|path| view.meta(path).is_ok()).collect()
}

fn read(source: Source<'_>, start: &Path, findings: &mut HostFindings) -> Wiring {
    let mut wiring = Wiring::default();
    let view = source.view;
    if start == Path::new(CERTBOT) {
        certbot(view, &mut wiring, findings);
    } else if start == Path::new(CERTMONGER) {
        certmonger(view, &mut wiring);
    } else if DEHYDRATED.iter().any(|known| start == Path::new(known)) {
        dehydrated(view, start, &mut wiring);
    } else {
        acme(view, start, &mut wiring);
    }
    wiring
}

/// `key = value` and `KEY='value'`, with the line; the last one counts.
struct Settings(Vec<Setting>);

struct Setting {
    key: String,
    value: String,
    line: u32,
}

impl Settings {
    fn read(text: &str) -> Self {
        let mut all = Vec::new();
        for (line, text) in (1_u32..).zip(text.lines()).filter(|(_, text)| !text.trim_start().starts_with('#')) {
            if let Some((key, value)) = text.split_once('=') {
                let value = value.trim().trim_matches(['"', '\'']).to_owned();
                all.push(Setting { key: key.trim().to_owned(), value, line });
            }
        }
        Self(all)
    }

    fn get(&self, key: &str) -> Option<&Setting> {
        self.0.iter().rev().find(|setting| setting.key == key && !setting.value.is_empty() && setting.value != "None")
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        self.get(key).map(|setting| PathBuf::from(&setting.value)).filter(|path| path.is_absolute())
    }
}

fn files(view: &View, directory: &Path, ending: &str) -> Vec<PathBuf> {
    let names = view.list(directory).unwrap_or_default();
    names
        .into_iter()
        .filter(|name| name.ends_with(ending))
        .take(FILES)
        .map(|name| directory.join(name))
        .filter(|path| view.is_file(path))
        .collect()
}

fn renewal(file: &Path, line: Option<u32>, what: &'static str, files: Vec<PathBuf>, told: BTreeSet<String>) -> Renewal {
    let location = Location { path: file.display().to_string(), line };
    let target = Target::new("renewal", file.display().to_string()).at_line(line);
    Renewal { consumer: Consumer { program: &RENEWER, target, location }, files, told, what }
}

/// `renewal/NAME.conf`, `cli.ini`, and the directories of hooks.
fn certbot(view: &View, wiring: &mut Wiring, findings: &mut HostFindings) {
    let mut common = hooks(view, findings);
    if let Ok(text) = view.text(Path::new("/etc/letsencrypt/cli.ini")) {
        let settings = Settings::read(&text);
        for setting in ["deploy-hook", "post-hook", "renew-hook"].into_iter().filter_map(|key| settings.get(key)) {
            hook(&setting.value, &mut common);
        }
    }
    for file in files(view, Path::new("/etc/letsencrypt/renewal"), ".conf") {
        let Ok(text) = view.text(&file) else { continue };
        let settings = Settings::read(&text);
        let mut told = common.clone();
        for own in ["renew_hook", "post_hook", "deploy_hook"].into_iter().filter_map(|key| settings.get(key)) {
            absent(view, &file, own, findings);
            hook(&own.value, &mut told);
        }
        // Its plugins for servers reload them themselves.
        let plugins = ["authenticator", "installer"].into_iter().filter_map(|key| settings.get(key));
        told.extend(plugins.map(|plugin| plugin.value.clone()).filter(|name| matches!(name.as_str(), "nginx" | "apache")));
        let written = ["cert", "privkey", "chain", "fullchain"].into_iter().filter_map(|key| settings.path(key)).collect();
        wiring.files.push(file.clone());
        wiring.renewals.push(renewal(&file, None, "certbot", written, told));
    }
}

/// Whom the hooks tell that certbot runs after every renewal; one that it passes over is a finding.
fn hooks(view: &View, findings: &mut HostFindings) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    for directory in ["deploy", "post"] {
        let directory = Path::new("/etc/letsencrypt/renewal-hooks").join(directory);
        for name in view.list(&directory).unwrap_or_default().into_iter().filter(|name| !name.ends_with('~')).take(FILES) {
            let path = directory.join(name);
            let Ok(meta) = view.meta(&path) else { continue };
            if meta.kind == Kind::File && meta.mode & 0o111 == 0 {
                let draft = NewFinding::at(&lints::HOOK_MODE, Target::new("renewal", path.display().to_string()), Location::file(&path));
                findings.add(draft.expected("mode 0755").found(format!("mode {:04o}", meta.mode)));
            } else if meta.kind == Kind::File {
                hook_file(view, &path, &mut told);
            }
        }
    }
    told
}

/// A hook that is one path which is not there.
fn absent(view: &View, file: &Path, hook: &Setting, findings: &mut HostFindings) {
    let word = hook.value.split_whitespace().next().unwrap_or_default();
    let directory = Path::new(word).parent().is_some_and(|parent| view.is_directory(parent));
    let system = ["/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/"].iter().any(|start| word.starts_with(start));
    if word.starts_with('/')
        && view.meta(Path::new(word)).is_err_and(|error| error.is_absent())
        && !(view.is_elsewhere() && (system || !directory))
    {
        let draft =
            NewFinding::at(&lints::HOOK_ABSENT, Target::new("renewal", file.display().to_string()), Location::line(file, hook.line));
        findings.add(draft.severity(Severity::High).expected(word).found("no such file"));
    }
}

/// One file for each request: where certificate and key lie, and what is run when they were saved.
fn certmonger(view: &View, wiring: &mut Wiring) {
    let names = view.list(Path::new(CERTMONGER)).unwrap_or_default();
    for file in names.into_iter().take(FILES).map(|name| Path::new(CERTMONGER).join(name)).filter(|path| view.is_file(path)) {
        let Ok(text) = view.text(&file) else { continue };
        let settings = Settings::read(&text);
        let mut told = BTreeSet::new();
        if let Some(command) = settings.get("post_certsave_command") {
            hook(&command.value, &mut told);
        }
        let written = ["cert_storage_location", "key_storage_location"].into_iter().filter_map(|key| settings.path(key)).collect();
        wiring.renewals.push(renewal(&file, None, "certmonger", written, told));
        wiring.files.push(file);
    }
}

/// Shell settings; the hook is one script for everything.
fn dehydrated(view: &View, file: &Path, wiring: &mut Wiring) {
    let Ok(text) = view.text(file) else { return };
    let settings = Settings::read(&text);
    let base = settings.path("BASEDIR").unwrap_or_else(|| PathBuf::from("/var/lib/dehydrated"));
    let certs = settings.path("CERTDIR").unwrap_or_else(|| base.join("certs"));
    let mut told = BTreeSet::new();
    match settings.path("HOOK") {
        Some(path) => hook_file(view, &path, &mut told),
        None if settings.get("HOOK").is_some() => drop(told.insert("*".to_owned())),
        None => {}
    }
    wiring.renewals.push(renewal(file, None, "dehydrated", vec![certs], told));
    wiring.files.push(file.to_path_buf());
}

/// `DOMAIN/DOMAIN.conf` below its home.
fn acme(view: &View, home: &Path, wiring: &mut Wiring) {
    for name in view.list(home).unwrap_or_default().into_iter().take(FILES) {
        let bare = name.trim_end_matches("_ecc");
        let file = home.join(&name).join(format!("{bare}.conf"));
        let Ok(text) = view.text(&file) else { continue };
        let settings = Settings::read(&text);
        let written: Vec<PathBuf> = ["Le_RealCertPath", "Le_RealKeyPath", "Le_RealFullChainPath", "Le_RealCACertPath"]
            .into_iter()
            .filter_map(|key| settings.path(key))
            .collect();
        let mut told = BTreeSet::new();
        if let Some(command) = settings.get("Le_ReloadCmd") {
            hook(&base64::plain(&command.value), &mut told);
        }
        wiring.files.push(file.clone());
        if !written.is_empty() {
            wiring.renewals.push(renewal(&file, None, "acme.sh", written, told));
        }
    }
}

/// What is told by anything on the host that reloads a program.
pub(in crate::audit) fn is_told(reloads: &BTreeSet<String>, program: &str) -> bool {
    reloads.contains("*") || reloads.iter().any(|name| name.contains(program))
}
