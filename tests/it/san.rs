//! URIs, e-mail addresses and subject fields beside the common name: asked of a real OpenBao, held against what it gives, and against its
//! roles before anything is asked.

use serde_json::{Value, json};

use crate::lab::estate::{Authority, Cert, Estate};
use crate::lab::openbao::OpenBao;
use crate::lab::pki::pem_blocks;

const SPIFFE: &str = "spiffe://funlab.casa/host/web";

/// A host whose login may use these roles and read them.
fn host(name: &str, roles: &[&str]) -> Estate {
    let bao = OpenBao::shared();
    bao.policy(&format!("omens-{name}"), roles);
    let look = "path \"pki_int/roles/*\" { capabilities = [\"read\"] }";
    bao.api("PUT", "sys/policies/acl/omens-read-roles", Some(json!({ "policy": look })));
    let (role_id, secret_id) = bao.approle(name, &[&format!("omens-{name}"), "omens-read-roles"]);
    Estate::new(name, Authority::approle(bao.address(), &bao.root.pem, &role_id, &secret_id))
}

fn server() -> Value {
    json!({ "key_type": "ec", "key_bits": 256, "server_flag": true, "client_flag": true, "key_usage": ["DigitalSignature"] })
}

fn certificate(role: &str, extra: &str) -> Cert {
    Cert { role: role.into(), profile: "mtls-service".into(), extra: extra.into(), ..Cert::web("web") }
}

/// The names of the published leaf and its subject, by another reader than the one under test.
fn published(estate: &Estate) -> (String, Vec<String>) {
    use x509_parser::extensions::GeneralName;
    let pem = std::fs::read_to_string(estate.run_dir().join("web/live/cert.pem")).unwrap();
    let der = &pem_blocks(&pem)[0];
    let (_, leaf) = x509_parser::parse_x509_certificate(der).unwrap();
    let san = leaf.subject_alternative_name().unwrap().unwrap();
    let names = san.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        GeneralName::RFC822Name(email) => Some((*email).to_owned()),
        _ => None,
    });
    (leaf.subject().to_string(), names.collect())
}

#[test]
fn uris_and_addresses_are_asked_for_and_are_in_the_certificate() {
    let bao = OpenBao::shared();
    let names = json!({ "allowed_uri_sans": ["spiffe://funlab.casa/host/*"] });
    bao.role("names", &[&server(), &names]);
    let mut estate = host("names-host", &["names"]);
    let extra = format!("uri = [\"{SPIFFE}\"]\nemail = [\"ops@www.funlab.casa\"]\n");
    estate.certs.push(certificate("names", &extra));
    estate.write();
    let checked = estate.omens(&["check-config", "--online"]);
    assert!(checked.code == 0 && checked.stdout.contains("the role names allows names, key and ttl"), "{checked}");
    estate.renew().expect(0, "web", "renewed");
    assert_eq!(published(&estate).1, ["ops@www.funlab.casa", SPIFFE]);
    let status = estate.omens(&["status"]);
    let said = status.cert("web")["names"].to_string();
    assert!(
        said.contains(&format!("uri:{SPIFFE}")) && said.contains("email:ops@www.funlab.casa") && said.contains("ip:127.0.0.1"),
        "{status}"
    );
    assert!(estate.plain(&["status", "-v"]).stdout.contains(&format!("uri:{SPIFFE}")));
    estate.renew().expect(0, "web", "not-due");

    // Another one in the settings is a reason to renew, told as what comes and what goes.
    estate.certs[0].extra = extra.replace("host/web", "host/www");
    estate.write();
    let plan = estate.omens(&["plan"]);
    assert_eq!(plan.reasons("web"), ["settings-changed"], "{plan}");
    assert!(plan.stdout.contains("names: +spiffe://funlab.casa/host/www −spiffe://funlab.casa/host/web"), "{plan}");
    estate.renew().expect(0, "web", "renewed");
    assert_eq!(published(&estate).1, ["ops@www.funlab.casa", "spiffe://funlab.casa/host/www"]);
}

