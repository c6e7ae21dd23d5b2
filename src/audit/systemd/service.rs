//! Services: what they run, which secrets stand in their environment, what a reload of them does, and settings that systemd does not know.
//! It must never judge a timer.

use std::path::{Path, PathBuf};

use super::lints;
use super::unit::{self, Setting, Unit};
use crate::audit::scripts::check::{self, Looked};
use crate::audit::scripts::run::{self, Runner};
use crate::audit::scripts::script::{self, Around, Does};
use crate::audit::scripts::shell::{self, Line, assignment};
use crate::audit::scripts::{access, token};
use crate::audit::sheet::{Draft, Sheet};
use crate::io::look::View;
use crate::model::audit::Place;
use crate::model::finding::Severity;

/// As many files of environment variables are read for one unit.
const FILES: usize = 50;
const TIMER: &[&str] = &[
    "OnActiveSec",
    "OnBootSec",
    "OnStartupSec",
    "OnUnitActiveSec",
    "OnUnitInactiveSec",
    "OnCalendar",
    "AccuracySec",
    "RandomizedDelaySec",
    "RandomizedOffsetSec",
    "DeferReactivation",
    "FixedRandomDelay",
    "OnClockChange",
    "OnTimezoneChange",
    "Unit",
    "Persistent",
    "WakeSystem",
    "RemainAfterElapse",
];
const INSTALL: &[&str] = &["Alias", "WantedBy", "RequiredBy", "UpheldBy", "Also", "DefaultInstance"];
/// What certificates hang on; systemd knows many more.
const SERVICE: &[&str] = &[
    "ExecCondition",
    "ExecStartPre",
    "ExecStart",
    "ExecStartPost",
    "ExecReload",
    "ExecReloadPost",
    "ExecStop",
    "ExecStopPost",
    "Environment",
    "EnvironmentFile",
    "LoadCredential",
    "LoadCredentialEncrypted",
    "SetCredential",
    "SetCredentialEncrypted",
    "ImportCredential",
    "User",
    "Group",
    "UMask",
];

/// A script that a unit runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Where it lies.
    pub path: PathBuf,
    /// Whether the unit's `UMask=` keeps what it writes from others.
    pub umask: bool,
}

/// Judges a unit, and gives what it runs and what its own command lines do.
pub(super) fn judge(view: &View, unit: &Unit, around: &Around, sheet: &mut Sheet) -> (Vec<Script>, Does) {
    spelling(unit, sheet);
    environment(view, unit, sheet);
    credentials(view, unit, sheet);
    overridden(unit, sheet);
    let account = unit.get("Service", "User").map(|setting| setting.value.clone()).filter(|user| user != "root" && user != "0");
    let umask = unit.get("Service", "UMask").is_some_and(|setting| setting.value.ends_with('7'));
    let mut scripts = Vec::new();
    let mut lines: Vec<(PathBuf, Line)> = Vec::new();
    for setting in unit.commands() {
        let line = Line { text: unprefixed(&setting.value).to_owned(), ..setting.as_line() };
        let runner = Runner { target: unit.target().at_line(Some(setting.line)), place: setting.place(), account: account.clone() };
        let commands = shell::commands(&line.text);
        if !own_signal(unit, setting, &line, &commands, sheet) {
            scripts.extend(run::judge(view, &runner, &commands, sheet).into_iter().map(|path| Script { path, umask }));
            lines.push((setting.file.to_path_buf(), line));
        }
    }
    let mut does = Does::default();
    let around = Around { umask, ..around.clone() };
    let mut files: Vec<&PathBuf> = lines.iter().map(|(file, _)| file).collect();
    files.dedup();
    for file in files {
        let own: Vec<Line> = lines.iter().filter(|(of, _)| of == file).map(|(_, line)| line.clone()).collect();
        let found = script::read(&unit.target(), file, &own, &around, sheet);
        does.issues |= found.issues;
        does.mentions.extend(found.mentions);
    }
    (scripts, does)
}

/// `ExecReload=` that signals the unit's own main process.
fn own_signal(unit: &Unit, setting: &Setting, line: &Line, commands: &[shell::Command], sheet: &mut Sheet) -> bool {
    if setting.key != "ExecReload" {
        return false;
    }
    let target = unit.target();
    let looked = Looked { target: &target, place: setting.place(), raw: &line.text, text: &line.text, deep: &line.text, commands };
    let starts: Vec<&str> = unit.all("Service", "ExecStart").iter().map(|start| start.value.as_str()).collect();
    check::exec_reload(&looked, &format!("{} {}", unit.name, starts.join(" ")), sheet)
}

/// `-`, `@`, `:`, `+`, `!` before a command say how it is run.
fn unprefixed(command: &str) -> &str {
    command.trim_start_matches(['-', '@', ':', '+', '!', '|'])
}

fn spelling(unit: &Unit, sheet: &mut Sheet) {
    for setting in &unit.settings {
        let key = setting.key.as_str();
        let (known, all) = match setting.section.as_str() {
            "Timer" => (TIMER, true),
            "Install" => (INSTALL, true),
            "Service" => (SERVICE, false),
            _ => continue,
        };
        if known.contains(&key) || key.starts_with("X-") {
            continue;
        }
        let near = known.iter().map(|known| (strsim::osa_distance(&known.to_ascii_lowercase(), &key.to_ascii_lowercase()), *known)).min();
        let meant = near.filter(|(distance, known)| *distance <= if all { 3 } else { 1 } && known.len() > 4).map(|(_, known)| known);
        if !all && meant.is_none() {
            continue;
        }
        let draft = Draft::at(&lints::KEY_UNKNOWN, unit.target(), setting.place()).found(format!("{key}= in [{}]", setting.section));
        sheet.add(match meant {
            Some(meant) => draft.expected(format!("{meant}=")).remedy(format!("write {meant}= for {key}=")),
            None => draft.severity(Severity::Low).expected("a setting of this section"),
        });
    }
}

