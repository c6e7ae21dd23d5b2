//! `check-config --online`: which logins of the settings are granted. What one login would use up is not tried, and what the check itself used
//! up is said.

use super::check::{Check, Severity};
use crate::config::settings::Settings;
use crate::io::openbao::{Granted, Refused, Untried};
use crate::model::code::Code;
use crate::model::login_end::Lasts;

/// What came of trying them.
pub(super) fn of(settings: &Settings, granted: &[Granted], refused: Vec<Refused>, untried: &[Untried]) -> Vec<Check> {
    let is_none = granted.is_empty() && untried.is_empty();
    // Where no login is left, none of the reasons is harmless.
    let severity = |code: Code| if is_none && code == Code::LoginRefused { Severity::Error } else { Severity::Warning };
    let mut checks: Vec<Check> = refused
        .into_iter()
        .map(|Refused { entry, failure }| {
            let place = settings.written.logins.get(entry).unwrap_or(&settings.written.login);
            Check::failed(severity(failure.code), failure).at(place.clone())
        })
        .collect();
    if is_none {
        checks.push(
            Check::new(Code::Login, Severity::Error, "no login of the settings is granted")
                .hint("correct one of openbao.login")
                .at(settings.written.login.clone()),
        );
    }
    let methods: Vec<&str> = granted.iter().map(|granted| granted.method).collect();
    checks.extend(works(&methods).map(|text| Check::new(Code::Login, Severity::Info, text)));
    checks.extend(untried.iter().map(not_tried));
    if let (true, Some(first)) = (granted.is_empty(), untried.first()) {
        let text = format!("what the login by {} may do was not asked: that takes the login, which can be made once", first.method);
        checks.push(
            Check::new(Code::CapabilitiesUnknown, Severity::Warning, text)
                .hint("compare its policy with the settings by hand; a login that can be made again is checked whole"),
        );
    }
    checks
}

/// Which of them work, in a sentence.
fn works(methods: &[&str]) -> Option<String> {
    match methods {
        [] => None,
        [one] => Some(format!("login by {one} works")),
        [first @ .., last] => Some(format!("the logins by {} and {last} work", first.join(", "))),
    }
}

fn not_tried(untried: &Untried) -> Check {
    let until = untried.ends.map_or(String::new(), |ends| format!(", until {ends}"));
    let text = format!(
        "the login by {} was not tried, since trying uses it up: its secret id is in a wrapping token, which OpenBao knows and nobody has used \
         yet{until}",
        untried.method
    );
    Check::new(Code::Login, Severity::Info, text)
}

/// A login by a secret id whose last use was this check.
pub(super) fn used_up(method: &str, lasts: &Lasts) -> Option<Check> {
    let Lasts::Until { uses_left: Some(0), .. } = lasts else { return None };
    let text =
        format!("the login by {method} was granted to this check, and that was the last use of its secret id: no run can log in by it now");
    Some(Check::new(Code::LoginEnds, Severity::Error, text).hint(
        "have a new secret id made; uses are counted by secret_id_num_uses of the role, and each run and each check takes one: set it to 0, or \
         have the secret id wrapped (`wrapped = true`), which a check does not use",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_works_is_said_in_a_sentence() {
        assert_eq!(works(&[]), None);
        assert_eq!(works(&["approle"]).as_deref(), Some("login by approle works"));
        assert_eq!(works(&["tpm_identity", "jwt", "approle"]).as_deref(), Some("the logins by tpm_identity, jwt and approle work"));
    }
}
