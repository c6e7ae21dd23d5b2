//! A certificate's bytes beside what was read from them, so that neither is looked for twice.

use std::borrow::Cow;

use super::cert::{Facts, Malformed};

/// A certificate's bytes with what they say.
#[derive(Clone, Debug)]
pub struct Parsed<'a> {
    /// The DER.
    pub der: Cow<'a, [u8]>,
    /// Read from it.
    pub facts: Facts,
}

impl<'a> Parsed<'a> {
    /// Reads the bytes.
    ///
    /// # Errors
    /// What keeps them from being a certificate.
    pub fn new(der: &'a [u8]) -> Result<Self, Malformed> {
        Ok(Self { der: Cow::Borrowed(der), facts: Facts::parse(der)? })
    }

    /// Reads the bytes and keeps them.
    ///
    /// # Errors
    /// What keeps them from being a certificate.
    pub fn owned(der: &[u8]) -> Result<Parsed<'static>, Malformed> {
        Ok(Parsed { der: Cow::Owned(der.to_vec()), facts: Facts::parse(der)? })
    }
}
