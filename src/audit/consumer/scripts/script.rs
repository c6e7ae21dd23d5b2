//! A text of commands as a whole: a script, the command lines of a unit, a cron table.

use std::collections::BTreeSet;
use std::path::Path;

use super::Told;
use super::calls::Calls;
use super::check::{self, ScriptLine};
use super::confined::{self, Written};
use super::errors::Errors;
use super::flow::Flow;
use super::keys::Habits;
use super::shell::{self, Command, Line};
use super::variables::Variables;
use super::{reloads, renewals};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::wiring::Wiring;
use crate::judge::lint::Lint;
use crate::model::audit::{Location, Target};

/// As many lines of a text are looked at.
const LINES: usize = 20_000;

/// What a text is judged by besides its lines.
#[derive(Clone, Debug, Default)]
pub(in crate::audit) struct ScriptContext {
    /// Units that are known to have no reload.
    pub(in crate::audit) fixed: BTreeSet<String>,
    /// What it is given by whoever runs it.
    pub(in crate::audit) told: Told,
    /// It is no shell script: Python, Perl, Ruby.
    pub(in crate::audit) foreign: bool,
}

/// What a text turned out to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::audit) struct Does {
    /// It issues or signs certificates.
    pub(in crate::audit) issues: bool,
    /// Every absolute path, and every name of a program, that it speaks of.
    pub(in crate::audit) mentions: BTreeSet<String>,
    /// What it calls, and whom it trusts.
    pub(in crate::audit) wiring: Wiring,
    /// Files that it writes.
    pub(in crate::audit) writes: Vec<Written>,
}

/// The commands of a line that may run.
struct Taken {
    live: Vec<Command>,
    all: usize,
}

impl Taken {
    fn whole(&self) -> bool {
        self.live.len() == self.all
    }
}

fn taken(flow: &mut Flow, variables: &Variables, text: &str) -> Taken {
    let commands = shell::commands(&variables.expand(text));
    let live = flow.line(&commands);
    let all = commands.len();
    Taken { live: commands.into_iter().zip(live).filter(|(_, live)| *live).map(|(command, _)| command).collect(), all }
}

/// Whether a line begins a function.
fn begins_function(text: &str) -> bool {
    let head = text.trim_start().trim_start_matches("function ");
    head.split_once("()").is_some_and(|(name, _)| !name.trim().is_empty() && !name.trim().contains([' ', '=', '"', '$']))
        && !text.contains('}')
}

/// `exec PROGRAM` and `exit` as a line's first command: nothing behind them is run.
fn ends(command: &Command) -> bool {
    let first = command.words.first().map(String::as_str);
    let runs = !command.program().is_empty() && !command.program().contains(['<', '>']);
    first == Some("exit") || (first == Some("exec") && runs)
}

/// Judges a text.
pub(in crate::audit) fn read(target: &Target, path: &Path, lines: &[Line], context: &ScriptContext, findings: &mut HostFindings) -> Does {
    let mut variables = Variables::of(&context.told.variables);
    let mut habits = Habits::with_umask(context.told.umask);
    let mut errors = Errors::default();
    let mut does = Does::default();
    let mut flow = Flow::default();
    let mut calls = Calls::new(target, path);
    // A command that ends the script was read, outside of any branch.
    let (mut over, mut function) = (false, false);
    for line in lines.iter().take(LINES) {
        let location = Location::line(path, line.number);
        if line.literal {
            check::secret(target, &location, &line.text, findings);
            continue;
        }
        if over {
            continue;
        }
        let top = flow.is_top() && !function;
        function = !line.text.starts_with('}') && (function || begins_function(&line.text));
        let taken = if context.foreign { None } else { Some(taken(&mut flow, &variables, &line.text)) };
        over = top && taken.as_ref().is_some_and(|taken| taken.live.first().is_some_and(ends));
        let whole = taken.as_ref().is_none_or(Taken::whole);
        if whole {
            variables.learn(&line.text);
        }
        let (text, deep) = (variables.expand(&line.text), variables.expand_commands(&line.text));
        let all = shell::commands(&text);
        // What a branch holds that nobody takes is spoken of all the same.
        let words = all.iter().flat_map(|command| &command.words);
        does.mentions.extend(words.filter(|word| word.starts_with('/') || word.ends_with(".sh")).cloned());
        does.mentions.extend(all.iter().map(|command| command.program().to_owned()));
        let commands = match taken {
            Some(taken) if !whole => taken.live,
            _ => all,
        };
        check::secret(target, &location, &line.text, findings);
        if commands.is_empty() {
            continue;
        }
        let raw = if whole { line.text.as_str() } else { "" };
        let (text, deep) = if whole { (text.as_str(), deep.as_str()) } else { ("", "") };
        let line = ScriptLine { target, location, raw, text, deep, commands: &commands, foreign: context.foreign };
        check::line(&line, &context.fixed, findings);
        habits.line(&line, findings);
        reloads::of_line(&line, &mut calls.wiring.reloads);
        if !context.foreign {
            commands.iter().for_each(|command| calls.command(command, &variables, line.location.line));
            let written = commands.iter().filter_map(|command| renewals::of_command(command, target, &line.location));
            calls.wiring.renewals.extend(written);
            errors.line(&line);
            let number = line.location.line.unwrap_or_default();
            let written = commands.iter().flat_map(confined::puts).filter(|path| path.starts_with('/') && !path.contains(['$', '*']));
            does.writes.extend(written.map(|path| Written { path: path.to_owned(), line: number }));
        }
    }
    does.wiring = calls.wiring;
    does.issues = habits.issues();
    let at = |lint: &'static Lint, number| NewFinding::at(lint, target.clone(), Location::line(path, number));
    errors.end(at, findings);
    habits.end(at, findings);
    does
}
