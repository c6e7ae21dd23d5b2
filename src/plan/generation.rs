//! One generation as it lies in the state directory, and whether what consumers read equals it. Only reads.

pub mod container;
mod files;
mod leaf;
mod published;
mod rest;

use std::borrow::Cow;

use p256::pkcs8::SecretDocument;
use zeroize::Zeroizing;

use crate::io::dir::{Content, Dir, DiskError, Kind};
use crate::judge::cert::Facts;
use crate::judge::lint::Findings;
use crate::judge::{pair, pem};
use crate::model::canonical::Format as _;
use crate::model::key::Keep;
use crate::model::layout;
use crate::model::meta::Meta;
use crate::model::name::{CertName, Generation};
use crate::model::sealed::SealedKeyFile;
use crate::model::secret::PlainKey;
pub(crate) use files::PublishedFile;
use files::{Files, Whole};
pub use leaf::leaf;
use leaf::leaf_of;
pub(super) use published::difference;
pub use published::{Expected, files_differ};

/// What a generation's files say about themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The files are the ones that were staged.
    Intact,
    /// A working pair, but not the one that was staged.
    Changed(String),
    /// Certificate and key do not belong together.
    KeyMismatch,
    /// Missing, or not parseable.
    Unreadable(String),
}

/// A generation read from the state directory. Its key is in it, as it rests: neither cloned nor printed.
pub struct Kept {
    /// Which one.
    pub generation: Generation,
    /// How its key rests.
    pub keep: Keep,
    /// The name that its key was sealed under, where its certificate has another one since.
    pub sealed_as: Option<CertName>,
    /// The header of a sealed key, where it can be read.
    pub sealed: Option<SealedKeyFile>,
    /// The leaf, where it parses.
    pub facts: Option<Facts>,
    /// Whether it can be used.
    pub condition: Condition,
    /// Why others than its owner may read its key where that rests, in words.
    pub loose: Option<String>,
    files: Files,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("generation", &self.generation).field("condition", &self.condition).finish_non_exhaustive()
    }
}

impl Kept {
    /// Reads `gen-N` below `certs/NAME`.
    ///
    /// # Errors
    /// Only where reading itself fails, such as for lack of permission; a damaged generation is a [`Condition`].
    pub fn read(certificate: &Dir, generation: Generation) -> Result<Self, DiskError> {
        let Some(dir) = certificate.child(&generation.to_string())? else {
            let gone = Condition::Unreadable(format!("{} is gone", certificate.join(&generation.to_string()).display()));
            return Ok(Self::unusable(generation, gone, Whole::default()));
        };
        let meta = meta_in(&dir)?;
        let (mut keep, mut key) = (Keep::File, None);
        for other in search_order(meta.as_ref()) {
            if key.is_none() {
                (keep, key) = (other, content(&dir, other.file())?);
            }
        }
        let loose = key.as_ref().and_then(|key| rest::loose(&dir, keep.file(), key.mode));
        let (cert, chain, fullchain) = (public(&dir, layout::CERT)?, chain_in(&dir)?, public(&dir, layout::FULLCHAIN)?);
        let has_chain = chain.is_some();
        let chain = chain.unwrap_or_default();
        let (Some(cert), Some(fullchain), Some(key), true) = (cert, fullchain, key, has_chain) else {
            let text = format!("a file of {} is missing or is no regular file", dir.path().display());
            // Its consumers go on trusting its intermediates.
            return Ok(Self::unusable(generation, Condition::Unreadable(text), Whole { chain, meta, ..Whole::default() }));
        };
        let files = Whole { cert, chain, fullchain, key: key.bytes, meta };
        let sealed = (keep == Keep::Sealed).then(|| SealedKeyFile::parse(&files.key).ok()).flatten();
        let sealed_as = sealed.as_ref().and_then(|sealed| earlier_name(certificate, &sealed.name));
        let name = sealed_as.as_ref().map_or_else(|| name_of(certificate), CertName::as_str);
        let facts = leaf_of(&files.cert).as_deref().map(Facts::parse);
        let condition = match &facts {
            None => Condition::Unreadable(format!("{} holds no certificate", dir.join(layout::CERT).display())),
            Some(Err(why)) => Condition::Unreadable(format!("{}: {why}", dir.join(layout::CERT).display())),
            Some(Ok(facts)) => files.condition(name, generation, keep, &facts.spki),
        };
        let (facts, files) = (facts.and_then(Result::ok), Files::Whole(Box::new(files)));
        Ok(Self { generation, keep, sealed_as, sealed, facts, condition, loose, files })
    }

