//! What all drivers have in common whose service is a unit or a process of the settings ([`Runs`]): who it is, whether it runs, how it is
//! started. A driver says here only what is its own.

use std::fmt;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

use super::runs::{By, Runs};
use crate::config::service::{
    Answer, Deployed, Examined, Question, Rank, Rendered, Rendering, Reply, Service, ServiceId, ServiceState, Shown,
};

/// A driver over [`Runs`]; each is a [`Service`] by that.
pub(super) trait Running: fmt::Debug + Send + Sync {
    /// Its name in the settings.
    const DRIVER: &'static str;
    /// Its place among the services of a host.
    const RANK: Rank;
    /// How it is made to read its files.
    const BY: By;
    /// The drivers whose services must not have failed before.
    const WAITS_FOR: &'static [&'static str] = &[];

    /// Where it runs.
    fn runs(&self) -> &Runs;

    /// What else tells it from another service of the same driver, always in the same order.
    fn settings(&self) -> Vec<Option<String>>;

    /// [`Service::ask`]; of one that is started anew there is no more to say.
    fn take_up<'a>(&'a self, deployed: &'a [Deployed]) -> Answer<'a, Reply> {
        self.runs().restart(deployed.first().map(|one| &one.eyes)).boxed()
    }

    /// What is noted of one that was started, beside its life.
    fn began(&self, _deployed: &[Deployed], reply: Reply) -> Reply {
        reply
    }

    /// [`Service::prove`].
    fn shown<'a>(&'a self, question: &'a Question<'a>) -> Answer<'a, Shown>;

    /// [`Service::files`].
    fn rendered(&self, _rendering: &Rendering<'_>) -> Vec<Rendered> {
        Vec::new()
    }

    /// [`Service::takes_one`].
    fn single(&self) -> Option<String> {
        None
    }

    /// [`Service::accepts`].
    fn fits(&self) -> Answer<'_, ()> {
        ready(Ok(())).boxed()
    }

    /// [`Service::examine`].
    fn examined(&self) -> BoxFuture<'_, Vec<Examined>> {
        ready(Vec::new()).boxed()
    }
}

impl<T: Running> Service for T {
    fn id(&self) -> ServiceId {
        ServiceId::new(T::DRIVER, self.runs().parts().into_iter().chain(self.settings()))
    }

    fn name(&self) -> String {
        self.runs().name(T::DRIVER)
    }

    fn rank(&self) -> Rank {
        T::RANK
    }

    fn waits_for(&self) -> &'static [&'static str] {
        T::WAITS_FOR
    }

    fn accepts(&self) -> Answer<'_, ()> {
        self.fits()
    }

    fn restarts(&self) -> bool {
        T::BY == By::Restart
    }

    fn takes_one(&self) -> Option<String> {
        self.single()
    }

    fn unit(&self) -> Option<&str> {
        self.runs().unit()
    }

    fn examine(&self) -> BoxFuture<'_, Vec<Examined>> {
        self.examined()
    }

    fn state(&self) -> Answer<'_, ServiceState> {
        self.runs().state().boxed()
    }

    fn ask<'a>(&'a self, deployed: &'a [Deployed]) -> Answer<'a, Reply> {
        self.take_up(deployed)
    }

    fn start<'a>(&'a self, deployed: &'a [Deployed]) -> Answer<'a, Reply> {
        async move {
            let reply = self.runs().start(deployed.first().map(|one| &one.eyes)).await?;
            Ok(self.began(deployed, reply))
        }
        .boxed()
    }

    fn stopped_is_certain(&self) -> bool {
        self.runs().is_certain()
    }

    fn prove<'a>(&'a self, question: &'a Question<'a>) -> Answer<'a, Shown> {
        self.shown(question)
    }

    fn files(&self, rendering: &Rendering<'_>) -> Vec<Rendered> {
        self.rendered(rendering)
    }
}
