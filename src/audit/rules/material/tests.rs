//! Estates with one defect each, and healthy ones.

use rcgen::{DnType, ExtendedKeyUsagePurpose as Eku, KeyPair};

use super::estate::{CERT, Estate, KEY, ROOT, client, connection, ids, listener, pair, pems, stranger, trust};
use std::path::Path;

use crate::audit::consumer::{keylime, nginx, openbao, spire};
use crate::audit::facts::findings::HostFindings;
use crate::audit::facts::given::Given;
use crate::audit::facts::wiring::{ClientAuth, Needs};
use crate::io::look::View;
use crate::judge::assess::Requirements;
use crate::judge::kit::{self as certs, Authority, DAY, now};
use crate::model::audit::{Document, Verdict};
use crate::model::finding::Severity;
use crate::model::profile::Purpose;

/// One defect: what it is, how it comes about, and the finding that must name it.
type Row = (&'static str, fn(&mut Estate), &'static str, Severity);

fn found<'d>(document: &'d Document, id: &str) -> &'d crate::model::audit::Finding {
    let all = || document.findings.iter().map(|f| (f.id.as_str(), f.severity, f.found.as_str())).collect::<Vec<_>>();
    document.findings.iter().find(|f| f.id == id).unwrap_or_else(|| panic!("no {id} in {:?}", all()))
}

fn check(rows: &[Row]) {
    for (what, change, id, severity) in rows {
        let mut estate = Estate::new();
        change(&mut estate);
        let document = estate.audit();
        let finding = found(&document, id);
        assert_eq!(finding.severity, *severity, "{what}: {finding:?}");
        assert!(!finding.remedy.is_empty() && !finding.files.is_empty(), "{what}: {finding:?}");
        let others: Vec<String> = ids(&document, Severity::High).into_iter().filter(|other| other != id).collect();
        assert!(others.is_empty(), "{what}: besides {id} {others:?}");
    }
}

#[test]
fn a_healthy_pair_gives_nothing_at_all() {
    let document = Estate::new().audit();
    // Its names hold localhost, which no judge of chains likes.
    assert_eq!(ids(&document, Severity::Info), ["name.localhost"]);
    assert_eq!((document.chains.len(), document.chains[0].verdict, document.chains[0].links.len()), (1, Verdict::Accept, 3));
    assert!(document.chains[0].elapsed.unwrap() < 0.01);
}

