//! `run`: the flow of `renew --all` at once and then on a schedule, until a signal. It must never start a run while one is under way, and
//! keeps nothing of a run but how many there were.

mod printer;
mod timetable;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError, SimpleJobCode, SimpleNotificationCode, SimpleNotificationStore};

use self::printer::Printer;
use self::timetable::Timetable;
use super::arguments::{Command, Run};
use super::exit::{FAILED, OK, REFUSED};
use super::session::Session;
use super::show;
use super::when::{Moment, Schedule};
use crate::config::settings::Certificate;
use crate::io::runtime::runtime;
use crate::io::signal::{Asked, Signals};
use crate::io::tpm::limit::Unanswered;
use crate::model::code::Code;
use crate::model::report::{Report, RunError};
use crate::model::span;
use crate::model::text::one_line;
use crate::plan::decide::Wishes;
use crate::plan::retry::{self, Wake};
use crate::plan::scheduler;
use crate::plan::view;
use crate::steps::flow::ending::Ender;
use crate::steps::flow::world::World;
use crate::steps::flow::{self, Request};
use crate::steps::{metrics, notify};

/// How long a run may go on after the first signal: less than the 30 s and more after which service and container managers kill.
const BOUND: Duration = Duration::from_secs(25);
/// How long a run waits for another process's.
const WAIT: Duration = Duration::from_secs(1);
/// Messages that the parts of the scheduler may leave each other unread; there is one of each kind in a run.
const MESSAGES: usize = 16;

pub(super) fn run(session: &mut Session<'_>, command: &Command, arguments: &Run) -> u8 {
    // Read anew before each run; here, so that what is wrong from the beginning is said and ends it.
    let settings = match session.begin(command) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let printer = Printer::start(session.output, session.screen);
    let schedule = arguments.cron.clone().map_or(Schedule::Every(arguments.every), Schedule::Cron);
    let period = schedule.longest(session.clock.now());
    if let Some(warning) = scheduler::too_seldom(&settings, period) {
        session.screen.print(&show::warning(&warning, session.log_style));
    }
    let served = match runtime() {
        Ok(runtime) => {
            let served = runtime.block_on(serve(session, schedule));
            // A run that was left behind ends with the process; nobody waits for it here.
            runtime.shutdown_background();
            served
        }
        Err(failure) => Err(failure.text),
    };
    let code = match served {
        Ok(()) => OK,
        Err(text) => {
            let hint = Some("look at the limits of open files and processes".to_owned());
            let error = Some(RunError { code: Code::NotServed, text, hint });
            let report = Report { error, ..session.empty(command.name(), FAILED) };
            session.report(&report)
        }
    };
    printer.into_iter().for_each(Printer::finish);
    code
}

async fn serve(session: &mut Session<'_>, schedule: Schedule) -> Result<(), String> {
    let mut signals = Signals::listen().map_err(|why| format!("the system gives no signals: {why}"))?;
    let timetable = Timetable::new(schedule.clone(), session.clock);
    let mut ticks = start(&timetable).await.map_err(|why| format!("the scheduler does not start: {why}"))?;
    let file = one_line(&session.global.config.display().to_string(), 500);
    session.screen.print(&format!("run: {file}, now and {schedule}; SIGHUP: now, SIGTERM: the end\n"));
    let mut service = Service {
        session,
        timetable,
        ender: Ender::new(),
        unanswered: Unanswered::default(),
        running: None,
        runs: 0,
        failed: 0,
        until: None,
    };
    service.begin();
    loop {
        tokio::select! {
            ended = under_way(&mut service.running) => service.ended(ended),
            Some(()) = ticks.recv() => service.begin(),
            () = time_is_up(service.until) => break service.leave(&format!("did not end within {} s", BOUND.as_secs())),
            asked = signals.next() => match asked {
                Asked::Now => service.timetable.now(),
                Asked::End(_) if service.until.is_some() => break service.leave("was cut by a second signal"),
                Asked::End(name) => service.end(name),
            },
        }
        if service.until.is_some() && service.running.is_none() {
            break;
        }
    }
    service.sum_up();
    Ok(())
}

/// Starts the scheduler with its one job, which says when it is time.
async fn start(timetable: &Timetable) -> Result<mpsc::Receiver<()>, JobSchedulerError> {
    let (tell, ticks) = mpsc::channel(1);
    let job = Job::new_repeated_async(Duration::from_secs(1), move |_, _| {
        // Full: one is waiting to be taken already.
        tell.try_send(()).ok();
        Box::pin(async {})
    })?;
    let scheduler = JobScheduler::new_with_storage_and_code(
        Box::new(timetable.clone()),
        Box::<SimpleNotificationStore>::default(),
        Box::<SimpleJobCode>::default(),
        Box::<SimpleNotificationCode>::default(),
        MESSAGES,
    )
    .await?;
    scheduler.add(job).await?;
    scheduler.start().await?;
    Ok(ticks)
}

