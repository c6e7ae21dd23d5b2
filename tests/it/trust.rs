//! What consumers are to trust, on real parts: files that are there for all of them, and a root that is exchanged while clients ask.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::lab::client::Load;
use crate::lab::estate::{Authority, Cert, Estate, Run};
use crate::lab::openbao::OpenBao;
use crate::lab::pki::{Ca, CaKeys, pem_blocks, sha256};
use crate::web::{NAME, Web};

/// Settings whose `[trust]`, `ca` and mount are these.
pub(crate) fn settings(web: &Web, trust: &str, mount: &str) {
    let text = web.estate.settings_text();
    let (before, rest) = text.split_once("[trust]\n").unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    let ca = format!("[openbao]\nca = \"{}\"\n", web.estate.anchor().display());
    let after = after.replace("[openbao]\n", &ca).replace("mount = \"pki_int\"", &format!("mount = \"{mount}\""));
    std::fs::write(web.estate.settings(), format!("{before}[trust]\n{trust}\n{after}")).unwrap();
}

pub(crate) fn root(key: &str, file: &Path, pem: &str) -> String {
    format!("{key} = \"{}\"\n{key}_sha256 = \"{}\"\n", file.display(), sha256(&pem_blocks(pem)[0]))
}

fn also(file: &Path, pem: &str) -> String {
    format!("also = [ {{ {} }} ]\n", root("anchor", file, pem).trim().replace('\n', ", "))
}

/// What stands in a file of `trust`, which everybody may read.
fn trust_file(estate: &Estate, name: &str) -> Vec<String> {
    let path = estate.run_dir().join("trust").join(name);
    let mode = std::fs::metadata(&path).unwrap_or_else(|why| panic!("{name}: {why}")).permissions().mode();
    assert_eq!(mode & 0o7777, 0o644, "{name}");
    pem_blocks(&std::fs::read_to_string(path).unwrap()).iter().map(|der| sha256(der)).collect()
}

fn codes(run: &Run) -> Vec<&str> {
    run.json["errors"].as_array().unwrap().iter().map(|error| error["code"].as_str().unwrap()).collect()
}

/// A host whose consumers are to read roots and bundle, and whose login may sign below both roots.
struct Rotating {
    web: Web,
    /// Where its consumers look.
    etc: PathBuf,
    new_file: PathBuf,
    /// The intermediate of the new root.
    middle: String,
}

impl Rotating {
    fn host(new: &Ca) -> Self {
        let bao = OpenBao::shared();
        let middle = sha256(&bao.second_mount("pki_new", new));
        let policy = "path \"pki_new/sign/web-ec\" { capabilities = [\"update\"] }";
        bao.api("PUT", "sys/policies/acl/omens-new-root", Some(json!({ "policy": policy })));
        let (role_id, secret_id) = bao.approle("rotating-host", &["omens-renew", "omens-new-root"]);
        let estate = Estate::new("rotating-host", Authority::approle(bao.address(), &bao.root.pem, &role_id, &secret_id));
        let mut web = Web::stopped(estate);
        let (etc, new_file) = (web.estate.dir.join("etc"), web.estate.dir.join("new-root.pem"));
        std::fs::create_dir(&etc).unwrap();
        std::fs::write(&new_file, &new.pem).unwrap();
        let files = "bundle = \"bundle.pem\", anchors = \"roots.pem\", ca = \"ca.pem\"";
        web.estate.certs[0].extra = format!("install = [ {{ dir = \"{}\", {files} }} ]\n", etc.display());
        web.estate.write();
        Self { web, etc, new_file, middle }
    }
}

/// What was signed for it, of whatever mount.
pub(crate) fn signatures(web: &Web) -> usize {
    OpenBao::shared().paths(&web.estate.login).iter().filter(|path| path.contains("/sign/")).count()
}

/// nginx has taken `web` up once more, and nothing was signed for it.
#[track_caller]
fn taken_up_again(web: &Web, signed: usize) {
    let plan = web.estate.omens(&["plan"]);
    assert_eq!(plan.reasons("web"), ["trust-changed"], "{plan}");
    let run = web.estate.renew();
    run.expect(0, "web", "settled");
    assert_eq!(run.cert("web")["proof"], "served", "{run}");
    assert_eq!(signatures(web), signed, "{run}");
    let again = web.estate.renew();
    again.expect(0, "web", "not-due");
}

