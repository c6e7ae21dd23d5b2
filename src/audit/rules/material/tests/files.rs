//! The files of a pair: what is wrong with them by themselves.

use super::super::estate::{CERT, Estate, KEY, pems};
use super::{Row, check, found};
use crate::judge::kit::{self as certs};
use crate::model::finding::Severity;

const FILES: &[Row] = &[
    ("certificate absent", |e| e.remove(CERT), "pair.certificate-absent", Severity::High),
    (
        "a dangling link",
        |e| {
            e.remove(CERT);
            e.link(CERT, "/etc/tls/gone.pem");
        },
        "pair.certificate-absent",
        Severity::High,
    ),
    (
        "a link to itself",
        |e| {
            e.remove(CERT);
            e.link(CERT, CERT);
        },
        "pair.certificate-absent",
        Severity::High,
    ),
    ("a directory", |e| e.wiring.pairs[0].certificate = "/etc/tls".into(), "pair.certificate-absent", Severity::High),
    ("key absent", |e| e.remove(KEY), "pair.key-absent", Severity::High),
    ("certificate empty", |e| e.put(CERT, "\n", 0o644), "pair.certificate-empty", Severity::High),
    ("key empty", |e| e.put(KEY, "", 0o600), "pair.no-key", Severity::High),
    ("a key instead of the certificate", |e| e.put(CERT, e.pki.key.serialize_pem(), 0o600), "pair.no-certificate", Severity::High),
    ("a certificate instead of the key", |e| e.put(KEY, pems(&[&e.pki.leaf()]), 0o600), "pair.no-key", Severity::High),
    ("DER", |e| e.put(CERT, e.pki.leaf(), 0o644), "pair.certificate-der", Severity::High),
    (
        "truncated",
        |e| {
            let text = pems(&[&e.pki.leaf()]);
            e.put(CERT, &text[..text.len() - 60], 0o644);
        },
        "pair.certificate-malformed",
        Severity::High,
    ),
    (
        "truncated key",
        |e| {
            let text = e.pki.key.serialize_pem();
            e.put(KEY, &text[..100], 0o600);
        },
        "pair.key-malformed",
        Severity::High,
    ),
    ("another key", |e| e.put(KEY, certs::key().serialize_pem(), 0o600), "pair.mismatch", Severity::High),
    (
        "encrypted",
        |e| e.put(KEY, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", 0o600),
        "pair.key-encrypted",
        Severity::High,
    ),
    (
        "glued",
        |e| {
            let text = pems(&[&e.pki.leaf(), &e.pki.middle.der]).replace("-----\n-----", "----------");
            e.put(CERT, text, 0o644);
        },
        "pem.glued",
        Severity::High,
    ),
    (
        "indented",
        |e| {
            let text = pems(&[&e.pki.leaf(), &e.pki.middle.der]).replace("-----BEGIN", " -----BEGIN");
            e.put(CERT, text, 0o644);
        },
        "pem.indented",
        Severity::High,
    ),
    (
        "byte order mark",
        |e| {
            let text = format!("\u{feff}{}", pems(&[&e.pki.leaf(), &e.pki.middle.der]));
            e.put(CERT, text, 0o644);
        },
        "pem.bom",
        Severity::Medium,
    ),
    (
        "Windows",
        |e| {
            let text = pems(&[&e.pki.leaf(), &e.pki.middle.der]).replace('\n', "\r\n");
            e.put(CERT, text, 0o644);
        },
        "pem.crlf",
        Severity::Low,
    ),
];

#[test]
fn what_is_wrong_with_the_files_of_a_pair_is_named() {
    check(FILES);
}

#[test]
fn the_two_files_of_a_mismatch_are_named_with_where_their_other_halves_lie() {
    let estate = Estate::new();
    let (other, leaf) = (certs::key(), certs::leaf());
    estate.put(KEY, other.serialize_pem(), 0o600);
    estate.put("/etc/tls/new.pem", pems(&[&estate.pki.middle.sign(&leaf, &other)]), 0o644);
    let document = estate.audit();
    let finding = found(&document, "pair.mismatch");
    assert_eq!(finding.files.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), [CERT, "/etc/nginx/nginx.conf", KEY]);
    assert_eq!(finding.files[1].line, Some(7));
    assert!(finding.evidence.iter().any(|line| line.ends_with("in /etc/tls/new.pem")), "{:?}", finding.evidence);
}
