//! A run: the one place that knows the whole order of the steps.
//!
//! ```text
//! planning: inventory → decide → open the keys that a plan publishes → Due
//!    Due → Task ─prepare: attest → key → issue → validate → keep → stage→ Staged
//!       ─rollout: publish → ask → prove → commit, or back→ End ─Journal::finish→ state, report, ledger line
//! ```
//! Planning decides what is done; after that only the rollout decides, by what services answered. Certificates that share a service, directly
//! or through others, form a group: they are prepared side by side and rolled out together, so that each service is asked once. Groups wait
//! for each other only for a turn: so many certificates are issued, and looked for, at a time.

mod context;
mod end;
pub(in crate::steps) mod faulty;
pub mod ending;
mod first_lists;
mod before;
mod groups;
mod journal;
mod planning;
mod prepare;
mod remember;
mod revocation;
mod rollout;
mod task;
pub mod world;
mod writing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

pub(in crate::steps) use before::describe_leaf;
pub(in crate::steps) use end::End;
pub(in crate::steps) use journal::Journal;
pub(in crate::steps) use planning::collect_sealing_keys;

use self::before::report_of;
use self::context::Context;
use self::groups::Ranks;
use self::planning::{Found, Looked, Planned, Untidy, clean_sealing_keys};
use self::prepare::Prepared;
use self::revocation::Numbered;
use self::task::{Task, lost};
use self::world::World;
use super::issue::RefusedKey;
use super::run::{Begun, Command, Run, runtime};
use super::swap::{Announced, Staged, Trees, disk_failure};
use crate::config::settings::{Certificate, Settings};
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::entry::Outcome;
use crate::model::failure::{Failure, Stage, Warning};
use crate::model::name::CertName;
use crate::model::report::{CertReport, Report};
use crate::model::working::Working;
use crate::plan::choice::Plan;
use crate::plan::decide::{Decision, Wishes};
use crate::plan::inventory::Tree;
use crate::plan::window::Hold;

/// What `renew` was asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// These certificates; empty: all.
    pub names: Vec<CertName>,
    /// What a person asked for beside what the settings say.
    pub wishes: Wishes,
    /// How long to wait for another run's lock.
    pub wait: Duration,
}

/// A certificate, what is to be done about it, and what that was decided from.
pub(in crate::steps) struct Due<'a> {
    pub(in crate::steps) certificate: &'a Certificate,
    pub(in crate::steps) decision: Decision,
    pub(in crate::steps) tree: Tree,
    /// What the planning stage found out on the way.
    pub(in crate::steps) warnings: Vec<Warning>,
}

impl<'a> Due<'a> {
    fn new(certificate: &'a Certificate, decision: Decision, tree: Tree) -> Self {
        let mut warnings = match &decision.hold {
            Hold::Overridden(why) => vec![Warning::new(Code::WindowOverridden, format!("renewed outside of its windows: {why}"))],
            Hold::None | Hold::Until(_) => Vec::new(),
        };
        warnings.extend(tree.refused_key().map(|refused| Warning::new(refused.failure.code, refused.failure.text.clone())));
        Self { certificate, decision, tree, warnings }
    }
}

