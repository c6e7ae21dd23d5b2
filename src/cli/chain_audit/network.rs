//! The part of an audit that needs the network: what is served, and what OpenBao says of roles and certificates. It changes nothing there
//! but the end of the token it was given.

use std::collections::{BTreeMap, BTreeSet};

use super::super::online::means;
use super::super::session::Session;
use super::{Refused, refused};
use crate::audit::consumer::openbao;
use crate::audit::facts::findings::HostFindings;
use crate::audit::facts::given::Given;
use crate::audit::facts::wiring::Wiring;
use crate::audit::rules::{issued, served};
use crate::audit::target::AuditTarget;
use crate::config::settings::Settings;
use crate::io::look::View;
use crate::io::openbao::{self as bao, Grant, HealthState, Server};
use crate::io::runtime::runtime;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::profile::Profile;

/// What was found in files, and what was asked for.
pub(super) struct Work<'a> {
    pub(super) view: &'a View,
    pub(super) targets: &'a [AuditTarget],
    pub(super) given: &'a Given,
    pub(super) settings: Option<&'a Settings>,
    pub(super) wiring: &'a Wiring,
}

/// Looks at what is served, then asks OpenBao. Without anything to ask, nothing is started.
pub(super) fn look(session: &Session<'_>, work: &Work<'_>, findings: &mut HostFindings) -> Result<(), Refused> {
    let host = work.view.host_name().unwrap_or_else(|| "localhost".to_owned());
    let whole = work.targets.is_empty();
    // A configuration that was named itself is compared with what it serves as well.
    let own = work.settings.filter(|_| whole);
    let mut endpoints = served::endpoints(work.view, work.wiring, own, &host);
    endpoints.extend(work.targets.iter().filter_map(|target| match target {
        AuditTarget::Endpoint(address) => Some(served::asked(address, None, &host)),
        _ => None,
    }));
    if endpoints.is_empty() && own.is_none() {
        return Ok(());
    }
    let runtime = runtime().map_err(|why| refused(why.code, why.text.clone(), why.hint.as_deref().unwrap_or_default()))?;
    runtime.block_on(async {
        served::judge_all(&endpoints, work.given, session.clock, findings).await;
        if let Some(settings) = own.filter(|settings| !settings.certificates.is_empty()) {
            ask(session, settings, findings).await;
        }
    });
    Ok(())
}

/// OpenBao is asked with the first login that is granted; certificates may be looked up without any.
async fn ask(session: &Session<'_>, settings: &Settings, findings: &mut HostFindings) {
    let asked = match open(session, settings).await {
        Ok(asked) => asked,
        Err(failure) => return issued::not_asked(settings, &failure, findings),
    };
    let server = asked.server();
    let grant = match asked.grant().await {
        Ok(grant) => Some(grant),
        Err(refusals) => {
            issued::not_asked(settings, &refusals.last(), findings);
            None
        }
    };
    let unstored = match &grant {
        Some(grant) => roles(settings, server, grant, findings).await,
        None => BTreeSet::new(),
    };
    for used in issued::in_use(settings) {
        let path = format!("{}/cert/{}", settings.openbao.mount, used.serial.replace(':', "-"));
        // What cannot be asked has been said above, or is nobody's fault here.
        if let Ok(answer) = server.read(&path, grant.as_deref()).await {
            let is_kept = !unstored.contains(&used.role);
            issued::judge(&used, answer.as_ref(), is_kept, findings);
        }
    }
    // Its lease ends a token that could not be revoked; `check-config --online` tells of that.
    drop(asked.close().await);
}

async fn open(session: &Session<'_>, settings: &Settings) -> Result<bao::Session, Failure> {
    let means = means(settings, session.environment.credentials.as_deref());
    let asked = bao::Session::open(&settings.openbao, means, session.clock).await?;
    match asked.health().state {
        HealthState::Sealed | HealthState::Uninitialised => {
            Err(Failure::new(Stage::Issue, Code::ServerSealed, format!("{} is sealed", asked.server().name())))
        }
        HealthState::Active | HealthState::Standby | HealthState::Unknown(_) => Ok(asked),
    }
}

/// Judges every role and its issuer, as far as they may be read, and gives those that keep no certificate to look up.
async fn roles(settings: &Settings, server: &Server, grant: &Grant, findings: &mut HostFindings) -> BTreeSet<String> {
    let mount = &settings.openbao.mount;
    let mut profiles: BTreeMap<&str, &Profile> = BTreeMap::new();
    for certificate in &settings.certificates {
        profiles.entry(certificate.issuer.role()).or_insert(&certificate.request.profile);
    }
    let (mut unstored, mut issuers) = (BTreeSet::new(), BTreeSet::new());
    for (role, profile) in profiles {
        let Ok(Some(value)) = server.read(&format!("{mount}/roles/{role}"), Some(grant)).await else { continue };
        openbao::role(role, mount, &value, Some(profile), findings);
        if value.get("no_store").and_then(serde_json::Value::as_bool) == Some(true) {
            unstored.insert(role.to_owned());
        }
        let issuer = value.get("issuer_ref").and_then(serde_json::Value::as_str).filter(|name| !name.is_empty() && !name.contains('/'));
        issuers.insert(issuer.unwrap_or("default").to_owned());
    }
    for issuer in issuers {
        if let Ok(Some(value)) = server.read(&format!("{mount}/issuer/{issuer}"), Some(grant)).await {
            openbao::issuer(&issuer, mount, &value, findings);
        }
    }
    unstored
}
