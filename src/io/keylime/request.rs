//! What a verifier asks evidence of, checked against what was offered: nothing else is answered, since a quote over what somebody else chose
//! is a quote for somebody else.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding as _};
use serde::Deserialize;

use super::challenge;
use super::fault::Fault;
use crate::io::tpm::quoted::sized;
use crate::model::pcr::PcrList;

/// What a host can show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// TPMT_PUBLIC of the attestation key.
    pub ak_public: Vec<u8>,
    /// Its Name.
    pub ak_name: Vec<u8>,
    /// When the host was started: constant until it is started again.
    pub boot_time: crate::model::clock::Time,
    /// Whether there is a log of the firmware.
    pub uefi_entries: u64,
    /// Lines of the IMA list.
    pub ima_entries: u64,
}

/// One piece of evidence that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A quote of these PCRs over these 16 bytes.
    Quote {
        /// The challenge.
        nonce: Vec<u8>,
        /// The PCRs.
        list: PcrList,
    },
    /// The log of the firmware.
    UefiLog,
    /// The IMA list from this line on.
    ImaLog {
        /// Lines to leave out.
        offset: u64,
    },
}

/// What is asked for, in its order: exactly one quote, and no log twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request(Vec<Wanted>);

impl Request {
    /// The pieces, as they are to be answered.
    #[must_use]
    pub fn wanted(&self) -> &[Wanted] {
        &self.0
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    evidence_class: String,
    evidence_type: String,
    #[serde(default)]
    chosen_parameters: Chosen,
}

#[derive(Debug, Default, Deserialize)]
struct Chosen {
    #[serde(default)]
    challenge: Option<String>,
    #[serde(default)]
    signature_scheme: Option<String>,
    #[serde(default)]
    hash_algorithm: Option<String>,
    #[serde(default)]
    selected_subjects: Option<BTreeMap<String, Option<Vec<u32>>>>,
    #[serde(default)]
    certification_key: Option<Key>,
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    starting_offset: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Key {
    #[serde(default)]
    server_identifier: Option<String>,
    #[serde(default)]
    local_identifier: Option<String>,
    #[serde(default)]
    public: Option<String>,
}

/// Checks the pieces of a request.
pub(super) fn check(asked: &[Asked], offer: &Offer) -> Result<Request, Fault> {
    if asked.is_empty() {
        return Err(Fault::EmptyPolicy);
    }
    let wanted: Vec<Wanted> = asked.iter().map(|asked| one(asked, offer)).collect::<Result<_, _>>()?;
    let of_a_kind = |kind: fn(&Wanted) -> bool| wanted.iter().filter(|wanted| kind(wanted)).count();
    let quotes = of_a_kind(|wanted| matches!(wanted, Wanted::Quote { .. }));
    let logs = [of_a_kind(|wanted| *wanted == Wanted::UefiLog), of_a_kind(|wanted| matches!(wanted, Wanted::ImaLog { .. }))];
    if quotes != 1 || logs.iter().any(|count| *count > 1) {
        return Err(unoffered("evidence in another number than was offered"));
    }
    Ok(Request(wanted))
}

fn one(asked: &Asked, offer: &Offer) -> Result<Wanted, Fault> {
    let chosen = &asked.chosen_parameters;
    let is = |value: &Option<String>, expected: &str| value.as_deref().is_none_or(|value| value == expected);
    match (asked.evidence_class.as_str(), asked.evidence_type.as_str()) {
        ("certification", "tpm_quote") => quote(chosen, offer),
        ("log", "uefi_log") if is(&chosen.format, "application/octet-stream") && chosen.starting_offset.unwrap_or(0) == 0 => {
            Ok(Wanted::UefiLog)
        }
        ("log", "ima_log") if is(&chosen.format, "text/plain") && chosen.starting_offset.unwrap_or(0) <= offer.ima_entries => {
            Ok(Wanted::ImaLog { offset: chosen.starting_offset.unwrap_or(0) })
        }
        _ => Err(unoffered("a kind or form of evidence that was not offered")),
    }
}

fn quote(chosen: &Chosen, offer: &Offer) -> Result<Wanted, Fault> {
    if chosen.signature_scheme.as_deref() != Some("rsassa") || chosen.hash_algorithm.as_deref() != Some("sha256") {
        return Err(unoffered("a signature that was not offered"));
    }
    let nonce = chosen.challenge.as_deref().and_then(challenge);
    let nonce = nonce.ok_or_else(|| Fault::Malformed("the verifier's challenge is not 16 bytes".to_owned()))?;
    let mut numbers = None;
    for (bank, selected) in chosen.selected_subjects.iter().flatten() {
        match (bank.as_str(), selected) {
            ("sha256", Some(selected)) if !selected.is_empty() => numbers = Some(selected),
            (_, None) => {}
            (_, Some(selected)) if selected.is_empty() => {}
            _ => return Err(unoffered("PCRs of a bank that was not offered")),
        }
    }
    let list = numbers.and_then(|numbers| PcrList::new(numbers).ok()).ok_or_else(|| unoffered("PCRs that were not offered"))?;
    if let Some(key) = &chosen.certification_key {
        let ours = |value: &Option<String>, own: &[u8]| value.as_deref().is_none_or(|value| value == Base64::encode_string(own));
        let named = key.server_identifier.as_deref().is_none_or(|name| name == "ak");
        if !named || !ours(&key.public, &sized(&offer.ak_public)) || !ours(&key.local_identifier, &offer.ak_name) {
            return Err(Fault::Mismatch("the verifier wants a quote by another attestation key than this host's".to_owned()));
        }
    }
    Ok(Wanted::Quote { nonce, list })
}

fn unoffered(what: &str) -> Fault {
    Fault::Malformed(format!("the verifier asks for {what}: nothing was sent"))
}

#[cfg(test)]
mod tests {
    use super::*;

