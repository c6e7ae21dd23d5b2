//! The catalogue: every check's id, severity, title and remedy in one table.

pub mod audit;

use std::collections::BTreeMap;

use crate::model::anchor::Fingerprint;
use crate::model::finding::{Finding, Severity};
use crate::model::text;

/// One check that can be found wanting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lint {
    /// Stable id, `area.kebab`; ids are only ever added.
    pub id: &'static str,
    /// How bad it is unless a profile says otherwise.
    pub severity: Severity,
    /// Whether no profile may change the severity: pin, path, signature, pair, names, usage and validity.
    pub fixed: bool,
    /// What is wrong, in words.
    pub title: &'static str,
    /// What to do; `{role}` stands for the role that signed, `{mount}` for the mount that has it.
    pub remedy: &'static str,
}

impl Lint {
    /// The remedy for a certificate signed through this role of this mount, where there is one.
    #[must_use]
    pub fn remedy_for(&self, mount: &str, role: &str) -> Option<String> {
        (!self.remedy.is_empty()).then(|| self.remedy.replace("{mount}", mount).replace("{role}", role))
    }

    /// The remedy where the role is not known.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        (!self.remedy.is_empty())
            .then(|| self.remedy.replace("role {role}", "the role that signs it").replace("{mount}", "MOUNT").replace("{role}", "ROLE"))
    }
}

/// The lint of this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Lint> {
    ALL.iter().chain(audit::ALL).find(|lint| lint.id == id)
}

/// Findings as they are collected, with the severities of a profile.
///
/// Whatever is added is made safe to print here, so that no check can forget it.
#[derive(Debug)]
pub struct Findings<'a> {
    severities: &'a BTreeMap<String, Severity>,
    list: Vec<Finding>,
}

impl<'a> Findings<'a> {
    /// None yet; `severities` are a profile's `lints`.
    #[must_use]
    pub const fn new(severities: &'a BTreeMap<String, Severity>) -> Self {
        Self { severities, list: Vec::new() }
    }

    /// Adds one. A fixed lint keeps its severity whatever the profile says.
    pub fn add(&mut self, lint: &Lint, expected: impl AsRef<str>, found: impl AsRef<str>) {
        let configured = if lint.fixed { None } else { self.severities.get(lint.id) };
        let severity = configured.copied().unwrap_or(lint.severity);
        let safe = |words: &str| text::one_line(words, text::SERVER_TEXT);
        self.list.push(Finding::new(lint.id, severity, safe(expected.as_ref()), safe(found.as_ref())));
    }

    /// The same about one of several inputs.
    pub(super) fn add_about(&mut self, input: &Fingerprint, lint: &Lint, expected: impl AsRef<str>, found: impl AsRef<str>) {
        self.add(lint, expected, found);
        if let Some(last) = self.list.last_mut() {
            last.input = Some(input.clone());
        }
    }

    /// Whether one of them blocks.
    #[must_use]
    pub fn blocks(&self) -> bool {
        self.list.iter().any(Finding::blocks)
    }

    /// Whether this lint is among them.
    #[must_use]
    pub fn has(&self, lint: &Lint) -> bool {
        self.list.iter().any(|finding| finding.id == lint.id)
    }

    /// All of them, in the order in which they were found.
    #[must_use]
    pub fn into_vec(self) -> Vec<Finding> {
        self.list
    }
}

/// A table of lints: a constant for each, and `ALL`. `fixed` ones keep their severity whatever a profile says.
macro_rules! catalogue {
    ($($name:ident = $id:literal, $severity:ident, $fixed:ident, $title:literal, $remedy:expr;)*) => {
        $(
            #[doc = concat!("`", $id, "`: ", $title, ".")]
            pub const $name: $crate::judge::lint::Lint = $crate::judge::lint::Lint {
                id: $id,
                severity: $crate::model::finding::Severity::$severity,
                fixed: $crate::judge::lint::catalogue!(@ $fixed),
                title: $title,
                remedy: $remedy,
            };
        )*
        /// The whole table, in the order of the checks.
        pub const ALL: &[$crate::judge::lint::Lint] = &[$($name),*];
    };
    (@ fixed) => { true };
    (@ open) => { false };
}
pub(crate) use catalogue;

