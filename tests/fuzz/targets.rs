//! What reads bytes that others wrote, and what must hold whatever they are. A check panics where it does not hold; that it ends, and in
//! how much memory, is watched by whoever calls it. "Adding one": a function, a line in [`ALL`], a seed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use omens::audit::facts::findings::HostFindings;
use omens::audit::facts::hcl as hcl_file;
use omens::audit::report;
use omens::audit::rules::material;
use omens::audit::run::{self, Given};
use omens::audit::target::AuditTarget;
use omens::io::look::View;
use omens::io::openbao::answer;
use omens::judge::cert::Facts;
use omens::judge::lint::Findings;
use omens::judge::{self, Gate, pair};
use omens::model::anchor::{Anchor, Fingerprint};
use omens::model::audit::Document;
use omens::model::canonical::Format;
use omens::model::clock::Time;
use omens::model::entry::Entry;
use omens::model::key::KeyAlgorithm;
use omens::model::meta::Meta;
use omens::model::name::CertName;
use omens::model::profile::{Profile, Purpose, Usage};
use omens::model::request::Request;
use omens::model::sealed::{SealedKeyFile, SealingKeyFile, SrkPin};
use omens::model::state::State;

/// One reader.
pub struct Target {
    /// Its name, and that of its directory of seeds.
    pub name: &'static str,
    /// What must hold for any bytes.
    pub check: fn(&[u8]),
    /// More files that it begins with, below the project's directory.
    pub seeds: &'static [&'static str],
    /// Words that random bytes do not come upon.
    pub words: &'static [&'static str],
}

/// All of them.
pub const ALL: &[Target] = &[
    Target { name: "pem", check: pem, seeds: &["fixtures/keys/encodings.pem"], words: PEM },
    Target { name: "keys", check: keys, seeds: &["fixtures/keys/encodings.pem", "fixtures/sealed/key.pem"], words: PEM },
    Target { name: "leaf", check: leaf, seeds: &[], words: &[] },
    Target { name: "intermediate", check: intermediate, seeds: &[], words: &[] },
    Target { name: "hcl", check: hcl, seeds: &["tests/fuzz/seeds/spire", "tests/fuzz/seeds/openbao-configuration"], words: HCL },
    Target { name: "nginx", check: nginx, seeds: &[], words: NGINX },
    Target { name: "keylime", check: keylime, seeds: &[], words: INI },
    Target { name: "scripts", check: scripts, seeds: &[], words: SHELL },
    Target { name: "units", check: units, seeds: &[], words: UNIT },
    Target { name: "spire", check: spire, seeds: &[], words: HCL },
    Target { name: "openbao-configuration", check: openbao_configuration, seeds: &[], words: HCL },
    Target { name: "sealed", check: sealed, seeds: &["fixtures/sealed"], words: &["\"v\": 1", "null", "AAAA", "\\u0000"] },
    Target {
        name: "state",
        check: state,
        seeds: &["fixtures/documents"],
        words: &["18446744073709551615", "-1", "null", "1e400", "[[[[", "\\ud800"],
    },
    Target {
        name: "openbao-answers",
        check: openbao_answers,
        seeds: &[],
        words: &["\"data\":", "\"auth\":", "null", "\\u001b[2J", SECRET, "-----BEGIN CERTIFICATE-----"],
    },
    Target {
        name: "merge",
        check: merge,
        seeds: &["fixtures/documents/chain-audit.json"],
        words: &["\"object\":", "null", "\\u202e", "\\u0000", "endpoint", "sha256"],
    },
];