const FILES: &[Row] = &[
    ("certificate absent", |e| e.remove(CERT), "pair.certificate-absent", Severity::High),
    (
        "a dangling link",
        |e| {
            e.remove(CERT);
            e.link(CERT, "/etc/tls/gone.pem");
        },
        "pair.certificate-absent",
        Severity::High,
    ),
    (
        "a link to itself",
        |e| {
            e.remove(CERT);
            e.link(CERT, CERT);
        },
        "pair.certificate-absent",
        Severity::High,
    ),
    ("a directory", |e| e.wiring.pairs[0].certificate = "/etc/tls".into(), "pair.certificate-absent", Severity::High),
    ("key absent", |e| e.remove(KEY), "pair.key-absent", Severity::High),
    ("certificate empty", |e| e.put(CERT, "\n", 0o644), "pair.certificate-empty", Severity::High),
    ("key empty", |e| e.put(KEY, "", 0o600), "pair.no-key", Severity::High),
    ("a key instead of the certificate", |e| e.put(CERT, e.pki.key.serialize_pem(), 0o600), "pair.no-certificate", Severity::High),
    ("a certificate instead of the key", |e| e.put(KEY, pems(&[&e.pki.leaf()]), 0o600), "pair.no-key", Severity::High),
    ("DER", |e| e.put(CERT, e.pki.leaf(), 0o644), "pair.certificate-der", Severity::High),
    (
        "truncated",
        |e| {
            let text = pems(&[&e.pki.leaf()]);
            e.put(CERT, &text[..text.len() - 60], 0o644);
        },
        "pair.certificate-malformed",
        Severity::High,
    ),
    (
        "truncated key",
        |e| {
            let text = e.pki.key.serialize_pem();
            e.put(KEY, &text[..100], 0o600);
        },
        "pair.key-malformed",
        Severity::High,
    ),
    ("another key", |e| e.put(KEY, certs::key().serialize_pem(), 0o600), "pair.mismatch", Severity::High),
    (
        "encrypted",
        |e| e.put(KEY, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", 0o600),
        "pair.key-encrypted",
        Severity::High,
    ),
    (
        "glued",
        |e| {
            let text = pems(&[&e.pki.leaf(), &e.pki.middle.der]).replace("-----\n-----", "----------");
            e.put(CERT, text, 0o644);
        },
        "pem.glued",
        Severity::High,
    ),
    (
        "indented",
        |e| {
            let text = pems(&[&e.pki.leaf(), &e.pki.middle.der]).replace("-----BEGIN", " -----BEGIN");
            e.put(CERT, text, 0o644);
        },
        "pem.indented",
        Severity::High,
    ),
    (
        "byte order mark",
        |e| {
            let text = format!("\u{feff}{}", pems(&[&e.pki.leaf(), &e.pki.middle.der]));
            e.put(CERT, text, 0o644);
        },
        "pem.bom",
        Severity::Medium,
    ),
    (
        "Windows",
        |e| {
            let text = pems(&[&e.pki.leaf(), &e.pki.middle.der]).replace('\n', "\r\n");
            e.put(CERT, text, 0o644);
        },
        "pem.crlf",
        Severity::Low,
    ),
];

#[test]
fn what_is_wrong_with_the_files_of_a_pair_is_named() {
    check(FILES);
}

const CHAINS: &[Row] = &[
    (
        "self-signed",
        |e| {
            let cert = certs::leaf().self_signed(&e.pki.key).unwrap();
            e.put(CERT, pems(&[cert.der()]), 0o644);
        },
        "cert.self-signed",
        Severity::Low,
    ),
    (
        "another PKI",
        |e| {
            let (_, middle, leaf, key) = stranger(|_| {});
            e.put(CERT, pems(&[&leaf, &middle.der]), 0o644);
            e.put(KEY, key.serialize_pem(), 0o600);
        },
        "path.issuer-unknown",
        Severity::Low,
    ),
    ("root sent", |e| e.put(CERT, pems(&[&e.pki.leaf(), &e.pki.middle.der, &e.pki.root.der]), 0o644), "chain.root-included", Severity::Low),
    ("twice", |e| e.put(CERT, pems(&[&e.pki.leaf(), &e.pki.middle.der, &e.pki.middle.der]), 0o644), "chain.duplicate", Severity::Low),
    (
        "leaf twice",
        |e| {
            let leaf = e.pki.leaf();
            e.put(CERT, pems(&[&leaf, &leaf, &e.pki.middle.der]), 0o644);
        },
        "chain.leaf-included",
        Severity::Low,
    ),
    (
        "a stranger",
        |e| e.put(CERT, pems(&[&e.pki.leaf(), &e.pki.middle.der, &Authority::root("Plun-Darr").below("Castle").der]), 0o644),
        "chain.surplus",
        Severity::Low,
    ),
    (
        "no EKU",
        |e| {
            let leaf = e.leaf(|p| p.extended_key_usages.clear());
            e.serve(&leaf);
        },
        "eku.absent",
        Severity::High,
    ),
    (
        "for clients",
        |e| {
            let leaf = e.leaf(client);
            e.serve(&leaf);
        },
        "eku.missing",
        Severity::High,
    ),
    (
        "no names",
        |e| {
            let leaf = e.leaf(|p| p.subject_alt_names.clear());
            e.serve(&leaf);
        },
        "name.absent",
        Severity::High,
    ),
    (
        "an intermediate that ends first",
        |e| {
            let mut params = certs::ca(certs::INTERMEDIATE);
            params.not_after = certs::time(now().plus(DAY / 2));
            let middle = e.pki.root.below_as(params, KeyPair::from_pem(&e.pki.middle.key.serialize_pem()).unwrap());
            let leaf = e.leaf(|p| p.not_after = certs::time(now().plus(DAY / 4)));
            e.put(CERT, pems(&[&leaf, &middle.der]), 0o644);
        },
        "ca.expires-soon",
        Severity::Medium,
    ),
    ("leaf not first", |e| e.put(CERT, pems(&[&e.pki.middle.der, &e.pki.leaf()]), 0o644), "chain.leaf-not-first", Severity::High),
    ("expired", |e| e.at = now().plus(2 * DAY), "validity.expired", Severity::High),
    ("not yet valid", |e| e.at = now().plus(-3600), "validity.not-yet-valid", Severity::High),
    ("late", |e| e.at = now().plus(DAY - 3600), "validity.expires-soon", Severity::Medium),
    ("names", |e| e.wiring.pairs[0].names = vec!["auth.funlab.casa".into()], "name.not-covered", Severity::High),
    (
        "one name of two",
        |e| e.wiring.pairs[0].names = vec!["auth.funlab.casa".into(), "web.funlab.casa".into()],
        "name.not-covered",
        Severity::Medium,
    ),
    (
        "agent",
        |e| {
            let leaf = e.leaf(|p| {
                p.extended_key_usages.push(Eku::ClientAuth);
                p.distinguished_name.push(DnType::CommonName, "agent");
            });
            e.serve(&leaf);
            e.wiring.pairs[0].consumer.program = &keylime::programs::AGENT;
        },
        "keylime.agent-administrator",
        Severity::High,
    ),
];

#[test]
fn what_is_wrong_with_the_chain_is_named() {
    check(CHAINS);
}

#[test]
fn a_missing_intermediate_is_found_where_it_lies() {
    let estate = Estate::new();
    estate.put(CERT, pems(&[&estate.pki.leaf()]), 0o644);
    estate.put("/etc/tls/intermediate.crt", pems(&[&estate.pki.middle.der]), 0o644);
    let document = estate.audit();
    let finding = found(&document, "path.missing-intermediate");
    assert_eq!(finding.severity, Severity::High);
    assert!(finding.remedy.starts_with("append /etc/tls/intermediate.crt to /etc/tls/cert.pem"), "{}", finding.remedy);
    assert_eq!(finding.files[0].path, CERT);
    assert_eq!(document.chains[0].verdict, Verdict::Reject);
    estate.remove("/etc/tls/intermediate.crt");
    assert_eq!(found(&estate.audit(), "path.missing-intermediate").severity, Severity::High);
}

#[test]
fn the_two_files_of_a_mismatch_are_named_with_where_their_other_halves_lie() {
    let estate = Estate::new();
    let (other, leaf) = (certs::key(), certs::leaf());
    estate.put(KEY, other.serialize_pem(), 0o600);
    estate.put("/etc/tls/new.pem", pems(&[&estate.pki.middle.sign(&leaf, &other)]), 0o644);
    let document = estate.audit();
    let finding = found(&document, "pair.mismatch");
    assert_eq!(finding.files.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), [CERT, "/etc/nginx/nginx.conf", KEY]);
    assert_eq!(finding.files[1].line, Some(7));
    assert!(finding.evidence.iter().any(|line| line.ends_with("in /etc/tls/new.pem")), "{:?}", finding.evidence);
}

