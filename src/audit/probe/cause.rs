//! Who refused whom, and why: from both ends of a handshake to one cause. It must never guess where the evidence names two causes: then it
//! says which.

use serde::Serialize;

use super::lints;
use super::remedy::Known;
use super::{Asking, Heard};
use crate::io::interview::{Answer, End};
use crate::io::starttls::NotGranted;
use crate::judge::assess::{Question, Requirements, assess};
use crate::judge::cert::{self, Facts};
use crate::judge::lint::Lint;
use crate::judge::wanted::Wanted;
use crate::model::audit::Verdict;
use crate::model::clock::Time;
use crate::model::profile::Purpose;

/// Who ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Both accept.
    Nobody,
    /// We do.
    Us,
    /// The server does.
    Server,
}

/// What we show: our leaf, and what is sent after it.
#[derive(Clone, Debug)]
pub struct Ours {
    /// The leaf.
    pub leaf: Facts,
    /// What is sent after it.
    pub above: Vec<Facts>,
}

/// The cause.
pub(super) struct Found {
    pub(super) lint: &'static Lint,
    pub(super) refused_by: Side,
    pub(super) alert: Option<String>,
    pub(super) text: String,
}

impl Found {
    fn new(lint: &'static Lint, refused_by: Side, text: impl Into<String>) -> Self {
        Self { lint, refused_by, alert: None, text: text.into() }
    }
}

/// The answer that says most: one with a chain, and of these one that was refused.
pub(super) const fn telling(heard: &Heard) -> &Answer {
    if heard.any.chain.is_empty() && !heard.tls12.chain.is_empty() { &heard.tls12 } else { &heard.any }
}

pub(super) fn find(asking: &Asking, heard: &Heard, known: Option<&Known>, at: Time) -> Found {
    let answer = telling(heard);
    if answer.chain.is_empty() {
        return without_chain(asking, heard, answer, known);
    }
    if let Some(found) = asking.trust.as_deref().and_then(|trust| ours(asking, answer, trust, at)) {
        return found;
    }
    if let Some(said) = &heard.said {
        return theirs(asking, answer, said, known, at);
    }
    let end = match (&heard.any.end, &heard.tls12.end) {
        // What TLS 1.2 says of a client certificate is final; TLS 1.3 may only have been slow to say it.
        (End::Accepted, End::Alert(alert)) if heard.tls12.client_auth.is_some() && is_about_certificates(alert) => &heard.tls12.end,
        (end, _) => end,
    };
    match end {
        End::Accepted => Found::new(&lints::ACCEPTED, Side::Nobody, accepted(asking, answer)),
        End::Alert(alert) => Found { alert: Some(alert.clone()), ..theirs(asking, answer, alert, known, at) },
        End::Closed if answer.client_auth.is_some() => theirs(asking, answer, "(closed without an alert)", known, at),
        End::Closed => {
            Found::new(&lints::SERVER_REFUSED, Side::Server, "the server closed the connection in the handshake without an alert")
        }
        End::Stalled => Found::new(&lints::STALLED, Side::Server, format!("{} began a handshake and did not end it", asking.address)),
        End::Broken(why) => Found::new(&lints::WE_REFUSED, Side::Us, format!("we could not go on: {why}")),
        End::PlainHttp | End::NotTls | End::InClear(_) | End::Unreachable(_) => without_chain(asking, heard, answer, known),
    }
}

fn is_about_certificates(alert: &str) -> bool {
    alert.contains("certificate") || alert == "unknown_ca" || alert == "handshake_failure" || alert == "access_denied"
}

fn accepted(asking: &Asking, answer: &Answer) -> String {
    let ours = match (&answer.client_auth, &asking.identity) {
        (None, _) => "it asks for no client certificate",
        (Some(_), Some(_)) => "it took our client certificate",
        (Some(_), None) => "it asks for a client certificate and lives without",
    };
    let theirs = match (&asking.trust, &answer.client_auth) {
        (Some(_), _) => "we trust its chain",
        (None, None) => "its chain was not judged, as no --trust was given",
        // What nginx thinks of a client it says in HTTP, and that is asked of a trusted server only.
        (None, Some(_)) => "its chain was not judged and it was not asked in HTTP whether it lets us in, as no --trust was given",
    };
    format!("{} lets us in: {ours}; {theirs}", asking.address)
}

