//! `OnCalendar=` as systemd reads it (systemd.time(7), `src/basic/calendarspec.c`): what it refuses is refused here.

use super::{Schedule, at, every};

/// Names of days as they may be written, the long ones first, with their numbers from Sunday on.
const DAYS: &[(&str, u32)] = &[
    ("sunday", 0),
    ("monday", 1),
    ("tuesday", 2),
    ("wednesday", 3),
    ("thursday", 4),
    ("friday", 5),
    ("saturday", 6),
    ("sun", 0),
    ("mon", 1),
    ("tue", 2),
    ("wed", 3),
    ("thu", 4),
    ("fri", 5),
    ("sat", 6),
];
const FIRST_YEAR: u32 = 1970;
/// The last that it knows: what goes on to it does not end.
pub(super) const LAST_YEAR: u32 = 2199;
/// Microseconds of a second.
const MICRO: u32 = 1_000_000;
/// As many parts of one list are read (`CALENDARSPEC_COMPONENTS_MAX`).
const PARTS: usize = 240;

/// Reads an expression.
pub(super) fn read(text: &str) -> Option<Schedule> {
    let text = text.trim().to_ascii_lowercase();
    let words = without_zone(&text);
    let written = match words {
        "minutely" => "*-*-* *:*:00",
        "hourly" => "*-*-* *:00:00",
        "daily" => "*-*-* 00:00:00",
        "weekly" => "mon *-*-* 00:00:00",
        "monthly" => "*-*-01 00:00:00",
        "quarterly" => "*-01,04,07,10-01 00:00:00",
        "semiannually" | "semi-annually" | "biannually" | "bi-annually" => "*-01,07-01 00:00:00",
        "yearly" | "annually" | "anually" => "*-01-01 00:00:00",
        other => other,
    };
    if let Some(seconds) = written.strip_prefix('@') {
        return at(seconds);
    }
    let mut rest = Rest(written);
    let mut schedule = Schedule::new(&[0], &[0]);
    if let Some(days) = rest.weekdays()? {
        schedule.weekdays = days;
    }
    let had = rest.0;
    rest.date(&mut schedule)?;
    if !(rest.0.is_empty() && rest.0 != had) || written.is_empty() {
        rest.time(&mut schedule)?;
    }
    (rest.0.is_empty() && !written.is_empty()).then_some(schedule)
}

/// An expression without its time zone, which matters to no time between two runs.
fn without_zone(text: &str) -> &str {
    let Some((before, last)) = text.rsplit_once(' ') else { return text };
    // No part of an expression but a day begins with a letter; which zones there are is not looked up.
    let zone =
        last.len() > 1 && last.starts_with(|c: char| c.is_ascii_alphabetic()) && !DAYS.iter().any(|(name, _)| last.starts_with(name));
    if zone { before } else { text }
}

