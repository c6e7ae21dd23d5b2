//! What all commands share: settings, where to print, how to end.

use std::cell::RefCell;

use serde::Serialize;

use super::arguments::{Command, Global, StatusFormat};
use super::environment::Environment;
use super::exit::{OK, REFUSED, UNKNOWN};
use super::journal;
use super::output::Output;
use super::progress::Progress;
use super::refused::{self, Asked, Ended};
use super::screen::Screen;
use super::show;
use super::style::Style;
use crate::config::nearest::instead_at;
use crate::config::service::Drivers;
use crate::config::settings::{Certificate, Remains, Settings};
use crate::config::{self, LoadOptions};
use crate::model::clock::{Clock, Time};
use crate::model::code::Code;
use crate::model::name::CertName;
use crate::model::report::{Report, RunError, SettingsError};
use crate::plan::view::End;

/// Writes what others read of a run that had no settings.
pub(super) type Leave = fn(&Command, &Remains, &Report, Clock);

/// One run of the program.
pub(super) struct Session<'a> {
    pub(super) environment: &'a Environment,
    pub(super) clock: Clock,
    pub(super) global: Global,
    pub(super) screen: &'a Screen,
    pub(super) output: &'a mut Output,
    /// For stdout.
    pub(super) style: Style,
    /// For stderr.
    pub(super) log_style: Style,
    pub(super) drivers: Drivers,
    /// What a run leaves that could not use the settings. Commands that only look never come to it.
    leave: Leave,
    started: Time,
    /// `host.name` of the settings, once they were read.
    host: RefCell<String>,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        environment: &'a Environment,
        clock: Clock,
        global: Global,
        screen: &'a Screen,
        output: &'a mut Output,
        drivers: Drivers,
        leave: Leave,
    ) -> Self {
        let style = Style::of(global.color, environment.stdout_is_terminal, environment);
        let log_style = Style::of(global.color, environment.stderr_is_terminal, environment);
        screen.log(global.verbose, log_style.colors(), environment.stderr_is_journal);
        let started = clock.now();
        Self { environment, clock, global, screen, output, style, log_style, drivers, leave, started, host: RefCell::default() }
    }

    /// Reads the settings; with `check_secrets`, the owners and modes of `file:` secrets are part of it. What is wrong within single
    /// certificates is in them; what is wrong for all is the error.
    pub(super) fn settings(&self, check_secrets: bool) -> Result<Settings, Box<Remains>> {
        self.told(config::by_reach(&LoadOptions { check_secrets, ..self.options() }))
    }

    /// The same for a command that only looks, and says what a run would find.
    pub(super) fn as_runs_find_them(&self) -> Result<Settings, Box<Remains>> {
        self.told(config::as_runs_find_them(&self.options()))
    }

    fn options(&self) -> LoadOptions {
        let (file, credentials) = (self.global.config.clone(), self.environment.credentials.clone());
        LoadOptions { file, credentials, check_secrets: false, drivers: self.drivers }
    }

    /// Notes whose settings were read.
    fn told(&self, read: Result<Settings, Box<Remains>>) -> Result<Settings, Box<Remains>> {
        let host = match &read {
            Ok(settings) => settings.host.clone(),
            Err(remains) => remains.host.clone().unwrap_or_default(),
        };
        self.host.replace(host);
        read
    }

    /// The settings and names that a command needs; what is wrong with them is said, and the exit code given.
    pub(super) fn begin(&mut self, command: &Command) -> Result<Settings, u8> {
        let read = match command {
            // Only a renewal logs in.
            Command::Renew(_) | Command::Run(_) | Command::Revoke(_) => self.settings(true),
            Command::Plan => self.as_runs_find_them(),
            _ => self.settings(false),
        };
        match read {
            Ok(settings) => self.named(command, settings),
            Err(remains) => Err(self.unusable(command, *remains)),
        }
    }

    /// Ends a command that cannot do anything without the settings.
    pub(super) fn unusable(&mut self, command: &Command, remains: Remains) -> u8 {
        let report = Report { errors: remains.errors.clone(), ..self.empty(self.document(command), error_code(command)) };
        if command.is_run() {
            (self.leave)(command, &remains, &report, self.clock);
        }
        self.refused(command, &report)
    }

    /// The settings, if they know the names that the command line has.
    pub(super) fn named(&mut self, command: &Command, settings: Settings) -> Result<Settings, u8> {
        let names: &[CertName] = match command {
            Command::Renew(renew) => &renew.names,
            Command::Rollback(rollback) => std::slice::from_ref(&rollback.name),
            Command::Revoke(revoke) => std::slice::from_ref(&revoke.name),
            Command::Unblock(unblock) => std::slice::from_ref(&unblock.name),
            Command::Status(status) => status.due.as_deref().unwrap_or_default(),
            _ => &[],
        };
        match unknown(&settings, names) {
            Some(error) => {
                let errors = settings.faults.errors;
                Err(self
                    .refused(command, &Report { error: Some(error), errors, ..self.empty(self.document(command), error_code(command)) }))
            }
            None => Ok(settings),
        }
    }

    /// Ends a command before anything was attempted.
    pub(super) fn refuse(&mut self, command: &Command, error: RunError) -> u8 {
        self.refuse_with(command, error, error_code(command))
    }

    /// The same with another exit code, as where the settings are right and what was wanted could not be done.
    pub(super) fn refuse_with(&mut self, command: &Command, error: RunError, exit: u8) -> u8 {
        let report = Report { error: Some(error), ..self.empty(self.document(command), exit) };
        self.refused(command, &report)
    }

    /// The word behind `omens.` of the document that was asked for.
    fn document(&self, command: &Command) -> &'static str {
        let words: Vec<&str> = self.environment.arguments.iter().filter_map(|word| word.to_str()).collect();
        refused::document(command.name(), &words)
    }

    /// Prints why nothing was attempted, in the shape that the command's document has at every exit code.
    fn refused(&mut self, command: &Command, report: &Report) -> u8 {
        let object = match command {
            Command::Probe(probe) => probe.address.as_str(),
            Command::Explain(explain) => explain.id.as_str(),
            _ => "",
        };
        if !(self.is_json(command) && refused::print(self.output, report, Asked { object, ..Asked::default() })) {
            return self.report(report);
        }
        self.errors(report);
        report.exit
    }

    /// Whether a document is printed.
    fn is_json(&self, command: &Command) -> bool {
        self.global.json || matches!(command, Command::Status(status) if status.format == StatusFormat::Json)
    }

    /// A report of this run with nothing in it yet.
    pub(super) fn empty(&self, command: &str, exit: u8) -> Report {
        self.empty_since(command, self.started, exit)
    }

    /// The same of a run that began later than the process.
    pub(super) fn empty_since(&self, command: &str, started: Time, exit: u8) -> Report {
        Report { host: self.host.borrow().clone(), ..empty(command, started, self.clock.now(), exit) }
    }

    /// Prints a report and gives its exit code: certificates on stdout, errors of the run and the settings on stderr; or all as JSON. What
    /// failed is on stderr as well, where somebody looks for it who sends stdout elsewhere.
    pub(super) fn report(&mut self, report: &Report) -> u8 {
        if self.global.json {
            if !refused::print(self.output, report, Asked::default()) {
                self.output.document(report);
            }
        } else if !self.global.quiet {
            let text = show::report(report, self.style);
            self.output.text(&text);
        }
        self.errors(report);
        report.exit
    }

    /// Prints a document of a command that has no report, with how it ended.
    pub(super) fn ended(&mut self, document: &impl Serialize, exit: u8) {
        let end = self.end(exit);
        self.output.document(&Ended { document, end, errors: Vec::new() });
    }

    /// How a command ends that has done what it was asked for.
    pub(super) fn end(&self, exit: u8) -> End {
        End { started: self.started, finished: self.clock.now(), exit, error: None }
    }

    /// Prints a result for people, and gives its exit code. With --quiet only one that is not well is told, on stderr.
    pub(super) fn result(&mut self, text: &str, code: u8) -> u8 {
        match code {
            _ if !self.global.quiet => self.output.text(text),
            OK => {}
            _ => self.screen.print(text),
        }
        code
    }

    /// Says on stderr what is wrong in the settings.
    pub(super) fn show_errors(&self, errors: &[SettingsError]) {
        self.screen.print(&show::settings_errors(errors, self.log_style));
    }

    /// Prints the report of one of many runs: what was not due is left out, and every line says when.
    pub(super) fn report_of_many(&mut self, report: &Report) {
        if self.global.json {
            self.output.document(report);
        } else if !self.global.quiet {
            let text = show::report_of_many(report, self.style);
            self.output.text(&text);
        }
        self.errors(report);
    }

    pub(super) fn errors(&self, report: &Report) {
        let (environment, style) = (self.environment, self.log_style);
        // On one terminal it would stand there twice.
        journal::tell(report);
        let is_seen = environment.stderr_is_journal
            || !self.global.json && !self.global.quiet && environment.stdout_is_terminal && environment.stderr_is_terminal;
        let failures = if is_seen { String::new() } else { show::failures(report, style) };
        let of_settings = show::settings_errors(&report.errors, style);
        let of_run = report.error.as_ref().map_or(String::new(), |error| show::run_error(error, style));
        self.screen.print(&format!("{failures}{of_settings}{of_run}"));
    }

    /// Progress for a terminal, silence elsewhere.
    pub(super) fn progress(&self) -> Progress {
        let shown = self.environment.stderr_is_terminal && !self.environment.dumb;
        if shown { Progress::new(self.screen, self.clock) } else { Progress::silent() }
    }
}

