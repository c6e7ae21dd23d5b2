//! Cron tables: which files cron reads, their lines, and how often they run.

use std::path::{Path, PathBuf};

use super::lints;
use super::shell::Line;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::timer;
use crate::audit::facts::unread;
use crate::audit::facts::variable::Variable;
use crate::io::look::{LookError, View};
use crate::model::audit::{Location, Target};
use crate::model::finding::Severity;
use crate::model::schedule::{self, Schedule};

/// As many tables are read.
const TABLES: usize = 2_000;

/// A line of a table.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) line: Line,
    pub(super) account: Option<String>,
    pub(super) schedule: Option<Schedule>,
}

/// A table, or a script in `/etc/cron.daily` and its like.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) path: PathBuf,
    /// Settings of the environment, as lines.
    pub(super) environment: Vec<Line>,
    pub(super) jobs: Vec<Job>,
}

impl Table {
    /// The variables that its commands have.
    pub(super) fn variables(&self) -> Vec<Variable> {
        let named = self.environment.iter().filter_map(|line| Some((line, line.text.split_once('=')?)));
        let bare = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
        named
            .map(|(line, (name, value))| Variable {
                name: bare(name),
                value: bare(value),
                location: Location::line(&self.path, line.number),
            })
            .collect()
    }

    /// The PATH that its commands have.
    pub(super) fn path_of(&self) -> String {
        let set = self.environment.iter().rev().find_map(|line| line.text.strip_prefix("PATH="));
        set.map_or_else(|| super::paths::DEFAULT.to_owned(), |path| path.trim_matches(['"', '\'']).to_owned())
    }
}

/// Every table of a host.
pub(super) fn tables(view: &View, findings: &mut HostFindings) -> Vec<Table> {
    let mut found = Vec::new();
    let main = PathBuf::from("/etc/crontab");
    let named = names(view, "/etc/cron.d").into_iter().filter(|path| is_read(view, path, "cron", findings));
    let system: Vec<PathBuf> = std::iter::once(main).filter(|path| view.is_file(path)).chain(named).collect();
    for path in system {
        found.extend(table(view, &path, None, findings));
    }
    for directory in ["/var/spool/cron/crontabs", "/var/spool/cron"] {
        for path in names(view, directory).into_iter().filter(|path| view.is_file(path)) {
            let account = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            found.extend(table(view, &path, account, findings));
        }
    }
    found
}

/// The scripts of `/etc/cron.hourly` and its like, with the time between two runs.
pub(super) fn parts(view: &View, findings: &mut HostFindings) -> Vec<(PathBuf, &'static str)> {
    let mut found = Vec::new();
    for period in ["hourly", "daily", "weekly", "monthly"] {
        for path in names(view, &format!("/etc/cron.{period}")) {
            if is_read(view, &path, "run-parts", findings) {
                found.push((path, period));
            }
        }
    }
    found
}

fn names(view: &View, directory: &str) -> Vec<PathBuf> {
    let names = view.list(Path::new(directory)).unwrap_or_default();
    let hidden = |name: &String| name.starts_with('.');
    names.into_iter().filter(|name| !hidden(name)).take(TABLES).map(|name| Path::new(directory).join(name)).collect()
}

/// Debian's cron and run-parts pass over names with a dot, and cron over tables that others may change, in silence.
fn is_read(view: &View, path: &Path, who: &str, findings: &mut HostFindings) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let leftover = name.ends_with('~')
        || [".dpkg-", ".rpm", ".ucf-", ".bak", ".swp", ".orig", ".disabled", ".old"].iter().any(|part| name.contains(part));
    if leftover || !view.is_file(path) {
        return false;
    }
    let target = || Target::new("cron", path.display().to_string());
    let sound = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if !sound {
        let debian = view.is_file(Path::new("/etc/debian_version"));
        let draft = NewFinding::at(&lints::CRON_IGNORED, target(), Location::file(path))
            .expected("a name of letters, digits, - and _")
            .found(format!("{name}: {who} passes over it"));
        findings.add(if debian {
            draft
        } else {
            draft.severity(Severity::Medium).evidence("so does Debian's; others take names with a dot")
        });
    }
    if let Some(found) = refused(view, path).filter(|_| who == "cron") {
        findings.add(NewFinding::at(&lints::CRON_IGNORED, target(), Location::file(path)).expected("root's, with mode 0644").found(found));
    }
    true
}

