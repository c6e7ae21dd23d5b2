//! What did not change since a run found it intact is not read again (`seen.json`). Only reads.
//!
//! A run that did something notes, for each certificate that it leaves intact, published and equal, a digest over what the kernel says of
//! each of its files and directories in both trees. Where that digest is the same later, nothing was written, given away, opened or exchanged:
//! the look at the bytes would find what it found then. This is relied on only where all of the following holds.
//!
//! 1. Every file and directory that the whole look judges by is in the digest. What decides beside them is in it too: the program's version, what
//!    the settings expect of consumers' files, who looks and who writes the run directory. `state.json`, the certificate, links at consumers' own
//!    paths and what consumers are to trust are looked at each time.
//! 2. What the kernel said was older than the clock's tick *before* the look that judged, and the same after it: whatever changed since bears
//!    another time. A file system that dates by seconds, or by another host's clock, is not relied on.
//! 3. It is of this boot: a power cut may keep what was written and lose its time.
//! 4. It is at most a day old: what a disk loses by itself, or a program changes through memory that it had mapped before, bears no time at all.
//! 5. All lies on the file systems of the two trees; so a key that belongs in memory is in memory by the kernel's word of this look.
//! 6. The file is its owner's alone. Whatever is wrong with it, or missing, means the whole look, and is no error.
//! 7. Copies at consumers' own paths, containers and certificates with an earlier name are never noted. What is to be acted on is read as a
//!    whole: see [`Kept::is_whole`].

mod ground;
mod notes;
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
pub use notes::note;
use traces::{Subject, Traces};

/// How long it is relied on, in seconds.
const DAY: i64 = 24 * 60 * 60;

/// How much of what did not change is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// All of it.
    Whole,
    /// What has to be known to say that nothing is to be done.
    Changes,
}

/// What an earlier run found intact, as far as that can be relied on here and now.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    ground: Ground<'a>,
    file: SeenFile,
    /// Who issued, as the file has them.
    issuers: Vec<Known>,
    now: Tick,
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
}

impl<'a> Seen<'a> {
    /// What was noted; `None` where nothing can be relied on here, whatever was noted.
    pub(super) fn read(places: &'a Places) -> Option<Self> {
        let ground = Ground::of(places)?;
        let file = places.state.as_ref().and_then(noted).unwrap_or_default();
        let known = |issuer: &Issuer| Known { issuer: Arc::new(issuer.clone()), digest: issuer.digest() };
        let issuers = file.issuers.iter().map(known).collect();
        Some(Self { ground, file, issuers, now: Tick::now() })
    }

    /// A certificate that is as it was found then; `None` where that is not known.
    pub(super) fn unchanged(&self, certificate: &Certificate, beside: Beside<'_>, buffer: &mut Buffer) -> Option<Tree> {
        let (name, certs) = (certificate.name(), self.ground.certs);
        let intact = self.file.certificates.get(name.as_str())?;
        if !is_recent(intact.at, self.now) || intact.keep != certificate.keep {
            return None;
        }
        let issued = self.issuers.get(intact.issuer)?;
        // Read before it is known that it did not change: so it is what was judged.
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
        let (state, state_file) = read_state(certs, &format!("{name}/{}", layout::STATE), buffer).ok()?;
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::io::account::own_user;
    use crate::io::read;
    use crate::io::write::{self, Ownership};

    #[test]
    fn what_was_found_is_relied_on_for_a_day() {
        const NOW: i64 = 1_800_000_000;
        let now = Tick { seconds: NOW, nanoseconds: 1 };
        for (at, expected) in
            [(NOW, true), (NOW - DAY, true), (NOW - DAY - 1, false), (NOW + 1, false), (i64::MIN, false), (i64::MAX, false)]
        {
            assert_eq!(is_recent(at, now), expected, "{at}");
        }
    }

    #[test]
    fn only_a_file_that_is_ours_alone_says_anything() {
        let here = tempfile::tempdir().unwrap();
        let state = Dir::open(here.path()).unwrap().unwrap();
        let is_believed = |text: &str, mode: u32, uid: Option<u32>| {
            write::remove(&state, layout::SEEN).unwrap();
            let written = write::write_new(&state, layout::SEEN, text.as_bytes(), mode, Ownership { uid, gid: None });
            written.is_ok() && noted(&state).is_some()
        };
        assert!(noted(&state).is_none(), "there is none");
        let good = serde_json::to_string(&SeenFile { v: seen::VERSION, ..SeenFile::default() }).unwrap();
        assert!(is_believed(&good, 0o600, None));
        for mode in [0o640, 0o620, 0o604, 0o602] {
            assert!(!is_believed(&good, mode, None), "{mode:o}");
        }
        for text in ["", "{", "null", &good[..good.len() - 1], &good.replace("\"v\":1", "\"v\":2")] {
            assert!(!is_believed(text, 0o600, None), "{text}");
        }
        // Where files cannot be given away nobody else can have made it either.
        assert!(!is_believed(&good, 0o600, Some(12_345)), "it is somebody's");
        write::replace_file(&state, "other", good.as_bytes(), 0o600).unwrap();
        write::replace_link(&state, layout::SEEN, "other").unwrap();
        assert!(noted(&state).is_none(), "it is a link");
    }

    #[test]
    fn what_is_relied_on_is_of_this_boot_this_version_this_user_and_of_both_trees_as_they_are() {
        let here = tempfile::tempdir().unwrap();
        let open = |name: &str| Some(write::make_path(&here.path().join(name), 0o755).unwrap());
        let mut places = Places { state: open("state"), certs: open("state/certs"), run: open("run") };
        let ground = Ground::of(&places).expect("a file system that dates changes");
        let text = String::from_utf8(ground.bytes).unwrap();
        let boot = String::from_utf8(read::file(Path::new("/proc/sys/kernel/random/boot_id"), 64).unwrap()).unwrap();
        for part in [env!("CARGO_PKG_VERSION"), &format!(" {} ", own_user()), &boot] {
            assert!(text.contains(part), "{text}");
        }
        let above = Dir::open(here.path()).unwrap().unwrap();
        if write::make_dir(&above, "run", 0o755, Ownership { uid: Some(12_345), gid: None }).is_ok() {
            assert!(Ground::of(&places).is_none(), "the run directory is somebody's");
        }
        places.run = Dir::open(Path::new("/proc")).unwrap();
        assert!(Ground::of(&places).is_none(), "nothing is known of that file system");
        places.run = None;
        assert!(Ground::of(&places).is_none(), "nothing is published");
    }
}
