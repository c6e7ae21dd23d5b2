//! `chain-audit` on what is really served and issued: a real nginx, a real OpenBao, the binary with settings. It must find what differs, find
//! nothing where all agree, and leave everything as it was.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::lab::estate::{Authority, Cert, Estate, Run};
use crate::lab::nginx::Nginx;
use crate::lab::openbao::OpenBao;
use crate::lab::pki::{Ca, CaKeys, Leaf, ec_key};
use crate::lab::{free_port, place};
use crate::web::{NAME, Web};

fn audit(estate: &Estate, arguments: &[&str]) -> Run {
    estate.omens(&[&["chain-audit"], arguments].concat())
}

fn findings(run: &Run) -> &Vec<Value> {
    run.json["findings"].as_array().unwrap_or_else(|| panic!("{run}"))
}

#[track_caller]
fn finds<'a>(run: &'a Run, id: &str, severity: &str) -> &'a Value {
    let found = findings(run).iter().find(|finding| finding["id"] == id && finding["severity"] == severity);
    found.unwrap_or_else(|| panic!("no {severity} {id}: {run}"))
}

#[track_caller]
fn nothing_high(run: &Run) {
    let high: Vec<&Value> = findings(run).iter().filter(|finding| finding["severity"] == "high").collect();
    assert!(high.is_empty() && run.code == 0, "{high:#?} {run}");
}

/// Every file below a directory with its content and times, and how many processes there are of ours.
fn everything(top: &Path) -> BTreeMap<String, (Vec<u8>, std::time::SystemTime)> {
    let mut all = BTreeMap::new();
    let mut directories = vec![top.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).unwrap().flatten() {
            let (path, meta) = (entry.path(), entry.metadata().unwrap());
            if meta.is_dir() {
                directories.push(path);
            } else {
                all.insert(path.display().to_string(), (std::fs::read(&path).unwrap_or_default(), meta.modified().unwrap()));
            }
        }
    }
    all
}

#[test]
fn a_host_where_all_agree_has_nothing_high_and_stays_as_it_was() {
    let web = Web::serving();
    let before = everything(&web.estate.dir);
    let run = audit(&web.estate, &[]);
    nothing_high(&run);
    let chains = run.json["chains"].as_array().unwrap();
    let targets: Vec<&str> = chains.iter().map(|chain| chain["target"]["kind"].as_str().unwrap()).collect();
    assert!(targets.contains(&"certificate") && targets.contains(&"nginx"), "{run}");
    assert!(!findings(&run).iter().any(|finding| finding["id"].as_str().unwrap().starts_with("served.")), "{run}");
    assert!(everything(&web.estate.dir) == before, "something was changed");
    // The same as OpenSSL sees it.
    let endpoint = format!("127.0.0.1:{}", web.port);
    let asked = audit(&web.estate, &[&endpoint]);
    assert_eq!(asked.json["chains"][0]["leaf_sha256"].as_str(), web.served().as_deref(), "{asked}");
}

#[test]
fn what_was_renewed_and_is_not_served_is_found() {
    let mut web = Web::serving();
    let with_nginx = web.estate.certs.clone();
    // A renewal that reloads nobody, as a script that swaps files and ends.
    web.estate.certs = vec![Cert::web("web")];
    web.estate.write();
    web.estate.force().expect(0, "web", "renewed");
    web.estate.certs = with_nginx;
    web.estate.write();
    let run = audit(&web.estate, &[]);
    let stale = finds(&run, "served.stale", "high");
    assert!(stale["files"].to_string().contains("cert") && stale["since"].is_string(), "{stale:#}");
    assert_eq!(run.code, 1);
    assert!(web.nginx.reload().code == 0);
    crate::lab::wait_for("the new one", Duration::from_secs(5), || web.served() == web.estate.published_leaf("web"));
    assert!(!findings(&audit(&web.estate, &[])).iter().any(|finding| finding["id"] == "served.stale"));
}

