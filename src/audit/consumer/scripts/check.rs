//! Checks of single lines: secrets, TLS checks switched off, signals and reloads that do something else than meant.

use std::collections::BTreeSet;

use super::shell::{Command, assignment};
use super::{lints, token};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::judge::lint::Lint;
use crate::model::audit::{Location, Target};
use crate::model::finding::Severity;

/// A line with its commands, variables put in.
#[derive(Debug)]
pub(in crate::audit) struct ScriptLine<'a> {
    pub(in crate::audit) target: &'a Target,
    pub(in crate::audit) location: Location,
    /// As it is written, without its comment.
    pub(in crate::audit) raw: &'a str,
    /// With the variables that are known.
    pub(in crate::audit) text: &'a str,
    /// With the commands that variables were given by, too.
    pub(in crate::audit) deep: &'a str,
    pub(in crate::audit) commands: &'a [Command],
    /// It is no line of a shell script.
    pub(in crate::audit) foreign: bool,
}

impl ScriptLine<'_> {
    pub(super) fn draft(&self, lint: &'static Lint) -> NewFinding {
        NewFinding::at(lint, self.target.clone(), self.location.clone())
    }
}

/// A secret in a line, wherever that stands.
pub(super) fn secret(target: &Target, location: &Location, text: &str, findings: &mut HostFindings) {
    if let Some(found) = token::find(text) {
        findings.add(NewFinding::at(&lints::TOKEN, target.clone(), location.clone()).expected("no secret in a script").found(found));
    }
}

/// All checks of a line. `fixed` are the units that are known to have no reload.
pub(in crate::audit) fn line(line: &ScriptLine<'_>, fixed: &BTreeSet<String>, findings: &mut HostFindings) {
    if let Some((found, severity)) = tls_off(line) {
        findings.add(line.draft(&lints::TLS_OFF).severity(severity).expected("certificates are checked").found(found));
    }
    for command in line.commands {
        signal(line, command, findings);
        reload(line, command, fixed, findings);
    }
}

/// What switches checks off in a line. A look at this host's own port with nothing to lose is not as bad.
fn tls_off(line: &ScriptLine<'_>) -> Option<(String, Severity)> {
    const TEXTS: &[&str] = &[
        "verify=False",
        "verify = False",
        "ssl.CERT_NONE",
        "_create_unverified_context",
        "sslVerify=false",
        "InsecureSkipVerify",
        "--no-verify-ssl",
        "--verify=no",
        "-tls-skip-verify",
        "PYTHONHTTPSVERIFY=0",
        "NODE_TLS_REJECT_UNAUTHORIZED=0",
        "check_hostname = False",
        "check_hostname=False",
    ];
    const VARIABLES: &[&str] = &["VAULT_SKIP_VERIFY", "BAO_SKIP_VERIFY", "GIT_SSL_NO_VERIFY", "OPENBAO_SKIP_VERIFY"];
    let said =
        |text: &&&str| if line.foreign { line.text.contains(**text) } else { line.commands.iter().any(|command| does_say(command, text)) };
    if let Some(text) = TEXTS.iter().find(said) {
        return Some(((*text).to_owned(), Severity::High));
    }
    for command in line.commands {
        let on = |value: &str| !matches!(value.trim_matches(['"', '\'']).to_ascii_lowercase().as_str(), "" | "0" | "f" | "false");
        let variable = command.words.iter().filter_map(|word| assignment(word)).find(|(name, value)| VARIABLES.contains(name) && on(value));
        if let Some((name, value)) = variable {
            return Some((format!("{name}={value}"), Severity::High));
        }
        let option = match command.program() {
            "curl" => command.words.iter().find(|word| matches!(word.as_str(), "--insecure" | "--proxy-insecure") || clustered_k(word)),
            "wget" => command.words.iter().find(|word| *word == "--no-check-certificate"),
            _ => None,
        };
        if let Some(option) = option {
            let near = |word: &String| ["://localhost", "://127.", "://[::1]"].iter().any(|start| word.contains(start));
            let carries = line.text.to_ascii_lowercase().contains("token") || line.text.contains("/v1/");
            let harmless = command.words.iter().any(near) && !carries;
            return Some((format!("{} {option}", command.program()), if harmless { Severity::Low } else { Severity::High }));
        }
    }
    None
}

