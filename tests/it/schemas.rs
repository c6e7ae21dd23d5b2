//! The JSON schemas of all documents (`fixtures/schemas`, `omens schema NAME`) say what the documents are: each pinned document and what
//! the binary prints pass, and hold nothing that their schema does not describe.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use omens::model::entry::Outcome;
use omens::model::failure::Stage;
use omens::model::finding::Severity;
use omens::model::reason::ReasonCode;
use omens::model::state::Proof;
use serde_json::Value;

use crate::lab::child::run;
use crate::lab::estate::omens;
use crate::lab::pki::{Ca, CaKeys, Leaf, ec_key};
use crate::lab::place;

/// Each pinned document of `fixtures/documents`, with the schema for it.
const PINNED: [(&str, &str); 9] = [
    ("report.json", "report"),
    ("plan.json", "plan"),
    ("status.json", "status"),
    ("chain-audit.json", "chain-audit"),
    ("probe.json", "probe"),
    ("notify.json", "notify"),
    ("ledger-line.json", "ledger-line"),
    ("state.json", "state"),
    ("meta.json", "meta"),
];

fn fixture(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

fn schema(name: &str) -> Value {
    fixture(&format!("schemas/{name}.json"))
}

fn all() -> BTreeMap<String, Value> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/schemas");
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.map(|file| file.trim_end_matches(".json").to_owned()).map(|name| (name.clone(), schema(&name))).collect()
}

/// Demands that a document is what the schema of this name says, and nothing more.
#[track_caller]
pub fn fits(name: &str, document: &Value) {
    assert_eq!(Validator::faults(&schema(name), document), Vec::<String>::new(), "{name}: {document}");
}

/// JSON Schema 2020-12 as far as these schemas use it; a keyword that it does not know is a panic, so that nothing is passed over.
struct Validator<'a> {
    root: &'a Value,
    faults: Vec<String>,
}

impl<'a> Validator<'a> {
    /// What is wrong with a document, one line each; a member that the schema does not describe is wrong too.
    fn faults(root: &'a Value, document: &Value) -> Vec<String> {
        let mut validator = Self { root, faults: Vec::new() };
        validator.check(root, document, "$");
        validator.faults
    }

    fn fault(&mut self, at: &str, what: &str) {
        self.faults.push(format!("{at}: {what}"));
    }

    fn check(&mut self, schema: &'a Value, value: &Value, at: &str) {
        let schema = schema.as_object().unwrap_or_else(|| panic!("{at}: a schema is an object"));
        for (keyword, wanted) in schema {
            match keyword.as_str() {
                "$schema" | "$id" | "$defs" | "title" | "description" => {}
                "$ref" => {
                    let name = wanted.as_str().and_then(|target| target.strip_prefix("#/$defs/")).expect("a reference within the schema");
                    let target = self.root["$defs"].get(name).unwrap_or_else(|| panic!("{at}: there is no {name}"));
                    self.check(target, value, at);
                }
                "type" | "enum" | "const" | "minimum" | "pattern" | "format" => {
                    if !holds(keyword, wanted, value) {
                        self.fault(at, &format!("{value} is not as {keyword} {wanted} has it"));
                    }
                }
                "anyOf" => {
                    let one = |schema| {
                        let mut other = Validator { root: self.root, faults: Vec::new() };
                        other.check(schema, value, at);
                        other.faults
                    };
                    let tried: Vec<Vec<String>> = wanted.as_array().unwrap().iter().map(one).collect();
                    if tried.iter().all(|faults| !faults.is_empty()) {
                        self.faults.extend(tried.into_iter().flatten());
                    }
                }
                "required" => {
                    for name in wanted.as_array().unwrap().iter().map(|name| name.as_str().unwrap()) {
                        if value.as_object().is_some_and(|members| !members.contains_key(name)) {
                            self.fault(at, &format!("{name} is missing"));
                        }
                    }
                }
                "properties" => {
                    for (name, member) in value.as_object().into_iter().flatten() {
                        match wanted.get(name) {
                            Some(schema) => self.check(schema, member, &format!("{at}.{name}")),
                            None => self.fault(at, &format!("the schema does not describe {name}")),
                        }
                    }
                }
                "additionalProperties" => {
                    value.as_object().into_iter().flatten().for_each(|(name, member)| self.check(wanted, member, &format!("{at}.{name}")));
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(wanted, item, &format!("{at}[{index}]"));
                    }
                }
                other => panic!("{at}: the keyword {other} is not known here"),
            }
        }
    }
}

