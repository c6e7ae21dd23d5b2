//! A PKI role against the profile of the certificates that it signs ([Roles and policies](crate::io::openbao#roles-and-policies)). It never
//! recommends `bao write`, which puts every field that it does not name back to its default.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{lints, usage};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::judge::lint::Lint;
use crate::model::audit::{Object, Target};
use crate::model::finding::Severity;
use crate::model::key::KeyAlgorithm;
use crate::model::profile::{Profile, Purpose};

/// Judges a role: `value` is what `GET MOUNT/roles/NAME` answers, or its `data`. Without a profile only what no certificate needs is told.
pub fn judge(name: &str, mount: &str, value: &Value, profile: Option<&Profile>, findings: &mut HostFindings) {
    let role = value.get("data").filter(|data| data.is_object()).unwrap_or(value);
    let mut judging = Judging { path: format!("{}/roles/{name}", mount.trim_matches('/')), name, role, profile, findings };
    judging.dates();
    judging.names();
    judging.purposes();
    judging.key_usages();
    judging.lifetime();
    judging.keys();
    judging.rest();
}

/// Judges an issuer: `value` is what `GET MOUNT/issuer/NAME` answers, or its `data`.
pub fn issuer(name: &str, mount: &str, value: &Value, findings: &mut HostFindings) {
    let issuer = value.get("data").filter(|data| data.is_object()).unwrap_or(value);
    let behaviour = issuer.get("leaf_not_after_behavior").and_then(Value::as_str).unwrap_or("err");
    if behaviour == "permit" {
        let path = format!("{}/issuer/{name}", mount.trim_matches('/'));
        let draft = NewFinding::new(&lints::ISSUER_BEYOND, Target::new("openbao", path.clone()), Object::Role(path.clone()));
        let draft = draft.expected("leaf_not_after_behavior=err").found("leaf_not_after_behavior=permit");
        findings.add(draft.remedy(format!("bao patch {path} leaf_not_after_behavior=err")));
    }
}

struct Judging<'a> {
    path: String,
    name: &'a str,
    role: &'a Value,
    profile: Option<&'a Profile>,
    findings: &'a mut HostFindings,
}

