//! `[[certificate]]`: what is asked of the CA, who reads it and where it can be seen, checked against its profile and its neighbours.

use std::time::Duration;

use super::driver::{self, DraftEndpoint, DraftInstall, DraftVerify};
use super::names::Names;
use super::nearest::nearest;
use super::neighbours::Neighbours;
use super::settings::{Accounts, Certificate, Container, Endpoint, Install, InstallKind, IssuerSettings, Owner, ServerName};
use super::shape::{Errors, Shape, Wrong, boolean, one_of, parsed, placed, quoted};
use super::tables::certificate as tables;
use super::tree::{Node, Place, Value};
use super::{renew_at, resident, value, window};
use crate::io::account::{AccountError, Lookups};
use crate::io::look::View;
use crate::model::code::Code;
use crate::model::key::{Keep, KeyAlgorithm};
use crate::model::profile::Profile;
use crate::model::renew_at::RenewAt;
use crate::model::request::Request;
use crate::model::span;

/// The shortest lifetime that leaves room for a renewal ([Certificate](crate::config#certificate)).
const TTL_MIN: Duration = Duration::from_secs(60);

/// One `[[certificate]]`.
pub(super) fn certificate<'a>(node: &'a Node, around: &Neighbours<'a>, errors: &'a Errors) -> Option<Certificate> {
    let Value::Table(entries) = &node.value else {
        return Shape::of(&tables::CERTIFICATE, node, errors).and(None);
    };
    let shape = Shape::new(&tables::CERTIFICATE, &node.place, entries, errors).called(title(node));
    let name = shape.required("name", |node, errors| around.name(node, errors));
    let profile = shape.required("profile", |node, errors| around.profiles.get(node, errors));
    let role = shape.required("role", placed(parsed(value::role)));
    let ttl = shape.required("ttl", placed(parsed(value::duration)));
    let names = Names::read(&shape);
    let key = shape.or("key", Key { algorithm: None, keep: around.keep() }, |node, errors| key(node, errors, around));
    let owner = owner(&shape, &around.accounts);
    let before = shape.optional("before", driver::before);
    let install = shape.get("install").map_or(Some(Vec::new()), |node| driver::install(node, errors));
    let reload = shape.get("reload").map_or(Some(Vec::new()), |node| around.reload(node, errors));
    let window = window::windows(&shape);
    let revoke_replaced = shape.or("revoke_replaced", false, boolean);
    let renew_at = shape.optional("renew_at", placed(renew_at::renew_at));
    let renamed_from = shape.optional("renamed_from", |node, errors| around.earlier_name(node, errors));
    let verify = shape.get("verify").map_or(Some(DraftVerify::default()), |node| driver::verify(node, errors));
    let at_own_risk = shape.or("resident_at_own_risk", false, boolean);
    shape.finish();

    // Checks between values: each runs as soon as its own values are good, whatever else is wrong.
    let of_profile = profile.as_deref();
    let ttl = ttl.and_then(|(place, ttl)| lifetime(place, ttl, of_profile, errors));
    let due_at = |own| ttl.map_or(Some(RenewAt::Usual), |ttl| around.renew_at(own, ttl, of_profile, &node.place, errors));
    let renew_at = renew_at.and_then(due_at);
    let algorithm = key.as_ref().and_then(|key| key.algorithm(profile.as_deref(), errors));
    let suited = names.as_ref().is_none_or(|names| names.suit(profile.as_deref(), &node.place, errors));
    let keep = key.as_ref().map(|key| key.keep);
    let install = install.and_then(|drafts| installs(drafts, keep, around, &node.place, errors));
    let (drafts, checks) = verify.map(|verify| (verify.endpoints, verify.checks)).unzip();
    let verify = names.as_ref().zip(drafts).and_then(|(names, drafts)| endpoints(drafts, names, profile.as_deref(), errors));

    let usable = resident::Wanted {
        algorithm,
        keep,
        reload: reload.as_deref().unwrap_or_default(),
        install: install.as_deref().unwrap_or_default(),
        is_identity: around.is_identity(name.as_ref()),
    }
    .is_usable(node, around.has_pcrs, at_own_risk?, errors);
    let Names { common_name: (_, common_name), dns, ip, uri, email, subject } = names.filter(|_| suited && usable)?;
    let texts = |placed: Vec<(&Place, String)>| placed.into_iter().map(|(_, name)| name).collect();
    let (dns, uri, algorithm) = (texts(dns), texts(uri), algorithm?);
    let request = Request { name: name?, profile: profile?, ttl: ttl?, common_name, dns, ip, uri, email, subject, algorithm };
    Some(Certificate {
        request,
        role_at: role.as_ref()?.0.clone(),
        issuer: IssuerSettings::OpenBao { role: role?.1 },
        keep: keep?,
        owner: owner?,
        accounts: Accounts { owner: node.text_of("owner").map(str::to_owned), group: node.text_of("group").map(str::to_owned) },
        before: before?,
        install: install?,
        reload: reload?,
        verify: verify?,
        checks: checks?,
        window: window?,
        revoke_replaced: revoke_replaced?,
        renew_at: renew_at?,
        renamed_from: renamed_from?,
    })
}

