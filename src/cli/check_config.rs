//! `check-config`: every error of the settings, or how many certificates they name.

use serde::Serialize;

use super::arguments::CheckConfig;
use super::check::{Check, Severity};
use super::exit::{OK, REFUSED};
use super::key_kinds;
use super::online;
use super::online_here;
use super::services;
use super::session::Session;
use super::show;
use super::unpublished;
use crate::config::settings::{MetricsFile, Settings};
use crate::io::dir::Dir;
use crate::io::look::{Kind, View};
use crate::io::runtime::runtime;
use crate::model::code::Code;
use crate::model::failure::Warning;
use crate::model::report::SettingsError;
use crate::model::text::one_line;
use crate::plan::sealing::SealingKeys;
use crate::plan::view::End;
use crate::plan::{scheduler, trust};

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    file: String,
    ok: bool,
    errors: Vec<SettingsError>,
    certificates: usize,
    warnings: Vec<Warning>,
    /// With `--online`: everything that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Vec<Check>>,
    #[serde(flatten)]
    end: End,
}

pub(super) fn run(session: &mut Session<'_>, arguments: &CheckConfig) -> u8 {
    session.output.when_lost(REFUSED);
    let file = session.global.config.display().to_string();
    let (mut errors, settings) = match session.settings(true) {
        Ok(settings) if settings.faults.errors.is_empty() => (Vec::new(), Some(settings)),
        Ok(settings) => (settings.faults.errors, None),
        Err(remains) => (remains.errors, None),
    };
    let certificates = settings.as_ref().map_or(0, |settings| settings.certificates.len());
    let mut warnings = if errors.is_empty() && certificates == 0 {
        vec![Warning::new(Code::NoCertificates, "the settings name no certificate, so there is nothing to renew; add a [[certificate]]")]
    } else {
        Vec::new()
    };
    errors.extend(settings.iter().flat_map(dropped));
    errors.extend(settings.iter().flat_map(no_directories));
    warnings.extend(settings.as_ref().and_then(not_in_memory));
    warnings.extend(settings.as_ref().and_then(damaged_pin));
    let examined = settings.as_ref().map(examine).unwrap_or_default();
    warnings.extend(settings.as_ref().and_then(|settings| services::no_systemd(settings, &View::host())));
    warnings.extend(settings.as_ref().map(key_kinds::warnings).unwrap_or_default());
    warnings.extend(settings.as_ref().and_then(no_revoke_login));
    warnings.extend(settings.iter().flat_map(|settings| unpublished::warnings(settings, &View::host(), session.clock.now())));
    let period = scheduler::period(&View::host()).unwrap_or(scheduler::EVERY);
    warnings.extend(settings.as_ref().and_then(|settings| scheduler::too_seldom(settings, period)));
    let checks = settings.filter(|_| arguments.online).map(|settings| ask(session, &settings));
    for check in examined.iter().chain(checks.iter().flatten()).filter(|check| !check.ok) {
        match check.severity {
            Severity::Error => errors.push(as_error(&file, check)),
            Severity::Info | Severity::Warning => {
                warnings.push(Warning { hint: check.hint.clone(), ..Warning::new(check.code, &*check.text) })
            }
        }
    }
    // What stands in a line is the cause, and what OpenBao denies as a whole its consequence.
    errors.sort_by_key(|error| error.line.is_none());
    let ok = errors.is_empty();
    let exit = if ok { OK } else { REFUSED };
    let document = Document { schema: "omens.check-config/1", file, ok, errors, certificates, warnings, checks, end: session.end(exit) };
    if session.global.json {
        session.output.document(&document);
    } else {
        let text = text(session, &document);
        session.result(&text, exit);
    }
    exit
}

fn ask(session: &Session<'_>, settings: &Settings) -> Vec<Check> {
    let mut checks = match runtime() {
        Ok(runtime) => runtime.block_on(async {
            let mut checks = online::check(settings, session.clock, settings.credentials.as_deref()).await;
            checks.extend(online_here::endpoints(settings, session.clock).await);
            checks
        }),
        Err(why) => vec![Check::failed(Severity::Error, why)],
    };
    checks.extend(online::tpm(settings));
    checks.extend(online_here::pcrs(settings));
    checks.extend(online_here::memory(settings));
    checks.extend(online_here::units(settings, &View::host()));
    checks.extend(services::unknown_units(settings));
    checks
}

/// What the drivers of the settings know of their services, and what `install` needs, where there is something to say.
fn examine(settings: &Settings) -> Vec<Check> {
    let has_any = settings.certificates.iter().any(|certificate| !certificate.reload.is_empty() || !certificate.install.is_empty());
    if !has_any {
        return Vec::new();
    }
    runtime().map(|runtime| runtime.block_on(services::examine(settings))).unwrap_or_default()
}

