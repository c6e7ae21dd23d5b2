//! Whether the account that a service runs as gets at the files that it reads: every directory on the way, and the file itself.

use std::path::Path;

use super::host::{HostMaterial, about};
use super::{lints, pairs};
use crate::audit::facts::findings::HostFindings;
use crate::audit::facts::wiring::Consumer;
use crate::io::look::{Kind, Meta};

/// One file that somebody reads.
struct Read<'a> {
    consumer: &'a Consumer,
    account: &'a str,
    path: &'a Path,
    /// A key's own mode is judged with its owner.
    is_key: bool,
}

/// Judges pairs and trust lists of services that do not run as root.
pub(super) fn judge(host: &HostMaterial<'_>, findings: &mut HostFindings) {
    let mut all: Vec<Read<'_>> = Vec::new();
    for pair in &host.wiring.pairs {
        let Some(account) = pair.account.as_deref() else { continue };
        let read = |path, is_key| Read { consumer: &pair.consumer, account, path, is_key };
        all.push(read(pair.certificate.as_path(), false));
        all.extend(pair.key.iter().map(|path| read(path.as_path(), true)));
        all.extend(pair.intermediates.iter().map(|path| read(path.as_path(), false)));
    }
    for trust in &host.wiring.trusts {
        let Some(account) = trust.terms.account.as_deref() else { continue };
        all.extend(trust.files.iter().map(|path| Read { consumer: &trust.consumer, account, path: path.as_path(), is_key: false }));
    }
    for authority in &host.wiring.authorities {
        let Some(account) = authority.account.as_deref() else { continue };
        let files = [&authority.certificate, &authority.key];
        all.extend(files.map(|path| Read { consumer: &authority.consumer, account, path: path.as_path(), is_key: false }));
    }
    for read in all.iter().filter(|read| pairs::is_path(read.path)) {
        one(host, read, findings);
    }
}

fn one(host: &HostMaterial<'_>, read: &Read<'_>, findings: &mut HostFindings) {
    let view = host.basis.view;
    let Some(uid) = view.accounts().uid(read.account).filter(|uid| *uid != 0) else { return };
    let Ok(way) = view.way(read.path) else { return };
    let may = |meta: &Meta, bits: u32| {
        let member = || view.accounts().members(meta.gid).iter().any(|member| member == read.account);
        let shift = if meta.uid == uid {
            6
        } else if member() {
            3
        } else {
            0
        };
        meta.mode >> shift & bits == bits
    };
    let last = way.len().saturating_sub(1);
    let refuses = way.iter().enumerate().find(|(index, step)| {
        // The top of a copy is none of the host's own.
        let top = view.is_elsewhere() && step.path == Path::new("/");
        match step.meta.kind {
            Kind::Link => false,
            Kind::Directory => !top && !may(&step.meta, 0o1),
            _ => *index == last && !read.is_key && !may(&step.meta, 0o4),
        }
    });
    let Some((_, step)) = refuses else { return };
    let accounts = view.accounts();
    let owner = format!("{}:{} {:04o}", accounts.user(step.meta.uid), accounts.group(step.meta.gid), step.meta.mode);
    let draft = about(&lints::UNREAD_FOR_SERVICE, read.consumer, read.path).expected(format!("a file that {} may read", read.account));
    findings.add(draft.found(format!("{} is {owner}", step.path.display())).breaks(read.consumer.program.name));
}
