//! `probe`: asks one endpoint and says who refuses whom, and why.

use std::collections::BTreeMap;
use std::path::Path;

use super::arguments::{Command, Probe};
use super::exit::{FAILED, OK};
use super::session::Session;
use super::style::Style;
use crate::audit::facts::findings::HostFindings;
use crate::audit::facts::given::Given;
use crate::audit::probe::{self, Asking, Document, Known, Ours, Side};
use crate::audit::run;
use crate::io::look::View;
use crate::io::read;
use crate::io::runtime::runtime;
use crate::io::tls::Identity;
use crate::judge::cert::Facts;
use crate::judge::lint::Findings;
use crate::judge::pem;
use crate::model::code::Code;
use crate::model::idn;
use crate::model::report::RunError;
use crate::model::request::is_host_name;

pub(super) fn run(session: &mut Session<'_>, command: &Command, arguments: &Probe) -> u8 {
    let asking = match asking(session, arguments) {
        Ok(asking) => asking,
        Err(error) => return session.refuse(command, error),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(why) => return session.refuse(command, RunError { code: why.code, text: why.text, hint: why.hint }),
    };
    let heard = runtime.block_on(probe::hear(&asking, session.clock));
    let known = known(session, &asking);
    let document = probe::judge(&asking, &heard, known.as_ref(), session.clock.now());
    let exit = if document.refused_by == Side::Nobody { OK } else { FAILED };
    if session.global.json {
        session.ended(&document, exit);
    } else {
        let text = text(&document, session.style);
        session.result(&text, exit);
    }
    exit
}

/// What this host's own configurations say of the endpoint: only files are read.
fn known(session: &Session<'_>, asking: &Asking) -> Option<Known> {
    let view = View::host();
    let host = view.host_name().unwrap_or_default();
    let wiring = run::wiring(&view, &Given::default(), &mut HostFindings::new(session.clock.now(), &host));
    Known::find(&view, &wiring, &asking.address, &host)
}

fn asking(session: &Session<'_>, arguments: &Probe) -> Result<Asking, RunError> {
    let address = arguments.address.clone();
    let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host).trim_matches(['[', ']']);
    let server_name = arguments.server_name.clone().unwrap_or_else(|| host.to_owned());
    // Names go over the wire in their ASCII form.
    let server_name = idn::ascii(&server_name).unwrap_or(server_name);
    // An underscore is in no host name, and in names that servers have all the same.
    if server_name.parse::<std::net::IpAddr>().is_err() && !is_host_name(&server_name.replace('_', "x")) {
        let text = format!("--server-name {}: expected a host name or an address", crate::model::text::one_line(&server_name, 100));
        return Err(refused(Code::Usage, text, "write it like www.example.net"));
    }
    let address = idn::ascii(host).map_or(address.clone(), |ascii| address.replacen(host, &ascii, 1));
    let identity = match (&arguments.cert, &arguments.key) {
        (Some(cert), key) => Some(identity(cert, key.as_ref().unwrap_or(cert))?),
        (None, _) => None,
    };
    let mut trust = Vec::new();
    for file in &arguments.trust {
        let found: Vec<Vec<u8>> = ders(&bytes(file)?).into_iter().filter(|der| Facts::parse(der).is_ok()).collect();
        if found.is_empty() {
            return Err(refused(
                Code::Malformed,
                format!("--trust {}: no certificate in it", file.display()),
                "give it a PEM file of roots",
            ));
        }
        trust.extend(found);
    }
    if trust.is_empty() {
        // The pinned root of this host, where there are settings.
        trust.extend(session.settings(false).ok().into_iter().flat_map(|settings| settings.anchor_ders()));
    }
    let trust = (!trust.is_empty()).then_some(trust);
    Ok(Asking { address, server_name, starttls: arguments.starttls, identity, trust, timeout: arguments.timeout })
}

fn identity(cert: &Path, key: &Path) -> Result<(Identity, Ours), RunError> {
    let (certificates, key_bytes) = (bytes(cert)?, zeroize::Zeroizing::new(bytes(key)?));
    let identity = Identity::from_pem(&certificates, &key_bytes).map_err(|why| {
        refused(
            Code::Identity,
            format!("--cert {} --key {}: {why}", cert.display(), key.display()),
            "give it a PEM chain and its unencrypted key",
        )
    })?;
    let mut facts = ders(&certificates).into_iter().filter_map(|der| Facts::parse(&der).ok());
    let leaf =
        facts.next().ok_or_else(|| refused(Code::Identity, format!("--cert {}: the certificate does not parse", cert.display()), ""))?;
    Ok((identity, Ours { leaf, above: facts.collect() }))
}

fn bytes(file: &Path) -> Result<Vec<u8>, RunError> {
    read::file(file, read::LIMIT).map_err(|error| refused(Code::Unreadable, error.to_string(), &error.hint()))
}

fn ders(bytes: &[u8]) -> Vec<Vec<u8>> {
    let none = BTreeMap::new();
    match std::str::from_utf8(bytes).ok().filter(|text| text.contains("-----BEGIN ")) {
        Some(text) => pem::read(text, &mut Findings::new(&none)),
        None => vec![bytes.to_vec()],
    }
}

fn refused(code: Code, text: String, hint: &str) -> RunError {
    RunError { code, text, hint: (!hint.is_empty()).then(|| hint.to_owned()) }
}

fn text(document: &Document, style: Style) -> String {
    let word = if document.refused_by == Side::Nobody { style.good("accepted") } else { style.bad("refused") };
    let mut out = format!("{word}  {}  {}\n", document.address, document.cause.text);
    let mut row = |name: &str, words: &str| {
        if !words.is_empty() {
            out.push_str(&format!("  {name:12} {words}\n"));
        }
    };
    if document.server_name != document.address.rsplit_once(':').map_or("", |(host, _)| host) {
        row("asked as", &document.server_name);
    }
    row("speaks", &document.protocols.join(", "));
    row("agreed on", &[document.group.as_deref(), document.alpn.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(", "));
    for (index, subject) in document.server_subjects.iter().enumerate() {
        row(if index == 0 { "shows" } else { "" }, subject);
    }
    let client = &document.client_auth;
    let sent = if client.sent { "ours was sent" } else { "none was sent" };
    row("asks for", &if client.requested { format!("a client certificate; {sent}") } else { String::new() });
    for (index, issuer) in client.issuers.iter().enumerate() {
        row(if index == 0 { "of issuers" } else { "" }, issuer);
    }
    row("alert", document.alert.as_deref().unwrap_or_default());
    row("cause", document.cause.id);
    let place = document.remedy.file.as_ref().map(|file| match document.remedy.line {
        Some(line) => format!("{file}:{line}"),
        None => file.clone(),
    });
    row("change", place.as_deref().unwrap_or_default());
    row("remedy", &document.remedy.text);
    out
}
