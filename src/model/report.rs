//! What a command that changes a host reports at its end, and how it says on the way where it is
//! ([What a run reports](crate::cli#what-a-run-reports)).

use serde::{Deserialize, Serialize};

use super::anchor::Fingerprint;
use super::clock::Time;
use super::code::Code;
use super::entry::Outcome;
use super::failure::{Failure, Stage, Warning};
use super::finding::Finding;
use super::name::{CertName, Generation};
use super::reason::Reason;
use super::state::Proof;

/// An error of the whole run, before or instead of certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunError {
    /// Stable word for machines, such as `locked`.
    pub code: Code,
    /// What happened.
    pub text: String,
    /// What to do.
    pub hint: Option<String>,
}

/// One error in a settings or profile file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsError {
    /// The file.
    pub file: String,
    /// Line from 1, where there is one.
    pub line: Option<usize>,
    /// Column from 1, in characters.
    pub column: Option<usize>,
    /// The key in that file that it is about, such as `certificate[2].ttl` (the first is 0), where there is one.
    #[serde(default)]
    pub key: Option<String>,
    /// Stable word for machines, such as `unknown-key`.
    pub code: Code,
    /// What is expected and what was found.
    pub text: String,
    /// What would be right.
    pub suggestion: Option<String>,
}

impl SettingsError {
    /// `FILE:LINE:COLUMN`, as editors and compilers write it; the file alone where there is no line.
    #[must_use]
    pub fn place(&self) -> String {
        let numbers: String = [self.line, self.column].iter().flatten().map(|number| format!(":{number}")).collect();
        format!("{}{numbers}", self.file)
    }
}

/// Debt as reports show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Debt {
    /// The generation that waits.
    pub generation: Generation,
    /// Its leaf.
    pub sha256: Option<Fingerprint>,
    /// Since when.
    pub since: Option<Time>,
    /// Where it failed last.
    pub stage: Option<Stage>,
    /// How.
    pub code: Option<Code>,
    /// How often it was tried.
    pub attempts: u32,
}

/// What became of one certificate.
#[derive(Clone, Debug, Serialize)]
pub struct CertReport {
    /// Its name.
    pub name: CertName,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was due, or not.
    pub reasons: Vec<Reason>,
    /// What /run `live` names at the end.
    pub generation: Option<Generation>,
    /// What /run `live` named at the start.
    pub previous: Option<Generation>,
    /// Serial number of `generation`'s leaf.
    pub serial: Option<String>,
    /// Fingerprint of `generation`'s leaf.
    pub sha256: Option<Fingerprint>,
    /// Its notBefore.
    pub not_before: Option<Time>,
    /// Its notAfter.
    pub not_after: Option<Time>,
    /// How it is known that it is in use.
    pub proof: Option<Proof>,
    /// Issued, but not deployed.
    pub debt: Option<Debt>,
    /// Worth saying.
    pub warnings: Vec<Warning>,
    /// What the checks found.
    pub findings: Vec<Finding>,
    /// What `forget` removed, a line each.
    pub removed: Vec<String>,
    /// What `forget` left alone, a line each.
    pub left_alone: Vec<String>,
    /// What went wrong.
    pub error: Option<Failure>,
}

impl CertReport {
    /// Whether it leaves the exit code at 0: `rolled-back` does only where a person asked to go back, `blocked` where only a window of the
    /// settings is waited for.
    #[must_use]
    pub fn is_good(&self, goes_back: bool) -> bool {
        match self.outcome {
            Outcome::Blocked => self.error.as_ref().is_some_and(|error| error.code == Code::OutsideWindow),
            Outcome::NotDue | Outcome::Renewed | Outcome::Settled => true,
            Outcome::Restored | Outcome::Kept | Outcome::Resealed => true,
            Outcome::Revoked | Outcome::Unblocked | Outcome::Installed | Outcome::Unchanged | Outcome::Forgotten | Outcome::Renamed => true,
            Outcome::RolledBack => goes_back,
            Outcome::Refused | Outcome::Failed | Outcome::Exhausted | Outcome::Interrupted => false,
        }
    }

    /// A report with nothing in it yet.
    #[must_use]
    pub const fn new(name: CertName, outcome: Outcome) -> Self {
        Self {
            name,
            outcome,
            reasons: Vec::new(),
            generation: None,
            previous: None,
            serial: None,
            sha256: None,
            not_before: None,
            not_after: None,
            proof: None,
            debt: None,
            warnings: Vec::new(),
            findings: Vec::new(),
            removed: Vec::new(),
            left_alone: Vec::new(),
            error: None,
        }
    }
}

/// The document of `renew`, `restore`, `rollback` and `install`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `omens.COMMAND/1`.
    pub schema: String,
    /// `host.name`; empty where the settings could not be read.
    pub host: String,
    /// When the run began.
    pub started: Time,
    /// When it ended.
    pub finished: Time,
    /// The exit code.
    pub exit: u8,
    /// An error of the whole run.
    pub error: Option<RunError>,
    /// Errors of the settings (exit 2).
    pub errors: Vec<SettingsError>,
    /// One for every certificate the run was about.
    pub certificates: Vec<CertReport>,
}

/// Somebody who wants to know where a run is: the terminal's progress, or nobody.
pub trait Watch: Sync {
    /// This certificate has come to this stage.
    fn stage(&self, certificate: &CertName, stage: Stage);
    /// This certificate is done.
    fn finished(&self, report: &CertReport);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn stage(&self, _: &CertName, _: Stage) {}
    fn finished(&self, _: &CertReport) {}
}
