//! A rollout: the staged certificates of one group of services are published, their services asked and looked at, and committed or taken
//! back. What is done next is [`next`]'s to say; here it is carried out, one move after the other, until all have ended.

mod ask;
mod back;
mod look;
mod next;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;

use self::ask::before;
use self::look::{Wanted, look_one, put_fallback_back};
use self::next::{Member, Move, Refusal, Seen};
use super::end::End;
use super::task::Task;
use super::{Context, block};
use crate::config::service::{Deployed, Reply, Service, ServiceId, Shown};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::report::CertReport;
use crate::plan::links;
use crate::steps::commit::{commit, commit_unproven};
use crate::steps::prove::Proven;
use crate::steps::swap::{Published, Staged};

/// What each service answered when it was last asked.
type Answers = BTreeMap<ServiceId, Result<Reply, Failure>>;

/// A certificate of the rollout.
struct Entry<'a> {
    task: Task<'a>,
    holds: Holds,
    /// Why it goes, or stays without a proof.
    failure: Option<Failure>,
    /// Those of its services that were found stopped.
    stopped: Vec<String>,
    /// What the drivers of the others noted before they asked.
    before: BTreeMap<ServiceId, serde_json::Value>,
    /// What their own proofs came to that services of a later rank had to wait for.
    shown: BTreeMap<ServiceId, Shown>,
    /// Those of its services that were started again with its previous files.
    back: Vec<Restarted>,
}

/// A service that was started again with previous files.
struct Restarted {
    service: Arc<dyn Service>,
    reply: Result<Reply, Failure>,
}

/// Which of its generations a service is to read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    New,
    Fallback,
}

impl<'a> Entry<'a> {
    fn new(task: Task<'a>, published: Published) -> Self {
        let holds = Holds::Published(Box::new(published));
        Self { task, holds, failure: None, stopped: Vec::new(), before: BTreeMap::new(), shown: BTreeMap::new(), back: Vec::new() }
    }

    /// What a service is told of this certificate; nothing where the leaf is not known.
    fn deployed(&self, reads: Reads) -> Option<Deployed> {
        match (reads, &self.holds) {
            (Reads::New, Holds::Published(published)) => Some(self.task.deployed(published.generation(), published.facts())),
            (Reads::New, _) => None,
            (Reads::Fallback, _) => Some(self.task.deployed(self.task.plan.fallback()?, self.task.journal.fallback()?)),
        }
    }
}

/// How far a certificate has come; each step takes the value of the one before.
enum Holds {
    Published(Box<Published>),
    Proven(Box<Proven>),
    /// All of its services are stopped, as when it was committed: there is nothing to do.
    StillStopped,
    /// It is committed, and the state says so.
    Committed(Box<End>),
    /// Its value is with a step that is under way.
    Away,
}

/// What came of looking.
enum Looked {
    Proven(Box<Proven>),
    StillStopped,
    NotProven(Box<Published>, Failure),
}

struct Rollout<'c, 'a> {
    context: &'c Context<'a>,
    entries: Vec<Option<Entry<'a>>>,
    members: Vec<Member>,
    reports: Vec<CertReport>,
    /// The services that were asked to read new files.
    asked: BTreeSet<ServiceId>,
}

/// Rolls out what is staged, and gives the reports.
pub(super) async fn roll_out<'a>(context: &Context<'a>, staged: Vec<(Task<'a>, Staged)>) -> Vec<CertReport> {
    let mut rollout = Rollout { context, entries: Vec::new(), members: Vec::new(), reports: Vec::new(), asked: BTreeSet::new() };
    let trust = if staged.is_empty() { Ok(()) } else { context.announce().await };
    for (task, staged) in staged {
        match &trust {
            Ok(()) => rollout.publish(task, staged).await,
            Err(failure) => {
                let end = End::Failed { failure: failure.clone(), waits: Some(staged.generation()) };
                rollout.reports.push(task.finish(end).await);
            }
        }
    }
    let all: Vec<usize> = (0..rollout.entries.len()).collect();
    let answers = rollout.ask(&all, Reads::New).await;
    for number in all {
        rollout.see_answers(number, &answers);
    }
    while let Some(step) = next::next(&rollout.members) {
        rollout.carry_out(step).await;
    }
    rollout.reports
}