    use serde_json::{Value, json};

    fn offer() -> Offer {
        let boot_time = crate::model::clock::Time::from_unix(1);
        Offer { ak_public: vec![1, 2], ak_name: vec![0, 0x0b, 3], boot_time, uefi_entries: 0, ima_entries: 5 }
    }

    fn quote() -> Value {
        json!({"evidence_class": "certification", "evidence_type": "tpm_quote", "chosen_parameters": {
            "challenge": Base64::encode_string(&[7; 16]), "signature_scheme": "rsassa", "hash_algorithm": "sha256",
            "selected_subjects": {"sha256": [23, 7], "sha1": null},
            "certification_key": {"server_identifier": "ak", "public": "AAIBAg==", "local_identifier": "AAsD"}}})
    }

    fn checked(asked: Value) -> Result<Request, Fault> {
        check(&serde_json::from_value::<Vec<Asked>>(asked).unwrap(), &offer())
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut quote = quote();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        quote.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.to_owned(), value);
        json!([quote])
    }

    #[test]
    fn what_was_offered_is_answered_in_its_order() {
        let logs = [
            json!({"evidence_class": "log", "evidence_type": "ima_log", "chosen_parameters": {"starting_offset": 5, "format": "text/plain"}}),
            json!({"evidence_class": "log", "evidence_type": "uefi_log", "chosen_parameters": {"format": "application/octet-stream"}}),
        ];
        let request = checked(json!([logs[0], quote(), logs[1]])).unwrap();
        let list = PcrList::new(&[7, 23]).unwrap();
        assert_eq!(request.wanted(), [Wanted::ImaLog { offset: 5 }, Wanted::Quote { nonce: vec![7; 16], list }, Wanted::UefiLog]);
    }

    #[test]
    fn what_was_not_offered_is_refused() {
        let at = |name: &str| format!("/chosen_parameters/{name}");
        let log = |kind: &str, format: &str, offset: u64| json!({"evidence_class": "log", "evidence_type": kind, "chosen_parameters": {"format": format, "starting_offset": offset}});
        for (what, asked, empty) in [
            ("nothing", json!([]), true),
            ("only a log", json!([log("ima_log", "text/plain", 0)]), false),
            ("two quotes", json!([quote(), quote()]), false),
            ("a log twice", json!([quote(), log("ima_log", "text/plain", 0), log("ima_log", "text/plain", 1)]), false),
            ("another log", json!([quote(), log("disk_log", "text/plain", 0)]), false),
            ("another form", json!([quote(), log("ima_log", "application/json", 0)]), false),
            ("more lines than there are", json!([quote(), log("ima_log", "text/plain", 6)]), false),
            ("a part of the firmware's log", json!([quote(), log("uefi_log", "application/octet-stream", 1)]), false),
            ("another class", with("/evidence_class", json!("log")), false),
            ("another hash", with(&at("hash_algorithm"), json!("sha1")), false),
            ("no hash", with(&at("hash_algorithm"), Value::Null), false),
            ("another scheme", with(&at("signature_scheme"), json!("ecdsa")), false),
            ("no scheme", with(&at("signature_scheme"), Value::Null), false),
            ("no challenge", with(&at("challenge"), Value::Null), false),
            ("a short challenge", with(&at("challenge"), json!(Base64::encode_string(&[7; 15]))), false),
            ("a long challenge", with(&at("challenge"), json!(Base64::encode_string(&[7; 32]))), false),
            ("a challenge in hex", with(&at("challenge"), json!("07070707070707070707070707070707")), false),
            ("another bank", with(&at("selected_subjects"), json!({"sha1": [7]})), false),
            ("a second bank", with(&at("selected_subjects"), json!({"sha256": [7], "sha1": [7]})), false),
            ("PCR 24", with(&at("selected_subjects"), json!({"sha256": [24]})), false),
            ("a PCR twice", with(&at("selected_subjects"), json!({"sha256": [7, 7]})), false),
            ("no PCR", with(&at("selected_subjects"), json!({"sha256": []})), false),
            ("no selection", with(&at("selected_subjects"), Value::Null), false),
        ] {
            let fault = checked(asked).unwrap_err();
            assert_eq!(matches!(fault, Fault::EmptyPolicy), empty, "{what}: {fault:?}");
            assert!(empty || matches!(fault, Fault::Malformed(_)), "{what}: {fault:?}");
        }
        for key in [json!({"public": "AAIBAw=="}), json!({"local_identifier": "AAsE"}), json!({"server_identifier": "iak"})] {
            let fault = checked(with(&at("certification_key"), key.clone())).unwrap_err();
            assert!(matches!(fault, Fault::Mismatch(_)), "{key}: {fault:?}");
        }
    }
}
