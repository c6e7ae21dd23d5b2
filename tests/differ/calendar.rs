//! `OnCalendar=` beside `systemd-analyze calendar`, and crontabs beside cron's own check of them: which are taken, and how long it is at
//! most between two runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use omens::audit::facts::findings::HostFindings;
use omens::audit::facts::given::Given;
use omens::audit::run as audit;
use omens::io::look::View;
use omens::model::clock::Time;
use omens::model::schedule::{self, Schedule};

use crate::book::{Book, Difference, Way};
use crate::choice::{Random, misspelled, number, once, pick};
use crate::skipped::skipped;
use crate::{Course, program, run, said};

/// From the moment before the first day on which we look for runs, as many as this.
const BASE: &str = "2023-12-31 23:59:59 UTC";
const RUNS: usize = 1_000;
/// The first second of the days on which we look, and the end of them.
const BEGIN: i64 = 1_704_067_200;
const END: i64 = BEGIN + 800 * 86_400;

/// What systemd makes of an expression: the times of its runs.
type Taken = BTreeMap<String, Vec<i64>>;

fn component(random: &mut Random, low: usize, high: usize) -> String {
    let one = |random: &mut Random| {
        let value = number(random, low, high);
        if once(random, 2) { format!("{value:02}") } else { value.to_string() }
    };
    let part = |random: &mut Random| {
        let first = one(random);
        match random.below(12) {
            0..=4 => first,
            5 => format!("{first}..{}", number(random, low, high)),
            6 => format!("{first}/{}", number(random, 1, high)),
            7 if once(random, 6) => format!("*/{}", number(random, 1, high)),
            8 => format!("{first}..{}/{}", number(random, low, high), number(random, 1, 7)),
            9 if once(random, 8) => (high + 1).to_string(),
            10 if once(random, 8) => {
                pick(random, &["", "x", "-1", "5/0", "1-2", "3..", "/", "1.5", "**", "999", "0", "*..3", "1,"]).to_owned()
            }
            _ => "*".to_owned(),
        }
    };
    let mut text = part(random);
    // A list with everything in it is none.
    while once(random, 4) && (!text.starts_with('*') || once(random, 10)) {
        text = format!("{text},{}", part(random));
    }
    text
}

fn weekdays(random: &mut Random) -> String {
    const DAYS: &[&str] = &["Mon", "tue", "Wednesday", "THU", "friday", "Sat", "Sun"];
    let one = |random: &mut Random| {
        let day = pick(random, DAYS).to_owned();
        if once(random, 12) { misspelled(random, &day) } else { day }
    };
    let part = |random: &mut Random| match random.below(6) {
        0 => format!("{}..{}", one(random), one(random)),
        1 => format!("{}-{}", one(random), one(random)),
        _ => one(random),
    };
    let mut text = part(random);
    while once(random, 3) {
        text = format!("{text},{}", part(random));
    }
    if once(random, 12) { text + "," } else { text }
}

fn date(random: &mut Random) -> String {
    let month = component(random, 1, 12);
    let day = component(random, 1, 31);
    match random.below(12) {
        0 => format!("{month}-{day}"),
        1 => format!("*-{month}~{}", component(random, 1, 28)),
        2 => format!("{}-{month}-{day}", number(random, 2023, 2027)),
        3 => format!("{}-{month}-{day}", pick(random, &["2024..2026", "2025/1", "2024,2025", "24", "1969", "2024-2025", "2025..*"])),
        4 => format!("*-{day}"),
        5 => pick(random, &["2024-02-30", "*-02-30", "*-*", "*", "2025", "*-*-*-*", "*-*~1", "*-02~01", "*-*-~1"]).to_owned(),
        _ => format!("*-{month}-{day}"),
    }
}

fn time(random: &mut Random) -> String {
    let (hour, minute) = (component(random, 0, 23), component(random, 0, 59));
    match random.below(8) {
        0 => format!("{hour}:{minute}:{}", component(random, 0, 59)),
        1 => pick(random, &["24:00", "*:*", "12", "12:", ":30", "00:00:60", "1:2:3:4", "*:*:*", "*:0/15", "00:00:00.5", "7:5"]).to_owned(),
        2 => format!("{hour}:{minute}:00"),
        _ => format!("{hour}:{minute}"),
    }
}

