//! Revocation lists that a service is told to use beside a trust list: whether they cover every authority of it, whether they are current,
//! and what they revoke. OpenSSL asks for a list of every issuer of a path, the root included (`X509_V_FLAG_CRL_CHECK_ALL`).

use super::blocks::Cert;
use super::container::Crl;
use super::host::{HostMaterial, about};
use super::pem_cache::PemFile;
use crate::audit::facts::findings::HostFindings;
use crate::audit::facts::wiring::Trust;
use crate::judge::cert::Facts;
use crate::judge::lint::audit;
use crate::model::audit::Location;

/// Judges the lists of every trust list that has some.
pub(super) fn judge(host: &HostMaterial<'_>, findings: &mut HostFindings) {
    for trust in host.wiring.trusts.iter().filter(|trust| !trust.terms.crls.is_empty()) {
        // A file that is not there is said where it is named.
        if trust.terms.crls.iter().all(|path| host.cache.file(path).is_some()) {
            lists(host, trust, findings);
            covered(host, trust, findings);
        }
    }
}

/// The revocation lists beside a trust list.
fn of<'r>(host: &'r HostMaterial<'_>, trust: &'r Trust) -> impl Iterator<Item = Listed<'r>> {
    let files = trust.terms.crls.iter().filter_map(|path| host.cache.file(path));
    files.flat_map(|file| file.content.crls().map(move |(crl, line)| Listed { crl, file, line }))
}

/// One of them, where it lies.
struct Listed<'r> {
    crl: &'r Crl,
    file: &'r PemFile,
    line: u32,
}

fn lists(host: &HostMaterial<'_>, trust: &Trust, findings: &mut HostFindings) {
    for path in &trust.terms.crls {
        if host.cache.file(path).is_some_and(|file| file.content.crls().next().is_none()) {
            let draft = about(&audit::CRL_MALFORMED, &trust.consumer, path).expected("revocation lists in PEM").found("none");
            findings.add(draft.remedy("write the list in PEM: openssl crl -inform der -in FILE -out FILE.pem"));
        }
    }
    for Listed { crl, file, line } in of(host, trust) {
        if let Some(next) = crl.next_update.filter(|next| *next <= host.at) {
            let draft = about(&audit::CRL_EXPIRED, &trust.consumer, &file.path).file(Location::line(&file.path, line));
            let draft = draft.expected(format!("a list of {} that is valid at {}", crl.issuer_words, host.at));
            findings.add(
                draft
                    .found(format!("nextUpdate {next}"))
                    .evidence("every certificate below that authority is refused: \"CRL has expired\""),
            );
        }
    }
}

/// Every authority of the trust list has a list of its own.
fn covered(host: &HostMaterial<'_>, trust: &Trust, findings: &mut HostFindings) {
    let known: Vec<&Crl> = of(host, trust).map(|listed| listed.crl).collect();
    let mut told: Vec<&[u8]> = Vec::new();
    if known.is_empty() {
        return;
    }
    for cert in host.listed(trust).filter(|cert| is_authority(cert)) {
        let name = cert.facts.subject.der.as_slice();
        if known.iter().any(|crl| crl.issuer == name) || told.contains(&name) {
            continue;
        }
        told.push(name);
        let found = known.iter().map(|crl| crl.issuer_words.as_str()).collect::<Vec<_>>().join("; ");
        let path = trust.terms.crls.first().map(std::path::PathBuf::as_path).unwrap_or_else(|| std::path::Path::new("/"));
        let draft = about(&audit::CRL_MISSING, &trust.consumer, path).expected(format!("a list of {}", cert.facts.subject));
        findings.add(
            draft
                .found(format!("lists of {found}"))
                .evidence("every client whose path passes that authority is refused: \"unable to get certificate CRL\"")
                .remedy(format!("append the current revocation list of {} to {}", cert.facts.subject, path.display())),
        );
    }
}

fn is_authority(cert: &Cert) -> bool {
    cert.is_ca() || cert.facts.self_issued()
}

/// Whether a list beside this trust list revokes a certificate.
pub(super) fn is_revoked(host: &HostMaterial<'_>, trust: &Trust, facts: &Facts) -> bool {
    of(host, trust).any(|listed| listed.crl.issuer == facts.issuer.der && listed.crl.revoked.contains(&facts.serial))
}
