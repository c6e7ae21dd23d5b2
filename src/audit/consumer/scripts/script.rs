//! A text of commands as a whole: a script, the command lines of a unit, a cron table.

use std::collections::BTreeSet;
use std::path::Path;

use super::check::{self, ScriptLine};
use super::keys::Habits;
use super::shell::{self, Line};
use super::variables::Variables;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::model::audit::{Location, Target};

/// As many lines of a text are line at.
const LINES: usize = 20_000;

/// What a text is judged by besides its lines.
#[derive(Clone, Debug, Default)]
pub(in crate::audit) struct ScriptContext {
    /// Units that are known to have no reload.
    pub(in crate::audit) fixed: BTreeSet<String>,
    /// Who runs it gives nothing to others (`UMask=`).
    pub(in crate::audit) umask: bool,
}

/// What a text turned out to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::audit) struct Does {
    /// It issues or signs certificates.
    pub(in crate::audit) issues: bool,
    /// Every absolute path, and every name of a program, that it speaks of.
    pub(in crate::audit) mentions: BTreeSet<String>,
}

/// Judges a text.
pub(in crate::audit) fn read(target: &Target, path: &Path, lines: &[Line], context: &ScriptContext, findings: &mut HostFindings) -> Does {
    let mut variables = Variables::default();
    let mut habits = Habits::with_umask(context.umask);
    let mut does = Does::default();
    for line in lines.iter().take(LINES) {
        variables.learn(&line.text);
        let (text, deep) = (variables.expand(&line.text), variables.expand_commands(&line.text));
        let commands = shell::commands(&text);
        let line = ScriptLine {
            target,
            location: Location::line(path, line.number),
            raw: &line.text,
            text: &text,
            deep: &deep,
            commands: &commands,
        };
        check::line(&line, &context.fixed, findings);
        habits.line(&line, findings);
        let words = commands.iter().flat_map(|command| &command.words);
        does.mentions.extend(words.filter(|word| word.starts_with('/') || word.ends_with(".sh")).cloned());
        does.mentions.extend(commands.iter().map(|command| command.program().to_owned()));
    }
    does.issues = habits.issues();
    habits.end(|lint, number| NewFinding::at(lint, target.clone(), Location::line(path, number)), findings);
    does
}