#[test]
fn what_a_role_does_not_allow_is_said_before_and_by_the_refusal() {
    let bao = OpenBao::shared();
    bao.role("no-names", &[&server(), &json!({ "allowed_uri_sans": ["spiffe://funlab.casa/other"] })]);
    let mut estate = host("no-names-host", &["no-names"]);
    let rows = [
        ("uri = [\"spiffe://funlab.casa/host/web\"]\n", "allowed_uri_sans: spiffe://funlab.casa/other", "allowed_uri_sans", "`uri`"),
        (
            "email = [\"ops@elsewhere.example\"]\n",
            "does not allow the e-mail address ops@elsewhere.example",
            "allow_bare_domains",
            "`email`",
        ),
    ];
    for (extra, found, field, key) in rows {
        estate.certs = vec![certificate("no-names", extra)];
        estate.write();
        let checked = estate.omens(&["check-config", "--online"]);
        assert!(checked.code == 2 && checked.json["errors"].to_string().contains(found), "{extra}: {checked}");
        let run = estate.renew();
        run.expect(1, "web", "failed").because("web", "issue/role-refused");
        let hint = run.cert("web")["error"]["hint"].as_str().unwrap_or_default();
        assert!(hint.contains(field) && hint.contains(key), "{run}");
    }
    // Addresses as well, which the gate would see too late: nothing is signed for them.
    estate.certs = vec![Cert { ip: vec!["192.0.2.1".into()], ..certificate("no-names", "") }];
    estate.write();
    let checked = estate.omens(&["check-config", "--online"]);
    assert!(checked.json["errors"].to_string().contains("does not allow the address 192.0.2.1 (allowed_ip_sans_cidr)"), "{checked}");
    let run = estate.renew();
    assert!(run.cert("web")["error"]["hint"].as_str().unwrap_or_default().contains("allowed_ip_sans_cidr"), "{run}");
    // A role that takes no names of a request at all: signed, and refused by the gate.
    bao.role("own-names", &[&server(), &json!({ "use_csr_sans": false, "allowed_uri_sans": ["*"] })]);
    let mut estate = host("own-names-host", &["own-names"]);
    estate.certs = vec![certificate("own-names", "uri = [\"spiffe://funlab.casa/host/web\"]\n")];
    estate.write();
    let checked = estate.omens(&["check-config", "--online"]);
    assert!(checked.json["errors"].to_string().contains("does not take the names of a request (use_csr_sans=false)"), "{checked}");
    let run = estate.renew();
    run.expect(1, "web", "refused");
    assert!(run.findings("web").contains(&"name.missing"), "{run}");
}

#[test]
fn what_the_role_sets_in_the_subject_is_told_and_where_it_is_named_demanded() {
    let bao = OpenBao::shared();
    let fields = json!({
        "organization": ["Third Earth"], "ou": ["Lair"], "country": ["CH"], "locality": ["Bern"], "province": ["BE"],
        "street_address": ["1 Cat's Way"], "postal_code": ["3000"]
    });
    bao.role("subjects", &[&server(), &fields]);
    let mut estate = host("subjects-host", &["subjects"]);
    estate.certs.push(certificate("subjects", ""));
    estate.write();
    // Not named: taken, and told.
    let run = estate.renew();
    run.expect(0, "web", "renewed");
    assert_eq!(run.findings("web"), ["name.subject-extra"], "{run}");
    assert!(estate.omens(&["status"]).cert("web")["subject"].as_str().unwrap().contains("O=Third Earth"));
    // Named as they are: nothing is to be done, nothing is told.
    let all = "subject = { organization = [\"Third Earth\"], ou = [\"Lair\"], country = [\"CH\"], locality = [\"Bern\"], province = [\"BE\"], \
               street_address = [\"1 Cat's Way\"], postal_code = [\"3000\"] }\n";
    estate.certs[0].extra = all.into();
    estate.write();
    assert_eq!(estate.omens(&["check-config", "--online"]).code, 0);
    estate.renew().expect(0, "web", "not-due");
    let run = estate.force();
    run.expect(0, "web", "renewed");
    assert_eq!(run.findings("web"), Vec::<&str>::new(), "{run}");
    let serves = estate.published_leaf("web");
    // Named otherwise: the plan says so, the check says what the role sets, and what it signs all the same is refused.
    estate.certs[0].extra = all.replace("Lair", "Plun-Darr");
    estate.write();
    let plan = estate.omens(&["plan"]);
    assert!(plan.reasons("web") == ["settings-changed"] && plan.stdout.contains("expected OU=Plun-Darr"), "{plan}");
    let checked = estate.omens(&["check-config", "--online"]);
    assert!(checked.code == 2 && checked.json["errors"].to_string().contains("does not set OU=Plun-Darr in the subject"), "{checked}");
    let run = estate.renew();
    run.expect(1, "web", "refused");
    assert!(run.findings("web").contains(&"name.subject-missing"), "{run}");
    assert!(run.cert("web")["error"]["hint"].as_str().unwrap().contains("role subjects"), "{run}");
    assert_eq!(estate.published_leaf("web"), serves, "the one before serves on");
    // And a profile may forbid what nobody named.
    let profile = std::fs::read_to_string("policies/certificates/mtls-service.toml").unwrap();
    let lints = "[lints]\n\"name.subject-extra\" = \"high\"\n";
    std::fs::write(estate.dir.join("policies/certificates/strict.toml"), format!("{profile}\n{lints}")).unwrap();
    estate.certs[0] = Cert { profile: "strict".into(), ..certificate("subjects", "") };
    estate.write();
    estate.force().expect(1, "web", "refused");
}
