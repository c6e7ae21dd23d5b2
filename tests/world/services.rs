//! Services in memory: they read through `live` what they are asked to read, refuse it, keep what they have in silence, are stopped, failed,
//! or take the run down with them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use omens::config::keys::{Key, Kind, Table};
use omens::config::service::{Answer, Deployed, Done, DriverKind, Question, Rank, Reply, Seen, Service, ServiceId, ServiceState, Shown};
use omens::config::shape::{Errors, Shape, parsed};
use omens::config::tree::Node;
use omens::model::anchor::Fingerprint;
use omens::model::code::Code;
use omens::model::failure::{Failure, Stage, Warning};

use crate::host::Events;

/// What a service does when it is asked to read its files again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    Reads,
    /// Says that it did, and serves what it had.
    KeepsWhatItHas,
    /// The same of this certificate alone.
    KeepsWhatItHasOf(String),
    /// Refuses.
    Refuses,
    /// Refuses as long as this certificate is not the one that it serves already.
    RefusesTheNew(String),
    /// Reads the next time, and from then on forgets what it served when it is asked.
    ReadsOnce,
    /// Says that it read, and serves nothing.
    Forgets,
    /// Is started anew: with new files of this certificate it ends, with those that it served it comes back.
    EndsByTheNew(String),
    /// Ends whatever it is given.
    Ends,
    /// The same, and its unit is stopped and has not failed.
    Leaves,
    /// Says that it read, and is gone: its unit is stopped and has not failed.
    LeavesInSilence,
    /// The run dies while it is asked.
    Dies,
    /// Nobody can say whether it runs.
    Hides,
}

/// What kind of unit a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Lasting,
    Oneshot,
}

#[derive(Debug)]
pub struct Daemon {
    pub name: String,
    run: PathBuf,
    reads: Vec<String>,
    pub manner: Mutex<Manner>,
    pub state: Mutex<ServiceState>,
    /// Its rank.
    pub rank: Mutex<u8>,
    /// Whether it waits for all other daemons.
    pub waits: Mutex<bool>,
    /// Whether it is started anew to read its files.
    pub restarts: Mutex<bool>,
    /// Whether its driver has a proof of its own, which is what it serves.
    pub proves: Mutex<bool>,
    /// How long a first look at it is put off.
    pub lingers: Mutex<Duration>,
    /// What it is as a unit of systemd, where it is one.
    pub unit: Mutex<Option<Unit>>,
    /// What its driver says beside that it has read.
    pub says: Mutex<Option<&'static str>>,
    /// How many certificates it was told of, each time that it was asked.
    pub told: Mutex<Vec<usize>>,
    /// How often it has refused.
    refused: AtomicU32,
    /// The leaf that it serves for each certificate, DER.
    pub serves: Mutex<BTreeMap<String, Vec<u8>>>,
    events: Events,
}

/// All daemons of this process, by name: the settings name them.
static DAEMONS: Mutex<BTreeMap<String, Arc<Daemon>>> = Mutex::new(BTreeMap::new());

impl Daemon {
    pub fn start(name: &str, run: PathBuf, reads: &[&str], events: &Events) -> Arc<Self> {
        let daemon = Arc::new(Self {
            name: name.to_owned(),
            run,
            reads: reads.iter().map(|name| (*name).to_owned()).collect(),
            manner: Mutex::new(Manner::Reads),
            state: Mutex::new(ServiceState::Running),
            rank: Mutex::new(u8::MAX),
            waits: Mutex::new(false),
            restarts: Mutex::new(false),
            proves: Mutex::new(false),
            lingers: Mutex::default(),
            unit: Mutex::new(None),
            says: Mutex::new(None),
            told: Mutex::default(),
            refused: AtomicU32::new(0),
            serves: Mutex::default(),
            events: events.clone(),
        });
        DAEMONS.lock().expect("daemons").insert(name.to_owned(), daemon.clone());
        daemon
    }

    pub fn be(&self, manner: Manner) {
        *self.manner.lock().expect("manner") = manner;
    }

    pub fn say(&self, text: &'static str) {
        *self.says.lock().expect("says") = Some(text);
    }