/// No certificate was seen.
fn without_chain(asking: &Asking, heard: &Heard, answer: &Answer, known: Option<&Known>) -> Found {
    let address = &asking.address;
    if !heard.protocols.is_empty() && heard.protocols.iter().all(|name| matches!(*name, "TLSv1.0" | "TLSv1.1")) {
        let found =
            Found::new(&lints::OLD_TLS, Side::Server, format!("{address} speaks {} and nothing newer", heard.protocols.join(" and ")));
        return Found { alert: alert_of(answer), ..found };
    }
    if let Some(protocol) = heard.tried.starttls {
        let word = protocol.as_str();
        let text = format!("{address} speaks {} there, and TLS after STARTTLS: ask with --starttls {word}", word.to_uppercase());
        return Found::new(&lints::STARTTLS_WANTED, Side::Server, text);
    }
    let told = answer.end == End::Closed && known.is_some_and(|known| known.proxy_line);
    if heard.tried.proxy_line || told {
        let text = format!("{address} closes the connection at our hello: it wants a line of the PROXY protocol before it");
        return Found::new(&lints::PROXY_LINE, Side::Server, text);
    }
    match &answer.end {
        End::Alert(alert) if alert == "unrecognised_name" => {
            let text = match asking.server_name.parse::<std::net::IpAddr>() {
                Ok(_) => format!("{address} wants the name of a host, and none was sent: an address is no name (RFC 6066 §3)"),
                Err(_) => format!("{address} has no host named {} and refuses all others (RFC 6066 §3)", asking.server_name),
            };
            Found { alert: Some(alert.clone()), ..Found::new(&lints::NAME_UNKNOWN, Side::Server, text) }
        }
        End::Alert(alert) if alert == "handshake_failure" || alert == "insufficient_security" => {
            let text = if heard.tried.old_suites {
                format!("{address} takes cipher suites of TLS 1.2 without ECDHE or with CBC only, and none of those that we offer")
            } else {
                format!("{address} found no common cipher suite, group or signature scheme in what we offer")
            };
            Found { alert: Some(alert.clone()), ..Found::new(&lints::NO_COMMON, Side::Server, text) }
        }
        End::PlainHttp => Found::new(&lints::PLAIN_HTTP, Side::Server, format!("{address} answers a TLS hello in plain HTTP")),
        End::NotTls => Found::new(&lints::NOT_TLS, Side::Server, format!("{address} answers a TLS hello with something that is no TLS")),
        End::Unreachable(why) => Found::new(&lints::UNREACHABLE, Side::Server, why.clone()),
        End::InClear(why @ NotGranted::Injected) => Found::new(&lints::STARTTLS_INJECTED, Side::Us, format!("{address} {why}")),
        End::InClear(why) => Found::new(&lints::STARTTLS_REFUSED, Side::Server, format!("{address} {why}")),
        End::Stalled => Found::new(&lints::STALLED, Side::Server, format!("{address} takes connections and sends no certificate in time")),
        End::Alert(alert) => {
            let text = format!("{address} ended the handshake with the alert {alert} before it showed a certificate");
            Found { alert: Some(alert.clone()), ..Found::new(&lints::SERVER_REFUSED, Side::Server, text) }
        }
        End::Closed => {
            let text = format!(
                "{address} closed the connection at our hello without a word: it wants a line of the PROXY protocol before TLS (it stands behind a load \
                 balancer), or it refuses our address"
            );
            Found::new(&lints::SERVER_REFUSED, Side::Server, text)
        }
        End::Broken(why) => Found::new(&lints::WE_REFUSED, Side::Us, format!("{address}: {why}")),
        End::Accepted => Found::new(&lints::WE_REFUSED, Side::Us, format!("{address} showed no certificate")),
    }
}

fn alert_of(answer: &Answer) -> Option<String> {
    match &answer.end {
        End::Alert(alert) => Some(alert.clone()),
        _ => None,
    }
}

