//! Both ends of a call on one host: whether they speak the same protocol, show each other what is asked for, and accept what they are shown.
//! It must never judge a pair or a trust list by itself: that is said where they are named.

mod accept;
mod meet;

use super::blocks::Cert;
use super::room::{Room, completes, is_go, is_openssl};
use super::{lints, names};
use crate::audit::sheet::{Draft, Sheet};
use crate::audit::wiring::{ClientAuth, Connection, Listener, Pair, Service, Trust};
use crate::judge::lint::Lint;
use crate::model::audit::{Object, Place};
use crate::model::profile::Purpose;
use accept::{Refusal, Shown};

/// A call whose other end is on this host.
struct Call<'a> {
    connection: &'a Connection,
    listener: &'a Listener,
}

impl Call<'_> {
    fn about(&self, lint: &'static Lint) -> Draft {
        let (from, to) = (&self.connection.consumer, &self.listener.consumer);
        let object = Object::file(&from.place.path);
        let draft = Draft::new(lint, from.target.clone().at_line(from.place.line), object).file(from.place.clone()).file(to.place.clone());
        draft.evidence(format!("{} calls {}:{}, where {} listens", from.target, self.connection.host, self.connection.port, to.target))
    }
}

/// Judges every call that this host makes to itself.
pub(super) fn judge(room: &Room<'_>, sheet: &mut Sheet) {
    for connection in &room.wiring.connections {
        if let Some(listener) = meet::listener(room, connection, sheet.host()) {
            one(room, &Call { connection, listener }, sheet);
        }
    }
}

fn one(room: &Room<'_>, call: &Call<'_>, sheet: &mut Sheet) {
    match (call.connection.tls, call.listener.tls) {
        (false, false) => {}
        (false, true) => {
            let log = match call.listener.consumer.service {
                Service::Nginx => "the caller gets \"400 The plain HTTP request was sent to HTTPS port\"",
                service if is_go(service) => "the listener logs \"client sent an HTTP request to an HTTPS server\"",
                _ => "the listener logs \"http request\" or \"wrong version number\", and the caller sees the connection closed",
            };
            sheet.add(call.about(&lints::CALL_PLAIN).expected("TLS").found("plain HTTP").evidence(log));
        }
        (true, false) => {
            let log = if is_go(call.connection.consumer.service) {
                "the caller logs \"http: server gave HTTP response to HTTPS client\" or \"tls: first record does not look like a TLS handshake\""
            } else {
                "the caller logs \"wrong version number\""
            };
            sheet.add(call.about(&lints::CALL_TLS).expected("a port that speaks TLS").found("one that speaks plain HTTP").evidence(log));
        }
        (true, true) => {
            shown(room, call, sheet);
            served(room, call, sheet);
        }
    }
}

/// What the caller shows, as the listener judges it.
fn shown(room: &Room<'_>, call: &Call<'_>, sheet: &mut Sheet) {
    let listener = call.listener;
    if listener.client_auth == ClientAuth::No {
        return;
    }
    let Some(pair) = call.connection.pair.and_then(|index| room.wiring.pairs.get(index)) else {
        if listener.client_auth == ClientAuth::Required {
            let draft = call.about(&lints::CALL_NO_CERTIFICATE).expected("a client certificate").found("none is configured");
            sheet.add(
                draft
                    .evidence(format!("the caller sees {}", no_certificate(listener.consumer.service)))
                    .breaks(&call.connection.consumer.target.to_string()),
            );
        }
        return;
    };
    let Some(trust) = listener.trust.and_then(|index| room.wiring.trusts.get(index)) else { return };
    let Some(leaf) = room.leaf(pair) else { return };
    let refusal = accept::judge(room, &Shown { leaf, sent: sent(room, pair, leaf, None) }, trust, pair.asked().map(|_| Purpose::Client));
    let draft = |lint| files(call.about(lint), pair, trust).found(leaf.words());
    match refusal {
        None | Some(Refusal::Said) => {}
        Some(Refusal::Purpose) => sheet.add(
            draft(&lints::CALL_CLIENT_PURPOSE)
                .expected("a certificate with clientAuth")
                .evidence(format!("{} answers with the alert \"unsupported certificate\"", listener.consumer.target)),
        ),
        Some(Refusal::Untrusted(why)) => {
            let draft = draft(&lints::CALL_CLIENT_UNTRUSTED)
                .expected(format!("a certificate that leads to {}", accept::roots(room, trust)))
                .evidence(why);
            sheet.add(draft.evidence(format!("the caller sees {}", unknown_authority(call.connection.consumer.service))));
        }
    }
}

