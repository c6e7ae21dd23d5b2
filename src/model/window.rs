//! `window`: when, in the local time of the host, a certificate may be renewed. Spans of the week are written down; which seconds they are is
//! worked out from the zone, so that a change of the clocks moves nothing else.

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime, Time as Wall, Weekday};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Timestamp, ToSpan as _};
use serde::Serialize;

use super::clock::Time;

/// Every span lasts a day at most and comes again within a week: so far back and ahead they are looked for.
const BEFORE: i32 = 9;
const AHEAD: i32 = 23;

const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

/// A span of some days of the week, such as `Mon..Fri 02:00-05:00`. One that ends before it begins crosses midnight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weekly {
    /// On which days it begins.
    days: Vec<Weekday>,
    /// Minutes from midnight.
    begins: i16,
    /// Minutes from midnight, up to 24:00.
    ends: i16,
}

/// All spans, and the zone that they are meant in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    /// At least one.
    pub weekly: Vec<Weekly>,
    /// The host's, or the one of `timezone`.
    pub zone: TimeZone,
}

/// One time that a window is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Opening {
    /// Its first second.
    pub opens: Time,
    /// The first second after it.
    pub ends: Time,
}

/// Where a point in time lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Within a window; `next` is the one after it, where it ends at all.
    Inside {
        /// The window.
        this: Opening,
        /// The one after it.
        next: Option<Opening>,
    },
    /// Outside; `next` opens first.
    Outside {
        /// The next one.
        next: Opening,
    },
    /// There is none within weeks: every one lies in an hour that does not exist.
    Never,
}

impl Weekly {
    /// Reads `Mon..Fri 02:00-05:00`, `Sat,Sun 22:00-04:00`, or `02:00-05:00` for every day.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (days, times) = match words.as_slice() {
            [times] => (DAYS.map(|(_, day)| day).to_vec(), *times),
            [days, times] => (parse_days(days)?, *times),
            _ => return Err(format!("expected days and times, found \"{text}\"")),
        };
        let (begins, ends) = times.split_once('-').ok_or_else(|| format!("expected HH:MM-HH:MM, found \"{times}\""))?;
        let (begins, ends) = (minutes(begins)?, minutes(ends)?);
        if begins == ends || begins == 24 * 60 {
            return Err(format!("expected a window of some length that begins before 24:00, found \"{times}\""));
        }
        Ok(Self { days, begins, ends })
    }
}

fn parse_days(text: &str) -> Result<Vec<Weekday>, String> {
    let one = |word: &str| {
        let found = DAYS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, day)| *day);
        found.ok_or_else(|| format!("expected Mon, Tue, Wed, Thu, Fri, Sat or Sun, found \"{word}\""))
    };
    let mut days = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once("..").map_or_else(|| (one(part), one(part)), |(first, last)| (one(first), one(last)));
        let (mut day, last) = (first?, last?);
        days.insert(day.to_monday_zero_offset());
        while day != last {
            day = day.next();
            days.insert(day.to_monday_zero_offset());
        }
    }
    Ok(days.into_iter().filter_map(|day| Weekday::from_monday_zero_offset(day).ok()).collect())
}

fn minutes(text: &str) -> Result<i16, String> {
    let wrong = || format!("expected a time from 00:00 to 24:00, found \"{text}\"");
    let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
    let number =
        |digits: &str| if digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse::<i16>().ok() } else { None };
    let (hours, minutes) = number(hours).zip(number(minutes)).ok_or_else(wrong)?;
    let total = hours * 60 + minutes;
    if minutes < 60 && total <= 24 * 60 { Ok(total) } else { Err(wrong()) }
}

impl Windows {
    /// Where this point in time lies.
    #[must_use]
    pub fn place(&self, now: Time) -> Place {
        let openings = self.openings(now);
        let mut rest = openings.into_iter().skip_while(|opening| opening.ends <= now);
        let Some(first) = rest.next() else { return Place::Never };
        if first.opens > now {
            return Place::Outside { next: first };
        }
        Place::Inside { this: first, next: rest.next() }
    }

    /// The openings around this time, in order; what touches is one.
    fn openings(&self, now: Time) -> Vec<Opening> {
        let Ok(at) = Timestamp::from_second(now.unix()) else { return Vec::new() };
        let today = self.zone.to_datetime(at).date();
        let days = (-BEFORE..=AHEAD).filter_map(|days| today.checked_add(days.days()).ok());
        let mut all: Vec<Opening> = days.flat_map(|date| self.weekly.iter().filter_map(move |weekly| self.on(weekly, date))).collect();
        all.sort();
        let mut merged: Vec<Opening> = Vec::new();
        for opening in all {
            match merged.last_mut() {
                Some(last) if opening.opens <= last.ends => last.ends = last.ends.max(opening.ends),
                _ => merged.push(opening),
            }
        }
        merged
    }

    fn on(&self, weekly: &Weekly, date: Date) -> Option<Opening> {
        if !weekly.days.contains(&date.weekday()) {
            return None;
        }
        let end_date = if weekly.ends < weekly.begins { date.tomorrow().ok()? } else { date };
        let opening =
            Opening { opens: self.instant(date, weekly.begins, Fold::First)?, ends: self.instant(end_date, weekly.ends, Fold::Second)? };
        (opening.opens < opening.ends).then_some(opening)
    }