const PEM: &[&str] = &[
    "-----BEGIN CERTIFICATE-----\n",
    "-----END CERTIFICATE-----\n",
    "-----BEGIN PRIVATE KEY-----\n",
    "-----END X509 CRL-----",
    "\r\n",
    "\u{feff}",
    "=",
    "----- ",
];
const HCL: &[&str] = &["{", "}", "[", "]", "<<-EOT\n", "EOT\n", "${", "\\u12", "/*", "*/", "\"", "0x", "= {", "true", "null", "\\"];
const NGINX: &[&str] = &[
    "{",
    "}",
    ";",
    "'",
    "\"",
    "\\",
    "${",
    "include ",
    "*",
    "if (",
    "server {",
    "listen ",
    "ssl_certificate ",
    "location ",
    "unix:",
    "[::]:",
    "#",
];
const INI: &[&str] = &["[verifier]\n", "[DEFAULT]\n", "=", ":", "${", "%(x)s", "\n  ", "default", "[\"", "\\", "#", ";"];
const SHELL: &[&str] = &[
    "$(",
    "`",
    "<<EOF\n",
    "\\\n",
    "'",
    "\"",
    "${",
    ";;",
    "| ",
    "&& ",
    "curl -k ",
    "/v1/pki/issue/x",
    "> ",
    "case x in\n",
    "esac",
    "VAULT_TOKEN=",
];
const UNIT: &[&str] =
    &["\\\n", "[Service]\n", "ExecStart=", "OnCalendar=", "Environment=", "\\x41", "%i", "\"", "'", "*-*-* *:0/5", "${X}", "@", ".."];
/// A secret that an answer must not bring into a text.
const SECRET: &str = "hvs.secret-token-of-the-test";

/// The time at which the certificates of `pki` are good.
fn now() -> Time {
    Time::parse("2026-01-10T12:00:00Z").expect("a time")
}

/// What is read as certificates is written and read again as the same.
fn pem(data: &[u8]) {
    let none = BTreeMap::new();
    let text = String::from_utf8_lossy(data);
    let certificates = judge::pem::read(&text, &mut Findings::new(&none));
    let again: String = certificates.iter().map(|der| judge::pem::write(der)).collect();
    let mut second = Findings::new(&none);
    assert_eq!(judge::pem::read(&again, &mut second), certificates, "written and read again");
    let second = second.into_vec();
    assert!(second.is_empty(), "what is written has nothing against it: {second:?}");
    for der in &certificates {
        if let Ok(facts) = Facts::parse(der) {
            assert_eq!(facts.sha256, Fingerprint::of(der));
            assert!(!facts.spki.is_empty());
        }
    }
    assert_eq!(judge::pem::lists(&text), judge::pem::lists(&text), "lists read twice");
}

/// A key that is read has one public half, and no text says anything of the rest.
fn keys(data: &[u8]) {
    let all = material::public_keys(data);
    assert_eq!(all, material::public_keys(data), "read twice");
    match pair::spki_of_pkcs8(data) {
        Ok(spki) => assert!(pair::algorithm_of_spki(&spki).is_ok(), "the public half of what is taken is of a known kind"),
        Err(fault) => plain(&fault.to_string()),
    }
    pair::sound(data).ok();
}

struct Pki {
    root: Anchor,
    intermediate: Vec<u8>,
    leaf: Vec<u8>,
    spki: Vec<u8>,
    request: Request,
}

/// A chain that passes, made once and kept.
fn pki() -> &'static Pki {
    static PKI: OnceLock<Pki> = OnceLock::new();
    PKI.get_or_init(|| {
        let leaf = include_bytes!("pki/leaf.der").to_vec();
        let spki = Facts::parse(&leaf).expect("the leaf").spki;
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let profile = Profile {
            name: "tls-server".to_owned(),
            purpose: Purpose::Server,
            eku: Usage { required: words(&["serverAuth"]), allowed: vec![] },
            key_usage: Usage { required: words(&["digitalSignature"]), allowed: vec![] },
            keys: KeyAlgorithm::ALL.to_vec(),
            lifetime_min: Duration::from_secs(600),
            lifetime_max: Duration::from_secs(168 * 3600),
            wildcard: false,
            lints: BTreeMap::new(),
            renew_at: None,
        };
        let request = Request {
            name: CertName::parse("web").expect("a name"),
            profile: Arc::new(profile),
            ttl: Duration::from_secs(86_400),
            common_name: "web.funlab.casa".to_owned(),
            dns: vec!["localhost".to_owned()],
            ip: vec![[127, 0, 0, 1].into()],
            uri: vec![],
            email: vec![],
            subject: vec![],
            algorithm: KeyAlgorithm::EcP256,
        };
        let root = Anchor::new(include_bytes!("pki/root.der").to_vec());
        Pki { root, intermediate: include_bytes!("pki/intermediate.der").to_vec(), leaf, spki, request }
    })
}

