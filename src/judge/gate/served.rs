//! What is served: whether a chain from the wire would pass, and whether its leaf is for a name.

use std::collections::BTreeMap;

use rustls::pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

use super::super::cert::Facts;
use super::super::lint::Findings;
use super::super::parsed::Parsed;
use super::super::path::{Anchors, Search};
use super::super::{chain, path};
use super::{MAX_CANDIDATES, judged};
use crate::model::anchor::Anchor;
use crate::model::clock::Time;
use crate::model::finding::Finding;
use crate::model::profile::Purpose;
use crate::model::text;

/// Whether a chain as it came over the wire leads to one of the anchors and is for this name, a DNS name or an IP address.
///
/// # Errors
/// Why not, in one line that is safe to print.
pub fn served(anchors: &[&Anchor], chain_as_sent: &[Vec<u8>], server_name: &str, now: Time) -> Result<(), String> {
    let safe = |words: &str| text::one_line(words, text::SERVER_TEXT);
    let (leaf, others) = chain_as_sent.split_first().ok_or("no certificate was sent")?;
    let parsed = Parsed::new(leaf).map_err(|fault| safe(&fault.to_string()))?;
    let roots = anchors.iter().map(|anchor| Parsed::new(&anchor.der)).collect::<Result<Vec<_>, _>>();
    let roots = roots.map_err(|fault| safe(&format!("the pinned root: {fault}")))?;
    let severities = BTreeMap::new();
    let mut findings = Findings::new(&severities);
    let others = others.get(..MAX_CANDIDATES.min(others.len())).unwrap_or_default();
    let usable = chain::usable(&mut findings, others, leaf, &roots);
    let names: Vec<String> = roots.iter().map(|root| root.facts.subject.to_string()).collect();
    let (usable, anchors): (Vec<&Parsed<'_>>, _) = (usable.iter().collect(), Anchors::new(roots));
    let search = Search { leaf: &parsed, candidates: &usable, anchors: &anchors, purpose: Some(Purpose::Server), now };
    match search.best(&|way| blocking(&judged(&severities, &parsed, way, now)).count()) {
        Ok(way) => {
            let own = judged(&severities, &parsed, &way, now);
            none_of(blocking(&own).chain(blocking(&findings.into_vec())))?;
        }
        Err(error) => {
            search.explain(&mut findings, &error);
            none_of(blocking(&findings.into_vec()))?;
            return Err(safe(&format!("no path to the pinned root {}: {}", names.join(" or "), path::words(&error))));
        }
    }
    named(leaf, server_name)
}

/// The findings that stop a certificate.
pub(super) fn blocking(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    findings.iter().filter(|finding| finding.blocks())
}

fn none_of<'f>(findings: impl Iterator<Item = &'f Finding>) -> Result<(), String> {
    let found: Vec<String> = findings.map(|f| format!("{}: expected {}, found {}", f.id, f.expected, f.found)).collect();
    if found.is_empty() { Ok(()) } else { Err(found.join("; ")) }
}

/// Whether a leaf is for this name by its subject alternative names, wildcards included.
///
/// # Errors
/// Why not, in one line that is safe to print.
pub fn named(leaf: &[u8], server_name: &str) -> Result<(), String> {
    let refused = |found: &str| text::one_line(&format!("expected a certificate for {server_name}, found {found}"), text::SERVER_TEXT);
    let wanted = ServerName::try_from(server_name).map_err(|_| refused("that this is neither a DNS name nor an address"))?;
    let der = CertificateDer::from(leaf);
    let certificate = EndEntityCert::try_from(&der).map_err(|error| refused(&path::words(&error)))?;
    certificate.verify_is_valid_for_subject_name(&wanted).map_err(|_| {
        let san = Facts::parse(leaf).ok().and_then(|facts| facts.extensions.san).unwrap_or_default();
        let names: Vec<String> = san.dns.into_iter().chain(san.ip.iter().map(ToString::to_string)).collect();
        refused(&format!("one for {}", if names.is_empty() { "no name".to_owned() } else { names.join(", ") }))
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::kit::{self, *};
    use super::*;

    #[test]
    fn a_served_chain_must_lead_to_the_anchor_and_be_for_the_name() {
        let pki = Pki::new();
        let anchor = pki.root.anchor();
        let chain = [pki.leaf(), pki.middle.der.clone()];
        for name in ["web.funlab.casa", "localhost", "127.0.0.1", "WEB.funlab.casa"] {
            assert_eq!(served(&[&anchor], &chain, name, now()), Ok(()), "{name}");
        }
        let other = kit::Authority::root(ROOT);
        let rows: [(&str, Result<(), String>, &str); 7] = [
            (
                "other name",
                served(&[&anchor], &chain, "api.funlab.casa", now()),
                "expected a certificate for api.funlab.casa, found one for web.funlab.casa, localhost, 127.0.0.1",
            ),
            ("other address", served(&[&anchor], &chain, "127.0.0.2", now()), "expected a certificate for 127.0.0.2"),
            ("nothing sent", served(&[&anchor], &[], "localhost", now()), "no certificate was sent"),
            ("no intermediate", served(&[&anchor], &chain[..1], "localhost", now()), "path.missing-intermediate"),
            ("leaf twice", served(&[&anchor], &[chain[0].clone(), chain[0].clone()], "localhost", now()), "path.missing-intermediate"),
            ("other root of the name", served(&[&other.anchor()], &chain, "localhost", now()), "anchor.other-key"),
            ("expired", served(&[&anchor], &chain, "localhost", now().plus(2 * DAY)), "expired"),
        ];
        for (what, answer, words) in rows {
            let text = answer.expect_err(what);
            assert!(text.to_lowercase().contains(words), "{what}: {text}");
        }
    }
}
