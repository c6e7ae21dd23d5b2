//! What mends it: a line for the file in question where the peer's configuration can be read.

use serde::Serialize;

use super::{Asking, lints};
use crate::audit::facts::program::Program;
use crate::audit::facts::wiring::{Listener, Wiring};
use crate::io::look::View;
use crate::judge::cert::Facts;
use crate::judge::lint::{Findings, Lint};
use crate::judge::pem;
use crate::model::audit::Location;

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
    program: &'static Program,
    /// Where it is told to listen.
    location: Location,
    list: Option<NamedList>,
    /// Whether it is told to want a line of the PROXY protocol.
    pub(super) proxy_line: bool,
    certificate: Option<NamedCertificate>,
    /// What the list holds.
    pub(super) trusted: Option<Vec<Facts>>,
}

/// A trust list of the endpoint.
#[derive(Clone, Debug)]
struct NamedList {
    /// Where it is named.
    location: Location,
    files: Vec<String>,
}

/// The certificate of the endpoint.
#[derive(Clone, Debug)]
struct NamedCertificate {
    /// Where it is named.
    location: Location,
    file: String,
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
        let trust = listener.trust.and_then(|index| wiring.trusts.get(index));
        let pair = listener.pairs.first().and_then(|index| wiring.pairs.get(*index));
        let read = |path: &std::path::PathBuf| {
            view.text(path).map(|text| pem::read(&text, &mut Findings::new(&std::collections::BTreeMap::new()))).unwrap_or_default()
        };
        Some(Self {
            program: listener.consumer.program,
            location: listener.consumer.location.clone(),
            proxy_line: listener.terms.proxy_line,
            list: trust.map(|trust| NamedList {
                location: trust.consumer.location.clone(),
                files: trust.files.iter().map(|file| file.display().to_string()).collect(),
            }),
            certificate: pair
                .map(|pair| NamedCertificate { location: pair.consumer.location.clone(), file: pair.certificate.display().to_string() }),
            trusted: trust.map(|trust| trust.files.iter().flat_map(read).filter_map(|der| Facts::parse(&der).ok()).collect()),
        })
    }
}

pub(super) fn remedy(lint: &Lint, asking: &Asking, known: Option<&Known>) -> Remedy {
    let general = Remedy { text: lint.remedy.to_owned(), ..Remedy::default() };
    let Some(known) = known else { return general };
    let at = |location: &Location, text: String| Remedy { file: Some(location.path.clone()), line: location.line, text };
    let is = |lints: &[&Lint]| lints.iter().any(|one| one.id == lint.id);
    if is(&[&lints::CLIENT_ROOT, &lints::CLIENT_UNTRUSTED, &lints::CLIENT_OTHER_CA, &lints::CLIENT_INCOMPLETE]) {
        let root =
            asking.identity.as_ref().map_or_else(String::new, |(_, ours)| ours.above.last().unwrap_or(&ours.leaf).issuer.to_string());
        return match &known.list {
            Some(NamedList { location, files }) => at(location, list_line(known.program, files, &root)),
            None => at(&known.location, format!("name a trust list that holds {root}")),
        };
    }
    match &known.certificate {
        Some(NamedCertificate { location, file }) if is(&[&lints::SERVER_INCOMPLETE]) => {
            at(location, format!("append the intermediate to {file}, or name a file with leaf and intermediate here"))
        }
        Some(NamedCertificate { location, file })
            if is(&[&lints::SERVER_EXPIRED, &lints::SERVER_NAME, &lints::SERVER_EKU, &lints::SERVER_UNTRUSTED]) =>
        {
            at(location, format!("{} ({file})", lint.remedy))
        }
        _ if is(&[&lints::PROXY_LINE]) => at(&known.location, lint.remedy.to_owned()),
        _ if is(&[&lints::PLAIN_HTTP, &lints::OLD_TLS]) => at(&known.location, tls_line(known.program, lint)),
        _ => general,
    }
}

/// The line that names a list with the root in it.
fn list_line(program: &Program, files: &[String], root: &str) -> String {
    match program.remedies.trust {
        Some(line) => line(files, root),
        None => format!("append {root} to {}", files.first().map_or("…", String::as_str)),
    }
}

fn tls_line(program: &Program, lint: &Lint) -> String {
    let line = if lint.id == lints::OLD_TLS.id { program.remedies.protocols } else { program.remedies.tls };
    line.unwrap_or(lint.remedy).to_owned()
}