/// The end of the run that is under way.
async fn under_way(running: &mut Option<Running>) -> Option<Report> {
    match running {
        Some(running) => (&mut running.task).await.ok(),
        None => std::future::pending().await,
    }
}

async fn time_is_up(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}

/// A run that is under way.
struct Running {
    began: Moment,
    /// Whether there were settings to run by; otherwise it only tells that there were none.
    has_settings: bool,
    task: JoinHandle<Report>,
}

/// The process while it serves.
struct Service<'s, 'a> {
    session: &'s mut Session<'a>,
    timetable: Timetable,
    ender: Ender,
    unanswered: Unanswered,
    running: Option<Running>,
    runs: u64,
    failed: u64,
    /// Set by the first signal.
    until: Option<Instant>,
}

impl Service<'_, '_> {
    /// Begins a run with the settings as they are now.
    fn begin(&mut self) {
        let began = self.timetable.moment();
        self.runs += 1;
        let (settings, clock) = (self.session.settings(true), self.session.clock);
        let has_settings = settings.is_ok();
        let task = match settings {
            Ok(settings) => {
                let (settings, progress) = (Arc::new(settings), self.session.progress());
                let (ending, unanswered) = (self.ender.ending(), self.unanswered.clone());
                tokio::task::spawn_blocking(move || {
                    let world = World::after(&settings, clock, &progress, unanswered, ending);
                    let mut report = flow::renew(&settings, &Request { names: Vec::new(), wishes: Wishes::default(), wait: WAIT }, &world);
                    metrics::leave(&settings, &report, clock);
                    notify::tell(&settings, &mut report, clock);
                    report
                })
            }
            Err(remains) => {
                let report = Report { errors: remains.errors.clone(), ..self.session.empty_since("renew", began.wall, REFUSED) };
                tokio::task::spawn_blocking(move || {
                    metrics::leave_without_settings(&remains, &report, clock);
                    notify::tell_without_settings(&remains, &report, clock);
                    report
                })
            }
        };
        self.running = Some(Running { began, has_settings, task });
    }

    /// The run has ended; no report: it ended in the middle of itself.
    fn ended(&mut self, report: Option<Report>) {
        let Some(Running { began, has_settings, .. }) = self.running.take() else { return };
        let Some(mut report) = report else { return self.after(began, "the run broke off; ", false) };
        if !has_settings {
            self.session.report(&report);
            return self.after(began, "the settings are wrong: nothing was done; ", false);
        }
        let locked = report.error.as_mut().filter(|error| error.code == Code::Locked);
        if let Some(error) = locked {
            error.hint = Some("the next run tries again".to_owned());
        }
        self.session.report_of_many(&report);
        self.after(began, "", report.exit == OK);
    }

    fn after(&mut self, began: Moment, what: &str, good: bool) {
        self.failed += u64::from(!good);
        let next = self.timetable.ended(began, &self.wakes());
        if self.until.is_none() {
            let left = span::about(next.since(self.session.clock.now()));
            self.session.screen.print(&format!("run: {what}next run at {next}, in {left}\n"));
        }
    }

    /// When to look at certificates again, by what the run left.
    fn wakes(&self) -> Vec<Wake> {
        let Ok(settings) = self.session.settings(false) else { return Vec::new() };
        let all: Vec<&Certificate> = settings.certificates.iter().collect();
        let now = self.session.clock.now();
        view::plan(&settings, &all, now).map(|plan| retry::wakes(&plan.certificates, now)).unwrap_or_default()
    }

    /// The first signal.
    fn end(&mut self, signal: &str) {
        self.ender.ask();
        self.until = Some(self.session.clock.instant() + BOUND);
        if self.running.is_some() {
            let bound = BOUND.as_secs();
            self.session.screen.print(&format!("run: {signal}: finishing what is under way, at most {bound} s; again: at once\n"));
        }
    }

    /// The process ends under a run, as if it had been killed.
    fn leave(&mut self, why: &str) {
        self.failed += 1;
        let began = self.running.take().map_or_else(|| self.session.clock.now(), |running| running.began.wall);
        let error = RunError {
            code: Code::Interrupted,
            text: format!("the run under way {why}"),
            hint: Some("the next one goes on from what it left".to_owned()),
        };
        let report = Report { error: Some(error), ..self.session.empty_since("renew", began, FAILED) };
        self.session.report(&report);
    }

    fn sum_up(&self) {
        let runs = if self.runs == 1 { "run" } else { "runs" };
        self.session.screen.print(&format!("run: ended after {} {runs}, {} of them failed\n", self.runs, self.failed));
    }
}
