//! Two roots of one name in a trust list. OpenSSL looks an issuer up by its name, and takes another of that name only where the key identifiers
//! tell them apart (X509_check_issued(3)); of those that fit it takes the one that ends last.

use super::super::blocks::Cert;
use super::super::host::HostMaterial;
use super::super::lints;
use super::List;
use crate::audit::facts::findings::HostFindings;
use crate::judge::parsed::Parsed;
use crate::judge::path::signs;
use crate::model::finding::Severity;

/// Judges a list.
pub(super) fn judge(host: &HostMaterial<'_>, list: &List<'_>, findings: &mut HostFindings) {
    let roots: Vec<&Cert> = list.roots().filter(|root| root.facts.valid_at(host.at)).collect();
    let twin = |one: &&Cert, other: &&Cert| one.facts.subject.der == other.facts.subject.der && one.facts.spki != other.facts.spki;
    let Some((first, second)) =
        roots.iter().enumerate().find_map(|(index, one)| Some((*one, *roots.iter().skip(index + 1).find(|other| twin(one, other))?)))
    else {
        return;
    };
    let draft = list.about(&lints::TRUST_NAMESAKE).expected(format!("one root of the name {}", first.facts.subject));
    let draft = draft.found(format!("{}; {}", first.words(), second.words()));
    let taken = if first.facts.not_after < second.facts.not_after { second } else { first };
    let lost = list.trust.consumer.program.is_openssl().then(|| misled(host, taken, [first, second])).flatten();
    findings.add(match lost {
        Some(cert) => draft.severity(Severity::High).evidence(format!(
            "nothing in {} tells which one signed it: OpenSSL takes {} and refuses it",
            cert.words(),
            taken.words()
        )),
        None => draft,
    });
}

/// A certificate of this host below the other one, in which no key identifier tells the two apart.
fn misled<'a>(host: &'a HostMaterial<'_>, taken: &Cert, both: [&Cert; 2]) -> Option<&'a Cert> {
    let ids: Vec<Option<&[u8]>> =
        both.iter().map(|root| root.facts.extensions.subject_key.as_ref().map(|key| key.key_id.as_slice())).collect();
    let apart = ids.iter().all(Option::is_some) && ids.first() != ids.last();
    let all = host.cache.all().flat_map(|file| file.content.certificates()).map(|(cert, _)| cert);
    let named = all.filter(|cert| !cert.facts.self_issued() && cert.facts.issuer.der == taken.facts.subject.der);
    named.into_iter().find(|cert| {
        let says = cert.facts.extensions.authority_key.as_ref().is_some_and(|key| key.key_id.is_some());
        let signed_by = |root: &Cert| Parsed::new(&cert.der).is_ok_and(|child| signs(&root.facts, &child));
        if apart && says || signed_by(taken) {
            return false;
        }
        both.iter().any(|root| signed_by(root))
    })
}