/// What the listener serves, as the caller judges it.
fn served(room: &Room<'_>, call: &Call<'_>, sheet: &mut Sheet) {
    let pairs: Vec<&Pair> = call.listener.pairs.iter().filter_map(|index| room.wiring.pairs.get(*index)).collect();
    let leaves: Vec<(&Pair, &Cert)> = pairs.into_iter().filter_map(|pair| Some((pair, room.leaf(pair)?))).collect();
    if let (Some(name), Some((pair, leaf))) = (call.connection.name.as_deref().and_then(names::asked_for), leaves.first())
        && !leaves.iter().any(|(_, leaf)| names::covers(&leaf.facts, name))
    {
        let draft = call.about(&lints::CALL_NAME).file(Place::file(&pair.certificate)).expected(name).found(names::list(&leaf.facts));
        let log = match call.connection.consumer.service {
            service if is_go(service) => "the caller logs \"x509: certificate is valid for …, not …\" or \"doesn't contain any IP SANs\"",
            _ => "the caller logs \"Hostname mismatch\" or \"certificate verify failed\"",
        };
        sheet.add(draft.evidence(log));
    }
    let Some(trust) = call.connection.trust.and_then(|index| room.wiring.trusts.get(index)) else { return };
    // Of several certificates the server picks one that the client can use: an RSA and an EC one lead to the same root.
    let refusals: Vec<_> = leaves
        .iter()
        .map(|(pair, leaf)| {
            (
                *pair,
                *leaf,
                accept::judge(room, &Shown { leaf, sent: sent(room, pair, leaf, call.listener.trust) }, trust, Some(Purpose::Server)),
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
        Refusal::Purpose => sheet.add(draft(&lints::CALL_SERVER_PURPOSE).expected("a certificate with serverAuth")),
        Refusal::Untrusted(why) => {
            let log = if is_go(call.connection.consumer.service) {
                "the caller logs \"x509: certificate signed by unknown authority\""
            } else {
                "the caller logs \"certificate verify failed: unable to get (local) issuer certificate\""
            };
            let draft =
                draft(&lints::CALL_SERVER_UNTRUSTED).expected(format!("a certificate that leads to {}", accept::roots(room, trust)));
            sheet.add(draft.evidence(why).evidence(log));
        }
    }
}

/// What goes over the wire besides the leaf, what OpenSSL adds of its own list included.
fn sent<'a>(room: &'a Room<'_>, pair: &Pair, leaf: &Cert, list: Option<usize>) -> Vec<&'a Cert> {
    let mut sent = room.sent(pair, leaf);
    let own = list.and_then(|index| room.wiring.trusts.get(index)).filter(|_| sent.is_empty() && completes(pair.consumer.service));
    sent.extend(own.into_iter().flat_map(|trust| room.listed(trust)));
    sent
}

fn files(draft: Draft, pair: &Pair, trust: &Trust) -> Draft {
    let draft = trust.files.iter().fold(draft, |draft, path| draft.file(Place::file(path)));
    draft.file(Place::file(&pair.certificate)).file(trust.consumer.place.clone())
}

fn no_certificate(listener: Service) -> &'static str {
    match listener {
        Service::Nginx => "\"400 No required SSL certificate was sent\"",
        service if is_go(service) => "\"remote error: tls: certificate required\" (before TLS 1.3 \"bad certificate\")",
        _ => "\"tlsv13 alert certificate required\" (before TLS 1.3 \"handshake failure\"), or 403",
    }
}

fn unknown_authority(caller: Service) -> &'static str {
    if is_openssl(caller) && caller != Service::Nginx {
        "\"tlsv1 alert unknown ca\""
    } else if caller == Service::Nginx {
        "\"SSL_do_handshake() failed … alert unknown ca\" in its error log"
    } else {
        "\"remote error: tls: unknown certificate authority\""
    }
}
