//! The files of a generation: read as a whole, or known not to have changed since they were. What was not read is never taken for empty: whoever
//! publishes a generation, opens its key or compares it needs the whole.

use std::borrow::Cow;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::leaf::leaf_of;
use super::{Condition, Kept, content, key_of_pem, public, text_of};
use crate::io::dir::{Dir, DiskError};
use crate::judge::cert::Facts;
use crate::model::anchor::Fingerprint;
use crate::model::canonical::Format as _;
use crate::model::clock::Time;
use crate::model::key::Keep;
use crate::model::layout;
use crate::model::meta::Meta;
use crate::model::name::{CertName, Generation};
use crate::model::resident::ResidentKeyFile;
use crate::model::sealed::SealedKeyFile;
use crate::model::secret::Material;
use crate::model::seen::{Intact, Issuer};

/// What was read of a generation.
pub(super) enum Files {
    /// All of it.
    Whole(Box<Whole>),
    /// What has to be known while nothing is done to it.
    Unchanged(Box<Unchanged>),
}

/// All files of a generation.
#[derive(Default)]
pub(super) struct Whole {
    pub(super) cert: Vec<u8>,
    pub(super) chain: Vec<u8>,
    pub(super) fullchain: Vec<u8>,
    pub(super) key: Zeroizing<Vec<u8>>,
    /// What was noted when it was staged, where that can be understood.
    pub(super) meta: Option<Meta>,
}

/// What is known of a generation that did not change since a run found it intact.
pub(super) struct Unchanged {
    cert: Vec<u8>,
    issuer: Arc<Issuer>,
    /// The key as it rests, where whoever reads it does not have the key: its header says what opens it.
    key: Option<Zeroizing<Vec<u8>>>,
    staged: Time,
}

/// A file that consumers get.
pub(crate) struct PublishedFile {
    /// Its name.
    pub(crate) name: &'static str,
    /// What is in it, which may be a key.
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

impl Kept {
    /// A generation that did not change since it was found intact: only its certificate is read, and a key that others may see. `None` where
    /// that is not so any more.
    ///
    /// # Errors
    /// Where reading fails.
    pub(in crate::plan) fn unchanged(
        certs: &Dir,
        name: &CertName,
        intact: &Intact,
        issuer: Arc<Issuer>,
    ) -> Result<Option<Self>, DiskError> {
        let path = |file: &str| format!("{name}/{}/{file}", intact.live);
        let Some(cert) = public(certs, &path(layout::CERT))? else { return Ok(None) };
        let Some(Ok(facts)) = leaf_of(&cert).as_deref().map(Facts::parse) else { return Ok(None) };
        let keep = intact.keep;
        let rests_in_clear = keep.rests_in_clear();
        let key = if rests_in_clear { None } else { content(certs, &path(keep.file()))?.map(|content| content.bytes) };
        if key.is_none() && !rests_in_clear {
            return Ok(None);
        }
        let sealed = key.as_ref().filter(|_| keep == Keep::Sealed).and_then(|key| SealedKeyFile::parse(key).ok());
        let files = Files::Unchanged(Box::new(Unchanged { cert, issuer, key, staged: intact.staged }));
        let (generation, facts, condition) = (intact.live, Some(facts), Condition::Intact);
        Ok(Some(Self { generation, keep, sealed_as: None, sealed, facts, condition, loose: None, files }))
    }

    /// Whether all of it was read, as whoever is to act on it needs it.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        matches!(self.files, Files::Whole(_))
    }

    /// All files.
    pub(super) fn whole(&self) -> Result<&Whole, String> {
        match &self.files {
            Files::Whole(whole) => Ok(whole),
            Files::Unchanged(_) => Err(unread(self.generation)),
        }
    }

    /// The leaf's PEM.
    #[must_use]
    pub fn cert_pem(&self) -> String {
        let cert = match &self.files {
            Files::Whole(whole) => &whole.cert,
            Files::Unchanged(unchanged) => &unchanged.cert,
        };
        String::from_utf8_lossy(cert).into_owned()
    }

