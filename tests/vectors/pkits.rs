//! The tests of NIST PKITS as questions to the judge: signed mails that hold the chain and the revocation lists of their test.

use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding as _};

/// Where `./run test` puts `x509/PKITS_data` of PyPI `cryptography_vectors`.
const CACHE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/lab/pkits");
/// Marks of the tests of certificate policies (PKITS §4.8 to §4.12): their outcome depends on what the user asks, but for those that are
/// invalid whatever that is.
const OF_POLICIES: [&str; 3] = ["Polic", "polic", "Qualifier"];

/// One test.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) leaf: Vec<u8>,
    pub(crate) others: Vec<Vec<u8>>,
    pub(crate) lists: Vec<Vec<u8>>,
}

/// The data, by `OMENS_PKITS` or where `./run test` puts it.
pub(crate) fn data() -> PathBuf {
    std::env::var_os("OMENS_PKITS").map_or_else(|| PathBuf::from(CACHE), PathBuf::from)
}

/// DER of the one anchor of all tests.
pub(crate) fn anchor() -> Vec<u8> {
    std::fs::read(data().join("certs/TrustAnchorRootCertificate.crt")).expect("the anchor")
}

impl Case {
    /// The tests that need no policy inputs; `None` where the data is not there.
    pub(crate) fn all() -> Option<Vec<Self>> {
        let mails = std::fs::read_dir(data().join("smime")).ok()?;
        let mut cases: Vec<Self> = mails.map(|entry| Self::read(&entry.expect("an entry").path())).collect();
        cases.retain(|case| case.name.starts_with("Invalid") || !OF_POLICIES.iter().any(|mark| case.name.contains(mark)));
        cases.sort_by(|one, other| one.name.cmp(&other.name));
        Some(cases)
    }

    /// A signed mail: the signer is the leaf, and the other certificates and the lists lie beside it.
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a mail");
        let (_, part) = text.split_once("name=\"smime.p7s\"").expect("a signature");
        let (_, body) = part.split_once("\n\n").or_else(|| part.split_once("\r\n\r\n")).expect("its body");
        let base64: String = body.lines().take_while(|line| !line.starts_with("--")).map(str::trim).collect();
        let der = Base64::decode_vec(&base64).expect("base64");
        // ContentInfo { type, [0] SignedData { version, digests, content, [0] certificates, [1] lists, signers } } (RFC 5652 §5.1).
        let signed = content(elements(content(elements(content(&der))[1]))[0]);
        let parts = elements(signed);
        let tagged = |tag: u8| parts.iter().find(|part| part[0] == tag).map_or_else(Vec::new, |part| elements(content(part)));
        let signer = elements(content(elements(content(elements(content(parts.last().expect("signers")))[0]))[1]));
        let certificates: Vec<Vec<u8>> = tagged(0xa0).into_iter().map(<[u8]>::to_vec).collect();
        let is_signer = |der: &&Vec<u8>| {
            let tbs = elements(content(elements(content(der))[0]));
            tbs[1] == signer[1] && tbs[3] == signer[0]
        };
        let leaf = certificates.iter().find(is_signer).expect("the signer's certificate").clone();
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").trim_start_matches("Signed").to_owned();
        let others = certificates.into_iter().filter(|der| *der != leaf).collect();
        Self { name, leaf, others, lists: tagged(0xa1).into_iter().map(<[u8]>::to_vec).collect() }
    }

    pub(crate) fn must_pass(&self) -> bool {
        self.name.starts_with("Valid")
    }
}

fn content(der: &[u8]) -> &[u8] {
    let (header, length) = measure(der);
    &der[header..header + length]
}

fn elements(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut list = Vec::new();
    while !rest.is_empty() {
        let (header, length) = measure(rest);
        let (one, tail) = rest.split_at(header + length);
        list.push(one);
        rest = tail;
    }
    list
}

fn measure(der: &[u8]) -> (usize, usize) {
    match der[1] {
        short @ 0..=0x7f => (2, usize::from(short)),
        long => {
            let octets = usize::from(long & 0x7f);
            (2 + octets, der[2..2 + octets].iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet)))
        }
    }
}