    pub fn set(&self, state: ServiceState) {
        *self.state.lock().expect("state") = state;
        if state != ServiceState::Running {
            self.serves.lock().expect("serves").clear();
        }
    }

    pub fn is_running(&self) -> bool {
        *self.state.lock().expect("state") == ServiceState::Running
    }

    pub fn leaf(&self, certificate: &str) -> Option<Vec<u8>> {
        self.serves.lock().expect("serves").get(certificate).cloned()
    }

    /// Reads every certificate through `live`, all or nothing, as nginx does; a pair that does not match is refused.
    pub fn read(&self, refuses_new: Option<&str>) -> Result<(), String> {
        let mut read = BTreeMap::new();
        for name in &self.reads {
            let live = self.run.join(name).join("live");
            let Ok(cert) = std::fs::read_to_string(live.join("cert.pem")) else { continue };
            let key = std::fs::read_to_string(live.join("key.pem")).map_err(|why| format!("{name}: key.pem: {why}"))?;
            let leaf = crate::pki::pem_blocks(&cert).into_iter().next().ok_or("no certificate")?;
            crate::host::pair_matches(&leaf, &key).map_err(|why| format!("{name}: {why}"))?;
            if refuses_new == Some(name) && self.leaf(name).is_some_and(|old| old != leaf) {
                return Err(format!("{name}: the new certificate does not please"));
            }
            read.insert(name.clone(), leaf);
        }
        *self.serves.lock().expect("serves") = read;
        Ok(())
    }

    fn done(&self) -> Reply {
        let said = self.says.lock().expect("says").map(|text| Warning::new(Code::ReloadFailed, text));
        Reply::Done(Done { warnings: said.into_iter().collect(), before: serde_json::json!({ "life": 1, "more": 2 }) })
    }

    /// A restart: what it served is remembered by its files alone, so the leaves are compared before they are forgotten.
    fn begin_anew(&self, ends_by_new: Option<&str>) -> Result<Reply, Failure> {
        match self.read(ends_by_new) {
            Ok(()) => {
                *self.state.lock().expect("state") = ServiceState::Running;
                Ok(self.done())
            }
            Err(why) => self.end(&why),
        }
    }

    /// It is gone: its unit has failed. What it served stays known, so that it can tell new from old.
    fn end(&self, why: &str) -> Result<Reply, Failure> {
        *self.state.lock().expect("state") = ServiceState::Failed;
        Err(refused(why))
    }
}

/// A daemon as the settings name it.
#[derive(Debug)]
struct Named(Arc<Daemon>);

fn refused(text: impl Into<String>) -> Failure {
    Failure::new(Stage::Reload, Code::ReloadFailed, text).hint("ask the test")
}

impl Service for Named {
    fn id(&self) -> ServiceId {
        ServiceId::new("memory", [Some(self.0.name.clone())])
    }

    fn name(&self) -> String {
        self.0.name.clone()
    }

    fn rank(&self) -> Rank {
        Rank(*self.0.rank.lock().expect("rank"))
    }

