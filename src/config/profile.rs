//! Profiles: files of the policy directory, or else the shipped ones compiled in. It must never weaken what no profile may change.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::keys::Table;
use super::nearest::nearest;
use super::renew_at::renew_at;
use super::shape::{Errors, Shape, Wrong, boolean, list, one_of, parsed, placed, quoted, wrong_type};
use super::tables::profile::{EKU, KEY_USAGE, LIFETIME, PROFILE};
use super::tree::{self, Entry, Node, Place, Value};
use super::value;
use crate::io::read;
use crate::model::code::Code;
use crate::model::finding::Severity;
use crate::model::key::KeyAlgorithm;
use crate::model::profile::{Profile, Purpose, Usage};
use crate::model::report::SettingsError;

/// The profiles that come with omens.
const SHIPPED: [(&str, &str); 6] = [
    ("host-identity", include_str!("../../policies/certificates/host-identity.toml")),
    ("infrastructure-rsa", include_str!("../../policies/certificates/infrastructure-rsa.toml")),
    ("keylime-agent", include_str!("../../policies/certificates/keylime-agent.toml")),
    ("mtls-client", include_str!("../../policies/certificates/mtls-client.toml")),
    ("mtls-service", include_str!("../../policies/certificates/mtls-service.toml")),
    ("tls-server", include_str!("../../policies/certificates/tls-server.toml")),
];

/// Extended key usages by the names of RFC 5280 §4.2.1.12. `anyExtendedKeyUsage` is none of them: it says nothing.
const EKUS: [(&str, &str); 6] = [
    ("serverAuth", "1.3.6.1.5.5.7.3.1"),
    ("clientAuth", "1.3.6.1.5.5.7.3.2"),
    ("codeSigning", "1.3.6.1.5.5.7.3.3"),
    ("emailProtection", "1.3.6.1.5.5.7.3.4"),
    ("timeStamping", "1.3.6.1.5.5.7.3.8"),
    ("OCSPSigning", "1.3.6.1.5.5.7.3.9"),
];
const ANY_EKU: [&str; 2] = ["anyExtendedKeyUsage", "2.5.29.37.0"];

/// Key usages of a leaf by the names of RFC 5280 §4.2.1.3.
const KEY_USAGES: [&str; 7] =
    ["digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement", "encipherOnly", "decipherOnly"];
const CA_KEY_USAGES: [&str; 2] = ["keyCertSign", "cRLSign"];

/// Areas of checks that no profile may change ([Profile](crate::config#profile)), and single checks.
const FIXED_AREAS: [&str; 6] = ["names", "pair", "path", "pin", "signature", "validity"];
const FIXED_IDS: [&str; 1] = ["eku.absent"];

/// The profiles that certificates ask for, each read once.
#[derive(Debug)]
pub(super) struct Profiles {
    directory: PathBuf,
    read: RefCell<BTreeMap<String, Read>>,
}

/// A profile that was read: as far as it could be made out, and the first thing that is wrong in it.
#[derive(Clone, Debug)]
struct Read {
    profile: Option<Arc<Profile>>,
    fault: Option<SettingsError>,
}

impl Profiles {
    pub(super) fn new(policies: &Path) -> Self {
        Self { directory: policies.join("certificates"), read: RefCell::default() }
    }

    /// The profile that a certificate names. What is wrong inside it is said once, at its own file.
    pub(super) fn get(&self, node: &Node, errors: &Errors) -> Option<Arc<Profile>> {
        let name = parsed(value::profile_name)(node, errors)?;
        if let Some(known) = self.read.borrow().get(&name) {
            return known.profile.clone();
        }
        let (file, bytes) = self.find(&name).map_err(|wrong| errors.at(&node.place, wrong)).ok()?;
        let before = errors.count();
        let profile = parse(&name, &file, bytes, errors).map(Arc::new);
        let fault = errors.after(before).into_iter().next();
        self.read.borrow_mut().insert(name, Read { profile: profile.clone(), fault });
        profile
    }

    /// The first thing that is wrong in a profile that was read, whichever certificate it was read for.
    pub(super) fn fault(&self, name: &str) -> Option<SettingsError> {
        self.read.borrow().get(name)?.fault.clone()
    }

    fn find(&self, name: &str) -> Result<(String, Vec<u8>), Wrong> {
        let file = self.directory.join(format!("{name}.toml"));
        let shipped = SHIPPED.iter().find(|(shipped, _)| *shipped == name);
        match (read::trusted(&file), shipped) {
            (Ok(bytes), _) => Ok((file.display().to_string(), bytes)),
            (Err(error), Some((_, text))) if error.is_not_found() => Ok((format!("(shipped) {name}.toml"), text.as_bytes().to_vec())),
            (Err(error), None) if error.is_not_found() => Err(self.unknown(name)),
            (Err(error), _) => Err(Wrong::new(error.code(), error.to_string()).suggest(error.hint())),
        }
    }

