//! Who else may read a key, or replace what a service uses: owners and modes of the files and of every directory and link on the way to them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::host::{HostMaterial, about};
use super::pem_cache::{self, PemFile};
use super::{lints, pairs};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::wiring::Consumer;
use crate::io::look::{Kind, Meta, Step};
use crate::judge::lint::Lint;
use crate::model::audit::{Location, Object, Target};
use crate::model::finding::Severity;

const OTHERS_READ: u32 = 0o004;
const OTHERS_WRITE: u32 = 0o002;
const GROUP_READ: u32 = 0o040;
const GROUP_WRITE: u32 = 0o020;
const OTHERS_PASS: u32 = 0o001;
const STICKY: u32 = 0o1000;
/// The first user of people on Debian, Fedora and Alpine (`UID_MIN` of login.defs).
const PEOPLE: u32 = 1000;
/// Groups of people, whoever is listed in them.
const OPEN_GROUPS: [&str; 5] = ["users", "adm", "sudo", "wheel", "nogroup"];

/// A path with those who use it.
struct Used<'a> {
    consumer: &'a Consumer,
    /// Whether its secrecy matters.
    secret: bool,
    /// Accounts that may own it besides root.
    accounts: Vec<&'a str>,
    /// The account that reads it, where it is not root.
    runs_as: Option<&'a str>,
}

/// Judges owners and modes of everything that is named, and of keys that lie beside it.
pub(super) fn judge(host: &HostMaterial<'_>, findings: &mut HostFindings) {
    let used = used(host);
    for (path, used) in &used {
        if let Some(file) = host.cache.file(path) {
            let secret = used.secret || file.content.has_plain_key();
            if file.content.has_plain_key() {
                key(host, file, used, findings);
            }
            written(host, file, used, findings);
            way(host, path, used, secret, findings);
        }
    }
    for file in host.cache.beside().filter(|file| file.content.has_plain_key() && file.meta.mode & OTHERS_READ != 0) {
        let target = Target::new("file", file.path.display().to_string());
        let draft = NewFinding::new(&lints::KEY_READABLE, target, Object::file(&file.path)).file(Location::file(&file.path));
        findings.add(readable(host, file, draft));
    }
}

fn used<'a>(host: &HostMaterial<'a>) -> BTreeMap<&'a Path, Used<'a>> {
    let mut all: BTreeMap<&Path, Used<'_>> = BTreeMap::new();
    let mut add = |path: &'a Path, consumer: &'a Consumer, secret: bool, account: Option<&'a str>| {
        let used = all.entry(path).or_insert_with(|| Used { consumer, secret: false, accounts: Vec::new(), runs_as: account });
        used.secret |= secret;
        used.accounts.extend(consumer.program.accounts.iter().copied().chain(account));
    };
    for pair in &host.wiring.pairs {
        let account = pair.account.as_deref();
        add(&pair.certificate, &pair.consumer, false, account);
        pair.intermediates.iter().for_each(|path| add(path, &pair.consumer, false, account));
        pair.key.iter().for_each(|path| add(path, &pair.consumer, true, account));
    }
    for trust in &host.wiring.trusts {
        trust.files.iter().for_each(|path| add(path, &trust.consumer, false, None));
    }
    all.retain(|path, _| pairs::is_path(path) && !pem_cache::is_system(path));
    all
}

fn key(host: &HostMaterial<'_>, file: &PemFile, used: &Used<'_>, findings: &mut HostFindings) {
    let meta = &file.meta;
    if meta.mode & OTHERS_READ != 0 {
        let beside = file.content.certificates().next().is_some();
        let lint = if beside { &lints::KEY_IN_CERTIFICATE } else { &lints::KEY_READABLE };
        findings.add(readable(host, file, about(lint, used.consumer, &file.path)));
    } else if meta.mode & GROUP_READ != 0 {
        let outside = outsiders(host, meta, used);
        if !outside.is_empty() {
            let severity = if outside.iter().any(|name| is_person(host, name)) { Severity::Medium } else { Severity::Low };
            let draft = about(&lints::KEY_GROUP, used.consumer, &file.path).severity(severity).expected("a group of the service alone");
            findings.add(draft.found(owner_words(host, meta)).evidence(format!("others in it: {}", outside.join(", "))));
        }
    }
    unread(host, file, used, findings);
    if !is_own(host, meta.uid, used) {
        let draft = about(&lints::KEY_OWNER, used.consumer, &file.path).expected("root or the service's account");
        findings.add(draft.found(owner_words(host, meta)));
    }
}

/// The account that the service runs as cannot read its key.
fn unread(host: &HostMaterial<'_>, file: &PemFile, used: &Used<'_>, findings: &mut HostFindings) {
    let (accounts, meta) = (host.basis.view.accounts(), &file.meta);
    let Some((account, uid)) = used.runs_as.and_then(|account| Some((account, accounts.uid(account).filter(|uid| *uid != 0)?))) else {
        return;
    };
    let bit = if uid == meta.uid {
        0o400
    } else if accounts.members(meta.gid).iter().any(|member| member == account) {
        GROUP_READ
    } else {
        OTHERS_READ
    };
    if meta.mode & bit == 0 {
        let draft = about(&lints::KEY_UNREAD, used.consumer, &file.path).expected(format!("a key that {account} may read"));
        findings.add(draft.found(owner_words(host, meta)));
    }
}

