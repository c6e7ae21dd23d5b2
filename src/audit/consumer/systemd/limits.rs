//! What a unit may write, by its own settings (systemd.exec(5), "Sandboxing"), and conditions that never hold (systemd.unit(5)).

use std::path::{Path, PathBuf};

use super::lints;
use super::unit::{Setting, Unit};
use crate::audit::consumer::scripts::Confined;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::timer;
use crate::io::look::View;
use crate::model::finding::Severity;

/// Directories that are the unit's own.
const OWN: [(&str, &str); 5] = [
    ("StateDirectory", "/var/lib"),
    ("RuntimeDirectory", "/run"),
    ("CacheDirectory", "/var/cache"),
    ("LogsDirectory", "/var/log"),
    ("ConfigurationDirectory", "/etc"),
];

/// What it may write.
pub(super) fn of(unit: &Unit, account: Option<String>) -> Confined {
    let words = |key: &str| -> Vec<String> {
        unit.all("Service", key)
            .iter()
            .flat_map(|setting| setting.value.split_whitespace())
            .map(|word| word.trim_start_matches(['-', '+']).to_owned())
            .collect()
    };
    let protect = unit.get("Service", "ProtectSystem");
    let read_only: &[&str] = match protect.map(|setting| setting.value.as_str()) {
        Some("strict") => &["/"],
        Some("full") => &["/usr", "/boot", "/efi", "/etc"],
        _ if protect.is_some_and(Setting::is_on) => &["/usr", "/boot", "/efi"],
        _ => &[],
    };
    let read_only = read_only.iter().map(PathBuf::from).chain(words("ReadOnlyPaths").into_iter().map(PathBuf::from)).collect();
    let mut writable: Vec<PathBuf> = ["/dev", "/proc", "/sys"].map(PathBuf::from).to_vec();
    writable.extend(words("ReadWritePaths").into_iter().map(PathBuf::from));
    for (key, above) in OWN {
        writable.extend(words(key).iter().map(|name| Path::new(above).join(name.split(':').next().unwrap_or_default())));
    }
    let private = unit.get("Service", "PrivateTmp").is_some_and(|setting| !matches!(setting.value.as_str(), "no" | "false" | "0" | "off"));
    if private {
        writable.extend(["/tmp", "/var/tmp"].map(PathBuf::from));
    }
    let location = protect.or_else(|| unit.get("Service", "ReadOnlyPaths")).or_else(|| unit.get("Service", "User")).map(Setting::location);
    Confined { location, read_only, writable, account }
}

/// Conditions about files that do not hold: the unit is passed over in silence.
pub(super) fn conditions(view: &View, unit: &Unit, findings: &mut HostFindings) {
    if !unit.commands().any(|command| timer::renews(&command.value) || timer::is_public(&command.value)) {
        return;
    }
    for key in ["ConditionPathExists", "ConditionFileNotEmpty", "ConditionFileIsExecutable", "ConditionPathIsDirectory", "AssertPathExists"]
    {
        for setting in unit.all("Unit", key) {
            let (negated, value) = setting.value.strip_prefix('!').map_or((false, setting.value.as_str()), |rest| (true, rest));
            // With a | one of several is enough.
            if !value.starts_with('/') || value.contains('%') || setting.value.starts_with('|') {
                continue;
            }
            let path = Path::new(value);
            let absent = view.meta(path).is_err_and(|error| error.is_absent());
            // Of a copy only /etc is whole enough.
            let known =
                !view.is_elsewhere() || (value.starts_with("/etc/") && path.parent().is_some_and(|parent| view.is_directory(parent)));
            if known && absent != negated {
                let draft = NewFinding::at(&lints::CONDITION, unit.target(), setting.location()).found(format!("{key}={}", setting.value));
                let draft = draft.expected(if negated { "no such file" } else { "a file that is there" });
                findings.add(if view.is_elsewhere() { draft.severity(Severity::Medium) } else { draft });
            }
        }
    }
}
