//! Files of a generation that are made only where `install` asks for them: key and chain in a form that only some consumers read. They are
//! compared by what is in them, since no two files under a password are equal.

use std::path::Path;

use zeroize::Zeroizing;

use super::{Kept, certificates, pkcs8_of_pem};
use crate::config::settings::{Certificate, Container, Install, Part};
use crate::io::read;
use crate::judge::container::{Contents, Format, PASSWORD_MIN};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::secret::{SecretSource, Token};

/// The format of a part, where it has one of its own.
const fn format(part: Part) -> Option<Format> {
    match part {
        Part::Jks => Some(Format::Jks),
        Part::Pkcs12 => Some(Format::Pkcs12),
        _ => None,
    }
}

/// Whether every password that a certificate's `install` names can be had: asked before anything is signed or published for it.
///
/// # Errors
/// Stage `publish`, code `unreadable`.
pub fn are_ready(certificate: &Certificate) -> Result<(), Failure> {
    certificate.install.iter().flat_map(Install::containers).try_for_each(|container| container.is_ready())
}

impl Container {
    /// Whether its password can be had.
    ///
    /// # Errors
    /// Stage `publish`, code `unreadable`.
    pub fn is_ready(&self) -> Result<(), Failure> {
        self.password.as_deref().map_or(Ok(()), |path| password(path).map(drop))
    }
}

fn password(path: &Path) -> Result<Token, Failure> {
    let refuse = |text: String, hint: &str| Failure::new(Stage::Publish, Code::Unreadable, text).hint(hint);
    let token = read::token(&SecretSource::File(path.to_path_buf()), None)
        .map_err(|why| refuse(format!("the password of `install`: {why}"), "write it to that file, on one line, for root alone"))?;
    if token.expose().len() < PASSWORD_MIN {
        let text = format!("the password of `install` in {} is shorter than {PASSWORD_MIN} characters", path.display());
        return Err(refuse(text, "keytool opens nothing with a shorter one: make it longer, and tell the consumer"));
    }
    Ok(token)
}

/// The bytes of a container of this generation, whose key is this PEM.
///
/// # Errors
/// Stage `publish`: its password cannot be had, or the format cannot hold it.
pub(crate) fn make(container: &Container, kept: &Kept, pem: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let refuse = |why: String| {
        let text = format!("the {} of {} cannot be made: {why}", container.part.as_str(), kept.generation);
        Failure::new(Stage::Publish, Code::BlobDamaged, text)
    };
    let whole = kept.whole().map_err(refuse)?;
    let fullchain = &whole.fullchain;
    let Some(sealed) = Sealed::of(container)? else { return Ok(key_first(fullchain, pem)) };
    let key = pkcs8_of_pem(pem).map_err(refuse)?;
    let chain = certificates(fullchain);
    let name = whole.meta.as_ref().map_or("omens", |meta| meta.name.as_str());
    let contents = Contents { key: key.as_bytes(), chain: &chain };
    sealed.format.write(name, sealed.password.expose(), contents).map_err(refuse)
}

/// Whether these bytes are a container of this generation, whose key is this PEM.
///
/// # Errors
/// Its password cannot be had.
pub(crate) fn is_right(container: &Container, bytes: &[u8], kept: &Kept, pem: &[u8]) -> Result<bool, Failure> {
    let Ok(whole) = kept.whole() else { return Ok(false) };
    let Some(sealed) = Sealed::of(container)? else { return Ok(*key_first(&whole.fullchain, pem) == *bytes) };
    let chain = certificates(&whole.fullchain);
    Ok(pkcs8_of_pem(pem).is_ok_and(|key| {
        let contents = Contents { key: key.as_bytes(), chain: &chain };
        sealed.format.holds(bytes, sealed.password.expose(), contents)
    }))
}

/// What a container is written under; nothing, where it is in clear.
struct Sealed {
    format: Format,
    password: Token,
}

impl Sealed {
    fn of(container: &Container) -> Result<Option<Self>, Failure> {
        let found = format(container.part).zip(container.password.as_deref());
        found.map(|(format, path)| password(path).map(|password| Self { format, password })).transpose()
    }
}

fn key_first(fullchain: &[u8], pem: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(pem.len() + fullchain.len()));
    bytes.extend_from_slice(pem);
    bytes.extend_from_slice(fullchain);
    bytes
}
