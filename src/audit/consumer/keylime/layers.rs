//! Which files a part reads and in which order, and what it makes of them ([Files and layers](crate::audit#files-and-layers)).

use std::path::{Path, PathBuf};

use super::check::{self, Written};
use super::settings::{Setting, Settings};
use super::{DIRECTORIES, Part, ini, lints, python, table};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::unread;
use crate::audit::facts::variable::Variable;
use crate::io::look::View;
use crate::model::audit::{Location, Object};
use crate::model::finding::Severity;

/// Keylime 6 read these; nothing does today.
const OLD: [&str; 2] = ["/etc/keylime/keylime-agent.conf", "/etc/keylime.conf"];

/// As many faults of one file are told.
const FAULTS: usize = 50;

/// What a part is told; `None` where there is nothing of it on the host.
pub(super) fn load(view: &View, directory: &Path, part: Part, environment: &[Variable], findings: &mut HostFindings) -> Option<Settings> {
    let files = files(view, directory, part, environment);
    let prefix = format!("KEYLIME_{}_", part.name().to_ascii_uppercase());
    let is_set = environment.iter().any(|variable| variable.name.starts_with(&prefix));
    if files.is_empty() && !is_set {
        return None;
    }
    let own = directory.join(format!("{}.conf", part.name()));
    let main = files.iter().find(|file| **file == own).or(files.first()).cloned().unwrap_or(own);
    let mut settings = Settings::new(part, main);
    for file in &files {
        match view.text(file) {
            Ok(text) => take(&mut settings, file, &text, findings),
            Err(error) => unread::unreadable(findings, part.target(), Location::file(file), &error),
        }
    }
    settings.files = files;
    overrides(&mut settings, environment, &prefix);
    check::sections(&settings, findings);
    Some(settings)
}

/// `KEYLIME_X_CONFIG` replaces all; else the main file, the distribution's only where there is none, and then the drop-ins. The agent reads
/// all four layers.
fn files(view: &View, directory: &Path, part: Part, environment: &[Variable]) -> Vec<PathBuf> {
    let name = format!("KEYLIME_{}_CONFIG", part.name().to_ascii_uppercase());
    if let Some(file) = environment.iter().rev().find(|variable| variable.name == name && !variable.value.is_empty()) {
        return vec![PathBuf::from(&file.value)];
    }
    let usual = DIRECTORIES.iter().any(|known| Path::new(known) == directory);
    let directories: Vec<PathBuf> = if usual { DIRECTORIES.iter().map(PathBuf::from).collect() } else { vec![directory.to_path_buf()] };
    let main = |directory: &PathBuf| Some(directory.join(format!("{}.conf", part.name()))).filter(|file| view.meta(file).is_ok());
    let layer = |directory: &PathBuf| drop_ins(view, &directory.join(format!("{}.conf.d", part.name())));
    if part == Part::Agent {
        return directories.iter().rev().flat_map(|directory| main(directory).into_iter().chain(layer(directory))).collect();
    }
    let first = directories.iter().find_map(main);
    first.into_iter().chain(directories.iter().rev().flat_map(layer)).collect()
}

/// Every regular file of a drop-in directory, by name; Keylime does not ask for an ending.
fn drop_ins(view: &View, directory: &Path) -> Vec<PathBuf> {
    let names = view.list(directory).unwrap_or_default();
    names.into_iter().map(|name| directory.join(name)).filter(|file| view.is_file(file)).collect()
}

fn take(settings: &mut Settings, file: &Path, text: &str, findings: &mut HostFindings) {
    let part = settings.part;
    if is_backup(file) {
        let location = Location::file(file);
        let draft = NewFinding::at(&lints::BACKUP_READ, part.target(), location).expected("a drop-in that is meant to be read");
        findings.add(draft.found(format!("{}, which is read like any other file of the directory", file.display())));
    }
    let written = if part == Part::Agent { toml(settings, file, text, findings) } else { python_file(settings, file, text, findings) };
    check::options(settings, &written, findings);
    for one in written {
        let value = if part == Part::Agent { one.value } else { python::plain(&one.value).to_owned() };
        settings.values.insert((one.section, one.option), Setting { value, location: one.location });
    }
}

fn is_backup(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.ends_with('~')
        || [".bak", ".old", ".orig", ".save", ".swp", ".rpmsave", ".rpmnew", ".dpkg-old", ".dpkg-dist"]
            .iter()
            .any(|end| name.ends_with(end))
}

fn python_file(settings: &mut Settings, file: &Path, text: &str, findings: &mut HostFindings) -> Vec<Written> {
    let (sections, faults) = ini::parse(text);
    for fault in faults.into_iter().take(FAULTS) {
        refused(settings, file, &fault, findings);
    }
    let mut written = Vec::new();
    for section in sections {
        settings.sections.entry(section.name.clone()).or_insert_with(|| Location::line(file, section.line));
        for entry in section.entries {
            let (section, location) = (section.name.clone(), Location::line(file, entry.line));
            written.push(Written { section, option: entry.option, value: entry.value, location });
        }
    }
    written
}

