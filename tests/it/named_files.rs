//! Files that a person names and that are something else: what is said names the file, what was expected, and what helps.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::lab::pki::{Ca, CaKeys, Leaf, ROOT, ec_key};
use crate::lab::{child, estate, place};

fn json(arguments: &[&str]) -> (i32, Value) {
    let mut command = Command::new(estate::omens());
    command.arg("--json").args(arguments);
    let output = child::run(command, std::time::Duration::from_secs(30));
    let document = serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{why}: {} {}", output.stdout, output.stderr));
    (output.code, document)
}

fn refused(arguments: &[&str]) -> String {
    let (code, document) = json(arguments);
    assert_eq!(code, 2, "{document:#}");
    format!("{} | {}", document["error"]["text"].as_str().unwrap(), document["error"]["hint"].as_str().unwrap_or_default())
}

#[test]
fn what_is_no_file_that_can_be_read_is_named_with_what_helps() {
    let dir = place::directory("named-files");
    let at = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    std::fs::File::create(at("large.pem")).unwrap().set_len(64 << 20).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at("fifo.pem"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    std::os::unix::fs::symlink("loop.pem", at("loop.pem")).unwrap();
    for (name, found, remedy) in [
        ("large.pem", "larger than", "bytes"),
        ("fifo.pem", "pipe", "name a regular file"),
        ("loop.pem", "links", "a loop of links"),
        ("none.pem", "does not exist", "correct the path"),
    ] {
        let (code, document) = json(&["chain-audit", "--no-config", &at(name)]);
        let finding = &document["findings"][0];
        let (said, helps) = (finding["found"].as_str().unwrap_or_default(), finding["remedy"].as_str().unwrap_or_default());
        assert!(said.contains(found) && helps.contains(remedy) && !helps.contains("root"), "{name} {code:?}: {finding:#}");
    }
}

#[test]
fn a_file_of_another_kind_is_refused_in_words() {
    let dir = place::directory("other-files");
    let put = |name: &str, text: &str| -> String {
        std::fs::write(dir.join(name), text).unwrap();
        dir.join(name).to_str().unwrap().to_owned()
    };
    let file = put("file", "x\n[\n");
    for command in ["chain-audit", "init"] {
        let said = refused(&[command, "--root", &file]);
        assert!(said.contains("expected a directory") && !said.contains("does not exist"), "{said}");
    }
    let said = refused(&["chain-audit", "--no-config", "--profile", &put("profile.toml", "\nroot:x:0\n"), &file]);
    assert!(said.contains("line 2: "), "{said}");
    for (name, text, words) in [
        ("list", "[]", "found JSON without a schema"),
        ("other", "{\"schema\": \"omens.chain-audit/9\"}", "found one of the schema omens.chain-audit/9"),
        ("damaged", "{\"schema\": \"omens.chain-audit/1\"}", "found one that is damaged: missing field"),
        ("none", "<html>", "found no JSON"),
    ] {
        let path = put(name, text);
        let said = refused(&["chain-audit", "merge", &path]);
        assert!(said.contains(&format!("{path}: expected a report of the schema omens.chain-audit/1, {words}")), "{said}");
    }
    let said = refused(&["chain-audit", "--no-config", "--waivers", &put("waivers", "[[waiver]]\nid\n"), "/dev/null"]);
    assert!(said.contains("waivers: line 2: ") && !said.contains('\n'), "{said}");
}

#[test]
fn init_says_of_a_certificate_whose_path_is_a_variable_that_it_is_left_out() {
    let dir = place::directory("variable");
    std::fs::create_dir_all(dir.join("etc/nginx")).unwrap();
    let server = "map $ssl_server_name $ssl_name { default web; }\nserver { listen 443 ssl; ssl_certificate $ssl_name.pem; ssl_certificate_key $ssl_name.key; }";
    std::fs::write(dir.join("etc/nginx/nginx.conf"), format!("events {{}}\nhttp {{\n{server}\n}}\n")).unwrap();
    let (_, document) = json(&["init", "--root", Path::new(&dir).to_str().unwrap()]);
    let skipped = document["skipped"].as_array().unwrap();
    let one = skipped.iter().find(|one| one["what"] == "$ssl_name.pem").unwrap_or_else(|| panic!("{document:#}"));
    assert!(one["file"] == "/etc/nginx/nginx.conf" && one["line"] == 4 && one["why"].as_str().unwrap().contains("variables"), "{one:#}");
}

/// Nobody has to have settings, but those that are named have to be there.
#[test]
fn settings_of_another_host_that_are_named_have_to_be_there() {
    let dir = place::directory("named-settings");
    std::fs::create_dir_all(dir.join("etc/omens")).unwrap();
    let root = dir.to_str().unwrap();
    let named = "/etc/omens/other.toml";
    for (more, expected) in [(vec![], None), (vec!["--config", named], Some(named)), (vec!["--config", named, "--no-config"], None)] {
        let (_, document) = json(&[&["chain-audit", "--root", root][..], more.as_slice()].concat());
        let found = document["findings"].as_array().unwrap().iter().find(|finding| finding["id"] == "input.unreadable");
        assert_eq!(found.map(|finding| finding["files"][0]["path"].as_str().unwrap()), expected, "{document:#}");
    }
}

/// One block of each file of a flag is bad: which one is said.
#[test]
fn a_bad_block_of_a_file_that_a_flag_names_is_said_with_its_file_and_line() {
    let dir = place::directory("bad-blocks");
    let root = Ca::root(ROOT, CaKeys::Ec);
    let leaf = root.leaf(&ec_key(), &Leaf::server("a.example", &["a.example"], &[], time::Duration::DAY));
    let put = |name: &str, text: &str| -> String {
        std::fs::write(dir.join(name), text).unwrap();
        dir.join(name).to_str().unwrap().to_owned()
    };
    let block = |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
    let begins = |text: &str| u64::try_from(text.lines().count() + 1).unwrap();
    let chain = put("leaf.pem", &leaf.pem());
    let anchors = put("anchors.pem", &(root.pem.clone() + &block("CERTIFICATE", "MAMCAQE=")));
    let beside = put("beside.pem", &(root.pem.clone() + &block("CERTIFICATE", "!!")));
    let list = put("list.pem", &(block("X509 CRL", "MAMCAQE=") + "note\n" + &block("X509 CRL", "!!")));
    let whole = put("list.der", "no list");
    let arguments =
        ["chain-audit", "--no-config", "--anchor", &anchors, "--intermediates", &beside, "--crl", &list, "--crl", &whole, &chain];
    let (_, document) = json(&arguments);
    let place = |path: &str, line: Option<u64>| serde_json::json!({ "path": path, "line": line });
    let lines = begins(&root.pem);
    for (id, places) in [
        ("input.malformed", vec![place(&anchors, Some(lines))]),
        ("chain.malformed", vec![place(&beside, Some(lines))]),
        ("crl.malformed", vec![place(&list, Some(1)), place(&list, Some(5)), place(&whole, None)]),
    ] {
        let found: Vec<&Value> = document["findings"].as_array().unwrap().iter().filter(|finding| finding["id"] == id).collect();
        let files: Vec<&Value> =
            found.iter().flat_map(|finding| finding["files"].as_array().unwrap()).filter(|file| file["path"] != *chain).collect();
        assert_eq!(files, places.iter().collect::<Vec<_>>(), "{id}: {document:#}");
    }
    let anchor = put("root.pem", &root.pem);
    let verdict = |more: &[&str]| {
        let (_, document) = json(&[&["chain-audit", "--no-config", "--anchor", &anchor], more, &[&chain]].concat());
        document["chains"][0]["verdict"].clone()
    };
    assert_eq!(verdict(&[]), "accept");
    assert_eq!(verdict(&["--crl", &list]), "reject", "a list that cannot be read is no list that revokes nothing");
}
