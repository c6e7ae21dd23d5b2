//! Renewals that their services do not hear of: a service goes on with the certificate that it read at its start, until that ends.

use std::path::Path;

use super::host::HostMaterial;
use super::lints;
use crate::audit::consumer::renewers;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::wiring::{Pair, Renewal};
use crate::model::audit::{Location, Object};
use crate::model::profile::Purpose;

/// Judges every renewal by who uses its files, by whom it tells itself, and by what else on the host reloads them.
pub(super) fn judge(host: &HostMaterial<'_>, findings: &mut HostFindings) {
    for renewal in &host.wiring.renewals {
        let used = |pair: &&Pair| pair.purpose != Purpose::Client && writes(host, renewal, &pair.certificate);
        let users = host.wiring.pairs.iter().filter(used);
        let hears = |pair: &&Pair| {
            let name = pair.consumer.program.name;
            renewers::is_told(&renewal.told, name) || renewers::is_told(&host.wiring.reloads, name)
        };
        let mut deaf = users.filter(|pair| !hears(pair));
        let Some(pair) = deaf.next() else { continue };
        let from = &renewal.consumer;
        let object = Object::file(&from.location.path);
        let draft = NewFinding::new(&lints::RENEWAL_UNHEARD, from.target.clone(), object).file(from.location.clone());
        let draft = draft.file(pair.consumer.location.clone()).file(Location::file(&pair.certificate));
        let program = pair.consumer.program.name;
        let found = if renewal.told.is_empty() {
            format!("{} runs nothing", renewal.what)
        } else {
            format!("{} reloads {}", renewal.what, renewal.told.iter().take(6).cloned().collect::<Vec<_>>().join(", "))
        };
        let draft = draft.expected(format!("something that reloads {program} after a renewal")).found(found);
        findings.add(draft.evidence(format!("{} uses {}", pair.consumer.target, pair.certificate.display())).breaks(program));
    }
}

fn writes(host: &HostMaterial<'_>, renewal: &Renewal, certificate: &Path) -> bool {
    let real = host.basis.view.real(certificate).ok();
    let ways = [Some(certificate), real.as_deref()];
    renewal.files.iter().any(|file| ways.iter().flatten().any(|way| way.starts_with(file)))
}
