//! Cipher suites of TLS 1.2 and the key that a listener has: a suite for RSA is of no use with an EC key. TLS 1.3 chooses keys by
//! themselves (RFC 8446 §4.2.3).

use super::host::{HostMaterial, about};
use super::lints;
use crate::audit::facts::findings::HostFindings;
use crate::audit::facts::wiring::Pair;
use crate::judge::pair::KeyKind;
use crate::model::finding::Severity;
use crate::model::key::KeyAlgorithm;

/// Judges every listener whose suites are named one by one.
pub(super) fn judge(host: &HostMaterial<'_>, findings: &mut HostFindings) {
    for listener in host.wiring.listeners.iter().filter(|listener| listener.tls) {
        let (Some(suites), Some(versions)) = (&listener.terms.suites, listener.terms.versions) else { continue };
        let pairs: Vec<&Pair> = listener.pairs.iter().filter_map(|index| host.wiring.pairs.get(*index)).collect();
        let keys: Vec<(&Pair, bool)> = pairs
            .iter()
            .filter_map(|pair| {
                let key = &host.leaf(pair)?.facts.key;
                Some((*pair, is_ec(&key.kind)?))
            })
            .collect();
        let Some((pair, ec)) = keys.first().filter(|_| keys.len() == pairs.len()) else { continue };
        if !versions.tls12 || keys.iter().any(|(_, ec)| suites.fits(*ec)) {
            continue;
        }
        let kind = if *ec { "an EC key" } else { "an RSA key" };
        let draft = about(&lints::SUITES_KEY, &listener.consumer, &pair.certificate).expected(format!("a suite for {kind}"));
        let draft = draft.found(suites.words()).evidence("the handshake ends with \"no shared cipher\"");
        let only = "TLS 1.3 still works: clients of TLS 1.2 are refused";
        findings.add(if versions.tls13 { draft.severity(Severity::Medium).evidence(only) } else { draft });
    }
}

/// Whether a key signs by suites for EC, and not by those for RSA; of other keys nothing is said.
const fn is_ec(kind: &KeyKind) -> Option<bool> {
    match kind {
        KeyKind::P521 | KeyKind::Own(KeyAlgorithm::EcP256 | KeyAlgorithm::EcP384 | KeyAlgorithm::Ed25519) => Some(true),
        KeyKind::Own(KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096) | KeyKind::Rsa { bits: Some(_), .. } => {
            Some(false)
        }
        _ => None,
    }
}
