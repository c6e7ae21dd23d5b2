//! How often renewals are looked for by systemd's timer, where it is installed: `omens-renew.timer` with its drop-ins, as
//! systemd.unit(5) finds them. Only reads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::settings::{Certificate, Settings};
use crate::io::look::View;
use crate::model::code::Code;
use crate::model::failure::Warning;
use crate::model::schedule::{self, Schedule};
use crate::model::span;

/// The timer that is shipped.
pub const TIMER: &str = "omens-renew.timer";
/// What `omens run` does where it is told nothing else.
pub const EVERY: Duration = Duration::from_secs(15 * 60);

/// The first directory that has a name wins.
const DIRECTORIES: &[&str] = &[
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Whether a unit of this name is installed.
#[must_use]
pub fn has_unit(view: &View, name: &str) -> bool {
    let template = name.split_once('@').and_then(|(stem, rest)| Some(format!("{stem}@.{}", rest.rsplit_once('.')?.1)));
    let is_there = |name: &str| DIRECTORIES.iter().map(|directory| Path::new(directory).join(name)).any(|path| view.is_file(&path));
    is_there(name) || template.is_some_and(|template| is_there(&template))
}

/// The longest time between two runs of the installed timer; `None` where there is none, or none of its times is understood.
#[must_use]
pub fn period(view: &View) -> Option<Duration> {
    let paths = |name: &str| DIRECTORIES.iter().map(|directory| Path::new(directory).join(name)).collect::<Vec<PathBuf>>();
    let file = paths(TIMER).into_iter().find(|path| view.is_file(path) || view.link(path).is_some())?;
    if masked(view, &file) {
        return None;
    }
    let mut settings = TimerSection::default();
    settings.read(&view.text(&file).ok()?);
    let mut drop_ins: BTreeMap<String, PathBuf> = BTreeMap::new();
    for directory in paths(&format!("{TIMER}.d")) {
        for name in view.list(&directory).unwrap_or_default().into_iter().filter(|name| name.ends_with(".conf")) {
            drop_ins.entry(name.clone()).or_insert_with(|| directory.join(name));
        }
    }
    for text in drop_ins.values().filter(|path| !masked(view, path)).filter_map(|path| view.text(path).ok()) {
        settings.read(&text);
    }
    settings.period()
}

/// Says which certificate has so little time between its due date and its end that a run may find no second chance.
#[must_use]
pub fn too_seldom(settings: &Settings, period: Duration) -> Option<Warning> {
    let left = |certificate: &Certificate| certificate.renew_at.left(certificate.request.ttl);
    let shortest = settings.certificates.iter().min_by_key(|certificate| left(certificate))?;
    let (name, ttl, left) = (shortest.name(), shortest.request.ttl, left(shortest));
    let text = format!(
        "{name} lives {} and is due {} before its end: that is shorter than the {} between two runs; look for what is due at least every {}",
        span::show(ttl),
        span::show(left),
        span::show(period),
        span::show(Duration::from_secs((left / 3).as_secs().max(1))),
    );
    (left < period).then(|| Warning::new(Code::RunsTooSeldom, text))
}

fn masked(view: &View, path: &Path) -> bool {
    view.link(path).is_some_and(|target| target == Path::new("/dev/null"))
}

/// `[Timer]`, as far as it says how often.
#[derive(Debug, Default)]
struct TimerSection {
    calendars: Vec<String>,
    steps: Vec<String>,
    delay: Option<String>,
    is_fixed: bool,
}

impl TimerSection {
    fn read(&mut self, text: &str) {
        let mut is_timer = false;
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
            if line.starts_with('[') {
                is_timer = line == "[Timer]";
            }
            let Some((key, value)) = line.split_once('=').filter(|_| is_timer) else { continue };
            let value = value.trim().to_owned();
            match key.trim() {
                "OnCalendar" => set(&mut self.calendars, value),
                "OnUnitActiveSec" | "OnUnitInactiveSec" => set(&mut self.steps, value),
                "RandomizedDelaySec" => self.delay = Some(value),
                "FixedRandomDelay" => self.is_fixed = matches!(value.as_str(), "yes" | "true" | "1" | "on"),
                _ => {}
            }
        }
    }

    fn period(&self) -> Option<Duration> {
        let calendars: Vec<Schedule> = self.calendars.iter().filter_map(|text| Schedule::systemd(text)).collect();
        let step = self.steps.iter().filter_map(|text| schedule::span(text)).min();
        // A delay that is the same every time does not lengthen the time between two runs.
        let delay = self.delay.as_deref().and_then(schedule::span).filter(|_| !self.is_fixed).unwrap_or_default();
        [schedule::longest_gap(&calendars), step].into_iter().flatten().min().map(|period| period + delay)
    }
}

/// An empty value takes back what was said before (systemd.timer(5)).
fn set(list: &mut Vec<String>, value: String) {
    if value.is_empty() {
        list.clear();
    } else {
        list.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::write;

    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, View) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            let dir = write::make_path(path.parent().unwrap(), 0o755).unwrap();
            write::replace_file(&dir, path.file_name().unwrap().to_str().unwrap(), text.as_bytes(), 0o644).unwrap();
        }
        let view = View::root(root.path()).unwrap();
        (root, view)
    }

    #[test]
    fn the_installed_timer_says_how_often_its_drop_ins_too() {
        const SHIPPED: &str = include_str!("../../units/omens-renew.timer");
        let minutes = |minutes: u64| Some(Duration::from_secs(minutes * 60));
        let lib = "usr/lib/systemd/system/omens-renew.timer";
        let etc = "etc/systemd/system/omens-renew.timer";
        let drop_in = "etc/systemd/system/omens-renew.timer.d/often.conf";
        let rows: [(&[(&str, &str)], _); 7] = [
            (&[], None),
            (&[(lib, SHIPPED)], minutes(30)),
            (&[(lib, SHIPPED), (etc, "[Timer]\nOnCalendar=hourly\n")], minutes(60)),
            (&[(lib, SHIPPED), (drop_in, "[Timer]\nOnCalendar=\nOnCalendar=*:0/5\n")], minutes(5)),
            (&[(lib, SHIPPED), (drop_in, "[Timer]\nFixedRandomDelay=no\n")], minutes(40)),
            (&[(lib, "[Unit]\nOnCalendar=hourly\n[Timer]\n#OnCalendar=daily\nOnUnitActiveSec=10min\n")], minutes(10)),
            (&[(lib, "[Timer]\nOnCalendar=never so\n")], None),
        ];
        for (files, expected) in rows {
            let (_root, view) = host(files);
            assert_eq!(period(&view), expected, "{files:?}");
        }
    }

    #[test]
    fn a_masked_timer_is_none() {
        let (root, view) = host(&[("usr/lib/systemd/system/omens-renew.timer", "[Timer]\nOnCalendar=hourly\n")]);
        let dir = write::make_path(&root.path().join("etc/systemd/system"), 0o755).unwrap();
        write::replace_link(&dir, TIMER, "/dev/null").unwrap();
        assert_eq!(period(&view), None);
    }
}
