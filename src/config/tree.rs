//! TOML text as a tree in which every key and value knows its place.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use toml::de::{DeTable, DeValue};

use crate::model::code::Code;
use crate::model::report::SettingsError;
use crate::model::text::one_line;

/// After so many syntax errors in one file the rest is noise.
const MAX_SYNTAX_ERRORS: usize = 50;

/// A settings file as it was read.
#[derive(Debug)]
pub(crate) struct Source {
    name: String,
    text: String,
    /// The offset at which each line starts.
    lines: Vec<usize>,
    /// Which key stands where; made for the first error only.
    keys: OnceLock<BTreeMap<usize, String>>,
}

impl Source {
    fn new(name: &str, text: String) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name: name.to_owned(), text, lines, keys: OnceLock::new() }
    }

    fn keys(&self) -> &BTreeMap<usize, String> {
        self.keys.get_or_init(|| {
            let mut keys = BTreeMap::new();
            let (root, _) = DeTable::parse_recoverable(&self.text);
            note_keys(root.get_ref(), "", &mut keys);
            keys
        })
    }
}

/// Notes the way to every key and value below a table, at the offset where each begins; where two begin at one, the inner one counts.
fn note_keys(table: &DeTable<'_>, above: &str, keys: &mut BTreeMap<usize, String>) {
    for (key, value) in table {
        let path = below(above, key.get_ref());
        keys.insert(key.span().start, path.clone());
        note_values(value, &path, keys);
    }
}

fn note_values(value: &toml::Spanned<DeValue<'_>>, path: &str, keys: &mut BTreeMap<usize, String>) {
    keys.insert(value.span().start, path.to_owned());
    match value.get_ref() {
        DeValue::Table(table) => note_keys(table, path, keys),
        DeValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                note_values(item, &format!("{path}[{index}]"), keys);
            }
        }
        DeValue::String(_) | DeValue::Boolean(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) => {}
    }
}

/// The way to a key of the table that `above` leads to; empty: of the file itself.
fn below(above: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let key = if bare { key.to_owned() } else { format!("\"{}\"", one_line(key, 80)) };
    if above.is_empty() { key } else { format!("{above}.{key}") }
}

/// A point in a settings file.
#[derive(Clone, Debug)]
pub struct Place {
    source: Arc<Source>,
    offset: usize,
    /// Whether it stands for the file itself, and not for what stands first in it.
    is_root: bool,
}

impl Place {
    /// Line and column from 1, the column in characters.
    fn position(&self) -> (usize, usize) {
        let line = self.source.lines.partition_point(|start| *start <= self.offset);
        let start = self.source.lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        (line, self.source.text.get(start..self.offset).unwrap_or_default().chars().count() + 1)
    }

    /// The header of a table that was opened by one, such as `[certificate.key]`.
    pub(crate) fn header(&self) -> Option<&str> {
        let text = self.source.text.get(self.offset..).filter(|text| text.starts_with('[') && !self.is_root)?;
        let closing = if text.starts_with("[[") { "]]" } else { "]" };
        text.get(..text.find(closing)? + closing.len())
    }

    /// The file.
    pub(crate) fn file(&self) -> &str {
        &self.source.name
    }

    /// The way to what stands here, such as `certificate[2].ttl`.
    pub(crate) fn key(&self) -> Option<String> {
        if self.is_root { None } else { self.source.keys().get(&self.offset).cloned() }
    }

    /// The way to a key of the table that stands here, whether it is there or not.
    pub(crate) fn key_below(&self, key: &str) -> String {
        below(self.key().as_deref().unwrap_or_default(), key)
    }

    /// An error at this point.
    pub(crate) fn error(&self, code: Code, text: impl Into<String>) -> SettingsError {
        let (line, column) = self.position();
        let file = self.source.name.clone();
        SettingsError { file, line: Some(line), column: Some(column), key: self.key(), code, text: text.into(), suggestion: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.position();
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    pub(crate) value: Value,
    /// Where an inline table ends; one under a header is open to what follows.
    end: Option<usize>,
}

impl Node {
    /// The text that a key of this table is set to.
    pub(crate) fn text_of(&self, key: &str) -> Option<&str> {
        let Value::Table(entries) = &self.value else { return None };
        match &entries.iter().find(|entry| entry.key == key)?.node.value {
            Value::Text(text) => Some(text),
            Value::Array(_) | Value::Bool(_) | Value::Other { .. } | Value::Table(_) => None,
        }
    }
}

/// What stands there. No setting is a number or a date, so those keep only what is needed to say what was found.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Array(Vec<Node>),
    Bool(bool),
    Other { kind: &'static str, raw: String },
    Table(Vec<Entry>),
    Text(String),
}

impl Value {
    /// What it is, in the words of TOML, with an article.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Array(_) => "an array",
            Self::Bool(_) => "a boolean",
            Self::Other { kind, .. } => kind,
            Self::Table(_) => "a table",
            Self::Text(_) => "a string",
        }
    }
}

