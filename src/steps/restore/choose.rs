//! Which generation a boot gives consumers.

use crate::config::settings::{Certificate, Settings};
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::Warning;
use crate::model::report::CertReport;
use crate::plan::debt::{debt_is_void, publishable};
use crate::plan::generation::Kept;
use crate::plan::inventory::Tree;

/// `live`; if absent, damaged or expired, the newest valid debt; if there is none, the expired `live` all the same, with a warning.
pub(super) fn choose<'a>(
    settings: &Settings,
    certificate: &Certificate,
    tree: &'a Tree,
    now: Time,
    report: &mut CertReport,
) -> Option<(&'a Kept, bool)> {
    let expired = tree.live.as_ref().and_then(|live| live.facts.as_ref()).is_some_and(|facts| facts.not_after <= now);
    let damaged = tree.live.as_ref().is_some_and(|live| !expired && !publishable(settings, certificate, live, now));
    let valid_debt = tree.debt.as_ref().filter(|debt| debt_is_void(settings, certificate, debt, now).is_none());
    match (&tree.live, valid_debt) {
        (Some(live), _) if !expired && !damaged => Some((live, false)),
        (live, Some(debt)) => {
            let why = match live {
                Some(_) if expired => "the committed certificate has expired",
                Some(_) => "the committed certificate is damaged",
                None => "nothing was committed yet",
            };
            report.warnings.push(Warning::new(Code::DebtPublished, format!("{why}; {} was issued and is valid", debt.generation)));
            Some((debt, true))
        }
        (Some(live), None) => {
            if expired {
                let text = "the committed certificate has expired and is published all the same; run `omens renew --all`";
                report.warnings.push(Warning::new(Code::Expired, text));
            }
            Some((live, false))
        }
        (None, None) => None,
    }
}
