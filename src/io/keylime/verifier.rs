//! Attesting at the verifier (API 3.0: negotiation and evidence) and its verdict (API 2.6).

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::fault::Fault;
use super::request::{Asked, Offer, Request, Wanted, check};
use super::{Api, Document, Envelope, JSON_API};
use crate::io::http::{Called, Verb};
use crate::io::tpm::quoted::{Quote, pcr_blob, sized};
use crate::judge::attestation::{Said, Status};
use crate::model::pcr::PcrList;
use crate::model::secret::Token;
use crate::model::span;
use crate::model::verdict::Appraised;

/// The longest time that a verifier may name until the next attestation.
const NEXT: u64 = 86_400;

/// A begun attestation: what is asked for and where it goes.
#[derive(Debug)]
pub struct Begun {
    /// What is asked for.
    pub request: Request,
    path: String,
}

/// One piece of evidence, in the order of the request.
#[derive(Debug)]
pub enum Evidence {
    /// A quote.
    Quote(Box<Quote>),
    /// The log of the firmware, as it is.
    UefiLog(Vec<u8>),
    /// Lines of the IMA list, each with its end.
    ImaLog(String),
}

#[derive(Debug, Deserialize)]
struct Attestation {
    attributes: Attributes,
}

#[derive(Debug, Deserialize)]
struct Attributes {
    stage: String,
    #[serde(default)]
    evidence_requested: Vec<Asked>,
}

#[derive(Debug, Deserialize)]
struct Accepted {
    data: Attestation,
    #[serde(default)]
    meta: Option<Meta>,
}

#[derive(Debug, Deserialize)]
struct Meta {
    #[serde(default)]
    seconds_to_next_attestation: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Resource {
    r#type: &'static str,
    attributes: Value,
}

/// An agent as the verifier shows it; what some versions leave out may be missing.
#[derive(Debug, Deserialize)]
struct Agent {
    attestation_status: String,
    #[serde(deserialize_with = "or_zero")]
    attestation_count: u64,
    #[serde(deserialize_with = "or_zero")]
    last_received_quote: i64,
    #[serde(deserialize_with = "or_zero")]
    last_successful_attestation: i64,
    maximum_attestation_interval: String,
    #[serde(default)]
    tpm_policy: Value,
    #[serde(default)]
    has_runtime_policy: Value,
    #[serde(default)]
    has_mb_refstate: Value,
    #[serde(default)]
    agent_id: Option<String>,
    #[serde(default)]
    ak_tpm: Option<String>,
    #[serde(default)]
    aik_tpm: Option<String>,
    #[serde(default)]
    ek_tpm: Option<String>,
}

/// A record that was never written to holds null.
fn or_zero<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Who this host is to a verifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// The id it is enrolled under.
    pub agent_id: String,
    /// TPMT_PUBLIC of its endorsement key.
    pub ek_public: Vec<u8>,
    /// TPMT_PUBLIC of its attestation key.
    pub ak_public: Vec<u8>,
}

impl Api {
    /// What the verifier says of this host, by its own token.
    ///
    /// # Errors
    /// It does not know it, or as another one, or there is no answer to go on with.
    pub async fn said(&self, own: &Own, token: &Token) -> Result<Said, Fault> {
        let called = self.call(Verb::Get, &format!("v2.6/agents/{}", own.agent_id), Some(token), None).await?;
        let Envelope { results } = self.parsed::<Envelope<Agent>>(&called, "show this agent", &[200], &[token.expose()])?;
        let date = self.date(&called)?;
        self.same_keys(own, &results)?;
        let malformed = |what: &str| Fault::Malformed(format!("{} shows an agent with {what}", self.server()));
        let status = match results.attestation_status.as_str() {
            "PASS" => Status::Pass,
            "FAIL" => Status::Fail,
            "TIMEOUT" => Status::Timeout,
            "PENDING" => Status::Pending,
            _ => return Err(malformed("a status that is none")),
        };
        let flag = |value: &Value| match value {
            Value::Null | Value::Bool(false) => Some(false),
            Value::Bool(true) => Some(true),
            Value::Number(number) if number.as_u64() == Some(0) => Some(false),
            Value::Number(number) if number.as_u64() == Some(1) => Some(true),
            _ => None,
        };
        let flags = [&results.has_runtime_policy, &results.has_mb_refstate].map(flag);
        let [Some(runtime_policy), Some(measured_boot)] = flags else { return Err(malformed("policies that are none")) };
        let accepted = policy(&results.tpm_policy).ok_or_else(|| malformed("a TPM policy that is none"))?;
        let interval = span::parse(&results.maximum_attestation_interval).map_err(|_| malformed("an interval that is none"))?;
        Ok(Said {
            status,
            count: results.attestation_count,
            received: results.last_received_quote,
            successful: results.last_successful_attestation,
            interval: interval.as_secs(),
            appraised: Appraised { pcrs: accepted.keys().copied().collect(), runtime_policy, measured_boot },
            accepted,
            date,
        })
    }

