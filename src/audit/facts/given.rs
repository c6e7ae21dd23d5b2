//! What a person or the settings gave beside the targets: whom to trust, what to ask of every certificate, and files at unusual places.

use std::path::PathBuf;

use crate::judge::assess::Requirements;

/// A configuration file that the settings name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// [`super::service::Service::name`] of whose it is.
    pub service: &'static str,
    /// Where it lies.
    pub path: PathBuf,
}

/// What was given.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// DER of trusted roots.
    pub anchors: Vec<Vec<u8>>,
    /// DER of certificates that may lie on a path.
    pub intermediates: Vec<Vec<u8>>,
    /// DER of revocation lists.
    pub crls: Vec<Vec<u8>>,
    /// Public keys that a certificate must be for one of, as `rules::material::public_keys` gives them.
    pub keys: Vec<Vec<u8>>,
    /// Files that are read besides those at the usual places.
    pub files: Vec<NamedFile>,
    /// What is asked of every chain.
    pub asked: Requirements,
}
