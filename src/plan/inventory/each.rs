//! A look at many certificates: each tree is read once, and what consumers are to trust is made of the chains that were read on the way.
//! Only reads.

use std::sync::Arc;

use super::host::{Found, Host, Places, ToTrust, host};
use super::seen::{Beside, Depth, Seen};
use super::{Roots, Tree, look_at};
use crate::config::settings::{Certificate, Settings};
use crate::io::dir::{Buffer, DiskError, Tick};
use crate::plan::generation::Kept;
use crate::plan::sealing::SealingKeys;
use crate::plan::trust::{Chains, TrustFiles, Trusted, reads_any};

/// Below this number a second thread costs more than it saves.
const WORTH_A_THREAD: usize = 64;

/// Reads about these certificates what this depth asks for, one after the other, and keeps of each what `judge` makes of it, in the order of the
/// settings: of thousands with nothing due no more than their reports is in memory at a time.
///
/// What consumers are to trust is made of all chains, and is known only when all were read. Until then it is taken for what lies there, as
/// it nearly always is; where it is not, those whose consumers read it are looked at again.
///
/// # Errors
/// When the state directory itself cannot be read.
pub fn each<T: Send>(
    settings: &Settings,
    wanted: &[&Certificate],
    depth: Depth,
    judge: impl Fn(&Certificate, Result<Tree, DiskError>) -> T + Sync,
) -> Result<(Host, Vec<T>), DiskError> {
    let places = Places::open(settings)?;
    let sealing = SealingKeys::read(places.state.as_ref())?;
    let Found { files: found, lists, is_half_made } = Found::of(settings, &places)?;
    let seen = if depth == Depth::SkippingUnchanged { Seen::read(&places) } else { None };
    let look = |wanted: &[&Certificate], trust| {
        Look { settings, places: &places, sealing: &sealing, trust, seen: seen.as_ref() }.at(wanted, &judge)
    };
    let (mut all, chains) = look(wanted, &found);
    let trusted = Trusted::seen(settings, lists, places.certs.as_ref(), chains);
    let (wanted_files, has_chains) = (trusted.files(), trusted.has_chains());
    if wanted_files == *found {
        let trust = ToTrust { files: found, has_chains, is_half_made };
        return Ok((host(settings, &places, sealing, trust)?, all));
    }
    let trust = Arc::new(wanted_files);
    let readers: Vec<&Certificate> = wanted.iter().copied().filter(|certificate| reads_any(certificate)).collect();
    let (again, _) = look(&readers, &trust);
    let of_readers = all.iter_mut().zip(wanted).filter(|(_, certificate)| reads_any(certificate)).map(|(one, _)| one);
    of_readers.zip(again).for_each(|(one, again)| *one = again);
    let trust = ToTrust { files: trust, has_chains, is_half_made: is_half_made || places.run.is_some() };
    Ok((host(settings, &places, sealing, trust)?, all))
}

/// A look at many trees.
struct Look<'a> {
    settings: &'a Settings,
    places: &'a Places,
    sealing: &'a SealingKeys,
    /// What consumers are to trust.
    trust: &'a Arc<TrustFiles>,
    /// What need not be read again.
    seen: Option<&'a Seen<'a>>,
}

impl Look<'_> {
    /// What is made of each, and the chains that were read.
    fn at<T: Send>(
        &self,
        wanted: &[&Certificate],
        judge: &(impl Fn(&Certificate, Result<Tree, DiskError>) -> T + Sync),
    ) -> (Vec<T>, Chains) {
        if wanted.len() < WORTH_A_THREAD {
            return self.one_by_one(wanted, judge);
        }
        let (first, second) = wanted.split_at(wanted.len() / 2);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| self.one_by_one(second, judge));
            let (mut all, chains) = self.one_by_one(first, judge);
            let (rest, others) = other.join().unwrap_or_else(|_| self.one_by_one(second, judge));
            all.extend(rest);
            (all, chains.with(others))
        })
    }

    fn one_by_one<T>(&self, part: &[&Certificate], judge: &impl Fn(&Certificate, Result<Tree, DiskError>) -> T) -> (Vec<T>, Chains) {
        let roots = Roots { certs: self.places.certs.as_ref(), run: self.places.run.as_ref(), trust: Some(self.trust) };
        let beside = Beside { settings: self.settings, keys: self.sealing, trust: Some(self.trust), now: Tick::now() };
        let (mut buffer, mut chains) = (Buffer::default(), Chains::default());
        let look = |certificate: &&Certificate| {
            let unchanged = self.seen.and_then(|seen| seen.unchanged(certificate, beside, &mut buffer));
            let tree = unchanged.map_or_else(|| look_at(self.settings, certificate, roots, self.sealing, &mut buffer), Ok);
            if let Ok(tree) = &tree {
                chains.put(certificate.name().clone(), tree.live.as_ref().map(Kept::chain_pem).as_deref());
            }
            judge(certificate, tree)
        };
        let judged = part.iter().map(look).collect();
        (judged, chains)
    }
}
