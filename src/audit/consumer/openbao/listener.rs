//! One listener: whether it speaks TLS, what it serves, whom it asks (measured on OpenBao 2.7.2: a missing certificate is waited for by
//! ACME, a client CA without the demand is never read).

use super::blocks;
use super::lints;
use super::reader::{OpenBaoReader, flag, text};
use crate::audit::facts::address;
use crate::audit::facts::hcl::Body;
use crate::audit::facts::terms::Suites;
use crate::audit::facts::wiring::{ClientAuth, Listener, ListenerTerms, Needs, Pair, Trust, Versions};
use crate::model::finding::Severity;
use crate::model::profile::Purpose;

const VERSIONS: [&str; 4] = ["tls10", "tls11", "tls12", "tls13"];
const FLAGS: [&str; 3] = ["tls_disable", "tls_require_and_verify_client_cert", "tls_disable_client_certs"];

/// Reads one.
pub(super) fn read(reader: &mut OpenBaoReader<'_>, kind: String, body: &Body, line: u32) {
    let kind = text(body, "type").map_or(kind, |(kind, _)| kind).to_ascii_lowercase();
    let (address, at) = text(body, "address").unwrap_or_else(|| ("127.0.0.1:8200".to_owned(), line));
    let name = format!("listener {kind} {address}");
    blocks::unknown(reader, body, &name, true);
    if kind == "unix" {
        return;
    }
    if kind != "tcp" {
        let draft = reader.draft(&lints::LISTENER_TYPE, &name, "type", line).expected("tcp or unix").found(format!("listener \"{kind}\""));
        reader.add(draft);
        return;
    }
    for key in FLAGS {
        if let Err((found, line)) = flag(body, key) {
            let draft =
                reader.draft(&lints::VALUE_INVALID, &name, key, line).expected("true or false").found(format!("{key} = \"{found}\""));
            let service = reader.service();
            reader.add(draft.breaks(service));
        }
    }
    // `{{ GetPrivateIP }}:8200` is filled in at the start.
    let location = if address.contains("{{") {
        address.rsplit_once(':').map(|(_, port)| (String::new(), port.parse().unwrap_or(8200)))
    } else {
        address::of_pair(&address)
    };
    let Some((host, port)) = location else {
        let draft =
            reader.draft(&lints::VALUE_INVALID, &name, "address", at).expected("ADDRESS:PORT").found(format!("address = \"{address}\""));
        reader.add(draft.evidence("the log ends with \"missing port in address\""));
        return;
    };
    let plain = flag(body, "tls_disable").unwrap_or(false);
    if plain {
        open(reader, body, &name, &host);
    }
    let pair = Some(()).filter(|()| !plain).and_then(|()| served(reader, body, &name, line));
    if !plain {
        versions(reader, body, &name);
    }
    let (client_auth, trust) = if plain { (ClientAuth::No, None) } else { clients(reader, body, &name) };
    let consumer = reader.consumer(&name, text(body, "tls_cert_file").map_or(line, |(_, line)| line));
    let (pairs, names) = (pair.into_iter().collect(), vec![]);
    let suites = if plain { None } else { suites(reader, body, &name) };
    let terms = ListenerTerms { versions: (!plain).then(|| spoken(body)), suites, ..ListenerTerms::default() };
    reader.wiring.listeners.push(Listener { consumer, host, port, tls: !plain, names, pairs, client_auth, trust, terms });
}

fn open(reader: &mut OpenBaoReader<'_>, body: &Body, name: &str, host: &str) {
    let loopback = host == "localhost" || host == "::1" || host.starts_with("127.");
    let metrics = text(body, "role").is_some_and(|(role, _)| role == "metrics_only");
    let severity = if loopback || metrics { Severity::Medium } else { Severity::High };
    let line = body.get("tls_disable").map_or(1, |item| item.line);
    let draft = reader.draft(&lints::TLS_DISABLED, name, "tls_disable", line).severity(severity).expected("TLS");
    reader.add(draft.found(format!("tls_disable on {}", if host.is_empty() { "every address" } else { host })));
}

/// The pair that it serves.
fn served(reader: &mut OpenBaoReader<'_>, body: &Body, name: &str, line: u32) -> Option<usize> {
    let (certificate, key) = (text(body, "tls_cert_file"), text(body, "tls_key_file"));
    let Some((certificate, at)) = certificate else {
        let acme = body.items.iter().any(|item| item.key.starts_with("tls_acme_"));
        if !acme {
            let at = key.map_or(line, |(_, at)| at);
            let draft = reader.draft(&lints::CERTIFICATE_UNSET, name, "tls_cert_file", at).expected("tls_cert_file and tls_key_file");
            reader.add(draft.found("no tls_cert_file"));
        }
        return None;
    };
    if key.is_none() {
        let draft = reader.draft(&lints::KEY_UNSET, name, "tls_key_file", at).expected("tls_key_file").found("no tls_key_file");
        reader.add(draft);
    }
    let pair = Pair::new(reader.consumer(name, at), reader.path(&certificate), key.map(|(key, _)| reader.path(&key)), Purpose::Server);
    Some(reader.wiring.pair(pair))
}

