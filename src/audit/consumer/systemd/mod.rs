//! systemd units, timers and drop-ins as systemd applies them: which file wins, what is enabled, what runs and how often. It must never ask
//! a running systemd, nor judge units that have nothing to do with certificates.

mod account;
mod command;
mod limits;
mod lines;
pub mod lints;
mod load;
mod refused;
mod service;
mod timers;
pub mod told;
pub mod unit;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::audit::consumer::scripts::script::ScriptContext;
use crate::audit::consumer::scripts::{self, Script, UnitCommands};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::service::{Operand, Service, Source, TargetKind};
use crate::audit::facts::timer::{Timer, is_public};
use crate::audit::facts::wiring::Wiring;
use crate::io::look::View;
use crate::model::audit::{Location, Target};
use crate::model::finding::Severity;
use load::Tree;
use timers::Others;
pub use unit::Unit;

/// Words in a name or a command of a unit that has to do with certificates, whatever their service; each service has words of its own besides ([`Service::unit_words`]).
const WORDS: &[&str] = &["cert", "renew", "pki", "acme", "lego", "step-ca", "tls", "issue"];

/// What the audit knows of systemd. Units are read before any service: they say where configurations lie and who runs what.
pub static SERVICE: Service = Service {
    title: Some("systemd"),
    targets: &[TargetKind { prefix: "unit", operand: Operand::Name, value: "NAME", note: "", read: read_unit }],
    ..Service::named("systemd", lints::ALL)
};

