//! What a run that did something leaves for the next ones: which certificates it leaves intact. What to write is said here, and not written.

use super::traces::{Subject, Traces};
use super::{Beside, Seen};
use crate::config::settings::{Certificate, Settings};
use crate::io::dir::{Buffer, Tick};
use crate::model::layout;
use crate::model::name::Generation;
use crate::model::seen::{self, Digest, Intact, Issuer, SeenFile};
use crate::plan::generation::Condition;
use crate::plan::inventory::host::Places;
use crate::plan::inventory::{Roots, Tree, look_at};
use crate::plan::outlet::Outlet;
use crate::plan::rename::Rename;
use crate::plan::sealing::SealingKeys;

/// What is to be written: what an earlier run noted and still holds, and what is found intact of these certificates. `None` where that lies there
/// already, or where nothing could be relied on.
#[must_use]
pub fn to_remember(settings: &Settings, wanted: &[&Certificate]) -> Option<SeenFile> {
    let places = Places::open(settings).ok()?;
    let keys = SealingKeys::read(places.state.as_ref()).ok()?;
    let earlier = Seen::read(&places)?;
    // What was done up to now is older than this.
    let tick = Tick::next()?;
    let look = Look { settings, earlier: &earlier, keys: &keys, tick };
    let mut file = SeenFile { v: seen::VERSION, ..SeenFile::default() };
    let mut buffer = Buffer::default();
    for certificate in &settings.certificates {
        let is_wanted = || wanted.iter().any(|one| one.name() == certificate.name());
        let found =
            look.still_holds(certificate, &mut buffer).or_else(|| is_wanted().then(|| look.found(certificate, &mut buffer)).flatten());
        if let Some((intact, issuer)) = found {
            let issuer = place(&mut file.issuers, issuer);
            file.certificates.insert(certificate.name().to_string(), Intact { issuer, ..intact });
        }
    }
    (file != earlier.file).then_some(file)
}

/// The place of an issuer among these, which have each once.
fn place(issuers: &mut Vec<Issuer>, issuer: Issuer) -> usize {
    let found = issuers.iter().position(|one| *one == issuer);
    found.unwrap_or_else(|| {
        issuers.push(issuer);
        issuers.len() - 1
    })
}

/// A look at what may be remembered.
struct Look<'a> {
    settings: &'a Settings,
    earlier: &'a Seen<'a>,
    keys: &'a SealingKeys,
    tick: Tick,
}

impl Look<'_> {
    /// What an earlier run noted of this one, with its intermediates, where it is so still.
    fn still_holds(&self, certificate: &Certificate, buffer: &mut Buffer) -> Option<(Intact, Issuer)> {
        let Self { settings, earlier, keys, .. } = *self;
        earlier.unchanged(certificate, Beside { settings, keys, trust: None, now: Tick::now() }, buffer)?;
        let intact = earlier.file.certificates.get(certificate.name().as_str())?;
        Some((intact.clone(), earlier.file.issuers.get(intact.issuer)?.clone()))
    }

    /// What is found of it by a whole look, where it is intact, and nothing can have changed unseen meanwhile.
    fn found(&self, certificate: &Certificate, buffer: &mut Buffer) -> Option<(Intact, Issuer)> {
        let ground = &self.earlier.ground;
        let link = ground.certs.link(&format!("{}/{}", certificate.name(), layout::LIVE)).ok()??;
        let live = Generation::parse(&link)?;
        let outlet = Outlet::of_settings(self.settings, certificate, live, None);
        let traces = || Traces::of(ground, Subject::of(certificate, live, &outlet)?);
        let roots = Roots { certs: Some(ground.certs), run: Some(ground.run), trust: None };
        let look = || look_at(self.settings, certificate, roots, self.keys, buffer).ok();
        let (tree, traces) = undisturbed(self.tick, traces, look)?;
        let (intact, issuer) = intact(&tree, live, self.tick).filter(|(intact, _)| intact.keep == certificate.keep)?;
        let sha256 = self.earlier.digest(certificate, &intact, issuer.digest(), &traces);
        Some((Intact { sha256, ..intact }, issuer))
    }
}

/// What a look finds, and what the kernel said: of changes before this tick alone, and the same after the look. So whatever changes during the
/// look or after it is told from what was found.
fn undisturbed<T>(tick: Tick, traces: impl Fn() -> Option<Traces>, look: impl FnOnce() -> Option<T>) -> Option<(T, Traces)> {
    let before = traces().filter(|traces| traces.are_older_than(tick))?;
    let found = look()?;
    (traces()? == before).then_some((found, before))
}

/// What is noted of a tree in which all is well, but for its place among others.
fn intact(tree: &Tree, generation: Generation, tick: Tick) -> Option<(Intact, Issuer)> {
    let live = tree.live.as_ref().filter(|live| live.generation == generation && live.condition == Condition::Intact)?;
    let nothing_is_left = tree.debt.is_none() && tree.newer.is_empty() && tree.unmarked.is_empty() && !tree.leftovers;
    let is_published = tree.unpublished.is_none() && tree.published.generation == Some(generation);
    if !nothing_is_left || !is_published || tree.rename != Rename::Done || live.sealed_as.is_some() || tree.loose.is_some() {
        return None;
    }
    let issuer = Issuer { chain: live.chain_pem().into_owned(), anchor_sha256: live.checked_against()?.clone() };
    let (complete, largest, keep, staged) = (tree.complete.clone(), tree.largest, live.keep, live.staged()?);
    let intact = Intact { at: tick.seconds, live: generation, complete, largest, keep, staged, issuer: 0, sha256: Digest::of(&[]) };
    Some((intact, issuer))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_changes_during_a_look_or_within_its_tick_is_not_taken_for_what_was_found() {
        let at = |nanoseconds| Tick { seconds: 7, nanoseconds };
        for (what, tick, before, during, expected) in [
            ("all is older", at(5), at(4), None, true),
            ("of that tick", at(5), at(5), None, false),
            ("newer", at(5), at(6), None, false),
            ("changed during the look", at(5), at(4), Some(at(6)), false),
            ("changed during the look, and bears a time before the tick", at(5), at(3), Some(at(4)), false),
        ] {
            let changed = Cell::new(before);
            let traces = || Some(Traces::for_tests(changed.get()));
            let look = || {
                changed.set(during.unwrap_or(before));
                Some("found")
            };
            assert_eq!(undisturbed(tick, traces, look).is_some(), expected, "{what}");
        }
        let traces = || Some(Traces::for_tests(at(4)));
        assert!(undisturbed(at(5), traces, || None::<()>).is_none() && undisturbed(at(5), || None, || Some(())).is_none());
    }
}
