//! Certificates that omens keeps itself: policy, files, key and what the plan says of them, for the report. It must never decide what the
//! plan decides: it reads the plan.

mod files;
pub mod lints;
pub mod mounted;
mod roots;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::audit::consumer::nginx;
use crate::audit::facts::chains;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::given::NamedFile;
use crate::audit::facts::service::Service;
use crate::config::settings::{Certificate, Settings};
use crate::io::look::View;
use crate::judge::assess::{Question, Requirements, assess};
use crate::judge::lint::{self, Lint, PAIR_MISMATCH};
use crate::judge::{Gate, gate};
use crate::model::audit::{Location, Object, Target, Verdict};
use crate::model::clock::Time;
use crate::model::finding::Severity;
use crate::model::layout;
use crate::model::openbao::{AuthMethod, Cert};
use crate::model::profile::Purpose;
use crate::model::reason::{Reason, ReasonCode};
use crate::model::report::SettingsError;
use crate::plan::attestation;
use crate::plan::choice::Plan;
use crate::plan::decide::{Wishes, decide};
use crate::plan::generation::{Kept, certificates};
use crate::plan::health::{self, Moment};
use crate::plan::inventory::{Depth, Inventory, Tree};
use crate::plan::overdue::Deadline;
use crate::plan::window::Hold;
use crate::plan::{scheduler, under_way};

/// What the audit knows of omens itself. Its files are judged by its settings, which only the command line knows.
pub static SERVICE: Service = Service { unit_words: &["omens"], ..Service::named("omens", lints::ALL) };

/// Settings that cannot be used are findings, each at its line.
pub fn settings_are_wrong(errors: &[SettingsError], findings: &mut HostFindings) {
    for error in errors {
        let line = error.line.and_then(|line| u32::try_from(line).ok());
        let location = Location { path: error.file.clone(), line };
        let draft = NewFinding::at(&lints::SETTINGS, Target::new("settings", error.file.clone()), location).found(error.text.clone());
        findings.add(match &error.suggestion {
            Some(remedy) => draft.remedy(remedy.clone()),
            None => draft,
        });
    }
}

/// The main files of nginx that the settings name: instances that are at no usual place.
#[must_use]
pub fn named_files(settings: &Settings) -> Vec<NamedFile> {
    let services = settings.certificates.iter().flat_map(|certificate| &certificate.reload);
    let files = services.filter(|service| service.id().driver() == nginx::SERVICE.name).filter_map(|service| service.configuration());
    let files: BTreeSet<PathBuf> = files.map(Path::to_path_buf).collect();
    files.into_iter().map(|path| NamedFile { service: nginx::SERVICE.name, path }).collect()
}

/// Judges every certificate of the settings by what lies on the disk.
pub fn judge(settings: &Settings, findings: &mut HostFindings) {
    let all: Vec<&Certificate> = settings.certificates.iter().collect();
    let inventory = match under_way::look(settings, &all, Depth::Whole) {
        Ok(inventory) => inventory,
        Err(error) => {
            let location = Location::file(&error.path);
            let target = Target::new("settings", settings.file.display().to_string());
            return findings.add(NewFinding::at(&lints::UNREADABLE_TREE, target, location).found(error.to_string()));
        }
    };
    leftovers(settings, &inventory, findings);
    broken_glass(settings, findings);
    logins(settings, findings);
    let host = Host { settings, last_run: inventory.last_run, period: scheduler::period(&View::host()) };
    for (observed, certificate) in inventory.certificates.iter().zip(&all) {
        match &observed.tree {
            Ok(tree) => one(&host, certificate, tree, findings),
            Err(error) => {
                let draft = NewFinding::at(&lints::DAMAGED, target(certificate), Location::file(&error.path));
                findings.add(draft.found(error.to_string()).remedy(error.hint()));
            }
        }
    }
}

