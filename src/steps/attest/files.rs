//! What attesting keeps on disk: the attestation key and its lock in the state directory, the last verdict in the run directory. A verdict that
//! is read back opens the gate, so nothing counts that somebody else could have written.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::io::dir::{Content, Dir, DiskError};
use crate::io::lock::Lock;
use crate::io::write::{self, Ownership};
use crate::model::anchor::Fingerprint;
use crate::model::attestation::{AkFile, BreakGlassFile, VerdictFile};
use crate::model::canonical::Format as _;
use crate::model::clock::{Clock, Time};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::layout;
use crate::model::verdict::{Conclusion, Verdict};

/// How long a run waits for another attester.
const WAIT: Duration = Duration::from_secs(10);
/// Between two looks at a lock that somebody else holds.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// A time may be of the future by this much, in seconds.
const SKEW: i64 = 60;

/// The files of attesting.
#[derive(Clone, Debug)]
pub(super) struct Files {
    state: PathBuf,
    run: PathBuf,
}

impl Files {
    pub(super) fn of(state: &Path, run: &Path) -> Self {
        Self { state: state.to_path_buf(), run: run.to_path_buf() }
    }

    fn dir(&self) -> Result<Dir, DiskError> {
        let state = write::make_path(&self.state, 0o700)?;
        let (dir, made) = write::make_dir(&state, layout::ATTEST, 0o700, Ownership::default())?;
        if made {
            write::sync(&state)?;
        }
        Ok(dir)
    }

