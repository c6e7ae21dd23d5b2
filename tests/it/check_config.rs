//! Mistakes in the settings: all at once, with their place, exit 2, nothing attempted. And the online check against a real OpenBao.

use crate::lab::estate::{Authority, Cert, Estate};
use crate::lab::hostile::{Hostile, Login};
use crate::lab::openbao::OpenBao;
use crate::lab::place::write_secret;
use serde_json::json;

#[test]
fn every_mistake_is_said_at_once_with_its_place() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    let good = estate.settings_text();
    let bad = good
        .replace("common_name", "comon_name")
        .replace("ttl = \"24h\"", "ttl = \"24\"")
        .replace("mount = \"pki_int\"", "mont = \"pki_int\"");
    std::fs::write(estate.settings(), &bad).unwrap();
    let run = estate.omens(&["check-config"]);
    assert_eq!((run.code, run.json["schema"].as_str()), (2, Some("omens.check-config/1")), "{run}");
    let errors = run.json["errors"].as_array().unwrap();
    assert!(errors.len() >= 3, "{run}");
    for word in ["comon_name", "mont = ", "\"24\""] {
        let line = bad.lines().position(|l| l.contains(word)).unwrap() + 1;
        let error = errors.iter().find(|e| e["line"] == line).unwrap_or_else(|| panic!("nothing about line {line}, {word}: {run}"));
        assert!(error["column"].is_u64() && error["file"].as_str().unwrap().ends_with("omens.toml"), "{error}");
    }
    assert!(errors.iter().any(|e| e.to_string().contains("common_name")), "the nearest known key: {run}");
    let renew = estate.renew();
    assert_eq!(renew.code, 2, "{renew}");
    assert_eq!(renew.json["errors"].as_array().map(Vec::len), Some(errors.len()), "{renew}");
    assert_eq!((hostile.requests().len(), estate.state().exists()), (0, false), "nothing was attempted");
}

#[test]
fn another_root_of_the_same_name_is_refused() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    std::fs::write(estate.anchor(), Hostile::start().root_pem()).unwrap();
    let run = estate.renew();
    assert_eq!(run.code, 2, "{run}");
    assert!(run.json["errors"].to_string().contains("anchor"), "{run}");
}

