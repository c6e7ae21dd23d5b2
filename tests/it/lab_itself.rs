//! The lab does what its tests believe it does: OpenBao signs and keeps count, nginx serves, the fake lies as named.

use std::time::Duration;

use serde_json::json;

use crate::lab::child::{NOBODY, as_user, run};
use crate::lab::client::{Load, served, served_leaf};
use crate::lab::hostile::{Hostile, Lie, RetryAfter, TOKEN};
use crate::lab::nginx::Nginx;
use crate::lab::openbao::{HARD_ROLES, MOUNT, OpenBao, Options, Storage, WEAK_ROLES};
use crate::lab::pki::{CaKeys, ec_key, pem_blocks, sha256};
use crate::lab::{is_root, place, program, runtime};

fn csr(common_name: &str) -> String {
    let mut params = rcgen::CertificateParams::new(vec![common_name.to_owned(), "127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
    params.serialize_request(&ec_key()).unwrap().pem().unwrap()
}

#[test]
fn openbao_signs_by_role_and_counts_by_login() {
    let bao = OpenBao::shared();
    let (role_id, secret_id) = bao.approle("lab-count", &["omens-renew", "omens-weak"]);
    let login = json!({ "role_id": role_id, "secret_id": secret_id });
    let (status, answer) = bao.ask("POST", "auth/approle/login", Some(login), None).unwrap();
    assert_eq!(status, 200, "{answer}");
    let token = answer["auth"]["client_token"].as_str().unwrap();
    let csr = csr("www.funlab.casa");
    for role in HARD_ROLES.iter().chain(&WEAK_ROLES).filter(|r| !["web-rsa", "hosts-login"].contains(r)) {
        let ask = json!({ "csr": csr, "ttl": "1h" });
        let (status, answer) = bao.ask("POST", &format!("{MOUNT}/sign/{role}"), Some(ask), Some(token)).unwrap();
        assert_eq!(status, 200, "{role}: {answer}");
        assert_eq!(answer["data"]["ca_chain"].as_array().map(Vec::len), Some(1), "{role}: the root is not in ca_chain");
    }
    // Least privilege: other parameters, other paths and other names are refused.
    let (status, _) = bao
        .ask("POST", &format!("{MOUNT}/sign/web-ec"), Some(json!({ "csr": csr, "not_after": "2099-01-01T00:00:00Z" })), Some(token))
        .unwrap();
    assert_eq!(status, 403);
    let (status, _) =
        bao.ask("POST", &format!("{MOUNT}/issue/web-ec"), Some(json!({ "common_name": "www.funlab.casa" })), Some(token)).unwrap();
    assert_eq!(status, 403);
    assert_eq!(bao.signed("lab-count"), 7, "6 signed, 1 refused by policy");
    assert_eq!(bao.paths("lab-count")[0], "auth/approle/login");
    assert_eq!(bao.signed("lab-nobody"), 0);
}

#[test]
fn openbao_serves_a_certificate_of_its_own_pki() {
    let bao = OpenBao::shared();
    let chain = served(bao.port, "spire.funlab.casa").expect("a chain");
    assert_eq!(chain.len(), 2, "leaf and intermediate");
    assert_eq!(chain[1], pem_blocks(&bao.intermediate)[0]);
    let token = bao.token("lab-token", &["omens-renew"]);
    let (status, answer) = bao.ask("GET", "auth/token/lookup-self", None, Some(&token)).unwrap();
    assert_eq!((status, answer["data"]["display_name"].as_str()), (200, Some("token-lab-token")));
    assert_eq!(bao.paths("token-lab-token"), ["auth/token/lookup-self"]);
}

#[test]
fn openbao_can_be_sealed_stopped_and_started_again() {
    let user = is_root().then_some(NOBODY);
    let bao = OpenBao::start(Options { storage: Storage::Raft, keys: CaKeys::Ec, user });
    bao.seal();
    assert_eq!(bao.ask("GET", "sys/health", None, None).unwrap().0, 503);
    bao.unseal();
    bao.stop();
    assert!(bao.ask("GET", "sys/health", None, None).is_err());
    bao.launch();
    assert_eq!(bao.ask("GET", "sys/health", None, None).unwrap().0, 503, "sealed after a start");
    bao.unseal();
    let (cert, _) = bao.pair("hosts-login", "auth.funlab.casa");
    assert_eq!(pem_blocks(&cert).len(), 2);
}

#[test]
fn nginx_serves_reloads_and_refuses_a_broken_configuration() {
    let bao = OpenBao::shared();
    let dir = place::directory("pair");
    let put = || {
        let (cert, key) = bao.pair("web-ec", "www.funlab.casa");
        std::fs::write(dir.join("cert.pem"), &cert).unwrap();
        place::write_secret(&dir.join("key.pem"), &key);
        sha256(&pem_blocks(&cert)[0])
    };
    let first = put();
    let mut nginx = Nginx::new(None);
    let port = nginx.fixed("www.funlab.casa", &dir.join("cert.pem"), &dir.join("key.pem"));
    nginx.start();
    assert_eq!(served_leaf(port, "www.funlab.casa").as_ref(), Some(&first));
    let load = Load::start(port, "www.funlab.casa", &bao.root.der, 2);
    std::thread::sleep(Duration::from_millis(300));
    let second = put();
    assert_eq!(nginx.reload().code, 0, "{}", nginx.log());
    // Old workers answer for a moment after the first new answer (steps/services.md, "nginx").
    let steadily = || {
        (0..10).all(|_| {
            std::thread::sleep(Duration::from_millis(30));
            served_leaf(port, "www.funlab.casa").as_ref() == Some(&second)
        })
    };
    crate::lab::wait_for("the new leaf", Duration::from_secs(5), steadily);
    let (asked, failures) = load.stop();
    assert!(asked > 10 && failures.is_empty(), "{asked} asked, {failures:?}");
    nginx.write_broken();
    assert_eq!(nginx.reload().code, 1);
    assert_eq!(served_leaf(port, "www.funlab.casa").as_ref(), Some(&second), "the old workers go on");
    nginx.write();
    nginx.stop();
    assert!(served_leaf(port, "www.funlab.casa").is_none());
}

#[test]
fn a_client_that_does_not_trust_the_root_counts_failures() {
    let bao = OpenBao::shared();
    let other = crate::lab::pki::Ca::root(crate::lab::pki::ROOT, CaKeys::Ec);
    let load = Load::start(bao.port, "spire.funlab.casa", &other.der, 1);
    std::thread::sleep(Duration::from_millis(200));
    let (asked, failures) = load.stop();
    assert!(asked > 0 && failures.len() as u64 == asked, "{asked} {failures:?}");
}

/// One request to the fake by an ordinary client.
fn ask(hostile: &Hostile, path: &str, body: serde_json::Value) -> Result<(u16, Vec<u8>, String), String> {
    let root = reqwest::Certificate::from_pem(hostile.root_pem().as_bytes()).unwrap();
    runtime().block_on(async {
        let client = reqwest::Client::builder()
            .tls_certs_only([root])
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(3))
            .build()
            .unwrap();
        let answer = client.post(format!("https://127.0.0.1:{}/v1/{path}", hostile.port)).json(&body).send().await;
        let answer = answer.map_err(|e| format!("{e:?}"))?;
        let status = answer.status().as_u16();
        let after = answer.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
        let bytes = answer.bytes().await.map_err(|e| format!("{e:?}"))?;
        Ok((status, bytes.to_vec(), after))
    })
}

#[test]
fn the_fake_lies_as_named() {
    let hostile = Hostile::start();
    let sign = |lie: Lie| {
        hostile.lie(lie);
        ask(&hostile, "pki_int/sign/web-ec", json!({ "csr": csr("www.funlab.casa"), "ttl": "86400s" }))
    };
    let document = |lie: Lie| {
        let (status, bytes, _) = sign(lie).unwrap();
        assert_eq!(status, 200, "{lie:?}");
        serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()
    };
    let leaf = |lie: Lie| pem_blocks(document(lie)["data"]["certificate"].as_str().unwrap()).remove(0);
    let text = |der: &[u8]| format!("{:?}", x509_parser::parse_x509_certificate(der).unwrap().1);
    let good = leaf(Lie::Nothing);
    let (_, parsed) = x509_parser::parse_x509_certificate(&good).unwrap();
    assert_eq!(parsed.subject().to_string(), "CN=www.funlab.casa");
    let life = parsed.validity().not_after.timestamp() - parsed.validity().not_before.timestamp();
    assert_eq!(life, 86_430, "backdated by 30 s, as OpenBao does");
    assert!(!text(&leaf(Lie::NoEku)).contains("ExtendedKeyUsage("));
    assert!(text(&leaf(Lie::OtherEku)).contains("code_signing: true"));
    assert!(text(&leaf(Lie::ExtraName)).contains("admin.funlab.casa"));
    assert!(!text(&leaf(Lie::MissingName)).contains("IPAddress"));
    for (lie, absent) in [(Lie::NoChain, "ca_chain"), (Lie::NoIssuer, "issuing_ca")] {
        assert!(document(lie)["data"].get(absent).is_none(), "{lie:?}");
    }
    assert!(document(Lie::PrivateKey)["data"]["private_key"].is_string());
    for (lie, status) in [
        (Lie::Status(502), 502),
        (Lie::Sealed, 503),
        (Lie::SealedHtml, 503),
        (Lie::TokenDenied, 403),
        (Lie::RoleRefused, 400),
        (Lie::Redirect, 307),
    ] {
        assert_eq!(sign(lie).unwrap().0, status, "{lie:?}");
    }
    for (after, expected) in [(RetryAfter::Seconds(2), "2"), (RetryAfter::Absurd, "31536000"), (RetryAfter::Absent, "")] {
        assert_eq!(sign(Lie::TooMany(after)).unwrap().2, expected);
    }
    assert!(sign(Lie::TooMany(RetryAfter::Date(2))).unwrap().2.ends_with(" GMT"));
    for broken in [Lie::Truncated, Lie::Drip, Lie::ResetBefore, Lie::ResetAfter, Lie::CloseSilently] {
        assert!(sign(broken).is_err(), "{broken:?}");
    }
    assert!(sign(Lie::Endless).is_ok_and(|(_, bytes, _)| bytes.len() > 1 << 25) || sign(Lie::Endless).is_err());
}

#[test]
fn the_fake_keeps_what_it_was_sent_and_follows_its_script() {
    let hostile = Hostile::start();
    hostile.lies(&[Lie::Status(500), Lie::Nothing]);
    let body = json!({ "csr": csr("www.funlab.casa"), "ttl": "1h" });
    let statuses: Vec<u16> = (0..3).map(|_| ask(&hostile, "pki_int/sign/web-ec", body.clone()).unwrap().0).collect();
    assert_eq!(statuses, [500, 200, 200]);
    assert_eq!((hostile.sign_requests(), hostile.signed()), (3, 2));
    let (status, bytes, _) = ask(&hostile, "auth/approle/login", json!({ "secret_id": "marker-4711" })).unwrap();
    assert!(status == 200 && String::from_utf8(bytes).unwrap().contains(TOKEN));
    assert!(hostile.requests().iter().any(|r| String::from_utf8_lossy(&r.bytes).contains("marker-4711")));
}

#[test]
fn what_is_started_ends_with_its_process() {
    // A process that starts a server through the same wrapper and is killed: the server goes too.
    let sleep = program("sleep").unwrap();
    let mut script = std::process::Command::new("sh");
    let wrapper = as_user(None, Some("KILL"), &sleep);
    let words: Vec<String> =
        std::iter::once(wrapper.get_program()).chain(wrapper.get_args()).map(|w| w.to_string_lossy().into_owned()).collect();
    script.args(["-c", &format!("{} 1000 >/dev/null 2>&1 & echo $!; sleep 0.3; kill -9 $$", words.join(" "))]);
    let output = run(script, Duration::from_secs(5));
    let pid = output.stdout.trim().to_owned();
    assert!(!pid.is_empty(), "{output:?}");
    // Gone, or dead and waiting for an init that takes its time.
    let ended = || std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "));
    crate::lab::wait_for("the orphan to end", Duration::from_secs(3), ended);
}