/// The entries of `install`.
fn installs<'a>(
    drafts: Vec<DraftInstall<'a>>,
    keep: Option<Keep>,
    around: &Neighbours<'a>,
    place: &Place,
    errors: &Errors,
) -> Option<Vec<Install>> {
    let read: Vec<_> = drafts.into_iter().map(|draft| around.install(draft, keep, errors)).collect();
    read.into_iter().collect::<Option<Vec<_>>>().filter(|entries| one_password(entries, place, errors))
}

/// A generation holds each container once, so that all links to it are opened by one password.
fn one_password(entries: &[Install], place: &Place, errors: &Errors) -> bool {
    let linked: Vec<Container> = entries.iter().filter(|entry| entry.kind == InstallKind::Link).flat_map(Install::containers).collect();
    let differs = |one: &Container| linked.iter().any(|other| other.part == one.part && other.password != one.password);
    let Some(one) = linked.iter().find(|one| differs(one)) else { return true };
    let wrong = Wrong::value(format!("links to the {} of one certificate have different passwords", one.part.as_str()));
    errors.at(place, wrong.suggest("name the same file in each \"password\", or make copies of one of them: as = \"copy\""));
    false
}

/// How errors name this certificate.
fn title(node: &Node) -> String {
    node.text_of("name").map_or_else(|| "[[certificate]]".to_owned(), |name| format!("certificate {}", quoted(name)))
}

fn lifetime(place: &Place, ttl: Duration, profile: Option<&Profile>, errors: &Errors) -> Option<Duration> {
    let refuse = |text: String, suggestion: String| {
        errors.at(place, Wrong::value(text).suggest(suggestion));
        None
    };
    let shown = span::show(ttl);
    if ttl < TTL_MIN {
        return refuse(format!("expected a ttl of at least 60s, found {shown}"), "write \"24h\", the usual one".to_owned());
    }
    if ttl.subsec_nanos() != 0 {
        return refuse("expected a ttl in whole seconds".to_owned(), format!("write \"{shown}\""));
    }
    let Some(profile) = profile else { return Some(ttl) };
    let (min, max) = (span::show(profile.lifetime_min), span::show(profile.lifetime_max));
    if ttl < profile.lifetime_min || ttl > profile.lifetime_max {
        let nearest = if ttl > profile.lifetime_max { &max } else { &min };
        return refuse(
            format!("profile {} allows a ttl from {min} to {max}, found {shown}", profile.name),
            format!("write \"{nearest}\", or change the profile"),
        );
    }
    Some(ttl)
}

/// `key`.
#[derive(Debug)]
struct Key<'a> {
    algorithm: Option<(&'a Place, KeyAlgorithm)>,
    keep: Keep,
}