    fn unusable(generation: Generation, condition: Condition, files: Whole) -> Self {
        Self {
            generation,
            keep: Keep::File,
            sealed_as: None,
            sealed: None,
            facts: None,
            condition,
            loose: None,
            files: Files::Whole(Box::new(files)),
        }
    }
}

/// A file of a generation. What is there and is no file of ours (a directory, a pipe, a link) makes the generation unreadable; only
/// permission is an error.
fn content(dir: &Dir, name: &str) -> Result<Option<Content>, DiskError> {
    match dir.read(name) {
        Err(why) if !why.denied() => Ok(None),
        read => read,
    }
}

/// The same of what is public, which need not be wiped.
fn public(dir: &Dir, name: &str) -> Result<Option<Vec<u8>>, DiskError> {
    Ok(content(dir, name)?.map(|mut content| std::mem::take(&mut *content.bytes)))
}

/// What was noted when the generation in this directory was staged; `None` where that is missing or cannot be understood.
pub(super) fn meta_in(dir: &Dir) -> Result<Option<Meta>, DiskError> {
    Ok(public(dir, layout::META)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// The intermediates of the generation in this directory.
pub(super) fn chain_in(dir: &Dir) -> Result<Option<Vec<u8>>, DiskError> {
    public(dir, layout::CHAIN)
}

/// Where to look for the key: first under the name that was noted when the generation was staged, which saves asking for the others.
fn search_order(meta: Option<&Meta>) -> impl Iterator<Item = Keep> {
    let (noted, others): (Vec<Keep>, Vec<Keep>) =
        Keep::ALL.into_iter().partition(|keep| meta.is_some_and(|meta| meta.files.contains_key(keep.file())));
    noted.into_iter().chain(others)
}

/// `certs/NAME` is a certificate's name and nothing else.
fn name_of(certificate: &Dir) -> &str {
    certificate.path().file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default()
}

/// The name that something was made under, where the certificate in this directory was called so before.
fn earlier_name(certificate: &Dir, made: &str) -> Option<CertName> {
    let earlier = CertName::parse(made).ok().filter(|made| made.as_str() != name_of(certificate))?;
    matches!(certificate.kind(&layout::earlier_name(&earlier)), Ok(Some(Kind::File))).then_some(earlier)
}

/// The certificates of one of our own PEM files.
#[must_use]
pub fn certificates(bytes: &[u8]) -> Vec<Vec<u8>> {
    let severities = std::collections::BTreeMap::new();
    pem::read(&text_of(bytes), &mut Findings::new(&severities))
}

/// What is text, as it nearly always is, is seen faster than what has to be mended.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// The private key of a PKCS#8 PEM text, with its public key.
pub(crate) fn key_of_pem(bytes: &[u8]) -> Result<PlainKey, String> {
    let document = pkcs8_of_pem(bytes)?;
    let spki = pair::spki_of_pkcs8(document.as_bytes()).map_err(|why| why.to_string())?;
    Ok(PlainKey::new(Zeroizing::new(document.as_bytes().to_vec()), spki))
}

/// The private key of a PKCS#8 PEM text, as DER that is wiped when dropped.
pub(crate) fn pkcs8_of_pem(bytes: &[u8]) -> Result<SecretDocument, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not PEM".to_owned())?;
    let (label, document) = SecretDocument::from_pem(text).map_err(|_| "it is no whole PEM block".to_owned())?;
    if label != "PRIVATE KEY" {
        return Err(format!("expected a PRIVATE KEY block (PKCS#8), found {label}"));
    }
    Ok(document)
}

/// Modes and group of what is published: 0640 for a group, 0600 without ([Owners and modes](crate::steps::swap#owners-and-modes)).
#[must_use]
pub const fn key_mode(gid: Option<u32>) -> u32 {
    if gid.is_some() { 0o640 } else { 0o600 }
}

#[cfg(test)]
impl Kept {
    /// A generation without files, for tables of tests.
    pub(crate) fn for_tests(generation: Generation, keep: Keep, condition: Condition) -> Self {
        Self { keep, ..Self::unusable(generation, condition, Whole::default()) }
    }
}
