//! What `check-config` finds out about the services of the settings: what their drivers know, and with `--online` whether their units exist.

use std::collections::BTreeSet;
use std::path::Path;

use super::check::{Check, Severity};
use crate::config::nearest::nearest;
use crate::config::service::Examined;
use crate::config::settings::{Certificate, Settings};
use crate::io::look::View;
use crate::io::read;
use crate::model::code::Code;
use crate::model::failure::Warning;
use crate::plan::generation::container;

/// Where systemd looks for units (systemd.unit(5)).
const UNITS: [&str; 8] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/transient",
    "/run/systemd/generator",
    "/run/systemd/generator.late",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// What the drivers know of their services.
pub(super) async fn examine(settings: &Settings) -> Vec<Check> {
    let mut seen = BTreeSet::new();
    let mut checks: Vec<Check> = settings.certificates.iter().filter_map(no_password).collect();
    for service in settings.certificates.iter().flat_map(|certificate| &certificate.reload) {
        if !seen.insert(service.id()) {
            continue;
        }
        checks.extend(service.examine().await.into_iter().map(|examined| match examined {
            Examined::Refused(failure) => Check::failed(Severity::Error, failure),
            Examined::Warned(warning) => Check::warned(warning),
        }));
    }
    checks
}

/// Without its passwords nothing of a certificate would be renewed.
fn no_password(certificate: &Certificate) -> Option<Check> {
    let failure = container::are_ready(certificate).err()?;
    let text = format!("certificate {}: {}", certificate.name(), failure.text);
    Some(Check { text, ..Check::failed(Severity::Error, failure) })
}

/// Where the settings name units and nothing runs here that could be asked about them (sd_booted(3)).
pub(super) fn no_systemd(settings: &Settings, view: &View) -> Option<Warning> {
    let services = settings.certificates.iter().flat_map(|certificate| &certificate.reload);
    let units: BTreeSet<String> = services.filter_map(|service| service.unit().map(ToOwned::to_owned)).collect();
    if units.is_empty() || view.is_directory(Path::new("/run/systemd/system")) {
        return None;
    }
    let units: Vec<&str> = units.iter().map(String::as_str).collect();
    let text = format!("no systemd here: nobody can be asked to reload {}", units.join(", "));
    let hint =
        "run omens where systemd runs, or name in `reload` what needs none, such as { nginx = { conf = \"/etc/nginx/nginx.conf\" } }";
    Some(Warning::new(Code::NoSystemd, text).hint(hint))
}

/// The units of the settings that no directory of systemd has.
pub(super) fn unknown_units(settings: &Settings) -> Vec<Check> {
    let known: BTreeSet<String> = UNITS.iter().flat_map(|dir| names(Path::new(dir))).collect();
    // Where systemd was never installed there is nothing to compare with.
    if known.is_empty() {
        return Vec::new();
    }
    let wanted: BTreeSet<&str> =
        settings.certificates.iter().flat_map(|certificate| &certificate.reload).filter_map(|service| service.unit()).collect();
    wanted.into_iter().filter(|unit| !is_known(unit, &known)).map(|unit| unknown(unit, &known)).collect()
}

fn unknown(unit: &str, known: &BTreeSet<String>) -> Check {
    let all: Vec<&str> = known.iter().map(String::as_str).collect();
    let hint = match nearest(unit, &all) {
        Some(best) => format!("did you mean \"{best}\"?"),
        None => "`systemctl list-unit-files` shows all".to_owned(),
    };
    let text = format!("systemd knows no unit {unit}, which a driver of `reload` names");
    Check::new(Code::UnknownUnit, Severity::Error, text).hint(&hint)
}

/// Whether there is such a unit, or the template of such an instance.
fn is_known(unit: &str, known: &BTreeSet<String>) -> bool {
    let template = unit.split_once('@').zip(unit.rsplit_once('.')).map(|((stem, _), (_, kind))| format!("{stem}@.{kind}"));
    known.contains(unit) || template.is_some_and(|template| known.contains(&template))
}

fn names(dir: &Path) -> Vec<String> {
    let entries = read::trusted_directory(dir).ok().flatten().unwrap_or_default();
    let names = entries.iter().filter_map(|path| path.file_name()?.to_str());
    names.filter(|name| name.contains('.') && !name.ends_with(".d") && !name.ends_with(".wants")).map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_unit_is_told_with_the_nearest_known_one() {
        let known: BTreeSet<String> = ["nginx.service", "keylime_verifier.service", "postgresql@.service"].map(ToOwned::to_owned).into();
        for (unit, good) in
            [("nginx.service", true), ("postgresql@15-main.service", true), ("ngnix.service", false), ("x@y.service", false)]
        {
            assert_eq!(is_known(unit, &known), good, "{unit}");
        }
        assert_eq!(unknown("ngnix.service", &known).hint.as_deref(), Some("did you mean \"nginx.service\"?"));
    }
}
