//! Every document and format that others may rely on, pinned by a fixture: it may gain fields, it never loses one.

use omens::audit::probe;
use omens::model::anchor::Fingerprint;
use omens::model::audit;
use omens::model::canonical::Bytes;
use omens::model::clock::Time;
use omens::model::code::Code;
use omens::model::entry::{self, Entry, Outcome};
use omens::model::failure::{Failure, Stage, Warning};
use omens::model::finding::{Finding, Severity};
use omens::model::key::Keep;
use omens::model::login_end::{LoginEnd, UnknownEnd};
use omens::model::meta::{Copies, Meta, NotedContainer};
use omens::model::name::{CertName, Generation};
use omens::model::reason::{Reason, ReasonCode};
use omens::model::report::{CertReport, Debt, Report, RunError, SettingsError};
use omens::model::state::{self, Begun, DebtState, KeyRefused, LastError, Proof, Proven, State, ToRevoke, UnderWay};
use omens::plan::view::{Action, End, Keeps, PlanDocument, Planned, Standing, StatusDocument, Wait};
use omens::steps::notify;

fn at(second: i64) -> Time {
    Time::from_unix(1_795_000_000 + second)
}

fn name() -> CertName {
    CertName::parse("web").unwrap()
}

fn failure() -> Failure {
    Failure::new(Stage::Verify, Code::OldLeaf, "127.0.0.1:443 still serves the previous certificate").hint("look at the service's own log")
}

fn debt() -> Debt {
    Debt {
        generation: Generation(3),
        sha256: Some(Fingerprint::of(b"leaf 3")),
        since: Some(at(0)),
        stage: Some(Stage::Verify),
        code: Some(Code::OldLeaf),
        attempts: 2,
    }
}

fn settings_error() -> SettingsError {
    SettingsError {
        file: "/etc/omens/omens.toml".to_owned(),
        line: Some(14),
        column: Some(3),
        key: Some("certificate[1].comon_name".to_owned()),
        code: Code::UnknownKey,
        text: "[[certificate]] has no key \"comon_name\"".to_owned(),
        suggestion: Some("did you mean \"common_name\"?".to_owned()),
    }
}

fn report(schema: &str) -> Report {
    let certificate = CertReport {
        reasons: vec![Reason::new(ReasonCode::InWindow, "due since 2026-11-18T11:06:40Z")],
        generation: Some(Generation(2)),
        previous: Some(Generation(2)),
        serial: Some("0a:ff".to_owned()),
        sha256: Some(Fingerprint::of(b"leaf 2")),
        not_before: Some(at(-60)),
        not_after: Some(at(86_340)),
        proof: Some(Proof::Served),
        debt: Some(debt()),
        warnings: vec![Warning::new(Code::ClockSkew, "the server is 70 s ahead")],
        findings: vec![Finding::new("ku.ec-key-encipherment", Severity::Medium, "digitalSignature", "keyEncipherment as well")],
        removed: vec!["/var/lib/omens/certs/old: gen-2 with their private keys, and its state".to_owned()],
        left_alone: vec!["/etc/web/key.pem: a copy at a consumer's own path".to_owned()],
        error: Some(failure()),
        ..CertReport::new(name(), Outcome::RolledBack)
    };
    let error = RunError { code: Code::Locked, text: "another run holds the lock".to_owned(), hint: Some("wait for it".to_owned()) };
    Report {
        schema: schema.to_owned(),
        host: "www.example.net".to_owned(),
        started: at(0),
        finished: at(9),
        exit: 1,
        error: Some(error),
        errors: vec![settings_error()],
        certificates: vec![certificate],
    }
}

fn planned() -> Planned {
    Planned {
        name: name(),
        due: true,
        due_at: Some(at(57_540)),
        expires: Some(at(86_340)),
        reasons: vec![Reason::new(ReasonCode::Debt, "gen-3 was issued but not taken up")],
        action: Action::Settle(Generation(3)),
        waits_for: Some(Wait { opens: at(60_000), ends: Some(at(70_000)), why: Keeps::Window }),
        next_request: None,
    }
}

