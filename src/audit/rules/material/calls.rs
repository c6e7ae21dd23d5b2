//! Both ends of a call on one host: whether they speak the same protocol, show each other what is asked for, and accept what they are
//! shown.

mod accept;
mod meet;

use super::blocks::Cert;
use super::host::HostMaterial;
use super::{lints, names};
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::program::{Program, Symptoms};
use crate::audit::facts::wiring::{ClientAuth, Connection, Listener, Pair, Trust};
use crate::judge::lint::Lint;
use crate::model::audit::{Location, Object};
use crate::model::finding::Severity;
use crate::model::profile::Purpose;
use accept::{Refusal, Shown};

/// A call whose other end is on this host.
struct Call<'a> {
    connection: &'a Connection,
    listener: &'a Listener,
}

impl Call<'_> {
    fn about(&self, lint: &'static Lint) -> NewFinding {
        let (from, to) = (&self.connection.consumer, &self.listener.consumer);
        let object = Object::file(&from.location.path);
        let draft = NewFinding::new(lint, from.target.clone().at_line(from.location.line), object)
            .file(from.location.clone())
            .file(to.location.clone());
        draft.evidence(format!("{} calls {}:{}, where {} listens", from.target, self.connection.host, self.connection.port, to.target))
    }
}

/// Judges every call that this host makes to itself.
pub(super) fn judge(host: &HostMaterial<'_>, findings: &mut HostFindings) {
    // What hands on what others said has nothing of its own to say.
    for connection in host.wiring.connections.iter().filter(|connection| !connection.terms.raw) {
        if let Some(listener) = meet::end(host, connection, findings.host()) {
            one(host, &Call { connection, listener }, findings);
        }
    }
}

fn one(host: &HostMaterial<'_>, call: &Call<'_>, findings: &mut HostFindings) {
    match (call.connection.tls, call.listener.tls) {
        (false, false) => {}
        (false, true) => {
            let log = match call.listener.consumer.program {
                Program { symptoms: Symptoms { plain_to_tls: Some(words), .. }, .. } => words,
                program if program.is_go() => "the listener logs \"client sent an HTTP request to an HTTPS server\"",
                _ => "the listener logs \"http request\" or \"wrong version number\", and the caller sees the connection closed",
            };
            findings.add(call.about(&lints::CALL_PLAIN).expected("TLS").found("plain HTTP").evidence(log));
        }
        (true, false) => {
            let log = if call.connection.consumer.program.is_go() {
                "the caller logs \"http: server gave HTTP response to HTTPS client\" or \"tls: first record does not look like a TLS handshake\""
            } else {
                "the caller logs \"wrong version number\""
            };
            findings.add(call.about(&lints::CALL_TLS).expected("a port that speaks TLS").found("one that speaks plain HTTP").evidence(log));
        }
        (true, true) => both(host, call, findings),
    }
}

/// Both speak TLS.
fn both(host: &HostMaterial<'_>, call: &Call<'_>, findings: &mut HostFindings) {
    let versions = call.connection.terms.versions.zip(call.listener.terms.versions);
    if let Some((own, theirs)) = versions.filter(|(own, theirs)| !own.meet(*theirs)) {
        let draft = call.about(&lints::CALL_VERSIONS).expected(format!("{}, which the listener speaks", theirs.words()));
        findings.add(draft.found(own.words()).evidence("the handshake ends with the alert \"protocol version\""));
        return;
    }
    let twelve = versions.is_some_and(|(own, theirs)| own.tls12 && theirs.tls12 && !(own.tls13 && theirs.tls13));
    let suites = call.connection.terms.suites.as_ref().zip(call.listener.terms.suites.as_ref()).filter(|_| twelve);
    if let Some((own, theirs)) = suites.filter(|(own, theirs)| !own.meet(theirs)) {
        let draft = call.about(&lints::CALL_SUITES).expected(format!("one of {}", theirs.words()));
        findings.add(draft.found(own.words()).evidence("the handshake ends with \"handshake failure\": no shared cipher"));
        return;
    }
    shown(host, call, findings);
    served(host, call, findings);
}