/// What a keyword says of one value; those for strings and numbers hold for what is neither.
fn holds(keyword: &str, wanted: &Value, value: &Value) -> bool {
    let text = |yes: &dyn Fn(&str) -> bool| value.as_str().is_none_or(yes);
    match keyword {
        "type" => wanted
            .as_array()
            .map_or_else(|| is(wanted.as_str().unwrap(), value), |any| any.iter().any(|kind| is(kind.as_str().unwrap(), value))),
        "enum" => wanted.as_array().unwrap().contains(value),
        "const" => wanted == value,
        "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().unwrap()),
        "pattern" => text(&|text| matches(wanted.as_str().unwrap(), text)),
        "format" => {
            assert_eq!(wanted, "date-time");
            text(&|text| omens::model::clock::Time::parse(text).is_some())
        }
        other => panic!("the keyword {other} is not known here"),
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type {other}"),
    }
}

/// The patterns that these schemas use.
fn matches(pattern: &str, text: &str) -> bool {
    let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    match pattern {
        "^[0-9a-f]{64}$" => text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
        "^[a-z0-9-]+$" => !text.is_empty() && text.bytes().all(|b| lower(b) || b == b'-'),
        "^[a-z0-9][a-z0-9._-]{0,63}$" => omens::model::name::CertName::parse(text).is_ok(),
        "^omens\\.[a-z-]+/1$" => {
            let word = text.strip_prefix("omens.").and_then(|rest| rest.strip_suffix("/1"));
            word.is_some_and(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        }
        other => panic!("no pattern {other}"),
    }
}

#[test]
fn every_pinned_document_is_what_its_schema_says_and_nothing_more() {
    for (file, name) in PINNED {
        let mut document = fixture(&format!("documents/{file}"));
        if file == "report.json" {
            document["schema"] = "omens.renew/1".into();
        }
        assert_eq!(Validator::faults(&schema(name), &document), Vec::<String>::new(), "{file}");
    }
}

#[test]
fn a_document_that_is_otherwise_does_not_pass() {
    for (pointer, wrong) in [
        ("/certificates/0/outcome", Value::from("done")),
        ("/certificates/0/serial", Value::from(7)),
        ("/certificates/0/sha256", Value::from("AB")),
        ("/certificates/0/debt/since", Value::from("yesterday")),
        ("/certificates/0/generation", Value::from(0)),
        ("/certificates/0/reasons/0/code", Value::from("whim")),
        ("/started", Value::Null),
        ("/schema", Value::from("omens.renew/2")),
    ] {
        let mut document = fixture("documents/report.json");
        document["schema"] = "omens.renew/1".into();
        *document.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = wrong;
        assert!(!Validator::faults(&schema("report"), &document).is_empty(), "{pointer}");
    }
    let mut document = fixture("documents/plan.json");
    document["certificates"][0]["colour"] = "blue".into();
    document.as_object_mut().unwrap().remove("at");
    assert_eq!(Validator::faults(&schema("plan"), &document).len(), 2);
}

#[test]
fn what_the_binary_prints_without_a_host_passes_too() {
    let dir = place::directory("schemas");
    std::fs::write(dir.join("omens.toml"), "[host]\nnme = 1\n").unwrap();
    for (arguments, name) in
        [(&["check-config"][..], "check-config"), (&["renew", "--all"], "report"), (&["chain-audit", "--no-config"], "chain-audit")]
    {
        let mut command = Command::new(omens());
        command.args(["--json", "--config"]).arg(dir.join("omens.toml")).args(arguments).args(
            // Nothing of this machine.
            if name == "chain-audit" { vec!["--root".to_owned(), dir.display().to_string()] } else { Vec::new() },
        );
        let output = run(command, Duration::from_secs(60));
        let document: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{arguments:?}: {why}: {}", output.stdout));
        assert_eq!(Validator::faults(&schema(name), &document), Vec::<String>::new(), "{arguments:?}");
    }
}

/// A host with one pair of a web server, under a directory.
fn adoptable() -> std::path::PathBuf {
    let root = place::directory("adoptable");
    let key = crate::lab::pki::ec_key();
    let ca = crate::lab::pki::Ca::root("Some Root", crate::lab::pki::CaKeys::Ec);
    let leaf = crate::lab::pki::Leaf::server("www.example.net", &["example.net"], &["10.0.0.1".parse().unwrap()], time::Duration::DAY);
    for directory in ["etc/nginx", "etc/ssl", "etc/spire"] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
    }
    std::fs::write(root.join("etc/ssl/web.pem"), format!("{}{}", ca.leaf(&key, &leaf).pem(), ca.pem)).unwrap();
    std::fs::write(root.join("etc/ssl/web.key"), key.serialize_pem()).unwrap();
    let server =
        "server { listen 443 ssl; server_name www.example.net; ssl_certificate /etc/ssl/web.pem; ssl_certificate_key /etc/ssl/web.key; }";
    std::fs::write(root.join("etc/nginx/nginx.conf"), format!("events {{}}\nhttp {{ {server} }}\n")).unwrap();
    let agent = "agent { data_dir = \"/var/lib/spire\" server_address = \"spire\" server_port = \"8081\" trust_domain = \"example.net\" }";
    let files = "certificate_path = \"/etc/ssl/web.pem\" private_key_path = \"/etc/ssl/web.key\"";
    let plugins =
        format!("plugins {{ NodeAttestor \"x509pop\" {{ plugin_data {{ {files} }} }} KeyManager \"memory\" {{ plugin_data {{}} }} }}");
    std::fs::write(root.join("etc/spire/agent.conf"), format!("{agent}\n{plugins}\n")).unwrap();
    root
}

