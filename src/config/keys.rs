//! What a table of the settings may say: one description of each key that its parser, the errors about it and the reference for people
//! share. It must never hold a key that no parser reads; a key that is not here no parser can read.

/// How errors name a file outside all tables.
pub(crate) const TOP_LEVEL: &str = "the top level";

/// A table of the settings.
#[derive(Debug)]
pub struct Table {
    /// How errors name it. Of an entry of several kinds, such as `login approle`, the last word is its kind.
    pub title: &'static str,
    /// What it is, in a sentence or two.
    pub about: &'static str,
    /// Its keys, in the order in which people are told of them.
    pub keys: &'static [Key],
}

impl Table {
    /// The word for it where it is one of several kinds: `approle` of `login approle`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.title.rsplit(' ').next().unwrap_or(self.title)
    }

    /// The names of its keys.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.name).collect()
    }

    /// Whether it has this key.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name)
    }
}

/// One key of a table.
#[derive(Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What it is set to.
    pub kind: Kind,
    /// What holds where it is left out.
    pub otherwise: Otherwise,
    /// A value, as it is written in TOML.
    pub example: &'static str,
    /// What it does, in a sentence or two; in Markdown's marks for code.
    pub about: &'static str,
}

/// What a key is set to.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// An entry of `reload`: the kinds that the drivers bring.
    Drivers,
    /// A list of entries, each of one of these kinds: `[ { KIND = { … } } ]`.
    Entries(&'static [&'static Table]),
    /// `true` or `false`.
    Flag,
    /// A table whose keys are somebody else's: what they are.
    Free(&'static str),
    /// The name of a certificate.
    Name,
    /// A list of whole numbers: what they are.
    Numbers(&'static str),
    /// One entry of one of these kinds: `{ KIND = { … } }`.
    One(&'static [&'static Table]),
    /// A string that holds a number and its unit: `s`, `m`, `h` or `d`.
    Span,
    /// A table.
    Table(&'static Table),
    /// A list of tables of this shape.
    Tables(&'static Table),
    /// A string: what it holds.
    Text(&'static str),
    /// A list of strings: what each holds.
    Texts(&'static str),
    /// One of a closed set of words: which they are.
    Word(fn() -> Vec<&'static str>),
}

/// What holds where a key is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// This, in words.
    Absent(&'static str),
    /// It must not be left out.
    Required,
    /// This value, as it is written in TOML.
    Value(&'static str),
}

impl Key {
    /// A key that has to be there.
    #[must_use]
    pub const fn required(name: &'static str, kind: Kind, example: &'static str, about: &'static str) -> Self {
        Self { name, kind, otherwise: Otherwise::Required, example, about }
    }

    /// A key with a value where it is left out.
    #[must_use]
    pub const fn or(name: &'static str, kind: Kind, default: &'static str, example: &'static str, about: &'static str) -> Self {
        Self { name, kind, otherwise: Otherwise::Value(default), example, about }
    }

    /// A key that may be left out: what holds then.
    #[must_use]
    pub const fn optional(name: &'static str, kind: Kind, absent: &'static str, example: &'static str, about: &'static str) -> Self {
        Self { name, kind, otherwise: Otherwise::Absent(absent), example, about }
    }
}
