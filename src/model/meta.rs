//! `meta.json` of a generation: what its files are, and how they reach consumers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::anchor::Fingerprint;
use super::canonical::Bytes;
use super::clock::Time;
use super::key::Keep;
use super::name::Generation;

/// `meta.json`: for detecting change, and for publishing where the settings are broken; not a defence against root. What a newer version
/// adds is passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Version of the format: 1.
    pub v: u32,
    /// The certificate's name.
    pub name: String,
    /// The generation.
    pub generation: Generation,
    /// When its certificate was staged: `reseal`, which keeps that, keeps this as well.
    pub staged: Time,
    /// SHA-256 of the SubjectPublicKeyInfo of key and certificate.
    pub spki_sha256: Fingerprint,
    /// SHA-256 of the root it was validated against.
    pub anchor_sha256: Fingerprint,
    /// SHA-256 of each file of the generation but this one.
    pub files: BTreeMap<String, Fingerprint>,
    /// Of a sealed key: SHA-256 of the PEM that consumers get, by which it is known in the run tree without the TPM. It tells no more about
    /// the key than the certificate beside it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_key_sha256: Option<Fingerprint>,
    /// How the key is kept. This and what follows is not there in what older versions wrote.
    #[serde(default)]
    pub keep: Option<Keep>,
    /// Who owns the published key, as the settings said it.
    #[serde(default)]
    pub owner: Option<String>,
    /// Whose group may read it, as the settings said it.
    #[serde(default)]
    pub group: Option<String>,
    /// Of a sealed key: the Name of the storage root key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub srk: Option<Bytes>,
    /// Of a sealed key: the TPM, as the settings said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcti: Option<String>,
    /// What drivers put beside the published files, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rendered: BTreeMap<String, String>,
    /// Copies at consumers' own paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<Copies>,
    /// What is published beside the files that are always there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<NotedContainer>,
}

/// A file that is made only where `install` asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotedContainer {
    /// Its word.
    pub part: String,
    /// Where its password lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<PathBuf>,
}

/// Copies in one directory of a consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copies {
    /// The directory.
    pub dir: PathBuf,
    /// The file name of each part that is copied, by the part's key in the settings.
    pub files: BTreeMap<String, String>,
    /// Where the password of those that need one lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<PathBuf>,
}
