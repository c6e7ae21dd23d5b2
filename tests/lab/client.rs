//! What a TLS client sees: the served leaf, and whether requests fail while certificates change.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

/// Records a chain without judging it.
#[derive(Debug)]
struct DangerRecorder;

impl ServerCertVerifier for DangerRecorder {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The chain served at `127.0.0.1:port` for this name, leaf first; `None` where nothing answers.
pub fn served(port: u16, name: &str) -> Option<Vec<Vec<u8>>> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().expect("versions");
    let config = builder.dangerous().with_custom_certificate_verifier(Arc::new(DangerRecorder)).with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
    let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).ok()?;
    }
    Some(connection.peer_certificates()?.iter().map(|c| c.to_vec()).collect())
}

/// SHA-256 of the served leaf.
pub fn served_leaf(port: u16, name: &str) -> Option<String> {
    served(port, name)?.first().map(|der| super::pki::sha256(der))
}

/// One request over a fresh connection, the server's chain verified against `root`.
fn get(port: u16, name: &str, config: &Arc<ClientConfig>) -> Result<(), String> {
    let text = |e: std::io::Error| e.to_string();
    let name_of = ServerName::try_from(name.to_owned()).map_err(|e| e.to_string())?;
    let connection = ClientConnection::new(Arc::clone(config), name_of).map_err(|e| e.to_string())?;
    let socket = TcpStream::connect(("127.0.0.1", port)).map_err(text)?;
    socket.set_read_timeout(Some(Duration::from_secs(10))).map_err(text)?;
    let mut stream = StreamOwned::new(connection, socket);
    write!(stream, "GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n").map_err(text)?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        // A whole answer without close_notify is whole all the same: it has a length.
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {}
        Err(e) => return Err(e.to_string()),
    }
    let answer = String::from_utf8_lossy(&answer);
    if answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n") { Ok(()) } else { Err(format!("odd answer: {answer:?}")) }
}

/// A configuration that trusts this root alone and resumes nothing.
fn trusting(root: &[u8]) -> Arc<ClientConfig> {
    trusting_all(std::iter::once(root.to_vec()))
}

fn trusting_all(ders: impl Iterator<Item = Vec<u8>>) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    ders.for_each(|root| roots.add(CertificateDer::from(root)).expect("a root"));
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().expect("versions");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

/// Whether a client that trusts this root alone gets an answer.
pub fn trusted(port: u16, name: &str, root: &[u8]) -> bool {
    get(port, name, &trusting(root)).is_ok()
}

/// Clients that ask one after the other without a pause.
pub struct Load {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    failures: Arc<Mutex<Vec<String>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts `clients` threads against one endpoint.
    pub fn start(port: u16, name: &str, root: &[u8], clients: usize) -> Self {
        let config = trusting(root);
        Self::with(port, name, clients, move || Arc::clone(&config))
    }

    /// The same with clients that trust what they find in a file of roots, read anew for each request.
    pub fn following(port: u16, name: &str, roots: &std::path::Path, clients: usize) -> Self {
        let roots = roots.to_path_buf();
        let read = move || {
            let text = std::fs::read_to_string(&roots).expect("a file of roots at any time");
            trusting_all(super::pki::pem_blocks(&text).into_iter())
        };
        Self::with(port, name, clients, read)
    }

    fn with(port: u16, name: &str, clients: usize, config: impl Fn() -> Arc<ClientConfig> + Send + Sync + 'static) -> Self {
        let config = Arc::new(config);
        let (stop, asked, failures) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())));
        let threads = (0..clients)
            .map(|_| {
                let (stop, asked, failures) = (Arc::clone(&stop), Arc::clone(&asked), Arc::clone(&failures));
                let (name, config) = (name.to_owned(), Arc::clone(&config));
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        if let Err(why) = get(port, &name, &config()) {
                            failures.lock().expect("failures").push(why);
                        }
                        asked.fetch_add(1, Ordering::Relaxed);
                        // A little air for the server under test: cores are shared.
                        std::thread::sleep(Duration::from_millis(5));
                    }
                })
            })
            .collect();
        Self { stop, asked, failures, threads }
    }

    /// Ends it: how many requests were made, and what failed.
    pub fn stop(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a client thread");
        }
        (self.asked.load(Ordering::Relaxed), self.failures.lock().expect("failures").clone())
    }
}
