//! Units that systemd does not load (`service_verify`, `timer_verify`, `config_parse_exec`): nothing starts them, whatever enables them.

use super::command::{TYPES, command, is_several, signs};
use super::lints;
use super::unit::{Setting, Unit};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::model::audit::Location;
use crate::model::finding::Severity;

/// Judges a unit.
pub(super) fn judge(unit: &Unit, findings: &mut HostFindings) {
    if unit.masked {
        return;
    }
    let mut add = |location: Location, expected: &str, found: String| {
        findings.add(NewFinding::at(&lints::REFUSED, unit.target(), location).expected(expected).found(found));
    };
    if let Some(fatal) = unit.ignored.iter().find(|ignored| ignored.fatal) {
        add(Location::line(&fatal.file, fatal.line), fatal.expected, fatal.found.clone());
    }
    for setting in unit.commands() {
        // With a - before it, a command that is none is passed over.
        if let Some((expected, found)) = command(&setting.value).filter(|_| !signs(&setting.value).contains('-')) {
            add(setting.location(), expected, found.to_owned());
        }
    }
    if unit.name.ends_with(".service")
        && let Some((setting, expected, found)) = service(unit)
    {
        add(setting.map_or_else(|| Location::file(&unit.file), Setting::location), expected, found.to_owned());
    }
    if let Some(setting) = unit.get("Service", "RestartForceExitStatus").filter(|_| is_oneshot(unit)) {
        let draft = NewFinding::at(&lints::REFUSED, unit.target(), setting.location()).severity(Severity::Medium);
        let draft = draft.expected("no RestartForceExitStatus= beside Type=oneshot").found(setting.value.clone());
        findings.add(draft.evidence("systemd up to 255 refuses it, newer ones take it"));
    }
}

fn is_oneshot(unit: &Unit) -> bool {
    unit.name.ends_with(".service") && unit.get("Service", "Type").is_some_and(|setting| setting.value == "oneshot")
}

/// What a service lacks, or has too much of.
fn service(unit: &Unit) -> Option<(Option<&Setting>, &'static str, &'static str)> {
    let get = |key: &str| unit.get("Service", key);
    let sound = |key: &str| unit.all("Service", key).into_iter().filter(|setting| command(&setting.value).is_none()).collect::<Vec<_>>();
    let (starts, stops) = (sound("ExecStart"), sound("ExecStop"));
    let kind = get("Type").filter(|setting| TYPES.contains(&setting.value.as_str()));
    // Without a kind it is the one that its other settings ask for.
    let kind_word = match (kind, get("BusName")) {
        (Some(setting), _) => setting.value.as_str(),
        (None, Some(_)) => "dbus",
        (None, None) if starts.is_empty() => "oneshot",
        (None, None) => "simple",
    };
    let once = kind_word == "oneshot";
    let stays = get("RemainAfterExit").is_some_and(Setting::is_on);
    let ends = unit.get("Unit", "SuccessAction").is_some_and(|setting| setting.value != "none");
    if starts.is_empty() && stops.is_empty() && !ends {
        return Some((None, "ExecStart=", "no command at all"));
    }
    if starts.is_empty() && (!once || !(stays || ends)) {
        return Some((kind, "ExecStart=, or Type=oneshot with RemainAfterExit=yes", "no ExecStart="));
    }
    let more = starts.get(1).or_else(|| starts.iter().find(|setting| is_several(&setting.value)));
    if let Some(second) = more.filter(|_| !once) {
        return Some((Some(*second), "one ExecStart=, or Type=oneshot", "a second command"));
    }
    let again = get("Restart").filter(|setting| once && matches!(setting.value.as_str(), "always" | "on-success"));
    if again.is_some() {
        return Some((again, "no Restart= but on failure beside Type=oneshot", "one that restarts what ended well"));
    }
    (kind_word == "dbus" && get("BusName").is_none()).then_some((kind, "BusName= beside Type=dbus", "none"))
}

#[cfg(test)]
mod tests {
    use super::super::unit;
    use super::*;

    #[test]
    fn what_systemd_refuses_is_refused() {
        for (text, refused) in [
            ("Type=oneshot\nExecStart=/a\nExecStart=/b", false),
            ("ExecStart=/a\nExecStart=/b", true),
            ("ExecStart=/a\nExecStart=\nExecStart=/b", false),
            ("Type=oneshot\nRemainAfterExit=yes\nExecStop=/b", false),
            ("Type=oneshot\nExecStop=/b", true),
            ("RemainAfterExit=yes\nExecStop=/b", false),
            ("ExecStart=-./a\nExecStart=/b", false),
            ("ExecStart=/a ; /b", true),
            ("ExecStart=/bin/sh -c 'cd /srv ; exec ./run'", false),
            ("Type=bogus\nExecStart=/a", false),
            ("User=x", true),
            ("Type=oneshot\nExecStart=/a\nRestart=always", true),
            ("Type=oneshot\nExecStart=/a\nRestart=on-failure", false),
            ("Type=dbus\nExecStart=/a", true),
        ] {
            let unit = unit::unit(&format!("[Service]\n{text}\n"));
            assert_eq!(service(&unit).is_some(), refused, "{text}");
        }
    }
}
