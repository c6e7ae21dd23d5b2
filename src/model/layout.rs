//! Names and fixed contents of what lies on disk ([What lies where](crate::steps::swap#what-lies-where)); it must never touch a disk.

use std::path::Path;

use super::name::{CertName, Generation};

/// Directory of all certificates in the state directory.
pub const CERTS: &str = "certs";
/// The link to the generation that counts: committed in the state directory, published in the run directory.
pub const LIVE: &str = "live";
/// State of one certificate.
pub const STATE: &str = "state.json";
/// Of one certificate: hashes of what was written at consumers' own paths under a password.
pub const COPIES: &str = "copies.json";
/// How the names of [`withdrawn_mark`]s begin.
const WITHDRAWN: &str = "withdrawn-";
/// The history.
pub const LEDGER: &str = "ledger.jsonl";
/// The size in bytes at which the history is put aside, some 25,000 lines, and how many old ones are kept.
pub const LEDGER_LIMIT: u64 = 8 * 1024 * 1024;
/// See [`LEDGER_LIMIT`].
pub const LEDGER_KEPT: usize = 4;
/// What was told to have failed and did not recover yet (`notify`).
pub const NOTIFIED: &str = "notified.json";
/// Which settings file the state directory belongs to.
pub const SETTINGS: &str = "settings.json";
/// How long logins last that were used, where that is known.
pub const LOGINS: &str = "logins.json";
/// What was found intact, and what the kernel noted of its files then.
pub const SEEN: &str = "seen.json";
/// In the run directory: the certificates that the run which holds the lock is about to have signed.
pub const WORKING: &str = ".working.json";
/// The lock; its time is that of the last run.
pub const LOCK: &str = "lock";
/// The leaf.
pub const CERT: &str = "cert.pem";
/// The intermediates, leaf side first, never the root; may be empty.
pub const CHAIN: &str = "chain.pem";
/// Leaf and intermediates.
pub const FULLCHAIN: &str = "fullchain.pem";
/// The private key: PKCS#8 PEM.
pub const KEY: &str = "key.pem";
/// The mode of what holds a private key in the state directory.
pub const SECRET_MODE: u32 = 0o600;
/// The private key, sealed (`model::sealed`); in place of [`KEY`] in the state directory.
pub const SEALED_KEY: &str = "key.sealed";
/// A private key that stays in its TPM (`model::resident`); in place of [`KEY`] in the state directory.
pub const RESIDENT_KEY: &str = "key.resident";
/// Directory of sealing keys in the state directory.
pub const SEAL: &str = "seal";
/// The pinned storage root key in [`SEAL`].
pub const SRK: &str = "srk.json";
/// Directory of the attestation agent in the state directory.
pub const ATTEST: &str = "attest";
/// The attestation key in [`ATTEST`].
pub const AK: &str = "ak.json";
/// What a person had issued without a verdict, in [`ATTEST`], until the next pass.
pub const BREAK_GLASS: &str = "break-glass.json";
/// The last verdict, in the run directory.
pub const VERDICT: &str = ".attest.json";
/// Full chain, then key.
pub const COMBINED: &str = "combined.pem";
/// Key, then full chain; only where `install` asks for it, as the two below.
pub const COMBINED_KEY_FIRST: &str = "combined-key-first.pem";
/// Key and chain as PKCS #12 (RFC 7292).
pub const PKCS12: &str = "keystore.p12";
/// Key and chain as Java's own keystore.
pub const JKS: &str = "keystore.jks";
/// Hashes of a generation.
pub const META: &str = "meta.json";
/// Directory of revocation lists in the state directory.
pub const CRL: &str = "crl";
/// Directory of trust anchors in the run directory.
pub const TRUST: &str = "trust";
/// The pinned root in [`TRUST`]; in the state directory all pinned roots, this one first.
pub const ANCHOR: &str = "anchor.pem";
/// All pinned roots in [`TRUST`].
pub const ANCHORS: &str = "anchors.pem";
/// All pinned roots and every intermediate of a committed chain, in [`TRUST`].
pub const BUNDLE: &str = "bundle.pem";
/// Those intermediates alone, in [`TRUST`].
pub const INTERMEDIATES: &str = "intermediates.pem";

/// The file beside a generation that says that it is withdrawn: empty, so that it outlives `state.json`.
#[must_use]
pub fn withdrawn_mark(generation: Generation) -> String {
    format!("{WITHDRAWN}{}", generation.0)
}

/// The generation that a file of this name marks as withdrawn.
#[must_use]
pub fn marked_by(name: &str) -> Option<Generation> {
    Generation::parse(&format!("gen-{}", name.strip_prefix(WITHDRAWN)?))
}

/// The file in a certificate's directory that says that it had this name before: sealed keys from then are bound to it.
#[must_use]
pub fn earlier_name(name: &CertName) -> String {
    format!("was-{name}")
}

/// Whether this is what a killed run left of a file that is replaced in the state directory itself.
#[must_use]
pub fn is_half_made(name: &str) -> bool {
    let of = |file: &&str| name.strip_prefix('.').and_then(|rest| rest.strip_prefix(*file)).is_some_and(|rest| rest.starts_with('.'));
    [ANCHOR, SETTINGS, LOGINS, SEEN].iter().any(of)
}

/// What the data file of a plugin of SPIRE's is called, in a generation and beside it.
#[must_use]
pub fn spire_data(kind: &str, name: &str) -> String {
    format!("spire-{kind}-{name}.json")
}

/// The directory of a generation as consumers see it.
#[must_use]
pub fn run_generation(run: &Path, name: &CertName, generation: Generation) -> std::path::PathBuf {
    run.join(name.as_str()).join(generation.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_names_one_generation_and_nothing_else_is_a_mark() {
        assert_eq!(marked_by(&withdrawn_mark(Generation(12))), Some(Generation(12)));
        for other in ["withdrawn-", "withdrawn-0", "withdrawn-07", "withdrawn-7a", "withdrawn-gen-7", ".withdrawn-7", "gen-7"] {
            assert_eq!(marked_by(other), None, "{other}");
        }
    }
}
