//! Policies: grants that reach past the roles of the PKI ([Roles and policies](crate::io::openbao#roles-and-policies)). It must never
//! guess which mount is a PKI: the endpoint's name tells.

use std::path::Path;

use super::lints;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::hcl::{self, Body};
use crate::judge::lint::Lint;
use crate::model::audit::{Location, Object, Target};

/// As many rules of one policy are looked at.
const RULES: usize = 5000;

/// Judges a policy as the API gives it, or as a file has it.
pub fn judge(name: &str, text: &str, findings: &mut HostFindings) {
    rules(name, Path::new(name), &hcl::parse(text).0, findings);
}

/// The rules of a parsed policy; `file` is where it lies, or its name.
pub(super) fn rules(name: &str, file: &Path, body: &Body, findings: &mut HostFindings) {
    // What operators hold is meant to reach far.
    let plain = file.file_stem().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    if ["admin", "operator", "root", "superuser"].iter().any(|word| plain.contains(word)) {
        return;
    }
    for (item, rule) in body.labelled("path").take(RULES) {
        let capabilities = rule.get("capabilities").map(|item| item.value.texts()).unwrap_or_default();
        let may = |wanted: &[&str]| capabilities.iter().any(|one| wanted.contains(&one.as_str()));
        let denied = may(&["deny"]);
        let Some(lint) = grant(&item.key).filter(|lint| !denied && may(needed(lint))) else { continue };
        let object = Object::File(format!("{}#{}", file.display(), item.key));
        let draft = NewFinding::new(lint, Target::new("openbao", format!("policy {name}")).at_line(Some(item.line)), object);
        let draft = draft.file(Location::line(file, item.line)).expected("update on PKI/sign/ROLE alone");
        findings.add(draft.found(format!("path \"{}\" {{ capabilities = [{}] }}", item.key, capabilities.join(", "))));
    }
}

fn needed(lint: &Lint) -> &'static [&'static str] {
    if lint.id == lints::POLICY_SELF.id { &["create", "update", "patch", "delete", "sudo"] } else { &["create", "update", "sudo"] }
}

/// What a path opens.
fn grant(path: &str) -> Option<&'static Lint> {
    let path = path.trim_matches('/');
    if matches!(path, "*" | "+" | "+/*") {
        return Some(&lints::POLICY_ALL);
    }
    let parts: Vec<&str> = path.split('/').collect();
    let mount = parts.first().copied().unwrap_or_default();
    if matches!(mount, "sys" | "auth" | "identity" | "cubbyhole" | "secret") {
        return None;
    }
    let below: Vec<&str> = parts.iter().skip(1).copied().collect();
    let has = |names: &[&str]| below.iter().any(|part| names.contains(part));
    // One for the mount as a whole holds all of the rest.
    let whole = mount.contains("pki") && matches!(below.as_slice(), ["*"]);
    if whole || has(&["sign-verbatim", "sign-verbatim*", "sign-self-issued", "sign*"]) {
        Some(&lints::POLICY_VERBATIM)
    } else if mount.contains("pki") && has(&["roles", "roles*", "issuers", "config"]) {
        Some(&lints::POLICY_SELF)
    } else if has(&["issue", "issue*"]) {
        Some(&lints::POLICY_ISSUE)
    } else if has(&["revoke", "revoke*", "revoke-with-key"]) {
        Some(&lints::POLICY_REVOKE)
    } else {
        None
    }
}