    fn unknown(&self, name: &str) -> Wrong {
        let files = read::trusted_directory(&self.directory).ok().flatten().unwrap_or_default();
        let stems = files.iter().filter(|file| file.extension().is_some_and(|e| e == "toml")).filter_map(|file| file.file_stem()?.to_str());
        let mut known: Vec<&str> = stems.chain(SHIPPED.iter().map(|(shipped, _)| *shipped)).collect();
        known.sort_unstable();
        known.dedup();
        let wrong = Wrong::new(
            Code::UnknownProfile,
            format!("there is no profile {} (neither shipped nor in {})", quoted(name), self.directory.display()),
        );
        let all = known.join(", ");
        wrong.suggest(
            nearest(name, &known)
                .map_or_else(|| format!("known profiles: {all}"), |best| format!("did you mean \"{best}\"? known profiles: {all}")),
        )
    }
}

/// The profile of this name or, where the word holds a slash or ends in `.toml`, of this file.
pub(super) fn named(word: &str, policies: &Path, errors: &Errors) -> Option<Arc<Profile>> {
    let path = Path::new(word);
    let is_file = word.contains('/') || path.extension().is_some_and(|extension| extension == "toml");
    let found = if is_file {
        let read = read::file(path, read::LIMIT).map_err(|error| Wrong::new(error.code(), error.to_string()).suggest(error.hint()));
        read.map(|bytes| (word.to_owned(), bytes))
    } else {
        Profiles::new(policies).find(word)
    };
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or(word);
    match found {
        Ok((file, bytes)) => parse(stem, &file, bytes, errors).map(Arc::new),
        Err(wrong) => {
            // The place is the command line, which has no lines.
            errors.at(&tree::parse("--profile", Vec::new()).start, wrong);
            None
        }
    }
}

/// The profile of this name out of the bytes of its file, or else the shipped one.
pub(super) fn of_file(name: &str, file: Option<(String, Vec<u8>)>, errors: &Errors) -> Option<Arc<Profile>> {
    let shipped = || {
        SHIPPED
            .iter()
            .find(|(shipped, _)| *shipped == name)
            .map(|(name, text)| (format!("(shipped) {name}.toml"), text.as_bytes().to_vec()))
    };
    let (file, bytes) = file.or_else(shipped)?;
    parse(name, &file, bytes, errors).map(Arc::new)
}

fn parse(name: &str, file: &str, bytes: Vec<u8>, errors: &Errors) -> Option<Profile> {
    let document = tree::parse(file, bytes);
    errors.extend(document.errors);
    // Half a profile would only be said to lack what stands in its other half.
    if document.broken { None } else { profile(name, &document.start, &document.entries, errors) }
}

fn profile(name: &str, start: &Place, entries: &[Entry], errors: &Errors) -> Option<Profile> {
    let shape = Shape::new(&PROFILE, start, entries, errors).called(format!("profile {name}"));
    let purposes = [("server", Purpose::Server), ("client", Purpose::Client), ("both", Purpose::Both)];
    let purpose = shape.required("purpose", one_of(&purposes));
    let eku = shape.required("eku", placed(|node, errors| usage(&EKU, extended_key_usage, node, errors)));
    let key_usage = shape.required("key_usage", |node, errors| usage(&KEY_USAGE, key_usage, node, errors));
    let keys = shape.required("keys", keys);
    let lifetime = shape.required("lifetime", lifetime);
    let wildcard = shape.or("wildcard", false, boolean);
    let lints = shape.or("lints", BTreeMap::new(), lints);
    let renew_at = shape.optional("renew_at", renew_at);
    shape.finish();
    let (eku_place, eku) = eku?;
    let purpose = purpose.filter(|purpose| purpose_is_required(*purpose, eku_place, &eku, errors));
    let (lifetime_min, lifetime_max) = lifetime?;
    Some(Profile {
        name: name.to_owned(),
        purpose: purpose?,
        eku,
        key_usage: key_usage?,
        keys: keys?,
        lifetime_min,
        lifetime_max,
        wildcard: wildcard?,
        lints: lints?,
        renew_at: renew_at?,
    })
}

/// A TLS server's or client's certificate without the fitting EKU is of no use to it (RFC 5280 §4.2.1.12).
fn purpose_is_required(purpose: Purpose, place: &Place, eku: &Usage, errors: &Errors) -> bool {
    let needed = [(purpose.server(), "serverAuth"), (purpose.client(), "clientAuth")];
    let missing = needed.into_iter().find(|(needed, eku_name)| *needed && !eku.required.iter().any(|r| r == eku_name));
    let Some((_, eku_name)) = missing else { return true };
    let wrong = Wrong::value(format!("the purpose needs {eku_name} among the required values of \"eku\""));
    errors.at(place, wrong.suggest(format!("write eku = {{ required = [\"{eku_name}\"] }}, or another purpose")));
    false
}

