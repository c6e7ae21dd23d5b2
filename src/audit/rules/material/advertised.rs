//! Addresses that a service sends its clients to, against the names in the certificate that it shows there.

use super::host::HostMaterial;
use super::{lints, names};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::model::audit::{Location, Object};

/// Judges all of them: one that none of the program's own listeners has a certificate for.
pub(super) fn judge(host: &HostMaterial<'_>, findings: &mut HostFindings) {
    for one in &host.wiring.advertised {
        let own = |listener: &&crate::audit::facts::wiring::Listener| {
            listener.tls && listener.port == one.port && listener.consumer.program == one.consumer.program
        };
        let pairs = host.wiring.listeners.iter().filter(own).flat_map(|listener| &listener.pairs);
        let pairs: Vec<_> = pairs.filter_map(|index| host.wiring.pairs.get(*index)).collect();
        let leaves: Vec<_> = pairs.iter().filter_map(|pair| Some((*pair, host.leaf(pair)?))).collect();
        let Some((pair, leaf)) = leaves.first() else { continue };
        if leaves.iter().any(|(_, leaf)| names::covers(&leaf.facts, &one.host)) {
            continue;
        }
        let from = &one.consumer;
        let object = Object::File(format!("{}#{}", from.location.path, one.option));
        let draft = NewFinding::new(&lints::ADVERTISED_NAME, from.target.clone().at_line(from.location.line), object);
        let draft = draft.file(from.location.clone()).file(Location::file(&pair.certificate));
        let draft = draft.expected(one.host.clone()).found(names::list(&leaf.facts));
        findings.add(draft.evidence(format!("{} sends clients of a standby to {}", one.option, one.host)));
    }
}
