//! By what a finding is one: the RFC and section, the manual, or the upstream source that says so.

use crate::judge::lint::Lint;

/// What an area of ids, or one id, rests on; the longest that fits counts.
struct Rests {
    on: &'static str,
    source: &'static str,
}

const fn rests(on: &'static str, source: &'static str) -> Rests {
    Rests { on, source }
}

const TABLE: &[Rests] = &[
    rests("agent.", "consul-template and OpenBao documentation, templating language"),
    rests("agent.method-unknown", "openbao/openbao command/agent.go, hashicorp/vault command/agentproxyshared/auth"),
    rests("agent.two-calls", "consul-template, Templating Language, pkiCert"),
    rests("across.", "omens, cli/contract.md"),
    rests("across.other-root", "RFC 5280 §6.1.1"),
    rests("across.same-serial", "RFC 5280 §4.1.2.2"),
    rests("across.same-uuid", "keylime/rust-keylime keylime-agent.conf, uuid"),
    rests("aki.", "RFC 5280 §4.2.1.1"),
    rests("anchor.", "RFC 5280 §6.1.1"),
    rests("anchor.version", "RFC 5280 §6.1.1 (d)"),
    rests("attest.", "omens, cli/contract.md"),
    rests("authority.", "spiffe/spire pkg/server/plugin/upstreamauthority/disk/disk.go"),
    rests("bc.", "RFC 5280 §4.2.1.9"),
    rests("ca.", "RFC 5280 §4.2.1.3, §4.2.1.9"),
    rests("ca.name-constraints-empty", "RFC 5280 §4.2.1.10"),
    rests("call.", "RFC 8446 §4.4.2, RFC 6125 §6.4"),
    rests("call.depth", "SSL_CTX_set_verify_depth(3)"),
    rests("call.revoked", "RFC 5280 §6.3"),
    rests("call.tls-versions", "RFC 8446 §4.2.1"),
    rests("cert.", "RFC 5280 §4.1"),
    rests("chain.", "RFC 8446 §4.4.2"),
    rests("crl.", "RFC 5280 §5, §6.3"),
    rests("cron.", "crontab(5), cron(8)"),
    rests("eku.", "RFC 5280 §4.2.1.12"),
    rests("ext.", "RFC 5280 §4.2"),
    rests("file.", "path_resolution(7)"),
    rests("input.", "omens, cli/contract.md"),
    rests("keylime.", "keylime/keylime templates, keylime/rust-keylime keylime-agent.conf"),
    rests("issued.", "OpenBao documentation, PKI secrets engine, API"),
    rests("key.", "RFC 8446 §4.2.3, NIST SP 800-57 Part 1"),
    rests("key.readable-by-others", "path_resolution(7)"),
    rests("key.unusable-for-go", "golang/go#48314"),
    rests("listener.", "RFC 5246 §7.4.2, ciphers(1)"),
    rests("ku.", "RFC 5280 §4.2.1.3"),
    rests("name.", "RFC 6125 §6.4, RFC 5280 §4.2.1.6"),
    rests("nc.", "RFC 5280 §4.2.1.10"),
    rests("nginx.", "nginx.org, ngx_http_ssl_module and ngx_http_proxy_module"),
    rests("nginx.name-unicode", "nginx.org, Server names"),
    rests("nginx.protocols-old", "RFC 8996"),
    rests("openbao.", "openbao/openbao internalshared/configutil, command/server/config.go"),
    rests("own.", "omens, cli/contract.md"),
    rests("pair.", "RFC 8446 §4.4.3"),
    rests("pair.key-encrypted", "RFC 5208 §6"),
    rests("path.", "RFC 5280 §6.1"),
    rests("path.rustls-depth", "rustls-webpki, MAX_SUB_CA_COUNT"),
    rests("pem.", "RFC 7468 §2"),
    rests("probe.", "RFC 8446 §6, RFC 6066 §3"),
    rests("probe.proxy-protocol", "HAProxy, The PROXY protocol, versions 1 and 2"),
    rests("probe.starttls", "RFC 3207, RFC 9051 §6.2.1, RFC 2595 §4, RFC 4511 §4.14"),
    rests("reload.", "omens, steps/services.md"),
    rests("renewal.", "certbot documentation, Renewing certificates"),
    rests("script.", "POSIX.1-2024, Shell Command Language; OpenBao documentation, PKI"),
    rests("serial.", "RFC 5280 §4.1.2.2"),
    rests("served.", "omens, cli/contract.md"),
    rests("signature.", "RFC 5280 §4.1.1.2, RFC 9155"),
    rests("ski.", "RFC 5280 §4.2.1.2"),
    rests("spire.", "spiffe/spire cmd/spire-server/cli/run, doc/plugin_*.md"),
    rests("timer.", "systemd.timer(5), systemd.time(7)"),
    rests("trust.", "X509_verify_cert(3)"),
    rests("unit.", "systemd.unit(5), systemd.exec(5)"),
    rests("unit.secret-public", "systemd.exec(5), Credentials"),
    rests("validity.", "RFC 5280 §4.1.2.5"),
    rests("way.", "path_resolution(7)"),
];

/// What a finding rests on: what its title cites, else what its id or area does.
#[must_use]
pub fn of(lint: &Lint) -> Vec<String> {
    let own = lint.title.split_once("(RFC ").and_then(|(_, rest)| rest.split_once(')')).map(|(words, _)| format!("RFC {words}"));
    let table = TABLE.iter().filter(|rests| lint.id.starts_with(rests.on)).max_by_key(|rests| rests.on.len());
    own.into_iter().chain(table.map(|rests| rests.source.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::catalogue;

    #[test]
    fn every_finding_rests_on_something_and_every_row_is_used() {
        let all: Vec<_> = catalogue::all().collect();
        for lint in &all {
            assert!(!of(lint).is_empty(), "{} rests on nothing", lint.id);
        }
        for rests in TABLE {
            assert!(all.iter().any(|lint| lint.id.starts_with(rests.on)), "no finding rests on {}", rests.on);
        }
    }
}
