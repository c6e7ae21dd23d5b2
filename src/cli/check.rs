//! One result of `check-config --online`.

use serde::Serialize;

use crate::config::tree::Place;
use crate::model::code::Code;
use crate::model::failure::{Failure, Warning};

/// How bad a result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Info,
    /// Works, but should be changed.
    Warning,
    /// A renewal would fail: exit 2.
    Error,
}

/// One result.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Stable word for machines.
    pub code: Code,
    /// Whether it is as it should be.
    pub ok: bool,
    /// How bad it is if not.
    pub severity: Severity,
    /// What was found; fit to print.
    pub text: String,
    /// What to do.
    pub hint: Option<String>,
    /// Where the settings say what is wrong.
    #[serde(skip)]
    pub place: Option<Place>,
}

impl Check {
    pub(super) fn new(code: Code, severity: Severity, text: impl Into<String>) -> Self {
        Self { code, ok: severity == Severity::Info, severity, text: text.into(), hint: None, place: None }
    }

    pub(super) fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }

    pub(super) fn at(self, place: Place) -> Self {
        Self { place: Some(place), ..self }
    }

    pub(super) fn failed(severity: Severity, failure: Failure) -> Self {
        Self { code: failure.code, ok: false, severity, text: failure.text, hint: failure.hint, place: None }
    }

    pub(super) fn warned(warning: Warning) -> Self {
        Self { hint: warning.hint, ..Self::new(warning.code, Severity::Warning, warning.text) }
    }
}