/// What configparser ends with an exception for.
fn refused(settings: &Settings, file: &Path, fault: &ini::IniError, findings: &mut HostFindings) {
    let part = settings.part;
    let duplicate = |line: u32, what: &str, first: u32| {
        let location = Location::line(file, line);
        let object = Object::File(format!("{}#{what}", location.path));
        let draft = NewFinding::new(&lints::OPTION_TWICE, part.target().at_line(Some(line)), object)
            .file(location)
            .file(Location::line(file, first));
        draft.expected(format!("{what} once")).found(format!("{what} in line {first} and again in line {line}"))
    };
    match fault {
        ini::IniError::Option(line, option, first) => {
            findings.add(duplicate(*line, option, *first).evidence("the log ends with DuplicateOptionError"))
        }
        ini::IniError::Section(line, name, first) => {
            findings.add(duplicate(*line, &format!("[{name}]"), *first).evidence("the log ends with DuplicateSectionError"));
        }
        ini::IniError::Headless(line) => {
            let expected = format!("a section such as [{}] before the first option", part.name());
            unread::malformed(findings, part.target(), Location::line(file, *line), &expected, "an option: MissingSectionHeaderError");
        }
        ini::IniError::NoValue(line, _) => {
            unread::malformed(
                findings,
                part.target(),
                Location::line(file, *line),
                "option = value",
                "a line without a value: ParsingError",
            );
        }
    }
}

fn toml(settings: &mut Settings, file: &Path, text: &str, findings: &mut HostFindings) -> Vec<Written> {
    let table = table::parse(text);
    let target = settings.part.target();
    for fault in table.faults {
        let location = Location::line(file, fault.line);
        if fault.duplicate {
            let object = Object::File(format!("{}#line{}", location.path, fault.line));
            let draft = NewFinding::new(&lints::OPTION_TWICE, target.clone().at_line(location.line), object).file(location);
            findings.add(draft.expected("each option once").found(fault.words));
        } else {
            let expected = "TOML: strings stand in quotes, as in ip = \"127.0.0.1\"";
            unread::malformed(findings, target.clone(), location, expected, &fault.words);
        }
    }
    for (name, line) in table.sections {
        settings.sections.entry(name).or_insert_with(|| Location::line(file, line));
    }
    let written = |entry: table::Entry| {
        let location = Location::line(file, entry.line);
        Written { section: entry.section, option: entry.option, value: entry.value, location }
    };
    table.entries.into_iter().map(written).collect()
}

/// The environment has the last word: `KEYLIME_VERIFIER_SERVER_KEY`, `KEYLIME_VERIFIER_REVOCATIONS_…`.
fn overrides(settings: &mut Settings, environment: &[Variable], prefix: &str) {
    let own = settings.part.name();
    for Variable { name, value, location } in environment {
        let Some(option) = name.strip_prefix(prefix).map(str::to_ascii_lowercase).filter(|option| option != "config") else { continue };
        let (section, option) = match option.strip_prefix("revocations_") {
            Some(rest) => ("revocations", rest.to_owned()),
            None => (own, option),
        };
        let setting = Setting { value: python::plain(value).to_owned(), location: location.clone() };
        settings.values.insert((section.to_owned(), option), setting);
    }
}

/// Files that look like Keylime's and that nothing reads.
pub(super) fn ignored(view: &View, directory: &Path, parts: &[Settings], findings: &mut HostFindings) {
    let known = parts.iter().flat_map(|settings| &settings.files);
    let read: Vec<&PathBuf> = known.collect();
    let usual = DIRECTORIES.iter().any(|known| Path::new(known) == directory);
    let beside = directory.join("keylime-agent.conf");
    let candidates = OLD.iter().filter(|_| usual).map(PathBuf::from).chain(Some(beside).filter(|_| !usual));
    for file in candidates.filter(|file| view.is_file(file) && !read.contains(&file)) {
        let agent = file.file_name().is_some_and(|name| name == "keylime-agent.conf");
        let alone = if agent { !parts.iter().any(|settings| settings.part == Part::Agent) } else { parts.is_empty() };
        let location = Location::file(&file);
        let draft = NewFinding::at(&lints::FILE_IGNORED, Part::Agent.target(), location).severity(if alone {
            Severity::High
        } else {
            Severity::Low
        });
        let expected =
            if agent { "/etc/keylime/agent.conf" } else { "/etc/keylime/verifier.conf, registrar.conf, tenant.conf and agent.conf" };
        let draft = draft.expected(expected).found(format!("{}, which Keylime 6 read", file.display()));
        let consequence = "the agent runs with its defaults: the UUID that all such agents share, 127.0.0.1, no certificate of yours";
        findings.add(if alone { draft.evidence(consequence) } else { draft });
    }
}
