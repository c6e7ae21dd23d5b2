//! What `init --server` prints, applied to a real OpenBao by its own command line and attacked: nothing is signed for a login that is not the
//! host's own.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};

use crate::lab::child::run;
use crate::lab::estate::{Authority, Cert, Estate};
use crate::lab::jwt::Signer;
use crate::lab::liar::now;
use crate::lab::openbao::{OpenBao, Options, binary};
use crate::lab::pki::{Ca, CaKeys, Leaf};
use crate::lab::{pki, place};
use crate::tpm::start;

const HOST: &str = "spire.funlab.casa";

/// A host that logs in by its TPM, with a service of its own name.
fn host(bao: &OpenBao, tcti: &str, common_name: &str) -> Estate {
    let login = "[ { tpm_identity = { certificate = \"host-identity\", role = \"hosts-bound\", mount = \"cert-bound\" } } ]";
    let authority = Authority { login: login.to_owned(), address: bao.address(), root_pem: bao.root.pem.clone(), secrets: Vec::new() };
    let own = |name: &str, profile: &str, role: &str| Cert {
        profile: profile.to_owned(),
        role: role.to_owned(),
        common_name: common_name.to_owned(),
        ip: Vec::new(),
        ..Cert::web(name)
    };
    let identity = Cert { keep: "resident".to_owned(), ttl: "72h".to_owned(), ..own("host-identity", "host-identity", "host-identity") };
    Estate::new("bound", authority).with_tpm(tcti, &[]).with(identity).with(own("web", "tls-server", "tls-server"))
}

/// A service whose name is that of no host.
fn service() -> Cert {
    Cert {
        profile: "mtls-service".to_owned(),
        role: "keylime-bound".to_owned(),
        common_name: "verifier.keylime.funlab.casa".to_owned(),
        ip: Vec::new(),
        ..Cert::web("verifier")
    }
}

/// Applied twice: the second time it must change nothing.
fn apply(bao: &OpenBao, estate: &Estate, variables: &[(&str, &str)]) {
    let script = estate.plain(&["init", "--server"]);
    assert_eq!(script.code, 0, "{}", script.stderr);
    let file = estate.dir.join("openbao.sh");
    std::fs::write(&file, &script.stdout).unwrap();
    let binary = binary().expect("OpenBao");
    let root = estate.dir.join("root.pem");
    std::fs::write(&root, &bao.root.pem).unwrap();
    for _ in 0..2 {
        let mut command = Command::new("sh");
        let path = format!("{}:/usr/bin:/bin", binary.parent().unwrap().display());
        command.arg(&file).env_clear().env("PATH", path).env("HOME", &estate.dir);
        command.env("BAO_ADDR", bao.address()).env("BAO_CACERT", &root).env("BAO_TOKEN", &bao.token);
        command.envs(variables.iter().copied());
        let applied = run(command, Duration::from_secs(60));
        assert_eq!(applied.code, 0, "{}\n{}\n{}", applied.stdout, applied.stderr, script.stdout);
    }
}

fn csr(name: &str) -> String {
    let params = rcgen::CertificateParams::new([name.to_owned()]).map(|mut params| {
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params
    });
    params.unwrap().serialize_request(&pki::ec_key()).unwrap().pem().unwrap()
}

