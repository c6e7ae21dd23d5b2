//! What each fact about a certificate makes of its plan: the reasons that are told, what is done, and whether a window keeps it. Each row
//! changes what was read of a host where all is well.

use omens::model::anchor::{Anchor, Fingerprint};
use omens::model::code::Code;
use omens::model::failure::{Failure, Stage};
use omens::model::key::{Keep, KeyAlgorithm};
use omens::model::name::{CertName, Generation};
use omens::model::reason::ReasonCode::*;
use omens::model::state::{Begun, KeyRefused, Proof, UnderWay};
use omens::plan::choice::{Plan, Why};
use omens::plan::decide;
use omens::plan::generation::Condition;
use omens::plan::inventory::StateFile;
use omens::plan::rename::Rename;

use crate::decided::{Case, Row, at, check, told};
use crate::host::{Cert, Host};
use crate::time_of_day::{self, Turn};

const WEB: Cert = Cert { name: "web", daemons: &[0] };

/// `gen-1` is committed and served.
fn served() -> (Turn, Host) {
    let (turn, host) = (time_of_day::take(), Host::new(&[WEB]));
    assert_eq!(host.renew().exit, 0);
    (turn, host)
}

#[test]
fn what_lies_there_asks_for_a_new_one() {
    let (_turn, host) = served();
    let rows: &[Row] = &[
        ("nothing", |_| (), &[Fresh], "rest", "due in"),
        (
            "changed, and sound",
            |c| c.live().condition = Condition::Changed("other bytes".into()),
            &[ChangedOnDisk],
            "issue 2, else 1",
            "other bytes",
        ),
        (
            "changed, and refused by the gate",
            |c| {
                c.live().condition = Condition::Changed("other bytes".into());
                c.settings.certificates[0].request.common_name = "www.example.net".into();
            },
            &[ChangedOnDisk, SettingsChanged],
            "issue 2",
            "names: +www.example.net −web.example.net",
        ),
        ("no pair", |c| c.live().condition = Condition::KeyMismatch, &[KeyMismatch], "issue 2", "do not belong together"),
        ("damaged", |c| c.live().condition = Condition::Unreadable("half of it".into()), &[Unreadable], "issue 2", "half of it"),
        (
            "its key does not sign any more",
            |c| {
                (c.live().keep, c.settings.certificates[0].keep) = (Keep::Resident, Keep::Resident);
                let failure = Failure::new(Stage::Issue, Code::PcrChanged, "PCR 7 is another one");
                c.tree.state.key_refused = Some(KeyRefused { generation: Generation(1), at: c.now, failure });
            },
            &[Unreadable],
            "issue 2, else 1",
            "PCR 7 is another one",
        ),
        (
            "kept in another way",
            |c| c.settings.certificates[0].keep = Keep::Sealed,
            &[SettingsChanged],
            "issue 2, else 1",
            "keep = \"sealed\"",
        ),
        (
            "its root is pinned no more",
            |c| c.live().meta_mut().expect("all of it").as_mut().expect("meta").anchor_sha256 = Fingerprint::of(b"another root"),
            &[SettingsChanged],
            "issue 2, else 1",
            "pinned no more",
        ),
        (
            "odd, and no more than that",
            |c| c.live().facts.as_mut().expect("a leaf").extensions.san.as_mut().expect("names").critical = true,
            &[Fresh],
            "rest",
            "",
        ),
        ("one more root", |c| c.settings.also.push(Anchor::new(b"another root".to_vec())), &[Fresh], "rest", ""),
        ("nothing was noted of it", |c| *c.live().meta_mut().expect("all of it") = None, &[Fresh], "rest", ""),
        ("revoked", Case::revoked, &[Revoked], "issue 2, else 1", "the CA has revoked"),
        ("another one is revoked", |c| c.tree.state.revoked.push("00:01".into()), &[Fresh], "rest", ""),
    ];
    check(rows, || Case::of(&host));
}