/// A key of a table, where it stands, and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) node: Node,
}

/// A file's tree, as far as it could be made out.
#[derive(Debug)]
pub(crate) struct Document {
    /// The start of the file.
    pub(crate) start: Place,
    /// The entries of its root, in the order they are written.
    pub(crate) entries: Vec<Entry>,
    /// What is no TOML, and what is set twice within the file.
    pub(crate) errors: Vec<SettingsError>,
    /// Whether parts of the file may be missing from the tree.
    pub(crate) broken: bool,
}

/// Reads the bytes of a file as TOML and goes on past errors.
pub(crate) fn parse(name: &str, bytes: Vec<u8>) -> Document {
    let (text, bad) = match String::from_utf8(bytes) {
        Ok(text) if text.starts_with('\u{feff}') => (text, Some(0)),
        Ok(text) => (text, None),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(error.utf8_error().valid_up_to())),
    };
    let source = Arc::new(Source::new(name, text));
    let at = |offset| Place { source: Arc::clone(&source), offset, is_root: offset == 0 };
    if let Some(offset) = bad {
        let (text, suggestion) = match offset {
            0 if source.text.starts_with('\u{feff}') => {
                ("the file starts with a byte order mark", "save the file as UTF-8 without a byte order mark")
            }
            _ => ("expected UTF-8 text, found a byte that is none", "save the file as UTF-8"),
        };
        let error = SettingsError { suggestion: Some(suggestion.to_owned()), ..at(offset).error(Code::Syntax, text) };
        return Document { start: at(0), entries: Vec::new(), errors: vec![error], broken: true };
    }
    let (root, mut errors) = DeTable::parse_recoverable(&source.text);
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    let entries = entries(&root.into_inner(), &source);
    let broken = errors.iter().any(|e| !is_duplicate(e));
    let errors = errors.iter().take(MAX_SYNTAX_ERRORS).map(|error| syntax_error(error, &source, &entries)).collect();
    Document { start: at(0), entries, errors, broken }
}

fn entries(table: &DeTable<'_>, source: &Arc<Source>) -> Vec<Entry> {
    let place = |span: std::ops::Range<usize>| Place { source: Arc::clone(source), offset: span.start, is_root: false };
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry { key: key.get_ref().to_string(), place: place(key.span()), node: node(value, source) })
        .collect();
    entries.sort_by_key(|entry| entry.place.offset);
    entries
}

fn node(spanned: &toml::Spanned<DeValue<'_>>, source: &Arc<Source>) -> Node {
    let span = spanned.span();
    let written = source.text.get(span.clone()).unwrap_or_default();
    let raw = || one_line(written, 40);
    let value = match spanned.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| node(item, source)).collect()),
        DeValue::Table(table) => Value::Table(entries(table, source)),
        DeValue::Integer(_) => Value::Other { kind: "an integer", raw: raw() },
        DeValue::Float(_) => Value::Other { kind: "a float", raw: raw() },
        DeValue::Datetime(_) => Value::Other { kind: "a date or time", raw: raw() },
    };
    Node {
        place: Place { source: Arc::clone(source), offset: span.start, is_root: false },
        value,
        end: written.starts_with('{').then_some(span.end),
    }
}

fn is_duplicate(error: &toml::de::Error) -> bool {
    error.message() == "duplicate key"
}

fn syntax_error(error: &toml::de::Error, source: &Arc<Source>, entries: &[Entry]) -> SettingsError {
    let span = error.span().unwrap_or_default();
    let place = Place { source: Arc::clone(source), offset: span.start, is_root: false };
    if !is_duplicate(error) {
        let (text, expected) = error.message().split_once(", expected ").unwrap_or((error.message(), "what TOML allows"));
        let suggestion = Some(one_line(&format!("write {expected} here"), 200));
        return SettingsError { suggestion, ..place.error(Code::Syntax, one_line(text, 200)) };
    }
    let key = one_line(source.text.get(span.clone()).unwrap_or_default().trim_matches(['"', '\'']), 80);
    first_of(&key, &place, entries)
        .map_or_else(|| twice(&place, format!("\"{key}\" is set twice")), |first| duplicate(&format!("\"{key}\""), &place, &first))
}

fn twice(place: &Place, text: String) -> SettingsError {
    SettingsError { suggestion: Some("keep one of them".to_owned()), ..place.error(Code::Duplicate, text) }
}

