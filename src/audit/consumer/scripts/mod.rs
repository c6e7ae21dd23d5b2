//! Renewal scripts and cron tables: what they do with certificates, keys and tokens, and what of it goes wrong in silence. It must never run
//! one, nor take what it does not understand for a fault.

pub mod access;
mod answers;
pub(super) mod check;
mod calls;
mod command;
mod confined;
mod cron;
mod errors;
mod fields;
mod flow;
mod keys;
pub mod lints;
mod places;
mod paths;
mod python;
mod reloads;
mod renewals;
pub(super) mod run;
pub(super) mod script;
mod shebang;
pub mod shell;
pub mod token;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::service::{Operand, Service, Source, TargetKind};
use crate::audit::facts::timer::Timer;
use crate::audit::facts::unread;
use crate::audit::facts::variable::Variable;
use crate::audit::facts::wiring::Wiring;
use crate::io::look::View;
use crate::model::audit::{Location, Target};
use crate::model::schedule;
pub use confined::Confined;
pub(in crate::audit) use reloads::{any as reloads_any, of_file as hook_file, top as hook};
use run::Runner;
use script::{Does, ScriptContext};

/// What the audit knows of scripts and cron. They are read with the units, before any service: what they run says where others lie.
pub static SERVICE: Service = Service {
    targets: &[TargetKind { prefix: "script", operand: Operand::Path, value: "FILE", note: "", read: read_one }],
    ..Service::named("scripts", lints::ALL)
};

/// A script that a person names, with those that it names itself.
fn read_one(source: Source<'_>, path: &Path, findings: &mut HostFindings) -> Wiring {
    let mut out = Scripts::default();
    let wanted = BTreeMap::from([(path.to_path_buf(), Told::default())]);
    all(source.view, wanted, &ScriptContext::default(), &mut out, &mut BTreeSet::new(), findings);
    if out.files.is_empty() {
        let target = Target::new("script", path.display().to_string());
        unread::malformed(findings, target, Location::file(path), "a script: a first line #!, or a name such as x.sh", "neither");
    }
    Wiring { files: out.files, ..out.wiring }
}

/// A script that a unit runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Where it lies.
    pub path: PathBuf,
    /// How it is run.
    pub told: Told,
}

/// What a script is given by whoever runs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Whether the unit's `UMask=` keeps what it writes from others.
    pub umask: bool,
    /// Variables of its environment.
    pub variables: Vec<Variable>,
    /// What it may write.
    pub confined: Confined,
}

/// What units run, as far as scripts have to do with it.
#[derive(Clone, Debug, Default)]
pub struct UnitCommands {
    /// Scripts that they run.
    pub scripts: Vec<Script>,
    /// Services without `ExecReload=`; with a plus in front those that are known to have one.
    pub fixed: BTreeSet<String>,
    /// Paths and programs that their command lines speak of.
    pub mentions: BTreeSet<String>,
}

/// As many scripts are read.
const SCRIPTS: usize = 1_000;
/// The largest text that is taken for a script.
const LARGEST: usize = 1 << 20;

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Scripts {
    /// Every script and table that was read.
    pub files: Vec<PathBuf>,
    /// What cron runs, and how often.
    pub timers: Vec<Timer>,
    /// What scripts call, and whom they trust.
    pub wiring: Wiring,
}

/// Reads cron tables, what they and the units run, and the scripts at the usual places.
#[must_use]
pub fn read(view: &View, units: &UnitCommands, findings: &mut HostFindings) -> Scripts {
    let context = ScriptContext { fixed: units.fixed.clone(), ..ScriptContext::default() };
    let mut out = Scripts::default();
    let mut wanted: BTreeMap<PathBuf, Told> = units.scripts.iter().map(|script| (script.path.clone(), script.told.clone())).collect();
    let mut mentions: BTreeSet<String> = units.mentions.clone();
    let mut jobs: Vec<(usize, Vec<PathBuf>)> = Vec::new();
    for table in cron::tables(view, findings) {
        let first = jobs.len();
        tables(view, &table, &context, &mut out, &mut jobs, &mut mentions, findings);
        let told = Told { variables: table.variables(), ..Told::default() };
        let run = jobs.iter().skip(first).flat_map(|(_, run)| run);
        wanted.extend(run.map(|path| (path.clone(), told.clone())));
    }
    for (path, period) in cron::parts(view, findings) {
        let target = Target::new("cron", path.display().to_string());
        let runner = Runner { target, location: Location::file(&path), account: None };
        let command = shell::Command::of(vec![path.display().to_string()]);
        let run = run::judge(view, &runner, &[command], findings);
        jobs.push((out.timers.len(), run));
        out.timers.push(Timer::cron(&path, None, cron::period(period), &path.display().to_string()));
    }
    let run: Vec<PathBuf> = jobs.iter().flat_map(|(_, run)| run.clone()).collect();
    mentions.extend(run.iter().map(|path| path.display().to_string()));
    let usual = places::usual(view);
    for path in run.iter().chain(&usual) {
        wanted.entry(path.clone()).or_default();
    }
    let does = all(view, wanted, &context, &mut out, &mut mentions, findings);
    for (timer, run) in jobs {
        if let Some(timer) = out.timers.get_mut(timer) {
            timer.renews |= run.iter().any(|path| does.get(path).is_some_and(|does| does.issues));
        }
    }
    orphans(&usual, &does, &mentions, findings);
    out
}

