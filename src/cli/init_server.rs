//! `init --server`: what OpenBao needs so that a login is worth something, as a script of its own command line. It prints and applies nothing.

mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::exit::{OK, REFUSED};
use super::session::Session;
use crate::config::settings::Settings;
use crate::io::look::View;
use crate::model::openbao::{AuthMethod, JwtSvid};
use crate::model::report::Report;
use names::Names;

const LOGIN: &str = include_str!("../../policies/openbao/omens-login.hcl");
const ENROLL: &str = include_str!("../../policies/openbao/omens-enroll.hcl");
const HOST: &str = include_str!("../../policies/openbao/omens-host.hcl");

const SERVER: &str = include_str!("../../policies/openbao/role-tls-server.json");

/// Roles that take the one name that they sign from the login.
const ROLES: [(&str, &str); 5] = [
    ("host-identity", include_str!("../../policies/openbao/role-host-identity.json")),
    ("tls-server", SERVER),
    ("mtls-service", include_str!("../../policies/openbao/role-mtls-service.json")),
    ("mtls-client", include_str!("../../policies/openbao/role-mtls-client.json")),
    ("keylime-agent", include_str!("../../policies/openbao/role-keylime-agent.json")),
];

/// `omens.init-server/1`.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    host: &'a str,
    script: &'a str,
}

pub(super) fn run(session: &mut Session<'_>) -> u8 {
    let settings = match settings(session) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let script = Script::of(settings.as_ref()).text();
    if session.global.json {
        let host = settings.as_ref().map(|settings| settings.host.as_str()).unwrap_or_default();
        session.ended(&Document { schema: "omens.init-server/1", host, script: &script }, OK);
    } else {
        session.output.text(&script);
    }
    OK
}

/// The settings that the script is made from. A host without any may see what it would look like; what is wrong in them, or is not where it
/// was said to be, would go into roles and policies.
fn settings(session: &mut Session<'_>) -> Result<Option<Settings>, u8> {
    let errors = match session.settings(false) {
        Ok(settings) if settings.faults.errors.is_empty() => return Ok(Some(settings)),
        Ok(settings) => settings.faults.errors,
        Err(remains) => remains.errors,
    };
    let file = &session.global.config;
    if !session.global.names_config && View::host().meta(file).is_err_and(|error| error.is_absent()) {
        let text = format!("there is no {}: the script is for a host HOST with the usual names\n", file.display());
        session.screen.print(&text);
        return Ok(None);
    }
    let report = Report { errors, ..session.empty("init-server", REFUSED) };
    Err(session.report(&report))
}

/// What the script is about; without settings the usual names.
struct Script<'a> {
    settings: Option<&'a Settings>,
    mount: &'a str,
    /// Where logins by certificate are mounted, and as which role.
    auth: String,
    role: String,
    /// The host's name, by which it is known at OpenBao: the common name of its identity.
    host: String,
}

impl<'a> Script<'a> {
    fn of(settings: Option<&'a Settings>) -> Self {
        let logins = settings.map(|settings| settings.openbao.login.as_slice()).unwrap_or_default();
        let identity = logins.iter().find_map(AuthMethod::identity).cloned();
        let certificate = settings.zip(identity.as_ref()).and_then(|(settings, identity)| settings.certificate(&identity.certificate));
        let host = certificate.map(|certificate| certificate.request.common_name.clone()).or_else(|| settings.map(|s| s.host.clone()));
        Self {
            settings,
            mount: settings.map_or("pki_int", |settings| settings.openbao.mount.as_str()),
            auth: identity.as_ref().map_or("cert", |identity| identity.mount.as_str()).to_owned(),
            role: identity.as_ref().map_or("hosts", |identity| identity.role.as_str()).to_owned(),
            host: host.unwrap_or_else(|| "HOST".to_owned()),
        }
    }

