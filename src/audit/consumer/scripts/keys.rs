//! What a script does with certificates and keys: how many issuances make a pair, where the key is made, with which modes it is written,
//! and whether files in use are overwritten.

use std::collections::{BTreeMap, BTreeSet};

use super::answers::Answers;
use super::check::ScriptLine;
use super::fields::{Half, half, kept, names};
use super::lints;
use super::python::Names;
use super::shell::Command;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::judge::lint::Lint;
use crate::model::finding::Severity;

/// What is known of a script after its lines so far.
#[derive(Debug, Default)]
pub(super) struct Habits {
    /// By the path that issues: lines that take the certificate alone, lines that take the key alone.
    halves: BTreeMap<String, (Vec<u32>, Vec<u32>)>,
    /// The function whose body is being read.
    function: Option<String>,
    /// Functions that issue and give the whole answer, or the part they are told.
    issuing: BTreeMap<String, String>,
    umask: bool,
    issued: bool,
    /// A loop that goes over the halves of a pair is being read.
    both: bool,
    overwritten: Vec<(u32, String)>,
    moved: BTreeSet<String>,
    answers: Answers,
    names: Names,
}

impl Habits {
    /// A script that a unit with a strict `UMask=` runs.
    pub(super) fn with_umask(umask: bool) -> Self {
        Self { umask, ..Self::default() }
    }

    /// Whether it issues or signs anything.
    pub(super) const fn issues(&self) -> bool {
        self.issued
    }

    /// Takes in one line.
    pub(super) fn line(&mut self, line: &ScriptLine<'_>, findings: &mut HostFindings) {
        self.function(line.raw);
        let loops = line.raw.trim_start().starts_with("for ");
        self.both |= loops && half(line.raw) == Half::Both;
        self.issue(line, findings);
        if line.foreign {
            self.foreign(line, findings);
            return;
        }
        for command in line.commands {
            self.umask |= command.program() == "umask" && command.words.last().is_some_and(|mask| hides(mask));
            modes(line, command, findings);
            self.outputs(line, command, findings);
        }
    }

