//! Errors that a script passes over: `set -e` is off in a function that is called before `||` or `&&` or in a condition, and a reload that
//! comes before what it should make known. It must never judge a script that gets no certificates.

use std::collections::BTreeMap;

use super::check::ScriptLine;
use super::keys::is_live;
use super::lints;
use super::reloads;
use super::shell::{Command, Joined};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::judge::lint::Lint;

/// What a function does, as far as errors matter.
#[derive(Clone, Copy, Debug, Default)]
struct Body {
    issues: bool,
    /// It goes on to write or to reload.
    acts: bool,
}

/// A function that is called where `set -e` does not count.
#[derive(Debug)]
struct Spared {
    line: u32,
    name: String,
    how: &'static str,
}

/// A script so far.
#[derive(Debug, Default)]
pub(super) struct Errors {
    strict: bool,
    function: Option<String>,
    bodies: BTreeMap<String, Body>,
    spared: Vec<Spared>,
    /// An issuance whose failure is passed over, until something is done with its answer.
    passed: Option<u32>,
    used: Option<u32>,
    issues: bool,
    /// By function: the last reload, and what is put in place after it.
    reloaded: BTreeMap<String, (u32, Option<u32>)>,
}

impl Errors {
    /// Takes in a line of commands.
    pub(super) fn line(&mut self, line: &ScriptLine<'_>) {
        let number = line.location.line.unwrap_or_default();
        if let Some((name, _)) = line.raw.trim_start().trim_start_matches("function ").split_once("()") {
            self.function = Some(name.trim().to_owned()).filter(|name| !name.is_empty() && !name.contains(char::is_whitespace));
        }
        for (command, next) in line.commands.iter().zip(line.commands.iter().skip(1).map(Some).chain([None])) {
            self.command(command, next, number);
        }
        if line.raw.starts_with('}') {
            self.function = None;
        }
    }

    fn command(&mut self, command: &Command, next: Option<&Command>, number: u32) {
        let joined = next.filter(|next| next.depth <= command.depth).map(|next| next.joined);
        self.strict |= command.program() == "set" && command.words.iter().any(|word| strict(word));
        let (issues, acts) = (issues(command), acts(command));
        self.issues |= issues;
        if let Some(name) = &self.function {
            let body = self.bodies.entry(name.clone()).or_default();
            body.acts |= acts && body.issues;
            body.issues |= issues;
        }
        let condition = command.words.first().is_some_and(|word| matches!(word.as_str(), "if" | "elif" | "while" | "until" | "!"));
        let how = match joined {
            Some(Joined::Or) => "before ||",
            Some(Joined::And) => "before &&",
            _ if condition => "in a condition",
            _ => "",
        };
        let name = command.program();
        if !how.is_empty() && self.bodies.contains_key(name) && self.function.as_deref() != Some(name) {
            self.spared.push(Spared { line: number, name: name.to_owned(), how });
        }
        let harmless = next.is_some_and(|next| matches!(next.program(), "true" | ":" | "echo" | "printf" | "logger"));
        if issues && joined == Some(Joined::Or) && harmless {
            self.passed.get_or_insert(number);
        } else if acts && self.passed.is_some_and(|passed| passed < number) {
            self.used.get_or_insert(number);
        }
        self.order(command, number);
    }

    /// A reload, and what comes after it.
    fn order(&mut self, command: &Command, number: u32) {
        let place = self.function.clone().unwrap_or_default();
        if reloads::any(std::slice::from_ref(command)) {
            self.reloaded.insert(place, (number, None));
        } else if let Some((_, after)) = self.reloaded.get_mut(&place)
            && placed(command).is_some_and(is_live)
        {
            after.get_or_insert(number);
        }
    }