/// Renews what is due.
#[must_use]
pub fn renew(settings: &Arc<Settings>, request: &Request, world: &World<'_>) -> Report {
    let run = match Run::begin(Command::Renew, settings, request.wait, world.clock) {
        Begun::Run(run) if request.names.is_empty() => run,
        Begun::Run(run) => Box::new(run.of_some()),
        Begun::Report(report) => return *report,
    };
    let is_wanted = |c: &&Certificate| request.names.is_empty() || request.names.contains(c.name());
    let wanted: Vec<&Certificate> = settings.certificates.iter().filter(is_wanted).collect();
    let now = world.clock.now();
    let unasked = if request.wishes.check_revoked { revocation::check(settings, &wanted, world, &run) } else { None };
    let unknown = |certificate: &Certificate| CertReport::new(certificate.name().clone(), Outcome::Failed);
    let Looked { host, found, mut unlisted } = match planning::look(settings, &wanted, request.wishes, &run, &world.gate) {
        Ok(found) => found,
        Err(why) => {
            let failure = disk_failure(Stage::Plan, &why);
            let all = wanted.iter().map(|certificate| run.failed(unknown(certificate), failure.clone())).collect();
            return run.end(all);
        }
    };
    let (mut due, mut reports, mut untidy) = (Vec::new(), BTreeMap::new(), Vec::new());
    for (found, certificate) in found.into_iter().zip(&wanted) {
        match found {
            Found::Unreadable(why) => {
                reports.insert(certificate.name().clone(), run.failed(unknown(certificate), disk_failure(Stage::Plan, &why)));
            }
            Found::Newer { report, failure } => {
                reports.insert(certificate.name().clone(), run.failed(*report, *failure));
            }
            Found::Due { decision, tree } => due.push(Due::new(certificate, *decision, *tree)),
            Found::Waits(report) => {
                world.watch.finished(&report);
                reports.insert(certificate.name().clone(), *report);
            }
            Found::Rests { report, has_leftovers, has_failed, unmarked } => {
                if has_failed {
                    run.outlive(&report.name, |_| true);
                }
                let is_untidy = has_leftovers || host.half_made || !unmarked.is_empty();
                untidy.extend(is_untidy.then(|| Untidy { name: certificate.name(), unmarked }));
                reports.insert(certificate.name().clone(), *report);
            }
        }
    }
    unlisted.extend(planning::tidy_up(settings, &untidy));
    // A run that does something collects them at its end.
    if host.sealing.leftovers || (due.is_empty() && host.sealing.are_several()) {
        clean_sealing_keys(settings);
    }
    if !due.is_empty() {
        let due = with_refused_identity(settings, &wanted, due, &Asked { now, wishes: request.wishes, world });
        let resting = reports.values().filter(|_| !request.wishes.check_revoked).filter_map(Numbered::resting).collect::<Vec<_>>();
        let (ended, removed) = renew_due(settings, &Asked { now, wishes: request.wishes, world }, &run, due, &resting);
        unlisted.extend(removed);
        reports.extend(ended.into_iter().map(|report| (report.name.clone(), report)));
        remember::remember(settings, &wanted, &run);
    }
    let told = |certificate: &&Certificate| reports.remove(certificate.name()).unwrap_or_else(|| run.failed(unknown(certificate), lost()));
    let mut reports: Vec<CertReport> = wanted.iter().map(told).collect();
    reports.iter_mut().for_each(|report| report.warnings.extend(unlisted.iter().chain(&unasked).cloned()));
    reports.extend(if request.names.is_empty() { faulty::all(&run, settings) } else { faulty::named(&run, settings, &request.names) });
    run.end(reports)
}

/// What a run was asked for, when and where.
struct Asked<'a> {
    now: Time,
    wishes: Wishes,
    world: &'a World<'a>,
}

/// The same with the certificates of logins whose keys would not sign what is due.
fn with_refused_identity<'a>(settings: &Settings, wanted: &[&'a Certificate], mut due: Vec<Due<'a>>, asked: &Asked<'_>) -> Vec<Due<'a>> {
    if due.iter().any(|due| matches!(due.decision.plan, Plan::Issue(_))) {
        let is_due = |name: &CertName| due.iter().any(|due| due.certificate.name() == name);
        let resting: Vec<_> = wanted.iter().filter(|one| settings.is_identity(one.name()) && !is_due(one.name())).copied().collect();
        let refused = |one| planning::refused(settings, one, asked.now, asked.wishes, &asked.world.stores);
        due.extend(resting.into_iter().filter_map(refused));
    }
    due
}

/// What became of what was due, and what there is to say of all certificates.
fn renew_due(
    settings: &Arc<Settings>,
    asked: &Asked<'_>,
    run: &Run,
    due: Vec<Due<'_>>,
    resting: &[Numbered],
) -> (Vec<CertReport>, Vec<Warning>) {
    let Asked { now, wishes, world } = *asked;
    let trees = match Trees::open_with(settings, world.stores.clone()) {
        Ok(trees) => trees,
        Err(failure) => {
            let failed = due.iter().map(|due| run.failed(report_of(&due.decision, &due.tree), failure.clone()));
            return (failed.collect(), Vec::new());
        }
    };
    let Planned { due, mut ended } = planning::with_keys(&trees, run, now, wishes, due);
    ended.extend(act_beside(&trees, world, run, due, resting));
    collect_sealing_keys(&trees);
    (ended, trees.removed_lists())
}

/// Carries out what was planned. Only from here on is there a runtime, a network and whatever else a run needs.
pub(in crate::steps) fn act(trees: &Arc<Trees>, world: &World<'_>, run: &Run, due: Vec<Due<'_>>) -> Vec<CertReport> {
    act_beside(trees, world, run, due, &[])
}

