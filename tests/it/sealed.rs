//! Keeping private keys under a TPM: what only sealing promises. What every store promises is in `keys`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use omens::config::settings::Sealing;
use omens::io::tpm::connection::Connection;
use omens::io::tpm::limit::Unanswered;
use omens::model::clock::Time;
use omens::model::failure::Failure;
use omens::model::name::{CertName, Generation};
use omens::model::pcr::PcrList;
use omens::model::secret::Material;
use omens::model::tcti::Tcti;
use omens::steps::key::{Key, KeyStore, SealedStore};
use zeroize::Zeroizing;

use crate::lab::swtpm::{Relay, Swtpm};
use crate::lab::{free_port, place};
use crate::tpm::start;

const NOW: i64 = 1_790_000_000;
const DAY: i64 = 86_400;

fn now() -> Time {
    Time::from_unix(NOW)
}

fn name() -> CertName {
    CertName::parse("web").unwrap()
}

fn sealing(tcti: &str, pcrs: &[u32]) -> Sealing {
    let max_age = Duration::from_secs(7 * 86_400);
    Sealing { tcti: Tcti::parse(tcti).unwrap(), pcrs: PcrList::new(pcrs).unwrap(), max_age }
}

fn store(state: &Path, swtpm: &Swtpm, pcrs: &[u32]) -> SealedStore {
    SealedStore::new(state, sealing(&swtpm.tcti(), pcrs))
}

/// A private key as PKCS#8, and as consumers get it.
fn key(algorithm: &'static rcgen::SignatureAlgorithm) -> (Vec<u8>, Material) {
    let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
    (pair.serialize_der(), Material::Pem(Zeroizing::new(pair.serialize_pem().into_bytes())))
}

fn p256() -> Material {
    key(&rcgen::PKCS_ECDSA_P256_SHA256).1
}

fn keep(store: &dyn KeyStore, generation: u64) -> Vec<u8> {
    store.keep(&name(), Generation(generation), &p256()).unwrap().at_rest().as_bytes().to_vec()
}

fn open(store: &dyn KeyStore, generation: u64, bytes: &[u8]) -> Result<Key, Failure> {
    store.open(&name(), Generation(generation), bytes)
}

fn files(state: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(state.join("seal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

/// The only sealing key there is.
fn key_file(state: &Path) -> PathBuf {
    let keys: Vec<PathBuf> = files(state).into_iter().filter(|path| !path.ends_with("srk.json")).collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
    keys[0].clone()
}

#[test]
fn a_boot_opens_all_keys_with_one_unseal_and_two_around_a_change() {
    let Some(mut swtpm) = start(&[7]) else { return };
    for pcrs in [&[][..], &[7]] {
        let state = place::directory("state");
        let first = store(&state, &swtpm, pcrs);
        first.make_ready(now()).unwrap();
        let kept: Vec<Vec<u8>> = (1..=50).map(|generation| keep(&first, generation)).collect();
        drop(first);
        swtpm.reboot(&[7]);
        let second = store(&state, &swtpm, pcrs);
        assert_eq!((second.unseals(), second.tpm_commands()), (0, 0), "nothing is opened before it is needed");
        for (bytes, generation) in kept.iter().zip(1..) {
            open(&second, generation, bytes).unwrap();
        }
        assert_eq!(second.unseals(), 1);
        assert!(second.tpm_commands() <= 8, "{}", second.tpm_commands());
        // A week later another sealing key serves; the old one still opens what it keeps.
        let later = now().plus(7 * DAY);
        assert_eq!(second.make_ready(later), Ok(None));
        let new = keep(&second, 51);
        drop(second);
        let third = store(&state, &swtpm, pcrs);
        for (bytes, generation) in kept.iter().chain([&new]).zip(1..) {
            open(&third, generation, bytes).unwrap();
        }
        assert_eq!(third.unseals(), 2);
        drop(third);
        // Until then it is the same one.
        let fourth = store(&state, &swtpm, pcrs);
        assert_eq!(fourth.make_ready(later.plus(7 * DAY - 1)), Ok(None));
        assert_eq!((fourth.unseals(), files(&state).len()), (1, 3));
    }
}

#[test]
fn what_lies_on_the_disk_is_private_and_holds_no_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(swtpm) = start(&[7]) else { return };
    let state = place::directory("state");
    std::fs::create_dir_all(state.join("seal")).unwrap();
    std::fs::write(state.join("seal/.key-0000000000000000.json.0123456789abcdef"), "torn").unwrap();
    let store = store(&state, &swtpm, &[7]);
    store.make_ready(now()).unwrap();
    let (original, key) = key(&rcgen::PKCS_ECDSA_P256_SHA256);
    let kept = store.keep(&name(), Generation(1), &key).unwrap();
    let sealed = kept.at_rest();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&state.join("seal")), 0o700);
    let all = files(&state);
    assert_eq!(all.len(), 2, "what a killed run left is gone: {all:?}");
    for file in &all {
        assert_eq!(mode(file), 0o600, "{}", file.display());
        let value: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        assert_eq!(value["v"], 1);
    }
    // The private scalar of a P-256 key stands at a fixed place of its PKCS#8.
    let scalar = &original[36..68];
    let text = String::from_utf8(sealed.as_bytes().to_vec()).unwrap();
    assert!(!sealed.as_bytes().windows(32).any(|window| window == scalar));
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let fields: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["ciphertext", "generation", "name", "nonce", "salt", "seal", "spki_sha256", "srk", "v"]);
    assert_ne!(keep(&store, 1), keep(&store, 1), "each time another salt");
}