/// Whether a command is told this, and does not only speak of it.
fn does_say(command: &Command, text: &str) -> bool {
    const SPEAKERS: &[&str] = &[
        "echo", "printf", "logger", "cat", "grep", "egrep", "fgrep", "sed", "awk", "test", "[", "[[", "case", "for", ":", "die", "usage",
        "read",
    ];
    let program = command.program();
    let runs_text = program.starts_with("python") || matches!(program, "perl" | "ruby" | "node");
    let assigned = command.words.iter().all(|word| assignment(word).is_some_and(|(name, _)| !text.starts_with(name)));
    !SPEAKERS.contains(&program) && !assigned && command.words.iter().any(|word| word.contains(text) && (runs_text || !word.contains(' ')))
}

/// `-k` in a cluster of short options of curl, before one that takes a value.
fn clustered_k(word: &str) -> bool {
    const VALUED: &[char] = &[
        'A', 'b', 'c', 'C', 'd', 'D', 'e', 'E', 'F', 'h', 'H', 'K', 'm', 'o', 'P', 'Q', 'r', 't', 'T', 'u', 'U', 'w', 'x', 'X', 'y', 'Y',
        'z',
    ];
    let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.starts_with('-')) else { return false };
    letters.chars().take_while(|c| !VALUED.contains(c)).any(|c| c == 'k')
}

/// What a service does when it gets a signal ([Signals](crate::steps#signals)).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Keylime,
    Spire,
    Nginx,
}

fn named(text: &str) -> Option<Named> {
    let text = text.to_ascii_lowercase();
    // SPIRE's Keylime plugin is SPIRE's; what is said last is what the signal is sent to.
    let places = [("spire", Named::Spire), ("keylime", Named::Keylime), ("nginx", Named::Nginx)];
    places.into_iter().find(|(word, _)| text.contains(word)).map(|(_, service)| service)
}

/// The signal of a `kill`, `pkill`, `killall` or `systemctl kill`.
pub(in crate::audit) fn signal_of(command: &Command) -> Option<String> {
    let program = command.program();
    let kills = matches!(program, "kill" | "pkill" | "killall") || (program == "systemctl" && command.has("kill"));
    if !kills {
        return None;
    }
    let mut words = command.words.iter().skip_while(|word| !word.ends_with(program)).skip(1);
    while let Some(word) = words.next() {
        let name = match word.as_str() {
            "-s" | "--signal" | "-n" => words.next().map(String::as_str),
            word => word
                .strip_prefix("--signal=")
                .or_else(|| word.strip_prefix("-s").filter(|rest| !rest.is_empty()))
                .or_else(|| word.strip_prefix('-')),
        };
        let name = name.map(|name| name.trim_start_matches("SIG").to_ascii_uppercase());
        match name.as_deref() {
            Some("HUP" | "1") => return Some("HUP".to_owned()),
            Some("USR1" | "10") => return Some("USR1".to_owned()),
            Some("USR2" | "12") => return Some("USR2".to_owned()),
            _ => {}
        }
    }
    None
}

fn signal(line: &ScriptLine<'_>, command: &Command, findings: &mut HostFindings) {
    let Some(signal) = signal_of(command) else { return };
    let own = command.words.join(" ");
    // kill takes a number, which comes from somewhere else in the line.
    let Some(service) = named(&own).or_else(|| named(sent_to(line.deep))) else { return };
    ends(line, service, &signal, findings);
}

