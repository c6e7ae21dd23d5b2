//! The ways to enrol beside a wrapping token, what a gate that is closed means for a host that is enrolled, and certificates that are none to
//! log in with, at a real OpenBao.

use serde_json::json;

use crate::identity::{APPROLE, auth_role, given, host, warned};
use crate::lab::estate::{Authority, Cert, Estate};
use crate::lab::jwt::Signer;
use crate::lab::liar::{Ask, now};
use crate::lab::openbao::OpenBao;
use crate::lab::swtpm::Relay;
use crate::tpm::start;
use crate::tpm_use::host_of_all_kinds;

#[test]
fn a_host_enrols_by_a_token_or_by_what_somebody_else_signed_for_it() {
    let Some(swtpm) = start(&[7]) else { return };
    let bao = OpenBao::shared();
    auth_role("of-token", "git.funlab.casa");
    let estate = host("of-token", "git.funlab.casa", &swtpm.direct(), &[], "");
    let token = bao.token("enrol-by-token", &["omens-renew"]);
    let (file, argument) = given(&estate, "token", &token);
    let enrolled = estate.omens(&["enroll", "--token", &argument]);
    enrolled.expect(0, "host-identity", "renewed");
    assert!(!file.exists() && !enrolled.stdout.contains(&token) && !enrolled.stderr.contains(&token), "{enrolled}");
    let (status, answer) = bao.ask("GET", "auth/token/lookup-self", None, Some(&token)).unwrap();
    assert_eq!(status, 403, "it has ended: {answer}");
    estate.renew().expect(0, "web", "renewed");

    // What is signed for it elsewhere: where it counts, the settings say.
    let signer = Signer::new("one");
    bao.api("POST", "sys/auth/jwt-enrol", Some(json!({ "type": "jwt" })));
    let config = json!({ "jwt_validation_pubkeys": [signer.public_pem()], "jwt_supported_algs": ["ES256"] });
    bao.api("POST", "auth/jwt-enrol/config", Some(config));
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["openbao"], "bound_subject": "git", "token_policies": ["omens-renew"],
        "token_no_default_policy": true, "token_ttl": "10m"
    });
    bao.api("POST", "auth/jwt-enrol/role/enrol", Some(role));
    let estate = host("of-token", "git.funlab.casa", &swtpm.direct(), &[], "");
    let (_, argument) = given(
        &estate,
        "jwt",
        &signer.token(&json!({ "sub": "git", "aud": "openbao", "exp": now() + 300, "iat": now() - 5, "nbf": now() - 5 })),
    );
    let nowhere = estate.omens(&["enroll", "--jwt", &argument]);
    assert_eq!((nowhere.code, nowhere.json["error"]["code"].as_str()), (2, Some("missing")), "{nowhere}");
    let later = ", { jwt = { mount = \"jwt-enrol\", role = \"enrol\", jwt = \"file:DIR/another\" } }";
    let estate = host("of-token", "git.funlab.casa", &swtpm.direct(), &[], later);
    for (subject, audience) in [("www", "openbao"), ("git", "somebody-else")] {
        let (_, argument) = given(
            &estate,
            "jwt",
            &signer.token(&json!({ "sub": subject, "aud": audience, "exp": now() + 300, "iat": now() - 5, "nbf": now() - 5 })),
        );
        estate.omens(&["enroll", "--jwt", &argument]).because("host-identity", "issue/login-refused");
    }
    let jwt = signer.token(&json!({ "sub": "git", "aud": "openbao", "exp": now() + 300, "iat": now() - 5, "nbf": now() - 5 }));
    let (file, argument) = given(&estate, "jwt", &jwt);
    let enrolled = estate.omens(&["enroll", "--jwt", &argument]);
    enrolled.expect(0, "host-identity", "renewed");
    assert!(!file.exists() && !enrolled.stdout.contains(&jwt) && !enrolled.stderr.contains(&jwt), "{enrolled}");
    // Not needed: it is neither used nor removed, and said.
    let (file, argument) = given(&estate, "jwt", &jwt);
    let again = estate.omens(&["enroll", "--jwt", &argument]);
    again.expect(0, "host-identity", "kept");
    assert!(file.exists() && warned(&again, "host-identity", "token-not-revoked").contains("still lets somebody in"), "{again}");
    estate.renew().expect(0, "web", "renewed");
}