/// What the caller shows, as the listener judges it.
fn shown(host: &HostMaterial<'_>, call: &Call<'_>, findings: &mut HostFindings) {
    let listener = call.listener;
    if listener.client_auth == ClientAuth::No {
        if call.connection.terms.login && call.connection.pair.is_some() {
            let draft = call.about(&lints::CALL_LOGIN).expected("a listener that asks for a client certificate").found("it asks for none");
            findings.add(draft.evidence("the login ends with \"client certificate must be supplied\""));
        }
        return;
    }
    let Some(pair) = call.connection.pair.and_then(|index| host.wiring.pairs.get(index)) else {
        if listener.client_auth == ClientAuth::Required {
            let draft = call.about(&lints::CALL_NO_CERTIFICATE).expected("a client certificate").found("none is configured");
            if call.connection.terms.made_later {
                let found = "the default, which Keylime makes at its first start, and which is not in this copy";
                findings.add(draft.severity(Severity::Info).found(found));
                return;
            }
            findings.add(
                draft
                    .evidence(format!("the caller sees {}", no_certificate(listener.consumer.program)))
                    .breaks(&call.connection.consumer.target.to_string()),
            );
        }
        return;
    };
    let Some(trust) = listener.trust.and_then(|index| host.wiring.trusts.get(index)) else { return };
    let Some(leaf) = host.leaf(pair) else { return };
    let refusal = accept::judge(host, &Shown { leaf, sent: sent(host, pair, leaf, None) }, trust, pair.asked().map(|_| Purpose::Client));
    let draft = |lint| files(call.about(lint), pair, trust).found(leaf.words());
    match refusal {
        None | Some(Refusal::Said) => {}
        Some(Refusal::Deep(count)) => findings.add(deep(draft(&lints::CALL_DEPTH), trust, count)),
        Some(Refusal::Revoked(words)) => findings.add(
            draft(&lints::CALL_REVOKED)
                .found(words)
                .expected("certificates that no list revokes")
                .evidence(format!("{} answers 400, or ends the handshake with \"certificate revoked\"", listener.consumer.target)),
        ),
        Some(Refusal::Purpose) => findings.add(
            draft(&lints::CALL_CLIENT_PURPOSE)
                .expected("a certificate with clientAuth")
                .evidence(format!("{} answers with the alert \"unsupported certificate\"", listener.consumer.target)),
        ),
        Some(Refusal::Untrusted(why)) => {
            let draft = draft(&lints::CALL_CLIENT_UNTRUSTED)
                .expected(format!("a certificate that leads to {}", accept::roots(host, trust)))
                .evidence(why);
            findings.add(draft.evidence(format!("the caller sees {}", unknown_authority(call.connection.consumer.program))));
        }
    }
}

