//! Asking the services of a rollout, rank after rank, and what they answered.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use futures_util::future::join_all;

use super::next::{Refusal, Seen};
use super::{Answers, Reads, Rollout};
use crate::config::service::{Deployed, Question, Rank, Reply, Service, ServiceId, ServiceState};
use crate::io::process;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::steps::flow::Context;
use crate::steps::flow::task::Task;
use crate::steps::service;
use crate::steps::swap::Staged;

/// A service and what it is to read.
struct Turn {
    service: Arc<dyn Service>,
    deployed: Vec<Deployed>,
}

impl Rollout<'_, '_> {
    /// Asks every service of these certificates once: rank after rank, those of one rank at the same time. A rank begins when the one before
    /// has ended, proofs of its drivers included.
    pub(super) async fn ask(&mut self, who: &[usize], reads: Reads) -> Answers {
        let mut ranks: BTreeMap<Rank, Vec<Turn>> = BTreeMap::new();
        for (id, turn) in self.turns(who, reads) {
            // Who was left alone with its new files has nothing to be told of the old ones.
            if reads == Reads::New || self.asked.contains(&id) {
                ranks.entry(turn.service.rank()).or_default().push(turn);
            }
        }
        let (context, mut answers) = (self.context, Answers::new());
        while let Some((_, turns)) = ranks.pop_first() {
            let asked = turns.into_iter().map(|Turn { service, deployed }| async move {
                let waits = if reads == Reads::New { context.waits(service.as_ref()) } else { None };
                let reply = match waits {
                    Some(failure) => Err(failure),
                    None => ask_one(context, service.as_ref(), &deployed).await,
                };
                (service.id(), reply)
            });
            let mut replies: Answers = join_all(asked).await.into_iter().collect();
            if reads == Reads::New {
                if !ranks.is_empty() {
                    self.prove_early(who, &mut replies).await;
                }
                self.note(&replies);
            }
            answers.extend(replies);
        }
        answers
    }

    /// The services of these certificates, each with all that it is to read.
    fn turns(&mut self, who: &[usize], reads: Reads) -> BTreeMap<ServiceId, Turn> {
        let mut turns: BTreeMap<ServiceId, Turn> = BTreeMap::new();
        for number in who {
            let Some(entry) = self.entry(*number) else { continue };
            if !entry.task.services.is_empty() {
                entry.task.journal.reach(Stage::Reload);
            }
            entry.shown.clear();
            let deployed = entry.deployed(reads);
            for service in &entry.task.services {
                let turn = turns.entry(service.id()).or_insert_with(|| Turn { service: service.clone(), deployed: Vec::new() });
                turn.deployed.extend(deployed.clone());
            }
        }
        turns
    }

    /// Lets drivers prove what services of a later rank have to wait for. A proof that fails is a refusal.
    async fn prove_early(&mut self, who: &[usize], replies: &mut Answers) {
        for number in who {
            let Some(entry) = self.entry(*number) else { continue };
            let Some(deployed) = entry.deployed(Reads::New) else { continue };
            for service in entry.task.services.clone() {
                let id = service.id();
                let Some(Ok(Reply::Done(done))) = replies.get(&id) else { continue };
                match service.prove(&Question { deployed: &deployed, before: &done.before }).await {
                    Ok(shown) => drop(entry.shown.insert(id, shown)),
                    Err(failure) => drop(replies.insert(id, Err(failure))),
                }
            }
        }
    }

    /// Remembers who was asked, and who refused.
    fn note(&mut self, replies: &Answers) {
        for (id, reply) in replies {
            match reply {
                Err(failure) if failure.code == Code::WaitsFor => continue,
                Err(_) => self.context.has_failed(id),
                Ok(_) => {}
            }
            self.asked.insert(id.clone());
        }
    }

    /// Remembers that the services of a certificate are not proven.
    pub(super) fn has_failed(&mut self, number: usize) {
        let context = self.context;
        if let Some(entry) = self.entry(number) {
            entry.task.services.iter().for_each(|service| context.has_failed(&service.id()));
        }
    }

    /// Takes down what a certificate's services answered.
    pub(super) fn see_answers(&mut self, number: usize, answers: &Answers) {
        let Some(entry) = self.entry(number) else { return };
        let (mut stopped, mut warnings, mut refused, mut before) = (Vec::new(), Vec::new(), None, BTreeMap::new());
        for service in &entry.task.services {
            match answers.get(&service.id()) {
                Some(Ok(Reply::Done(done))) => {
                    warnings.extend(done.warnings.iter().cloned());
                    before.insert(service.id(), done.before.clone());
                }
                Some(Ok(Reply::Stopped)) => stopped.push(service.name()),
                // Why one was left alone says less than why the other refused.
                Some(Err(failure)) => {
                    refused = refused.filter(|first: &Failure| first.code != Code::WaitsFor).or_else(|| Some(failure.clone()))
                }
                None => {}
            }
        }
        let seen = if refused.is_some() { Seen::Refused } else { Seen::Asked };
        if refused.is_none() {
            entry.task.journal.add_warnings(warnings);
        }
        (entry.stopped, entry.before) = (stopped, before);
        entry.failure = refused;
        if let Some(member) = self.members.get_mut(number) {
            member.seen = seen;
            if seen == Seen::Refused {
                member.refusal = member.refusal.max(Refusal::Together);
            }
        }
    }
}

/// Asks one service to read its files again. One that has failed gets one start in a run, whatever is tried after that; one that we have
/// started anew in this run is started again, whatever became of it.
async fn ask_one(context: &Context<'_>, service: &dyn Service, deployed: &[Deployed]) -> Result<Reply, Failure> {
    let ran = || context.ran.lock().unwrap_or_else(PoisonError::into_inner);
    if service.restarts() && ran().contains(&service.id()) {
        return service.ask(deployed).await;
    }
    let state = service.state().await?;
    if state == ServiceState::Running {
        ran().insert(service.id());
    }
    let is_first = || context.started.lock().unwrap_or_else(PoisonError::into_inner).insert(service.id());
    let had_its_start = match state {
        ServiceState::Failed => !is_first(),
        ServiceState::Stopped => !service.wants_start() && context.has_not_stayed(service).await?,
        ServiceState::Running => false,
    };
    if had_its_start {
        let text = format!("{} had its one start in this run and has ended again", service.name());
        return Err(Failure::new(Stage::Reload, Code::ReloadFailed, text).hint("its own log says why"));
    }
    if state == ServiceState::Failed || (state == ServiceState::Stopped && service.wants_start()) {
        context.starts(service);
    }
    service::ask_or_start(service, state, deployed).await
}

/// Lets the program of `before` look at what is about to be published.
pub(super) async fn before(task: &Task<'_>, staged: &Staged) -> Result<(), Failure> {
    let Some(program) = &task.certificate().before else { return Ok(()) };
    let refused = |text: String| {
        Failure::new(Stage::Publish, Code::HookRefused, text)
            .hint("it decides by its exit code, 0 for yes; what it said is in the log; the next run asks it again")
    };
    let path = program.path.display();
    let deployed = task.deployed(staged.generation(), staged.facts());
    let ended = process::exec(program, &deployed.variables(), b"").await.map_err(|why| refused(why.to_string()))?;
    if ended.code == Some(0) {
        return Ok(());
    }
    Err(refused(format!("{path} refused {} with {}: {}", deployed.generation, ended.how(), ended.said())))
}
