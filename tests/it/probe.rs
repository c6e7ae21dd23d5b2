//! `probe` on real peers: nginx for what it refuses and serves, `openssl s_client` and nginx's own log as witnesses; scripted peers for what no
//! sound server does.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use serde_json::Value;

use crate::lab::child::run;
use crate::lab::estate::omens;
use crate::lab::nginx::Nginx;
use crate::lab::pki::{Ca, CaKeys, INTERMEDIATE, Leaf, ROOT, ec_key};
use crate::lab::{free_port, place};

const NAME: &str = "spire.funlab.casa";

/// A PKI, and files of it in a directory of their own.
struct Pki {
    dir: PathBuf,
    root: Ca,
    middle: Ca,
}

impl Pki {
    fn new() -> Self {
        let root = Ca::root(ROOT, CaKeys::Ec);
        let middle = root.intermediate(INTERMEDIATE, CaKeys::Ec);
        let pki = Self { dir: place::directory("pki"), root, middle };
        pki.put("root.pem", &pki.root.pem);
        pki.put("middle.pem", &pki.middle.pem);
        pki
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.join(name);
        place::write_secret(&path, text);
        path
    }

    /// Certificate (with the intermediate, unless `alone`) and key.
    fn pair(&self, name: &str, alone: bool, change: impl FnOnce(&mut Leaf)) -> (PathBuf, PathBuf) {
        self.pair_of(&self.middle, name, alone, change)
    }

    fn pair_of(&self, issuer: &Ca, name: &str, alone: bool, change: impl FnOnce(&mut Leaf)) -> (PathBuf, PathBuf) {
        let (key, mut leaf) = (ec_key(), Leaf::server(name, &[name], &[], time::Duration::HOUR));
        change(&mut leaf);
        let pem = issuer.leaf(&key, &leaf).pem() + if alone { "" } else { &issuer.pem };
        (self.put(&format!("{name}.pem"), &pem), self.put(&format!("{name}.key"), &key.serialize_pem()))
    }

    fn client(&self, name: &str) -> (PathBuf, PathBuf) {
        self.pair(name, false, |leaf| leaf.eku = vec![ClientAuth])
    }
}

/// An nginx that serves a pair, with further lines in its server block.
fn nginx((certificate, key): &(PathBuf, PathBuf), lines: &str) -> (Nginx, u16) {
    let mut nginx = Nginx::new(None);
    let port = nginx.fixed(NAME, certificate, key);
    nginx.sites[0].certificate.push_str(lines);
    nginx.write();
    nginx.start();
    (nginx, port)
}

fn wants(list: &str, pki: &Pki) -> String {
    format!(" ssl_verify_client on; ssl_client_certificate {}; ssl_protocols TLSv1.2 TLSv1.3;", pki.dir.join(list).display())
}

fn probe(port: u16, arguments: &[&str]) -> (i32, Value) {
    let mut command = Command::new(omens());
    command.args(["probe", "--json", &format!("127.0.0.1:{port}")]).args(arguments);
    let began = Instant::now();
    let output = run(command, Duration::from_secs(30));
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    (output.code, serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{why}: {} {}", output.stdout, output.stderr)))
}

#[track_caller]
fn says((code, document): &(i32, Value), cause: &str, refused_by: &str) {
    assert_eq!((document["cause"]["id"].as_str(), document["refused_by"].as_str()), (Some(cause), Some(refused_by)), "{document:#}");
    assert_eq!(*code, i32::from(refused_by != "nobody"), "{document:#}");
    assert!(!document["cause"]["text"].as_str().unwrap().is_empty());
    assert!(refused_by == "nobody" || !document["remedy"]["text"].as_str().unwrap().is_empty(), "{document:#}");
}

/// What `openssl s_client` prints about the same endpoint.
fn s_client(port: u16, arguments: &[&str]) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-servername", NAME, "-ign_eof"]).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n");
    child.stdin.take().unwrap().write_all(request.as_bytes()).ok();
    let output = child.wait_with_output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn who_accepts_each_other_is_said_to() {
    let pki = Pki::new();
    let (_nginx, port) = nginx(&pki.pair(NAME, false, |_| {}), &wants("root.pem", &pki));
    let (certificate, key) = pki.client("client");
    let root = pki.dir.join("root.pem");
    let arguments = ["--server-name", NAME, "--trust", text(&root), "--cert", text(&certificate), "--key", text(&key)];
    let answer = probe(port, &arguments);
    says(&answer, "probe.accepted", "nobody");
    let document = &answer.1;
    assert_eq!(document["protocols"], serde_json::json!(["TLSv1.3", "TLSv1.2"]), "{document:#}");
    assert_eq!((&document["client_auth"]["requested"], &document["client_auth"]["sent"]), (&true.into(), &true.into()));
    assert_eq!(document["server_chain"].as_array().unwrap().len(), 2);
    assert!(document["client_auth"]["issuers"][0].as_str().unwrap().contains(ROOT), "{document:#}");
    let own = ["-cert", text(&certificate), "-cert_chain", text(&certificate), "-key", text(&key)];
    let seen = s_client(port, &[&["-CAfile", text(&root)], own.as_slice()].concat());
    assert!(seen.contains("Verify return code: 0 (ok)") && seen.contains("200 OK"), "{seen}");
}

