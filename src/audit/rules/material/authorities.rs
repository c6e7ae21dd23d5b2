//! Authorities that a service signs with, as SPIRE's `UpstreamAuthority "disk"` loads one: key and certificate belong together, it is an
//! authority, and it leads to its bundle, or is its own root where there is none.

use std::path::Path;

use super::blocks::Cert;
use super::form::{self, Meant};
use super::host::{HostMaterial, about};
use super::key::{self, Key};
use super::lints;
use super::pem_cache::PemFile;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::wiring::Authority;
use crate::judge::lint::{Lint, audit};
use crate::judge::parsed::Parsed;
use crate::judge::path::signs;
use crate::model::audit::Location;
use crate::model::span;

/// Judges all of them.
pub(super) fn judge(host: &HostMaterial<'_>, findings: &mut HostFindings) {
    for authority in &host.wiring.authorities {
        let draft = |lint: &'static Lint, path: &Path| about(lint, &authority.consumer, path).breaks(authority.consumer.program.name);
        let public = held(host, authority, &draft, findings);
        let Some(file) = host.cache.file(&authority.certificate) else { continue };
        if !form::judge(file, &authority.consumer, Meant::Chain, findings) {
            continue;
        }
        let all: Vec<&Cert> = file.content.certificates().map(|(cert, _)| cert).collect();
        let Some((own, above)) = all.split_first() else { continue };
        if let Some(public) = public.filter(|public| key::bits(&own.facts.spki).as_deref() != Some(public)) {
            let fits = host
                .cache
                .all()
                .find(|file| file.content.certificates().any(|(cert, _)| key::bits(&cert.facts.spki).as_deref() == Some(public)));
            let found = draft(&lints::AUTHORITY_MISMATCH, &authority.certificate).file(Location::file(&authority.key));
            let found = found.expected(format!("the certificate of the key in {}", authority.key.display())).found(own.words());
            findings.add(match fits {
                Some(file) => found.evidence(format!("the key belongs to a certificate in {}", file.path.display())),
                None => found,
            });
        }
        itself(host, authority, own, &draft, findings);
        lasting(host, authority, own, &draft, findings);
        surplus(file, authority, "CERTIFICATE", &draft, findings);
        path(host, authority, own, above, &draft, findings);
    }
}

/// The public half of its key, or a finding.
fn held<'r>(
    host: &'r HostMaterial<'_>,
    authority: &Authority,
    draft: &dyn Fn(&'static Lint, &Path) -> NewFinding,
    findings: &mut HostFindings,
) -> Option<&'r [u8]> {
    let file = host.cache.file(&authority.key)?;
    let words = |lint, found: &str| draft(lint, &authority.key).expected("an unencrypted private key in PEM").found(found);
    if file.content.form.der {
        findings.add(words(&lints::KEY_DER, "DER"));
        return None;
    }
    surplus(file, authority, "PRIVATE KEY", draft, findings);
    match file.content.keys().next().map(|(key, _)| key) {
        Some(Key::Encrypted) => findings.add(
            words(&lints::KEY_ENCRYPTED, "an encrypted key").remedy("decrypt it: openssl pkey -in FILE -out FILE.plain, with mode 0600"),
        ),
        Some(Key::Damaged) => findings.add(words(&lints::KEY_DAMAGED, "one that does not parse")),
        Some(Key::Foreign(kind)) => findings.add(words(&lints::KEY_NONE, kind)),
        None => findings.add(words(&lints::KEY_NONE, "none")),
        Some(Key::Unknown(_) | Key::Sealed) => {}
        Some(Key::Public(public)) => return Some(public),
    }
    None
}

