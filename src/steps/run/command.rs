//! The commands that change a host, and the schemas of their documents.

/// The commands that change a host under its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `omens enroll`.
    Enroll,
    /// `omens forget`.
    Forget,
    /// `omens install`.
    Install,
    /// `omens renew`, and the runs of `omens run`.
    Renew,
    /// `omens reseal`.
    Reseal,
    /// `omens rollback`.
    Rollback,
    /// `omens unblock`.
    Unblock,
}

impl Command {
    /// The schema of its document.
    #[must_use]
    pub const fn schema(self) -> &'static str {
        match self {
            Self::Enroll => "omens.enroll/1",
            Self::Forget => "omens.forget/1",
            Self::Install => "omens.install/1",
            Self::Renew => "omens.renew/1",
            Self::Reseal => "omens.reseal/1",
            Self::Rollback => "omens.rollback/1",
            Self::Unblock => "omens.unblock/1",
        }
    }
}
