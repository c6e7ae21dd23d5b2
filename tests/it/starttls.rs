//! What is proven and probed behind a protocol that begins in clear: the servers of Debian as they are, and one of our own that lies; the
//! client certificate that a server has to take; programs as proof.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use serde_json::Value;

use crate::lab::child::{Server, run};
use crate::lab::estate::{Cert, Estate, omens};
use crate::lab::pki::{Ca, CaKeys, INTERMEDIATE, Leaf, ROOT, ec_key};
use crate::lab::{free_port, is_root, place, runtime, tool, wait_for};
use crate::web::NAME;

fn probe(port: u16, protocol: &str, root: &Path) -> Value {
    let mut command = Command::new(omens());
    let address = format!("127.0.0.1:{port}");
    command.args(["probe", "--json", &address, "--server-name", NAME, "--starttls", protocol, "--timeout", "3s", "--trust"]).arg(root);
    let output = run(command, Duration::from_secs(30));
    let document: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{why}: {} {}", output.stdout, output.stderr));
    assert_eq!(output.code, i32::from(document["refused_by"] != "nobody"), "{document:#}");
    document
}

#[test]
fn the_servers_of_debian_are_seen_behind_their_own_protocol() {
    if !is_root() {
        eprintln!("NOT RUN: the servers behind STARTTLS change to users of their own, which needs root");
        return;
    }
    let (root, dir) = (Ca::root(ROOT, CaKeys::Ec), place::directory("starttls"));
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    let middle = root.intermediate(INTERMEDIATE, CaKeys::Ec);
    let key = ec_key();
    let chain = middle.leaf(&key, &Leaf::server(NAME, &[NAME], &[], time::Duration::HOUR)).pem() + &middle.pem;
    for (name, text) in [("root.pem", &root.pem), ("cert.pem", &chain), ("key.pem", &key.serialize_pem())] {
        place::write_secret(&dir.join(name), text);
    }
    let servers = ["postgres", "mysql", "ldap", "imap", "pop3", "smtp"].map(|protocol| {
        let (port, own) = (free_port(), dir.join(protocol));
        std::fs::create_dir(&own).unwrap();
        std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new(tool("starttls/server.sh"));
        command.arg(protocol).arg(&own).arg(port.to_string()).arg(dir.join("cert.pem")).arg(dir.join("key.pem"));
        (protocol, port, Server::start(command, &dir.join(format!("{protocol}.log")), Signal::TERM))
    });
    for (protocol, port, mut server) in servers {
        let log = || std::fs::read_to_string(dir.join(format!("{protocol}.log"))).unwrap_or_default();
        wait_for(&format!("{protocol} to listen"), Duration::from_secs(60), || {
            !server.alive() || TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        if !server.alive() {
            assert!(log().contains("not installed"), "{protocol}: {}", log());
            eprintln!("NOT RUN: {protocol}: {}", log().trim());
            continue;
        }
        let mut seen = Value::Null;
        wait_for(&format!("{protocol} to let us in: {}", log()), Duration::from_secs(30), || {
            seen = probe(port, protocol, &dir.join("root.pem"));
            seen["refused_by"] == "nobody"
        });
        assert!(seen["group"].is_string() && seen["alpn"].is_null(), "{protocol}: {seen:#}");
        assert_eq!(seen["server_chain"].as_array().map(Vec::len), Some(2), "{protocol}: {seen:#}");
        assert_eq!(seen["protocols"][0], "TLSv1.3", "{protocol}: {seen:#}");
    }
}

/// A mail server that reads certificate and key anew for each connection, so that nothing needs to be reloaded.
struct Mail {
    port: u16,
}

impl Mail {
    /// `consent` is what it answers to STARTTLS; `clients` is the root of the client certificates that it demands.
    fn start(live: PathBuf, consent: &'static str, clients: Option<PathBuf>) -> Self {
        runtime();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (live, clients) = (live.clone(), clients.clone());
                std::thread::spawn(move || serve(stream, &live, consent, clients.as_deref()));
            }
        });
        Self { port }
    }

    fn endpoint(&self, more: &str) -> String {
        format!(
            "{{ tls = {{ address = \"127.0.0.1:{}\", server_name = \"{NAME}\", deadline = \"1500ms\", starttls = \"smtp\"{more} }} }}",
            self.port
        )
    }
}