/// What is still to be read.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    /// Moves over a beginning; whether it was there.
    fn over(&mut self, start: &str) -> bool {
        let after = self.0.strip_prefix(start);
        self.0 = after.unwrap_or(self.0);
        after.is_some()
    }

    fn blanks(&mut self) {
        self.0 = self.0.trim_start_matches(' ');
    }

    fn is_at(&self, ends: &[char]) -> bool {
        self.0.is_empty() || self.0.starts_with(ends)
    }

    /// Days of the week, where there are any: they may go over the end of no week, and a comma may stand behind the last.
    fn weekdays(&mut self) -> Option<Option<Vec<u32>>> {
        // Monday is the first day of the week.
        let number = |day: u32| (day + 6) % 7;
        let (mut days, mut from): (Vec<u32>, Option<u32>) = (Vec::new(), None);
        loop {
            let Some((name, day)) = DAYS.iter().find(|(name, _)| self.0.starts_with(name)) else {
                return days.is_empty().then_some(None);
            };
            self.over(name);
            let first = from.take().unwrap_or(number(*day));
            if first > number(*day) {
                return None;
            }
            days.extend((first..=number(*day)).map(|day| (day + 1) % 7));
            if self.is_at(&[' ']) {
                self.blanks();
                return Some(Some(days));
            }
            if self.over(",") {
                if self.is_at(&[' ']) {
                    self.blanks();
                    return Some(Some(days));
                }
            } else if first == number(*day) && (self.over("..") || self.over("-")) {
                from = Some(number(*day));
            } else {
                return None;
            }
        }
    }

    /// `YEAR-MONTH-DAY` or `MONTH-DAY`, where there is one; `~` for `-` before the day counts from the end of the month.
    fn date(&mut self, schedule: &mut Schedule) -> Option<()> {
        let start = self.0;
        if start.is_empty() {
            return Some(());
        }
        let first = self.chain(1)?;
        if self.is_at(&[':']) {
            self.0 = start;
            return Some(());
        }
        let mut from_end = self.over("~");
        if !from_end && !self.over("-") {
            return None;
        }
        let second = self.chain(1)?;
        let (years, months, days) = if self.is_at(&[' ']) {
            (Chain(None), first, second)
        } else {
            if from_end {
                return None;
            }
            from_end = self.over("~");
            if !from_end && !self.over("-") {
                return None;
            }
            let third = self.chain(1)?;
            if !self.is_at(&[' ']) {
                return None;
            }
            (first.years(), second, third)
        };
        self.blanks();
        schedule.years = if years.0.is_some() { Some(years.values(FIRST_YEAR, LAST_YEAR, false)?) } else { None };
        schedule.months = months.values(1, 12, false)?;
        schedule.from_end = from_end && days.0.is_some();
        schedule.days = days.values(1, 31, schedule.from_end)?;
        Some(())
    }

    /// `HOUR:MINUTE` or `HOUR:MINUTE:SECOND`; midnight where there is none.
    fn time(&mut self, schedule: &mut Schedule) -> Option<()> {
        if self.0.is_empty() {
            return Some(());
        }
        let hours = self.chain(1)?.values(0, 23, false)?;
        if !self.over(":") {
            return None;
        }
        let minutes = self.chain(1)?.values(0, 59, false)?;
        // Seconds do not matter here, but they may be none that there are.
        if self.over(":") && !self.chain(MICRO)?.is_valid(0, 60 * MICRO - 1, false) {
            return None;
        }
        schedule.minutes = Schedule::new(&hours, &minutes).minutes;
        Some(())
    }

    /// `*`, or numbers, ranges and steps joined by commas; a step of everything is not written with `*`.
    /// In parts of `unit`: what is larger than 1 may have a fraction.
    fn chain(&mut self, unit: u32) -> Option<Chain> {
        if self.over("*") {
            return Some(Chain(None));
        }
        let mut parts = Vec::new();
        loop {
            let start = self.number(unit)?;
            let stop = if self.over("..") { Some(self.number(unit)?) } else { None };
            let step = if self.over("/") { Some(self.number(unit).filter(|step| *step > 0)?) } else { None };
            if !self.is_at(&[' ', ',', '-', '~', ':']) || parts.len() >= PARTS {
                return None;
            }
            parts.push(Part::normal(start, stop, step.unwrap_or(if stop.is_some() { unit } else { 0 })));
            if !self.over(",") {
                return Some(Chain(Some(parts)));
            }
        }
    }

    fn number(&mut self, unit: u32) -> Option<u32> {
        let whole = self.digits().parse::<u32>().ok()?.checked_mul(unit)?;
        if unit == 1 || self.0.starts_with("..") || !self.over(".") {
            return Some(whole);
        }
        let fraction = self.digits();
        let parts: u32 = fraction.get(..6).unwrap_or(fraction).parse().ok()?;
        let missing = 6_u32.saturating_sub(u32::try_from(fraction.len()).ok()?);
        whole.checked_add(parts * 10_u32.pow(missing))
    }

    fn digits(&mut self) -> &str {
        let digits = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let (number, rest) = self.0.split_at_checked(digits).unwrap_or_default();
        self.0 = rest;
        number
    }
}

/// One number, a range, or either with a step.
#[derive(Clone, Copy)]
struct Part {
    start: u32,
    stop: Option<u32>,
    /// 0 where there is one value alone.
    step: u32,
}

impl Part {
    /// A step that leads nowhere is none, and of a range that ends where it begins one value is left (`normalize_chain`).
    fn normal(start: u32, stop: Option<u32>, step: u32) -> Self {
        match stop {
            Some(stop) if stop == start || (stop > start && start.saturating_add(step) > stop) => Self { start, stop: None, step: 0 },
            _ => Self { start, stop, step },
        }
    }
}

/// Parts, or everything.
struct Chain(Option<Vec<Part>>);

impl Chain {
    /// Years of two digits are of this century up to 69.
    fn years(self) -> Self {
        let year = |year: u32| match year {
            0..70 => year + 2000,
            70..100 => year + 1900,
            _ => year,
        };
        Self(self.0.map(|parts| parts.iter().map(|part| Part { start: year(part.start), stop: part.stop.map(year), ..*part }).collect()))
    }

    /// The values within these bounds, where they are valid. From the end of a month a step goes on towards the end.
    fn values(&self, low: u32, high: u32, from_end: bool) -> Option<Vec<u32>> {
        if !self.is_valid(low, high, from_end) {
            return None;
        }
        let Some(parts) = &self.0 else { return Some(every(low, high)) };
        let mut all = Vec::new();
        for Part { start, stop, step } in parts.iter().copied() {
            match usize::try_from(step).ok()? {
                0 => all.push(start),
                step if from_end => match stop {
                    Some(stop) => all.extend((start..=stop).step_by(step)),
                    None => all.extend((low..=start).rev().step_by(step)),
                },
                step => all.extend((start..=stop.unwrap_or(high)).step_by(step)),
            }
        }
        all.sort_unstable();
        all.dedup();
        Some(all)
    }

    /// Whether every part is within the bounds and every step leads to another value (`chain_valid`). No day is more than 28 away from the end
    /// of its month.
    fn is_valid(&self, low: u32, high: u32, from_end: bool) -> bool {
        let high = if from_end { high - 3 } else { high };
        let within = |value: u32| (low..=high).contains(&value);
        self.0.iter().flatten().all(|Part { start, stop, step }| {
            let towards_end = from_end && stop.is_none();
            let reaches = if towards_end {
                start.checked_sub(*step).is_some_and(|next| next >= low)
            } else {
                start.saturating_add(*step) <= stop.unwrap_or(high)
            };
            within(*start) && *step <= high - low && stop.is_none_or(within) && (*step == 0 || reaches)
        })
    }
}
