//! What is served, beside what the files say should be: old certificates, other ones, plain HTTP. It sends no application data.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;

use crate::audit::facts::chains;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::given::Given;
use crate::audit::facts::wiring::{Listener, Wiring};
use crate::config::settings::{Certificate, ServerName, Settings};
use crate::io::handshake::{self, NotSeen, Seen};
use crate::io::look::View;
use crate::judge::assess::{Question, Requirements, assess};
use crate::judge::cert::Facts;
use crate::judge::lint::{Findings, catalogue};
use crate::judge::pem;
use crate::judge::wanted::Wanted;
use crate::model::audit::{Location, Object, Target};
use crate::model::clock::{Clock, Time};
use crate::model::finding::Severity;
use crate::model::layout;
use crate::model::profile::Purpose;

catalogue! {
    STALE = "served.stale", High, open, "the file was renewed, and the old certificate is still served", "reload the service, and look for the reload in what renews the file: a swap without a reload changes nothing";
    OTHER = "served.other", High, open, "another certificate is served than the file holds", "find out which process listens there and which file it was told to serve; reload it";
    PLAIN = "served.plain-http", High, open, "plain HTTP is spoken where TLS is configured", "turn TLS on at that listener, or call it by http:// where that is meant";
    UNREACHABLE = "served.unreachable", Medium, open, "nobody answers where a service is configured to listen", "start the service, or correct the address";
    REFUSED = "served.refused", Medium, open, "the handshake was refused before a certificate was shown", "run omens probe on the address: it says who refuses whom";
}

/// For one handshake.
const DEADLINE: Duration = Duration::from_secs(4);

/// A leaf that should be served.
#[derive(Clone, Debug)]
struct Leaf {
    facts: Facts,
    location: Location,
    since: Option<Time>,
}

/// An endpoint, and what should be seen there.
#[derive(Clone, Debug)]
pub struct EndpointCheck {
    target: handshake::Target,
    /// As findings name it: loopback addresses are another thing on every host.
    object: Object,
    wanted: Vec<Leaf>,
    location: Option<Location>,
    /// A person asked for it: what is served is judged, not only compared.
    asked_for: bool,
}

/// What to look at on this host: every TLS listener whose files were read, and the `verify` addresses of our own settings.
#[must_use]
pub fn endpoints(view: &View, wiring: &Wiring, settings: Option<&Settings>, host: &str) -> Vec<EndpointCheck> {
    let mut all: BTreeMap<String, EndpointCheck> = BTreeMap::new();
    for listener in wiring.listeners.iter().filter(|listener| listener.tls) {
        let leaves: Vec<Leaf> = listener.pairs.iter().filter_map(|pair| leaf(view, &wiring.pairs.get(*pair)?.certificate)).collect();
        if !leaves.is_empty() {
            insert(&mut all, of_listener(listener, host), &leaves, Some(listener.consumer.location.clone()), host);
        }
    }
    for certificate in settings.into_iter().flat_map(|settings| &settings.certificates) {
        own(view, settings, certificate, host, &mut all);
    }
    all.into_values().collect()
}

fn own(view: &View, settings: Option<&Settings>, certificate: &Certificate, host: &str, all: &mut BTreeMap<String, EndpointCheck>) {
    let Some(settings) = settings else { return };
    let path = settings.paths.run.join(certificate.name().as_str()).join(layout::LIVE).join(layout::CERT);
    let Some(leaf) = leaf(view, &path) else { return };
    for endpoint in &certificate.verify {
        let name = match &endpoint.server_name {
            ServerName::Dns(name) => name.clone(),
            ServerName::Ip(address) => address.to_string(),
        };
        let target = handshake::Target {
            server_name: name,
            starttls: endpoint.starttls,
            ..handshake::Target::at(endpoint.address.clone(), DEADLINE)
        };
        insert(all, target, std::slice::from_ref(&leaf), Some(Location::file(&settings.file)), host);
    }
}

/// One check for each kind of key: a block with an RSA and an EC certificate answers by what is offered
/// ([Proof on the wire](crate::cli#proof-on-the-wire)).
fn insert(all: &mut BTreeMap<String, EndpointCheck>, target: handshake::Target, leaves: &[Leaf], location: Option<Location>, host: &str) {
    for leaf in leaves {
        let only = leaf.facts.key.algorithm;
        let key = format!("{} {} {only:?}", target.address, target.server_name);
        let object = object(&target, host);
        let check = all.entry(key).or_insert_with(|| EndpointCheck {
            target: handshake::Target { only, ..target.clone() },
            object,
            wanted: Vec::new(),
            location: location.clone(),
            asked_for: false,
        });
        check.wanted.push(leaf.clone());
    }
}

/// A HOST:PORT that a person gave.
#[must_use]
pub fn asked(address: &str, server_name: Option<&str>, host: &str) -> EndpointCheck {
    let name = server_name.unwrap_or_else(|| address.rsplit_once(':').map_or(address, |(name, _)| name).trim_matches(['[', ']']));
    let target = handshake::Target { server_name: name.to_owned(), ..handshake::Target::at(address.to_owned(), DEADLINE) };
    EndpointCheck { object: object(&target, host), target, wanted: Vec::new(), location: None, asked_for: true }
}

