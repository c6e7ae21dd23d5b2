//! Timers: whether they are started, what they start, and how often.

use std::time::Duration;

use super::lints;
use super::load::Tree;
use super::unit::{Setting, Unit};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::timer::{Timer, renews};
use crate::judge::lint::Lint;
use crate::model::audit::Location;
use crate::model::finding::Severity;
use crate::model::schedule::{self, Schedule};

/// Units of packages that a copy of /etc is made without.
const VENDOR: &[&str] = &["certbot", "logrotate", "man-db", "apt-", "dpkg-", "fstrim", "e2scrub", "snap", "systemd-", "omens-"];
const STEPS: &[&str] = &["OnUnitActiveSec", "OnUnitInactiveSec"];
const ONCE: &[&str] = &["OnBootSec", "OnStartupSec", "OnActiveSec"];

/// The unit that a timer starts.
pub(super) fn starts(unit: &Unit) -> String {
    let stem = unit.name.strip_suffix(".timer").unwrap_or(&unit.name);
    unit.get("Timer", "Unit").map_or_else(|| format!("{stem}.service"), |setting| setting.value.clone())
}

/// Whether any timer renews that is not this one and will run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Others<'a> {
    pub(super) enabled: bool,
    /// What the timer starts.
    pub(super) service: Option<&'a Unit>,
}

/// Reads a timer. `service` is what it starts, where that is there.
pub(super) fn read(tree: &Tree<'_>, unit: &Unit, service: Option<&Unit>, started: bool) -> Timer {
    let commands = service.into_iter().flat_map(Unit::commands).map(|setting| setting.value.as_str());
    let text = commands.fold(unit.name.clone(), |all, command| format!("{all} {command}"));
    let runs = starts(unit);
    let location = STEPS
        .iter()
        .chain(ONCE)
        .chain(&["OnCalendar"])
        .filter_map(|key| unit.get("Timer", key))
        .map(super::unit::Setting::location)
        .next_back();
    let enabled = !unit.masked
        && (started || !unit.wanted_by.is_empty())
        && (service.is_some_and(|service| !service.masked) || tree.find(&runs).is_none());
    let renews = renews(&text);
    Timer {
        target: unit.target(),
        runs,
        period: period(unit),
        enabled,
        renews,
        location: location.unwrap_or_else(|| Location::file(&unit.file)),
    }
}

/// The longest time between two runs, with the delay that may come on top.
fn period(unit: &Unit) -> Option<Duration> {
    let calendars: Vec<Schedule> = unit.all("Timer", "OnCalendar").iter().filter_map(|setting| Schedule::systemd(&setting.value)).collect();
    let gap = schedule::longest_gap(&calendars);
    let step = STEPS.iter().flat_map(|key| unit.all("Timer", key)).filter_map(|setting| schedule::span(&setting.value)).min();
    let fixed = unit.get("Timer", "FixedRandomDelay").is_some_and(Setting::is_on);
    let delay = unit.get("Timer", "RandomizedDelaySec").and_then(|setting| schedule::span(&setting.value)).filter(|_| !fixed);
    [gap, step].into_iter().flatten().min().map(|period| period + delay.unwrap_or_default())
}

/// Judges a timer that renews.
pub(super) fn judge(tree: &Tree<'_>, unit: &Unit, timer: &Timer, others: Others<'_>, started: bool, findings: &mut HostFindings) {
    let add = |lint: &'static Lint, location: Location| NewFinding::at(lint, unit.target(), location);
    let file = Location::file(&unit.file);
    if unit.masked {
        let draft = add(&lints::TIMER_MASKED, file).expected("a timer that runs").found(format!("{} is masked", unit.name));
        findings.add(if others.enabled { draft.severity(Severity::Low) } else { draft });
        return;
    }
    unreadable(unit, findings);
    again(unit, others.service, findings);
    once(unit, others.service, findings);
    if unit.wanted_by.is_empty() && !started {
        let found = "no link in a .wants directory, and no unit that asks for it";
        let draft = add(&lints::TIMER_DISABLED, file.clone()).expected("a link in timers.target.wants").found(found);
        // A package's timer may be left alone on purpose, and another may do the work.
        let own = unit.file.starts_with("/etc") || unit.file.starts_with("/usr/local");
        findings.add(match (others.enabled, own) {
            (true, _) => draft.severity(Severity::Low).evidence("another timer that renews is enabled"),
            (false, true) => draft,
            (false, false) => draft.severity(Severity::Medium),
        });
    }
    if tree.find(&timer.runs).is_none() {
        let location = unit.get("Timer", "Unit").map_or(file, super::unit::Setting::location);
        let draft = add(&lints::TIMER_NOWHERE, location).expected(timer.runs.clone()).found("no unit of this name in any unit directory");
        let left_out = !tree.has_vendor() && VENDOR.iter().any(|start| timer.runs.starts_with(start));
        findings.add(if left_out {
            draft.severity(Severity::Low).evidence("the copy that was looked at may have been made without it")
        } else {
            draft
        });
    }
}

