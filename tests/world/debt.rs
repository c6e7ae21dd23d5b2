//! What is planned for what was issued and not deployed, and for what is committed and no longer as it was: by what lies on the disk, the
//! settings and the clock.

use omens::config::settings::Certificate;
use omens::model::entry::Outcome;
use omens::model::name::Generation;
use omens::model::reason::ReasonCode;
use omens::model::state::State;
use omens::plan::budget;
use omens::plan::choice::{Issue, Plan, Settle, Why};
use omens::plan::decide::{Decision, Wishes, decide};
use omens::plan::inventory::{self, Depth};

use crate::host::{Cert, Host};
use crate::services::Manner;
use crate::time_of_day::{self, Turn};

const WEB: Cert = Cert { name: "web", daemons: &[0] };
const DAY: i64 = 86_400;

/// `gen-1` is committed and served.
fn served() -> (Turn, Host) {
    let (turn, host) = (time_of_day::take(), Host::new(&[WEB]));
    assert_eq!(host.renew().exit, 0);
    (turn, host)
}

/// `gen-1` is due and serves, and `gen-2` was signed and refused by its service.
fn indebted() -> (Turn, Host) {
    let (turn, host) = served();
    time_of_day::advance(DAY * 7 / 10);
    host.daemons[0].be(Manner::Refuses);
    assert_eq!(host.renew().certificates[0].outcome, Outcome::RolledBack);
    host.heal();
    (turn, host)
}

fn decided(host: &Host) -> Decision {
    let certificate: &Certificate = &host.settings.certificates[0];
    let found = inventory::take(&host.settings, &[certificate], Depth::Whole).expect("the trees");
    let tree = found.certificates.into_iter().next().expect("one").tree.expect("its trees");
    decide(&host.settings, certificate, &tree, time_of_day::now(), Wishes::default())
}

fn text(decision: &Decision, code: ReasonCode) -> &str {
    decision.reasons.iter().find(|reason| reason.code == code).map_or("", |reason| reason.text.as_str())
}

fn change_state(host: &Host, change: impl FnOnce(&mut serde_json::Value)) {
    let file = host.path("state/certs/web/state.json");
    let mut state = serde_json::from_slice(&std::fs::read(&file).expect("a state")).expect("JSON");
    change(&mut state);
    std::fs::write(&file, serde_json::to_vec(&state).expect("JSON")).expect("a state");
}

fn append(host: &Host, file: &str, text: &str) {
    let file = host.path("state/certs/web").join(file);
    let before = std::fs::read_to_string(&file).expect("a file");
    std::fs::write(file, before + text).expect("a file");
}

fn issue(decision: &Decision) -> &Issue {
    match &decision.plan {
        Plan::Issue(issue) => issue,
        other => panic!("{other:?}"),
    }
}

#[test]
fn debt_that_is_good_is_deployed_and_told_by_its_failure() {
    let (_turn, host) = indebted();
    let decision = decided(&host);
    let settle = Settle { generation: Generation(2), why: Why::Debt, withdraw: Vec::new(), fallback: Some(Generation(1)) };
    assert_eq!(decision.plan, Plan::Settle(settle));
    let told = text(&decision, ReasonCode::Debt).to_owned();
    assert!(told.starts_with("gen-2 was issued but not taken up: reload-failed at reload (tried once since "), "{told}");
    host.daemons[0].be(Manner::Refuses);
    host.renew();
    let told = decided(&host);
    assert!(text(&told, ReasonCode::Debt).contains("(tried 2 times since "), "{told:?}");
    let debt = host.status().certificates.remove(0).debt.expect("debt");
    assert_eq!((debt.generation, debt.attempts, debt.stage.is_some()), (Generation(2), 2, true));
    // What is noted of another generation says nothing of this one.
    change_state(&host, |state| state["debt"]["generation"] = 7.into());
    assert_eq!(text(&decided(&host), ReasonCode::Debt), "gen-2 was issued but its run did not finish");
    let debt = host.status().certificates.remove(0).debt.expect("debt");
    assert_eq!((debt.generation, debt.attempts, debt.stage), (Generation(2), 0, None));
}

