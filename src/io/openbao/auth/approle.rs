//! `approle`: a role id and a secret id.

use std::path::Path;

use serde::Serialize;

use super::super::{Grant, Problem, Server, json};
use super::unreadable;
use crate::io::read;
use crate::model::openbao::AppRole;

#[derive(Serialize)]
struct Body<'a> {
    role_id: &'a str,
    secret_id: &'a str,
}

pub(super) async fn log_in(server: &Server, method: &AppRole, credentials: Option<&Path>) -> Result<Grant, Problem> {
    let role_id = read::token(&method.role_id, credentials).map_err(|why| unreadable(&why))?;
    let secret_id = read::token(&method.secret_id, credentials).map_err(|why| unreadable(&why))?;
    let body = json(&Body { role_id: role_id.expose(), secret_id: secret_id.expose() })?;
    server.log_in(&server.http, &method.mount, body, vec![role_id, secret_id]).await
}
