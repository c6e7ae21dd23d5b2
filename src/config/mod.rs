//! Settings: file shapes → fragments → validated [`settings::Settings`], all errors at once with file, line and column.
//! It must never start a process or use the network.
//!
#![doc = include_str!("settings.md")]

pub mod attestation;
mod certificate;
mod driver;
pub mod endpoint;
mod files;
mod host;
mod login;
mod profile;
pub mod program;
pub mod service;
pub mod settings;
pub mod shape;
mod tpm;
pub mod tree;
pub mod value;
mod window;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::code::Code;
use crate::model::profile::Profile;
use crate::model::report::SettingsError;
use certificate::Neighbours;
use files::Merged;
use service::Drivers;
use settings::{Paths, Settings};
use shape::{Errors, Shape};

/// Where the settings lie and how closely they are looked at.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The file of `--config`; `omens.d/*.toml` beside it is read too.
    pub file: PathBuf,
    /// `$CREDENTIALS_DIRECTORY`, kept in the settings for `credential:NAME`.
    pub credentials: Option<PathBuf>,
    /// Whether `file:` secrets have to be there with the right owner and mode.
    pub check_secrets: bool,
    /// The kinds of service that `reload` may name.
    pub drivers: Drivers,
}

/// Reads and checks the settings and the profiles that they use.
///
/// # Errors
/// Everything that is wrong, in the order of the files and their lines. A part of the settings is never used alone.
pub fn load(options: &LoadOptions) -> Result<Settings, Vec<SettingsError>> {
    let errors = Errors::default();
    let merged = files::read(&options.file, &errors);
    let settings = merged.as_ref().and_then(|merged| settings(merged, options, &errors));
    let broken = merged.as_ref().is_some_and(|merged| merged.broken);
    let errors = in_order(errors.into_inner(), &options.file.display().to_string(), broken);
    match settings {
        Some(settings) if errors.is_empty() => Ok(settings),
        _ => Err(errors),
    }
}

/// The profile of this name, as a certificate's `profile` would find it, or of this file where the word holds a slash.
///
/// # Errors
/// There is none, or what is wrong in it.
pub fn profile(word: &str, policies: &Path) -> Result<Arc<Profile>, Vec<SettingsError>> {
    let errors = Errors::default();
    let profile = profile::named(word, policies, &errors);
    profile.ok_or_else(|| errors.into_inner())
}

/// By file, the main one first, and by place. Where a file is no TOML in places, what seems to be missing and what stands in such a line
/// is left out: the syntax error is its cause.
fn in_order(mut errors: Vec<SettingsError>, main: &str, broken: bool) -> Vec<SettingsError> {
    if broken {
        let lines: Vec<_> = errors.iter().filter(|e| e.code == Code::Syntax).map(|e| (e.file.clone(), e.line)).collect();
        errors.retain(|e| e.code == Code::Syntax || (e.code != Code::Missing && !lines.contains(&(e.file.clone(), e.line))));
    }
    errors.sort_by(|a, b| (a.file != main, &a.file, a.line, a.column).cmp(&(b.file != main, &b.file, b.line, b.column)));
    errors
}

fn settings(merged: &Merged, options: &LoadOptions, errors: &Errors) -> Option<Settings> {
    let root = Shape::new(shape::TOP_LEVEL, &merged.start, &merged.entries, errors);
    let host = root.required("host", host::host);
    let paths = root.or("paths", Paths::default(), host::paths);
    let trust = root.required("trust", host::trust);
    let anchor = trust.as_ref().map(|(_, anchor)| anchor);
    let openbao = root.required("openbao", |node, errors| host::openbao(node, errors, anchor, options.check_secrets));
    let tpm = root.get("tpm");
    let sealing = tpm.map_or(Some(None), |node| tpm::tpm(node, errors).map(Some));
    let around = Neighbours::new(paths.clone().unwrap_or_default(), tpm.is_some(), options.drivers);
    let certificates = root.or(files::CERTIFICATE, Vec::new(), |node, errors| {
        let nodes = files::certificates(node, errors)?;
        let read: Vec<_> = nodes.iter().map(|node| certificate::certificate(node, &around, errors)).collect();
        read.into_iter().collect::<Option<Vec<_>>>()
    });
    let attestation = root.optional("attestation", |node, errors| attestation::attestation(node, errors, anchor, tpm.is_some()));
    let metrics = root.or("metrics", None, host::metrics);
    root.finish();
    let (anchor_file, anchor) = trust?;
    let file = options.file.clone();
    let credentials = options.credentials.clone();
    let (host, paths, openbao, sealing, attestation) = (host?, paths?, openbao?, sealing?, attestation?);
    let (certificates, metrics) = (certificates?, metrics?);
    Some(Settings {
        file,
        host,
        paths,
        anchor,
        anchor_file,
        openbao,
        sealing,
        attestation,
        certificates,
        drivers: options.drivers,
        metrics,
        credentials,
    })
}
