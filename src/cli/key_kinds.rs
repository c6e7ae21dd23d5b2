//! `check-config`: services that may not be able to load a key of the kind that the settings make.

use std::collections::BTreeSet;

use crate::config::settings::Settings;
use crate::model::code::Code;
use crate::model::failure::Warning;
use crate::model::key::KeyAlgorithm;

/// What loads the keys of a driver's service.
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

/// One warning for each service and certificate.
pub(super) fn warnings(settings: &Settings) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for certificate in &settings.certificates {
        let algorithm = certificate.request.algorithm;
        if !matches!(algorithm, KeyAlgorithm::MlDsa44 | KeyAlgorithm::MlDsa65) {
            continue;
        }
        let drivers: BTreeSet<&str> = certificate.reload.iter().map(|service| service.id().driver()).collect();
        for Loader { driver, needs } in ML_DSA.iter().filter(|loader| drivers.contains(loader.driver)) {
            let text = format!(
                "certificate {}: {driver} loads a key of type {algorithm} only with {needs}; where that is not sure, write key = {{ \
                 algorithm = \"ec-p256\" }}",
                certificate.name()
            );
            warnings.push(Warning::new(Code::ConsumerCannotLoad, text));
        }
    }
    warnings
}
