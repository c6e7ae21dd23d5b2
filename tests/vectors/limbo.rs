//! Cases of others as questions to the judge: x509-limbo (C2SP) and BetterTLS (Netflix), both Apache-2.0, in x509-limbo's schema.

use std::collections::BTreeMap;

use omens::judge::assess::Requirements;
use omens::judge::lint::Findings;
use omens::judge::pem;
use omens::judge::wanted::Wanted;
use omens::model::clock::Time;
use omens::model::profile::Purpose;
use serde::Deserialize;

/// Where the suite lies if nobody names another file: beside the clone. No package registry is known to have it.
const BESIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/vectors/x509-limbo.json.xz");

/// Why nothing was run, where there is no suite.
pub(crate) const MISSING: &str = "their data is neither named by OMENS_LIMBO nor at ../shared/vectors/x509-limbo.json.xz beside the clone (no package registry is known to have it)";

#[derive(Deserialize)]
struct Suite {
    testcases: Vec<Case>,
}

/// One case; PEM as it stands in the file.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) description: String,
    pub(crate) validation_kind: String,
    pub(crate) trusted_certs: Vec<String>,
    pub(crate) untrusted_intermediates: Vec<String>,
    pub(crate) peer_certificate: String,
    pub(crate) validation_time: Option<String>,
    pub(crate) expected_peer_name: Option<PeerName>,
    pub(crate) max_chain_depth: Option<usize>,
    pub(crate) crls: Vec<String>,
    pub(crate) expected_result: String,
}

#[derive(Deserialize)]
pub(crate) struct PeerName {
    pub(crate) kind: String,
    pub(crate) value: String,
}

impl Case {
    /// The suite's cases, from the file that `OMENS_LIMBO` names (JSON, or packed with xz) or from beside the clone; `None` where neither is.
    pub(crate) fn all() -> Option<Vec<Self>> {
        let bytes = match std::env::var_os("OMENS_LIMBO") {
            Some(file) => std::fs::read(&file).unwrap_or_else(|why| panic!("OMENS_LIMBO names {}: {why}", file.display())),
            None => std::fs::read(BESIDE).ok()?,
        };
        let mut text = Vec::new();
        if bytes.starts_with(b"\xfd7zXZ") {
            lzma_rs::xz_decompress(&mut bytes.as_slice(), &mut text).expect("xz");
        } else {
            text = bytes;
        }
        let suite: Suite = serde_json::from_slice(&text).expect("the suite's schema");
        Some(suite.testcases)
    }

    pub(crate) fn must_pass(&self) -> bool {
        self.expected_result == "SUCCESS"
    }

    /// Any time will do where the case names none: its certificates run from 1970 to 2969.
    pub(crate) fn time(&self) -> Time {
        Time::parse(self.validation_time.as_deref().unwrap_or("2026-01-01T00:00:00Z")).expect("a time of the suite")
    }

    /// What the case asks; mail addresses cannot be asked for.
    pub(crate) fn asked(&self) -> Requirements {
        let name = self.expected_peer_name.as_ref().and_then(|name| match name.kind.as_str() {
            "DNS" => Some(Wanted::Dns(name.value.clone())),
            "IP" => Some(Wanted::Ip(name.value.parse().expect("an address"))),
            _ => None,
        });
        let purpose = if self.validation_kind == "SERVER" { Purpose::Server } else { Purpose::Client };
        Requirements {
            purpose: Some(purpose),
            names: name.into_iter().collect(),
            max_depth: self.max_chain_depth,
            ..Requirements::default()
        }
    }

    pub(crate) fn leaf(&self) -> Vec<u8> {
        ders(&self.peer_certificate).remove(0)
    }

    pub(crate) fn anchors(&self) -> Vec<Vec<u8>> {
        self.trusted_certs.iter().flat_map(|pem| ders(pem)).collect()
    }

    pub(crate) fn intermediates(&self) -> Vec<Vec<u8>> {
        self.untrusted_intermediates.iter().flat_map(|pem| ders(pem)).collect()
    }

    pub(crate) fn lists(&self) -> Vec<Vec<u8>> {
        self.crls.iter().flat_map(|text| pem::lists(text)).collect()
    }
}

fn ders(text: &str) -> Vec<Vec<u8>> {
    let none = BTreeMap::new();
    pem::read(text, &mut Findings::new(&none))
}