fn read_unit(source: Source<'_>, name: &Path, findings: &mut HostFindings) -> Wiring {
    let mut wiring = Wiring::default();
    if let Some(units) = unit(source.view, &name.display().to_string(), findings) {
        let scripts = scripts::of_units(source.view, &units.commands, findings);
        wiring.files.extend(units.files.into_iter().chain(scripts.files));
        wiring.join(scripts.wiring);
    }
    wiring
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Systemd {
    /// Units that have to do with certificates.
    pub units: Vec<Unit>,
    /// Every timer among them.
    pub timers: Vec<Timer>,
    /// Every file of theirs.
    pub files: Vec<PathBuf>,
    /// What they run.
    pub commands: UnitCommands,
    /// What their command lines call.
    pub wiring: Wiring,
}

/// Reads every unit, and judges those that have to do with certificates: by words of ours, or by these of the services.
#[must_use]
pub fn read(view: &View, services: &[&str], findings: &mut HostFindings) -> Systemd {
    let words: Vec<&str> = WORDS.iter().chain(services).copied().collect();
    let tree = Tree::new(view);
    let all = load_all(&tree, findings);
    let chosen: BTreeSet<String> = all.values().filter(|unit| concerns(view, unit, &all, &words)).map(|unit| unit.name.clone()).collect();
    dangling(view, &tree, &words, findings);
    judge(view, &tree, &all, &chosen, findings)
}

/// Reads one unit, with the timers that start it or the service that it starts; `None` where there is no such unit.
#[must_use]
pub fn unit(view: &View, name: &str, findings: &mut HostFindings) -> Option<Systemd> {
    let tree = Tree::new(view);
    let name = if name.contains('.') { name.to_owned() } else { format!("{name}.service") };
    let mut all = load_all(&tree, findings);
    if !all.contains_key(&name) {
        match tree.load(&name, findings) {
            Some(unit) => drop(all.insert(name.clone(), unit)),
            None => {
                let location = Location::file(format!("/etc/systemd/system/{name}"));
                let draft = NewFinding::at(&lints::UNIT_ABSENT, Target::new("unit", name.clone()), location);
                // A person asked about it: there is no answer.
                findings.add(draft.severity(Severity::High).expected(name).found("no such unit in any unit directory"));
                return None;
            }
        }
    }
    let mut chosen = BTreeSet::from([name.clone()]);
    for unit in all.values().filter(|unit| unit.name.ends_with(".timer")) {
        let starts = timers::starts(unit);
        if unit.name == name {
            chosen.insert(starts);
        } else if starts == name {
            chosen.insert(unit.name.clone());
        }
    }
    Some(judge(view, &tree, &all, &chosen, findings))
}

fn load_all(tree: &Tree<'_>, findings: &mut HostFindings) -> BTreeMap<String, Unit> {
    let mut all: BTreeMap<String, Unit> =
        tree.names().into_iter().filter_map(|name| tree.load(&name, findings).map(|unit| (name, unit))).collect();
    // What an instance of a timer starts is an instance itself.
    let started: Vec<String> = all.values().filter(|unit| unit.name.ends_with(".timer")).map(timers::starts).collect();
    for name in started.into_iter().filter(|name| load::template(name).is_some()) {
        if !all.contains_key(&name)
            && let Some(unit) = tree.load(&name, findings)
        {
            all.insert(name, unit);
        }
    }
    all
}

/// By its name, its commands, or those of what it starts; what an administrator wrote on this host is looked at in any case.
fn concerns(view: &View, unit: &Unit, all: &BTreeMap<String, Unit>, words: &[&str]) -> bool {
    if unit.file.starts_with("/etc") && view.link(&unit.file).is_none() {
        return true;
    }
    let speaks = |unit: &Unit| {
        let commands = unit.commands().map(|setting| setting.value.to_ascii_lowercase());
        let texts: Vec<String> = std::iter::once(unit.name.to_ascii_lowercase()).chain(commands).collect();
        words.iter().any(|word| texts.iter().any(|text| text.contains(word)))
    };
    speaks(unit)
        || (unit.name.ends_with(".timer")
            && (all.get(&timers::starts(unit)).is_some_and(speaks) || speaks_of(&timers::starts(unit), words)))
}

fn speaks_of(name: &str, words: &[&str]) -> bool {
    words.iter().any(|word| name.contains(word))
}

fn judge(view: &View, tree: &Tree<'_>, all: &BTreeMap<String, Unit>, chosen: &BTreeSet<String>, findings: &mut HostFindings) -> Systemd {
    let asked: BTreeSet<&str> = all.values().flat_map(asks_for).collect();
    let units: Vec<Unit> = chosen.iter().filter_map(|name| all.get(name)).cloned().collect();
    let mut out = Systemd { commands: UnitCommands { fixed: fixed(all), ..UnitCommands::default() }, ..Systemd::default() };
    let context = ScriptContext { fixed: out.commands.fixed.clone(), ..ScriptContext::default() };
    let mut issuing: BTreeSet<&str> = BTreeSet::new();
    let mut scripts_of: BTreeMap<&str, Vec<Script>> = BTreeMap::new();
    for unit in units.iter().filter(|unit| !unit.masked) {
        let (found, does) = service::judge(view, unit, &context, findings);
        if does.issues {
            issuing.insert(&unit.name);
        }
        scripts_of.insert(&unit.name, found.clone());
        out.commands.scripts.extend(found);
        out.commands.mentions.extend(does.mentions);
        out.wiring.join(does.wiring);
        out.files.push(unit.file.clone());
        out.files.extend(unit.dropins.iter().cloned());
    }
    let started = |unit: &Unit| asked.contains(unit.name.as_str());
    let mut timers: Vec<(&Unit, Timer)> = Vec::new();
    for unit in units.iter().filter(|unit| unit.name.ends_with(".timer")) {
        let mut timer = timers::read(tree, unit, all.get(&timers::starts(unit)), started(unit));
        timer.renews |= issuing.contains(timer.runs.as_str());
        timer.renews |=
            scripts_of.get(timer.runs.as_str()).is_some_and(|scripts| scripts.iter().any(|script| renews_inside(view, &script.path)));
        timers.push((unit, timer));
    }
    let daemon = |unit: &Unit| unit.name == "omens-run.service" && !unit.wanted_by.is_empty() && !unit.masked;
    for (unit, timer) in &timers {
        let others = timers.iter().any(|(_, other)| other != timer && other.enabled && other.renews) || units.iter().any(daemon);
        // A template is started through its instances.
        let stem = unit.name.strip_suffix("@.timer").map(|stem| format!("{stem}@"));
        let instances = stem.is_some_and(|stem| timers.iter().any(|(other, _)| other.name != unit.name && other.name.starts_with(&stem)));
        if instances {
            continue;
        }
        if timer.renews || is_public(&unit.name) {
            let others = Others { enabled: others, service: all.get(&timer.runs) };
            timers::judge(tree, unit, timer, others, started(unit), findings);
        } else if !unit.masked {
            timers::unreadable(unit, findings);
        }
    }
    out.timers = timers.into_iter().map(|(_, timer)| timer).collect();
    units.iter().for_each(|unit| at_boot(unit, started(unit), findings));
    out.units = units;
    out
}

/// Whether a script that a timer runs gets certificates, whatever it is called.
fn renews_inside(view: &View, path: &Path) -> bool {
    let Ok(bytes) = view.bytes(path) else { return false };
    let text = if bytes.starts_with(b"#!") { String::from_utf8_lossy(&bytes) } else { return false };
    ["/issue/", "/sign/", "omens renew"].iter().any(|word| text.contains(word))
}

/// Names after `Wants=` and its like.
fn asks_for(unit: &Unit) -> Vec<&str> {
    const KEYS: &[&str] = &["Wants", "Requires", "Upholds", "BindsTo"];
    KEYS.iter().flat_map(|key| unit.all("Unit", key)).flat_map(|setting| setting.value.split_whitespace()).collect()
}

/// Services that are there and have no reload.
fn fixed(all: &BTreeMap<String, Unit>) -> BTreeSet<String> {
    let notifies = |unit: &Unit| unit.get("Service", "Type").is_some_and(|setting| setting.value == "notify-reload");
    let without =
        |unit: &&Unit| unit.name.ends_with(".service") && !unit.masked && unit.get("Service", "ExecReload").is_none() && !notifies(unit);
    let with = all.values().filter(|unit| unit.name.ends_with(".service") && unit.get("Service", "ExecReload").is_some());
    // A plus says that a unit is known to have one.
    all.values().filter(without).map(|unit| unit.name.clone()).chain(with.map(|unit| format!("+{}", unit.name))).collect()
}

/// Units of omens that must work at boot.
fn at_boot(unit: &Unit, started: bool, findings: &mut HostFindings) {
    if !unit.name.starts_with("omens") || unit.name.ends_with(".timer") {
        return;
    }
    if unit.masked {
        let draft = NewFinding::at(&lints::UNIT_MASKED, unit.target(), Location::file(&unit.file));
        findings.add(draft.expected("a unit that may be started").found(format!("{} is masked", unit.name)));
    } else if unit.name == "omens-restore.service" && unit.wanted_by.is_empty() && !started {
        let draft = NewFinding::at(&lints::UNIT_DISABLED, unit.target(), Location::file(&unit.file));
        findings
            .add(draft.expected("a link in a .wants directory").found("none: after a boot nothing is published until the next renewal"));
    }
}

/// Links that enable a unit which is not there.
fn dangling(view: &View, tree: &Tree<'_>, words: &[&str], findings: &mut HostFindings) {
    for (name, links) in tree.wants().iter().filter(|(name, _)| speaks_of(name, words)) {
        if tree.find(name).is_some() {
            continue;
        }
        for link in links {
            let Some(target) = view.link(link) else { continue };
            let own = !target.display().to_string().contains("lib/systemd/");
            if !own && !tree.has_vendor() {
                continue;
            }
            let draft = NewFinding::at(&lints::LINK_DANGLING, Target::new("unit", name.clone()), Location::file(link));
            let draft = draft.expected(target.display().to_string()).found("no such unit in any unit directory");
            findings.add(if name.ends_with(".timer") { draft } else { draft.severity(Severity::Medium) });
        }
    }
}

#[cfg(test)]
mod tests;
