//! A command line that is none: said on stderr, and as a document where one was asked for. It must never guess what was meant.

use std::ffi::{OsStr, OsString};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory as _, FromArgMatches as _, ValueEnum as _};

use super::arguments::{Arguments, CONFIG, Color};
use super::environment::Environment;
use super::exit::{OK, REFUSED, UNKNOWN};
use super::mistake::Mistake;
use super::output::Output;
use super::refused::{self, Asked};
use super::screen::Screen;
use super::style::Style;
use super::{session, show};
use crate::model::clock::Clock;
use crate::model::report::Report;

pub(super) fn parse(environment: &Environment) -> Result<Arguments, clap::Error> {
    parse_words(&help_as_flag(&environment.arguments))
}

fn parse_words(words: &[OsString]) -> Result<Arguments, clap::Error> {
    let matches = Arguments::command().try_get_matches_from(words)?;
    let mut arguments = Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut Arguments::command()))?;
    arguments.global.names_config = matches.value_source("config") == Some(ValueSource::CommandLine);
    Ok(arguments)
}

/// `omens help renew` is `omens renew --help`, and `omens help` is `omens --help`, whatever options of every command stand there. A command
/// that there is not is told as one.
fn help_as_flag(arguments: &[OsString]) -> Vec<OsString> {
    let Some(at) = arguments.iter().position(|word| word == "help").filter(|_| !is_a_command_before_help(arguments)) else {
        return arguments.to_vec();
    };
    let (before, behind) = (arguments.iter().take(at), arguments.iter().skip(at + 1));
    if !is_a_command_alone(behind.clone()) {
        return arguments.to_vec();
    }
    before.chain(behind).cloned().chain(["--help".into()]).collect()
}

/// Whether these words name one command at most, or what one is divided into, beside options of every command.
fn is_a_command_alone<'a>(mut words: impl Iterator<Item = &'a OsString>) -> bool {
    let mut names: Vec<&OsString> = Vec::new();
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--config" | "--color") => drop(words.next()),
            Some(option) if option.starts_with('-') => {}
            _ => names.push(word),
        }
    }
    let program = Arguments::command();
    let [first, rest @ ..] = names.as_slice() else { return true };
    let Some(command) = program.find_subcommand(first) else { return rest.is_empty() };
    rest.iter().try_fold(command, |command, word| command.find_subcommand(word)).is_some()
}

/// Whether `help` may be an argument of a command, such as the name of a certificate.
fn is_a_command_before_help(arguments: &[OsString]) -> bool {
    let before = arguments.iter().skip(1).take_while(|word| *word != "help");
    before.into_iter().any(|word| Arguments::command().find_subcommand(word).is_some())
}

/// Prints help or version where that was asked for, else what is wrong; gives the exit code.
pub(super) fn refuse(error: &clap::Error, environment: &Environment, clock: Clock, screen: &Screen, output: &mut Output) -> u8 {
    let words: Vec<&str> = environment.arguments.iter().skip(1).filter_map(|word| word.to_str()).take_while(|word| *word != "--").collect();
    let color = color(&words);
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let terminal = if asked { environment.stdout_is_terminal } else { environment.stderr_is_terminal };
    let rendered = error.render();
    let style = Style::of(color, terminal, environment);
    let text = if style.colors() { rendered.ansi().to_string() } else { rendered.to_string() };
    if asked {
        output.text(&text);
        return OK;
    }
    let mut program = Arguments::command();
    // Only then can it say how an argument is written.
    program.build();
    let command = words.iter().copied().find(|word| program.find_subcommand(OsStr::new(word)).is_some());
    let told = Mistake { error, program: &program, words: &words, command }.told();
    // Without anything to go by all that there is helps most.
    let is_bare = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    screen.print(&if is_bare { text } else { show::run_error(&told, style) });
    let code = if command == Some("status") && words.iter().any(|word| word.starts_with("--due")) { UNKNOWN } else { REFUSED };
    if words.contains(&"--json") {
        let now = clock.now();
        // Which command it should have been nobody knows where there is none.
        let document = refused::document(command.unwrap_or("error"), &words);
        let report = Report { error: Some(told), ..session::empty(document, now, now, code) };
        let config = value(&words, "--config").unwrap_or(CONFIG);
        let after = words.iter().skip_while(|word| command != Some(word)).skip(1);
        let object = after.copied().find(|word| !word.starts_with('-')).unwrap_or_default();
        if !refused::print(output, &report, Asked { config, object }) {
            output.document(&report);
        }
    }
    code
}

/// `--color` as far as it can be made out of a command line that is wrong.
fn color(words: &[&str]) -> Color {
    value(words, "--color").and_then(|word| Color::from_str(word, false).ok()).unwrap_or(Color::Auto)
}

/// The value of an option, as `OPTION VALUE` or `OPTION=VALUE`.
fn value<'a>(words: &[&'a str], option: &str) -> Option<&'a str> {
    words.iter().enumerate().find_map(|(at, word)| match word.strip_prefix(option)? {
        "" => words.get(at + 1).copied(),
        rest => rest.strip_prefix('='),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settings_file_is_named_by_the_option_alone() {
        for (line, is_named) in [
            ("omens plan", false),
            ("omens --config /x plan", true),
            ("omens plan --config=/etc/omens/omens.toml", true),
            ("omens init --server --config /x", true),
            ("omens explain -- --config", false),
        ] {
            let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
            assert_eq!(parse_words(&words).unwrap().global.names_config, is_named, "{line}");
        }
    }
}