fn serve(stream: TcpStream, live: &Path, consent: &str, clients: Option<&Path>) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let mut out = &stream;
    for (asks, says) in [("", "220 mail\r\n"), ("EHLO", "250-mail\r\n250 STARTTLS\r\n"), ("STARTTLS", consent)] {
        if !asks.is_empty() && !lines.next()?.ok()?.starts_with(asks) {
            return None;
        }
        out.write_all(says.as_bytes()).ok()?;
    }
    let chain = CertificateDer::pem_file_iter(live.join("fullchain.pem")).ok()?.collect::<Result<Vec<_>, _>>().ok()?;
    let key = PrivateKeyDer::from_pem_file(live.join("key.pem")).ok()?;
    let builder = rustls::ServerConfig::builder();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(root) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(root).ok()?).ok()?;
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build().ok()?)
        }
    };
    let mut tls = rustls::ServerConnection::new(Arc::new(builder.with_single_cert(chain, key).ok()?)).ok()?;
    let mut stream = stream;
    // Until the handshake is over, then until the client is gone.
    while tls.complete_io(&mut stream).is_ok_and(|(read, _)| read > 0) {}
    Some(())
}

fn live(estate: &Estate) -> PathBuf {
    estate.run_dir().join("web/live")
}

#[test]
fn a_certificate_is_proven_behind_starttls_and_not_where_words_are_put_between() {
    let mut estate = Estate::at_openbao();
    let honest = Mail::start(live(&estate), "220 Ready\r\n", None);
    let lying = Mail::start(live(&estate), "220 Ready\r\n250 STARTTLS\r\n", None);
    let declining = Mail::start(live(&estate), "454 not now\r\n", None);
    estate.certs = vec![Cert::web("web")];
    estate.certs[0].verify = vec![honest.endpoint("")];
    estate.write();
    let run = estate.renew();
    run.expect(0, "web", "renewed");
    assert_eq!(run.cert("web")["proof"], "served");
    for (server, words) in [(&lying, "in clear"), (&declining, "does not go over to TLS")] {
        estate.certs[0].verify = vec![server.endpoint("")];
        estate.write();
        let run = estate.force();
        run.expect(1, "web", "rolled-back").because("web", "verify/handshake-refused");
        assert!(run.cert("web")["error"]["text"].as_str().unwrap().contains(words), "{}", run.json);
    }
    let seen = probe(lying.port, "smtp", &estate.anchor());
    assert_eq!((seen["cause"]["id"].as_str(), seen["refused_by"].as_str()), (Some("probe.starttls-injected"), Some("us")), "{seen:#}");
    let seen = probe(declining.port, "smtp", &estate.anchor());
    assert_eq!((seen["cause"]["id"].as_str(), seen["refused_by"].as_str()), (Some("probe.starttls-refused"), Some("server")), "{seen:#}");
}

#[test]
fn where_a_client_certificate_is_named_the_server_has_to_take_it() {
    let mut estate = Estate::at_openbao();
    let mail = Mail::start(live(&estate), "220 Ready\r\n", Some(estate.anchor()));
    let dir = place::directory("client");
    let (root, key) = (Ca::root(ROOT, CaKeys::Ec), ec_key());
    let stranger = root.leaf(&key, &Leaf::server(NAME, &[NAME], &[], time::Duration::HOUR)).pem();
    for (name, text) in [("cert.pem", &stranger), ("key.pem", &key.serialize_pem())] {
        place::write_secret(&dir.join(name), text);
    }
    // A certificate for both sides shows itself.
    estate.certs = vec![Cert { profile: "mtls-service".into(), role: "services".into(), ..Cert::web("web") }];
    let own = live(&estate);
    for (pair, code, outcome) in [(&own, 0, "renewed"), (&dir, 1, "rolled-back")] {
        let (cert, key) = (pair.join(if pair == &own { "fullchain.pem" } else { "cert.pem" }), pair.join("key.pem"));
        estate.certs[0].verify =
            vec![mail.endpoint(&format!(", client = {{ cert = \"{}\", key = \"file:{}\" }}", cert.display(), key.display()))];
        estate.write();
        let run = estate.force();
        run.expect(code, "web", outcome);
        if code == 1 {
            run.because("web", "verify/handshake-refused");
        }
    }
}

