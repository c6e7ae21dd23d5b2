//! `jwt`: a signed token that somebody else writes to a file, as Kubernetes does. The methods `jwt` and `kubernetes` take it alike.

use std::path::Path;

use serde::Serialize;

use super::super::{Grant, Problem, Server, json};
use super::unreadable;
use crate::io::read;
use crate::model::openbao::Jwt;

#[derive(Serialize)]
struct Body<'a> {
    role: &'a str,
    jwt: &'a str,
}

pub(super) async fn log_in(server: &Server, method: &Jwt, credentials: Option<&Path>) -> Result<Grant, Problem> {
    let jwt = read::token(&method.jwt, credentials).map_err(|why| unreadable(&why))?;
    let body = json(&Body { role: &method.role, jwt: jwt.expose() })?;
    server.log_in(&server.http, &method.mount, body, vec![jwt]).await
}
