//! INI as Python's `configparser` reads it with its defaults: no inline comments, no duplicates, indented lines go on with a value.

use std::collections::BTreeMap;

/// `option = value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// In lower case.
    pub(super) option: String,
    pub(super) value: String,
    pub(super) line: u32,
}

/// `[name]` and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) entries: Vec<Entry>,
}

/// What `configparser` raises an exception for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum IniError {
    /// DuplicateOptionError: line, option, line of the first.
    Option(u32, String, u32),
    /// DuplicateSectionError.
    Section(u32, String, u32),
    /// MissingSectionHeaderError.
    Headless(u32),
    /// ParsingError.
    NoValue(u32, String),
}

/// Reads a file, and goes on after each fault.
pub(super) fn parse(text: &str) -> (Vec<Section>, Vec<IniError>) {
    let mut reading = Reading::default();
    for (index, line) in text.lines().enumerate() {
        reading.line(u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1), line);
    }
    for entry in reading.sections.iter_mut().flat_map(|section| &mut section.entries) {
        entry.value.truncate(entry.value.trim_end().len());
    }
    (reading.sections, reading.faults)
}

#[derive(Default)]
struct Reading {
    sections: Vec<Section>,
    faults: Vec<IniError>,
    /// Section to add to, and how far the option is indented that may go on.
    current: Option<usize>,
    open: Option<usize>,
    /// Where each section and option was first seen: a hostile file may have hundreds of thousands.
    names: BTreeMap<String, usize>,
    options: BTreeMap<(usize, String), u32>,
}

impl Reading {
    fn line(&mut self, number: u32, line: &str) {
        let text = line.trim();
        if text.starts_with(['#', ';']) {
            return;
        }
        let indent = line.len().saturating_sub(line.trim_start().len());
        if text.is_empty() {
            if self.open.is_some() {
                self.append("");
            }
            return;
        }
        if self.open.is_some_and(|open| indent > open) {
            self.append(text);
            return;
        }
        self.open = None;
        if let Some(name) =
            text.strip_prefix('[').and_then(|rest| rest.rfind(']').and_then(|end| rest.get(..end))).filter(|n| !n.is_empty())
        {
            self.section(number, name);
            return;
        }
        let Some(current) = self.current else {
            // One exception ends it: the lines after it say nothing new.
            if !self.faults.iter().any(|fault| matches!(fault, IniError::Headless(_))) {
                self.faults.push(IniError::Headless(number));
            }
            return;
        };
        let Some((option, value)) = text.split_once(['=', ':']).filter(|(option, _)| !option.trim().is_empty()) else {
            self.faults.push(IniError::NoValue(number, text.to_owned()));
            return;
        };
        self.open = Some(indent);
        self.option(current, Entry { option: option.trim().to_lowercase(), value: value.trim().to_owned(), line: number });
    }

    fn section(&mut self, line: u32, name: &str) {
        if let Some(known) = self.names.get(name).copied() {
            let first = self.sections.get(known).map_or(0, |section| section.line);
            self.faults.push(IniError::Section(line, name.to_owned(), first));
            self.current = Some(known);
            return;
        }
        self.current = Some(self.sections.len());
        self.names.insert(name.to_owned(), self.sections.len());
        self.sections.push(Section { name: name.to_owned(), line, entries: Vec::new() });
    }

    fn option(&mut self, current: usize, entry: Entry) {
        match self.options.get(&(current, entry.option.clone())) {
            Some(first) => self.faults.push(IniError::Option(entry.line, entry.option.clone(), *first)),
            None => {
                self.options.insert((current, entry.option.clone()), entry.line);
            }
        }
        if let Some(section) = self.sections.get_mut(current) {
            section.entries.push(entry);
        }
    }

    fn append(&mut self, text: &str) {
        let last = self.current.and_then(|current| self.sections.get_mut(current)).and_then(|section| section.entries.last_mut());
        if let Some(entry) = last {
            entry.value.push('\n');
            entry.value.push_str(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_configparser_makes_of_them() {
        let text = "# no\n; no\n[verifier]\nIp = \"127.0.0.1\"\nport : 8881  # x\ntrusted_client_ca = ['a',\n    # within\n    'b']\n\n#uuid = x\npassword =\nurl = a:b=c\n[revocations]\nx=1\n";
        let (sections, faults) = parse(text);
        assert!(faults.is_empty(), "{faults:?}");
        let flat: Vec<(&str, &str, &str, u32)> = sections
            .iter()
            .flat_map(|section| section.entries.iter().map(|e| (section.name.as_str(), e.option.as_str(), e.value.as_str(), e.line)))
            .collect();
        assert_eq!(
            flat,
            [
                ("verifier", "ip", "\"127.0.0.1\"", 4),
                ("verifier", "port", "8881  # x", 5),
                ("verifier", "trusted_client_ca", "['a',\n'b']", 6),
                ("verifier", "password", "", 11),
                ("verifier", "url", "a:b=c", 12),
                ("revocations", "x", "1", 14),
            ]
        );
    }

    #[test]
    fn what_configparser_refuses_is_named_with_its_line() {
        let (sections, faults) = parse("a = 1\nb = 2\n[x]\na = 1\nA = 2\nword\n= 3\n[y]\n[x]\nb = 1\n[unclosed\n[]\n");
        assert_eq!(
            faults,
            [
                IniError::Headless(1),
                IniError::Option(5, "a".into(), 4),
                IniError::NoValue(6, "word".into()),
                IniError::NoValue(7, "= 3".into()),
                IniError::Section(9, "x".into(), 3),
                IniError::NoValue(11, "[unclosed".into()),
                IniError::NoValue(12, "[]".into()),
            ]
        );
        assert_eq!(sections[0].entries.len(), 3);
        let huge = format!("[x]\n{}", "a = 1\n".repeat(20_000));
        assert!(parse(&huge).1.len() > 100);
    }
}
