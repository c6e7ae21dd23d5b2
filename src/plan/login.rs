//! Whether the certificate that this host logs in with lasts until it would be renewed, and what is left where it does not.

use std::time::Duration;

use super::scheduler::EVERY;
use crate::config::settings::Settings;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::Warning;
use crate::model::name::CertName;
use crate::model::span;

/// The warning, where a login shows this certificate, and it ends before a run comes by again.
#[must_use]
pub fn expiring(settings: &Settings, name: &CertName, ends: Option<Time>, period: Option<Duration>, now: Time) -> Option<Warning> {
    let (ends, period) = (ends.filter(|_| settings.is_identity(name))?, period.unwrap_or(EVERY));
    if ends.since(now) >= i64::try_from(period.as_secs()).unwrap_or(i64::MAX) {
        return None;
    }
    let others: Vec<&str> = settings
        .openbao
        .login
        .iter()
        .filter(|login| login.identity().is_none_or(|identity| identity.certificate != *name))
        .map(|login| login.word())
        .collect();
    let left = if others.is_empty() {
        "no login is left then but that of `omens enroll`".to_owned()
    } else {
        format!("what is left then: login by {}", others.join(", "))
    };
    let when = if ends <= now { "has ended" } else { "ends" };
    let text = format!("this host logs in with it, and it {when} at {ends}, before a run within {}; {left}", span::show(period));
    Some(Warning::new(Code::IdentityExpiring, text))
}