fn is_accepted(leaf: &[u8], candidates: &[Vec<u8>]) -> bool {
    let Pki { root, spki, request, .. } = pki();
    let verdict = judge::gate(&Gate { request, anchors: &[root], leaf, candidates, spki, serves_until: None }, now());
    verdict.findings.iter().for_each(|finding| plain_but_for_names(&finding.expected, &finding.found));
    !verdict.refused()
}

/// The gate takes the leaf that was signed, and nothing else for it.
fn leaf(data: &[u8]) {
    let Pki { intermediate, leaf, .. } = pki();
    assert_eq!(is_accepted(data, std::slice::from_ref(intermediate)), data == leaf.as_slice(), "the verdict on a leaf");
}

/// No intermediate but the signed one leads to the root; what lies beside a good one takes nothing from it.
fn intermediate(data: &[u8]) {
    let Pki { intermediate, leaf, .. } = pki();
    assert_eq!(is_accepted(leaf, &[data.to_vec()]), data == intermediate.as_slice(), "the verdict by way of an intermediate");
    assert!(is_accepted(leaf, &[data.to_vec(), intermediate.clone()]), "the good one is found beside any other");
}

/// Lines lie in the text, in their order, and the tree is no larger than it may be.
fn hcl(data: &[u8]) {
    fn values(body: &hcl_file::Body, lines: u32) -> usize {
        let one = |item: &hcl_file::Item| {
            assert!((1..=lines).contains(&item.line), "line {} of {lines}", item.line);
            1 + below(&item.value, lines)
        };
        body.items.iter().map(one).sum()
    }
    fn below(value: &hcl_file::Value, lines: u32) -> usize {
        match value {
            hcl_file::Value::Body(body) => values(body, lines),
            hcl_file::Value::List(list) => list.iter().map(|value| 1 + below(value, lines)).sum(),
            _ => 0,
        }
    }
    let text = String::from_utf8_lossy(data);
    let lines = u32::try_from(text.matches('\n').count()).expect("few lines") + 1;
    let (body, fault) = hcl_file::parse(&text);
    assert!(values(&body, lines) <= 200_000, "a bounded tree");
    assert_eq!(hcl_file::parse(&text), (body, fault), "read twice");
}

/// A host of its own for each target, with these files, and what is said of it.
fn audited(host: &str, files: &[(&str, &[u8])], targets: &[&str]) {
    let root = place().join(host);
    for (path, content) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(&path, content).expect("a file");
    }
    let view = View::root(&root).expect("the root");
    let targets: Vec<AuditTarget> = targets.iter().map(|word| AuditTarget::parse(word, |_| false).expect("a target")).collect();
    let mut findings = HostFindings::new(now(), "host");
    run::files(&view, &targets, &Given::default(), &mut findings);
    holds(&findings.into_document());
}

/// Where the hosts of this process lie.
fn place() -> PathBuf {
    std::env::temp_dir().join(format!("omens-fuzz-{}", std::process::id()))
}

/// Removes them.
pub fn clean_up() {
    std::fs::remove_dir_all(place()).ok();
}

fn nginx(data: &[u8]) {
    audited("nginx", &[("nginx.conf", data)], &["nginx:/nginx.conf", "nginx-dump:/nginx.conf"]);
}

fn keylime(data: &[u8]) {
    let files = [("keylime/verifier.conf", data), ("keylime/agent.conf", data), ("keylime/tenant.conf", data)];
    audited("keylime", &files, &["keylime:/keylime"]);
}

fn scripts(data: &[u8]) {
    let unit = b"[Service]\nExecStart=/usr/local/bin/renew-cert.sh\n";
    audited("scripts", &[("etc/systemd/system/cert.service", unit), ("usr/local/bin/renew-cert.sh", data)], &[]);
}

fn units(data: &[u8]) {
    audited("units", &[("etc/systemd/system/cert.service", data), ("etc/systemd/system/cert.timer", data)], &[]);
}

fn spire(data: &[u8]) {
    audited("spire", &[("server.conf", data)], &["spire:/server.conf"]);
}

fn openbao_configuration(data: &[u8]) {
    audited("openbao", &[("server.hcl", data)], &["openbao:/server.hcl"]);
}

