//! What all certificates of a run share.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use super::ending::Ending;
use super::world::World;
use crate::config::service::ServiceId;
use crate::config::settings::Settings;
use crate::model::clock::Clock;
use crate::model::report::Watch;
use crate::steps::run::Run;
use crate::steps::swap::Trees;

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
        }
    }
}
