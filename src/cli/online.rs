//! `check-config --online`: what of the settings holds at OpenBao. It must never ask for a signature, nor change anything there but end the
//! tokens it was given.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::check::{Check, Severity};
use super::{online_evidence, online_here, online_logins, online_names, online_roles};
use crate::config::settings::{Sealing, Settings};
use crate::io::identity::OfHost;
use crate::io::openbao::{
    Grant, Granted, Health, HealthState, HostIdentity, Means, Server, Session, Tried, Unrevoked, advisory, ask_health, known_roles,
    sign_path,
};
use crate::io::tpm::Tpm;
use crate::io::tpm::connection::Connection;
use crate::io::tpm::limit::{LIMIT, Unanswered};
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::login_end::Logins;

/// Paths that a renewal needs none of, with what could be done through them. `{m}` is the PKI mount, `{r}` a role of the settings.
const DANGEROUS: [(&[&str], &str); 8] = [
    (&["{m}/sign-verbatim", "{m}/sign-verbatim/{r}"], "signs any name and usage, past every role"),
    (&["{m}/issue/{r}"], "makes private keys at the server and sends them over the network"),
    (&["{m}/revoke", "{m}/revoke-with-key"], "revokes any certificate of the mount, or sends a private key to do so"),
    (&["{m}/roles/{r}"], "changes what the role signs"),
    (
        &["{m}/root/generate/internal", "{m}/root/sign-intermediate", "{m}/root/sign-self-issued", "{m}/root/rotate/internal", "{m}/root"],
        "makes or signs certification authorities",
    ),
    (
        &["{m}/intermediate/generate/internal", "{m}/intermediate/set-signed", "{m}/issuers/import/bundle"],
        "replaces the certification authority",
    ),
    (
        &["{m}/config/ca", "{m}/config/issuers", "{m}/config/urls", "{m}/config/crl", "{m}/config/acme"],
        "changes how the mount issues and revokes",
    ),
    (
        &["sys/policies/acl/omens", "sys/auth/omens", "sys/mounts/omens", "sys/seal", "sys/raw/core", "auth/token/create"],
        "rules over the server itself",
    ),
];

/// Capabilities by which something can be done, rather than looked at.
const CHANGING: [&str; 6] = ["create", "delete", "patch", "root", "sudo", "update"];

/// Asks the TPM where keys are to be sealed to one; it is not changed.
#[must_use]
pub fn tpm(settings: &Settings) -> Option<Check> {
    let sealing = settings.sealing.as_ref()?;
    let tcti = sealing.tcti.clone();
    let asked = Unanswered::default().within(LIMIT, &sealing.tcti, move || Tpm::has_storage_key(&tcti)).and_then(|found| found);
    Some(match asked {
        Ok(true) => Check::new(Code::Tpm, Severity::Info, format!("the TPM at {} answers and has a storage root key", sealing.tcti)),
        Ok(false) => {
            Check::new(Code::Tpm, Severity::Info, format!("the TPM at {} answers; its storage root key is made at first use", sealing.tcti))
        }
        Err(why) => Check::failed(Severity::Error, why.failure()),
    })
}

