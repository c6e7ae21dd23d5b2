//! Words for a server certificate that is not trusted, from which a person can tell what to change. It must never judge: the verdict is rustls'.

use rustls::CertificateError;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::io::tls::Distrust;
use crate::model::clock::Time;
use crate::model::code::Code;
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
    Failure::new(Stage::Issue, Code::TlsUntrusted, text).hint(hint)
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

#[cfg(test)]
mod tests {
    use super::*;

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    /// Root, intermediate and leaf, DER.
    fn chain(root: &str) -> [Vec<u8>; 3] {
        let authority = |name: &str| {
            let mut params = CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            (params, KeyPair::generate().expect("a key"))
        };
        let (root, root_key) = authority(root);
        let (book, book_key) = authority("Book of Omens");
        let root_der = root.self_signed(&root_key).expect("a root").der().to_vec();
        let book_der = book.signed_by(&book_key, &Issuer::new(root, root_key)).expect("an intermediate").der().to_vec();
        let leaf = CertificateParams::new(["bao.example".to_owned(), "10.0.0.1".to_owned()]).expect("names");
        let leaf_der = leaf.signed_by(&KeyPair::generate().expect("a key"), &Issuer::new(book, book_key)).expect("a leaf").der().to_vec();
        [root_der, book_der, leaf_der]
    }

    fn told(why: CertificateError, sent: &[&Vec<u8>], trusted: &Vec<u8>) -> (String, String) {
        let distrust = Distrust { why, chain: sent.iter().map(|der| der.to_vec()).collect(), name: "bao.lan".to_owned() };
        let failure = failure("bao.lan:8200", &distrust, std::slice::from_ref(trusted));
        assert_eq!(failure.code, "tls-untrusted");
        (failure.text, failure.hint.expect("a hint"))
    }

    #[test]
    fn an_unknown_authority_is_explained_by_where_the_chain_stops() {
        let [eye, book, leaf] = chain("Eye of Thundera");
        let [same_name, ..] = chain("Eye of Thundera");
        let [other, ..] = chain("Other Root");
        let unknown = || CertificateError::UnknownIssuer;

        let (text, hint) = told(unknown(), &[&leaf], &eye);
        assert!(text.contains("'CN=Book of Omens' signed the last certificate sent, but was not sent"), "{text}");
        assert!(hint.contains("put the intermediate 'CN=Book of Omens' after the leaf"), "{hint}");

        let (text, hint) = told(unknown(), &[&leaf, &book], &other);
        assert!(text.contains("'CN=Eye of Thundera' signed") && text.contains("trusted is 'CN=Other Root'"), "{text}");
        assert!(hint.starts_with("set openbao.ca"), "{hint}");

        let (text, _) = told(unknown(), &[&leaf, &book, &eye], &other);
        assert!(text.contains("its chain ends at 'CN=Eye of Thundera'"), "{text}");

        for sent in [vec![&leaf, &book], vec![&leaf, &book, &eye]] {
            let (text, hint) = told(CertificateError::BadSignature, &sent, &same_name);
            assert!(text.contains("but not at the key of the trusted root of that name"), "{text}");
            assert!(hint.contains("two different roots of one name"), "{hint}");
        }
    }

    #[test]
    fn a_wrong_name_shows_the_names_there_are() {
        let [eye, book, leaf] = chain("Eye of Thundera");
        let (text, hint) = told(CertificateError::NotValidForName, &[&leaf, &book], &eye);
        assert!(text.contains("it is for bao.example, 10.0.0.1, not for 'bao.lan'"), "{text}");
        assert!(hint.contains("openbao.address"), "{hint}");
    }

    #[test]
    fn junk_in_a_chain_is_described_and_not_stumbled_over() {
        let [eye, ..] = chain("Eye of Thundera");
        let (text, _) = told(CertificateError::BadEncoding, &[&b"junk".to_vec()], &eye);
        assert!(text.ends_with("it sent 1 certificates, none readable"), "{text}");
        told(CertificateError::UnknownIssuer, &[], &b"junk".to_vec());
    }
}