/// A service that stays active once it ran: a timer does not start what is active.
fn once(unit: &Unit, service: Option<&Unit>, findings: &mut HostFindings) {
    let Some(setting) = service.and_then(|service| service.get("Service", "RemainAfterExit")) else { return };
    if setting.is_on() {
        let draft = NewFinding::at(&lints::TIMER_SILENT, unit.target(), setting.location()).file(Location::file(&unit.file));
        let draft = draft.expected("a service that ends").found(format!("RemainAfterExit={}", setting.value));
        findings.add(
            draft
                .evidence("after its first run the service stays active, and a timer starts nothing that is active")
                .remedy("remove RemainAfterExit="),
        );
    }
}

/// The times of a timer. What a specifier makes of one is known when it is loaded, and not judged.
struct Times<'a> {
    calendars: Vec<&'a Setting>,
    steps: bool,
    /// Those that count from a boot, or from when the timer was started.
    first: bool,
    changes: bool,
}

impl<'a> Times<'a> {
    fn of(unit: &'a Unit) -> Self {
        // What is no time span is ignored.
        let is_time = |setting: &Setting| {
            !setting.key.ends_with("Sec")
                || has_specifier(setting)
                || setting.value == "infinity"
                || schedule::span(&setting.value).is_some()
        };
        let some = |keys: &[&str]| keys.iter().flat_map(|key| unit.all("Timer", key)).any(is_time);
        let changes = some(&["OnClockChange", "OnTimezoneChange"]);
        Self { calendars: unit.all("Timer", "OnCalendar"), steps: some(STEPS), first: some(ONCE), changes }
    }

    fn is_calendar(setting: &Setting) -> bool {
        has_specifier(setting) || Schedule::systemd(&setting.value).is_some()
    }

    /// Whether one of its calendars is a time.
    fn recurs(&self) -> bool {
        self.calendars.iter().any(|setting| Self::is_calendar(setting))
    }

    /// Whether it has no time at all: systemd refuses it ("lacks value setting").
    fn none(&self) -> bool {
        !(self.recurs() || self.steps || self.first || self.changes)
    }
}

fn has_specifier(setting: &Setting) -> bool {
    setting.value.contains('%')
}

/// Times that are none, and a timer that systemd refuses because it has no other: whatever it starts.
pub(super) fn unreadable(unit: &Unit, findings: &mut HostFindings) {
    let times = Times::of(unit);
    let alone = times.none();
    for setting in times.calendars.iter().filter(|setting| !Times::is_calendar(setting)) {
        let draft = NewFinding::at(&lints::TIMER_ODD, unit.target(), setting.location());
        let draft = draft.expected("a calendar expression").found(format!("OnCalendar={}", setting.value));
        findings.add(if alone { draft.severity(Severity::High).evidence("it is the timer's only time: it never runs") } else { draft });
    }
    if alone && times.calendars.is_empty() {
        let draft = NewFinding::at(&lints::TIMER_SILENT, unit.target(), Location::file(&unit.file));
        findings.add(draft.expected("OnCalendar= or OnUnitActiveSec=").found("neither"));
    }
}

/// Whether it runs again. What has nothing to do with certificates may run once on purpose.
fn again(unit: &Unit, service: Option<&Unit>, findings: &mut HostFindings) {
    let times = Times::of(unit);
    ends(unit, &times, findings);
    let draft = |lint: &'static Lint| NewFinding::at(lint, unit.target(), Location::file(&unit.file));
    if times.recurs() {
        return;
    }
    // A step counts from the last run: without a first one there is no second (systemd.timer(5)). Something else may start the service.
    let begins = times.first || service.is_some_and(|service| !service.wanted_by.is_empty());
    if times.steps && !begins {
        let draft = draft(&lints::TIMER_SILENT).expected("OnBootSec= or OnActiveSec= beside it, or OnCalendar=");
        let draft = draft.found("OnUnitActiveSec= or OnUnitInactiveSec= alone");
        findings.add(draft.evidence("it counts from the last run of the unit, and there is none"));
    }
    if times.first && !times.steps && !times.changes {
        let draft = draft(&lints::TIMER_ONCE).expected("OnCalendar= or OnUnitActiveSec=");
        findings.add(draft.found("OnBootSec= or its like alone"));
    }
}

/// Calendars that all end with a year.
fn ends(unit: &Unit, times: &Times<'_>, findings: &mut HostFindings) {
    let sound: Vec<(&&Setting, Schedule)> =
        times.calendars.iter().filter_map(|setting| Some((setting, Schedule::systemd(&setting.value)?))).collect();
    let last =
        sound.iter().map(|(_, schedule)| schedule.last_year()).collect::<Option<Vec<u32>>>().and_then(|years| years.into_iter().max());
    let open = times.steps || times.calendars.iter().any(|setting| has_specifier(setting));
    if let (Some((setting, _)), Some(year), false) = (sound.last(), last, open) {
        let draft = NewFinding::at(&lints::TIMER_SILENT, unit.target(), setting.location()).severity(Severity::Medium);
        let draft = draft.expected("a time that comes again each year").found(format!("OnCalendar={}", setting.value));
        findings.add(draft.evidence(format!("its last run is in the year {year}")));
    }
}
