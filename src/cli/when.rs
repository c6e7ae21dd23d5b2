//! When the next run is due, on a wall clock that may be set and a monotonic one that stands still while the machine sleeps. Pure; it must
//! never read a clock.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_cron_scheduler::job::job_data::{CronJob, JobStoredData, JobType, job_stored_data};

use crate::model::clock::Time;
use crate::model::span;
use crate::model::text::one_line;
use crate::plan::retry::Wake;

/// The shortest and the longest `--every`.
const EVERY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(7 * 86_400));
/// The longest wait between two looks at the clocks: what an idle process costs, and how long a jump goes unseen.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// So many seconds of wall time more or less than of monotonic time between two looks are a jump; slewing does not come near it.
const JUMP: i64 = 60;

/// The longest steps in minutes, hours, days of the month, months and days of the week: beyond them the parser takes the first time alone.
const STEPS: [u32; 5] = [59, 23, 31, 12, 7];

/// Reads `--every`.
///
/// # Errors
/// What is expected, when the text is no length of time or out of range.
pub fn every(text: &str) -> Result<Duration, String> {
    let every = span::parse(text)?;
    if every < EVERY.0 || every > EVERY.1 {
        return Err(format!("expected {} to {}, found {}", span::show(EVERY.0), span::show(EVERY.1), span::show(every)));
    }
    Ok(every)
}

fn found(fields: usize) -> String {
    if fields == 1 { "found 1 field".to_owned() } else { format!("found {fields} fields") }
}

/// A cron expression, as it was written and as tokio-cron-scheduler keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    written: String,
    job: JobStoredData,
}

impl Expression {
    /// Reads five fields (minute, hour, day of month, month, day of week), or six with seconds first.
    ///
    /// # Errors
    /// What is expected, when the text is no such expression, can be read in two ways, or names a time that never comes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let (seconds, five) = match fields.as_slice() {
            [seconds, rest @ ..] if rest.len() == 5 => (*seconds, rest),
            rest => ("0", rest),
        };
        let [_, _, day, _, weekday] = five else { return Err(wrong(&found(fields.len()))) };
        let expression = Self { written: fields.join(" "), job: job(&format!("{seconds} {}", five.join(" "))) };
        if expression.job.schedule().is_none() {
            return Err(wrong("found a field that is none"));
        }
        if let Some((field, most)) = five.iter().zip(STEPS).find(|(field, most)| step(field).is_some_and(|step| step > *most)) {
            return Err(format!("found {field}: a step of more than {most} there never comes round twice; write the times out"));
        }
        // cron(8) takes a day that fits either of the two, the parser one that fits both.
        if [day, weekday].iter().all(|field| !field.starts_with(['*', '?'])) {
            return Err(format!("day of month {day} and day of week {weekday} together can be read in two ways; set one of them to *"));
        }
        match expression.after(Time::from_unix(0)) {
            Some(_) => Ok(expression),
            None => Err("this time never comes".to_owned()),
        }
    }

    /// The first time after this one.
    #[must_use]
    pub fn after(&self, time: Time) -> Option<Time> {
        let from: DateTime<Utc> = DateTime::from_timestamp(time.unix(), 0)?;
        Some(Time::from_unix(self.job.schedule()?.iter_after(from).next()?.timestamp()))
    }
}

impl std::fmt::Display for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&one_line(&self.written, 100))
    }
}

/// The `N` of a field `…/N`.
fn step(field: &str) -> Option<u32> {
    field.split(',').filter_map(|part| part.rsplit_once('/')?.1.parse().ok()).max()
}

fn wrong(found: &str) -> String {
    format!(
        "expected minute, hour, day of month, month and day of week, with seconds before them where there are six, {found}; \
         such as \"*/15 * * * *\" or \"30 0 3 * * *\""
    )
}

fn job(schedule: &str) -> JobStoredData {
    let job = Some(job_stored_data::Job::CronJob(CronJob { schedule: schedule.to_owned() }));
    JobStoredData {
        id: None,
        last_updated: None,
        last_tick: None,
        next_tick: 0,
        job_type: JobType::Cron.into(),
        count: 0,
        extra: Vec::new(),
        ran: false,
        stopped: false,
        job,
        time_offset_seconds: 0,
    }
}

/// What the command line asks for.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// So long from the start of a run to the start of the next.
    Every(Duration),
    /// At these times.
    Cron(Expression),
}