/// Certificates that log in at OpenBao: without one nothing is renewed any more, and nothing renews it unless it is among the settings.
fn logins(settings: &Settings, findings: &mut HostFindings) {
    for login in &settings.openbao.login {
        let AuthMethod::Cert(Cert { cert, .. }) = login else { continue };
        let target = || Target::new("login", cert.display().to_string());
        let text = match View::host().text(cert) {
            Ok(text) => text,
            Err(error) => {
                crate::audit::facts::unread::unreadable(findings, target(), Location::file(cert), &error);
                continue;
            }
        };
        let ders = certificates(text.as_bytes());
        let Some((leaf, above)) = ders.split_first() else {
            crate::audit::facts::unread::malformed(findings, target(), Location::file(cert), "a certificate", "none");
            continue;
        };
        let asked = Requirements { purpose: Some(Purpose::Client), ..Requirements::default() };
        let anchors = settings.anchor_ders();
        let question = Question { leaf, candidates: above, anchors: &anchors, crls: &[], spki: None, asked: &asked, at: findings.at() };
        let assessment = assess(&question);
        let Some(facts) = &assessment.facts else { continue };
        // OpenBao may trust another authority for logins; how long it lives and what it is for are the same anywhere.
        let own = assessment.findings.iter().filter(|finding| ["validity.", "eku."].iter().any(|area| finding.id.starts_with(area)));
        for finding in own {
            if let Some(draft) = NewFinding::of(finding, target(), Object::certificate(&facts.sha256)) {
                let consequence = "it logs in at OpenBao: without it nothing on this host is renewed";
                findings.add(draft.file(Location::file(cert)).file(Location::file(&settings.file)).evidence(consequence));
            }
        }
        if assessment.verdict == Verdict::Accept {
            findings.chain(chains::chain(target(), &assessment, findings.at()));
        }
    }
}

fn leftovers(settings: &Settings, inventory: &Inventory, findings: &mut HostFindings) {
    for name in &inventory.unnamed {
        let path = settings.paths.state.join(layout::CERTS).join(name);
        findings.add(NewFinding::at(&lints::LEFTOVER, Target::new("settings", name.clone()), Location::file(path)));
    }
}

fn broken_glass(settings: &Settings, findings: &mut HostFindings) {
    let location = Location::file(settings.paths.state.join(layout::ATTEST).join(layout::BREAK_GLASS));
    match attestation::break_glass(&settings.paths.state) {
        Ok(None) => {}
        Ok(Some(warning)) => {
            findings.add(NewFinding::at(&lints::BREAK_GLASS, Target::new("settings", "attestation"), location).found(warning.text))
        }
        Err(error) => {
            findings.add(NewFinding::at(&lints::UNREADABLE_TREE, Target::new("settings", "attestation"), location).found(error.to_string()))
        }
    }
}

fn target(certificate: &Certificate) -> Target {
    Target::new("certificate", certificate.name().as_str())
}

/// Where the committed generation lies.
fn directory(settings: &Settings, certificate: &Certificate) -> PathBuf {
    settings.paths.state.join(layout::CERTS).join(certificate.name().as_str()).join(layout::LIVE)
}

/// What the certificates of a host share.
struct Host<'a> {
    settings: &'a Settings,
    last_run: Option<Time>,
    /// How often the installed scheduler looks.
    period: Option<Duration>,
}

fn one(host: &Host<'_>, certificate: &Certificate, tree: &Tree, findings: &mut HostFindings) {
    let settings = host.settings;
    let step = decide(settings, certificate, tree, findings.at(), Wishes::default());
    for reason in &step.reasons {
        if let Some((lint, severity)) = lint_of(reason) {
            let path = match reason.code {
                ReasonCode::Unpublished => settings.paths.run.join(certificate.name().as_str()),
                _ => directory(settings, certificate),
            };
            let draft = NewFinding::at(lint, target(certificate), Location::file(path)).severity(severity).found(reason.text.clone());
            findings.add(match (&tree.state.debt, reason.code) {
                (Some(debt), ReasonCode::Debt) => draft.since(debt.since).evidence(debt.failure.text.clone()),
                _ => draft,
            });
        }
    }
    let live = tree.live.as_ref().and_then(|live| live.facts.as_ref());
    let late = step.due_at.filter(|_| !matches!(step.hold, Hold::Until(_)));
    let deadline = late.zip(live).map(|(due, facts)| Deadline { due, expires: facts.not_after, period: host.period });
    let is_due = step.plan != Plan::Rest;
    let moment = Moment { is_due, deadline, last_run: host.last_run, is_writable: true, now: findings.at() };
    if let Some(error) = health::last_error(tree, &moment) {
        let draft = NewFinding::at(
            &lints::LAST_ERROR,
            target(certificate),
            Location::file(directory(settings, certificate).with_file_name(layout::STATE)),
        );
        findings.add(draft.found(error.failure.text.clone()).since(error.at));
    }
    for kept in tree.live.iter().chain(&tree.debt) {
        keeping(settings, certificate, kept, findings);
    }
    if let Some(live) = &tree.live {
        if let Some(deadline) = deadline {
            overdue(settings, certificate, &deadline, findings);
        }
        by_profile(settings, certificate, live, findings);
    }
}

