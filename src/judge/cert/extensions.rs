//! Extension values as plain data. An extension that is there twice contributes both values, so that neither can hide.

use std::net::IpAddr;

use x509_parser::asn1_rs::{Any, FromDer as _};
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName, KeyUsage, ParsedExtension, X509Extension};

use super::super::oid::dotted;
use super::{AuthorityKey, Basic, Extensions, NameConstraints, Names, SubjectKey, Usages};
use crate::model::anchor::hex;

/// The names of RFC 5280 §4.2.1.3, by bit.
const KEY_USAGES: [&str; 9] = [
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
];

/// Extensions that are a list of one and more (RFC 5280 §4.2.1, §4.2.2), but for those whose emptiness has a name of its own: subject directory
/// attributes, subject and issuer alternative names, where revocation lists are, policies, their mappings and constraints, the newest
/// revocation list, information of authority and subject.
const LISTS: [&str; 10] = [
    "2.5.29.9",
    "2.5.29.17",
    "2.5.29.18",
    "2.5.29.31",
    "2.5.29.32",
    "2.5.29.33",
    "2.5.29.36",
    "2.5.29.46",
    "1.3.6.1.5.5.7.1.1",
    "1.3.6.1.5.5.7.1.11",
];

pub(super) fn read(extensions: &[X509Extension<'_>]) -> Extensions {
    let mut all = Extensions::default();
    let mut seen = std::collections::BTreeSet::new();
    for extension in extensions {
        let oid = dotted(&extension.oid);
        if !seen.insert(oid.clone()) && !all.duplicate.contains(&oid) {
            all.duplicate.push(oid.clone());
        }
        // x509-parser ignores what follows a value inside its OCTET STRING.
        if !matches!(Any::from_der(extension.value), Ok((rest, _)) if rest.is_empty()) && is_known(extension) {
            all.malformed.push(oid);
            continue;
        }
        if lists_nothing(extension, &oid) {
            all.empty.push(oid.clone());
        }
        one(&mut all, extension, oid);
    }
    all
}

fn is_known(extension: &X509Extension<'_>) -> bool {
    !matches!(extension.parsed_extension(), ParsedExtension::UnsupportedExtension { .. })
}

fn lists_nothing(extension: &X509Extension<'_>, oid: &str) -> bool {
    match extension.parsed_extension() {
        ParsedExtension::KeyUsage(usage) => key_usages(*usage).is_empty(),
        _ => extension.value == [0x30, 0] && LISTS.contains(&oid),
    }
}

fn one(all: &mut Extensions, extension: &X509Extension<'_>, oid: String) {
    let critical = extension.critical;
    match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(san) => names(all.san.get_or_insert_default(), critical, &san.general_names),
        ParsedExtension::ExtendedKeyUsage(eku) => merge(&mut all.eku, critical, eku_oids(eku)),
        ParsedExtension::KeyUsage(usage) => merge(&mut all.key_usage, critical, key_usages(*usage)),
        ParsedExtension::BasicConstraints(basic) => {
            let ca = basic.ca || all.basic.is_some_and(|b| b.ca);
            all.basic = Some(Basic { critical, ca, path_length: basic.path_len_constraint });
        }
        ParsedExtension::AuthorityKeyIdentifier(key) => {
            let key_id = key.key_identifier.as_ref().map(|id| id.0.to_vec());
            all.authority_key = Some(AuthorityKey {
                critical,
                key_id,
                names_issuer: key.authority_cert_issuer.is_some(),
                serial_octets: key.authority_cert_serial.map(<[u8]>::to_vec),
            });
        }
        ParsedExtension::SubjectKeyIdentifier(id) => all.subject_key = Some(SubjectKey { critical, key_id: id.0.to_vec() }),
        ParsedExtension::NameConstraints(constraints) => {
            let trees: Vec<_> = [&constraints.permitted_subtrees, &constraints.excluded_subtrees].into_iter().flatten().flatten().collect();
            let leading_dot = trees.iter().any(|tree| matches!(tree.base, GeneralName::DNSName(name) if name.starts_with('.')));
            all.name_constraints = Some(NameConstraints { critical, empty: trees.is_empty(), leading_dot });
        }
        ParsedExtension::CRLDistributionPoints(_) if !critical => all.crl_points = true,
        ParsedExtension::PolicyConstraints(_) | ParsedExtension::InhibitAnyPolicy(_) if !critical => all.lax.push(oid),
        ParsedExtension::ParseError { .. } | ParsedExtension::Unparsed => all.malformed.push(oid),
        // What webpki does not process must not be critical (RFC 5280 §4.2): policies, policy constraints, CRL pointers and the like.
        _ if critical => all.unknown_critical.push(oid),
        _ => {}
    }
}

fn merge(into: &mut Option<Usages>, critical: bool, values: Vec<String>) {
    let usages = into.get_or_insert_default();
    usages.critical |= critical;
    usages.values.extend(values);
}

fn eku_oids(eku: &ExtendedKeyUsage<'_>) -> Vec<String> {
    let flags = [
        (eku.any, super::super::oid::ANY_EKU),
        (eku.server_auth, super::super::oid::SERVER_AUTH),
        (eku.client_auth, super::super::oid::CLIENT_AUTH),
        (eku.code_signing, "1.3.6.1.5.5.7.3.3"),
        (eku.email_protection, "1.3.6.1.5.5.7.3.4"),
        (eku.time_stamping, "1.3.6.1.5.5.7.3.8"),
        (eku.ocsp_signing, "1.3.6.1.5.5.7.3.9"),
    ];
    let known = flags.into_iter().filter(|(set, _)| *set).map(|(_, oid)| oid.to_owned());
    known.chain(eku.other.iter().map(dotted)).collect()
}

fn key_usages(usage: KeyUsage) -> Vec<String> {
    let set = |bit: usize| usage.flags.checked_shr(u32::try_from(bit).unwrap_or(u32::MAX)).is_some_and(|rest| rest & 1 == 1);
    KEY_USAGES.iter().enumerate().filter(|(bit, _)| set(*bit)).map(|(_, name)| (*name).to_owned()).collect()
}

fn names(into: &mut Names, critical: bool, general_names: &[GeneralName<'_>]) {
    into.critical |= critical;
    for name in general_names {
        match name {
            GeneralName::DNSName(dns) => into.dns.push((*dns).to_owned()),
            GeneralName::IPAddress(octets) => match address(octets) {
                Some(ip) => into.ip.push(ip),
                None => into.others.push(format!("ip:#{}", hex(octets))),
            },
            GeneralName::RFC822Name(email) => into.others.push(format!("email:{email}")),
            GeneralName::URI(uri) => into.others.push(format!("uri:{uri}")),
            GeneralName::DirectoryName(name) => into.others.push(format!("directory:{}", super::name_words(name))),
            GeneralName::OtherName(oid, value) => into.others.push(format!("other:{}#{}", dotted(oid), hex(value))),
            GeneralName::RegisteredID(oid) => into.others.push(format!("id:{}", dotted(oid))),
            GeneralName::X400Address(any) => into.others.push(format!("x400:#{}", hex(any.data))),
            GeneralName::EDIPartyName(any) => into.others.push(format!("edi:#{}", hex(any.data))),
            GeneralName::Invalid(tag, value) => into.others.push(format!("invalid[{}]:#{}", tag.0, hex(value))),
        }
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let four = || <[u8; 4]>::try_from(octets).ok().map(IpAddr::from);
    four().or_else(|| <[u8; 16]>::try_from(octets).ok().map(IpAddr::from))
}
