//! The intermediates of what is committed, each text once, however many certificates have it. Only reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::io::dir::{Dir, DiskError};
use crate::model::layout;
use crate::model::name::{CertName, Generation};
use crate::plan::generation::chain_in;
use crate::plan::rename::Rename;

/// A certificate whose chain is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// Its name.
    pub name: &'a CertName,
    /// The name that it is to take over from.
    pub earlier: Option<&'a CertName>,
}

impl<'a> Named<'a> {
    /// One that never had another name.
    #[must_use]
    pub const fn plain(name: &'a CertName) -> Self {
        Self { name, earlier: None }
    }
}

/// The intermediates of each certificate's committed generation, as PEM.
#[derive(Clone, Debug, Default)]
pub struct Chains {
    /// Of every certificate that was looked at; `None` where nothing is committed.
    of: BTreeMap<CertName, Option<Arc<str>>>,
    texts: BTreeSet<Arc<str>>,
}

impl Chains {
    /// Takes this chain in place of what was known of a certificate.
    pub fn put(&mut self, name: CertName, chain: Option<&str>) {
        let chain = chain.map(|text| self.texts.get(text).cloned().unwrap_or_else(|| Arc::from(text)));
        self.texts.extend(chain.clone());
        self.of.insert(name, chain);
    }

    /// With those that others saw.
    #[must_use]
    pub fn with(mut self, others: Self) -> Self {
        others.of.into_iter().for_each(|(name, chain)| self.put(name, chain.as_deref()));
        self
    }

    /// With what is committed in this directory of those certificates that nobody looked at. One whose chain cannot be read has none here:
    /// that costs no other one.
    #[must_use]
    pub fn completed<'a>(mut self, certs: Option<&Dir>, wanted: impl Iterator<Item = Named<'a>>) -> Self {
        for wanted in wanted {
            if !self.of.contains_key(wanted.name) {
                let chain = certs.and_then(|certs| committed_chain(certs, wanted).ok().flatten());
                self.put(wanted.name.clone(), chain.as_deref().map(String::from_utf8_lossy).as_deref());
            }
        }
        self
    }

    pub(super) fn distinct(&self) -> BTreeSet<&Arc<str>> {
        self.of.values().flatten().collect()
    }
}

/// The intermediates of the committed generation, which lies under the earlier name until a run carries it over.
fn committed_chain(certs: &Dir, wanted: Named<'_>) -> Result<Option<Vec<u8>>, DiskError> {
    let rename = Rename::of(wanted.name, wanted.earlier, Some(certs))?;
    live(certs, rename.name_on_disk(wanted.name))?.map_or(Ok(None), |live| chain_in(&live))
}

/// The directory of the committed generation.
pub(super) fn live(certs: &Dir, name: &CertName) -> Result<Option<Dir>, DiskError> {
    let Some(var) = certs.child(name.as_str())? else { return Ok(None) };
    let Some(generation) = var.link(layout::LIVE)?.filter(|link| Generation::parse(link).is_some()) else { return Ok(None) };
    var.child(&generation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::write;

    #[test]
    fn equal_chains_are_one_text_and_what_was_seen_is_not_read_again() {
        let name = |text: &str| CertName::parse(text).unwrap();
        let mut chains = Chains::default();
        for (of, chain) in [("api", Some("same")), ("web", Some("same")), ("new", None), ("old", Some("other"))] {
            chains.put(name(of), chain);
        }
        let mut others = Chains::default();
        others.put(name("far"), Some("same"));
        let mut chains = chains.with(others);
        let texts = |chains: &Chains| chains.distinct().into_iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(texts(&chains), ["other", "same"]);
        let of = |chains: &Chains, who: &str| chains.of.get(&name(who)).cloned().flatten();
        assert!(Arc::ptr_eq(&of(&chains, "api").unwrap(), &of(&chains, "far").unwrap()));
        // In place of what was known, which nobody has any more.
        chains.put(name("old"), Some("same"));
        assert_eq!(texts(&chains), ["same"]);

        let here = tempfile::tempdir().unwrap();
        for (of, chain) in [("new", "on disk"), ("unseen", "on disk")] {
            let generation = write::make_path(&here.path().join(of).join("gen-1"), 0o700).unwrap();
            write::replace_file(&generation, layout::CHAIN, chain.as_bytes(), 0o600).unwrap();
            write::replace_link(&Dir::open(&here.path().join(of)).unwrap().unwrap(), layout::LIVE, "gen-1").unwrap();
        }
        let certs = Dir::open(here.path()).unwrap();
        let names = ["new", "unseen", "gone", "renamed"].map(name);
        let earlier = name("unseen");
        let wanted = |name| Named { name, earlier: (name.as_str() == "renamed").then_some(&earlier) };
        let completed = chains.clone().completed(certs.as_ref(), names.iter().map(wanted));
        assert_eq!(of(&completed, "renamed").as_deref(), Some("on disk"), "nobody carried it over yet");
        assert_eq!((of(&completed, "new"), of(&completed, "unseen").as_deref(), of(&completed, "gone")), (None, Some("on disk"), None));
        assert_eq!(texts(&chains.completed(None, names.iter().map(wanted))), ["same"]);
    }
}
