//! The way that goes well: first issue, proof, not due, forced, every key and every login, counted in OpenBao's audit log.

use std::process::Command;

use serde_json::Value;

use crate::lab::client::Load;
use crate::lab::estate::{Authority, Cert, Estate};
use crate::lab::hostile::Hostile;
use crate::lab::openbao::OpenBao;
use crate::lab::pki::pem_blocks;
use crate::web::{NAME, Web};

fn now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

fn seconds(value: &Value) -> i64 {
    let text = value.as_str().unwrap_or_else(|| panic!("a time: {value}"));
    assert!(text.ends_with('Z'), "UTC: {text}");
    time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).expect("RFC 3339").unix_timestamp()
}

#[test]
fn from_nothing_to_a_certificate_proven_on_the_wire() {
    let mut web = Web::stopped(Estate::at_openbao());
    let plan = web.estate.omens(&["plan"]);
    assert_eq!((plan.code, plan.json["schema"].as_str()), (0, Some("omens.plan/1")), "{plan}");
    assert_eq!(plan.reasons("web"), ["missing"], "{plan}");
    assert_eq!(plan.cert("web")["due"], true);

    // A service that is not running is not started for its certificate.
    let first = web.estate.renew();
    first.expect(0, "web", "renewed");
    assert_eq!(first.json["schema"], "omens.renew/1");
    assert_eq!(first.json["host"], "lab.funlab.casa");
    let cert = first.cert("web");
    assert_eq!((&cert["proof"], &cert["generation"], &cert["previous"]), (&"service-stopped".into(), &1.into(), &Value::Null), "{first}");
    assert!((seconds(&cert["not_after"]) - now() - 86_400).abs() < 30, "{first}");
    assert_eq!(cert["serial"].as_str().map(|s| s.contains(':')), Some(true), "{first}");
    assert_eq!(cert["sha256"].as_str(), web.estate.published_leaf("web").as_deref(), "{first}");
    assert_eq!(web.estate.signed(), 1);

    // Still stopped: nothing to do, nothing wrong, nothing signed.
    let again = web.estate.renew();
    again.expect(0, "web", "not-due");
    assert_eq!(web.estate.omens(&["status"]).code, 0, "service-stopped is healthy");
    assert_eq!(web.estate.omens(&["status", "--due"]).code, 0, "unproven counts as due");

    // Running: proven without issuing.
    web.nginx.start();
    let plan = web.estate.omens(&["plan"]);
    assert_eq!(plan.reasons("web"), ["unproven"], "{plan}");
    let settled = web.estate.renew();
    settled.expect(0, "web", "settled");
    assert_eq!(settled.cert("web")["proof"], "served", "{settled}");
    assert_eq!(web.estate.signed(), 1);
    web.agrees_on(1, &web.estate.published_leaf("web").unwrap());
    assert_eq!(web.estate.omens(&["status", "--due"]).code, 1);

    // Nothing due: nothing asked, no login either.
    let calls = OpenBao::shared().paths(&web.estate.login).len();
    let idle = web.estate.renew();
    idle.expect(0, "web", "not-due");
    assert_eq!(idle.reasons("web"), ["fresh"], "{idle}");
    assert_eq!(OpenBao::shared().paths(&web.estate.login).len(), calls);
}

#[test]
fn a_forced_renewal_is_a_new_key_and_one_signature() {
    let web = Web::serving();
    let (old, key) = (web.served().unwrap(), std::fs::read(web.estate.run_dir().join("web/live/key.pem")).unwrap());
    let run = web.estate.force();
    run.expect(0, "web", "renewed");
    assert!(run.reasons("web").contains(&"forced"), "{run}");
    let cert = run.cert("web");
    assert_eq!((&cert["generation"], &cert["previous"], &cert["proof"]), (&2.into(), &1.into(), &"served".into()), "{run}");
    let new = web.estate.published_leaf("web").unwrap();
    assert_ne!(new, old);
    assert_ne!(std::fs::read(web.estate.run_dir().join("web/live/key.pem")).unwrap(), key, "a fresh key at each renewal");
    web.agrees_on(2, &new);
    assert_eq!(web.estate.signed(), 2);
    let (first, second) = (web.estate.ledger(), "renewed");
    assert_eq!(first.last().unwrap()["outcome"], second);
}

