//! Keys that never leave the TPM: issued at a real OpenBao, published as what they are, refused where they lose handshakes.

use crate::lab::estate::{Cert, Estate};
use crate::tpm::start;

fn resident(name: &str) -> Cert {
    let mut cert = Cert::web(name);
    "resident".clone_into(&mut cert.keep);
    cert
}

#[test]
fn a_resident_key_signs_its_request_and_rests_in_its_tpm() {
    let Some(mut swtpm) = start(&[7]) else { return };
    let mut estate = Estate::at_openbao().with_tpm(&swtpm.direct(), &[]).with(resident("web"));
    estate.renew().expect(0, "web", "renewed");
    let published = |name: &str| std::fs::read_to_string(estate.run_dir().join("web/live").join(name)).ok();
    let pem = published("key.pem").unwrap();
    assert!(pem.starts_with("-----BEGIN TSS2 PRIVATE KEY-----\n"), "{pem}");
    assert_eq!((published("combined.pem"), published("nginx.conf")), (None, None));
    let rests = estate.state().join("certs/web/live/key.resident");
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(&rests).unwrap()).unwrap();
    assert_eq!((file["v"].as_i64(), file["pcrs"]["list"].as_array().map(Vec::len)), (Some(1), Some(0)), "{file:#}");
    assert_eq!(swtpm.loaded(), Vec::<String>::new());
    let status = estate.omens(&["status"]);
    assert_eq!((status.code, status.json["certificates"][0]["keep"].as_str()), (0, Some("resident")), "{status}");
    crate::schemas::fits("status", &status.json);

    // The run directory is gone, as after a boot, and the TPM is not needed to publish it again.
    std::fs::remove_dir_all(estate.run_dir().join("web")).unwrap();
    swtpm.power_off();
    let restored = estate.omens(&["restore"]);
    assert_eq!((restored.code, published("key.pem").as_deref()), (0, Some(pem.as_str())), "{restored}");
    swtpm.power_on(&[7]);

    // Bound to a PCR: no file says how to use it, and a change of that PCR takes a new key.
    estate.set_tpm(&swtpm.direct(), &[7]);
    estate.force().expect(0, "web", "renewed");
    let gone = std::fs::metadata(estate.run_dir().join("web/live/key.pem")).is_err();
    assert!(gone, "with PCRs there is no key.pem");
    swtpm.extend(7, "another boot loader");
    let resealed = estate.omens(&["reseal"]);
    resealed.expect(0, "web", "kept");
    assert_eq!(resealed.cert("web")["warnings"][0]["code"].as_str(), Some("resident"), "{resealed}");
    estate.force().expect(0, "web", "renewed");
    assert_eq!(swtpm.loaded(), Vec::<String>::new());
}

#[test]
fn what_a_resident_key_cannot_be_used_for_is_refused_before_anything_is_asked() {
    let estate = |cert: Cert, pcrs: &[u32]| Estate::at_openbao().with_tpm("swtpm:host=127.0.0.1,port=2321", pcrs).with(cert);
    let code = |cert: Cert, pcrs: &[u32]| {
        let run = estate(cert, pcrs).omens(&["check-config"]);
        (
            run.code,
            run.json["errors"][0]["code"].as_str().map(str::to_owned),
            run.json["errors"][0]["text"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let unusable = |cert: Cert, pcrs: &[u32], names: &str| {
        let (exit, found, text) = code(cert, pcrs);
        assert_eq!((exit, found.as_deref(), text.contains(names)), (2, Some("resident-unusable"), true), "{text}");
    };
    let nginx = "{ nginx = { unit = \"nginx.service\" } }";
    unusable(resident("web").reloaded_by(nginx), &[], "176 handshakes");
    unusable(resident("web").reloaded_by("{ openbao = { unit = \"openbao.service\" } }"), &[], "openbao");
    let with = |extra: &str| Cert { extra: extra.to_owned(), ..resident("web") };
    unusable(with("install = [ { dir = \"/etc/haproxy\", combined = \"web.pem\" } ]\n"), &[], "combined");
    unusable(with("install = [ { dir = \"/etc/web\", key = \"web.key\" } ]\n"), &[7], "key.pem");
    assert_eq!(code(with("install = [ { dir = \"/etc\", key = \"omens-test.key\" } ]\n"), &[]).0, 0);
    assert_eq!(code(Cert { extra: "resident_at_own_risk = true\n".to_owned(), ..resident("web").reloaded_by(nginx) }, &[]).0, 0);
    let (exit, found, text) =
        code(Cert { algorithm: "rsa-3072".to_owned(), profile: "infrastructure-rsa".to_owned(), ..resident("web") }, &[]);
    assert_eq!((exit, found.as_deref()), (2, Some("bad-value")), "{text}");
    // A fault of one certificate is that one's alone.
    let refused = estate(resident("web").reloaded_by(nginx), &[]).renew();
    refused.expect(1, "web", "failed").because("web", "plan/settings");
}