/// What every document of a command has, whatever became of it.
#[track_caller]
pub fn says_how_it_ended(document: &Value, code: i32) {
    for key in ["started", "finished"] {
        assert!(document[key].as_str().is_some_and(|time| time.ends_with('Z')), "{key}: {document}");
    }
    assert_eq!(document["exit"], code, "{document}");
    assert!(document.get("error").is_some() && document["errors"].is_array(), "{document}");
}

#[test]
fn what_init_and_the_audit_print_has_one_shape_at_every_exit_code() {
    let (host, empty) = (adoptable(), place::directory("nothing-to-adopt"));
    let text = |path: &Path| path.display().to_string();
    let rows = [
        ("init", vec!["init".to_owned(), "--root".into(), text(&host)], 0),
        ("init", vec!["init".to_owned(), "--root".into(), text(&empty)], 1),
        ("init", vec!["init".to_owned(), "--root".into(), "/nonexistent".into()], 2),
        ("init", vec!["init".to_owned(), "--no-such".into()], 2),
        ("chain-audit", vec!["chain-audit".to_owned(), "--no-config".into(), "--root".into(), "/nonexistent".into()], 2),
        ("chain-audit", vec!["chain-audit".to_owned(), "merge".into(), "/nonexistent".into()], 2),
        ("plan", vec!["plan".to_owned(), "--no-such".into()], 2),
        ("status", vec!["status".to_owned(), "--no-such".into()], 2),
    ];
    for (name, arguments, code) in rows {
        let mut command = Command::new(omens());
        command.arg("--json").args(&arguments);
        let output = run(command, Duration::from_secs(60));
        let document: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{arguments:?}: {why}: {}", output.stdout));
        assert_eq!(output.code, code, "{arguments:?}: {document}");
        says_how_it_ended(&document, code);
        assert_eq!(Validator::faults(&schema(name), &document), Vec::<String>::new(), "{arguments:?}: {document}");
        assert_eq!(document["schema"], format!("omens.{name}/1"), "{arguments:?}");
        assert_eq!(document["error"]["text"].is_string(), code == 2, "{arguments:?}: {document}");
        let is_adopted = (name, code) == ("init", 0);
        assert!(!is_adopted || output.stdout.contains("\"plugin\":{\"kind\":\"NodeAttestor\""), "{document}");
    }
}

