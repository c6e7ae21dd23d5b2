//! The moves of a rollout that take back, try alone, look again and end.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;

use super::look::{put_fallback_back, serves};
use super::next::{Refusal, Seen};
use super::{Answers, Holds, Reads, Restarted, Rollout};
use crate::config::service::{Deployed, Question, Reply, Service, ServiceId, ServiceState};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::state::Proof;
use crate::steps::flow::end::End;
use crate::steps::flow::task::lost;
use crate::steps::flow::{Context, block};
use crate::steps::service::Life;
use crate::steps::swap::Published;

impl Rollout<'_, '_> {
    /// Publishes the fallbacks, and asks their services once. For those that go back the answers do not count: a revert is judged on the wire.
    /// A refused one without a fallback stays published: if every service of it was asked here, the new answers replace the refusal, since
    /// without the others it may be accepted.
    pub(super) async fn revert(&mut self, who: &[usize]) {
        let context = self.context;
        for number in who {
            if let Some(entry) = self.entry(*number) {
                put_fallback_back(context, &mut entry.task).await;
            }
        }
        let answers = self.ask(who, Reads::Fallback).await;
        for number in who {
            self.see(*number, Seen::Back);
            self.note_back(*number, &answers);
        }
        let asked: BTreeSet<ServiceId> = answers.keys().cloned().collect();
        for number in 0..self.members.len() {
            let Some(member) = self.members.get_mut(number) else { continue };
            match member.seen {
                Seen::Committed if !member.services.is_disjoint(&asked) => member.seen = Seen::CommittedInDoubt,
                Seen::Refused if member.services.is_subset(&asked) => {
                    // What stays is told by why it was refused first.
                    let first = self.entry(number).and_then(|entry| entry.failure.take());
                    self.see_answers(number, &answers);
                    if let Some(entry) = self.entry(number) {
                        entry.failure = first;
                    }
                }
                _ => {}
            }
        }
    }

    pub(super) async fn try_alone(&mut self, number: usize) {
        if let Some(member) = self.members.get_mut(number) {
            member.refusal = Refusal::TriedAlone;
        }
        let Some(published) = self.published(number).await else { return };
        let generation = published.generation();
        let (published, failure) = match block(Stage::Publish, move || Ok(published.again())).await {
            Ok(Ok(published)) => (published, None),
            Ok(Err(why)) => (why.0, Some(why.1)),
            Err(failure) => return self.finish(number, End::Failed { failure, waits: Some(generation) }).await,
        };
        if let Some(entry) = self.entry(number) {
            entry.holds = Holds::Published(Box::new(published));
        }
        if let Some(failure) = failure {
            if let Some(entry) = self.entry(number) {
                entry.failure = Some(failure);
            }
            return self.see(number, Seen::Refused);
        }
        let answers = self.ask(&[number], Reads::New).await;
        self.see_answers(number, &answers);
    }

    /// Looks whether the previous certificates serve again; with that their part ends.
    pub(super) async fn end_back(&mut self, who: &[usize]) {
        let context = self.context;
        let mut looks = Vec::new();
        for number in who {
            let Some(published) = self.published(*number).await else { continue };
            let (failure, generation) = (self.failure(*number), published.generation());
            let Some(entry) = self.entry(*number) else { continue };
            // Why it went back is on the disk before its service is waited for.
            let end = entry.task.note(End::Back { failure, generation, unseen: None }).await;
            let place = entry.task.place.clone();
            let restarted = std::mem::take(&mut entry.back);
            let deployed = entry.deployed(Reads::Fallback);
            let services = entry.task.services.clone();
            looks.push(async move {
                let Some(deployed) = deployed else { return (*number, end, None, None) };
                let unseen = serves(context, &place, &deployed).await.err();
                let (unseen, failed) = match standing(context, &services).await {
                    Standing::Stands => (unseen, None),
                    // Whatever was seen on the wire, nobody can say that it is this service's.
                    Standing::Unknown(why) => (unseen.or(Some(why)), None),
                    Standing::Failed(why) => (unseen.or_else(|| Some(why.clone())), Some(why)),
                };
                let down = is_down(&restarted, &deployed, unseen.as_ref()).await.or(failed);
                (*number, end, unseen, down)
            });
        }
        for (number, end, unseen, down) in join_all(looks).await {
            let end = match (end, down) {
                (End::Back { failure, generation, .. }, Some(down)) => {
                    let text = format!("{}; the new ones: {}", down.text, failure.text);
                    End::Back { failure: Failure { text, ..down }, generation, unseen }
                }
                (End::Back { failure, generation, .. }, None) => End::Back { failure, generation, unseen },
                (other, _) => other,
            };
            self.finish(number, end).await;
        }
    }