/// Certificates whose predecessors are to be revoked, and nobody may.
fn no_revoke_login(settings: &Settings) -> Option<Warning> {
    let asks =
        settings.certificates.iter().filter(|certificate| certificate.revoke_replaced).map(|certificate| certificate.name().as_str());
    let asks: Vec<&str> = asks.filter(|_| settings.openbao.revoke_login.is_empty()).collect();
    let text = || format!("revoke_replaced = true of {}, and there is no openbao.revoke_login: nothing is revoked", asks.join(", "));
    let hint = "set openbao.revoke_login to a login of its own that may use MOUNT/revoke and nothing else, or take revoke_replaced out";
    (!asks.is_empty()).then(|| Warning::new(Code::NotRevoked, text()).hint(hint))
}

/// Roots that the settings drop while something on this host still serves a certificate that ends there.
fn dropped(settings: &Settings) -> Vec<SettingsError> {
    let error = |dropped: trust::Dropped| {
        let text = format!(
            "{} of {} ends at the root {}, which is neither trust.anchor nor in trust.also",
            dropped.generation, dropped.name, dropped.root
        );
        let suggestion = format!("keep it in trust.also until `omens renew {} --force` has replaced that certificate", dropped.name);
        let key = Some("trust.also".to_owned());
        SettingsError { key, suggestion: Some(suggestion), ..settings.also_at.error(Code::AnchorInUse, text) }
    };
    trust::dropped(settings).into_iter().map(error).collect()
}

/// What has to be a directory, or to lie in one, and does not. A run makes its own, and none for whoever collects metrics.
fn no_directories(settings: &Settings) -> Vec<SettingsError> {
    let view = View::host();
    let (paths, written) = (&settings.paths, &settings.written);
    let own = [(&paths.state, &written.state), (&paths.run, &written.run)].into_iter().filter_map(|(path, place)| {
        let kind = view.meta(path).ok().map(|meta| meta.kind).filter(|kind| *kind != Kind::Directory)?;
        let what = if kind == Kind::File { "a regular file" } else { "something else" };
        let text = format!("expected a directory, or nothing yet, at {}, found {what}", path.display());
        let suggestion = Some("move it away, or name another directory".to_owned());
        Some(SettingsError { suggestion, ..place.error(Code::BadValue, text) })
    });
    let collected = match &settings.metrics {
        MetricsFile::At(file) => file.parent().filter(|parent| !view.is_directory(parent)),
        MetricsFile::None | MetricsFile::AsBefore => None,
    };
    let collected = collected.map(|parent| {
        let text = format!("expected a directory that is there already, found none at {}", parent.display());
        let suggestion = Some("make it, or name the one that the collector reads: no run makes it".to_owned());
        SettingsError { suggestion, ..written.textfile.error(Code::BadValue, text) }
    });
    own.chain(collected).collect()
}

/// Where the run directory will be, or is: a sealed key is published in memory or not at all.
fn not_in_memory(settings: &Settings) -> Option<Warning> {
    settings.certificates.iter().find(|certificate| certificate.keep.is_only_in_memory())?;
    let there = settings.paths.run.ancestors().find_map(|path| Dir::open(path).ok().flatten())?;
    if there.is_memory_backed().ok()? {
        return None;
    }
    let text = format!(
        "{} is not on tmpfs or ramfs: no sealed key will be published there; set paths.run to a directory in memory, such as /run/omens",
        settings.paths.run.display()
    );
    Some(Warning::new(Code::RunNotTmpfs, text))
}

/// A pin of the TPM that cannot be understood: nothing sealed is opened, at the next boot either.
fn damaged_pin(settings: &Settings) -> Option<Warning> {
    settings.certificates.iter().find(|certificate| certificate.keep.needs_tpm())?;
    // What may not be read is for `status` to say.
    let keys = SealingKeys::read(Dir::open(&settings.paths.state).ok()?.as_ref()).ok()?;
    keys.damaged_pin().map(|why| Warning { hint: why.hint.clone(), ..Warning::new(why.code, &*why.text) })
}

/// What OpenBao denies is an error of the settings as a whole, unless it is about a word that stands there.
fn as_error(file: &str, check: &Check) -> SettingsError {
    let (code, text, suggestion) = (check.code, check.text.clone(), check.hint.clone());
    if let Some(place) = &check.place {
        return SettingsError { suggestion, ..place.error(code, text) };
    }
    SettingsError { file: file.to_owned(), line: None, column: None, key: None, code, text, suggestion }
}

fn text(session: &Session<'_>, document: &Document) -> String {
    let style = session.style;
    let mut text = show::settings_errors(&document.errors, style);
    if document.ok {
        let count = document.certificates;
        let certificates = if count == 1 { "certificate" } else { "certificates" };
        text = format!("{}: {}, {count} {certificates}\n", one_line(&document.file, 500), style.good("ok"));
    }
    for check in document.checks.iter().flatten().filter(|check| check.ok) {
        text.push_str(&format!("  {}: {}\n", style.good(check.code.as_str()), one_line(&check.text, 500)));
    }
    for warning in &document.warnings {
        text.push_str(&show::general_warning(warning, style));
    }
    text
}
