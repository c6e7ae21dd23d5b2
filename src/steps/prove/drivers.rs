//! What drivers prove by themselves.

use std::time::Instant;

use futures_util::future::join_all;

use crate::config::service::{Deployed, Question, Service, Shown};
use crate::model::failure::Failure;

/// A service that did what was asked.
#[derive(Debug)]
pub struct Asked<'a> {
    /// It.
    pub service: &'a dyn Service,
    /// What its driver noted before it asked.
    pub before: &'a serde_json::Value,
    /// What its own proof has come to already, since services of a later rank had to wait for that.
    pub shown: Option<Shown>,
}

/// What services were asked to read.
#[derive(Debug)]
pub struct Deployment<'a> {
    /// The generation, as drivers are told of it.
    pub deployed: &'a Deployed,
    /// Those that did what was asked.
    pub asked: Vec<Asked<'a>>,
    /// Until when the first look is put off ([`Service::lingers`]).
    pub linger_until: Instant,
    /// Whether another one is stopped: an endpoint that nobody answers at is excused then.
    pub some_stopped: bool,
}

/// The most that any driver saw, and what all of them have to say.
pub(super) async fn by_drivers(deployment: &Deployment<'_>) -> Result<Shown, Failure> {
    let proofs = deployment.asked.iter().map(|Asked { service, before, shown }| async move {
        match shown {
            Some(shown) => Ok(shown.clone()),
            None => service.prove(&Question { deployed: deployment.deployed, before }).await,
        }
    });
    let mut all = Shown::default();
    for shown in join_all(proofs).await {
        let Shown { seen, warnings } = shown?;
        all.seen = all.seen.max(seen);
        all.warnings.extend(warnings);
    }
    Ok(all)
}
