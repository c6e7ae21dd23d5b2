//! A service that only this test knows, in one descriptor: everything else that the audit has to know of it comes from there.
#![expect(clippy::disallowed_methods, reason = "a test makes the files that are looked at")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::given::{Given, NamedFile};
use crate::audit::facts::program::{Program, RemedyLines, TlsStack};
use crate::audit::facts::service::Source;
use crate::audit::facts::unread;
use crate::audit::facts::wiring::{Consumer, Pair, Wiring};
use crate::audit::target::AuditTarget;
use crate::audit::{catalogue, run};
use crate::io::look::View;
use crate::judge::kit::Pki;
use crate::judge::lint::catalogue as table;
use crate::judge::pem;
use crate::model::audit::{Document, Location, Target};
use crate::model::profile::Purpose;

#[expect(unreachable_pub, reason = "the macro makes tables for whoever lists them")]
mod lints {
    use super::table;

    table! {
        DEBUG = "toyproxy.debug", High, open, "the debug option is on", "remove the line";
    }
}

static TOYPROXY: Program = Program {
    executables: &["toyproxy"],
    accounts: &["toyproxy"],
    tls: TlsStack::OpenSsl,
    remedies: RemedyLines { tls: Some("bind … ssl"), protocols: None, trust: None },
    ..Program::named("toyproxy")
};

static SERVICE: Service = Service {
    title: Some("Toyproxy"),
    targets: &[TargetKind { prefix: "toyproxy", operand: Operand::Path, value: "FILE", note: "", read }],
    usual: |view| Some(std::path::PathBuf::from("/etc/toyproxy.cfg")).filter(|file| view.is_file(file)).into_iter().collect(),
    read,
    started_as: &["toyproxy"],
    unit_words: &["toyproxy"],
    programs: &[&TOYPROXY],
    ..Service::named("toyproxy", lints::ALL)
};

/// Lines `cert FILE`, `key FILE` and `debug`.
fn read(source: Source<'_>, file: &Path, findings: &mut HostFindings) -> Wiring {
    let mut wiring = Wiring { files: vec![file.to_path_buf()], ..Wiring::default() };
    let target = Target::new("toyproxy", file.display().to_string());
    let text = match source.view.text(file) {
        Ok(text) => text,
        Err(error) => {
            unread::unreadable(findings, target, Location::file(file), &error);
            return wiring;
        }
    };
    let (mut certificate, mut key) = (None, None);
    for (number, line) in (1_u32..).zip(text.lines()) {
        match line.split_once(' ') {
            Some(("cert", path)) => certificate = Some((path.into(), number)),
            Some(("key", path)) => key = Some(path.into()),
            _ if line == "debug" => {
                findings.add(
                    NewFinding::at(&lints::DEBUG, target.clone(), Location::line(file, number)).expected("no such line").found("debug"),
                );
            }
            _ => {}
        }
    }
    if let Some((certificate, number)) = certificate {
        let consumer = Consumer { program: &TOYPROXY, target, location: Location::line(file, number) };
        let (intermediates, names) = (Vec::new(), Vec::new());
        let (passphrase, account, leaf_only, placeholder) = (false, None, false, false);
        wiring.pair(Pair {
            consumer,
            certificate,
            key,
            intermediates,
            purpose: Purpose::Server,
            names,
            passphrase,
            account,
            leaf_only,
            placeholder,
        });
    }
    wiring
}

fn known() -> Vec<&'static Service> {
    SERVICES.iter().copied().chain([&SERVICE]).collect()
}

