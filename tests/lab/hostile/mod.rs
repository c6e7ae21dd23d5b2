//! A fake OpenBao that lies on demand, down to single bytes, for what the real one cannot be made to do.
//! It signs real CSRs with a CA of its own, counts what it was asked and keeps every byte it received.

mod answer;
mod wire;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::estate::{Authority, Cert, Estate};
use super::pki::{Ca, CaKeys, INTERMEDIATE, Leaf, ROOT};
use super::{free_port, runtime};

/// What is wrong with the answer to a signing request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Nothing: a good certificate in a good answer.
    Nothing,

    // The certificate.
    OtherKey,
    OtherEku,
    NoEku,
    ExtraName,
    MissingName,
    OtherCommonName,
    /// Another root and intermediate with the same names.
    OtherRoot,
    Expired,
    NotYetValid,
    TooLong,
    /// Good, but most of its life is over: due again at once.
    Aged,
    /// A wrapping token in place of the data, as of a control group.
    HeldBack,
    /// Good, but it lives for an hour only, as behind a role whose `max_ttl` is that.
    Clipped,

    // The document around it.
    /// `ca_chain` and `issuing_ca` name the root only.
    MissingIntermediate,
    /// The answer carries a private key, as `/issue` would.
    PrivateKey,
    /// No `ca_chain`, but `issuing_ca`.
    NoChain,
    /// Neither.
    NoIssuer,
    /// Root first.
    ReversedChain,
    /// Something among the chain that is no certificate.
    JunkInChain,
    /// `certificate` is no certificate.
    JunkCertificate,
    /// OpenBao's `warnings`, with an escape sequence in them.
    Warns,

    // The bytes.
    Truncated,
    Endless,
    Drip,
    Html,
    NotUtf8,
    /// Content-Length is shorter than the body.
    WrongLength,
    Redirect,
    Empty,

    // Refusals.
    TooMany(RetryAfter),
    Status(u16),
    Sealed,
    SealedHtml,
    /// 403 as for an unknown token.
    TokenDenied,
    /// 403 as for a policy.
    PolicyDenied,
    /// 400 of the role.
    RoleRefused,
    /// 400 with the request's secrets and 9 kB of noise in its text.
    Echo,

    // The connection.
    ResetBefore,
    ResetAfter,
    CloseSilently,
}

/// The Retry-After of a 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    Seconds(u32),
    /// An HTTP date this many seconds from now.
    Date(u32),
    Absurd,
    Absent,
}

/// What `sys/health` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Fine,
    NotFound,
    Html,
    Sealed,
    Standby,
    /// Its clock is ahead of ours by this many seconds.
    Skewed(i64),
}

/// What a login gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    Fine,
    /// 400, as for a wrong secret id.
    Refused,
    ServerError,
    /// Granted after two seconds.
    Late,
    /// 200 without a token.
    NoToken,
}

/// The certificate of its listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    Good,
    OtherRoot,
    OtherName,
    Expired,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Head and body, byte for byte.
    pub bytes: Vec<u8>,
}

/// The token that a login gets.
pub const TOKEN: &str = "hvs.LAB-token-that-must-never-be-seen-7f3a9c";
/// The secret id that its hosts use.
pub const SECRET_ID: &str = "5ecre71d-never-to-be-seen-0b1c2d3e4f50";

/// State shared by all connections.
struct Shared {
    root: Ca,
    intermediate: Ca,
    other_root: Ca,
    other_intermediate: Ca,
    lies: Mutex<Vec<Lie>>,
    health: Mutex<Health>,
    login: Mutex<Login>,
    requests: Mutex<Vec<Request>>,
    signed: AtomicUsize,
}

