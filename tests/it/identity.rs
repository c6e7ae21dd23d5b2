//! Logging in by a certificate of our own whose key stays in the TPM, at a real OpenBao with a real software TPM: enrolled by a login that is used
//! once, renewed before all others, passed over where it cannot be used.

use std::path::PathBuf;

use serde_json::json;

use crate::lab::estate::{Authority, Cert, Estate, Run};
use crate::lab::openbao::OpenBao;
use crate::lab::place;
use crate::lab::swtpm::{self, Relay};
use crate::tpm::start;

const TPM_LOGIN: &str = "{ tpm_identity = { certificate = \"host-identity\", mount = \"cert\", role = \"ROLE\" } }";

/// The certificate of a login.
fn identity(common_name: &str) -> Cert {
    Cert {
        profile: "host-identity".to_owned(),
        role: "hosts-login".to_owned(),
        ttl: "72h".to_owned(),
        common_name: common_name.to_owned(),
        ip: Vec::new(),
        keep: "resident".to_owned(),
        ..Cert::web("host-identity")
    }
}

/// A host that logs in by its TPM, as this role of the auth method, and after that by these logins.
pub(crate) fn host(role: &str, common_name: &str, tcti: &str, pcrs: &[u32], others: &str) -> Estate {
    let bao = OpenBao::shared();
    let usual = Estate::at_openbao();
    let login = format!("[ {}{others} ]", TPM_LOGIN.replace("ROLE", role));
    let estate = Estate::new(&usual.login, Authority { login, address: bao.address(), ..usual.authority.clone() });
    estate.with_tpm(tcti, pcrs).with(identity(common_name)).with(Cert::web("web"))
}

pub(crate) const APPROLE: &str = ", { approle = { role_id = \"file:DIR/role-id\", secret_id = \"file:DIR/secret-id\" } }";

/// An auth role of its own for one test: certificates of this name log in by it.
pub(crate) fn auth_role(name: &str, common_name: &str) {
    let bao = OpenBao::shared();
    let role = json!({
        "certificate": bao.intermediate, "allowed_common_names": [common_name], "token_policies": ["omens-renew"],
        "token_no_default_policy": true, "token_ttl": "10m", "display_name": name
    });
    bao.api("POST", &format!("auth/cert/certs/{name}"), Some(role));
}

pub(crate) fn given(estate: &Estate, name: &str, secret: &str) -> (PathBuf, String) {
    let file = estate.dir.join(name);
    place::write_secret(&file, secret);
    let argument = format!("file:{}", file.display());
    (file, argument)
}

/// What a token with a life of its own would be created with.
fn token(name: &str) -> serde_json::Value {
    json!({ "policies": ["omens-renew"], "no_parent": true, "no_default_policy": true, "ttl": "30m", "display_name": name })
}

pub(crate) fn warned(run: &Run, name: &str, code: &str) -> String {
    let warnings = run.cert(name)["warnings"].as_array().cloned().unwrap_or_default();
    let found = warnings.iter().find(|warning| warning["code"] == code);
    found.and_then(|warning| warning["text"].as_str()).unwrap_or_default().to_owned()
}

