//! `check-config`: services and keystores that may not be able to load a key of the kind that the settings make.

use std::collections::BTreeSet;

use crate::config::install::Part;
use crate::config::settings::{Certificate, Install, Settings};
use crate::model::code::Code;
use crate::model::failure::Warning;
use crate::model::key::KeyAlgorithm;

/// What loads the keys of a driver's service.
#[derive(Debug)]
struct Loader {
    driver: &'static str,
    needs: &'static str,
}

/// Services with OpenSSL, by their own packages, load ML-DSA keys from OpenSSL 3.5 on, which brought them. Of those in
/// Go nothing is known but that their current releases were not built for it.
const ML_DSA: [Loader; 7] = [
    Loader { driver: "keylime_agent", needs: "OpenSSL 3.5 or newer" },
    Loader { driver: "keylime_registrar", needs: "a Python whose OpenSSL is 3.5 or newer" },
    Loader { driver: "keylime_verifier", needs: "a Python whose OpenSSL is 3.5 or newer" },
    Loader { driver: "nginx", needs: "OpenSSL 3.5 or newer" },
    Loader { driver: "openbao", needs: "a build with ML-DSA in its TLS, of which no release is known" },
    Loader { driver: "spire_agent", needs: "a build with ML-DSA in its TLS, of which no release is known" },
    Loader { driver: "spire_server", needs: "a build with ML-DSA in its TLS, of which no release is known" },
];

/// The plugins of SPIRE that read a pair compare its keys as RSA or ECDSA and refuse every other kind (SPIRE 1.15.3,
/// pkg/common/cryptoutil/keys.go and pkg/common/plugin/x509pop). OpenSSL from 1.1.1 on and Go load Ed25519.
const ED25519: [Loader; 2] = [
    Loader { driver: "spire_agent", needs: "a SPIRE that takes more than EC and RSA, of which no release is known" },
    Loader { driver: "spire_server", needs: "a SPIRE that takes more than EC and RSA, of which no release is known" },
];

/// What is known of a kind of key that not everything loads.
#[derive(Debug)]
struct Kind {
    loaders: &'static [Loader],
    /// The first Java that reads it (JEP 339, JEP 497).
    java: u32,
}

const fn kind(algorithm: KeyAlgorithm) -> Option<Kind> {
    match algorithm {
        KeyAlgorithm::Ed25519 => Some(Kind { loaders: &ED25519, java: 15 }),
        KeyAlgorithm::MlDsa44 | KeyAlgorithm::MlDsa65 => Some(Kind { loaders: &ML_DSA, java: 24 }),
        KeyAlgorithm::EcP256 | KeyAlgorithm::EcP384 | KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => None,
    }
}

/// One warning for each service, and for a keystore, of each certificate.
pub(super) fn warnings(settings: &Settings) -> Vec<Warning> {
    settings.certificates.iter().flat_map(of_certificate).collect()
}

fn of_certificate(certificate: &Certificate) -> Vec<Warning> {
    let algorithm = certificate.request.algorithm;
    let Some(kind) = kind(algorithm) else { return Vec::new() };
    let drivers: BTreeSet<&str> = certificate.reload.iter().map(|service| service.id().driver()).collect();
    let services = kind.loaders.iter().filter(|loader| drivers.contains(loader.driver));
    let services = services.map(|Loader { driver, needs }| format!("{driver} loads a key of type {algorithm} only with {needs}"));
    let has_keystore = certificate.install.iter().flat_map(Install::containers).any(|container| container.part == Part::Jks);
    let keystore =
        has_keystore.then(|| format!("a keystore (jks) with a key of type {algorithm} is read only by Java {} or newer", kind.java));
    let texts = services.chain(keystore).map(|text| format!("certificate {}: {text}", certificate.name()));
    let hint = "where that is not sure, write key = { algorithm = \"ec-p256\" }";
    texts.map(|text| Warning::new(Code::ConsumerCannotLoad, text).hint(hint)).collect()
}