const OWNERS: &[Row] = &[
    ("everybody", |e| e.mode(KEY, 0o644), "key.readable-by-others", Severity::High),
    (
        "behind a closed directory",
        |e| {
            e.mode(KEY, 0o644);
            e.mode("/etc/tls", 0o700);
        },
        "key.readable-by-others",
        Severity::Medium,
    ),
    (
        "beside the certificate",
        |e| {
            let text = pems(&[&e.pki.leaf(), &e.pki.middle.der]) + &e.pki.key.serialize_pem();
            e.put(CERT, text, 0o644);
        },
        "pem.key-beside-certificate",
        Severity::High,
    ),
    (
        "people in the group",
        |e| {
            e.mode(KEY, 0o640);
            e.own(KEY, "root", "ops");
        },
        "key.readable-by-group",
        Severity::Medium,
    ),
    (
        "another service in the group",
        |e| {
            e.mode(KEY, 0o640);
            e.own(KEY, "root", "mesh");
        },
        "key.readable-by-group",
        Severity::Low,
    ),
    (
        "a key that its service may not read",
        |e| e.wiring.pairs[0].account = Some("www-data".into()),
        "key.unreadable-for-service",
        Severity::Medium,
    ),
    ("a person's", |e| e.own(KEY, "alice", "alice"), "key.owner", Severity::Medium),
    ("directory for all", |e| e.mode("/etc/tls", 0o777), "way.writable-by-others", Severity::High),
    ("sticky directory", |e| e.mode("/etc/tls", 0o1777), "way.writable-by-others", Severity::Medium),
    (
        "directory of a group",
        |e| {
            e.mode("/etc/tls", 0o775);
            e.own("/etc/tls", "root", "ops");
        },
        "way.writable-by-others",
        Severity::Medium,
    ),
    ("directory of a person", |e| e.own("/etc/tls", "alice", "alice"), "way.owner", Severity::Medium),
    (
        "link target",
        |e| {
            let text = e.pki.key.serialize_pem();
            e.put("/srv/keys/key.pem", text, 0o600);
            e.mode("/srv/keys", 0o777);
            e.remove(KEY);
            e.link(KEY, "/srv/keys/key.pem");
        },
        "way.writable-by-others",
        Severity::High,
    ),
    ("trust list", |e| e.mode(ROOT, 0o666), "file.writable-by-others", Severity::High),
    (
        "a copy",
        |e| {
            let text = e.pki.key.serialize_pem();
            e.put("/etc/tls/other.key", text, 0o600);
        },
        "key.copy",
        Severity::Low,
    ),
    (
        "an open copy",
        |e| {
            let text = e.pki.key.serialize_pem();
            e.put("/etc/tls/other.key", text, 0o644);
        },
        "key.readable-by-others",
        Severity::High,
    ),
    (
        "a backup",
        |e| {
            let text = e.pki.key.serialize_pem();
            e.put("/etc/tls/key.pem.bak", text, 0o600);
        },
        "key.backup",
        Severity::Medium,
    ),
    ("an orphan", |e| e.put("/etc/tls/cert.pem.new", "", 0o644), "file.leftover", Severity::Low),
    (
        "an authority's key",
        |e| {
            let text = e.pki.middle.key.serialize_pem();
            e.put("/etc/tls/ca.key", text, 0o600);
        },
        "ca.key-on-host",
        Severity::Medium,
    ),
];