#[test]
fn a_key_opens_only_as_what_it_is() {
    let Some(swtpm) = start(&[7]) else { return };
    let store = store(&place::directory("state"), &swtpm, &[7]);
    store.make_ready(now()).unwrap();
    let sealed = keep(&store, 3);
    for (name, generation) in [("web", 4), ("mail", 3)] {
        let why = store.open(&CertName::parse(name).unwrap(), Generation(generation), &sealed).unwrap_err();
        assert!(why.code.as_str() == "blob-damaged" && why.text.contains("web gen-3"), "{why:?}");
    }
    // Renamed in the file itself, where the cipher sees it.
    let text = String::from_utf8(sealed).unwrap();
    let renamed = text.replace("\"generation\": 3", "\"generation\": 4");
    let why = open(&store, 4, renamed.as_bytes()).unwrap_err();
    assert!(why.text.contains("not as it was written"), "{why:?}");
}

#[test]
fn every_flipped_byte_on_the_disk_is_damage() {
    let Some(swtpm) = start(&[7]) else { return };
    let state = place::directory("state");
    let first = store(&state, &swtpm, &[7]);
    first.make_ready(now()).unwrap();
    let sealed = keep(&first, 1);
    let damaged = |store: &SealedStore, bytes: &[u8], what: &str| {
        let why = open(store, 1, bytes).err();
        assert_eq!(why.as_ref().map(|why| why.code.as_str()), Some("blob-damaged"), "{what}: {why:?}");
    };
    for at in 0..sealed.len() {
        for bit in [0, 5] {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1 << bit;
            damaged(&first, &flipped, &format!("key.sealed byte {at} bit {bit}"));
        }
    }
    damaged(&first, &[sealed.as_slice(), b"\n"].concat(), "trailing byte");
    drop(first);
    let file = key_file(&state);
    let good = std::fs::read(&file).unwrap();
    for at in 0..good.len() {
        let mut flipped = good.clone();
        flipped[at] ^= 1 << [0, 5][at % 2];
        std::fs::write(&file, &flipped).unwrap();
        damaged(&store(&state, &swtpm, &[7]), &sealed, &format!("{} byte {at}", file.display()));
    }
    std::fs::remove_file(&file).unwrap();
    damaged(&store(&state, &swtpm, &[7]), &sealed, "no sealing key");
    std::fs::write(&file, &good).unwrap();
    assert!(open(&store(&state, &swtpm, &[7]), 1, &sealed).is_ok());
    assert_eq!(swtpm.loaded(), Vec::<String>::new());
}