/// Blocks that SPIRE does not take beside the wanted ones (`pkg/common/pemutil`): of a key there is one block, and no other.
fn surplus(
    file: &PemFile,
    authority: &Authority,
    wanted: &str,
    draft: &dyn Fn(&'static Lint, &Path) -> NewFinding,
    findings: &mut HostFindings,
) {
    if !authority.consumer.program.is_go() {
        return;
    }
    let fits = |label: &str| if wanted == "CERTIFICATE" { label == wanted } else { label.ends_with(wanted) };
    let own = file.content.blocks.iter().filter(|block| block.fault().is_none());
    let labels: Vec<&str> = own.map(|block| block.label.as_str()).collect();
    let Some(odd) = labels.iter().find(|label| !fits(label)) else { return };
    if labels.iter().any(|label| fits(label)) {
        let found = draft(&lints::AUTHORITY_FORM, &file.path).expected(format!("{wanted} alone")).found(format!("a block {odd} as well"));
        findings.add(found.evidence("\"expected block type …; got …\""));
    }
}

/// How far down it may sign, and for how long.
fn lasting(
    host: &HostMaterial<'_>,
    authority: &Authority,
    own: &Cert,
    draft: &dyn Fn(&'static Lint, &Path) -> NewFinding,
    findings: &mut HostFindings,
) {
    let basic = own.facts.extensions.basic.as_ref();
    if own.is_ca() && basic.is_some_and(|basic| basic.path_length == Some(0)) {
        let found = draft(&lints::AUTHORITY_LENGTH, &authority.certificate).expected("a path length of 1 and more, or none");
        findings.add(found.found(format!("{}, path length 0", own.words())).evidence("\"X509 CA produced an invalid X509-SVID chain\""));
    }
    let left = own.facts.not_after.since(host.at);
    if own.facts.valid_at(host.at) && left.saturating_mul(10) < own.facts.lifetime() {
        let found = draft(&audit::CA_EXPIRES_SOON, &authority.certificate).expected("at least a tenth of the lifetime");
        findings.add(found.found(format!("{} left of {}", span::about(left), own.facts.subject)));
    }
}

/// What its certificate says.
fn itself(
    host: &HostMaterial<'_>,
    authority: &Authority,
    own: &Cert,
    draft: &dyn Fn(&'static Lint, &Path) -> NewFinding,
    findings: &mut HostFindings,
) {
    let usage = own.facts.extensions.key_usage.as_ref();
    if !own.is_ca() || usage.is_some_and(|usage| !usage.values.iter().any(|value| value == "keyCertSign")) {
        let found = draft(&lints::AUTHORITY_LEAF, &authority.certificate).expected("CA:TRUE with keyCertSign");
        findings.add(found.found(own.words()));
    }
    if !own.facts.valid_at(host.at) {
        let found = draft(&lints::AUTHORITY_EXPIRED, &authority.certificate).expected(format!("an authority that is valid at {}", host.at));
        let found = found.found(format!("{}, {} to {}", own.facts.subject, own.facts.not_before, own.facts.not_after));
        findings.add(found.evidence("\"certificate cannot be validated with the provided bundle or is not self-signed\""));
    }
}

/// Where it leads.
fn path(
    host: &HostMaterial<'_>,
    authority: &Authority,
    own: &Cert,
    above: &[&Cert],
    draft: &dyn Fn(&'static Lint, &Path) -> NewFinding,
    findings: &mut HostFindings,
) {
    let Some(bundle) = &authority.bundle else {
        if !above.is_empty() || !own.facts.self_issued() {
            let found =
                draft(&lints::AUTHORITY_BUNDLE, &authority.certificate).expected("one self-signed certificate, or bundle_file_path");
            let words = if above.is_empty() { own.words() } else { format!("{} certificates", above.len() + 1) };
            findings.add(found.found(words).evidence("\"with no bundle_file_path configured only self-signed CAs are supported\""));
        }
        return;
    };
    let Some(file) = host.cache.file(bundle) else { return };
    surplus(file, authority, "CERTIFICATE", draft, findings);
    let roots: Vec<&Cert> = file.content.certificates().map(|(cert, _)| cert).collect();
    if !roots.is_empty() && !roots.iter().any(|root| root.facts.self_issued()) {
        let found = draft(&lints::AUTHORITY_INTERMEDIATE, bundle).file(Location::file(&authority.certificate));
        let names: Vec<String> = roots.iter().take(6).map(|root| root.words()).collect();
        findings.add(found.expected("a self-signed root").found(names.join("; ")));
    }
    if roots.is_empty() || !own.facts.valid_at(host.at) || roots.iter().any(|root| root.der == own.der) {
        return;
    }
    if !leads(host, own, above, &roots) {
        let found = draft(&lints::AUTHORITY_PATH, &authority.certificate).file(Location::file(bundle));
        let names: Vec<String> = roots.iter().take(6).map(|root| root.facts.subject.to_string()).collect();
        let found = found.expected(format!("an authority below {}", names.join(" or ")));
        findings.add(found.found(format!("{}, issued by {}", own.facts.subject, own.facts.issuer)));
    }
}

/// Whether an authority leads to one of these roots, by names, signatures and dates. webpki judges end entities only.
fn leads(host: &HostMaterial<'_>, own: &Cert, above: &[&Cert], roots: &[&Cert]) -> bool {
    let mut here = own;
    for _ in 0..=above.len() {
        let Ok(child) = Parsed::new(&here.der) else { return false };
        let valid = |cert: &&&Cert| cert.facts.valid_at(host.at) && signs(&cert.facts, &child);
        if roots.iter().any(|root| valid(&root)) {
            return true;
        }
        let Some(next) = above.iter().find(valid) else { return false };
        here = next;
    }
    false
}
