//! Properties over many mutations of one good chain: nothing that differs from the profile passes. Tests only; every run is the same run.

use std::slice::from_ref;

use super::assess::{Assessment, Question, Requirements, assess};
use super::cert::{Facts, Names};
use super::kit::*;
use super::wanted::Wanted;
use crate::model::anchor::Fingerprint;
use crate::model::audit::Verdict;
use crate::model::profile::Purpose;

/// xorshift64: the same numbers in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// What may differ in a certificate that passes: its serial number, its dates within the profile, and the name of its own key.
fn without_freedom(der: &[u8]) -> Facts {
    let mut facts = Facts::parse(der).unwrap();
    facts.sha256 = Fingerprint::of(b"");
    facts.serial.clear();
    facts.serial_octets.clear();
    facts.not_before = now();
    facts.not_after = now();
    facts.odd_dates = false;
    facts.extensions.subject_key = None;
    let lower = |names: &mut Vec<String>| names.iter_mut().for_each(|name| name.make_ascii_lowercase());
    // Host names have no case (io/openbao/facts.md, "Signing").
    lower(&mut facts.subject.common_names);
    facts.subject.der.make_ascii_lowercase();
    lower(&mut facts.extensions.san.get_or_insert_with(Names::default).dns);
    if let Some(san) = &mut facts.extensions.san {
        san.critical = false;
    }
    for usages in [&mut facts.extensions.eku, &mut facts.extensions.key_usage].into_iter().flatten() {
        usages.critical = false;
    }
    facts
}

/// Every field of the parts as something to flip bits in.
fn fields(parts: &mut Parts) -> Vec<&mut Vec<u8>> {
    let Parts { version, serial, algorithm, issuer, validity, subject, spki, extensions, .. } = parts;
    [version, serial, algorithm, issuer, validity, subject, spki].into_iter().chain(extensions).collect()
}

/// Every octet of every field with three of its bits flipped, one at a time.
fn flipped(der: &[u8]) -> Vec<Parts> {
    let (good, mut dice) = (Parts::of(der), Dice(0x0b00_c0f0_0e45));
    let lengths: Vec<usize> = fields(&mut good.clone()).iter().map(|field| field.len()).collect();
    let mut all = Vec::new();
    for (field, length) in lengths.into_iter().enumerate() {
        for at in 0..length {
            for mask in [1, 0x80, 1 << (dice.roll() % 8)] {
                let mut parts = good.clone();
                fields(&mut parts)[field][at] ^= mask;
                all.push(parts);
            }
        }
    }
    all
}

/// Whole extensions dropped, doubled, made critical or not, and replaced by noise.
fn rearranged(der: &[u8]) -> Vec<Parts> {
    let (good, mut dice) = (Parts::of(der), Dice(0x7e57));
    let mut all = Vec::new();
    for at in 0..good.extensions.len() {
        let change = |change: &dyn Fn(&mut Parts)| {
            let mut parts = good.clone();
            change(&mut parts);
            parts
        };
        let inside = elements(content(&good.extensions[at]));
        let (oid, value, critical) = (content(inside[0]), content(inside[inside.len() - 1]), inside.len() == 3);
        all.push(change(&|parts| drop(parts.extensions.remove(at))));
        all.push(change(&|parts| parts.extensions.push(parts.extensions[at].clone())));
        all.push(change(&|parts| parts.extensions[at] = extension(oid, !critical, value)));
        all.push(change(&|parts| parts.extensions[at] = extension(oid, critical, &value[..value.len() - 1])));
        for _ in 0..20 {
            let noise: Vec<u8> = (0..dice.roll() % 24).map(|_| dice.roll().to_le_bytes()[0]).collect();
            let tag = [0x30, 0x04, 0x03, 0x05][at % 4];
            all.push(change(&|parts| parts.extensions[at] = extension(oid, critical, &tlv(tag, &noise))));
        }
    }
    all
}

fn asked() -> Requirements {
    let names = vec![Wanted::Dns("web.funlab.casa".to_owned()), Wanted::Dns("localhost".to_owned()), Wanted::Ip([127, 0, 0, 1].into())];
    Requirements { profile: Some(request().profile), purpose: Some(Purpose::Server), names, strict: true, ..Requirements::default() }
}

fn assessed(pki: &Pki, leaf: &[u8], middle: &[u8], asked: &Requirements) -> Assessment {
    let (candidates, anchors, spki) = ([middle.to_vec()], [pki.root.der.clone()], pki.spki());
    assess(&Question { leaf, candidates: &candidates, anchors: &anchors, crls: &[], spki: Some(&spki), asked, at: now() })
}

