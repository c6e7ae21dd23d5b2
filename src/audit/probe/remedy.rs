//! What mends it: a line for the file in question where the peer's configuration can be read. It must never change that file.

use serde::Serialize;

use super::{Asking, lints};
use crate::audit::wiring::{Listener, Service, Wiring};
use crate::io::look::View;
use crate::judge::cert::Facts;
use crate::judge::lint::{Findings, Lint};
use crate::judge::pem;
use crate::model::audit::Place;

/// What to change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// The file, where it is known.
    pub file: Option<String>,
    /// Its line.
    pub line: Option<u32>,
    /// What to do, or the line to write there.
    pub text: String,
}

/// What this host's own configurations say of the endpoint.
#[derive(Clone, Debug)]
pub struct Known {
    service: Service,
    /// Where it is told to listen.
    place: Place,
    /// Where its trust list is named, and the files of the list.
    list: Option<(Place, Vec<String>)>,
    /// Where its certificate is named, and that file.
    certificate: Option<(Place, String)>,
    /// What the list holds.
    pub(super) trusted: Option<Vec<Facts>>,
}

impl Known {
    /// The listener of this port, where the address is one of this host's own and exactly one listener fits.
    #[must_use]
    pub fn find(view: &View, wiring: &Wiring, address: &str, host: &str) -> Option<Self> {
        let (name, port) = address.rsplit_once(':')?;
        let port: u16 = port.parse().ok()?;
        let name = name.trim_matches(['[', ']']);
        let local = name.starts_with("127.") || name == "::1" || name == "localhost" || name == host;
        let fits = |listener: &&Listener| {
            listener.port == port && (local || listener.host == name || listener.names.iter().any(|own| own == name))
        };
        let mut all = wiring.listeners.iter().filter(fits);
        let listener = all.next().filter(|first| all.all(|other| other.consumer == first.consumer))?;
        let trust = listener.trust.and_then(|place| wiring.trusts.get(place));
        let pair = listener.pairs.first().and_then(|place| wiring.pairs.get(*place));
        let read = |path: &std::path::PathBuf| {
            view.text(path).map(|text| pem::read(&text, &mut Findings::new(&std::collections::BTreeMap::new()))).unwrap_or_default()
        };
        Some(Self {
            service: listener.consumer.service,
            place: listener.consumer.place.clone(),
            list: trust.map(|trust| (trust.consumer.place.clone(), trust.files.iter().map(|file| file.display().to_string()).collect())),
            certificate: pair.map(|pair| (pair.consumer.place.clone(), pair.certificate.display().to_string())),
            trusted: trust.map(|trust| trust.files.iter().flat_map(read).filter_map(|der| Facts::parse(&der).ok()).collect()),
        })
    }
}

pub(super) fn remedy(lint: &Lint, asking: &Asking, known: Option<&Known>) -> Remedy {
    let general = Remedy { text: lint.remedy.to_owned(), ..Remedy::default() };
    let Some(known) = known else { return general };
    let at = |place: &Place, text: String| Remedy { file: Some(place.path.clone()), line: place.line, text };
    let is = |lints: &[&Lint]| lints.iter().any(|one| one.id == lint.id);
    if is(&[&lints::CLIENT_ROOT, &lints::CLIENT_UNTRUSTED, &lints::CLIENT_OTHER_CA, &lints::CLIENT_INCOMPLETE]) {
        let root =
            asking.identity.as_ref().map_or_else(String::new, |(_, ours)| ours.above.last().unwrap_or(&ours.leaf).issuer.to_string());
        return match &known.list {
            Some((place, files)) => at(place, list_line(known.service, files, &root)),
            None => at(&known.place, format!("name a trust list that holds {root}")),
        };
    }
    match &known.certificate {
        Some((place, file)) if is(&[&lints::SERVER_INCOMPLETE]) => {
            at(place, format!("append the intermediate to {file}, or name a file with leaf and intermediate here"))
        }
        Some((place, file)) if is(&[&lints::SERVER_EXPIRED, &lints::SERVER_NAME, &lints::SERVER_EKU, &lints::SERVER_UNTRUSTED]) => {
            at(place, format!("{} ({file})", lint.remedy))
        }
        _ if is(&[&lints::PLAIN_HTTP, &lints::OLD_TLS]) => at(&known.place, tls_line(known.service, lint)),
        _ => general,
    }
}

/// The line that names a list with the root in it.
fn list_line(service: Service, files: &[String], root: &str) -> String {
    let first = files.first().map_or("…", String::as_str);
    match service {
        Service::KeylimeVerifier | Service::KeylimeRegistrar => {
            let listed: Vec<String> = files.iter().map(|file| format!("'{file}'")).collect();
            format!("trusted_client_ca = ['FILE OF {root}', {}]", listed.join(", "))
        }
        Service::Nginx => format!("ssl_client_certificate {first};  # append {root} to this file"),
        Service::OpenBao => format!("tls_client_ca_file = \"{first}\"  # append {root} to this file"),
        _ => format!("append {root} to {first}"),
    }
}

fn tls_line(service: Service, lint: &Lint) -> String {
    match (service, lint.id == lints::OLD_TLS.id) {
        (Service::Nginx, true) => "ssl_protocols TLSv1.2 TLSv1.3;".to_owned(),
        (Service::Nginx, false) => "listen … ssl;".to_owned(),
        (Service::OpenBao, true) => "tls_min_version = \"tls12\"".to_owned(),
        (Service::OpenBao, false) => "tls_disable = false".to_owned(),
        _ => lint.remedy.to_owned(),
    }
}