impl Judging<'_> {
    /// A finding with the field's value and the one that mends it.
    fn say(&mut self, lint: &'static Lint, found: String, set: &str) {
        self.say_as(lint, lint.severity, found, set);
    }

    fn say_as(&mut self, lint: &'static Lint, severity: Severity, found: String, set: &str) {
        let draft = NewFinding::new(lint, Target::new("role", self.path.clone()), Object::Role(self.path.clone())).severity(severity);
        self.findings.add(draft.expected(set).found(found).remedy(format!("bao patch {} {set}", self.path)));
    }

    fn is(&self, field: &str) -> bool {
        self.role.get(field).and_then(Value::as_bool).unwrap_or(false)
    }

    fn text(&self, field: &str) -> &str {
        self.role.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    fn number(&self, field: &str) -> u64 {
        self.role.get(field).and_then(Value::as_u64).unwrap_or_default()
    }

    fn dates(&mut self) {
        // A server that knows no such field is older than it, and permits.
        let bound =
            |field: &str| Some(self.text(field).to_owned()).filter(|bound| !bound.is_empty()).unwrap_or_else(|| "permit".to_owned());
        let (after, before) = (bound("not_after_bound"), bound("not_before_bound"));
        if after == "permit" {
            self.say(&lints::ROLE_NOT_AFTER, "not_after_bound=permit".to_owned(), "not_after_bound=forbid not_before_bound=forbid");
        } else if before == "permit" {
            self.say_as(&lints::ROLE_NOT_AFTER, Severity::Low, "not_before_bound=permit".to_owned(), "not_before_bound=forbid");
        }
        let fixed = self.text("not_after").to_owned();
        if !fixed.is_empty() {
            self.say(&lints::ROLE_NOT_AFTER, format!("not_after={fixed}, for every certificate"), "not_after=\"\"");
        }
    }

    fn names(&mut self) {
        let domains = usage::strings(self.role, "allowed_domains");
        if self.is("allow_any_name") {
            self.say(
                &lints::ROLE_ANY_NAME,
                "allow_any_name=true".to_owned(),
                "allow_any_name=false allowed_domains=NAME allow_bare_domains=true",
            );
        } else {
            if self.is("allow_subdomains") {
                let found = format!("allow_subdomains=true, allowed_domains={}", domains.join(","));
                self.say(&lints::ROLE_SUBDOMAINS, found, "allow_subdomains=false allow_bare_domains=true allowed_domains=NAME,NAME");
            }
            if self.is("allow_glob_domains") && domains.iter().any(|domain| domain.contains('*')) {
                let severity = if domains.iter().any(|domain| domain.trim() == "*") { Severity::High } else { Severity::Medium };
                self.say_as(
                    &lints::ROLE_GLOB,
                    severity,
                    format!("allow_glob_domains=true, allowed_domains={}", domains.join(",")),
                    "allow_glob_domains=false",
                );
            }
        }
        let wildcard = self.role.get("allow_wildcard_certificates").and_then(Value::as_bool).unwrap_or(true);
        let reachable = self.is("allow_any_name") || self.is("allow_subdomains") || self.is("allow_glob_domains");
        if wildcard && !self.profile.is_some_and(|profile| profile.wildcard) {
            // Bare domains alone leave nothing for a wildcard to stand for.
            let severity = if reachable { Severity::Medium } else { Severity::Low };
            self.say_as(
                &lints::ROLE_WILDCARD,
                severity,
                "allow_wildcard_certificates=true".to_owned(),
                "allow_wildcard_certificates=false",
            );
        }
        if self.role.get("enforce_hostnames").and_then(Value::as_bool) == Some(false) {
            self.say(&lints::ROLE_HOSTNAMES, "enforce_hostnames=false".to_owned(), "enforce_hostnames=true");
        }
        let addresses = self.role.get("allow_ip_sans").and_then(Value::as_bool).unwrap_or(true);
        if addresses && usage::strings(self.role, "allowed_ip_sans_cidr").is_empty() {
            self.say(
                &lints::ROLE_IP,
                "allow_ip_sans=true without allowed_ip_sans_cidr".to_owned(),
                "allowed_ip_sans_cidr=10.0.0.0/8,127.0.0.1/32",
            );
        }
        let uris = usage::strings(self.role, "allowed_uri_sans");
        if uris.iter().any(|uri| matches!(uri.trim(), "*" | "spiffe://*")) {
            self.say(&lints::ROLE_URI, format!("allowed_uri_sans={}", uris.join(",")), "allowed_uri_sans=");
        }
    }

    fn purposes(&mut self) {
        let found = usage::purposes(self.role);
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(", ");
        if found.contains("anyExtendedKeyUsage") {
            self.say(&lints::ROLE_EKU_ANY, list(&found), "ext_key_usage= ext_key_usage_oids=");
        }
        // SPIRE's agents show their certificate to the server; Keylime's only serve with it.
        let keylime = self.profile.is_some_and(|profile| profile.name == "keylime-agent");
        let named = self.name.contains("agent") && !self.name.contains("spire") && found.contains("serverAuth");
        if found.contains("clientAuth") && (keylime || named) {
            self.say(&lints::ROLE_AGENT, list(&found), "client_flag=false server_flag=true");
            return;
        }
        let Some(profile) = self.profile else {
            if found.contains("clientAuth") && found.contains("serverAuth") {
                self.say(&lints::ROLE_BOTH, list(&found), "server_flag=true client_flag=false (or the other way round)");
            }
            return;
        };
        let required: BTreeSet<String> = profile.eku.required.iter().map(|name| usage::purpose(name)).collect();
        let allowed: BTreeSet<String> =
            profile.eku.allowed.iter().map(|name| usage::purpose(name)).chain(required.iter().cloned()).collect();
        let extra: BTreeSet<String> = found.difference(&allowed).filter(|one| *one != "anyExtendedKeyUsage").cloned().collect();
        let set = flags(profile.purpose);
        if !extra.is_empty() {
            self.say(&lints::ROLE_EKU, format!("{}, beyond profile {}", list(&extra), profile.name), set);
        }
        let missing: BTreeSet<String> = required.difference(&found).cloned().collect();
        if !missing.is_empty() {
            self.say(&lints::ROLE_EKU_MISSING, format!("{} is missing; the role has {}", list(&missing), list(&found)), set);
        }
    }

    fn key_usages(&mut self) {
        let found = usage::key_usages(self.role);
        let kind = self.text("key_type").to_owned();
        let good: BTreeSet<String> = match (self.profile, kind.as_str()) {
            (Some(profile), _) => profile.key_usage.required.iter().chain(&profile.key_usage.allowed).cloned().collect(),
            (None, "ec" | "ed25519" | "mldsa") => BTreeSet::from(["digitalSignature".to_owned()]),
            (None, _) => BTreeSet::from(["digitalSignature".to_owned(), "keyEncipherment".to_owned()]),
        };
        let extra: Vec<String> = found.difference(&good).cloned().collect();
        if !extra.is_empty() {
            let set = if kind == "rsa" { "key_usage=DigitalSignature,KeyEncipherment" } else { "key_usage=DigitalSignature" };
            let severity =
                if extra.iter().any(|one| matches!(one.as_str(), "keyCertSign" | "cRLSign")) { Severity::High } else { Severity::Medium };
            self.say_as(&lints::ROLE_KU, severity, format!("{} for {kind} keys", extra.join(", ")), set);
        }
    }

    fn lifetime(&mut self) {
        let Some(profile) = self.profile else { return };
        let (longest, shortest) = (profile.lifetime_max.as_secs(), profile.lifetime_min.as_secs());
        let set = format!("max_ttl={longest}s");
        match self.number("max_ttl") {
            0 => self.say(&lints::ROLE_TTL, "max_ttl=0: the mount's limit".to_owned(), &set),
            found if found > longest => self.say(&lints::ROLE_TTL, format!("max_ttl={found}s"), &set),
            found if found < shortest => self.say(&lints::ROLE_TTL_SHORT, format!("max_ttl={found}s"), &set),
            _ => {}
        }
    }

    fn keys(&mut self) {
        let (kind, bits) = (self.text("key_type").to_owned(), self.number("key_bits"));
        if kind == "rsa" && bits != 0 && bits < 2048 {
            self.say(&lints::ROLE_KEY_WEAK, format!("key_type=rsa key_bits={bits}"), "key_bits=2048");
        }
        if kind == "ec" && bits == 224 {
            self.say(&lints::ROLE_KEY_WEAK, "key_type=ec key_bits=224".to_owned(), "key_bits=256");
        }
        if let Some(profile) = self.profile {
            let fits = matches!(kind.as_str(), "any" | "") || profile.keys.iter().any(|key| key_type(*key) == kind);
            if !fits {
                let wanted = profile.keys.first().map_or("ec", |key| key_type(*key));
                self.say(&lints::ROLE_KEY, format!("key_type={kind}"), &format!("key_type={wanted}"));
            }
        }
        let signature = self.number("signature_bits");
        if signature != 0 && signature < 256 {
            self.say(&lints::ROLE_SIGNATURE, format!("signature_bits={signature}"), "signature_bits=256");
        }
    }

    fn rest(&mut self) {
        if self.is("no_store") {
            self.say(&lints::ROLE_NO_STORE, "no_store=true".to_owned(), "no_store=false");
        }
        if self.is("allow_localhost") && self.role.get("allow_localhost").is_some() {
            self.say(&lints::ROLE_LOCALHOST, "allow_localhost=true".to_owned(), "allow_localhost=false");
        }
        if self.role.get("basic_constraints_valid_for_non_ca").and_then(Value::as_bool) == Some(false) {
            self.say(
                &lints::ROLE_CONSTRAINTS,
                "basic_constraints_valid_for_non_ca=false".to_owned(),
                "basic_constraints_valid_for_non_ca=true",
            );
        }
    }
}

/// The fields that make a role sign for a profile's purpose alone.
const fn flags(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Server => "server_flag=true client_flag=false code_signing_flag=false email_protection_flag=false ext_key_usage=",
        Purpose::Client => "server_flag=false client_flag=true code_signing_flag=false email_protection_flag=false ext_key_usage=",
        Purpose::Both => "server_flag=true client_flag=true code_signing_flag=false email_protection_flag=false ext_key_usage=",
    }
}

/// What a role's `key_type` says for such a key.
const fn key_type(key: KeyAlgorithm) -> &'static str {
    match key {
        KeyAlgorithm::EcP256 | KeyAlgorithm::EcP384 => "ec",
        KeyAlgorithm::Ed25519 => "ed25519",
        KeyAlgorithm::MlDsa44 | KeyAlgorithm::MlDsa65 => "mldsa",
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => "rsa",
    }
}
