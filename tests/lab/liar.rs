//! A Keylime verifier and registrar of our own, honest unless told otherwise: for answers that the real ones cannot be made to give. It counts
//! the evidence that it is sent.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64ct::{Base64, Encoding as _};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use super::child::run;
use super::pki::{Ca, Leaf, ec_key};
use super::{place, program};

/// What is asked, as a twist sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Register,
    Activate,
    Open,
    Prove,
    Show,
    Begin,
    Submit,
}

/// An answer before it is sent.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Value,
    /// Instead of `body`.
    pub raw: Option<Vec<u8>>,
    /// The connection ends without an answer.
    pub hangs_up: bool,
    /// Before the answer.
    pub delay: Duration,
}

impl Reply {
    fn new(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body, raw: None, hangs_up: false, delay: Duration::ZERO }
    }

    /// Sets a value in the body; what is not there is made.
    pub fn set(&mut self, pointer: &str, value: Value) {
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        let parent = self.body.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
        parent.as_object_mut().expect("an object").insert(name.to_owned(), value);
    }

    pub fn header(&mut self, name: &str, value: &str) {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }
}

/// What the verifier knows of its one agent.
#[derive(Default)]
pub struct Known {
    pub id: String,
    pub ak: String,
    pub count: u64,
    pub last: i64,
    pub shows: u32,
    pub logins: u32,
    pub begins: u32,
    pub evidences: u32,
    pub requests: u32,
}

pub type Twist = Box<dyn Fn(Ask, &mut Known, &mut Reply) + Send>;

struct Inner {
    known: Known,
    twist: Twist,
    /// The attestation keys of each agent, in the order in which they were registered: as often as that was done.
    registered: BTreeMap<String, Vec<String>>,
}

/// Both servers, at one address.
pub struct Liar {
    pub address: String,
    inner: Arc<Mutex<Inner>>,
}

pub fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock").as_secs()).expect("small")
}

impl Liar {
    /// Serves with a leaf of this authority until the process ends.
    pub fn start(ca: &Ca, leaf: &Leaf) -> Self {
        let key = ec_key();
        let chain = vec![ca.leaf(&key, leaf).der().clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .expect("a server");
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("https://{}", listener.local_addr().expect("an address"));
        let inner = Arc::new(Mutex::new(Inner { known: Known::default(), twist: Box::new(|_, _, _| {}), registered: BTreeMap::new() }));
        let shared = inner.clone();
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let (config, shared) = (config.clone(), shared.clone());
                std::thread::spawn(move || serve(tcp, config, &shared));
            }
        });
        Self { address, inner }
    }

    /// Begins anew, with this twist.
    pub fn twisted(&self, twist: Twist) {
        let mut inner = self.inner.lock().expect("liar");
        (inner.known, inner.twist) = (Known { count: 7, ..Known::default() }, twist);
    }

    pub fn evidences(&self) -> u32 {
        self.inner.lock().expect("liar").known.evidences
    }

    /// Logins, negotiations and evidences.
    pub fn asked(&self) -> [u32; 3] {
        let known = &self.inner.lock().expect("liar").known;
        [known.logins, known.begins, known.evidences]
    }

    /// The attestation keys that were registered for each agent, one for each time.
    pub fn registered(&self) -> BTreeMap<String, Vec<String>> {
        self.inner.lock().expect("liar").registered.clone()
    }

    pub fn requests(&self) -> u32 {
        self.inner.lock().expect("liar").known.requests
    }
}

fn serve(tcp: TcpStream, config: Arc<rustls::ServerConfig>, shared: &Mutex<Inner>) -> Option<()> {
    let mut tls = rustls::StreamOwned::new(rustls::ServerConnection::new(config).ok()?, tcp);
    loop {
        let (head, body) = request(&mut tls)?;
        let (ask, mut reply) = {
            let mut inner = shared.lock().expect("liar");
            let Inner { known, twist, registered } = &mut *inner;
            known.requests += 1;
            let (ask, mut reply) = honest(&head, &body, known)?;
            if ask == Ask::Register {
                registered.entry(known.id.clone()).or_default().push(known.ak.clone());
            }
            reply.header("Date", &date(now()));
            twist(ask, known, &mut reply);
            (ask, reply)
        };
        std::thread::sleep(reply.delay);
        if reply.hangs_up {
            return None;
        }
        let _: Ask = ask;
        let body = reply.raw.take().unwrap_or_else(|| serde_json::to_vec(&reply.body).expect("json"));
        let headers: String = reply.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = if headers.contains("Transfer-Encoding") { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        tls.write_all(format!("HTTP/1.1 {} X\r\n{headers}{length}\r\n", reply.status).as_bytes()).ok()?;
        tls.write_all(&body).ok()?;
        tls.flush().ok()?;
    }
}

pub fn date(at: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(at).expect("a time");
    at.format(&time::format_description::well_known::Rfc2822).expect("a date").replace("+0000", "GMT")
}

fn request(tls: &mut impl std::io::Read) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = tls.read(&mut buffer).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
        let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let length = head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:").and_then(|v| v.trim().parse().ok()));
        let length: usize = length.unwrap_or(0);
        while bytes.len() < end + 4 + length {
            let read = tls.read(&mut buffer).ok().filter(|read| *read > 0)?;
            bytes.extend_from_slice(&buffer[..read]);
        }
        return Some((head, bytes[end + 4..].to_vec()));
    }
}

