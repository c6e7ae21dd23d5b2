//! PEM text (RFC 7468) to certificates and back. Only CERTIFICATE blocks are taken; a private key is never decoded, kept or shown.

use p256::pkcs8::der::pem::{LineEnding, encode_string};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::lint::{self, Findings};

const CERTIFICATE: &str = "CERTIFICATE";

/// The certificates of a PEM text in their order, as DER that is not parsed yet; what else is there goes into the findings.
#[must_use]
pub fn read(text: &str, findings: &mut Findings<'_>) -> Vec<Vec<u8>> {
    let plain = text.trim_start_matches('\u{feff}');
    if plain.len() != text.len() {
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
            (_, Some(label), _) => block = Some((label, opening(label))),
            (Some((label, body)), None, Some(end)) if end == label => close(label, body, &mut certificates, findings),
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
        findings.add(&lint::PEM_GARBAGE, "blocks only", format!("{garbage} lines outside of any block"));
    }
    certificates
}

/// The label of a `-----BEGIN LABEL-----` or `-----END LABEL-----` line.
fn boundary<'a>(line: &'a str, which: &str) -> Option<&'a str> {
    line.strip_prefix("-----")?.strip_prefix(which)?.strip_prefix(' ')?.strip_suffix("-----")
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

/// A certificate as one PEM block with a newline at its end.
#[must_use]
pub fn write(der: &[u8]) -> String {
    // The encoder fails only on lengths beyond what the address space holds.
    encode_string(CERTIFICATE, LineEnding::LF, der).unwrap_or_default()
}
