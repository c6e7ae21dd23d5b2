//! Refusals whose cause is that the settings name a role that there is not.

use crate::config::nearest::instead_at;
use crate::config::tree::Place;
use crate::io::openbao::{Grant, Server, known_roles};
use crate::model::code::Code;
use crate::model::failure::Failure;

/// A refusal whose cause is that there is no such role, said as that where the login may list them. A policy denies what it does not name,
/// also what there is not.
pub(super) async fn explained(failure: Failure, server: &Server, mount: &str, role: &str, grant: &Grant) -> Failure {
    if !matches!(failure.code, Code::PermissionDenied | Code::RoleRefused) {
        return failure;
    }
    match known_roles(server, mount, grant).await {
        Some(known) if !known.iter().any(|one| one == role) => {
            let words: Vec<&str> = known.iter().map(String::as_str).collect();
            let text = format!("there is no role \"{role}\" at {mount} ({})", failure.text);
            Failure { code: Code::RoleRefused, text, ..failure }.hint(instead_at(role, &words, &format!("{mount} has")))
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