#[test]
fn a_host_enrols_once_and_logs_in_by_its_tpm_from_then_on() {
    let Some(swtpm) = start(&[7]) else { return };
    let bao = OpenBao::shared();
    auth_role("of-git", "git.funlab.casa");
    let estate = host("of-git", "git.funlab.casa", &swtpm.direct(), &[], "");
    let refused = estate.renew();
    refused.expect(1, "web", "failed").because("web", "issue/login-refused");
    assert!(refused.cert("web")["error"]["text"].as_str().unwrap().contains("not issued yet"), "{refused}");

    let (file, wrapping) = given(&estate, "enrol", &bao.wrapped("auth/token/create", &token("enrol-once")));
    let enrolled = estate.omens(&["enroll", "--wrapping-token", &wrapping]);
    enrolled.expect(0, "host-identity", "renewed");
    assert_eq!(
        (enrolled.json["schema"].as_str(), enrolled.cert("host-identity")["proof"].as_str()),
        (Some("omens.enroll/1"), Some("served"))
    );
    assert!(!file.exists(), "a token that is of no use any more does not stay");
    assert!(bao.paths("token-enrol-once").contains(&"auth/token/revoke-self".to_owned()), "{:?}", bao.paths("token-enrol-once"));
    // Enrolled is enrolled: nothing is used again, not even looked for.
    let again = estate.omens(&["enroll", "--wrapping-token", &wrapping]);
    again.expect(0, "host-identity", "kept");
    assert_eq!(estate.committed("host-identity"), Some(1));

    // From now on no secret: what is signed is signed for the TPM's login.
    let logins = || bao.paths("cert-of-git").iter().filter(|path| *path == "auth/cert/login").count();
    let before = (bao.signed("cert-of-git"), logins());
    estate.renew().expect(0, "web", "renewed");
    assert_eq!((bao.signed("cert-of-git"), logins()), (before.0 + 1, before.1 + 1));
    // The identity comes first, by the old one; its proof is the login that signs the rest.
    let all = estate.force();
    all.expect(0, "host-identity", "renewed").expect(0, "web", "renewed");
    assert_eq!(all.cert("host-identity")["proof"], "served");
    assert_eq!((bao.signed("cert-of-git"), logins()), (before.0 + 3, before.1 + 3));
    let paths = bao.paths("cert-of-git");
    let last: Vec<&str> = paths.iter().rev().take(6).rev().map(String::as_str).collect();
    let (login, revoke) = ("auth/cert/login", "auth/token/revoke-self");
    assert_eq!(last, [login, "pki_int/sign/hosts-login", login, revoke, "pki_int/sign/web-ec", revoke]);
    assert_eq!(swtpm.loaded(), Vec::<String>::new());

    // Somebody was first with the wrapping token.
    let wrapped = bao.wrapped("auth/token/create", &token("stolen"));
    assert_eq!(bao.ask("POST", "sys/wrapping/unwrap", Some(json!({})), Some(&wrapped)).unwrap().0, 200);
    let mut other = host("of-git", "git.funlab.casa", &swtpm.direct(), &[], "");
    let (file, argument) = given(&other, "enrol", &wrapped);
    let alarm = other.omens(&["enroll", "--wrapping-token", &argument]);
    alarm.expect(1, "host-identity", "failed").because("host-identity", "issue/wrapping-token-used");
    assert!(file.exists() && !alarm.stdout.contains(&wrapped) && !alarm.stderr.contains(&wrapped), "{alarm}");
    // One that was made for something else is not even unwrapped.
    let (_, argument) = given(&other, "enrol", &bao.wrapped("sys/wrapping/wrap", &json!({ "token": "mine" })));
    other.omens(&["enroll", "--wrapping-token", &argument]).because("host-identity", "issue/login-refused");
    // A secret id in a wrapping token, beside its role id.
    let (role_id, _) = bao.approle("enrolling", &["omens-renew"]);
    let (_, role) = given(&other, "role", &role_id);
    let (file, _) = given(&other, "secret", &bao.wrapped("auth/approle/role/enrolling/secret-id", &json!({})));
    let by = format!("{role},wrapped:{}", file.display());
    other.certs[0].ttl = "10m".to_owned();
    other.write();
    other.omens(&["enroll", "--approle", &by]).expect(0, "host-identity", "renewed");
    let status = other.omens(&["status"]);
    let warning = &status.json["certificates"][0]["warnings"][0];
    assert_eq!(warning["code"], "identity-expiring", "{status}");
    assert!(warning["text"].as_str().unwrap().contains("no login is left"), "{status}");
    assert!(!file.exists() && bao.paths("enrolling").contains(&revoke.to_owned()));
}

