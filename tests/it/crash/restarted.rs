//! Kills over a renewal whose service is started anew: wherever the run is cut, also between the service's end and its start, the next one ends
//! with one generation on disk, in the run directory and on the wire.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::victim::{Case, How, Victim};
use crate::lab::estate::{Cert, omens};
use crate::lab::program;

/// Between two of them nothing has another name or place, and a kill loses nothing that was written.
const AT_NAMES: How = &["kill", "--calls", "renameat2?|symlinkat|unlinkat"];

/// A service that reads its pair when it is started and serves that until it is stopped. It lives outside of what is cut, as a unit does: what
/// starts it brings it the files, and what stops it says so, to its other port.
struct Restarted {
    port: u16,
    control: u16,
}

type Serving = Arc<Mutex<Option<Arc<ServerConfig>>>>;

impl Restarted {
    fn new() -> Self {
        let serving = Serving::default();
        let [service, control] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [port, control_port] = [&service, &control].map(|listener| listener.local_addr().unwrap().port());
        let told = serving.clone();
        std::thread::spawn(move || {
            for mut tcp in control.incoming().flatten() {
                let Some((head, body)) = request(&mut tcp) else { continue };
                *told.lock().unwrap() = if head.starts_with("POST /start ") { pair(&body) } else { None };
                tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok();
            }
        });
        std::thread::spawn(move || {
            for tcp in service.incoming().flatten() {
                let config = serving.lock().unwrap().clone();
                std::thread::spawn(move || serve(tcp, config?));
            }
        });
        Self { port, control: control_port }
    }

    fn driver(&self, combined: &str) -> String {
        let (curl, url) = (program("curl").unwrap(), format!("http://127.0.0.1:{}", self.control));
        let curl = curl.display();
        format!(
            "{{ keylime_registrar = {{ start = [\"{curl}\", \"-sSf\", \"--data-binary\", \"@{combined}\", \"{url}/start\"], \
             stop = [\"{curl}\", \"-sSf\", \"{url}/stop\"] }} }}"
        )
    }
}

fn request(tcp: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 8192]);
    loop {
        let read = tcp.read(&mut buffer).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
        let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4) else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        if bytes.len() >= end + length.unwrap_or(0) {
            return Some((head, bytes[end..].to_vec()));
        }
    }
}

/// What it is started with; a pair that does not fit ends it.
fn pair(pem: &[u8]) -> Option<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().ok()?;
    let key = PrivateKeyDer::from_pem_slice(pem).ok()?;
    let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let config = builder.with_safe_default_protocol_versions().ok()?.with_no_client_auth().with_single_cert(chain, key).ok()?;
    Some(Arc::new(config))
}

fn serve(tcp: TcpStream, config: Arc<ServerConfig>) -> Option<()> {
    let mut tls = rustls::StreamOwned::new(rustls::ServerConnection::new(config).ok()?, tcp);
    let mut buffer = [0; 4096];
    while tls.read(&mut buffer).is_ok_and(|read| read > 0) {
        tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").ok()?;
    }
    Some(())
}

#[test]
fn a_renewal_whose_service_is_started_anew_survives_every_kill() {
    if program("curl").is_none() {
        return crate::skipped("kills over a restart: needs curl");
    }
    let service = Restarted::new();
    let mut victim = Victim::new();
    let combined = format!("{}/tmpfs/run/web/live/combined.pem", victim.estate.dir.display());
    let keep = victim.estate.certs[0].keep.clone();
    victim.estate.certs[0] = Cert { keep, ..Cert::web("web").seen_at(service.port, "5s").reloaded_by(&service.driver(&combined)) };
    victim.write();
    // Whatever the cut before left it with, it serves the first generation when the run begins.
    let begin = format!("curl -sSf --data-binary '@{combined}' http://127.0.0.1:{}/start && exec \"$0\" \"$@\"", service.control);
    let run = [omens().display().to_string(), "--config".into(), victim.estate.settings().display().to_string()];
    let words = ["renew", "--all", "--force"].map(String::from);
    let program: Vec<String> = ["sh".to_owned(), "-c".to_owned(), begin].into_iter().chain(run).chain(words).collect();
    let case = Case { name: "renewal with a restart", served: Some(service.port), ..Case::renewal() };
    victim.cut_program(AT_NAMES, &case, &program);
}