/// Secrets in `Environment=` and in files of variables.
fn environment(view: &View, unit: &Unit, sheet: &mut Sheet) {
    for setting in unit.all("Service", "Environment") {
        if let Some(found) = unit::words(&setting.value).iter().find_map(|word| token::find(word)) {
            sheet.add(Draft::at(&lints::TOKEN, unit.target(), setting.place()).expected("no secret in an environment").found(found));
        }
        switches(unit, setting, sheet);
    }
    for setting in unit.all("Service", "EnvironmentFile").into_iter().take(FILES) {
        let optional = setting.value.starts_with('-');
        let path = PathBuf::from(setting.value.trim_start_matches('-'));
        if setting.value.contains(['%', '*', '?']) || !path.is_absolute() {
            continue;
        }
        match view.text(&path) {
            Ok(text) => variables(view, unit, &path, &text, sheet),
            Err(error) if error.is_absent() && !optional => absent(view, unit, setting, &path, sheet),
            Err(_) => {}
        }
    }
}

/// A file of variables; its lines are judged like those of a script, its secrets by who may read it.
fn variables(view: &View, unit: &Unit, path: &Path, text: &str, sheet: &mut Sheet) {
    let lines: Vec<Line> = shell::lines(text).into_iter().filter(|line| !line.text.trim_start().starts_with(';')).collect();
    let mut rest = Vec::new();
    for line in lines {
        let Some(found) = token::find(&line.text) else {
            rest.push(line);
            continue;
        };
        let place = Place::line(path, line.number);
        let public = access::is_public(view, path);
        let lint = if public { &lints::SECRET_PUBLIC } else { &lints::FILE_TOKEN };
        let draft = Draft::at(lint, unit.target(), place).expected(if public { "mode 0600" } else { "a credential" });
        sheet.add(
            draft
                .found(format!("{found}{}", if public { ", in a file that everybody may read" } else { "" }))
                .file(Place::file(&unit.file)),
        );
    }
    script::read(&unit.target(), path, &rest, &Around::default(), sheet);
}

/// `Environment=VAULT_SKIP_VERIFY=1` and the like.
fn switches(unit: &Unit, setting: &Setting, sheet: &mut Sheet) {
    let words = unit::words(&setting.value);
    let words: Vec<String> = words.into_iter().filter(|word| assignment(word).is_some() && token::find(word).is_none()).collect();
    let line = Line { number: setting.line, text: words.join(" ") };
    script::read(&unit.target(), &setting.file, &[line], &Around::default(), sheet);
}

/// Files behind `LoadCredential=`.
fn credentials(view: &View, unit: &Unit, sheet: &mut Sheet) {
    for setting in unit.all("Service", "LoadCredential") {
        let Some((_, path)) = setting.value.split_once(':') else { continue };
        let path = PathBuf::from(path);
        if !path.is_absolute() || setting.value.contains('%') {
            continue;
        }
        if view.meta(&path).is_err_and(|error| error.is_absent()) {
            absent(view, unit, setting, &path, sheet);
        } else if view.is_file(&path) && access::is_public(view, &path) {
            let draft = Draft::at(&lints::SECRET_PUBLIC, unit.target(), Place::file(&path)).file(setting.place());
            sheet.add(draft.expected("mode 0600").found(format!("{} is readable for everybody", path.display())));
        }
    }
}

fn absent(view: &View, unit: &Unit, setting: &Setting, path: &Path, sheet: &mut Sheet) {
    let top: PathBuf = path.components().take(2).collect();
    let severity = match (view.is_elsewhere(), view.is_directory(&top) && path.starts_with("/etc")) {
        (false, _) => Severity::High,
        (true, true) => Severity::Medium,
        (true, false) => Severity::Low,
    };
    let draft = Draft::at(&lints::SOURCE_ABSENT, unit.target(), setting.place()).expected(path.display().to_string()).found("no such file");
    let draft = draft.severity(severity);
    let copy = "the copy that was looked at may have been made without it";
    sheet.add(if view.is_elsewhere() { draft.evidence(copy) } else { draft });
}

/// What a drop-in sets that the unit itself sets otherwise: what is in force, and where it comes from.
fn overridden(unit: &Unit, sheet: &mut Sheet) {
    const KEYS: &[(&str, &str)] = &[
        ("Service", "ExecStart"),
        ("Service", "ExecReload"),
        ("Service", "User"),
        ("Timer", "OnCalendar"),
        ("Timer", "OnUnitActiveSec"),
        ("Timer", "Unit"),
    ];
    for (section, key) in KEYS {
        let own = unit.settings.iter().find(|setting| setting.section == *section && setting.key == *key && *setting.file == *unit.file);
        let Some((own, effective)) = own.zip(unit.get(section, key)).filter(|(own, effective)| own.file != effective.file) else {
            continue;
        };
        let draft = Draft::at(&lints::OVERRIDDEN, unit.target(), effective.place()).file(own.place());
        sheet.add(draft.expected(format!("{key}={}", own.value)).found(format!("{key}={}", effective.value)));
    }
}