    /// Notes which services of a certificate were started again with its previous files.
    fn note_back(&mut self, number: usize, answers: &Answers) {
        let Some(entry) = self.entry(number) else { return };
        let services = entry.task.services.iter().filter(|service| service.restarts());
        entry.back = services
            .filter_map(|service| Some(Restarted { service: service.clone(), reply: answers.get(&service.id())?.clone() }))
            .collect();
    }

    /// Looks once more at what was proven before one of its services was asked again.
    pub(super) async fn look_again(&mut self, who: &[usize]) {
        let context = self.context;
        let mut looks = Vec::new();
        for number in who {
            let Some(entry) = self.entry(*number) else { continue };
            let committed = match &entry.holds {
                Holds::Committed(end) => end.committed().filter(|committed| committed.proof() == Proof::Served),
                _ => None,
            };
            let deployed = committed.map(|committed| entry.task.deployed(committed.generation(), committed.facts()));
            let place = entry.task.place.clone();
            looks.push(async move {
                let lost = match deployed {
                    Some(deployed) => serves(context, &place, &deployed).await.err(),
                    None => None,
                };
                (*number, lost)
            });
        }
        for (number, lost) in join_all(looks).await {
            self.end(number, lost).await;
        }
    }

    /// Ends the part of a certificate that is committed; `lost`: its proof does not hold any more.
    pub(super) async fn end(&mut self, number: usize, lost: Option<Failure>) {
        let Holds::Committed(end) = self.holds(number) else { return self.lost(number).await };
        let end = match (*end, lost) {
            (End::Committed { committed, .. }, Some(failure)) => End::ProofLost { committed, failure },
            (end, _) => end,
        };
        self.finish(number, end).await;
    }

    pub(super) async fn finish(&mut self, number: usize, end: End) {
        self.see(number, Seen::Ended);
        if let Some(entry) = self.entries.get_mut(number).and_then(Option::take) {
            self.reports.push(entry.task.finish(end).await);
        }
    }

    /// The published generation of a certificate; one that holds none is lost, and said to be.
    pub(super) async fn published(&mut self, number: usize) -> Option<Box<Published>> {
        match self.holds(number) {
            Holds::Published(published) => Some(published),
            _ => {
                self.lost(number).await;
                None
            }
        }
    }

    /// Ends a certificate that is not where the moves say.
    pub(super) async fn lost(&mut self, number: usize) {
        self.finish(number, End::failed(lost())).await;
    }
}

/// What is known of the services of a certificate that went back.
enum Standing {
    /// None of them is down.
    Stands,
    /// One of them cannot be asked about.
    Unknown(Failure),
    /// One of them is down: whatever it read last, it is not in use.
    Failed(Failure),
}

async fn standing(context: &Context<'_>, services: &[Arc<dyn Service>]) -> Standing {
    let mut standing = Standing::Stands;
    for service in services {
        match service.state().await {
            Ok(ServiceState::Failed) => return Standing::Failed(down(service.as_ref(), "it has failed")),
            Ok(ServiceState::Running) => {}
            Ok(ServiceState::Stopped) => match context.has_not_stayed(service.as_ref()).await {
                Ok(true) => return Standing::Failed(down(service.as_ref(), "it was started and has ended")),
                Ok(false) => {}
                Err(why) => standing = Standing::Unknown(why),
            },
            Err(why) => standing = Standing::Unknown(why),
        }
    }
    standing
}

fn down(service: &dyn Service, why: &str) -> Failure {
    let text = format!("{} does not run with its previous files either: {why}", service.name());
    Failure::new(Stage::Reload, Code::ServiceDown, text).hint("its own log says why; start it by hand once that is mended")
}

/// The first of these services that does not run with its previous files either. Where those were not seen on the wire, there is no need to
/// wait for what its driver has to say.
async fn is_down(restarted: &[Restarted], deployed: &Deployed, unseen: Option<&Failure>) -> Option<Failure> {
    for Restarted { service, reply } in restarted {
        let why = match reply {
            Ok(Reply::Done(_)) if unseen.is_some() => unseen.cloned(),
            Ok(Reply::Done(done)) => {
                // What was noted of others before the restart is not asked for again.
                let before = Life::alone(&done.before);
                service.prove(&Question { deployed, before: &before }).await.err()
            }
            Ok(Reply::Stopped) => None,
            Err(failure) => Some(failure.clone()),
        };
        let Some(why) = why else { continue };
        if why.code == Code::NotRunning || service.state().await != Ok(ServiceState::Running) {
            return Some(down(service.as_ref(), &why.text));
        }
    }
    None
}