fn object(target: &handshake::Target, host: &str) -> Object {
    let local = ["127.", "[::1]", "localhost:"].iter().any(|start| target.address.starts_with(start));
    let at = if local { format!("{host}/{}", target.address) } else { target.address.clone() };
    Object::Endpoint(format!("{at} {}", target.server_name))
}

fn of_listener(listener: &Listener, host: &str) -> handshake::Target {
    let everywhere = ["", "*", "0.0.0.0", "::", "[::]"].contains(&listener.host.as_str());
    let bare = listener.host.trim_matches(['[', ']']);
    let at = match (everywhere, bare.contains(':')) {
        (true, _) => "127.0.0.1".to_owned(),
        (false, true) => format!("[{bare}]"),
        (false, false) => bare.to_owned(),
    };
    let usable = |name: &&String| !name.contains('*') && !name.starts_with('~') && name.as_str() != "_" && !name.is_empty();
    let name = listener.names.iter().find(usable).cloned().unwrap_or_else(|| host.to_owned());
    handshake::Target { server_name: name, ..handshake::Target::at(format!("{at}:{}", listener.port), DEADLINE) }
}

/// The first certificate of a file.
fn leaf(view: &View, path: &std::path::Path) -> Option<Leaf> {
    let none = BTreeMap::new();
    let der = pem::read(&view.text(path).ok()?, &mut Findings::new(&none)).into_iter().next()?;
    let since = view.meta(path).ok().map(|meta| meta.modified);
    Some(Leaf { facts: Facts::parse(&der).ok()?, location: Location::file(path), since })
}

/// Looks everywhere at once.
pub async fn judge_all(checks: &[EndpointCheck], given: &Given, clock: Clock, findings: &mut HostFindings) {
    let seen = join_all(checks.iter().map(|check| handshake::look(&check.target, clock))).await;
    for (check, seen) in checks.iter().zip(seen) {
        match seen {
            Ok(seen) => compare(check, &seen, given, findings),
            Err(why) => not_seen(check, &why, findings),
        }
    }
}

fn target_of(check: &EndpointCheck) -> Target {
    Target::new("endpoint", &check.target.address)
}

fn draft(check: &EndpointCheck, lint: &'static crate::judge::lint::Lint) -> NewFinding {
    let draft = NewFinding::new(lint, target_of(check), check.object.clone()).evidence(format!("server name {}", check.target.server_name));
    check.wanted.iter().map(|leaf| leaf.location.clone()).chain(check.location.clone()).fold(draft, NewFinding::file)
}

fn compare(check: &EndpointCheck, seen: &Seen, given: &Given, findings: &mut HostFindings) {
    let Some(served) = seen.chain.first().and_then(|der| Facts::parse(der).ok()) else { return };
    let words = |facts: &Facts| format!("{}, serial {}, from {} to {}", facts.subject, facts.serial, facts.not_before, facts.not_after);
    if let Some(newest) = check.wanted.iter().max_by_key(|leaf| leaf.facts.not_before)
        && !check.wanted.iter().any(|leaf| leaf.facts.sha256 == served.sha256)
    {
        let stale = served.subject.der == newest.facts.subject.der && served.not_before <= newest.facts.not_before;
        let draft = draft(check, if stale { &STALE } else { &OTHER }).expected(words(&newest.facts)).found(words(&served));
        findings.add(match newest.since {
            Some(since) => draft.since(since),
            None => draft,
        });
    }
    if check.asked_for {
        judge(check, seen, given, findings);
    }
}

/// The chain as it was sent, by the roots that were given.
fn judge(check: &EndpointCheck, seen: &Seen, given: &Given, findings: &mut HostFindings) {
    let Some((leaf, sent)) = seen.chain.split_first() else { return };
    let name = &check.target.server_name;
    let wanted = name.parse().map_or_else(|_| Wanted::Dns(name.clone()), Wanted::Ip);
    let names = if given.asked.names.is_empty() { vec![wanted] } else { given.asked.names.clone() };
    let asked = Requirements { purpose: given.asked.purpose.or(Some(Purpose::Server)), names, ..given.asked.clone() };
    // What is not sent is not there for the peer: `intermediates` are no help.
    let question =
        Question { leaf, candidates: sent, anchors: &given.anchors, crls: &given.crls, spki: None, asked: &asked, at: findings.at() };
    let assessment = assess(&question);
    let object = assessment.facts.as_ref().map_or_else(|| check.object.clone(), |facts| Object::certificate(&facts.sha256));
    for finding in &assessment.findings {
        if let Some(draft) = NewFinding::of(finding, target_of(check), object.clone()) {
            findings.add(given.placed(finding, draft));
        }
    }
    findings.chain(chains::chain(target_of(check), &assessment, findings.at()));
}

fn not_seen(check: &EndpointCheck, why: &NotSeen, findings: &mut HostFindings) {
    let lint = match why {
        NotSeen::Refused { plain_http: true, .. } => &PLAIN,
        NotSeen::Refused { .. } | NotSeen::InClear { .. } => &REFUSED,
        NotSeen::Stalled(_) | NotSeen::Unreachable(_) => &UNREACHABLE,
    };
    let found = draft(check, lint).found(why.to_string());
    findings.add(if check.asked_for { found.severity(Severity::High) } else { found });
}
