//! Revocation lists for consumers: asked for where the one that is there ends soon or a run talks to the authority anyway, judged, and kept in
//! the state directory, from where they are shown beside the other files of `trust`. What is not good stays outside, and what is there goes on
//! serving.

use std::time::Duration;

use futures_util::future::join_all;

use super::attest::AttestationGate;
use super::run::Run;
use crate::config::settings::{CrlFrom, CrlSource, Part, Settings};
use crate::io::dir::{Dir, DiskError};
use crate::io::http::{Client, Request};
use crate::io::openbao::Server;
use crate::io::runtime::within;
use crate::io::write::{self, Ownership};
use crate::judge::crl::{deliverable, ends_soon, holds_until};
use crate::model::clock::{Clock, Time};
use crate::model::code::Code;
use crate::model::failure::Warning;
use crate::model::layout;
use crate::plan::generation::certificates;
use crate::plan::trust::{TrustFiles, kept_list};

/// All lists are fetched within this: what is due waits for them.
const LIMIT: Duration = Duration::from_secs(10);

/// Which lists a run asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that are not there or end soon: nothing else may be asked of anybody in this run.
    Ending,
    /// All of them, since the authority is asked anyway.
    All,
}

/// What came of asking for a list.
#[derive(Debug)]
pub struct Fetched {
    source: CrlSource,
    bytes: Result<Vec<u8>, String>,
}

/// What came of the lists of the settings.
#[derive(Debug, Default)]
pub struct Refreshed {
    /// Whether one of them is another one now.
    pub is_new: bool,
    /// What could not be delivered.
    pub warnings: Vec<Warning>,
}

/// Fetches lists of the settings, of issuers that consumers are to trust, all at once. As nothing else, none is asked for while this host's
/// state is not vouched for where that is required.
#[must_use]
pub fn refresh(settings: &Settings, run: &Run, trust: &TrustFiles, gate: &AttestationGate, which: Which) -> Refreshed {
    let now = run.clock().now();
    let is_wanted = |source: &&CrlSource| which == Which::All || ends_soon(kept_list(run.state(), &source.file).as_deref(), now);
    let wanted: Vec<CrlSource> = settings.crls.iter().filter(is_wanted).cloned().collect();
    if wanted.is_empty() {
        return Refreshed::default();
    }
    match within(fetch_all(settings, wanted, gate, run.clock())) {
        Ok(fetched) => take_up(run.state(), fetched, trust, now),
        Err(failure) => Refreshed { is_new: false, warnings: vec![Warning::new(Code::CrlNotDelivered, failure.text)] },
    }
}

/// The lists of the settings that consumers have none of.
#[must_use]
pub fn missing(settings: &Settings, trust: &TrustFiles) -> Vec<CrlSource> {
    settings.crls.iter().filter(|source| !trust.has_list(&source.file)).cloned().collect()
}

/// Keeps what is good of what was fetched: signed by an authority that consumers are to trust.
#[must_use]
pub fn take_up(state: &Dir, fetched: Vec<Fetched>, trust: &TrustFiles, now: Time) -> Refreshed {
    let mut refreshed = Refreshed::default();
    let issuers = trust.file(Part::Bundle).map(|bundle| certificates(bundle.as_bytes())).unwrap_or_default();
    for Fetched { source, bytes } in fetched {
        let kept = kept_list(state, &source.file);
        let judged = bytes.and_then(|bytes| deliverable(&bytes, &issuers, kept.as_deref(), now));
        let done = judged.and_then(|list| {
            if kept.as_ref() == Some(&list) {
                return Ok(false);
            }
            keep(state, &source, &list).map(|()| true).map_err(|why| why.to_string())
        });
        match done {
            Ok(is_new) => refreshed.is_new |= is_new,
            Err(why) => refreshed.warnings.push(said(&source, kept.as_deref(), &why, now)),
        }
    }
    refreshed
}

/// Asks for these lists, all at once.
pub async fn fetch_all(settings: &Settings, wanted: Vec<CrlSource>, gate: &AttestationGate, clock: Clock) -> Vec<Fetched> {
    if let Err(failure) = gate.pass(clock).await {
        let why = format!("nothing is asked for without a pass of this host's state: {}", failure.text);
        return wanted.into_iter().map(|source| Fetched { source, bytes: Err(why.clone()) }).collect();
    }
    let late = || format!("no answer within {} s", LIMIT.as_secs());
    let one = |source: CrlSource| async move {
        let bytes = tokio::time::timeout(LIMIT, fetch(settings, &source.from, clock)).await.unwrap_or_else(|_| Err(late()));
        Fetched { source, bytes }
    };
    join_all(wanted.into_iter().map(one)).await
}

fn said(source: &CrlSource, kept: Option<&str>, why: &str, now: Time) -> Warning {
    let stays = match kept.map(holds_until) {
        None => "consumers have none".to_owned(),
        Some(Some(until)) if until > now => format!("the one that is there holds until {until}"),
        Some(_) => "the one that is there has ended".to_owned(),
    };
    Warning::new(Code::CrlNotDelivered, format!("the revocation list {} of {} was not delivered: {why}; {stays}", source.file, source.from))
}

async fn fetch(settings: &Settings, from: &CrlFrom, clock: Clock) -> Result<Vec<u8>, String> {
    match from {
        CrlFrom::Mount(mount) => of_mount(settings, mount, clock).await,
        CrlFrom::Url { base, path } => {
            let client = Client::new(base, &settings.anchor_ders(), None, clock).map_err(|why| why.to_string())?;
            let answer = client.send(Request { path, namespace: None, token: None, json: None }).await.map_err(|why| why.to_string())?;
            if answer.status == 200 { Ok(answer.body.to_vec()) } else { Err(format!("status {}", answer.status)) }
        }
    }
}

/// The addresses in order, until one of them has it.
async fn of_mount(settings: &Settings, mount: &str, clock: Clock) -> Result<Vec<u8>, String> {
    let mut last = "the settings name no address".to_owned();
    for address in &settings.openbao.addresses {
        let server = match Server::new(address, &settings.openbao.ca, clock) {
            Ok(server) => server.in_namespace(settings.openbao.namespace.as_deref()),
            Err(failure) => return Err(failure.text),
        };
        match server.read(&format!("{mount}/cert/crl"), None).await {
            Ok(Some(data)) => {
                let pem = data.get("certificate").and_then(serde_json::Value::as_str).ok_or("the answer holds no list")?;
                return Ok(pem.as_bytes().to_vec());
            }
            Ok(None) => "there is no such list, or it may not be read".clone_into(&mut last),
            Err(problem) => last = problem.failure.text,
        }
    }
    Err(last)
}

fn keep(state: &Dir, source: &CrlSource, list: &str) -> Result<(), DiskError> {
    let (dir, made) = write::make_dir(state, layout::CRL, 0o700, Ownership::default())?;
    if made {
        write::sync(state)?;
    }
    // What a killed run left has a name with a dot in front.
    for leftover in dir.names()?.iter().filter(|name| name.starts_with('.')) {
        write::remove(&dir, leftover)?;
    }
    write::replace_file(&dir, &source.file, list.as_bytes(), 0o644)
}
