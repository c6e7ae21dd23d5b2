//! Files and directories that were named on the command line, and files that are damaged.

use super::super::estate::{CERT, Estate, KEY, ROOT, ids, pems};
use crate::audit::facts::findings::HostFindings;
use crate::audit::facts::given::Given;
use crate::io::look::View;
use crate::judge::assess::Requirements;
use crate::judge::kit::{self as certs};
use crate::model::audit::{Document, Verdict};
use crate::model::finding::Severity;
use crate::model::profile::Purpose;
use std::path::Path;

/// A file or directory that was named on the command line.
fn target(estate: &Estate, path: &str) -> Document {
    let view = View::root(estate.top.path()).unwrap();
    let asked = Requirements { purpose: Some(Purpose::Server), ..Requirements::default() };
    let given = Given { anchors: estate.anchors.clone(), asked, ..Given::default() };
    let basis = super::super::Basis { view: &view, given: &given, pinned: true };
    let mut findings = HostFindings::new(estate.at, "web");
    super::super::file(&basis, Path::new(path), &mut findings);
    findings.into_document()
}

#[test]
fn a_named_file_is_judged_by_the_anchors_that_were_given_and_no_other() {
    let mut estate = Estate::new();
    let without = target(&estate, CERT);
    assert_eq!((ids(&without, Severity::High), without.chains[0].verdict), (vec!["anchor.none".to_owned()], Verdict::Reject));
    estate.anchors = vec![estate.pki.root.der.clone()];
    let with = target(&estate, CERT);
    assert_eq!((ids(&with, Severity::High), with.chains[0].verdict), (vec![], Verdict::Accept));
    assert_eq!(ids(&target(&estate, "/etc/tls/nothing.pem"), Severity::Medium), ["input.absent"]);
    estate.put("/etc/tls/junk", "junk", 0o644);
    assert_eq!(ids(&target(&estate, "/etc/tls/junk"), Severity::High), ["input.malformed"]);
}

#[test]
fn a_directory_is_gone_into_and_each_of_its_files_is_judged_as_if_it_were_named() {
    let mut estate = Estate::new();
    estate.anchors = vec![estate.pki.root.der.clone()];
    estate.put("/etc/tls/intermediate.pem", pems(&[&estate.pki.middle.der]), 0o644);
    estate.put("/etc/tls/below/web.crt", pems(&[&estate.pki.leaf(), &estate.pki.middle.der]), 0o644);
    estate.link("/etc/tls/below/up", "/etc/tls");
    let healthy = target(&estate, "/etc/tls");
    // The root, the intermediate, and two of the leaf.
    assert_eq!(healthy.chains.len(), 4);
    let of = |document: &Document, path: &str| -> Vec<String> {
        let named = document.findings.iter().filter(|finding| finding.files.iter().any(|file| file.path == path));
        named.map(|finding| finding.id.clone()).collect()
    };
    for file in ["/etc/tls/intermediate.pem", "/etc/tls/below/web.crt"] {
        assert_eq!(of(&healthy, file), of(&target(&estate, file), file), "{file}");
    }
    assert_eq!(of(&healthy, "/etc/tls/below/web.crt"), ["name.localhost"]);
    estate.put("/etc/tls/below/web.key", certs::key().serialize_pem(), 0o644);
    let beside = ids(&target(&estate, "/etc/tls"), Severity::High);
    assert!(["key.readable-by-others", "pair.mismatch"].iter().all(|id| beside.iter().any(|found| found == id)), "{beside:?}");
}

/// Whatever is done to the files, the audit ends and says something.
#[test]
fn damaged_files_never_break_the_audit() {
    let estate = Estate::new();
    let good = [pems(&[&estate.pki.leaf(), &estate.pki.middle.der]), estate.pki.key.serialize_pem(), pems(&[&estate.pki.root.der])];
    let mut seed = 0x2545_f491_u32;
    let mut next = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        usize::try_from(seed).unwrap() % below
    };
    for _ in 0..150 {
        for (path, text) in [CERT, KEY, ROOT].iter().zip(&good) {
            let mut bytes = text.clone().into_bytes();
            for _ in 0..next(4) {
                let at = next(bytes.len());
                match next(3) {
                    0 => bytes[at] = u8::try_from(next(256)).unwrap(),
                    1 => bytes.truncate(at + 1),
                    _ => drop(bytes.splice(at..at, good[next(3)].bytes().take(200))),
                }
            }
            estate.put(path, bytes, 0o600);
        }
        let document = estate.audit();
        let silent: Vec<_> = document.findings.iter().filter(|f| f.severity > Severity::Info && f.remedy.is_empty()).collect();
        assert!(silent.is_empty(), "{silent:?}");
    }
}

#[test]
fn a_named_file_without_a_certificate_is_no_silence() {
    let mut estate = Estate::new();
    estate.anchors = vec![estate.pki.root.der.clone()];
    let key = certs::key().serialize_pem();
    let block = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    let rows: [(&str, String, Severity, &str, &str); 8] = [
        ("empty", String::new(), Severity::High, "an empty file", "name the file"),
        ("blank", " \n\n".to_owned(), Severity::High, "an empty file", "name the file"),
        ("request", block("CERTIFICATE REQUEST"), Severity::High, "a certificate signing request", "name the file"),
        ("pkcs7", block("PKCS7"), Severity::High, "a PKCS#7 file", "openssl pkcs7"),
        ("other", block("EC PARAMETERS"), Severity::High, "a block EC PARAMETERS", "name the file"),
        ("encrypted", block("ENCRYPTED PRIVATE KEY"), Severity::Medium, "an encrypted private key", "--key"),
        ("key", key.clone(), Severity::Medium, "a private key", "--key"),
        ("flat", key.replace('\n', ""), Severity::High, "its line breaks are lost", "fold -w 64"),
    ];
    for (what, text, severity, words, remedy) in rows {
        let path = format!("/etc/tls/{what}.pem");
        estate.put(&path, text, 0o600);
        let document = target(&estate, &path);
        let said = |f: &&crate::model::audit::Finding| f.id == "input.malformed" && f.found.contains(words) && f.remedy.contains(remedy);
        let finding = document.findings.iter().find(said).unwrap_or_else(|| panic!("{what}: {:?}", document.findings));
        assert_eq!(finding.severity, severity, "{what}");
    }
    // Beside certificates they are where they belong.
    let beside = target(&estate, "/etc/tls").findings;
    let malformed = |name: &str| beside.iter().any(|f| f.id == "input.malformed" && f.files.iter().any(|file| file.path.ends_with(name)));
    assert!(!["empty.pem", "request.pem", "key.pem", "encrypted.pem"].iter().any(|name| malformed(name)) && malformed("flat.pem"));
}