/// An nginx of its own configuration, without any settings of omens.
fn alone(pairs: &[(&Path, &Path)]) -> (Nginx, u16) {
    let mut nginx = Nginx::new(None);
    let port = nginx.fixed(NAME, pairs[0].0, pairs[0].1);
    for (certificate, key) in &pairs[1..] {
        let more = format!(" ssl_certificate {}; ssl_certificate_key {};", certificate.display(), key.display());
        nginx.sites[0].certificate.push_str(&more);
    }
    nginx.write();
    nginx.start();
    (nginx, port)
}

fn of_nginx(nginx: &Nginx, root: &Path) -> (i32, Value) {
    let mut command = std::process::Command::new(crate::lab::estate::omens());
    command.args(["chain-audit", "--no-config", "--json", "--anchor"]).arg(root).arg(format!("nginx:{}", nginx.conf().display()));
    let output = crate::lab::child::run(command, Duration::from_secs(30));
    (output.code, serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{why} {} {}", output.stdout, output.stderr)))
}

#[test]
fn another_certificate_than_the_file_holds_and_two_kinds_of_key_in_one_block() {
    let dir = place::directory("pairs");
    let root = Ca::root("Eye of Thundera", CaKeys::Ec);
    let middle = root.intermediate("Book of Omens", CaKeys::Ec);
    let put = |name: &str, text: &str| {
        let path = dir.join(name);
        place::write_secret(&path, text);
        path
    };
    let anchor = put("root.pem", &root.pem);
    let leaf = Leaf::server(NAME, &[NAME], &[], time::Duration::DAY);
    let ec = ec_key();
    let rsa = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let mut for_rsa = leaf.clone();
    for_rsa.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature, rcgen::KeyUsagePurpose::KeyEncipherment];
    let files = [
        (put("ec.pem", &(middle.leaf(&ec, &leaf).pem() + &middle.pem)), put("ec.key", &ec.serialize_pem())),
        (put("rsa.pem", &(middle.leaf(&rsa, &for_rsa).pem() + &middle.pem)), put("rsa.key", &rsa.serialize_pem())),
    ];
    let (nginx, _port) = alone(&[(&files[0].0, &files[0].1), (&files[1].0, &files[1].1)]);
    let (_, document) = of_nginx(&nginx, &anchor);
    let served = |document: &Value| {
        let all = document["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap().to_owned());
        all.filter(|id| id.starts_with("served.")).collect::<Vec<_>>()
    };
    assert_eq!(served(&document), Vec::<String>::new(), "{document:#}");
    // Somebody put another one's certificate into the file; nginx was not told.
    let key = ec_key();
    let other = Leaf::server("grafana.funlab.casa", &[NAME], &[], time::Duration::DAY);
    put("ec.pem", &(middle.leaf(&key, &other).pem() + &middle.pem));
    put("ec.key", &key.serialize_pem());
    let (code, document) = of_nginx(&nginx, &anchor);
    assert_eq!((code, served(&document)), (1, vec!["served.other".to_owned()]), "{document:#}");
}

#[test]
fn what_is_served_and_not_valid_yet_is_found() {
    let dir = place::directory("early");
    let root = Ca::root("Eye of Thundera", CaKeys::Ec);
    let middle = root.intermediate("Book of Omens", CaKeys::Ec);
    let (key, mut leaf) = (ec_key(), Leaf::server(NAME, &[NAME], &[[127, 0, 0, 1].into()], time::Duration::DAY));
    let files = ["root.pem", "web.pem", "web.key"].map(|name| dir.join(name));
    place::write_secret(&files[0], &root.pem);
    place::write_secret(&files[2], &key.serialize_pem());
    for (begins, code) in [(leaf.not_before, 0), (leaf.not_before + time::Duration::HOUR, 1)] {
        leaf.not_before = begins;
        place::write_secret(&files[1], &(middle.leaf(&key, &leaf).pem() + &middle.pem));
        let (nginx, port) = alone(&[(&files[1], &files[2])]);
        let mut command = std::process::Command::new(crate::lab::estate::omens());
        command.args(["chain-audit", "--no-config", "--json", "--anchor"]).arg(&files[0]).arg(format!("127.0.0.1:{port}"));
        let asked = crate::lab::child::run(command, Duration::from_secs(30));
        let asked: Value = serde_json::from_str(&asked.stdout).unwrap();
        for document in [asked, of_nginx(&nginx, &files[0]).1] {
            let early = document["findings"].as_array().unwrap().iter().filter(|finding| finding["id"] == "validity.not-yet-valid").count();
            assert_eq!((&document["exit"], early), (&code.into(), usize::from(code == 1)), "{document:#}");
        }
    }
}

#[test]
fn plain_http_and_nobody_where_tls_is_configured() {
    let mut web = Web::serving();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let http = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            use std::io::{Read as _, Write as _};
            let _read = stream.read(&mut [0; 1024]).unwrap_or_default();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").ok();
        }
    });
    let whole = web.estate.certs[0].clone();
    web.estate.certs[0] = whole.clone().seen_at(http, "2s");
    web.estate.write();
    finds(&audit(&web.estate, &[]), "served.plain-http", "high");
    web.estate.certs[0] = whole.seen_at(free_port(), "2s");
    web.estate.write();
    finds(&audit(&web.estate, &[]), "served.unreachable", "medium");
}

