//! RSA keys that never leave the TPM, for one that has no elliptic curves: requests, logins, and a program of another's that serves with one.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_lc_rs::signature::{self, UnparsedPublicKey};
use omens::io::tpm::Tpm;
use omens::io::tpm::resident::{Scheme, spki};
use omens::judge::pair::{algorithm_of_spki, subject_public_key};
use omens::model::key::KeyAlgorithm;
use omens::model::pcr::PcrList;
use omens::model::tcti::Tcti;
use rustix::process::Signal;
use serde_json::json;

use crate::identity::{given, host};
use crate::lab::child::{Server, run};
use crate::lab::estate::{Cert, Estate};
use crate::lab::openbao::{NAMES, OpenBao};
use crate::lab::pki::{pem_blocks, sha256};
use crate::lab::swtpm::{CC_CREATE, CC_CREATE_PRIMARY, Relay};
use crate::lab::{free_port, wait_for};
use crate::tpm::start;

fn rsa(name: &str) -> Cert {
    Cert {
        algorithm: "rsa-2048".to_owned(),
        role: "web-rsa".to_owned(),
        profile: "infrastructure-rsa".to_owned(),
        keep: "resident".to_owned(),
        ..Cert::web(name)
    }
}

/// What kind of key the certificate holds that is published.
fn published(estate: &Estate, name: &str) -> KeyAlgorithm {
    let pem = std::fs::read_to_string(estate.run_dir().join(name).join("live/cert.pem")).unwrap();
    let leaf = omens::judge::cert::Facts::parse(&pem_blocks(&pem)[0]).unwrap();
    algorithm_of_spki(&leaf.spki).unwrap()
}

#[test]
fn an_rsa_key_signs_its_request_and_stays_in_its_tpm() {
    let Some(swtpm) = start(&[7]) else { return };
    let mut estate = Estate::at_openbao().with_tpm(&swtpm.direct(), &[]).with(rsa("web"));
    estate.renew().expect(0, "web", "renewed");
    let key = std::fs::read_to_string(estate.run_dir().join("web/live/key.pem")).unwrap();
    assert!(key.starts_with("-----BEGIN TSS2 PRIVATE KEY-----\n"), "{key}");
    assert_eq!(published(&estate, "web"), KeyAlgorithm::Rsa2048);
    assert_eq!(estate.omens(&["status"]).code, 0);

    estate.set_tpm(&swtpm.direct(), &[7]);
    estate.force().expect(0, "web", "renewed");
    assert!(!estate.run_dir().join("web/live/key.pem").exists(), "with PCRs there is no key.pem");
    swtpm.extend(7, "another boot loader");
    estate.force().expect(0, "web", "renewed");
    assert_eq!(swtpm.loaded(), Vec::<String>::new());
}

#[test]
fn an_rsa_key_signs_as_tls_has_it_and_not_once_its_pcr_changed() {
    let Some(swtpm) = start(&[7]) else { return };
    let mut tpm = Tpm::open(&Tcti::parse(&swtpm.tcti()).unwrap(), None).unwrap();
    let (message, digest) = (b"a handshake", aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"a handshake"));
    for pcrs in [&[][..], &[7]] {
        let values = tpm.pcr_values(&PcrList::new(pcrs).unwrap()).unwrap();
        let key = tpm.make_resident(&values, KeyAlgorithm::Rsa2048).unwrap();
        let public = subject_public_key(&spki(&key.public, &values).unwrap()).unwrap();
        for (scheme, algorithm) in
            [(Scheme::Pkcs1, &signature::RSA_PKCS1_2048_8192_SHA256), (Scheme::Pss, &signature::RSA_PSS_2048_8192_SHA256)]
        {
            let signed = tpm.sign_resident(&key, &values, scheme, digest.as_ref()).unwrap();
            UnparsedPublicKey::new(algorithm, &public).verify(message, &signed).unwrap();
        }
        assert!(tpm.sign_resident(&key, &values, Scheme::Ecdsa, digest.as_ref()).is_err());
        swtpm.extend(7, "another boot loader");
        assert_eq!(tpm.sign_resident(&key, &values, Scheme::Pss, digest.as_ref()).is_ok(), pcrs.is_empty());
        // What it is bound to is part of it.
        let other = tpm.pcr_values(&PcrList::new(if pcrs.is_empty() { &[7] } else { &[] }).unwrap()).unwrap();
        assert!(spki(&key.public, &other).is_err(), "{pcrs:?}");
    }
}

/// TPM_RC_TYPE of the second parameter: what a TPM without such keys says of a template (TPM 2.0 Part 2, §6.6).
const NO_SUCH_KIND: [u8; 10] = [0x80, 1, 0, 0, 0, 10, 0, 0, 2, 0xca];

#[test]
fn a_tpm_without_elliptic_curves_gets_an_rsa_storage_root_key_and_keys_below_it() {
    let Some(swtpm) = start(&[7]) else { return };
    // The first storage root key that is asked for is of P-256, and so are keys while that is asked for.
    let (primaries, curves) = (AtomicBool::new(true), Arc::new(AtomicBool::new(false)));
    let asked = curves.clone();
    let relay = Relay::before(
        &swtpm,
        Box::new(move |code, _| {
            let refused = match code {
                CC_CREATE_PRIMARY => primaries.swap(false, Ordering::SeqCst),
                CC_CREATE => asked.load(Ordering::SeqCst),
                _ => false,
            };
            refused.then(|| NO_SUCH_KIND.to_vec())
        }),
    );
    let mut estate = Estate::at_openbao().with_tpm(&relay.tcti(), &[]).with(rsa("web"));
    estate.renew().expect(0, "web", "renewed");
    let srk = swtpm.tool("tpm2_readpublic", &["-c", "0x81000001"]);
    assert!(srk.contains("value: rsa"), "{srk}");
    assert_eq!(published(&estate, "web"), KeyAlgorithm::Rsa2048);
    // Keys for others are sealed below it as well.
    estate.certs = vec![Cert::web("sealed").sealed()];
    estate.write();
    estate.renew().expect(0, "sealed", "renewed");

    curves.store(true, Ordering::SeqCst);
    estate.certs = vec![Cert { keep: "resident".to_owned(), ..Cert::web("curve") }];
    estate.write();
    let refused = estate.renew();
    refused.expect(1, "curve", "failed");
    let hint = refused.cert("curve")["error"]["hint"].as_str().unwrap_or_default().to_owned();
    assert!(hint.contains("algorithm = \"rsa-2048\""), "{refused}");
    assert_eq!(swtpm.loaded(), Vec::<String>::new());
}

