//! Files of certificates that settings name.

use std::path::Path;

use super::shape::{Errors, Wrong, quoted};
use super::tree::Place;
use crate::io::read;

/// How a file is read: the anchor is pinned by its hash, so who may write it does not matter; a bundle of roots is not.
pub(super) type Reader = fn(&Path) -> Result<Vec<u8>, read::ReadError>;

/// All certificates of a PEM file, as DER. At least one.
pub(super) fn certificates(place: &Place, file: &Path, errors: &Errors, read: Reader) -> Option<Vec<Vec<u8>>> {
    let bytes = read(file).map_err(|error| errors.at(place, Wrong::new(error.code(), error.to_string()).suggest(error.hint()))).ok()?;
    certificates_of_pem(&bytes)
        .map_err(|why| {
            let wrong = Wrong::value(format!("{} {why}", file.display()));
            errors.at(place, wrong.suggest("name a PEM file of certificates (-----BEGIN CERTIFICATE-----)"));
        })
        .ok()
}

fn certificates_of_pem(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    use x509_parser::prelude::{FromDer as _, Pem, X509Certificate};
    let mut found = Vec::new();
    for block in Pem::iter_from_buffer(bytes) {
        let block = block.map_err(|_| "holds a PEM block that is damaged")?;
        if block.label != "CERTIFICATE" {
            return Err(format!("holds a block of type {}, expected certificates only", quoted(&block.label)));
        }
        match X509Certificate::from_der(&block.contents) {
            Ok(([], _)) => found.push(block.contents),
            _ => return Err("holds a CERTIFICATE block that is no certificate (RFC 5280)".to_owned()),
        }
    }
    if found.is_empty() { Err("holds no certificate in PEM".to_owned()) } else { Ok(found) }
}