fn expression(random: &mut Random) -> String {
    const WORDS: &[&str] = &[
        "minutely",
        "hourly",
        "daily",
        "weekly",
        "monthly",
        "quarterly",
        "semiannually",
        "semi-annually",
        "bi-annually",
        "biannually",
        "half-yearly",
        "yearly",
        "annually",
        "annual",
        "anually",
        "Daily",
        "midnight",
        "never",
        "@daily",
    ];
    const ZONES: &[&str] = &["UTC", "utc", "Europe/Berlin", "Nowhere/City", "CET", "Z", "+02:00"];
    let mut parts = Vec::new();
    if once(random, 12) {
        parts.push(pick(random, WORDS).to_owned());
    } else {
        let kind = random.below(7);
        if matches!(kind, 0 | 1 | 4 | 5) {
            parts.push(weekdays(random));
        }
        if matches!(kind, 0 | 2 | 3 | 4) {
            parts.push(date(random));
        }
        if matches!(kind, 1 | 2 | 4 | 6) {
            parts.push(time(random));
        }
    }
    if once(random, 14) {
        let at = random.below(parts.len());
        parts.swap(0, at);
        parts.reverse();
    }
    if once(random, 10) {
        parts.push(pick(random, ZONES).to_owned());
    }
    parts.join(if once(random, 20) { "  " } else { " " })
}

/// What systemd takes, of all these in one call.
fn asked(analyze: &Path, all: &BTreeSet<String>) -> Taken {
    let mut command = Command::new(analyze);
    command.args(["calendar", "--base-time", BASE, &format!("--iterations={RUNS}"), "--"]).args(all);
    let output = run(&mut command);
    let (text, refused) = (String::from_utf8_lossy(&output.stdout).into_owned(), said(&output));
    let good: Vec<&String> = all.iter().filter(|one| !refused.contains(&format!("calendar specification '{one}'"))).collect();
    let blocks: Vec<&str> = text.split("Normalized form: ").skip(1).collect();
    assert_eq!(good.len(), blocks.len(), "as many answers as expressions\n{refused}");
    good.into_iter().zip(blocks).map(|(one, block)| (one.clone(), block.lines().filter_map(moment).collect())).collect()
}

/// `Next elapse: Mon 2024-01-01 01:00:00 UTC`
fn moment(line: &str) -> Option<i64> {
    let (label, rest) = line.split_once(": ")?;
    if !(label.trim() == "Next elapse" || label.trim().starts_with("Iter")) {
        return None;
    }
    let mut words = rest.split_whitespace().skip(1);
    let (day, hour) = (words.next()?, words.next()?);
    Some(Time::parse(&format!("{day}T{}Z", hour.get(..8)?)).expect("a time of systemd's").unix())
}

/// The longest time between two of these runs, as far as it is known, and whether all of them are.
fn gap(runs: &[i64]) -> (Option<i64>, bool) {
    let whole = runs.len() < RUNS || runs.last().is_some_and(|last| *last >= END);
    // We count minutes, not seconds.
    let mut within: Vec<i64> = runs.iter().filter(|run| (BEGIN..END).contains(*run)).map(|run| run - run.rem_euclid(60)).collect();
    within.dedup();
    (within.windows(2).map(|two| two[1] - two[0]).max(), whole)
}

#[test]
fn calendars_are_systemds() {
    let Some(analyze) = program("systemd-analyze") else {
        return skipped("OnCalendar= beside systemd-analyze calendar: there is none (Debian: systemd)");
    };
    let course = Course::of(1_200);
    let mut book = Book::open("calendar", course);
    let mut random = Random::new(course.seed);
    let all: BTreeSet<String> = (0..course.steps).map(|_| expression(&mut random)).filter(|one| !one.trim().is_empty()).collect();
    let taken = asked(&analyze, &all);
    for one in &all {
        let ours = Schedule::systemd(one);
        let real = taken.get(one);
        book.judged(real.is_none());
        let mut differ = |way, real: String, ours: String| book.differ(&Difference { way, real, ours, input: format!("OnCalendar={one}") });
        match (real, ours) {
            (None, Some(ours)) => differ(Way::Missed, "refused".to_owned(), format!("{:?}", schedule::longest_gap(&[ours]))),
            (Some(runs), None) => differ(Way::FalseAlarm, format!("{:?}", gap(runs)), "refused".to_owned()),
            (None, None) => {}
            (Some(runs), Some(schedule)) => {
                let (known, whole) = gap(runs);
                let ours = schedule::longest_gap(&[schedule]).map(|gap| i64::try_from(gap.as_secs()).expect("two years"));
                let same = match (known, ours) {
                    (Some(known), Some(ours)) if !whole => ours >= known,
                    (None, _) if !whole => true,
                    (known, ours) => known == ours,
                };
                if !same {
                    let some = runs.len().min(4);
                    differ(
                        Way::Meaning,
                        format!("{known:?} s between runs at most, all of them: {whole}; {:?}", &runs[..some]),
                        format!("{ours:?}"),
                    );
                }
            }
        }
    }
    let version = run(Command::new(&analyze).arg("--version"));
    book.close(String::from_utf8_lossy(&version.stdout).lines().next().unwrap_or_default());
}

