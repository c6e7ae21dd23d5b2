//! `completions`: a script for a shell, made from the command line's own description, that asks for the certificates' names as they are then.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::arguments::{Arguments, Completions};
use super::exit::{OK, REFUSED};
use super::session::Session;
use crate::plan::inventory::{self, Depth};

/// What the scripts run to know the names.
const NAMES: &str = "omens completions --names 2>/dev/null";
/// The same for `forget`, which takes those that the settings no longer have.
const UNNAMED: &str = "omens completions --unnamed 2>/dev/null";
/// Commands that take certificates' names.
const NAMED: &str = "renew|rollback|unblock|status";

pub(super) fn run(session: &mut Session<'_>, arguments: &Completions) -> u8 {
    let Some(shell) = arguments.shell else { return if arguments.unnamed { unnamed(session) } else { names(session) } };
    // By way of a buffer: the generator panics when its writer fails.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "omens", &mut script);
    let script = with_names(shell, &String::from_utf8_lossy(&script));
    session.output.text(&script);
    OK
}

/// One a line; a shell that completes is told nothing of what is wrong with the settings.
fn names(session: &mut Session<'_>) -> u8 {
    let Ok(settings) = session.settings(false) else { return REFUSED };
    let names: String = settings.certificates.iter().map(|certificate| format!("{}\n", certificate.name())).collect();
    session.output.text(&names);
    OK
}

/// The same of what `forget` takes.
fn unnamed(session: &mut Session<'_>) -> u8 {
    let Some(inventory) = session.settings(false).ok().and_then(|settings| inventory::take(&settings, &[], Depth::Whole).ok()) else {
        return REFUSED;
    };
    session.output.text(&inventory.left_over().iter().map(|name| format!("{name}\n")).collect::<String>());
    OK
}

/// Adds the names of certificates where the generated script knows only that there is a word.
fn with_names(shell: Shell, script: &str) -> String {
    match shell {
        Shell::Bash => format!("{script}\n{}", bash()),
        Shell::Zsh => zsh(script),
        Shell::Fish => format!("{script}{}", fish()),
        _ => script.to_owned(),
    }
}

fn bash() -> String {
    format!(
        "_omens_with_names() {{\n    _omens \"$@\"\n    local word=\"${{COMP_WORDS[COMP_CWORD]}}\" each\n    [[ $word == -* ]] && return 0\n    \
         for each in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n        case \"$each\" in\n            {NAMED})\n                \
         mapfile -t -O \"${{#COMPREPLY[@]}}\" COMPREPLY < <(compgen -W \"$({NAMES})\" -- \"$word\")\n                return 0\n                \
         ;;\n            forget)\n                mapfile -t -O \"${{#COMPREPLY[@]}}\" COMPREPLY < <(compgen -W \"$({UNNAMED})\" -- \"$word\")\n                \
         return 0\n                ;;\n        esac\n    done\n}}\n\ncomplete -F _omens_with_names -o bashdefault -o default omens\n"
    )
}

fn zsh(script: &str) -> String {
    // The words for names are those whose help says so.
    let said = ["by their names in the settings", "by its name in the settings", "Say by the exit code"];
    let line = |line: &str| {
        let is_name = said.iter().any(|words| line.contains(words));
        if line.contains("by the name that it had in the settings") {
            return line.replace(":_default", ":_omens_unnamed");
        }
        if is_name { line.replace(":_default", ":_omens_certificates") } else { line.to_owned() }
    };
    let lines: Vec<String> = script.lines().map(line).collect();
    let function =
        |name: &str, ask: &str| format!("{name}() {{\n    local -a names\n    names=(${{(f)\"$({ask})\"}})\n    compadd -a names\n}}\n");
    let functions = format!("{}\n{}", function("_omens_certificates", NAMES), function("_omens_unnamed", UNNAMED));
    // The function must stand before the script's own last lines, which call it.
    match lines.iter().position(|line| line.starts_with("_omens() {")) {
        Some(at) => {
            let (before, after) = lines.split_at(at);
            format!("{}\n{functions}\n{}\n", before.join("\n"), after.join("\n"))
        }
        None => format!("{}\n", lines.join("\n")),
    }
}

fn fish() -> String {
    let command =
        |command: &str, ask: &str| format!("complete -c omens -n \"__fish_omens_using_subcommand {command}\" -f -a \"({ask})\"\n");
    NAMED.split('|').map(|name| command(name, NAMES)).chain([command("forget", UNNAMED)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_ask_for_the_names_where_a_name_is_a_word() {
        for (shell, times) in [(Shell::Bash, 1), (Shell::Zsh, 1), (Shell::Fish, 4), (Shell::Elvish, 0)] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "omens", &mut script);
            let script = with_names(shell, &String::from_utf8(script).unwrap());
            assert_eq!(script.matches("omens completions --names").count(), times, "{shell}");
            assert_eq!(script.matches("omens completions --unnamed").count(), usize::from(times > 0), "{shell}");
            if shell == Shell::Zsh {
                assert_eq!(script.matches(":_omens_unnamed").count(), 1, "{script}");
                assert!(script.matches(":_omens_certificates").count() >= 4, "{script}");
            }
        }
    }
}
