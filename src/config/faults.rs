//! What is wrong within single certificates of the settings: it costs those, and never another one.

use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::name::CertName;
use crate::model::report::SettingsError;

/// What is wrong within single certificates: their entries, profiles, accounts or files of `omens.d`. It costs those certificates.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The certificates that cannot be worked on, in the order of the files, names unique.
    pub certificates: Vec<Faulty>,
    /// Where certificates may be named whose names nobody can make out: the first thing that is wrong there.
    pub hidden: Option<SettingsError>,
    /// All that is wrong, in the order of the files and their lines.
    pub errors: Vec<SettingsError>,
}

impl Faults {
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
