//! One generation as it lies in the state directory, and whether what consumers read equals it. Only reads.

use p256::pkcs8::SecretDocument;
use zeroize::Zeroizing;

use crate::config::settings::Owner;
use crate::io::dir::{Content, Dir, DiskError};
use crate::judge::cert::Facts;
use crate::judge::lint::Findings;
use crate::judge::{pair, pem};
use crate::model::anchor::Fingerprint;
use crate::model::layout::{self, Meta};
use crate::model::name::Generation;

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

/// A generation read from the state directory. Its key is in it: neither cloned nor printed.
pub struct Kept {
    /// Which one.
    pub generation: Generation,
    /// The leaf, where it parses.
    pub facts: Option<Facts>,
    /// Whether it can be used.
    pub condition: Condition,
    /// What was noted when it was staged.
    pub meta: Option<Meta>,
    files: Files,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("generation", &self.generation).field("condition", &self.condition).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Files {
    cert: Bytes,
    chain: Bytes,
    fullchain: Bytes,
    key: Bytes,
}

type Bytes = Zeroizing<Vec<u8>>;

impl Kept {
    /// Reads `gen-N` below `certs/NAME`.
    ///
    /// # Errors
    /// Only where reading itself fails, such as for lack of permission; a damaged generation is a [`Condition`].
    pub fn read(certificate: &Dir, generation: Generation) -> Result<Self, DiskError> {
        let Some(dir) = certificate.child(&generation.to_string())? else {
            let gone = Condition::Unreadable(format!("{} is gone", certificate.join(&generation.to_string()).display()));
            return Ok(Self { generation, facts: None, condition: gone, meta: None, files: Files::default() });
        };
        // What is there and is no file of ours (a directory, a pipe, a link) makes the generation unreadable; only permission is an error.
        let file = |name| match dir.read(name) {
            Err(why) if !why.denied() => Ok(None),
            read => Ok::<_, DiskError>(read?.map(|content| content.bytes)),
        };
        let found = (file(layout::CERT)?, file(layout::CHAIN)?, file(layout::FULLCHAIN)?, file(layout::KEY)?);
        let meta = file(layout::META)?.and_then(|bytes| serde_json::from_slice::<Meta>(&bytes).ok());
        let (Some(cert), Some(chain), Some(fullchain), Some(key)) = found else {
            let text = format!("a file of {} is missing or is no regular file", dir.path().display());
            return Ok(Self { generation, facts: None, condition: Condition::Unreadable(text), meta, files: Files::default() });
        };
        let files = Files { cert, chain, fullchain, key };
        let leaf = certificates(&files.cert).into_iter().next();
        let facts = leaf.as_deref().map(Facts::parse);
        let condition = match &facts {
            None => Condition::Unreadable(format!("{} holds no certificate", dir.join(layout::CERT).display())),
            Some(Err(why)) => Condition::Unreadable(format!("{}: {why}", dir.join(layout::CERT).display())),
            Some(Ok(facts)) => files.condition(meta.as_ref(), generation, &facts.spki),
        };
        Ok(Self { generation, facts: facts.and_then(Result::ok), condition, meta, files })
    }

    /// The leaf's PEM.
    #[must_use]
    pub fn cert_pem(&self) -> String {
        String::from_utf8_lossy(&self.files.cert).into_owned()
    }

    /// The intermediates' PEM.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        String::from_utf8_lossy(&self.files.chain).into_owned()
    }

    /// The private key's PEM.
    pub(crate) fn key_pem(&self) -> &[u8] {
        &self.files.key
    }

    /// The files consumers get, with their names, except the nginx include.
    pub(crate) fn published_files(&self) -> [(&'static str, Bytes); 5] {
        let mut combined = Zeroizing::new(Vec::with_capacity(self.files.fullchain.len() + self.files.key.len()));
        combined.extend_from_slice(&self.files.fullchain);
        combined.extend_from_slice(&self.files.key);
        [
            (layout::CERT, self.files.cert.clone()),
            (layout::CHAIN, self.files.chain.clone()),
            (layout::FULLCHAIN, self.files.fullchain.clone()),
            (layout::KEY, self.files.key.clone()),
            (layout::COMBINED, combined),
        ]
    }
}

impl Files {
    fn condition(&self, meta: Option<&Meta>, generation: Generation, spki: &[u8]) -> Condition {
        let changed = match meta {
            None => Some(format!("{} is missing or not readable", layout::META)),
            Some(meta) if meta.v != 1 || meta.generation != generation => Some(format!("{} is of another generation", layout::META)),
            Some(meta) => self.difference(meta),
        };
        // Equal hashes mean the pair that was checked when it was staged; the key is parsed only where something differs.
        let Some(changed) = changed else { return Condition::Intact };
        let own = pkcs8_of_pem(&self.key).and_then(|key| pair::spki_of_pkcs8(key.as_bytes()).map_err(|why| why.to_string()));
        match own {
            Err(why) => Condition::Unreadable(format!("{} of {generation}: {why}", layout::KEY)),
            Ok(own) if own != spki => Condition::KeyMismatch,
            Ok(_) => Condition::Changed(changed),
        }
    }