#[test]
fn what_has_looked_says_how_it_ended_as_what_could_not_does() {
    let dir = place::directory("looked");
    let (empty, report) = (dir.display().to_string(), dir.join("report.json").display().to_string());
    std::fs::write(&report, include_str!("../../fixtures/documents/chain-audit.json")).unwrap();
    for (arguments, name, code) in [
        (&["chain-audit", "--no-config", "--root", &empty, "--fail-on", "none"][..], "chain-audit", 0),
        (&["chain-audit", "merge", &report], "chain-audit", 1),
        (&["probe", "127.0.0.1:1"], "probe", 1),
        (&["explain", "eku.absent"], "explain", 0),
    ] {
        let mut command = Command::new(omens());
        command.arg("--json").args(arguments);
        let output = run(command, Duration::from_secs(60));
        let document: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{arguments:?}: {why}: {}", output.stdout));
        assert_eq!(output.code, code, "{arguments:?}: {document}");
        assert_eq!(Validator::faults(&schema(name), &document), Vec::<String>::new(), "{arguments:?}: {document}");
        says_how_it_ended(&document, code);
    }
}

#[test]
fn what_a_command_prints_where_it_does_nothing_or_only_tells_passes_too() {
    let dir = place::directory("schemas");
    let at = |name: &str| dir.join(name).display().to_string();
    std::fs::write(dir.join("omens.toml"), "[host]\nnme = 1\n").unwrap();
    std::fs::write(dir.join("bad.json"), "{").unwrap();
    let gone = at("gone");
    // A host with something to take over.
    let (ca, key) = (Ca::root("Eye of Thundera", CaKeys::Ec), ec_key());
    let leaf = ca.leaf(&key, &Leaf::server("web.example", &["web.example"], &[], time::Duration::DAY));
    std::fs::create_dir_all(dir.join("host/etc/nginx")).unwrap();
    let block = "server { listen 443 ssl; server_name web.example; ssl_certificate /etc/web.crt; ssl_certificate_key /etc/web.key; }";
    for (file, text) in
        [("nginx/nginx.conf", format!("events {{}}\nhttp {{ {block} }}\n")), ("web.crt", leaf.pem()), ("web.key", key.serialize_pem())]
    {
        std::fs::write(dir.join("host/etc").join(file), text).unwrap();
    }
    let host = at("host");
    for (arguments, name, code) in [
        (&["chain-audit", "--no-config", "--root", &gone][..], "chain-audit", 2),
        (&["chain-audit", "--fail-on", "x"], "chain-audit", 2),
        (&["chain-audit", "merge", &at("bad.json")], "chain-audit", 2),
        (&["probe", "x"], "probe", 2),
        (&["probe", "127.0.0.1:1", "--cert", &gone], "probe", 2),
        (&["check-config", "--foo"], "check-config", 2),
        (&["plan"], "plan", 2),
        (&["status"], "status", 2),
        (&["install"], "report", 2),
        (&["--foo"], "report", 2),
        (&["attest", "--once"], "attest", 2),
        (&["attest"], "attest", 2),
        (&["attest", "--once", "--foo"], "attest", 2),
        (&["attest", "--print-policy"], "attest-policy", 2),
        (&["attest", "--print-policy", "--foo"], "attest-policy", 2),
        (&["init", "--root", &gone], "init", 2),
        (&["init", "--root", &host], "init", 0),
        (&["init", "--server"], "init-server", 2),
        (&["init", "--server", "--foo"], "init-server", 2),
        (&["explain", "no.such"], "explain", 2),
        (&["explain"], "explain", 2),
        (&["chain-audit", "--list-findings"], "chain-audit-findings", 0),
        (&["schema"], "schema", 0),
        (&["schema", "no-such"], "schema", 2),
        (&["run"], "report", 2),
        (&["completions", "fsh"], "report", 2),
        (&["man", &gone], "report", 1),
    ] {
        let mut command = Command::new(omens());
        command.args(["--json", "--config"]).arg(dir.join("omens.toml")).args(arguments);
        let output = run(command, Duration::from_secs(60));
        let document: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{arguments:?}: {why}: {}", output.stdout));
        assert_eq!(output.code, code, "{arguments:?}: {document}");
        says_how_it_ended(&document, code);
        fits(name, &document);
        is_described(&document, &output.stderr);
        // What a run reports lists certificates; no other document becomes one of those where nothing was attempted.
        if code == 2 && name != "report" {
            assert_eq!(document["schema"], format!("omens.{name}/1"), "{arguments:?}: {document}");
            let says = |field: &str| document[field]["code"].is_string() || document[field][0]["code"].is_string();
            assert!(says("error") || says("errors"), "{arguments:?}: {document}");
            let lists = ["plan", "status", "init", "check-config"].contains(&name);
            assert!(lists || document.get("certificates").is_none(), "{arguments:?}: {document}");
        }
    }
}

