//! Which programs a script tells to read their files again. It must never be taken for a proof that they do.

use std::collections::BTreeSet;
use std::path::Path;

use super::check::ScriptLine;
use super::shell::{self, Command};
use crate::io::look::View;

/// Options of clients of a CA whose value is run after a renewal.
const HOOKS: &[&str] = &[
    "--deploy-hook",
    "--post-hook",
    "--renew-hook",
    "--reloadcmd",
    "--renew-hook-cmd",
    "--run-hook",
    "--hook",
    "-k",
    "--exec",
    "--command",
    "-C",
];
/// Those clients.
const CLIENTS: &[&str] = &["certbot", "letsencrypt", "acme.sh", "lego", "dehydrated", "getssl", "step", "ipa-getcert", "getcert", "omens"];

/// Takes in a line.
pub(super) fn of_line(line: &ScriptLine<'_>, found: &mut BTreeSet<String>) {
    if line.foreign {
        let text = line.raw;
        if (text.contains("systemctl") || text.contains("nginx")) && (text.contains("reload") || text.contains("restart")) {
            let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@')));
            found.extend(words.filter(|word| !word.is_empty()).map(bare));
        }
        return;
    }
    line.commands.iter().for_each(|command| of_command(command, 0, found));
}

fn of_command(command: &Command, depth: usize, found: &mut BTreeSet<String>) {
    let words = command.words.get(command.main() + 1..).unwrap_or_default();
    let has = |word: &str| words.iter().any(|own| own == word);
    let verbs = ["reload", "restart", "try-restart", "reload-or-restart", "try-reload-or-restart", "force-reload", "kill"];
    match command.program() {
        "systemctl" | "service" | "rc-service" | "invoke-rc.d" | "supervisorctl" | "sv" if verbs.iter().any(|verb| has(verb)) => {
            let named = words.iter().filter(|word| !word.starts_with('-') && !verbs.contains(&word.as_str()));
            // A name that comes from somewhere may be any.
            found.extend(named.map(|word| if word.contains(['$', '%']) { "*".to_owned() } else { bare(word) }));
        }
        program @ ("nginx" | "openresty" | "angie") if has("-s") && (has("reload") || has("stop") || has("quit")) => {
            found.extend(["nginx".to_owned(), program.to_owned()]);
        }
        "kill" | "pkill" | "killall" => {
            let text = command.words.join(" ");
            found.extend(
                text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))).filter(|word| word.len() > 2).map(bare),
            );
            // A number that comes from somewhere.
            if text.contains("$()") || text.contains('$') {
                found.insert("*".to_owned());
            }
        }
        "docker" | "podman" | "docker-compose" if has("exec") || has("restart") || has("kill") => {
            found.extend(words.iter().map(|word| bare(word)))
        }
        program if CLIENTS.contains(&program) && depth < 2 => {
            for (option, value) in words.iter().zip(words.iter().skip(1)).filter(|(option, _)| HOOKS.contains(&option.as_str())) {
                let _ = option;
                hook(value, depth, found);
            }
            let joined = words.iter().filter_map(|word| word.split_once('=')).filter(|(option, _)| HOOKS.contains(option));
            joined.for_each(|(_, value)| hook(value, depth, found));
        }
        program if (has("reload") || has("restart")) && (program.ends_with("nginx") || is_init(command)) => {
            found.insert(bare(program));
        }
        _ => {}
    }
}

/// Whether it is a script of /etc/init.d.
fn is_init(command: &Command) -> bool {
    command.words.iter().any(|word| word.starts_with("/etc/init.d/"))
}

/// Commands that tell nobody anything.
const QUIET: &[&str] = &[
    "", "echo", "printf", "local", "return", "exit", "true", "false", ":", "shift", "set", "umask", "test", "[", "[[", "case", "esac",
    "if", "fi", "for", "do", "done", "}", ")", ";;", "cat", "chmod", "chown", "cp", "mv", "mkdir", "rm", "install", "logger", "cd", "date",
];

/// What a script reloads that is run as a hook; `*` where that is not known. One that only writes and speaks tells nobody.
pub(in crate::audit) fn of_file(view: &View, path: &Path, found: &mut BTreeSet<String>) {
    let text = view.text(path).ok().filter(|text| text.lines().next().is_some_and(|first| first.starts_with("#!") && first.contains("sh")));
    let Some(text) = text else {
        found.insert("*".to_owned());
        return;
    };
    let lines = shell::lines(&text);
    let commands: Vec<Command> = lines.iter().filter(|line| !line.literal).flat_map(|line| shell::commands(body(&line.text))).collect();
    let before = found.len();
    commands.iter().for_each(|command| of_command(command, 0, found));
    let quiet = |command: &Command| {
        let program = command.program();
        QUIET.contains(&program) || command.words.first().is_some_and(|word| shell::assignment(word).is_some())
    };
    if found.len() == before && !commands.iter().all(quiet) {
        found.insert("*".to_owned());
    }
}

/// A line without the head of a function that it begins.
fn body(text: &str) -> &str {
    let head = text.split_once("()").filter(|(name, _)| !name.trim().is_empty() && !name.trim().contains([' ', '"', '$', '=']));
    head.map_or(text, |(_, rest)| rest.trim_start().trim_start_matches('{'))
}

/// Whether one of these commands reloads or restarts anything.
pub(in crate::audit) fn any(commands: &[Command]) -> bool {
    let mut found = BTreeSet::new();
    commands.iter().for_each(|command| of_command(command, 0, &mut found));
    !found.is_empty()
}

/// What a hook of a renewal reloads.
pub(in crate::audit) fn top(text: &str, found: &mut BTreeSet<String>) {
    hook(text, 0, found);
}

/// A script of its own may reload anything.
fn hook(text: &str, depth: usize, found: &mut BTreeSet<String>) {
    let commands = shell::commands(text);
    let before = found.len();
    commands.iter().for_each(|command| of_command(command, depth + 1, found));
    if found.len() == before && !text.trim().is_empty() {
        found.insert("*".to_owned());
    }
}

fn bare(word: &str) -> String {
    word.trim_end_matches(".service").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reloaded_is_told_by_the_command() {
        let of = |text: &str| {
            let mut found = BTreeSet::new();
            shell::commands(text).iter().for_each(|command| of_command(command, 0, &mut found));
            found.into_iter().collect::<Vec<_>>().join(" ")
        };
        for (text, expected) in [
            ("systemctl reload nginx.service", "nginx"),
            ("nginx -t && nginx -s reload", "nginx"),
            ("certbot renew --deploy-hook 'systemctl reload nginx'", "nginx"),
            ("certbot renew --post-hook=/usr/local/bin/after", "*"),
            ("certbot renew -q", ""),
            ("systemctl is-active nginx", ""),
            ("kill -HUP $(cat /run/nginx.pid)", "* -hup kill"),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }
}
