//! `check-config --online`: what each login may have signed, and whether evidence is really needed for that. A login that needs none and may
//! sign too makes the evidence of the others advice.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{Check, Severity};
use crate::config::settings::Settings;
use crate::io::openbao::{Granted, Server, sign_path};
use crate::model::code::Code;

/// What one login may have signed.
struct Reach<'a> {
    method: &'static str,
    is_evidence: bool,
    /// The roles of the settings; `None` where it may not see that.
    roles: Option<Vec<&'a str>>,
}

/// Asks for each login that was granted.
pub(super) async fn enforced(settings: &Settings, server: &Server, granted: &[Granted]) -> Vec<Check> {
    let wants_evidence = settings.openbao.login.iter().any(|login| login.is_evidence())
        || settings.attestation.as_ref().is_some_and(|attestation| attestation.required);
    if !wants_evidence {
        return Vec::new();
    }
    let roles: BTreeSet<&str> = settings.certificates.iter().map(|certificate| certificate.issuer.role()).collect();
    let paths: Vec<String> = roles.iter().map(|role| sign_path(&settings.openbao.mount, role)).collect();
    let mut reaches = Vec::new();
    for Granted { method, is_evidence, grant, .. } in granted {
        let allowed = server.capabilities_self(grant, &paths).await.ok();
        let may = |allowed: &BTreeMap<String, Vec<String>>, path: &String| {
            allowed.get(path).is_some_and(|granted| granted.iter().any(|one| one == "update" || one == "root"))
        };
        let roles =
            allowed.map(|allowed| roles.iter().zip(&paths).filter(|(_, path)| may(&allowed, path)).map(|(role, _)| *role).collect());
        reaches.push(Reach { method, is_evidence: *is_evidence, roles });
    }
    judge(&reaches)
}

fn judge(reaches: &[Reach<'_>]) -> Vec<Check> {
    let mut checks: Vec<Check> = reaches.iter().map(said).collect();
    let bypass = |reach: &&Reach<'_>| !reach.is_evidence && reach.roles.as_ref().is_none_or(|roles| !roles.is_empty());
    let around: Vec<&str> = reaches.iter().filter(bypass).map(|reach| reach.method).collect();
    if around.is_empty() && !reaches.is_empty() {
        checks.push(Check::new(Code::Enforcement, Severity::Info, "no login without evidence has anything signed"));
    }
    if !around.is_empty() {
        let text = format!(
            "evidence is not enforced: the login by {} needs no TPM and no attested agent, and may have certificates signed too, so whoever \
             copies it needs neither",
            around.join(" and by ")
        );
        checks.push(
            Check::new(Code::EnforcementBypass, Severity::Warning, text).hint(
                "take the sign paths out of its policy, or take it out of openbao.login; `omens init --server` prints what binds them",
            ),
        );
    }
    checks
}

fn said(reach: &Reach<'_>) -> Check {
    let by = if reach.is_evidence { "by evidence" } else { "without evidence" };
    let what = match reach.roles.as_deref() {
        None => "what it may have signed cannot be seen".to_owned(),
        Some([]) => "it has nothing signed".to_owned(),
        Some(roles) => format!("it may have signed: {}", roles.join(", ")),
    };
    Check::new(Code::Login, Severity::Info, format!("login by {} is granted {by}; {what}", reach.method))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_without_evidence_that_signs_or_may_is_a_bypass() {
        let reach = |method, is_evidence, roles: Option<&[&'static str]>| Reach { method, is_evidence, roles: roles.map(<[_]>::to_vec) };
        for (reaches, bypass) in [
            (vec![reach("tpm_identity", true, Some(&["web"]))], false),
            (vec![reach("tpm_identity", true, Some(&["web"])), reach("approle", false, Some(&[]))], false),
            (vec![reach("tpm_identity", true, Some(&["web"])), reach("approle", false, Some(&["web"]))], true),
            (vec![reach("approle", false, None)], true),
            (vec![], false),
        ] {
            let checks = judge(&reaches);
            assert_eq!(checks.iter().any(|check| check.code == Code::EnforcementBypass), bypass);
            assert_eq!(checks.iter().any(|check| check.code == Code::Enforcement), !bypass && !reaches.is_empty());
        }
    }
}