#[test]
fn who_may_read_or_replace_a_key_is_named() {
    check(OWNERS);
}

const TRUSTS: &[Row] = &[
    (
        "nothing but an expired root",
        |e| {
            let mut params = certs::ca("Old Eye");
            params.not_after = certs::time(now().plus(-DAY));
            let old = params.self_signed(&certs::key()).unwrap();
            e.put("/etc/old/root.pem", pems(&[old.der()]), 0o644);
            e.wiring.trust(trust(&openbao::program::OPENBAO, &["/etc/old/root.pem"], Purpose::Client, Needs::Any));
        },
        "trust.expired",
        Severity::High,
    ),
    ("absent", |e| e.remove(ROOT), "trust.absent", Severity::High),
    ("empty", |e| e.put(ROOT, "", 0o644), "trust.empty", Severity::High),
    (
        "cut off",
        |e| {
            let text = pems(&[&e.pki.root.der]);
            e.put(ROOT, &text[..200], 0o644);
        },
        "trust.malformed",
        Severity::High,
    ),
    ("intermediate alone", |e| e.put(ROOT, pems(&[&e.pki.middle.der]), 0o644), "trust.no-root", Severity::High),
    ("root alone for bare leaves", |e| e.wiring.trusts[0].needs = Needs::RootAndIntermediate, "trust.no-intermediate", Severity::High),
    (
        "intermediate first",
        |e| {
            e.put(ROOT, pems(&[&e.pki.middle.der, &e.pki.root.der]), 0o644);
            e.wiring.trusts[0].needs = Needs::FirstIsRoot;
        },
        "trust.first-not-root",
        Severity::High,
    ),
    ("a leaf in it", |e| e.put(ROOT, pems(&[&e.pki.root.der, &e.pki.leaf()]), 0o644), "trust.leaf", Severity::Medium),
    ("twice", |e| e.put(ROOT, pems(&[&e.pki.root.der, &e.pki.root.der]), 0o644), "trust.duplicate", Severity::Low),
    (
        "stale",
        |e| {
            let mut params = certs::ca("Old Eye");
            params.not_after = certs::time(now().plus(-DAY));
            let old = params.self_signed(&certs::key()).unwrap();
            let root = e.pki.root.der.clone();
            e.put(ROOT, pems(&[&root, old.der()]), 0o644);
        },
        "trust.stale",
        Severity::Low,
    ),
    (
        "no hash links",
        |e| {
            e.put("/etc/anchors/root.pem", pems(&[&e.pki.root.der]), 0o644);
            e.wiring.trusts[0].files = vec!["/etc/anchors".into()];
        },
        "trust.no-hash-links",
        Severity::High,
    ),
    (
        "another key",
        |e| {
            e.anchors = vec![e.pki.root.der.clone()];
            e.put(ROOT, pems(&[&Authority::root(certs::ROOT).der]), 0o644);
        },
        "anchor.other-key",
        Severity::High,
    ),
    (
        "surplus",
        |e| {
            e.anchors = vec![e.pki.root.der.clone()];
            e.put(ROOT, pems(&[&e.pki.root.der, &Authority::root("Plun-Darr").der]), 0o644);
        },
        "trust.surplus-root",
        Severity::Low,
    ),
];

#[test]
fn what_is_wrong_with_a_trust_list_is_named() {
    check(TRUSTS);
}

/// SPIRE's plugin as the caller, nginx as the listener that asks for a client certificate.
fn call(estate: &mut Estate) {
    let leaf = estate.leaf(client);
    estate.put("/etc/spire/client.pem", pems(&[&leaf, &estate.pki.middle.der]), 0o644);
    estate.put("/etc/spire/client.key", estate.pki.key.serialize_pem(), 0o600);
    let shown = estate.wiring.pair(pair(&spire::programs::SERVER, "/etc/spire/client.pem", "/etc/spire/client.key", Purpose::Client));
    let own = estate.wiring.trust(trust(&spire::programs::SERVER, &["/etc/spire/root.pem"], Purpose::Server, Needs::Any));
    estate.put("/etc/spire/root.pem", pems(&[&estate.pki.root.der]), 0o644);
    estate.wiring.listeners.push(listener(&nginx::program::NGINX, 8881, 0, ClientAuth::Required, Some(0)));
    estate.wiring.connections.push(connection(&spire::programs::SERVER, 8881, Some(own), Some(shown)));
}