    /// `name() {` and `function name`, up to a `}` at the beginning of a line.
    fn function(&mut self, raw: &str) {
        let head = raw.trim_start().trim_start_matches("function ").trim_start();
        if let Some((name, _)) = head.split_once("()") {
            let name = name.trim();
            if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
                self.function = Some(name.to_owned());
            }
        }
        if raw.starts_with('}') {
            self.function = None;
        }
    }

    fn issue(&mut self, line: &ScriptLine<'_>, findings: &mut HostFindings) {
        let number = line.location.line.unwrap_or_default();
        let called = line.commands.iter().find_map(|command| self.issuing.get(command.words.first()?).cloned());
        let path = issue_path(line.text);
        self.issued |= path.is_some() || line.text.contains("/sign/");
        if let Some(path) = &path {
            let draft = line.draft(&lints::SERVER_KEY).expected("a sign path and a request made here").found(path.clone());
            if !self.halves.contains_key(path) {
                findings.add(draft);
            }
        }
        let half = half(line.raw);
        let Some(path) = path.or(called) else {
            self.answers.take(line.raw, matches!(half, Half::Certificate | Half::Both), matches!(half, Half::Key | Half::Both));
            return;
        };
        if half == Half::Neither {
            self.answers.keep(line.raw, &path, number);
        }
        if self.both
            && half == Half::Neither
            && ["-field=$", "-field=\"$", "-field=${", ".data.$", ".data[$"].iter().any(|mark| line.raw.contains(mark))
        {
            let draft = line.draft(&lints::TWO_CALLS).expected("certificate and key from one answer");
            findings.add(draft.found(format!("a call of {path} for each field")));
        }
        let issues = |command: &&Command| command.words.iter().any(|word| word.contains("/issue/") && !word.contains(' '));
        if half == Half::Both && line.commands.iter().filter(issues).count() > 1 {
            findings.add(
                line.draft(&lints::TWO_CALLS)
                    .expected("certificate and key from one answer")
                    .found(format!("two calls of {path} in one line")),
            );
        }
        if let Some(name) = self.function.clone()
            && half == Half::Neither
        {
            self.issuing.insert(name, path.clone());
        }
        let (certificates, keys) = self.halves.entry(path.clone()).or_default();
        match half {
            Half::Certificate if certificates.len() < 10 => certificates.push(number),
            Half::Key if keys.len() < 10 => keys.push(number),
            _ => return,
        }
        if let (Some(certificate), Some(key)) = (certificates.first(), keys.first()) {
            let last = (*certificate).max(*key);
            let draft = line.draft(&lints::TWO_CALLS).expected("certificate and key from one answer");
            if last == number {
                findings.add(draft.found(format!("two calls of {path}: the certificate in line {certificate}, the key in line {key}")));
            }
        }
    }

    fn outputs(&mut self, line: &ScriptLine<'_>, command: &Command, findings: &mut HostFindings) {
        let number = line.location.line.unwrap_or_default();
        let files = written(command);
        // A key has whatever name its file has: `combined.pem`, `mx.pem`.
        let takes = command.words.iter().any(|word| names(&kept(word), ".private_key"));
        for file in command.outputs() {
            if (takes || is_key(file)) && !self.umask && file != "/dev/null" && !is_temporary(file) {
                let draft = line.draft(&lints::KEY_UMASK).expected("umask 077 before it");
                findings.add(draft.found(format!("{file} is written with the umask of whoever runs the script")));
            }
        }
        if command.program() == "mv" {
            self.moved.extend(command.words.iter().filter(|word| !word.starts_with('-')).cloned());
        }
        let live = files.into_iter().filter(|file| is_live(file)).map(|file| (number, file.to_owned()));
        self.overwritten.extend(live.take(50));
    }

    /// The same of a line that is no shell: what it writes, moves and hides.
    fn foreign(&mut self, line: &ScriptLine<'_>, findings: &mut HostFindings) {
        let number = line.location.line.unwrap_or_default();
        self.names.learn(line.raw);
        let seen = self.names.line(line.raw);
        self.umask |= seen.umask;
        self.moved.extend(seen.moved);
        for file in seen.written {
            if is_key(&file) && !self.umask && !seen.hidden && !is_temporary(&file) {
                let draft = line.draft(&lints::KEY_UMASK).expected("os.umask(0o077) before it, or os.open with mode 0o600");
                findings.add(draft.found(format!("{file} is written with the umask of whoever runs the script")));
            }
            if is_live(&file) {
                self.overwritten.push((number, file));
            }
        }
    }

    /// What shows at the end only.
    pub(super) fn end(self, line: impl Fn(&'static Lint, u32) -> NewFinding, findings: &mut HostFindings) {
        if let Some((certificate, key, path)) = self.answers.torn() {
            let found = format!("two calls of {path}: the certificate of line {certificate}, the key of line {key}");
            findings.add(line(&lints::TWO_CALLS, certificate.max(key)).expected("certificate and key from one answer").found(found));
        }
        let in_place: Vec<&(u32, String)> = self.overwritten.iter().filter(|(_, file)| !self.moved.contains(file)).collect();
        let Some((first, _)) = in_place.first() else { return };
        let files: Vec<&str> = in_place.iter().take(6).map(|(_, file)| file.as_str()).collect();
        let draft = line(&lints::OVERWRITES, *first).expected("a new file, renamed into place").found(files.join(", "));
        findings.add(if in_place.iter().any(|(_, file)| is_key(file) || in_place.len() > 1) {
            draft
        } else {
            draft.severity(Severity::Low)
        });
    }
}

/// `pki_int/issue/role` in a text.
fn issue_path(text: &str) -> Option<String> {
    let at = text.find("/issue/")?;
    let edge = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '(' | ')' | ';' | ',' | '=');
    let start = text.get(..at)?.rfind(edge).map_or(0, |start| start + 1);
    let rest = text.get(start..)?;
    let end = rest.find(edge).unwrap_or(rest.len());
    let path = rest.get(..end)?;
    // An address stands before it where curl is used.
    let path = path.split_once("/v1/").map_or(path, |(_, path)| path);
    (!path.ends_with("/issue/")).then(|| path.trim_start_matches('/').to_owned())
}

/// Whether a umask leaves nothing to others.
fn hides(mask: &str) -> bool {
    let octal = u32::from_str_radix(mask, 8).is_ok_and(|mask| mask & 0o007 == 0o007);
    octal || mask.contains("o=") || mask.contains("o-rwx")
}

