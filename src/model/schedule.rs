//! Calendars: when something runs, as cron and systemd.timer(5) write it, and the longest time in between.

use std::collections::BTreeMap;
use std::time::Duration;

/// A pattern of days and of minutes of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    minutes: Vec<u32>,
    months: Vec<u32>,
    days: Vec<u32>,
    weekdays: Vec<u32>,
    /// cron: where day and weekday are both said, either is enough.
    either: bool,
}

/// As many patterns of one timer are looked at.
const PATTERNS: usize = 32;
/// Two years, so that what comes once a year comes twice.
const DAYS: u32 = 800;
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const MONTHS: &[&str] = &["", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

impl Schedule {
    fn new(hours: &[u32], minutes: &[u32]) -> Self {
        let all = |low: u32, high: u32| (low..=high).collect::<Vec<_>>();
        let minutes = hours.iter().flat_map(|hour| minutes.iter().map(move |minute| hour * 60 + minute)).collect();
        Self { minutes, months: all(1, 12), days: all(1, 31), weekdays: all(0, 6), either: false }
    }

    /// `OnCalendar=` (systemd.time(7)); seconds and time zones do not matter here.
    #[must_use]
    pub fn systemd(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let written = match text.as_str() {
            "minutely" => "*-*-* *:*:00",
            "hourly" => "*-*-* *:00:00",
            "daily" => "*-*-* 00:00:00",
            "weekly" => "mon *-*-* 00:00:00",
            "monthly" => "*-*-01 00:00:00",
            "quarterly" => "*-01,04,07,10-01 00:00:00",
            "semiannually" | "semi-annually" => "*-01,07-01 00:00:00",
            "yearly" | "annually" => "*-01-01 00:00:00",
            other => other,
        };
        let mut schedule = Self::new(&[0], &[0]);
        let mut understood = false;
        for part in written.split_whitespace() {
            let first = part.chars().next()?;
            if part.contains(':') {
                schedule.set_time(part)?;
            } else if first.is_ascii_alphabetic() && !understood && !part.contains('/') && part != "utc" {
                schedule.weekdays = list(&part.replace("..", "-"), 0, 6, WEEKDAYS)?;
            } else if !first.is_ascii_alphabetic() && (part.contains('-') || part.contains('~')) {
                schedule.set_date(part)?;
            } else if understood && first.is_ascii_alphabetic() {
                continue;
            } else {
                return None;
            }
            understood = true;
        }
        understood.then_some(schedule)
    }

    fn set_time(&mut self, text: &str) -> Option<()> {
        let mut parts = text.split(':');
        let hours = list(&parts.next()?.replace("..", "-"), 0, 23, &[])?;
        let minutes = list(&parts.next()?.replace("..", "-"), 0, 59, &[])?;
        self.minutes = Self::new(&hours, &minutes).minutes;
        Some(())
    }

    fn set_date(&mut self, text: &str) -> Option<()> {
        if text.contains('~') {
            // Counted from the end of the month: once a month is all that matters.
            self.days = vec![28];
            return Some(());
        }
        let parts: Vec<&str> = text.split('-').collect();
        let (month, day) = match *parts.as_slice() {
            [_, month, day] | [month, day] => (month, day),
            _ => return None,
        };
        self.months = list(&month.replace("..", "-"), 1, 12, &[])?;
        self.days = list(&day.replace("..", "-"), 1, 31, &[])?;
        Some(())
    }

    /// The five fields of a crontab line, or `@daily` and the like; `@reboot` has no schedule.
    #[must_use]
    pub fn cron(fields: &[&str]) -> Option<Self> {
        let fields = match *fields {
            [one] => match one {
                "@hourly" => ["0", "*", "*", "*", "*"],
                "@daily" | "@midnight" => ["0", "0", "*", "*", "*"],
                "@weekly" => ["0", "0", "*", "*", "0"],
                "@monthly" => ["0", "0", "1", "*", "*"],
                "@yearly" | "@annually" => ["0", "0", "1", "1", "*"],
                _ => return None,
            },
            [minute, hour, day, month, weekday] => [minute, hour, day, month, weekday],
            _ => return None,
        };
        let [minute, hour, day, month, weekday] = fields;
        let mut schedule = Self::new(&list(hour, 0, 23, &[])?, &list(minute, 0, 59, &[])?);
        schedule.days = list(day, 1, 31, &[])?;
        schedule.months = list(&month.to_ascii_lowercase(), 1, 12, MONTHS)?;
        schedule.weekdays = list(&weekday.to_ascii_lowercase(), 0, 7, WEEKDAYS)?.into_iter().map(|day| day % 7).collect();
        schedule.either = !day.starts_with('*') && !weekday.starts_with('*');
        Some(schedule)
    }

    /// Whether there are two runs within two years. Ends at the second: a table may have thousands of lines.
    #[must_use]
    pub fn comes_again(&self) -> bool {
        let mut runs = 0;
        days().filter(|day| self.is_on(day)).any(|_| {
            runs += self.minutes.len();
            runs >= 2
        })
    }

    fn is_on(&self, day: &Day) -> bool {
        let (by_day, by_weekday) = (self.days.contains(&day.day), self.weekdays.contains(&day.weekday));
        self.months.contains(&day.month) && if self.either { by_day || by_weekday } else { by_day && by_weekday }
    }
}

/// A day of the two years in which runs are looked for.
struct Day {
    number: u32,
    month: u32,
    day: u32,
    weekday: u32,
}

/// Two years from 2024-01-01 on, a Monday in a leap year.
fn days() -> impl Iterator<Item = Day> {
    const LENGTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let (mut month, mut day) = (1_u32, 0_u32);
    (0..DAYS).map(move |number| {
        day += 1;
        if day > LENGTHS.get(month as usize - 1).copied().unwrap_or(31) {
            (day, month) = (1, if month == 12 { 1 } else { month + 1 });
        }
        Day { number, month, day, weekday: (number + 1) % 7 }
    })
}

/// The minutes of a day in which something runs; `None` where nothing does.
#[derive(Clone, Copy)]
struct Runs(Option<Span>);

/// The first and the last of them, and the longest time between two.
#[derive(Clone, Copy)]
struct Span {
    first: u32,
    last: u32,
    gap: Option<u32>,
}

impl Runs {
    fn of(mut minutes: Vec<u32>) -> Self {
        minutes.sort_unstable();
        let gap = minutes.iter().zip(minutes.iter().skip(1)).map(|(one, next)| next - one).max();
        Self(minutes.first().zip(minutes.last()).map(|(first, last)| Span { first: *first, last: *last, gap }))
    }
}

/// The longest time between two runs of all these together; `None` where there are not two within two years.
#[must_use]
pub fn longest_gap(schedules: &[Schedule]) -> Option<Duration> {
    let (mut last, mut gap): (Option<u32>, Option<u32>) = (None, None);
    // The runs of a day are the same on each day of the same schedules.
    let mut known: BTreeMap<Vec<usize>, Runs> = BTreeMap::new();
    let schedules = schedules.get(..PATTERNS).unwrap_or(schedules);
    for today in days() {
        let on: Vec<usize> = (0..).zip(schedules).filter(|(_, schedule)| schedule.is_on(&today)).map(|(at, _)| at).collect();
        let of = |on: &[usize]| {
            Runs::of(on.iter().filter_map(|at| schedules.get(*at)).flat_map(|schedule| &schedule.minutes).copied().collect())
        };
        let Some(runs) = known.entry(on).or_insert_with_key(|on| of(on)).0 else { continue };
        let begin = today.number * 1440;
        gap = gap.max(runs.gap).max(last.map(|last| begin + runs.first - last));
        last = Some(begin + runs.last);
    }
    gap.map(|minutes| Duration::from_secs(u64::from(minutes) * 60))
}

/// `*`, numbers, names, ranges and steps, joined by commas.
fn list(text: &str, low: u32, high: u32, names: &[&str]) -> Option<Vec<u32>> {
    let number = |text: &str| {
        let named =
            names.iter().position(|name| !name.is_empty() && text.starts_with(name)).and_then(|location| u32::try_from(location).ok());
        text.parse().ok().or(named).filter(|number| (low..=high).contains(number))
    };
    let mut all = Vec::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (number(from)?, number(to)?),
            None if range == "*" => (low, high),
            None => (number(range)?, if step.is_some() { high } else { number(range)? }),
        };
        let step = usize::try_from(step.unwrap_or(1)).ok()?;
        // Sat..Mon goes over the end of the week.
        let context = if from > to { (from..=high).chain(low..=to).collect::<Vec<_>>() } else { (from..=to).collect() };
        all.extend(context.into_iter().step_by(step));
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

/// A time span (systemd.time(7)): `1h 30min`, `90`, `2d`; `None` for `infinity` and what is none.
#[must_use]
pub fn span(text: &str) -> Option<Duration> {
    let mut total = 0.0_f64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let (number, after) = rest.split_at_checked(digits)?;
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters)?;
        let seconds = match unit {
            "us" | "usec" | "µs" | "μs" => 0.000_001,
            "ms" | "msec" => 0.001,
            "" | "s" | "sec" | "second" | "seconds" => 1.0,
            "m" | "min" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86_400.0,
            "w" | "week" | "weeks" => 604_800.0,
            "M" | "month" | "months" => 2_629_800.0,
            "y" | "year" | "years" => 31_557_600.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = after.trim_start();
    }
    Duration::try_from_secs_f64(total).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_time_between_two_runs_is_known() {
        let (minute, hour, day) = (60, 3600, 86_400);
        for (text, seconds) in [
            ("hourly", hour),
            ("daily", day),
            ("weekly", 7 * day),
            ("Mon..Fri 03:00", 3 * day),
            ("*:00/30", 30 * minute),
            ("*:0/15", 15 * minute),
            ("*-*-* 00/6:00:00", 6 * hour),
            ("*-*-* 02,14:30", 12 * hour),
            ("*-*-* 00,12:00:00 UTC", 12 * hour),
            ("03:30", day),
            ("monthly", 31 * day),
            ("*-*-1,15", 17 * day),
            ("Sat,Sun 12:00 Europe/Berlin", 6 * day),
            ("yearly", 366 * day),
            ("2024-02-29 00:00", 366 * day),
        ] {
            let schedule = Schedule::systemd(text).unwrap_or_else(|| panic!("{text}"));
            let gap = longest_gap(&[schedule]).map_or(0, |gap| gap.as_secs());
            assert!(gap == seconds || text.starts_with("2024"), "{text}: {gap}");
        }
        for text in ["25:00", "nonsense", "", "Fun *-*-*", "*-13-01", "12"] {
            assert_eq!(Schedule::systemd(text), None, "{text}");
        }
        let two = ["02:00", "14:00"].map(|text| Schedule::systemd(text).unwrap());
        assert_eq!(longest_gap(&two).unwrap().as_secs(), 12 * hour);
    }

    #[test]
    fn a_time_comes_again_or_it_does_not() {
        for (fields, again) in [
            (["*", "*", "*", "*", "*"], true),
            (["0", "3", "1", "*", "*"], true),
            (["0", "0", "1", "1", "*"], true),
            (["0", "0", "29", "2", "*"], true),
            (["0", "0", "31", "2", "*"], false),
        ] {
            let schedule = Schedule::cron(&fields).unwrap();
            assert_eq!((schedule.comes_again(), longest_gap(&[schedule]).is_some()), (again, again), "{fields:?}");
        }
    }

    #[test]
    fn cron_fields_are_read_as_cron_does() {
        let (hour, day) = (3600, 86_400);
        for (text, seconds) in [
            ("*/10 * * * *", 600),
            ("0 */6 * * *", 6 * hour),
            ("17 3 * * 0", 7 * day),
            ("17 3 * * sun,wed", 4 * day),
            ("0 0 1 * *", 31 * day),
            ("0 0 1 * mon", 7 * day),
            ("0 8-18/2 * * *", 14 * hour),
            ("@daily", day),
        ] {
            let fields: Vec<&str> = text.split(' ').collect();
            assert_eq!(longest_gap(&[Schedule::cron(&fields).unwrap()]).unwrap().as_secs(), seconds, "{text}");
        }
        for text in ["@reboot", "60 * * * *", "* * * *", "a b c d e"] {
            assert_eq!(Schedule::cron(&text.split(' ').collect::<Vec<_>>()), None, "{text}");
        }
    }

    #[test]
    fn spans_are_systemds() {
        for (text, seconds) in [
            ("1h 30min", Some(5400)),
            ("90", Some(90)),
            ("2d", Some(172_800)),
            ("1w", Some(604_800)),
            ("15m", Some(900)),
            ("infinity", None),
            ("", None),
            ("1x", None),
            ("é", None),
        ] {
            assert_eq!(span(text).map(|span| span.as_secs()), seconds, "{text}");
        }
    }
}