#[test]
fn a_damaged_sealing_key_is_replaced_and_said() {
    let Some(swtpm) = start(&[7]) else { return };
    let state = place::directory("state");
    let first = store(&state, &swtpm, &[7]);
    first.make_ready(now()).unwrap();
    let sealed = keep(&first, 1);
    drop(first);
    let file = key_file(&state);
    let text = std::fs::read_to_string(&file).unwrap();
    // One character of the private area.
    let at = text.find("\"private\": \"").unwrap() + 60;
    let other = if &text[at..=at] == "A" { "B" } else { "A" };
    std::fs::write(&file, format!("{}{other}{}", &text[..at], &text[at + 1..])).unwrap();
    let second = store(&state, &swtpm, &[7]);
    assert_eq!(second.make_ready(now()).unwrap().unwrap().code.as_str(), "blob-damaged");
    assert_eq!(open(&second, 1, &sealed).unwrap_err().code.as_str(), "blob-damaged");
    let new = keep(&second, 2);
    drop(second);
    assert!(open(&store(&state, &swtpm, &[7]), 2, &new).is_ok());
}

#[test]
fn a_changed_pcr_is_a_warning_to_a_renewal_and_an_error_to_a_boot() {
    let Some(swtpm) = start(&[4, 7]) else { return };
    let state = place::directory("state");
    let first = store(&state, &swtpm, &[4, 7]);
    first.make_ready(now()).unwrap();
    let sealed = keep(&first, 1);
    drop(first);
    swtpm.extend(7, "a new firmware");
    let boot = store(&state, &swtpm, &[4, 7]);
    for _ in 0..3 {
        let why = open(&boot, 1, &sealed).unwrap_err();
        assert_eq!(why.code.as_str(), "pcr-changed");
        assert!(why.text.contains("web gen-1") && why.text.contains("PCR 7 changed"), "{why:?}");
    }
    assert_eq!(boot.unseals(), 1, "what failed is not tried again");
    drop(boot);
    let renewal = store(&state, &swtpm, &[4, 7]);
    let warning = renewal.make_ready(now()).unwrap().unwrap();
    assert!(warning.code.as_str() == "pcr-changed" && warning.text.contains("PCR 7 changed"), "{warning:?}");
    let new = keep(&renewal, 2);
    drop(renewal);
    let next = store(&state, &swtpm, &[4, 7]);
    assert!(open(&next, 2, &new).is_ok());
    assert_eq!(next.make_ready(now()), Ok(None), "the next run uses the new one without a word");
}

#[test]
fn another_list_of_pcrs_takes_another_sealing_key() {
    let Some(swtpm) = start(&[7]) else { return };
    let state = place::directory("state");
    let free = store(&state, &swtpm, &[]);
    free.make_ready(now()).unwrap();
    let old = keep(&free, 1);
    drop(free);
    let bound = store(&state, &swtpm, &[7]);
    assert_eq!(bound.make_ready(now()), Ok(None));
    let new = keep(&bound, 2);
    // What was sealed before the settings asked for more still opens; nothing new is sealed that weakly.
    assert!(open(&bound, 1, &old).is_ok());
    drop(bound);
    swtpm.extend(7, "a new firmware");
    let boot = store(&state, &swtpm, &[7]);
    assert!(open(&boot, 1, &old).is_ok());
    assert_eq!(open(&boot, 2, &new).unwrap_err().code.as_str(), "pcr-changed");
    drop(boot);
    assert_eq!(store(&state, &swtpm, &[0]).make_ready(now()).unwrap_err().code.as_str(), "pcr-unmeasured");
}

#[test]
fn another_tpm_waits_for_a_person() {
    let (Some(one), Some(other)) = (start(&[7]), start(&[7])) else { return };
    let state = place::directory("state");
    let first = store(&state, &one, &[7]);
    first.make_ready(now()).unwrap();
    let sealed = keep(&first, 1);
    drop(first);
    let before = files(&state);
    let strange = store(&state, &other, &[7]);
    for why in [strange.make_ready(now()).unwrap_err(), open(&strange, 1, &sealed).unwrap_err()] {
        assert_eq!(why.code.as_str(), "tpm-replaced");
        assert!(why.hint.unwrap().contains("omens reseal --new-tpm"));
    }
    // A lost pin is no licence: the sealing keys still know their TPM.
    std::fs::remove_file(state.join("seal/srk.json")).unwrap();
    assert_eq!(store(&state, &other, &[7]).make_ready(now()).unwrap_err().code.as_str(), "tpm-replaced");
    assert!(!state.join("seal/srk.json").exists());
    assert_eq!(store(&state, &one, &[7]).make_ready(now()), Ok(None));
    assert_eq!(files(&state), before, "the same TPM is pinned again");
    // A pin that cannot be read stops everything too.
    std::fs::write(state.join("seal/srk.json"), "{}").unwrap();
    assert_eq!(store(&state, &one, &[7]).make_ready(now()).unwrap_err().code.as_str(), "blob-damaged");
    // The person.
    let pinned = store(&state, &other, &[7]);
    let before = std::fs::read(state.join("seal/srk.json")).unwrap();
    assert_eq!(pinned.adopt_tpm(), Ok(true));
    assert_eq!(std::fs::read(state.join("seal/srk.json")).unwrap(), before, "it is pinned with the first key that it seals");
    assert_eq!(pinned.make_ready(now()), Ok(None));
    let new = keep(&pinned, 2);
    drop(pinned);
    let next = store(&state, &other, &[7]);
    assert!(open(&next, 2, &new).is_ok());
    let why = open(&next, 1, &sealed).unwrap_err();
    drop(next);
    assert!(why.code.as_str() == "blob-damaged" && why.text.contains("no longer the pinned one"), "{why:?}");
    assert_eq!(store(&state, &other, &[7]).adopt_tpm(), Ok(false));
}