fn end(exit: u8) -> End {
    End { started: at(9), finished: at(9), exit, error: None }
}

fn standing() -> Standing {
    Standing {
        planned: planned(),
        healthy: false,
        live: Some(Generation(2)),
        published: Some(Generation(2)),
        serial: Some("0a:ff".to_owned()),
        sha256: Some(Fingerprint::of(b"leaf 2")),
        subject: Some("CN=www.example.net, O=Example Org".to_owned()),
        names: vec!["dns:www.example.net".to_owned(), "uri:spiffe://example.net/web".to_owned()],
        proof: Some(Proof::Served),
        keep: Keep::File,
        keep_means: "a file".to_owned(),
        keep_beyond: Some("memory"),
        pcrs: Vec::new(),
        debt: Some(debt()),
        attempts: 1,
        budget_remaining: 4,
        not_before: Some(at(0)),
        last_success: Some(at(1)),
        last_attempt: Some(at(9)),
        last_outcome: Outcome::RolledBack,
        overdue: true,
        in_progress: Some(UnderWay { stage: Stage::Reload, generation: Some(Generation(3)), since: Some(at(9)) }),
        last_error: Some(LastError { at: at(9), failure: failure() }),
        last_run: Some(at(9)),
        copies: vec!["/etc/web/key.pem".to_owned()],
        warnings: vec![Warning::new(Code::PlaintextKey, "gen-1 lies in clear").hint("remove it")],
    }
}

/// Compares with the fixture of this name, which a person wrote over when a change was meant.
fn pinned(file: &str, document: &impl serde::Serialize) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/documents").join(file);
    let found = format!("{}\n", serde_json::to_string_pretty(document).unwrap());
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{} differs; a document may gain fields and never loses one. Now:\n{found}", path.display());
}

#[test]
fn the_documents_of_commands_are_pinned() {
    for command in ["renew", "restore", "reseal", "rollback", "revoke", "unblock", "forget", "install", "enroll"] {
        pinned("report.json", &Report { schema: "omens.COMMAND/1".to_owned(), ..report(command) });
    }
    let host = "www.example.net".to_owned();
    pinned(
        "plan.json",
        &PlanDocument { schema: "omens.plan/1", host: host.clone(), at: at(9), end: end(0), errors: vec![], certificates: vec![planned()] },
    );
    pinned(
        "status.json",
        &StatusDocument {
            schema: "omens.status/1",
            host,
            at: at(9),
            end: end(1),
            healthy: false,
            last_run: Some(at(9)),
            unnamed: vec!["gone".to_owned()],
            login_expires: Some(at(3600)),
            logins: vec![LoginEnd { method: "token".to_owned(), expires: at(3600), renews: true, uses_left: Some(3) }],
            logins_unknown: vec![UnknownEnd { method: "approle".to_owned(), why: "the login may not ask".to_owned() }],
            tpm: Some("ok"),
            warnings: vec![Warning::new(Code::LoginEnds, "the login by token ends in 1 h")],
            errors: vec![],
            certificates: vec![standing()],
        },
    );
}

#[test]
fn what_somebody_is_told_of_a_run_is_pinned() {
    let web = || CertName::parse("web").unwrap();
    let api = CertName::parse("api").unwrap();
    let notice = notify::Notice {
        schema: "omens.notify/1",
        host: "www.example.net".to_owned(),
        run: "omens.renew/1".to_owned(),
        started: at(0),
        finished: at(9),
        exit: 1,
        error: None,
        failed: vec![notify::Failed { name: web(), outcome: Outcome::RolledBack, error: Some(failure()), not_after: Some(at(3600)) }],
        recovered: vec![notify::Recovered { name: api, outcome: Outcome::Settled, was: Some(Code::OldLeaf), not_after: None }],
    };
    pinned("notify.json", &notice);
}

