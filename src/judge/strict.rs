//! Which lints are rules about a path (RFC 5280, and what validators agree on beyond webpki, as x509-limbo has it): verdict `path` is theirs
//! alone, and each of them refuses. It must never hold a lint about taste: lifetimes, surplus, order, usages nobody asked about.

use std::collections::BTreeMap;

use super::lint::audit::{self as more, ALL as MORE};
use super::lint::{self, Lint};
use crate::model::finding::Severity;

const OF_PATH: &[Lint] = &[
    lint::MALFORMED,
    lint::VERSION,
    lint::UNIQUE_ID,
    lint::SERIAL_ZERO,
    lint::SERIAL_NEGATIVE,
    lint::SERIAL_LONG,
    lint::SIGNATURE_WEAK,
    lint::SIGNATURE_DIFFERS,
    lint::EXT_CRITICAL,
    lint::EXT_DUPLICATE,
    lint::EXT_MALFORMED,
    lint::CA_LEAF,
    lint::NC_LEAF,
    lint::AKI_ABSENT,
    lint::AKI_CRITICAL,
    lint::AKI_MISMATCH,
    lint::SKI_CRITICAL,
    lint::PAIR_MISMATCH,
    lint::KEY_UNSOUND,
    lint::EKU_ABSENT,
    lint::EKU_MISSING,
    lint::EKU_ANY,
    lint::EKU_CRITICAL,
    lint::KU_CA,
    lint::NAME_MISSING,
    lint::NAME_MALFORMED,
    lint::NAME_CN_SPELLING,
    lint::SAN_CRITICAL,
    lint::SAN_NOT_CRITICAL,
    lint::NOT_YET_VALID,
    lint::EXPIRED,
    lint::INVERTED,
    lint::PATH_NONE,
    lint::PATH_DEPTH_RUSTLS,
    lint::ANCHOR_VERSION,
    lint::PATH_MISSING,
    lint::PATH_OTHER_ROOT,
    lint::PATH_SIGNATURE,
    lint::PATH_CA_EXPIRED,
    lint::PATH_NOT_CA,
    lint::PATH_LENGTH,
    lint::PATH_NAMES,
    lint::PATH_EKU,
    lint::CA_NO_CERT_SIGN,
    lint::CA_BC_NOT_CRITICAL,
    lint::CA_NO_SKI,
    lint::CA_EMPTY_SUBJECT,
    lint::CA_WEAK_KEY,
    lint::CA_NC_SHAPE,
    lint::ANCHOR_EXPIRED,
    lint::ANCHOR_NOT_CA,
    lint::ANCHOR_EKU,
    lint::ANCHOR_AKI,
    more::KEY_WEAK,
    more::KEY_RARE,
    more::EKU_EMPTY,
    more::NAME_ONLY_CN,
    more::NAME_PARTIAL,
    more::PATH_DEEP,
    more::CA_NC_EMPTY,
    more::CA_NC_DOT,
    more::CA_NOT_CRITICAL,
    more::ANCHOR_NONE,
];

/// Whether it is one of them; revocation is, all of it.
pub(super) fn is_of_path(id: &str) -> bool {
    OF_PATH.iter().any(|lint| lint.id == id) || id.starts_with("crl.")
}

/// All of them as refusals.
pub(super) fn severities() -> BTreeMap<String, Severity> {
    lint::ALL.iter().chain(MORE).filter(|lint| is_of_path(lint.id)).map(|lint| (lint.id.to_owned(), Severity::High)).collect()
}
