//! An adoption as settings: TOML with the place that each part comes from, and what a person has to fill in.

use std::path::Path;

use super::{Adopted, Adoption, FILL_IN, PUBLISHED, Plugin, Root, services};
use crate::model::layout;
use crate::model::text::one_line;

/// The longest text that is repeated in a comment.
const SHOWN: usize = 300;

/// The settings.
#[must_use]
pub fn settings(adoption: &Adoption) -> String {
    let mut out = String::from(HEAD);
    let name = adoption.host.clone().filter(|name| crate::model::request::is_host_name(name));
    table(&mut out, "host", &[row("name", text(&name.unwrap_or_else(|| fill_in("this host's name"))))]);
    trust(&mut out, adoption.anchor.as_ref());
    openbao(&mut out, adoption);
    if adoption.tpm {
        out.push_str("\n# /dev/tpmrm0 is there: private keys are sealed to it, and in clear in memory only.\n");
        table(&mut out, "tpm", &[row("tcti", text("device:/dev/tpmrm0"))]);
    } else {
        out.push_str("\n# No /dev/tpmrm0: private keys will rest in files, readable for root. With a TPM: [tpm] with tcti = \"device:/dev/tpmrm0\".\n");
    }
    for certificate in &adoption.certificates {
        one(&mut out, adoption, certificate);
    }
    end(&mut out, adoption);
    out
}

const HEAD: &str = "# What this host uses today, as settings of omens. Nothing was changed. To take over:
#   1. fill in what begins with FILL IN; `omens check-config` names each place
#   2. omens renew --all      issues, and shows what would be wrong, before any service reads it
#   3. omens install          makes the links; a file that is in the way is kept as FILE.before-omens
#   4. omens renew --all      the services take it up, proven on the wire
#   5. switch off what renews until now, listed at the end

";

fn fill_in(what: &str) -> String {
    format!("{FILL_IN}: {}", one_line(what, SHOWN))
}

/// A string of TOML.
fn text(value: &str) -> String {
    toml::Value::String(value.to_owned()).to_string()
}

fn list(values: &[String]) -> String {
    format!("[{}]", values.iter().map(|value| text(value)).collect::<Vec<_>>().join(", "))
}

fn comment(out: &mut String, line: &str) {
    out.push_str(&format!("# {}\n", one_line(line, SHOWN)));
}

/// One key with its value, which is TOML already.
#[derive(Debug)]
struct Row {
    key: &'static str,
    value: String,
}

const fn row(key: &'static str, value: String) -> Row {
    Row { key, value }
}

fn table(out: &mut String, name: &str, rows: &[Row]) {
    out.push_str(&format!("[{name}]\n"));
    for Row { key, value } in rows {
        out.push_str(&format!("{key} = {value}\n"));
    }
}

fn trust(out: &mut String, root: Option<&Root>) {
    out.push('\n');
    let (file, pin) = match root {
        None => (fill_in("the file of your root, alone in it"), fill_in("the SHA-256 of its DER, from where the root was made")),
        Some(root) => {
            comment(out, &format!("{} is above most certificates of this host; it lies in {}", root.subject, root.file.display()));
            let found = format!("the SHA-256 of the root's DER, from where it was made; the file here has {}", root.sha256);
            let alone = root.alone.as_deref().map(|path| path.display().to_string());
            let file = alone
                .unwrap_or_else(|| fill_in(&format!("a file with the root alone; here it lies among others, in {}", root.file.display())));
            (file, fill_in(&found))
        }
    };
    table(out, "trust", &[row("anchor", text(&file)), row("anchor_sha256", text(&pin))]);
}

fn openbao(out: &mut String, adoption: &Adoption) {
    out.push('\n');
    let issuer = &adoption.issuer;
    let one = |found: &std::collections::BTreeSet<String>, what: &str| match found.iter().collect::<Vec<_>>().as_slice() {
        [] => fill_in(what),
        [one] => (*one).clone(),
        several => fill_in(&format!("{what}; found here: {}", several.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", "))),
    };
    let address = one(&issuer.addresses, "https://HOST:8200, where OpenBao answers");
    let mount = one(&issuer.mounts, "where its PKI is mounted, such as pki_int");
    let login = format!(
        "[{{ approle = {{ role_id = {}, secret_id = {} }} }}]",
        text(&fill_in("file:PATH of the AppRole's role id, or another login")),
        text(&fill_in("file:PATH of its secret id"))
    );
    table(out, "openbao", &[row("address", text(&address)), row("mount", text(&mount)), row("login", login)]);
}