#[test]
fn secrets_that_others_may_read_are_refused() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    for mode in [0o644, 0o660, 0o606] {
        std::fs::set_permissions(estate.dir.join("secret-id"), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        assert_eq!(estate.renew().code, 2, "{mode:o}");
    }
    std::fs::set_permissions(estate.dir.join("secret-id"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::set_permissions(estate.settings(), std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    assert_eq!(estate.renew().code, 2, "settings that others may write");
    assert_eq!(hostile.requests().len(), 0);
}

#[test]
fn the_environment_does_not_matter() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    let mut command = estate.command(&["--json", "renew", "--all"]);
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"] {
        command.env(name, "http://127.0.0.1:9");
    }
    command
        .env("SSL_CERT_FILE", "/dev/null")
        .env("SSL_CERT_DIR", "/nonexistent")
        .env("VAULT_ADDR", "https://127.0.0.1:9")
        .env("VAULT_TOKEN", "x");
    let output = crate::lab::child::run(command, std::time::Duration::from_secs(30));
    assert_eq!(output.code, 0, "{output:?}");
}

#[test]
fn the_online_check_names_what_is_allowed_and_what_is_too_much() {
    let bao = OpenBao::shared();
    let estate = Estate::at_openbao().with(Cert::web("web"));
    let before = bao.signed(&estate.login);
    let run = estate.omens(&["check-config", "--online"]);
    assert_eq!(run.code, 0, "{run}");
    assert_eq!(bao.signed(&estate.login), before, "nothing is signed for a check");

    // A role that may not be used.
    let mut other = Cert::web("web");
    other.role = "openbao-listener".into();
    let estate = Estate::at_openbao().with(other);
    let run = estate.omens(&["check-config", "--online"]);
    assert_eq!(run.code, 2, "{run}");
    assert!(run.stdout.contains("pki_int/sign/openbao-listener"), "{run}");

    // A login that may do everything.
    let estate =
        Estate::new("root", Authority::token(bao.address(), &bao.root.pem, &bao.token("too-much", &["root"]))).with(Cert::web("web"));
    let run = estate.omens(&["check-config", "--online"]);
    for path in ["sign-verbatim", "issue", "revoke", "roles", "root", "sys/"] {
        assert!(run.stdout.contains(path), "{path}: {run}");
    }

    // A login that is none, an address where nobody is, a server of another root.
    let estate = Estate::new("none", Authority::token(bao.address(), &bao.root.pem, "hvs.no-such-token")).with(Cert::web("web"));
    assert_eq!(estate.omens(&["check-config", "--online"]).code, 2);
    let hostile = Hostile::start();
    let estate = Estate::new("elsewhere", Authority::token(bao.address(), hostile.root_pem(), "hvs.x")).with(Cert::web("web"));
    assert_eq!(estate.omens(&["check-config", "--online"]).code, 2);
}

#[test]
fn the_online_check_uses_no_wrapped_secret_id_up_and_says_where_it_took_the_last_use_of_one() {
    let bao = OpenBao::shared();
    let mut estate = Estate::at_openbao().with(Cert::web("web"));
    let role = format!("auth/approle/role/{}", estate.login);
    let wrapped = bao.wrapped(&format!("{role}/secret-id"), &json!({}));
    write_secret(&estate.dir.join("secret-id"), &wrapped);
    let plain = estate.authority.login.clone();
    estate.authority.login = plain.replace("secret_id = ", "wrapped = true, secret_id = ");
    estate.write();
    for _ in 0..2 {
        let checked = estate.omens(&["check-config", "--online"]);
        assert_eq!(checked.code, 0, "{checked}");
        assert!(checked.stdout.contains("was not tried, since trying uses it up") && !checked.stdout.contains("works"), "{checked}");
        assert!(!checked.stdout.contains(&wrapped), "{checked}");
    }
    estate.renew().expect(0, "web", "renewed");
    let checked = estate.omens(&["check-config", "--online"]);
    assert_eq!(checked.code, 2, "{checked}");
    assert!(checked.json["errors"].to_string().contains("login-refused"), "it was used by the run: {checked}");

    // Uses that are counted: the role may be asked about, and this was the last one.
    let policy = format!("omens-look-{}", estate.login);
    let text = format!("path \"{role}/secret-id/lookup\" {{ capabilities = [\"update\"] }}");
    bao.api("PUT", &format!("sys/policies/acl/{policy}"), Some(json!({ "policy": text })));
    bao.api("POST", &role, Some(json!({ "token_policies": ["omens-renew", policy], "secret_id_num_uses": 1 })));
    let made = bao.api("POST", &format!("{role}/secret-id"), Some(json!({})));
    write_secret(&estate.dir.join("secret-id"), made["data"]["secret_id"].as_str().unwrap());
    estate.authority.login = plain;
    estate.write();
    let checked = estate.omens(&["check-config", "--online"]);
    assert_eq!(checked.code, 2, "{checked}");
    let last = checked.json["errors"].as_array().unwrap().iter().find(|error| error["code"] == "login-ends").cloned().unwrap_or_default();
    assert!(last["text"].as_str().is_some_and(|text| text.contains("that was the last use of its secret id")), "{checked}");
}

#[test]
fn usage_errors_are_exit_two_and_help_is_not() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    for arguments in [&["renew"][..], &["renew", "--all", "web"], &["nonsense"], &["renew", "--all", "--wait", "soon"]] {
        assert_eq!(estate.plain(arguments).code, 2, "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["--version"], &["renew", "--help"], &["completions", "bash"], &["man"]] {
        let output = estate.plain(arguments);
        assert_eq!(output.code, 0, "{arguments:?}: {output:?}");
        assert!(!output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_run_directory_on_a_disk_and_a_silent_tpm_are_said_before_they_are_needed() {
    use crate::lab::swtpm::Swtpm;
    let Some(swtpm) = crate::tpm::start(&[7]) else { return };
    let estate = Estate::at_openbao().with_tpm(&Swtpm::direct(&swtpm), &[7]).with(Cert::web("web").sealed());
    let good = estate.omens(&["check-config", "--online"]);
    assert!(good.json["checks"].to_string().contains("\"tpm\"") && !good.json["warnings"].to_string().contains("run-not-tmpfs"), "{good}");
    drop(swtpm);
    let gone = estate.omens(&["check-config", "--online"]);
    assert!(gone.code == 2 && gone.json["errors"].to_string().contains("tpm-unreachable"), "{gone}");
    let text = estate.settings_text();
    let disk = estate.dir.join("run-on-disk");
    let line = text.lines().find(|line| line.starts_with("run = ")).unwrap();
    std::fs::write(estate.settings(), text.replace(line, &format!("run = \"{}\"", disk.display()))).unwrap();
    let warned = estate.omens(&["check-config"]);
    assert!(warned.code == 0 && warned.json["warnings"].to_string().contains("run-not-tmpfs"), "{warned}");
}

/// A root is still needed by what lies on disk, also under a name that no run has carried over yet.
#[test]
fn a_root_that_is_dropped_while_a_certificate_waits_for_its_new_name_is_said() {
    let (_hostile, mut estate) = crate::web::issued();
    "www".clone_into(&mut estate.certs[0].name);
    estate.certs[0].extra.push_str("renamed_from = \"web\"\n");
    let other = crate::lab::pki::Ca::root("Other Root", crate::lab::pki::CaKeys::Ec).pem;
    let file = estate.dir.join("other-root.pem");
    std::fs::write(&file, &other).unwrap();
    let text = estate.settings_text().replace(&estate.anchor().display().to_string(), &file.display().to_string());
    let (before, rest) = text.split_once("anchor_sha256 = \"").unwrap();
    let sha256 = crate::lab::pki::sha256(&crate::lab::pki::pem_blocks(&other)[0]);
    std::fs::write(estate.settings(), format!("{before}anchor_sha256 = \"{sha256}{}", &rest[64..])).unwrap();
    let run = estate.omens(&["check-config"]);
    let codes: Vec<&str> = run.json["errors"].as_array().unwrap().iter().map(|error| error["code"].as_str().unwrap()).collect();
    assert_eq!((run.code, codes), (2, vec!["anchor-in-use"]), "{run}");
}

#[test]
fn directories_that_cannot_be_used_are_said_with_their_line() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    let good = estate.settings_text();
    let file = estate.dir.join("a-file");
    std::fs::write(&file, "").unwrap();
    let gone = estate.dir.join("gone/omens.prom");
    let state = format!("state = \"{}\"", estate.state().display());
    for (what, text, line) in [
        ("a state that is a file", good.replace(&state, &format!("state = \"{}\"", file.display())), "state = "),
        ("metrics in no directory", format!("{good}\n[metrics]\ntextfile = \"{}\"\n", gone.display()), "textfile = "),
    ] {
        std::fs::write(estate.settings(), &text).unwrap();
        let run = estate.omens(&["check-config"]);
        let line = text.lines().position(|one| one.starts_with(line)).unwrap() + 1;
        assert_eq!((run.code, &run.json["errors"][0]["line"]), (2, &line.into()), "{what}: {run}");
        assert!(run.json["errors"][0]["suggestion"].is_string(), "{what}: {run}");
    }
    // What OpenBao refuses has the line of the login that it refused.
    std::fs::write(estate.settings(), &good).unwrap();
    hostile.login(Login::Refused);
    let run = estate.omens(&["check-config", "--online"]);
    let line = good.lines().position(|one| one.starts_with("login = ")).unwrap() + 1;
    let errors = run.json["errors"].as_array().unwrap();
    assert!(run.code == 2 && errors.iter().all(|error| error["line"] == line), "{run}");
    assert!(errors.iter().any(|error| error["code"] == "login-refused" && error["suggestion"].to_string().contains("secret-id")), "{run}");
}
