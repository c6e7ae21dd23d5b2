//! Revocation lists for consumers: fetched in each run, judged, and kept in the state directory, from where they are shown beside the other
//! files of `trust`. What is not good stays outside, and what is there goes on serving.

use std::time::Duration;

use super::run::{Run, runtime};
use crate::config::settings::{CrlFrom, CrlSource, Part, Settings};
use crate::io::dir::{Dir, DiskError};
use crate::io::http::{Client, Request};
use crate::io::openbao::Server;
use crate::io::write::{self, Ownership};
use crate::judge::crl::{deliverable, holds_until};
use crate::model::clock::{Clock, Time};
use crate::model::code::Code;
use crate::model::failure::Warning;
use crate::model::layout;
use crate::plan::generation::certificates;
use crate::plan::trust::{TrustFiles, kept_list};

/// One list is fetched within this.
const LIMIT: Duration = Duration::from_secs(20);

/// What came of the lists of the settings.
#[derive(Debug, Default)]
pub struct Refreshed {
    /// Whether one of them is another one now.
    pub is_new: bool,
    /// What could not be delivered.
    pub warnings: Vec<Warning>,
}

/// Fetches the lists of the settings, of issuers that consumers are to trust.
#[must_use]
pub fn refresh(settings: &Settings, run: &Run, trust: &TrustFiles) -> Refreshed {
    let mut refreshed = Refreshed::default();
    // Before anything was committed nobody reads a list, and its issuer is not known.
    if settings.crls.is_empty() || trust.file(Part::Bundle) == trust.file(Part::Anchors) {
        return refreshed;
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(failure) => {
            refreshed.warnings.push(Warning::new(Code::CrlNotDelivered, failure.text));
            return refreshed;
        }
    };
    let issuers = trust.file(Part::Bundle).map(|bundle| certificates(bundle.as_bytes())).unwrap_or_default();
    for source in &settings.crls {
        let kept = kept_list(run.state(), &source.file);
        let now = run.clock().now();
        let fetched = runtime.block_on(async {
            let late = || format!("no answer within {} s", LIMIT.as_secs());
            tokio::time::timeout(LIMIT, fetch(settings, &source.from, run.clock())).await.unwrap_or_else(|_| Err(late()))
        });
        let judged = fetched.and_then(|bytes| deliverable(&bytes, &issuers, kept.as_deref(), now));
        let done = judged.and_then(|list| {
            if kept.as_ref() == Some(&list) {
                return Ok(false);
            }
            keep(run.state(), source, &list).map(|()| true).map_err(|why| why.to_string())
        });
        match done {
            Ok(is_new) => refreshed.is_new |= is_new,
            Err(why) => refreshed.warnings.push(said(source, kept.as_deref(), &why, now)),
        }
    }
    refreshed
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
