//! Sealed keys that are damaged or lost: said by name, made anew alone, and what others keep or what waits is not given up for it.

use std::path::PathBuf;

use crate::boot::{empty_run, published};
use crate::lab::estate::{Cert, Estate};
use crate::lab::free_port;
use crate::tpm::start;

#[test]
fn one_damaged_key_fails_alone_and_is_made_anew() {
    let Some(swtpm) = start(&[7]) else { return };
    let estate = Estate::at_openbao().with_tpm(&swtpm.direct(), &[7]).with(Cert::web("one").sealed()).with(Cert::web("two").sealed());
    estate.renew().expect(0, "one", "renewed");
    let whole = published(&estate, "two");
    let path = estate.state().join("certs/one/live/key.sealed");
    let text = std::fs::read_to_string(&path).unwrap();
    let at = text.find("\"ciphertext\": \"").unwrap() + 20;
    let flipped = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
    let mut changed = text.clone();
    changed.replace_range(at..=at, flipped);
    std::fs::write(&path, changed).unwrap();
    assert_eq!(estate.omens(&["plan"]).reasons("one"), ["changed-on-disk"]);
    empty_run(&estate);
    let restore = estate.omens(&["restore"]);
    restore.expect(1, "one", "failed").because("one", "seal/blob-damaged").expect(1, "two", "restored");
    assert_eq!(published(&estate, "two"), whole);
    estate.renew().expect(0, "one", "renewed").expect(0, "two", "not-due");
}

#[test]
fn a_lost_sealing_key_is_seen_by_the_plan_and_made_anew() {
    let Some(swtpm) = start(&[7]) else { return };
    let estate = Estate::at_openbao().with_tpm(&swtpm.direct(), &[7]).with(Cert::web("web").sealed());
    estate.renew().expect(0, "web", "renewed");
    let key = std::fs::read_dir(estate.state().join("seal")).unwrap().flatten().map(|e| e.path());
    let keys: Vec<PathBuf> = key.filter(|path| !path.ends_with("srk.json")).collect();
    std::fs::remove_file(&keys[0]).unwrap();
    let plan = estate.omens(&["plan"]);
    assert_eq!(plan.reasons("web"), ["unreadable"], "{plan}");
    estate.renew().expect(0, "web", "renewed");
    estate.renew().expect(0, "web", "not-due");
}

/// A pin that cannot be read says nothing about the keys: what waits is not given up for it.
#[test]
fn a_damaged_pin_costs_no_debt() {
    let Some(swtpm) = start(&[7]) else { return };
    let mut estate = Estate::at_openbao().with_tpm(&swtpm.direct(), &[]).with(Cert::web("web").sealed());
    estate.renew().expect(0, "web", "renewed");
    estate.certs[0] = Cert::web("web").sealed().seen_at(free_port(), "50ms");
    estate.write();
    estate.force().expect(1, "web", "rolled-back");
    estate.certs[0] = Cert::web("web").sealed();
    estate.write();
    empty_run(&estate);
    let pin = estate.state().join("seal/srk.json");
    let good = std::fs::read(&pin).unwrap();
    let requests = estate.signed();
    std::fs::write(&pin, "{}").unwrap();
    let run = estate.renew();
    run.expect(1, "web", "failed").because("web", "seal/blob-damaged");
    assert!(run.cert("web")["error"]["text"].as_str().unwrap().contains("srk.json"), "{run}");
    assert_eq!(estate.state_json("web")["withdrawn"], serde_json::json!([]), "{run}");
    std::fs::write(&pin, good).unwrap();
    estate.renew().expect(0, "web", "settled");
    assert_eq!((estate.committed("web"), estate.signed()), (Some(2), requests));
}

#[test]
fn a_damaged_pin_is_seen_before_the_boot_that_needs_it() {
    let Some(swtpm) = start(&[7]) else { return };
    let estate = Estate::at_openbao().with_tpm(&swtpm.direct(), &[]).with(Cert::web("web").sealed());
    estate.renew().expect(0, "web", "renewed");
    let (pin, whole, requests) = (estate.state().join("seal/srk.json"), published(&estate, "web"), estate.signed());
    let good = std::fs::read(&pin).unwrap();
    for damaged in ["", "{}", "xx\n"] {
        std::fs::write(&pin, damaged).unwrap();
        let plan = estate.omens(&["plan"]);
        assert_eq!(plan.reasons("web"), ["unreadable"], "{damaged:?}: {plan}");
        let text = plan.cert("web")["reasons"][0]["text"].as_str().unwrap();
        assert!(text.contains("seal/srk.json") && text.contains("`omens reseal --new-tpm`"), "{text}");
        assert_eq!(estate.omens(&["status"]).code, 1, "{damaged:?}");
        let checked = estate.omens(&["check-config"]);
        assert!(checked.json["warnings"].to_string().contains("srk.json"), "{damaged:?}: {checked}");
        estate.renew().expect(1, "web", "failed").because("web", "seal/blob-damaged");
        assert_eq!((published(&estate, "web"), estate.signed()), (whole.clone(), requests), "{damaged:?}");
    }
    empty_run(&estate);
    estate.omens(&["reseal", "--new-tpm"]).expect(0, "web", "resealed");
    assert_eq!((published(&estate, "web"), estate.signed()), (whole, requests));
    estate.renew().expect(0, "web", "not-due");
    assert_eq!(estate.omens(&["status"]).code, 0);
    // Without one the sealing key names the TPM, and that is said until the next renewal has written it again.
    std::fs::remove_file(&pin).unwrap();
    let status = estate.omens(&["status"]);
    assert!(status.code == 0 && status.cert("web")["warnings"].to_string().contains("srk.json"), "{status}");
    estate.force().expect(0, "web", "renewed");
    let name = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap()["name"].clone();
    assert_eq!(name(&std::fs::read(&pin).unwrap()), name(&good));
    assert_eq!(estate.omens(&["status"]).cert("web")["warnings"], serde_json::json!([]));
}