/// What cron refuses a table of /etc for: an owner that is not root, or somebody else who may write it.
fn refused(view: &View, path: &Path) -> Option<String> {
    let meta = view.meta(path).ok()?;
    let who = match meta.mode & 0o022 {
        0 => "",
        0o020 => "its group",
        _ => "everybody",
    };
    if !who.is_empty() {
        return Some(format!("{who} may write: cron refuses it"));
    }
    // A copy that was made without privileges belongs to who made it.
    let copied = view.is_elsewhere().then(|| view.meta(Path::new("/")).ok()).flatten().is_some_and(|top| top.uid == meta.uid);
    (meta.uid != 0 && !copied).then(|| format!("it belongs to {}: cron refuses it", view.accounts().user(meta.uid)))
}

fn table(view: &View, path: &Path, account: Option<String>, findings: &mut HostFindings) -> Option<Table> {
    let target = || Target::new("cron", path.display().to_string());
    let text = match view.text(path) {
        Ok(text) => text,
        Err(LookError::Absent(_)) => return None,
        Err(error) => {
            unread::unreadable(findings, target(), Location::file(path), &error);
            return None;
        }
    };
    let mode = view.meta(path).map(|meta| meta.mode & 0o7777);
    if let Ok(mode) = mode
        && mode != 0o600
        && path.starts_with("/var/spool/cron/crontabs")
    {
        let draft = NewFinding::at(&lints::CRON_IGNORED, target(), Location::file(path)).severity(Severity::Medium);
        findings.add(draft.expected("mode 0600").found(format!("mode {mode:04o}: Debian's cron passes over it")));
    }
    if !text.is_empty() && !text.ends_with('\n') {
        let draft = NewFinding::at(&lints::CRON_IGNORED, target(), Location::file(path)).severity(Severity::Medium);
        findings.add(draft.expected("a line end at its end").found("none: cron refuses the whole table"));
    }
    let mut table = Table { path: path.to_path_buf(), environment: Vec::new(), jobs: Vec::new() };
    let mut renews = None;
    for (number, line) in (1_u32..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
        let bare = |name: &str| name.trim().trim_matches(['"', '\'']).chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let setting = line.split_once('=').is_some_and(|(name, _)| bare(name));
        if setting {
            table.environment.push(Line::new(number, line.replacen(" = ", "=", 1).trim()));
        } else if let Some(mut job) = job(line, number, account.clone()) {
            percent(&mut job, path, findings);
            if let Some((expected, found)) = who(view, &job, account.is_some()) {
                let draft = NewFinding::at(&lints::CRON_MALFORMED, target(), Location::line(path, number)).severity(Severity::High);
                findings.add(draft.expected(expected).found(found));
            }
            if let Some(draft) = seldom(&job, &target(), path) {
                findings.add(draft);
            }
            table.jobs.push(job);
        } else {
            let draft = NewFinding::at(&lints::CRON_MALFORMED, target(), Location::line(path, number));
            let draft = draft.expected("five fields of time, an account in /etc, a command");
            let draft = draft.found(line.split_whitespace().take(7).collect::<Vec<_>>().join(" "));
            // In /etc one such line costs the whole table.
            let renews = *renews.get_or_insert_with(|| timer::renews(&text) || timer::is_public(&text));
            findings.add(if renews && account.is_none() { draft.severity(Severity::High) } else { draft });
        }
    }
    Some(table)
}

/// A time that never comes, or comes once at a boot or in years.
fn seldom(job: &Job, target: &Target, path: &Path) -> Option<NewFinding> {
    let location = Location::line(path, job.line.number);
    match &job.schedule {
        None if timer::renews(&job.line.text) => {
            let draft = NewFinding::at(&lints::CRON_ONCE, target.clone(), location);
            Some(draft.expected("a time that comes again").found("@reboot"))
        }
        Some(schedule) if !schedule.comes_again() => {
            let draft = NewFinding::at(&lints::CRON_MALFORMED, target.clone(), location).expected("a day that there is");
            Some(if schedule.comes() {
                draft.severity(Severity::Low).found("a day that comes once in years")
            } else {
                draft.severity(Severity::High).found("a day that never comes")
            })
        }
        _ => None,
    }
}

