//! What one part is told in the end, and where each value comes from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Part, python};
use crate::audit::facts::findings::NewFinding;
use crate::audit::facts::wiring::Consumer;
use crate::judge::lint::Lint;
use crate::model::audit::{Location, Object};

/// One option as it is set in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// As the part takes it.
    pub(super) value: String,
    pub(super) location: Location,
}

/// All of one part.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) part: Part,
    /// The file to change.
    pub(super) main: PathBuf,
    pub(super) files: Vec<PathBuf>,
    /// Where each section begins.
    pub(super) sections: BTreeMap<String, Location>,
    /// By section and option.
    pub(super) values: BTreeMap<(String, String), Setting>,
}

impl Settings {
    pub(super) fn new(part: Part, main: PathBuf) -> Self {
        Self { part, main, files: Vec::new(), sections: BTreeMap::new(), values: BTreeMap::new() }
    }

    /// An option of a section; configparser looks into `[DEFAULT]` as well.
    pub(super) fn of(&self, section: &str, option: &str) -> Option<&Setting> {
        let key = |section: &str| (section.to_owned(), option.to_owned());
        self.values.get(&key(section)).or_else(|| self.values.get(&key("DEFAULT")))
    }

    /// An option of the part's own section.
    pub(super) fn get(&self, option: &str) -> Option<&Setting> {
        self.of(self.part.name(), option)
    }

    /// Its value, or what is taken without one.
    pub(super) fn text<'a>(&'a self, option: &str, default: &'a str) -> &'a str {
        self.get(option).map_or(default, |setting| setting.value.as_str())
    }

    /// A boolean; what is none counts as the default here and is said elsewhere.
    pub(super) fn flag(&self, option: &str, default: bool) -> bool {
        self.get(option).and_then(|setting| python::boolean(&setting.value)).unwrap_or(default)
    }

    /// A port.
    pub(super) fn port(&self, option: &str, default: u16) -> u16 {
        self.get(option).and_then(|setting| setting.value.trim().parse().ok()).unwrap_or(default)
    }

    /// Where an option is set, or where it would have to be.
    pub(super) fn location(&self, option: &str) -> Location {
        let section = || self.sections.get(self.part.name()).cloned();
        self.get(option).map(|setting| setting.location.clone()).or_else(section).unwrap_or_else(|| Location::file(&self.main))
    }

    /// A finding at an option.
    pub(super) fn draft(&self, lint: &'static Lint, option: &str) -> NewFinding {
        self.at(lint, option, self.location(option))
    }

    /// A finding about an option at another place; two options of one file are two things.
    pub(super) fn at(&self, lint: &'static Lint, option: &str, location: Location) -> NewFinding {
        let object = Object::File(format!("{}#{option}", location.path));
        NewFinding::new(lint, self.part.target().at_line(location.line), object).file(location)
    }

    /// Who uses what an option names.
    pub(super) fn consumer(&self, option: &str) -> Consumer {
        let location = self.location(option);
        Consumer { program: self.part.program(), target: self.part.target().at_line(location.line), location }
    }
}