#[test]
fn one_login_per_run_and_its_token_is_revoked() {
    let web = Web::serving();
    let before = OpenBao::shared().paths(&web.estate.login).len();
    web.estate.force().expect(0, "web", "renewed");
    let paths = OpenBao::shared().paths(&web.estate.login);
    let run = &paths[before..];
    assert_eq!(run.iter().filter(|p| *p == "auth/approle/login").count(), 1, "{run:?}");
    assert_eq!(run.iter().filter(|p| p.starts_with("pki_int/sign/")).count(), 1, "{run:?}");
    assert_eq!(run.last().map(String::as_str), Some("auth/token/revoke-self"), "{run:?}");
    assert!(!run.iter().any(|p| p.contains("issue") || p.contains("revoke-with-key")), "{run:?}");
}

#[test]
fn every_key_algorithm_is_issued_and_kept() {
    let bao = OpenBao::shared();
    let server = serde_json::json!({ "server_flag": true, "client_flag": false, "key_usage": ["DigitalSignature"] });
    for (role, kind, bits) in [("web-ed", "ed25519", 0), ("web-ml44", "mldsa", 44), ("web-ml65", "mldsa", 65)] {
        bao.role(role, &[&server, &serde_json::json!({ "key_type": kind, "key_bits": bits })]);
    }
    bao.policy("omens-new-keys", &["web-ed", "web-ml44", "web-ml65"]);
    let (role_id, secret_id) = bao.approle("host-of-all-keys", &["omens-renew", "omens-new-keys"]);
    let mut estate = Estate::new("host-of-all-keys", Authority::approle(bao.address(), &bao.root.pem, &role_id, &secret_id));
    for (algorithm, role) in [
        ("ec-p256", "web-ec"),
        ("ec-p384", "web-ec"),
        ("ed25519", "web-ed"),
        ("ml-dsa-44", "web-ml44"),
        ("ml-dsa-65", "web-ml65"),
        ("rsa-2048", "web-rsa"),
        ("rsa-3072", "web-rsa"),
        ("rsa-4096", "web-rsa"),
    ] {
        let mut cert = Cert::web(algorithm);
        (cert.algorithm, cert.role) = (algorithm.into(), role.into());
        cert.profile = if role == "web-rsa" { "infrastructure-rsa" } else { "tls-server" }.into();
        estate.certs.push(cert);
    }
    estate.write();
    let run = estate.renew();
    assert_eq!(run.code, 0, "{run}");
    for cert in &estate.certs {
        run.expect(0, &cert.name, "renewed");
        assert_eq!(run.cert(&cert.name)["proof"], "file", "no endpoint, no driver: read back");
        let live = estate.run_dir().join(&cert.name).join("live");
        let pem = |file: &str| std::fs::read_to_string(live.join(file)).unwrap();
        assert_eq!(pem_blocks(&pem("fullchain.pem")).len(), 2, "leaf and intermediate, never the root");
        assert_eq!(pem_blocks(&pem("cert.pem")).len(), 1);
        assert_eq!(pem_blocks(&pem("combined.pem")).len(), 3);
        let der = &pem_blocks(&pem("cert.pem"))[0];
        let (_, x509) = x509_parser::parse_x509_certificate(der).unwrap();
        let key = omens::steps::key::software::SoftwareKey::of_pem(pem("key.pem").as_bytes()).unwrap();
        assert_eq!(omens::steps::key::PrivateKey::spki(&key), x509.public_key().raw, "{}", cert.name);
        assert!(run.findings(&cert.name).iter().all(|id| *id != "key.weak"), "{run}");
    }
    assert_eq!(estate.signed(), estate.certs.len());
    assert_eq!(estate.renew().code, 0);
    assert_eq!(estate.signed(), estate.certs.len());
}