impl<'a> Rollout<'_, 'a> {
    async fn publish(&mut self, mut task: Task<'a>, staged: Staged) {
        let generation = staged.generation();
        if let Some(failure) = task.services.iter().find_map(|service| self.context.waits(service.as_ref())) {
            return self.reports.push(task.finish(End::Failed { failure, waits: Some(generation) }).await);
        }
        task.journal.reach(Stage::Publish);
        if let Err(failure) = before(&task, &staged).await {
            return self.reports.push(task.finish(End::Failed { failure, waits: Some(generation) }).await);
        }
        match block(Stage::Publish, move || Published::new(staged).map_err(|why| why.1)).await {
            Ok(published) => {
                task.journal.add_warnings(published.warnings().iter().cloned());
                if let Some(text) = links::missing(&self.context.settings, task.certificate()) {
                    return self.not_installed(task, published, &text).await;
                }
                self.members.push(Member {
                    seen: Seen::Asked,
                    has_fallback: task.plan.fallback().is_some(),
                    services: task.services.iter().map(|service| service.id()).collect(),
                    refusal: Refusal::None,
                });
                self.entries.push(Some(Entry::new(task, published)));
            }
            Err(failure) => {
                put_fallback_back(self.context, &mut task).await;
                self.reports.push(task.finish(End::Failed { failure, waits: Some(generation) }).await);
            }
        }
    }

    async fn carry_out(&mut self, step: Move) {
        match step {
            Move::Look(who) => self.look(&who).await,
            Move::Commit(who) => {
                for number in who {
                    self.commit(number).await;
                }
            }
            Move::Stay(who) => {
                for number in who {
                    self.stay(number).await;
                }
            }
            Move::Revert(who) => self.revert(&who).await,
            Move::TryAlone(number) => self.try_alone(number).await,
            Move::EndBack(who) => self.end_back(&who).await,
            Move::LookAgain(who) => self.look_again(&who).await,
            Move::End(who) => {
                for number in who {
                    self.end(number, None).await;
                }
            }
        }
    }

    fn see(&mut self, number: usize, seen: Seen) {
        if let Some(member) = self.members.get_mut(number) {
            member.seen = seen;
        }
    }

    fn entry(&mut self, number: usize) -> Option<&mut Entry<'a>> {
        self.entries.get_mut(number)?.as_mut()
    }

    fn holds(&mut self, number: usize) -> Holds {
        self.entry(number).map_or(Holds::Away, |entry| std::mem::replace(&mut entry.holds, Holds::Away))
    }

    async fn look(&mut self, who: &[usize]) {
        let context = self.context;
        let mut looks = Vec::new();
        for number in who {
            let Some(published) = self.published(*number).await else { continue };
            let Some(entry) = self.entry(*number) else { continue };
            let wanted = Wanted::of(entry, &published, context.clock);
            if !wanted.are_all_stopped() {
                entry.task.journal.reach(Stage::Verify);
            }
            looks.push(async move { (*number, look_one(context, *published, wanted).await) });
        }
        for (number, looked) in join_all(looks).await {
            if let Looked::NotProven(_, failure) = &looked {
                self.has_failed(number);
                // Sealed it serves the new certificate, and no older one would unseal it.
                if failure.code == Code::SealedByReload
                    && let Some(member) = self.members.get_mut(number)
                {
                    member.has_fallback = false;
                }
            }
            let (seen, holds, failure) = match looked {
                Looked::Proven(proven) => (Seen::Proven, Holds::Proven(proven), None),
                Looked::StillStopped => (Seen::Proven, Holds::StillStopped, None),
                Looked::NotProven(published, failure) => (Seen::NotProven, Holds::Published(published), Some(failure)),
            };
            if let Some(entry) = self.entry(number) {
                entry.holds = holds;
                entry.failure = failure;
            }
            self.see(number, seen);
        }
    }

    /// Commits what is proven. With `note` its state is on the disk; its line in the ledger is written at `Move::End`, once no service of it can
    /// be asked any more for others.
    async fn commit(&mut self, number: usize) {
        let proven = match self.holds(number) {
            Holds::Proven(proven) => {
                if let Some(entry) = self.entry(number) {
                    entry.task.journal.add_warnings(proven.warnings().iter().cloned());
                }
                proven
            }
            Holds::StillStopped => return self.finish(number, End::StillStopped).await,
            _ => return self.lost(number).await,
        };
        let generation = proven.published().generation();
        match block(Stage::Commit, move || commit(&proven)).await {
            Ok(committed) => {
                if let Some(entry) = self.entry(number) {
                    let stopped = std::mem::take(&mut entry.stopped);
                    let end = entry.task.note(End::Committed { committed: Box::new(committed), stopped }).await;
                    entry.holds = Holds::Committed(Box::new(end));
                }
                self.see(number, Seen::Committed);
            }
            Err(failure) => self.finish(number, End::Failed { failure, waits: Some(generation) }).await,
        }
    }

    /// Commits what is not proven and has no fallback (`swap/ondisk.md`, "No fallback").
    async fn stay(&mut self, number: usize) {
        let Some(published) = self.published(number).await else { return };
        let failure = self.failure(number);
        let generation = published.generation();
        let end = match block(Stage::Commit, move || commit_unproven(&published)).await {
            Ok(committed) => End::Unproven { committed: Box::new(committed), failure },
            Err(failure) => End::Failed { failure, waits: Some(generation) },
        };
        self.finish(number, end).await;
    }

    /// Commits what is published, and asks nobody: consumers do not read these files yet, and none is disturbed for them.
    async fn not_installed(&mut self, mut task: Task<'a>, published: Published, missing: &str) {
        task.journal.warn(Code::NotInstalled, links::not_installed(missing));
        let generation = published.generation();
        let end = match block(Stage::Commit, move || commit_unproven(&published)).await {
            Ok(committed) => End::NotInstalled(Box::new(committed)),
            Err(failure) => End::Failed { failure, waits: Some(generation) },
        };
        self.reports.push(task.finish(end).await);
    }

    fn failure(&mut self, number: usize) -> Failure {
        let unknown = || Failure::new(Stage::Reload, Code::ReloadFailed, "its service refused the reload");
        self.entry(number).and_then(|entry| entry.failure.clone()).unwrap_or_else(unknown)
    }
}
