//! A line of a crontab as cron reads it (crontab(5), `entry.c`): steps behind `*` and ranges alone, names exactly, and no range over the end.

use super::Schedule;

const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Reads the five fields, or `@daily` and the like.
pub(super) fn read(fields: &[&str]) -> Option<Schedule> {
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
    let mut schedule = Schedule::new(&list(hour, 0, 23, &[])?, &list(minute, 0, 59, &[])?);
    schedule.days = list(day, 1, 31, &[])?;
    schedule.months = list(month, 1, 12, MONTHS)?;
    schedule.weekdays = list(weekday, 0, 7, WEEKDAYS)?.into_iter().map(|day| day % 7).collect();
    schedule.either = !day.starts_with('*') && !weekday.starts_with('*');
    Some(schedule)
}

/// `*`, numbers, names, ranges and steps, joined by commas. A range that goes back is taken, and is empty.
fn list(text: &str, low: u32, high: u32, names: &[&str]) -> Option<Vec<u32>> {
    let named = |text: &str| names.iter().zip(low..).find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, number)| number);
    let number = |text: &str| text.parse().ok().or_else(|| named(text)).filter(|number| (low..=high).contains(number));
    let mut all = Vec::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (number(from)?, number(to)?),
            None if range == "*" => (low, high),
            // Of a single number there are no steps.
            None if step.is_some() => return None,
            None => (number(range)?, number(range)?),
        };
        all.extend((from..=to).step_by(usize::try_from(step.unwrap_or(1)).ok()?));
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}