fn one(out: &mut String, adoption: &Adoption, certificate: &Adopted) {
    out.push('\n');
    for usage in &certificate.used_by {
        let line = usage.line.map_or_else(String::new, |line| format!(":{line}"));
        comment(out, &format!("{} reads {} by {}{line}", usage.service, certificate.file.display(), usage.file));
    }
    for reload in certificate.reload.iter().filter(|reload| !reload.found) {
        comment(out, &format!("no unit that starts it was found; {} is what packages call it", reload.unit));
    }
    of_plugins(out, certificate);
    if !certificate.other_names.is_empty() {
        comment(out, &format!("not asked for, since settings have no such names: {}", certificate.other_names.join(", ")));
    }
    out.push_str("[[certificate]]\n");
    let mut rows: Vec<Row> = vec![row("name", text(&certificate.name))];
    let wildcard = || fill_in("a profile of yours with wildcard = true; no shipped one allows it");
    rows.push(row("profile", text(&certificate.profile.map_or_else(wildcard, str::to_owned))));
    let roles: Vec<&str> = adoption.issuer.roles.iter().map(String::as_str).collect();
    let role = if roles.is_empty() { String::new() } else { format!("; asked today: {}", roles.join(", ")) };
    rows.push(row("role", text(&fill_in(&format!("the role that signs it{role}")))));
    let (ttl, lifetime) = (services::shown(certificate.ttl_seconds), services::shown(certificate.lifetime_seconds));
    let longer = if certificate.ttl_seconds * 2 < certificate.lifetime_seconds {
        format!("   # it lived {lifetime} until now")
    } else {
        String::new()
    };
    rows.push(row("ttl", format!("{}{longer}", text(&ttl))));
    rows.push(row("common_name", text(&certificate.common_name)));
    for (key, values) in [("dns", &certificate.dns), ("ip", &certificate.ip), ("uri", &certificate.uri), ("email", &certificate.email)] {
        if !values.is_empty() {
            rows.push(row(key, list(values)));
        }
    }
    if let Some(algorithm) = certificate.algorithm {
        rows.push(row("key", format!("{{ algorithm = {} }}", text(algorithm))));
    }
    if let Some(group) = &certificate.group {
        // Names of another host's accounts mean nothing here; their numbers do.
        let by_number = format!("{}   # {}", text(&group.gid.to_string()), one_line(&group.name, SHOWN));
        rows.push(row("group", if adoption.elsewhere { by_number } else { text(&group.name) }));
    }
    rows.push(row("install", install(certificate)));
    if !certificate.reload.is_empty() {
        rows.push(row("reload", reload(certificate)));
    }
    if !certificate.verify.is_empty() {
        rows.push(row("verify", verify(certificate)));
    }
    for Row { key, value } in rows {
        out.push_str(&format!("{key} = {value}\n"));
    }
}

fn lines(entries: impl Iterator<Item = String>) -> String {
    let entries: Vec<String> = entries.collect();
    match entries.as_slice() {
        [one] => format!("[{one}]"),
        _ => format!("[\n{}]", entries.iter().map(|entry| format!("  {entry},\n")).collect::<String>()),
    }
}

fn install(certificate: &Adopted) -> String {
    let path = |path: &Path| text(&path.display().to_string());
    lines(certificate.install.iter().map(|entry| {
        let files: String = entry.files.iter().map(|(part, name)| format!(", {part} = {}", text(name))).collect();
        format!("{{ dir = {}{files} }}", path(&entry.dir))
    }))
}

fn reload(certificate: &Adopted) -> String {
    lines(certificate.reload.iter().map(|reload| {
        let told = reload.plugin.as_ref().map(plugin).unwrap_or_default();
        format!("{{ {} = {{ unit = {}{told} }} }}", reload.driver, text(&reload.unit))
    }))
}

/// What a driver is told of a plugin, behind the unit.
fn plugin(plugin: &Plugin) -> String {
    let Plugin { kind, name, cert, key, .. } = plugin;
    let mut told = format!(", plugin = {{ kind = {}, name = {}, cert = {}, key = {}", text(kind), text(name), text(cert), text(key));
    if let Some(ca) = plugin.ca {
        told += &format!(", ca = {}", text(ca));
    }
    if !plugin.data.is_empty() {
        told += &format!(", data = {}", toml::Value::Table(plugin.data.clone()));
    }
    told += " }";
    if let Some(log) = &plugin.log {
        told += &format!(", log = {}", text(&log.display().to_string()));
    }
    told
}

/// What SPIRE has to be told, so that it reads what its driver writes.
fn of_plugins(out: &mut String, certificate: &Adopted) {
    for reload in &certificate.reload {
        let Some(plugin) = &reload.plugin else { continue };
        let Plugin { kind, name, file, .. } = plugin;
        let line = plugin.line.map_or_else(String::new, |line| format!(":{line}"));
        let data = format!("{PUBLISHED}/{}/{}", certificate.name, layout::spire_data(kind, name));
        let now = if plugin.from_file { "plugin_data_file" } else { "plugin_data" };
        comment(
            out,
            &format!("before step 4: in {kind} {} ({file}{line}) write plugin_data_file = {} in place of {now},", text(name), text(&data)),
        );
        comment(out, &format!("  and restart {} this once; from then on it reads each new pair at SIGUSR1", reload.unit));
        if !plugin.secrets.is_empty() {
            comment(out, &format!("  not repeated here, since it is a secret: {}", plugin.secrets.join(", ")));
        }
    }
}

fn verify(certificate: &Adopted) -> String {
    lines(
        certificate.verify.iter().map(|endpoint| {
            format!("{{ tls = {{ address = {}, server_name = {} }} }}", text(&endpoint.address), text(&endpoint.server_name))
        }),
    )
}

fn end(out: &mut String, adoption: &Adoption) {
    if !adoption.skipped.is_empty() {
        out.push_str("\n# Left out:\n");
        for skipped in &adoption.skipped {
            let line = skipped.line.map_or_else(String::new, |line| format!(":{line}"));
            comment(out, &format!("  {} ({}{line}): {}", skipped.what, skipped.file, skipped.why));
        }
    }
    if !adoption.replaces.is_empty() {
        out.push_str("\n# What renews here until now. Once omens does, switch it off, or the two overwrite each other:\n");
        for replaced in &adoption.replaces {
            let line = replaced.line.map_or_else(String::new, |line| format!(":{line}"));
            comment(out, &format!("  {} ({}{line})", replaced.what, replaced.file));
            comment(out, &format!("    {}", replaced.switch_off));
        }
    }
}
