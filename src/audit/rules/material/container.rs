//! What a file is where it is no PEM: the containers and accidents that people meet, with the command that makes PEM of each.

use std::collections::BTreeSet;

use base64ct::{Base64, Encoding as _};
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;
use zeroize::Zeroizing;

use crate::judge::cert;
use crate::model::clock::Time;

/// How a file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    /// One DER value instead of text.
    pub(super) der: bool,
    /// Begins with a byte order mark.
    pub(super) bom: bool,
    /// Lines end in CR LF.
    pub(super) crlf: bool,
    /// Lines outside of any block.
    pub(super) garbage: usize,
    /// Nothing but white space.
    pub(super) empty: bool,
    /// The line where a block begins behind the end of another.
    pub(super) glued: Option<u32>,
    /// The line of a boundary that does not begin its line.
    pub(super) indented: Option<u32>,
    /// The line of something that was meant to be a boundary and is none, such as one with four dashes.
    pub(super) damaged: Option<u32>,
    /// The line of an empty line inside a block: OpenSSL takes what stands before it for headers.
    pub(super) gap: Option<u32>,
    /// What it is instead of PEM.
    pub(super) container: Option<Container>,
}

/// A revocation list (RFC 5280 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Crl {
    /// DER of its issuer's name.
    pub(super) issuer: Vec<u8>,
    /// The same in words.
    pub(super) issuer_words: String,
    /// When the next one is due.
    pub(super) next_update: Option<Time>,
    /// Serial numbers, as [`Facts::serial`](crate::judge::cert::Facts::serial) writes them.
    pub(super) revoked: BTreeSet<String>,
}

/// The content of the OIDs pkcs7-data and pkcs7-signedData, with tag and length.
const DATA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const SIGNED: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// The content of the OID of PBES2, with tag and length.
const PBES2: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
/// Where they stand at the latest.
const HEAD: usize = 64;

/// Something that is no PEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    /// RFC 7292.
    Pkcs12,
    /// RFC 2315, often `.p7b`.
    Pkcs7,
    /// EncryptedPrivateKeyInfo (RFC 5208 §6) in DER.
    EncryptedKey,
    /// The whole answer of OpenBao or another API.
    Json,
    /// `\n` in two characters, as an environment variable keeps it.
    LiteralNewlines,
    /// Two bytes a character.
    Utf16,
}

impl Container {
    /// In words.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Pkcs12 => "a PKCS#12 file (.p12, .pfx), not PEM",
            Self::Pkcs7 => "a PKCS#7 file (.p7b), not PEM",
            Self::EncryptedKey => "an encrypted private key in DER, not PEM",
            Self::Json => "a JSON document, not PEM",
            Self::LiteralNewlines => "PEM whose lines end in the two characters \\n instead of a line end",
            Self::Utf16 => "text in UTF-16, not PEM",
        }
    }

    /// What makes PEM of it.
    pub(super) const fn conversion(self) -> &'static str {
        match self {
            Self::Pkcs12 => {
                "take certificate and key out of it: openssl pkcs12 -in FILE -nokeys -out cert.pem; openssl pkcs12 -in FILE -nocerts -nodes -out key.pem"
            }
            Self::Pkcs7 => {
                "take the certificates out of it: openssl pkcs7 -print_certs -in FILE -out FILE.pem (-inform der where it is binary), the leaf first"
            }
            Self::EncryptedKey => "decrypt and convert it: openssl pkey -inform der -in FILE -out FILE.pem, with mode 0600",
            Self::Json => "take the fields out of one answer: jq -r .data.certificate FILE, .data.ca_chain[], .data.private_key",
            Self::LiteralNewlines => "write real line ends: printf '%b' \"$VARIABLE\" > FILE",
            Self::Utf16 => "convert it: iconv -f UTF-16 -t UTF-8 FILE > FILE.pem",
        }
    }
}

