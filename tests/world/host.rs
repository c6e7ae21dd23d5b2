//! One host in memory: settings on a disk of its own, an authority, daemons, eyes, and the invariants that hold whatever happens to it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use omens::config::service::{Drivers, ServiceState};
use omens::config::settings::Settings;
use omens::config::{self, LoadOptions};
use omens::judge::cert::Facts;
use omens::model::name::CertName;
use omens::model::report::{Report, Unwatched};
use omens::plan::decide::Wishes;
use omens::plan::view::{self, StatusDocument};
use omens::steps::attest::AttestationGate;
use omens::steps::flow::ending::{Ender, Ending};
use omens::steps::flow::world::World;
use omens::steps::flow::{self, Request};
use omens::steps::key::Stores;
use omens::steps::{restore, rollback};
use tempfile::TempDir;

use crate::authority::{Answers, Authority, Desk};
use crate::eyes::Eyes;
use crate::services::{Daemon, KIND};
use crate::time_of_day;

/// What happened, in order.
#[derive(Clone, Debug, Default)]
pub struct Events(Arc<Mutex<Vec<String>>>);

impl Events {
    pub fn add(&self, event: String) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(event);
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// A certificate of the host: its name, and the numbers of the daemons that read it; the first one is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Cert {
    pub name: &'static str,
    pub daemons: &'static [usize],
}

pub struct Host {
    /// Kept until the end.
    dir: TempDir,
    pub settings: Arc<Settings>,
    pub authority: Arc<Authority>,
    pub daemons: Vec<Arc<Daemon>>,
    pub eyes: Arc<Eyes>,
    pub events: Events,
    pub certs: Vec<Cert>,
    pub ender: Ender,
    /// Whether something need not have been read again.
    unread: Unread,
}

/// What a story's checks came upon: without it that what is not read again is told all the same would be said of nothing.
#[derive(Debug, Default)]
struct Unread {
    looks: AtomicU32,
    noted: AtomicU32,
}

impl Drop for Unread {
    fn drop(&mut self) {
        let [looks, noted] = [&self.looks, &self.noted].map(|count| count.load(Ordering::SeqCst));
        assert!(looks == 0 || noted > 0 || std::thread::panicking(), "of {looks} checks none found what an earlier run noted");
    }
}

/// The drivers that these settings may name.
static DRIVERS: Drivers = &[&KIND];

/// Daemons of tests that run side by side in one process have names of their own.
static HOSTS: AtomicU32 = AtomicU32::new(0);

impl Host {
    pub fn new(certs: &[Cert]) -> Self {
        let events = Events::default();
        let shm = Path::new("/dev/shm");
        let dir = if shm.is_dir() { TempDir::new_in(shm) } else { TempDir::new() }.expect("a directory");
        let (authority, run) = (Arc::new(Authority::new(&events)), dir.path().join("run"));
        let number = HOSTS.fetch_add(1, Ordering::SeqCst);
        let count = certs.iter().flat_map(|cert| cert.daemons).max().map_or(0, |last| last + 1);
        let daemons: Vec<Arc<Daemon>> = (0..count)
            .map(|n| {
                let reads: Vec<&str> = certs.iter().filter(|cert| cert.daemons.contains(&n)).map(|cert| cert.name).collect();
                Daemon::start(&format!("host-{number}/{n}"), run.clone(), &reads, &events)
            })
            .collect();
        write_settings(dir.path(), &authority, certs, &daemons);
        let options = LoadOptions { file: dir.path().join("omens.toml"), credentials: None, check_secrets: false, drivers: DRIVERS };
        let settings = Arc::new(config::load(&options).unwrap_or_else(|errors| panic!("{errors:#?}")));
        let eyes = Arc::new(Eyes { daemons: daemons.clone(), events: events.clone(), die_at: AtomicU32::new(0), limits: Mutex::default() });
        Self { dir, settings, authority, daemons, eyes, events, certs: certs.to_vec(), ender: Ender::new(), unread: Unread::default() }
    }

    /// Changes the settings, which are a text.
    pub fn configure(&mut self, change: impl FnOnce(String) -> String) {
        let file = self.path("omens.toml");
        std::fs::write(&file, change(std::fs::read_to_string(&file).expect("the settings"))).expect("the settings");
        let options = LoadOptions { file, credentials: None, check_secrets: false, drivers: DRIVERS };
        self.settings = Arc::new(config::load(&options).unwrap_or_else(|errors| panic!("{errors:#?}")));
    }