#[test]
fn what_lies_on_disk_is_pinned_and_can_be_read_again() {
    let state = State {
        v: state::VERSION,
        largest: 3,
        proven: Some(Proven { generation: Generation(2), proof: Proof::Served, at: at(0), stopped: vec!["nginx.service".to_owned()] }),
        previous: Some(Generation(1)),
        withdrawn: vec![Generation(4)],
        debt: Some(DebtState { generation: Generation(3), since: at(0), failure: failure(), attempts: 2 }),
        requests: vec![at(0)],
        requests_for: Some(Fingerprint::of(b"role, mount and names")),
        trust: [("anchors.pem".to_owned(), Fingerprint::of(b"anchors.pem"))].into(),
        revoked: vec!["0a:fe".to_owned()],
        to_revoke: vec![ToRevoke { serial: "0b:fe".to_owned(), ends: at(3600) }],
        key_refused: Some(KeyRefused { generation: Generation(2), at: at(9), failure: failure() }),
        begun: Some(Begun { run: "2026-11-18T11:06:40Z-0011223344556677".to_owned(), at: at(0) }),
        last_error: Some(LastError { at: at(9), failure: failure() }),
    };
    pinned("state.json", &state);
    let read: State = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
    assert_eq!(read, state);

    let line = Entry {
        v: entry::VERSION,
        time: at(9),
        run: "2026-11-18T11:06:40Z-0011223344556677".to_owned(),
        certificate: "web".to_owned(),
        generation: None,
        stage: Stage::Validate,
        outcome: Outcome::Refused,
        serial: Some("0a:ff".to_owned()),
        sha256: Some(Fingerprint::of(b"leaf 2")),
        break_glass: None,
        reason: None,
        renamed_from: None,
        error: Some(failure()),
        findings: vec![Finding::new("eku.absent", Severity::High, "serverAuth", "none")],
        refused_pem: Some("-----BEGIN CERTIFICATE-----\n".to_owned()),
    };
    pinned("ledger-line.json", &line);
    let read: Entry = serde_json::from_str(&serde_json::to_string(&line).unwrap()).unwrap();
    assert_eq!(read, line);
}

#[test]
fn what_a_generation_notes_is_pinned_and_what_others_noted_is_read() {
    let meta = Meta {
        v: 1,
        name: "web".to_owned(),
        generation: Generation(2),
        staged: at(0),
        spki_sha256: Fingerprint::of(b"spki"),
        anchor_sha256: Fingerprint::of(b"anchor"),
        files: [("cert.pem".to_owned(), Fingerprint::of(b"cert"))].into(),
        published_key_sha256: Some(Fingerprint::of(b"key")),
        keep: Some(Keep::Sealed),
        owner: None,
        group: Some("ssl-cert".to_owned()),
        srk: Some(Bytes(vec![0, 11, 34])),
        tcti: Some("device:/dev/tpmrm0".to_owned()),
        rendered: [("nginx.conf".to_owned(), "ssl_certificate /run/omens/web/gen-2/fullchain.pem;\n".to_owned())].into(),
        copies: vec![Copies { dir: "/etc/web".into(), files: [("cert".to_owned(), "web.crt".to_owned())].into(), password: None }],
        containers: vec![NotedContainer { part: "pkcs12".to_owned(), password: Some("/etc/web/password".into()) }],
    };
    pinned("meta.json", &meta);
    let read: Meta = serde_json::from_str(&serde_json::to_string(&meta).unwrap()).unwrap();
    assert_eq!(read, meta);
    // As versions wrote it that noted nothing for publishing without the settings; and as one may that notes more.
    let mut older = serde_json::to_value(&meta).unwrap();
    let fields = older.as_object_mut().unwrap();
    for added in ["keep", "owner", "group", "srk", "tcti", "rendered", "copies", "containers"] {
        assert!(fields.remove(added).is_some(), "{added}");
    }
    fields.insert("of_tomorrow".to_owned(), true.into());
    let read: Meta = serde_json::from_value(older).unwrap();
    assert_eq!((read.keep, read.owner, read.group, read.copies), (None, None, None, Vec::new()));
    assert_eq!(read.files, meta.files);
}