/// The binary prints the schema of a document by the word that stands in it; and what failed is a line on stderr too.
#[track_caller]
fn is_described(document: &Value, stderr: &str) {
    assert!(document["error"].is_null() || !stderr.is_empty(), "{document}");
    let word = document["schema"].as_str().unwrap().trim_start_matches("omens.").trim_end_matches("/1");
    let mut schema = Command::new(omens());
    schema.args(["schema", word]);
    assert_eq!(run(schema, Duration::from_secs(60)).code, 0, "{word}");
}

/// The settings are right, and the TPM does not answer: the document has its own shape, and the exit code that the process has.
#[test]
fn what_a_tpm_does_not_give_is_told_in_the_document_that_was_asked_for() {
    let hostile = crate::lab::hostile::Hostile::start();
    let estate = hostile.estate().with_tpm("swtpm:host=127.0.0.1,port=1", &[]);
    let by = "by = [ { keylime = { registrar = \"https://127.0.0.1:1\", verifier = \"https://127.0.0.1:1\" } } ]";
    std::fs::write(estate.settings(), format!("{}\n[attestation]\n{by}\n", estate.settings_text())).unwrap();
    let run = estate.omens(&["attest", "--print-policy"]);
    fits("attest-policy", &run.json);
    assert_eq!((run.code, &run.json["exit"], &run.json["error"]["code"]), (1, &1.into(), &"tpm-unreachable".into()), "{run}");
}

#[test]
fn the_words_of_a_schema_are_those_of_the_code() {
    let words = |all: Vec<&str>| Value::from(all);
    let sets = [
        ("outcome", "/enum", words(Outcome::ALL.iter().map(|one| one.as_str()).collect())),
        ("proof", "/enum", words(Proof::ALL.iter().map(|one| one.as_str()).collect())),
        ("stage", "/enum", words(Stage::ALL.iter().map(|one| one.as_str()).collect())),
        ("severity", "/enum", words(Severity::ALL.iter().map(|one| one.as_str()).collect())),
        ("reason", "/properties/code/enum", words(ReasonCode::ALL.iter().map(|one| one.as_str()).collect())),
    ];
    let mut known = BTreeMap::new();
    for (file, schema) in all() {
        for (name, definition) in schema["$defs"].as_object().into_iter().flatten() {
            // What has the same name is the same thing everywhere.
            assert_eq!(known.entry(name.clone()).or_insert_with(|| definition.clone()), definition, "{file}: {name}");
        }
    }
    for (name, pointer, words) in sets {
        assert_eq!(known[name].pointer(pointer), Some(&words), "{name}: bring fixtures/schemas to what the code has");
    }
}

#[test]
fn the_binary_prints_each_schema_and_names_them_all() {
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(omens());
        command.arg("schema").args(arguments);
        run(command, Duration::from_secs(60))
    };
    let names: Vec<String> = ask(&[]).stdout.lines().map(str::to_owned).collect();
    let mut printed = Vec::new();
    for name in &names {
        let schema: Value = serde_json::from_str(&ask(&[name]).stdout).unwrap();
        printed.push(schema["$id"].as_str().unwrap().trim_start_matches("urn:omens:schema:").to_owned());
    }
    printed.sort();
    printed.dedup();
    assert_eq!(printed, all().into_keys().collect::<Vec<_>>());
    assert_eq!(ask(&["no-such"]).code, 2);
}
