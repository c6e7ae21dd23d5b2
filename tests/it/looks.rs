//! What one renewal asks of others and of the disk: connections to OpenBao, handshakes with its service, flushes.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use omens::io::tls::trusting;
use omens::model::clock::Clock;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConnection, HandshakeKind, ServerConfig, ServerConnection};

use crate::lab::child::run;
use crate::lab::estate::{Cert, Estate};
use crate::lab::nginx::Nginx;
use crate::lab::openbao::{NAMES, OpenBao};
use crate::lab::program;

/// What the proof on the wire needs: so many handshakes in a row that show the new certificate.
const LOOKS: usize = 5;

/// What a handshake sends: a hello, the rest of it, and that the connection ends.
const SENT: usize = 3;

/// The calls of a forced renewal that connect, send or flush, each with the path or address that it is about; `None` where there is no strace.
fn calls(estate: &Estate) -> Option<Vec<String>> {
    let log = estate.dir.join("calls");
    let omens = estate.command(&["renew", "--all", "--force"]);
    let mut command = Command::new(program("strace")?);
    command.args(["-f", "-qq", "-yy", "-e", "trace=connect,sendto,sendmsg,writev,fsync,fdatasync", "-o"]).arg(&log);
    command.arg(omens.get_program()).args(omens.get_args()).env_clear().envs(omens.get_envs().filter_map(|(k, v)| Some((k, v?))));
    let output = run(command, Duration::from_secs(60));
    assert_eq!(output.code, 0, "{output:?}");
    Some(std::fs::read_to_string(&log).expect("a trace").lines().map(str::to_owned).collect())
}

#[test]
fn a_renewal_connects_and_flushes_no_more_often_than_it_has_to() {
    let bao = OpenBao::shared();
    let mut estate = Estate::at(bao);
    let mut nginx = Nginx::new(None);
    let port = nginx.include(NAMES[0], &estate.include("web"));
    estate.certs = vec![Cert::web("web").reloaded_by(&nginx.driver()).seen_at(port, "5s")];
    estate.write();
    assert_eq!(estate.renew().code, 0);
    nginx.start();
    estate.renew().expect(0, "web", "settled");

    let mut looks = usize::MAX;
    // A machine under load may need another handshake.
    for _ in 0..5 {
        let Some(calls) = calls(&estate) else {
            return crate::skipped("how often a renewal connects and flushes: there is no strace");
        };
        let to = |port: u16| calls.iter().filter(|call| call.contains("connect(") && call.contains(&format!("htons({port})"))).count();
        let sends = |call: &&String| call.contains("send") || call.contains("writev(");
        let sent = calls.iter().filter(sends).filter(|call| call.contains(&format!("->127.0.0.1:{port}]"))).count();
        let flushed = |name: &str| calls.iter().filter(|call| call.contains("sync(") && call.contains(name)).count();
        // What a run works on counts while it lasts; of a state there is the request that is counted, the commit, and the end of the run.
        let found = (to(bao.port), sent, flushed(".working.json"), flushed("/.state.json."));
        assert_eq!(found, (1, to(port) * SENT, 0, 3), "connections to OpenBao, what nginx was sent, flushes: {calls:#?}");
        looks = looks.min(to(port));
        if looks == LOOKS {
            break;
        }
    }
    assert_eq!(looks, LOOKS, "handshakes with nginx");
}

/// A key share that the server did not want costs a key, a round trip and a second ClientHello.
#[test]
fn a_server_that_takes_the_hybrid_group_is_sent_a_key_for_it_at_once_and_one_that_does_not_know_it_too() {
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(["a.example".to_owned()]).and_then(|p| p.self_signed(&key)).expect("a certificate");
    let root = certificate.der().to_vec();
    let clock = Clock::new(SystemTime::now, Instant::now);
    let (config, _) = trusting(std::slice::from_ref(&root), None, clock).expect("a configuration");
    for (group, kind) in [
        (aws_lc_rs::kx_group::X25519MLKEM768, HandshakeKind::Full),
        (aws_lc_rs::kx_group::X25519, HandshakeKind::Full),
        (aws_lc_rs::kx_group::SECP384R1, HandshakeKind::FullWithHelloRetryRequest),
    ] {
        let provider = CryptoProvider { kx_groups: vec![group], ..aws_lc_rs::default_provider() };
        let server = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .and_then(|builder| {
                let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
                builder.with_no_client_auth().with_single_cert(vec![root.clone().into()], key)
            })
            .expect("a server");
        let name = ServerName::try_from("a.example").expect("a name");
        let mut client = ClientConnection::new(Arc::new(config.clone()), name).expect("a client");
        let mut server = ServerConnection::new(Arc::new(server)).expect("a server");
        while client.is_handshaking() || server.is_handshaking() {
            let mut sent = Vec::new();
            client.write_tls(&mut sent).expect("memory");
            server.read_tls(&mut sent.as_slice()).expect("memory");
            server.process_new_packets().expect("a handshake");
            let mut answered = Vec::new();
            server.write_tls(&mut answered).expect("memory");
            client.read_tls(&mut answered.as_slice()).expect("memory");
            client.process_new_packets().expect("a handshake");
        }
        assert_eq!(server.handshake_kind(), Some(kind), "{group:?}");
    }
}