#[test]
fn what_openbao_says_of_roles_and_certificates_is_part_of_it() {
    let bao = OpenBao::shared();
    let wide = json!({ "allow_any_name": true, "enforce_hostnames": false, "client_flag": true, "server_flag": true,
        "key_type": "ec", "key_bits": 256, "key_usage": ["DigitalSignature"], "max_ttl": "8760h" });
    bao.role("wide-open", &[&wide]);
    bao.policy("audit-signs", &["wide-open"]);
    bao.api("PUT", "sys/policies/acl/audit-reads", Some(json!({ "policy": "path \"pki_int/roles/*\" { capabilities = [\"read\"] }\n" })));
    let token = bao.token("auditor", &["audit-signs", "audit-reads"]);
    let mut cert = Cert::web("web");
    cert.role = "wide-open".into();
    let estate = Estate::new("token-auditor", Authority::token(bao.address(), &bao.root.pem, &token)).with(cert);
    estate.omens(&["renew", "--all"]);
    let run = audit(&estate, &[]);
    let any = finds(&run, "openbao.role-any-name", "high");
    assert!(any["remedy"].as_str().unwrap().contains("bao patch pki_int/roles/wide-open"), "{any:#}");
    finds(&run, "openbao.role-max-ttl", "medium");
    assert!(!findings(&run).iter().any(|finding| finding["id"].as_str().unwrap().starts_with("issued.")), "{run}");

    // One of a good role; then it is revoked while it is in use.
    let estate = Estate::at_openbao().with(Cert::web("web"));
    estate.renew().expect(0, "web", "renewed");
    nothing_high(&audit(&estate, &[]));
    let serial = estate.renew().cert("web")["serial"].as_str().unwrap().to_owned();
    bao.api("POST", "pki_int/revoke", Some(json!({ "serial_number": serial })));
    let run = audit(&estate, &[]);
    let revoked = finds(&run, "issued.revoked", "high");
    assert!(revoked["since"].is_string() && revoked["files"][0]["path"].as_str().unwrap().ends_with("cert.pem"), "{revoked:#}");
}

#[test]
fn a_login_certificate_that_ends_is_found_before_everything_stands_still() {
    let bao = OpenBao::shared();
    let authority = Authority::cert(bao.address(), &bao.root.pem, bao.pair("hosts-login", NAME));
    let estate = Estate::new("cert-login", authority).with(Cert::web("web"));
    estate.renew().expect(0, "web", "renewed");
    nothing_high(&audit(&estate, &[]));
    let later = "2031-01-01T00:00:00Z";
    let run = audit(&estate, &["--at", later]);
    let all = findings(&run).iter().filter(|finding| finding["id"] == "validity.expired" && finding["target"]["kind"] == "login");
    let found: Vec<&Value> = all.collect();
    assert!(found.len() == 1 && found[0]["files"][0]["path"].as_str().unwrap().ends_with("login.crt"), "{run}");
}

