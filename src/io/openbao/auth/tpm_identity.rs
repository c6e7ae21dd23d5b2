//! `tpm_identity`: the auth method `cert`, with a certificate of ours whose key signs the handshake in the TPM.

use serde::Serialize;

use super::super::means::Means;
use super::super::{Grant, Problem, Server, json, setup};
use super::{refused, without_blocking};
use crate::io::http::Client;
use crate::io::tls::{Identity, OfDevice};
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::openbao::TpmIdentity;

#[derive(Serialize)]
struct Body<'a> {
    name: &'a str,
}

/// Shows the certificate over a connection of its own, on a thread of its own: the TPM takes its time for the signature.
pub(super) async fn log_in(server: &Server, method: &TpmIdentity, means: &Means) -> Result<Grant, Problem> {
    let (own, method, means) = (server.again()?, method.clone(), means.clone());
    without_blocking(move || async move { shown(&own, &method, &means).await }).await
}

async fn shown(server: &Server, method: &TpmIdentity, means: &Means) -> Result<Grant, Problem> {
    let name = &method.certificate;
    let holder = means.identity.as_ref().ok_or_else(|| refused("there is no [tpm] in the settings".to_owned(), "add [tpm]"))?;
    let carried = holder.carried(name, means.generation).map_err(Problem::last)?;
    let now = server.clock.now();
    if carried.ends <= now {
        let text = format!("{name} has expired at {}", carried.ends);
        return Err(refused(text, "another login after this one, or `omens enroll` with a login that is used once, makes a new one"));
    }
    let of_device =
        Identity::of_device(&carried.chain, carried.device).map_err(|why| refused(why.to_string(), "`omens renew` makes a new one"))?;
    let OfDevice { identity, refusal } = of_device;
    let http = Client::new(&server.address, &server.roots, Some(&identity), server.clock).map_err(|why| Problem::last(setup(&why)))?;
    let granted = server.log_in(&http, &method.mount, json(&Body { name: &method.role })?, Vec::new()).await;
    granted.map_err(|problem| match refusal.seen() {
        Some(why) => Problem::last(of_key(name.as_str(), why)),
        None => problem,
    })
}

/// The key refused: that is what counts, whatever became of the handshake.
fn of_key(name: &str, why: Failure) -> Failure {
    let text = format!("{}: the key of {name} does not sign: {}", why.code, why.text);
    let hint = match why.code {
        Code::PcrChanged => format!(
            "a change of firmware, boot loader or kernel does this, and so does an attack: find out which; then `omens renew {name} --force` \
             by another login, or `omens enroll` with a login that is used once"
        ),
        _ => why.hint.unwrap_or_else(|| "see to the TPM".to_owned()),
    };
    Failure::new(Stage::Issue, why.code, text).hint(hint)
}