fn key<'a>(node: &'a Node, errors: &'a Errors, around: &Neighbours<'_>) -> Option<Key<'a>> {
    let shape = Shape::of(&tables::KEY, node, errors)?;
    let algorithm = shape.optional("algorithm", placed(one_of(&KeyAlgorithm::ALL.map(|a| (a.as_str(), a)))));
    let keep = shape.or("keep", around.keep(), |node, errors| {
        let words: Vec<(&str, Keep)> = Keep::ALL.into_iter().rev().map(|keep| (keep.as_str(), keep)).collect();
        let keep = one_of(&words)(node, errors)?;
        // No TPM where the settings ask for one is an error, never a silent fall-back to a file.
        if keep.needs_tpm() && !around.has_tpm {
            let text = format!("keep = \"{}\" needs a TPM to seal to, and there is no [tpm]", keep.as_str());
            let wrong = Wrong::new(Code::Missing, text);
            errors.at(&node.place, wrong.suggest("add [tpm] with tcti = \"device:/dev/tpmrm0\", or write keep = \"file\""));
            return None;
        }
        Some(keep)
    });
    shape.finish();
    Some(Key { algorithm: algorithm?, keep: keep? })
}

impl Key<'_> {
    /// The algorithm asked for, or the profile's first.
    fn algorithm(&self, profile: Option<&Profile>, errors: &Errors) -> Option<KeyAlgorithm> {
        let profile = profile?;
        let Some((place, algorithm)) = self.algorithm else { return profile.keys.first().copied() };
        if profile.keys.contains(&algorithm) {
            return Some(algorithm);
        }
        let allowed = profile.keys.iter().map(|a| a.as_str()).collect::<Vec<_>>().join(", ");
        let wrong = Wrong::value(format!("profile {} allows the keys {allowed}, found \"{algorithm}\"", profile.name));
        errors.at(place, wrong.suggest("use one of them, or another profile"));
        None
    }
}

fn endpoints(drafts: Vec<DraftEndpoint<'_>>, names: &Names<'_>, profile: Option<&Profile>, errors: &Errors) -> Option<Vec<Endpoint>> {
    let check = |draft: DraftEndpoint<'_>| {
        if profile.is_some_and(|p| !p.purpose.server()) {
            let wrong =
                Wrong::value(format!("profile {} is for TLS clients, nothing serves such a certificate", profile.map_or("", |p| &p.name)));
            errors.at(draft.place, wrong.suggest("leave \"verify\" out, or use a profile for servers"));
            return None;
        }
        if !names.cover(&draft.endpoint.server_name) {
            let asked = match &draft.endpoint.server_name {
                ServerName::Dns(name) => name.clone(),
                ServerName::Ip(ip) => ip.to_string(),
            };
            let own: Vec<String> = names.dns_names().map(|(_, n)| n.clone()).chain(names.ip.iter().map(ToString::to_string)).collect();
            let wrong = Wrong::value(format!("{} is none of the names of this certificate ({})", quoted(&asked), own.join(", ")));
            errors.at(
                draft.place,
                wrong.suggest(own.first().map_or_else(
                    || "add it to \"dns\" or \"ip\"".to_owned(),
                    |first| format!("write server_name = \"{}\", or add {} to \"dns\" or \"ip\"", first, quoted(&asked)),
                )),
            );
            return None;
        }
        Some(draft.endpoint)
    };
    let read: Vec<_> = drafts.into_iter().map(check).collect();
    read.into_iter().collect()
}

fn owner(shape: &Shape<'_>, accounts: &Lookups) -> Option<Owner> {
    let uid =
        shape.optional("owner", parsed(|name| accounts.user(name).map_err(|why| no_account(&why, name, View::host().accounts().users()))));
    let gid = shape
        .optional("group", parsed(|name| accounts.group(name).map_err(|why| no_account(&why, name, View::host().accounts().groups()))));
    Some(Owner { uid: uid?, gid: gid? })
}

fn no_account<'a>(why: &AccountError, name: &str, known: impl Iterator<Item = &'a str>) -> Wrong {
    let known: Vec<&str> = known.collect();
    let meant = nearest(name, &known).map_or_else(String::new, |best| format!("did you mean {}? else ", quoted(best)));
    Wrong::value(why.to_string()).suggest(format!("{meant}name an account that exists, or its number in quotes"))
}
