//! Calendars: when something runs, as cron and systemd.timer(5) write it, and the longest time in between.

mod cron;
mod systemd;

use std::collections::BTreeMap;
use std::time::Duration;

use time::OffsetDateTime;

/// A pattern of days and of minutes of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    minutes: Vec<u32>,
    /// All of them where there are none.
    years: Option<Vec<u32>>,
    months: Vec<u32>,
    days: Vec<u32>,
    /// Days are counted from the end of the month.
    from_end: bool,
    weekdays: Vec<u32>,
    /// cron: where day and weekday are both said, either is enough.
    either: bool,
}

/// As many patterns of one timer are looked at.
const PATTERNS: usize = 32;
/// Two years, so that what comes once a year comes twice.
const DAYS: u32 = 800;
/// The year of the first of them.
const FIRST_YEAR: u32 = 2024;

/// All numbers from one to another.
fn every(low: u32, high: u32) -> Vec<u32> {
    (low..=high).collect()
}

impl Schedule {
    fn new(hours: &[u32], minutes: &[u32]) -> Self {
        let minutes = hours.iter().flat_map(|hour| minutes.iter().map(move |minute| hour * 60 + minute)).collect();
        Self { minutes, years: None, months: every(1, 12), days: every(1, 31), from_end: false, weekdays: every(0, 6), either: false }
    }

    /// `OnCalendar=` (systemd.time(7)); seconds and time zones do not matter here.
    #[must_use]
    pub fn systemd(text: &str) -> Option<Self> {
        systemd::read(text)
    }

    /// The five fields of a crontab line, or `@daily` and the like; `@reboot` has no schedule.
    #[must_use]
    pub fn cron(fields: &[&str]) -> Option<Self> {
        cron::read(fields)
    }

    /// The last year in which it runs, where there is one: then it ends.
    #[must_use]
    pub fn last_year(&self) -> Option<u32> {
        self.years.as_ref()?.last().copied().filter(|year| *year < systemd::LAST_YEAR)
    }

    /// Whether it ever runs: on the 29th of February in two years, on the 30th in none.
    #[must_use]
    pub fn comes(&self) -> bool {
        !self.minutes.is_empty() && days().any(|day| self.is_on(&day))
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
        let date = if self.from_end { day.left + 1 } else { day.day };
        let (by_day, by_weekday) = (self.days.contains(&date), self.weekdays.contains(&day.weekday));
        self.years.as_ref().is_none_or(|years| years.contains(&day.year))
            && self.months.contains(&day.month)
            && if self.either { by_day || by_weekday } else { by_day && by_weekday }
    }
}

/// `@SECONDS` since 1970: one minute of one day.
fn at(seconds: &str) -> Option<Schedule> {
    let whole =
        seconds.split_once('.').map_or(Some(seconds), |(whole, part)| part.bytes().all(|byte| byte.is_ascii_digit()).then_some(whole))?;
    let then = OffsetDateTime::from_unix_timestamp(whole.parse::<u32>().ok()?.into()).ok()?;
    let mut schedule = Schedule::new(&[then.hour().into()], &[then.minute().into()]);
    schedule.years = Some(vec![u32::try_from(then.year()).ok()?]);
    schedule.months = vec![u8::from(then.month()).into()];
    schedule.days = vec![then.day().into()];
    Some(schedule)
}

/// A day of the two years in which runs are looked for.
struct Day {
    number: u32,
    year: u32,
    month: u32,
    day: u32,
    /// Days of the month that come after it.
    left: u32,
    weekday: u32,
}

/// Two years from 2024-01-01 on, a Monday in a leap year.
fn days() -> impl Iterator<Item = Day> {
    let (mut year, mut month, mut day) = (FIRST_YEAR, 1_u32, 0_u32);
    (0..DAYS).map(move |number| {
        day += 1;
        if day > length(year, month) {
            (year, month, day) = if month == 12 { (year + 1, 1, 1) } else { (year, month + 1, 1) };
        }
        Day { number, year, month, day, left: length(year, month) - day, weekday: (number + 1) % 7 }
    })
}

/// Days of a month, in a century that is none's end.
const fn length(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
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
            ("bi-annually UTC", 184 * day),
            ("Mon,", 7 * day),
            ("*-*~1", 31 * day),
            ("Mon *-*~07/1", 35 * day),
            ("2024-02-29 00:00", 0),
            ("2024..2025-*-* 00:00", day),
            ("@1735689600", 0),
        ] {
            let schedule = Schedule::systemd(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(longest_gap(&[schedule]).map_or(0, |gap| gap.as_secs()), seconds, "{text}");
        }
        for text in [
            "25:00",
            "nonsense",
            "",
            "Fun *-*-*",
            "*-13-01",
            "12",
            "*-*-* */6:00",
            "*-*-*/2",
            "Sat..Mon",
            "23/5:00",
            "tuee",
            "*-*~30",
            "5..3:00",
            "00:00:60",
            "*,3:00",
            "@",
            "@soon",
        ] {
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
            (["0", "0", "29", "2", "*"], false),
            (["30-20", "0", "*", "*", "*"], false),
            (["0", "0", "31", "2", "*"], false),
        ] {
            let schedule = Schedule::cron(&fields).unwrap();
            assert_eq!((schedule.comes_again(), longest_gap(&[schedule]).is_some()), (again, again), "{fields:?}");
        }
    }

    #[test]
    fn a_time_comes_once_in_years_or_never() {
        for (fields, comes) in [
            (["0", "0", "29", "2", "*"], true),
            (["0", "0", "31", "2", "*"], false),
            (["0", "0", "31", "4,6", "*"], false),
            (["30-20", "0", "*", "*", "*"], false),
        ] {
            assert_eq!(Schedule::cron(&fields).unwrap().comes(), comes, "{fields:?}");
        }
        assert_eq!(Schedule::systemd("@1735689600").unwrap().last_year(), Some(2025));
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
        for text in ["@reboot", "60 * * * *", "* * * *", "a b c d e", "5/15 * * * *", "0 0 * january *", "0 0 * * monday"] {
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