/// A report with nothing in it yet.
pub(super) fn empty(command: &str, started: Time, finished: Time, exit: u8) -> Report {
    let schema = format!("omens.{command}/1");
    Report { schema, host: String::new(), started, finished, exit, error: None, errors: Vec::new(), certificates: Vec::new() }
}

/// The exit code for "nothing was attempted".
const fn error_code(command: &Command) -> u8 {
    match command {
        Command::Status(status) if status.due.is_some() => UNKNOWN,
        _ => REFUSED,
    }
}

fn unknown(settings: &Settings, names: &[CertName]) -> Option<RunError> {
    let is_missing = |name: &&CertName| settings.certificate(name).is_none() && settings.faults.of(name).is_none();
    let missing: Vec<&str> = names.iter().filter(is_missing).map(CertName::as_str).collect();
    let faulty = settings.faults.certificates.iter().map(|faulty| &faulty.name);
    let known: Vec<&str> = settings.certificates.iter().map(Certificate::name).chain(faulty).map(CertName::as_str).collect();
    let first = missing.first()?;
    let hint = if known.is_empty() { "add a [[certificate]]".to_owned() } else { instead_at(first, &known, "known here:") };
    let text = format!("the settings have no certificate {}", missing.join(", "));
    Some(RunError { code: Code::UnknownName, text, hint: Some(hint) })
}
