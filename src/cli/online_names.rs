//! `check-config --online`: whether the mount and the roles of the settings exist, and which ones do, as far as the login may see them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::check::{Check, Severity};
use crate::config::nearest::instead_at;
use crate::config::settings::Settings;
use crate::io::openbao::{Grant, Server};
use crate::model::code::Code;

/// The mounts of this kind are those of the PKI secrets engine.
const PKI: &str = "pki";

/// The mount, where it is none that the login may use. OpenBao shows every token the mounts that it may do something in.
pub(super) async fn mount(settings: &Settings, server: &Server, grant: &Grant) -> Option<Check> {
    let seen = server.read("sys/internal/ui/mounts", Some(grant)).await.ok()??;
    let mounts = seen.get("secret")?.as_object()?;
    let is_pki = |about: &Value| about.get("type").and_then(Value::as_str) == Some(PKI);
    let known: Vec<&str> = mounts.iter().filter(|(_, about)| is_pki(about)).map(|(path, _)| path.trim_end_matches('/')).collect();
    let own = settings.openbao.mount.as_str();
    if known.is_empty() || known.contains(&own) {
        return None;
    }
    let text = format!("there is no PKI secrets engine at \"{own}\" that this login may use");
    let check = Check::new(Code::RoleRefused, Severity::Error, text)
        .hint(&instead_at(own, &known, "this login may use"))
        .at(settings.written.mount.clone());
    Some(check)
}

/// The certificates whose role is none of these.
pub(super) fn unknown_roles(settings: &Settings, known: &[String]) -> BTreeMap<String, Vec<Check>> {
    let words: Vec<&str> = known.iter().map(String::as_str).collect();
    let mut checks: BTreeMap<String, Vec<Check>> = BTreeMap::new();
    for certificate in settings.certificates.iter().filter(|one| !words.contains(&one.issuer.role())) {
        let role = certificate.issuer.role();
        let text = format!("certificate {}: there is no role \"{role}\" at {}", certificate.name(), settings.openbao.mount);
        let check = Check::new(Code::RoleRefused, Severity::Error, text)
            .hint(&instead_at(role, &words, &format!("{} has", settings.openbao.mount)))
            .at(certificate.role_at.clone());
        checks.entry(role.to_owned()).or_default().push(check);
    }
    checks
}
