//! Revocation: every certificate of a path but the anchor must be covered by a full, fresh list that its issuer signed. webpki has the last
//! word; what it leaves out or does not name is ours. It must never take a list that it cannot verify for an answer.

mod deliver;

use std::collections::BTreeMap;
use std::sync::Mutex;

use webpki::{
    CertRevocationList, Error, ExpirationPolicy, OwnedCertRevocationList, RevocationCheckDepth, RevocationOptionsBuilder,
    UnknownStatusPolicy,
};
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::extensions::ParsedExtension;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::SubjectPublicKeyInfo;

pub use deliver::{deliverable, ends_soon, holds_until};

use super::cert::{self, Facts};
use super::der;
use super::lint::{Findings, Lint, audit};
use super::parsed::Parsed;
use super::path::{self, Way};
use crate::model::anchor::Fingerprint;
use crate::model::clock::Time;

/// Revocation lists, read once.
#[derive(Debug, Default)]
pub struct Lists {
    known: Vec<List>,
    faults: Vec<Fault>,
    /// Whether the list of this place was signed with the key of this fingerprint.
    signed: Mutex<BTreeMap<(usize, Fingerprint), bool>>,
}

/// Bytes that are no list that can be used.
#[derive(Debug)]
struct Fault {
    lint: &'static Lint,
    found: String,
    input: Fingerprint,
}

/// Why these bytes are no list that can be used, in the words in which a path's findings say it.
#[must_use]
pub fn fault(der: &[u8]) -> Option<(&'static Lint, String)> {
    List::read(0, der).err()
}

#[derive(Debug)]
struct List {
    at: usize,
    der: Vec<u8>,
    list: CertRevocationList<'static>,
    issuer: Vec<u8>,
    words: String,
    this_update: Time,
    next_update: Option<Time>,
    /// Whether it is for certificates that name one distribution point.
    of_a_point: bool,
    /// Criticality of the CRL number, where there is one.
    number: Option<bool>,
}

impl Lists {
    /// Reads DER; what is no list that can be used is said when a path is checked.
    #[must_use]
    pub fn new(ders: &[Vec<u8>]) -> Self {
        let mut all = Self::default();
        for (at, der) in ders.iter().enumerate() {
            match List::read(at, der) {
                Ok(list) => all.known.push(list),
                Err((lint, found)) => all.faults.push(Fault { lint, found, input: Fingerprint::of(der) }),
            }
        }
        all
    }

    /// Whether no list was given at all, good or bad.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.known.is_empty() && self.faults.is_empty()
    }

    /// Says what is wrong with the lists themselves.
    pub(super) fn faults(&self, findings: &mut Findings<'_>) {
        for Fault { lint, found, input } in &self.faults {
            findings.add_about(input, lint, "a full revocation list", found);
        }
    }

    /// Judges every certificate of a way but its anchor.
    pub(super) fn check(&self, findings: &mut Findings<'_>, leaf: &Parsed<'_>, way: &Way<'_>, now: Time) {
        if self.is_empty() {
            return;
        }
        let upwards: Vec<&Parsed<'_>> = [leaf].into_iter().chain(way.authorities.iter().copied()).chain([way.anchor]).collect();
        let mut used: Vec<&CertRevocationList<'_>> = Vec::new();
        let mut clean = true;
        for (child, issuer) in upwards.iter().zip(upwards.iter().skip(1)) {
            let lists = self.covering(findings, &child.facts, &issuer.facts);
            clean &= !lists.is_empty();
            for list in lists {
                clean &= list.judge(findings, &child.facts, &issuer.facts, now);
                used.push(&list.list);
            }
        }
        if let (true, Err(error)) = (clean, confirm(leaf, way, now, &used)) {
            findings.add(of_error(&error), "a certificate that webpki finds on no list", path::words(&error));
        }
    }

    /// The list that the issuer signed for its certificates: the newest, or several of one date.
    fn covering(&self, findings: &mut Findings<'_>, child: &Facts, issuer: &Facts) -> Vec<&List> {
        // webpki takes a list of one distribution point for certificates that name none; RFC 5280 §6.3.3 (b) does not.
        let covers = |list: &&List| list.issuer == child.issuer.der && (!list.of_a_point || child.extensions.crl_points);
        let of_name: Vec<&List> = self.known.iter().filter(covers).collect();
        if of_name.is_empty() {
            findings.add(&audit::CRL_MISSING, format!("a list of {}", child.issuer), format!("none for {}", child.subject));
            return Vec::new();
        }
        let key = Fingerprint::of(&issuer.spki);
        let signed: Vec<&List> = of_name.into_iter().filter(|list| self.is_signed(list, &key, &issuer.spki)).collect();
        if signed.is_empty() {
            findings.add(&audit::CRL_SIGNATURE, format!("a list signed with the key of {}", issuer.subject), "another signature");
        }
        let newest = signed.iter().map(|list| list.this_update).max();
        signed.into_iter().filter(|list| Some(list.this_update) == newest).collect()
    }

    fn is_signed(&self, list: &List, key: &Fingerprint, spki: &[u8]) -> bool {
        let place = (list.at, key.clone());
        if let Some(known) = self.signed.lock().ok().and_then(|signed| signed.get(&place).copied()) {
            return known;
        }
        let good = match (CertificateRevocationList::from_der(&list.der), SubjectPublicKeyInfo::from_der(spki)) {
            (Ok((_, crl)), Ok((_, key))) => crl.verify_signature(&key).is_ok(),
            _ => false,
        };
        if let Ok(mut signed) = self.signed.lock() {
            signed.insert(place, good);
        }
        good
    }
}