/// What Keylime 7.14 answers.
fn honest(head: &str, body: &[u8], known: &mut Known) -> Option<(Ask, Reply)> {
    let mut first = head.lines().next()?.split(' ');
    let (method, path) = (first.next()?, first.next()?);
    let sent: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |pointer: &str| sent.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let v2 = |results: Value| Reply::new(200, json!({"code": 200, "status": "Success", "results": results}));
    Some(match (method, parts.as_slice()) {
        ("POST", ["v2.6", "agents", id]) => {
            (known.id, known.ak) = ((*id).to_owned(), text("/aik_tpm"));
            (Ask::Register, v2(json!({"blob": hidden(&text("/ek_tpm"), &text("/aik_tpm"))})))
        }
        ("PUT", ["v2.6", "agents", _, "activate"]) => (Ask::Activate, v2(json!({}))),
        ("POST", ["v3.0", "sessions"]) => {
            known.id = text("/data/attributes/agent_id");
            let wanted = json!([{"authentication_class": "pop", "authentication_type": "tpm_pop",
                "chosen_parameters": {"challenge": challenge()}}]);
            let attributes = json!({"agent_id": known.id, "authentication_requested": wanted});
            (Ask::Open, Reply::new(200, json!({"data": {"type": "session", "id": "s-1", "attributes": attributes}})))
        }
        ("PATCH", ["v3.0", "sessions", id]) => {
            known.logins += 1;
            let attributes = json!({"agent_id": known.id, "evaluation": "pass", "token": format!("{id}.secret-token")});
            (Ask::Prove, Reply::new(200, json!({"data": {"type": "session", "id": id, "attributes": attributes}})))
        }
        ("GET", ["v2.6", "agents", _]) => {
            known.shows += 1;
            let last = if known.last == 0 { now() - 3 } else { known.last };
            (
                Ask::Show,
                v2(json!({"operational_state": null, "attestation_status": "PASS", "attestation_count": known.count,
                "last_received_quote": last, "last_successful_attestation": last, "maximum_attestation_interval": "5s",
                "tpm_policy": "{\"7\": [\"00\"], \"mask\": \"0x80\"}", "has_runtime_policy": 0, "has_mb_refstate": 0})),
            )
        }
        ("POST", ["v3.0", "agents", id, "attestations"]) => {
            known.begins += 1;
            let key = sent.pointer("/data/attributes/evidence_supported/0/capabilities/certification_keys/0").cloned().unwrap_or_default();
            let chosen = json!({"challenge": challenge(), "signature_scheme": "rsassa", "hash_algorithm": "sha256",
                "selected_subjects": {"sha256": [7]}, "certification_key": key});
            let asked = json!([{"evidence_class": "certification", "evidence_type": "tpm_quote", "chosen_parameters": chosen}]);
            let attributes = json!({"stage": "awaiting_evidence", "evidence_requested": asked});
            let mut reply = Reply::new(201, json!({"data": {"type": "attestation", "attributes": attributes}}));
            reply.header("Location", &format!("/v3.0/agents/{id}/attestations/4"));
            (Ask::Begin, reply)
        }
        ("PATCH", ["v3.0", "agents", _, "attestations", _]) => {
            known.evidences += 1;
            known.count += 1;
            known.last = now();
            let attributes = json!({"stage": "evaluating_evidence"});
            let meta = json!({"seconds_to_next_attestation": 2});
            (Ask::Submit, Reply::new(202, json!({"data": {"type": "attestation", "attributes": attributes}, "meta": meta})))
        }
        _ => panic!("{method} {path}"),
    })
}

fn challenge() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("random bytes");
    Base64::encode_string(&bytes)
}

/// What a registrar hides for the TPM of these keys (TPM2_MakeCredential, which needs no TPM).
fn hidden(ek: &str, ak: &str) -> String {
    let (ek, ak) = (Base64::decode_vec(ek).expect("base64"), Base64::decode_vec(ak).expect("base64"));
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &ak[2..]);
    let name: String = [0, 0x0b].iter().chain(digest.as_ref()).map(|byte| format!("{byte:02x}")).collect();
    let dir = place::directory("credential");
    std::fs::write(dir.join("ek.pub"), ek).expect("written");
    std::fs::write(dir.join("secret"), "0123456789abcdef0123456789abcdef").expect("written");
    let mut command = std::process::Command::new(program("tpm2_makecredential").expect("tpm2-tools"));
    command.current_dir(&dir).args(["-T", "none", "-u", "ek.pub", "-s", "secret", "-n", &name, "-o", "blob"]);
    let made = run(command, Duration::from_secs(10));
    assert_eq!(made.code, 0, "{}", made.stderr);
    Base64::encode_string(&std::fs::read(dir.join("blob")).expect("a blob"))
}