impl Schedule {
    /// The longest time between two runs, as far as the next of them tell.
    #[must_use]
    pub fn longest(&self, now: Time) -> Duration {
        /// A day of quarters of an hour.
        const TIMES: usize = 96;
        let expression = match self {
            Self::Every(every) => return *every,
            Self::Cron(expression) => expression,
        };
        let times: Vec<Time> = std::iter::successors(Some(now), |time| expression.after(*time)).skip(1).take(TIMES).collect();
        let gaps = times.iter().zip(times.iter().skip(1)).map(|(first, second)| second.since(*first));
        Duration::from_secs(gaps.max().and_then(|gap| u64::try_from(gap).ok()).unwrap_or_default())
    }
}

impl std::fmt::Display for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Every(every) => write!(f, "every {}", span::show(*every)),
            Self::Cron(expression) => write!(f, "at {expression} (UTC)"),
        }
    }
}

/// Both clocks, read together.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The wall clock.
    pub wall: Time,
    /// The monotonic clock, from whenever it was first read.
    pub monotonic: Duration,
}

/// What a look at the clocks says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It is time.
    Due,
    /// The wall clock was set forward by so many seconds, or the machine slept: certificates may be due.
    Jumped(i64),
    /// Not yet; look again after this.
    Later(Duration),
}

/// The wait for one run.
#[derive(Clone, Debug)]
pub struct Wait {
    schedule: Schedule,
    due: Due,
    /// When the first certificate has to be looked at, where that is sooner than the tick.
    certificate: Option<Time>,
    seen: Moment,
}

/// An interval is measured on the monotonic clock, which nobody sets; a time of day is the wall clock's.
#[derive(Clone, Copy, Debug)]
enum Due {
    Monotonic(Duration),
    Wall(Time),
}

impl Wait {
    /// The wait after a run that began at `began` and has ended now. What was missed meanwhile, that run has done. `wakes` are when certificates
    /// have to be looked at: what was due already and is not renewed waits for the tick, unless it ends before that.
    #[must_use]
    pub fn after(schedule: &Schedule, began: Moment, now: Moment, wakes: &[Wake]) -> Self {
        let due = match schedule {
            Schedule::Every(every) => Due::Monotonic(began.monotonic + *every),
            Schedule::Cron(expression) => Due::Wall(next(expression, now.wall)),
        };
        // Seen at the beginning: a clock that was set during the run is noticed at the first look.
        let mut wait = Self { schedule: schedule.clone(), due, certificate: None, seen: began };
        let tick = wait.due_at(now);
        let matters = |wake: &&Wake| wake.at > now.wall && wake.ends.is_none_or(|ends| ends <= tick);
        wait.certificate = wakes.iter().filter(matters).map(|wake| wake.at).min();
        wait
    }

    /// Whether it is time.
    pub fn look(&mut self, now: Moment) -> Look {
        let passed = now.monotonic.saturating_sub(self.seen.monotonic).as_secs();
        let jump = now.wall.since(self.seen.wall) - i64::try_from(passed).unwrap_or(i64::MAX);
        self.seen = now;
        if jump >= JUMP {
            return Look::Jumped(jump);
        }
        if let (true, Schedule::Cron(expression)) = (jump <= -JUMP, &self.schedule) {
            self.due = Due::Wall(next(expression, now.wall));
        }
        let left = self.left(now);
        if left.is_zero() { Look::Due } else { Look::Later(left.min(LOOK_AGAIN)) }
    }

    /// When the run is due, by the wall clock as it goes now.
    #[must_use]
    pub fn due_at(&self, now: Moment) -> Time {
        match self.due {
            Due::Wall(time) => self.certificate.map_or(time, |due| due.min(time)),
            Due::Monotonic(_) => now.wall.plus(i64::try_from(self.left(now).as_secs()).unwrap_or(i64::MAX)),
        }
    }

    /// What is left until the tick or until a certificate is due, whichever is sooner.
    fn left(&self, now: Moment) -> Duration {
        let until = |time: Time| Duration::from_secs(u64::try_from(time.since(now.wall)).unwrap_or(0));
        let tick = match self.due {
            Due::Monotonic(due) => due.saturating_sub(now.monotonic),
            Due::Wall(due) => until(due),
        };
        self.certificate.map_or(tick, |due| tick.min(until(due)))
    }
}