#[test]
fn a_call_whose_ends_disagree_is_named_with_both() {
    type Change = fn(&mut Estate);
    let rows: [(&str, Change, &[&str]); 11] = [
        ("healthy", |_| {}, &[]),
        ("plain to TLS", |e| e.wiring.connections[0].tls = false, &["call.plain-to-tls"]),
        ("TLS to plain", |e| e.wiring.listeners[0].tls = false, &["call.tls-to-plain"]),
        ("no certificate", |e| e.wiring.connections[0].pair = None, &["call.no-client-certificate"]),
        ("intermediate alone", |e| e.put(ROOT, pems(&[&e.pki.middle.der]), 0o644), &["call.client-untrusted", "trust.no-root"]),
        ("server's certificate shown", |e| e.wiring.connections[0].pair = Some(0), &["call.client-purpose"]),
        (
            "a stranger's certificate",
            |e| {
                let (_, middle, leaf, key) = stranger(client);
                e.put("/etc/spire/client.pem", pems(&[&leaf, &middle.der]), 0o644);
                e.put("/etc/spire/client.key", key.serialize_pem(), 0o600);
            },
            &["call.client-untrusted"],
        ),
        ("a stranger's root", |e| e.put("/etc/spire/root.pem", pems(&[&stranger(client).0.der]), 0o644), &["call.server-untrusted"]),
        (
            "a client's certificate served",
            |e| {
                let leaf = e.leaf(client);
                e.serve(&leaf);
            },
            &["call.server-purpose", "eku.missing"],
        ),
        ("a name nobody has", |e| e.wiring.connections[0].name = Some("verifier.funlab.casa".into()), &["call.name"]),
        (
            "by its name",
            |e| {
                e.wiring.connections[0].host = "web.funlab.casa".into();
                e.wiring.connections[0].tls = false;
            },
            &["call.plain-to-tls"],
        ),
    ];
    for (what, change, expected) in rows {
        let mut estate = Estate::new();
        call(&mut estate);
        change(&mut estate);
        let document = estate.audit();
        assert_eq!(ids(&document, Severity::High), expected, "{what}");
        if let Some(id) = expected.first() {
            let lines: Vec<_> = found(&document, id).files.iter().map(|f| (f.path.as_str(), f.line)).collect();
            assert!(
                lines.contains(&("/etc/spire/agent.conf", Some(20))) && lines.contains(&("/etc/nginx/nginx.conf", Some(3))),
                "{what}: {lines:?}"
            );
        }
    }
}

#[test]
fn a_call_to_somebody_else_is_not_ours_to_judge() {
    let mut estate = Estate::new();
    call(&mut estate);
    estate.wiring.connections[0].pair = None;
    for host in ["10.0.0.9", "vault.funlab.casa", "other.funlab.casa"] {
        estate.wiring.connections[0].host = host.into();
        assert_eq!(estate.ids(Severity::High), [] as [&str; 0], "{host}");
    }
    estate.put("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 other.funlab.casa other # ourselves\n", 0o644);
    assert_eq!(estate.ids(Severity::High), ["call.no-client-certificate"]);
}

