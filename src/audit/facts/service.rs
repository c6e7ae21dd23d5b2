//! The descriptor of a service: all that the rest of the audit has to know of it. Each folder of `consumer` makes one.

use std::path::{Path, PathBuf};

use super::findings::HostFindings;
use super::program::Program;
use super::started::Started;
use super::variable::Variable;
use super::wiring::Wiring;
use crate::io::look::View;
use crate::judge::lint::Lint;

/// What a reader reads from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The host.
    pub view: &'a View,
    /// Variables that the service's units set; none where one configuration was named.
    pub variables: &'a [Variable],
    /// How units start the service's programs; none where one configuration was named.
    pub started: &'a [Started],
}

/// Reads a configuration from a file or directory on: what it says, and what is wrong with it.
pub type Read = fn(Source<'_>, &Path, &mut HostFindings) -> Wiring;

/// What stands behind the colon of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A path that must be there.
    Path,
    /// A name, such as that of a unit.
    Name,
}

/// One kind of target, `PREFIX:OPERAND` on the command line.
#[derive(Debug)]
pub struct TargetKind {
    /// The word before the colon.
    pub prefix: &'static str,
    /// What follows it.
    pub operand: Operand,
    /// The operand in the help text, such as `FILE`.
    pub value: &'static str,
    /// What else the help text says of it.
    pub note: &'static str,
    /// Reads it.
    pub read: Read,
}

/// A service that the audit knows.
#[derive(Debug)]
pub struct Service {
    /// Its name, as [`super::given::NamedFile`] has it.
    pub name: &'static str,
    /// As texts call it, if people are told that its usual places are looked at.
    pub title: Option<&'static str>,
    /// What a person may name of it.
    pub targets: &'static [TargetKind],
    /// Its configurations at the usual places, as far as they are there.
    pub usual: fn(&View) -> Vec<PathBuf>,
    /// Reads one of them, or one that a unit or the settings name.
    pub read: Read,
    /// Executables whose command lines in units name a configuration.
    pub started_as: &'static [&'static str],
    /// The word by which its units are known if their environment is part of its configuration.
    pub environment: Option<&'static str>,
    /// Words in names and commands of units, in lower case, by which they have to do with it.
    pub unit_words: &'static [&'static str],
    /// Its programs.
    pub programs: &'static [&'static Program],
    /// All that can be wrong with its configuration.
    pub lints: &'static [Lint],
}

impl Service {
    /// One of which nothing is known but its name and what can be wrong; what a descriptor does not say is as here.
    #[must_use]
    pub const fn named(name: &'static str, lints: &'static [Lint]) -> Self {
        Self {
            name,
            title: None,
            targets: &[],
            usual: |_| Vec::new(),
            read: |_, _, _| Wiring::default(),
            started_as: &[],
            environment: None,
            unit_words: &[],
            programs: &[],
            lints,
        }
    }
}