#[test]
fn what_a_server_refuses_of_a_client_is_told_apart() {
    let pki = Pki::new();
    let server = pki.pair(NAME, false, |_| {});
    let root = pki.dir.join("root.pem");
    let base = ["--server-name", NAME, "--trust", text(&root)];
    let with = |pair: &(PathBuf, PathBuf)| {
        let own = ["--cert", text(&pair.0), "--key", text(&pair.1)].map(str::to_owned);
        base.iter().map(|word| (*word).to_owned()).chain(own).collect::<Vec<_>>()
    };
    let ask = |port: u16, pair: Option<&(PathBuf, PathBuf)>| {
        let arguments = pair.map_or_else(|| base.iter().map(|word| (*word).to_owned()).collect(), with);
        probe(port, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };

    // A list that holds the intermediate alone: every client of ours is refused with unknown_ca.
    let (half, port) = nginx(&server, &wants("middle.pem", &pki));
    let client = pki.client("client");
    says(&ask(port, Some(&client)), "probe.client-root-untrusted", "server");
    s_client(port, &["-cert", text(&client.0), "-key", text(&client.1)]);
    assert!(half.log().contains("unable to get issuer certificate"), "nginx agrees: {}", half.log());

    let (whole, port) = nginx(&server, &wants("root.pem", &pki));
    says(&ask(port, None), "probe.client-not-sent", "server");
    assert!(whole.log().contains("client sent no required SSL certificate"), "nginx agrees: {}", whole.log());
    // Of another PKI.
    let other = Ca::root("Third Earth Root", CaKeys::Ec).intermediate("Third Earth", CaKeys::Ec);
    let strange = pki.pair_of(&other, "strange", false, |leaf| leaf.eku = vec![ClientAuth]);
    says(&ask(port, Some(&strange)), "probe.client-other-ca", "server");
    // For servers only.
    let wrong = pki.pair("wrong-purpose", false, |leaf| leaf.eku = vec![ServerAuth]);
    says(&ask(port, Some(&wrong)), "probe.client-eku", "server");
    // Expired.
    let expired = pki.pair("expired", false, |leaf| {
        leaf.eku = vec![ClientAuth];
        leaf.not_before -= time::Duration::days(3);
        leaf.not_after -= time::Duration::days(2);
    });
    says(&ask(port, Some(&expired)), "probe.client-expired", "server");
    // The leaf alone: nginx has the root, and nobody has the intermediate.
    let alone = pki.pair("alone", true, |leaf| leaf.eku = vec![ClientAuth]);
    says(&ask(port, Some(&alone)), "probe.client-missing-intermediate", "server");
}

#[test]
fn what_we_refuse_of_a_server_is_told_apart() {
    let pki = Pki::new();
    let root = pki.dir.join("root.pem");
    let trust = ["--server-name", NAME, "--trust", text(&root)];
    type Change = fn(&mut Leaf);
    let rows: [(&str, bool, Change); 4] = [
        ("probe.server-expired", false, |leaf| {
            leaf.not_before -= time::Duration::days(3);
            leaf.not_after -= time::Duration::days(2);
        }),
        ("probe.server-eku", false, |leaf| leaf.eku = vec![ClientAuth]),
        ("probe.server-missing-intermediate", true, |_| {}),
        ("probe.server-name", false, |leaf| leaf.names = vec![crate::lab::pki::dns_name("grafana.funlab.casa")]),
    ];
    for (cause, alone, change) in rows {
        let (_nginx, port) = nginx(&pki.pair(NAME, alone, change), "");
        says(&probe(port, &trust), cause, "us");
        let seen = s_client(port, &["-CAfile", text(&root), "-verify_hostname", NAME, "-purpose", "sslserver"]);
        assert!(!seen.contains("Verify return code: 0 (ok)"), "{cause}: OpenSSL agrees: {seen}");
    }
    let other = Ca::root("Third Earth Root", CaKeys::Ec).intermediate("Third Earth", CaKeys::Ec);
    let (_nginx, port) = nginx(&pki.pair_of(&other, NAME, false, |_| {}), "");
    says(&probe(port, &trust), "probe.server-untrusted", "us");
    let twin_root = Ca::root(ROOT, CaKeys::Ec);
    let twin = twin_root.intermediate(INTERMEDIATE, CaKeys::Ec);
    let (key, leaf) = (ec_key(), Leaf::server(NAME, &[NAME], &[], time::Duration::HOUR));
    let whole = twin.leaf(&key, &leaf).pem() + &twin.pem + &twin_root.pem;
    let (_nginx, port) = nginx(&(pki.put("twin.pem", &whole), pki.put("twin.key", &key.serialize_pem())), "");
    says(&probe(port, &trust), "probe.root-other-key", "us");
}

/// A peer that does something with each connection.
fn peer(act: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let act = std::sync::Arc::new(act);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let act = std::sync::Arc::clone(&act);
            std::thread::spawn(move || act(stream));
        }
    });
    port
}

