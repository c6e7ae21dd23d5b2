//! What a block holds, by its label or by what its DER can be read as. It must never keep a private key.

use std::collections::HashMap;
use std::sync::Arc;

use x509_parser::asn1_rs::FromDer as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::certification_request::X509CertificationRequest;

use super::container::{self, Container, Crl, decode};
use super::held::Cert;
use super::key::Key;
use crate::judge::cert::Facts;
use crate::judge::pem;

/// As many authorities are kept.
const KNOWN: usize = 4_000;

/// One block.
#[derive(Debug)]
pub(super) struct Block {
    /// What stands behind `BEGIN`.
    pub(super) label: String,
    /// The line of `BEGIN`.
    pub(super) line: u32,
    /// What it holds.
    pub(super) body: Body,
    /// OpenSSL does not read it as it is written: a boundary shares its line or does not begin it, or an empty line is inside.
    pub(super) odd: bool,
}

impl Block {
    /// Why nothing can be made of it, and what mends it where that is known.
    pub(super) fn fault(&self) -> Option<(&str, Option<&'static str>)> {
        match &self.body {
            Body::Broken(why) => Some((why, None)),
            Body::Flattened => Some((pem::FLATTENED, Some(pem::UNFLATTEN))),
            _ => None,
        }
    }
}

/// What a block holds.
#[derive(Debug)]
pub(super) enum Body {
    /// A certificate.
    Certificate(Arc<Cert>),
    /// A private key.
    Key(Key),
    /// A request to be signed (RFC 2986).
    Request,
    /// A revocation list.
    Crl(Box<Crl>),
    /// OpenSSL does not see it: it takes the block before, which does not end, for all of it.
    Swallowed,
    /// Something else.
    Other,
    /// It does not decode.
    Broken(String),
    /// It begins in a line that goes on behind the label: its line breaks are lost.
    Flattened,
}

/// Authorities that were read before: of thousands of files most hold the same ones.
pub(super) type Known = HashMap<Vec<u8>, Arc<Cert>>;

/// What the text between the boundaries of a block of this label is.
pub(super) fn body(label: &str, text: &str, known: &mut Known) -> Body {
    let is_key = label.ends_with("PRIVATE KEY");
    // RFC 1421 headers: OpenSSL's own encryption of the older key formats.
    if is_key && (label.starts_with("ENCRYPTED") || text.contains("Proc-Type: 4,ENCRYPTED")) {
        return Body::Key(Key::Encrypted);
    }
    if label.starts_with("TSS2 ") {
        return Body::Key(Key::Sealed);
    }
    let Some(der) = decode(text) else { return Body::Broken(format!("the block {label} is no base64")) };
    match label {
        "CERTIFICATE" | "X509 CERTIFICATE" => certificate(&der, known).unwrap_or_else(Body::Broken),
        "TRUSTED CERTIFICATE" => match X509Certificate::from_der(&der) {
            // OpenSSL's own form: a certificate and what it is trusted for.
            Ok((rest, _)) => certificate(der.get(..der.len() - rest.len()).unwrap_or(&der), known).unwrap_or_else(Body::Broken),
            Err(_) => Body::Broken(format!("the block {label} is no certificate")),
        },
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Body::Request,
        "X509 CRL" => container::crl(&der).map_or_else(|| Body::Broken("the block X509 CRL is no revocation list".to_owned()), Body::Crl),
        _ if is_key => Body::Key(Key::open(label, &der)),
        _ => Body::Other,
    }
}

fn certificate(der: &[u8], known: &mut Known) -> Result<Body, String> {
    if let Some(cert) = known.get(der) {
        return Ok(Body::Certificate(Arc::clone(cert)));
    }
    let facts = Facts::parse(der).map_err(|fault| fault.to_string())?;
    let cert = Arc::new(Cert { der: der.to_vec(), facts });
    if cert.is_ca() && known.len() < KNOWN {
        known.insert(cert.der.clone(), Arc::clone(&cert));
    }
    Ok(Body::Certificate(cert))
}

/// One DER value: whatever it can be read as.
pub(super) fn whole(der: &[u8], known: &mut Known) -> Block {
    let block = |label: &str, body| Block { label: label.to_owned(), line: 1, body, odd: false };
    if let Ok(body) = certificate(der, known) {
        return block("CERTIFICATE", body);
    }
    for label in ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"] {
        let key = Key::open(label, der);
        if key.is_plain() && key != Key::Damaged {
            return block(label, Body::Key(key));
        }
    }
    if X509CertificationRequest::from_der(der).is_ok() {
        return block("CERTIFICATE REQUEST", Body::Request);
    }
    if let Some(crl) = container::crl(der) {
        return block("X509 CRL", Body::Crl(crl));
    }
    let words = container::of_der(der).map_or("binary data that is neither a certificate nor a key", Container::words);
    block("DER", Body::Broken(words.to_owned()))
}
