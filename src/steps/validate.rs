//! `Issued` becomes `Validated` here and nowhere else: the gate between what a CA answered and everything that serves it.
//! It must never let anything through that `judge::gate` refuses, and never decide by itself.

use crate::config::settings::{Certificate, IssuerSettings, Settings};
use crate::judge::cert::Facts;
use crate::judge::lint::{self, Findings};
use crate::judge::{self, Gate, pem};
use crate::model::anchor::{Anchor, Fingerprint};
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::finding::Finding;
use crate::model::request::Request;
use crate::model::text;

/// The longest `refused_pem` of a ledger line, in bytes ([Limits](crate::cli#limits)).
const MAX_REFUSED_PEM: usize = 16 * 1024;
/// The longest text of a failure, in characters; the findings hold all of it.
const MAX_TEXT: usize = 1_000;

/// What is to be validated: an answer of a CA, or a generation that was never deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unvalidated {
    /// PEM of the leaf; where it holds several certificates (`pem_bundle`), the first is the leaf.
    pub leaf_pem: String,
    /// PEM texts of whatever came with it, each with any number of certificates.
    pub others: Vec<String>,
    /// DER of our own public key.
    pub spki: Vec<u8>,
}

/// A certificate that passed every check, with its chain. Only [`validate`] makes one.
#[derive(Clone, Debug)]
pub struct Validated {
    leaf: Vec<u8>,
    chain: Vec<Vec<u8>>,
    facts: Facts,
    spki: Vec<u8>,
    findings: Vec<Finding>,
    anchor: Fingerprint,
}

impl Validated {
    /// The pinned root that its path ends at.
    #[must_use]
    pub const fn anchor(&self) -> &Fingerprint {
        &self.anchor
    }

    /// DER of the leaf.
    #[must_use]
    pub fn leaf(&self) -> &[u8] {
        &self.leaf
    }

    /// DER of the intermediates, leaf side first, without the root.
    #[must_use]
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// What the leaf says.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// DER of the public key, ours and the leaf's.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// What was found and blocks nothing.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

/// Why something did not pass.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// Everything that was found.
    pub findings: Vec<Finding>,
    /// The blocking ones in one line.
    pub failure: Failure,
    /// SHA-256 of the leaf, where there is one.
    pub sha256: Option<Fingerprint>,
    /// Its serial number.
    pub serial: Option<String>,
    /// What was refused, for the ledger: CERTIFICATE blocks only, whole ones, at most 16 KiB.
    pub refused_pem: Option<String>,
}

/// What an answer is judged by, beside the time.
#[derive(Clone, Debug)]
pub struct Against<'a> {
    /// What was asked for.
    pub request: &'a Request,
    /// What the certificate says of its issuer: what is said of a refusal names its settings.
    pub issuer: &'a IssuerSettings,
    /// The mount of the issuer's role, for the same.
    pub mount: &'a str,
    /// The pinned roots.
    pub anchors: Vec<&'a Anchor>,
    /// The end of the certificate that a new one would take the place of, where that is good.
    pub serves_until: Option<Time>,
}

impl<'a> Against<'a> {
    /// What a certificate's settings say.
    #[must_use]
    pub fn new(settings: &'a Settings, certificate: &'a Certificate) -> Self {
        let (issuer, mount) = (&certificate.issuer, settings.openbao.mount.as_str());
        Self { request: &certificate.request, issuer, mount, anchors: settings.anchors(), serves_until: None }
    }
}

/// Judges an answer.
///
/// # Errors
/// The material, untouched, and all reasons at once.
pub fn validate(material: Unvalidated, against: &Against<'_>, now: Time) -> Result<Validated, (Unvalidated, Box<Rejection>)> {
    let Against { request, ref anchors, serves_until, .. } = *against;
    let mut input = Findings::new(&request.profile.lints);
    let mut certificates = pem::read(&material.leaf_pem, &mut input);
    let has_leaf = !certificates.is_empty();
    for text in &material.others {
        certificates.extend(pem::read(text, &mut input));
    }
    if !has_leaf {
        input.add(&lint::PEM_NO_CERTIFICATE, "a CERTIFICATE block", "none");
        let refused = reject(against, input.into_vec(), None, None, &certificates);
        return Err((material, refused));
    }
    let leaf = certificates.remove(0);
    let verdict = judge::gate(&Gate { request, anchors, leaf: &leaf, candidates: &certificates, spki: &material.spki, serves_until }, now);
    let blocked = verdict.refused() || input.blocks();
    let mut findings = input.into_vec();
    findings.extend(verdict.findings);
    match (verdict.facts, verdict.path.zip(verdict.anchor)) {
        (Some(facts), Some((chain, anchor))) if !blocked => Ok(Validated { leaf, chain, facts, spki: material.spki, findings, anchor }),
        (facts, _) => {
            certificates.insert(0, leaf);
            let refused = reject(against, findings, certificates.first(), facts, &certificates);
            Err((material, refused))
        }
    }
}