/// A report is written in every format, read back as the same, and nothing in it can steer a terminal.
fn holds(document: &Document) {
    let json = serde_json::to_string(document).expect("JSON");
    let again: Document = serde_json::from_str(&json).expect("what was written");
    assert_eq!(&again, document, "written and read again");
    for finding in &document.findings {
        for text in [&finding.expected, &finding.found, &finding.remedy, &finding.title, &finding.target.name] {
            plain(text);
        }
        finding.evidence.iter().for_each(|line| plain(line));
        finding.files.iter().for_each(|place| plain(&place.path));
    }
    let text = report::text::write(document, false);
    text.lines().for_each(plain);
    serde_json::from_str::<serde_json::Value>(&report::sarif::write(document)).expect("SARIF is JSON");
    for text in [report::html::write(document), report::junit::write(document), report::prometheus::write(document)] {
        assert!(!text.contains('\u{1b}') && !text.contains('\0'), "no control character reaches a page");
    }
}

/// No line break, no control character and no change of direction.
fn plain(text: &str) {
    let steers = |c: char| c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!text.contains(steers), "a text that can steer a terminal: {text:?}");
}

fn plain_but_for_names(expected: &str, found: &str) {
    // Texts of the judge pass through `text::one_line` where they are shown; here only their size is bounded.
    assert!(expected.len() + found.len() < 1 << 20, "a text without bound");
}

/// Each value has one form in bytes.
fn sealed(data: &[u8]) {
    fn one<T: Format>(data: &[u8]) {
        match T::parse(data) {
            Ok(value) => assert_eq!(value.to_bytes(), data, "one form"),
            Err(why) => plain(&why.to_string()),
        }
    }
    one::<SealedKeyFile>(data);
    one::<SealingKeyFile>(data);
    one::<SrkPin>(data);
}

/// What is read is written and read again as the same.
fn state(data: &[u8]) {
    fn one<T: serde::Serialize + serde::de::DeserializeOwned>(data: &[u8]) {
        if let Ok(value) = serde_json::from_slice::<T>(data) {
            let first = serde_json::to_vec(&value).expect("JSON");
            let again: T = serde_json::from_slice(&first).expect("what was written");
            assert_eq!(serde_json::to_vec(&again).expect("JSON"), first, "written and read again");
        }
    }
    one::<State>(data);
    one::<Meta>(data);
    // A ledger is read line by line.
    data.split(|byte| *byte == b'\n').for_each(one::<Entry>);
}

/// What a server says is shown on one line, and a secret of ours that it repeats is not.
fn openbao_answers(data: &[u8]) {
    match answer::signed(data, &[SECRET]) {
        Ok(signed) => {
            assert!(signed.leaf_pem.contains("-----BEGIN CERTIFICATE-----"));
            for warning in &signed.warnings {
                plain(&warning.text);
                assert!(!warning.text.contains(SECRET), "a secret in a warning");
            }
        }
        Err(why) => plain(&why),
    }
    if let Ok(answer::LoggedIn { token, .. }) = answer::login(data) {
        assert!(!format!("{token:?}").contains("hvs."), "a token does not print itself");
    }
    answer::capabilities(data).ok();
    if let Ok(value) = answer::data(data) {
        assert!(value.is_object());
    }
}

/// Reports of others are joined into one that is as good as our own, and joined again it stays what it is.
fn merge(data: &[u8]) {
    let document = |part: &[u8]| serde_json::from_slice::<Document>(part).ok();
    let mut all: Vec<Document> = document(data).into_iter().collect();
    if all.is_empty() {
        all = data.split(|byte| *byte == 0x1e).filter_map(document).collect();
    }
    if let Some(first) = all.first().cloned() {
        all.push(Document { host: "another".to_owned(), ..first });
        holds(&report::merge::join(all));
    }
}

/// The seeds of a target, in an order that does not change.
pub fn seeds(target: &Target, project: &Path) -> Vec<Vec<u8>> {
    let own = project.join("tests/fuzz/seeds").join(target.name);
    let mut files = Vec::new();
    for path in std::iter::once(own).chain(target.seeds.iter().map(|seed| project.join(seed))) {
        match std::fs::read_dir(&path) {
            Ok(entries) => files.extend(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file())),
            Err(_) => files.extend(path.is_file().then_some(path)),
        }
    }
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("a seed")).collect()
}