/// Who runs the script is the administrator of the CA; who chose the names in it is any host.
#[test]
fn a_name_that_a_host_chose_is_a_word_and_no_command() {
    let mark = std::env::temp_dir().join(format!("omens-mark-{}", std::process::id()));
    let name = format!("$(touch {0});`touch {0}`'", mark.display());
    assert!(name.len() <= 64, "a common name");
    let mut estate = Estate::at_openbao();
    estate.certs.push(Cert { common_name: name.clone(), profile: "mtls-client".to_owned(), ..service() });
    estate.write();
    let script = estate.plain(&["init", "--server"]);
    assert_eq!(script.code, 0, "{}", script.stderr);
    // Every command of the script, given to a program that does nothing.
    let programs = estate.dir.join("programs");
    std::fs::create_dir(&programs).unwrap();
    let program = programs.join("bao");
    std::fs::write(&program, "#!/bin/sh\n[ -t 0 ] || cat >/dev/null\necho x\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = estate.dir.join("openbao.sh");
    std::fs::write(&file, &script.stdout).unwrap();
    let mut command = Command::new("sh");
    command.arg(&file).env_clear().env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    let done = run(command, Duration::from_secs(30));
    assert_eq!((done.code, mark.exists()), (0, false), "{}\n{}\n{}", done.stdout, done.stderr, script.stdout);
    assert!(script.stdout.contains("$(touch"), "the name is in it: {}", script.stdout);
}

#[test]
fn what_is_printed_for_the_server_goes_into_the_namespace_of_the_settings() {
    let bao = OpenBao::start(Options::QUICK);
    bao.api("POST", "sys/namespaces/team", None);
    bao.api("POST", "team/sys/mounts/pki_int", Some(json!({ "type": "pki" })));
    bao.api("POST", "team/pki_int/root/generate/internal", Some(json!({ "common_name": "team", "key_type": "ec" })));
    let estate = Estate::new("team", Authority::approle(bao.address(), &bao.root.pem, "none", "none")).with(service());
    let text = estate.settings_text().replacen("mount = ", "namespace = \"team\"\nmount = ", 1);
    std::fs::write(estate.settings(), text).unwrap();
    apply(&bao, &estate, &[]);
    let policies = |at: &str| {
        let answer = bao.api("LIST", &format!("{at}sys/policies/acl"), None);
        let names = answer["data"]["keys"].as_array().unwrap();
        names.iter().filter_map(Value::as_str).any(|name| name == "omens-login")
    };
    assert!(policies("team/") && !policies(""), "in the namespace, and in the root one nothing");
    for (arguments, code) in [(&["init", "--server"][..], 0), (&["check-config"], 0)] {
        let document = estate.omens(arguments);
        crate::schemas::says_how_it_ended(&document.json, code);
    }
    let script = estate.plain(&["init", "--server"]).stdout;
    assert!(script.contains("into the namespace team") && script.contains("#   BAO_NAMESPACE=team bao token create"), "{script}");
}

#[test]
fn settings_that_are_not_there_or_wrong_give_no_script_for_the_server() {
    let estate = Estate::at_openbao().with(service());
    let gone = estate.dir.join("gone.toml");
    for what in ["absent", "broken", "a certificate is wrong"] {
        let text = estate.settings_text();
        let file = if what == "absent" { &gone } else { &estate.settings() };
        match what {
            "broken" => std::fs::write(file, "[host").unwrap(),
            "a certificate is wrong" => std::fs::write(file, text.replace("profile = \"mtls-service\"", "profile = \"mtls\"")).unwrap(),
            _ => {}
        }
        for json in [false, true] {
            let mut command = Command::new(crate::lab::estate::omens());
            command.arg("--config").arg(file).args(["init", "--server"]).args(json.then_some("--json"));
            let done = run(command, Duration::from_secs(30));
            assert_eq!(done.code, 2, "{what}: {}{}", done.stdout, done.stderr);
            assert!(done.stderr.contains(&file.display().to_string()), "{what}: {}", done.stderr);
            if json {
                let document: Value = serde_json::from_str(&done.stdout).unwrap();
                let errors = document["errors"].as_array().map_or(0, Vec::len);
                assert_eq!((&document["script"], &document["exit"], errors > 0), (&"".into(), &2.into(), true), "{document}");
            } else {
                assert_eq!(done.stdout, "", "{what}");
            }
        }
    }
}

/// The token that an administrator makes for one enrolment.
fn enrolment(host: &str) -> serde_json::Value {
    json!({ "entity_alias": format!("omens-{host}"), "policies": ["omens-enroll"] })
}

#[test]
fn what_is_printed_for_the_server_binds_what_is_signed_to_the_host() {
    let (Some(ours), Some(theirs)) = (start(&[]), start(&[])) else { return };
    let bao = OpenBao::start(Options::QUICK);
    let estate = host(&bao, &ours.direct(), HOST).with(service());
    apply(&bao, &estate, &[]);
    let other = host(&bao, &theirs.direct(), "git.funlab.casa");
    apply(&bao, &other, &[]);

    let enrol = |estate: &Estate, name: &str| {
        let file = estate.dir.join("enrol");
        place::write_secret(&file, &bao.wrapped(&format!("auth/token/create/omens-enroll-{name}"), &enrolment(name)));
        estate.omens(&["enroll", "--wrapping-token", &format!("file:{}", file.display())])
    };
    enrol(&estate, HOST).expect(0, "host-identity", "renewed");
    enrol(&other, "git.funlab.casa").expect(0, "host-identity", "renewed");
    let all = estate.force();
    all.expect(0, "host-identity", "renewed").expect(0, "web", "renewed").expect(0, "verifier", "renewed");
    let online = estate.omens(&["check-config", "--online"]);
    assert!(online.stdout.contains("no login without evidence") && !online.stdout.contains("enforcement.bypass"), "{online}");

    let roles = ["host-identity", "tls-server", "mtls-service", "mtls-client", "keylime-agent", "keylime-bound"];
    let signs = |token: &str, name: &str| -> Vec<&str> {
        let sign = |role: &&&str| {
            let asked = json!({ "csr": csr(name), "ttl": "1h", "format": "pem" });
            bao.ask("POST", &format!("pki_int/sign/{role}"), Some(asked), Some(token)).unwrap().0 == 200
        };
        roles.iter().filter(sign).copied().collect()
    };
    let enroled = |name: &str| {
        let made = bao.api("POST", &format!("auth/token/create/omens-enroll-{name}"), Some(enrolment(name)));
        made["auth"]["client_token"].as_str().unwrap().to_owned()
    };
    // The token of another host: its own name, through the one role, and nothing of ours. That it can sign at all shows that this can fail.
    assert_eq!(signs(&enroled("git.funlab.casa"), "git.funlab.casa"), ["host-identity"]);
    assert_eq!(signs(&enroled("git.funlab.casa"), HOST), Vec::<&str>::new());
    // A stolen secret id, whatever policies its role has: no entity, no name.
    let (role_id, secret_id) = bao.approle("stolen", &["omens-login", "omens-enroll"]);
    let login = json!({ "role_id": role_id, "secret_id": secret_id });
    let stolen = bao.ask("POST", "auth/approle/login", Some(login), None).unwrap().1;
    assert_eq!(signs(stolen["auth"]["client_token"].as_str().unwrap(), HOST), Vec::<&str>::new());
    // A token with all the policies and no host.
    assert_eq!(signs(&bao.token("loose", &["omens-login", "omens-enroll"]), HOST), Vec::<&str>::new());

    // Another host's identity: theirs logs in, and neither our name nor our service is signed for it.
    let mut posing = other;
    HOST.clone_into(&mut posing.certs[1].common_name);
    let posing = posing.with(service());
    let refused = posing.omens(&["renew", "web", "verifier", "--force"]);
    assert_eq!((refused.outcome("web"), refused.error("web").as_str()), ("failed", "issue/role-refused"), "{refused}");
    assert_eq!((refused.outcome("verifier"), refused.error("verifier").as_str()), ("failed", "issue/permission-denied"), "{refused}");
    keys_of_own_making_do_not_log_in(&bao);
}

/// A key of somebody's own making with our name, below his own root and below the PKI by another role: neither logs in.
fn keys_of_own_making_do_not_log_in(bao: &OpenBao) {
    let key = pki::ec_key();
    let own = pki::Ca::root("Somebody", pki::CaKeys::Ec).leaf(&key, &pki::Leaf::server(HOST, &[], &[], time::Duration::HOUR));
    let (by_another_role, its_key) = bao.pair("hosts-login", HOST);
    for (certificate, key) in [(own.pem(), key.serialize_pem()), (by_another_role, its_key)] {
        let login =
            "[ { cert = { role = \"hosts-bound\", mount = \"cert-bound\", cert = \"DIR/login.crt\", key = \"file:DIR/login.key\" } } ]";
        let secrets = vec![("login.crt".to_owned(), certificate), ("login.key".to_owned(), key)];
        let authority = Authority { login: login.to_owned(), address: bao.address(), root_pem: bao.root.pem.clone(), secrets };
        let thief = Estate::new("thief", authority).with(Cert {
            common_name: HOST.to_owned(),
            role: "tls-server".to_owned(),
            ip: Vec::new(),
            ..Cert::web("web")
        });
        thief.renew().expect(1, "web", "failed").because("web", "issue/login-refused");
    }
}

/// Shows the key set of now to whoever asks, over TLS, until the process ends.
fn bundle_endpoint(ca: &Ca, keys: Arc<Mutex<Value>>) -> String {
    let key = pki::ec_key();
    let chain = vec![ca.leaf(&key, &Leaf::server("spire", &[], &["127.0.0.1".parse().unwrap()], time::Duration::HOUR)).der().clone()];
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let (config, listener) = (Arc::new(config.unwrap()), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            let mut tls = rustls::StreamOwned::new(rustls::ServerConnection::new(config.clone()).unwrap(), tcp);
            let body = keys.lock().unwrap().to_string();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let asked = tls.read(&mut [0; 4096]);
            if asked.is_ok_and(|read| read > 0) {
                tls.write_all(answer.as_bytes()).ok();
                tls.conn.send_close_notify();
                tls.flush().ok();
            }
        }
    });
    address
}

