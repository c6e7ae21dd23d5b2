//! What a unit or a cron table runs: whether it is there, may be executed, and may be changed by others. It must never run it.

use std::path::{Path, PathBuf};

use super::shell::Command;
use super::{access, lints, shebang};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::io::look::{Kind, View};
use crate::model::audit::{Location, Target};
use crate::model::finding::Severity;

/// Programs that run the script that is their first argument.
const INTERPRETERS: &[&str] = &["sh", "bash", "dash", "zsh", "python", "python3", "perl", "ruby"];
/// Directories of the distribution: a copy of a host is made without them.
const SYSTEM: &[&str] = &["/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/", "/usr/lib/", "/lib/", "/usr/libexec/", "/usr/lib64/", "/snap/"];

/// Somebody who runs something.
#[derive(Clone, Debug)]
pub(in crate::audit) struct Runner {
    pub(in crate::audit) target: Target,
    pub(in crate::audit) location: Location,
    /// The account, where it is not root.
    pub(in crate::audit) account: Option<String>,
}

/// The absolute path that a command runs, and whether it runs it itself.
pub(in crate::audit) fn path_of(command: &Command) -> Option<(PathBuf, bool)> {
    let mut words = command.words.iter().skip(command.main());
    let first = words.next()?;
    let sound = |word: &str| word.starts_with('/') && !word.contains(['$', '%', '*', '?']) && word.len() < 4096;
    if INTERPRETERS.contains(&command.program()) {
        let script = script(command.program(), words)?;
        return sound(script).then(|| (PathBuf::from(script), false));
    }
    sound(first).then(|| (PathBuf::from(first), true))
}

/// The file that an interpreter is given: none where the text of the script, or a module, stands on the command line.
fn script<'a>(program: &str, words: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    let text: &[char] = match program {
        "perl" | "ruby" => &['e'],
        name if name.starts_with("python") => &['c', 'm'],
        _ => &['c'],
    };
    let mut words = words.map(String::as_str);
    while let Some(word) = words.next() {
        match word.strip_prefix('-') {
            None => return Some(word),
            Some(option) if option.starts_with('-') => {}
            // `sh -c TEXT`, `python -m MODULE`, `perl -e TEXT`, and clusters such as `bash -lc`.
            Some(option) if option.contains(text) => return None,
            Some("o" | "O") => drop(words.next()),
            Some(_) => {}
        }
    }
    None
}

/// Judges the files that these commands run, and gives them back. A guarded one may be absent.
pub(in crate::audit) fn judge(view: &View, runner: &Runner, commands: &[Command], findings: &mut HostFindings) -> Vec<PathBuf> {
    let tests = |command: &Command| matches!(command.program(), "test" | "[" | "[[") || command.has("-v");
    let guarded = commands.iter().any(tests);
    let mut found = Vec::new();
    for (path, itself) in commands.iter().filter_map(path_of) {
        match view.meta(&path) {
            Err(error) if error.is_absent() && !guarded => absent(view, runner, &path, findings),
            Err(_) => {}
            Ok(meta) => {
                if itself && meta.kind == Kind::File && meta.mode & 0o111 == 0 {
                    let draft = draft(&lints::NOT_EXECUTABLE, runner, &path).expected("mode 0755 or 0700");
                    let draft = draft.found(format!("{} has mode {:04o}", path.display(), meta.mode));
                    // A copy may have lost its modes.
                    findings.add(if view.is_elsewhere() { draft.severity(Severity::Medium) } else { draft });
                }
                if itself && meta.kind == Kind::File {
                    first_line(view, runner, &path, findings);
                }
                changed_by_others(view, runner, &path, findings);
            }
        }
        found.push(path);
    }
    found
}

fn first_line(view: &View, runner: &Runner, path: &Path, findings: &mut HostFindings) {
    let Some(line) = shebang::fault(view, path) else { return };
    let draft = draft(&lints::FIRST_LINE, runner, path).file(Location::line(path, 1)).expected(line.expected).found(line.found);
    findings.add(if line.absent && view.is_elsewhere() { draft.severity(Severity::Medium) } else { draft });
}

fn draft(lint: &'static crate::judge::lint::Lint, runner: &Runner, path: &Path) -> NewFinding {
    NewFinding::at(lint, runner.target.clone(), runner.location.clone()).file(Location::file(path))
}

fn changed_by_others(view: &View, runner: &Runner, path: &Path, findings: &mut HostFindings) {
    let account = runner.account.as_deref().and_then(|account| view.accounts().uid(account));
    if let Some(found) = access::writable(view, path, account) {
        let who = runner.account.as_deref().unwrap_or("root");
        let target = Target::new("script", path.display().to_string());
        let draft = NewFinding::at(&lints::WRITABLE, target, Location::file(path)).file(runner.location.clone());
        findings.add(
            draft
                .expected(format!("only root and {who} may change it"))
                .found(found)
                .evidence(format!("run as {who} by {}", runner.target)),
        );
    }
}

fn absent(view: &View, runner: &Runner, path: &Path, findings: &mut HostFindings) {
    let text = path.display().to_string();
    let script = [".sh", ".py", ".pl", ".bash", ".rb"].iter().any(|end| text.ends_with(end));
    let name = text.rsplit('/').next().unwrap_or_default();
    let renews = ["renew", "cert", "issue", "pki"].iter().any(|word| name.contains(word));
    let of_system = SYSTEM.iter().any(|start| text.starts_with(start));
    // A copy of a host's files holds its scripts, seldom its programs.
    if view.is_elsewhere() && !script && (of_system || !renews) {
        return;
    }
    let top: PathBuf = path.components().take(2).collect();
    let left_out = view.is_elsewhere() && !view.is_directory(&top);
    let draft = draft(&lints::ABSENT, runner, path).expected(text).found("no such file");
    findings.add(if left_out {
        draft.severity(Severity::Medium).evidence("the copy that was looked at may have been made without it")
    } else {
        draft
    });
}
