//! The words in which the shapes of the settings are written down: tables with known keys, and readers for their values.
//!
//! What keys a table has is told by its description in [`keys`](crate::config::keys); a key that is not there cannot be read. A reader returns `None` for what is wrong and leaves the error in [`Errors`], so that one file shows all its errors at once. It must
//! never guess a value.

use std::cell::RefCell;

use super::keys::{TOP_LEVEL, Table};
use super::nearest::{instead, nearest};
use super::tables;
use super::tree::{Entry, Node, Place, Value};
use crate::model::code::Code;
use crate::model::report::SettingsError;
use crate::model::text::one_line;

/// The longest value that is repeated in an error.
const SHOWN: usize = 80;

/// How a value begins that only a person knows: `omens init` writes it, and no setting takes it.
pub const FILL_IN: &str = "FILL IN";

/// All that is wrong, in the order it was found.
#[derive(Debug, Default)]
pub struct Errors(RefCell<Vec<SettingsError>>);

impl Errors {
    pub(crate) fn push(&self, error: SettingsError) {
        self.0.borrow_mut().push(error);
    }

    pub(crate) fn extend(&self, errors: impl IntoIterator<Item = SettingsError>) {
        self.0.borrow_mut().extend(errors);
    }

    /// Adds what is wrong at a place.
    pub fn at(&self, place: &Place, wrong: Wrong) {
        self.push(SettingsError { suggestion: wrong.suggestion, ..place.error(wrong.code, wrong.text) });
    }

    /// How many there are so far.
    pub(crate) fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// Those after the first `count`.
    pub(crate) fn after(&self, count: usize) -> Vec<SettingsError> {
        self.0.borrow().iter().skip(count).cloned().collect()
    }

    pub(crate) fn into_inner(self) -> Vec<SettingsError> {
        self.0.into_inner()
    }
}

/// What is wrong with a value, before it is known where it stands.
#[derive(Debug)]
pub struct Wrong {
    code: Code,
    text: String,
    suggestion: Option<String>,
}

impl Wrong {
    /// What is wrong in a sentence, under a code for machines.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), suggestion: None }
    }

    /// A value of the right type that is none of those allowed.
    pub fn value(text: impl Into<String>) -> Self {
        Self::new(Code::BadValue, text)
    }

    /// Understood, but this build does not do it.
    pub(crate) fn not_available(what: &str, instead: impl Into<String>) -> Self {
        Self::new(Code::NotAvailable, format!("this build does not support {what} yet")).suggest(instead)
    }

    /// The same with what to write instead.
    #[must_use]
    pub fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }
}

/// A value as it may be repeated in an error.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", one_line(text, SHOWN))
}

/// A table whose keys are asked for one by one; what its description does not have is unknown.
#[derive(Debug)]
pub struct Shape<'a> {
    what: String,
    table: &'static Table,
    place: &'a Place,
    entries: &'a [Entry],
    errors: &'a Errors,
    /// Keys that have to be there and are not.
    missing: RefCell<Vec<&'static str>>,
}

impl<'a> Shape<'a> {
    /// A shape over these entries.
    pub(crate) fn new(table: &'static Table, place: &'a Place, entries: &'a [Entry], errors: &'a Errors) -> Self {
        Self { what: table.title.to_owned(), table, place, entries, errors, missing: RefCell::default() }
    }

    /// The same under another name in errors.
    pub(crate) fn called(self, what: impl Into<String>) -> Self {
        Self { what: what.into(), ..self }
    }

    /// A shape over a node that has to be a table.
    pub fn of(table: &'static Table, node: &'a Node, errors: &'a Errors) -> Option<Self> {
        match &node.value {
            Value::Table(entries) => Some(Self::new(table, &node.place, entries, errors)),
            _ => wrong_type("a table", node, errors),
        }
    }

