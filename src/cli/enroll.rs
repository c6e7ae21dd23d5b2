//! `enroll`: which login is used once, and what came of it.

use std::sync::Arc;

use super::arguments::Command;
use super::enroll_arguments::{ByAppRole, Enroll, Secret};
use super::session::Session;
use crate::config::settings::Settings;
use crate::model::code::Code;
use crate::model::openbao::{AppRole, AuthMethod, Jwt, Once};
use crate::model::report::RunError;
use crate::steps::enroll::{Enrolment, enroll};
use crate::steps::flow::world::World;
use crate::steps::metrics;

pub(super) fn run(session: &mut Session<'_>, command: &Command, arguments: &Enroll) -> u8 {
    let settings = match session.begin(command) {
        Ok(settings) => Arc::new(settings),
        Err(code) => return code,
    };
    let Some(identity) = settings.openbao.login.iter().find_map(AuthMethod::identity) else {
        let text = "no login of the settings shows a certificate of this host";
        return session.refuse(
            command,
            missing(text, "add { tpm_identity = { certificate = \"host-identity\", role = \"hosts\" } } to openbao.login"),
        );
    };
    let login = match once(&settings, arguments) {
        Ok(login) => login,
        Err(error) => return session.refuse(command, error),
    };
    if login.is_none() && settings.openbao.login.len() == 1 {
        let (text, hint) = ("there is no login to enrol with", "give one that is used once, such as --wrapping-token file:/root/enrol");
        return session.refuse(command, missing(text, hint));
    }
    let enrolment = Enrolment { name: identity.certificate.clone(), login, wait: arguments.wait.wait };
    let progress = session.progress();
    let world = World::of(&settings, session.clock, &progress);
    let world = match &arguments.break_glass {
        Some(reason) => world.breaking_glass(&settings, reason),
        None => world,
    };
    let report = enroll(&settings, &enrolment, world);
    drop(progress);
    metrics::leave(&settings, &report, session.clock);
    session.report(&report)
}

fn missing(text: &str, hint: &str) -> RunError {
    RunError { code: Code::Missing, text: text.to_owned(), hint: Some(hint.to_owned()) }
}

/// The login that is used once. Where it is mounted, and as which role, a login of that kind in the settings says.
fn once(settings: &Settings, arguments: &Enroll) -> Result<Option<AuthMethod>, RunError> {
    let known = &settings.openbao.login;
    let source = |secret: &Secret| secret.0.clone();
    if let Some(token) = &arguments.wrapping_token {
        return Ok(Some(AuthMethod::Once(Once::WrappedToken(source(token)))));
    }
    if let Some(token) = &arguments.token {
        return Ok(Some(AuthMethod::Once(Once::Token(source(token)))));
    }
    if let Some(ByAppRole { role_id, secret_id, is_wrapped }) = &arguments.approle {
        let mount = known.iter().find_map(|login| if let AuthMethod::AppRole(role) = login { Some(role.mount.clone()) } else { None });
        let mount = mount.unwrap_or_else(|| AppRole::WORD.to_owned());
        let approle = AppRole { mount, role_id: role_id.clone(), secret_id: secret_id.clone(), wrapped: false };
        return Ok(Some(if *is_wrapped { AuthMethod::Once(Once::WrappedSecretId(approle)) } else { AuthMethod::AppRole(approle) }));
    }
    let Some(jwt) = &arguments.jwt else { return Ok(None) };
    let place = known.iter().find_map(|login| match login {
        AuthMethod::Jwt(jwt) => Some((jwt.mount.clone(), jwt.role.clone())),
        AuthMethod::JwtSvid(svid) => Some((svid.mount.clone(), svid.role.clone())),
        _ => None,
    });
    let none =
        || missing("--jwt: no login of the settings says for which role", "add { jwt = { role = …, jwt = … } } or { jwt_svid = { … } }");
    let (mount, role) = place.ok_or_else(none)?;
    Ok(Some(AuthMethod::Jwt(Jwt { mount, role, jwt: source(jwt) })))
}
