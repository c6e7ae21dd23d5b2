//! Which service of a driver one is.

use std::path::PathBuf;

/// The identity of a service: the driver's name in the settings, and what tells one of its services from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId {
    driver: &'static str,
    parts: Vec<Option<PathBuf>>,
}

impl ServiceId {
    /// The identity of a service of this driver. `parts` are the values of its settings, always in the same order, `None` for one that is
    /// not set.
    pub fn new<P: Into<PathBuf>>(driver: &'static str, parts: impl IntoIterator<Item = Option<P>>) -> Self {
        Self { driver, parts: parts.into_iter().map(|part| part.map(Into::into)).collect() }
    }

    /// The driver's name in the settings.
    #[must_use]
    pub const fn driver(&self) -> &'static str {
        self.driver
    }
}