const EC_USAGE: &str = "set key_usage=DigitalSignature on role {role}: an EC key cannot encipher (RFC 8813 §3)";
const RSA_USAGE: &str = "set key_usage=DigitalSignature,KeyEncipherment on role {role}: an RSA key cannot agree on keys (RFC 4055 §1.2)";
const EKU_FLAGS: &str =
    "set server_flag, client_flag and ext_key_usage of role {role} to what the profile asks: the role decides, a request cannot";
const KEY_USAGE: &str = "set key_usage on role {role} to what the profile asks: the role decides, a request cannot";
const NAMES: &str = "compare the names of the certificate in the settings with allowed_domains, allowed_uri_sans, use_csr_sans, use_csr_common_name and \
                     exclude_cn_from_sans of role {role}";
const SUBJECT: &str = "set organization, ou, country and the like on role {role} as `subject` in the settings has them, or take them out there: the \
                       role decides, a request cannot";
const LEAF_ROLE: &str = "role {role} must sign with the intermediate's ordinary leaf profile; look at how the PKI mount was set up";
const CA_SHAPE: &str = "have the authority re-issued with critical basicConstraints CA:TRUE and keyUsage keyCertSign, cRLSign";
const CHAIN: &str = "set the issuer's ca_chain in the PKI mount to the intermediates between role {role} and the pinned root";
const PIN: &str =
    "compare trust.anchor_sha256 with the root that signs for the PKI mount; if the root was replaced on purpose, pin the new one";
const KEY_TYPE: &str = "set key_type and key_bits of role {role} to what the certificate asks for; the key itself is made on this host";

