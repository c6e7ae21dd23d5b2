//! HCL as SPIRE, OpenBao and Vault read it (HCL 1 and its JSON form), with the line of every key. It must never know what a key means, and
//! what it makes of a hostile file is bounded: depth and number of values.

mod parse;
mod scan;

pub use parse::parse;

/// One `key = value` or `key "label" { … }`. Labels are bodies within bodies, as HCL's own decoder has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name, without quotes.
    pub key: String,
    /// Where it begins, from 1.
    pub line: u32,
    /// What it is set to.
    pub value: Value,
}

/// What a key is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string or heredoc.
    Text(String),
    /// A number, as it is written.
    Number(String),
    /// `true` or `false`.
    Bool(bool),
    /// `null`, in JSON only.
    Null,
    /// `[ … ]`.
    List(Vec<Value>),
    /// `{ … }`.
    Body(Body),
}

impl Value {
    /// A string, number or boolean as HCL's weak decoding makes a string of it.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text.clone()),
            Self::Bool(flag) => Some(flag.to_string()),
            Self::Null | Self::List(_) | Self::Body(_) => None,
        }
    }

    /// Every string of a list, or the one string that stands for a list.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        match self {
            Self::List(list) => list.iter().filter_map(Self::text).collect(),
            one => one.text().into_iter().collect(),
        }
    }

    /// The bodies that it is, or that its list holds: JSON writes repeated blocks as a list.
    #[must_use]
    pub fn bodies(&self) -> Vec<&Body> {
        match self {
            Self::Body(body) => vec![body],
            Self::List(list) => list.iter().filter_map(|value| if let Self::Body(body) = value { Some(body) } else { None }).collect(),
            _ => Vec::new(),
        }
    }
}

/// The items between two braces, or of a whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// In the order of the file.
    pub items: Vec<Item>,
}

impl Body {
    /// The item that counts: HCL's decoder lets the last one win.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Item> {
        self.items.iter().rev().find(|item| item.key.eq_ignore_ascii_case(key))
    }

    /// The text of a key, and where it is.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<(String, u32)> {
        self.get(key).and_then(|item| Some((item.value.text()?, item.line)))
    }

    /// Every body of this name, with its line.
    pub fn bodies<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (&'a Body, u32)> {
        self.items
            .iter()
            .filter(move |item| item.key.eq_ignore_ascii_case(key))
            .flat_map(|item| item.value.bodies().into_iter().map(move |body| (body, item.line)))
    }

    /// Every body of this name that carries a label: `key "label" { … }`.
    pub fn labelled<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (&'a Item, &'a Body)> {
        self.bodies(key).flat_map(|(body, _)| &body.items).flat_map(|item| item.value.bodies().into_iter().map(move |body| (item, body)))
    }
}

/// Where a file stops being HCL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HclError {
    /// From 1.
    pub line: u32,
    /// What should have been there.
    pub expected: &'static str,
    /// What is there.
    pub found: String,
}

#[cfg(test)]
mod tests;
