//! All tables of the settings, and how far what is wrong in them reaches: one certificate, the certificates of one file of `omens.d`, all,
//! or none.

use std::collections::{BTreeMap, BTreeSet};

use super::LoadOptions;
use super::attestation;
use super::certificate;
use super::files::{self, Merged};
use super::host;
use super::neighbours::Neighbours;
use super::program;
use super::renew_at;
use super::settings::{Certificate, Faults, Faulty, MetricsFile, Paths, Remains, Settings};
use super::shape::{Errors, Shape, Wrong};
use super::tables;
use super::tpm;
use super::tree::Node;
use super::trust::{self, Trust};
use super::value;
use super::written::Written;
use crate::model::code::Code;
use crate::model::name::CertName;
use crate::model::openbao::{AuthMethod, OpenBao};
use crate::model::program::Program;
use crate::model::report::SettingsError;

/// The settings without the certificates that are wrong.
///
/// # Errors
/// What all certificates need is wrong: what is left then. Neither has the list of all errors yet.
pub(super) fn read(merged: &Merged, options: &LoadOptions, errors: &Errors) -> Result<Settings, Box<Remains>> {
    let main = options.file.display().to_string();
    let of_files = errors.after(0);
    let root = Shape::new(&tables::ROOT, &merged.start, &merged.entries, errors);
    let host = root.required("host", host::host);
    let paths = root.or("paths", Paths::default(), host::paths);
    let trust = root.required("trust", trust::trust);
    let roots = trust.as_ref().map(Trust::ders);
    let openbao = root.required("openbao", |node, errors| host::openbao(node, errors, roots.as_deref(), options.check_secrets));
    let tpm = root.get("tpm");
    let sealing = tpm.map_or(Some(None), |node| tpm::tpm(node, errors).map(Some));
    let attestation = root.optional("attestation", |node, errors| attestation::attestation(node, errors, roots.as_deref(), tpm.is_some()));
    let defaults = root.or("defaults", None, renew_at::defaults);
    let of_tables = errors.count() - of_files.len();
    let Telling { metrics, notify, wrong: telling } = Telling::read(&root, merged.broken, errors);

    let identities = identities(openbao.as_ref());
    let nodes = root.get(files::CERTIFICATE).map_or(Some(&[][..]), |node| files::certificates(node, errors));
    let around = Neighbours::new(nodes.unwrap_or_default(), paths.clone().unwrap_or_default(), tpm.is_some(), options.drivers)
        .due_at(defaults.flatten())
        .with_pcrs(sealing.iter().flatten().any(|sealing| !sealing.pcrs.is_empty()))
        .with_identities(identities.clone());
    let drafts: Vec<Draft> = nodes.unwrap_or_default().iter().map(|node| Draft::read(node, &around, errors)).collect();
    let before_unknown = errors.count();
    root.finish();
    nameless(merged, &identities, &drafts, errors);

    // What stands in the main file outside of certificates, or in a table that all of them need, stops everything.
    let (of_main, of_drop_ins): (Vec<_>, Vec<_>) =
        of_files.into_iter().chain(errors.after(before_unknown)).partition(|error| error.file == main);
    let usable = of_tables == 0 && of_main.is_empty() && nodes.is_some();
    match (host, paths, trust, openbao, sealing, attestation) {
        (Some(host), Some(paths), Some(trust), Some(openbao), Some(sealing), Some(attestation)) if usable => {
            let (certificates, faults) = by_certificate(drafts, of_drop_ins, merged.hides);
            let faults = Faults { telling, ..faults };
            let Trust { file: anchor_file, anchor, also, crls, also_at } = trust;
            Ok(Settings {
                file: options.file.clone(),
                host,
                paths,
                anchor,
                anchor_file,
                also,
                crls,
                also_at,
                openbao,
                written: Written::of(merged),
                sealing,
                attestation,
                certificates,
                faults,
                drivers: options.drivers,
                metrics,
                notify,
                credentials: options.credentials.clone(),
            })
        }
        (host, paths, trust, _, sealing, _) => {
            let paths = paths.or_else(|| places(merged));
            let anchors = trust.map(|trust| std::iter::once(trust.anchor).chain(trust.also).collect()).unwrap_or_default();
            let (file, sealing, drivers) = (options.file.clone(), sealing.flatten(), options.drivers);
            Err(Box::new(Remains { file, host, paths, anchors, sealing, metrics, notify, drivers, errors: Vec::new() }))
        }
    }
}

/// Who is told of a run. What is wrong with that stops none: no certificate may expire because nobody can be told of it.
struct Telling {
    metrics: MetricsFile,
    notify: Option<Program>,
    /// The first thing that is wrong.
    wrong: Option<SettingsError>,
}

impl Telling {
    /// `broken`: the file is no TOML in places, and what seems to be missing may stand there.
    fn read(root: &Shape<'_>, broken: bool, errors: &Errors) -> Self {
        let before = errors.count();
        let metrics = match root.or("metrics", None, host::metrics) {
            Some(Some(file)) => MetricsFile::At(file),
            Some(None) if !broken => MetricsFile::None,
            Some(None) | None => MetricsFile::AsBefore,
        };
        let notify = root.or("notify", None, program::notify).flatten();
        Self { metrics, notify, wrong: errors.after(before).into_iter().next() }
    }
}