catalogue! {
    MALFORMED = "cert.malformed", High, fixed, "the certificate does not parse", "renew it; if it stays, look at what answers between this host and the PKI mount: openssl x509 -in FILE -noout says where it ends";
    VERSION = "cert.version", High, open, "not an X.509 v3 certificate", LEAF_ROLE;
    UNIQUE_ID = "cert.unique-id", High, open, "issuer or subject unique identifier (RFC 5280 §4.1.2.8): webpki refuses it", "have it issued again without issuerUniqueID and subjectUniqueID; OpenBao sets neither";
    SERIAL_ZERO = "serial.zero", High, open, "serial number zero (RFC 5280 §4.1.2.2)", LEAF_ROLE;
    SERIAL_NEGATIVE = "serial.negative", High, open, "negative serial number (RFC 5280 §4.1.2.2)", LEAF_ROLE;
    SERIAL_LONG = "serial.too-long", High, open, "serial number over 20 octets (RFC 5280 §4.1.2.2)", LEAF_ROLE;
    SERIAL_SHORT = "serial.low-entropy", Low, open, "serial number under 64 bits", "renew it from an authority that draws serial numbers of 64 random bits and more, as OpenBao does";
    SIGNATURE_WEAK = "signature.weak", High, fixed, "signed with MD5 or SHA-1", "set signature_bits of role {role} to 256 or more, or 0";
    SIGNATURE_DIFFERS = "signature.algorithm-differs", High, fixed, "inner and outer signature algorithm differ (RFC 5280 §4.1.1.2)", "have it issued again, and distrust where it came from: no authority signs so, and something changed it behind the signature";
    EXT_CRITICAL = "ext.unknown-critical", High, open, "critical extension that nobody here knows (RFC 5280 §4.2)",
        "remove the extension from role {role}: peers must refuse it";
    EXT_DUPLICATE = "ext.duplicate", High, open, "extension present twice (RFC 5280 §4.2)", "have it issued again with the extension once; look at what adds it a second time to the request or at role {role}";
    EXT_MALFORMED = "ext.malformed", High, open, "extension that does not parse", "have it issued again with a well-formed extension; look at what the request or role {role} puts in by OID";
    CA_LEAF = "bc.ca-leaf", High, open, "the leaf is a certificate authority", "sign through role {role}, never sign-intermediate or sign-verbatim";
    LEAF_PATH_LENGTH = "bc.path-length-on-leaf", Low, open, "pathLenConstraint without CA:TRUE (RFC 5280 §4.2.1.9)", "have it issued again without pathLenConstraint: it says something of an authority only";
    NC_LEAF = "nc.leaf", High, open, "name constraints on a leaf (RFC 5280 §4.2.1.10)", "have it issued again without name constraints: they belong on the intermediate";
    AKI_ABSENT = "aki.absent", Medium, open, "no authority key identifier: strict Python refuses it (VERIFY_X509_STRICT)", "have it issued again with an authority key identifier, for which the issuer needs a subject key identifier";
    AKI_CRITICAL = "aki.critical", High, open, "critical authority key identifier (RFC 5280 §4.2.1.1): every peer refuses it", "have it issued again with the extension not critical";
    SKI_CRITICAL = "ski.critical", High, open, "critical subject key identifier (RFC 5280 §4.2.1.2): every peer refuses it", "have it issued again with the extension not critical";

    PAIR_MISMATCH = "pair.mismatch", High, fixed, "the certificate is for another key than ours", "renew again; if it stays, something between this host and OpenBao mixes up answers";
    KEY_OTHER = "key.other-algorithm", High, fixed, "another kind of key than asked for", KEY_TYPE;
    KEY_OUTSIDE = "key.outside-profile", High, fixed, "a kind of key that the profile does not allow", KEY_TYPE;
    KEY_UNSOUND = "key.unsound", High, fixed, "the public key is not a sound one", "make a new key and have it certified; replace what made this one";

    EKU_ABSENT = "eku.absent", High, fixed, "no extended key usage: good for everything", EKU_FLAGS;
    EKU_MISSING = "eku.missing", High, fixed, "a required extended key usage is missing", EKU_FLAGS;
    EKU_ANY = "eku.any", High, fixed, "anyExtendedKeyUsage", EKU_FLAGS;
    EKU_EXTRA = "eku.extra", High, fixed, "an extended key usage that the profile does not allow", EKU_FLAGS;
    EKU_CRITICAL = "eku.critical", Medium, open, "critical extended key usage", "have it issued again with the extension not critical, as OpenBao writes it: some peers refuse what they do not know in it";
    KU_MISSING = "ku.missing", High, fixed, "a required key usage is missing", KEY_USAGE;
    KU_EXTRA = "ku.extra", High, fixed, "a key usage that the profile does not allow", KEY_USAGE;
    KU_CA = "ku.ca-on-leaf", High, fixed, "keyCertSign or cRLSign on a leaf", KEY_USAGE;
    KU_EC = "ku.ec-encipherment", Medium, open, "encipherment on an EC key (RFC 8813 §3)", EC_USAGE;
    KU_RSA = "ku.rsa-key-agreement", Medium, open, "keyAgreement on an RSA key (RFC 4055 §1.2)", RSA_USAGE;
    KU_NOT_CRITICAL = "ku.not-critical", Low, open, "key usage is not critical (RFC 5280 §4.2.1.3)", "have it issued again with keyUsage critical, as OpenBao writes it";

    NAME_MISSING = "name.missing", High, fixed, "a name that was asked for is missing", NAMES;
    NAME_EXTRA = "name.extra", High, fixed, "a name that nobody asked for", NAMES;
    NAME_MALFORMED = "name.malformed", High, fixed, "a name that is no host name or address", NAMES;
    NAME_WILDCARD = "name.wildcard", High, fixed, "a wildcard that the profile forbids", "set allow_wildcard_certificates=false on role {role} and ask for plain names";
    NAME_CN_OTHER = "name.cn-other", High, fixed, "another common name than asked for", NAMES;
    NAME_CN_ABSENT = "name.cn-absent", High, fixed, "no common name although one was asked for", NAMES;
    NAME_CN_SPELLING = "name.cn-spelling", Low, open, "the common name looks like a name or address and is not spelled like any of the names", "ask for a common name that is one of the names, in the same spelling";
    NAME_CN_WILDCARD = "name.cn-beside-wildcard", Low, open, "the common name is covered by a wildcard alone, and not spelled like any of the names", "ask for the common name among the names also, or for none";
    NAME_TWICE = "name.twice", Low, open, "the same name twice", "name it once in the settings, and once in the request";
    NAME_SUBJECT = "name.subject-extra", Low, open, "subject attributes that nobody asked for",
        "clear organization, ou, country and the like on role {role}, or name them in `subject` of the certificate in the settings";
    NAME_SUBJECT_MISSING = "name.subject-missing", High, fixed, "a subject attribute that the settings name is missing", SUBJECT;
    SAN_CRITICAL = "name.san-critical", Low, open, "critical subject alternative name beside a subject (RFC 5280 §4.2.1.6)", "have it issued again with the names not critical: only without a subject they have to be";
    SAN_NOT_CRITICAL = "name.san-not-critical", Medium, open, "subject alternative name not critical although the subject is empty: strict Python refuses it", "ask for a common name, or have it issued again with the names critical";

    NOT_YET_VALID = "validity.not-yet-valid", High, fixed, "not valid yet", "compare this host's clock with OpenBao's";
    EXPIRED = "validity.expired", High, fixed, "expired", "renew it; if it was just signed, compare this host's clock with OpenBao's, and look at ttl and not_after_bound of role {role}";
    INVERTED = "validity.inverted", High, fixed, "ends before it begins", "set not_after_bound=forbid on role {role}";
    TOO_LONG = "validity.too-long", High, fixed, "lives longer than the profile allows",
        "set max_ttl of role {role} to what the profile allows, and not_after_bound=forbid";
    TOO_SHORT = "validity.too-short", High, fixed, "lives shorter than the profile allows", "raise max_ttl of role {role} (and max_lease_ttl of the mount), which clips the ttl";
    OTHER_LIFETIME = "validity.other-than-asked", Low, open, "another lifetime than asked for", "raise max_ttl of role {role}, or ask for a ttl within it";
    SHORTENED = "validity.shortened", Medium, open, "less than nine tenths of the lifetime that was asked for",
        "raise max_ttl of role {role} (and max_lease_ttl of the mount), which clips the ttl, or ask for a ttl within it";
    SHORTER_THAN_SERVING = "validity.shorter-than-serving", High, fixed, "less than half of the lifetime that was asked for, ending before what serves",
        "raise max_ttl of role {role} (and max_lease_ttl of the mount), which clips the ttl; what serves goes on";
    LITTLE_LEFT = "validity.little-left", Medium, open, "less than a third of the lifetime is left, so it is due at once", "lower not_before_duration of role {role}";
    OUTLIVES_ISSUER = "validity.outlives-issuer", High, fixed, "lives longer than an authority above it",
        "ask for a shorter ttl, or renew the authority; leaf_not_after_behavior=err makes OpenBao refuse by itself";

    PATH_DEPTH_RUSTLS = "path.rustls-depth", High, fixed, "more intermediates than rustls follows; OpenSSL and Go follow them", "shorten the chain: sign with an authority nearer to the root";
    PATH_NONE = "path.none", High, fixed, "no path to a trusted root", CHAIN;
    PATH_OTHER_ROOT = "path.other-root", High, fixed, "the chain ends at another root than the trusted one", PIN;
    PATH_MISSING = "path.missing-intermediate", High, fixed, "an intermediate is missing", CHAIN;
    PATH_SIGNATURE = "path.signature", High, fixed, "a signature of the path is wrong", PIN;
    PATH_CA_EXPIRED = "path.ca-not-valid-now", High, fixed, "an authority of the path is expired or not valid yet", "renew the intermediate in the PKI mount";
    PATH_NOT_CA = "path.not-a-ca", High, fixed, "an issuer of the path is no certificate authority", CA_SHAPE;
    PATH_LENGTH = "path.too-long", High, fixed, "more intermediates than a pathLenConstraint allows", CHAIN;
    PATH_NAMES = "path.name-constraints", High, fixed, "a name outside an authority's name constraints",
        "ask only for names within the permitted subtrees of the intermediate, or have the intermediate re-issued";
    PATH_EKU = "path.ca-eku", High, fixed, "an authority of the path may not issue for this purpose", "have the intermediate re-issued without extended key usage, or with the purposes of its leaves";
    NO_INTERMEDIATE = "path.no-intermediate", Low, open, "signed by the root itself", "sign with an intermediate and keep the root offline";

    CA_NO_CERT_SIGN = "ca.no-cert-sign", High, open, "an authority whose keyUsage lacks keyCertSign: OpenSSL and Go refuse it", CA_SHAPE;
    CA_NO_KEY_USAGE = "ca.no-key-usage", Medium, open, "an authority without keyUsage: strict Python refuses it", CA_SHAPE;
    CA_BC_NOT_CRITICAL = "ca.bc-not-critical", Medium, open, "an authority whose basicConstraints is not critical: strict Python refuses it", CA_SHAPE;
    CA_NO_SKI = "ca.no-ski", Medium, open, "an authority without subject key identifier: strict Python refuses it", CA_SHAPE;
    CA_EMPTY_SUBJECT = "ca.empty-subject", High, open, "an authority without a name: OpenSSL refuses it", CA_SHAPE;
    CA_WEAK_KEY = "ca.weak-key", High, open, "an authority with a weak key", "have the authority re-issued with P-256, P-384, or RSA of 2048 bits and more";
    CA_NC_SHAPE = "ca.name-constraints-shape", Medium, open, "name constraints of an authority are not critical (RFC 5280 §4.2.1.10)", CA_SHAPE;
    CA_OUTLIVES = "ca.outlives-issuer", Low, open, "an intermediate lives longer than its issuer", "renew the issuer first";
    AKI_MISMATCH = "aki.mismatch", High, open, "the authority key identifier names another key than the issuer's", CHAIN;

    ANCHOR_MALFORMED = "anchor.malformed", High, fixed, "a trusted root does not parse", PIN;
    ANCHOR_EXPIRED = "anchor.not-valid-now", High, fixed, "the trusted root is expired or not valid yet", "make a new root and pin it before the old one ends";
    ANCHOR_VERSION = "anchor.version", Medium, open, "a root of X.509 version 1: it cannot say what it may sign, and has no key identifier for those below it", "replace the root by one of version 3 with critical basicConstraints CA:TRUE and a subject key identifier";
    ANCHOR_NOT_CA = "anchor.not-a-ca", High, fixed, "the trusted root is no certificate authority", PIN;
    ANCHOR_OTHER_KEY = "anchor.other-key", High, fixed, "another root with the name of the trusted one", PIN;
    ANCHOR_OTHER_CERT = "anchor.other-certificate", Medium, open, "another certificate of the trusted root's name and key", PIN;
    ANCHOR_EKU = "anchor.eku", Low, open, "extended key usage on the root: OpenSSL applies it to everything below", CA_SHAPE;
    ANCHOR_AKI = "anchor.aki", Medium, open, "the root's authority key identifier does not name itself: OpenSSL refuses it", CA_SHAPE;

    CHAIN_ROOT = "chain.root-included", Low, open, "the root is among the intermediates", "take the root out of the chain: who trusts it has it, and who does not gains nothing";
    CHAIN_DUPLICATE = "chain.duplicate", Low, open, "a certificate is there twice", "take the second one out of the chain";
    CHAIN_LEAF = "chain.leaf-included", Low, open, "the leaf is among the intermediates", "take the leaf out of the file of intermediates: it is sent once already";
    CHAIN_SURPLUS = "chain.surplus", Low, open, "a certificate that is on no path of ours", "take it out of the chain, unless peers with another root need it";
    CHAIN_SAME_NAME = "chain.same-name", Medium, open, "another certificate of an issuer's name: OpenSSL cannot backtrack over it", CHAIN;
    CHAIN_ORDER = "chain.order", Low, open, "intermediates out of order", "put each certificate behind the one that it signed, the leaf's issuer first";
    CHAIN_MALFORMED = "chain.malformed", Medium, open, "a certificate of the chain does not parse", CHAIN;
    CHAIN_TOO_MANY = "chain.too-many", High, fixed, "more certificates than any chain needs", CHAIN;

    PEM_PRIVATE_KEY = "pem.private-key", High, fixed, "a private key among the certificates",
        "sign a CSR with {mount}/sign/{role}, never {mount}/issue: the key is made on this host; treat the one that was sent as leaked";
    PEM_NO_CERTIFICATE = "pem.no-certificate", High, fixed, "no certificate where one should be", "write a PEM certificate there, or name the file that holds it";
    PEM_MALFORMED = "pem.malformed", Medium, open, "a CERTIFICATE block that does not decode", "write the file again from its source, without the block that is damaged";
    PEM_OTHER_BLOCK = "pem.other-block", Low, open, "a block that is no certificate", "take the block out of the file: some readers stop at it";
    PEM_GARBAGE = "pem.garbage", Low, open, "text outside the blocks", "take the lines out, if something does not read the file: openssl x509 -in FILE writes the first block alone";
    PEM_BOM = "pem.bom", Medium, open, "a byte order mark", "remove the first three bytes of the file: sed -i '1s/^\\xef\\xbb\\xbf//' FILE";
    PEM_CRLF = "pem.crlf", Low, open, "lines that end in CR LF", "convert it: sed -i 's/\\r$//' FILE";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_of_one_shape() {
        let mut seen = std::collections::BTreeSet::new();
        for lint in ALL.iter().chain(audit::ALL) {
            assert!(seen.insert(lint.id), "{} twice", lint.id);
            let (area, rest) = lint.id.split_once('.').unwrap();
            let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            assert!(word(area) && word(rest), "{}", lint.id);
            assert!(!lint.title.is_empty() && !lint.title.ends_with('.'), "{}", lint.id);
            for remedy in [lint.remedy(), lint.remedy_for("pki_int", "web")].into_iter().flatten() {
                assert!(!remedy.contains("{role}") && !remedy.contains("{mount}"), "{}: {remedy}", lint.id);
            }
        }
    }

    #[test]
    fn what_must_hold_cannot_be_configured_away() {
        for area in
            ["path.", "signature.", "pair.", "eku.absent", "eku.missing", "eku.any", "name.missing", "name.extra", "validity.expired"]
        {
            for lint in ALL.iter().filter(|l| l.id.starts_with(area) && l.severity == Severity::High) {
                assert!(lint.fixed, "{}", lint.id);
            }
        }
        let severities = ALL.iter().map(|lint| (lint.id.to_owned(), Severity::Info)).collect();
        let mut findings = Findings::new(&severities);
        findings.add(&PAIR_MISMATCH, "ours", "another");
        findings.add(&SERIAL_ZERO, "positive", "0");
        let severity: Vec<Severity> = findings.into_vec().iter().map(|f| f.severity).collect();
        assert_eq!(severity, [Severity::High, Severity::Info]);
    }

    #[test]
    fn a_remedy_names_mount_and_role_of_the_settings() {
        let remedy = PEM_PRIVATE_KEY.remedy_for("pki_int", "web-servers").unwrap();
        assert!(remedy.starts_with("sign a CSR with pki_int/sign/web-servers, never pki_int/issue: "), "{remedy}");
    }

    #[test]
    fn what_is_found_is_safe_to_print() {
        let none = BTreeMap::new();
        let mut findings = Findings::new(&none);
        findings.add(&NAME_EXTRA, "a\nb", "\x1b[2Jevil");
        let list = findings.into_vec();
        assert_eq!((list[0].expected.as_str(), list[0].found.as_str()), ("a b", "\\u{1b}[2Jevil"));
    }
}