#[test]
fn a_host_logs_in_by_an_rsa_key_of_its_tpm() {
    let Some(swtpm) = start(&[7]) else { return };
    let bao = OpenBao::shared();
    let name = "git.funlab.casa";
    bao.role(
        "hosts-login-rsa",
        &[
            &json!({ "key_type": "rsa", "key_bits": 2048, "key_usage": ["DigitalSignature"], "server_flag": false, "client_flag": true }),
            &json!({ "allow_ip_sans": false, "allow_localhost": false }),
        ],
    );
    bao.policy("omens-rsa-login", &["hosts-login-rsa"]);
    let policies = ["omens-renew", "omens-rsa-login"];
    let role = json!({
        "certificate": bao.intermediate, "allowed_common_names": [name], "token_policies": policies, "token_no_default_policy": true,
        "token_ttl": "10m", "display_name": "of-rsa"
    });
    bao.api("POST", "auth/cert/certs/of-rsa", Some(role));
    for pcrs in [&[][..], &[7]] {
        let mut estate = host("of-rsa", name, &swtpm.direct(), pcrs, "");
        // As the settings say it: a copy of the shipped profile for the other kind of key.
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/certificates/host-identity.toml");
        let profile = std::fs::read_to_string(shipped).unwrap().replace("keys = [\"ec-p256\"]", "keys = [\"rsa-2048\"]");
        std::fs::write(estate.dir.join("policies/certificates/host-identity-rsa.toml"), profile).unwrap();
        let cert = &mut estate.certs[0];
        *cert = Cert {
            profile: "host-identity-rsa".to_owned(),
            role: "hosts-login-rsa".to_owned(),
            algorithm: "rsa-2048".to_owned(),
            ..cert.clone()
        };
        estate.write();
        let (_, token) = given(&estate, "enrol", &bao.token("enrol-rsa", &policies));
        let enrolled = estate.omens(&["enroll", "--token", &token]);
        enrolled.expect(0, "host-identity", "renewed");
        assert_eq!(enrolled.cert("host-identity")["proof"], "served", "{enrolled}");
        let before = bao.signed("cert-of-rsa");
        estate.force().expect(0, "host-identity", "renewed").expect(0, "web", "renewed");
        assert_eq!(bao.signed("cert-of-rsa"), before + 2, "both were signed for logins by the TPM");
        assert_eq!(swtpm.loaded(), Vec::<String>::new());
    }
}

#[test]
fn a_program_with_the_tpms_provider_of_openssl_serves_with_a_resident_key() {
    let Some(swtpm) = start(&[7]) else { return };
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        command.args(arguments).env("TPM2OPENSSL_TCTI", swtpm.direct());
        command
    };
    if run(openssl(&["list", "-providers", "-provider", "tpm2"]), Duration::from_secs(20)).code != 0 {
        return crate::skipped("resident keys in a program of OpenSSL: Debian's tpm2-openssl is not installed");
    }
    let ec = Cert { keep: "resident".to_owned(), ..Cert::web("curve") };
    let estate = Estate::at_openbao().with_tpm(&swtpm.direct(), &[]).with(rsa("rsa")).with(ec);
    estate.renew().expect(0, "rsa", "renewed").expect(0, "curve", "renewed");
    // With a key of P-256 that provider (1.1.1) finds no cipher of TLS 1.2.
    for (name, versions) in [("rsa", &["-tls1_2", "-tls1_3"][..]), ("curve", &["-tls1_3"])] {
        let live = estate.run_dir().join(name).join("live");
        let (port, file) = (free_port(), |file: &str| live.join(file).display().to_string());
        let port_text = port.to_string();
        let (chain, key) = (file("fullchain.pem"), file("key.pem"));
        // The TPM signs; digests, which it would offer too, are the default provider's.
        let providers = ["-provider", "default", "-provider", "tpm2", "-propquery", "?provider=tpm2,tpm2.digest!=yes,tpm2.cipher!=yes"];
        let serves = ["-accept", &port_text, "-cert", &chain, "-cert_chain", &chain, "-key", &key, "-www"];
        let arguments = [&["s_server"][..], &providers, &serves].concat();
        let _server = Server::start(openssl(&arguments), &estate.dir.join("s_server.log"), Signal::TERM);
        let expected = estate.published_leaf(name).unwrap();
        for version in versions {
            wait_for(&format!("{name} to be served by {version}"), Duration::from_secs(20), || {
                let mut client = Command::new("openssl");
                client.args(["s_client", version, "-connect", &format!("127.0.0.1:{port}"), "-verify_return_error"]);
                client.args(["-servername", NAMES[0], "-CAfile"]).arg(estate.anchor());
                let output = run(client, Duration::from_secs(20));
                output.code == 0 && pem_blocks(&output.stdout).first().map(|der| sha256(der)) == Some(expected.clone())
            });
        }
    }
}
