//! The text of a unit file: sections, settings, continued lines, comments (systemd.syntax(7)).

use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::audit::consumer::scripts::shell::Line;
use crate::model::audit::{Location, Target};

/// One setting, where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The section, without brackets.
    pub section: String,
    /// Its name.
    pub key: String,
    /// What it is given.
    pub value: String,
    /// The file.
    pub file: Rc<Path>,
    /// Counted from 1.
    pub line: u32,
}

impl Setting {
    /// Its place.
    #[must_use]
    pub fn location(&self) -> Location {
        Location::line(&self.file, self.line)
    }

    /// Its value as a line of text.
    #[must_use]
    pub fn as_line(&self) -> Line {
        Line::new(self.line, self.value.clone())
    }
}

/// A unit with its drop-ins, in the order in which systemd applies them.
#[derive(Clone, Debug)]
pub struct Unit {
    /// `name.type`.
    pub name: String,
    /// The file that is used; drop-ins are not in here.
    pub file: PathBuf,
    /// A link to /dev/null, or an empty file.
    pub masked: bool,
    /// All settings.
    pub settings: Vec<Setting>,
    /// Drop-ins.
    pub dropins: Vec<PathBuf>,
    /// Links in `.wants` and `.requires` directories that start it.
    pub wanted_by: Vec<PathBuf>,
}

impl Unit {
    /// What findings name.
    #[must_use]
    pub fn target(&self) -> Target {
        Target::new("unit", self.name.clone())
    }

    /// The settings of a list that are in force: an empty value takes back all before it.
    #[must_use]
    pub fn all(&self, section: &str, key: &str) -> Vec<&Setting> {
        let mut found = Vec::new();
        for setting in self.settings.iter().filter(|setting| setting.key == key && setting.section == section) {
            if setting.value.is_empty() {
                found.clear();
            } else {
                found.push(setting);
            }
        }
        found
    }

    /// The setting that is in force where there can be one only: the last.
    #[must_use]
    pub fn get(&self, section: &str, key: &str) -> Option<&Setting> {
        self.all(section, key).pop()
    }

    /// Every command line.
    pub fn commands(&self) -> impl Iterator<Item = &Setting> {
        const KEYS: &[&str] = &["ExecCondition", "ExecStartPre", "ExecStart", "ExecStartPost", "ExecReload", "ExecStop", "ExecStopPost"];
        KEYS.iter().flat_map(|key| self.all("Service", key))
    }
}

/// The settings of one file.
pub(super) fn parse(text: &str, file: &Rc<Path>) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut section = String::new();
    let mut open: Option<(u32, String)> = None;
    for (number, line) in (1_u32..).zip(text.lines()) {
        // Comments may stand between the parts of a continued line.
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let continued = line.strip_suffix('\\');
        let (first, mut whole) = open.take().unwrap_or((number, String::new()));
        whole.push_str(continued.unwrap_or(line));
        if continued.is_some() {
            whole.push(' ');
            open = Some((first, whole));
            continue;
        }
        settings.extend(setting(&whole, &mut section, file, first));
    }
    settings.extend(open.and_then(|(first, whole)| setting(&whole, &mut section, file, first)));
    settings
}

fn setting(line: &str, section: &mut String, file: &Rc<Path>, number: u32) -> Option<Setting> {
    let line = line.trim();
    if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
        name.clone_into(section);
        return None;
    }
    let (key, value) = line.split_once('=')?;
    Some(Setting {
        section: section.clone(),
        key: key.trim().to_owned(),
        value: value.trim().to_owned(),
        file: Rc::clone(file),
        line: number,
    })
}

/// The words of `Environment=`: separated by white space, quoted as a whole or in part.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('\\', _) => word.get_or_insert_default().extend(rest.next()),
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(text: &str) -> Unit {
        let settings = parse(text, &Rc::from(Path::new("/u")));
        Unit { name: "u.service".to_owned(), file: "/u".into(), masked: false, settings, dropins: Vec::new(), wanted_by: Vec::new() }
    }

    #[test]
    fn settings_have_their_section_and_line_and_an_empty_one_takes_back() {
        let unit = unit(
            "[Unit]\n# A=no\nA = 1\n[Service]\nExecStart=/a \\\n# in between\n  b\n;x\nExecStart=\nExecStart=/c\nUser=x\nUser=y\nnonsense\nLast=\\",
        );
        let found = unit.all("Service", "ExecStart");
        assert_eq!(found.iter().map(|s| (s.value.as_str(), s.line)).collect::<Vec<_>>(), [("/c", 10)]);
        assert_eq!(unit.get("Service", "User").map(|s| s.value.as_str()), Some("y"));
        assert_eq!((unit.get("Unit", "A").unwrap().value.as_str(), unit.get("Service", "A").is_none()), ("1", true));
        assert_eq!(unit.settings.iter().find(|s| s.key == "ExecStart").map(|s| (s.value.as_str(), s.line)), Some(("/a    b", 5)));
    }

    #[test]
    fn words_of_an_environment_are_unquoted() {
        assert_eq!(words("A=1 \"B=x y\" C='z' \\\"d"), ["A=1", "B=x y", "C=z", "\"d"]);
        assert_eq!(words("\"open"), ["open"]);
    }
}
