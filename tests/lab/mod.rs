//! The launchers for real parts (OpenBao, nginx) and the hostile fake, once, for tests, demo and bench; the test tools beside them have a
//! page of their own, `README.md`.
//! Everything lies in one private directory per process and ends with it; nothing here may need root or touch what it did not start.

pub mod child;
pub mod client;
pub mod estate;
pub mod guest;
pub mod hostile;
pub mod impostor;
pub mod jwt;
pub mod liar;
pub mod nginx;
pub mod openbao;
pub mod pki;
pub mod place;
pub mod spire;
pub mod swtpm;

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// The runtime of everything asynchronous in the lab.
pub fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        // Tests may come before anything else that chooses a provider; a second choice is refused and means nothing.
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
    })
}

/// A port of 127.0.0.1 that is free now and stays ours among all labs on this machine: each port is claimed by an abstract socket
/// of its number, which the kernel gives back when we end. Below the ephemeral range, so that no outgoing connection takes it.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static CLAIMS: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(10_000 + (std::process::id().wrapping_mul(97) + step) % 22_000).expect("below 65536");
        let name = SocketAddr::from_abstract_name(format!("omens-lab-port-{port}")).expect("a name");
        let Ok(claim) = UnixListener::bind_addr(&name) else { continue };
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            CLAIMS.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(claim);
            return port;
        }
    }
}

/// Asks again until the answer is yes or the time is up.
pub fn wait_for(what: &str, limit: Duration, mut yes: impl FnMut() -> bool) {
    let start = Instant::now();
    while !yes() {
        assert!(start.elapsed() < limit, "waited {limit:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The path of a program: `PATH`, then where Debian keeps what ordinary users have not on it.
pub fn program(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).map(|d| d.join(name)).find(|p| p.is_file())
}

/// A test tool of this directory.
pub fn tool(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab").join(name)
}

/// Whether this process is root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs a program on the lab and ends everything it started, however it ends: done, failed, SIGINT or SIGTERM.
pub fn run_and_clean_up(name: &'static str, program: impl FnOnce() + std::panic::UnwindSafe) -> std::process::ExitCode {
    // A person wants the sentence, not where in the source it was written.
    std::panic::set_hook(Box::new(move |why| {
        if !child::ending() {
            let text = why.payload().downcast_ref::<String>().cloned();
            eprintln!("\n{name}: {}", text.or_else(|| why.payload().downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default());
        }
    }));
    runtime().spawn(async {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt()).expect("SIGINT"), signal(SignalKind::terminate()).expect("SIGTERM"));
        let code = tokio::select! { _ = interrupt.recv() => 130, _ = terminate.recv() => 143 };
        println!();
        child::end_all();
        place::clean_up();
        std::process::exit(code);
    });
    let done = std::panic::catch_unwind(program);
    if child::ending() {
        // The task above is at work and will end this process.
        loop {
            std::thread::park();
        }
    }
    child::end_all();
    place::clean_up();
    if done.is_ok() { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