fn hello(stream: &mut TcpStream) {
    let mut bytes = [0; 4096];
    let _read = stream.read(&mut bytes).unwrap_or_default();
}

/// What cannot be asked is a matter of the command line, and not of the server.
#[test]
fn a_question_that_is_none_is_wrong_usage() {
    let text = crate::lab::place::directory("probe").join("text");
    std::fs::write(&text, "root:x:0:0:root:/root:/bin/bash\n").unwrap();
    for arguments in [["--server-name", "*.x y"], ["--timeout", "0s"], ["--trust", text.to_str().unwrap()]] {
        let (code, document) = probe(1, &arguments);
        assert_eq!((code, document["error"]["code"].is_string()), (2, true), "{arguments:?}: {document}");
    }
}

#[test]
fn peers_that_lie_stall_or_speak_something_else_are_named_in_time() {
    let answers = |bytes: Vec<u8>| {
        peer(move |mut stream| {
            hello(&mut stream);
            stream.write_all(&bytes).ok();
        })
    };
    let silent = peer(|stream| {
        std::thread::sleep(Duration::from_secs(60));
        drop(stream);
    });
    let drip = peer(|mut stream| {
        hello(&mut stream);
        for byte in [0x16, 3, 3, 0, 200].into_iter().chain(std::iter::repeat_n(0, 200)) {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(700));
        }
    });
    let flood = peer(|mut stream| {
        hello(&mut stream);
        while stream.write_all(&[0x16, 3, 3, 0x40, 0].repeat(3_000)).is_ok() {}
    });
    let http = b"HTTP/1.1 400 Bad Request\r\nServer: \x1b[31mevil\r\nContent-Length: 0\r\n\r\n".to_vec();
    let old = [0x15, 3, 1, 0, 2, 2, 70].to_vec();
    for (port, cause) in [
        (answers(http), "probe.plain-http"),
        (answers(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "probe.not-tls"),
        (answers(Vec::new()), "probe.server-refused"),
        (silent, "probe.stalled"),
        (drip, "probe.stalled"),
        (free_port(), "probe.unreachable"),
    ] {
        let began = Instant::now();
        let answer = probe(port, &["--timeout", "2s"]);
        assert!(began.elapsed() < Duration::from_secs(5), "{cause}: {:?}", began.elapsed());
        assert_eq!(answer.1["cause"]["id"], cause, "{:#}", answer.1);
        assert_eq!(answer.0, 1);
        assert!(!answer.1.to_string().contains("\\u001b"), "{:#}", answer.1);
    }
    for port in [answers(old), answers(vec![0xff; 100_000]), flood] {
        let answer = probe(port, &["--timeout", "2s"]);
        assert!(answer.0 == 1 && answer.1["refused_by"] != "nobody", "{:#}", answer.1);
    }
}

#[test]
fn a_server_of_old_tls_alone_is_named() {
    let pki = Pki::new();
    let (certificate, key) = pki.pair(NAME, false, |_| {});
    let port = free_port();
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-cipher", "ALL:@SECLEVEL=0", "-tls1", "-quiet"]);
    command.arg("-cert").arg(&certificate).arg("-key").arg(&key);
    let mut server = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    crate::lab::wait_for("s_server", Duration::from_secs(10), || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let answer = probe(port, &["--server-name", NAME]);
    server.kill().ok();
    server.wait().ok();
    says(&answer, "probe.old-tls", "server");
}