#[test]
fn the_root_is_exchanged_while_clients_ask_and_no_handshake_fails() {
    let (old, new) = (&OpenBao::shared().root, Ca::root("Eye of Thundera", CaKeys::Ec));
    let Rotating { mut web, etc, new_file, middle } = Rotating::host(&new);
    let old_file = web.estate.anchor();
    let first = |file: &Path, ca: &Ca| root("anchor", file, &ca.pem);
    settings(&web, &first(&old_file, old), "pki_int");
    web.estate.renew().expect(0, "web", "renewed");
    assert_eq!(web.estate.omens(&["install"]).code, 0);
    web.nginx.start();
    web.estate.renew().expect(0, "web", "settled");
    web.estate.renew().expect(0, "web", "not-due");
    let signed = signatures(&web);
    let old_middle = sha256(&pem_blocks(&OpenBao::shared().intermediate)[0]);
    let (old_root, new_root) = (sha256(&old.der), sha256(&new.der));
    assert_eq!(trust_file(&web.estate, "anchors.pem"), [old_root.as_str()]);
    assert_eq!(trust_file(&web.estate, "bundle.pem"), [old_root.as_str(), old_middle.as_str()]);
    assert_eq!(trust_file(&web.estate, "intermediates.pem"), [old_middle.as_str()]);
    assert_eq!(std::fs::read(etc.join("bundle.pem")).unwrap(), std::fs::read(web.estate.run_dir().join("trust/bundle.pem")).unwrap());
    let load = Load::following(web.port, NAME, &etc.join("roots.pem"), 3);

    // The new root is known everywhere before anything is issued from it.
    settings(&web, &(first(&old_file, old) + &also(&new_file, &new.pem)), "pki_int");
    taken_up_again(&web, signed);
    assert_eq!(trust_file(&web.estate, "anchors.pem"), [old_root.as_str(), new_root.as_str()]);
    assert_eq!(trust_file(&web.estate, "anchor.pem"), [old_root.as_str()]);

    // The old one is in use: it may not be dropped yet.
    settings(&web, &first(&new_file, &new), "pki_new");
    let check = web.estate.omens(&["check-config"]);
    assert_eq!((check.code, codes(&check)), (2, vec!["anchor-in-use"]), "{check}");
    let error = &check.json["errors"][0];
    assert_eq!((&error["key"], &error["file"]), (&json!("trust.also"), &json!(web.estate.settings().display().to_string())), "{check}");
    let text = std::fs::read_to_string(web.estate.settings()).unwrap();
    let table = 1 + text.lines().position(|line| line == "[trust]").unwrap();
    assert_eq!(error["line"], table, "{check}");

    // Issued from the new one; the files are those of the new chain before nginx is asked, so that there is no second round.
    settings(&web, &(first(&old_file, old) + &also(&new_file, &new.pem)), "pki_new");
    let run = web.estate.force();
    run.expect(0, "web", "renewed");
    assert_eq!(run.cert("web")["proof"], "served", "{run}");
    let meta = std::fs::read_to_string(web.estate.state().join("certs/web/live/meta.json")).unwrap();
    assert!(meta.contains(&new_root), "{meta}");
    web.estate.renew().expect(0, "web", "not-due");
    assert_eq!(trust_file(&web.estate, "bundle.pem"), [old_root.as_str(), new_root.as_str(), middle.as_str()]);

    // The new one is the first, then the only one.
    settings(&web, &(first(&new_file, &new) + &also(&old_file, &old.pem)), "pki_new");
    taken_up_again(&web, signed + 1);
    settings(&web, &first(&new_file, &new), "pki_new");
    let check = web.estate.omens(&["check-config"]);
    assert_eq!(check.code, 0, "{check}");
    taken_up_again(&web, signed + 1);
    assert_eq!(trust_file(&web.estate, "anchors.pem"), [new_root.as_str()]);
    let (asked, failures) = load.stop();
    assert!(asked > 40, "a load worth the name: {asked}");
    assert!(failures.is_empty(), "{} of {asked} failed: {:?}", failures.len(), &failures[..failures.len().min(3)]);

    // After a boot all of it is there again, and nobody is asked for that.
    std::fs::remove_dir_all(web.estate.run_dir()).unwrap();
    web.estate.omens(&["restore"]).expect(0, "web", "restored");
    assert_eq!(trust_file(&web.estate, "anchors.pem"), [new_root.as_str()]);
    web.estate.renew().expect(0, "web", "not-due");
}