#[test]
fn a_server_that_is_down_and_settings_that_are_wrong_are_findings() {
    let estate = Estate::at_openbao().with(Cert::web("web"));
    estate.renew().expect(0, "web", "renewed");
    let text = estate.settings_text();
    let address = text.lines().find(|line| line.starts_with("address = ")).unwrap();
    let dead = format!("address = \"https://127.0.0.1:{}\"", free_port());
    std::fs::write(estate.settings(), text.replace(address, &dead)).unwrap();
    let run = audit(&estate, &[]);
    nothing_high(&run);
    assert!(finds(&run, "issued.not-asked", "info")["found"].as_str().unwrap().contains("127.0.0.1"), "{run}");
    std::fs::write(estate.settings(), text.replace("common_name", "comon_name")).unwrap();
    let run = audit(&estate, &[]);
    let wrong = finds(&run, "own.settings", "high");
    assert!(run.code == 1 && wrong["files"][0]["line"].is_u64(), "{wrong:#}");
}

#[test]
fn names_are_those_of_the_working_directory_and_what_is_not_there_is_no_answer() {
    let dir = place::directory("relative");
    let root = Ca::root("Eye of Thundera", CaKeys::Ec);
    let middle = root.intermediate("Book of Omens", CaKeys::Ec);
    let leaf = Leaf::server(NAME, &[NAME], &[], time::Duration::DAY);
    std::fs::write(dir.join("root.pem"), &root.pem).unwrap();
    std::fs::write(dir.join("web.pem"), middle.leaf(&ec_key(), &leaf).pem() + &middle.pem).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(crate::lab::estate::omens());
        command.current_dir(&dir).args(["chain-audit", "--no-config"]).args(arguments);
        let output = crate::lab::child::run(command, Duration::from_secs(30));
        (output.code, output.stdout)
    };
    let json = |arguments: &[&str]| {
        let (code, text) = run(&[&["--json"], arguments].concat());
        (code, serde_json::from_str::<Value>(&text).unwrap())
    };
    // In a directory the root beside the leaf is judged as it would be by its name, and is no leaf.
    let (_, document) = json(&["--anchor", "root.pem", "--purpose", "server", "."]);
    let verdict = |path: &str| {
        let chains = document["chains"].as_array().unwrap();
        chains.iter().find(|chain| chain["target"]["name"].as_str().unwrap().ends_with(path)).map(|chain| chain["verdict"].clone())
    };
    assert_eq!(verdict("web.pem"), Some("accept".into()), "{document:#}");
    for target in ["web.pem", "./web.pem"] {
        let (code, document) = json(&["--anchor", "root.pem", "--purpose", "server", target]);
        assert_eq!((code, &document["chains"][0]["verdict"]), (0, &"accept".into()), "{target}: {document:#}");
    }
    for (target, id) in [("nofile.pem", "input.unreadable"), ("nginx:nofile.conf", "input.unreadable"), ("unit:nosuch", "unit.absent")] {
        let (code, document) = json(&[target]);
        assert_eq!((code, &document["findings"][0]["id"]), (1, &id.into()), "{target}: {document:#}");
    }
    let (code, document) = json(&[&format!("127.0.0.1:{}", free_port())]);
    assert_eq!((code, &document["findings"][0]["id"]), (1, &"served.unreachable".into()), "{document:#}");
    std::fs::write(dir.join("a.json"), run(&["--json", "--anchor", "root.pem", "web.pem"]).1).unwrap();
    let (code, text) = run(&["--format", "prometheus", "merge", "a.json", "a.json"]);
    assert!(code == 0 && text.starts_with("# HELP"), "{code} {text}");
}
