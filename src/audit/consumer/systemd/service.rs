//! Services: what they run, which secrets stand in their environment, what a reload of them does, and settings that systemd does not know.

use std::path::{Path, PathBuf};

use super::command::{signs, unprefixed};
use super::unit::{self, Setting, Unit};
use super::{account, limits, lines, lints, refused, told};
use crate::audit::consumer::scripts::check::{self, ScriptLine};
use crate::audit::consumer::scripts::run::{self, Runner};
use crate::audit::consumer::scripts::script::{self, Does, ScriptContext};
use crate::audit::consumer::scripts::shell::{self, Line, assignment};
use crate::audit::consumer::scripts::{self, Script, access, token};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::timer;
use crate::io::look::View;
use crate::model::audit::Location;
use crate::model::finding::Severity;

/// As many files of environment variables are read for one unit.
const FILES: usize = 50;

/// Judges a unit, and gives what it runs and what its own command lines do.
pub(super) fn judge(view: &View, unit: &Unit, context: &ScriptContext, findings: &mut HostFindings) -> (Vec<Script>, Does) {
    lines::judge(unit, findings);
    refused::judge(unit, findings);
    environment(view, unit, findings);
    credentials(view, unit, findings);
    overridden(unit, findings);
    account::judge(view, unit, findings);
    limits::conditions(view, unit, findings);
    let account = unit.get("Service", "User").map(|setting| setting.value.clone()).filter(|user| user != "root" && user != "0");
    let umask = unit.get("Service", "UMask").is_some_and(|setting| setting.value.ends_with('7'));
    let given = scripts::Told { umask, variables: told::variables(view, unit), confined: limits::of(unit, account.clone()) };
    let mut scripts = Vec::new();
    let mut lines: Vec<Told> = Vec::new();
    for setting in unit.commands() {
        let line = Line { text: unprefixed(&setting.value).to_owned(), ..setting.as_line() };
        let runner = Runner { target: unit.target().at_line(Some(setting.line)), location: setting.location(), account: account.clone() };
        let commands = shell::commands(&line.text);
        unheard(unit, setting, &commands, findings);
        if !own_signal(unit, setting, &line, &commands, findings) {
            scripts.extend(run::judge(view, &runner, &commands, findings).into_iter().map(|path| Script { path, told: given.clone() }));
            let own = matches!(setting.key.as_str(), "ExecReload" | "ExecStop");
            lines.push(Told { file: setting.file.to_path_buf(), line, own });
        }
    }
    let mut does = Does::default();
    let context = ScriptContext { told: given, ..context.clone() };
    let mut files: Vec<&PathBuf> = lines.iter().map(|told| &told.file).collect();
    files.dedup();
    for (file, own) in files.into_iter().flat_map(|file| [(file, false), (file, true)]) {
        let some: Vec<Line> = lines.iter().filter(|told| told.file == *file && told.own == own).map(|told| told.line.clone()).collect();
        let mut found = script::read(&unit.target(), file, &some, &context, findings);
        if own {
            found.wiring.reloads.clear();
        }
        does.issues |= found.issues;
        does.mentions.extend(found.mentions);
        does.wiring.join(found.wiring);
    }
    (scripts, does)
}

/// A command line of a unit.
struct Told {
    file: PathBuf,
    line: Line,
    /// How the service reloads or stops itself: that tells nobody to do it.
    own: bool,
}

/// A reload after a renewal whose failure systemd is told to pass over.
fn unheard(unit: &Unit, setting: &Setting, commands: &[shell::Command], findings: &mut HostFindings) {
    let passed = signs(&setting.value).contains('-');
    let renews = || unit.commands().any(|command| timer::renews(&command.value) || timer::is_public(&command.value));
    if passed && matches!(setting.key.as_str(), "ExecStart" | "ExecStartPost") && scripts::reloads_any(commands) && renews() {
        let draft = NewFinding::at(&lints::RELOAD_PASSED, unit.target(), setting.location());
        findings.add(draft.expected("a reload whose failure fails the unit").found(format!("{}={}", setting.key, setting.value)));
    }
}

/// `ExecReload=` that signals the unit's own main process.
fn own_signal(unit: &Unit, setting: &Setting, line: &Line, commands: &[shell::Command], findings: &mut HostFindings) -> bool {
    if setting.key != "ExecReload" {
        return false;
    }
    let target = unit.target();
    let (location, raw) = (setting.location(), line.text.as_str());
    let line = ScriptLine { target: &target, location, raw, text: raw, deep: raw, commands, foreign: false };
    let starts: Vec<&str> = unit.all("Service", "ExecStart").iter().map(|start| start.value.as_str()).collect();
    check::exec_reload(&line, &format!("{} {}", unit.name, starts.join(" ")), findings)
}

/// Secrets in `Environment=` and in files of variables.
fn environment(view: &View, unit: &Unit, findings: &mut HostFindings) {
    for setting in unit.all("Service", "Environment") {
        if let Some(found) = unit::words(&setting.value).iter().find_map(|word| token::find(word)) {
            findings
                .add(NewFinding::at(&lints::TOKEN, unit.target(), setting.location()).expected("no secret in an environment").found(found));
        }
        switches(unit, setting, findings);
    }
    for setting in unit.all("Service", "EnvironmentFile").into_iter().take(FILES) {
        let optional = setting.value.starts_with('-');
        let path = PathBuf::from(setting.value.trim_start_matches('-'));
        if setting.value.contains(['%', '*', '?']) || !path.is_absolute() {
            continue;
        }
        match view.text(&path) {
            Ok(text) => variables(view, unit, &path, &text, findings),
            Err(error) if error.is_absent() && !optional => absent(view, unit, setting, &path, findings),
            Err(_) => {}
        }
    }
}

