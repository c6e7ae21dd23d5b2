//! Which server of the settings a session is with: the first one that can serve.

use std::time::Duration;

use super::{Health, HealthState, Problem, Server, pause, with_one_more_try};
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::openbao::OpenBao;

/// The server of a session, and what came before it in the list.
pub(super) struct Answering {
    pub(super) server: Server,
    pub(super) health: Health,
    /// Why addresses before it did not answer, or cannot serve.
    pub(super) skipped: Vec<Failure>,
}

/// Tries the addresses in order: the first that can serve, else the first that answers at all. A second try is made only once all of them
/// were tried.
pub(super) async fn first_that_serves(settings: &OpenBao, clock: Clock) -> Result<Answering, Failure> {
    if let [only] = settings.addresses.as_slice() {
        let server = Server::new(only, &settings.ca, clock)?.in_namespace(settings.namespace.as_deref());
        let health = ask_health(&server).await?;
        return Ok(Answering { server, health, skipped: Vec::new() });
    }
    let mut sealed: Option<Answering> = None;
    let mut skipped: Vec<Failure> = Vec::new();
    for again in [false, true] {
        for address in &settings.addresses {
            let server = Server::new(address, &settings.ca, clock)?.in_namespace(settings.namespace.as_deref());
            match server.health().await {
                Ok(health) if matches!(health.state, HealthState::Sealed | HealthState::Uninitialised) => {
                    let failure = Failure::new(Stage::Issue, Code::ServerSealed, format!("{} is sealed or not initialised", server.name()));
                    sealed.get_or_insert(Answering { server, health, skipped: Vec::new() });
                    skipped.push(failure);
                }
                Ok(health) => return Ok(Answering { server, health, skipped }),
                Err(Problem { failure, .. }) if !again => skipped.push(failure),
                Err(_) => {}
            }
        }
        if let Some(answering) = sealed {
            return Ok(answering);
        }
        if !again {
            pause(Duration::from_secs(1)).await;
        }
    }
    let text = skipped.iter().map(|failure| failure.text.as_str()).collect::<Vec<_>>().join("; ");
    let first = skipped.into_iter().next();
    Err(first
        .map_or_else(|| Failure::new(Stage::Issue, Code::Unreachable, "the settings name no address"), |first| Failure { text, ..first }))
}

/// Health, asked twice where the connection is lost.
///
/// # Errors
/// There is no answer.
pub async fn ask_health(server: &Server) -> Result<Health, Failure> {
    with_one_more_try(|| server.health()).await.map_err(|problem| problem.failure)
}