fn readable(host: &HostMaterial<'_>, file: &PemFile, draft: NewFinding) -> NewFinding {
    let draft = draft.expected("mode 0600, or 0640 with a group of the service").found(owner_words(host, &file.meta));
    // A directory that others may not enter keeps them out, as long as it stays so.
    let way = host.basis.view.way(&file.path).unwrap_or_default();
    match way.iter().find(|step| step.meta.kind == Kind::Directory && step.meta.mode & OTHERS_PASS == 0 && !is_top(host, step)) {
        Some(step) => draft.severity(Severity::Medium).evidence(format!(
            "only {} keeps others out (mode {:04o})",
            step.path.display(),
            step.meta.mode
        )),
        None => draft,
    }
}

/// The file itself may be written by somebody else.
fn written(host: &HostMaterial<'_>, file: &PemFile, used: &Used<'_>, findings: &mut HostFindings) {
    let meta = &file.meta;
    let draft =
        || about(&lints::WRITABLE, used.consumer, &file.path).expected("writable by its owner alone").found(owner_words(host, meta));
    if meta.mode & OTHERS_WRITE != 0 {
        findings.add(draft());
    } else if meta.mode & GROUP_WRITE != 0 {
        let outside = outsiders(host, meta, used);
        if !outside.is_empty() {
            findings.add(draft().severity(Severity::Medium).evidence(format!("in the group: {}", outside.join(", "))));
        }
    }
}

/// Every directory and link that is passed.
fn way(host: &HostMaterial<'_>, path: &Path, used: &Used<'_>, secret: bool, findings: &mut HostFindings) {
    let steps = host.basis.view.way(path).unwrap_or_default();
    let last = steps.len().saturating_sub(1);
    let mut link: Option<PathBuf> = None;
    for step in steps.iter().take(last).filter(|step| !is_top(host, step)) {
        let meta = &step.meta;
        let draft = |lint: &'static Lint| {
            let draft = NewFinding::new(lint, Target::new("file", step.path.display().to_string()), Object::file(&step.path))
                .file(Location::file(&step.path));
            let draft = draft
                .file(used.consumer.location.clone())
                .found(owner_words(host, meta))
                .evidence(format!("on the way to {}", path.display()));
            link.as_ref().map_or(draft.clone(), |link| draft.evidence(format!("{} is a link that leads there", link.display())))
        };
        if secret && !is_own(host, meta.uid, used) {
            findings.add(draft(&lints::WAY_OWNER).expected("root or the service's account"));
        }
        if meta.kind == Kind::Link {
            link = Some(step.path.clone());
            continue;
        }
        if meta.mode & OTHERS_WRITE != 0 {
            let found = draft(&lints::WAY_WRITABLE).expected("directories that root alone may write");
            // In a sticky directory only what is not there yet can be planted; taking its mode away would break everybody else.
            let sticky = meta.mode & STICKY != 0;
            let elsewhere = "keep it below a directory of root's own: in this one others may put something in its place once it is removed";
            findings.add(if sticky { found.severity(Severity::Medium).remedy(elsewhere) } else { found });
        } else if meta.mode & GROUP_WRITE != 0 && meta.mode & STICKY == 0 {
            let outside = outsiders(host, meta, used);
            if !outside.is_empty() {
                let found = draft(&lints::WAY_WRITABLE).severity(Severity::Medium).expected("directories that root alone may write");
                findings.add(found.evidence(format!("in the group: {}", outside.join(", "))));
            }
        }
    }
}

/// The directory of a copy is none of the host's own.
fn is_top(host: &HostMaterial<'_>, step: &Step) -> bool {
    host.basis.view.is_elsewhere() && step.path == Path::new("/")
}

/// Whoever made a copy without being root owns all of it: then it says nothing about owners.
fn base(host: &HostMaterial<'_>) -> (u32, u32) {
    let top = host.basis.view.is_elsewhere().then(|| host.basis.view.meta(Path::new("/")).ok()).flatten();
    top.map_or((0, 0), |meta| (meta.uid, meta.gid))
}

fn is_own(host: &HostMaterial<'_>, uid: u32, used: &Used<'_>) -> bool {
    let accounts = host.basis.view.accounts();
    // Without its passwd a copy cannot say who anybody is.
    if !host.basis.view.is_file(Path::new("/etc/passwd")) {
        return true;
    }
    uid == 0 || uid == base(host).0 || used.accounts.iter().any(|account| accounts.uid(account) == Some(uid))
}

/// Members of the file's group besides root and those who use it.
fn outsiders(host: &HostMaterial<'_>, meta: &Meta, used: &Used<'_>) -> Vec<String> {
    if meta.gid == 0 || meta.gid == base(host).1 {
        return Vec::new();
    }
    let accounts = host.basis.view.accounts();
    let group = accounts.group(meta.gid);
    let mut members = accounts.members(meta.gid);
    members.retain(|name| name != "root" && !used.accounts.contains(&name.as_str()) && accounts.uid(name) != Some(meta.uid));
    if members.is_empty() && OPEN_GROUPS.contains(&group.as_str()) {
        members.push(format!("everybody of the group {group}"));
    }
    members
}

fn is_person(host: &HostMaterial<'_>, name: &str) -> bool {
    name.starts_with("everybody") || host.basis.view.accounts().uid(name).is_some_and(|uid| (PEOPLE..65_000).contains(&uid))
}

fn owner_words(host: &HostMaterial<'_>, meta: &Meta) -> String {
    let accounts = host.basis.view.accounts();
    format!("{}:{} {:04o}", accounts.user(meta.uid), accounts.group(meta.gid), meta.mode)
}