/// Asks OpenBao.
pub async fn check(settings: &Settings, clock: Clock, credentials: Option<&Path>) -> Vec<Check> {
    let session = match Session::open(&settings.openbao, means(settings, credentials), clock).await {
        Ok(session) => session,
        Err(failure) => return vec![Check::failed(Severity::Error, failure).at(settings.written.address.clone())],
    };
    let skipped = session.skipped().iter().map(|failure| Check::failed(Severity::Warning, failure.clone()));
    let mut checks: Vec<Check> = skipped.collect();
    checks.extend(of_health(settings, session.server(), session.health()));
    checks.extend(session.health().version.as_deref().map(advisory::of).into_iter().flatten().map(Check::warned));
    if matches!(session.health().state, HealthState::Sealed | HealthState::Uninitialised) {
        return checks;
    }
    checks.push(pin(settings, &format!("https://{}", session.server().name()), clock).await);
    let Tried { granted, refused, untried } = session.try_every_method().await;
    // A login before the one that is granted, by a certificate that this host does not have yet, or cannot use any more.
    let lacks_identity = |before: usize| {
        let is_identity = |entry: usize| settings.openbao.login.get(entry).is_some_and(|login| login.identity().is_some());
        refused.iter().any(|refused| refused.entry < before && is_identity(refused.entry))
    };
    let is_first_lacking = granted.first().is_some_and(|first| lacks_identity(first.entry));
    checks.extend(online_logins::of(settings, &granted, refused, &untried));
    // Every question takes a use of a token whose uses are counted, which a renewal needs.
    let (counted, granted): (Vec<Granted>, Vec<Granted>) = granted.into_iter().partition(|one| one.grant.uses_left().is_some());
    if let Some(first) = granted.first() {
        checks.extend(
            names(settings, session.server(), Asking { grant: &first.grant, method: first.method, lacks_identity: is_first_lacking }).await,
        );
    } else if let Some(first) = counted.first() {
        let text = format!("what the login by {} may do was not asked: its uses are counted, and each question takes one", first.method);
        checks.push(Check::new(Code::CapabilitiesUnknown, Severity::Warning, text).hint("log in by what is not counted"));
    }
    checks.extend(online_evidence::enforced(settings, session.server(), &granted).await);
    let mut lasting = Logins::none();
    for one in counted.iter().chain(&granted) {
        let lasts = one.lasts(session.server()).await;
        checks.extend(online_logins::used_up(one.method, &lasts));
        lasting.add(one.method, lasts, clock.now());
    }
    checks.extend(online_here::logins(settings, lasting, clock.now()));
    for Granted { method, grant, .. } in &granted {
        if let Some(Unrevoked { problem, .. }) = session.end(grant).await {
            let text = format!("the token of the login by {method} could not be revoked: {}", problem.failure.text);
            checks.push(
                Check::new(Code::TokenNotRevoked, Severity::Warning, text)
                    .hint("allow `update` on auth/token/revoke-self, or give the login a short token_ttl"),
            );
        }
    }
    checks
}

/// What logins of this host are made with.
pub(super) fn means(settings: &Settings, credentials: Option<&Path>) -> Means {
    let sealing = settings.sealing.as_ref();
    let of_tpm = |sealing: &Sealing| Arc::new(OfHost::new(&settings.paths.state, Connection::new(&sealing.tcti, Unanswered::default())));
    Means::of_credentials(credentials).with_identity(sealing.map(|sealing| of_tpm(sealing) as Arc<dyn HostIdentity>))
}

fn of_health(settings: &Settings, server: &Server, health: &Health) -> Vec<Check> {
    let name = server.name();
    let version = health.version.as_ref().map(|version| format!(", version {version}")).unwrap_or_default();
    let mut checks = vec![match &health.state {
        HealthState::Active => Check::new(Code::Reachable, Severity::Info, format!("{name} is reachable and active{version}")),
        HealthState::Standby => {
            Check::new(Code::Standby, Severity::Warning, format!("{name} is a standby node{version}; it forwards to the active one"))
        }
        HealthState::Sealed => {
            Check::new(Code::ServerSealed, Severity::Error, format!("{name} is sealed{version}")).hint("an operator must unseal it")
        }
        HealthState::Uninitialised => {
            Check::new(Code::ServerSealed, Severity::Error, format!("{name} is not initialised{version}")).hint("check openbao.address")
        }
        HealthState::Unknown(text) => {
            Check::new(Code::HealthUnknown, Severity::Warning, text.as_str()).hint("check that openbao.address names OpenBao itself")
        }
    }];
    let Some(skew) = health.skew else { return checks };
    let lifetimes = settings.certificates.iter().map(|certificate| skew.for_lifetime(name, certificate.request.ttl));
    let first_wrong = std::iter::once(skew.for_all(name)).chain(lifetimes).find_map(Result::err);
    checks.push(match (first_wrong, skew.warning(name)) {
        (Some(failure), _) => Check::failed(Severity::Error, failure),
        (None, Some(warning)) => Check::warned(warning),
        (None, None) => Check::new(Code::ClockSkew, Severity::Info, format!("the clocks of this host and {name} agree")),
    });
    checks
}