#[test]
fn debt_that_today_forbids_is_withdrawn_and_a_new_one_is_asked_for() {
    type Row = (&'static str, fn(&mut Host));
    let rows: [Row; 5] = [
        ("in-window: due since", |_| time_of_day::advance(DAY * 68 / 100)),
        ("name.", |host| host.configure(|text| text.replace("web.example.net", "www.example.net"))),
        ("chain.pem is not the one that was staged", |host| append(host, "gen-2/chain.pem", "\n")),
        ("certificate and key do not belong together", |host| {
            let certs = host.path("state/certs/web");
            std::fs::copy(certs.join("gen-1/key.pem"), certs.join("gen-2/key.pem")).expect("a key");
        }),
        ("its key was made for keep = \"file\"", |host| {
            let tpm = "[tpm]\ntcti = \"device:/dev/tpmrm0\"\npcrs = [7]\n[[certificate]]";
            host.configure(|text| text.replace("keep = \"file\"", "keep = \"sealed\"").replace("[[certificate]]", tpm));
        }),
    ];
    for (why, change) in rows {
        let (_turn, mut host) = indebted();
        change(&mut host);
        let decision = decided(&host);
        let told = text(&decision, ReasonCode::Debt);
        assert!(told.starts_with("gen-2 is withdrawn: ") && told.contains(why), "{why}: {told}");
        let issue = issue(&decision);
        assert_eq!((issue.generation, &issue.withdraw), (Generation(3), &vec![Generation(2)]), "{why}");
    }
}

#[test]
fn what_is_committed_and_was_changed_is_given_back_only_where_it_passes_the_gate() {
    let (_turn, mut host) = served();
    append(&host, "gen-1/chain.pem", "\n");
    let decision = decided(&host);
    assert_eq!(text(&decision, ReasonCode::ChangedOnDisk), "chain.pem is not the one that was staged");
    assert_eq!(issue(&decision).fallback, Some(Generation(1)), "it passes the gate");
    host.configure(|text| text.replace("web.example.net", "www.example.net"));
    assert_eq!(issue(&decided(&host)).fallback, None, "it does not");
    host.configure(|text| text.replace("www.example.net", "web.example.net"));
    time_of_day::advance(2 * DAY);
    assert_eq!(issue(&decided(&host)).fallback, None, "it has ended");
}

#[test]
fn what_the_state_says_counts_for_its_own_generation_alone() {
    let (_turn, host) = served();
    assert_eq!(decided(&host).plan, Plan::Rest);
    let doubt = |why| Plan::Settle(Settle { generation: Generation(1), why, withdraw: Vec::new(), fallback: None });
    change_state(&host, |state| state["begun"] = serde_json::json!({ "run": "r", "at": time_of_day::now() }));
    let interrupted = decided(&host);
    assert_eq!(interrupted.plan, doubt(Why::Interrupted));
    assert!(text(&interrupted, ReasonCode::Unproven).ends_with("did not finish; its services may serve something else"), "{interrupted:?}");
    change_state(&host, |state| state["begun"] = serde_json::Value::Null);
    assert_eq!(host.status().certificates[0].debt, None);
    change_state(&host, |state| state["proven"]["generation"] = 7.into());
    let unknown = decided(&host);
    assert_eq!(unknown.plan, doubt(Why::NotProven));
    assert_eq!(text(&unknown, ReasonCode::Debt), "gen-1 is committed, and how it was proven is not known");
    assert_eq!(host.status().certificates[0].debt.as_ref().map(|debt| debt.generation), Some(Generation(1)));
    // A newer omens wrote it: nothing is done.
    change_state(&host, |state| state["v"] = 99.into());
    let newer = decided(&host);
    assert_eq!(newer.plan, Plan::Rest);
    assert!(text(&newer, ReasonCode::Unreadable).contains("version 99"), "{newer:?}");
}

#[test]
fn without_a_state_that_can_be_read_what_is_newer_is_not_published() {
    let (_turn, host) = indebted();
    std::fs::write(host.path("state/certs/web/state.json"), "{").expect("a state");
    let decision = decided(&host);
    assert_eq!(issue(&decision).withdraw, [Generation(2)], "nobody knows whether it was withdrawn");
}

#[test]
fn requests_count_for_what_they_asked_for_and_of_whom() {
    type Change = fn(String) -> String;
    let (_turn, mut host) = served();
    let subject = |host: &Host| budget::subject(&host.settings, &host.settings.certificates[0]);
    let lists = |dns: &str, ip: &str| format!("role = \"web\"\ndns = [{dns}]\nip = [{ip}]\n");
    let asked = lists("\"b.example.net\", \"a.example.net\"", "\"192.0.2.1\"");
    host.configure(|text| text.replacen("role = \"web\"\n", &asked, 1));
    let before = subject(&host);
    let same: Change = |text| text.replace("\"b.example.net\", \"a.example.net\"", "\"a.example.net\", \"b.example.net\"");
    let others: [(&str, Change); 10] = [
        ("another role", |text| text.replace("role = \"web\"", "role = \"other\"")),
        ("another mount", |text| text.replace("mount = \"pki_int\"", "mount = \"pki_other\"")),
        ("another address", |text| text.replace("https://127.0.0.1:1", "https://127.0.0.1:2")),
        ("another name", |text| text.replace("\"b.example.net\"", "\"c.example.net\"")),
        ("another first name", |text| {
            let text = text.replace("common_name = \"web.example.net\"", "common_name = \"a.example.net\"");
            text.replace("\"a.example.net\"]", "\"web.example.net\"]")
        }),
        ("another address of its own", |text| text.replace("192.0.2.1", "192.0.2.2")),
        ("an e-mail address", |text| text.replace("dns = [", "email = [\"web@example.net\"]\ndns = [")),
        ("a URI", |text| text.replace("dns = [", "uri = [\"spiffe://example.net/web\"]\ndns = [")),
        ("the border between mount and role", |text| text.replace("pki_int", "pki_intw").replace("role = \"web\"", "role = \"eb\"")),
        ("a namespace", |text| text.replace("mount = ", "namespace = \"team\"\nmount = ")),
    ];
    let text = std::fs::read_to_string(host.path("omens.toml")).expect("settings");
    host.configure(same);
    assert_eq!(subject(&host), before, "in another order");
    for (what, change) in others {
        host.configure(|_| change(text.clone()));
        assert_ne!(subject(&host), before, "{what}");
    }
    let state = State { requests: vec![time_of_day::now()], requests_for: Some(before.clone()), ..State::default() };
    assert_eq!((budget::counted(&state, &before).len(), budget::counted(&state, &subject(&host)).len()), (1, 0));
    let unnamed = State { requests_for: None, ..state };
    assert_eq!(budget::counted(&unnamed, &before).len(), 1, "an older omens did not note it");
}

#[test]
fn why_a_certificate_is_due_is_told_most_telling_first() {
    type Row = (ReasonCode, &'static str, Option<Generation>, fn(&mut Host));
    let live = Some(Generation(1));
    let rows: [Row; 5] = [
        (ReasonCode::Expired, "since ", None, |_| time_of_day::advance(2 * DAY)),
        (ReasonCode::Overdue, "no run renewed it within", live, |_| time_of_day::advance(DAY * 9 / 10)),
        (ReasonCode::InWindow, "due since ", None, |host| {
            // Found before the time is looked at, and as telling.
            append(host, "gen-1/chain.pem", "\n");
            host.configure(|text| text.replace("key = {", "dns = [\"more.example.net\"]\nkey = {"));
            time_of_day::advance(DAY * 7 / 10);
        }),
        (ReasonCode::SettingsChanged, "expected keep = \"sealed\", found a key of gen-1 with keep = \"file\"", live, |host| {
            let tpm = "[tpm]\ntcti = \"device:/dev/tpmrm0\"\npcrs = [7]\n[[certificate]]";
            host.configure(|text| text.replace("keep = \"file\"", "keep = \"sealed\"").replace("[[certificate]]", tpm));
        }),
        (ReasonCode::KeyMismatch, "certificate and key of gen-1 do not belong together", None, |host| {
            let other = Host::new(&[WEB]);
            assert_eq!(other.renew().exit, 0);
            let key = "state/certs/web/gen-1/key.pem";
            std::fs::copy(other.path(key), host.path(key)).expect("a key");
        }),
    ];
    for (code, told, fallback, change) in rows {
        let (_turn, mut host) = served();
        change(&mut host);
        let decision = decided(&host);
        assert!(text(&decision, code).contains(told), "{told}: {decision:?}");
        assert!(decision.reasons.is_sorted_by_key(|reason| reason.code), "{decision:?}");
        assert_eq!(issue(&decision).fallback, fallback, "{decision:?}");
    }
}

#[test]
fn what_nobody_can_decide_rests() {
    let (_turn, mut host) = (time_of_day::take(), Host::new(&[WEB]));
    let first = decided(&host);
    assert_eq!(text(&first, ReasonCode::Missing), "no certificate was committed yet");
    assert_eq!(issue(&first).generation, Generation(1));
    assert_eq!(host.renew().exit, 0);
    std::fs::create_dir_all(host.path("state/certs/old/gen-1")).expect("a directory");
    host.configure(|text| text.replace("key = {", "renamed_from = \"old\"\nkey = {"));
    time_of_day::advance(DAY * 7 / 10);
    let conflict = decided(&host);
    assert!(text(&conflict, ReasonCode::Unreadable).contains("is to take over from old"), "{conflict:?}");
    assert_eq!(conflict.plan, Plan::Rest, "it is due, and a person has to choose first");
}
