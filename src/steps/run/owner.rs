//! Which settings a state directory belongs to: two configurations in one would call each other's certificates left over, and renew those that
//! both name by turns (`swap/ondisk.md`, "One configuration").

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::settings::{Certificate, MetricsFile, Settings};
use crate::config::{self, LoadOptions};
use crate::io::dir::{Dir, DiskError};
use crate::io::look::View;
use crate::io::write;
use crate::model::code::Code;
use crate::model::layout;
use crate::model::name::CertName;
use crate::model::report::RunError;

/// `settings.json` of the state directory.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    /// 1.
    v: u32,
    /// The file of `--config`, absolute; links in it are not followed, so that it may be one that a deployment changes.
    file: PathBuf,
    /// Where they say that metrics are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metrics: Option<PathBuf>,
}

/// What is noted, where that can be understood.
fn noted(state: &Dir) -> Option<Owner> {
    state.read(layout::SETTINGS).ok().flatten().and_then(|content| serde_json::from_slice(&content.bytes).ok())
}

/// Where metrics were left when these settings last said it.
pub(in crate::steps) fn earlier_metrics(state: &Dir, settings: &Path) -> Option<PathBuf> {
    noted(state).filter(|noted| noted.file == absolute(settings))?.metrics
}

/// Notes that the state directory belongs to these settings, unless it belongs to others that are still there. What cannot be noted is no
/// reason to stop.
///
/// # Errors
/// Code `shared-state`.
pub(super) fn claim(state: &Dir, settings: &Settings) -> Result<(), RunError> {
    let noted = noted(state);
    let metrics = match &settings.metrics {
        MetricsFile::None => None,
        MetricsFile::At(file) => Some(file.clone()),
        MetricsFile::AsBefore => noted.as_ref().and_then(|noted| noted.metrics.clone()),
    };
    let ours = Owner { v: 1, file: absolute(&settings.file), metrics };
    if noted.as_ref() == Some(&ours) {
        return Ok(());
    }
    let others = noted.filter(|noted| noted.file != ours.file);
    if let Some(why) = others.and_then(|noted| other(&noted.file, settings)) {
        return Err(refused(state, &ours.file, &why));
    }
    let wrote: Result<(), DiskError> =
        write::json(state, layout::SETTINGS, &ours).and_then(|bytes| write::replace_file(state, layout::SETTINGS, &bytes, 0o600));
    if let Err(why) = wrote {
        tracing::warn!(%why, "which settings the state directory belongs to was not noted");
    }
    Ok(())
}

/// Another configuration in the same state directory.
struct Other {
    file: PathBuf,
    /// What it has that ours has not.
    differs: String,
}

/// The configuration in this file, where it uses our state directory and is no earlier or moved version of ours: those have our host's name
/// and no certificate that we do not name. One that cannot be used may be any, and only a person knows.
fn other(file: &Path, settings: &Settings) -> Option<Other> {
    if !View::host().is_file(file) {
        return None;
    }
    let options = LoadOptions { file: file.to_owned(), credentials: None, check_secrets: false, drivers: settings.drivers };
    let file = file.to_owned();
    let other = match config::by_reach(&options) {
        Ok(other) => other,
        Err(remains) => {
            let why = remains.errors.first().map_or_else(String::new, |error| format!(": {}: {}", error.place(), error.text));
            return Some(Other {
                file,
                differs: format!("whether it is the same configuration cannot be told, since it cannot be used{why}"),
            });
        }
    };
    if other.paths.state != settings.paths.state {
        return None;
    }
    if other.host != settings.host {
        return Some(Other { file, differs: format!("it is the configuration of {}", other.host) });
    }
    let own = names(settings);
    let foreign = names(&other).into_iter().find(|name| !own.contains(name)).cloned();
    foreign.map(|name| Other { file, differs: format!("it has the certificate {name}, which these settings do not name") })
}

fn names(settings: &Settings) -> BTreeSet<&CertName> {
    let faulty = settings.faults.certificates.iter().map(|faulty| &faulty.name);
    let earlier = settings.renames().map(|(_, earlier)| earlier);
    settings.certificates.iter().map(Certificate::name).chain(faulty).chain(earlier).collect()
}

fn refused(state: &Dir, ours: &Path, other: &Other) -> RunError {
    let (state, ours, theirs) = (state.path().display(), ours.display(), other.file.display());
    RunError {
        code: Code::SharedState,
        text: format!(
            "{state} belongs to the settings {theirs}, which are still there; {ours} names the same paths.state: {}",
            other.differs
        ),
        hint: Some(format!(
            "give each configuration a paths.state and paths.run of its own; if {ours} takes the place of {theirs}, remove or rename that one"
        )),
    }
}

/// The path as it is written, from the root.
fn absolute(file: &Path) -> PathBuf {
    if file.is_absolute() {
        return file.components().filter(|part| *part != Component::CurDir).collect();
    }
    let here = View::host().link(Path::new("/proc/self/cwd")).unwrap_or_default();
    here.join(file).components().filter(|part| *part != Component::CurDir).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_is_told_from_the_root() {
        assert_eq!(absolute(Path::new("/etc/./omens/omens.toml")), Path::new("/etc/omens/omens.toml"));
        assert!(absolute(Path::new("omens.toml")).is_absolute() && absolute(Path::new("./omens.toml")).ends_with("omens.toml"));
    }
}
