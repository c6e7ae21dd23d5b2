//! What the state directory says about its sealing keys: which are there, what they are bound to, and whether the pinned TPM made them.
//! And which private keys still lie there in clear. Reads files only; whether a key opens is known to the TPM alone, and that is not asked here.

use std::collections::BTreeMap;
use std::path::Path;

use super::generation::{Condition, Kept};
use crate::io::dir::{Dir, DiskError};
use crate::model::canonical::{Bytes, Format as _, Malformed};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::layout;
use crate::model::name::Generation;
use crate::model::sealed::{SealId, SealingKeyFile, SrkPin};

/// What `seal/srk.json` says.
#[derive(Debug, Default)]
enum Pin {
    /// There is none: until a renewal writes it again, what was sealed says to which TPM.
    #[default]
    Gone,
    /// The Name of the pinned storage root key.
    Known(Bytes),
    /// It cannot be understood: nothing is opened before a person has said which TPM is meant.
    Damaged(Failure),
}

/// A pin that is there and cannot be understood, at this path.
#[must_use]
pub fn damaged_pin(path: &Path, why: &Malformed) -> Failure {
    Failure::new(Stage::Seal, Code::BlobDamaged, format!("the pinned storage root key {} cannot be read: {why}", path.display()))
        .hint("if this is the same TPM as before, `omens reseal --new-tpm` pins it anew")
}

/// The sealing keys of a state directory.
#[derive(Debug, Default)]
pub struct SealingKeys {
    pin: Pin,
    keys: BTreeMap<SealId, SealingKeyFile>,
    /// Whether a killed run left something half-written.
    pub leftovers: bool,
}

impl SealingKeys {
    /// Reads them all; what cannot be parsed is as good as gone.
    ///
    /// # Errors
    /// Where reading fails, such as for lack of permission.
    pub fn read(state: Option<&Dir>) -> Result<Self, DiskError> {
        let Some(dir) = state.map_or(Ok(None), |state| state.child(layout::SEAL))? else { return Ok(Self::default()) };
        let pin = match dir.read(layout::SRK)?.map(|content| SrkPin::parse(&content.bytes)) {
            None => Pin::Gone,
            Some(Ok(pin)) => Pin::Known(pin.name),
            Some(Err(why)) => Pin::Damaged(damaged_pin(&dir.join(layout::SRK), &why)),
        };
        let (mut keys, mut leftovers) = (BTreeMap::new(), false);
        for name in dir.names()? {
            leftovers |= name.starts_with('.');
            let Some(id) = SealId::of_file(&name) else { continue };
            let parsed = dir.read(&name)?.and_then(|content| SealingKeyFile::parse(&content.bytes).ok());
            keys.extend(parsed.filter(|key| key.id == id).map(|key| (id, key)));
        }
        Ok(Self { pin, keys, leftovers })
    }

    /// Why the pin of the TPM cannot be understood, where it is there.
    #[must_use]
    pub const fn damaged_pin(&self) -> Option<&Failure> {
        if let Pin::Damaged(why) = &self.pin { Some(why) } else { None }
    }

    /// The warning of a certificate whose key is sealed, while nothing but what was sealed says to which TPM.
    #[must_use]
    pub fn lost_pin_warning(&self, live: &Kept) -> Option<Warning> {
        let id = &live.sealed.as_ref()?.seal;
        let text = || {
            format!(
                "expected the pinned storage root key in {}/{}, found none: the sealing keys' word counts for it, {id} among them; the next \
                 renewal writes it again; look at what removed it",
                layout::SEAL,
                layout::SRK
            )
        };
        matches!(self.pin, Pin::Gone).then(|| Warning::new(Code::BlobDamaged, text()))
    }

    /// Notes in the committed generation's condition that its key cannot be opened as long as the pin is damaged. That says nothing about the
    /// keys: what waits to be deployed is not given up for it.
    pub(super) fn judge_live(&self, live: &mut Kept) {
        self.judge(live);
        if let (Condition::Intact, Some(why), Some(_)) = (&live.condition, self.damaged_pin(), &live.sealed) {
            let hint = why.hint.as_deref().unwrap_or_default();
            live.condition = Condition::Unreadable(format!("{}; {hint}", why.text));
        }
    }

    /// Notes in a generation's condition that its key cannot be opened any more, as far as files tell.
    pub(super) fn judge(&self, kept: &mut Kept) {
        if let (Condition::Intact, Some(why)) = (&kept.condition, self.hopeless(kept)) {
            kept.condition = Condition::Unreadable(why);
        }
    }

    fn hopeless(&self, kept: &Kept) -> Option<String> {
        let sealed = kept.sealed.as_ref()?;
        let id = &sealed.seal;
        let Some(key) = self.keys.get(id) else {
            return Some(format!("the sealing key {id} of {} is gone or damaged", kept.generation));
        };
        if key.srk != sealed.srk {
            return Some(format!("the key of {} names another storage root key than its sealing key {id}", kept.generation));
        }
        let other = matches!(&self.pin, Pin::Known(pinned) if *pinned != key.srk);
        other.then(|| format!("the key of {} was sealed to a TPM that is no longer the pinned one", kept.generation))
    }

    /// Whether there are more than the one that serves: one of them may be what a killed run did not come to remove.
    #[must_use]
    pub fn are_several(&self) -> bool {
        self.keys.len() > 1
    }

    /// The PCRs that a generation's key is bound to; `None` where its sealing key is not known.
    #[must_use]
    pub fn pcrs(&self, kept: &Kept) -> Option<&[u32]> {
        let key = self.keys.get(&kept.sealed.as_ref()?.seal)?;
        Some(key.pcrs.list.numbers())
    }
}

/// Those of these generations of `certs/NAME` whose private key lies there in clear. What cannot be looked at is no key of ours.
#[must_use]
pub fn in_clear(var: &Dir, generations: &[Generation]) -> Vec<Generation> {
    let lies = |generation: &&Generation| matches!(var.kind(&format!("{generation}/{}", layout::KEY)), Ok(Some(_)));
    generations.iter().filter(lies).copied().collect()
}

/// The warning of a certificate whose key should be sealed, while the state directory still holds these in clear.
#[must_use]
pub fn plaintext_warning(in_clear: &[Generation]) -> Option<Warning> {
    let all: Vec<String> = in_clear.iter().map(ToString::to_string).collect();
    let text = format!(
        "expected sealed keys alone in the state directory, found the key of {} in clear: whoever reads the disk or a backup has it until a \
         sealed one is proven in its place",
        all.join(", ")
    );
    (!all.is_empty()).then(|| Warning::new(Code::PlaintextKey, text))
}
