//! `cert`: a TLS client certificate, shown over a connection of its own.

use std::path::Path;

use serde::Serialize;

use super::super::{Grant, Problem, Server, json, setup};
use super::{refused, unreadable};
use crate::io::http::Client;
use crate::io::read;
use crate::io::tls::Identity;
use crate::model::openbao::Cert;

#[derive(Serialize)]
struct Body<'a> {
    name: &'a str,
}

pub(super) async fn log_in(server: &Server, method: &Cert, credentials: Option<&Path>) -> Result<Grant, Problem> {
    let certificates = read::file(&method.cert, read::LIMIT).map_err(|why| unreadable(&why))?;
    let pem = read::secret(&method.key, credentials).map_err(|why| unreadable(&why))?;
    let identity = Identity::from_pem(&certificates, &pem).map_err(|why| {
        let text = format!("client certificate {} with {}: {why}", method.cert.display(), method.key);
        refused(text, "give a PEM pair that belongs together")
    })?;
    let http = Client::new(&server.address, &server.roots, Some(&identity), server.clock).map_err(|why| Problem::last(setup(&why)))?;
    server.log_in(&http, &method.mount, json(&Body { name: &method.role })?, Vec::new()).await
}
