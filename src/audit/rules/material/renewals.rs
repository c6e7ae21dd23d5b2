//! Renewals that nobody hears of: a service goes on with the certificate that it read at its start, until that ends.

use std::path::Path;

use super::host::HostMaterial;
use super::lints;
use crate::audit::consumer::renewers;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::wiring::{Pair, Renewal};
use crate::model::audit::{Location, Object};
use crate::model::profile::Purpose;

/// Judges every renewal that runs nothing itself, by who uses its files and by what else on the host reloads them.
pub(super) fn judge(host: &HostMaterial<'_>, findings: &mut HostFindings) {
    for renewal in host.wiring.renewals.iter().filter(|renewal| !renewal.tells) {
        let used = |pair: &&Pair| pair.purpose != Purpose::Client && writes(host, renewal, &pair.certificate);
        let users = host.wiring.pairs.iter().filter(used);
        let deaf = users.filter(|pair| !renewers::is_told(&host.wiring.reloads, pair.consumer.program.name));
        let Some(pair) = deaf.into_iter().next() else { continue };
        let from = &renewal.consumer;
        let object = Object::file(&from.location.path);
        let draft = NewFinding::new(&lints::RENEWAL_UNHEARD, from.target.clone(), object).file(from.location.clone());
        let draft = draft.file(pair.consumer.location.clone()).file(Location::file(&pair.certificate));
        let program = pair.consumer.program.name;
        let draft =
            draft.expected(format!("something that reloads {program} after a renewal")).found(format!("{} runs nothing", renewal.what));
        findings.add(draft.evidence(format!("{} uses {}", pair.consumer.target, pair.certificate.display())).breaks(program));
    }
}

fn writes(host: &HostMaterial<'_>, renewal: &Renewal, certificate: &Path) -> bool {
    let real = host.basis.view.real(certificate).ok();
    let ways = [Some(certificate), real.as_deref()];
    renewal.files.iter().any(|file| ways.iter().flatten().any(|way| way.starts_with(file)))
}