#[test]
fn what_nobody_knows_to_be_in_use_is_brought_to_its_services() {
    let (_turn, host) = served();
    let rows: &[Row] = &[
        ("nothing is committed", |c| c.tree.live = None, &[Missing], "issue 2", "no certificate was committed yet"),
        (
            "a killed first run",
            |c| {
                c.tree.live = None;
                c.tree.state.begun = Some(Begun { run: "r".into(), at: c.now });
            },
            &[Missing],
            "issue 2",
            "",
        ),
        ("how it was proven is not known", |c| c.tree.state.proven = None, &[Debt], "settle 1 NotProven", "how it was proven is not known"),
        ("nobody was asked", |c| c.proof(Proof::None), &[Unproven], "settle 1 NotProven", "committed while links to it were missing"),
        (
            "nobody was asked, and links are missing",
            |c| {
                c.proof(Proof::None);
                c.tree.missing_link = Some("/etc/web.pem is not there".into());
            },
            &[LinkMissing, Fresh],
            "rest",
            "omens install",
        ),
        (
            "it is not proven, and links are missing",
            |c| {
                c.tree.state.proven = None;
                c.tree.missing_link = Some("/etc/web.pem is not there".into());
            },
            &[Debt, LinkMissing],
            "settle 1 NotProven",
            "",
        ),
        (
            "its service was stopped",
            |c| c.proof(Proof::ServiceStopped),
            &[Unproven],
            "settle 1 ServiceStopped",
            "while its service was stopped",
        ),
    ];
    check(rows, || Case::of(&host));
}

#[test]
fn what_consumers_lack_and_who_is_at_work_is_told() {
    let (_turn, host) = served();
    let rows: &[Row] = &[
        (
            "consumers lack it",
            |c| c.tree.unpublished = Some("another one is there".into()),
            &[Unpublished],
            "settle 1 Unpublished",
            "another one",
        ),
        (
            "another trust",
            |c| c.tree.trust_changed = Some("one root more".into()),
            &[TrustChanged],
            "settle 1 TrustChanged",
            "one root more",
        ),
        ("links are missing", |c| c.tree.missing_link = Some("no link".into()), &[LinkMissing, Fresh], "rest", "omens install"),
        (
            "a run is at work",
            |c| c.tree.under_way = Some(UnderWay { stage: Stage::Issue, generation: None, since: Some(c.now) }),
            &[InProgress, Fresh],
            "rest",
            "at issue",
        ),
        ("asked for", |c| c.wishes.force = true, &[Forced], "issue 2, else 1", "--force"),
        (
            "a run did not finish",
            |c| c.tree.state.begun = Some(Begun { run: "r".into(), at: c.now }),
            &[Unproven],
            "settle 1 Interrupted",
            "did not finish",
        ),
        ("its leaf does not parse", |c| (c.live().facts, c.wishes.force) = (None, true), &[Forced], "issue 2", ""),
        ("a number was used once", |c| (c.tree.largest, c.wishes.force) = (7, true), &[Forced], "issue 8, else 1", ""),
    ];
    check(rows, || Case::of(&host));
}

#[test]
fn what_is_newer_is_deployed_withdrawn_or_left_to_others() {
    let (_turn, host) = served();
    let rows: &[Row] = &[
        ("debt", |c| c.owes(Condition::Intact), &[Debt], "settle 5 Debt, else 1", "its run did not finish"),
        (
            "debt, and a person who wants a new one",
            |c| {
                c.owes(Condition::Intact);
                c.wishes.force = true;
            },
            &[Debt, Forced],
            "issue 6 instead of 5, else 1",
            "a new one is to take its place",
        ),
        ("debt that is no pair", |c| c.owes(Condition::KeyMismatch), &[Debt], "issue 6 without 5, else 1", "gen-5 is withdrawn"),
        (
            "what was withdrawn",
            |c| {
                c.tree.newer = vec![Generation(5)];
                c.revoked();
            },
            &[Revoked],
            "issue 2, else 1",
            "",
        ),
        (
            "nobody knows what was withdrawn",
            |c| {
                (c.tree.newer, c.tree.state_file) = (vec![Generation(5)], StateFile::Broken("no JSON".into()));
                c.revoked();
            },
            &[Revoked],
            "issue 2 without 5, else 1",
            "",
        ),
    ];
    check(rows, || Case::of(&host));
}

#[test]
fn what_only_a_newer_omens_or_a_person_can_tell_rests() {
    let (_turn, host) = served();
    let rows: &[Row] = &[
        (
            "a newer omens wrote its state",
            |c| {
                c.tree.state_file = StateFile::Newer(9);
                c.revoked();
            },
            &[Unreadable, Revoked],
            "rest",
            "version 9",
        ),
        (
            "how it was proven is in what a newer omens wrote",
            |c| (c.tree.state_file, c.tree.state.proven) = (StateFile::Newer(9), None),
            &[Unreadable],
            "rest",
            "",
        ),
        (
            "two names",
            |c| {
                c.tree.rename = Rename::Conflict(CertName::parse("old").expect("a name"));
                c.revoked();
            },
            &[Unreadable, Revoked],
            "rest",
            "is to take over from old",
        ),
    ];
    check(rows, || Case::of(&host));
}