#[test]
fn where_every_trace_of_the_tpm_is_lost_it_is_pinned_anew_and_said() {
    let Some(swtpm) = start(&[]) else { return };
    let Some(other) = start(&[]) else { return };
    let state = place::directory("state");
    let generation = state.join("certs/web/gen-1");
    std::fs::create_dir_all(&generation).unwrap();
    let first = store(&state, &swtpm, &[]);
    assert_eq!(first.make_ready(now()), Ok(None), "nothing was ever sealed");
    std::fs::write(generation.join("key.sealed"), keep(&first, 1)).unwrap();
    drop(first);
    std::fs::remove_dir_all(state.join("seal")).unwrap();
    // What was sealed still names the TPM.
    assert_eq!(store(&state, &other, &[]).make_ready(now()).unwrap_err().code.as_str(), "tpm-replaced");
    std::fs::write(generation.join("key.sealed"), "{}").unwrap();
    let warning = store(&state, &swtpm, &[]).make_ready(now()).unwrap().expect("a warning");
    assert_eq!(warning.code.as_str(), "tpm-pinned-anew");
    assert_eq!(store(&state, &swtpm, &[]).make_ready(now()), Ok(None), "once");
}

#[test]
fn a_cleared_tpm_is_a_replaced_one() {
    let Some(swtpm) = start(&[]) else { return };
    let state = place::directory("state");
    store(&state, &swtpm, &[]).make_ready(now()).unwrap();
    swtpm.tool("tpm2_clear", &["-c", "p"]);
    assert_eq!(store(&state, &swtpm, &[]).make_ready(now()).unwrap_err().code.as_str(), "tpm-replaced");
}

#[test]
fn a_reseal_makes_a_new_sealing_key_and_unneeded_ones_go() {
    let Some(swtpm) = start(&[7]) else { return };
    let state = place::directory("state");
    let store = store(&state, &swtpm, &[7]);
    store.make_ready(now()).unwrap();
    let generation = |number: u64| {
        let dir = state.join(format!("certs/web/gen-{number}"));
        std::fs::create_dir_all(&dir).unwrap();
        dir.join("key.sealed")
    };
    std::fs::write(generation(1), keep(&store, 1)).unwrap();
    let old = key_file(&state);
    let new = store.renew_sealing_key(now()).unwrap();
    std::fs::write(generation(2), keep(&store, 2)).unwrap();
    let needed = store.referenced().unwrap().unwrap();
    assert_eq!((needed.len(), needed.contains(&new)), (2, true));
    assert_eq!(store.collect_but(needed), Ok(vec![]));
    // A generation that cannot be read: nobody knows what it needs.
    std::fs::write(generation(3), "torn").unwrap();
    assert_eq!(store.referenced(), Ok(None));
    std::fs::remove_dir_all(state.join("certs/web/gen-3")).unwrap();
    std::fs::remove_dir_all(state.join("certs/web/gen-1")).unwrap();
    let removed = store.collect_but(store.referenced().unwrap().unwrap()).unwrap();
    assert!(removed.len() == 1 && old.ends_with(removed[0].file()), "{removed:?}");
    assert!(!old.exists());
    // The one that new keys will come under stays, even while nothing needs it.
    std::fs::remove_dir_all(state.join("certs")).unwrap();
    let fresh = SealedStore::new(&state, sealing(&swtpm.tcti(), &[7]));
    assert_eq!(fresh.collect_but(fresh.referenced().unwrap().unwrap()), Ok(vec![]));
    assert!(key_file(&state).ends_with(new.file()));
}

