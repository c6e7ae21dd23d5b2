//! One certificate for which there is something to do: where it lies, what is planned, and its journal.

use std::sync::Arc;

use super::before::report_of;
use super::end::End;
use super::journal::Journal;
use super::{Context, Due, block};
use crate::config::service::{Deployed, Eyes, Service};
use crate::config::settings::Certificate;
use crate::judge::cert::Facts;
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::layout;
use crate::model::name::Generation;
use crate::model::report::CertReport;
use crate::plan::choice::{Issue, Plan, Settle, Why};
use crate::steps::run::interrupted;
use crate::steps::swap::Place;

/// A certificate on its way through a run.
pub(super) struct Task<'a> {
    pub(super) place: Arc<Place>,
    pub(super) plan: Plan,
    pub(super) journal: Journal<'a>,
    /// The services to ask: all of the settings, or those that were stopped when the generation was committed.
    pub(super) services: Vec<Arc<dyn Service>>,
    clock: Clock,
}

impl<'a> Task<'a> {
    /// Opens the place of a due certificate, and writes down how an earlier run ended that did not say so itself.
    ///
    /// # Errors
    /// The certificate as it was found, and why its part ends here.
    pub(super) async fn open(context: &Context<'a>, due: Due<'_>) -> Result<Self, (Box<CertReport>, Failure)> {
        let Due { decision, tree, warnings, .. } = due;
        let cut = interrupted(&tree, &decision.name, context.clock.now());
        let (trees, name) = (context.trees.clone(), decision.name.clone());
        let opened = block(Stage::Publish, move || Place::open(&trees, &name).map(Arc::new)).await;
        let place = match opened {
            Ok(place) => place,
            Err(failure) => {
                let mut report = report_of(&decision, &tree);
                report.warnings.extend(warnings);
                return Err((Box::new(report), failure));
            }
        };
        let stopped = tree.state.proven.as_ref().map_or_else(Vec::new, |proven| proven.stopped.clone());
        let services = services(place.certificate(), &decision.plan, &stopped);
        let mut journal = Journal::open(&place, report_of(&decision, &tree), tree, decision.plan.fallback(), context.run, context.watch);
        journal.add_warnings(warnings);
        if let Some(cut) = cut {
            context.run.note(&cut);
            journal.over();
        }
        Ok(Self { place, plan: decision.plan, journal, services, clock: context.clock })
    }

    pub(super) fn certificate(&self) -> &Certificate {
        self.place.certificate()
    }

    /// What a service is told that is asked to read this generation.
    pub(super) fn deployed(&self, generation: Generation, leaf: &Facts) -> Deployed {
        let settings = self.place.settings();
        Deployed {
            certificate: self.place.name().clone(),
            generation,
            directory: layout::run_generation(&settings.paths.run, self.place.name(), generation),
            leaf: leaf.clone(),
            reasons: self.journal.reasons().to_vec(),
            endpoints: self.certificate().verify.clone(),
            eyes: Eyes { roots: settings.anchor_ders(), clock: self.clock, credentials: settings.credentials.clone() },
        }
    }

    /// Ends the first task of a certificate, and gives the second one where the plan has it: what consumers were given back is brought to
    /// its services, although no new certificate came.
    ///
    /// # Errors
    /// Itself and the end, where there is no second one.
    pub(super) async fn otherwise(mut self, issue: &Issue, end: End) -> Result<(Self, Settle), Box<(Self, End)>> {
        let Some(second) = issue.otherwise.clone() else { return Err(Box::new((self, end))) };
        let end = self.note(end).await;
        self.plan = Plan::Settle(second.clone());
        self.journal.fall_short(end);
        Ok((self, second))
    }

    /// Ends with what the first task came to, where the second one did not begin.
    pub(super) async fn finish_short(mut self) -> CertReport {
        let end = self.journal.take_shortfall().unwrap_or_else(|| End::failed(lost()));
        self.finish(end).await
    }

    /// Leaves in the state what must not wait until the end.
    pub(super) async fn note(&mut self, end: End) -> End {
        self.journal.note(&self.plan, end).await
    }

    pub(super) async fn finish(self, end: End) -> CertReport {
        self.journal.finish(&self.plan, end).await
    }
}

/// A part whose value is not where it should be: it is told as a failure, never left out.
pub(super) fn lost() -> Failure {
    Failure::new(Stage::Commit, Code::Interrupted, "its part of the run was lost").hint("the next run settles it; please report this")
}

/// The services to ask for a certificate.
fn services(certificate: &Certificate, plan: &Plan, stopped: &[String]) -> Vec<Arc<dyn Service>> {
    let owed = matches!(plan, Plan::Settle(Settle { why: Why::ServiceStopped, .. })) && !stopped.is_empty();
    certificate.reload.iter().filter(|service| !owed || stopped.contains(&service.name())).cloned().collect()
}