    fn text(&self) -> String {
        let mut out = HEAD.replace("HOST", &self.host);
        if let Some(namespace) = self.namespace() {
            say(&mut out, &format!("All of it is written into the namespace {namespace} (openbao.namespace of the settings)."));
            line(&mut out, &format!("export BAO_NAMESPACE={namespace}"));
        }
        self.mounts(&mut out);
        policy(&mut out, "omens-login", &LOGIN.replace("MOUNT", self.mount));
        policy(&mut out, "omens-enroll", &ENROLL.replace("MOUNT", self.mount));
        for (name, role) in ROLES {
            let path = format!("{}/roles/{name}", self.mount);
            write_template(&mut out, &path, role);
        }
        self.logins(&mut out);
        self.of_host(&mut out);
        self.enrolling(&mut out);
        out
    }

    /// As a word of the shell.
    fn namespace(&self) -> Option<String> {
        self.settings?.openbao.namespace.as_deref().map(quoted)
    }

    fn mounts(&self, out: &mut String) {
        let mount = &self.auth;
        say(out, "Logins by certificate. The alias of a login is the common name; roles take the name that they sign from it.");
        line(out, &format!("bao read sys/auth/{mount} >/dev/null 2>&1 || bao auth enable -path={mount} cert"));
        line(out, &format!("CERT=$(bao read -field=accessor sys/auth/{mount})"));
        line(out, "TOKEN=$(bao read -field=accessor sys/auth/token)");
    }

    fn logins(&self, out: &mut String) {
        let Self { auth: mount, role, .. } = self;
        say(out, "Only what the role host-identity signed logs in: no other role puts that unit into a subject.");
        line(
            out,
            &format!(
                "bao read -field=certificate {}/cert/ca | bao write auth/{mount}/certs/{role} certificate=- \\\n  \
                 allowed_organizational_units=omens-host-identity token_policies=omens-login token_no_default_policy=true \\\n  \
                 token_ttl=10m token_max_ttl=20m",
                self.mount
            ),
        );
        let svid = self.settings.and_then(|settings| {
            settings.openbao.login.iter().find_map(|login| if let AuthMethod::JwtSvid(svid) = login { Some(svid) } else { None })
        });
        match svid {
            Some(svid) => self.svid(out, svid),
            None => say(out, "No login of the settings is jwt_svid: nothing for SPIRE."),
        }
    }

    fn svid(&self, out: &mut String, svid: &JwtSvid) {
        let JwtSvid { mount, role, audience, spiffe_id, .. } = svid;
        say(
            out,
            "Logins by JWT-SVID. JWKS_URL is the bundle endpoint of the SPIRE server (https_web): a rotation of its keys is followed.",
        );
        line(out, &format!("bao read sys/auth/{mount} >/dev/null 2>&1 || bao auth enable -path={mount} jwt"));
        line(
            out,
            &format!(
                "bao write auth/{mount}/config jwks_url=\"${{JWKS_URL:?the bundle endpoint of SPIRE}}\" \\\n  \
                 jwks_ca_pem=@\"${{JWKS_CA:?the file of its root}}\" jwt_supported_algs=ES256"
            ),
        );
        let asked = || "\"${SPIFFE_ID:?the SPIFFE ID of omens on this host}\"".to_owned();
        let subject = spiffe_id.as_deref().map_or_else(asked, quoted);
        line(
            out,
            &format!(
                "bao write auth/{mount}/role/{role} role_type=jwt user_claim=sub bound_audiences={} \\\n  bound_subject={subject} \
                 token_policies=omens-login token_no_default_policy=true token_ttl=10m token_max_ttl=20m",
                quoted(audience)
            ),
        );
        line(out, &format!("JWT=$(bao read -field=accessor sys/auth/{mount})"));
    }