    /// Another authority signs from here on; its root is in this file, with this fingerprint.
    pub fn another_authority(&mut self) -> (PathBuf, String) {
        self.authority = Arc::new(Authority::new(&self.events));
        let (file, print) = (self.path("new-root.pem"), crate::pki::sha256(&self.authority.root));
        std::fs::write(&file, omens::judge::pem::write(&self.authority.root)).expect("a root");
        (file, print)
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn with_world<T>(&self, ending: Ending, work: impl FnOnce(&World<'_>) -> T) -> T {
        let world = World {
            issuer: Arc::new(Desk(self.authority.clone())),
            gate: AttestationGate::open(),
            prover: self.eyes.clone(),
            stores: Arc::new(Stores::of(&self.settings, None)),
            tpm: None,
            clock: time_of_day::clock(),
            watch: &Unwatched,
            ending,
        };
        work(&world)
    }

    pub fn renew(&self) -> Report {
        self.renew_with(false, Ending::default())
    }

    pub fn renew_with(&self, force: bool, ending: Ending) -> Report {
        let request = Request { names: Vec::new(), wishes: Wishes { force, ..Wishes::default() }, wait: Duration::ZERO };
        let report = self.with_world(ending, |world| flow::renew(&self.settings, &request, world));
        // The kernel dates the lock, which is when the last run was, and knows nothing of this clock.
        let seconds = Duration::from_secs(time_of_day::now().unix().unsigned_abs());
        let lock = std::fs::File::options().write(true).open(self.path("state/lock")).expect("the lock");
        lock.set_modified(std::time::SystemTime::UNIX_EPOCH + seconds).expect("a date");
        report
    }

    pub fn rollback(&self, name: &str) -> Report {
        let name = CertName::parse(name).expect("a name");
        self.with_world(Ending::default(), |world| rollback::rollback(&self.settings, &name, Duration::ZERO, world))
    }

    pub fn restore(&self) -> Report {
        restore::restore(&self.settings, time_of_day::clock())
    }

    pub fn status(&self) -> StatusDocument {
        let all: Vec<_> = self.settings.certificates.iter().collect();
        view::status(&self.settings, &all, time_of_day::now()).expect("a status")
    }

    /// The power goes: what lies in memory is gone, services stop.
    pub fn power_cut(&self) {
        std::fs::remove_dir_all(self.path("run")).ok();
        for daemon in &self.daemons {
            daemon.serves.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
        }
    }

    /// Everything is as good as new outside.
    pub fn heal(&self) {
        self.authority.answer(Answers::Signs);
        for daemon in &self.daemons {
            daemon.be(crate::services::Manner::Reads);
            let was_running = daemon.is_running();
            *daemon.state.lock().expect("state") = ServiceState::Running;
            if !was_running {
                // What starts reads what is there.
                daemon.read(None).ok();
            }
        }
    }

    pub fn ledger(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.path("state/ledger.jsonl")).unwrap_or_default();
        text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).expect("a ledger line")).collect()
    }

    pub fn live(&self, tree: &str, name: &str) -> Option<String> {
        let below = if tree == "state" { "state/certs" } else { "run" };
        let link = std::fs::read_link(self.path(below).join(name).join("live")).ok()?;
        Some(link.to_str().expect("UTF-8").to_owned())
    }

    /// What must hold after every step, whatever went wrong in it (the invariants of `lib.rs`).
    pub fn check(&self, after: &str) {
        for cert in &self.certs {
            let (run, state) = (self.path("run").join(cert.name), self.path("state/certs").join(cert.name));
            for (tree, live) in [(&run, self.live("run", cert.name)), (&state, self.live("state", cert.name))] {
                let Some(live) = live else { continue };
                let dir = tree.join(&live);
                assert!(dir.is_dir(), "{after}: {} names {live}, which is not there", tree.display());
                // Certificate, key and chain are one generation, and passed the gate.
                let pem = std::fs::read_to_string(dir.join("cert.pem")).expect("cert.pem");
                let leaf = crate::pki::pem_blocks(&pem).remove(0);
                let key = std::fs::read_to_string(dir.join("key.pem")).expect("key.pem");
                pair_matches(&leaf, &key).unwrap_or_else(|why| panic!("{after}: {}: {why}", dir.display()));
                let facts = Facts::parse(&leaf).expect("a leaf");
                let names = format!("{facts:?}");
                assert!(names.contains(&format!("{}.example.net", cert.name)), "{after}: {names}");
                assert!(!names.contains("admin.example.net"), "{after}: what did not pass the gate is published");
                let fullchain = std::fs::read_to_string(dir.join("fullchain.pem")).expect("fullchain.pem");
                assert!(fullchain.starts_with(&pem) && fullchain.len() > pem.len(), "{after}: no chain");
            }
            // A service that runs never serves something that was not published by us.
            for daemon in cert.daemons {
                let Some(leaf) = self.daemons[*daemon].leaf(cert.name) else { continue };
                assert!(!format!("{:?}", Facts::parse(&leaf)).contains("admin.example.net"), "{after}: served what did not pass the gate");
            }
        }
        self.check_unread(after);
        for line in self.ledger() {
            assert!(line["stage"].is_string() && line["outcome"].is_string() && line["run"].is_string(), "{after}: {line}");
        }
        let log = std::fs::read_to_string(self.path("state/ledger.jsonl")).unwrap_or_default();
        assert!(!log.contains("PRIVATE KEY"), "{after}: a private key in the ledger");
    }

    /// What need not be read again is told as if it were.
    fn check_unread(&self, after: &str) {
        let told = || {
            let mut certificates = serde_json::to_value(self.status().certificates).expect("JSON");
            let reasons = certificates.as_array_mut().into_iter().flatten().filter_map(|one| one["reasons"].as_array_mut()).flatten();
            // It says how long it is until something.
            reasons.filter(|reason| reason["code"] == "fresh").for_each(|reason| reason["text"] = "".into());
            certificates
        };
        let (seen, aside) = (self.path("state/seen.json"), self.path("aside"));
        let with = told();
        self.unread.looks.fetch_add(1, Ordering::SeqCst);
        if std::fs::rename(&seen, &aside).is_ok() {
            assert_eq!(with, told(), "{after}: the first is with what was noted");
            std::fs::rename(&aside, &seen).expect("back");
            self.unread.noted.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Whether a PKCS#8 PEM is the private key of a leaf.
pub fn pair_matches(leaf: &[u8], key_pem: &str) -> Result<(), String> {
    let pkcs8 = crate::pki::pem_blocks(key_pem).into_iter().next().ok_or("no key")?;
    let spki = omens::judge::pair::spki_of_pkcs8(&pkcs8).map_err(|why| why.to_string())?;
    let facts = Facts::parse(leaf).map_err(|why| why.to_string())?;
    if facts.spki == spki { Ok(()) } else { Err("certificate and key do not belong together".to_owned()) }
}

fn write_settings(dir: &Path, authority: &Authority, certs: &[Cert], daemons: &[Arc<Daemon>]) {
    let at = |name: &str| dir.join(name).display().to_string();
    let write = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(dir.join(name), text).expect("a file");
        std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(0o600)).expect("mode");
    };
    write("root.pem", &omens::judge::pem::write(&authority.root));
    write("token", "t\n");
    let mut text = format!(
        "[host]\nname = \"host.example.net\"\n[paths]\nstate = \"{}\"\nrun = \"{}\"\npolicies = \"{}\"\n[trust]\nanchor = \"{}\"\nanchor_sha256 = \"{}\"\n\
         [openbao]\naddress = \"https://127.0.0.1:1\"\nmount = \"pki_int\"\nlogin = [{{ token = {{ token = \"file:{}\" }} }}]\n",
        at("state"),
        at("run"),
        at("policies"),
        at("root.pem"),
        crate::pki::sha256(&authority.root),
        at("token"),
    );
    for Cert { name, daemons: own } in certs {
        let reload: Vec<String> = own.iter().map(|n| format!("{{ memory = {{ name = \"{}\" }} }}", daemons[*n].name)).collect();
        let look = own.first().map_or_else(String::new, |n| {
            format!(
                "verify = [{{ tls = {{ address = \"127.0.0.1:{}\", server_name = \"{name}.example.net\", deadline = \"1s\" }} }}]\n",
                1000 + n
            )
        });
        text.push_str(&format!(
            "[[certificate]]\nname = \"{name}\"\nprofile = \"tls-server\"\nrole = \"web\"\nttl = \"24h\"\ncommon_name = \"{name}.example.net\"\n\
             key = {{ keep = \"file\" }}\nreload = [{}]\n{look}",
            reload.join(", ")
        ));
    }
    write("omens.toml", &text);
}
