//! `keep = "resident"`: where a key that stays in the TPM can be had, and by whom it can be used; our own login is one of those.

use std::sync::Arc;

use super::service::Service;
use super::settings::{Install, Part};
use super::shape::{Errors, Wrong};
use super::tree::Node;
use crate::model::code::Code;
use crate::model::key::{Keep, KeyAlgorithm};

/// Drivers of services that lose handshakes with such a key
/// ([Keys inside the TPM and nginx](crate::io::tpm#keys-inside-the-tpm-and-nginx)).
const LOSES_HANDSHAKES: [&str; 1] = ["nginx"];
/// Drivers of services that cannot load one: Go reads no TSS2 PEM, and neither does the agent of Keylime.
const CANNOT_LOAD: [&str; 4] = ["spire_server", "spire_agent", "keylime_agent", "openbao"];

/// What one certificate wants of its key.
pub(super) struct Wanted<'a> {
    pub(super) algorithm: Option<KeyAlgorithm>,
    pub(super) keep: Option<Keep>,
    /// Whether a login shows it.
    pub(super) is_identity: bool,
    pub(super) reload: &'a [Arc<dyn Service>],
    pub(super) install: &'a [Install],
}

impl Wanted<'_> {
    /// Whether it can be had and used like that; an error says what cannot.
    pub(super) fn is_usable(&self, node: &Node, has_pcrs: bool, at_own_risk: bool, errors: &Errors) -> bool {
        let Some(wrong) = self.wrong(has_pcrs, at_own_risk) else { return true };
        errors.at(&node.place, wrong);
        false
    }

    fn wrong(&self, has_pcrs: bool, at_own_risk: bool) -> Option<Wrong> {
        const INSTEAD: &str = "write keep = \"sealed\": the key is bound to the TPM, and in clear only in memory";
        if self.is_identity {
            let taken = "a login shows this certificate (tpm_identity)";
            if self.keep.is_some_and(|keep| keep != Keep::Resident) {
                let wrong = Wrong::value(format!("{taken}: its key must never leave the TPM"));
                return Some(wrong.suggest("write key = { algorithm = \"ec-p256\", keep = \"resident\" }"));
            }
            if !self.reload.is_empty() || !self.install.is_empty() {
                let wrong = Wrong::value(format!("{taken}: nobody else reads it, and a login is its proof"));
                return Some(wrong.suggest("leave reload and install out"));
            }
        }
        if self.keep != Some(Keep::Resident) {
            return None;
        }
        let unusable = |text: String| Some(Wrong::new(Code::ResidentUnusable, text).suggest(INSTEAD));
        if let Some(other) = self.algorithm.filter(|algorithm| !KeyAlgorithm::RESIDENT.contains(algorithm)) {
            let wrong = Wrong::value(format!("a resident key is ec-p256 or rsa-2048, found \"{other}\""));
            return Some(wrong.suggest("write algorithm = \"ec-p256\", or keep = \"sealed\""));
        }
        let by = |drivers: &[&str]| self.reload.iter().map(|service| service.id().driver()).find(|name| drivers.contains(name));
        if let Some(name) = by(&CANNOT_LOAD) {
            return unusable(format!("{name} reads no key that stays in a TPM"));
        }
        if let Some(name) = by(&LOSES_HANDSHAKES).filter(|_| !at_own_risk) {
            return unusable(format!(
                "{name} with a key in the TPM lost 151 and 176 handshakes in six reloads where a key in memory lost none (tpm2-openssl \
                 1.3.0 and 1.1.1), and serves no second such key; resident_at_own_risk = true takes that"
            ));
        }
        let together = [Part::Combined, Part::CombinedKeyFirst, Part::Jks, Part::Pkcs12];
        if let Some(part) = together.into_iter().find_map(|part| self.installed(part)) {
            return unusable(format!("a resident key is in no file, so there is no {part} to install"));
        }
        match self.installed(Part::Key) {
            Some(_) if has_pcrs => unusable("a resident key that is bound to PCRs has no key.pem: the format names no PCRs".to_owned()),
            _ => None,
        }
    }

    fn installed(&self, part: Part) -> Option<&'static str> {
        self.install.iter().flat_map(|install| &install.files).find(|(wanted, _)| *wanted == part).map(|(part, _)| part.as_str())
    }
}
