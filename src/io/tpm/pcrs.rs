//! Reads PCRs as one state: values from before and after a change are no state that the host ever was in.

use super::door::Door;
use super::error::TpmError;
use super::{TRIES, moving, object};
use crate::model::pcr::{PcrList, PcrValues};

/// One TPM2_PCR_Read gives this many values (TPM 2.0 Part 2, §10.9.7).
const AT_ONCE: usize = 8;

/// The values of these PCRs, all of one moment.
pub(super) fn read(door: &mut Door, tcti: &str, list: &PcrList) -> Result<PcrValues, TpmError> {
    'again: for _ in 0..TRIES {
        let (mut values, mut counter) = (Vec::new(), None);
        for some in list.numbers().chunks(AT_ONCE) {
            let read = door.send(None, |context| context.pcr_read(object::selection(some)?));
            let (count, _, digests) = read.map_err(|why| TpmError::of("read PCRs", tcti, why))?;
            if counter.is_some_and(|before| before != count) {
                continue 'again;
            }
            counter = Some(count);
            values.extend(digests.value().iter().map(|digest| digest.value().to_vec()));
        }
        let missing = || TpmError::PcrUnmeasured { pcrs: list.numbers().to_vec(), why: "cannot be read: the TPM has no sha256 bank" };
        return PcrValues::new(list.clone(), values).ok_or_else(missing);
    }
    Err(moving())
}
