//! What is wrong in the settings and costs single certificates, or nobody but those who are told of runs.

use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::name::CertName;
use crate::model::report::SettingsError;

/// What is wrong within single certificates (their entries, profiles, accounts or files of `omens.d`), which costs those, and in what a run
/// is told by, which costs none.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The certificates that cannot be worked on, in the order of the files, names unique.
    pub certificates: Vec<Faulty>,
    /// Where certificates may be named whose names nobody can make out: the first thing that is wrong there.
    pub hidden: Option<SettingsError>,
    /// The first thing that is wrong in `[notify]` or `[metrics]`: whoever is to be told of a run may not be, and nothing else is lost.
    pub telling: Option<SettingsError>,
    /// All that is wrong, in the order of the files and their lines.
    pub errors: Vec<SettingsError>,
}

impl Faults {
    /// Whether something is wrong that no certificate stands for: every run about all of them says so.
    #[must_use]
    pub const fn is_beyond_certificates(&self) -> bool {
        self.hidden.is_some() || self.telling.is_some()
    }

    /// What is wrong with the certificate of this name, where something is.
    #[must_use]
    pub fn of(&self, name: &CertName) -> Option<&Faulty> {
        self.certificates.iter().find(|faulty| &faulty.name == name)
    }
}

/// A certificate that cannot be worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faulty {
    /// Its name.
    pub name: CertName,
    /// The name that it had before, where its entry says so and no other entry claims that one.
    pub renamed_from: Option<CertName>,
    /// The first thing that is wrong with it.
    pub error: SettingsError,
}

impl Faulty {
    /// That as the failure of its certificate.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let failure = Failure::new(Stage::Plan, Code::Settings, format!("{}: {}", self.error.place(), self.error.text));
        match &self.error.suggestion {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
