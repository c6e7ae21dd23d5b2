//! Which files a part reads and in which order, and what it makes of them ([Files and layers](crate::audit#files-and-layers)). It must
//! never look at a value's meaning.

use std::path::{Path, PathBuf};

use super::check::{self, Written};
use super::settings::{Setting, Settings};
use super::{DIRECTORIES, Part, Variable, ini, lints, python, table};
use crate::audit::input;
use crate::audit::sheet::{Draft, Sheet};
use crate::io::look::View;
use crate::model::audit::{Object, Place};
use crate::model::finding::Severity;

/// Keylime 6 read these; nothing does today.
const OLD: [&str; 2] = ["/etc/keylime/keylime-agent.conf", "/etc/keylime.conf"];

/// As many faults of one file are told.
const FAULTS: usize = 50;

/// What a part is told; `None` where there is nothing of it on the host.
pub(super) fn load(view: &View, directory: &Path, part: Part, environment: &[Variable], sheet: &mut Sheet) -> Option<Settings> {
    let files = files(view, directory, part, environment);
    let prefix = format!("KEYLIME_{}_", part.name().to_ascii_uppercase());
    let is_set = environment.iter().any(|(name, ..)| name.starts_with(&prefix));
    if files.is_empty() && !is_set {
        return None;
    }
    let own = directory.join(format!("{}.conf", part.name()));
    let main = files.iter().find(|file| **file == own).or(files.first()).cloned().unwrap_or(own);
    let mut settings = Settings::new(part, main);
    for file in &files {
        match view.text(file) {
            Ok(text) => take(&mut settings, file, &text, sheet),
            Err(error) => input::unreadable(sheet, part.target(), Place::file(file), &error),
        }
    }
    settings.files = files;
    overrides(&mut settings, environment, &prefix);
    check::sections(&settings, sheet);
    Some(settings)
}

