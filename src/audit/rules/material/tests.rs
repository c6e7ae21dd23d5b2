//! Estates with one defect each, and healthy ones.

mod chains;
mod ends;
mod files;
mod healthy;
mod named;
mod owners;
mod trusts;

use super::estate::Estate;
use super::estate::ids;
use crate::model::audit::Document;
use crate::model::finding::Severity;

/// One defect: what it is, how it comes about, and the finding that must name it.
type Row = (&'static str, fn(&mut Estate), &'static str, Severity);

fn found<'d>(document: &'d Document, id: &str) -> &'d crate::model::audit::Finding {
    let all = || document.findings.iter().map(|f| (f.id.as_str(), f.severity, f.found.as_str())).collect::<Vec<_>>();
    document.findings.iter().find(|f| f.id == id).unwrap_or_else(|| panic!("no {id} in {:?}", all()))
}

fn check(rows: &[Row]) {
    for (what, change, id, severity) in rows {
        let mut estate = Estate::new();
        change(&mut estate);
        let document = estate.audit();
        let finding = found(&document, id);
        assert_eq!(finding.severity, *severity, "{what}: {finding:?}");
        assert!(!finding.remedy.is_empty() && !finding.files.is_empty(), "{what}: {finding:?}");
        let others: Vec<String> = ids(&document, Severity::High).into_iter().filter(|other| other != id).collect();
        assert!(others.is_empty(), "{what}: besides {id} {others:?}");
    }
}
