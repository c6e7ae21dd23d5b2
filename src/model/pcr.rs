//! Platform configuration registers: which ones a key is bound to, and the values it was bound under.

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::canonical::Bytes;

/// The one bank that is used; every TPM 2.0 in the field has it.
pub const BANK: &str = "sha256";
/// Length of a value of [`BANK`].
pub const LENGTH: usize = 32;
/// PC clients have PCRs 0 to 23 (TCG PC Client Platform TPM Profile §4.6).
const COUNT: u32 = 24;

/// A set of PCRs: ascending, each once. Empty: bound to the TPM only, not to the host's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u32>", into = "Vec<u32>")]
pub struct PcrList(Vec<u32>);

impl PcrList {
    /// Reads the numbers of the settings, in any order.
    ///
    /// # Errors
    /// Which number is none of a PCR, or stands there twice.
    pub fn new(numbers: &[u32]) -> Result<Self, String> {
        if let Some(strange) = numbers.iter().find(|number| **number >= COUNT) {
            return Err(format!("expected PCRs from 0 to {}, found {strange}", COUNT - 1));
        }
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable();
        let twice = sorted.iter().zip(sorted.iter().skip(1)).find(|(one, next)| one == next);
        twice.map_or(Ok(()), |(number, _)| Err(format!("PCR {number} stands there twice")))?;
        Ok(Self(sorted))
    }

    /// The numbers, ascending.
    #[must_use]
    pub fn numbers(&self) -> &[u32] {
        &self.0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Vec<u32>> for PcrList {
    type Error = String;

    fn try_from(numbers: Vec<u32>) -> Result<Self, String> {
        Self::new(&numbers)
            .and_then(|list| if list.0 == numbers { Ok(list) } else { Err("the PCRs are not in ascending order".to_owned()) })
    }
}

impl From<PcrList> for Vec<u32> {
    fn from(list: PcrList) -> Self {
        list.0
    }
}

/// PCRs with the values that they had: what names the ones that changed since.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PcrValues {
    /// [`BANK`].
    pub bank: String,
    /// Which.
    pub list: PcrList,
    /// One value for each of `list`.
    pub values: Vec<Bytes>,
}

impl PcrValues {
    /// These values; `None` where their number or length is wrong.
    #[must_use]
    pub fn new(list: PcrList, values: Vec<Vec<u8>>) -> Option<Self> {
        let made = Self { bank: BANK.to_owned(), list, values: values.into_iter().map(Bytes).collect() };
        made.is_whole().then_some(made)
    }

    /// Whether there is one value of the right length for each PCR.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.bank == BANK && self.values.len() == self.list.0.len() && self.values.iter().all(|value| value.0.len() == LENGTH)
    }

    /// The PCRs whose values are not these.
    #[must_use]
    pub fn differing(&self, now: &Self) -> Vec<u32> {
        let pairs = self.list.0.iter().zip(self.values.iter().zip(&now.values));
        pairs.filter(|(_, (before, now))| before != now).map(|(number, _)| *number).collect()
    }

    /// The PCRs that firmware never measured into, or that were reset: all 00 or all FF. A policy over such a PCR protects nothing.
    #[must_use]
    pub fn unmeasured(&self) -> Vec<u32> {
        let constant = |value: &Bytes| value.0.iter().all(|b| *b == 0) || value.0.iter().all(|b| *b == 0xff);
        self.list.0.iter().zip(&self.values).filter(|(_, value)| constant(value)).map(|(number, _)| *number).collect()
    }

    /// The authPolicy of an object that opens under these values only: what one TPM2_PolicyPCR makes of an empty policy
    /// (TPM 2.0 Part 3, §23.7). Computed here, so that an object is bound to the very values that are noted beside it.
    #[must_use]
    pub fn policy(&self) -> Vec<u8> {
        const TPM2_CC_POLICY_PCR: u32 = 0x0000_017f;
        const TPM2_ALG_SHA256: u16 = 0x000b;
        let mut values = Context::new(&SHA256);
        self.values.iter().for_each(|value| values.update(&value.0));
        let bits = self.list.0.iter().fold(0_u32, |bits, number| bits | 1 << number);
        let [first, second, third, _] = bits.to_le_bytes();
        let mut policy = Context::new(&SHA256);
        policy.update(&[0; LENGTH]);
        policy.update(&TPM2_CC_POLICY_PCR.to_be_bytes());
        // TPML_PCR_SELECTION: one bank, three bytes of bits.
        policy.update(&1_u32.to_be_bytes());
        policy.update(&TPM2_ALG_SHA256.to_be_bytes());
        policy.update(&[3, first, second, third]);
        policy.update(values.finish().as_ref());
        policy.finish().as_ref().to_vec()
    }
}

/// PCR numbers for people: `PCR 7` or `PCRs 4, 7`.
#[must_use]
pub fn named(numbers: &[u32]) -> String {
    let list: Vec<String> = numbers.iter().map(u32::to_string).collect();
    format!("PCR{} {}", if list.len() == 1 { "" } else { "s" }, list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(list: &[u32], fill: &[u8]) -> PcrValues {
        PcrValues::new(PcrList::new(list).unwrap(), fill.iter().map(|b| vec![*b; LENGTH]).collect()).unwrap()
    }

    #[test]
    fn a_list_of_pcrs_is_a_set() {
        assert_eq!(PcrList::new(&[7, 0, 23]).unwrap().numbers(), [0, 7, 23]);
        assert!(PcrList::new(&[24]).unwrap_err().contains("24"));
        assert!(PcrList::new(&[7, 4, 7]).unwrap_err().contains("PCR 7"));
        assert!(serde_json::from_str::<PcrList>("[7,4]").is_err(), "one list has one form on disk");
    }

    #[test]
    fn what_changed_and_what_was_never_measured_is_named() {
        let before = values(&[4, 7, 10], &[1, 2, 3]);
        assert_eq!(before.differing(&values(&[4, 7, 10], &[1, 9, 4])), [7, 10]);
        assert_eq!(values(&[0, 4, 17], &[0, 5, 0xff]).unmeasured(), [0, 17]);
        assert_eq!((named(&[7]), named(&[4, 7])), ("PCR 7".to_owned(), "PCRs 4, 7".to_owned()));
    }

    #[test]
    fn values_are_as_many_and_as_long_as_the_bank_says() {
        let list = || PcrList::new(&[7]).unwrap();
        assert!(PcrValues::new(list(), vec![]).is_none());
        assert!(PcrValues::new(list(), vec![vec![1; 20]]).is_none());
        assert!(PcrValues::new(list(), vec![vec![1; 32], vec![1; 32]]).is_none());
    }
}
