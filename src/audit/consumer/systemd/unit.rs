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

    /// On or off, as systemd reads it (`parse_boolean`).
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        match self.value.to_ascii_lowercase().as_str() {
            "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
            "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
            _ => None,
        }
    }

    /// Whether it is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.boolean() == Some(true)
    }

    /// Its value as a line of text.
    #[must_use]
    pub fn as_line(&self) -> Line {
        Line::new(self.line, self.value.clone())
    }
}

/// A line that systemd does not take, or for which it does not take the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// The file.
    pub file: Rc<Path>,
    /// Counted from 1.
    pub line: u32,
    /// What should be there.
    pub expected: &'static str,
    /// What is.
    pub found: String,
    /// Whether the whole file counts for nothing then.
    pub fatal: bool,
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
    /// What is no setting and no section.
    pub ignored: Vec<Ignored>,
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

/// What one file holds.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) settings: Vec<Setting>,
    pub(super) ignored: Vec<Ignored>,
}

/// Reads one file (`config_parse` of `src/shared/conf-parser.c`).
pub(super) fn parse(text: &str, file: &Rc<Path>) -> Parsed {
    let mut reading = Reading { file, kind: kind(file), section: Section::None, parsed: Parsed::default() };
    let mut open: Option<(u32, String)> = None;
    let mut marked = false;
    for (number, line) in (1_u32..).zip(text.lines()) {
        let mut line = line.trim_start();
        // One byte order mark is passed over, in whichever line.
        if let Some(rest) = line.strip_prefix('\u{feff}').filter(|_| !marked) {
            (line, marked) = (rest, true);
        }
        // Comments may stand between the parts of a continued line.
        if line.starts_with(['#', ';']) {
            continue;
        }
        // Two backslashes are one that is meant.
        let continues = line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
        let continued = line.strip_suffix('\\').filter(|_| continues);
        let (first, mut whole) = open.take().unwrap_or((number, String::new()));
        whole.push_str(continued.unwrap_or(line));
        if continued.is_some() {
            whole.push(' ');
            open = Some((first, whole));
            continue;
        }
        reading.line(&whole, first);
    }
    if let Some((first, whole)) = open {
        reading.line(&whole, first);
    }
    reading.parsed
}

/// In which section a line stands.
enum Section {
    None,
    Named(String),
    /// One that is passed over with all that is in it.
    Ignored,
}

/// The section that a file may have besides those of all units: by its own name, or by that of the directory of drop-ins that it lies in.
fn kind(file: &Path) -> Option<String> {
    let above = file.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let (_, kind) = above.strip_suffix(".d").filter(|_| name.ends_with(".conf")).unwrap_or(name).rsplit_once('.')?;
    let (first, rest) = kind.split_at_checked(1)?;
    Some(first.to_ascii_uppercase() + rest)
}

struct Reading<'a> {
    file: &'a Rc<Path>,
    /// The section of this kind of unit, where it is known.
    kind: Option<String>,
    section: Section,
    parsed: Parsed,
}

impl Reading<'_> {
    fn line(&mut self, line: &str, number: u32) {
        let line = line.trim();
        if line.is_empty() {
            return;
        }
        if let Some(rest) = line.strip_prefix('[') {
            match rest.strip_suffix(']') {
                Some(name) => self.section(name, number),
                None => self.ignore(number, "[ and ] around the name of a section", line, true),
            }
            return;
        }
        let section = match &self.section {
            Section::Ignored => return,
            Section::None => return self.ignore(number, "a section before the first setting", line, false),
            Section::Named(section) => section.clone(),
        };
        match line.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => self.parsed.settings.push(Setting {
                section,
                key: key.trim().to_owned(),
                value: value.trim().to_owned(),
                file: Rc::clone(self.file),
                line: number,
            }),
            _ => self.ignore(number, "NAME=VALUE", line, false),
        }
    }

    fn section(&mut self, name: &str, number: u32) {
        let known = matches!(name, "Unit" | "Install") || self.kind.as_deref().is_none_or(|kind| kind == name);
        self.section = if known { Section::Named(name.to_owned()) } else { Section::Ignored };
        if matches!(self.section, Section::Ignored) && !name.starts_with("X-") {
            self.ignore(number, "a section that systemd knows", &format!("[{name}]"), false);
        }
    }

    fn ignore(&mut self, line: u32, expected: &'static str, found: &str, fatal: bool) {
        let found = found.chars().take(200).collect();
        self.parsed.ignored.push(Ignored { file: Rc::clone(self.file), line, expected, found, fatal });
    }
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

/// A unit of this text and no more, for tests.
#[cfg(test)]
pub(super) fn unit(text: &str) -> Unit {
    let Parsed { settings, ignored } = parse(text, &Rc::from(Path::new("/u.service")));
    Unit { name: "u.service".to_owned(), file: "/u".into(), masked: false, settings, ignored, dropins: Vec::new(), wanted_by: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_their_section_and_line_and_an_empty_one_takes_back() {
        let unit = unit(
            "[Unit]\n# A=no\nA = 1\n[Service]\nExecStart=/a \\\n# in between\n  b\n;x\nExecStart=\nExecStart=/c\nUser=x\nUser=y\nnonsense\nLast=\\",
        );
        let found = unit.all("Service", "ExecStart");
        assert_eq!(found.iter().map(|s| (s.value.as_str(), s.line)).collect::<Vec<_>>(), [("/c", 10)]);
        assert_eq!(unit.get("Service", "User").map(|s| s.value.as_str()), Some("y"));
        assert_eq!((unit.get("Unit", "A").unwrap().value.as_str(), unit.get("Service", "A").is_none()), ("1", true));
        assert_eq!(unit.settings.iter().find(|s| s.key == "ExecStart").map(|s| (s.value.as_str(), s.line)), Some(("/a  b", 5)));
    }

    #[test]
    fn lines_that_systemd_does_not_take_are_kept() {
        let unit = unit("A=1\n[Unit]\n\u{feff}\nno setting\n=x\n[Bogus]\nB=1\n[X-Own]\nC=1\n[Service]\nD=1\n[Service\nE=two\\\\\nF=1\n");
        let lines: Vec<(u32, bool)> = unit.ignored.iter().map(|ignored| (ignored.line, ignored.fatal)).collect();
        assert_eq!(lines, [(1, false), (4, false), (5, false), (6, false), (12, true)]);
        let keys: Vec<&str> = unit.settings.iter().map(|setting| setting.key.as_str()).collect();
        assert_eq!(keys, ["D", "E", "F"]);
    }

    #[test]
    fn words_of_an_environment_are_unquoted() {
        assert_eq!(words("A=1 \"B=x y\" C='z' \\\"d"), ["A=1", "B=x y", "C=z", "\"d"]);
        assert_eq!(words("\"open"), ["open"]);
    }
}
