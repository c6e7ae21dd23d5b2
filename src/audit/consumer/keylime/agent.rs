//! The Rust agent, pulled or pushing: its identity, where it is reached and where it registers. It must never ask which of the two runs by
//! starting anything: the host's units and the settings themselves tell.

use std::path::{Path, PathBuf};

use super::settings::Settings;
use super::{KeylimeReader, agent_tls, lints, registrar};
use crate::audit::facts::variable::Variable;
use crate::io::look::View;
use crate::model::audit::Location;
use crate::model::finding::Severity;

/// What agents without a configuration use, all of them.
const DEFAULT_UUID: &str = "d432fbb3-d2f1-4a97-9ef7-75bd81c00000";
/// Ports on which TLS is spoken wherever they are used.
const TLS_PORTS: [u16; 4] = [443, 8443, registrar::TLS_PORT, 9891];
/// Where units lie, and where those that are started are linked.
const UNITS: [&str; 3] = ["/usr/lib/systemd/system", "/lib/systemd/system", "/etc/systemd/system"];
const WANTED: &str = "/etc/systemd/system/multi-user.target.wants";

/// How its evidence reaches the verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Model {
    Pull,
    Push,
}

/// Reads it; the registrar's settings are those of the same host.
pub(super) fn read(reader: &mut KeylimeReader<'_>, settings: &Settings, registrar: Option<&Settings>, environment: &[Variable]) {
    let model = model(reader.view, settings);
    uuid(reader, settings);
    let directory = directory(reader, settings, environment);
    match model {
        Model::Pull => {
            agent_tls::pull(reader, settings, &directory);
            registers(reader, settings, registrar);
            contact(reader, settings);
        }
        Model::Push => agent_tls::push(reader, settings, &directory),
    }
    if settings.text("tpm_hash_alg", "sha256").eq_ignore_ascii_case("sha1") {
        reader
            .findings
            .add(settings.draft(&lints::SHA1, "tpm_hash_alg").expected("tpm_hash_alg = \"sha256\"").found("tpm_hash_alg = \"sha1\""));
    }
    for option in ["tls_accept_invalid_certs", "tls_accept_invalid_hostnames"] {
        if settings.flag(option, false) {
            let severity = if option.ends_with("certs") && model == Model::Push { Severity::High } else { Severity::Medium };
            reader.findings.add(
                settings
                    .draft(&lints::UNVERIFIED, option)
                    .severity(severity)
                    .expected(format!("{option} = false"))
                    .found(format!("{option} = true")),
            );
        }
    }
}

/// Which of the two agents reads this file: the unit that is started, the one that is there, else what only one of them needs.
fn model(view: &View, settings: &Settings) -> Model {
    let unit = |name: &str| {
        let name = format!("{name}.service");
        let wanted = view.meta(&Path::new(WANTED).join(&name)).is_ok() || view.link(&Path::new(WANTED).join(&name)).is_some();
        let there = UNITS.iter().any(|directory| view.meta(&Path::new(directory).join(&name)).is_ok());
        (wanted, there)
    };
    let (pull, push) = (unit("keylime_agent"), unit("keylime_push_model_agent"));
    if pull != push {
        return if push > pull { Model::Push } else { Model::Pull };
    }
    let own = |option: &str| settings.get(option).is_some_and(|setting| !matches!(setting.value.trim(), "" | "default"));
    let serves = own("server_cert") || own("server_key") || own("trusted_client_ca");
    let pushes = own("verifier_url") && (settings.flag("registrar_tls_enabled", false) || own("verifier_tls_ca_cert"));
    if pushes && !serves { Model::Push } else { Model::Pull }
}

fn uuid(reader: &mut KeylimeReader<'_>, settings: &Settings) {
    let unset = settings.get("uuid").is_none();
    let uuid = settings.text("uuid", DEFAULT_UUID).trim().to_ascii_lowercase();
    let draft = |lint| settings.draft(lint, "uuid");
    let found = if unset { format!("uuid is not set, so {DEFAULT_UUID}") } else { format!("uuid = \"{uuid}\"") };
    match uuid.as_str() {
        // Without its section it has been said already that everything is a default.
        DEFAULT_UUID if !settings.sections.is_empty() && !settings.sections.contains_key("agent") => {}
        DEFAULT_UUID => reader.findings.add(draft(&lints::UUID_DEFAULT).expected("a UUID of this host's own, or hash_ek").found(found)),
        "generate" => reader.findings.add(draft(&lints::UUID_GENERATED).expected("a UUID that stays").found(found)),
        "hash_ek" => {}
        other if is_uuid(other) => {
            reader
                .findings
                .add(draft(&lints::UUID).found(other.to_owned()).evidence("no other host may have it: both would be one record"));
        }
        _ => reader.findings.add(draft(&lints::UUID_MALFORMED).expected("a UUID, or hash_ek").found(found)),
    }
}