/// A file of variables; its lines are judged like those of a script, its secrets by who may read it.
fn variables(view: &View, unit: &Unit, path: &Path, text: &str, findings: &mut HostFindings) {
    let lines: Vec<Line> = shell::lines(text).into_iter().filter(|line| !line.text.trim_start().starts_with(';')).collect();
    let mut rest = Vec::new();
    for line in lines {
        let Some(found) = token::find(&line.text) else {
            rest.push(line);
            continue;
        };
        let location = Location::line(path, line.number);
        let public = access::is_public(view, path);
        let lint = if public { &lints::SECRET_PUBLIC } else { &lints::FILE_TOKEN };
        let draft = NewFinding::at(lint, unit.target(), location).expected(if public { "mode 0600" } else { "a credential" });
        findings.add(
            draft
                .found(format!("{found}{}", if public { ", in a file that everybody may read" } else { "" }))
                .file(Location::file(&unit.file)),
        );
    }
    script::read(&unit.target(), path, &rest, &ScriptContext::default(), findings);
}

/// `Environment=VAULT_SKIP_VERIFY=1` and the like.
fn switches(unit: &Unit, setting: &Setting, findings: &mut HostFindings) {
    let words = unit::words(&setting.value);
    let words: Vec<String> = words.into_iter().filter(|word| assignment(word).is_some() && token::find(word).is_none()).collect();
    let line = Line::new(setting.line, words.join(" "));
    script::read(&unit.target(), &setting.file, &[line], &ScriptContext::default(), findings);
}

/// Files behind `LoadCredential=`.
fn credentials(view: &View, unit: &Unit, findings: &mut HostFindings) {
    for setting in unit.all("Service", "LoadCredential") {
        let Some((_, path)) = setting.value.split_once(':') else { continue };
        let path = PathBuf::from(path);
        if !path.is_absolute() || setting.value.contains('%') {
            continue;
        }
        if view.meta(&path).is_err_and(|error| error.is_absent()) {
            absent(view, unit, setting, &path, findings);
        } else if view.is_file(&path) && access::is_public(view, &path) && is_secret(view, setting, &path) {
            let draft = NewFinding::at(&lints::SECRET_PUBLIC, unit.target(), Location::file(&path)).file(setting.location());
            findings.add(draft.expected("mode 0600").found(format!("{} is readable for everybody", path.display())));
        }
    }
}

/// Whether what a credential loads is one: a certificate, a list of roots or a configuration without a secret is not.
fn is_secret(view: &View, setting: &Setting, path: &Path) -> bool {
    let Ok(bytes) = view.bytes(path) else { return false };
    let Ok(text) = std::str::from_utf8(&bytes) else { return true };
    if text.contains("-----BEGIN ") {
        return text.contains("PRIVATE KEY-----");
    }
    let id = setting.value.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let called = ["token", "secret", "pass", "key", "pin"].iter().any(|word| id.contains(word));
    // A lone word is what somebody shows to be let in.
    let lone = text.trim().lines().count() == 1 && !text.trim().contains(char::is_whitespace);
    called || lone || text.lines().any(|line| token::find(line).is_some())
}

fn absent(view: &View, unit: &Unit, setting: &Setting, path: &Path, findings: &mut HostFindings) {
    let top = |depth: usize| path.components().take(depth).collect::<PathBuf>();
    let severity = match (view.is_elsewhere(), view.is_directory(&top(2)) && path.starts_with("/etc")) {
        (false, _) => Severity::High,
        // A copy that has the program's own directory has what was in it.
        (true, true) if path.components().count() > 3 && view.is_directory(&top(3)) => Severity::High,
        (true, true) => Severity::Medium,
        (true, false) => Severity::Low,
    };
    let draft =
        NewFinding::at(&lints::SOURCE_ABSENT, unit.target(), setting.location()).expected(path.display().to_string()).found("no such file");
    let draft = draft.severity(severity);
    let copy = "the copy that was looked at may have been made without it";
    findings.add(if view.is_elsewhere() { draft.evidence(copy) } else { draft });
}

/// What a drop-in sets that the unit itself sets otherwise: what is in force, and where it comes from.
fn overridden(unit: &Unit, findings: &mut HostFindings) {
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
        let draft = NewFinding::at(&lints::OVERRIDDEN, unit.target(), effective.location()).file(own.location());
        // OnCalendar= and its like are lists: what is not taken back stays.
        let stays = unit.all(section, key).contains(&own);
        findings.add(if stays && *section == "Timer" && *key != "Unit" {
            draft.expected(format!("{key}={}", own.value)).found(format!("the drop-in adds {key}={}: both are in force", effective.value))
        } else {
            draft.expected(format!("{key}={}", own.value)).found(format!("{key}={}", effective.value))
        });
    }
}