    /// The second at which clocks of the zone show this. A time that is skipped is the moment of the change; of one that comes twice it is
    /// said which is meant.
    fn instant(&self, date: Date, minutes: i16, fold: Fold) -> Option<Time> {
        let (date, minutes) = if minutes == 24 * 60 { (date.tomorrow().ok()?, 0) } else { (date, minutes) };
        let wall = Wall::new(i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?, 0, 0).ok()?;
        let shown = DateTime::from_parts(date, wall);
        let at = |offset: Offset| offset.to_timestamp(shown).ok();
        let found = match (self.zone.to_ambiguous_timestamp(shown).offset(), fold) {
            (AmbiguousOffset::Unambiguous { offset }, _) => at(offset)?,
            (AmbiguousOffset::Fold { before, .. }, Fold::First) => at(before)?,
            (AmbiguousOffset::Fold { after, .. }, Fold::Second) => at(after)?,
            // With the later offset it is before the change, with the earlier one behind it.
            (AmbiguousOffset::Gap { after, .. }, _) => self.zone.following(at(after)?).next()?.timestamp(),
        };
        Some(Time::from_unix(found.as_second()))
    }
}

/// Which of two equal times, where the clocks are set back.
#[derive(Clone, Copy)]
enum Fold {
    First,
    Second,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Central Europe: the clocks change on the last Sundays of March and October, at 01:00 UTC.
    fn windows(spans: &[&str]) -> Windows {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        Windows { weekly: spans.iter().map(|span| Weekly::parse(span).unwrap()).collect(), zone }
    }

    fn at(text: &str) -> Time {
        Time::parse(&format!("2026-{text}:00Z")).unwrap()
    }

    fn shown(place: Place) -> String {
        let span = |opening: Opening| format!("{}/{}", &opening.opens.to_string()[5..16], &opening.ends.to_string()[5..16]);
        match place {
            Place::Inside { this, next } => format!("in {} then {}", span(this), next.map_or("none".to_owned(), span)),
            Place::Outside { next } => format!("out {}", span(next)),
            Place::Never => "never".to_owned(),
        }
    }

    #[test]
    fn where_a_time_lies() {
        // 2026-06-01 is a Monday; summer time is two hours before UTC, winter time one.
        for (spans, now, expected) in [
            (&["Mon..Fri 02:00-05:00"][..], "06-01T00:30", "in 06-01T00:00/06-01T03:00 then 06-02T00:00/06-02T03:00"),
            (&["Mon..Fri 02:00-05:00"], "06-01T03:00", "out 06-02T00:00/06-02T03:00"),
            (&["Mon..Fri 02:00-05:00"], "06-05T12:00", "out 06-08T00:00/06-08T03:00"),
            (&["Mon..Fri 02:00-05:00"], "06-05T02:59", "in 06-05T00:00/06-05T03:00 then 06-08T00:00/06-08T03:00"),
            // Once a week, and the week after is seen from within.
            (&["Sat 00:00-24:00"], "06-06T12:00", "in 06-05T22:00/06-06T22:00 then 06-12T22:00/06-13T22:00"),
            // Over midnight, begun on the day before.
            (&["Fri 22:00-04:00"], "06-05T23:00", "in 06-05T20:00/06-06T02:00 then 06-12T20:00/06-13T02:00"),
            (&["Fri 22:00-04:00"], "06-06T02:00", "out 06-12T20:00/06-13T02:00"),
            // What touches is one, and what never ends has nothing behind it.
            (&["Sat 00:00-24:00", "Sun 00:00-24:00"], "06-06T12:00", "in 06-05T22:00/06-07T22:00 then 06-12T22:00/06-14T22:00"),
            (&["Fri..Mon 10:00-11:00"], "06-03T00:00", "out 06-05T08:00/06-05T09:00"),
            (&["Mon,Wed 10:00-11:00"], "06-01T10:00", "out 06-03T08:00/06-03T09:00"),
            (&["10:00-11:00"], "06-01T09:00", "out 06-02T08:00/06-02T09:00"),
            // Spring: 02:00 to 03:00 does not exist on 03-29; such an hour begins with the next that does, at 01:00 UTC.
            (&["Sun 02:30-05:00"], "03-29T00:00", "out 03-29T01:00/03-29T03:00"),
            (&["Sun 01:00-02:30"], "03-29T00:30", "in 03-29T00:00/03-29T01:00 then 04-04T23:00/04-05T00:30"),
            // All of it does not exist: the next one is a week later.
            (&["Sun 02:00-03:00"], "03-29T00:00", "out 04-05T00:00/04-05T01:00"),
            // Autumn: 02:00 to 03:00 comes twice on 10-25, and both are inside.
            (&["Sun 02:00-03:00"], "10-25T01:30", "in 10-25T00:00/10-25T02:00 then 11-01T01:00/11-01T02:00"),
            (&["Sun 02:30-02:45"], "10-25T00:00", "out 10-25T00:30/10-25T01:45"),
        ] {
            assert_eq!(shown(windows(spans).place(at(now))), expected, "{spans:?} at {now}");
        }
        let Place::Inside { next: None, .. } = windows(&["00:00-24:00"]).place(at("06-01T00:00")) else { panic!("always open") };
    }

    #[test]
    fn what_is_no_window_is_said() {
        for bad in [
            "",
            "Mon",
            "Mon 2:00-3:00",
            "Mon 02:00",
            "Mon 02:00-02:00",
            "Mon 24:00-02:00",
            "Moon 02:00-03:00",
            "Mon 02:60-03:00",
            "Mon 00:00-24:01",
            "Mon..Fri 02:00-03:00 x",
            "Mon.. 02:00-03:00",
            "Mon -1:00-03:00",
        ] {
            assert!(Weekly::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Weekly::parse("mon..wed 02:00-03:00"), Weekly::parse("Mon,Tue,Wed 02:00-03:00"));
    }
}