#[test]
fn an_identity_that_cannot_be_used_is_passed_over_and_one_that_cannot_log_in_goes_back() {
    let (Some(swtpm), Some(foreign)) = (start(&[7]), start(&[7])) else { return };
    auth_role("of-www", "www.funlab.casa");
    let mut estate = host("of-www", "www.funlab.casa", &swtpm.direct(), &[7], APPROLE);
    estate.omens(&["enroll"]).expect(0, "host-identity", "renewed");
    let good = estate.renew();
    good.expect(0, "web", "renewed");
    assert_eq!(warned(&good, "web", "login-refused"), "");

    // A PCR changed: said with its number, and the next login signs; that one also makes a new key.
    swtpm.extend(7, "another boot loader");
    let passed = estate.omens(&["renew", "web", "--force"]);
    passed.expect(0, "web", "renewed");
    let text = warned(&passed, "web", "login-refused");
    assert!(text.contains("tpm_identity") && text.contains("pcr-changed") && text.contains("PCR 7"), "{text}");
    let good_login = estate.authority.login.clone();
    estate.authority.login = format!("[ {} ]", TPM_LOGIN.replace("ROLE", "of-www"));
    estate.write();
    let alone = estate.omens(&["renew", "web", "--force"]);
    alone.expect(1, "web", "failed").because("web", "issue/pcr-changed");
    assert!(alone.cert("web")["error"]["hint"].as_str().unwrap().contains("omens enroll"), "{alone}");
    estate.authority.login = good_login;
    estate.write();
    // Where something is due, that one also makes it a new key: by itself, and no more than once.
    estate.certs[1].dns.push("git.funlab.casa".to_owned());
    estate.write();
    let by_itself = estate.renew();
    by_itself.expect(0, "host-identity", "renewed").expect(0, "web", "renewed");
    assert!(by_itself.reasons("host-identity").contains(&"unreadable"), "{by_itself}");
    assert!(warned(&by_itself, "host-identity", "pcr-changed").contains("PCR 7"), "{by_itself}");
    let mended = estate.omens(&["renew", "web", "--force"]);
    assert_eq!((mended.outcome("web"), warned(&mended, "web", "login-refused").as_str()), ("renewed", ""), "{mended}");

    // A new certificate that does not log in: the old one comes back, and goes on signing for the others.
    let (identity, committed) = (estate.committed("host-identity"), estate.published("host-identity"));
    auth_role("of-www", "spire.funlab.casa");
    let back = estate.omens(&["renew", "host-identity", "--force"]);
    back.expect(1, "host-identity", "rolled-back");
    assert_eq!(
        (back.cert("host-identity")["error"]["stage"].as_str(), estate.committed("host-identity")),
        (Some("verify"), identity),
        "{back}"
    );
    assert_eq!(estate.published("host-identity"), committed);
    auth_role("of-www", "www.funlab.casa");

    // Another TPM: no identity there, and what needs no TPM goes on.
    estate.set_tpm(&foreign.direct(), &[7]);
    let elsewhere = estate.force();
    elsewhere.expect(1, "web", "renewed");
    assert!(warned(&elsewhere, "web", "login-refused").contains("tpm-replaced"), "{elsewhere}");
    assert_eq!(elsewhere.error("host-identity"), "seal/tpm-replaced", "{elsewhere}");
    // No TPM at all.
    let mut swtpm = swtpm;
    estate.set_tpm(&swtpm.direct(), &[7]);
    swtpm.power_off();
    let away = estate.omens(&["renew", "web", "--force"]);
    away.expect(0, "web", "renewed");
    assert!(warned(&away, "web", "login-refused").contains("tpm-unreachable"), "{away}");
}

#[test]
fn settings_that_make_no_identity_are_refused() {
    let bad = |change: &dyn Fn(&mut Estate)| {
        let mut estate = host("hosts", "git.funlab.casa", "swtpm:host=127.0.0.1,port=2321", &[], "");
        change(&mut estate);
        estate.write();
        let run = estate.omens(&["check-config"]);
        assert_eq!(run.code, 2, "{run}");
        run.json["errors"][0]["text"].as_str().unwrap_or_default().to_owned()
    };
    let text = bad(&|estate| estate.certs.retain(|cert| cert.name == "web"));
    assert!(text.contains("\"host-identity\", and there is none"), "{text}");
    assert!(bad(&|estate| estate.certs[0].keep = "file".to_owned()).contains("must never leave the TPM"));
    let nginx = "{ nginx = { unit = \"nginx.service\" } }".to_owned();
    assert!(bad(&|estate| estate.certs[0].reload.push(nginx.clone())).contains("nobody else reads it"));
    let estate = Estate::at_openbao().with(Cert::web("web"));
    assert_eq!(estate.omens(&["enroll"]).json["error"]["code"], "missing");
}

/// Command codes (TPM 2.0 Part 2, §6.5.2).
const CC_CREATE: u32 = 0x153;
const CC_LOAD: u32 = 0x157;
const CC_SIGN: u32 = 0x15d;

