//! The commands that change a host: `renew`, `restore`, `reseal`, `revoke`, `rollback`, `unblock`, `install`. What they do is in `steps`; here it is asked for and shown.

use std::sync::Arc;

use super::arguments::{Command, Install, Renew, Reseal, Revoke, Rollback, Unblock};
use super::confirm::confirmed;
use super::session::Session;
use crate::config::settings::Remains;
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::report::{Report, RunError};
use crate::plan::decide::Wishes;
use crate::steps::flow::world::World;
use crate::steps::flow::{self, Request};
use crate::steps::{install, metrics, notify, reseal, restore, revoke as revoking, rollback, unblock};

/// What others are told of a command that could not use the settings: the metrics always, a program where it would have been told of the run.
pub(super) fn leave_without_settings(command: &Command, remains: &Remains, report: &Report, clock: Clock) {
    metrics::leave_without_settings(remains, report, clock);
    if matches!(command, Command::Renew(_) | Command::Run(_)) {
        notify::tell_without_settings(remains, report, clock);
    }
}

pub(super) fn renew(session: &mut Session<'_>, command: &Command, arguments: &Renew) -> u8 {
    let settings = match session.begin(command) {
        Ok(settings) => Arc::new(settings),
        Err(code) => return code,
    };
    let wishes = Wishes { force: arguments.force, ignore_window: arguments.ignore_window, check_revoked: arguments.check_revoked };
    let (names, wait) = (arguments.names.clone(), arguments.wait.wait);
    let progress = session.progress();
    let world = World::of(&settings, session.clock, &progress);
    let world = match &arguments.break_glass {
        Some(reason) => world.breaking_glass(&settings, reason),
        None => world,
    };
    let mut report = flow::renew(&settings, &Request { names, wishes, wait }, &world);
    drop(world);
    drop(progress);
    metrics::leave(&settings, &report, session.clock);
    notify::tell(&settings, &mut report, session.clock);
    session.report(&report)
}

pub(super) fn restore(session: &mut Session<'_>, command: &Command) -> u8 {
    // It has to work at a boot whatever has become of the secrets and the settings.
    let remains = match session.settings(false) {
        Ok(settings) => {
            let settings = Arc::new(settings);
            let report = restore::restore(&settings, session.clock);
            metrics::leave(&settings, &report, session.clock);
            return session.report(&report);
        }
        Err(remains) => remains,
    };
    let report = remains.paths.as_ref().and_then(|paths| restore::restore_without_settings(&remains, paths, session.clock));
    match report {
        Some(report) => {
            metrics::leave_without_settings(&remains, &report, session.clock);
            session.report(&report)
        }
        None => session.unusable(command, *remains),
    }
}

pub(super) fn reseal(session: &mut Session<'_>, command: &Command, arguments: &Reseal) -> u8 {
    let settings = match session.begin(command) {
        Ok(settings) => Arc::new(settings),
        Err(code) => return code,
    };
    if settings.sealing.is_none() {
        let (text, hint) = ("the settings name no TPM to seal to", "add [tpm] with tcti = \"device:/dev/tpmrm0\"");
        let error = RunError { code: Code::Missing, text: text.to_owned(), hint: Some(hint.to_owned()) };
        return session.refuse(command, error);
    }
    let options = reseal::Options { new_tpm: arguments.new_tpm, wait: arguments.wait.wait };
    let report = reseal::reseal(&settings, options, session.clock);
    metrics::leave(&settings, &report, session.clock);
    session.report(&report)
}

pub(super) fn rollback(session: &mut Session<'_>, command: &Command, arguments: &Rollback) -> u8 {
    let settings = match session.begin(command) {
        Ok(settings) => Arc::new(settings),
        Err(code) => return code,
    };
    let progress = session.progress();
    let world = World::of(&settings, session.clock, &progress);
    let report = rollback::rollback(&settings, &arguments.name, arguments.wait.wait, &world);
    drop(world);
    drop(progress);
    metrics::leave(&settings, &report, session.clock);
    session.report(&report)
}

pub(super) fn revoke(session: &mut Session<'_>, command: &Command, arguments: &Revoke) -> u8 {
    let settings = match session.begin(command) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    if settings.openbao.revoke_login.is_empty() {
        let (text, hint) =
            ("the settings have no openbao.revoke_login", "set it to a login of its own that may use MOUNT/revoke and nothing else");
        let error = RunError { code: Code::Missing, text: text.to_owned(), hint: Some(hint.to_owned()) };
        return session.refuse(command, error);
    }
    let (name, wait) = (arguments.name.clone(), arguments.wait.wait);
    let mut request = revoking::Request {
        name,
        serial: arguments.serial.clone(),
        reason: arguments.reason.clone(),
        live: arguments.live,
        refused: None,
        wait,
    };
    if !arguments.yes {
        match revoking::subject(&settings, &request) {
            Ok(subject) => {
                if let Err(code) = confirmed(session, command, false, &asked_to_revoke(&request, &subject)) {
                    return code;
                }
                // What a person said yes to, whatever another run has put in its place meanwhile.
                request.serial = Some(subject.serial);
            }
            // Nobody is asked for a yes to nothing: the run says why.
            Err(why) => request.refused = Some(why),
        }
    }
    let progress = session.progress();
    let world = World::of(&settings, session.clock, &progress);
    let report = revoking::revoke(&settings, &request, &world);
    drop(world);
    drop(progress);
    metrics::leave(&settings, &report, session.clock);
    session.report(&report)
}

fn asked_to_revoke(request: &revoking::Request, subject: &revoking::Subject) -> String {
    let what = if request.live && request.serial.is_none() { format!("{subject}, which serves,") } else { subject.to_string() };
    format!("have the CA revoke {what} of {}? That cannot be taken back", request.name)
}

pub(super) fn unblock(session: &mut Session<'_>, command: &Command, arguments: &Unblock) -> u8 {
    let settings = match session.begin(command) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let question = format!("begin the budget of {} anew, so that the next run asks the CA again at once?", arguments.name);
    if let Err(code) = confirmed(session, command, arguments.yes, &question) {
        return code;
    }
    let report = unblock::unblock(&settings, &arguments.name, arguments.wait.wait, session.clock);
    metrics::leave(&settings, &report, session.clock);
    session.report(&report)
}

pub(super) fn install(session: &mut Session<'_>, command: &Command, arguments: &Install) -> u8 {
    match session.begin(command) {
        Ok(settings) => {
            let settings = Arc::new(settings);
            let report = install::install(&settings, arguments.wait.wait, session.clock);
            metrics::leave(&settings, &report, session.clock);
            if report.certificates.is_empty() && report.error.is_none() && !session.global.json {
                session.result("no certificate of the settings has `install`: there is nothing to make\n", report.exit);
            }
            session.report(&report)
        }
        Err(code) => code,
    }
}
