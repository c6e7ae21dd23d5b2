//! The names of one host's certificates, as the closed list of a role.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::settings::Certificate;
use crate::model::profile::Purpose;
use crate::model::request::SUBJECT_KEYS;

/// The names that one role signs for a host, and how.
#[derive(Default)]
pub(super) struct Names {
    names: BTreeSet<String>,
    addresses: BTreeSet<String>,
    uris: BTreeSet<String>,
    /// By the role's fields.
    subject: BTreeMap<&'static str, BTreeSet<String>>,
    server: bool,
    client: bool,
    rsa: bool,
}

impl Names {
    pub(super) fn add(&mut self, certificate: &Certificate) {
        let request = &certificate.request;
        self.names.insert(request.common_name.clone());
        self.names.extend(request.dns.iter().cloned());
        self.addresses.extend(request.ip.iter().map(|ip| format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 })));
        self.names.extend(request.email.iter().cloned());
        self.uris.extend(request.uri.iter().cloned());
        for field in &request.subject {
            for key in SUBJECT_KEYS.iter().filter(|key| key.attribute == field.attribute) {
                self.subject.entry(key.key).or_default().insert(field.value.clone());
            }
        }
        self.server |= matches!(request.profile.purpose, Purpose::Server | Purpose::Both);
        self.client |= matches!(request.profile.purpose, Purpose::Client | Purpose::Both);
        self.rsa |= request.algorithm.is_rsa();
    }

    /// As a role: what is closed in the others, with a list of names.
    pub(super) fn role(&self, template: &str) -> String {
        let mut role: serde_json::Value = serde_json::from_str(template).unwrap_or_default();
        let key = if self.rsa { ("rsa", 2048, vec!["DigitalSignature", "KeyEncipherment"]) } else { ("ec", 256, vec!["DigitalSignature"]) };
        let (key_type, bits, usage) = key;
        let own = serde_json::json!({
            "allowed_domains": self.names, "allowed_domains_template": false, "allow_localhost": self.names.contains("localhost"),
            "allow_ip_sans": !self.addresses.is_empty(), "allowed_ip_sans_cidr": self.addresses,
            "allowed_uri_sans": self.uris, "server_flag": self.server, "client_flag": self.client, "key_type": key_type, "key_bits": bits, "key_usage": usage,
        });
        if let (Some(role), Some(own)) = (role.as_object_mut(), own.as_object()) {
            role.extend(own.clone());
            role.extend(self.subject.iter().map(|(key, values)| ((*key).to_owned(), serde_json::json!(values))));
        }
        serde_json::to_string_pretty(&role).unwrap_or_default()
    }
}