    /// The value of a key, where it is set. A key that the table's description does not have is never set: it is unknown to everybody.
    pub(crate) fn get(&self, key: &'static str) -> Option<&'a Node> {
        self.entries.iter().find(|entry| entry.key == key && self.table.has(key)).map(|entry| &entry.node)
    }

    /// The value of a key that has to be there.
    pub fn required<T>(&self, key: &'static str, read: impl Fn(&'a Node, &'a Errors) -> Option<T>) -> Option<T> {
        let node = self.get(key);
        if node.is_none() {
            self.missing.borrow_mut().push(key);
        }
        node.and_then(|node| read(node, self.errors))
    }

    /// The value of a key, or `default`; `None` only where the value is wrong.
    pub fn or<T>(&self, key: &'static str, default: T, read: impl Fn(&'a Node, &'a Errors) -> Option<T>) -> Option<T> {
        self.get(key).map_or(Some(default), |node| read(node, self.errors))
    }

    /// The value of a key, if there is one; `None` only where the value is wrong.
    pub fn optional<T>(&self, key: &'static str, read: impl Fn(&'a Node, &'a Errors) -> Option<T>) -> Option<Option<T>> {
        self.get(key).map_or(Some(None), |node| read(node, self.errors).map(Some))
    }

    /// Where what is wrong goes.
    pub(crate) const fn errors(&self) -> &'a Errors {
        self.errors
    }

    /// Reports the keys that the table does not have, and those that have to be there and are not. One that is there under a misspelled name
    /// is one mistake.
    pub fn finish(self) {
        let known = self.table.names();
        let mut missing = self.missing.take();
        for entry in self.entries.iter().filter(|entry| !self.table.has(&entry.key)) {
            let wrong = self.misplaced(&entry.key).unwrap_or_else(|| {
                let wrong = Wrong::new(Code::UnknownKey, format!("{} has no key {}", self.what, quoted(&entry.key)));
                let meant = nearest(&entry.key, &known).and_then(|best| missing.iter().position(|key| *key == best));
                match meant.map(|at| missing.remove(at)) {
                    Some(meant) if self.what == TOP_LEVEL => wrong.suggest(format!("write [{meant}], which there has to be")),
                    Some(meant) => wrong.suggest(format!("write \"{meant}\", which {} has to have", self.what)),
                    None => wrong.suggest(instead(&entry.key, &known)),
                }
            });
            self.errors.at(&entry.place, wrong);
        }
        missing.into_iter().for_each(|key| self.lacks(key));
    }

    fn lacks(&self, key: &str) {
        let table = self.what == TOP_LEVEL;
        let suggestion = if table { format!("add a table [{key}]") } else { format!("add \"{key}\" to {}", self.what) };
        let error = self.place.error(Code::Missing, format!("{} has no \"{key}\"", self.what));
        self.errors.push(SettingsError { suggestion: Some(suggestion), key: Some(self.place.key_below(key)), ..error });
    }

    /// A key of another table that stands below the wrong header: in TOML a header holds all that follows it, up to the next one.
    fn misplaced(&self, key: &str) -> Option<Wrong> {
        let owner = tables::owner(self.table, key)?;
        let (at, right) = match self.place.header() {
            Some(header) => (format!("below {header} ({})", self.place), header),
            None if self.what == TOP_LEVEL => ("above the first header".to_owned(), ""),
            None => return None,
        };
        let title = owner.table.title;
        let wrong = Wrong::new(Code::UnknownKey, format!("{} is a key of {title}, and stands {at}", quoted(key)));
        Some(wrong.suggest(if owner.is_around {
            format!("a header holds all that follows it, up to the next one: move \"{key}\" above {right}")
        } else {
            format!("a header holds all that follows it, up to the next one: move \"{key}\" below {title}")
        }))
    }
}

pub(crate) fn wrong_type<T>(expected: &str, node: &Node, errors: &Errors) -> Option<T> {
    let wrong = Wrong::new(Code::WrongType, format!("expected {expected}, found {}", node.value.kind()));
    errors.at(
        &node.place,
        wrong.suggest(match (&node.value, expected) {
            (Value::Other { raw, .. }, "a string") => format!("write it in quotes: \"{raw}\""),
            (Value::Bool(value), "a string") => format!("write it in quotes: \"{value}\""),
            (Value::Text(text), "an array") => format!("write a list: [{}]", quoted(text)),
            (Value::Table(_), "an array") => "write a list: [{ … }]".to_owned(),
            (_, "an array") => "write a list: [\"…\"]".to_owned(),
            (_, "a table") => "write { KEY = VALUE }".to_owned(),
            (_, "a boolean") => "write true or false, without quotes".to_owned(),
            _ => "write one value in quotes: \"…\"".to_owned(),
        }),
    );
    None
}

