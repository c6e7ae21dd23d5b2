//! Publishing: one rename of the run directory's `live`, and the revert to the committed generation.

use std::sync::Arc;

use super::place::{self, Place};
use super::stage::{Staged, not_publishable, open_material, stage_run};
use crate::config::settings::{Certificate, Install, Settings};
use crate::io::dir::DiskError;
use crate::judge::cert::Facts;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::layout;
use crate::model::name::Generation;
use crate::plan::debt::publishable;
use crate::plan::generation::Kept;

/// A generation that consumers find at `live`.
#[derive(Debug)]
pub struct Published {
    place: Arc<Place>,
    kept: Kept,
    facts: Facts,
    warnings: Vec<Warning>,
}

impl Published {
    /// Publishes a staged generation.
    ///
    /// # Errors
    /// The value and why. `live` may name the new generation already, so the caller goes back to the committed one.
    pub fn new(staged: Staged) -> Result<Self, Box<(Staged, Failure)>> {
        match show(&staged.place, &staged.kept) {
            Ok(warnings) => Ok(Self { place: staged.place, kept: staged.kept, facts: staged.facts, warnings }),
            Err(why) => {
                let why = place::failure(Stage::Publish, &why);
                Err(Box::new((staged, why)))
            }
        }
    }

    /// Publishes it once more, after it had been taken back.
    ///
    /// # Errors
    /// The value and why.
    pub fn again(self) -> Result<Self, Box<(Self, Failure)>> {
        match stage_and_show(&self.place, &self.kept) {
            Ok(_) => Ok(self),
            Err(why) => Err(Box::new((self, why))),
        }
    }

    /// What was kept aside on the way.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Where it lies.
    #[must_use]
    pub const fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// The generation.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.kept.generation
    }

    /// Its leaf.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Reads the leaf back as a consumer would, through `live`: the proof `file`.
    ///
    /// # Errors
    /// Stage `verify`, when something else is found there.
    pub fn read_back(&self) -> Result<(), Failure> {
        let found = self.place.run().and_then(|run| match run.link(layout::LIVE)? {
            Some(link) => run.child(&link)?.map_or(Ok(None), |dir| dir.read(layout::CERT)),
            None => Ok(None),
        });
        match found {
            Ok(Some(content)) if content.bytes.as_slice() == self.kept.cert_pem().as_bytes() => Ok(()),
            Ok(_) => {
                let run = self.place.settings().paths.run.join(self.place.name().as_str());
                let text = format!("expected {} through {}/live, found other files", self.generation(), run.display());
                Err(Failure::new(Stage::Verify, Code::OtherLeaf, text).hint("something else writes into the run directory"))
            }
            Err(why) => Err(place::failure(Stage::Verify, &why)),
        }
    }
}

/// Makes consumers read a generation of the state directory again: the committed one after a failure, or after a boot. One whose files
/// are not the ones that were staged has to pass the gate first.
///
/// # Errors
/// Stage `publish`: the generation is damaged, or a file cannot be written.
pub fn put_back(place: &Place, generation: Generation, now: Time) -> Result<(Facts, Vec<Warning>), Failure> {
    let kept = place.var().and_then(|var| Kept::read(&var, generation)).map_err(|why| place::failure(Stage::Publish, &why))?;
    let facts = demand_publishable(place.settings(), place.certificate(), &kept, now)?.clone();
    stage_and_show(place, &kept).map(|warnings| (facts, warnings))
}

/// The leaf of a generation that consumers may be given again.
///
/// # Errors
/// Stage `publish`, code `blob-damaged`: its files are not the ones that were staged, and the gate refuses them.
pub fn demand_publishable<'a>(settings: &Settings, certificate: &Certificate, kept: &'a Kept, now: Time) -> Result<&'a Facts, Failure> {
    match &kept.facts {
        Some(facts) if publishable(settings, certificate, kept, now) => Ok(facts),
        _ => Err(not_publishable(certificate.name(), kept)),
    }
}

fn stage_and_show(place: &Place, kept: &Kept) -> Result<Vec<Warning>, Failure> {
    stage_run(place, kept, &|| open_material(place, kept))?;
    show(place, kept).map_err(|why| place::failure(Stage::Publish, &why))
}

fn show(place: &Place, kept: &Kept) -> Result<Vec<Warning>, DiskError> {
    place.site(kept)?.show(kept)
}

/// Writes the copies of the committed generation (`omens install`), and says what was kept aside.
///
/// # Errors
/// When a copy cannot be written.
pub fn write_copies(place: &Place, install: &Install, generation: Generation) -> Result<Vec<Warning>, DiskError> {
    let kept = Kept::read(&place.var()?, generation)?;
    let mut warnings = Vec::new();
    if kept.keep.is_only_in_memory() {
        let text = format!("the key of {generation} is sealed and never copied; `omens renew --all` makes one that may be");
        return Ok(vec![Warning::new(Code::NotCopied, text)]);
    }
    place.site(&kept)?.copy(install, &kept, &mut warnings)?;
    Ok(warnings)
}