type Odd = (&'static str, fn(&mut Estate));

/// Set-ups that look odd and are good.
const HEALTHY: &[Odd] = &[
    ("self-signed for tests", |e| {
        let mut params = certs::leaf();
        params.extended_key_usages.clear();
        let cert = params.self_signed(&e.pki.key).unwrap();
        e.put(CERT, pems(&[cert.der()]), 0o644);
    }),
    ("an agent that sends its leaf alone", |e| {
        e.put(CERT, pems(&[&e.pki.leaf()]), 0o644);
        e.put(ROOT, pems(&[&e.pki.root.der, &e.pki.middle.der]), 0o644);
        e.wiring.pairs[0].leaf_only = true;
    }),
    ("an agent of whose authorities nothing lies here", |e| {
        e.put(CERT, pems(&[&e.pki.leaf()]), 0o644);
        e.wiring.pairs[0].leaf_only = true;
    }),
    ("a copy without /run", |e| {
        e.wiring.pairs[0].certificate = "/run/omens/web/live/fullchain.pem".into();
        e.wiring.pairs[0].key = Some("/var/lib/other/key.pem".into());
        e.put("/var/log/x", "", 0o644);
    }),
    ("its key is its group's", |e| {
        e.mode(KEY, 0o640);
        e.own(KEY, "root", "keylime");
        e.wiring.pairs[0].consumer.program = &keylime::programs::VERIFIER;
        e.wiring.pairs[0].account = Some("keylime".into());
    }),
    ("RSA", |e| {
        let key = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        e.put(KEY, key.serialize_pem(), 0o600);
        e.serve(&e.pki.middle.sign(&certs::leaf(), &key));
    }),
    ("RSA beside EC", |e| {
        let key = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        e.put("/etc/tls/rsa.key", key.serialize_pem(), 0o600);
        e.put("/etc/tls/rsa.pem", pems(&[&e.pki.middle.sign(&certs::leaf(), &key), &e.pki.middle.der]), 0o644);
        e.wiring.pair(pair(&nginx::program::NGINX, "/etc/tls/rsa.pem", "/etc/tls/rsa.key", Purpose::Server));
    }),
    ("combined", |e| {
        let text = pems(&[&e.pki.leaf(), &e.pki.middle.der]) + &e.pki.key.serialize_pem();
        e.put("/etc/tls/combined.pem", text, 0o600);
        e.wiring.pairs[0].certificate = "/etc/tls/combined.pem".into();
        e.wiring.pairs[0].key = Some("/etc/tls/combined.pem".into());
    }),
    ("text around", |e| e.put(CERT, format!("subject=CN = web\n{}\nafter\n", pems(&[&e.pki.leaf(), &e.pki.middle.der])), 0o644)),
    ("encrypted", |e| {
        e.put(KEY, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", 0o600);
        e.wiring.pairs[0].passphrase = true;
    }),
    ("in the TPM", |e| e.put(KEY, "-----BEGIN TSS2 PRIVATE KEY-----\nAAAA\n-----END TSS2 PRIVATE KEY-----\n", 0o600)),
    ("service group", |e| {
        e.mode(KEY, 0o640);
        e.own(KEY, "root", "keylime");
        e.wiring.pairs[0].consumer.program = &keylime::programs::VERIFIER;
    }),
    ("service's own", |e| {
        e.own(KEY, "keylime", "keylime");
        e.own("/etc/tls", "keylime", "keylime");
        e.wiring.pairs[0].consumer.program = &keylime::programs::VERIFIER;
    }),
    ("generations", |e| {
        for generation in ["gen-3", "gen-4"] {
            let text = pems(&[&e.pki.leaf(), &e.pki.middle.der]);
            e.put(&format!("/run/omens/web/{generation}/fullchain.pem"), &text, 0o644);
            e.put(&format!("/run/omens/web/{generation}/key.pem"), e.pki.key.serialize_pem(), 0o600);
            e.put(&format!("/run/omens/web/{generation}/combined.pem"), text + &e.pki.key.serialize_pem(), 0o600);
        }
        e.link("/run/omens/web/live", "gen-4");
        e.wiring.pairs[0].certificate = "/run/omens/web/live/fullchain.pem".into();
        e.wiring.pairs[0].key = Some("/run/omens/web/live/key.pem".into());
    }),
    ("rotation", |e| {
        let next = Authority::root("Eye of Thundera G2");
        let cross = e.pki.root.below_as(certs::ca("Eye of Thundera G2"), KeyPair::from_pem(&next.key.serialize_pem()).unwrap());
        let middle = next.below("Book of Omens G2");
        let leaf = middle.sign(&certs::leaf(), &e.pki.key);
        e.put(CERT, pems(&[&leaf, &middle.der, &cross.der]), 0o644);
        e.put(ROOT, pems(&[&e.pki.root.der, &next.der]), 0o644);
    }),
    ("public certificate", |e| {
        let (root, middle, leaf, key) = stranger(|_| {});
        e.put(CERT, pems(&[&leaf, &middle.der]), 0o644);
        e.put(KEY, key.serialize_pem(), 0o600);
        e.put("/etc/ssl/certs/ca-certificates.crt", pems(&[&root.der]), 0o644);
    }),
    ("public certificate, its root unknown", |e| {
        let (_, middle, leaf, key) = stranger(|_| {});
        e.put(CERT, pems(&[&leaf, &middle.der]), 0o644);
        e.put(KEY, key.serialize_pem(), 0o600);
    }),
];

#[test]
fn healthy_estates_give_nothing_of_weight() {
    for (what, change) in HEALTHY {
        let mut estate = Estate::new();
        change(&mut estate);
        let document = estate.audit();
        let bad: Vec<_> = document.findings.iter().filter(|f| f.severity >= Severity::Medium).collect();
        assert!(bad.is_empty(), "{what}: {bad:#?}");
        assert!(document.chains.len() == estate.wiring.pairs.len() || *what == "a copy without /run", "{what}");
    }
}

#[test]
fn with_no_root_at_all_nothing_is_said_of_paths() {
    let mut estate = Estate::new();
    estate.remove(ROOT);
    estate.wiring.trusts.clear();
    assert_eq!(estate.ids(Severity::Medium), [] as [&str; 0]);
}

#[test]
fn a_root_that_no_configuration_names_is_one_all_the_same() {
    let mut estate = Estate::new();
    estate.wiring.trusts.clear();
    estate.remove(ROOT);
    estate.put("/etc/ssl/funlab/root.pem", pems(&[&estate.pki.root.der]), 0o644);
    assert_eq!(estate.audit().chains[0].verdict, Verdict::Accept);
    estate.put(CERT, pems(&[&estate.pki.leaf()]), 0o644);
    assert_eq!(estate.ids(Severity::High), ["path.missing-intermediate"]);
    // Even where nothing is trusted, a leaf alone that names somebody else as its issuer is not enough.
    estate.remove("/etc/ssl/funlab/root.pem");
    assert_eq!(estate.ids(Severity::High), ["path.missing-intermediate"]);
}

#[test]
fn a_list_with_another_root_of_the_name_that_own_chains_lead_to_is_found_without_a_pin() {
    let mut estate = Estate::new();
    estate.put("/etc/other/root.pem", pems(&[&Authority::root(certs::ROOT).der]), 0o644);
    estate.wiring.trust(trust(&keylime::programs::VERIFIER, &["/etc/other/root.pem"], Purpose::Client, Needs::Root));
    let document = estate.audit();
    assert_eq!(
        (ids(&document, Severity::High), found(&document, "anchor.other-key").files[0].path.as_str()),
        (vec!["anchor.other-key".to_owned()], "/etc/other/root.pem")
    );
    estate.put("/etc/other/root.pem", pems(&[&Authority::root(certs::ROOT).der, &estate.pki.root.der]), 0o644);
    assert_eq!(estate.ids(Severity::High), [] as [&str; 0]);
}

#[test]
fn a_pin_makes_a_public_certificate_no_forgery_and_a_private_one_from_elsewhere_one() {
    let mut estate = Estate::new();
    let (root, middle, leaf, key) = stranger(|_| {});
    estate.put(CERT, pems(&[&leaf, &middle.der]), 0o644);
    estate.put(KEY, key.serialize_pem(), 0o600);
    estate.anchors = vec![estate.pki.root.der.clone()];
    assert_eq!(estate.ids(Severity::High), ["path.other-root"]);
    estate.put("/etc/ssl/certs/ca-certificates.crt", pems(&[&root.der]), 0o644);
    assert_eq!(estate.ids(Severity::Low), ["name.localhost"]);
}

#[test]
fn a_key_of_the_generation_before_and_one_of_two_services_are_told() {
    let mut estate = Estate::new();
    estate.put("/run/omens/web/gen-4/fullchain.pem", pems(&[&estate.pki.leaf(), &estate.pki.middle.der]), 0o644);
    estate.put(
        "/run/omens/web/gen-5/fullchain.pem",
        pems(&[&estate.leaf(|p| p.serial_number = Some(77_u64.into())), &estate.pki.middle.der]),
        0o644,
    );
    estate.link("/run/omens/web/live", "gen-5");
    estate.wiring.pair(pair(&openbao::program::OPENBAO, "/run/omens/web/live/fullchain.pem", KEY, Purpose::Server));
    assert_eq!(estate.ids(Severity::Low), ["key.reused", "key.two-certificates", "name.localhost", "serial.low-entropy"]);
    assert_eq!(estate.ids(Severity::Medium), [] as [&str; 0]);
}

#[test]
fn a_client_that_shows_its_leaf_alone_is_refused_by_a_list_of_the_root_alone() {
    let mut estate = Estate::new();
    call(&mut estate);
    estate.put("/etc/spire/client.pem", pems(&[&estate.leaf(client)]), 0o644);
    assert_eq!(estate.ids(Severity::High), ["call.client-untrusted"]);
    estate.put(ROOT, pems(&[&estate.pki.root.der, &estate.pki.middle.der]), 0o644);
    assert_eq!(estate.ids(Severity::High), [] as [&str; 0]);
}

#[test]
fn openssl_completes_a_served_chain_from_its_own_list() {
    let mut estate = Estate::new();
    call(&mut estate);
    estate.put(CERT, pems(&[&estate.pki.leaf()]), 0o644);
    estate.put(ROOT, pems(&[&estate.pki.root.der, &estate.pki.middle.der]), 0o644);
    let document = estate.audit();
    assert_eq!(found(&document, "chain.completed-by-trust").severity, Severity::Medium);
    assert_eq!(ids(&document, Severity::High), [] as [&str; 0]);
}

#[test]
fn one_defect_of_many_server_blocks_is_one_finding_with_all_their_lines() {
    let mut estate = Estate::new();
    for line in [20, 30] {
        let mut other = pair(&nginx::program::NGINX, CERT, KEY, Purpose::Server);
        other.consumer.location.line = Some(line);
        other.names = vec![format!("n{line}.funlab.casa")];
        estate.wiring.pair(other);
        let mut list = trust(&nginx::program::NGINX, &[ROOT], Purpose::Client, Needs::Root);
        list.consumer.location.line = Some(line);
        estate.wiring.trust(list);
    }
    estate.put(KEY, certs::key().serialize_pem(), 0o600);
    estate.put(ROOT, pems(&[&estate.pki.middle.der]), 0o644);
    let document = estate.audit();
    let count = |id: &str| document.findings.iter().filter(|f| f.id == id).count();
    assert_eq!((count("pair.mismatch"), count("trust.no-root"), count("name.not-covered")), (1, 1, 2));
    let lines: Vec<_> = found(&document, "trust.no-root").files.iter().filter_map(|f| f.line).collect();
    assert_eq!(lines, [9, 20, 30]);
}

/// A file or directory that was named on the command line.
fn target(estate: &Estate, path: &str) -> Document {
    let view = View::root(estate.top.path()).unwrap();
    let asked = Requirements { purpose: Some(Purpose::Server), ..Requirements::default() };
    let given = Given { anchors: estate.anchors.clone(), asked, ..Given::default() };
    let basis = super::Basis { view: &view, given: &given, pinned: true };
    let mut findings = HostFindings::new(estate.at, "web");
    super::file(&basis, Path::new(path), &mut findings);
    findings.into_document()
}

#[test]
fn a_named_file_is_judged_by_the_anchors_that_were_given_and_no_other() {
    let mut estate = Estate::new();
    let without = target(&estate, CERT);
    assert_eq!((ids(&without, Severity::High), without.chains[0].verdict), (vec!["anchor.none".to_owned()], Verdict::Reject));
    estate.anchors = vec![estate.pki.root.der.clone()];
    let with = target(&estate, CERT);
    assert_eq!((ids(&with, Severity::High), with.chains[0].verdict), (vec![], Verdict::Accept));
    assert_eq!(ids(&target(&estate, "/etc/tls/nothing.pem"), Severity::Medium), ["input.absent"]);
    estate.put("/etc/tls/junk", "junk", 0o644);
    assert_eq!(ids(&target(&estate, "/etc/tls/junk"), Severity::High), ["input.malformed"]);
}

#[test]
fn a_directory_is_gone_into_and_each_of_its_files_is_judged_as_if_it_were_named() {
    let mut estate = Estate::new();
    estate.anchors = vec![estate.pki.root.der.clone()];
    estate.put("/etc/tls/intermediate.pem", pems(&[&estate.pki.middle.der]), 0o644);
    estate.put("/etc/tls/below/web.crt", pems(&[&estate.pki.leaf(), &estate.pki.middle.der]), 0o644);
    estate.link("/etc/tls/below/up", "/etc/tls");
    let healthy = target(&estate, "/etc/tls");
    // The root, the intermediate, and two of the leaf.
    assert_eq!(healthy.chains.len(), 4);
    let of = |document: &Document, path: &str| -> Vec<String> {
        let named = document.findings.iter().filter(|finding| finding.files.iter().any(|file| file.path == path));
        named.map(|finding| finding.id.clone()).collect()
    };
    for file in ["/etc/tls/intermediate.pem", "/etc/tls/below/web.crt"] {
        assert_eq!(of(&healthy, file), of(&target(&estate, file), file), "{file}");
    }
    assert_eq!(of(&healthy, "/etc/tls/below/web.crt"), ["name.localhost"]);
    estate.put("/etc/tls/below/web.key", certs::key().serialize_pem(), 0o644);
    let beside = ids(&target(&estate, "/etc/tls"), Severity::High);
    assert!(["key.readable-by-others", "pair.mismatch"].iter().all(|id| beside.iter().any(|found| found == id)), "{beside:?}");
}

#[test]
fn an_expired_intermediate_is_named_whatever_its_leaf_says() {
    let estate = Estate::new();
    let mut params = certs::ca(certs::INTERMEDIATE);
    params.not_after = certs::time(now().plus(-DAY));
    let middle = estate.pki.root.below_as(params, KeyPair::from_pem(&estate.pki.middle.key.serialize_pem()).unwrap());
    estate.put(CERT, pems(&[&estate.pki.leaf(), &middle.der]), 0o644);
    assert_eq!(estate.ids(Severity::High), ["path.ca-not-valid-now", "validity.outlives-issuer"]);
}

/// Whatever is done to the files, the audit ends and says something.
#[test]
fn damaged_files_never_break_the_audit() {
    let estate = Estate::new();
    let good = [pems(&[&estate.pki.leaf(), &estate.pki.middle.der]), estate.pki.key.serialize_pem(), pems(&[&estate.pki.root.der])];
    let mut seed = 0x2545_f491_u32;
    let mut next = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        usize::try_from(seed).unwrap() % below
    };
    for _ in 0..150 {
        for (path, text) in [CERT, KEY, ROOT].iter().zip(&good) {
            let mut bytes = text.clone().into_bytes();
            for _ in 0..next(4) {
                let at = next(bytes.len());
                match next(3) {
                    0 => bytes[at] = u8::try_from(next(256)).unwrap(),
                    1 => bytes.truncate(at + 1),
                    _ => drop(bytes.splice(at..at, good[next(3)].bytes().take(200))),
                }
            }
            estate.put(path, bytes, 0o600);
        }
        let document = estate.audit();
        let silent: Vec<_> = document.findings.iter().filter(|f| f.severity > Severity::Info && f.remedy.is_empty()).collect();
        assert!(silent.is_empty(), "{silent:?}");
    }
}
