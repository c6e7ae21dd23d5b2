//! Which unit files systemd uses: directories in their order, masks, templates, drop-ins, and the links that start a unit
//! (systemd.unit(5)).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::unit::{self, Unit};
use crate::audit::facts::findings::HostFindings;
use crate::audit::facts::unread;
use crate::io::look::View;
use crate::model::audit::{Location, Target};

/// The first directory that has a name wins.
pub(super) const DIRECTORIES: &[&str] = &[
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// As many units are read.
const UNITS: usize = 5_000;
/// As many drop-ins of one unit.
const DROPINS: usize = 200;
const KINDS: &[&str] = &[".service", ".timer", ".path", ".socket"];

/// All that lies in the unit directories.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    view: &'a View,
    /// Names of files and directories, by directory, in the order of precedence.
    listed: Vec<(&'static str, Vec<String>)>,
    /// Links that start a unit, by its name.
    wants: BTreeMap<String, Vec<PathBuf>>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(view: &'a View) -> Self {
        let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
        let mut listed = Vec::new();
        for directory in DIRECTORIES {
            // /lib is often a link to /usr/lib.
            let Ok(real) = view.real(Path::new(directory)) else { continue };
            if seen.insert(real) {
                listed.push((*directory, view.list(Path::new(directory)).unwrap_or_default()));
            }
        }
        let mut wants: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for (directory, names) in &listed {
            for name in names.iter().filter(|name| [".wants", ".requires", ".upholds"].iter().any(|end| name.ends_with(end))) {
                let inner = Path::new(directory).join(name);
                for unit in view.list(&inner).unwrap_or_default() {
                    wants.entry(unit.clone()).or_default().push(inner.join(unit));
                }
            }
        }
        Self { view, listed, wants }
    }

    /// Whether a distribution's own units are there: a copy of /etc alone has none.
    pub(super) fn has_vendor(&self) -> bool {
        self.listed
            .iter()
            .any(|(directory, names)| directory.ends_with("lib/systemd/system") && !directory.contains("local") && names.len() > 5)
    }

    /// Links that start units, by the unit's name.
    pub(super) const fn wants(&self) -> &BTreeMap<String, Vec<PathBuf>> {
        &self.wants
    }

    /// The file that is used for a name; an instance uses its template's.
    pub(super) fn find(&self, name: &str) -> Option<PathBuf> {
        let of = |name: &str| {
            self.listed
                .iter()
                .find(|(_, names)| names.binary_search_by(|have| have.as_str().cmp(name)).is_ok())
                .map(|(directory, _)| Path::new(directory).join(name))
        };
        of(name).or_else(|| template(name).and_then(|template| of(&template)))
    }

    /// Every unit, instances that are wanted too.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let kind = |name: &&String| KINDS.iter().any(|kind| name.ends_with(kind));
        let instances = self.wants.keys().filter(|name| template(name).is_some());
        let files = self.listed.iter().flat_map(|(_, names)| names);
        files.chain(instances).filter(kind).take(UNITS).cloned().collect()
    }

    /// A unit with its drop-ins.
    pub(super) fn load(&self, name: &str, findings: &mut HostFindings) -> Option<Unit> {
        let file = self.find(name)?;
        let wanted_by = self.wants.get(name).cloned().unwrap_or_default();
        let mut unit = Unit {
            name: name.to_owned(),
            file: file.clone(),
            masked: false,
            settings: Vec::new(),
            ignored: Vec::new(),
            dropins: Vec::new(),
            wanted_by,
        };
        if self.view.link(&file).is_some_and(|target| target == Path::new("/dev/null")) {
            unit.masked = true;
            return Some(unit);
        }
        match self.view.text(&file) {
            Ok(text) => {
                unit.masked = text.is_empty();
                take(&mut unit, unit::parse(&text, &Rc::from(file.as_path())));
            }
            // An alias of a unit that a copy was made without.
            Err(error) if error.is_absent() => return None,
            Err(error) => unread::unreadable(findings, unit.target(), Location::file(&file), &error),
        }
        for file in self.dropins(name) {
            match self.view.text(&file) {
                Ok(text) => take(&mut unit, unit::parse(&text, &Rc::from(file.as_path()))),
                Err(error) => unread::unreadable(findings, Target::new("unit", name), Location::file(&file), &error),
            }
            unit.dropins.push(file);
        }
        instantiate(&mut unit);
        Some(unit)
    }

    /// Drop-ins in the order of their names; of two with one name the more special directory's wins, and /dev/null takes it away.
    fn dropins(&self, name: &str) -> Vec<PathBuf> {
        let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
        for special in dropin_names(name) {
            for (directory, names) in &self.listed {
                if names.binary_search(&special).is_err() {
                    continue;
                }
                let inner = Path::new(directory).join(&special);
                for file in self.view.list(&inner).unwrap_or_default().into_iter().filter(|file| file.ends_with(".conf")).take(DROPINS) {
                    let path = inner.join(&file);
                    found.entry(file).or_insert(path);
                }
            }
        }
        let masked = |path: &PathBuf| self.view.link(path).is_some_and(|target| target == Path::new("/dev/null"));
        found.into_values().filter(|path| !masked(path)).collect()
    }
}

fn take(unit: &mut Unit, parsed: unit::Parsed) {
    unit.settings.extend(parsed.settings);
    unit.ignored.extend(parsed.ignored);
}

/// `%i` and `%I` of an instance (systemd.unit(5), "Specifiers").
fn instantiate(unit: &mut Unit) {
    let stem = unit.name.rsplit_once('.').and_then(|(stem, _)| stem.split_once('@'));
    let Some(instance) = stem.map(|(_, instance)| instance.to_owned()).filter(|instance| !instance.is_empty()) else { return };
    for setting in unit.settings.iter_mut().filter(|setting| setting.value.contains('%')) {
        setting.value = setting.value.replace("%i", &instance).replace("%I", &instance.replace('-', "/"));
    }
}

/// `a@b.service` is made of `a@.service`.
pub(super) fn template(name: &str) -> Option<String> {
    let (stem, kind) = name.rsplit_once('.')?;
    let (stem, instance) = stem.split_once('@')?;
    (!instance.is_empty()).then(|| format!("{stem}@.{kind}"))
}

/// Directories of drop-ins for a unit, the most special first: `a-b.service.d`, `a-.service.d`, `service.d`.
fn dropin_names(name: &str) -> Vec<String> {
    let mut all = vec![format!("{name}.d")];
    all.extend(template(name).map(|template| format!("{template}.d")));
    if let Some((stem, kind)) = name.rsplit_once('.') {
        let dashes: Vec<usize> = stem.match_indices('-').map(|(at, _)| at).collect();
        all.extend(dashes.into_iter().rev().filter_map(|at| stem.get(..=at)).map(|start| format!("{start}.{kind}.d")));
        all.push(format!("{kind}.d"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_ins_come_from_the_unit_its_template_its_prefixes_and_its_kind() {
        assert_eq!(dropin_names("a-b-c.service"), ["a-b-c.service.d", "a-b-.service.d", "a-.service.d", "service.d"]);
        assert_eq!(dropin_names("a@x.timer"), ["a@x.timer.d", "a@.timer.d", "timer.d"]);
        assert_eq!(dropin_names("odd"), ["odd.d"]);
    }
}