/// What is said about the second of two, whichever was read first.
pub(crate) fn duplicate(what: &str, second: &Place, first: &Place) -> SettingsError {
    let is_before = second.source.name == first.source.name && second.offset < first.offset;
    let (first, second) = if is_before { (second, first) } else { (first, second) };
    twice(second, format!("{what} is set twice, first at {first}"))
}

/// Where a key that the parser calls a duplicate stands first: the parser does not say, and for a second `[header]` it forgets the first.
fn first_of(key: &str, second: &Place, entries: &[Entry]) -> Option<Place> {
    let text = &second.source.text;
    let line_start = text.get(..second.offset)?.rfind('\n').map_or(0, |at| at + 1);
    let line = text.get(line_start..)?.lines().next()?.trim();
    if line.starts_with('[') {
        let header = line.split_inclusive(']').next()?;
        let first = text.lines().find(|earlier| earlier.trim_start().starts_with(header))?;
        let offset = first.as_ptr() as usize - text.as_ptr() as usize;
        return (offset < line_start).then(|| Place { source: Arc::clone(&second.source), offset, is_root: false });
    }
    // In a table that is still open at the second place: the one that was opened last.
    let within = |node: &Node| match &node.value {
        Value::Table(entries) if node.end.is_none_or(|end| end > second.offset) => first_of(key, second, entries),
        _ => None,
    };
    entries.iter().rev().find_map(|entry| {
        let inner = match &entry.node.value {
            Value::Array(items) => items.iter().rev().find_map(within),
            _ => within(&entry.node),
        };
        inner.or_else(|| (entry.key == key && entry.place.offset < second.offset).then(|| entry.place.clone()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<String> {
        let shown = |e: &SettingsError| format!("{}:{}: {}: {}", e.line.unwrap(), e.column.unwrap(), e.code, e.text);
        parse("f", text.as_bytes().to_vec()).errors.iter().map(shown).collect()
    }

    #[test]
    fn a_column_counts_characters_and_not_bytes() {
        let document = parse("f", "[t]\nü = \"ö\"\n'äö' = 1".into());
        let Value::Table(entries) = &document.entries[0].node.value else { panic!("a table") };
        assert_eq!(entries.iter().map(|e| e.place.to_string()).collect::<Vec<_>>(), ["f:2:1", "f:3:1"]);
        assert_eq!(entries[1].node.place.to_string(), "f:3:8");
        assert_eq!(document.entries[0].node.place.to_string(), "f:1:1");
    }

    #[test]
    fn the_second_of_two_names_the_first() {
        let cases = [
            ("a = 1\na = 2", "2:1: duplicate: \"a\" is set twice, first at f:1:1"),
            ("[t]\nb = 1\n[u]\nb = 1\nb = 2", "5:1: duplicate: \"b\" is set twice, first at f:4:1"),
            ("[t]\nk = 1\ni = [{ k = 2 }]\nk = 3", "4:1: duplicate: \"k\" is set twice, first at f:2:1"),
            ("t = { k = 1, k = 2 }", "1:14: duplicate: \"k\" is set twice, first at f:1:7"),
            ("[t]\na = 1\n\n  [t] # again\n", "4:4: duplicate: \"t\" is set twice, first at f:1:1"),
            ("[[c]]\nn = 1\n[[c]]\nn = 1\n'n' = 2", "5:1: duplicate: \"n\" is set twice, first at f:4:1"),
        ];
        for (text, expected) in cases {
            assert_eq!(errors(text), [expected], "{text}");
        }
    }

    #[test]
    fn what_is_no_toml_is_said_with_its_place_and_the_rest_is_read() {
        let document = parse("f", b"a = \nb = \"x\"\n[c\nd = 1\n".to_vec());
        assert!(document.broken);
        let lines: Vec<_> = document.errors.iter().map(|e| (e.line, e.code.as_str())).collect();
        assert_eq!(lines, [(Some(1), "syntax"), (Some(3), "syntax")]);
        assert!(document.entries.iter().any(|e| e.key == "b"));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_with_their_place() {
        assert_eq!(errors("\u{feff}a = 1"), ["1:1: syntax: the file starts with a byte order mark"]);
        let document = parse("f", b"a = 1\nb = \"\xff\"".to_vec());
        assert_eq!((document.errors[0].line, document.errors[0].column, document.broken), (Some(2), Some(6), true));
    }

    #[test]
    fn a_file_of_noise_is_not_repeated_line_by_line() {
        assert_eq!(errors(&"= =\n".repeat(1000)).len(), MAX_SYNTAX_ERRORS);
    }
}