/// What only a request can say: names beyond the wanted ones, another kind of key than asked for.
const BY_REQUEST: [&str; 4] = ["name.extra", "name.cn-other", "name.cn-absent", "key.other-algorithm"];

/// What passes with a finding that says so ([The gate](crate::cli#the-gate)).
const TOLD: [&str; 1] = ["aki.absent"];

/// Holds the gate and the audit against each other over one mutated leaf.
fn hold(pki: &Pki, leaf: &[u8], good: &Facts, asked: &Requirements, passed: &mut usize) {
    let verdict = pki.judge(leaf, from_ref(&pki.middle.der));
    let audit = assessed(pki, leaf, &pki.middle.der, asked);
    if !verdict.refused() {
        *passed += 1;
        let told = verdict.findings.iter().any(|finding| TOLD.contains(&finding.id.as_str()));
        assert!(told || &without_freedom(leaf) == good, "{:?} {:?}", verdict.findings, without_freedom(leaf));
        let facts = verdict.facts.as_ref().unwrap();
        assert!(facts.valid_at(now()) && (600..=168 * 3600 + 30).contains(&facts.lifetime()), "{facts:?}");
        return;
    }
    let blocking: Vec<&str> = verdict.findings.iter().filter(|f| f.blocks()).map(|f| f.id.as_str()).collect();
    if blocking.iter().any(|id| !BY_REQUEST.contains(id)) {
        assert_eq!(audit.verdict, Verdict::Reject, "the gate says {blocking:?}, the audit {:?}", audit.findings);
    }
}

#[test]
fn no_leaf_that_differs_from_the_good_one_passes_even_when_it_is_signed_anew() {
    let pki = Pki::new();
    let (leaf, asked) = (pki.leaf(), asked());
    let good = without_freedom(&leaf);
    let (mut passed, mut all) = (0, flipped(&leaf));
    all.extend(rearranged(&leaf));
    assert!(all.len() > 1_000, "{}", all.len());
    for parts in &all {
        hold(&pki, &parts.sign(&pki.middle.key), &good, &asked, &mut passed);
    }
    // Serial numbers and seconds of the dates do pass.
    assert!(passed > 20 && passed < all.len() / 5, "{passed} of {}", all.len());
}

#[test]
fn no_leaf_passes_with_one_bit_changed_and_the_old_signature() {
    let pki = Pki::new();
    let (good, asked) = (pki.leaf(), asked());
    assert_eq!(assessed(&pki, &good, &pki.middle.der, &asked).verdict, Verdict::Accept);
    let mut dice = Dice(0xfee1);
    for at in 0..good.len() {
        let mut leaf = good.clone();
        leaf[at] ^= 1 << (dice.roll() % 8);
        assert!(pki.judge(&leaf, from_ref(&pki.middle.der)).refused(), "{at}");
        assert_eq!(assessed(&pki, &leaf, &pki.middle.der, &asked).verdict, Verdict::Reject, "{at}");
    }
}

#[test]
fn an_authority_that_passes_changed_is_still_one() {
    let pki = Pki::new();
    let (leaf, good) = (pki.leaf(), Facts::parse(&pki.middle.der).unwrap());
    let mut all = flipped(&pki.middle.der);
    all.extend(rearranged(&pki.middle.der));
    let (path, mut passed) = (Requirements { path_only: true, profile: None, ..asked() }, 0);
    for parts in &all {
        let middle = parts.sign(&pki.root.key);
        let gate = pki.judge(&leaf, from_ref(&middle));
        let audit = assessed(&pki, &leaf, &middle, &path);
        if gate.refused() && audit.verdict == Verdict::Reject {
            continue;
        }
        passed += 1;
        let facts = Facts::parse(&middle).unwrap();
        assert_eq!((&facts.subject, &facts.issuer, &facts.spki), (&good.subject, &good.issuer, &good.spki));
        assert!(facts.valid_at(now()) && facts.extensions.basic.is_some_and(|basic| basic.ca));
        assert!(facts.extensions.key_usage.is_none_or(|usage| usage.values.iter().any(|value| value == "keyCertSign")));
        assert!(facts.extensions.unknown_critical.is_empty() && facts.extensions.duplicate.is_empty());
    }
    assert!(passed > 20 && passed < all.len() / 3, "{passed} of {}", all.len());
}