#[test]
fn a_login_costs_the_tpm_one_load_and_one_signature_whatever_number_of_certificates_it_is_for() {
    let Some(swtpm) = start(&[7]) else { return };
    auth_role("of-auth", "auth.funlab.casa");
    let mut estate = host("of-auth", "auth.funlab.casa", &swtpm.direct(), &[], APPROLE);
    estate.omens(&["enroll"]).expect(0, "host-identity", "renewed");
    let private: serde_json::Value =
        serde_json::from_slice(&std::fs::read(estate.state().join("certs/host-identity/live/key.resident")).unwrap()).unwrap();
    let mut asked = Vec::new();
    for name in ["web-2", "web-3"] {
        let relay = Relay::recording(&swtpm);
        estate.set_tpm(&relay.tcti(), &[]);
        let run = estate.omens(&["renew", "--all"]);
        assert_eq!((run.code, warned(&run, "web", "login-refused").as_str()), (0, ""), "{run}");
        asked.push(relay.codes());
        // The next time there are more of them.
        estate = estate.with(Cert::web(name)).with(Cert::web(&format!("{name}-too")));
    }
    for codes in &asked {
        let count = |wanted| codes.iter().filter(|code| **code == wanted).count();
        assert_eq!((count(CC_LOAD), count(CC_SIGN), count(CC_CREATE)), (1, 1, 0), "{codes:x?}");
        assert!(codes.len() <= 10, "{codes:x?}");
    }
    assert_eq!(asked[0], asked[1]);
    // A TPM that refuses is said in its own words, and the next login signs.
    for (refusal, word) in [(0x921, "tpm-lockout"), (0x902, "tpm-busy")] {
        let relay = Relay::before(&swtpm, Box::new(move |code, _| (code == CC_LOAD).then(|| swtpm::answer(refusal))));
        estate.set_tpm(&relay.tcti(), &[]);
        let passed = estate.omens(&["renew", "web", "--force"]);
        passed.expect(0, "web", "renewed");
        assert!(warned(&passed, "web", "login-refused").contains(word), "{passed}");
    }
    // A renewal of the identity itself: a key is made, it signs its request, and both of them log in once.
    let relay = Relay::recording(&swtpm);
    estate.set_tpm(&relay.tcti(), &[]);
    estate.omens(&["renew", "host-identity", "--force"]).expect(0, "host-identity", "renewed");
    let (codes, bytes) = (relay.codes(), relay.bytes());
    let count = |wanted| codes.iter().filter(|code| **code == wanted).count();
    assert_eq!((count(CC_CREATE), count(CC_SIGN)), (1, 3), "{codes:x?}");
    // What the listener hears of a key is what rests on the disk, which that TPM alone can use.
    assert!(private["private"].is_string() && !bytes.is_empty());
    assert!(!bytes.windows(4).any(|window| window == b"hvs."), "no token of OpenBao is among it");
}

#[test]
fn what_revokes_may_log_in_by_the_tpm_as_well() {
    let Some(swtpm) = start(&[7]) else { return };
    let bao = OpenBao::shared();
    let policy = "path \"pki_int/revoke\" { capabilities = [\"update\"] }";
    bao.api("PUT", "sys/policies/acl/omens-revoke", Some(json!({ "policy": policy })));
    let role = json!({
        "certificate": bao.intermediate, "allowed_common_names": ["git.funlab.casa"], "token_policies": ["omens-revoke"],
        "token_no_default_policy": true, "token_ttl": "10m"
    });
    bao.api("POST", "auth/cert/certs/of-revoker", Some(role));
    // Renewals log in otherwise: only what revokes shows the certificate.
    let mut estate = host("of-revoker", "git.funlab.casa", &swtpm.direct(), &[], "");
    let own = estate.authority.login.clone();
    estate.authority.login = format!("[ {} ]\nrevoke_login = {own}", APPROLE.trim_start_matches(", "));
    estate.write();
    let renewed = estate.renew();
    renewed.expect(0, "host-identity", "renewed").expect(0, "web", "renewed");
    let serial = renewed.cert("web")["serial"].as_str().unwrap().to_owned();
    estate.omens(&["revoke", "web", "--live", "--yes"]).expect(0, "web", "revoked");
    assert!(bao.api("GET", &format!("pki_int/cert/{serial}"), None)["data"]["revocation_time"].as_i64().unwrap() > 0);
    // A certificate that there is none of is a mistake there too.
    let text = estate.settings_text().replace("certificate = \"host-identity\", mount", "certificate = \"another\", mount");
    std::fs::write(estate.settings(), text).unwrap();
    assert_eq!(estate.omens(&["check-config"]).code, 2);
}