    fn difference(&self, meta: &Meta) -> Option<String> {
        let all =
            [(layout::CERT, &self.cert), (layout::CHAIN, &self.chain), (layout::FULLCHAIN, &self.fullchain), (layout::KEY, &self.key)];
        let differs = |(name, bytes): &(&str, &Bytes)| meta.files.get(*name) != Some(&Fingerprint::of(bytes));
        all.iter().find(|file| differs(file)).map(|(name, _)| format!("{name} is not the one that was staged"))
    }
}

/// The certificates of one of our own PEM files.
#[must_use]
pub fn certificates(bytes: &[u8]) -> Vec<Vec<u8>> {
    let severities = std::collections::BTreeMap::new();
    pem::read(&String::from_utf8_lossy(bytes), &mut Findings::new(&severities))
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

/// Modes and group of what is published: 0640 for a group, 0600 without (ONDISK, Owners).
#[must_use]
pub const fn key_mode(gid: Option<u32>) -> u32 {
    if gid.is_some() { 0o640 } else { 0o600 }
}

/// How what consumers read differs from this generation; `None` where it is complete and equal.
///
/// # Errors
/// Where reading fails, such as for lack of permission.
pub fn difference(published: &Dir, kept: &Kept, owner: Owner, nginx: &str) -> Result<Option<String>, DiskError> {
    let name = kept.generation.to_string();
    if published.link(layout::LIVE)?.as_deref() != Some(name.as_str()) {
        return Ok(Some(format!("{} does not name {name}", published.join(layout::LIVE).display())));
    }
    let Some(dir) = published.child(&name)? else {
        return Ok(Some(format!("{} is gone", published.join(&name).display())));
    };
    if published.link(layout::NGINX)?.as_deref() != Some("live/nginx.conf") {
        return Ok(Some(format!("{} is gone", published.join(layout::NGINX).display())));
    }
    let differs = |file: &str, right: bool| (!right).then(|| format!("{} differs from what is committed", dir.join(file).display()));
    for (file, expected) in kept.plain_files() {
        let secret = file == layout::KEY;
        let found = dir.read(file)?;
        if let Some(text) = differs(file, found.is_some_and(|f| f.bytes.as_slice() == expected && mode_is_right(&f, secret, owner))) {
            return Ok(Some(text));
        }
    }
    let combined = dir.read(layout::COMBINED)?;
    let right = combined.is_some_and(|f| kept.is_combined(&f.bytes) && mode_is_right(&f, true, owner));
    if let Some(text) = differs(layout::COMBINED, right) {
        return Ok(Some(text));
    }
    Ok(differs(layout::NGINX, dir.read(layout::NGINX)?.is_some_and(|f| f.bytes.as_slice() == nginx.as_bytes())))
}

fn mode_is_right(content: &Content, secret: bool, owner: Owner) -> bool {
    let owned = owner.uid.is_none_or(|uid| uid == content.uid) && owner.gid.is_none_or(|gid| gid == content.gid);
    !secret || (content.mode == key_mode(owner.gid) && owned)
}

impl Kept {
    fn plain_files(&self) -> [(&'static str, &[u8]); 4] {
        let files = &self.files;
        [
            (layout::CERT, files.cert.as_slice()),
            (layout::CHAIN, &files.chain),
            (layout::FULLCHAIN, &files.fullchain),
            (layout::KEY, &files.key),
        ]
    }

    fn is_combined(&self, bytes: &[u8]) -> bool {
        bytes.strip_prefix(self.files.fullchain.as_slice()).is_some_and(|rest| rest == self.files.key.as_slice())
    }
}