#[test]
fn what_is_printed_for_jwt_svids_lets_in_what_the_bundle_endpoint_vouches_for_and_nothing_else() {
    const ID: &str = "spiffe://funlab.casa/omens/spire";
    let Some(swtpm) = start(&[]) else { return };
    let bao = OpenBao::start(Options::QUICK);
    let mut estate = host(&bao, &swtpm.direct(), HOST);
    let svid = format!(
        "{{ jwt_svid = {{ socket = \"unix:/run/none.sock\", audience = \"openbao\", mount = \"jwt-bound\", role = \"attested\", spiffe_id = \"{ID}\" }} }}"
    );
    estate.authority.login = estate.authority.login.replace(" ]", &format!(", {svid} ]"));
    estate.write();
    let (first, next, thief) = (Signer::new("first"), Signer::new("next"), Signer::new("first"));
    let (ca, keys) = (Ca::root("SPIRE", CaKeys::Ec), Arc::new(Mutex::new(first.key_set())));
    let root = estate.dir.join("spire.pem");
    std::fs::write(&root, &ca.pem).unwrap();
    let address = bundle_endpoint(&ca, keys.clone());
    apply(&bao, &estate, &[("JWKS_URL", &address), ("JWKS_CA", root.to_str().unwrap())]);

    let log_in = |signer: &Signer, subject: &str, audience: &str, left: i64| {
        let jwt = signer.token(&json!({ "sub": subject, "aud": [audience], "exp": now() + left, "iat": now() - 5 }));
        bao.ask("POST", "auth/jwt-bound/login", Some(json!({ "role": "attested", "jwt": jwt })), None).unwrap()
    };
    let (status, answer) = log_in(&first, ID, "openbao", 300);
    assert_eq!(status, 200, "{answer}");
    // It is the same host as the one of the certificate: its name is signed, and no other.
    let token = answer["auth"]["client_token"].as_str().unwrap();
    let signs =
        |name: &str| bao.ask("POST", "pki_int/sign/tls-server", Some(json!({ "csr": csr(name), "ttl": "1h" })), Some(token)).unwrap().0;
    // The name that a role takes is that of the host's alias by certificate, which is there before its first login.
    assert_eq!((signs(HOST), signs("git.funlab.casa")), (200, 400));
    for (what, signer, subject, audience, left) in [
        ("another host's", &first, "spiffe://funlab.casa/omens/git", "openbao", 300),
        ("for somebody else", &first, ID, "keylime", 300),
        ("expired", &first, ID, "openbao", -300),
        ("a key of somebody's own under the same id", &thief, ID, "openbao", 300),
        ("a key that is not there yet", &next, ID, "openbao", 300),
    ] {
        let (status, answer) = log_in(signer, subject, audience, left);
        assert!(status >= 400, "{what}: {answer}");
    }
    // SPIRE rotates its keys, and nobody tells OpenBao.
    *keys.lock().unwrap() = next.key_set();
    assert_eq!(log_in(&next, ID, "openbao", 300).0, 200);
}
