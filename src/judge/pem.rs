//! PEM text (RFC 7468) to certificates and back. Only CERTIFICATE blocks are taken; a private key is never decoded, kept or shown.

mod placed;
mod quick;

pub use placed::{Placed, placed};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};

use super::lint::{self, Findings};
use crate::model::text;

const CERTIFICATE: &str = "CERTIFICATE";

/// The certificates of a PEM text in their order, as DER that is not parsed yet; what else is there goes into the findings.
#[must_use]
pub fn read(pem: &str, findings: &mut Findings<'_>) -> Vec<Vec<u8>> {
    let plain = pem.trim_start_matches('\u{feff}');
    if plain.len() != pem.len() {
        findings.add(&lint::PEM_BOM, "text that begins with a block", "U+FEFF");
    }
    if plain.contains("\r\n") {
        findings.add(&lint::PEM_CRLF, "lines that end in LF", "CR LF");
    }
    let mut certificates = Vec::new();
    let mut garbage = 0_usize;
    let mut block: Option<(&str, String)> = None;
    for line in plain.lines().map(str::trim) {
        match (block.take(), boundary(line, "BEGIN"), boundary(line, "END")) {
            (open, Some(label), _) => {
                if open.is_some() {
                    findings.add(&lint::PEM_MALFORMED, "a block's own end", format!("BEGIN {label}"));
                }
                block = Some((label, opening(label)));
            }
            (Some((label, body)), None, Some(end)) if end == label => close(label, body, &mut certificates, findings),
            (open, None, None) if flattened(line).is_some() => {
                findings.add(&lint::PEM_MALFORMED, "BEGIN, base64 and END on lines of their own", FLATTENED);
                block = open;
            }
            (Some((label, mut body)), None, None) => {
                if label == CERTIFICATE {
                    body.push_str(line);
                    body.push('\n');
                }
                block = Some((label, body));
            }
            (None, None, None) => garbage += usize::from(!line.is_empty()),
            (_, None, Some(end)) => findings.add(&lint::PEM_MALFORMED, "a block's own end", format!("END {end}")),
        }
    }
    if let Some((label, _)) = block {
        findings.add(&lint::PEM_MALFORMED, format!("END {label}"), "the end of the text");
    }
    if garbage > 0 {
        findings.add(&lint::PEM_GARBAGE, "blocks only", outside(garbage));
    }
    certificates
}

/// What is said of so many lines that belong to no block.
#[must_use]
pub fn outside(lines: usize) -> String {
    format!("{lines} {} outside of any block", if lines == 1 { "line" } else { "lines" })
}

/// What is said of a line that begins as a boundary and goes on as something else.
pub const FLATTENED: &str = "a line that begins with \"-----BEGIN\" and is no PEM line (its line breaks are lost)";
/// What mends it.
pub const UNFLATTEN: &str = "give it its line breaks back: sed -E 's/ *-----(BEGIN|END) [A-Z0-9 ]+----- */\\n&\\n/g' FILE | \
                             sed -E 's/^ +| +$//g; /^-----/!s/ /\\n/g; /^$/d' | fold -w 64 > FILE.new, of a key with mode 0600";

/// The label of a `-----BEGIN LABEL-----` or `-----END LABEL-----` line.
#[must_use]
pub fn boundary<'a>(line: &'a str, which: &str) -> Option<&'a str> {
    let rest = line.strip_prefix("-----")?.strip_prefix(which)?.strip_prefix(' ')?.strip_suffix("-----")?;
    text::pem_label(rest)
}

/// The label of a line that begins as `-----BEGIN LABEL-----` does and is not ended by it, empty where there is none: with its line breaks
/// lost the whole block is one line, and that line may hold a private key.
#[must_use]
pub fn flattened(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("-----BEGIN ")?;
    boundary(line, "BEGIN").is_none().then(|| rest.split_once("-----").and_then(|(label, _)| text::pem_label(label)).unwrap_or_default())
}

fn opening(label: &str) -> String {
    format!("-----BEGIN {label}-----\n")
}

fn close(label: &str, mut body: String, certificates: &mut Vec<Vec<u8>>, findings: &mut Findings<'_>) {
    if label == CERTIFICATE {
        body.push_str("-----END CERTIFICATE-----\n");
        match CertificateDer::from_pem_slice(body.as_bytes()) {
            Ok(der) => certificates.push(der.to_vec()),
            Err(_) => {
                findings.add(&lint::PEM_MALFORMED, "base64 of a certificate", format!("block {} does not decode", certificates.len() + 1))
            }
        }
    } else if label.contains("PRIVATE KEY") {
        findings.add(&lint::PEM_PRIVATE_KEY, "certificates only", format!("a block {label}"));
    } else {
        findings.add(&lint::PEM_OTHER_BLOCK, "certificates only", format!("a block {label}"));
    }
}

/// The first certificate of a PEM text as DER, where it is well-formed as far as that: the quick way for files of our own, which says nothing
/// of what else is there.
#[must_use]
pub fn first(bytes: &[u8]) -> Option<Vec<u8>> {
    quick::first(bytes).or_else(|| CertificateDer::from_pem_slice(bytes).ok().map(|der| der.to_vec()))
}

/// The revocation lists of a PEM text (`X509 CRL` blocks) in their order, as DER that is not parsed yet.
#[must_use]
pub fn lists(text: &str) -> Vec<Vec<u8>> {
    CertificateRevocationListDer::pem_slice_iter(text.as_bytes()).filter_map(|list| list.ok().map(|list| list.to_vec())).collect()
}

/// A certificate as one PEM block with a newline at its end.
#[must_use]
pub fn write(der: &[u8]) -> String {
    quick::block(CERTIFICATE, der)
}