    /// An answer for another agent, or one with another key, is nobody's verdict on this host.
    fn same_keys(&self, own: &Own, agent: &Agent) -> Result<(), Fault> {
        if let Some(named) = &agent.agent_id {
            self.same_agent(&own.agent_id, named)?;
        }
        let differs = |shown: &Option<String>, public: &[u8]| {
            shown.as_deref().is_some_and(|shown| shown != Base64::encode_string(&sized(public)) && shown != Base64::encode_string(public))
        };
        let other = if differs(&agent.ak_tpm, &own.ak_public) || differs(&agent.aik_tpm, &own.ak_public) {
            "attestation"
        } else if differs(&agent.ek_tpm, &own.ek_public) {
            "endorsement"
        } else {
            return Ok(());
        };
        Err(Fault::Mismatch(format!("{} knows another {other} key under the id {}", self.server(), own.agent_id)))
    }

    /// Offers evidence; what is asked for is checked against the offer.
    ///
    /// # Errors
    /// It asks for nothing, or for what was not offered, or there is no answer to go on with.
    pub async fn negotiate(&self, agent_id: &str, token: &Token, offer: &Offer) -> Result<Begun, Fault> {
        let body = Self::body(JSON_API, &Document { data: Resource { r#type: "attestation", attributes: offered(offer) } })?;
        let path = format!("v3.0/agents/{agent_id}/attestations");
        let called = self.call(Verb::Post, &path, Some(token), Some(body)).await?;
        let Document { data } = self.parsed::<Document<Attestation>>(&called, "begin an attestation", &[201], &[token.expose()])?;
        let malformed = |what: &str| Fault::Malformed(format!("{} begins an attestation {what}", self.server()));
        let request = check(&data.attributes.evidence_requested, offer)?;
        if data.attributes.stage != "awaiting_evidence" {
            return Err(malformed("that waits for no evidence"));
        }
        let path = place(&called, &path).ok_or_else(|| malformed("at a place that is none of it"))?;
        Ok(Begun { request, path })
    }

    /// Sends evidence; gives the seconds until the next attestation, where the verifier says them.
    ///
    /// # Errors
    /// It is not taken, or there is no answer to go on with.
    pub async fn submit(&self, begun: &Begun, token: &Token, evidence: &[Evidence]) -> Result<Option<u64>, Fault> {
        let collected: Vec<Value> = evidence.iter().map(collected).collect();
        let attributes = json!({ "evidence_collected": collected });
        let body = Self::body(JSON_API, &Document { data: Resource { r#type: "attestation", attributes } })?;
        let called = self.call(Verb::Patch, &begun.path, Some(token), Some(body)).await?;
        let accepted: Accepted = self.parsed(&called, "take evidence", &[202], &[token.expose()])?;
        if accepted.data.attributes.stage == "awaiting_evidence" {
            return Err(Fault::Malformed(format!("{} takes evidence and still waits for it", self.server())));
        }
        Ok(accepted.meta.and_then(|meta| meta.seconds_to_next_attestation).map(|seconds| seconds.clamp(1, NEXT)))
    }
}

/// Where the evidence goes: the attestation that was just begun, by its number, and nowhere else.
fn place(called: &Called, attestations: &str) -> Option<String> {
    let location = called.location.as_deref()?.strip_prefix('/')?;
    let number = location.strip_prefix(attestations)?.strip_prefix('/')?;
    (matches!(number.len(), 1..=20) && number.bytes().all(|byte| byte.is_ascii_digit())).then(|| location.to_owned())
}

fn offered(offer: &Offer) -> Value {
    let every: Vec<u32> = (0..24).collect();
    let key = json!({
        "key_class": "asymmetric", "key_algorithm": "rsa", "key_size": 2048, "server_identifier": "ak",
        "local_identifier": Base64::encode_string(&offer.ak_name), "public": Base64::encode_string(&sized(&offer.ak_public)),
    });
    json!({
        "evidence_supported": [
            {"evidence_class": "certification", "evidence_type": "tpm_quote", "capabilities": {
                "component_version": "2.0", "hash_algorithms": ["sha256"], "signature_schemes": ["rsassa"],
                "available_subjects": {"sha256": every}, "certification_keys": [key]}},
            {"evidence_class": "log", "evidence_type": "uefi_log", "capabilities": {
                "evidence_version": "2.1", "entry_count": offer.uefi_entries, "supports_partial_access": false, "appendable": false,
                "formats": ["application/octet-stream"]}},
            {"evidence_class": "log", "evidence_type": "ima_log", "capabilities": {
                "entry_count": offer.ima_entries, "supports_partial_access": true, "appendable": true, "formats": ["text/plain"]}},
        ],
        "system_info": {"boot_time": offer.boot_time.to_string()},
    })
}

fn collected(evidence: &Evidence) -> Value {
    let piece = |class: &str, kind: &str, data: Value| json!({"evidence_class": class, "evidence_type": kind, "data": data});
    match evidence {
        Evidence::Quote(quote) => piece(
            "certification",
            "tpm_quote",
            json!({
                "message": Base64::encode_string(&quote.signed.message),
                "signature": Base64::encode_string(&quote.signed.signature),
                "subject_data": Base64::encode_string(&pcr_blob(&quote.values)),
            }),
        ),
        Evidence::UefiLog(log) => piece("log", "uefi_log", json!({ "entries": Base64::encode_string(log) })),
        Evidence::ImaLog(lines) => piece("log", "ima_log", json!({ "entry_count": lines.lines().count(), "entries": lines })),
    }
}

impl Evidence {
    /// Whether it is what was wanted at its place.
    #[must_use]
    pub const fn answers(&self, wanted: &Wanted) -> bool {
        matches!(
            (self, wanted),
            (Self::Quote(_), Wanted::Quote { .. }) | (Self::UefiLog(_), Wanted::UefiLog) | (Self::ImaLog(_), Wanted::ImaLog { .. })
        )
    }
}

/// The PCRs that a TPM policy names, with the values that it takes; it comes as text that holds JSON. Beside them stands a mask of them.
fn policy(value: &Value) -> Option<BTreeMap<u32, Vec<String>>> {
    let parsed: BTreeMap<String, Value> = match value {
        Value::Null => return Some(BTreeMap::new()),
        Value::String(text) if text.trim().is_empty() => return Some(BTreeMap::new()),
        Value::String(text) => serde_json::from_str(text).ok()?,
        Value::Object(map) => map.clone().into_iter().collect(),
        _ => return None,
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut accepted = BTreeMap::new();
    for (name, values) in parsed.iter().filter(|(name, _)| *name != "mask") {
        let (number, values) = (name.parse::<u32>().ok()?, values.as_array().cloned().unwrap_or_else(|| vec![values.clone()]));
        // A PCR without a value that it may have compares nothing.
        if values.iter().any(|value| !value.is_null()) {
            accepted.insert(number, values.iter().map(text).collect());
        }
    }
    PcrList::new(&accepted.keys().copied().collect::<Vec<_>>()).ok().map(|_| accepted)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::io::http::Answer;

    #[test]
    fn evidence_goes_to_the_attestation_that_was_begun() {
        let location = |text: &str| {
            let answer = Answer { status: 201, retry_after: None, body: zeroize::Zeroizing::default() };
            place(&Called { answer, date: None, location: Some(text.to_owned()) }, "v3.0/agents/a/attestations")
        };
        assert_eq!(location("/v3.0/agents/a/attestations/12").as_deref(), Some("v3.0/agents/a/attestations/12"));
        for elsewhere in [
            "",
            "/",
            "/v3.0/agents/b/attestations/12",
            "/v3.0/agents/a/attestations/",
            "/v3.0/agents/a/attestations/12/../../x",
            "/v3.0/agents/a/attestations/1?x",
            "/v3.0/agents/a/attestations/-1",
            "https://other.example/v3.0/agents/a/attestations/12",
            "//other.example/v3.0/agents/a/attestations/12",
            "v3.0/agents/a/attestations/12",
        ] {
            assert_eq!(location(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn a_policy_names_the_pcrs_that_it_compares() {
        for (policy_text, expected) in [
            (json!(null), Some(vec![])),
            (json!(""), Some(vec![])),
            (json!("{}"), Some(vec![])),
            (json!(r#"{"mask": "0x0"}"#), Some(vec![])),
            (json!(r#"{"23": ["00"], "mask": "0x800080", "7": ["11", "22"]}"#), Some(vec![7, 23])),
            (json!({"7": ["11"]}), Some(vec![7])),
            (json!({"7": "11"}), Some(vec![7])),
            (json!(r#"{"7": []}"#), Some(vec![])),
            (json!(r#"{"seven": ["11"]}"#), None),
            (json!(r#"{"24": ["11"]}"#), None),
            (json!("PASS"), None),
            (json!(7), None),
        ] {
            let found = policy(&policy_text);
            assert_eq!(found.as_ref().map(|accepted| accepted.keys().copied().collect()), expected, "{policy_text}");
        }
    }

    #[test]
    fn a_record_of_keylime_is_read_and_one_that_is_none_is_not() {
        let record = json!({"attestation_status": "PASS", "attestation_count": null, "last_received_quote": null,
            "last_successful_attestation": 3, "maximum_attestation_interval": "5s", "unknown": 1});
        let agent: Agent = serde_json::from_value(record.clone()).unwrap();
        assert_eq!((agent.attestation_count, agent.last_received_quote, agent.last_successful_attestation), (0, 0, 3));
        for (name, wrong) in [
            ("attestation_count", json!(-1)),
            ("attestation_count", json!("1")),
            ("last_received_quote", json!(1.5)),
            ("attestation_status", json!(null)),
        ] {
            let mut record = record.clone();
            record[name] = wrong;
            assert!(serde_json::from_value::<Agent>(record).is_err(), "{name}");
        }
    }
}
