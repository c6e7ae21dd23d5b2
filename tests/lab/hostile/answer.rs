//! What the fake says to a signing request: a certificate, wrong where the lie wants it, in a document, wrong where the lie wants it.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use rcgen::{ExtendedKeyUsagePurpose, SanType};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::super::pki::{Ca, Leaf, csr_key, csr_names, dns_name, ec_key, serial_of};
use super::{Lie, Shared};

/// The `data` of an answer to this request.
pub(super) fn signed(shared: &Shared, body: &[u8], lie: Lie) -> Value {
    let request: Value = serde_json::from_slice(body).expect("a JSON request");
    let csr = request["csr"].as_str().expect("a CSR");
    let (common_name, names) = csr_names(csr);
    let mut leaf = Leaf::server(&common_name, &[], &[], ttl(&request["ttl"]));
    leaf.names = names;
    bend(&mut leaf, lie);
    let signer = if lie == Lie::OtherRoot { &shared.other_intermediate } else { &shared.intermediate };
    let cert = if lie == Lie::OtherKey { signer.leaf(&ec_key(), &leaf) } else { signer.leaf(&csr_key(csr), &leaf) };
    shared.signed.fetch_add(1, Ordering::SeqCst);
    let root = if lie == Lie::OtherRoot { &shared.other_root } else { &shared.root };
    let mut data = json!({
        "certificate": cert.pem(),
        "issuing_ca": signer.pem,
        "ca_chain": [signer.pem],
        "serial_number": serial_of(cert.der()),
        "not_before": leaf.not_before.unix_timestamp(),
        "expiration": leaf.not_after.unix_timestamp(),
    });
    wrap(&mut data, lie, signer, root);
    data
}

fn ttl(value: &Value) -> Duration {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let seconds = text.parse().ok().or_else(|| omens::model::span::parse(&text).ok().map(|d| d.as_secs()));
    Duration::seconds(i64::try_from(seconds.unwrap_or(86_400)).expect("a short life"))
}

/// Wrong facts in the certificate.
fn bend(leaf: &mut Leaf, lie: Lie) {
    let now = OffsetDateTime::now_utc();
    let life = leaf.not_after - leaf.not_before;
    match lie {
        Lie::OtherEku => leaf.eku = vec![ExtendedKeyUsagePurpose::CodeSigning],
        Lie::NoEku => leaf.eku = Vec::new(),
        Lie::ExtraName => leaf.names.push(dns_name("admin.funlab.casa")),
        Lie::MissingName => {
            let ip: IpAddr = "127.0.0.1".parse().expect("an address");
            leaf.names.retain(|n| *n != SanType::IpAddress(ip));
        }
        Lie::OtherCommonName => leaf.common_name = "admin.funlab.casa".into(),
        Lie::Expired => (leaf.not_before, leaf.not_after) = (now - life - Duration::HOUR, now - Duration::HOUR),
        Lie::NotYetValid => (leaf.not_before, leaf.not_after) = (now + Duration::HOUR, now + Duration::HOUR + life),
        Lie::TooLong => leaf.not_after = now + Duration::days(3650),
        Lie::Clipped => leaf.not_after = now + Duration::HOUR,
        Lie::Aged => (leaf.not_before, leaf.not_after) = (now - life * 9 / 10, now + life / 10),
        _ => {}
    }
}

/// Wrong facts in the document.
fn wrap(data: &mut Value, lie: Lie, signer: &Ca, root: &Ca) {
    let object = data.as_object_mut().expect("an object");
    match lie {
        Lie::MissingIntermediate => {
            object.insert("issuing_ca".into(), json!(root.pem));
            object.insert("ca_chain".into(), json!([root.pem]));
        }
        Lie::PrivateKey => {
            object.insert("private_key".into(), json!(ec_key().serialize_pem()));
            object.insert("private_key_type".into(), json!("ec"));
        }
        Lie::NoChain => drop(object.remove("ca_chain")),
        Lie::NoIssuer => {
            object.remove("ca_chain");
            object.remove("issuing_ca");
        }
        Lie::ReversedChain => drop(object.insert("ca_chain".into(), json!([root.pem, signer.pem]))),
        Lie::JunkInChain => {
            drop(object.insert("ca_chain".into(), json!([signer.pem, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])))
        }
        Lie::JunkCertificate => drop(object.insert("certificate".into(), json!("there is no certificate here"))),
        _ => {}
    }
}
