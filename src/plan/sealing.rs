//! What the state directory says about its sealing keys: which are there, what they are bound to, and whether the pinned TPM made them.
//! Reads files only; whether a key opens is known to the TPM alone, and that is not asked here.

use std::collections::BTreeMap;

use super::generation::{Condition, Kept};
use crate::io::dir::{Dir, DiskError};
use crate::model::canonical::{Bytes, Format as _};
use crate::model::layout;
use crate::model::sealed::{SealId, SealingKeyFile, SrkPin};

/// The sealing keys of a state directory.
#[derive(Debug, Default)]
pub struct SealingKeys {
    pinned: Option<Bytes>,
    keys: BTreeMap<SealId, SealingKeyFile>,
}

impl SealingKeys {
    /// Reads them all; what cannot be parsed is as good as gone.
    ///
    /// # Errors
    /// Where reading fails, such as for lack of permission.
    pub fn read(state: Option<&Dir>) -> Result<Self, DiskError> {
        let Some(dir) = state.map_or(Ok(None), |state| state.child(layout::SEAL))? else { return Ok(Self::default()) };
        let pin = dir.read(layout::SRK)?.and_then(|content| SrkPin::parse(&content.bytes).ok());
        let mut keys = BTreeMap::new();
        for name in dir.names()? {
            let Some(id) = SealId::of_file(&name) else { continue };
            let parsed = dir.read(&name)?.and_then(|content| SealingKeyFile::parse(&content.bytes).ok());
            keys.extend(parsed.filter(|key| key.id == id).map(|key| (id, key)));
        }
        Ok(Self { pinned: pin.map(|pin| pin.name), keys })
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
        let other = self.pinned.as_ref().is_some_and(|pinned| *pinned != key.srk);
        other.then(|| format!("the key of {} was sealed to a TPM that is no longer the pinned one", kept.generation))
    }

    /// The PCRs that a generation's key is bound to; `None` where its sealing key is not known.
    #[must_use]
    pub fn pcrs(&self, kept: &Kept) -> Option<&[u32]> {
        let key = self.keys.get(&kept.sealed.as_ref()?.seal)?;
        Some(key.pcrs.list.numbers())
    }
}
