//! Keys, certificates and trust lists of the Python parts: what `tls_dir` makes of their names.

use std::path::{Path, PathBuf};

use super::settings::Settings;
use super::{Base, KeylimeReader, Part, lints, python};
use crate::audit::facts::wiring::{CallTerms, Needs, Pair, Trust};
use crate::model::profile::Purpose;

/// Which pair of a part.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Server,
    Client,
}

impl Side {
    const fn names(self) -> [&'static str; 4] {
        match self {
            Self::Server => ["server_cert", "server_key", "server_key_password", "trusted_client_ca"],
            Self::Client => ["client_cert", "client_key", "client_key_password", "trusted_server_ca"],
        }
    }

    const fn defaults(self) -> [&'static str; 2] {
        match self {
            Self::Server => ["server-cert.crt", "server-private.pem"],
            Self::Client => ["client-cert.crt", "client-private.pem"],
        }
    }
}

/// The directory that relative names are in.
fn directory(settings: &Settings, base: &Base) -> PathBuf {
    match settings.text("tls_dir", "default").trim() {
        "generate" if settings.part == Part::Registrar => base.0.join("reg_ca"),
        "" | "default" | "generate" => base.0.join("cv_ca"),
        directory => base.0.join(directory),
    }
}

fn is_generated(settings: &Settings) -> bool {
    settings.text("tls_dir", "default").trim() == "generate"
}

fn path(settings: &Settings, base: &Base, option: &str, default: &str) -> PathBuf {
    let name = settings.text(option, "default").trim();
    directory(settings, base).join(if matches!(name, "" | "default") { default } else { name })
}

/// Says that Keylime makes its own certificates.
pub(super) fn generated(reader: &mut KeylimeReader<'_>, settings: &Settings, base: &Base) {
    if is_generated(settings) {
        reader.findings.add(settings.draft(&lints::GENERATED, "tls_dir").expected("certificates of your PKI").found("tls_dir = generate"));
    }
    absent(reader, settings, base);
}

/// The directory that is used by default, where nobody makes it.
pub(super) fn absent(reader: &mut KeylimeReader<'_>, settings: &Settings, base: &Base) {
    let made = directory(settings, base);
    let is_default = matches!(settings.text("tls_dir", "default").trim(), "" | "default");
    // A copy that was made without Keylime's own directory says nothing of what is in it.
    let known = !reader.view.is_elsewhere() || !reader.view.list(&base.0).unwrap_or_default().is_empty();
    if is_default && known && !reader.view.is_directory(&made) && !verifier_makes(reader) {
        let draft = settings.draft(&lints::TLS_DIR_ABSENT, "tls_dir").expected(made.display().to_string());
        reader.findings.add(
            draft.found("no such directory, and no verifier of this host makes it").breaks(&format!("keylime_{}", settings.part.name())),
        );
    }
}

/// Whether the verifier of this host makes the directory that the others use by default.
fn verifier_makes(reader: &KeylimeReader<'_>) -> bool {
    ["/etc/keylime/verifier.conf", "/usr/etc/keylime/verifier.conf"].iter().filter_map(|path| reader.view.text(Path::new(path)).ok()).any(
        |text| {
            let set = text.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim() == "tls_dir");
            set.is_none_or(|(_, value)| value.trim() == "generate")
        },
    )
}

/// The pair of one side; none where Keylime has yet to make it, or where nothing names it.
pub(super) fn pair(reader: &mut KeylimeReader<'_>, settings: &Settings, base: &Base, side: Side) -> Option<usize> {
    let [cert, key, password, _] = side.names();
    let [cert_file, key_file] = side.defaults();
    let (certificate, key) = (path(settings, base, cert, cert_file), path(settings, base, key, key_file));
    let own = |option: &str| !matches!(settings.text(option, "default").trim(), "" | "default");
    if !own(cert) && !reader.view.is_file(&certificate) {
        return None;
    }
    let purpose = if matches!(side, Side::Server) { Purpose::Server } else { Purpose::Client };
    let passphrase = settings.get(password).is_some_and(|setting| !setting.value.trim().is_empty());
    Some(reader.wiring.pair(Pair {
        consumer: settings.consumer(cert),
        certificate,
        key: Some(key),
        intermediates: Vec::new(),
        purpose,
        names: Vec::new(),
        passphrase,
        account: None,
        leaf_only: false,
        placeholder: false,
    }))
}

/// Of a call that shows nothing: whether its certificate is one that Keylime makes at its first start, and that this copy was made without.
pub(super) fn made_later(reader: &KeylimeReader<'_>, settings: &Settings, base: &Base, pair: Option<usize>) -> CallTerms {
    let named = matches!(settings.text("client_cert", "default").trim(), "" | "default");
    let own = matches!(settings.text("tls_dir", "default").trim(), "" | "default" | "generate");
    let there = reader.view.is_directory(&directory(settings, base)) && !is_generated(settings);
    CallTerms { made_later: pair.is_none() && named && own && !there, ..CallTerms::default() }
}

/// The trust list of one side, and what is wrong with how it is written.
pub(super) fn trust(reader: &mut KeylimeReader<'_>, settings: &Settings, base: &Base, side: Side, needs: Needs) -> Option<usize> {
    let [.., option] = side.names();
    let unset = if matches!(side, Side::Server) { &lints::CLIENT_CA_UNSET } else { &lints::SERVER_CA_UNSET };
    let Some(setting) = settings.get(option) else {
        let draft = settings.draft(unset, option).expected(format!("{option} = ['root.crt', 'intermediate.crt']"));
        reader.findings.add(draft.found(format!("{option} is not set (a commented line sets nothing)")));
        return None;
    };
    let value = setting.value.trim();
    let files = match value {
        "default" => vec!["cacert.crt".to_owned()],
        "" | "all" | "[]" => {
            let draft = settings.draft(unset, option).expected(format!("{option} = ['root.crt', 'intermediate.crt']"));
            reader.findings.add(draft.found(format!("{option} = {value}")));
            return None;
        }
        list => python::list(list).unwrap_or_else(|| {
            let draft = settings.draft(&lints::LIST_EXPECTED, option).expected(format!("{option} = {}", as_list(list)));
            let service = format!("keylime_{}", settings.part.name());
            reader.findings.add(
                draft
                    .found(format!("{option} = {list}"))
                    .evidence("the log ends with \"Failed to get list from config\" or \"malformed node or string\"")
                    .breaks(&service),
            );
            names(list)
        }),
    };
    let directory = directory(settings, base);
    let files: Vec<PathBuf> =
        files.iter().filter(|file| !file.trim().is_empty()).map(|file| directory.join(Path::new(file.trim()))).collect();
    if files.is_empty() || (value == "default" && !files.iter().any(|file| reader.view.is_file(file))) {
        return None;
    }
    let of = if matches!(side, Side::Server) { Purpose::Client } else { Purpose::Server };
    let needs = if value == "default" { Needs::Root } else { needs };
    Some(reader.wiring.trust(Trust { consumer: settings.consumer(option), files, of, needs, terms: Default::default() }))
}

/// What a value that is no list was meant to name.
fn names(value: &str) -> Vec<String> {
    let bare = value.trim_matches(['[', ']', ' ']);
    bare.split(',').map(|name| name.trim().trim_matches(['\'', '"']).to_owned()).filter(|name| !name.is_empty()).collect()
}

fn as_list(value: &str) -> String {
    let quoted: Vec<String> = names(value).iter().map(|name| format!("'{name}'")).collect();
    format!("[{}]", quoted.join(", "))
}