/// Where the calendar of the parser ends, a day from now: what serves must not stop looking.
fn next(expression: &Expression, now: Time) -> Time {
    expression.after(now).unwrap_or(now.plus(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two clocks that a test moves.
    struct Clocks(Moment);

    impl Clocks {
        fn at(wall: &str) -> Self {
            Self(Moment { wall: Time::parse(wall).unwrap(), monotonic: Duration::ZERO })
        }

        /// Both go on.
        fn pass(&mut self, seconds: u64) -> Moment {
            self.0 = Moment {
                wall: self.0.wall.plus(i64::try_from(seconds).unwrap()),
                monotonic: self.0.monotonic + Duration::from_secs(seconds),
            };
            self.0
        }

        /// Somebody sets the wall clock, or the machine slept.
        fn set(&mut self, by: i64) -> Moment {
            self.0.wall = self.0.wall.plus(by);
            self.0
        }
    }

    fn cron(text: &str) -> Schedule {
        Schedule::Cron(Expression::parse(text).unwrap())
    }

    fn quarter() -> Schedule {
        Schedule::Every(Duration::from_secs(900))
    }

    const MINUTES: fn(u64) -> Look = |minutes| Look::Later(Duration::from_secs(minutes * 60).min(LOOK_AGAIN));

    #[test]
    fn five_fields_have_no_seconds_and_six_begin_with_them() {
        let from = Time::parse("2026-11-24T12:34:56Z").unwrap();
        for (text, next) in [
            ("*/15 * * * *", "2026-11-24T12:45:00Z"),
            ("  0   3  * * * ", "2026-11-25T03:00:00Z"),
            ("30 0 3 * * *", "2026-11-25T03:00:30Z"),
            ("*/10 * * * * *", "2026-11-24T12:35:00Z"),
            ("0 0 * * SUN", "2026-11-29T00:00:00Z"),
            ("0 0 * * 0", "2026-11-29T00:00:00Z"),
            ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
            ("0 4 1 * ?", "2026-12-01T04:00:00Z"),
        ] {
            let expression = Expression::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(expression.after(from).map(|t| t.to_string()).as_deref(), Some(next), "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_or_two_is_refused_with_an_example() {
        for text in ["", "hourly", "@hourly", "* * * *", "60 * * * *", "*/0 * * * *", "0 0 0 1 1 * 2027", "a b c d e", "0 25 * * *"] {
            let why = Expression::parse(text).unwrap_err();
            assert!(why.contains("such as \"*/15 * * * *\""), "{text}: {why}");
        }
        for (text, expected) in [("0 0 13 * FRI", "two ways"), ("0 0 0 1 * 1-5", "two ways"), ("0 0 30 2 *", "never comes")] {
            let why = Expression::parse(text).unwrap_err();
            assert!(why.contains(expected), "{text}: {why}");
        }
    }

    #[test]
    fn an_interval_has_a_unit_and_bounds() {
        assert_eq!(every("10m"), Ok(Duration::from_secs(600)));
        for (text, expected) in [("0s", "expected 1s to 7d, found 0s"), ("8d", "found 8d"), ("900", "its unit"), ("999ms", "found 999ms")] {
            let why = every(text).unwrap_err();
            assert!(why.contains(expected), "{text}: {why}");
        }
    }

    #[test]
    fn an_interval_counts_from_the_start_of_a_run_and_a_long_run_is_followed_at_once() {
        let mut clocks = Clocks::at("2026-11-24T12:00:00Z");
        let began = clocks.0;
        let mut wait = Wait::after(&quarter(), began, clocks.pass(60), &[]);
        assert_eq!(wait.due_at(clocks.0).to_string(), "2026-11-24T12:15:00Z");
        assert_eq!(wait.look(clocks.0), MINUTES(14));
        assert_eq!(wait.look(clocks.pass(839)), Look::Later(Duration::from_secs(1)));
        assert_eq!(wait.look(clocks.pass(1)), Look::Due);
        let mut wait = Wait::after(&quarter(), began, clocks.pass(3600), &[]);
        assert_eq!(wait.look(clocks.0), Look::Due);
    }

    #[test]
    fn a_certificate_that_is_due_before_the_tick_is_not_waited_past() {
        let day = Schedule::Every(Duration::from_secs(86_400));
        for (schedule, tick) in [(day, "2026-11-25T12:00:00Z"), (cron("0 3 * * *"), "2026-11-25T03:00:00Z")] {
            for (due, expected) in [
                (Some("2026-11-24T12:00:40Z"), "2026-11-24T12:00:40Z"),
                (Some("2026-11-30T00:00:00Z"), tick),
                // Due already: not a loop without a pause.
                (Some("2026-11-24T11:00:00Z"), tick),
                (None, tick),
            ] {
                let mut clocks = Clocks::at("2026-11-24T12:00:00Z");
                let wakes: Vec<Wake> = due.and_then(Time::parse).map(|at| Wake { at, ends: None }).into_iter().collect();
                let mut wait = Wait::after(&schedule, clocks.0, clocks.0, &wakes);
                assert_eq!(wait.due_at(clocks.0).to_string(), expected, "{schedule} {due:?}");
                assert_eq!(
                    wait.look(clocks.pass(30)),
                    if expected.ends_with("40Z") { Look::Later(Duration::from_secs(10)) } else { MINUTES(10) }
                );
                assert_eq!(wait.look(clocks.pass(10)) == Look::Due, expected.ends_with("40Z"), "{schedule} {due:?}");
            }
        }
    }

    #[test]
    fn what_could_not_be_renewed_waits_for_the_tick_unless_it_ends_before() {
        let wake = |at: &str, ends: &str| Wake { at: Time::parse(at).unwrap(), ends: Time::parse(ends) };
        let (holds, ends) = (wake("2026-11-24T12:01:00Z", "2026-11-24T12:15:01Z"), wake("2026-11-24T12:02:00Z", "2026-11-24T12:15:00Z"));
        for (wakes, expected) in [
            (vec![holds], "2026-11-24T12:15:00Z"),
            (vec![ends], "2026-11-24T12:02:00Z"),
            (vec![holds, ends], "2026-11-24T12:02:00Z"),
            (vec![wake("2026-11-24T12:20:00Z", "2026-11-24T12:10:00Z")], "2026-11-24T12:15:00Z"),
        ] {
            for schedule in [quarter(), cron("*/15 * * * *")] {
                let clocks = Clocks::at("2026-11-24T12:00:00Z");
                assert_eq!(
                    Wait::after(&schedule, clocks.0, clocks.0, &wakes).due_at(clocks.0).to_string(),
                    expected,
                    "{schedule} {wakes:?}"
                );
            }
        }
    }

    #[test]
    fn times_that_pass_during_a_run_are_not_made_up_for() {
        let mut clocks = Clocks::at("2026-11-24T12:00:00Z");
        let began = clocks.0;
        let wait = Wait::after(&cron("*/5 * * * *"), began, clocks.pass(601), &[]);
        assert_eq!(wait.due_at(clocks.0).to_string(), "2026-11-24T12:15:00Z");
        // A run of less than a second at its very second.
        let wait = Wait::after(&cron("*/5 * * * *"), began, began, &[]);
        assert_eq!(wait.due_at(began).to_string(), "2026-11-24T12:05:00Z");
    }

    #[test]
    fn a_clock_set_forward_or_a_machine_that_slept_is_followed_by_one_run() {
        for schedule in [quarter(), cron("0 3 * * *")] {
            for by in [60, 7200, 86_400 * 400] {
                let mut clocks = Clocks::at("2026-11-24T12:00:00Z");
                let mut wait = Wait::after(&schedule, clocks.0, clocks.0, &[]);
                assert!(matches!(wait.look(clocks.pass(30)), Look::Later(_)));
                clocks.pass(30);
                assert_eq!(wait.look(clocks.set(by)), Look::Jumped(by), "{schedule} {by}");
                // The run that follows is one, not one for each interval that seems to have passed.
                let mut wait = Wait::after(&schedule, clocks.0, clocks.0, &[]);
                assert!(matches!(wait.look(clocks.pass(1)), Look::Later(_)));
            }
        }
    }

    #[test]
    fn a_clock_set_back_delays_nothing() {
        let mut clocks = Clocks::at("2026-11-24T12:00:00Z");
        let mut wait = Wait::after(&quarter(), clocks.0, clocks.0, &[]);
        assert_eq!(wait.look(clocks.set(-86_400)), MINUTES(15));
        assert_eq!(wait.due_at(clocks.0).to_string(), "2026-11-23T12:15:00Z");
        assert_eq!(wait.look(clocks.pass(900)), Look::Due);

        let mut clocks = Clocks::at("2026-11-24T12:00:00Z");
        let mut wait = Wait::after(&cron("0 * * * *"), clocks.0, clocks.0, &[]);
        assert_eq!(wait.look(clocks.set(-86_400 + 1800)), MINUTES(30));
        assert_eq!(wait.due_at(clocks.0).to_string(), "2026-11-23T13:00:00Z");
        assert_eq!(wait.look(clocks.pass(1800)), Look::Due);
    }

    #[test]
    fn a_jump_during_a_run_is_noticed_after_it_and_slewing_is_none() {
        let mut clocks = Clocks::at("2026-11-24T12:00:00Z");
        let began = clocks.0;
        clocks.set(7200);
        let mut wait = Wait::after(&quarter(), began, clocks.pass(2), &[]);
        assert_eq!(wait.look(clocks.0), Look::Jumped(7200));

        let mut clocks = Clocks::at("2026-11-24T12:00:00Z");
        let mut wait = Wait::after(&Schedule::Every(Duration::from_secs(86_400)), clocks.0, clocks.0, &[]);
        for _ in 0..200 {
            clocks.set(1);
            assert_eq!(wait.look(clocks.pass(30)), Look::Later(LOOK_AGAIN));
            clocks.set(-1);
            assert_eq!(wait.look(clocks.pass(30)), Look::Later(LOOK_AGAIN));
        }
    }
}