/// A revocation list as one PEM block with a newline at its end.
#[must_use]
pub fn write_list(der: &[u8]) -> String {
    quick::block("X509 CRL", der)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::kit::{Pki, ids};
    use super::*;
    use crate::model::finding::Finding;

    #[test]
    fn the_quick_way_gives_the_first_certificate_or_nothing() {
        let pki = Pki::new();
        let (leaf, other) = (pki.leaf(), pki.middle.der.clone());
        assert_eq!(first((write(&leaf) + &write(&other)).as_bytes()), Some(leaf.clone()));
        assert_eq!(first(format!("words before\n{}", write(&leaf)).as_bytes()), Some(leaf));
        for none in ["", "words", "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n"] {
            assert_eq!(first(none.as_bytes()), None, "{none}");
        }
    }

    fn read_all(text: &str) -> (Vec<Vec<u8>>, Vec<Finding>) {
        let none = BTreeMap::new();
        let mut findings = Findings::new(&none);
        let certificates = read(text, &mut findings);
        (certificates, findings.into_vec())
    }

    #[test]
    fn what_is_written_is_read_again() {
        let pki = Pki::new();
        let ders = vec![pki.leaf(), pki.middle.der, pki.root.der];
        let text: String = ders.iter().map(|der| write(der)).collect();
        assert!(text.starts_with("-----BEGIN CERTIFICATE-----\n") && text.ends_with("-----END CERTIFICATE-----\n"));
        assert!(text.lines().all(|line| line.len() <= 64));
        assert_eq!(read_all(&text), (ders, vec![]));
    }

    #[test]
    fn what_else_lies_in_a_file_is_found_and_the_certificates_are_read_all_the_same() {
        let der = Pki::new().leaf();
        let good = write(&der);
        let rows: [(&str, String, usize, &[&str]); 11] = [
            ("nothing", String::new(), 0, &[]),
            ("bag attributes", format!("subject=CN = x\n{good}"), 1, &["pem.garbage"]),
            ("trailing", format!("{good}\nEOF\n"), 1, &["pem.garbage"]),
            ("windows", good.replace('\n', "\r\n"), 1, &["pem.crlf"]),
            ("bom", format!("\u{feff}{good}"), 1, &["pem.bom"]),
            ("no newline at the end", good.trim_end().to_owned(), 1, &[]),
            ("parameters", format!("-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n{good}"), 1, &["pem.other-block"]),
            ("cut off", good[..good.len() - 40].to_owned(), 0, &["pem.malformed"]),
            ("no base64", "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n".to_owned(), 0, &["pem.malformed"]),
            ("wrong end", format!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END X509 CRL-----\n{good}"), 1, &["pem.malformed"]),
            ("begin in begin", format!("-----BEGIN CERTIFICATE-----\nAAAA\n{good}"), 1, &["pem.malformed"]),
        ];
        for (what, text, count, expected) in rows {
            let (certificates, findings) = read_all(&text);
            assert_eq!((certificates.len(), ids(&findings)), (count, expected.to_vec()), "{what}");
            assert!(certificates.iter().all(|certificate| *certificate == der), "{what}");
        }
        assert_eq!([outside(1), outside(2)], ["1 line outside of any block", "2 lines outside of any block"]);
    }

    #[test]
    fn a_label_is_short_and_ends_in_five_dashes() {
        let long = ["WORD"; 14].join(" ");
        for (line, label, flat) in [
            ("-----BEGIN X509 CRL-----", Some("X509 CRL"), None),
            ("-----BEGIN -----", None, Some("")),
            ("-----BEGIN PRIVATE KEY-----MIGH-----END PRIVATE KEY-----", None, Some("PRIVATE KEY")),
            ("-----BEGIN PRIVATE KEY----- MIGH -----END PRIVATE KEY-----", None, Some("PRIVATE KEY")),
            ("-----BEGIN PRIVATE KEY-----MIGH", None, Some("PRIVATE KEY")),
            ("-----BEGIN MIGHAgEAMBMGByqGSM49-----", None, Some("")),
            ("-----BEGIN PRIVATE KEY", None, Some("")),
            ("----BEGIN PRIVATE KEY-----", None, None),
        ] {
            assert_eq!((boundary(line, "BEGIN"), flattened(line)), (label, flat), "{line}");
        }
        assert_eq!(boundary(&format!("-----BEGIN {long}-----"), "BEGIN"), None);
    }

    #[test]
    fn a_key_whose_line_breaks_are_lost_is_never_repeated() {
        let good = write(&Pki::new().leaf());
        let key = Pki::new().key.serialize_pem();
        for lost in
            [key.replace('\n', ""), key.replace('\n', " "), key.replacen('\n', "", 1), key.replace("-----\n", "").replace('\n', "-----\n")]
        {
            let (certificates, findings) = read_all(&format!("{good}{lost}\n{good}"));
            assert_eq!(certificates.len(), 2, "{findings:?}");
            let base64 = key.lines().nth(1).unwrap();
            assert!(ids(&findings).contains(&"pem.malformed") && !format!("{findings:?}").contains(&base64[20..36]), "{findings:?}");
        }
    }

    #[test]
    fn a_private_key_is_reported_and_never_repeated() {
        let good = write(&Pki::new().leaf());
        for label in ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
            let (certificates, findings) = read_all(&format!("-----BEGIN {label}-----\nc2VjcmV0\n-----END {label}-----\n{good}"));
            assert_eq!((certificates.len(), ids(&findings)), (1, vec!["pem.private-key"]));
            assert!(findings[0].blocks() && !format!("{findings:?}").contains("c2VjcmV0"));
        }
    }
}