/// Whether the listener's chain also ends at the pinned root, by a handshake that trusts nothing else.
async fn pin(settings: &Settings, address: &str, clock: Clock) -> Check {
    let pinned = settings.anchor_ders();
    let asked = match Server::new(address, &pinned, clock) {
        Ok(server) => ask_health(&server).await,
        Err(failure) => Err(failure),
    };
    match asked {
        Ok(_) => Check::new(Code::RootPin, Severity::Info, format!("OpenBao's own chain ends at the pinned root {}", roots(settings))),
        Err(failure) if failure.code == Code::TlsUntrusted => {
            let text = format!("OpenBao's own chain is trusted by openbao.ca, but does not end at the pinned root {}", roots(settings));
            Check::new(Code::RootPin, Severity::Warning, text)
                .hint("leave openbao.ca out once OpenBao's listener has a certificate of the pinned root")
        }
        Err(failure) => Check::failed(Severity::Warning, failure),
    }
}

/// The fingerprints of the pinned roots, of which one is enough.
fn roots(settings: &Settings) -> String {
    settings.anchors().into_iter().map(|anchor| anchor.sha256.to_string()).collect::<Vec<_>>().join(" or ")
}

/// The login that questions are asked by.
#[derive(Clone, Copy)]
struct Asking<'a> {
    grant: &'a Grant,
    method: &'static str,
    /// Whether this host should log in by a certificate of its own before it, and has none that works.
    lacks_identity: bool,
}

/// Mount, roles and paths of the settings. What there is not is said alone: that it may not be used either is no news.
async fn names(settings: &Settings, server: &Server, asking: Asking<'_>) -> Vec<Check> {
    let grant = asking.grant;
    if let Some(unknown) = online_names::mount(settings, server, grant).await {
        return vec![unknown];
    }
    let known = known_roles(server, &settings.openbao.mount, grant).await;
    let mut checks = paths(settings, server, asking, known.as_deref()).await;
    checks.extend(online_roles::roles(settings, server, grant, known.as_deref()).await);
    checks
}

/// What the login is allowed: all that is needed, and nothing that is dangerous.
async fn paths(settings: &Settings, server: &Server, asking: Asking<'_>, known: Option<&[String]>) -> Vec<Check> {
    let (mount, grant) = (&settings.openbao.mount, asking.grant);
    let is_known = |role: &&str| known.is_none_or(|known| known.iter().any(|one| one == role));
    let roles: BTreeSet<&str> = settings.certificates.iter().map(|certificate| certificate.issuer.role()).filter(is_known).collect();
    let others = || settings.certificates.iter().filter(|certificate| !settings.is_identity(certificate.name()));
    let is_of_identity = |role: &str| asking.lacks_identity && others().all(|certificate| certificate.issuer.role() != role);
    let of = |role: &&str| if is_of_identity(role) { For::Enrolment(asking.method) } else { For::Renewal };
    let needed: Vec<Needed> = roles.iter().map(|role| Needed { path: sign_path(mount, role), by: of(role) }).collect();
    let dangerous: Vec<(Vec<String>, &str)> = DANGEROUS.iter().map(|(templates, why)| (expand(templates, mount, &roles), *why)).collect();
    let asked: Vec<String> = needed.iter().map(|one| &one.path).chain(dangerous.iter().flat_map(|(paths, _)| paths)).cloned().collect();
    match server.capabilities_self(grant, &asked).await {
        Ok(allowed) => judge(&needed, &dangerous, &allowed),
        Err(problem) if problem.token_not_accepted => {
            let text = format!("the token was accepted once and is no longer, so it is used up or has ended: {}", problem.failure.text);
            vec![Check::new(Code::LoginEnds, Severity::Warning, text).hint("bring one without num_uses, or a login that lasts")]
        }
        Err(problem) => {
            let text = format!("what the login may do cannot be seen: {}", problem.failure.text);
            vec![
                Check::new(Code::CapabilitiesUnknown, Severity::Warning, text)
                    .hint("allow `update` on sys/capabilities-self to have it checked here"),
            ]
        }
    }
}

fn expand(templates: &[&str], mount: &str, roles: &BTreeSet<&str>) -> Vec<String> {
    let with_role = |template: &str, role: &str| template.replace("{m}", mount).replace("{r}", role);
    let expanded = templates.iter().flat_map(|template| {
        let roles: Vec<&str> = if template.contains("{r}") { roles.iter().copied().collect() } else { vec![""] };
        roles.into_iter().map(|role| with_role(template, role)).collect::<Vec<_>>()
    });
    expanded.collect()
}