/// The report of an audit, with one of everything.
fn audited() -> audit::Document {
    let chain = audit::Chain {
        target: audit::Target::new("nginx", "server www.example.net").at_line(Some(4)),
        leaf_sha256: Fingerprint::of(b"leaf 2").as_str().to_owned(),
        verdict: audit::Verdict::Accept,
        path: vec![Fingerprint::of(b"leaf 2").as_str().to_owned()],
        peers: audit::Peers {
            rustls: audit::Verdict::Accept,
            openssl: audit::Verdict::Accept,
            python: audit::Verdict::Reject,
            go: audit::Verdict::Accept,
        },
        links: vec![audit::Link {
            sha256: Fingerprint::of(b"leaf 2").as_str().to_owned(),
            subject: "CN=www.example.net".to_owned(),
            serial: "0a:ff".to_owned(),
            key: "ec-p256".to_owned(),
            spki_sha256: Fingerprint::of(b"spki").as_str().to_owned(),
            not_before: at(-60),
            not_after: at(86_340),
        }],
        elapsed: Some(0.25),
        renewals_left: Some(71),
    };
    let object = audit::Object::file("/etc/nginx/tls/web.key");
    let finding = audit::Finding {
        id: "key.readable-by-others".to_owned(),
        severity: Severity::High,
        title: "a private key that every account of the host may read".to_owned(),
        key: object.key("key.readable-by-others"),
        hosts: vec!["www.example.net".to_owned()],
        target: audit::Target::new("nginx", "server www.example.net").at_line(Some(4)),
        files: vec![audit::Location::line("/etc/nginx/sites-enabled/web", 4)],
        expected: "mode 0600".to_owned(),
        found: "root:root 0644".to_owned(),
        evidence: vec!["owner, group and mode".to_owned()],
        remedy: "chmod 0600".to_owned(),
        breaks: vec!["go".to_owned()],
        since: Some(at(0)),
        object: Some(object),
        waived: None,
    };
    audit::Document {
        schema: audit::SCHEMA.to_owned(),
        at: at(9),
        host: "www.example.net".to_owned(),
        summary: audit::Summary::of(std::slice::from_ref(&finding)),
        anchors: vec![Fingerprint::of(b"root").to_string()],
        chains: vec![chain],
        findings: vec![finding],
    }
}

#[test]
fn the_report_of_an_audit_is_pinned_and_can_be_merged_again() {
    let document = audited();
    pinned("chain-audit.json", &document);
    let read: audit::Document = serde_json::from_str(&serde_json::to_string(&document).unwrap()).unwrap();
    assert_eq!(read, document);
}

#[test]
fn the_answer_of_a_probe_is_pinned() {
    let document = probe::Document {
        schema: "omens.probe/1",
        address: "www.example.net:443".to_owned(),
        server_name: "www.example.net".to_owned(),
        at: at(9),
        plain_http: false,
        protocols: vec!["TLSv1.3", "TLSv1.2"],
        group: Some("X25519MLKEM768".to_owned()),
        alpn: Some("h2".to_owned()),
        server_chain: vec![Fingerprint::of(b"leaf 2").as_str().to_owned()],
        server_subjects: vec!["CN=www.example.net".to_owned()],
        client_auth: probe::ClientAuth { requested: true, issuers: vec!["CN=Book of Omens".to_owned()], sent: false },
        refused_by: probe::Side::Server,
        alert: Some("certificate_required".to_owned()),
        cause: probe::Cause { id: "probe.no-client-certificate", text: "it wants a client certificate".to_owned() },
        remedy: probe::Remedy { file: Some("/etc/nginx/sites-enabled/web".to_owned()), line: Some(4), text: "show one".to_owned() },
    };
    pinned("probe.json", &document);
}

/// Ids of findings are only ever added to (cli/contract.md): others filter by them.
#[test]
fn no_finding_loses_its_id() {
    let ids: Vec<&str> = omens::audit::catalogue::all().map(|lint| lint.id).collect();
    let pinned = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/documents/findings.txt")).unwrap();
    let gone: Vec<&str> = pinned.lines().filter(|id| !ids.contains(id)).collect();
    let new: Vec<&str> = ids.into_iter().filter(|id| !pinned.lines().any(|line| line == *id)).collect();
    assert!(gone.is_empty() && new.is_empty(), "gone: {gone:?}; to be added to the file: {new:?}");
}