fn versions(reader: &mut OpenBaoReader<'_>, body: &Body, name: &str) {
    for key in ["tls_min_version", "tls_max_version"] {
        let Some((version, line)) = text(body, key) else { continue };
        let found = format!("{key} = \"{version}\"");
        if !VERSIONS.contains(&version.as_str()) {
            let draft = reader.draft(&lints::VALUE_INVALID, name, key, line).expected(VERSIONS.join(", ")).found(found);
            reader.add(draft);
        } else if matches!(version.as_str(), "tls10" | "tls11") {
            let severity = if key == "tls_max_version" { Severity::High } else { Severity::Medium };
            let draft = reader.draft(&lints::TLS_OLD, name, key, line).severity(severity).expected("tls12 or tls13").found(found);
            reader.add(draft);
        }
    }
    let spoken = spoken(body);
    if let Some((most, line)) = text(body, "tls_max_version").filter(|_| spoken == Versions::default()) {
        let draft = reader.draft(&lints::VALUE_INVALID, name, "tls_max_version", line).expected("tls_min_version or a later one");
        reader.add(
            draft
                .found(format!("tls_max_version = \"{most}\""))
                .evidence("\"'tls_max_version' must be greater than or equal to 'tls_min_version'\""),
        );
    }
}

/// Suites by the names of Go (`go-secure-stdlib/tlsutil`); one that it does not know keeps the server from starting.
fn suites(reader: &mut OpenBaoReader<'_>, body: &Body, name: &str) -> Option<Suites> {
    const KNOWN: [&str; 10] = [
        "AES_128_CBC_SHA",
        "AES_128_CBC_SHA256",
        "AES_128_GCM_SHA256",
        "AES_256_CBC_SHA",
        "AES_256_GCM_SHA384",
        "CHACHA20_POLY1305",
        "CHACHA20_POLY1305_SHA256",
        "RC4_128_SHA",
        "3DES_EDE_CBC_SHA",
        "AES_256_CBC_SHA384",
    ];
    const KINDS: [(&str, bool); 3] = [("TLS_ECDHE_ECDSA_WITH_", true), ("TLS_ECDHE_RSA_WITH_", false), ("TLS_RSA_WITH_", false)];
    let (list, line) = text(body, "tls_cipher_suites")?;
    let mut suites = Suites::default();
    for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        if ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"].contains(&word) {
            continue;
        }
        match KINDS.iter().find(|(start, _)| word.strip_prefix(start).is_some_and(|rest| KNOWN.contains(&rest))) {
            Some((_, ec)) => suites.add(word, *ec),
            None => {
                let draft = reader
                    .draft(&lints::VALUE_INVALID, name, "tls_cipher_suites", line)
                    .expected("names such as TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
                reader.add(draft.found(word).evidence("\"unsupported cipher\""));
            }
        }
    }
    (!suites.is_empty()).then_some(suites)
}

/// From `tls_min_version` (1.2 where it is not said) to `tls_max_version`.
fn spoken(body: &Body) -> Versions {
    let rank = |key: &str, default: usize| {
        text(body, key).and_then(|(version, _)| VERSIONS.iter().position(|known| *known == version)).unwrap_or(default)
    };
    let (least, most) = (rank("tls_min_version", 2), rank("tls_max_version", 3));
    let within = |version: usize| least <= version && version <= most;
    Versions { old: within(0) || within(1), tls12: within(2), tls13: within(3) }
}

/// Whether it asks for client certificates, and by what it judges them.
fn clients(reader: &mut OpenBaoReader<'_>, body: &Body, name: &str) -> (ClientAuth, Option<usize>) {
    let is = |key: &str| flag(body, key).unwrap_or(false);
    let (demanded, off) = (is("tls_require_and_verify_client_cert"), is("tls_disable_client_certs"));
    let line = |key: &str| body.get(key).map_or(1, |item| item.line);
    let ca = text(body, "tls_client_ca_file");
    if demanded && off {
        let draft = reader
            .draft(&lints::CLIENT_CONFLICT, name, "tls_disable_client_certs", line("tls_disable_client_certs"))
            .expected("one of the two");
        reader.add(draft.found("both are true"));
    }
    if !demanded {
        if let Some((ca, at)) = ca {
            let draft = reader
                .draft(&lints::CLIENT_CA_UNUSED, name, "tls_client_ca_file", at)
                .expected("tls_require_and_verify_client_cert = true");
            reader.add(draft.found(format!("tls_client_ca_file = \"{ca}\" alone")));
        }
        if off {
            let draft = reader
                .draft(&lints::CERT_LOGIN_OFF, name, "tls_disable_client_certs", line("tls_disable_client_certs"))
                .expected("client certificates asked for");
            reader.add(draft.found("tls_disable_client_certs = true"));
        }
        return (if off { ClientAuth::No } else { ClientAuth::Optional }, None);
    }
    let Some((ca, at)) = ca else {
        let draft = reader
            .draft(&lints::CLIENT_CA_UNSET, name, "tls_client_ca_file", line("tls_require_and_verify_client_cert"))
            .expected("tls_client_ca_file");
        reader.add(draft.found("not set"));
        return (ClientAuth::Required, None);
    };
    let trust = Trust {
        consumer: reader.consumer(name, at),
        files: vec![reader.path(&ca)],
        of: Purpose::Client,
        needs: Needs::Any,
        terms: Default::default(),
    };
    (ClientAuth::Required, Some(reader.wiring.trust(trust)))
}