/// `chmod` and `install` that give a key to everybody.
fn modes(line: &ScriptLine<'_>, command: &Command, findings: &mut HostFindings) {
    let keys: Vec<&String> = command.words.iter().filter(|word| is_key(word)).collect();
    let mode = match command.program() {
        "chmod" => command.words.iter().skip(1).find(|word| !word.starts_with('-') || word.starts_with("-r")).map(String::as_str),
        "install" => {
            let after = command.words.iter().skip_while(|word| *word != "-m").nth(1).map(String::as_str);
            after
                .or_else(|| command.words.iter().find_map(|word| word.strip_prefix("-m").or_else(|| word.strip_prefix("--mode="))))
                .or(Some("0755"))
        }
        _ => None,
    };
    let Some((mode, key)) = mode.zip(keys.first()) else { return };
    let open = match u32::from_str_radix(mode, 8) {
        Ok(bits) => bits & 0o007 != 0,
        Err(_) => mode.split(',').any(opens),
    };
    if open {
        findings.add(line.draft(&lints::KEY_MODE).expected("0600 or 0640").found(format!("{mode} for {key}")));
    }
}

/// Whether a symbolic mode gives something to others: `o+r`, `a=rw`, `+r`; `g+r` does not (chmod(1)).
fn opens(clause: &str) -> bool {
    let Some(at) = clause.find(['+', '=']) else { return false };
    let (who, what) = clause.split_at_checked(at).unwrap_or((clause, ""));
    (who.is_empty() || who.contains(['o', 'a'])) && what.contains(['r', 'w'])
}

/// The files that a command writes where they are.
pub(super) fn written(command: &Command) -> Vec<&str> {
    let mut files = command.outputs();
    let after = |option: &str| command.words.iter().skip_while(|word| *word != option).nth(1).map(String::as_str);
    match command.program() {
        "cp" => files.extend(command.words.iter().skip(1).rfind(|word| !word.starts_with('-')).map(String::as_str)),
        "tee" => files.extend(
            command.words.iter().skip_while(|word| *word != "tee").skip(1).filter(|word| !word.starts_with('-')).map(String::as_str),
        ),
        "curl" => files.extend(after("-o").or_else(|| after("--output"))),
        "openssl" => files.extend(after("-out").into_iter().chain(after("-keyout"))),
        _ => {}
    }
    files
}

fn is_key(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let pem = name.ends_with(".pem") && (name.contains("key") || name.contains("priv"));
    (name.ends_with(".key") || pem) && !name.contains("pub")
}

fn is_temporary(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    ["/tmp/", "tmp", "temp", ".new", "staging", "stage", ".next", "work", "/dev/", "/run/user", "backup", ".bak", ".old"]
        .iter()
        .any(|word| lower.contains(word))
}

/// A file that a service may have open: an absolute path that does not look like a draft.
pub(super) fn is_live(path: &str) -> bool {
    let ends = [".crt", ".pem", ".cer", ".key"].iter().any(|end| path.ends_with(end));
    path.starts_with('/') && ends && !path.contains('$') && !is_temporary(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuing_path_is_found_in_both_ways_to_call_it() {
        for (text, path) in [
            ("bao write -format=json pki_int/issue/web common_name=x", Some("pki_int/issue/web")),
            ("curl \"https://b:8200/v1/pki_int/issue/web\"", Some("pki_int/issue/web")),
            ("see https://github.com/x/issue/", None),
            ("bao write pki_int/sign/web", None),
        ] {
            assert_eq!(issue_path(text).as_deref(), path, "{text}");
        }
    }

    #[test]
    fn a_symbolic_mode_opens_what_it_gives_to_others() {
        for (mode, open) in
            [("g+r", false), ("u=rw,g=r", false), ("o+r", true), ("a+r", true), ("+r", true), ("go=r", true), ("o-r", false), ("+x", false)]
        {
            assert_eq!(mode.split(',').any(opens), open, "{mode}");
        }
    }

    #[test]
    fn keys_and_files_in_use_are_told_by_their_names() {
        for (path, key, live) in [
            ("/etc/nginx/ssl/x.key", true, true),
            ("/etc/nginx/ssl/privkey.pem", true, true),
            ("/etc/nginx/ssl/fullchain.pem", false, true),
            ("/tmp/x.key", true, false),
            ("/etc/x/x.crt.new", false, false),
            ("$TMP/x.key", true, false),
            ("/etc/x/public-key.pem", false, true),
        ] {
            assert_eq!((is_key(path), is_live(path)), (key, live), "{path}");
        }
    }
}