    fn waits_for(&self) -> &'static [&'static str] {
        if *self.0.waits.lock().expect("waits") { &["memory"] } else { &[] }
    }

    fn restarts(&self) -> bool {
        *self.0.restarts.lock().expect("restarts")
    }

    fn lingers(&self) -> Duration {
        *self.0.lingers.lock().expect("lingers")
    }

    fn unit(&self) -> Option<&str> {
        self.0.unit.lock().expect("unit").map(|_| self.0.name.as_str())
    }

    fn is_oneshot(&self) -> Answer<'_, bool> {
        Box::pin(async { Ok(*self.0.unit.lock().expect("unit") == Some(Unit::Oneshot)) })
    }

    fn state(&self) -> Answer<'_, ServiceState> {
        Box::pin(async {
            match *self.0.manner.lock().expect("manner") {
                Manner::Hides => Err(refused("nobody knows whether it runs")),
                _ => Ok(*self.0.state.lock().expect("state")),
            }
        })
    }

    fn ask<'a>(&'a self, deployed: &'a [Deployed]) -> Answer<'a, Reply> {
        Box::pin(async {
            self.0.events.add(format!("ask {}", short(&self.0.name)));
            self.0.told.lock().expect("told").push(deployed.len());
            let manner = self.0.manner.lock().expect("manner").clone();
            match manner {
                Manner::Dies => panic!("the run dies while a service is asked"),
                Manner::Refuses => {
                    Err(refused(format!("it does not want to, at request {}", self.0.refused.fetch_add(1, Ordering::SeqCst))))
                }
                Manner::KeepsWhatItHas => Ok(Reply::done()),
                Manner::KeepsWhatItHasOf(name) => {
                    let kept = self.0.leaf(&name);
                    self.0.read(None).map_err(refused)?;
                    self.0.serves.lock().expect("serves").extend(kept.map(|leaf| (name, leaf)));
                    Ok(Reply::done())
                }
                Manner::Reads => self.0.read(None).map(|()| self.0.done()).map_err(refused),
                Manner::RefusesTheNew(name) => self.0.read(Some(&name)).map(|()| self.0.done()).map_err(refused),
                Manner::ReadsOnce => {
                    self.0.be(Manner::Forgets);
                    self.0.read(None).map(|()| Reply::done()).map_err(refused)
                }
                Manner::Forgets => {
                    self.0.serves.lock().expect("serves").clear();
                    Ok(Reply::done())
                }
                Manner::EndsByTheNew(name) => self.0.begin_anew(Some(&name)),
                Manner::Ends => self.0.end("it ends at once"),
                Manner::LeavesInSilence => {
                    self.0.set(ServiceState::Stopped);
                    Ok(Reply::done())
                }
                Manner::Leaves => {
                    self.0.set(ServiceState::Stopped);
                    Err(refused("it leaves"))
                }
                Manner::Hides => Err(refused("nobody answers")),
            }
        })
    }

    fn prove<'a>(&'a self, question: &'a Question<'a>) -> Answer<'a, Shown> {
        Box::pin(async {
            if !*self.0.proves.lock().expect("proves") {
                return Ok(Shown::default());
            }
            let by = match (question.before.get("life"), question.before.get("more")) {
                (Some(life), None) if !life.is_null() => " by its life",
                (None, None) if question.before.is_object() => " by nothing",
                _ => "",
            };
            self.0.events.add(format!("prove {}{by}", short(&self.0.name)));
            let served = self.0.leaf(question.deployed.certificate.as_str()).map(|leaf| Fingerprint::of(&leaf));
            if served.as_ref() == Some(&question.deployed.leaf.sha256) {
                return Ok(Shown::only(Seen::Read));
            }
            let code = if served.is_none() { Code::NotRunning } else { Code::OldLeaf };
            Err(Failure::new(Stage::Verify, code, "it has not read it").hint("ask the test"))
        })
    }

    fn start<'a>(&'a self, _: &'a [Deployed]) -> Answer<'a, Reply> {
        Box::pin(async {
            self.0.events.add(format!("start {}", short(&self.0.name)));
            if *self.0.manner.lock().expect("manner") == Manner::Refuses {
                return Err(refused("it does not start"));
            }
            if *self.0.manner.lock().expect("manner") == Manner::LeavesInSilence {
                self.0.set(ServiceState::Stopped);
                return Ok(Reply::done());
            }
            self.0.read(None).map_err(refused)?;
            *self.0.state.lock().expect("state") = ServiceState::Running;
            Ok(Reply::done())
        })
    }
}

/// The part of a name that a test wrote.
fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

static TABLE: Table = Table {
    title: "reload driver memory",
    about: "A service of a test.",
    keys: &[Key::required("name", Kind::Text("a name"), "\"web\"", "Which one.")],
};

fn parse(node: &Node, errors: &Errors) -> Option<Arc<dyn Service>> {
    let shape = Shape::of(&TABLE, node, errors)?;
    let name = shape.required("name", parsed(|name| Ok(name.to_owned())));
    shape.finish();
    let daemon = DAEMONS.lock().expect("daemons").get(&name?).cloned()?;
    Some(Arc::new(Named(daemon)))
}

/// `{ memory = { name = "…" } }`.
pub static KIND: DriverKind = DriverKind { name: "memory", table: &TABLE, parse, always: None };
