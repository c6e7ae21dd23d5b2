//! The name of a certificate in the settings, which is also a directory's name.

use std::fmt;

use serde::Serialize;

/// `[a-z0-9][a-z0-9._-]{0,63}`, and not `trust`, which is a directory of `/run/omens` itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct CertName(String);

impl CertName {
    /// Checks the text.
    ///
    /// # Errors
    /// What a name may look like, when this is none.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let rest_is_allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'.' | b'_' | b'-');
        let bytes = text.as_bytes();
        match bytes.first() {
            Some(first) if first.is_ascii_lowercase() || first.is_ascii_digit() => {}
            _ => return Err("a name starts with a lower-case letter or a digit"),
        }
        if bytes.len() > 64 {
            return Err("a name has at most 64 characters");
        }
        if !bytes.iter().all(|c| rest_is_allowed(*c)) {
            return Err("a name consists of lower-case letters, digits, '.', '_' and '-'");
        }
        if text == "trust" {
            return Err("'trust' is kept for the directory of trust anchors in the run directory");
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a generation, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// No host comes to a number beyond this: a directory of that name is not ours.
    pub const LARGEST: u64 = 1_000_000_000_000;

    /// Reads `gen-N`; nothing else (`gen-01`, `gen-0`, `.gen-1`) names a generation.
    #[must_use]
    pub fn parse(directory: &str) -> Option<Self> {
        let digits = directory.strip_prefix("gen-")?;
        if digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().filter(|number| *number <= Self::LARGEST).map(Self)
    }

    /// The one after the largest number that was ever seen.
    #[must_use]
    pub const fn after(largest: u64) -> Self {
        Self(largest.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gen-{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_directories_and_nothing_else() {
        for good in ["a", "nginx", "keylime-verifier", "0.x_y-z", &"a".repeat(64)] {
            assert!(CertName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".hidden", "-x", "A", "a/b", "..", "trust", "ä", "a b", &"a".repeat(65)] {
            assert!(CertName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_plain_numbers_name_a_generation() {
        assert_eq!(Generation::parse("gen-12"), Some(Generation(12)));
        for bad in ["gen-", "gen-0", "gen-01", ".gen-1", "gen-1x", "gen-+1", "live", "gen-99999999999999999999"] {
            assert_eq!(Generation::parse(bad), None, "{bad}");
        }
    }
}