/// What a `kill` of a line speaks of: from it to the end of its command.
fn sent_to(text: &str) -> &str {
    let rest = text.find("kill").and_then(|at| text.get(at..)).unwrap_or(text);
    let end = ["&&", "||", ";"].iter().filter_map(|mark| rest.find(mark)).min().unwrap_or(rest.len());
    rest.get(..end).unwrap_or(rest)
}

fn ends(line: &ScriptLine<'_>, service: Named, signal: &str, findings: &mut HostFindings) {
    match (service, signal) {
        (Named::Keylime, _) => findings.add(
            line.draft(&lints::SIGNAL_ENDS)
                .expected("a restart: Keylime reloads nothing")
                .found(format!("{signal} to Keylime"))
                .evidence("HUP ends the main process; workers left behind serve the old certificate and hold the port")
                .remedy("use systemctl try-restart for the unit")
                .breaks("keylime"),
        ),
        (Named::Spire, "HUP") => findings.add(
            line.draft(&lints::SIGNAL_ENDS)
                .expected("USR1 after a change of the plugin's data file")
                .found("HUP to SPIRE")
                .evidence("HUP ends server and agent within 40 ms, without a line in the log")
                .breaks("spire"),
        ),
        (Named::Nginx, "HUP") => findings.add(line.draft(&lints::BLIND_RELOAD).expected("systemctl reload nginx").found("HUP to nginx")),
        _ => {}
    }
}

/// Whether a `kill` sends what ends any program that does not say otherwise: TERM (which is the default), KILL, INT, QUIT.
fn kills(command: &Command) -> Option<String> {
    if !matches!(command.program(), "kill" | "pkill" | "killall") {
        return None;
    }
    let option = command.words.iter().skip_while(|word| !word.ends_with(command.program())).nth(1)?;
    let name = option.strip_prefix('-').map(|name| name.trim_start_matches("SIG").to_ascii_uppercase());
    match name.as_deref() {
        None => Some("TERM".to_owned()),
        Some("TERM" | "15") => Some("TERM".to_owned()),
        Some("KILL" | "9") => Some("KILL".to_owned()),
        Some("INT" | "2") => Some("INT".to_owned()),
        Some("QUIT" | "3") => Some("QUIT".to_owned()),
        _ => None,
    }
}

/// The same for `ExecReload=` of a unit: the unit says which service it is.
pub(in crate::audit) fn exec_reload(line: &ScriptLine<'_>, unit: &str, findings: &mut HostFindings) -> bool {
    if let Some(signal) = line.commands.iter().find_map(kills) {
        let draft = line.draft(&lints::SIGNAL_ENDS).expected("a signal that the service reloads on").found(format!("{signal} to {unit}"));
        findings.add(draft.remedy("take ExecReload= out, and restart the unit, where its service has no reload"));
        return true;
    }
    let Some(signal) = line.commands.iter().find_map(signal_of) else { return false };
    match named(unit) {
        Some(service @ (Named::Keylime | Named::Spire)) => ends(line, service, &signal, findings),
        _ => return false,
    }
    true
}

/// `systemctl reload` of a unit that has no reload.
fn reload(line: &ScriptLine<'_>, command: &Command, fixed: &BTreeSet<String>, findings: &mut HostFindings) {
    let service = matches!(command.program(), "service" | "rc-service") && command.words.last().is_some_and(|word| word == "reload");
    if !(service || command.program() == "systemctl" && command.has("reload")) {
        return;
    }
    for word in command.words.iter().filter(|word| !word.starts_with('-') && *word != "reload") {
        let unit = if word.contains('.') { word.clone() } else { format!("{word}.service") };
        // Upstream's units have none (steps/services.md, "Signals").
        if fixed.contains(&unit) || (unit.starts_with("keylime_") && !fixed.contains(&format!("+{unit}"))) {
            let draft = line.draft(&lints::NO_RELOAD).expected("a unit with ExecReload=").found(format!("{unit} has none"));
            findings.add(draft);
        }
    }
}
