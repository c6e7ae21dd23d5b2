//! Clients of CAs that are told on a command line which files they write: lego and step. Whom they tell when they have.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::reloads;
use super::shell::Command;
use crate::audit::facts::program::Program;
use crate::audit::facts::wiring::{Consumer, Renewal};
use crate::model::audit::{Location, Target};

static CLIENT: Program = Program::named("renewer");

/// Options of `step ca renew` that take the next word.
const VALUED: &[&str] = &[
    "--exec",
    "--expires-in",
    "--out",
    "--pid",
    "--pid-file",
    "--signal",
    "--renew-period",
    "--ca-url",
    "--root",
    "--ca-config",
    "--password-file",
    "--context",
    "--not-before",
    "--not-after",
];

/// What a command renews, where its files are known.
pub(super) fn of_command(command: &Command, target: &Target, location: &Location) -> Option<Renewal> {
    let words: Vec<&str> = command.words.iter().skip(command.main() + 1).map(String::as_str).collect();
    let (what, files, hooks): (_, _, &[&str]) = match command.program() {
        "lego" if words.iter().any(|word| matches!(*word, "renew" | "run")) => {
            let directory = given(&words, "--path").filter(|path| is_known(path))?;
            ("lego", vec![Path::new(directory).join("certificates")], &["--renew-hook", "--run-hook", "--deploy-hook"])
        }
        "step" if words.starts_with(&["ca", "renew"]) => ("step ca renew", positional(words.get(2..)?), &["--exec"]),
        _ => return None,
    };
    if files.is_empty() {
        return None;
    }
    let mut told = BTreeSet::new();
    for hook in hooks.iter().filter_map(|hook| given(&words, hook)) {
        reloads::top(hook, &mut told);
    }
    // step sends a signal to a process of which only the number is known.
    if ["--pid", "--pid-file"].iter().any(|option| given(&words, option).is_some()) {
        told.insert("*".to_owned());
    }
    let consumer = Consumer { program: &CLIENT, target: target.clone().at_line(location.line), location: location.clone() };
    Some(Renewal { consumer, files, told, what })
}

/// What an option is given: as the next word, or behind `=`.
fn given<'a>(words: &[&'a str], option: &str) -> Option<&'a str> {
    let behind = words.iter().zip(words.iter().skip(1)).find(|(word, _)| **word == option).map(|(_, value)| *value);
    behind.or_else(|| words.iter().find_map(|word| word.strip_prefix(option)?.strip_prefix('=')))
}

/// The absolute paths that are no option's value.
fn positional(words: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut all = words.iter();
    while let Some(word) = all.next() {
        if VALUED.contains(word) {
            all.next();
        } else if is_known(word) {
            found.push(PathBuf::from(word));
        } else if matches!(*word, ">" | "2>" | "<" | ">>") {
            break;
        }
    }
    found
}

fn is_known(path: &str) -> bool {
    path.starts_with('/') && !path.contains(['$', '%', '*'])
}

#[cfg(test)]
mod tests {
    use super::super::shell;
    use super::*;

    #[test]
    fn files_and_hooks_stand_on_the_command_line() {
        let of = |text: &str| {
            let found = shell::commands(text)
                .iter()
                .find_map(|command| of_command(command, &Target::new("script", "/s"), &Location::file("/s")))?;
            let files: Vec<String> = found.files.iter().map(|path| path.display().to_string()).collect();
            Some((files.join(" "), found.told.into_iter().collect::<Vec<_>>().join(" ")))
        };
        let some = |files: &str, told: &str| Some((files.to_owned(), told.to_owned()));
        for (text, expected) in [
            ("lego --path /etc/lego -d a.example --http renew", some("/etc/lego/certificates", "")),
            ("lego --path=/etc/lego renew --renew-hook 'systemctl reload nginx'", some("/etc/lego/certificates", "nginx")),
            ("lego renew", None),
            ("lego --path /x list", None),
            ("step ca renew --daemon --expires-in 8h /a.crt /a.key", some("/a.crt /a.key", "")),
            ("step ca renew --exec 'nginx -s reload' /a.crt /a.key", some("/a.crt /a.key", "nginx")),
            ("step ca renew --pid-file /run/x.pid /a.crt /a.key", some("/a.crt /a.key", "*")),
            ("step ca renew --force $CRT $KEY", None),
            ("step ca certificate a /a.crt /a.key", None),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }
}