/// An account that is none, in a table of /etc; or one in a user's own table, which has no column for it.
fn who(view: &View, job: &Job, own_table: bool) -> Option<(String, String)> {
    if own_table {
        let first = job.line.text.split_whitespace().next()?;
        let program = ["/usr/local/bin", "/usr/bin", "/bin"].iter().any(|directory| view.meta(&Path::new(directory).join(first)).is_ok());
        let account = view.is_file(Path::new("/etc/passwd")) && view.accounts().uid(first).is_some() && !program;
        let found = || format!("{first} as the command: cron looks for a program of that name");
        return (account || first == "root")
            .then(|| ("a command behind the five fields: a user's own table names no account".to_owned(), found()));
    }
    let account = job.account.as_deref()?;
    let found = || format!("{account} as the account: cron passes over the whole table");
    (account.contains('/')).then(|| ("an account before the command".to_owned(), found()))
}

/// cron ends the command at the first `%` without a backslash, and gives it the rest as its input (crontab(5)).
fn percent(job: &mut Job, path: &Path, findings: &mut HostFindings) {
    let text = job.line.text.clone();
    let mut before = ' ';
    let cut = text.char_indices().find(|(_, c)| {
        let ends = *c == '%' && before != '\\';
        before = *c;
        ends
    });
    let Some((at, _)) = cut else { return };
    let kept = text.get(..at).unwrap_or_default();
    let open = |one: char, other: char| kept.matches(one).count() != kept.matches(other).count();
    let broken =
        kept.matches('"').count() % 2 == 1 || kept.matches('\'').count() % 2 == 1 || kept.matches('`').count() % 2 == 1 || open('(', ')');
    let draft =
        NewFinding::at(&lints::CRON_PERCENT, Target::new("cron", path.display().to_string()), Location::line(path, job.line.number));
    let draft = draft.expected("\\% for each %").found(format!("cron runs: {kept}"));
    findings.add(if broken {
        draft.evidence("what is left is no command: it never runs")
    } else {
        draft.severity(Severity::Low).evidence("what follows the % is given to the command as its input")
    });
    job.line.text = kept.trim_end().to_owned();
}

/// A line; in /etc the account stands before the command.
fn job(line: &str, number: u32, account: Option<String>) -> Option<Job> {
    let short = line.trim_start().starts_with('@');
    let mut rest = line.trim();
    let mut fields = Vec::new();
    let wanted = if short { 1 } else { 5 } + usize::from(account.is_none());
    for _ in 0..wanted {
        let (field, after) = rest.split_once(char::is_whitespace)?;
        fields.push(field);
        rest = after.trim_start();
    }
    let account = match account {
        Some(account) => account,
        None => fields.pop()?.to_owned(),
    };
    let schedule = Schedule::cron(&fields);
    let sound = schedule.is_some() || fields == ["@reboot"];
    let account = Some(account).filter(|account| account != "root");
    (sound && !rest.is_empty()).then(|| Job { line: Line::new(number, rest), account, schedule })
}

/// The time between two runs of a directory's scripts.
pub(super) fn period(name: &str) -> Option<std::time::Duration> {
    schedule::longest_gap(&[Schedule::cron(&[&format!("@{name}")])?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_table_are_taken_apart() {
        let read = |line: &str, account: Option<&str>| {
            job(line, 1, account.map(str::to_owned)).map(|job| (job.line.text, job.account.unwrap_or_default(), job.schedule.is_some()))
        };
        let found = |text: &str, account: &str, timed: bool| Some((text.to_owned(), account.to_owned(), timed));
        assert_eq!(read("*/5 * * * * root /x  --y", None), found("/x  --y", "", true));
        assert_eq!(read("@daily\tspire /x", None), found("/x", "spire", true));
        assert_eq!(read("@reboot /x", Some("alice")), found("/x", "alice", false));
        assert_eq!(read("0 3 * * 1 /x", Some("root")), found("/x", "", true));
        for line in ["* * * *", "61 * * * * root /x", "@sometimes root /x", "0 0 * * * root"] {
            assert_eq!(read(line, None), None, "{line}");
        }
    }
}
