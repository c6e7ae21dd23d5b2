//! The Rust agent's TOML as text values with their lines. It must never stop at the first fault: the rest is looked at too.

use toml::de::{DeTable, DeValue};

/// `option = value` of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Empty for what stands before the first section.
    pub(super) section: String,
    pub(super) option: String,
    /// Lists are joined by commas, as the agent takes them.
    pub(super) value: String,
    pub(super) line: u32,
}

/// What TOML does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TomlError {
    pub(super) line: u32,
    pub(super) words: String,
    pub(super) duplicate: bool,
}

/// The sections with their lines, the options, and what is wrong.
pub(super) struct Table {
    pub(super) sections: Vec<(String, u32)>,
    pub(super) entries: Vec<Entry>,
    pub(super) faults: Vec<TomlError>,
}

/// As many faults of one file are told.
const FAULTS: usize = 20;

/// Reads a file.
pub(super) fn parse(text: &str) -> Table {
    let text = text.trim_start_matches('\u{feff}');
    let (root, errors) = DeTable::parse_recoverable(text);
    let lines = Lines::of(text);
    let fault = |error: &toml::de::Error| TomlError {
        line: error.span().map_or(1, |span| lines.at(span.start)),
        words: error.message().to_owned(),
        duplicate: error.message() == "duplicate key",
    };
    let mut faults: Vec<TomlError> = errors.iter().map(fault).collect();
    faults.sort_by_key(|fault| fault.line);
    faults.dedup_by_key(|fault| fault.line);
    faults.truncate(FAULTS);
    let mut table = Table { sections: Vec::new(), entries: Vec::new(), faults };
    for (key, value) in root.get_ref() {
        let (name, line) = (key.get_ref().to_string(), lines.at(key.span().start));
        match value.get_ref() {
            DeValue::Table(section) => {
                table.sections.push((name.clone(), line));
                for (option, value) in section {
                    let line = lines.at(option.span().start);
                    let option = option.get_ref().to_string();
                    table.entries.push(Entry { section: name.clone(), option, value: plain(value.get_ref(), text, value.span()), line });
                }
            }
            other => {
                table.entries.push(Entry { section: String::new(), option: name, value: plain(other, text, value.span()), line });
            }
        }
    }
    table.entries.sort_by_key(|entry| entry.line);
    table
}

fn plain(value: &DeValue<'_>, text: &str, span: std::ops::Range<usize>) -> String {
    match value {
        DeValue::String(value) => value.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Array(items) => items.iter().map(|item| plain(item.get_ref(), text, item.span())).collect::<Vec<_>>().join(","),
        _ => text.get(span).unwrap_or_default().trim().to_owned(),
    }
}

/// Where each line begins.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(index, _)| index).collect())
    }

    fn at(&self, offset: usize) -> u32 {
        u32::try_from(self.0.partition_point(|end| *end < offset)).unwrap_or(u32::MAX).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_lines_and_faults_do_not_hide_what_follows() {
        let table = parse("top = 1\n# uuid = \"no\"\n[agent]\nuuid = \"u\" # yes\nport = 9002\nlist = [\"a\", \"b\"]\nflag = false\n");
        let flat: Vec<_> = table.entries.iter().map(|e| (e.section.as_str(), e.option.as_str(), e.value.as_str(), e.line)).collect();
        assert_eq!(
            flat,
            [
                ("", "top", "1", 1),
                ("agent", "uuid", "u", 4),
                ("agent", "port", "9002", 5),
                ("agent", "list", "a,b", 6),
                ("agent", "flag", "false", 7)
            ]
        );
        assert!(table.faults.is_empty() && table.sections == [("agent".to_owned(), 3)]);
        let table = parse("[agent]\nip = 127.0.0.1\nport = 9002\nport = 9003\nuuid = word\n");
        let faults: Vec<_> = table.faults.iter().map(|fault| (fault.line, fault.duplicate)).collect();
        assert_eq!(faults, [(2, false), (4, true), (5, false)], "{:?}", table.faults);
        assert!(table.entries.iter().any(|entry| entry.option == "port"));
        for hostile in ["[".repeat(10_000), "a = [".repeat(10_000), "a.".repeat(10_000), "=\n".repeat(10_000), "\0".to_owned()] {
            assert!(parse(&hostile).faults.len() <= FAULTS);
        }
    }
}
