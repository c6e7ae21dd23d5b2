//! What `chain-audit` looks at: settings, targets and flags of the command line, made into one audit.

use std::path::{Path, PathBuf};

use super::super::arguments::{AuditPurpose, AuditVerdict, ChainAudit};
use super::super::session::Session;
use super::{Refused, network, refused};
use crate::audit::consumer::own;
use crate::audit::consumer::own::mounted::{self, Mounted};
use crate::audit::facts::findings::HostFindings;
use crate::audit::facts::given::{Broken, Given, Meant};
use crate::audit::facts::unread;
use crate::audit::rules::material;
use crate::audit::run;
use crate::audit::target::AuditTarget;
use crate::config;
use crate::config::settings::{Remains, Settings};
use crate::io::look::{self, View};
use crate::io::read;
use crate::judge::assess::Requirements;
use crate::judge::pem;
use crate::model::audit::{Document, Location, Target};
use crate::model::code::Code;
use crate::model::profile::Purpose;
use crate::model::report::SettingsError;
use crate::model::text;

/// Profiles, where no settings name another directory.
const POLICIES: &str = "/etc/omens/policies";

pub(super) fn look(session: &Session<'_>, arguments: &ChainAudit) -> Result<Document, Refused> {
    let view = match &arguments.root {
        None => View::host(),
        Some(directory) => View::root(directory).map_err(|error| {
            refused(Code::Root, format!("--root {}: {error}", directory.display()), "give it the root directory of a host's files")
        })?,
    };
    let inside = |word: &str| word_inside(arguments.root.as_deref(), word);
    // Another host has no working directory of ours.
    let start = if view.is_elsewhere() { Path::new("/") } else { session.environment.directory.as_path() };
    let exists = |word: &str| view.meta(&start.join(inside(word))).is_ok();
    let parse = |word: &String| AuditTarget::parse(&inside(word), exists).map(|target| target.below(start));
    let targets: Result<Vec<AuditTarget>, String> = arguments.targets.iter().map(parse).collect();
    let targets = targets.map_err(|text| refused(Code::Usage, text, "see omens chain-audit --help"))?;
    if view.is_elsewhere() && targets.iter().any(|target| matches!(target, AuditTarget::Endpoint(_))) {
        return Err(refused(
            Code::Usage,
            "an endpoint cannot be asked with --root: nothing is asked over the network then".to_owned(),
            "leave out --root, or the endpoint",
        ));
    }
    let mut given = given(&view, arguments)?;
    let at = arguments.at.unwrap_or_else(|| session.clock.now());
    let read = settings(session, arguments);
    let named = match &read {
        Some(Ok(settings)) => Some(settings.host.clone()),
        Some(Err(remains)) => remains.host.clone(),
        None => None,
    };
    let host = named.or_else(|| view.host_name()).unwrap_or_else(|| "localhost".to_owned());
    let mut findings = HostFindings::new(at, &host);
    let settings = usable(read, &mut findings);
    if let Some(settings) = &settings {
        if given.anchors.is_empty() {
            given.anchors.extend(settings.anchor_ders());
        }
        findings.pinned(settings.anchors().into_iter().map(|anchor| anchor.sha256.to_string()).collect());
        if targets.is_empty() {
            own::judge(settings, &mut findings);
            given.files = own::named_files(settings);
        }
    }
    let mounted = of_mounted(session, arguments, &view, &mut findings);
    if let Some(mounted) = mounted.as_ref().filter(|_| given.anchors.is_empty()) {
        given.anchors.extend(mounted.anchors.iter().cloned());
    }
    let wiring = run::files(&view, &targets, &given, &mut findings);
    if let Some(mounted) = mounted.filter(|_| targets.is_empty()) {
        mounted.judge(&view, &wiring, &mut findings);
    }
    if !view.is_elsewhere() {
        let work = network::Work { view: &view, targets: &targets, given: &given, settings: settings.as_ref(), wiring: &wiring };
        network::look(session, &work, &mut findings)?;
    }
    Ok(findings.into_document())
}

/// This host's settings, where they are to be used. Nobody has to have any.
fn settings(session: &Session<'_>, arguments: &ChainAudit) -> Option<Result<Settings, Box<Remains>>> {
    if arguments.no_config || arguments.root.is_some() {
        return None;
    }
    let file = &session.global.config;
    if file.as_path() == Path::new(super::super::arguments::CONFIG) && View::host().meta(file).is_err_and(|error| error.is_absent()) {
        return None;
    }
    Some(session.settings(false))
}

/// What of them can be used; what is wrong in them is part of the report.
fn usable(read: Option<Result<Settings, Box<Remains>>>, findings: &mut HostFindings) -> Option<Settings> {
    match read? {
        Ok(settings) => {
            own::settings_are_wrong(&settings.faults.errors, findings);
            Some(settings)
        }
        Err(remains) => {
            own::settings_are_wrong(&remains.errors, findings);
            None
        }
    }
}