fn field(random: &mut Random, low: usize, high: usize, names: &[&str]) -> String {
    let one = |random: &mut Random| {
        if !names.is_empty() && once(random, 5) {
            let name = pick(random, names).to_owned();
            return if once(random, 8) { misspelled(random, &name) } else { name };
        }
        number(random, low, high).to_string()
    };
    let part = |random: &mut Random| {
        let first = one(random);
        match random.below(14) {
            0 | 1 => format!("{first}-{}", one(random)),
            2 | 3 => format!("*/{}", number(random, 1, high)),
            4 => format!("{}-{high}/{}", number(random, low, high), number(random, 1, 7)),
            5 => format!("{first}/{}", number(random, 1, 7)),
            6 if once(random, 4) => (high + 1).to_string(),
            7 if once(random, 3) => {
                pick(random, &["", "x", "-1", "*/0", "1..2", "3-", "/", "**", "999", "1,", "@", "~", "*-5", "*/99"]).to_owned()
            }
            8..=10 => first,
            _ => "*".to_owned(),
        }
    };
    let mut text = part(random);
    while once(random, 5) {
        text = format!("{text},{}", part(random));
    }
    text
}

fn line(random: &mut Random) -> String {
    const WORDS: &[&str] =
        &["@daily", "@hourly", "@reboot", "@midnight", "@annually", "@yearly", "@weekly", "@monthly", "@minutely", "@Daily", "@never"];
    const COMMANDS: &[&str] = &["/usr/bin/true", "true --x", "", "/usr/bin/true 5%", "\"/usr/bin/true\""];
    const MONTHS: &[&str] = &["jan", "Feb", "MAR", "apr", "dec", "january"];
    const DAYS: &[&str] = &["mon", "Tue", "SUN", "sat", "monday"];
    if once(random, 8) {
        return format!("{} {}", pick(random, WORDS), pick(random, COMMANDS));
    }
    if once(random, 10) {
        return pick(
            random,
            &["MAILTO=root", "PATH = /bin", "A B=c", "# a comment", "  # a comment", "nonsense", "=x", "'A'=b", "A=", "* * * *", "12"],
        )
        .to_owned();
    }
    let mut fields = vec![
        field(random, 0, 59, &[]),
        field(random, 0, 23, &[]),
        field(random, 1, 31, &[]),
        field(random, 1, 12, MONTHS),
        field(random, 0, 7, DAYS),
    ];
    if once(random, 20) {
        fields.remove(random.below(5));
    }
    let command = if once(random, 12) { pick(random, COMMANDS) } else { "/usr/bin/true" };
    let blank = if once(random, 10) { "\t" } else { " " };
    format!("{}{}{blank}{command}", if once(random, 15) { "  " } else { "" }, fields.join(blank))
}

/// What we say of a user's table with this line.
fn ours(root: &Path, line: &str) -> Vec<String> {
    let table = root.join("var/spool/cron/crontabs/alice");
    std::fs::write(&table, format!("{line}\n")).expect("a table");
    let view = View::root(root).expect("the root");
    let mut findings = HostFindings::new(Time::from_unix(BEGIN), "host");
    audit::files(&view, &[], &Given::default(), &mut findings);
    let document = findings.into_document();
    let refused = document.findings.iter().filter(|finding| finding.id == "cron.malformed");
    refused.map(|finding| format!("{} {:?}: {}", finding.id, finding.severity, finding.found)).collect()
}

#[test]
fn crontabs_are_crons() {
    let Some(crontab) = program("crontab") else { return skipped("crontabs beside cron's own check: there is no crontab (Debian: cron)") };
    let course = Course::of(400);
    let mut book = Book::open("cron", course);
    let mut random = Random::new(course.seed);
    let root = tempfile::tempdir().expect("a directory");
    std::fs::create_dir_all(root.path().join("var/spool/cron/crontabs")).expect("a directory");
    for _ in 0..course.steps {
        let line = line(&mut random);
        let file = root.path().join("table");
        std::fs::write(&file, format!("{line}\n")).expect("a table");
        // Debian's looks at the table, and does not install it.
        let output = run(Command::new(&crontab).arg("-n").arg(&file));
        let (words, refused) = (said(&output), !output.status.success());
        assert!(!words.contains("usage"), "crontab -n is Debian's: {words}");
        book.judged(refused);
        let ours = ours(root.path(), &line);
        let never = ours.iter().all(|one| one.contains("never comes"));
        let way = match (refused, ours.is_empty()) {
            (true, true) => Way::Missed,
            (false, false) if !never => Way::FalseAlarm,
            _ => continue,
        };
        book.differ(&Difference { way, real: words, ours: ours.join("; "), input: line });
    }
    book.close("cron");
}