#[test]
fn a_closed_gate_stops_an_enrolment_and_takes_nothing_from_a_host_that_is_enrolled() {
    let Some(swtpm) = start(&[7]) else { return };
    let (bao, relay) = (OpenBao::shared(), Relay::recording(&swtpm));
    let (estate, verifier) = host_of_all_kinds("of-the-gate", "git.funlab.casa", &relay, &[]);
    let fails = |verifier: &crate::lab::liar::Liar| {
        verifier.twisted(Box::new(|ask, _, reply| {
            if ask == Ask::Show {
                reply.set("/results/attestation_status", json!("FAIL"));
            }
        }));
    };
    let kept = estate.run_dir().join(".attest.json");
    fails(&verifier);
    let blocked = estate.omens(&["enroll"]);
    blocked.expect(1, "host-identity", "blocked").because("host-identity", "attest/verdict-failed");
    assert_eq!(bao.paths(&estate.login), Vec::<String>::new(), "nothing was asked");

    verifier.twisted(Box::new(|_, _, _| {}));
    estate.omens(&["enroll"]).expect(0, "host-identity", "renewed");
    let asked = || (bao.paths(&estate.login).len(), bao.paths("cert-of-the-gate").len());
    let before = asked();
    // Nothing is to be issued, so nothing is blocked; and whether the certificate still logs in is not asked.
    fails(&verifier);
    std::fs::remove_file(&kept).unwrap();
    let again = estate.omens(&["enroll"]);
    again.expect(0, "host-identity", "kept");
    assert!(warned(&again, "host-identity", "verdict-failed").contains("was not tried"), "{again}");
    assert_eq!((asked(), estate.committed("host-identity")), (before, Some(1)));
    // A person's word: it is tried, and works.
    let tried = estate.omens(&["enroll", "--break-glass", "the verifier is wrong"]);
    tried.expect(0, "host-identity", "kept");
    assert_eq!((warned(&tried, "host-identity", "verdict-failed").as_str(), asked().1), ("", before.1 + 2), "{tried}");
}

#[test]
fn a_certificate_for_another_use_is_neither_kept_as_an_identity_nor_let_in() {
    let Some(swtpm) = start(&[7]) else { return };
    let bao = OpenBao::shared();
    auth_role("of-eku", "git.funlab.casa");
    // A role that signs for servers: the profile of identities refuses what comes back, and nobody is shown it.
    let mut estate = host("of-eku", "git.funlab.casa", &swtpm.direct(), &[], APPROLE);
    "web-ec".clone_into(&mut estate.certs[0].role);
    estate.write();
    let refused = estate.omens(&["enroll"]);
    refused.expect(1, "host-identity", "refused");
    assert!(refused.cert("host-identity")["error"]["text"].as_str().unwrap().contains("eku.missing"), "{refused}");
    assert_eq!((estate.committed("host-identity"), estate.published("host-identity")), (None, None));
    assert_eq!(bao.paths("cert-of-eku"), Vec::<String>::new());

    // And OpenBao lets in what is for clients, by the same authority and name, and not what is for servers.
    let by = |role: &str| {
        let (certificate, key) = bao.pair(role, "git.funlab.casa");
        let usual = Estate::at_openbao();
        let login = "[ { cert = { role = \"of-eku\", cert = \"DIR/login.crt\", key = \"file:DIR/login.key\" } } ]".to_owned();
        let secrets = vec![("login.crt".to_owned(), certificate), ("login.key".to_owned(), key)];
        let authority = Authority { login, secrets, address: bao.address(), ..usual.authority.clone() };
        Estate::new(&usual.login, authority).with(Cert::web("web")).renew()
    };
    by("hosts-login").expect(0, "web", "renewed");
    let refused = by("web-ec");
    refused.expect(1, "web", "failed").because("web", "issue/login-refused");
}

