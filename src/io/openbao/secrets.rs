//! The secrets and files of a login, read at use. It must never keep one beyond the call, nor show one.
#![expect(clippy::disallowed_methods, reason = "stands in for io::read until that is here")]

use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

use crate::model::secret::{SecretSource, Token};

/// A secret or a file of a login that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {0}: {1}")]
pub struct SecretError(String, String);

/// A secret value; one trailing newline is trimmed.
///
/// # Errors
/// It cannot be read, or is empty.
pub fn secret(source: &SecretSource, credentials: Option<&Path>) -> Result<Token, SecretError> {
    let bytes = key(source, credentials)?;
    let wrong = |why: &str| SecretError(source.to_string(), why.to_owned());
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("not UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    if text.is_empty() {
        return Err(wrong("it is empty"));
    }
    Ok(Token::new(Zeroizing::new(text.to_owned())))
}

/// The bytes of a private key's file.
///
/// # Errors
/// It cannot be read.
pub fn key(source: &SecretSource, credentials: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let wrong = |why: String| SecretError(source.to_string(), why);
    match source {
        SecretSource::File(path) => read(path).map_err(|why| wrong(why.to_string())),
        SecretSource::Credential(name) => {
            let directory = credentials.ok_or_else(|| wrong("systemd gave this process no credentials".to_owned()))?;
            read(&directory.join(name)).map_err(|why| wrong(why.to_string()))
        }
    }
}

/// The bytes of a certificate's file.
///
/// # Errors
/// It cannot be read.
pub fn certificates(path: &Path) -> Result<Vec<u8>, SecretError> {
    read(path).map(|bytes| bytes.to_vec()).map_err(|why| SecretError(path.display().to_string(), why.to_string()))
}

fn read(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024));
    std::fs::File::open(path)?.take(64 * 1024).read_to_end(&mut bytes)?;
    Ok(bytes)
}
