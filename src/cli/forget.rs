//! `forget`: whether it may be done at all, what a person is told and asked, and then what `steps` does.

use super::arguments::{Command, Forget};
use super::confirm::confirmed;
use super::exit::FAILED;
use super::session::Session;
use crate::config::settings::Settings;
use crate::io::dir::{Dir, DiskError};
use crate::model::code::Code;
use crate::model::layout;
use crate::model::name::CertName;
use crate::model::report::RunError;
use crate::plan::inventory::{self, Depth};
use crate::plan::rename::Rename;
use crate::plan::unnamed::Unnamed;
use crate::steps::{forget, metrics};

pub(super) fn forget(session: &mut Session<'_>, command: &Command, arguments: &Forget) -> u8 {
    let settings = match session.begin(command) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let found = match may(&settings, &arguments.name) {
        Ok(found) => found,
        // It was a right question, and what is left stays.
        Err(error) if matches!(error.code, Code::Permission | Code::Disk) => return session.refuse_with(command, error, FAILED),
        Err(error) => return session.refuse(command, error),
    };
    let question = format!("remove for good what is left of {}{}?", arguments.name, told(&found));
    if let Err(code) = confirmed(session, command, arguments.yes, &question) {
        return code;
    }
    let report = forget::forget(&settings, &arguments.name, arguments.wait.wait, session.clock);
    metrics::leave(&settings, &report, session.clock);
    session.report(&report)
}

fn told(found: &Unnamed) -> String {
    let stays = found.stays.iter().map(|line| format!("; left alone: {line}"));
    format!(" ({}{})", found.goes.join("; "), stays.collect::<String>())
}

/// What there is to forget, or why nothing may be.
fn may(settings: &Settings, name: &CertName) -> Result<Unnamed, RunError> {
    let refuse = |code: Code, text: String, hint: String| RunError { code, text, hint: Some(hint) };
    if settings.certificate(name).is_some() || settings.faults.of(name).is_some() {
        let hint = format!("take its [[certificate]] out of {} or omens.d first", settings.file.display());
        return Err(refuse(Code::StillNamed, format!("the settings still have the certificate {name}"), hint));
    }
    if let Some(hidden) = &settings.faults.hidden {
        let text = format!("the settings may still have the certificate {name}: {} cannot be read as a whole", hidden.place());
        return Err(refuse(Code::StillNamed, text, "mend the settings first; `omens check-config` shows what is wrong".to_owned()));
    }
    if let Some(heir) = heir(settings, name).map_err(disk)? {
        let text = format!("the certificate {heir} takes over what is left of {name} (renamed_from)");
        return Err(refuse(Code::StillNamed, text, format!("`omens renew {heir}` does that")));
    }
    Unnamed::look(&settings.paths, name).map_err(disk)?.ok_or_else(|| {
        let (state, run) = (settings.paths.state.join(layout::CERTS), &settings.paths.run);
        let text = format!("there is nothing of {name} in {} or {}", state.display(), run.display());
        let left = inventory::take(settings, &[], Depth::Whole).map(|inventory| inventory.left_over().join(", ")).unwrap_or_default();
        let hint = if left.is_empty() { "there is nothing to forget here".to_owned() } else { format!("left over here: {left}") };
        refuse(Code::UnknownName, text, hint)
    })
}

/// The certificate that is to take it over and has not yet.
fn heir<'a>(settings: &'a Settings, name: &CertName) -> Result<Option<&'a CertName>, DiskError> {
    let Some((heir, _)) = settings.renames().find(|(_, earlier)| *earlier == name) else { return Ok(None) };
    let certs = Dir::open(&settings.paths.state)?.map_or(Ok(None), |state| state.child(layout::CERTS))?;
    Ok(matches!(Rename::of(heir, Some(name), certs.as_ref())?, Rename::Pending(_)).then_some(heir))
}

fn disk(why: DiskError) -> RunError {
    RunError { code: if why.denied() { Code::Permission } else { Code::Disk }, text: why.to_string(), hint: Some(why.hint()) }
}
