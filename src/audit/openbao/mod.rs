//! OpenBao and Vault listener configuration, and PKI roles.

pub mod lints;

use std::path::{Path, PathBuf};

use super::sheet::Sheet;
use super::wiring::Wiring;
use crate::io::look::View;

/// Reads what the service reads, from this file or directory on.
#[must_use]
pub fn read(_view: &View, _start: &Path, _sheet: &mut Sheet) -> Wiring {
    Wiring::default()
}

/// Where its files usually lie.
#[must_use]
pub fn usual(_view: &View) -> Vec<PathBuf> {
    Vec::new()
}