/// `true` or `false`.
pub fn boolean(node: &Node, errors: &Errors) -> Option<bool> {
    match &node.value {
        Value::Bool(value) => Some(*value),
        _ => wrong_type("a boolean", node, errors),
    }
}

/// Whether a value is one that `omens init` left to a person.
pub(crate) fn is_fill_in(node: &Node) -> bool {
    matches!(&node.value, Value::Text(text) if text.starts_with(FILL_IN))
}

/// A string of which `parse` makes a value.
pub fn parsed<T>(parse: impl Fn(&str) -> Result<T, Wrong>) -> impl Fn(&Node, &Errors) -> Option<T> {
    move |node, errors| match &node.value {
        Value::Text(text) if is_fill_in(node) => {
            let what = text.trim_start_matches(FILL_IN).trim_start_matches([':', ' ']);
            errors.at(&node.place, Wrong::new(Code::FillIn, format!("to be filled in: {}", one_line(what, 3 * SHOWN))));
            None
        }
        Value::Text(text) => parse(text).map_err(|wrong| errors.at(&node.place, wrong)).ok(),
        _ => wrong_type("a string", node, errors),
    }
}

/// One of a closed set of words.
pub fn one_of<T: Copy>(words: &[(&str, T)]) -> impl Fn(&Node, &Errors) -> Option<T> {
    parsed(move |text| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        found.ok_or_else(|| {
            Wrong::value(format!("expected one of {}, found {}", known.join(", "), quoted(text))).suggest(instead(text, &known))
        })
    })
}

/// An array, each element read; `None` when one of them is wrong.
pub fn list<'a, T>(read: impl Fn(&'a Node, &'a Errors) -> Option<T>) -> impl Fn(&'a Node, &'a Errors) -> Option<Vec<T>> {
    move |node, errors| match &node.value {
        Value::Array(items) => {
            let read: Vec<Option<T>> = items.iter().map(|item| read(item, errors)).collect();
            read.into_iter().collect()
        }
        _ => wrong_type("an array", node, errors),
    }
}

/// A value and where it stands, for checks that need more than itself.
pub fn placed<'a, T>(read: impl Fn(&'a Node, &'a Errors) -> Option<T>) -> impl Fn(&'a Node, &'a Errors) -> Option<(&'a Place, T)> {
    move |node, errors| read(node, errors).map(|value| (&node.place, value))
}

/// The one entry of an externally tagged value, `{ TAG = { … } }`: the tag and what it is set to.
///
/// Tags of `later` are those that are understood, but that this build does not do.
pub(crate) fn tagged<'a>(
    what: &str,
    known: &[&'static str],
    later: &[&str],
    node: &'a Node,
    errors: &'a Errors,
) -> Option<(&'static str, &'a Node)> {
    let Value::Table(entries) = &node.value else {
        return wrong_type("a table", node, errors);
    };
    let [entry] = entries.as_slice() else {
        let wrong = Wrong::value(format!("a {what} has exactly one kind, found {}", entries.len()));
        errors.at(&node.place, wrong.suggest(format!("write one entry for each: {{ {} = {{ … }} }}", known.join(" = { … } } or { "))));
        return None;
    };
    if let Some(tag) = known.iter().find(|tag| **tag == entry.key) {
        return Some((tag, &entry.node));
    }
    errors.at(
        &entry.place,
        if later.contains(&entry.key.as_str()) {
            Wrong::not_available(&format!("the {what} \"{}\"", entry.key), format!("use one of: {}", known.join(", ")))
        } else {
            Wrong::new(Code::UnknownKey, format!("there is no {what} {}", quoted(&entry.key))).suggest(instead(&entry.key, known))
        },
    );
    None
}
