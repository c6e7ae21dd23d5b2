//! Words for a server certificate that is not trusted, from which a person can tell what to change. It must never judge: the verdict is rustls'.

use rustls::CertificateError;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::io::tls::Distrust;
use crate::model::clock::Time;
use crate::model::failure::{Failure, Stage};
use crate::model::text;

/// Longest name of a certificate that is kept.
const NAME: usize = 80;
/// Certificates of a chain that are described.
const SHOWN: usize = 4;

/// What one certificate says of itself.
struct Said {
    subject: String,
    issuer: String,
    not_before: Time,
    not_after: Time,
    names: Vec<String>,
}

/// The failure for a refused server certificate.
pub(super) fn failure(server: &str, distrust: &Distrust, roots: &[Vec<u8>]) -> Failure {
    let chain: Vec<Said> = distrust.chain.iter().take(SHOWN).filter_map(|der| read(der)).collect();
    let roots: Vec<Said> = roots.iter().filter_map(|der| read(der)).collect();
    let (why, hint) = explain(distrust, &chain, &roots);
    let text = format!("the certificate of {server} is not trusted: {why}; it sent {}", describe(distrust.chain.len(), &chain));
    Failure::new(Stage::Issue, "tls-untrusted", text).hint(hint)
}

fn explain(distrust: &Distrust, chain: &[Said], roots: &[Said]) -> (String, String) {
    let leaf = chain.first();
    let trusted = || roots.iter().map(|root| root.subject.as_str()).collect::<Vec<_>>().join(", ");
    match &distrust.why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => unknown_issuer(chain, roots),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            format!(
                "it, or one above it, has expired{}",
                leaf.map_or_else(String::new, |said| format!(" (the leaf ended {})", said.not_after))
            ),
            "renew OpenBao's own listener certificate and send OpenBao SIGHUP; if it has not expired, correct this host's clock".to_owned(),
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
            format!("it is not valid yet{}", leaf.map_or_else(String::new, |said| format!(" (the leaf begins {})", said.not_before))),
            "compare the clocks of this host and of OpenBao (timedatectl)".to_owned(),
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            let names =
                leaf.map(|said| said.names.join(", ")).filter(|names| !names.is_empty()).unwrap_or_else(|| "no name at all".to_owned());
            (
                format!("it is for {names}, not for '{}'", text::one_line(&distrust.name, NAME)),
                "set openbao.address to a name the certificate holds, or issue OpenBao's listener certificate for this name or address"
                    .to_owned(),
            )
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => (
            "its extended key usage does not allow it to be a TLS server".to_owned(),
            "issue OpenBao's listener certificate from a role with server_flag = true".to_owned(),
        ),
        other => (
            text::one_line(&other.to_string(), NAME),
            format!("check OpenBao's listener certificate and openbao.ca (default: trust.anchor), which trusts {}", trusted()),
        ),
    }
}

/// The case that costs people hours: where does the chain stop, and what is trusted instead?
fn unknown_issuer(chain: &[Said], roots: &[Said]) -> (String, String) {
    let trusted = roots.iter().map(|root| root.subject.as_str()).collect::<Vec<_>>().join(", ");
    let Some(top) = chain.last() else {
        return ("it cannot be read".to_owned(), "check that openbao.address names OpenBao".to_owned());
    };
    if roots.iter().any(|root| root.subject == top.issuer || root.subject == top.subject) {
        return (
            format!("its chain ends at the name {}, but not at the key of the trusted root of that name", top.issuer),
            "there are two different roots of one name: compare the SHA-256 of openbao.ca (default: trust.anchor) with the one OpenBao's chain was signed by".to_owned(),
        );
    }
    if top.subject == top.issuer {
        return (
            format!("unknown certificate authority: its chain ends at {}, trusted is {trusted}", top.subject),
            "set openbao.ca to the root of OpenBao's listener, if it is another than trust.anchor".to_owned(),
        );
    }
    let issuer = &top.issuer;
    let hint = if chain.len() == 1 {
        format!(
            "put the intermediate {issuer} after the leaf in OpenBao's tls_cert_file and send OpenBao SIGHUP; if {issuer} is a root, set openbao.ca to it"
        )
    } else {
        format!("set openbao.ca (default: trust.anchor) to {issuer} if OpenBao's listener is meant to have another root")
    };
    (
        format!(
            "unknown certificate authority: {issuer} signed the last certificate sent, but was not sent and is not trusted; trusted is {trusted}"
        ),
        hint,
    )
}

fn describe(sent: usize, chain: &[Said]) -> String {
    let shown: Vec<String> = chain.iter().map(|said| format!("{} signed by {}", said.subject, said.issuer)).collect();
    let more = if sent > shown.len() { format!(" and {} more", sent - shown.len()) } else { String::new() };
    if shown.is_empty() { format!("{sent} certificates, none readable") } else { format!("{}{more}", shown.join(", ")) }
}

fn read(der: &[u8]) -> Option<Said> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let name = |name: &x509_parser::x509::X509Name<'_>| format!("'{}'", text::one_line(&name.to_string(), NAME));
    let names = certificate.subject_alternative_name().ok().flatten().map(|extension| {
        use x509_parser::extensions::GeneralName;
        let shown = extension.value.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(dns) => Some(text::one_line(dns, NAME)),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        });
        shown.take(10).collect()
    });
    Some(Said {
        subject: name(certificate.subject()),
        issuer: name(certificate.issuer()),
        not_before: Time::from_unix(certificate.validity().not_before.timestamp()),
        not_after: Time::from_unix(certificate.validity().not_after.timestamp()),
        names: names.unwrap_or_default(),
    })
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|octets| std::net::IpAddr::from(octets).to_string());
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|octets| std::net::IpAddr::from(octets).to_string())).ok()
}