#[test]
fn the_clock_decides() {
    let (_turn, host) = served();
    let rows: &[Row] = &[
        ("not yet valid", |c| c.now = at("01T00:00").plus(-1), &[NotYetValid], "issue 2", "valid only from"),
        ("fresh", |c| c.now = at("02T12:00"), &[Fresh], "rest", ""),
        ("due", |c| c.now = at("03T01:00"), &[InWindow], "issue 2, else 1", "by its lifetime"),
        ("overdue", |c| c.now = at("03T12:00"), &[InWindow, Overdue], "issue 2, else 1", "no run renewed it"),
        ("expired", |c| c.now = at("04T00:00"), &[Expired], "issue 2", "since "),
    ];
    check(rows, || Case::in_june(&host));
    let mut case = Case::in_june(&host);
    case.now = at("02T12:00");
    let decision = case.decided();
    let due = decision.due_at.expect("when it is due");
    assert!(at("02T20:00") < due && due <= at("03T00:00"), "{due}");
    assert_eq!(decision.expires, Some(at("04T00:00")));
}

#[test]
fn a_window_keeps_what_is_due_and_brings_forward_what_would_miss_the_next_one() {
    let (_turn, host) = served();
    let rows: &[Row] = &[
        ("due outside of a window", |c| c.nightly("03T01:00"), &[InWindow], "issue 2, else 1, from 2026-06-03T02:00:00Z", ""),
        (
            "due outside of a window, and a person does not wait",
            |c| {
                c.nightly("03T01:00");
                c.wishes.ignore_window = true;
            },
            &[InWindow],
            "issue 2, else 1",
            "",
        ),
        ("due inside", |c| c.nightly("03T02:30"), &[InWindow], "issue 2, else 1", "due since"),
        (
            "due outside, and lacked by consumers",
            |c| {
                c.nightly("03T01:00");
                c.tree.unpublished = Some("not there".into());
            },
            &[InWindow, Unpublished],
            "settle 1 Unpublished, else 1",
            "",
        ),
        (
            "due, and lacked by consumers",
            |c| (c.now, c.tree.unpublished) = (at("03T01:00"), Some("not there".into())),
            &[InWindow, Unpublished],
            "issue 2, else 1, 1 given back",
            "",
        ),
        ("it would not live to see the next window", |c| c.nightly("03T13:00"), &[InWindow, Overdue], "issue 2, else 1, now", ""),
        ("due before the next window ends", |c| c.nightly("02T02:30"), &[InWindow], "issue 2, else 1", "before its next window ends"),
        (
            "due before the next window ends, and a person does not go by it",
            |c| {
                c.nightly("02T02:30");
                c.wishes.ignore_window = true;
            },
            &[Fresh],
            "rest",
            "",
        ),
        (
            "renewed in this window",
            |c| {
                c.nightly("02T02:30");
                c.live().meta_mut().expect("all of it").as_mut().expect("meta").staged = at("02T02:00");
            },
            &[Fresh],
            "rest",
            "",
        ),
    ];
    check(rows, || Case::in_june(&host));
}

#[test]
fn a_rollback_waits_for_no_window_and_says_who_asked() {
    let (_turn, host) = served();
    let mut case = Case::in_june(&host);
    case.nightly("02T12:00");
    case.live().generation = Generation(5);
    case.tree.complete = vec![Generation(2), Generation(5)];
    let decision = decide::rollback(&case.settings, &case.settings.certificates[0], &case.tree, case.now).expect("a way back");
    assert_eq!(told(&decision), "settle 2 Rollback without 5, else 5");
    let [reason] = decision.reasons.as_slice() else { panic!("{decision:?}") };
    assert_eq!((reason.code, reason.text.as_str()), (Forced, "from gen-5 back to gen-2, asked for by a person"));
    assert!(matches!(&decision.plan, Plan::Settle(settle) if settle.why == Why::Rollback));
}

#[test]
fn what_other_settings_ask_for_is_told_once() {
    let (_turn, host) = served();
    let mut case = Case::of(&host);
    let request = &mut case.settings.certificates[0].request;
    (request.common_name, request.algorithm) = ("www.example.net".into(), KeyAlgorithm::EcP384);
    let decision = case.decided();
    let [reason] = decision.reasons.as_slice() else { panic!("{decision:?}") };
    let texts: Vec<&str> = reason.text.split("; ").collect();
    let [names, common_name, key] = texts.as_slice() else { panic!("{texts:?}") };
    assert_eq!(*names, "names: +www.example.net −web.example.net");
    assert_eq!(*common_name, "expected cn:www.example.net, found cn:web.example.net");
    assert!(key.starts_with("expected ec-p384, found "), "{key}");
}