/// What a reason of the plan means for a report; what is in order or said elsewhere means nothing.
const fn lint_of(reason: &Reason) -> Option<(&'static Lint, Severity)> {
    let lint = match reason.code {
        ReasonCode::Missing => &lints::MISSING,
        ReasonCode::Unreadable => &lints::DAMAGED,
        ReasonCode::KeyMismatch => &PAIR_MISMATCH,
        ReasonCode::ChangedOnDisk => &lints::CHANGED,
        ReasonCode::SettingsChanged => &lints::OTHER_THAN_SETTINGS,
        ReasonCode::Debt => &lints::NOT_TAKEN_UP,
        ReasonCode::Unpublished => &lints::UNPUBLISHED,
        ReasonCode::Unproven => &lints::UNPROVEN,
        ReasonCode::LinkMissing => &lints::LINK_MISSING,
        ReasonCode::Revoked => &lints::REVOKED,
        ReasonCode::TrustChanged => &lints::TRUST_NOT_TAKEN_UP,
        // The certificate itself is judged below, the settings above.
        ReasonCode::Settings => return None,
        ReasonCode::NotYetValid | ReasonCode::Expired | ReasonCode::InWindow | ReasonCode::Overdue => return None,
        ReasonCode::Forced | ReasonCode::InProgress | ReasonCode::Fresh => return None,
    };
    Some((lint, lint.severity))
}

fn keeping(settings: &Settings, certificate: &Certificate, kept: &Kept, findings: &mut HostFindings) {
    if !certificate.keep.rests_in_clear() && kept.keep.rests_in_clear() {
        let generation = directory(settings, certificate).with_file_name(kept.generation.to_string());
        let draft = NewFinding::at(&lints::PLAIN_KEY, target(certificate), Location::file(generation.join(layout::KEY)));
        findings.add(draft.expected("keep = \"sealed\"").found("a key file in clear").file(Location::file(&settings.file)));
    }
}

fn overdue(settings: &Settings, certificate: &Certificate, deadline: &Deadline, findings: &mut HostFindings) {
    // What has ended says so itself.
    let Some(reason) = deadline.reason(findings.at()) else { return };
    let location = Location::file(directory(settings, certificate).join(layout::CERT));
    let draft = NewFinding::at(&lints::OVERDUE, target(certificate), location).expected(format!("renewed at {}", deadline.due));
    findings.add(draft.found(reason.text).since(deadline.due));
}

/// The same verdict as the gate's, on what is committed.
fn by_profile(settings: &Settings, certificate: &Certificate, live: &Kept, findings: &mut HostFindings) {
    let (leaf, candidates) = (certificates(live.cert_pem().as_bytes()), certificates(live.chain_pem().as_bytes()));
    let (Some(leaf), Some(facts)) = (leaf.first(), &live.facts) else { return };
    let request = &certificate.request;
    let pinned = settings.anchors();
    let question = Gate { request, anchors: &pinned, leaf, candidates: &candidates, spki: &facts.spki, serves_until: None };
    let verdict = gate(&question, findings.at());
    let (object, location) = (Object::certificate(&facts.sha256), Location::file(directory(settings, certificate).join(layout::CERT)));
    for finding in &verdict.findings {
        let Some(draft) = NewFinding::of(finding, target(certificate), object.clone()) else { continue };
        let remedy = lint::find(&finding.id).and_then(|lint| lint.remedy_for(&settings.openbao.mount, certificate.issuer.role()));
        let draft = draft.file(location.clone());
        findings.add(match remedy {
            Some(remedy) => draft.remedy(remedy),
            None => draft,
        });
    }
    let asked =
        Requirements { profile: Some(Arc::clone(&request.profile)), purpose: Some(request.profile.purpose), ..Requirements::default() };
    let anchors = settings.anchor_ders();
    let question = Question { leaf, candidates: &candidates, anchors: &anchors, crls: &[], spki: None, asked: &asked, at: findings.at() };
    let chain = chains::chain(target(certificate), &assess(&question), findings.at());
    findings.chain(chain);
}

#[cfg(test)]
mod tests;
