//! `jwt_svid`: the auth method `jwt`, with a JWT-SVID that the SPIRE agent of this host gives for the asking.

use std::time::Duration;

use serde::Serialize;

use super::super::{Grant, Problem, Server, json};
use super::refused;
use crate::io::spiffe::{self, SvidError};
use crate::model::openbao::JwtSvid;

/// A new registration entry takes as long to reach the agent ([Workload API](crate::io#workload-api)).
const SYNC: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Body<'a> {
    role: &'a str,
    jwt: &'a str,
}

pub(super) async fn log_in(server: &Server, method: &JwtSvid) -> Result<Grant, Problem> {
    let ask = || spiffe::fetch_jwt_svid(&method.socket, &method.audience, method.spiffe_id.as_deref(), server.clock);
    let svid = match ask().await {
        Err(SvidError::NoIdentity(_)) => {
            tokio::time::sleep(SYNC).await;
            ask().await
        }
        other => other,
    };
    let svid = svid.map_err(|why| refused(why.to_string(), why.hint()))?;
    let body = json(&Body { role: &method.role, jwt: svid.expose() })?;
    server.log_in(&server.http, &method.mount, body, vec![svid]).await
}