/// The same beside certificates with nothing to do (`resting`), of which the authority is asked only whether it has revoked them.
fn act_beside(trees: &Arc<Trees>, world: &World<'_>, run: &Run, due: Vec<Due<'_>>, resting: &[Numbered]) -> Vec<CertReport> {
    if due.is_empty() {
        return Vec::new();
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(failure) => return due.iter().map(|due| run.failed(report_of(&due.decision, &due.tree), failure.clone())).collect(),
    };
    let signs = |due: &&Due<'_>| matches!(due.decision.plan, Plan::Issue(_));
    let certificates: Vec<String> = due.iter().filter(signs).map(|due| due.certificate.name().to_string()).collect();
    if !certificates.is_empty() {
        trees.begins_work(&Working { since: world.clock.now(), certificates });
    }
    let ended = runtime.block_on(all(Context::new(trees, world, run), due, resting));
    world.close_tpm();
    trees.ends_work();
    // What was announced and not deployed is no part of what consumers are to trust.
    if let Err(why) = trees.settle_trust() {
        tracing::warn!(%why, "what consumers are to trust was not written");
    }
    // A blocked name resolution must not hold up the end of a run.
    runtime.shutdown_timeout(Duration::from_millis(100));
    ended
}

async fn all(context: Context<'_>, due: Vec<Due<'_>>, resting: &[Numbered]) -> Vec<CertReport> {
    let mut ended = Vec::new();
    if due.iter().any(|due| matches!(due.decision.plan, Plan::Issue(_))) {
        context.world.gate.ask(context.clock).await;
    }
    // The certificate of a login comes before all that are signed by that login.
    let (identities, others): (Vec<_>, Vec<_>) = due.into_iter().partition(|due| context.settings.is_identity(due.certificate.name()));
    in_groups(&context, identities, &mut ended).await;
    in_groups(&context, others, &mut ended).await;
    revocation::replaced(&context, &mut ended).await;
    // Only where something was asked of the authority anyway.
    if ended.iter().any(|report| report.outcome == Outcome::Renewed)
        && let Err(why) = revocation::look_up(context.world, context.run, resting).await
    {
        tracing::warn!(%why, "whether certificates are revoked could not be asked");
    }
    // What the authority said about the run as a whole is said of every certificate that was asked for in it.
    context.run.note_logins(&context.world.issuer.logins().await);
    note_refused_keys(&context, &ended);
    let mut warnings = context.world.issuer.close().await;
    warnings.extend(context.first_lists.warnings().await);
    for report in ended.iter_mut().filter(|report| report.outcome != Outcome::NotDue) {
        report.warnings.extend_from_slice(&warnings);
    }
    ended
}

/// Keys that did not sign when this run was to log in by them are known not to, until their certificates are replaced.
fn note_refused_keys(context: &Context<'_>, ended: &[CertReport]) {
    let is_replaced = |name: &CertName| ended.iter().any(|report| report.name == *name && report.outcome == Outcome::Renewed);
    for RefusedKey { name, failure } in context.world.issuer.refused_keys().into_iter().filter(|refused| !is_replaced(&refused.name)) {
        context.run.note_refused_key(&name, failure);
    }
}

async fn in_groups(context: &Context<'_>, due: Vec<Due<'_>>, ended: &mut Vec<CertReport>) {
    let groups = groups::by_service(due);
    let ranks = Ranks::of(groups.iter().map(|group| groups::rank(group)));
    context.prepares(groups.len());
    let mut working: FuturesUnordered<_> = groups.into_iter().map(|group| together(context, group, &ranks)).collect();
    while let Some(group) = working.next().await {
        ended.extend(group);
    }
}

/// One group: its certificates are prepared side by side and rolled out together, once the groups of lower ranks have ended.
async fn together(context: &Context<'_>, group: Vec<Due<'_>>, ranks: &Ranks) -> Vec<CertReport> {
    let rank = groups::rank(&group);
    let mut preparing: FuturesUnordered<_> = group.into_iter().map(|due| prepare::prepare(context, due)).collect();
    let (mut staged, mut ended) = (Vec::new(), Vec::new());
    while let Some(prepared) = preparing.next().await {
        match prepared {
            Prepared::Staged(task, generation) => staged.push((*task, *generation)),
            Prepared::Ended(report) => ended.push(*report),
        }
    }
    let chain = |(task, generation): &(Task<'_>, Staged)| Announced { name: task.place.name().clone(), chain: generation.chain_pem() };
    context.prepared(staged.iter().map(chain)).await;
    ranks.turn_of(rank).await;
    ended.extend(rollout::roll_out(context, staged).await);
    ranks.over(rank);
    ended
}

/// Runs blocking disk work off the network's thread. A runtime that goes away, or a panic, ends it at the stage that it was to do.
async fn block<T: Send + 'static>(stage: Stage, work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|why| Err(Failure::new(stage, Code::Interrupted, format!("the run is ending: {why}"))))
}