fn reject(against: &Against<'_>, findings: Vec<Finding>, leaf: Option<&Vec<u8>>, facts: Option<Facts>, all: &[Vec<u8>]) -> Box<Rejection> {
    let blocking: Vec<&Finding> = findings.iter().filter(|finding| finding.blocks()).collect();
    let words: Vec<String> = blocking.iter().map(|f| format!("{}: expected {}, found {}", f.id, f.expected, f.found)).collect();
    let mut failure = Failure::new(Stage::Validate, Code::Refused, text::one_line(&words.join("; "), MAX_TEXT));
    let role = against.issuer.role();
    let remedy = blocking.iter().find_map(|finding| lint::find(&finding.id)?.remedy_for(against.mount, role));
    let look = || format!("look at role {role} and at the issuer behind it; the ledger keeps what was refused");
    failure.hint = Some(remedy.unwrap_or_else(look));
    Box::new(Rejection {
        failure,
        sha256: leaf.map(|leaf| Fingerprint::of(leaf)),
        serial: facts.map(|facts| facts.serial),
        refused_pem: refused_pem(all),
        findings,
    })
}

fn refused_pem(certificates: &[Vec<u8>]) -> Option<String> {
    let mut kept = String::new();
    for der in certificates {
        let block = pem::write(der);
        if kept.len() + block.len() > MAX_REFUSED_PEM {
            break;
        }
        kept.push_str(&block);
    }
    (!kept.is_empty()).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::kit::{self, *};

    fn material(pki: &Pki, leaf: &[u8], others: &[&[u8]]) -> Unvalidated {
        Unvalidated { leaf_pem: pem::write(leaf), others: others.iter().map(|der| pem::write(der)).collect(), spki: pki.spki() }
    }

    fn run(pki: &Pki, material: Unvalidated) -> Result<Validated, (Unvalidated, Box<Rejection>)> {
        let issuer = IssuerSettings::OpenBao { role: "web-servers".to_owned() };
        let anchor = pki.root.anchor();
        let against = Against { request: &request(), issuer: &issuer, mount: "pki_int", anchors: vec![&anchor], serves_until: None };
        validate(material, &against, now())
    }

    #[test]
    fn what_passes_carries_leaf_chain_and_key() {
        let pki = Pki::new();
        let leaf = pki.leaf();
        let validated = run(&pki, material(&pki, &leaf, &[&pki.middle.der, &pki.root.der])).unwrap();
        assert_eq!((validated.leaf(), validated.chain()), (leaf.as_slice(), std::slice::from_ref(&pki.middle.der)));
        assert_eq!((validated.spki(), validated.facts().sha256.clone()), (pki.spki().as_slice(), Fingerprint::of(&leaf)));
        assert_eq!(ids(validated.findings()), ["chain.root-included"]);
    }

    /// `format=pem_bundle` puts leaf, intermediate and root into one text ([Signing](crate::io::openbao#signing)).
    #[test]
    fn a_bundle_is_taken_apart() {
        let pki = Pki::new();
        let mut bundle = material(&pki, &pki.leaf(), &[]);
        bundle.leaf_pem = [pki.leaf(), pki.middle.der.clone()].iter().map(|der| pem::write(der)).collect();
        assert_eq!(run(&pki, bundle).unwrap().chain(), std::slice::from_ref(&pki.middle.der));
    }

    #[test]
    fn what_is_refused_comes_back_untouched_with_everything_the_ledger_needs() {
        let pki = Pki::new();
        let mut params = kit::leaf();
        params.extended_key_usages.clear();
        params.subject_alt_names.push(kit::dns("evil.funlab.casa"));
        let leaf = pki.leaf_of(&params);
        let before = material(&pki, &leaf, &[&pki.middle.der]);
        let (after, rejection) = run(&pki, before.clone()).unwrap_err();
        assert_eq!(after, before);
        assert_eq!(ids(&rejection.findings), ["eku.absent", "name.extra"]);
        let Failure { stage, code, text, hint } = rejection.failure;
        assert_eq!((stage, code.as_str()), (Stage::Validate, "refused"));
        assert_eq!(
            text,
            "name.extra: expected only web.funlab.casa, localhost, found dns:evil.funlab.casa; eku.absent: expected serverAuth, found none"
        );
        assert!(hint.unwrap().contains("of role web-servers"));
        assert_eq!((rejection.sha256, rejection.serial), (Some(Fingerprint::of(&leaf)), Some(["2b"; 16].join(":"))));
        assert_eq!(rejection.refused_pem, Some(pem::write(&leaf) + &pem::write(&pki.middle.der)));
    }

    #[test]
    fn a_key_in_the_answer_is_refused_with_where_to_sign() {
        let pki = Pki::new();
        let mut sent = material(&pki, &pki.leaf(), &[&pki.middle.der]);
        sent.others.push("-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n".to_owned());
        let (_, rejection) = run(&pki, sent).unwrap_err();
        let hint = rejection.failure.hint.unwrap();
        assert!(hint.starts_with("sign a CSR with pki_int/sign/web-servers, never pki_int/issue: "), "{hint}");
    }

    #[test]
    fn hints_name_the_setting_of_the_role() {
        type Change = fn(&mut rcgen::CertificateParams);
        let rows: [(Change, &str); 5] = [
            (|p| p.extended_key_usages.clear(), "server_flag, client_flag"),
            (|p| p.key_usages.clear(), "key_usage"),
            (|p| p.subject_alt_names.clear(), "allowed_domains"),
            (|p| p.not_after = kit::time(now().plus(9 * DAY)), "max_ttl"),
            (|p| p.not_after = kit::time(now().plus(60)), "max_ttl"),
        ];
        let pki = Pki::new();
        for (change, setting) in rows {
            let mut params = kit::leaf();
            change(&mut params);
            let (_, rejection) = run(&pki, material(&pki, &pki.leaf_of(&params), &[&pki.middle.der])).unwrap_err();
            let hint = rejection.failure.hint.unwrap();
            assert!(hint.contains(setting) && hint.contains("role web-servers"), "{hint}");
        }
    }

    #[test]
    fn a_private_key_in_the_answer_is_refused_and_not_repeated() {
        let pki = Pki::new();
        let secret = kit::key().serialize_pem();
        let mut bad = material(&pki, &pki.leaf(), &[&pki.middle.der]);
        bad.leaf_pem.push_str(&secret);
        let (_, rejection) = run(&pki, bad).unwrap_err();
        assert_eq!(ids(&rejection.findings), ["pem.private-key"]);
        let body = secret.lines().nth(1).unwrap();
        assert!(!format!("{rejection:?}").contains(body));
        assert!(!rejection.refused_pem.unwrap().contains("PRIVATE"));
    }

    #[test]
    fn no_certificate_at_all_is_refused() {
        let pki = Pki::new();
        for leaf_pem in ["", "<html>", "-----BEGIN CERTIFICATE-----\nAAAA\n"] {
            let others = vec![pem::write(&pki.leaf()), pem::write(&pki.middle.der)];
            let (_, rejection) = run(&pki, Unvalidated { leaf_pem: leaf_pem.to_owned(), others, spki: pki.spki() }).unwrap_err();
            assert!(rejection.findings.iter().any(|f| f.id == "pem.no-certificate"), "{leaf_pem}");
            assert_eq!((rejection.sha256, rejection.serial), (None, None));
        }
    }

    #[test]
    fn what_the_ledger_keeps_is_bounded_and_whole() {
        let pki = Pki::new();
        let many = vec![pki.middle.der.clone(); 100];
        let kept = refused_pem(&many).unwrap();
        assert!(kept.len() <= MAX_REFUSED_PEM && kept.len() > MAX_REFUSED_PEM - 1024);
        assert!(kept.ends_with("-----END CERTIFICATE-----\n"));
        assert_eq!(refused_pem(&[]), None);
        assert_eq!(refused_pem(&[vec![7; MAX_REFUSED_PEM]]), None);
    }
}