/// The settings of the host that is looked at from outside.
fn of_mounted(session: &Session<'_>, arguments: &ChainAudit, view: &View, findings: &mut HostFindings) -> Option<Mounted> {
    let inside = word_inside(arguments.root.as_deref(), &session.global.config.display().to_string());
    let file = Path::new(&inside);
    if !view.is_elsewhere() || arguments.no_config {
        return None;
    }
    // Nobody has to have any, but those that were named have to be there.
    let is_named = session.global.config.as_path() != Path::new(super::super::arguments::CONFIG);
    if let Some(error) = view.meta(file).err().filter(|error| is_named && error.is_absent()) {
        unread::asked_for(findings, Target::new("settings", inside.clone()), Location::file(file), &error);
        return None;
    }
    mounted::read(view, file, session.drivers, findings)
}

/// A target below `--root` may be given with that directory's own path in front.
fn word_inside(root: Option<&Path>, word: &str) -> String {
    let strip = |path: &str| {
        let rest = Path::new(path).strip_prefix(root?).ok()?;
        Some(Path::new("/").join(rest).display().to_string())
    };
    match word.split_once(':') {
        Some((kind, path)) if path.starts_with('/') => strip(path).map_or_else(|| word.to_owned(), |path| format!("{kind}:{path}")),
        _ => strip(word).unwrap_or_else(|| word.to_owned()),
    }
}

fn given(view: &View, arguments: &ChainAudit) -> Result<Given, Refused> {
    let profile = match &arguments.profile {
        None => None,
        Some(word) => Some(config::profile(word, Path::new(POLICIES)).map_err(|errors| {
            let line = |line: Option<usize>| line.map_or_else(String::new, |line| format!("line {line}: "));
            let said = |error: &SettingsError| line(error.line) + &text::without_base64(&error.text);
            let words: Vec<String> = errors.iter().map(said).collect();
            let hint = errors.iter().find_map(|error| error.suggestion.clone()).unwrap_or_default();
            refused(Code::Profile, format!("--profile {word}: {}", words.join("; ")), &hint)
        })?),
    };
    let purpose = match arguments.purpose {
        Some(AuditPurpose::Server) => Some(Purpose::Server),
        Some(AuditPurpose::Client) => Some(Purpose::Client),
        Some(AuditPurpose::Any) => None,
        None => profile.as_ref().map(|profile| profile.purpose),
    };
    let path_only = arguments.verdict == AuditVerdict::Path;
    let asked = Requirements { profile, purpose, names: arguments.name.clone(), max_depth: arguments.max_depth, path_only, strict: false };
    let (anchors, untrusted) = ders(view, &arguments.anchor, Meant::Certificate)?;
    let (intermediates, mut broken) = ders(view, &arguments.intermediates, Meant::Certificate)?;
    let (crls, lists) = ders(view, &arguments.crl, Meant::List)?;
    broken.extend(lists);
    let untrusted = untrusted.into_iter().map(Broken::untrusted).collect();
    let is_of_leaf = asked.profile.is_some() || asked.purpose.is_some() || !asked.names.is_empty();
    let verdict_is_asked = is_of_leaf || path_only || asked.max_depth.is_some() || !anchors.is_empty();
    let keys = keys(&arguments.key)?;
    Ok(Given { anchors, intermediates, crls, broken, untrusted, keys, files: Vec::new(), asked, verdict_is_asked })
}

/// The public halves of the keys of `--key`.
fn keys(files: &[PathBuf]) -> Result<Vec<Vec<u8>>, Refused> {
    let mut all = Vec::new();
    for file in files {
        let bytes = read::file(file, look::LIMIT).map_err(|error| refused(Code::Unreadable, error.to_string(), &error.hint()))?;
        let found = material::public_keys(&zeroize::Zeroizing::new(bytes));
        if found.is_empty() {
            let text = format!("--key {}: no private key in it that can be read", file.display());
            return Err(refused(Code::Malformed, text, "give it a PEM file of an unencrypted private key (PKCS#8, PKCS#1 or SEC 1)"));
        }
        all.extend(found);
    }
    Ok(all)
}

/// What the files of a flag hold, as DER: PEM blocks, or the file as it is; and what of it is not what it is meant to be. They are this
/// host's, or else those of `--root`. A file without such a block is kept as it is: then the judge says that it is none.
fn ders(view: &View, files: &[PathBuf], meant: Meant) -> Result<(Vec<Vec<u8>>, Vec<Broken>), Refused> {
    let (mut all, mut broken) = (Vec::new(), Vec::new());
    for file in files {
        let read = read::file(file, look::LIMIT).or_else(|error| match view.bytes(file) {
            Ok(bytes) if view.is_elsewhere() => Ok(bytes.to_vec()),
            _ => Err(refused(Code::Unreadable, error.to_string(), &error.hint())),
        });
        let bytes = read?;
        let blocks = std::str::from_utf8(&bytes).map(|text| pem::placed(text, meant.label())).unwrap_or_default();
        let whole = blocks.is_empty().then(|| (bytes, Location::file(file)));
        let blocks = blocks.into_iter().map(|block| (block.der, Location::line(file, block.line)));
        for (der, place) in blocks.chain(whole) {
            broken.extend(Broken::new(meant, &der, place));
            all.push(der);
        }
    }
    Ok((all, broken))
}
