//! Revocation at a real OpenBao, with a login that may do nothing else; and the notice of what failed and recovered.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::lab::estate::{Cert, Estate};
use crate::lab::openbao::OpenBao;
use crate::lab::place::write_secret;
use crate::web::{Web, warned};

/// Settings with a login that has this policy, and the table of `[notify]` at the end.
fn settings(web: &Web, policy: &str, more: &str) {
    let bao = OpenBao::shared();
    let dir = &web.estate.dir;
    write_secret(&dir.join("revoker"), &bao.token(&format!("revoker-{policy}"), &[policy]));
    let login = format!("revoke_login = [ {{ token = {{ token = \"file:{}/revoker\" }} }} ]\nmount = ", dir.display());
    let text = web.estate.settings_text().replacen("mount = ", &login, 1);
    std::fs::write(web.estate.settings(), format!("{text}{more}")).unwrap();
}

fn is_revoked(serial: &str) -> bool {
    let answer = OpenBao::shared().api("GET", &format!("pki_int/cert/{serial}"), None);
    answer["data"]["revocation_time"].as_i64().unwrap() > 0
}

fn serial(run: &crate::lab::estate::Run) -> String {
    run.cert("web")["serial"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_replaced_is_revoked_by_a_login_of_its_own_and_what_is_revoked_is_replaced() {
    let bao = OpenBao::shared();
    let policy = json!({ "policy": "path \"pki_int/revoke\" { capabilities = [\"update\"] }" });
    bao.api("PUT", "sys/policies/acl/omens-revoke", Some(policy));
    let mut web = Web::serving();
    web.estate.certs[0].extra = "revoke_replaced = true\n".to_owned();
    settings(&web, "omens-revoke", "");
    let first = serial(&web.estate.renew());
    let renewed = web.estate.force();
    renewed.expect(0, "web", "renewed");
    assert!(is_revoked(&first) && !warned(&renewed, "not-revoked"), "{renewed}");
    let paths = bao.paths(&web.estate.login);
    assert!(!paths.iter().any(|path| path.contains("revoke-with-key") || path == "pki_int/revoke"), "{paths:?}");

    // A login that may not: said, and no failure.
    settings(&web, "omens-renew", "");
    let second = serial(&renewed);
    let renewed = web.estate.force();
    renewed.expect(0, "web", "renewed");
    assert!(warned(&renewed, "not-revoked") && !is_revoked(&second), "{renewed}");

    // By hand: the one that was replaced last, not without a yes, and the one that serves only where that is said.
    settings(&web, "omens-revoke", "");
    assert_eq!(web.estate.omens(&["revoke", "web"]).code, 2);
    let run = web.estate.omens(&["revoke", "web", "--reason", "a disk went away", "--yes"]);
    run.expect(0, "web", "revoked");
    assert_eq!((run.json["schema"].as_str(), serial(&run)), (Some("omens.revoke/1"), second.clone()), "{run}");
    let line = web.estate.ledger().pop().unwrap();
    assert_eq!((&line["outcome"], &line["reason"]), (&"revoked".into(), &"a disk went away".into()), "{line}");
    assert!(is_revoked(&second));
    let live = serial(&renewed);
    let refused = web.estate.omens(&["revoke", "web", "--serial", &live, "--yes"]);
    refused.expect(1, "web", "refused");
    let said = |run: &crate::lab::estate::Run| ["generation", "serial", "sha256", "not_after"].map(|field| run.cert("web")[field].clone());
    assert_eq!(said(&refused), said(&renewed), "what serves is said: {refused}");
    assert!(!is_revoked(&live));
    // Nor the one that serves for another certificate, whatever is said.
    web.estate.certs.push(Cert::web("api"));
    settings(&web, "omens-revoke", "");
    let api = web.estate.omens(&["renew", "api"]).cert("api")["serial"].as_str().unwrap().to_owned();
    let run = web.estate.omens(&["revoke", "web", "--serial", &api, "--live", "--yes"]);
    run.expect(1, "web", "refused");
    assert!(
        run.cert("web")["error"]["text"].as_str().unwrap().contains("the certificate of api that serves") && !is_revoked(&api),
        "{run}"
    );
    web.estate.omens(&["revoke", "web", "--serial", &live.to_uppercase(), "--live", "--yes"]).expect(0, "web", "revoked");
    assert_eq!(web.estate.omens(&["plan"]).reasons("web"), ["revoked"]);
    let status = web.estate.omens(&["status"]);
    assert_eq!((status.code, &status.cert("web")["healthy"]), (1, &false.into()), "it serves, and it is revoked: {status}");
    let renewed = web.estate.renew();
    renewed.expect(0, "web", "renewed");

    // Revoked by somebody else: seen when a person asks for it, and replaced in that run.
    let live = serial(&renewed);
    bao.api("POST", "pki_int/revoke", Some(json!({ "serial_number": live })));
    web.estate.renew().expect(0, "web", "not-due");
    let renewed = web.estate.omens(&["renew", "--all", "--check-revoked"]);
    renewed.expect(0, "web", "renewed");
    assert_eq!(renewed.reasons("web"), ["revoked"], "{renewed}");
    assert_eq!(web.served(), web.estate.published_leaf("web"));

    // Without such a login nothing is revoked, and a person is told what is missing.
    web.estate.write();
    let run = web.estate.omens(&["revoke", "web", "--yes"]);
    assert_eq!((run.code, &run.json["error"]["code"]), (2, &"missing".into()), "{run}");
    assert!(warned(&web.estate.force(), "not-revoked"));
}

#[test]
fn a_revocation_that_is_owed_is_told_until_it_is_done_and_each_login_of_the_list_is_tried() {
    let bao = OpenBao::shared();
    let policy = "path \"pki_int/revoke\" { capabilities = [\"update\"] }";
    bao.api("PUT", "sys/policies/acl/omens-revoke", Some(json!({ "policy": policy })));
    let mut web = Web::serving();
    web.estate.certs[0].extra = "revoke_replaced = true\n".to_owned();
    web.estate.write();
    let checked = web.estate.omens(&["check-config"]);
    let warnings = checked.json["warnings"].to_string();
    assert!(checked.code == 0 && warnings.contains("not-revoked") && warnings.contains("no openbao.revoke_login"), "{checked}");
    let first = serial(&web.estate.renew());
    assert!(warned(&web.estate.force(), "not-revoked"));
    let status = web.estate.omens(&["status"]);
    assert_eq!(status.code, 0, "no failure of what serves: {status}");
    assert!(warned(&status, "not-revoked") && status.cert("web")["warnings"].to_string().contains(&first), "{status}");

    // The first login is granted, and may not; the second may.
    settings(&web, "omens-revoke", "");
    write_secret(&web.estate.dir.join("renewer"), &bao.token("renewer-only", &["omens-renew"]));
    let renewer = format!("revoke_login = [ {{ token = {{ token = \"file:{}/renewer\" }} }}, ", web.estate.dir.display());
    let text = std::fs::read_to_string(web.estate.settings()).unwrap().replacen("revoke_login = [ ", &renewer, 1);
    std::fs::write(web.estate.settings(), text).unwrap();
    web.estate.renew().expect(0, "web", "not-due");
    assert!(!is_revoked(&first), "a run with nothing due asks nobody");
    assert!(warned(&web.estate.omens(&["status"]), "not-revoked"));
    let renewed = web.estate.force();
    renewed.expect(0, "web", "renewed");
    assert!(is_revoked(&first) && !warned(&renewed, "not-revoked"), "{renewed}");
    assert!(!warned(&web.estate.omens(&["status"]), "not-revoked"));
}

#[test]
fn what_may_serve_for_another_certificate_is_not_revoked_however_little_can_be_read() {
    let bao = OpenBao::shared();
    bao.api("PUT", "sys/policies/acl/omens-revoke", Some(json!({ "policy": "path \"pki_int/revoke\" { capabilities = [\"update\"] }" })));
    let mut web = Web::stopped(Estate::at_openbao());
    web.estate.certs.push(Cert::web("api"));
    settings(&web, "omens-revoke", "");
    let api = web.estate.omens(&["renew", "api"]).cert("api")["serial"].as_str().unwrap().to_owned();
    // As after a boot.
    std::fs::remove_dir_all(web.estate.run_dir()).unwrap();
    let other = web.estate.state().join("certs/api");
    for (file, content, words) in [
        ("state.json", "not JSON", "the certificate of api that serves"),
        ("live/cert.pem", "no certificate", "is the certificate of api that serves is not known"),
    ] {
        let before = std::fs::read(other.join(file)).unwrap();
        std::fs::write(other.join(file), content).unwrap();
        let run = web.estate.omens(&["revoke", "web", "--serial", &api, "--yes"]);
        run.expect(1, "web", "refused");
        let text = run.cert("web")["error"]["text"].as_str().unwrap();
        assert!(text.contains(words) && !is_revoked(&api), "{file}: {run}");
        std::fs::write(other.join(file), before).unwrap();
    }
    web.estate.omens(&["restore"]).expect(0, "api", "restored");
}

/// A program that appends its standard input, and then ends with the code that a file holds.
fn listener(estate: &Estate) -> std::path::PathBuf {
    let (program, dir) = (estate.dir.join("told"), estate.dir.display().to_string());
    std::fs::write(
        &program,
        format!("#!/bin/sh\nprintf '%s\\n' \"$(cat)\" >> {dir}/notices\nenv >> {dir}/environment\nexit $(cat {dir}/code)\n"),
    )
    .unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(estate.dir.join("code"), "0").unwrap();
    program
}

#[test]
fn the_first_certificate_of_all_is_revoked_where_that_is_said() {
    let bao = OpenBao::shared();
    bao.api("PUT", "sys/policies/acl/omens-revoke", Some(json!({ "policy": "path \"pki_int/revoke\" { capabilities = [\"update\"] }" })));
    let web = Web::serving();
    settings(&web, "omens-revoke", "");
    // Where there is nothing to revoke nobody is asked for a yes first.
    let lines = web.estate.ledger().len();
    web.estate.omens(&["revoke", "web"]).expect(1, "web", "refused").because("web", "plan/nothing-to-go-back-to");
    assert_eq!(web.estate.ledger().len(), lines + 1);
    let refused = web.estate.omens(&["revoke", "web", "--yes"]);
    refused.expect(1, "web", "refused").because("web", "plan/nothing-to-go-back-to");
    let live = serial(&refused);
    assert!(!is_revoked(&live));
    let run = web.estate.omens(&["revoke", "web", "--live", "--yes"]);
    run.expect(0, "web", "revoked");
    assert_eq!((serial(&run), &run.cert("web")["generation"]), (live.clone(), &1.into()), "{run}");
    assert!(is_revoked(&live));
    // A number that the CA does not know is said as that, and not as a matter of roles.
    let run = web.estate.omens(&["revoke", "web", "--serial", "01:02:03", "--yes"]);
    run.expect(1, "web", "failed");
    let hint = run.cert("web")["error"]["hint"].as_str().unwrap();
    assert!(hint.starts_with("pki_int keeps no certificate of that serial number: compare it with `serial`"), "{run}");
    assert_eq!(
        web.estate.omens(&["status"]).cert("web")["last_error"],
        Value::Null,
        "the question of a person, and not the certificate's state"
    );
    // So it is where there is one before it; and what was revoked is named.
    let renewed = web.estate.renew();
    renewed.expect(0, "web", "renewed");
    let live = serial(&renewed);
    let before = renewed.cert("web")["generation"].clone();
    let question = web.estate.plain(&["revoke", "web", "--live"]);
    assert!(question.stderr.contains(&format!("gen-{before}, serial number {live}, which serves, of web")), "{question:?}");
    let run = web.estate.omens(&["revoke", "web", "--live", "--yes"]);
    run.expect(0, "web", "revoked");
    assert_eq!((serial(&run), &run.cert("web")["generation"], is_revoked(&live)), (live.clone(), &before, true), "{run}");
    assert_eq!(web.estate.ledger().pop().unwrap()["generation"], before);
    let again = web.estate.plain(&["revoke", "web", "--live", "--yes"]);
    assert!(again.stdout.contains(&format!("web: revoked: gen-{before}, serial number {live}; it still serves")), "{again:?}");
    assert_eq!(web.estate.omens(&["plan"]).reasons("web"), ["revoked"]);
}

#[test]
fn somebody_is_told_once_a_run_of_what_failed_and_what_recovered() {
    let web = Web::serving();
    let program = listener(&web.estate);
    let notify = format!("[notify]\nexec = [\"{}\"]\n", program.display());
    settings(&web, "omens-renew", &notify);
    let notices = || -> Vec<Value> {
        let text = std::fs::read_to_string(web.estate.dir.join("notices")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"))).collect()
    };
    web.estate.force().expect(0, "web", "renewed");
    assert_eq!(notices(), Vec::<Value>::new(), "nothing to tell");
    web.nginx.write_broken();
    web.estate.force().expect(1, "web", "rolled-back");
    let told = notices();
    assert_eq!(told.len(), 1);
    let failed = &told[0]["failed"][0];
    assert_eq!((&told[0]["schema"], &told[0]["host"], &told[0]["exit"]), (&"omens.notify/1".into(), &"lab.funlab.casa".into(), &1.into()));
    assert_eq!(
        (&failed["name"], &failed["outcome"], &failed["error"]["code"]),
        (&"web".into(), &"rolled-back".into(), &"reload-failed".into())
    );
    web.nginx.write();
    web.estate.renew().expect(0, "web", "settled");
    let told = notices();
    assert_eq!((told.len(), &told[1]["failed"], &told[1]["exit"]), (2, &json!([]), &0.into()));
    let recovered = &told[1]["recovered"][0];
    assert_eq!((&recovered["name"], &recovered["outcome"], &recovered["was"]), (&"web".into(), &"settled".into(), &"reload-failed".into()));
    web.estate.renew().expect(0, "web", "not-due");
    assert_eq!(notices().len(), 2, "told once");
    let all = format!("{:?} {}", notices(), std::fs::read_to_string(web.estate.dir.join("environment")).unwrap());
    for secret in ["secret-id", "revoker"] {
        let value = std::fs::read_to_string(web.estate.dir.join(secret)).unwrap();
        assert!(!all.contains(value.trim()), "{secret}");
    }
    assert!(!all.contains("PRIVATE"));

    // A program that fails is a warning and a line in the ledger; what it was not told is told again.
    std::fs::write(web.estate.dir.join("code"), "3").unwrap();
    web.nginx.write_broken();
    let run = web.estate.force();
    run.expect(1, "web", "rolled-back");
    assert!(warned(&run, "not-notified"), "{run}");
    assert_eq!(web.estate.ledger().pop().unwrap()["error"]["code"], "not-notified");
    web.nginx.write();
}