#[test]
fn a_login_without_evidence_that_signs_too_is_said_to_bypass_it() {
    let Some(swtpm) = start(&[7]) else { return };
    let bao = OpenBao::shared();
    auth_role("of-bypass", "git.funlab.casa");
    let mut estate = host("of-bypass", "git.funlab.casa", &swtpm.direct(), &[], APPROLE);
    // Before it is enrolled, a login that can be copied need not be allowed the path of the identity.
    let (role_id, secret_id) = bao.approle("for-web-alone", &["omens-web-alone"]);
    bao.policy("omens-web-alone", &["web-ec"]);
    for (name, secret) in [("role-id", &role_id), ("secret-id", &secret_id)] {
        crate::lab::place::write_secret(&estate.dir.join(name), secret);
    }
    let online = estate.omens(&["check-config", "--online"]);
    assert_eq!(online.code, 0, "{online}");
    let lacks = online.json["warnings"].as_array().unwrap().iter().find(|one| one["code"] == "permission-denied").cloned().unwrap();
    assert!(lacks["text"].as_str().unwrap().contains("pki_int/sign/hosts-login"), "{lacks}");
    assert!(lacks["hint"].as_str().unwrap().contains("omens enroll") && !lacks["hint"].as_str().unwrap().contains("policy"), "{lacks}");
    for (name, secret) in &estate.authority.secrets {
        crate::lab::place::write_secret(&estate.dir.join(name), secret);
    }
    estate.omens(&["enroll"]).expect(0, "host-identity", "renewed");
    assert!(estate.omens(&["check-config", "--online"]).stdout.contains("the logins by tpm_identity and approle work"));
    let codes = |estate: &Estate| {
        let online = estate.omens(&["check-config", "--online"]);
        let all = online.json["warnings"].as_array().unwrap().clone();
        let found = all.iter().filter_map(|one| one["code"].as_str()).any(|code| code == "enforcement.bypass");
        (found, online.stdout.contains("no login without evidence"))
    };
    assert_eq!(codes(&estate), (true, false), "the AppRole signs as well");
    // The same AppRole with another policy: what is copied has nothing signed.
    let (role_id, secret_id) = bao.approle("powerless", &["omens-login-only"]);
    let own =
        "path \"auth/token/revoke-self\" { capabilities = [\"update\"] }\npath \"sys/capabilities-self\" { capabilities = [\"update\"] }";
    bao.api("POST", "sys/policies/acl/omens-login-only", Some(json!({ "policy": own })));
    estate.authority.secrets = vec![("role-id".into(), role_id), ("secret-id".into(), secret_id)];
    for (name, secret) in &estate.authority.secrets {
        crate::lab::place::write_secret(&estate.dir.join(name), secret);
    }
    estate.write();
    assert_eq!(codes(&estate), (false, true));
}

/// Whether a token is still accepted.
fn lives(token: &str) -> bool {
    OpenBao::shared().ask("GET", "auth/token/lookup-self", None, Some(token)).unwrap().0 == 200
}

#[test]
fn a_token_that_brought_nothing_is_left_to_be_given_again_and_what_was_used_is_said_to_have_ended() {
    let Some(swtpm) = start(&[7]) else { return };
    let bao = OpenBao::shared();
    auth_role("of-nothing", "git.funlab.casa");
    let estate = host("of-nothing", "git.funlab.casa", &swtpm.direct(), &[], "");
    let policy = |roles: &[&str]| bao.policy("omens-enrolling", roles);
    policy(&["web-ec"]);
    let token = bao.token("enrol-in-vain", &["omens-enrolling"]);
    let (file, argument) = given(&estate, "token", &token);
    let denied = estate.omens(&["enroll", "--token", &argument]);
    denied.expect(1, "host-identity", "failed").because("host-identity", "issue/permission-denied");
    assert!(lives(&token) && file.exists() && warned(&denied, "host-identity", "login-ends").is_empty(), "{denied}");
    // The cause mended, the same token does.
    policy(&["web-ec", "hosts-login"]);
    estate.omens(&["enroll", "--token", &argument]).expect(0, "host-identity", "renewed");
    assert!(!lives(&token) && !file.exists());

    // A token in a wrapping token is known to nobody else, so it ends, and that is said.
    policy(&["web-ec"]);
    let estate = host("of-nothing", "git.funlab.casa", &swtpm.direct(), &[], "");
    let ask = json!({ "policies": ["omens-enrolling"], "no_parent": true, "no_default_policy": true, "ttl": "30m" });
    let (_, argument) = given(&estate, "wrapped", &bao.wrapped("auth/token/create", &ask));
    let denied = estate.omens(&["enroll", "--wrapping-token", &argument]);
    denied.expect(1, "host-identity", "failed").because("host-identity", "issue/permission-denied");
    assert!(warned(&denied, "host-identity", "wrapping-token-used").contains("has ended with this run"), "{denied}");
    // A token that there is none of does not live on.
    let (_, argument) = given(&estate, "none", "hvs.nobody-ever-made-this-one");
    let unknown = estate.omens(&["enroll", "--token", &argument]);
    unknown.expect(1, "host-identity", "failed");
    assert!(!unknown.stdout.contains("lives on") && warned(&unknown, "host-identity", "token-not-revoked").is_empty(), "{unknown}");
    // Signed, and refused by the gate: it was used, and its file is of no use.
    policy(&["web-ec", "hosts-login"]);
    let mut estate = host("of-nothing", "git.funlab.casa", &swtpm.direct(), &[], "");
    "web-ec".clone_into(&mut estate.certs[0].role);
    estate.write();
    let token = bao.token("enrol-refused", &["omens-enrolling"]);
    let (_, argument) = given(&estate, "token", &token);
    let refused = estate.omens(&["enroll", "--token", &argument]);
    refused.expect(1, "host-identity", "refused");
    assert!(!lives(&token) && warned(&refused, "host-identity", "login-ends").contains("has ended with this run"), "{refused}");
}