    /// Takes the attester's lock; `None` where somebody else holds it all the time.
    pub(super) async fn lock(&self, until: Instant, clock: Clock) -> Result<Option<Lock>, Failure> {
        let dir = self.dir().map_err(|why| why.failure(Stage::Attest))?;
        let end = until.min(clock.instant() + WAIT);
        loop {
            if let Some(lock) = Lock::try_take(&dir, layout::LOCK).map_err(|why| why.failure(Stage::Attest))? {
                return Ok(Some(lock));
            }
            if clock.instant() >= end {
                return Ok(None);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Removes what a killed attester left half-written; only with its lock.
    pub(super) fn clean(&self) -> Result<(), Failure> {
        let clean = || {
            remove_halves(&self.dir()?, layout::AK)?;
            Dir::open(&self.run)?.map_or(Ok(()), |run| remove_halves(&run, layout::VERDICT))
        };
        clean().map_err(|why| why.failure(Stage::Attest))
    }

    /// The attestation key that is kept.
    pub(super) fn ak(&self) -> Result<Option<AkFile>, Failure> {
        let read = || self.dir()?.read(layout::AK);
        let Some(content) = read().map_err(|why| why.failure(Stage::Attest))? else { return Ok(None) };
        AkFile::parse(&content.bytes).map(Some).map_err(|why| {
            let path = self.state.join(layout::ATTEST).join(layout::AK);
            Failure::new(Stage::Attest, Code::BlobDamaged, format!("the attestation key {} cannot be read: {why}", path.display())).hint(
                "a backup of that file would do; else remove it, have an administrator delete this agent at registrar and verifier, and enrol \
                 it anew (omens attest --print-policy)",
            )
        })
    }

    /// Keeps the key; it is durable when this returns.
    pub(super) fn keep_ak(&self, ak: &AkFile) -> Result<(), Failure> {
        let bytes = ak
            .written()
            .map_err(|why| Failure::new(Stage::Attest, Code::BlobDamaged, format!("the attestation key cannot be written: {why}")))?;
        let put = || write::replace_file(&self.dir()?, layout::AK, &bytes, 0o600);
        put().map_err(|why| why.failure(Stage::Attest))
    }

    /// A pass of this agent that is no older than `max_age`. What is torn, a link, another's, or could be read or written by others, is none.
    pub(super) fn young_pass(&self, ours: &Ours<'_>, now: Time, max_age: Duration) -> Option<Verdict> {
        let dir = Dir::open(&self.run).ok()??;
        let content = dir.read(layout::VERDICT).ok()??;
        let (_, owner, _) = dir.owner().ok()?;
        young(&content, owner, ours, now, max_age)
    }

    /// Keeps a verdict for the runs to come. That nobody answered does not take a young pass away.
    pub(super) fn keep_verdict(&self, ours: &Ours<'_>, verdict: &Verdict, now: Time, max_age: Duration) -> Result<(), DiskError> {
        if verdict.conclusion == Conclusion::Unreachable && self.young_pass(ours, now, max_age).is_some() {
            return Ok(());
        }
        let dir = write::make_path(&self.run, 0o755)?;
        let file = VerdictFile::new(now, ours.agent_id.unwrap_or_default().to_owned(), ours.verifier.to_owned(), verdict.clone());
        let bytes = serde_json::to_vec(&file).map_err(|_| write::not_json(&dir, layout::VERDICT))?;
        write::replace_unflushed(&dir, layout::VERDICT, &bytes, 0o600)
    }

    /// Notes that a person had a certificate issued without a verdict; durable when this returns.
    pub(super) fn note_break_glass(&self, reason: &str, now: Time) -> Result<(), DiskError> {
        let dir = self.dir()?;
        // Nobody else writes it: a run has the lock of all runs.
        remove_halves(&dir, layout::BREAK_GLASS)?;
        let bytes = serde_json::to_vec(&BreakGlassFile::new(now, reason.to_owned()));
        let bytes = bytes.map_err(|_| write::not_json(&dir, layout::BREAK_GLASS))?;
        write::replace_file(&dir, layout::BREAK_GLASS, &bytes, 0o600)
    }

    /// Takes that note away: there was a pass since.
    pub(super) fn forget_break_glass(&self) -> Result<(), DiskError> {
        let dir = self.dir()?;
        if dir.kind(layout::BREAK_GLASS)?.is_none() {
            return Ok(());
        }
        write::remove(&dir, layout::BREAK_GLASS)?;
        write::sync(&dir)
    }
}

/// Removes what [`write::replace_file`] was killed over.
fn remove_halves(dir: &Dir, file: &str) -> Result<(), DiskError> {
    let prefix = format!(".{file}.");
    dir.names()?.iter().filter(|name| name.starts_with(&prefix)).try_for_each(|name| write::remove(dir, name))
}

/// Who this host is, and to whom, by its settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ours<'a> {
    /// Its id; `None` where that follows from the endorsement key and is not known yet.
    pub(super) agent_id: Option<&'a str>,
    /// The verifier.
    pub(super) verifier: &'a str,
}

impl Ours<'_> {
    /// Whether a kept verdict is on this agent and by this verifier.
    fn is(&self, file: &VerdictFile) -> bool {
        // Files of earlier versions do not say by whom.
        let Some(verifier) = &file.verifier else { return self.agent_id.is_none_or(|ours| ours == file.agent_id) };
        let agent = match self.agent_id {
            Some(ours) => ours == file.agent_id,
            None => Fingerprint::parse(&file.agent_id).is_some(),
        };
        agent && verifier == self.verifier
    }
}

fn young(content: &Content, owner: u32, ours: &Ours<'_>, now: Time, max_age: Duration) -> Option<Verdict> {
    // Whoever owns the directory wrote everything in it; root may have.
    if content.mode & 0o077 != 0 || (content.uid != owner && content.uid != 0) {
        return None;
    }
    let file = VerdictFile::parse(&content.bytes)?;
    let is_young = |at: Time| {
        let age = now.since(at);
        age >= -SKEW && u64::try_from(age.max(0)).is_ok_and(|age| age <= max_age.as_secs())
    };
    let ours = ours.is(&file);
    let passes = file.verdict.conclusion == Conclusion::Pass && !file.verdict.attested.is_nothing();
    (ours && passes && is_young(file.at) && is_young(file.verdict.at)).then_some(file.verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::verdict::Appraised;

    const NOW: i64 = 1_800_000_000;
    const VERIFIER: &str = "https://verifier.example:8881";

    fn file(at: i64, verdict: Verdict) -> Vec<u8> {
        serde_json::to_vec(&VerdictFile::new(Time::from_unix(at), "a".to_owned(), VERIFIER.to_owned(), verdict)).unwrap()
    }

    fn pass(at: i64) -> Verdict {
        let attested = Appraised { pcrs: vec![7], ..Appraised::default() };
        Verdict { attested, ..Verdict::new(Conclusion::Pass, Time::from_unix(at), "as expected") }
    }

    fn opens(bytes: &[u8], mode: u32, uid: u32, agent_id: Option<&str>) -> bool {
        let content = Content { bytes: zeroize::Zeroizing::new(bytes.to_vec()), mode, uid, gid: 0 };
        young(&content, 0, &Ours { agent_id, verifier: VERIFIER }, Time::from_unix(NOW), Duration::from_secs(600)).is_some()
    }

    #[test]
    fn only_a_young_pass_of_ours_that_nobody_else_wrote_opens() {
        let good = file(NOW, pass(NOW));
        assert!(opens(&good, 0o600, 0, Some("a")));
        assert!(
            opens(&file(NOW - 600, pass(NOW - 600)), 0o600, 0, Some("a")) && opens(&file(NOW + 60, pass(NOW + 60)), 0o600, 0, Some("a"))
        );
        let nothing = Verdict { attested: Appraised::default(), ..pass(NOW) };
        let text = String::from_utf8(good.clone()).unwrap();
        for (what, bytes) in [
            ("written long ago", file(NOW - 601, pass(NOW))),
            ("given long ago", file(NOW, pass(NOW - 601))),
            ("of the future", file(NOW + 61, pass(NOW + 61))),
            ("a pass of nothing", file(NOW, nothing)),
            ("torn", good[..good.len() - 1].to_vec()),
            ("empty", Vec::new()),
            ("two documents", [&good[..], &good].concat()),
            ("a newer version", text.replace("\"v\":1", "\"v\":2").into_bytes()),
            ("an unknown field", text.replace("\"v\":1", "\"v\":1,\"w\":1").into_bytes()),
            ("an unknown word", text.replace("\"pass\"", "\"passed\"").into_bytes()),
        ] {
            assert!(!opens(&bytes, 0o600, 0, Some("a")), "{what}");
        }
        for conclusion in Conclusion::ALL.into_iter().filter(|conclusion| *conclusion != Conclusion::Pass) {
            assert!(!opens(&file(NOW, Verdict { conclusion, ..pass(NOW) }), 0o600, 0, Some("a")), "{conclusion:?}");
        }
        assert!(!opens(&good, 0o600, 0, Some("b")), "another agent's");
        assert!(!opens(&good, 0o644, 0, Some("a")) && !opens(&good, 0o660, 0, Some("a")), "others may read or write it");
        assert!(!opens(&good, 0o600, 1000, Some("a")), "somebody else's");
    }

    #[test]
    fn a_pass_for_another_agent_or_by_another_verifier_opens_nothing() {
        let hash = "a5".repeat(32);
        let of = |id: &str, verifier: &str| {
            serde_json::to_vec(&VerdictFile::new(Time::from_unix(NOW), id.to_owned(), verifier.to_owned(), pass(NOW))).unwrap()
        };
        assert!(opens(&of(&hash, VERIFIER), 0o600, 0, None) && opens(&of(&hash, VERIFIER), 0o600, 0, Some(&hash)));
        assert!(!opens(&of("a", "https://other.example:8881"), 0o600, 0, Some("a")), "another verifier's");
        assert!(!opens(&of(&hash, "https://other.example:8881"), 0o600, 0, None), "another verifier's");
        // The id was fixed when it was written, and follows from the endorsement key now.
        assert!(!opens(&of("a", VERIFIER), 0o600, 0, None), "another agent's");
        // What an earlier version wrote names no verifier.
        let earlier = String::from_utf8(of("a", "V")).unwrap().replace("\"verifier\":\"V\",", "");
        assert!(
            !earlier.contains("verifier")
                && opens(earlier.as_bytes(), 0o600, 0, Some("a"))
                && !opens(earlier.as_bytes(), 0o600, 0, Some("b"))
        );
    }
}
