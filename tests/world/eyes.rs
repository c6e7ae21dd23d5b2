//! Eyes on the wire of a host in memory: an endpoint's port names a daemon, its server name a certificate.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use omens::config::settings::ServerName;
use omens::model::anchor::Fingerprint;
use omens::model::code::Code;
use omens::model::failure::{Failure, Stage};
use omens::steps::prove::{Look, Prover};

use crate::host::Events;
use crate::services::Daemon;

#[derive(Debug)]
pub struct Eyes {
    pub daemons: Vec<Arc<Daemon>>,
    pub events: Events,
    /// The run dies at this look from now on, counted from 1; never at 0.
    pub die_at: AtomicU32,
    /// How long each look until something is steady may take.
    pub limits: Mutex<Vec<Duration>>,
}

impl Eyes {
    fn see(&self, look: &Look<'_>) -> Result<(), Failure> {
        let port: usize = look.endpoint.address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let ServerName::Dns(name) = &look.endpoint.server_name else { panic!("a name") };
        let certificate = name.split('.').next().expect("a name");
        self.events.add(format!("look {certificate}"));
        let dies = self.die_at.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |looks| looks.checked_sub(1)) == Ok(1);
        assert!(!dies, "the run dies while it looks");
        let daemon = &self.daemons[port - 1000];
        let failure = |code, text: &str| Err(Failure::new(Stage::Verify, code, text));
        let Some(leaf) = daemon.leaf(certificate).filter(|_| daemon.is_running()) else {
            return failure(Code::Unreachable, "nobody answers");
        };
        let found = Fingerprint::of(&leaf);
        if found == look.claim.leaf.sha256 {
            Ok(())
        } else if Some(&found) == look.claim.previous.as_ref() {
            failure(Code::OldLeaf, "the previous certificate is served")
        } else {
            failure(Code::OtherLeaf, "another certificate is served")
        }
    }
}

impl Prover for Eyes {
    fn until_steady<'a>(&'a self, look: Look<'a>) -> BoxFuture<'a, Result<(), Failure>> {
        self.limits.lock().expect("limits").push(look.deadline);
        Box::pin(async move { self.see(&look) })
    }

    fn once<'a>(&'a self, look: Look<'a>) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move { self.see(&look) })
    }
}