/// What the listener serves, as the caller judges it.
fn served(host: &HostMaterial<'_>, call: &Call<'_>, findings: &mut HostFindings) {
    let pairs: Vec<&Pair> = call.listener.pairs.iter().filter_map(|index| host.wiring.pairs.get(*index)).collect();
    // Which one is shown in the end is not known.
    if pairs.iter().any(|pair| pair.placeholder) {
        return;
    }
    let leaves: Vec<(&Pair, &Cert)> = pairs.into_iter().filter_map(|pair| Some((pair, host.leaf(pair)?))).collect();
    if let (Some(name), Some((pair, leaf))) = (call.connection.name.as_deref().and_then(names::asked_for), leaves.first())
        && !leaves.iter().any(|(_, leaf)| names::covers(&leaf.facts, name))
    {
        let draft = call.about(&lints::CALL_NAME).file(Location::file(&pair.certificate)).expected(name).found(names::list(&leaf.facts));
        let log = match call.connection.consumer.program {
            program if program.is_go() => "the caller logs \"x509: certificate is valid for …, not …\" or \"doesn't contain any IP SANs\"",
            _ => "the caller logs \"Hostname mismatch\" or \"certificate verify failed\"",
        };
        findings.add(draft.evidence(log));
    }
    let Some(trust) = call.connection.trust.and_then(|index| host.wiring.trusts.get(index)) else { return };
    // Of several certificates the server picks one that the client can use: an RSA and an EC one lead to the same root.
    let refusals: Vec<_> = leaves
        .iter()
        .map(|(pair, leaf)| {
            (
                *pair,
                *leaf,
                accept::judge(host, &Shown { leaf, sent: sent(host, pair, leaf, call.listener.trust) }, trust, Some(Purpose::Server)),
            )
        })
        .collect();
    if refusals.iter().any(|(_, _, refusal)| refusal.is_none()) {
        return;
    }
    let Some((pair, leaf, Some(refusal))) = refusals.into_iter().next() else { return };
    let draft = |lint| files(call.about(lint), pair, trust).found(leaf.words());
    match refusal {
        Refusal::Said => {}
        Refusal::Deep(count) => findings.add(deep(draft(&lints::CALL_DEPTH), trust, count)),
        Refusal::Revoked(words) => {
            findings.add(draft(&lints::CALL_REVOKED).found(words).expected("certificates that no list revokes"));
        }
        Refusal::Purpose => findings.add(draft(&lints::CALL_SERVER_PURPOSE).expected("a certificate with serverAuth")),
        Refusal::Untrusted(why) => {
            let log = if call.connection.consumer.program.is_go() {
                "the caller logs \"x509: certificate signed by unknown authority\""
            } else {
                "the caller logs \"certificate verify failed: unable to get (local) issuer certificate\""
            };
            let draft =
                draft(&lints::CALL_SERVER_UNTRUSTED).expected(format!("a certificate that leads to {}", accept::roots(host, trust)));
            findings.add(draft.evidence(why).evidence(log));
        }
    }
}

/// What goes over the wire besides the leaf, what OpenSSL adds of its own list included.
fn sent<'a>(host: &'a HostMaterial<'_>, pair: &Pair, leaf: &Cert, list: Option<usize>) -> Vec<&'a Cert> {
    let mut sent = host.sent(pair, leaf);
    let own = list.and_then(|index| host.wiring.trusts.get(index)).filter(|_| sent.is_empty() && pair.consumer.program.completes());
    sent.extend(own.into_iter().flat_map(|trust| host.listed(trust)));
    sent
}

fn files(draft: NewFinding, pair: &Pair, trust: &Trust) -> NewFinding {
    let draft = trust.files.iter().fold(draft, |draft, path| draft.file(Location::file(path)));
    draft.file(Location::file(&pair.certificate)).file(trust.consumer.location.clone())
}

/// A path that is longer than its judge allows.
fn deep(draft: NewFinding, trust: &Trust, count: usize) -> NewFinding {
    let Some(depth) = &trust.terms.depth else { return draft };
    let how = if depth.is_set { "set" } else { "the default" };
    draft
        .file(trust.consumer.location.clone())
        .expected(format!("at most {} between leaf and root ({} {}, {how})", depth.most, depth.option, depth.most))
        .found(format!("{count} intermediates"))
        .evidence("\"unable to get local issuer certificate\", or \"certificate chain too long\"")
        .remedy(format!("set {} {count}", depth.option))
}

fn no_certificate(listener: &Program) -> &'static str {
    match listener.symptoms.no_certificate {
        Some(words) => words,
        None if listener.is_go() => "\"remote error: tls: certificate required\" (before TLS 1.3 \"bad certificate\")",
        None => "\"tlsv13 alert certificate required\" (before TLS 1.3 \"handshake failure\"), or 403",
    }
}

fn unknown_authority(caller: &Program) -> &'static str {
    match caller.symptoms.unknown_authority {
        Some(words) => words,
        None if caller.is_openssl() => "\"tlsv1 alert unknown ca\"",
        None => "\"remote error: tls: unknown certificate authority\"",
    }
}