    /// What shows at the end only.
    pub(super) fn end(self, at: impl Fn(&'static Lint, u32) -> NewFinding, findings: &mut HostFindings) {
        let torn = |spared: &&Spared| self.bodies.get(&spared.name).is_some_and(|body| body.issues && body.acts);
        if let Some(Spared { line, name, how }) = self.spared.iter().find(torn).filter(|_| self.strict) {
            let draft = at(&lints::ERRORS_PASSED, *line).expected(format!("{name} as a command of its own"));
            findings.add(draft.found(format!("{name} {how}: set -e does not count inside it")));
        }
        if let Some((passed, used)) = self.passed.zip(self.used) {
            let draft = at(&lints::ERRORS_PASSED, passed).expected("an end where nothing was issued");
            findings.add(draft.found(format!("its failure is passed over, and line {used} goes on")));
        }
        let early = self.reloaded.values().find_map(|(reload, after)| Some((*reload, (*after)?)));
        if let Some((reload, after)) = early.filter(|_| self.issues) {
            let draft = at(&lints::RELOAD_EARLY, reload).expected("a reload after everything lies in place");
            findings.add(draft.found(format!("line {after} puts a file in place after it, and no reload follows")));
        }
    }
}

fn strict(word: &str) -> bool {
    word == "errexit" || word.strip_prefix('-').is_some_and(|flags| !flags.starts_with('-') && flags.contains('e'))
}

/// Whether it asks for a certificate.
fn issues(command: &Command) -> bool {
    let has = |text: &str| command.words.iter().any(|word| word.contains(text) && !word.contains(' '));
    match command.program() {
        "bao" | "vault" | "curl" | "wget" => has("/issue/") || has("/sign/") || has("/issue") || has("/sign"),
        "step" => command.has("ca") && (command.has("renew") || command.has("certificate") || command.has("sign")),
        "lego" | "certbot" | "acme.sh" => true,
        _ => false,
    }
}

/// Whether it makes use of what was got.
fn acts(command: &Command) -> bool {
    let writes = command.outputs().into_iter().any(|file| file != "/dev/null" && !file.starts_with("&"));
    matches!(command.program(), "mv" | "cp" | "install" | "ln" | "tee") || writes || reloads::any(std::slice::from_ref(command))
}

/// The file that a command puts in place.
fn placed(command: &Command) -> Option<&str> {
    match command.program() {
        "mv" | "cp" | "install" | "ln" => command.words.iter().skip(1).rfind(|word| !word.starts_with('-')).map(String::as_str),
        _ => command.outputs().into_iter().next(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{self, ScriptContext};
    use super::super::shell;
    use super::*;
    use crate::model::audit::{Location, Target};
    use crate::model::clock::Time;

    fn found(text: &str) -> Vec<String> {
        let mut findings = HostFindings::new(Time::from_unix(0), "h");
        let path = std::path::Path::new("/s");
        let _does = script::read(&Target::new("script", "/s"), path, &shell::lines(text), &ScriptContext::default(), &mut findings);
        let own = ["script.errors-passed", "reload.early"];
        let _location = Location::file(path);
        let document = findings.into_document();
        let own = document.findings.iter().filter(|finding| own.contains(&finding.id.as_str()));
        own.map(|finding| format!("{}:{}", finding.id, finding.files[0].line.unwrap_or_default())).collect()
    }

    #[test]
    fn errors_that_are_passed_over_and_reloads_that_come_too_early_are_told() {
        let body = "renew() {\n bao write pki/sign/web csr=@/c > /run/a\n jq -r .data.certificate /run/a > /etc/w/web.pem.new\n mv /etc/w/web.pem.new /etc/w/web.pem\n}\n";
        for (text, expected) in [
            (format!("set -eu\n{body}renew || logger failed\n"), vec!["script.errors-passed:7"]),
            (format!("set -eu\n{body}if renew; then systemctl reload nginx; fi\n"), vec!["script.errors-passed:7"]),
            (format!("set -eu\n{body}renew\nsystemctl reload nginx\n"), vec![]),
            (format!("{body}renew || logger failed\n"), vec![]),
            (
                "bao write pki/sign/web csr=@/c > /run/a || true\njq -r .data.certificate /run/a > /etc/w/new\n".into(),
                vec!["script.errors-passed:1"],
            ),
            ("bao write pki/sign/web csr=@/c > /run/a || exit 1\njq -r .data.certificate /run/a > /etc/w/new\n".into(), vec![]),
            ("certbot renew || true\n".into(), vec![]),
            (
                "bao write pki/sign/web csr=@/c > /run/a\nsystemctl reload nginx\nmv /run/web.new /etc/w/web.pem\n".into(),
                vec!["reload.early:2"],
            ),
            ("bao write pki/sign/web csr=@/c > /run/a\nmv /run/web.new /etc/w/web.pem\nsystemctl reload nginx\n".into(), vec![]),
            ("systemctl reload nginx\nmv /run/web.new /etc/w/web.pem\n".into(), vec![]),
        ] {
            assert_eq!(found(&text), expected, "{text}");
        }
    }
}
