//! Programs that cron does not find: its PATH is short, and a script that a person tried on a terminal had a longer one.

use std::path::{Path, PathBuf};

use super::run::Runner;
use super::shell::{self, Command};
use super::{lints, python};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::io::look::View;
use crate::model::audit::Location;

/// What cron gives where a table says nothing (crontab(5) of Debian).
pub(super) const DEFAULT: &str = "/usr/bin:/bin";
/// Where programs lie that it does not find then.
const BEYOND: &[&str] = &["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/sbin", "/snap/bin", "/opt/bin", "/opt/openbao/bin"];
/// What certificates hang on: a command that is not found elsewhere is its script's own business.
const PROGRAMS: &[&str] = &[
    "nginx",
    "certbot",
    "acme.sh",
    "lego",
    "dehydrated",
    "step",
    "bao",
    "vault",
    "consul-template",
    "omens",
    "service",
    "systemctl",
    "apachectl",
    "apache2ctl",
    "haproxy",
    "postfix",
    "dovecot",
    "spire-server",
    "spire-agent",
    "openssl",
    "jq",
    "curl",
];

/// Judges the commands of a job, and those of the scripts that it runs, unless they set a PATH of their own.
pub(super) fn judge(view: &View, path: &str, runner: &Runner, commands: &[Command], run: &[PathBuf], findings: &mut HostFindings) {
    if commands.iter().any(sets_path) {
        return;
    }
    for command in commands {
        one(view, path, runner, command, &runner.location, findings);
    }
    for script in run {
        let Ok(text) = view.text(script) else { continue };
        if !text.starts_with("#!") || python::is_foreign(script, &text) || text.contains("PATH=") {
            continue;
        }
        for line in shell::lines(&text).iter().filter(|line| !line.literal) {
            for command in shell::commands(&line.text) {
                one(view, path, runner, &command, &Location::line(script, line.number), findings);
            }
        }
    }
}

fn sets_path(command: &Command) -> bool {
    command.words.iter().any(|word| word.starts_with("PATH="))
}

fn one(view: &View, path: &str, runner: &Runner, command: &Command, location: &Location, findings: &mut HostFindings) {
    let Some(word) = command.words.get(command.main()).filter(|word| PROGRAMS.contains(&word.as_str())) else { return };
    let there = |directory: &str| view.is_file(&Path::new(directory).join(word));
    if path.split(':').any(there) || path.contains('$') {
        return;
    }
    let Some(lies) = BEYOND.iter().find(|directory| there(directory)) else { return };
    let draft = NewFinding::at(&lints::CRON_PATH, runner.target.clone(), location.clone()).file(runner.location.clone());
    let draft = draft.expected(format!("{word} in PATH={path}")).found(format!("{word} lies in {lies}"));
    findings.add(draft.evidence(format!("\"{word}: not found\"")).remedy(format!("write {lies}/{word}, or set PATH= in the table")));
}
