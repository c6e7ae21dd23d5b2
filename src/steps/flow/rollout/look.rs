//! Looking at one certificate, and giving consumers its fallback back: what the moves of a rollout are made of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::{Entry, Looked};
use crate::config::service::{Deployed, Service, ServiceId, Shown};
use crate::judge::cert::Facts;
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::plan::choice::{Plan, Settle, Why};
use crate::steps::flow::task::Task;
use crate::steps::flow::{Context, block};
use crate::steps::prove::{self, Asked, Claim};
use crate::steps::swap::{Place, Published, put_back};

/// Gives consumers the generation back that the plan falls back to, if there is one.
pub(super) async fn put_fallback_back(context: &Context<'_>, task: &mut Task<'_>) {
    let Some(generation) = task.plan.fallback() else { return };
    let (place, now) = (task.place.clone(), context.clock.now());
    match block(Stage::Publish, move || put_back(&place, generation, now)).await {
        Ok((_, warnings)) => task.journal.add_warnings(warnings),
        Err(why) => task.journal.warn(Code::NotPutBack, why.text),
    }
}

/// What is looked for.
pub(super) struct Wanted {
    place: Arc<Place>,
    services: Vec<Arc<dyn Service>>,
    stopped: Vec<String>,
    /// What the drivers of the others noted before they asked.
    before: BTreeMap<ServiceId, serde_json::Value>,
    /// What their own proofs have come to already.
    shown: BTreeMap<ServiceId, Shown>,
    deployed: Deployed,
    /// Until when the first look is put off ([`Service::lingers`]).
    linger_until: Instant,
    /// The leaf that consumers found at the start.
    previous: Option<Facts>,
    /// Whether nothing is to be noted where all services are still stopped.
    knows_stopped: bool,
}

impl Wanted {
    pub(super) fn of(entry: &Entry<'_>, published: &Published, clock: Clock) -> Self {
        let task = &entry.task;
        let asked = task.services.iter().filter(|service| entry.before.contains_key(&service.id()));
        let lingers = asked.map(|service| service.lingers()).max().unwrap_or_default();
        let knows_stopped = matches!(task.plan, Plan::Settle(Settle { why: Why::ServiceStopped, .. })) && !task.journal.has_shortfall();
        Self {
            place: task.place.clone(),
            services: task.services.clone(),
            stopped: entry.stopped.clone(),
            before: entry.before.clone(),
            shown: entry.shown.clone(),
            linger_until: clock.instant() + lingers,
            deployed: task.deployed(published.generation(), published.facts()),
            previous: task.journal.found().cloned(),
            knows_stopped,
        }
    }

    pub(super) fn are_all_stopped(&self) -> bool {
        !self.stopped.is_empty() && self.stopped.len() == self.services.len()
    }
}

/// Looks for the proof of one certificate.
pub(super) async fn look_one(context: &Context<'_>, published: Published, wanted: Wanted) -> Looked {
    let claim = Claim {
        certificate: wanted.place.certificate(),
        login: context.settings.is_identity(wanted.place.name()).then_some(context.world.issuer.as_ref()),
        anchors: context.settings.anchors(),
        leaf: published.facts().clone(),
        previous: wanted.previous.as_ref().map(|facts| facts.sha256.clone()),
        credentials: context.settings.credentials.as_deref(),
        clock: context.clock,
    };
    let prover = context.world.prover.as_ref();
    let looked = if wanted.are_all_stopped() {
        let is_certain = wanted.services.iter().all(|service| service.stopped_is_certain());
        prove::all_stopped(prover, published, &claim, is_certain).await
    } else {
        match context.looks.acquire().await {
            Ok(_permit) => {
                let asked = wanted.services.iter().filter_map(|service| Some((service, wanted.before.get(&service.id())?)));
                let shown = |service: &dyn Service| wanted.shown.get(&service.id()).cloned();
                let asked =
                    asked.map(|(service, before)| Asked { service: service.as_ref(), before, shown: shown(service.as_ref()) }).collect();
                let (linger_until, some_stopped) = (wanted.linger_until, !wanted.stopped.is_empty());
                let deployed = prove::Deployment { deployed: &wanted.deployed, asked, linger_until, some_stopped };
                prove::prove(prover, published, &claim, &deployed).await
            }
            Err(_) => Err(Box::new((published, is_ending()))),
        }
    };
    match looked {
        // Committed like that already: nothing happened, nothing is noted.
        Ok(proven)
            if wanted.are_all_stopped() && wanted.knows_stopped && wanted.place.committed() == Some(proven.published().generation()) =>
        {
            Looked::StillStopped
        }
        Ok(proven) => Looked::Proven(Box::new(proven)),
        Err(why) => Looked::NotProven(Box::new(why.0), why.1),
    }
}

/// Whether a generation is what the endpoints of a certificate serve, and its programs see in use.
pub(super) async fn serves(context: &Context<'_>, place: &Place, deployed: &Deployed) -> Result<(), Failure> {
    let _permit = context.looks.acquire().await.map_err(|_| is_ending())?;
    let claim = Claim {
        certificate: place.certificate(),
        login: None,
        anchors: context.settings.anchors(),
        leaf: deployed.leaf.clone(),
        previous: None,
        credentials: context.settings.credentials.as_deref(),
        clock: context.clock,
    };
    prove::serves(context.world.prover.as_ref(), &claim, deployed).await
}

fn is_ending() -> Failure {
    Failure::new(Stage::Verify, Code::Interrupted, "the run is ending")
}
