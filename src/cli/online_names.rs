//! `check-config --online`: whether the mount and the roles of the settings exist, and which ones do, as far as the login may see them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::check::{Check, Severity};
use crate::config::settings::Settings;
use crate::config::shape::nearest;
use crate::io::openbao::{Grant, Server};
use crate::model::code::Code;
use crate::model::text::one_line;

/// Of a list longer than this only the first are named.
const NAMED: usize = 20;

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
    let check = Check::new(Code::RoleRefused, Severity::Error, text).hint(&instead(own, &known)).at(settings.mount_at.clone());
    Some(check)
}

/// The roles of the mount; `None` where the login may not list them.
pub(super) async fn roles(settings: &Settings, server: &Server, grant: &Grant) -> Option<Vec<String>> {
    let seen = server.read(&format!("{}/roles?list=true", settings.openbao.mount), Some(grant)).await.ok()??;
    let keys = seen.get("keys")?.as_array()?;
    Some(keys.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect())
}

/// The certificates whose role is none of these.
pub(super) fn unknown_roles(settings: &Settings, known: &[String]) -> BTreeMap<String, Vec<Check>> {
    let words: Vec<&str> = known.iter().map(String::as_str).collect();
    let mut checks: BTreeMap<String, Vec<Check>> = BTreeMap::new();
    for certificate in settings.certificates.iter().filter(|one| !words.contains(&one.issuer.role())) {
        let role = certificate.issuer.role();
        let text = format!("certificate {}: there is no role \"{role}\" at {}", certificate.name(), settings.openbao.mount);
        let check = Check::new(Code::RoleRefused, Severity::Error, text).hint(&instead(role, &words)).at(certificate.role_at.clone());
        checks.entry(role.to_owned()).or_default().push(check);
    }
    checks
}

/// What there is instead of `word`, the nearest first.
fn instead(word: &str, known: &[&str]) -> String {
    let safe: Vec<String> = known.iter().take(NAMED).map(|name| one_line(name, 80)).collect();
    let more = if known.len() > NAMED { format!(" and {} more", known.len() - NAMED) } else { String::new() };
    let all = if safe.is_empty() { "there is none yet".to_owned() } else { format!("there is {}{more}", safe.join(", ")) };
    nearest(word, known).map_or(all.clone(), |best| format!("did you mean \"{}\"? {all}", one_line(best, 80)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_comes_first_and_a_long_list_is_cut() {
        assert_eq!(instead("infrastructur", &["db", "infrastructure"]), "did you mean \"infrastructure\"? there is db, infrastructure");
        assert_eq!(instead("x", &[]), "there is none yet");
        let many: Vec<String> = (0..25).map(|number| format!("role-{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(instead("something-else", &many).ends_with("role-19 and 5 more"));
    }
}