/// `KEYLIME_X_CONFIG` replaces all; else the main file, the distribution's only where there is none, and then the drop-ins. The agent reads
/// all four layers.
fn files(view: &View, directory: &Path, part: Part, environment: &[Variable]) -> Vec<PathBuf> {
    let variable = format!("KEYLIME_{}_CONFIG", part.name().to_ascii_uppercase());
    if let Some((_, file, _)) = environment.iter().rev().find(|(name, value, _)| *name == variable && !value.is_empty()) {
        return vec![PathBuf::from(file)];
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

fn take(settings: &mut Settings, file: &Path, text: &str, sheet: &mut Sheet) {
    let part = settings.part;
    if is_backup(file) {
        let place = Place::file(file);
        let draft = Draft::at(&lints::BACKUP_READ, part.target(), place).expected("a drop-in that is meant to be read");
        sheet.add(draft.found(format!("{}, which is read like any other file of the directory", file.display())));
    }
    let written = if part == Part::Agent { toml(settings, file, text, sheet) } else { python_file(settings, file, text, sheet) };
    check::options(settings, &written, sheet);
    for one in written {
        let value = if part == Part::Agent { one.value } else { python::plain(&one.value).to_owned() };
        settings.values.insert((one.section, one.option), Setting { value, place: one.place });
    }
}

fn is_backup(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.ends_with('~')
        || [".bak", ".old", ".orig", ".save", ".swp", ".rpmsave", ".rpmnew", ".dpkg-old", ".dpkg-dist"]
            .iter()
            .any(|end| name.ends_with(end))
}

fn python_file(settings: &mut Settings, file: &Path, text: &str, sheet: &mut Sheet) -> Vec<Written> {
    let (sections, faults) = ini::parse(text);
    for fault in faults.into_iter().take(FAULTS) {
        refused(settings, file, &fault, sheet);
    }
    let mut written = Vec::new();
    for section in sections {
        settings.sections.entry(section.name.clone()).or_insert_with(|| Place::line(file, section.line));
        for entry in section.entries {
            let (section, place) = (section.name.clone(), Place::line(file, entry.line));
            written.push(Written { section, option: entry.option, value: entry.value, place });
        }
    }
    written
}

/// What configparser ends with an exception for.
fn refused(settings: &Settings, file: &Path, fault: &ini::Fault, sheet: &mut Sheet) {
    let part = settings.part;
    let duplicate = |line: u32, what: &str, first: u32| {
        let place = Place::line(file, line);
        let object = Object::File(format!("{}#{what}", place.path));
        let draft = Draft::new(&lints::OPTION_TWICE, part.target().at_line(Some(line)), object).file(place).file(Place::line(file, first));
        draft.expected(format!("{what} once")).found(format!("{what} in line {first} and again in line {line}"))
    };
    match fault {
        ini::Fault::Option(line, option, first) => {
            sheet.add(duplicate(*line, option, *first).evidence("the log ends with DuplicateOptionError"))
        }
        ini::Fault::Section(line, name, first) => {
            sheet.add(duplicate(*line, &format!("[{name}]"), *first).evidence("the log ends with DuplicateSectionError"));
        }
        ini::Fault::Headless(line) => {
            let expected = format!("a section such as [{}] before the first option", part.name());
            input::malformed(sheet, part.target(), Place::line(file, *line), &expected, "an option: MissingSectionHeaderError");
        }
        ini::Fault::NoValue(line, _) => {
            input::malformed(sheet, part.target(), Place::line(file, *line), "option = value", "a line without a value: ParsingError");
        }
    }
}

fn toml(settings: &mut Settings, file: &Path, text: &str, sheet: &mut Sheet) -> Vec<Written> {
    let table = table::parse(text);
    let target = settings.part.target();
    for fault in table.faults {
        let place = Place::line(file, fault.line);
        if fault.duplicate {
            let object = Object::File(format!("{}#line{}", place.path, fault.line));
            let draft = Draft::new(&lints::OPTION_TWICE, target.clone().at_line(place.line), object).file(place);
            sheet.add(draft.expected("each option once").found(fault.words));
        } else {
            let expected = "TOML: strings stand in quotes, as in ip = \"127.0.0.1\"";
            input::malformed(sheet, target.clone(), place, expected, &fault.words);
        }
    }
    for (name, line) in table.sections {
        settings.sections.entry(name).or_insert_with(|| Place::line(file, line));
    }
    let written = |entry: table::Entry| {
        let place = Place::line(file, entry.line);
        Written { section: entry.section, option: entry.option, value: entry.value, place }
    };
    table.entries.into_iter().map(written).collect()
}

/// The environment has the last word: `KEYLIME_VERIFIER_SERVER_KEY`, `KEYLIME_VERIFIER_REVOCATIONS_…`.
fn overrides(settings: &mut Settings, environment: &[Variable], prefix: &str) {
    let own = settings.part.name();
    for (name, value, place) in environment {
        let Some(option) = name.strip_prefix(prefix).map(str::to_ascii_lowercase).filter(|option| option != "config") else { continue };
        let (section, option) = match option.strip_prefix("revocations_") {
            Some(rest) => ("revocations", rest.to_owned()),
            None => (own, option),
        };
        let setting = Setting { value: python::plain(value).to_owned(), place: place.clone() };
        settings.values.insert((section.to_owned(), option), setting);
    }
}

/// Files that look like Keylime's and that nothing reads.
pub(super) fn ignored(view: &View, directory: &Path, parts: &[Settings], sheet: &mut Sheet) {
    let known = parts.iter().flat_map(|settings| &settings.files);
    let read: Vec<&PathBuf> = known.collect();
    let usual = DIRECTORIES.iter().any(|known| Path::new(known) == directory);
    let beside = directory.join("keylime-agent.conf");
    let candidates = OLD.iter().filter(|_| usual).map(PathBuf::from).chain(Some(beside).filter(|_| !usual));
    for file in candidates.filter(|file| view.is_file(file) && !read.contains(&file)) {
        let agent = file.file_name().is_some_and(|name| name == "keylime-agent.conf");
        let alone = if agent { !parts.iter().any(|settings| settings.part == Part::Agent) } else { parts.is_empty() };
        let place = Place::file(&file);
        let draft =
            Draft::at(&lints::FILE_IGNORED, Part::Agent.target(), place).severity(if alone { Severity::High } else { Severity::Low });
        let expected =
            if agent { "/etc/keylime/agent.conf" } else { "/etc/keylime/verifier.conf, registrar.conf, tenant.conf and agent.conf" };
        let draft = draft.expected(expected).found(format!("{}, which Keylime 6 read", file.display()));
        let consequence = "the agent runs with its defaults: the UUID that all such agents share, 127.0.0.1, no certificate of yours";
        sheet.add(if alone { draft.evidence(consequence) } else { draft });
    }
}
