//! The roots of a trust list against the one that is pinned, or, where none is, against those that the host's own certificates lead to.

use super::super::host::{HostMaterial, about};
use super::super::lints;
use super::List;
use crate::audit::facts::findings::HostFindings;
use crate::judge::cert::Facts;
use crate::judge::lint::{self, Lint};
use crate::model::audit::Location;
use crate::model::finding::Severity;

pub(super) fn judge(host: &HostMaterial<'_>, list: &List<'_>, proven: &[Vec<u8>], findings: &mut HostFindings) {
    let pinned = host.basis.pinned;
    let pins: Vec<Facts> =
        if pinned { &host.basis.given.anchors } else { proven }.iter().filter_map(|der| Facts::parse(der).ok()).collect();
    let has_pin = list.certs.iter().any(|(cert, ..)| pins.iter().any(|pin| pin.spki == cert.facts.spki));
    for (cert, file, line) in list.certs.iter().filter(|(cert, ..)| cert.facts.self_issued()) {
        if pins.is_empty() || pins.iter().any(|pin| pin.spki == cert.facts.spki) {
            continue;
        }
        let namesake = pins.iter().any(|pin| pin.subject.der == cert.facts.subject.der);
        let (lint, severity): (&'static Lint, _) = match (namesake, has_pin) {
            (true, false) => (&lint::ANCHOR_OTHER_KEY, Severity::High),
            // Old and new root of one name, in a rotation.
            (true, true) if pinned => (&lints::TRUST_SURPLUS, Severity::Low),
            (false, true) if pinned => (&lints::TRUST_SURPLUS, Severity::Low),
            (false, false) if pinned => (&lints::TRUST_SURPLUS, Severity::Medium),
            _ => continue,
        };
        let expected = pins.iter().take(4).map(|pin| format!("{} (sha256 {})", pin.subject, pin.sha256)).collect::<Vec<_>>().join("; ");
        let draft = about(lint, &list.trust.consumer, &file.path).file(Location::line(&file.path, *line)).severity(severity);
        let draft = if lint.id == lint::ANCHOR_OTHER_KEY.id {
            draft.remedy("compare both roots by their sha256, and write the one that signs today into this list; look at how the other one came there")
        } else {
            draft
        };
        findings.add(list.everybody(draft.expected(expected).found(cert.words())));
    }
}
