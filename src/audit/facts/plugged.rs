//! A pair that a plugin of a service reads, as a driver for that plugin is told of it.

use std::path::PathBuf;

use super::hcl::Body;
use crate::model::audit::Location;

/// The options by which a plugin names a pair and what it trusts beside it; dots lead into a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairOptions {
    /// The certificate, with its intermediates where the file holds them.
    pub cert: &'static str,
    /// Its key.
    pub key: &'static str,
    /// The roots, where it has an option for them.
    pub ca: Option<&'static str>,
    /// The intermediates, where they may lie in a file of their own.
    pub chain: Option<&'static str>,
}

/// A plugin's use of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugged {
    /// The pair: an index into [`Wiring::pairs`](super::wiring::Wiring::pairs).
    pub pair: usize,
    /// The plugin's kind, as its service calls it.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Which of its options name the pair.
    pub options: PairOptions,
    /// All of its data.
    pub data: Body,
    /// Where its block begins in the configuration of the service.
    pub block: Location,
    /// Whether its data lie in a file of their own, which is read again while the service runs.
    pub from_file: bool,
    /// The file that the service logs to.
    pub log: Option<PathBuf>,
}