/// A program of the administrator's.
fn program(dir: &Path, text: &str, mode: u32) -> PathBuf {
    let path = dir.join("seen");
    std::fs::remove_file(&path).ok();
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

#[test]
fn a_program_is_a_proof_once_it_says_so_and_none_until_then() {
    let mut estate = Estate::at_openbao();
    let dir = place::directory("check");
    let told = dir.join("told");
    // It says yes at the third call, and writes down what it was told.
    let text = format!("env >>{0}; [ $(grep -c ^OMENS_NAME=web {0}) -ge 3 ]", told.display());
    let path = program(&dir, &text, 0o755);
    let entry = |path: &Path| format!("{{ exec = {{ command = [\"{}\"], timeout = \"2s\", deadline = \"3s\" }} }}", path.display());
    estate.certs = vec![Cert::web("web")];
    estate.certs[0].verify = vec![entry(&path)];
    estate.write();
    let run = estate.renew();
    run.expect(0, "web", "renewed");
    assert_eq!(run.cert("web")["proof"], "served");
    let lines = std::fs::read_to_string(&told).unwrap();
    let serial = run.cert("web")["serial"].as_str().unwrap();
    for line in ["OMENS_GENERATION=1".to_owned(), format!("OMENS_SERIAL={serial}"), "OMENS_REASON=missing".to_owned()] {
        assert_eq!(lines.lines().filter(|have| **have == line).count(), 3, "{line}\n{lines}");
    }
    assert!(lines.contains(&format!("OMENS_DIR={}\n", estate.run_dir().join("web/gen-1").display())), "{lines}");

    program(&dir, "echo not yet >&2; exit 4", 0o755);
    let run = estate.force();
    run.expect(1, "web", "rolled-back").because("web", "verify/check-failed");
    assert!(run.cert("web")["error"]["text"].as_str().unwrap().contains("exit code 4: not yet"), "{}", run.json);

    program(&dir, "exit 0", 0o777);
    let run = estate.omens(&["check-config"]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert_eq!(run.json["errors"][0]["code"], "permissions", "{}", run.json);
}

#[test]
fn what_is_put_back_is_judged_by_programs_as_well() {
    let mut estate = Estate::at_openbao();
    let dir = place::directory("check-back");
    let first = program(&dir, "exit 0", 0o755);
    estate.certs = vec![Cert::web("web")];
    estate.certs[0].verify = vec![format!("{{ exec = {{ command = [\"{}\"], timeout = \"2s\", deadline = \"1s\" }} }}", first.display())];
    estate.write();
    estate.renew().expect(0, "web", "renewed");
    // It sees the first generation in use and no other: that one is back, and said to be.
    program(&dir, "[ \"$OMENS_GENERATION\" = 1 ]", 0o755);
    let not_seen = |run: &crate::lab::estate::Run| run.cert("web")["warnings"].to_string().contains("previous-not-seen");
    let run = estate.force();
    run.expect(1, "web", "rolled-back").because("web", "verify/check-failed");
    assert!(!not_seen(&run), "{run}");
    // It sees neither: that the old one is in use again is not said.
    program(&dir, "exit 1", 0o755);
    let run = estate.force();
    run.expect(1, "web", "rolled-back");
    assert!(not_seen(&run) && estate.published("web") == Some(1), "{run}");
}