/// The server; it ends with its value.
pub struct Hostile {
    pub port: u16,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Hostile {
    /// A server that does nothing wrong yet.
    pub fn start() -> Self {
        Self::start_with(Listener::Good)
    }

    /// A server with this listener certificate.
    pub fn start_with(listener: Listener) -> Self {
        let (root, other_root) = (Ca::root(ROOT, CaKeys::Ec), Ca::root(ROOT, CaKeys::Ec));
        let (intermediate, other_intermediate) =
            (root.intermediate(INTERMEDIATE, CaKeys::Ec), other_root.intermediate(INTERMEDIATE, CaKeys::Ec));
        let signer = if listener == Listener::OtherRoot { &other_intermediate } else { &intermediate };
        let acceptor = acceptor(signer, listener);
        let shared = Arc::new(Shared {
            root,
            intermediate,
            other_root,
            other_intermediate,
            lies: Mutex::new(vec![Lie::Nothing]),
            health: Mutex::new(Health::Fine),
            login: Mutex::new(Login::Fine),
            requests: Mutex::new(Vec::new()),
            signed: AtomicUsize::new(0),
        });
        let port = free_port();
        let state = Arc::clone(&shared);
        let socket = runtime().block_on(tokio::net::TcpListener::bind(("127.0.0.1", port))).expect("a free port");
        let task = runtime().spawn(async move {
            while let Ok((connection, _)) = socket.accept().await {
                // Head and body are two writes: without this, each answer waits 40 ms for the client's delayed ACK.
                connection.set_nodelay(true).ok();
                tokio::spawn(wire::serve(connection, acceptor.clone(), Arc::clone(&state)));
            }
        });
        Self { port, shared, task }
    }

    /// From now on every signing request gets this.
    pub fn lie(&self, lie: Lie) {
        self.lies(&[lie]);
    }

    /// The next signing requests get these, the last one stays.
    pub fn lies(&self, lies: &[Lie]) {
        assert!(!lies.is_empty(), "the last lie stays");
        *self.shared.lies.lock().expect("lies") = lies.iter().rev().copied().collect();
    }

    pub fn health(&self, health: Health) {
        *self.shared.health.lock().expect("health") = health;
    }

    pub fn login(&self, login: Login) {
        *self.shared.login.lock().expect("login") = login;
    }

    pub fn root_pem(&self) -> &str {
        &self.shared.root.pem
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().expect("requests").clone()
    }

    /// How many signing requests came in whole.
    pub fn sign_requests(&self) -> usize {
        self.requests().iter().filter(|r| r.path.contains("/sign/")).count()
    }

    /// How many certificates were really signed.
    pub fn signed(&self) -> usize {
        self.shared.signed.load(Ordering::SeqCst)
    }

    /// Signs a leaf that nobody asked for.
    pub fn leaf(&self, key: &rcgen::KeyPair, leaf: &Leaf) -> String {
        self.shared.intermediate.leaf(key, leaf).pem()
    }

    /// A host of this authority with one web certificate, no consumer.
    pub fn estate(&self) -> Estate {
        let address = format!("https://127.0.0.1:{}", self.port);
        let authority = Authority::approle(address, self.root_pem(), "role-of-the-lab", SECRET_ID);
        Estate::new("hostile", authority).with(Cert::web("web"))
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn acceptor(signer: &Ca, listener: Listener) -> tokio_rustls::TlsAcceptor {
    let key = super::pki::ec_key();
    let ip = "127.0.0.1".parse().expect("an address");
    let mut leaf = match listener {
        Listener::OtherName => Leaf::server("elsewhere.funlab.casa", &["elsewhere.funlab.casa"], &[], time::Duration::HOUR),
        _ => Leaf::server("spire.funlab.casa", &["spire.funlab.casa"], &[ip], time::Duration::HOUR),
    };
    if listener == Listener::Expired {
        leaf.not_after = leaf.not_before - time::Duration::HOUR;
        leaf.not_before -= time::Duration::hours(2);
    }
    let chain = vec![CertificateDer::from(signer.leaf(&key, &leaf).der().to_vec()), CertificateDer::from(signer.der.clone())];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).expect("a pair");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}
