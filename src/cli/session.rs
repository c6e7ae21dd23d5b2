//! What all commands share: settings, where to print, how to end.

use super::arguments::{Command, Global};
use super::environment::Environment;
use super::exit::{REFUSED, UNKNOWN};
use super::output::Output;
use super::progress::Progress;
use super::screen::Screen;
use super::show;
use super::style::Style;
use crate::config::service::Drivers;
use crate::config::settings::Settings;
use crate::config::{self, LoadOptions};
use crate::model::clock::{Clock, Time};
use crate::model::code::Code;
use crate::model::name::CertName;
use crate::model::report::{Report, RunError, SettingsError};

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
    started: Time,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        environment: &'a Environment,
        clock: Clock,
        global: Global,
        screen: &'a Screen,
        output: &'a mut Output,
        drivers: Drivers,
    ) -> Self {
        let style = Style::of(global.color, environment.stdout_is_terminal, environment);
        let log_style = Style::of(global.color, environment.stderr_is_terminal, environment);
        screen.log(global.verbose, log_style.colors());
        let started = clock.now();
        Self { environment, clock, global, screen, output, style, log_style, drivers, started }
    }

    /// Reads the settings; with `check_secrets`, the owners and modes of `file:` secrets are part of it.
    pub(super) fn settings(&self, check_secrets: bool) -> Result<Settings, Vec<SettingsError>> {
        let credentials = self.environment.credentials.clone();
        config::load(&LoadOptions { file: self.global.config.clone(), credentials, check_secrets, drivers: self.drivers })
    }

    /// The settings and names that a command needs; what is wrong with them is said, and the exit code given.
    pub(super) fn begin(&mut self, command: &Command) -> Result<Settings, u8> {
        // Only a renewal logs in; `restore` has to work at a boot whatever has become of the secrets.
        let settings = match self.settings(matches!(command, Command::Renew(_) | Command::Run(_))) {
            Ok(settings) => settings,
            Err(errors) => {
                let code = error_code(command);
                return Err(self.report(&Report { errors, ..self.empty(command.name(), code) }));
            }
        };
        let names: &[CertName] = match command {
            Command::Renew(renew) => &renew.names,
            Command::Rollback(rollback) => std::slice::from_ref(&rollback.name),
            Command::Unblock(unblock) => std::slice::from_ref(&unblock.name),
            Command::Status(status) => status.due.as_deref().unwrap_or_default(),
            _ => &[],
        };
        match unknown(&settings, names) {
            Some(error) => Err(self.refuse(command, error)),
            None => Ok(settings),
        }
    }

    /// Ends a command before anything was attempted.
    pub(super) fn refuse(&mut self, command: &Command, error: RunError) -> u8 {
        let report = Report { error: Some(error), ..self.empty(command.name(), error_code(command)) };
        self.report(&report)
    }

    /// A report of this run with nothing in it yet.
    pub(super) fn empty(&self, command: &str, exit: u8) -> Report {
        empty(command, self.started, self.clock.now(), exit)
    }

    /// Prints a report and gives its exit code: certificates on stdout, errors of the run and the settings on stderr; or all as JSON.
    pub(super) fn report(&mut self, report: &Report) -> u8 {
        if self.global.json {
            self.output.document(report);
        } else {
            let text = show::report(report, self.style);
            self.output.text(&text);
            let errors = show::settings_errors(&report.errors, self.log_style);
            let error = report.error.as_ref().map_or(String::new(), |error| show::run_error(error, self.log_style));
            self.screen.print(&format!("{errors}{error}"));
        }
        report.exit
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
    let missing: Vec<&str> = names.iter().filter(|name| settings.certificate(name).is_none()).map(CertName::as_str).collect();
    let known: Vec<&str> = settings.certificates.iter().map(|c| c.name().as_str()).collect();
    (!missing.is_empty()).then(|| RunError {
        code: Code::UnknownName,
        text: format!("the settings have no certificate {}", missing.join(", ")),
        hint: Some(if known.is_empty() { "add a [[certificate]]".to_owned() } else { format!("known here: {}", known.join(", ")) }),
    })
}
