//! What did not change since a run found it intact is not read again (`seen.json`). Only reads.
//!
//! A run that did something notes, for each certificate that it leaves intact, published and equal, a digest over what the kernel says of
//! each of its files and directories in both trees. Where that digest is the same later, nothing was written, given away, opened or exchanged:
//! the look at the bytes would find what it found then. This is relied on only where all of the following holds.
//!
//! 1. Every file and directory that the whole look judges by is in the digest. What decides beside them is in it too: the program's version, what
//!    the settings expect of consumers' files, who looks with which groups and capabilities, and who writes the run directory. Looked at each
//!    time are `state.json`, the certificate, a key that a TPM keeps with the sealing keys, keys in clear where sealed ones are asked for, links
//!    at consumers' own paths, and what consumers are to trust.
//! 2. What the kernel said was older than the clock's tick *before* the look that judged, and the same after it: whatever changed since bears
//!    another time. A file system that dates by seconds, or by another host's clock, is not relied on.
//! 3. It is of this boot: a power cut may keep what was written and lose its time.
//! 4. Nobody but root and the user of omens can write to a file of it: what is written through memory that was mapped may bear no time
//!    ([`Stamp`](crate::io::dir::Stamp)). What these two write that way, and what a disk loses by itself, stays unseen until it is a day old.
//! 5. All lies on the file systems of the two trees; so a key that belongs in memory is in memory by the kernel's word of this look.
//! 6. The file is its owner's alone. Whatever is wrong with it, or missing, means the whole look, and is no error.
//! 7. Copies at consumers' own paths, containers and certificates with an earlier name are never noted. What is to be acted on is read as a
//!    whole: see [`Kept::is_whole`].

mod ground;
mod remember;
#[cfg(test)]
mod tests;
mod traces;

use std::sync::Arc;

use super::Tree;
use super::host::Places;
use super::state_file::read_state;
use crate::config::settings::{Certificate, Settings};
use crate::io::dir::{Buffer, Dir, Tick};
use crate::model::layout;
use crate::model::name::Generation;
use crate::model::seen::{self, Digest, Intact, Issuer, SeenFile};
use crate::plan::generation::{Condition, Kept};
use crate::plan::links;
use crate::plan::outlet::Outlet;
use crate::plan::sealing::{SealingKeys, in_clear};
use crate::plan::trust::TrustFiles;
use ground::Ground;
pub use remember::to_remember;
use traces::{Subject, Traces};

/// How long it is relied on, in seconds.
const DAY: i64 = 24 * 60 * 60;

/// How much of what did not change is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// All of it.
    Whole,
    /// Of what did not change since it was found intact, only what has to be known to say that nothing is to be done.
    SkippingUnchanged,
}

/// What an earlier run found intact, as far as that can be relied on here and now.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    ground: Ground<'a>,
    file: SeenFile,
    /// Who issued, as the file has them.
    issuers: Vec<Known>,
}

/// Who issued, as many certificates may share it.
#[derive(Debug)]
struct Known {
    issuer: Arc<Issuer>,
    digest: Digest,
}

/// What decides about a certificate beside its own files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beside<'a> {
    pub(super) settings: &'a Settings,
    pub(super) keys: &'a SealingKeys,
    pub(super) trust: Option<&'a Arc<TrustFiles>>,
    pub(super) now: Tick,
}

impl<'a> Seen<'a> {
    /// What was noted; `None` where nothing can be relied on here, whatever was noted.
    pub(super) fn read(places: &'a Places) -> Option<Self> {
        let ground = Ground::of(places)?;
        let file = places.state.as_ref().and_then(noted).unwrap_or_default();
        let known = |issuer: &Issuer| Known { issuer: Arc::new(issuer.clone()), digest: issuer.digest() };
        let issuers = file.issuers.iter().map(known).collect();
        Some(Self { ground, file, issuers })
    }

    /// A certificate that is as it was found then; `None` where that is not known.
    pub(super) fn unchanged(&self, certificate: &Certificate, beside: Beside<'_>, buffer: &mut Buffer) -> Option<Tree> {
        let (name, certs) = (certificate.name(), self.ground.certs);
        let intact = self.file.certificates.get(name.as_str())?;
        if !is_recent(intact.at, beside.now) || intact.keep != certificate.keep {
            return None;
        }
        let issued = self.issuers.get(intact.issuer)?;
        // What is read is read before it is known that nothing changed: so it is what was judged. `state.json` first, as in a whole look: a commit
        // may come in between, since whoever only tells takes no lock, and notes itself there last. Its note beside what was committed before
        // would tell of a certificate that never was.
        let (state, state_file) = read_state(certs, &format!("{name}/{}", layout::STATE), buffer).ok()?;
        let mut live = Kept::unchanged(certs, name, intact, issued.issuer.clone()).ok()??;
        let outlet = Outlet::of_settings(beside.settings, certificate, intact.live, None);
        let traces = Traces::of(&self.ground, Subject::of(certificate, intact.live, &outlet)?)?;
        if intact.sha256 != self.digest(certificate, intact, issued.digest, &traces) {
            return None;
        }
        beside.keys.judge_live(&mut live);
        if live.condition != Condition::Intact {
            return None;
        }
        let in_clear =
            if certificate.keep.rests_in_clear() { Vec::new() } else { in_clear(&certs.child(name.as_str()).ok()??, &intact.complete) };
        let published = super::Published { generation: Some(intact.live), facts: live.facts.clone() };
        Some(Tree {
            largest: intact.largest.max(if state.largest <= Generation::LARGEST { state.largest } else { 0 }),
            complete: intact.complete.clone(),
            missing_link: links::missing(beside.settings, certificate),
            trust_changed: beside.trust.and_then(|trust| trust.changed(certificate, &state)),
            live: Some(live),
            state,
            state_file,
            in_clear,
            published,
            ..Tree::default()
        })
    }

    fn digest(&self, certificate: &Certificate, intact: &Intact, issuer: Digest, traces: &Traces) -> Digest {
        Digest::of(&intact.digested(certificate.name(), &[&self.ground.bytes, issuer.as_bytes(), &traces.bytes]))
    }
}

/// The file, where it is ours, and nobody else's to read or write.
fn noted(state: &Dir) -> Option<SeenFile> {
    let content = state.read(layout::SEEN).ok()??;
    let (_, owner, _) = state.owner().ok()?;
    if content.mode & 0o077 != 0 || content.uid != owner {
        return None;
    }
    serde_json::from_slice::<SeenFile>(&content.bytes).ok().filter(|file| file.v == seen::VERSION)
}

/// Whether what was found then is still relied on: neither too old, nor of a time that is still to come.
fn is_recent(at: i64, now: Tick) -> bool {
    (0..=DAY).contains(&now.seconds.saturating_sub(at))
}