impl List {
    fn read(at: usize, der: &[u8]) -> Result<Self, (&'static Lint, String)> {
        let malformed = |found: String| (&audit::CRL_MALFORMED, found);
        let (rest, crl) = CertificateRevocationList::from_der(der).map_err(|_| malformed(der::instead(der)))?;
        if !rest.is_empty() {
            return Err(malformed(format!("{} bytes after its end", rest.len())));
        }
        let list = OwnedCertRevocationList::from_der(der).map_err(|error| (unusable(&error), path::words(&error)))?;
        let issuer = cert::issuer_of_list(&crl);
        let numbers = crl.extensions().iter().filter(|e| matches!(e.parsed_extension(), ParsedExtension::CRLNumber(_)));
        let is_of_a_point = |extension: &ParsedExtension<'_>| match extension {
            ParsedExtension::IssuingDistributionPoint(point) => point.distribution_point.is_some(),
            _ => false,
        };
        Ok(Self {
            at,
            der: der.to_vec(),
            list: list.into(),
            words: cert::distinguished_name(&issuer),
            issuer,
            this_update: Time::from_unix(crl.last_update().timestamp()),
            next_update: crl.next_update().map(|time| Time::from_unix(time.timestamp())),
            of_a_point: crl.extensions().iter().any(|extension| is_of_a_point(extension.parsed_extension())),
            number: numbers.map(|extension| extension.critical).reduce(|one, other| one || other),
        })
    }

    /// Whether nothing here answers the question already.
    fn judge(&self, findings: &mut Findings<'_>, child: &Facts, issuer: &Facts, now: Time) -> bool {
        let of = format!(" of {}", self.words);
        let mut clean = true;
        if !matches!(self.list.find_serial(&child.serial_octets), Ok(None)) {
            findings.add(
                &audit::CRL_REVOKED,
                "a serial number that is not on the list",
                format!("{} ({}){of}", child.serial, child.subject),
            );
            clean = false;
        }
        match self.next_update {
            Some(next) if now < next => {}
            next => {
                let end = next.map_or_else(|| "no nextUpdate".to_owned(), |next| format!("until {next}"));
                findings.add(&audit::CRL_EXPIRED, format!("a list that holds at {now}"), format!("{end}{of}"));
                clean = false;
            }
        }
        if now < self.this_update {
            findings.add(&audit::CRL_NOT_YET, format!("a list from before {now}"), format!("{}{of}", self.this_update));
        }
        match self.number {
            None => findings.add(&audit::CRL_NUMBER_MISSING, "a CRL number", format!("none{of}")),
            Some(true) => findings.add(&audit::CRL_NUMBER_CRITICAL, "not critical", format!("critical{of}")),
            Some(false) => {}
        }
        // webpki asks this of intermediates only (judge/facts.md, "webpki"). No keyUsage at all allows everything.
        if let Some(usage) = issuer.extensions.key_usage.as_ref().filter(|usage| !usage.values.iter().any(|value| value == "cRLSign")) {
            findings.add(&audit::CRL_NO_SIGN, "cRLSign", format!("{} of {}", usage.values.join(", "), issuer.subject));
            clean = false;
        }
        clean
    }
}

/// What webpki says about this way with these lists.
fn confirm(leaf: &Parsed<'_>, way: &Way<'_>, now: Time, lists: &[&CertRevocationList<'_>]) -> Result<(), Error> {
    let options = RevocationOptionsBuilder::new(lists).map_err(|_| Error::UnknownRevocationStatus)?;
    let options = options.with_depth(RevocationCheckDepth::Chain).with_status_policy(UnknownStatusPolicy::Deny);
    way.confirm(leaf, now, options.with_expiration_policy(ExpirationPolicy::Enforce).build())
}

const fn unusable(error: &Error) -> &'static Lint {
    match error {
        Error::UnsupportedDeltaCrl
        | Error::UnsupportedIndirectCrl
        | Error::UnsupportedRevocationReasonsPartitioning
        | Error::UnsupportedCrlIssuingDistributionPoint
        | Error::UnsupportedCriticalExtension => &audit::CRL_UNSUPPORTED,
        _ => &audit::CRL_MALFORMED,
    }
}

const fn of_error(error: &Error) -> &'static Lint {
    match error {
        Error::CertRevoked => &audit::CRL_REVOKED,
        Error::CrlExpired { .. } => &audit::CRL_EXPIRED,
        Error::IssuerNotCrlSigner => &audit::CRL_NO_SIGN,
        Error::UnknownRevocationStatus => &audit::CRL_MISSING,
        Error::InvalidCrlSignatureForPublicKey
        | Error::UnsupportedCrlSignatureAlgorithmContext(_)
        | Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => &audit::CRL_SIGNATURE,
        _ => &audit::CRL_UNSUPPORTED,
    }
}