#[test]
fn the_newest_sealing_key_serves_also_among_those_of_one_second() {
    let Some(swtpm) = start(&[]) else { return };
    let state = place::directory("state");
    for _ in 0..8 {
        let new = store(&state, &swtpm, &[]).renew_sealing_key(now()).unwrap();
        let next = store(&state, &swtpm, &[]);
        next.make_ready(now()).unwrap();
        let sealed: serde_json::Value = serde_json::from_slice(&keep(&next, 1)).unwrap();
        assert_eq!(sealed["seal"], new.to_string());
    }
}

#[test]
fn a_missing_tpm_is_an_error_and_never_a_file() {
    let state = place::directory("state");
    let store = SealedStore::new(&state, sealing(&format!("swtpm:host=127.0.0.1,port={}", free_port()), &[]));
    assert_eq!(store.make_ready(now()).unwrap_err().code.as_str(), "tpm-unreachable");
    assert!(store.keep(&name(), Generation(1), &p256()).is_err());
    assert_eq!((store.unseals(), store.tpm_commands()), (0, 0));
    assert!(!state.join("seal").exists());
}

#[test]
fn a_tpm_that_is_not_needed_is_not_asked() {
    let Some(swtpm) = start(&[]) else { return };
    let relay = Relay::recording(&swtpm);
    let store = SealedStore::new(&place::directory("state"), sealing(&relay.tcti(), &[]));
    assert!(open(&store, 1, b"no key").is_err());
    store.collect_but(store.referenced().unwrap().unwrap()).unwrap();
    assert!(relay.codes().is_empty());
    store.make_ready(now()).unwrap();
    let ready = store.tpm_commands();
    assert_eq!(u64::try_from(relay.codes().len()).unwrap(), ready);
    (1..20).for_each(|generation| drop(open(&store, generation, &keep(&store, generation)).unwrap()));
    assert_eq!(store.tpm_commands(), ready, "private keys come and go without the TPM");
    drop(store);
    assert_eq!(swtpm.loaded(), Vec::<String>::new(), "it is closed with its last user");
}

/// A TPM that answers nothing until it is let go; whatever a run has given up is not done behind the back of the next one.
#[test]
fn a_tpm_that_was_given_up_is_not_asked_again_and_what_it_says_late_changes_nothing() {
    let Some(swtpm) = start(&[]) else { return };
    let (release, held) = std::sync::mpsc::channel::<()>();
    let silent = Relay::before(
        &swtpm,
        Box::new(move |_, _| {
            held.recv().ok();
            None
        }),
    );
    let (state, unanswered) = (place::directory("state"), Unanswered::default());
    let tcti = Tcti::parse(&silent.tcti()).unwrap();
    let store = || {
        let store = SealedStore::new(&state, sealing(&silent.tcti(), &[]));
        store.with_limit(Duration::from_millis(300)).over(Connection::new(&tcti, unanswered.clone()))
    };
    let first = store();
    for _ in 0..3 {
        let why = first.make_ready(now()).unwrap_err();
        assert!(why.code.as_str() == "tpm-unreachable" && why.text.contains("did not answer within"), "{why:?}");
    }
    drop(first);
    let second = store();
    let before = std::time::Instant::now();
    let why = second.make_ready(now()).unwrap_err();
    assert!(why.code.as_str() == "tpm-unreachable" && why.text.contains("has still not answered"), "{why:?}");
    assert!(before.elapsed() < Duration::from_millis(100), "{:?}", before.elapsed());
    assert!(unanswered.is_waiting());
    // It wakes up: nothing is pinned and nothing made for a run that has ended.
    drop(release);
    crate::lab::wait_for("the thread that was left behind", Duration::from_secs(10), || !unanswered.is_waiting());
    assert!(!state.join("seal").exists(), "{:?}", files(&state));
    let third = SealedStore::new(&state, sealing(&silent.tcti(), &[])).over(Connection::new(&tcti, unanswered));
    assert_eq!(third.make_ready(now()), Ok(None));
    assert_eq!(files(&state).len(), 2);
}