/// Why we refuse the server's chain, if we do: by path, purpose and name, as any client does.
fn ours(asking: &Asking, answer: &Answer, trust: &[Vec<u8>], at: Time) -> Option<Found> {
    let (leaf, sent) = answer.chain.split_first()?;
    let name = asking.server_name.parse().map_or_else(|_| Wanted::Dns(asking.server_name.clone()), Wanted::Ip);
    let asked = Requirements { purpose: Some(Purpose::Server), names: vec![name], path_only: true, ..Requirements::default() };
    let assessment = assess(&Question { leaf, candidates: sent, anchors: trust, crls: &[], spki: None, asked: &asked, at });
    if assessment.verdict == Verdict::Accept {
        return None;
    }
    let high: Vec<&crate::model::finding::Finding> = assessment.findings.iter().filter(|finding| finding.blocks()).collect();
    let says = |area: &str| high.iter().find(|finding| finding.id.starts_with(area));
    // In the order in which a person would mend them.
    let order: [(&str, &'static Lint); 9] = [
        ("anchor.other-key", &lints::ROOT_OTHER_KEY),
        ("validity.", &lints::SERVER_EXPIRED),
        ("path.ca-not-valid-now", &lints::SERVER_EXPIRED),
        ("anchor.not-valid-now", &lints::SERVER_EXPIRED),
        ("path.missing-intermediate", &lints::SERVER_INCOMPLETE),
        ("path.", &lints::SERVER_UNTRUSTED),
        ("anchor.", &lints::SERVER_UNTRUSTED),
        ("eku.", &lints::SERVER_EKU),
        ("name.", &lints::SERVER_NAME),
    ];
    let first = order.into_iter().find_map(|(area, lint)| says(area).map(|finding| (lint, finding)));
    let text = |finding: &crate::model::finding::Finding| format!("expected {}, found {}", finding.expected, finding.found);
    Some(match first {
        Some((lint, finding)) => {
            Found::new(lint_of_missing(lint, answer), Side::Us, format!("{}: {}", lint_of_missing(lint, answer).title, text(finding)))
        }
        None => {
            let why = high.first().map_or_else(|| "there is no path to what we trust".to_owned(), |finding| text(finding));
            Found::new(&lints::SERVER_UNTRUSTED, Side::Us, why)
        }
    })
}

/// A path that breaks off above a chain which came up to a root is a matter of trust, not of a missing intermediate.
fn lint_of_missing(lint: &'static Lint, answer: &Answer) -> &'static Lint {
    let complete = answer.chain.iter().filter_map(|der| Facts::parse(der).ok()).any(|facts| facts.self_issued());
    if lint.id == lints::SERVER_INCOMPLETE.id && (complete || answer.chain.len() > 1) { &lints::SERVER_UNTRUSTED } else { lint }
}

/// Why the server refuses us.
fn theirs(asking: &Asking, answer: &Answer, alert: &str, known: Option<&Known>, at: Time) -> Found {
    let server = |lint, text: String| Found::new(lint, Side::Server, text);
    let Some(issuers) = &answer.client_auth else {
        return server(
            &lints::SERVER_REFUSED,
            format!("{} ended the handshake with the alert {alert}, without asking for a client certificate", asking.address),
        );
    };
    let Some((_, ours)) = &asking.identity else {
        return server(
            &lints::CLIENT_NOT_SENT,
            format!("{} asks for a client certificate, none was sent, and it says {alert}", asking.address),
        );
    };
    let leaf = &ours.leaf;
    if !leaf.valid_at(at) {
        return server(
            &lints::CLIENT_EXPIRED,
            format!("our {} is valid from {} to {}, and the server says {alert}", leaf.subject, leaf.not_before, leaf.not_after),
        );
    }
    const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
    if leaf.extensions.eku.as_ref().is_some_and(|eku| !eku.values.iter().any(|oid| oid == CLIENT_AUTH || oid == "2.5.29.37.0")) {
        return server(&lints::CLIENT_EKU, format!("our {} lacks clientAuth, and the server says {alert}", leaf.subject));
    }
    by_list(asking, ours, issuers, alert, known)
}

/// Whether one of the certificates that we trust is the self-signed root of this name.
fn is_root(asking: &Asking, name: &[u8]) -> bool {
    let roots = asking.trust.iter().flatten().filter_map(|der| Facts::parse(der).ok());
    roots.into_iter().any(|root| root.self_issued() && root.subject.der == name)
}

/// By the server's own list where we can read it, else by the issuers that it names.
fn by_list(asking: &Asking, ours: &Ours, issuers: &[Vec<u8>], alert: &str, known: Option<&Known>) -> Found {
    let server = |lint: &'static Lint, text: String| Found::new(lint, Side::Server, format!("{text}; it says {alert}"));
    let trusted: Option<Vec<Vec<u8>>> =
        known.and_then(|known| known.trusted.as_ref()).map(|list| list.iter().map(|facts| facts.subject.der.clone()).collect());
    let names: &[Vec<u8>] = trusted.as_deref().unwrap_or(issuers);
    let leaf = &ours.leaf;
    if names.is_empty() {
        return server(
            &lints::CLIENT_UNTRUSTED,
            format!(
                "{} refuses our {} of {} and names no issuers: its list lacks that issuer, or holds the intermediate without the root",
                asking.address, leaf.subject, leaf.issuer
            ),
        );
    }
    let has = |name: &[u8]| names.iter().any(|known| known == name);
    let shown: Vec<String> = names.iter().map(|der| cert::distinguished_name(der)).collect();
    let shown = shown.join("; ");
    // From our leaf upwards: each name that stands above what we send.
    let tops: Vec<&[u8]> = std::iter::once(leaf).chain(&ours.above).map(|facts| facts.issuer.der.as_slice()).collect();
    let root = tops.last().copied().unwrap_or_default();
    match (has(root), has(&leaf.issuer.der)) {
        (true, _) if ours.above.is_empty() || leaf.issuer.der != root => server(
            &lints::CLIENT_UNTRUSTED,
            format!("{} accepts {shown}, which is above our {}, and refuses it all the same", asking.address, leaf.subject),
        ),
        (false, true) => server(
            &lints::CLIENT_ROOT,
            format!("{} accepts {shown}, but not {}, the root above our {}", asking.address, cert::distinguished_name(root), leaf.subject),
        ),
        // Its issuer is a root that we hold ourselves: nothing is missing between them.
        (false, false) if ours.above.is_empty() && is_root(asking, &leaf.issuer.der) => server(
            &lints::CLIENT_OTHER_CA,
            format!("our {} is of the root {}; {} accepts {shown}", leaf.subject, leaf.issuer, asking.address),
        ),
        (false, false) if ours.above.is_empty() => server(
            &lints::CLIENT_INCOMPLETE,
            format!("we send {} alone; {} accepts {shown} and has no way from there to {}", leaf.subject, asking.address, leaf.issuer),
        ),
        _ => server(&lints::CLIENT_OTHER_CA, format!("our {} is of {}; {} accepts {shown}", leaf.subject, leaf.issuer, asking.address)),
    }
}