fn usage(table: &'static Table, value: fn(&str) -> Result<String, Wrong>, node: &Node, errors: &Errors) -> Option<Usage> {
    let shape = Shape::of(table, node, errors)?;
    let required = shape.required("required", list(parsed(value)));
    let allowed = shape.or("allowed", Vec::new(), list(parsed(value)));
    shape.finish();
    Some(Usage { required: required?, allowed: allowed? })
}

fn extended_key_usage(text: &str) -> Result<String, Wrong> {
    if ANY_EKU.contains(&text) {
        let wrong = Wrong::value("anyExtendedKeyUsage is refused: a certificate for everything is a certificate for the wrong thing too");
        return Err(wrong.suggest("name each use"));
    }
    let known = EKUS.iter().find(|(name, oid)| *name == text || *oid == text).map(|(name, _)| (*name).to_owned());
    let dotted = text.contains('.') && text.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()));
    known.or_else(|| dotted.then(|| text.to_owned())).ok_or_else(|| {
        let names = EKUS.map(|(name, _)| name);
        unknown_word("an extended key usage or a dotted OID", text, &names)
    })
}

fn key_usage(text: &str) -> Result<String, Wrong> {
    if CA_KEY_USAGES.contains(&text) {
        return Err(Wrong::value(format!("{text} is refused: a leaf signs no certificates and no revocation lists")).suggest("remove it"));
    }
    KEY_USAGES.contains(&text).then(|| text.to_owned()).ok_or_else(|| unknown_word("a key usage", text, &KEY_USAGES))
}

fn unknown_word(what: &str, text: &str, known: &[&str]) -> Wrong {
    let all = known.join(", ");
    let wrong = Wrong::value(format!("expected {what}, found {}", quoted(text)));
    wrong.suggest(nearest(text, known).map_or_else(|| format!("one of {all}"), |best| format!("did you mean \"{best}\"? one of {all}")))
}

fn keys(node: &Node, errors: &Errors) -> Option<Vec<KeyAlgorithm>> {
    let keys = list(one_of(&KeyAlgorithm::ALL.map(|a| (a.as_str(), a))))(node, errors)?;
    if keys.is_empty() {
        errors.at(&node.place, Wrong::value("expected at least one key algorithm").suggest("write keys = [\"ec-p256\"]"));
        return None;
    }
    Some(keys)
}

fn lifetime(node: &Node, errors: &Errors) -> Option<(std::time::Duration, std::time::Duration)> {
    let shape = Shape::of(&LIFETIME, node, errors)?;
    let (min, max) = (shape.required("min", parsed(value::duration)), shape.required("max", parsed(value::duration)));
    shape.finish();
    let (min, max) = (min?, max?);
    if max.is_zero() || min > max {
        errors.at(&node.place, Wrong::value("expected \"min\" not above \"max\"").suggest("write { min = \"10m\", max = \"168h\" }"));
        return None;
    }
    Some((min, max))
}

fn lints(node: &Node, errors: &Errors) -> Option<BTreeMap<String, Severity>> {
    let Value::Table(entries) = &node.value else {
        return wrong_type("a table", node, errors);
    };
    let read: Vec<_> = entries.iter().map(|entry| lint(entry, errors)).collect();
    read.into_iter().collect()
}

fn lint(entry: &Entry, errors: &Errors) -> Option<(String, Severity)> {
    let id = entry.key.as_str();
    let refuse = |text: String, suggestion: &str| {
        errors.at(&entry.place, Wrong::value(text).suggest(suggestion));
        None
    };
    if let Value::Table(_) = entry.node.value {
        return refuse(
            format!("expected the id of a lint, found {} without quotes", quoted(id)),
            "write the whole id in quotes: \"area.name\" = \"low\"",
        );
    }
    let word = |w: &str| {
        w.starts_with(|c: char| c.is_ascii_lowercase()) && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let Some((area, _)) = id.split_once('.').filter(|(area, rest)| word(area) && word(rest)) else {
        return refuse(
            format!("expected the id of a lint, found {}", quoted(id)),
            "write it as findings show it, such as \"chain.root-included\"",
        );
    };
    if FIXED_AREAS.contains(&area) || FIXED_IDS.contains(&id) {
        return refuse(format!("\"{id}\" is a check that no profile may change"), "remove it");
    }
    let severities = [Severity::High, Severity::Medium, Severity::Low, Severity::Info].map(|s| (s.as_str(), s));
    one_of(&severities)(&entry.node, errors).map(|severity| (id.to_owned(), severity))
}