#[test]
fn a_role_that_there_is_not_is_named_with_those_that_there_are_and_its_line() {
    let bao = OpenBao::shared();
    bao.api(
        "PUT",
        "sys/policies/acl/omens-list-roles",
        Some(serde_json::json!({ "policy": "path \"pki_int/roles\" { capabilities = [\"list\"] }" })),
    );
    // A policy denies what it does not name, and the engine refuses what it does not know: both are the same mistake.
    bao.policy("omens-no-such-role", &["web-ek"]);
    for (login, policies) in [
        ("lists-denied", &["omens-renew", "omens-list-roles"][..]),
        ("lists-unknown", &["omens-renew", "omens-list-roles", "omens-no-such-role"]),
        ("lists-nothing", &["omens-renew"]),
    ] {
        let (role_id, secret_id) = bao.approle(login, policies);
        let mut estate = Estate::new(login, Authority::approle(bao.address(), &bao.root.pem, &role_id, &secret_id));
        estate.certs.push(Cert { role: "web-ek".into(), ..Cert::web("web") });
        estate.write();
        let run = estate.renew();
        let error = &run.cert("web")["error"];
        let hint = error["hint"].as_str().unwrap_or_default();
        let line = estate.settings_text().lines().position(|line| line.starts_with("role = ")).unwrap() + 1;
        assert!(run.code == 1 && hint.contains(&format!("omens.toml:{line}:")), "{login}: {run}");
        if login == "lists-nothing" {
            run.because("web", "issue/permission-denied");
            continue;
        }
        run.because("web", "issue/role-refused");
        assert!(error["text"].as_str().unwrap().contains("there is no role \"web-ek\" at pki_int"), "{run}");
        assert!(hint.contains("did you mean \"web-ec\"? pki_int has ") && hint.contains("web-rsa"), "{run}");
    }
}

#[test]
fn a_token_file_and_a_client_certificate_log_in_as_well() {
    let bao = OpenBao::shared();
    let by_token = Estate::new("token-by-file", Authority::token(bao.address(), &bao.root.pem, &bao.token("by-file", &["omens-renew"])));
    let by_token = by_token.with(Cert::web("web"));
    by_token.renew().expect(0, "web", "renewed");
    by_token.force().expect(0, "web", "renewed");
    assert_eq!(bao.signed("token-by-file"), 2, "a token that somebody else made is not revoked");

    let pair = bao.pair("hosts-login", "auth.funlab.casa");
    let by_cert = Estate::new("cert", Authority::cert(bao.address(), &bao.root.pem, pair)).with(Cert::web("web"));
    by_cert.renew().expect(0, "web", "renewed");
}

#[test]
fn the_next_way_to_log_in_is_tried_when_one_is_refused() {
    let bao = OpenBao::shared();
    let mut estate = Estate::at_openbao();
    crate::lab::place::write_secret(&estate.dir.join("stale"), "hvs.no-such-token\n");
    estate.authority.login = format!("[ {{ token = {{ token = \"file:DIR/stale\" }} }}, {}", &estate.authority.login[1..]);
    let estate = estate.with(Cert::web("web"));
    let run = estate.renew();
    run.expect(0, "web", "renewed");
    assert_eq!(bao.signed(&estate.login), 1, "{run}");
}

#[test]
fn twenty_forced_renewals_under_load_fail_no_request() {
    let web = Web::serving();
    let load = Load::start(web.port, NAME, &OpenBao::shared().root.der, 3);
    for round in 0..20 {
        let run = web.estate.force();
        assert_eq!(run.outcome("web"), "renewed", "round {round}: {run}");
    }
    let (asked, failures) = load.stop();
    assert!(asked > 200, "a load worth the name: {asked}");
    assert!(failures.is_empty(), "{} of {asked} failed: {:?}", failures.len(), &failures[..failures.len().min(5)]);
    assert_eq!(web.estate.signed(), 21);
    web.agrees_on(21, &web.estate.published_leaf("web").unwrap());
}