/// The places of a `[paths]` that is wrong elsewhere.
fn places(merged: &Merged) -> Option<Paths> {
    merged.entries.iter().find(|entry| entry.key == "paths").and_then(|entry| host::places(&entry.node))
}

/// One `[[certificate]]`, as far as it could be read.
struct Draft {
    name: Option<CertName>,
    renamed_from: Option<CertName>,
    file: String,
    read: Result<Certificate, SettingsError>,
}

impl Draft {
    fn read<'a>(node: &'a Node, around: &Neighbours<'a>, errors: &'a Errors) -> Self {
        let before = errors.count();
        let certificate = certificate::certificate(node, around, errors);
        let fault = errors.after(before).into_iter().next().or_else(|| around.profile_fault(node));
        let read = match (certificate, fault) {
            (Some(certificate), None) => Ok(certificate),
            (_, Some(fault)) => Err(fault),
            // Nothing is ever wrong without an error; should it be, then that is no reason to take the certificate.
            (None, None) => Err(node.place.error(Code::BadValue, "it cannot be read")),
        };
        let name_at = |key| node.text_of(key).and_then(|name| value::cert_name(name).ok());
        Self { name: name_at("name"), renamed_from: name_at("renamed_from"), file: node.place.file().to_owned(), read }
    }
}

/// The certificates that logins show.
fn identities(openbao: Option<&OpenBao>) -> Vec<CertName> {
    let logins = openbao.into_iter().flat_map(|openbao| openbao.login.iter().chain(&openbao.revoke_login));
    logins.filter_map(AuthMethod::identity).map(|identity| identity.certificate.clone()).collect()
}

/// Logins that show a certificate which no entry is about.
fn nameless(merged: &Merged, identities: &[CertName], drafts: &[Draft], errors: &Errors) {
    let Some(openbao) = merged.entries.iter().find(|entry| entry.key == "openbao").map(|entry| &entry.node) else { return };
    for name in identities.iter().filter(|name| drafts.iter().all(|draft| draft.name.as_ref() != Some(name))) {
        let wrong = Wrong::value(format!("tpm_identity shows the certificate \"{name}\", and there is none of that name"));
        errors.at(&openbao.place, wrong.suggest(format!("add [[certificate]] with name = \"{name}\" and key = {{ keep = \"resident\" }}")));
    }
}

/// Which earlier name each takes over. What another entry is called or claims too is nobody's to take.
fn earlier_names(drafts: &[Draft]) -> BTreeMap<CertName, CertName> {
    let mut heirs: BTreeMap<&CertName, BTreeSet<&CertName>> = BTreeMap::new();
    for (earlier, name) in drafts.iter().filter_map(|draft| draft.renamed_from.as_ref().zip(draft.name.as_ref())) {
        heirs.entry(earlier).or_default().insert(name);
    }
    let is_free = |earlier: &CertName| drafts.iter().all(|draft| draft.name.as_ref() != Some(earlier));
    let alone = heirs.into_iter().filter(|(earlier, heirs)| heirs.len() == 1 && is_free(earlier));
    alone.flat_map(|(earlier, heirs)| heirs.into_iter().map(|name| (name.clone(), earlier.clone()))).collect()
}

/// Which certificates can be worked on. `of_drop_ins`: what is wrong in files of `omens.d` outside of certificates, which costs those that
/// stand in the same file; `hides`: whether not all of a file could be made out.
fn by_certificate(drafts: Vec<Draft>, of_drop_ins: Vec<SettingsError>, hides: bool) -> (Vec<Certificate>, Faults) {
    let mut faults = Faults::default();
    let mut named: BTreeMap<CertName, usize> = BTreeMap::new();
    for name in drafts.iter().filter_map(|draft| draft.name.clone()) {
        *named.entry(name).or_default() += 1;
    }
    let mut earlier = earlier_names(&drafts);
    let twice = |name: &CertName| named.get(name).is_some_and(|count| *count > 1);
    // Of two with one name nobody knows which counts: the error stands at the second.
    let duplicates: BTreeMap<CertName, SettingsError> = drafts
        .iter()
        .filter_map(|draft| Some((draft.name.clone()?, draft.read.as_ref().err()?.clone())))
        .filter(|(name, _)| twice(name))
        .collect();
    let lost = of_drop_ins.iter().find(|error| hides || drafts.iter().all(|draft| draft.file != error.file));
    faults.hidden = lost.cloned();
    let mut certificates = Vec::new();
    for Draft { name, file, read, .. } in drafts {
        let of_file = of_drop_ins.iter().find(|error| error.file == file);
        let of_name = name.as_ref().and_then(|name| duplicates.get(name));
        let read = match (of_file, read) {
            (Some(error), _) => Err(error.clone()),
            (None, Ok(certificate)) => match of_name {
                Some(error) => Err(error.clone()),
                None => Ok(certificate),
            },
            (None, Err(error)) => Err(error),
        };
        match (read, name) {
            (Ok(certificate), _) => certificates.push(certificate),
            (Err(error), Some(name)) if faults.of(&name).is_none() => {
                let renamed_from = earlier.remove(&name);
                faults.certificates.push(Faulty { name, renamed_from, error });
            }
            (Err(_), Some(_)) => {}
            (Err(error), None) => faults.hidden = Some(faults.hidden.unwrap_or(error)),
        }
    }
    (certificates, faults)
}