    /// The intermediates' PEM.
    #[must_use]
    pub fn chain_pem(&self) -> Cow<'_, str> {
        match &self.files {
            Files::Whole(whole) => text_of(&whole.chain),
            Files::Unchanged(unchanged) => Cow::Borrowed(&unchanged.issuer.chain),
        }
    }

    /// What was noted when it was staged; `None` where that is missing or cannot be understood.
    ///
    /// # Errors
    /// It was not read, and nothing is known of it but [`Kept::staged`] and [`Kept::checked_against`].
    pub fn meta(&self) -> Result<Option<&Meta>, String> {
        self.whole().map(|whole| whole.meta.as_ref())
    }

    /// The same, for whoever asks what would be decided if something else were noted.
    ///
    /// # Errors
    /// It was not read.
    pub fn meta_mut(&mut self) -> Result<&mut Option<Meta>, String> {
        match &mut self.files {
            Files::Whole(whole) => Ok(&mut whole.meta),
            Files::Unchanged(_) => Err(unread(self.generation)),
        }
    }

    /// When it was staged.
    #[must_use]
    pub fn staged(&self) -> Option<Time> {
        match &self.files {
            Files::Whole(whole) => whole.meta.as_ref().map(|meta| meta.staged),
            Files::Unchanged(unchanged) => Some(unchanged.staged),
        }
    }

    /// The root that it was checked against then.
    #[must_use]
    pub fn checked_against(&self) -> Option<&Fingerprint> {
        match &self.files {
            Files::Whole(whole) => whole.meta.as_ref().map(|meta| &meta.anchor_sha256),
            Files::Unchanged(unchanged) => Some(&unchanged.issuer.anchor_sha256),
        }
    }

    /// Whether its private key lies there, in whatever form.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.whole().map_or(true, |whole| !whole.key.is_empty())
    }

    /// The private key as it rests: `key.pem`, or `key.sealed`. `None` where it lies in clear and was not read.
    pub(crate) fn key_at_rest(&self) -> Option<&[u8]> {
        match &self.files {
            Files::Whole(whole) => Some(&whole.key),
            Files::Unchanged(unchanged) => unchanged.key.as_deref().map(Vec::as_slice),
        }
    }

    /// What a key that stays in its TPM is bound to there.
    pub(crate) fn resident_pcrs(&self) -> Option<Vec<u32>> {
        let key = self.key_at_rest().filter(|_| self.keep == Keep::Resident)?;
        Some(ResidentKeyFile::parse(key).ok()?.pcrs.list.numbers().to_vec())
    }

    /// The private key's PEM, where it needs nobody to open it.
    pub(crate) fn plain_key(&self) -> Option<&[u8]> {
        self.key_at_rest().filter(|_| self.keep.rests_in_clear())
    }

    /// The files consumers get, with their names, except those that drivers render. Only a key that is given away itself is in a file together
    /// with its certificate. `None` where it was not read as a whole.
    pub(crate) fn published_files(&self, material: &Material) -> Option<Vec<PublishedFile>> {
        let whole = self.whole().ok()?;
        let file = |name, bytes: &[u8]| PublishedFile { name, bytes: Zeroizing::new(bytes.to_vec()) };
        let mut files: Vec<PublishedFile> = whole.public().map(|(name, bytes)| file(name, bytes)).into();
        files.extend(material.pem().map(|pem| file(layout::KEY, pem)));
        if let Material::Pem(pem) = material {
            let mut combined = Zeroizing::new(Vec::with_capacity(whole.fullchain.len() + pem.len()));
            combined.extend_from_slice(&whole.fullchain);
            combined.extend_from_slice(pem);
            files.push(PublishedFile { name: layout::COMBINED, bytes: combined });
        }
        Some(files)
    }
}

fn unread(generation: Generation) -> String {
    format!("{generation} did not change and was not read as a whole")
}

impl Whole {
    pub(super) fn public(&self) -> [(&'static str, &[u8]); 3] {
        [(layout::CERT, self.cert.as_slice()), (layout::CHAIN, &self.chain), (layout::FULLCHAIN, &self.fullchain)]
    }

    /// Whether this is the full chain and then this key.
    pub(super) fn is_combined(&self, bytes: &[u8], key: &[u8]) -> bool {
        bytes.strip_prefix(self.fullchain.as_slice()).is_some_and(|rest| rest == key)
    }

    pub(super) fn condition(&self, name: &str, generation: Generation, keep: Keep, spki: &[u8]) -> Condition {
        let changed = match &self.meta {
            None => Some(format!("{} is missing or not readable", layout::META)),
            Some(meta) if meta.v != 1 || meta.generation != generation => Some(format!("{} is of another generation", layout::META)),
            Some(meta) => self.difference(meta, keep),
        };
        // Equal hashes mean the pair that was checked when it was staged; the key is looked at only where something differs.
        let Some(changed) = changed else { return Condition::Intact };
        let belongs = match keep {
            Keep::File => self.plain_belongs(spki),
            Keep::Sealed => self.sealed_belongs(name, generation, spki),
            Keep::Resident => ResidentKeyFile::parse(&self.key).map(|key| key.spki_sha256.is_of(spki)).map_err(|why| why.to_string()),
        };
        match belongs {
            Err(why) => Condition::Unreadable(format!("{} of {generation}: {why}", keep.file())),
            Ok(false) => Condition::KeyMismatch,
            Ok(true) => Condition::Changed(changed),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::Owner;
    use crate::io::write;
    use crate::plan::generation::{Expected, files_differ};

    #[test]
    fn what_was_not_read_is_never_taken_for_empty() {
        let issuer = Arc::new(Issuer { chain: "chain".to_owned(), anchor_sha256: Fingerprint::of(b"root") });
        let unchanged = Unchanged { cert: b"leaf".to_vec(), issuer, key: None, staged: Time::from_unix(5) };
        let kept = Kept { files: Files::Unchanged(Box::new(unchanged)), ..Kept::for_tests(Generation(1), Keep::File, Condition::Intact) };
        assert!(!kept.is_whole() && kept.has_key());
        assert!(kept.key_at_rest().is_none() && kept.plain_key().is_none());
        assert!(kept.meta().is_err());
        assert!(kept.published_files(&Material::Pem(Zeroizing::new(b"key".to_vec()))).is_none());
        assert_eq!((kept.cert_pem().as_str(), &*kept.chain_pem(), kept.staged()), ("leaf", "chain", Some(Time::from_unix(5))));
        assert_eq!(kept.checked_against(), Some(&Fingerprint::of(b"root")));
        // Nor is anything equal to it.
        let here = tempfile::tempdir().unwrap();
        write::make_path(&here.path().join("gen-1"), 0o755).unwrap();
        let published = Dir::open(here.path()).unwrap().unwrap();
        let expected = Expected { owner: Owner::default(), rendered: &[], containers: &[] };
        let differs = files_differ(&published, &kept, expected).unwrap();
        assert!(differs.as_ref().is_some_and(|text| text.contains("was not read as a whole")), "{differs:?}");
        let nothing = Kept::for_tests(Generation(1), Keep::File, Condition::Intact);
        assert!(nothing.is_whole() && !nothing.has_key() && nothing.staged().is_none() && nothing.meta() == Ok(None));
    }
}
