//! What is said of a token that could not be revoked.

use std::time::Duration;

use crate::io::openbao::Unrevoked;
use crate::model::code::Code;
use crate::model::failure::Warning;
use crate::model::span;

/// A token that cannot be revoked but ends within this is not worth a warning.
const SHORT_LEASE: Duration = Duration::from_secs(3600);

/// A warning of a token that outlives what it was for.
pub(super) fn not_revoked(unrevoked: &Unrevoked) -> Option<Warning> {
    let Unrevoked { problem, lease } = unrevoked;
    // A policy without that right is a choice (io/openbao/facts.md, "Roles and policies"), and harmless where the token soon ends by
    // itself.
    if problem.failure.code == Code::PermissionDenied && lease.is_some_and(|lease| lease <= SHORT_LEASE) {
        return None;
    }
    let until = lease.map_or_else(|| "for a time it did not say".to_owned(), |lease| format!("for up to {}", span::show(lease)));
    Some(Warning::new(
        Code::TokenNotRevoked,
        format!("the run's token could not be revoked and lives on {until}: {}", problem.failure.text),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::openbao::Problem;
    use crate::model::failure::{Failure, Stage};

    #[test]
    fn a_token_left_behind_is_worth_a_warning_unless_it_soon_ends_by_itself() {
        let problem =
            |code| Problem { failure: Failure::new(Stage::Issue, code, "no"), again: None, definite: true, token_not_accepted: false };
        for (lease, code, warned) in [
            (Some(600), Code::PermissionDenied, false),
            (Some(3601), Code::PermissionDenied, true),
            (None, Code::PermissionDenied, true),
            // That it may not is a choice; that the server cannot is none.
            (Some(600), Code::ServerError, true),
            (Some(600), Code::Unreachable, true),
        ] {
            let got = not_revoked(&Unrevoked { problem: problem(code), lease: lease.map(Duration::from_secs) });
            assert_eq!(got.is_some(), warned, "{lease:?} {code:?}");
        }
    }
}
