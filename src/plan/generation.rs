//! One generation as it lies in the state directory, and whether what consumers read equals it. Only reads.

pub mod container;
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
use crate::model::anchor::Fingerprint;
use crate::model::canonical::Format as _;
use crate::model::key::Keep;
use crate::model::layout;
use crate::model::meta::Meta;
use crate::model::name::{CertName, Generation};
use crate::model::resident::ResidentKeyFile;
use crate::model::sealed::SealedKeyFile;
use crate::model::secret::{Material, PlainKey};
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
    /// What was noted when it was staged.
    pub meta: Option<Meta>,
    /// Why others than its owner may read its key where that rests, in words.
    pub loose: Option<String>,
    files: Files,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("generation", &self.generation).field("condition", &self.condition).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Files {
    cert: Vec<u8>,
    chain: Vec<u8>,
    fullchain: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Kept {
    /// Reads `gen-N` below `certs/NAME`.
    ///
    /// # Errors
    /// Only where reading itself fails, such as for lack of permission; a damaged generation is a [`Condition`].
    pub fn read(certificate: &Dir, generation: Generation) -> Result<Self, DiskError> {
        let Some(dir) = certificate.child(&generation.to_string())? else {
            let gone = Condition::Unreadable(format!("{} is gone", certificate.join(&generation.to_string()).display()));
            return Ok(Self::unusable(generation, gone, None));
        };
        let meta = public(&dir, layout::META)?.and_then(|bytes| serde_json::from_slice::<Meta>(&bytes).ok());
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
            let files = Files { chain, ..Files::default() };
            return Ok(Self { files, ..Self::unusable(generation, Condition::Unreadable(text), meta) });
        };
        let files = Files { cert, chain, fullchain, key: key.bytes };
        let sealed = (keep == Keep::Sealed).then(|| SealedKeyFile::parse(&files.key).ok()).flatten();
        let sealed_as = sealed.as_ref().and_then(|sealed| earlier_name(certificate, &sealed.name));
        let name = sealed_as.as_ref().map_or_else(|| name_of(certificate), CertName::as_str);
        let facts = leaf_of(&files.cert).as_deref().map(Facts::parse);
        let condition = match &facts {
            None => Condition::Unreadable(format!("{} holds no certificate", dir.join(layout::CERT).display())),
            Some(Err(why)) => Condition::Unreadable(format!("{}: {why}", dir.join(layout::CERT).display())),
            Some(Ok(facts)) => files.condition(meta.as_ref(), name, generation, keep, &facts.spki),
        };
        Ok(Self { generation, keep, sealed_as, sealed, facts: facts.and_then(Result::ok), condition, meta, loose, files })
    }

    fn unusable(generation: Generation, condition: Condition, meta: Option<Meta>) -> Self {
        Self {
            generation,
            keep: Keep::File,
            sealed_as: None,
            sealed: None,
            facts: None,
            condition,
            meta,
            loose: None,
            files: Files::default(),
        }
    }

    /// The leaf's PEM.
    #[must_use]
    pub fn cert_pem(&self) -> String {
        String::from_utf8_lossy(&self.files.cert).into_owned()
    }

    /// The intermediates' PEM.
    #[must_use]
    pub fn chain_pem(&self) -> Cow<'_, str> {
        text_of(&self.files.chain)
    }

    /// The private key as it rests: `key.pem`, or `key.sealed`.
    pub(crate) fn key_at_rest(&self) -> &[u8] {
        &self.files.key
    }

    /// What a key that stays in its TPM is bound to there.
    pub(crate) fn resident_pcrs(&self) -> Option<Vec<u32>> {
        let file = self.files.resident().ok().filter(|_| self.keep == Keep::Resident)?;
        Some(file.pcrs.list.numbers().to_vec())
    }

    /// The private key's PEM, where it needs nobody to open it.
    pub(crate) fn plain_key(&self) -> Option<&[u8]> {
        self.keep.rests_in_clear().then_some(self.files.key.as_slice())
    }

    /// The files consumers get, with their names, except those that drivers render. Only a key that is given away itself is in a file together
    /// with its certificate.
    pub(crate) fn published_files(&self, material: &Material) -> Vec<(&'static str, Zeroizing<Vec<u8>>)> {
        let mut files: Vec<(&'static str, Zeroizing<Vec<u8>>)> =
            self.files.public().map(|(name, bytes)| (name, bytes.to_vec().into())).into();
        if let Some(pem) = material.pem() {
            files.push((layout::KEY, Zeroizing::new(pem.to_vec())));
        }
        if let Material::Pem(pem) = material {
            let mut combined = Zeroizing::new(Vec::with_capacity(self.files.fullchain.len() + pem.len()));
            combined.extend_from_slice(&self.files.fullchain);
            combined.extend_from_slice(pem);
            files.push((layout::COMBINED, combined));
        }
        files
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

impl Files {
    fn public(&self) -> [(&'static str, &[u8]); 3] {
        [(layout::CERT, self.cert.as_slice()), (layout::CHAIN, &self.chain), (layout::FULLCHAIN, &self.fullchain)]
    }

    fn condition(&self, meta: Option<&Meta>, name: &str, generation: Generation, keep: Keep, spki: &[u8]) -> Condition {
        let changed = match meta {
            None => Some(format!("{} is missing or not readable", layout::META)),
            Some(meta) if meta.v != 1 || meta.generation != generation => Some(format!("{} is of another generation", layout::META)),
            Some(meta) => self.difference(meta, keep),
        };
        // Equal hashes mean the pair that was checked when it was staged; the key is looked at only where something differs.
        let Some(changed) = changed else { return Condition::Intact };
        let belongs = match keep {
            Keep::File => self.plain_belongs(spki),
            Keep::Sealed => self.sealed_belongs(name, generation, spki),
            Keep::Resident => self.resident().map(|key| key.spki_sha256.is_of(spki)),
        };
        match belongs {
            Err(why) => Condition::Unreadable(format!("{} of {generation}: {why}", keep.file())),
            Ok(false) => Condition::KeyMismatch,
            Ok(true) => Condition::Changed(changed),
        }
    }

    fn resident(&self) -> Result<ResidentKeyFile, String> {
        ResidentKeyFile::parse(&self.key).map_err(|why| why.to_string())
    }

    fn plain_belongs(&self, spki: &[u8]) -> Result<bool, String> {
        key_of_pem(&self.key).map(|key| key.spki() == spki)
    }

    /// By what its header says; whether that is true only the TPM can tell.
    fn sealed_belongs(&self, name: &str, generation: Generation, spki: &[u8]) -> Result<bool, String> {
        let sealed = SealedKeyFile::parse(&self.key).map_err(|why| why.to_string())?;
        if sealed.name != name || sealed.generation != generation {
            return Err(format!("it is that of {} {}", sealed.name, sealed.generation));
        }
        Ok(sealed.spki_sha256 == Fingerprint::of(spki))
    }

    fn difference(&self, meta: &Meta, keep: Keep) -> Option<String> {
        let all = self.public().into_iter().chain([(keep.file(), self.key.as_slice())]);
        let differs = |(name, bytes): &(&str, &[u8])| meta.files.get(*name).is_none_or(|noted| !noted.is_of(bytes));
        all.into_iter().find(differs).map(|(name, _)| format!("{name} is not the one that was staged"))
    }
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
    let (label, document) = SecretDocument::from_pem(text).map_err(|why| why.to_string())?;
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
        Self { keep, ..Self::unusable(generation, condition, None) }
    }
}
