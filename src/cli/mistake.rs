//! What is wrong with a command line: what was found, what was expected, and what to type instead. Pure.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Error};

use crate::config::nearest::nearest;
use crate::model::code::Code;
use crate::model::name::CertName;
use crate::model::report::RunError;
use crate::model::text::one_line;

/// The longest text of a command line that is repeated.
const LONGEST: usize = 200;

/// A command line that was refused.
#[derive(Clone, Copy)]
pub(super) struct Mistake<'a> {
    /// Why.
    pub(super) error: &'a Error,
    /// All that there is.
    pub(super) program: &'a Command,
    /// The words behind the program's name.
    pub(super) words: &'a [&'a str],
    /// The command that they name, if they do.
    pub(super) command: Option<&'a str>,
}

impl Mistake<'_> {
    pub(super) fn told(self) -> RunError {
        match self.error.kind() {
            ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                usage("expected a command, found none".to_owned(), "`omens help` has all commands".to_owned())
            }
            ErrorKind::InvalidSubcommand => self.no_command(),
            ErrorKind::UnknownArgument => self.unknown(),
            ErrorKind::InvalidValue => self.value(),
            ErrorKind::ValueValidation => self.bad_value(),
            ErrorKind::MissingRequiredArgument => self.missing(),
            ErrorKind::ArgumentConflict => self.conflict(),
            ErrorKind::TooManyValues => {
                let (of, found) = (self.argument(), self.one(ContextKind::InvalidValue));
                usage(
                    format!("{of}: expected no value, found \"{found}\""),
                    format!("write {of} alone; {} says what it is for", self.help()),
                )
            }
            _ => {
                // The parser's own first paragraph; its usage follows.
                let said = self.error.render().to_string();
                let said = said.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ").to_owned();
                usage(said, format!("{} says what it takes", self.help()))
            }
        }
    }

    fn no_command(self) -> RunError {
        let word = self.one(ContextKind::InvalidSubcommand);
        if word == "help" {
            return usage("expected one command behind `omens help`".to_owned(), "`omens help` has all commands".to_owned());
        }
        let all: Vec<&str> = self.program.get_subcommands().map(Command::get_name).collect();
        let hint = match nearest(&word, &all) {
            // The name of a page of the manual.
            _ if word == "settings" => "`omens help settings` explains every key; `omens help` has all commands".to_owned(),
            Some(best) => format!("did you mean `omens {best}`? `omens help` has all commands"),
            None => "`omens help` has all commands".to_owned(),
        };
        usage(format!("there is no command \"{word}\""), hint)
    }

    /// An option that there is not, or a word too many.
    fn unknown(self) -> RunError {
        let found = self.one(ContextKind::InvalidArg);
        if let Some(told) = self.negative(&found) {
            return told;
        }
        let is_behind_dashes = found.starts_with("--") && self.words.iter().all(|word| word.split('=').next() != found.split('=').next());
        if !found.starts_with('-') || is_behind_dashes {
            return usage(
                format!("{} expected no further word, found \"{found}\"", self.whole()),
                format!("leave it out; {} says what the command takes", self.help()),
            );
        }
        let option = found.split('=').next().unwrap_or_default();
        let mut alike = self.options_like(option);
        // The command has it, and the part of the command that was named has not.
        let is_outside = alike.iter().any(|best| best == option);
        alike.retain(|best| best != option);
        let everywhere: Vec<&str> = self.program.get_arguments().filter_map(Arg::get_long).collect();
        let is_for_one = alike.first().is_none_or(|best| !everywhere.contains(&best.trim_start_matches('-')));
        let place = |wanted: &str| self.words.iter().position(|word| word.split('=').next() == Some(wanted));
        let best = alike.join(" or ");
        if let Some(command) = self.command.filter(|command| is_for_one && place(option).is_some() && place(option) < place(command)) {
            let best = if best.is_empty() { option.to_owned() } else { best };
            return usage(
                format!("{option} stands before the command, where only options of every command may stand"),
                format!("options of a command stand behind it: `omens {command} {best}`; {} has all of them", self.help()),
            );
        }
        let meant = match self.commands_with(option).as_slice() {
            _ if is_outside => "its subcommand does not take it; ".to_owned(),
            _ if !best.is_empty() => format!("did you mean {best}? "),
            [] => String::new(),
            commands => format!("it is an option of {}, and stands behind that; ", commands.join(", ")),
        };
        usage(format!("{} has no option {option}", self.whole()), format!("{meant}{} has all options", self.help()))
    }

    /// A value below zero, which the parser takes for a short option.
    fn negative(self, found: &str) -> Option<RunError> {
        let is_number = found.strip_prefix('-').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
        let of = self.words.windows(2).filter(|_| is_number).find_map(|pair| match pair {
            [of, value] if of.starts_with('-') && value.starts_with(found) => Some((*of, *value)),
            _ => None,
        });
        of.map(|(of, value)| usage(format!("{of}: expected no value below zero, found \"{}\"", one_line(value, LONGEST)), self.says(of)))
    }

    /// The commands that have this very option.
    fn commands_with(self, option: &str) -> Vec<String> {
        let has = |command: &&Command| command.get_arguments().any(|arg| arg.get_long().is_some_and(|long| option == format!("--{long}")));
        self.program.get_subcommands().filter(has).map(|command| format!("`omens {}`", command.get_name())).collect()
    }

    /// The options that were meant: the one that is spelled alike, or those that begin with the letter of a short one.
    fn options_like(self, option: &str) -> Vec<String> {
        let mut all: Vec<&str> = self.arguments().filter_map(Arg::get_long).collect();
        all.sort_unstable();
        all.dedup();
        if let Some(word) = option.strip_prefix("--") {
            return nearest(word, &all).map(|best| format!("--{best}")).into_iter().collect();
        }
        let Some(letter) = option.trim_start_matches('-').chars().next() else { return Vec::new() };
        all.iter().filter(|long| long.starts_with(letter)).map(|long| format!("--{long}")).collect()
    }

    /// A word that is none of those that there are, or none at all.
    fn value(self) -> RunError {
        let (of, found) = (self.argument(), self.one(ContextKind::InvalidValue));
        let all = self.many(ContextKind::ValidValue);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let hint = match nearest(&found, &all) {
            Some(best) if !found.is_empty() => format!("did you mean \"{best}\"? {} says what each means", self.help()),
            _ => self.says(&of),
        };
        let expected = if all.is_empty() { format!("{} behind it", self.value_name(&of)) } else { format!("one of {}", all.join(", ")) };
        let found = if found.is_empty() { "nothing".to_owned() } else { format!("\"{found}\"") };
        usage(format!("{of}: expected {expected}, found {found}"), hint)
    }

    /// A value that its own reader refused, with what that says.
    fn bad_value(self) -> RunError {
        let (of, found) = (self.argument(), self.one(ContextKind::InvalidValue));
        let why = self.error.source().map(|why| one_line(&why.to_string(), LONGEST)).unwrap_or_default();
        let why = if why.contains("invalid digit") || why.contains("empty string") { "expected a whole number".to_owned() } else { why };
        let found_it = if why.contains(", found ") {
            String::new()
        } else if found.is_empty() {
            ", found nothing".to_owned()
        } else {
            format!(", found \"{found}\"")
        };
        let is_name = self.arguments().any(|arg| shown(arg) == of && arg.get_value_names().is_some_and(is_a_name));
        let meant = found.to_ascii_lowercase();
        let hint = match CertName::parse(&meant) {
            Ok(name) if is_name && meant != found => format!("did you mean \"{name}\"? `omens status` has the names of all certificates"),
            _ if is_name => "write it as the settings have it; `omens status` has the names of all certificates".to_owned(),
            _ => self.says(&of),
        };
        usage(format!("{of}: {why}{found_it}"), hint)
    }

    fn missing(self) -> RunError {
        let all = self.many(ContextKind::InvalidArg);
        let is_choice = all.iter().any(|one| one.contains('|'));
        let all: Vec<String> = all.iter().map(|one| one.replace(['<', '>'], "").replace('|', " or ").replace("...", "")).collect();
        let found = if is_choice { "neither" } else { "nothing" };
        let written = self.error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
        let written = written.trim_start_matches("Usage:").trim().to_owned();
        let whole = self.whole();
        usage(format!("{whole} expected {}, found {found}", all.join(" and ")), format!("write `{written}`; {} says more", self.help()))
    }

    fn conflict(self) -> RunError {
        let (one, others) = (self.argument(), self.many(ContextKind::PriorArg));
        let others: Vec<String> = others.iter().map(|other| bare(other)).filter(|other| *other != one).collect();
        let text = if others.is_empty() {
            format!("{one} stands there twice")
        } else {
            format!("{one} does not go together with {}", others.join(" and "))
        };
        let lacks = |kept: &str, gone: &str| self.without(gone).map(|hint| format!("leave {kept} out, or {hint}"));
        let hint = others.first().and_then(|other| lacks(other, &one).or_else(|| lacks(&one, other)));
        usage(text, hint.unwrap_or_else(|| format!("keep one of them; {} says what each does", self.help())))
    }

    /// What to write where the command line lacks something even without this flag.
    fn without(self, flag: &str) -> Option<String> {
        let words: Vec<&str> = self.words.iter().copied().filter(|word| *word != flag).collect();
        let error = self.program.clone().try_get_matches_from(std::iter::once("omens").chain(words.iter().copied())).err()?;
        let lacks = error.kind() == ErrorKind::MissingRequiredArgument;
        lacks.then(|| Mistake { error: &error, words: &words, ..self }.missing().hint).flatten()
    }

    /// The command line up to the command, as a person would call it.
    fn whole(self) -> String {
        self.command.map_or_else(|| "`omens`".to_owned(), |command| format!("`omens {command}`"))
    }

    fn help(self) -> String {
        self.command.map_or_else(|| "`omens help`".to_owned(), |command| format!("`omens help {command}`"))
    }

    /// Where a value is explained, and what counts without one.
    fn says(self, of: &str) -> String {
        let default = self.arguments().find(|arg| shown(arg) == of).and_then(|arg| arg.get_default_values().first());
        let default = default.map_or_else(String::new, |value| format!("without {of} it is {}; ", value.to_string_lossy()));
        if of.starts_with('-') { format!("{default}{} says what {of} is for", self.help()) } else { format!("{} says more", self.help()) }
    }

    fn value_name(self, of: &str) -> String {
        let name = |arg: &Arg| arg.get_value_names().and_then(|names| names.first().map(ToString::to_string));
        self.arguments().find(|arg| shown(arg) == of).and_then(name).unwrap_or_else(|| "a value".to_owned())
    }

    /// The option or operand that is wrong, as it is written.
    fn argument(self) -> String {
        bare(&self.one(ContextKind::InvalidArg))
    }

    /// All that the command takes, options of every command among it.
    fn arguments(&self) -> impl Iterator<Item = &Arg> {
        let command = self.command.and_then(|command| self.program.find_subcommand(command));
        command.into_iter().flat_map(Command::get_arguments).chain(self.program.get_arguments())
    }

    fn one(self, kind: ContextKind) -> String {
        self.many(kind).into_iter().next().unwrap_or_default()
    }

    fn many(self, kind: ContextKind) -> Vec<String> {
        let all = match self.error.get(kind) {
            Some(ContextValue::String(one)) => vec![one.clone()],
            Some(ContextValue::Strings(all)) => all.clone(),
            _ => Vec::new(),
        };
        all.iter().map(|text| one_line(text, LONGEST)).collect()
    }
}

fn usage(text: String, hint: String) -> RunError {
    RunError { code: Code::Usage, text: one_line(&text, 500), hint: Some(hint) }
}

/// An option without its value, an operand without its brackets.
fn bare(argument: &str) -> String {
    if argument.starts_with('-') {
        return argument.split([' ', '=']).next().unwrap_or_default().to_owned();
    }
    argument.trim_end_matches("...").trim_matches(['[', ']', '<', '>']).to_owned()
}

/// The same of an argument that there is.
fn shown(argument: &Arg) -> String {
    bare(&argument.to_string())
}

/// Whether the name of a certificate is wanted.
fn is_a_name(names: &[clap::builder::Str]) -> bool {
    names.iter().any(|name| name == "NAME")
}
