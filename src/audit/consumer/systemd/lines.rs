//! Settings that systemd does not know in their section (settings.txt), and lines that are none: it warns once and goes on without them.

use super::command::{TYPES, command, is_closed};
use super::lints;
use super::unit::{Setting, Unit};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::model::audit::Location;
use crate::model::finding::Severity;
use crate::model::schedule;

/// Sections in brackets, with the settings of each.
const KNOWN: &str = include_str!("settings.txt");
/// As many letters of a setting may be wrong for it to be the one that was meant.
const SLIP: usize = 2;

/// Judges every line of a unit.
pub(super) fn judge(unit: &Unit, findings: &mut HostFindings) {
    for setting in &unit.settings {
        spelling(unit, setting, findings);
        if let Some(expected) = value(setting) {
            let draft = NewFinding::at(&lints::LINE_IGNORED, unit.target(), setting.location());
            findings.add(draft.expected(expected).found(format!("{}={}", setting.key, setting.value)));
        }
    }
    for ignored in unit.ignored.iter().filter(|ignored| !ignored.fatal) {
        let draft = NewFinding::at(&lints::LINE_IGNORED, unit.target(), Location::line(&ignored.file, ignored.line));
        findings.add(draft.expected(ignored.expected).found(ignored.found.clone()));
    }
}

fn spelling(unit: &Unit, setting: &Setting, findings: &mut HostFindings) {
    let key = setting.key.as_str();
    if is_known(&setting.section, key) {
        return;
    }
    let lower = key.to_ascii_lowercase();
    let near = keys(&setting.section).map(|known| (strsim::osa_distance(&known.to_ascii_lowercase(), &lower), known)).min();
    let draft = NewFinding::at(&lints::KEY_UNKNOWN, unit.target(), setting.location()).found(format!("{key}= in [{}]", setting.section));
    // What has to do with certificates is Medium; of the other settings a slip costs little that this is about.
    findings.add(match near.filter(|(distance, known)| *distance <= SLIP && known.len() > 4) {
        Some((_, meant)) => draft.expected(format!("{meant}=")).remedy(format!("write {meant}= for {key}=")),
        None => match SECTIONS.iter().find(|section| **section != setting.section && is_known(section, key)) {
            Some(section) => draft.expected(format!("{key}= in [{section}]")).remedy(format!("move the line to [{section}]")),
            None => draft.severity(Severity::Low).expected("a setting of this section"),
        },
    });
}

/// On or off, wherever they stand.
const FLAGS: &[&str] = &[
    "RemainAfterExit",
    "Persistent",
    "WakeSystem",
    "OnClockChange",
    "OnTimezoneChange",
    "RemainAfterElapse",
    "FixedRandomDelay",
    "GuessMainPID",
    "StopWhenUnneeded",
    "RefuseManualStart",
    "RefuseManualStop",
    "DefaultDependencies",
    "NoNewPrivileges",
];
const RESTARTS: &[&str] = &["no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always"];

/// What systemd expects of a value, where it is not that and the line is ignored. An empty one takes back what was said before.
fn value(setting: &Setting) -> Option<&'static str> {
    let (key, value) = (setting.key.as_str(), setting.value.as_str());
    if value.is_empty() || value.contains('%') || !is_known(&setting.section, key) {
        return None;
    }
    let span = |value: &str| value == "infinity" || schedule::span(value).is_some();
    let (expected, sound) = match key {
        _ if FLAGS.contains(&key) => ("yes or no", setting.boolean().is_some()),
        "Type" if setting.section == "Service" => ("a type of service", TYPES.contains(&value)),
        "Restart" => ("when to restart", RESTARTS.contains(&value)),
        "UMask" => ("a mode in octal digits", u32::from_str_radix(value, 8).is_ok_and(|mode| mode <= 0o7777)),
        "Environment" => ("NAME=VALUE, each with its quotes closed", is_closed(value)),
        _ if key.starts_with("Exec") => ("a command", command(value).is_none() || !value.starts_with('-')),
        // Nanoseconds without a unit, and with units that are no others'.
        "TimerSlackNSec" => ("a time span", span(value) || span(&value.replace("nsec", "us").replace("ns", "us"))),
        "IODeviceLatencyTargetSec" => {
            ("a device and a time span", value.split_once(char::is_whitespace).is_some_and(|(_, rest)| span(rest)))
        }
        _ if key.ends_with("Sec") && setting.section != "Socket" => ("a time span", span(value)),
        _ => return None,
    };
    (!sound).then_some(expected)
}

const SECTIONS: &[&str] = &["Unit", "Install", "Service", "Timer", "Path", "Socket"];

/// Of sections that are not listed every setting is.
fn is_known(section: &str, key: &str) -> bool {
    !SECTIONS.contains(&section) || key.starts_with("X-") || keys(section).any(|known| known == key)
}

fn keys(section: &str) -> impl Iterator<Item = &'static str> {
    let header = format!("[{section}]\n");
    let (_, rest) = KNOWN.split_once(&header).unwrap_or_default();
    rest.split('[').next().unwrap_or_default().split_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_those_of_their_section() {
        for (section, key, known) in [
            ("Service", "ExecStart", true),
            ("Service", "LoadCredential", true),
            ("Service", "ImportCredential", true),
            ("Service", "execstart", false),
            ("Service", "Requires", false),
            ("Timer", "OnCalendar", true),
            ("Timer", "RandomizedOffsetSec", true),
            ("Timer", "OnCalender", false),
            ("Install", "UpheldBy", true),
            ("Unit", "After", true),
            ("Mount", "Anything", true),
            ("Unit", "X-Own", true),
            ("Unit", "WantsMountsFor", true),
            ("Service", "MemoryKSM", true),
            ("Service", "RefreshOnReload", true),
            ("Socket", "PassRights", true),
        ] {
            assert_eq!(is_known(section, key), known, "[{section}] {key}");
        }
    }

    #[test]
    fn values_are_those_that_systemd_takes() {
        for (key, text, bad) in [
            ("TimerSlackNSec", "50ns", false),
            ("TimerSlackNSec", "50nsec", false),
            ("TimerSlackNSec", "1ms", false),
            ("TimerSlackNSec", "soon", true),
            ("IODeviceLatencyTargetSec", "/dev/sda 25ms", false),
            ("IODeviceLatencyTargetSec", "25ms", true),
            ("RestartSec", "1x", true),
            ("RemainAfterExit", "Yes", false),
            ("RemainAfterExit", "maybe", true),
        ] {
            let (section, file) = ("Service".to_owned(), std::rc::Rc::from(std::path::Path::new("/u")));
            let setting = Setting { section, key: key.to_owned(), value: text.to_owned(), file, line: 1 };
            assert_eq!(value(&setting).is_some(), bad, "{key}={text}");
        }
    }
}