/// Reads only what these units run, for a target that names one of them.
#[must_use]
pub fn of_units(view: &View, units: &UnitCommands, findings: &mut HostFindings) -> Scripts {
    let context = ScriptContext { fixed: units.fixed.clone(), ..ScriptContext::default() };
    let mut out = Scripts::default();
    let wanted = units.scripts.iter().map(|script| (script.path.clone(), script.told.clone())).collect();
    all(view, wanted, &context, &mut out, &mut BTreeSet::new(), findings);
    out
}

fn tables(
    view: &View,
    table: &cron::Table,
    context: &ScriptContext,
    out: &mut Scripts,
    jobs: &mut Vec<(usize, Vec<PathBuf>)>,
    mentions: &mut BTreeSet<String>,
    findings: &mut HostFindings,
) {
    let target = Target::new("cron", table.path.display().to_string());
    let mut lines = table.environment.clone();
    lines.extend(table.jobs.iter().map(|job| job.line.clone()));
    let does = script::read(&target, &table.path, &lines, context, findings);
    mentions.extend(does.mentions);
    out.wiring.join(does.wiring);
    for job in &table.jobs {
        let location = Location::line(&table.path, job.line.number);
        let runner = Runner { target: target.clone(), location, account: job.account.clone() };
        let commands = shell::commands(&job.line.text);
        let run = run::judge(view, &runner, &commands, findings);
        paths::judge(view, &table.path_of(), &runner, &commands, &run, findings);
        jobs.push((out.timers.len(), run));
        let period = job.schedule.as_ref().and_then(|schedule| schedule::longest_gap(std::slice::from_ref(schedule)));
        out.timers.push(Timer::cron(&table.path, Some(job.line.number), period, &job.line.text));
    }
    out.files.push(table.path.clone());
}

/// Reads scripts, and those that they name themselves.
fn all(
    view: &View,
    wanted: BTreeMap<PathBuf, Told>,
    context: &ScriptContext,
    out: &mut Scripts,
    mentions: &mut BTreeSet<String>,
    findings: &mut HostFindings,
) -> BTreeMap<PathBuf, Does> {
    let mut does: BTreeMap<PathBuf, Does> = BTreeMap::new();
    let mut queue: Vec<(PathBuf, Told)> = wanted.into_iter().collect();
    queue.reverse();
    while let Some((path, told)) = queue.pop() {
        if does.contains_key(&path) || does.len() >= SCRIPTS {
            continue;
        }
        let Some(text) = text(view, &path, findings) else { continue };
        let target = Target::new("script", path.display().to_string());
        let context = ScriptContext { told: told.clone(), foreign: python::is_foreign(&path, &text), ..context.clone() };
        let lines = if context.foreign { python::lines(&text) } else { shell::lines(&text) };
        let mut found = script::read(&target, &path, &lines, &context, findings);
        out.wiring.join(std::mem::take(&mut found.wiring));
        confined::judge(view, &path, &told, &found.writes, findings);
        let named = found
            .mentions
            .iter()
            .filter(|word| word.starts_with('/') && places::is_script_name(word))
            .map(|word| (PathBuf::from(word), told.clone()));
        queue.extend(named);
        mentions.extend(found.mentions.iter().cloned());
        out.files.push(path.clone());
        does.insert(path, found);
    }
    does
}

/// The text of a script: a first line `#!`, or a name that says so.
fn text(view: &View, path: &Path, findings: &mut HostFindings) -> Option<String> {
    let named = places::is_script_name(&path.display().to_string());
    // A directory may be called like a script: /root/.acme.sh.
    if (!named && !view.is_file(path)) || view.is_directory(path) {
        return None;
    }
    match view.bytes(path) {
        Ok(bytes) if bytes.len() <= LARGEST && (bytes.starts_with(b"#!") || (named && !bytes.contains(&0))) => {
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        Ok(_) => None,
        Err(error) => {
            if named && !error.is_absent() {
                unread::unreadable(findings, Target::new("script", path.display().to_string()), Location::file(path), &error);
            }
            None
        }
    }
}

/// Scripts that renew and that nobody runs, such as those of an older way to renew.
fn orphans(usual: &[PathBuf], does: &BTreeMap<PathBuf, Does>, mentions: &BTreeSet<String>, findings: &mut HostFindings) {
    for (path, _) in usual.iter().filter_map(|path| does.get(path).filter(|does| does.issues).map(|does| (path, does))) {
        let text = path.display().to_string();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if mentions.contains(&text) || mentions.contains(name) {
            continue;
        }
        let draft = NewFinding::at(&lints::ORPHAN, Target::new("script", text.clone()), Location::file(path));
        findings.add(draft.expected("a timer, a cron table or a unit that runs it").found("none"));
    }
}

#[cfg(test)]
mod tests;
