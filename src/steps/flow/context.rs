//! What all certificates of a run share.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, watch};

use super::block;
use super::ending::Ending;
use super::first_lists::FirstLists;
use super::world::World;
use crate::config::service::{Service, ServiceId};
use crate::config::settings::Settings;
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::report::Watch;
use crate::plan::trust::reads_intermediates;
use crate::steps::run::Run;
use crate::steps::swap::{Announced, Trees, disk_failure};

/// Certificates that are issued at a time.
const AT_A_TIME: usize = 8;
/// Certificates that are looked for on the wire at a time: each look is a socket.
const LOOKS_AT_A_TIME: usize = 32;

/// What all certificates of a run share.
pub(super) struct Context<'a> {
    pub(super) settings: Arc<Settings>,
    pub(super) trees: Arc<Trees>,
    pub(super) world: &'a World<'a>,
    pub(super) run: &'a Run,
    pub(super) clock: Clock,
    pub(super) watch: &'a dyn Watch,
    pub(super) ending: &'a Ending,
    /// Certificates that may be issued.
    pub(super) permits: Semaphore,
    /// Certificates that may be looked for.
    pub(super) looks: Semaphore,
    /// Failed services that had their one start.
    pub(super) started: Mutex<BTreeSet<ServiceId>>,
    /// Services that did not run and were started, for whatever reason.
    begun: Mutex<BTreeSet<ServiceId>>,
    /// Services that are started anew to read their files, and that ran when they were first asked.
    pub(super) ran: Mutex<BTreeSet<ServiceId>>,
    /// The drivers of services that refused their files, or were not proven.
    failed: Mutex<BTreeSet<&'static str>>,
    /// Groups of which not all certificates are prepared yet.
    unprepared: watch::Sender<usize>,
    /// Whether consumers of a certificate read the intermediates of all.
    shares_intermediates: bool,
    /// The chains that are about to be published.
    announced: Mutex<Vec<Announced>>,
    /// Revocation lists that consumers have none of.
    pub(super) first_lists: FirstLists,
}

impl<'a> Context<'a> {
    pub(super) fn new(trees: &Arc<Trees>, world: &'a World<'a>, run: &'a Run) -> Self {
        Self {
            settings: trees.settings().clone(),
            trees: trees.clone(),
            world,
            run,
            clock: world.clock,
            watch: world.watch,
            ending: &world.ending,
            permits: Semaphore::new(AT_A_TIME),
            looks: Semaphore::new(LOOKS_AT_A_TIME),
            started: Mutex::default(),
            begun: Mutex::default(),
            ran: Mutex::default(),
            failed: Mutex::default(),
            unprepared: watch::Sender::new(0),
            shares_intermediates: trees.settings().certificates.iter().any(reads_intermediates),
            announced: Mutex::default(),
            first_lists: FirstLists::new(trees),
        }
    }

    /// So many groups are prepared from here on.
    pub(super) fn prepares(&self, groups: usize) {
        self.unprepared.send_replace(groups);
    }

    /// A group is prepared: its chains are known. Where consumers read the intermediates of all certificates, it waits for the other groups:
    /// what is written once, before anything is published, need not be read a second time.
    pub(super) async fn prepared(&self, chains: impl Iterator<Item = Announced>) {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner).extend(chains);
        self.unprepared.send_modify(|groups| *groups = groups.saturating_sub(1));
        if self.shares_intermediates {
            // An error would mean that there is nobody left to wait for.
            self.unprepared.subscribe().wait_for(|groups| *groups == 0).await.ok();
        }
    }

    /// Lets consumers find what the chains of this run need, before they are published: intermediates, and the
    /// first revocation lists.
    ///
    /// # Errors
    /// Stage `publish`: a file cannot be written.
    pub(super) async fn announce(&self) -> Result<(), Failure> {
        let (trees, chains) = (self.trees.clone(), self.announced.lock().unwrap_or_else(PoisonError::into_inner).clone());
        block(Stage::Publish, move || trees.announce(chains.into_iter()).map_err(|why| disk_failure(Stage::Publish, &why))).await?;
        self.first_lists.fetch(&self.trees, &self.world.gate, self.clock).await
    }

    /// Notes that a service has failed, for those that wait for its like.
    pub(super) fn has_failed(&self, service: &ServiceId) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).insert(service.driver());
    }

    /// Notes that a service is started that did not run.
    pub(super) fn starts(&self, service: &dyn Service) {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(service.id());
    }

    /// Whether a stopped service was not stopped by somebody: it was started in this run and has ended, which it was not meant to.
    ///
    /// # Errors
    /// Nobody can say what it was meant to.
    pub(super) async fn has_not_stayed(&self, stopped: &dyn Service) -> Result<bool, Failure> {
        let is_begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner).contains(&stopped.id());
        Ok(is_begun && !stopped.is_oneshot().await?)
    }

    /// Why a service is not asked in this run, where one that it needs has failed.
    pub(super) fn waits(&self, service: &dyn Service) -> Option<Failure> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let other = service.waits_for().iter().find(|driver| failed.contains(*driver))?;
        let text = format!("{} is left alone, since a service of driver {other} has failed in this run", service.name());
        Some(Failure::new(Stage::Reload, Code::WaitsFor, text).hint(format!("mend that one; {} takes its turn then", service.name())))
    }
}
