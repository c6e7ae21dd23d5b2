//! The roles of a mount, as far as a login may list them, for whoever named one that there is not.

use serde_json::Value;

use crate::config::shape::nearest;
use crate::config::tree::Place;
use crate::io::openbao::{Grant, Server};
use crate::model::code::Code;
use crate::model::failure::Failure;
use crate::model::text::one_line;

/// Of a list longer than this only the first are named.
const NAMED: usize = 20;

/// The roles of a mount; `None` where the login may not list them.
pub async fn known(server: &Server, mount: &str, grant: &Grant) -> Option<Vec<String>> {
    let seen = server.read(&format!("{mount}/roles?list=true"), Some(grant)).await.ok()??;
    let keys = seen.get("keys")?.as_array()?;
    Some(keys.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect())
}

/// What to write in place of `word`, the nearest first; `of` leads over to all that there are.
#[must_use]
pub fn instead(word: &str, known: &[&str], of: &str) -> String {
    let safe: Vec<String> = known.iter().take(NAMED).map(|name| one_line(name, 80)).collect();
    let more = if known.len() > NAMED { format!(" and {} more", known.len() - NAMED) } else { String::new() };
    let all = if safe.is_empty() { format!("{of} none yet") } else { format!("{of} {}{more}", safe.join(", ")) };
    nearest(word, known).map_or(all.clone(), |best| format!("did you mean \"{}\"? {all}", one_line(best, 80)))
}

/// A refusal whose cause is that there is no such role, said as that where the login may list them. A policy denies what it does not name,
/// also what there is not.
pub(super) async fn explained(failure: Failure, server: &Server, mount: &str, role: &str, grant: &Grant) -> Failure {
    if !matches!(failure.code, Code::PermissionDenied | Code::RoleRefused) {
        return failure;
    }
    match known(server, mount, grant).await {
        Some(known) if !known.iter().any(|one| one == role) => {
            let words: Vec<&str> = known.iter().map(String::as_str).collect();
            let text = format!("there is no role \"{role}\" at {mount} ({})", failure.text);
            Failure { code: Code::RoleRefused, text, ..failure }.hint(instead(role, &words, &format!("{mount} has")))
        }
        Some(_) | None => failure,
    }
}

/// The same with the place where the settings name the role.
#[must_use]
pub fn placed(failure: Failure, role_at: &Place) -> Failure {
    if !matches!(failure.code, Code::PermissionDenied | Code::RoleRefused) {
        return failure;
    }
    let hint = failure.hint.as_ref().map_or_else(String::new, |hint| format!("{hint}; "));
    Failure { hint: Some(format!("{hint}`role` stands at {role_at}")), ..failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_comes_first_and_a_long_list_is_cut() {
        let expected = "did you mean \"infrastructure\"? pki has db, infrastructure";
        assert_eq!(instead("infrastructur", &["db", "infrastructure"], "pki has"), expected);
        assert_eq!(instead("x", &[], "pki has"), "pki has none yet");
        let many: Vec<String> = (0..25).map(|number| format!("role-{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(instead("something-else", &many, "pki has").ends_with("role-19 and 5 more"));
    }
}