#[test]
fn a_certificate_past_its_renewal_point_is_due_and_one_that_changed_on_disk_too() {
    let hostile = crate::lab::hostile::Hostile::start();
    let estate = hostile.estate();
    hostile.lie(crate::lab::hostile::Lie::Aged);
    estate.renew().expect(0, "web", "renewed");
    // It came so late in its life that nobody can have renewed it in time.
    assert_eq!(estate.omens(&["plan"]).reasons("web"), ["in-window", "overdue"]);
    hostile.lie(crate::lab::hostile::Lie::Nothing);
    estate.renew().expect(0, "web", "renewed");
    assert_eq!(estate.omens(&["plan"]).reasons("web"), ["fresh"]);

    let cert = estate.state().join("certs/web/live/cert.pem");
    let pem = std::fs::read_to_string(&cert).unwrap();
    std::fs::write(&cert, format!("# edited\n{pem}")).unwrap();
    assert_eq!(estate.omens(&["plan"]).reasons("web")[0], "changed-on-disk");
    std::fs::write(&cert, "not a certificate").unwrap();
    assert_eq!(estate.omens(&["plan"]).reasons("web")[0], "unreadable");
    estate.renew().expect(0, "web", "renewed");
    std::fs::remove_dir_all(estate.run_dir()).unwrap();
    let plan = estate.omens(&["plan"]);
    assert_eq!(plan.reasons("web"), ["unpublished"], "{plan}");
    let signed = hostile.signed();
    estate.renew().expect(0, "web", "settled");
    assert_eq!(hostile.signed(), signed, "published from /var, no signing");
}

#[test]
fn settings_that_ask_for_another_certificate_make_it_due() {
    let mut estate = Estate::at_openbao().with(Cert::web("web"));
    estate.renew().expect(0, "web", "renewed");
    estate.certs[0].dns = vec!["localhost".into()];
    estate.write();
    let run = estate.renew();
    assert_eq!(run.reasons("web"), ["settings-changed"], "{run}");
    run.expect(0, "web", "renewed");
    estate.certs[0].algorithm = "ec-p384".into();
    estate.write();
    assert_eq!(estate.omens(&["plan"]).reasons("web"), ["settings-changed"]);
}

#[test]
fn only_what_is_named_is_renewed_and_an_unknown_name_stops_everything() {
    let estate = Estate::at_openbao().with(Cert::web("one")).with(Cert::web("two"));
    let run = estate.omens(&["renew", "two"]);
    run.expect(0, "two", "renewed");
    assert_eq!(run.json["certificates"].as_array().map(Vec::len), Some(1));
    assert_eq!((estate.committed("one"), estate.committed("two")), (None, Some(1)));
    let run = estate.omens(&["renew", "one", "three"]);
    assert_eq!((run.code, run.json["exit"].as_i64()), (2, Some(2)), "{run}");
    assert_eq!(run.json["certificates"], serde_json::json!([]), "a document at every exit code: {run}");
    assert_eq!((estate.committed("one"), estate.signed()), (None, 1));
}

#[test]
fn one_bad_certificate_does_not_stop_the_others() {
    let mut bad = Cert::web("bad");
    bad.role = "no-such-role".into();
    let estate = Estate::at_openbao().with(Cert::web("a")).with(bad).with(Cert::web("z"));
    let run = estate.renew();
    run.expect(1, "a", "renewed").expect(1, "z", "renewed").expect(1, "bad", "failed");
    assert!(["issue/role-refused", "issue/permission-denied"].contains(&run.error("bad").as_str()), "{run}");
    assert!(run.cert("bad")["error"]["hint"].is_string(), "{run}");
    let plain = estate.plain(&["renew", "--all"]);
    assert_eq!(plain.code, 1);
    assert!(plain.stdout.contains("bad") || plain.stderr.contains("bad"), "{plain:?}");
    assert!(format!("{}{}", plain.stdout, plain.stderr).contains("hint:"), "{plain:?}");
}

#[test]
fn more_certificates_than_open_files_are_renewed() {
    let hostile = Hostile::start();
    let mut estate = hostile.estate();
    estate.certs = (0..150).map(|n| Cert::web(&format!("c{n}"))).collect();
    estate.write();
    let omens = estate.command(&["renew", "--all"]);
    let output =
        Command::new("prlimit").arg("--nofile=100:100").arg("--").arg(omens.get_program()).args(omens.get_args()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout).chars().take(600).collect::<String>());
    assert!(estate.published_leaf("c149").is_some());
}