/// As the crate `uuid` parses one: with hyphens, without, in braces, or as a URN.
fn is_uuid(text: &str) -> bool {
    let text = text.strip_prefix("urn:uuid:").unwrap_or(text);
    let text = text.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(text);
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let hex = groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hex && (lengths == [8, 4, 4, 4, 12] || lengths == [32])
}

/// `KEYLIME_DIR` wins over `keylime_dir` ([Files and layers](crate::audit#files-and-layers)).
fn directory(reader: &mut KeylimeReader<'_>, settings: &Settings, environment: &[Variable]) -> PathBuf {
    let written = settings.text("keylime_dir", "/var/lib/keylime").trim();
    let written = if written.is_empty() { "/var/lib/keylime" } else { written };
    let set = environment.iter().rev().find(|variable| variable.name == "KEYLIME_DIR" && !variable.value.is_empty());
    let Some(Variable { value, location, .. }) = set else {
        return PathBuf::from(written);
    };
    if Path::new(value) != Path::new(written) && settings.get("keylime_dir").is_some() {
        let draft = settings.draft(&lints::DIRECTORY, "keylime_dir").expected(written).found(format!("KEYLIME_DIR={value}"));
        reader.findings.add(draft.file(location.clone()));
    }
    PathBuf::from(value)
}

/// It always speaks plain HTTP to the registrar, and waits there before it opens its own port.
fn registers(reader: &mut KeylimeReader<'_>, settings: &Settings, registrar: Option<&Settings>) {
    let port = settings.port("registrar_port", registrar::PLAIN_PORT);
    let tls_port = registrar.map(|registrar| registrar.port("tls_port", registrar::TLS_PORT));
    let claims = settings.flag("registrar_tls_enabled", false);
    if TLS_PORTS.contains(&port) || tls_port == Some(port) {
        let draft = settings
            .draft(&lints::REGISTRAR_PORT, "registrar_port")
            .expected("registrar_port = 8890")
            .found(format!("registrar_port = {port}"));
        let draft = draft.evidence("the agent does not listen on its own port 9002 until it has registered").breaks("keylime_agent");
        reader.findings.add(if claims { draft.file(settings.location("registrar_tls_enabled")) } else { draft });
    } else if claims {
        let draft = settings
            .draft(&lints::REGISTRAR_TLS, "registrar_tls_enabled")
            .expected("registrar_tls_enabled = false, as it is without effect");
        reader.findings.add(draft.found("registrar_tls_enabled = true"));
    }
    agent_tls::call(reader, settings, "registrar_port", settings.text("registrar_ip", "127.0.0.1"), port);
}

/// Where it listens, and what the verifier is told.
fn contact(reader: &mut KeylimeReader<'_>, settings: &Settings) {
    let ip = settings.text("ip", "127.0.0.1").trim();
    let contact = settings.text("contact_ip", ip).trim();
    let registrar = settings.text("registrar_ip", "127.0.0.1").trim();
    let loopback = |host: &str| host == "localhost" || host.starts_with("127.") || host == "::1";
    if loopback(registrar) {
        return;
    }
    let (option, found) = match (loopback(ip), loopback(contact)) {
        (_, true) => ("contact_ip", format!("contact_ip = \"{contact}\", and the registrar is at {registrar}")),
        (true, false) => ("ip", format!("ip = \"{ip}\", and contact_ip = \"{contact}\"")),
        _ => return,
    };
    let draft = settings.draft(&lints::CONTACT, option).expected("an address that the verifier reaches").found(found);
    let location: Location = settings.location("registrar_ip");
    reader.findings.add(draft.file(location));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_those_that_the_agent_parses() {
        let good = ["5a1e7f7c-9c1e-4f0b-8f58-2f6f5d6f3a10", "5a1e7f7c9c1e4f0b8f582f6f5d6f3a10", "{5a1e7f7c-9c1e-4f0b-8f58-2f6f5d6f3a10}"];
        assert!(good.iter().all(|uuid| is_uuid(uuid)));
        let bad = ["", "auto", "spire-host-1", "5a1e7f7c-9c1e-4f0b-8f58-2f6f5d6f3a1", "5a1e7f7c-9c1e-4f0b-8f58-2f6f5d6f3a1g", "-", "{}"];
        assert!(bad.iter().all(|uuid| !is_uuid(uuid)));
    }
}
