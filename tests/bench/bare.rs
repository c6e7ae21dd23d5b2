//! The bare loop: eight tasks, keep-alive, one CSR, nothing else. The most a client can get out of a server.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::lab::openbao::{MOUNT, NAMES, OpenBao};
use crate::lab::{pki, place};

/// The argument that makes this program the bare client.
pub const FLAG: &str = "--bare";
const TASKS: usize = 8;

/// What the client is told.
pub struct Bare {
    request: std::path::PathBuf,
    root: std::path::PathBuf,
    token: std::path::PathBuf,
    url: String,
}

impl Bare {
    pub fn new(bao: &OpenBao, token: &str) -> Self {
        let dir = place::directory("bare");
        let key = pki::ec_key();
        let mut params = rcgen::CertificateParams::new(vec![NAMES[0].to_owned(), "127.0.0.1".to_owned()]).expect("params");
        params.distinguished_name.push(rcgen::DnType::CommonName, NAMES[0]);
        let csr = params.serialize_request(&key).expect("CSR").pem().expect("PEM");
        let (request, root, token_file) = (dir.join("request"), dir.join("root.pem"), dir.join("token"));
        std::fs::write(&request, serde_json::json!({ "csr": csr, "ttl": "24h" }).to_string()).expect("request");
        std::fs::write(&root, &bao.root.pem).expect("root");
        place::write_secret(&token_file, token);
        Self { request, root, token: token_file, url: format!("{}/v1/{MOUNT}/sign/web-ec", bao.address()) }
    }

    /// Signatures per second of a fresh process, pinned where asked.
    pub fn rate(&self, count: usize, core: Option<u32>) -> f64 {
        let own = std::env::current_exe().expect("the own path");
        let mut command = match core {
            Some(core) => {
                let mut pinned = Command::new("taskset");
                pinned.args(["-c", &core.to_string()]).arg(own);
                pinned
            }
            None => Command::new(own),
        };
        command.arg(FLAG).arg(count.to_string()).arg(&self.url).args([&self.request, &self.root, &self.token]);
        let output = command.output().expect("the bare loop");
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().unwrap_or_else(|_| panic!("the bare loop said: {text} {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// COUNT URL REQUEST ROOT TOKEN: signs, prints the rate.
pub fn as_client(arguments: &[String]) -> ! {
    let [count, url, request, root, token] = arguments else { panic!("COUNT URL REQUEST ROOT TOKEN") };
    let count: usize = count.parse().expect("a number");
    let read = |path: &str| std::fs::read_to_string(path).expect("a file");
    let root = reqwest::Certificate::from_pem(read(root).as_bytes()).expect("a root");
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let rate = runtime.block_on(async {
        let client = reqwest::Client::builder().tls_certs_only([root]).no_proxy().build().expect("a client");
        let (request, token, url) = (Arc::new(read(request)), Arc::new(read(token)), Arc::new(url.clone()));
        let next = Arc::new(AtomicUsize::new(0));
        let start = Instant::now();
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (client, request, token) = (client.clone(), Arc::clone(&request), Arc::clone(&token));
                let (url, next) = (Arc::clone(&url), Arc::clone(&next));
                tokio::spawn(async move {
                    while next.fetch_add(1, Ordering::Relaxed) < count {
                        let answer = client.post(url.as_str()).header("X-Vault-Token", token.as_str()).body(request.as_str().to_owned());
                        let answer = answer.send().await.expect("an answer");
                        assert!(answer.status().is_success(), "{}", answer.status());
                        answer.bytes().await.expect("a body");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a task");
        }
        #[expect(clippy::cast_precision_loss, reason = "a thousand signatures")]
        let rate = count as f64 / start.elapsed().as_secs_f64();
        rate
    });
    println!("{rate:.3}");
    std::process::exit(0);
}
