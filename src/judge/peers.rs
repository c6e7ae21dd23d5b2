//! What peers of other kinds would say, by a table of measurements ([Peers](crate::judge#peers)). It must never be taken for our own
//! verdict: it predicts.

use super::cert::Facts;
use super::lint;
use crate::model::audit::{Peers, Verdict};
use crate::model::clock::Time;
use crate::model::finding::Finding;

const RUSTLS: &str = "rustls";
const OPENSSL: &str = "openssl";
const PYTHON: &str = "python";
const GO: &str = "go";

/// Which kinds of peer refuse a certificate with this finding: rustls, OpenSSL as nginx and Keylime use it, Python 3.13 and later, Go.
#[must_use]
pub fn breaks(id: &str) -> &'static [&'static str] {
    match id {
        "cert.malformed" | "ext.duplicate" | "ext.unknown-critical" | "signature.algorithm-differs" | "eku.missing" | "key.unsound" => ALL,
        "name.missing" | "pair.mismatch" => ALL,
        "validity.expired" | "validity.not-yet-valid" | "validity.inverted" => ALL,
        "path.none" | "path.other-root" | "path.missing-intermediate" | "path.signature" | "path.ca-not-valid-now" | "path.not-a-ca" => ALL,
        "path.too-long" | "path.name-constraints" | "path.ca-eku" | "anchor.other-key" | "anchor.none" => ALL,
        "eku.empty" | "crl.missing" | "crl.revoked" | "crl.expired" | "crl.signature" | "crl.malformed" | "crl.unsupported" => {
            &[RUSTLS, OPENSSL, PYTHON]
        }
        "validity.unreadable" => &[RUSTLS, OPENSSL, PYTHON],
        "path.rustls-depth" => &[RUSTLS],
        "signature.weak" => &[RUSTLS, PYTHON, GO],
        "name.only-in-common-name" | "name.absent" | "name.partial-wildcard" => &[RUSTLS, GO],
        "key.not-everywhere" => &[RUSTLS, GO],
        "cert.version" | "cert.unique-id" | "bc.ca-leaf" => &[RUSTLS],
        "ca.weak-key" => &[RUSTLS, PYTHON],
        "aki.critical" | "ski.critical" | "anchor.not-valid-now" | "ca.no-cert-sign" => &[OPENSSL, PYTHON, GO],
        "aki.mismatch" | "ca.empty-subject" | "crl.number-critical" | "crl.issuer-no-crl-sign" => &[OPENSSL, PYTHON],
        "anchor.aki" => &[OPENSSL],
        "anchor.not-a-ca" => &[PYTHON, GO],
        "aki.absent" | "ca.no-ski" | "ca.no-key-usage" | "ca.bc-not-critical" | "name.san-not-critical" | "ku.ca-on-leaf" => &[PYTHON],
        "bc.path-length-on-leaf" | "key.weak" => &[PYTHON],
        "ca.name-constraints-empty" | "serial.negative" | "ext.malformed" => &[GO],
        _ => &[],
    }
}

const ALL: &[&str] = &[RUSTLS, OPENSSL, PYTHON, GO];

/// Findings that break a peer in general, and of which a path that webpki found says more: rustls is content with it.
const SEEN_BY_WEBPKI: [&str; 4] = ["ext.unknown-critical", "ext.duplicate", "signature.weak", "ca.weak-key"];

/// What each would say of a leaf with these findings; `found` is whether webpki found a path.
pub(super) fn judge(findings: &[Finding], leaf: Option<&Facts>, found: bool, now: Time) -> Peers {
    let Some(leaf) = leaf else {
        let no = Verdict::Reject;
        return Peers { rustls: no, openssl: no, python: no, go: no };
    };
    // At notAfter itself only OpenSSL says expired.
    let last_second = now == leaf.not_after;
    let refuses = |peer: &'static str| {
        findings.iter().any(|finding| match finding.id.as_str() {
            id if id == lint::EXPIRED.id && last_second => peer == OPENSSL || peer == PYTHON,
            id if SEEN_BY_WEBPKI.contains(&id) && peer == RUSTLS => !found,
            // RSA-1024 is fine for Go, small curves are not.
            "key.weak" if peer == GO || peer == RUSTLS => leaf.key.kind.is_of_other_curve(),
            id => breaks(id).contains(&peer),
        })
    };
    let verdict = |peer| if refuses(peer) { Verdict::Reject } else { Verdict::Accept };
    let rustls = if found { verdict(RUSTLS) } else { Verdict::Reject };
    Peers { rustls, openssl: verdict(OPENSSL), python: verdict(PYTHON), go: verdict(GO) }
}
