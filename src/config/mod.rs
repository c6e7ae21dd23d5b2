//! Settings: file shapes → fragments → validated [`settings::Settings`], all errors at once with file, line and column.
//! It must never start a process or use the network.
//!
#![doc = include_str!("settings.md")]

pub mod attestation;
mod certificate;
mod driver;
mod faults;
pub mod endpoint;
mod files;
pub mod form;
mod host;
pub mod install;
pub mod keys;
mod login;
mod names;
pub(crate) mod nearest;
mod neighbours;
mod pem;
mod profile;
pub mod program;
mod reach;
pub mod reference;
mod renew_at;
mod resident;
pub mod service;
pub mod settings;
pub mod shape;
mod tables;
mod tpm;
pub mod trust;
pub mod tree;
pub mod value;
mod window;
mod written;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::io::account;
use crate::io::look::View;
use crate::model::code::Code;
use crate::model::profile::Profile;
use crate::model::report::SettingsError;
use crate::model::text::without_base64;
use service::Drivers;
use settings::{Faults, MetricsFile, Paths, Remains, Settings};
use shape::Errors;

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

/// Reads and checks the settings and the profiles that they use, and takes nothing that is wrong anywhere.
///
/// # Errors
/// Everything that is wrong, in the order of the files and their lines.
pub fn load(options: &LoadOptions) -> Result<Settings, Vec<SettingsError>> {
    match by_reach(options) {
        Ok(settings) if settings.faults.errors.is_empty() => Ok(settings),
        Ok(settings) => Err(settings.faults.errors),
        Err(remains) => Err(remains.errors),
    }
}

/// The same by the reach of what is wrong ([Faults by their reach](crate::config#faults-by-their-reach)): what is wrong within one
/// certificate costs that certificate.
///
/// # Errors
/// What all certificates need is wrong: what is left then.
pub fn by_reach(options: &LoadOptions) -> Result<Settings, Box<Remains>> {
    let errors = Errors::default();
    let merged = files::read(&options.file, &errors);
    let read = merged.as_ref().map(|merged| reach::read(merged, options, &errors));
    let broken = merged.as_ref().is_some_and(|merged| merged.broken);
    let errors = in_order(errors.into_inner(), &options.file.display().to_string(), broken);
    match read {
        Some(Ok(settings)) => Ok(Settings { faults: Faults { errors, ..settings.faults }, ..settings }),
        Some(Err(remains)) => Err(Box::new(Remains { errors, ..*remains })),
        None => {
            let paths = Some(Paths::default());
            let (anchors, metrics, drivers) = (Vec::new(), MetricsFile::AsBefore, options.drivers);
            let file = options.file.clone();
            Err(Box::new(Remains { file, host: None, paths, anchors, sealing: None, metrics, notify: None, drivers, errors }))
        }
    }
}

/// The same as runs find them, for those who only look: with the secrets that a run reads. Where it is another user who runs, only that one
/// can judge them.
///
/// # Errors
/// As [`by_reach`].
pub fn as_runs_find_them(options: &LoadOptions) -> Result<Settings, Box<Remains>> {
    let checked = by_reach(&LoadOptions { check_secrets: true, ..options.clone() });
    // Nearly always there is nothing to tell apart, and thousands of certificates are read once.
    if checked.as_ref().is_ok_and(|settings| settings.faults.errors.is_empty()) {
        return checked;
    }
    let settings = by_reach(&LoadOptions { check_secrets: false, ..options.clone() })?;
    let of_another = View::host().meta(&settings.paths.state).is_ok_and(|meta| meta.uid != account::own_user());
    if of_another { Ok(settings) } else { checked }
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

/// The profile of this name out of the bytes of its file, or else the shipped one; `None` where it is neither, or wrong.
#[must_use]
pub fn profile_of(name: &str, file: Option<(String, Vec<u8>)>) -> Option<Arc<Profile>> {
    profile::of_file(name, file, &Errors::default())
}

/// By file, the main one first, and by place. Where a file is no TOML in places, what seems to be missing and what stands in such a line
/// is left out: the syntax error is its cause.
fn in_order(mut errors: Vec<SettingsError>, main: &str, broken: bool) -> Vec<SettingsError> {
    if broken {
        let lines: Vec<_> = errors.iter().filter(|e| e.code == Code::Syntax).map(|e| (e.file.clone(), e.line)).collect();
        errors.retain(|e| e.code == Code::Syntax || (e.code != Code::Missing && !lines.contains(&(e.file.clone(), e.line))));
    }
    // A file that was named by mistake may be a key, and a line of it stands for a key of the settings.
    for error in &mut errors {
        error.text = without_base64(&error.text).into_owned();
        error.key = error.key.as_deref().map(|key| without_base64(key).into_owned());
        error.suggestion = error.suggestion.as_deref().map(|words| without_base64(words).into_owned());
    }
    errors.sort_by(|a, b| (a.file != main, &a.file, a.line, a.column).cmp(&(b.file != main, &b.file, b.line, b.column)));
    errors
}