/// A host where its unit runs it as an account that may not read its key.
fn host() -> tempfile::TempDir {
    let top = tempfile::tempdir().unwrap();
    let pki = Pki::new();
    let chain = pem::write(&pki.leaf()) + &pem::write(&pki.middle.der);
    for (path, text, mode) in [
        ("etc/passwd", "root:x:0:0::/:/bin/sh\ntoyproxy:x:77:77::/:/bin/false\n".to_owned(), 0o644),
        ("etc/toyproxy.cfg", "cert /etc/tls/web.pem\nkey /etc/tls/web.key\ndebug\n".to_owned(), 0o644),
        (
            "etc/systemd/system/toyproxy.service",
            "[Service]\nUser=toyproxy\nExecStart=/usr/sbin/toyproxy -c /srv/other.cfg\n".to_owned(),
            0o644,
        ),
        ("srv/other.cfg", "cert /etc/tls/other.pem\nkey /etc/tls/web.key\n".to_owned(), 0o644),
        ("etc/tls/web.pem", chain, 0o644),
        ("etc/tls/web.key", pki.key.serialize_pem(), 0o600),
    ] {
        let path = top.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    // Owners of what a test makes are whoever runs it; the copy says that it was root.
    let root = |path: &str| format!("[[file]]\npath = \"{path}\"\nowner = \"root\"\ngroup = \"root\"\n");
    fs::write(top.path().join("estate.toml"), root("/etc/tls/web.key")).unwrap();
    top
}

fn audit(services: &[&'static Service], targets: &[AuditTarget], given: &Given) -> (Wiring, Document) {
    let top = host();
    let view = View::root(top.path()).unwrap();
    let mut findings = HostFindings::new(crate::judge::kit::now(), "h");
    let wiring = run::files_of(services, &view, targets, given, &mut findings);
    (wiring, findings.into_document())
}

fn files(document: &Document, id: &str) -> Vec<String> {
    document.findings.iter().filter(|finding| finding.id == id).flat_map(|finding| finding.files.iter().map(ToString::to_string)).collect()
}

#[test]
fn a_service_is_known_everywhere_by_its_descriptor_alone() {
    let (wiring, document) = audit(&known(), &[], &Given::default());
    // Its usual place, and the file that its unit names.
    let certificates: Vec<_> = wiring.pairs.iter().map(|pair| pair.certificate.display().to_string()).collect();
    assert_eq!(certificates, ["/etc/tls/other.pem", "/etc/tls/web.pem"]);
    assert_eq!(files(&document, "toyproxy.debug"), ["/etc/toyproxy.cfg:3"]);
    assert_eq!(files(&document, "pair.certificate-absent"), ["/etc/tls/other.pem", "/srv/other.cfg:1"]);
    // Its account comes from its unit: it may not read the key.
    assert!(wiring.pairs.iter().all(|pair| pair.account.as_deref() == Some("toyproxy")), "{:?}", wiring.pairs);
    assert!(files(&document, "key.unreadable-for-service").contains(&"/etc/tls/web.key".to_owned()), "{document:#?}");
    // Who does not know it finds nothing of it.
    let (wiring, document) = audit(SERVICES, &[], &Given::default());
    assert!(wiring.pairs.is_empty() && document.findings.iter().all(|finding| !finding.id.starts_with("toyproxy")));
}

#[test]
fn targets_help_catalogue_and_files_of_the_settings_come_from_the_descriptor() {
    let target = AuditTarget::parse_for(&known(), "toyproxy:/etc/toyproxy.cfg", |_| false).unwrap();
    let (wiring, document) = audit(&known(), &[target], &Given::default());
    assert_eq!((wiring.pairs.len(), files(&document, "toyproxy.debug").len()), (1, 1));
    assert_eq!(AuditTarget::parse("toyproxy:/etc/toyproxy.cfg", |_| false), Ok(AuditTarget::Path("toyproxy:/etc/toyproxy.cfg".into())));
    let given = Given { files: vec![NamedFile { service: SERVICE.name, path: "/srv/other.cfg".into() }], ..Given::default() };
    assert_eq!(audit(&known(), &[], &given).0.pairs.len(), 2);
    let words = targets_in_words(&known());
    assert!(words.starts_with("unit:NAME, nginx:FILE, ") && words.ends_with("script:FILE, agent:FILE or toyproxy:FILE"), "{words}");
    assert!(titles_in_words(&known()).ends_with("systemd and Toyproxy"));
    // New findings are listed behind those that were there.
    let (all, with): (Vec<_>, Vec<_>) = (catalogue::all().collect(), catalogue::of(&known()).collect());
    assert_eq!((with.len(), &with[..all.len()], with[all.len()].id), (all.len() + 1, &all[..], "toyproxy.debug"));
}
