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
            "a change of firmware, boot loader or kernel does this, and so does an attack: find out which; the next run makes {name} anew by the \
             next login of the list, where that may, and `omens enroll` by a login that is used once"
        ),
        Code::TpmReplaced => format!(
            "if the TPM was cleared or replaced on purpose, `omens reseal --new-tpm`; after that the next run makes {name} anew by the next login \
             of the list, where that may, and `omens enroll` by a login that is used once"
        ),
        _ => why.hint.unwrap_or_else(|| "see to the TPM".to_owned()),
    };
    Failure::new(Stage::Issue, why.code, text).hint(hint)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::io::openbao::{Carried, HostIdentity};
    use crate::io::runtime::runtime;
    use crate::io::tls::Signs;
    use crate::model::clock::{Clock, Time};
    use crate::model::name::{CertName, Generation};

    /// Has a certificate that ended at this time, and nothing that signs.
    #[derive(Debug)]
    struct Ended(Time);

    impl HostIdentity for Ended {
        fn carried(&self, _: &CertName, _: Option<Generation>) -> Result<Carried, Failure> {
            Ok(Carried { chain: Vec::new(), ends: self.0, device: Arc::new(Nothing) })
        }
    }

    #[derive(Debug)]
    struct Nothing;

    impl Signs for Nothing {
        fn schemes(&self) -> &'static [rustls::SignatureScheme] {
            &[]
        }

        fn sign(&self, _: rustls::SignatureScheme, _: &[u8]) -> Result<Vec<u8>, Failure> {
            Err(Failure::new(Stage::Seal, Code::TpmUnreachable, "nothing signs here"))
        }
    }

    fn tried(identity: Option<Arc<dyn HostIdentity>>) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let root = rcgen::CertificateParams::new(Vec::new()).and_then(|params| params.self_signed(&key)).unwrap();
        let later = || SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let clock = Clock::new(later, || unreachable!("nobody is asked, so nothing is waited for"));
        let server = Server::new("https://127.0.0.1:1", &[root.der().to_vec()], clock).unwrap();
        let method = TpmIdentity { mount: "cert".to_owned(), role: "hosts".to_owned(), certificate: CertName::parse("own").unwrap() };
        let means = Means::default().with_identity(identity);
        let problem = runtime().unwrap().block_on(log_in(&server, &method, &means)).unwrap_err();
        assert_eq!((problem.failure.code, problem.again), (Code::LoginRefused, None));
        problem.failure.text
    }

    #[test]
    fn what_has_ended_is_not_even_shown() {
        let ended = tried(Some(Arc::new(Ended(Time::from_unix(1_700_000_000)))));
        assert!(ended.contains("own has expired at 2023-11-14"), "{ended}");
        assert!(tried(None).contains("no [tpm]"));
    }
}
