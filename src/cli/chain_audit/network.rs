//! The part of an audit that needs the network: what is served, and what OpenBao says of roles and certificates. It changes nothing there
//! but the end of the token it was given.

use std::collections::{BTreeMap, BTreeSet};

use super::super::session::Session;
use super::{Refused, refused};
use crate::audit::run::Given;
use crate::audit::sheet::Sheet;
use crate::audit::target::Where;
use crate::audit::wiring::Wiring;
use crate::audit::{issued, openbao, served};
use crate::config::settings::Settings;
use crate::io::look::View;
use crate::io::openbao::{Grant, HealthState, Server};
use crate::model::code::Code;
use crate::model::failure::Failure;
use crate::model::profile::Profile;
use crate::steps::issue::{ask_health, log_in};
use crate::steps::run::runtime;

/// What was found in files, and what was asked for.
pub(super) struct Work<'a> {
    pub(super) view: &'a View,
    pub(super) targets: &'a [Where],
    pub(super) given: &'a Given,
    pub(super) settings: Option<&'a Settings>,
    pub(super) wiring: &'a Wiring,
}

/// Looks at what is served, then asks OpenBao. Without anything to ask, nothing is started.
pub(super) fn look(session: &Session<'_>, work: &Work<'_>, sheet: &mut Sheet) -> Result<(), Refused> {
    let host = work.view.host_name().unwrap_or_else(|| "localhost".to_owned());
    let whole = work.targets.is_empty();
    // A configuration that was named itself is compared with what it serves as well.
    let own = work.settings.filter(|_| whole);
    let mut looks = served::looks(work.view, work.wiring, own, &host);
    looks.extend(work.targets.iter().filter_map(|target| match target {
        Where::Endpoint(address) => Some(served::asked(address, None, &host)),
        _ => None,
    }));
    if looks.is_empty() && own.is_none() {
        return Ok(());
    }
    let runtime = runtime().map_err(|why| refused(why.code, why.text.clone(), why.hint.as_deref().unwrap_or_default()))?;
    runtime.block_on(async {
        served::look(&looks, work.given, session.clock, sheet).await;
        if let Some(settings) = own.filter(|settings| !settings.certificates.is_empty()) {
            ask(session, settings, sheet).await;
        }
    });
    Ok(())
}

/// OpenBao is asked with the first login that is granted; certificates may be looked up without any.
async fn ask(session: &Session<'_>, settings: &Settings, sheet: &mut Sheet) {
    let server = match open(session, settings).await {
        Ok(server) => server,
        Err(failure) => return issued::not_asked(settings, &failure, sheet),
    };
    let grant = match login(session, settings, &server).await {
        Ok(grant) => Some(grant),
        Err(failure) => {
            issued::not_asked(settings, &failure, sheet);
            None
        }
    };
    let unstored = match &grant {
        Some(grant) => roles(settings, &server, grant, sheet).await,
        None => BTreeSet::new(),
    };
    for used in issued::in_use(settings) {
        let path = format!("{}/cert/{}", settings.openbao.mount, used.serial.replace(':', "-"));
        // What cannot be asked has been said above, or is nobody's fault here.
        if let Ok(answer) = server.read(&path, grant.as_ref()).await {
            let is_kept = !unstored.contains(&used.role);
            issued::judge(&used, answer.as_ref(), is_kept, sheet);
        }
    }
    if let Some(grant) = grant.filter(Grant::is_ours) {
        // Its lease ends it otherwise; `check-config --online` tells of that.
        server.revoke_self(&grant).await.ok();
    }
}

async fn open(session: &Session<'_>, settings: &Settings) -> Result<Server, Failure> {
    let server = Server::new(&settings.openbao.address, &settings.openbao.ca, session.clock)?;
    match ask_health(&server).await?.state {
        HealthState::Sealed | HealthState::Uninitialised => {
            Err(Failure::new(crate::model::failure::Stage::Issue, Code::ServerSealed, format!("{} is sealed", server.name())))
        }
        HealthState::Active | HealthState::Standby | HealthState::Unknown(_) => Ok(server),
    }
}

async fn login(session: &Session<'_>, settings: &Settings, server: &Server) -> Result<Grant, Failure> {
    let mut last = None;
    for login in &settings.openbao.login {
        match log_in(server, login, session.environment.credentials.as_deref()).await {
            Ok(grant) => return Ok(grant),
            Err(failure) => last = Some(failure),
        }
    }
    Err(last.unwrap_or_else(|| Failure::new(crate::model::failure::Stage::Issue, Code::LoginRefused, "the settings name no login")))
}

/// Judges every role and its issuer, as far as they may be read, and gives those that keep no certificate to look up.
async fn roles(settings: &Settings, server: &Server, grant: &Grant, sheet: &mut Sheet) -> BTreeSet<String> {
    let mount = &settings.openbao.mount;
    let mut profiles: BTreeMap<&str, &Profile> = BTreeMap::new();
    for certificate in &settings.certificates {
        profiles.entry(&certificate.request.role).or_insert(&certificate.request.profile);
    }
    let (mut unstored, mut issuers) = (BTreeSet::new(), BTreeSet::new());
    for (role, profile) in profiles {
        let Ok(Some(value)) = server.read(&format!("{mount}/roles/{role}"), Some(grant)).await else { continue };
        openbao::role(role, mount, &value, Some(profile), sheet);
        if value.get("no_store").and_then(serde_json::Value::as_bool) == Some(true) {
            unstored.insert(role.to_owned());
        }
        let issuer = value.get("issuer_ref").and_then(serde_json::Value::as_str).filter(|name| !name.is_empty() && !name.contains('/'));
        issuers.insert(issuer.unwrap_or("default").to_owned());
    }
    for issuer in issuers {
        if let Ok(Some(value)) = server.read(&format!("{mount}/issuer/{issuer}"), Some(grant)).await {
            openbao::issuer(&issuer, mount, &value, sheet);
        }
    }
    unstored
}