#[test]
fn a_list_that_nginx_uses_and_the_settings_do_not_publish_is_named_by_its_line() {
    let mut web = Web::stopped(Estate::at_openbao());
    let (conf, trust) = (web.estate.dir.join("own.conf"), web.estate.run_dir().join("trust"));
    let file = |name: &str| trust.join(name).display().to_string();
    // By a link as well, as `install` would have made one.
    let link = web.estate.dir.join("link.pem");
    std::os::unix::fs::symlink(trust.join("linked.pem"), &link).unwrap();
    let text = format!(
        "events {{}}\nhttp {{\nserver {{\nlisten 127.0.0.1:8443 ssl;\nssl_certificate /a.pem;\nssl_certificate_key /a.key;\n\
         ssl_verify_client on;\nssl_client_certificate {};\nssl_crl {};\n\
         location / {{\nproxy_pass https://b.example.net;\nproxy_ssl_verify on;\nproxy_ssl_trusted_certificate {};\nproxy_ssl_crl {};\n}}\n}}\n}}\n",
        file("anchor.pem"),
        file("crl.pem"),
        link.display(),
        file("never.pem")
    );
    std::fs::write(&conf, text).unwrap();
    web.estate.certs = vec![Cert::web("web").reloaded_by(&format!("{{ nginx = {{ conf = \"{}\" }} }}", conf.display()))];
    let pin = root("anchor", &web.estate.anchor(), &OpenBao::shared().root.pem);
    let told = |lists: &str| {
        settings(&web, &format!("{pin}{lists}"), "pki_int");
        let run = web.estate.omens(&["check-config"]);
        assert_eq!(run.code, 0, "{run}");
        let warnings = run.json["warnings"].as_array().unwrap();
        let named = warnings.iter().filter(|one| one["code"] == "trust-unpublished").map(|one| one["text"].as_str().unwrap());
        let shown = |text: &str| {
            let name = text.split_once("file = \"").and_then(|(_, rest)| rest.split_once('"')).unwrap().0.to_owned();
            (name, text.split_once("own.conf:").and_then(|(_, rest)| rest.split_once(')')).unwrap().0.parse::<u32>().unwrap())
        };
        named.map(shown).collect::<Vec<_>>()
    };
    let other = [("linked.pem".to_owned(), 13), ("never.pem".to_owned(), 14)];
    assert_eq!(told("crl = [ { mount = \"pki_int\", file = \"crl.pem\" } ]\n"), other);
    assert_eq!(told(""), [vec![("crl.pem".to_owned(), 9)], other.to_vec()].concat(), "the list was taken out");
    let what_is_said = |there: &str| {
        let run = web.estate.omens(&["check-config"]);
        let of = |one: &&serde_json::Value| one["text"].as_str().unwrap().contains("file = \"crl.pem\"");
        let warning = run.json["warnings"].as_array().unwrap().iter().find(of).unwrap().clone();
        let (text, hint) = (warning["text"].as_str().unwrap(), warning["hint"].as_str().unwrap());
        assert!(text.ends_with(there), "{text}");
        hint.split(',').next().unwrap().to_owned()
    };
    assert_eq!(what_is_said(", and nothing is there"), "correct the name in that configuration");
    std::fs::create_dir_all(&trust).unwrap();
    std::fs::write(trust.join("crl.pem"), "").unwrap();
    assert_eq!(what_is_said(", and the next run removes what is there"), "name the list in trust.crl again");
}