    /// The roles of this host's certificates whose names are not its own, which its logins alone may use.
    fn of_host(&self, out: &mut String) {
        let host = &self.host;
        let roles = self.own_roles();
        let mut text = HOST.to_owned();
        for (role, names) in &roles {
            let parameters = "{ \"csr\" = [], \"ttl\" = [], \"format\" = [\"pem\"] }";
            let path = format!("{}/sign/{role}", self.mount);
            write!(text, "path \"{path}\" {{\n  capabilities       = [\"update\"]\n  allowed_parameters = {parameters}\n}}\n").ok();
            say(
                out,
                &format!(
                    "A closed list of names for {host} alone, and it takes the place of a role of this name: one that several hosts share needs a name for each host."
                ),
            );
            write_json(out, &format!("{}/roles/{role}", self.mount), &names.role(SERVER));
        }
        say(out, &format!("{host}: all its logins are one entity, and no login of another host is."));
        let (alias, entity, own) = (quoted(host), quoted(&format!("omens-{host}")), quoted(&format!("omens-host-{host}")));
        policy(out, &own, &text);
        line(out, &format!("bao write identity/entity name={entity} policies={own}"));
        line(out, &format!("ID=$(bao read -field=id identity/entity/name/{entity})"));
        line(out, &format!("bao write identity/entity-alias name={alias} canonical_id=\"$ID\" mount_accessor=\"$CERT\""));
        line(out, &format!("bao write identity/entity-alias name={entity} canonical_id=\"$ID\" mount_accessor=\"$TOKEN\""));
        let ids = self.settings.into_iter().flat_map(|settings| &settings.openbao.login).filter_map(|login| match login {
            AuthMethod::JwtSvid(svid) => Some(svid.spiffe_id.as_deref().map_or_else(|| "\"$SPIFFE_ID\"".to_owned(), quoted)),
            _ => None,
        });
        for id in ids {
            line(out, &format!("bao write identity/entity-alias name={id} canonical_id=\"$ID\" mount_accessor=\"$JWT\""));
        }
    }

    fn own_roles(&self) -> BTreeMap<&str, Names> {
        let shipped: BTreeSet<&str> = ROLES.iter().map(|(name, _)| *name).collect();
        let mut roles: BTreeMap<&str, Names> = BTreeMap::new();
        for certificate in self.settings.iter().flat_map(|settings| &settings.certificates) {
            let role = certificate.issuer.role();
            if !shipped.contains(role) {
                roles.entry(role).or_default().add(certificate);
            }
        }
        roles
    }

    fn enrolling(&self, out: &mut String) {
        let (role, entity) = (quoted(&format!("omens-enroll-{}", self.host)), quoted(&format!("omens-{}", self.host)));
        say(out, "Enrolment: a token of this host's entity, wrapped, for one use. The host has it signed and forgets it.");
        line(
            out,
            &format!(
                "bao write auth/token/roles/{role} allowed_policies=omens-enroll allowed_entity_aliases={entity} \\\n  \
                 orphan=true renewable=false token_no_default_policy=true token_explicit_max_ttl=15m"
            ),
        );
        say(out, "To be done for each enrolment, and its answer taken to the host as a file:");
        let within = self.namespace().map(|namespace| format!("BAO_NAMESPACE={namespace} ")).unwrap_or_default();
        say(
            out,
            &format!(
                "  {within}bao token create -role={role} -entity-alias={entity} -policy=omens-enroll -wrap-ttl=10m -field=wrapping_token"
            ),
        );
        say(out, "  omens enroll --wrapping-token file:FILE");
    }
}

const HEAD: &str = "#!/bin/sh
# What OpenBao needs for HOST and hosts like it. Nothing was applied. Read it, then run it as an administrator, with BAO_ADDR, BAO_CACERT
# and BAO_TOKEN set; run again, it changes nothing.
#
# It binds what is signed to the login: one host cannot have the name of another signed, whatever its policies say, and a token or an
# AppRole without an identity has nothing signed by these roles at all. Take sign paths away from every other login: with them, evidence is
# advice (`omens check-config --online`: enforcement.bypass).
set -eu
";

fn say(out: &mut String, text: &str) {
    line(out, &format!("# {text}"));
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn policy(out: &mut String, name: &str, text: &str) {
    line(out, &format!("bao policy write {name} - <<'END'\n{}\nEND", text.trim_end()));
}

/// JSON for a path, which may hold names that a host chose: the shell reads nothing in it.
fn write_json(out: &mut String, path: &str, json: &str) {
    line(out, &format!("bao write {path} - <<'END'\n{}\nEND", json.trim_end()));
}

/// JSON of ours for a path, in which the shell puts the accessor of logins by certificate.
fn write_template(out: &mut String, path: &str, json: &str) {
    line(out, &format!("bao write {path} - <<END\n{}\nEND", json.trim_end().replace("CERT_ACCESSOR", "$CERT")));
}

/// A word of the shell, whatever is in it. What needs no quotes has none, for those who read the script.
fn quoted(text: &str) -> String {
    let is_plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/:@".contains(c));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