/// A path that has to be allowed.
struct Needed {
    path: String,
    by: For,
}

/// What a path is needed for.
#[derive(Clone, Copy)]
enum For {
    /// A renewal by the login that is asked about.
    Renewal,
    /// The certificate that this host is to log in by, which need not be issued by the login of this word: it can be copied.
    Enrolment(&'static str),
}

impl Needed {
    fn denied(&self) -> Check {
        let path = &self.path;
        match self.by {
            For::Renewal => {
                let text = format!("`update` on {path} is not allowed, and a renewal needs it");
                Check::new(Code::PermissionDenied, Severity::Error, text)
                    .hint("add it to the policy of the login, with allowed_parameters csr, ttl and format")
            }
            For::Enrolment(method) => {
                let text = format!(
                    "the login by {method} has nothing signed on {path}, as it should be: it can be copied. The certificate that this host \
                     logs in by before that is still to be issued"
                );
                Check::new(Code::PermissionDenied, Severity::Warning, text).hint("`omens enroll` with a login that is used once issues it")
            }
        }
    }
}

fn judge(needed: &[Needed], dangerous: &[(Vec<String>, &str)], allowed: &BTreeMap<String, Vec<String>>) -> Vec<Check> {
    let may =
        |path: &str, wanted: &[&str]| allowed.get(path).is_some_and(|granted| granted.iter().any(|one| wanted.contains(&one.as_str())));
    let mut checks = Vec::new();
    for one in needed {
        let path = &one.path;
        checks.push(if may(path, &["update", "root"]) {
            Check::new(Code::PathAllowed, Severity::Info, format!("`update` on {path} is allowed"))
        } else {
            one.denied()
        });
    }
    for (paths, why) in dangerous {
        let open: Vec<&str> = paths.iter().map(String::as_str).filter(|path| may(path, &CHANGING)).collect();
        if !open.is_empty() {
            let text = format!("the login may also change or use {}, which {why}", open.join(", "));
            checks.push(
                Check::new(Code::DangerousPath, Severity::Warning, text).hint("take it out of the policy: a renewal needs none of it"),
            );
        }
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(pairs: &[(&str, &str)]) -> BTreeMap<String, Vec<String>> {
        pairs.iter().map(|(path, capability)| ((*path).to_owned(), vec![(*capability).to_owned()])).collect()
    }

    #[test]
    fn a_needed_path_without_update_is_an_error() {
        let needed = ["pki_int/sign/web", "pki_int/sign/db"].map(|path| Needed { path: path.to_owned(), by: For::Renewal });
        let checks = judge(&needed, &[], &allowed(&[("pki_int/sign/web", "update"), ("pki_int/sign/db", "read")]));
        let found: Vec<_> = checks.iter().map(|check| (check.code.as_str(), check.severity)).collect();
        assert_eq!(found, [("path-allowed", Severity::Info), ("permission-denied", Severity::Error)]);
        assert_eq!(judge(&needed, &[], &BTreeMap::new()).iter().filter(|check| !check.ok).count(), 2);
        let identity = [Needed { path: "pki_int/sign/host-identity".to_owned(), by: For::Enrolment("approle") }];
        let found = judge(&identity, &[], &BTreeMap::new()).remove(0);
        assert_eq!((found.severity, found.hint.is_some_and(|hint| hint.contains("omens enroll"))), (Severity::Warning, true));
    }

    #[test]
    fn a_dangerous_path_is_a_warning_only_where_something_can_be_done() {
        let dangerous = [(expand(&["{m}/issue/{r}", "{m}/revoke"], "pki_int", &BTreeSet::from(["db", "web"])), "why")];
        assert_eq!(dangerous[0].0, ["pki_int/issue/db", "pki_int/issue/web", "pki_int/revoke"]);
        for (capability, warned) in [("deny", 0), ("read", 0), ("list", 0), ("update", 1), ("root", 1), ("sudo", 1)] {
            let checks = judge(&[], &dangerous, &allowed(&[("pki_int/issue/web", capability)]));
            assert_eq!(checks.len(), warned, "{capability}");
            assert!(checks.iter().all(|check| check.severity == Severity::Warning && check.text.contains("pki_int/issue/web, which why")));
        }
    }
}