/// What binary data is.
pub(super) fn of_der(der: &[u8]) -> Option<Container> {
    let head = der.get(..der.len().min(HEAD)).unwrap_or_default();
    let has = |oid: &[u8]| head.windows(oid.len()).any(|window| window == oid);
    // PFX begins with its version, 3.
    let version = head.windows(3).take(8).any(|window| window == [2, 1, 3]);
    if version && (has(DATA) || has(SIGNED)) {
        return Some(Container::Pkcs12);
    }
    if has(SIGNED) {
        return Some(Container::Pkcs7);
    }
    has(PBES2).then_some(Container::EncryptedKey)
}

/// What text is.
pub(super) fn of_text(bytes: &[u8], text: &str) -> Option<Container> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Some(Container::Utf16);
    }
    let start = text.trim_start().trim_start_matches('\u{feff}');
    if start.starts_with('{') {
        return Some(Container::Json);
    }
    if text.contains("-----BEGIN PKCS7-----") {
        return Some(Container::Pkcs7);
    }
    let broken = text.contains("-----BEGIN ") && text.contains("-----\\n");
    broken.then_some(Container::LiteralNewlines)
}

/// Whether a line was meant to be a boundary (RFC 7468 §2: five dashes at each end) and is none.
pub(super) fn is_damaged_boundary(line: &str) -> bool {
    let bare = line.trim_matches('-').trim();
    let named = bare.strip_prefix("BEGIN ").or_else(|| bare.strip_prefix("END "));
    let label = |rest: &str| rest.len() < 40 && rest.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' ');
    line.starts_with('-') && named.is_some_and(label)
}

/// Base64 without its white space, into memory that is wiped.
pub(super) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut packed = Zeroizing::new(Vec::with_capacity(text.len()));
    packed.extend(text.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let mut host = Zeroizing::new(vec![0_u8; packed.len() / 4 * 3 + 3]);
    let length = Base64::decode(packed.as_slice(), &mut host).ok()?.len();
    host.truncate(length);
    (length > 0).then_some(host)
}

/// Reads a revocation list.
pub(super) fn crl(der: &[u8]) -> Option<Box<Crl>> {
    let (_, list) = CertificateRevocationList::from_der(der).ok()?;
    let issuer = cert::issuer_of_list(&list);
    Some(Box::new(Crl {
        issuer_words: cert::distinguished_name(&issuer),
        issuer,
        next_update: list.next_update().map(|next| Time::from_unix(next.timestamp())),
        revoked: list.iter_revoked_certificates().map(|one| cert::serial_text(one.raw_serial())).collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_pem_is_named() {
        for (text, expected) in [
            ("{\"data\": {\"certificate\": \"x\"}}", Some(Container::Json)),
            ("-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----\\n", Some(Container::LiteralNewlines)),
            ("-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n", Some(Container::Pkcs7)),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", None),
            ("subject=x", None),
        ] {
            assert_eq!(of_text(text.as_bytes(), text), expected, "{text}");
        }
        assert_eq!(of_text(&[0xff, 0xfe, b'-', 0], ""), Some(Container::Utf16));
        let pfx = [&[0x30, 0x82, 4, 0, 2, 1, 3, 0x30, 0x82, 3, 0][..], DATA].concat();
        assert_eq!((of_der(&pfx), of_der(&[0x30, 3, 2, 1, 3])), (Some(Container::Pkcs12), None));
    }

    #[test]
    fn boundaries_with_too_few_dashes_are_seen_and_base64_is_not() {
        for line in ["----END CERTIFICATE-----", "-----END CERTIFICATE----", "--BEGIN PRIVATE KEY--", "-END X509 CRL-"] {
            assert!(is_damaged_boundary(line), "{line}");
        }
        for line in ["MIIBEND ", "- a list", "END OF FILE", "----", "-----"] {
            assert!(!is_damaged_boundary(line), "{line}");
        }
    }
}
