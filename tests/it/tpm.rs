//! The TPM door on a real software TPM: what is sealed opens where it should and nowhere else, and what fails says why.

use omens::io::tpm::{Sealed, Tpm, TpmError};
use omens::model::pcr::{PcrList, PcrValues};
use omens::model::tcti::Tcti;

use crate::lab::swtpm::{self, Between, Relay, Swtpm};

/// A TPM, or a loud word about why there is none.
pub(crate) fn start(measured: &[u32]) -> Option<Swtpm> {
    if let Some(package) = swtpm::missing() {
        crate::skipped(&format!("everything about the TPM: Debian's {package} is not installed"));
        return None;
    }
    Some(Swtpm::start(measured))
}

fn open(tcti: &str) -> Result<Tpm, TpmError> {
    Tpm::open(&Tcti::parse(tcti).unwrap(), None)
}

fn values(tpm: &mut Tpm, pcrs: &[u32]) -> PcrValues {
    tpm.pcr_values(&PcrList::new(pcrs).unwrap()).unwrap()
}

fn seal(tpm: &mut Tpm, secret: &[u8], pcrs: &[u32]) -> (Sealed, PcrValues) {
    let values = values(tpm, pcrs);
    (tpm.seal(secret, &values).unwrap(), values)
}

/// 64 bytes that occur nowhere else.
fn secret() -> Vec<u8> {
    let mut secret = vec![0; 64];
    aws_lc_rs::rand::fill(&mut secret).unwrap();
    secret
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn what_is_sealed_opens_again_also_after_a_reboot() {
    let Some(mut swtpm) = start(&[4, 7]) else { return };
    let all: Vec<u32> = (0..24).collect();
    for pcrs in [&[][..], &[7], &[4, 7]] {
        for length in [32, 64, 128] {
            let (secret, mut tpm) = (vec![7; length], open(&swtpm.tcti()).unwrap());
            let name = tpm.srk_name().to_vec();
            let (sealed, values) = seal(&mut tpm, &secret, pcrs);
            assert_eq!(tpm.unseal(&sealed, &values).unwrap().as_slice(), secret);
            drop(tpm);
            swtpm.reboot(&[4, 7]);
            let mut tpm = Tpm::open(&Tcti::parse(&swtpm.tcti()).unwrap(), Some(&name)).unwrap();
            assert_eq!(tpm.unseal(&sealed, &values).unwrap().as_slice(), secret, "{pcrs:?} {length}");
        }
    }
    // More PCRs than one answer of the TPM holds.
    all.iter().filter(|pcr| !matches!(pcr, 16..=23)).for_each(|pcr| swtpm.extend(*pcr, "again"));
    let mut tpm = open(&swtpm.tcti()).unwrap();
    let (sealed, values) = seal(&mut tpm, b"0123456789abcdef0123456789abcdef", &all[..16]);
    assert_eq!(tpm.unseal(&sealed, &values).unwrap().as_slice(), b"0123456789abcdef0123456789abcdef");
}

#[test]
fn another_storage_root_key_is_refused_before_it_is_used() {
    let (Some(one), Some(other)) = (start(&[]), start(&[])) else { return };
    let mut tpm = open(&one.tcti()).unwrap();
    let name = tpm.srk_name().to_vec();
    let (sealed, values) = seal(&mut tpm, &secret(), &[]);
    drop(tpm);
    let relay = Relay::recording(&other);
    let why = Tpm::open(&Tcti::parse(&relay.tcti()).unwrap(), Some(&name)).unwrap_err();
    assert_eq!((why.code().as_str(), why.failure().hint.is_some()), ("tpm-replaced", true));
    assert!(!relay.codes().contains(&swtpm::CC_EVICT_CONTROL), "a TPM that is not the pinned one is left as it was");
    drop(relay);
    // Without a pin it opens, and the object is none of its own.
    let mut tpm = open(&other.tcti()).unwrap();
    assert_eq!(tpm.unseal(&sealed, &values).unwrap_err().code().as_str(), "blob-damaged");
    // Cleared: the same machine, another seed.
    one.tool("tpm2_clear", &["-c", "p"]);
    assert_eq!(Tpm::open(&Tcti::parse(&one.tcti()).unwrap(), Some(&name)).unwrap_err().code().as_str(), "tpm-replaced");
}

#[test]
fn an_interposer_with_the_pinned_name_and_a_key_of_his_own_learns_nothing() {
    let (Some(ours), Some(his)) = (start(&[]), start(&[])) else { return };
    let name = open(&ours.tcti()).unwrap().srk_name().to_vec();
    let his_name = open(&his.tcti()).unwrap().srk_name().to_vec();
    let (expected, found) = (name.clone(), his_name.clone());
    let (asked, seen) = std::sync::mpsc::channel();
    let between: Between = Box::new(move |code, raw| {
        if code != swtpm::CC_READ_PUBLIC {
            return None;
        }
        asked.send(()).unwrap();
        // Answers for the one handle that is asked for: his key under our Name.
        let mut answer = raw(&[&[0x80, 1, 0, 0, 0, 14][..], &code.to_be_bytes(), &0x8100_0001_u32.to_be_bytes()].concat()).unwrap();
        let at = answer.windows(found.len()).position(|window| window == found).unwrap();
        answer[at..at + expected.len()].copy_from_slice(&expected);
        Some(answer)
    });
    let relay = Relay::before(&his, between);
    let result = Tpm::open(&Tcti::parse(&relay.tcti()).unwrap(), Some(&name));
    assert!(seen.try_recv().is_ok(), "he was asked");
    let why = result.expect_err("a Name is what the key hashes to, not what somebody says");
    assert_eq!(why.code().as_str(), "tpm-replaced", "{why}");
}

#[test]
fn an_evicted_storage_root_key_is_made_again_where_it_is_the_same() {
    let Some(swtpm) = start(&[]) else { return };
    let mut tpm = open(&swtpm.tcti()).unwrap();
    let name = tpm.srk_name().to_vec();
    let (sealed, values) = seal(&mut tpm, b"0123456789abcdef0123456789abcdef", &[]);
    drop(tpm);
    swtpm.tool("tpm2_evictcontrol", &["-C", "o", "-c", "0x81000001"]);
    let mut tpm = Tpm::open(&Tcti::parse(&swtpm.tcti()).unwrap(), Some(&name)).unwrap();
    assert!(tpm.unseal(&sealed, &values).is_ok());
}

#[test]
fn whoever_comes_second_takes_the_first_ones_storage_root_key() {
    let Some(swtpm) = start(&[]) else { return };
    let name = open(&swtpm.tcti()).unwrap().srk_name().to_vec();
    // The TPM seems to have no key yet; by the time ours is to be kept, somebody else's is.
    let mut first = true;
    let nothing = [&[0x80, 1, 0, 0, 0, 19, 0, 0, 0, 0, 0][..], &[0, 0, 0, 1], &[0, 0, 0, 0]].concat();
    let between: Between = Box::new(move |code, _| {
        let hide = code == swtpm::CC_GET_CAPABILITY && std::mem::take(&mut first);
        hide.then(|| nothing.clone())
    });
    let relay = Relay::before(&swtpm, between);
    let tpm = open(&relay.tcti()).unwrap();
    let codes = relay.codes();
    assert!(codes.contains(&swtpm::CC_CREATE_PRIMARY) && codes.contains(&swtpm::CC_EVICT_CONTROL), "{codes:x?}");
    assert_eq!(tpm.srk_name(), name);
    drop(tpm);
    drop(relay);
}

#[test]
fn other_peoples_storage_root_keys_work_too() {
    let Some(swtpm) = start(&[7]) else { return };
    for arguments in [&["-G", "rsa2048"][..], &["-G", "ecc"]] {
        swtpm.tool("tpm2_createprimary", &[&["-Q", "-C", "o", "-c", "srk.ctx"], arguments].concat());
        swtpm.tool("tpm2_evictcontrol", &["-Q", "-C", "o", "-c", "srk.ctx", "0x81000001"]);
        swtpm.tool("tpm2_flushcontext", &["-t"]);
        for pcrs in [&[][..], &[7]] {
            let mut tpm = open(&swtpm.tcti()).unwrap();
            let (sealed, values) = seal(&mut tpm, b"0123456789abcdef0123456789abcdef", pcrs);
            assert!(tpm.unseal(&sealed, &values).is_ok(), "{arguments:?} {pcrs:?}");
        }
        swtpm.tool("tpm2_evictcontrol", &["-Q", "-C", "o", "-c", "0x81000001"]);
    }
}

#[test]
fn a_changed_pcr_is_named_and_others_do_not_matter() {
    let Some(swtpm) = start(&[4, 7, 9]) else { return };
    let mut tpm = open(&swtpm.tcti()).unwrap();
    let (sealed, values) = seal(&mut tpm, &secret(), &[4, 7, 9]);
    drop(tpm);
    let unseal = || open(&swtpm.tcti()).unwrap().unseal(&sealed, &values);
    swtpm.extend(10, "another");
    assert!(unseal().is_ok());
    swtpm.extend(7, "a new firmware");
    assert_eq!(unseal().unwrap_err(), TpmError::PcrChanged(vec![7]));
    swtpm.extend(9, "a new kernel");
    let why = unseal().unwrap_err().failure();
    assert_eq!((why.code.as_str(), why.text.as_str()), ("pcr-changed", "PCRs 7, 9 changed since the key was sealed"));
    assert!(why.hint.unwrap().contains("omens renew"));
}

/// Steps in before each of the next `left` Unseals and measures something into PCR 10.
fn measuring(left: std::sync::Arc<std::sync::atomic::AtomicU32>) -> Between {
    use std::sync::atomic::Ordering::Relaxed;
    Box::new(move |code, raw| {
        if code == swtpm::CC_UNSEAL && left.load(Relaxed) > 0 {
            left.fetch_sub(1, Relaxed);
            assert_eq!(raw(&swtpm::extend_command(10, 1)).unwrap()[6..10], [0; 4], "the TPM takes the measurement");
        }
        None
    })
}

#[test]
fn a_pcr_that_moves_in_between_is_tried_again_on_the_same_session() {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    let Some(swtpm) = start(&[7]) else { return };
    let left = std::sync::Arc::new(AtomicU32::new(0));
    let relay = Relay::before(&swtpm, measuring(left.clone()));
    let mut tpm = open(&relay.tcti()).unwrap();
    let (sealed, values) = seal(&mut tpm, &secret(), &[7]);
    relay.codes();
    left.store(3, Relaxed);
    assert!(tpm.unseal(&sealed, &values).is_ok());
    let codes = relay.codes();
    let count = |wanted| codes.iter().filter(|code| **code == wanted).count();
    assert_eq!((count(swtpm::CC_UNSEAL), count(swtpm::CC_START_AUTH_SESSION)), (4, 1), "{codes:x?}");
    // Without an end it gives up, says so, and the session serves the next one.
    left.store(1000, Relaxed);
    let why = tpm.unseal(&sealed, &values).unwrap_err();
    assert_eq!(why.code().as_str(), "tpm-busy", "{why}");
    assert_eq!(relay.codes().iter().filter(|code| **code == swtpm::CC_UNSEAL).count(), 30);
    left.store(0, Relaxed);
    assert!(tpm.unseal(&sealed, &values).is_ok());
    drop(tpm);
}

#[test]
fn a_session_serves_on_after_a_policy_that_failed() {
    let Some(swtpm) = start(&[7, 9]) else { return };
    let mut relay_extends = false;
    let between: Between = Box::new(move |code, raw| {
        // Between the two seals: the first is bound to what PCR 7 was.
        if code == swtpm::CC_CREATE && !std::mem::replace(&mut relay_extends, true) {
            raw(&swtpm::extend_command(7, 1)).unwrap();
        }
        None
    });
    let relay = Relay::before(&swtpm, between);
    let mut tpm = open(&relay.tcti()).unwrap();
    let (stale, before) = seal(&mut tpm, &secret(), &[7]);
    let (fresh, now) = seal(&mut tpm, &secret(), &[7, 9]);
    for _ in 0..2 {
        assert_eq!(tpm.unseal(&stale, &before).unwrap_err(), TpmError::PcrChanged(vec![7]));
        assert!(tpm.unseal(&fresh, &now).is_ok());
    }
}

#[test]
fn a_pcr_that_nothing_measured_into_is_refused() {
    let Some(swtpm) = start(&[7]) else { return };
    let mut tpm = open(&swtpm.tcti()).unwrap();
    for (pcrs, named) in [(&[0][..], "PCR 0 is all 00"), (&[4, 7, 17], "PCRs 4, 17 are all 00 or all FF")] {
        let why = tpm.pcr_values(&PcrList::new(pcrs).unwrap()).unwrap_err();
        assert_eq!(why.code().as_str(), "pcr-unmeasured");
        assert!(why.to_string().contains(named), "{why}");
    }
}

/// A sealed object as tpm2-tools take it, loaded into `key.ctx`.
fn load_with_tools(swtpm: &Swtpm, sealed: &Sealed) {
    for (file, bytes) in [("pub", &sealed.public), ("priv", &sealed.private)] {
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        std::fs::write(swtpm.dir().join(file), [&length, bytes.as_slice()].concat()).unwrap();
    }
    swtpm.tool("tpm2_flushcontext", &["-t"]);
    swtpm.tool("tpm2_load", &["-Q", "-C", "0x81000001", "-u", "pub", "-r", "priv", "-c", "key.ctx"]);
    swtpm.tool("tpm2_flushcontext", &["-t"]);
}

#[test]
fn an_empty_password_opens_nothing_that_is_under_a_policy() {
    let Some(swtpm) = start(&[7]) else { return };
    let mut tpm = open(&swtpm.tcti()).unwrap();
    let (bound, _) = seal(&mut tpm, b"under the policy of PCR 7, 32 byt", &[7]);
    let (free, _) = seal(&mut tpm, b"bound to this TPM only, 32 bytes", &[]);
    drop(tpm);
    // The way of an attacker who has root on another system on this host: userWithAuth set would let him in.
    load_with_tools(&swtpm, &bound);
    let bypass = swtpm.try_tool("tpm2_unseal", &["-c", "key.ctx"]);
    assert!(bypass.code != 0 && bypass.stderr.contains("0x12F"), "{bypass:?}");
    swtpm.tool("tpm2_flushcontext", &["-t"]);
    let other = swtpm.try_tool("tpm2_changeauth", &["-C", "0x81000001", "-c", "key.ctx", "-r", "new", "a password of his own"]);
    assert!(other.code != 0 && other.stderr.contains("0x124"), "its administration is under the policy too: {other:?}");
    swtpm.tool("tpm2_flushcontext", &["-t"]);
    let policy = swtpm.tool("tpm2_unseal", &["-c", "key.ctx", "-p", "pcr:sha256:7"]);
    assert_eq!(policy, "under the policy of PCR 7, 32 byt");
    // The same without a policy opens: what is refused above is refused for the policy's sake.
    load_with_tools(&swtpm, &free);
    assert_eq!(swtpm.tool("tpm2_unseal", &["-c", "key.ctx"]), "bound to this TPM only, 32 bytes");
}

#[test]
fn every_flipped_byte_of_a_sealed_object_is_damage() {
    let Some(swtpm) = start(&[7]) else { return };
    for pcrs in [&[][..], &[7]] {
        let mut tpm = open(&swtpm.tcti()).unwrap();
        let (good, values) = seal(&mut tpm, &secret(), pcrs);
        let mut damaged = |what: &str, sealed: Sealed| {
            let why = tpm.unseal(&sealed, &values).err();
            assert_eq!(why.as_ref().map(|why| why.code().as_str()), Some("blob-damaged"), "{pcrs:?} {what}: {why:?}");
        };
        for at in 0..good.private.len() {
            let mut sealed = good.clone();
            sealed.private[at] ^= 1 << (at % 8);
            damaged(&format!("private byte {at}"), sealed);
        }
        for at in 0..good.public.len() {
            let mut sealed = good.clone();
            sealed.public[at] ^= 1 << (at % 8);
            damaged(&format!("public byte {at}"), sealed);
        }
        for (public, private) in [(0, 158), (40, 158), (77, 158), (78, 0), (78, 60), (78, 157)] {
            let cut = |bytes: &[u8], length: usize| bytes[..length.min(bytes.len())].to_vec();
            let sealed = Sealed { public: cut(&good.public, public), private: cut(&good.private, private) };
            damaged(&format!("cut to {public}, {private}"), if sealed == good { continue } else { sealed });
        }
        let longer = |bytes: &[u8], more: usize| [bytes, &vec![0; more]].concat();
        damaged("public longer", Sealed { public: longer(&good.public, 1), ..good.clone() });
        damaged("private longer", Sealed { private: longer(&good.private, 1), ..good.clone() });
        damaged("private far too long", Sealed { private: longer(&good.private, 5000), ..good.clone() });
        assert!(tpm.unseal(&good, &values).is_ok(), "after all that");
        let (other, _) = seal(&mut tpm, &secret(), pcrs);
        let mixed = Sealed { public: other.public, private: good.private };
        assert_eq!(tpm.unseal(&mixed, &values).unwrap_err().code().as_str(), "blob-damaged", "the public area of another object");
    }
}

#[test]
fn an_object_weaker_than_what_is_noted_beside_it_is_refused() {
    let Some(swtpm) = start(&[7, 9]) else { return };
    let mut tpm = open(&swtpm.tcti()).unwrap();
    let (free, none) = seal(&mut tpm, &secret(), &[]);
    let (bound, seven) = seal(&mut tpm, &secret(), &[7]);
    let nine = values(&mut tpm, &[9]);
    for (sealed, values) in [(&free, &seven), (&bound, &none), (&bound, &nine)] {
        assert_eq!(tpm.unseal(sealed, values).unwrap_err().code().as_str(), "blob-damaged");
    }
}

#[test]
fn a_lockout_does_not_touch_our_objects_and_is_named_where_it_touches_the_storage_root_key() {
    let Some(swtpm) = start(&[7]) else { return };
    let lock_out = || {
        swtpm.tool("tpm2_dictionarylockout", &["-s", "-n", "2", "-t", "1000", "-l", "1000"]);
        swtpm.tool("tpm2_createprimary", &["-Q", "-C", "o", "-p", "right", "-c", "da.ctx"]);
        swtpm.tool("tpm2_flushcontext", &["-t"]);
        for _ in 0..4 {
            swtpm.try_tool("tpm2_create", &["-Q", "-C", "da.ctx", "-P", "wrong"]);
            swtpm.tool("tpm2_flushcontext", &["-t"]);
        }
        let refused = swtpm.try_tool("tpm2_create", &["-Q", "-C", "da.ctx", "-P", "right"]);
        assert!(refused.stderr.contains("0x921"), "{refused:?}");
        swtpm.tool("tpm2_flushcontext", &["-t"]);
    };
    let mut tpm = open(&swtpm.tcti()).unwrap();
    let (sealed, values) = seal(&mut tpm, &secret(), &[7]);
    drop(tpm);
    lock_out();
    assert!(open(&swtpm.tcti()).unwrap().unseal(&sealed, &values).is_ok());
    // Somebody else's storage root key may be subject to it.
    swtpm.tool("tpm2_clear", &["-c", "p"]);
    swtpm.tool("tpm2_createprimary", &["-Q", "-C", "o", "-c", "srk.ctx"]);
    swtpm.tool("tpm2_evictcontrol", &["-Q", "-C", "o", "-c", "srk.ctx", "0x81000001"]);
    swtpm.tool("tpm2_flushcontext", &["-t"]);
    let mut tpm = open(&swtpm.tcti()).unwrap();
    let (sealed, values) = seal(&mut tpm, &secret(), &[7]);
    drop(tpm);
    lock_out();
    let why = open(&swtpm.tcti()).unwrap().unseal(&sealed, &values).unwrap_err();
    assert_eq!(why.code().as_str(), "tpm-lockout", "{why}");
    assert!(why.hint().contains("tpm2_dictionarylockout"));
}

#[test]
fn two_hundred_operations_leave_nothing_in_the_tpm() {
    let Some(swtpm) = start(&[7]) else { return };
    let relay = Relay::recording(&swtpm);
    let mut tpm = open(&relay.tcti()).unwrap();
    let (bound, seven) = seal(&mut tpm, &secret(), &[7]);
    let (free, none) = seal(&mut tpm, &secret(), &[]);
    let mut broken = free.clone();
    broken.private[20] ^= 1;
    let mut stale = seven.clone();
    stale.values[0].0[0] ^= 1;
    for round in 0..50 {
        assert!(tpm.unseal(&bound, &seven).is_ok(), "{round}");
        assert!(tpm.unseal(&free, &none).is_ok(), "{round}");
        assert!(tpm.unseal(&broken, &none).is_err(), "{round}");
        assert!(tpm.seal(&secret(), if round % 2 == 0 { &seven } else { &none }).is_ok(), "{round}");
        assert!(tpm.unseal(&bound, &stale).is_err(), "{round}");
    }
    // Another policy than that of now is only seen by the TPM.
    let changed = tpm.seal(&secret(), &stale).unwrap();
    for round in 0..10 {
        assert_eq!(tpm.unseal(&changed, &stale).unwrap_err().code().as_str(), "pcr-changed", "{round}");
    }
    let mut command = std::process::Command::new("tpm2_getcap");
    command.args(["-T", &relay.tcti(), "handles-transient"]);
    let said = crate::lab::child::run(command, std::time::Duration::from_secs(10));
    assert_eq!((said.code, said.stdout.as_str()), (0, ""), "an object stays loaded while the connection is open: {said:?}");
    drop(tpm);
    drop(relay);
    for round in 0..20 {
        let mut tpm = open(&swtpm.tcti()).unwrap();
        assert!(tpm.unseal(&bound, &seven).is_ok() && tpm.unseal(&broken, &none).is_err(), "{round}");
    }
    assert_eq!(swtpm.loaded(), Vec::<String>::new());
}

#[test]
fn a_listener_on_the_bus_never_sees_what_is_sealed() {
    let Some(swtpm) = start(&[7]) else { return };
    let relay = Relay::recording(&swtpm);
    let secret = secret();
    for pcrs in [&[][..], &[7]] {
        let mut tpm = open(&relay.tcti()).unwrap();
        let (sealed, values) = seal(&mut tpm, &secret, pcrs);
        assert_eq!(tpm.unseal(&sealed, &values).unwrap().as_slice(), secret);
        assert!(contains(&relay.bytes(), &sealed.private), "the listener hears everything else");
    }
    // Encrypted under a key that only the TPM can know: without a salt, a listener has all that it is derived from.
    let commands = relay.commands();
    let sessions: Vec<&[u8]> = commands.iter().filter(|c| swtpm::code(c) == swtpm::CC_START_AUTH_SESSION).map(|c| &c[10..14]).collect();
    assert_eq!(sessions, [[0x81, 0, 0, 1]; 3], "each session is salted to the storage root key");
    for half in secret.chunks(16) {
        assert!(!contains(&relay.bytes(), half));
    }
    // What tpm2-tools do without a session is what he would like to see.
    let tool = |name: &str, arguments: &[&str]| {
        let mut command = std::process::Command::new(name);
        command.args(arguments).current_dir(swtpm.dir()).env("TPM2TOOLS_TCTI", relay.tcti());
        let said = crate::lab::child::run(command, std::time::Duration::from_secs(10));
        assert_eq!(said.code, 0, "{said:?}");
    };
    std::fs::write(swtpm.dir().join("secret"), &secret).unwrap();
    tool("tpm2_create", &["-Q", "-C", "0x81000001", "-i", "secret", "-u", "pub", "-r", "priv"]);
    assert!(contains(&relay.bytes(), &secret));
}

#[test]
fn every_command_is_counted_and_an_unseal_costs_few() {
    let Some(swtpm) = start(&[7]) else { return };
    let relay = Relay::recording(&swtpm);
    let mut tpm = open(&relay.tcti()).unwrap();
    let opened = tpm.commands();
    let (free, none) = seal(&mut tpm, &secret(), &[]);
    let sealed = tpm.commands();
    tpm.unseal(&free, &none).unwrap();
    let unsealed = tpm.commands();
    let (bound, seven) = seal(&mut tpm, &secret(), &[7]);
    tpm.unseal(&bound, &seven).unwrap();
    let mut stale = seven.clone();
    stale.values[0].0[0] ^= 1;
    let changed = tpm.seal(&secret(), &stale).unwrap();
    tpm.unseal(&changed, &stale).unwrap_err();
    assert_eq!(u64::try_from(relay.codes().len()).unwrap(), tpm.commands(), "the count is what crosses the connection");
    drop(tpm);
    // A new storage root key: look, make, keep, flush, look, read. Then session and Create; Load, Unseal and flush.
    assert_eq!((opened, sealed - opened, unsealed - sealed), (6, 2, 3));
    let mut tpm = open(&relay.tcti()).unwrap();
    tpm.unseal(&free, &none).unwrap();
    assert_eq!(tpm.commands(), 6, "a boot: look, read, session, Load, Unseal, flush");
}

#[test]
fn what_the_tpm_says_is_told_in_words_with_a_remedy() {
    let Some(swtpm) = start(&[7]) else { return };
    let mut tpm = open(&swtpm.tcti()).unwrap();
    let (sealed, values) = seal(&mut tpm, &secret(), &[7]);
    drop(tpm);
    const CC_LOAD: u32 = 0x157;
    let cases = [
        (CC_LOAD, 0x902, "tpm-busy", "tpm2_flushcontext"),
        (swtpm::CC_START_AUTH_SESSION, 0x903, "tpm-busy", "tpm2_flushcontext"),
        (CC_LOAD, 0x921, "tpm-lockout", "tpm2_dictionarylockout"),
        (CC_LOAD, 0x923, "tpm-busy", "try again"),
        (CC_LOAD, 0x1df, "blob-damaged", "omens renew"),
        (CC_LOAD, 0x1da, "blob-damaged", "omens renew"),
        (CC_LOAD, 0x9a2, "tpm-unreachable", "password"),
        (CC_LOAD, 0x101, "tpm-unreachable", "power the host"),
        (swtpm::CC_UNSEAL, 0x12f, "tpm-unreachable", "tpm2_getcap"),
        (swtpm::CC_START_AUTH_SESSION, 0x2c4, "tpm-unreachable", "SRK"),
    ];
    for (command, response, code, remedy) in cases {
        let relay = Relay::before(&swtpm, Box::new(move |cc, _| (cc == command).then(|| swtpm::answer(response))));
        let why = open(&relay.tcti()).and_then(|mut tpm| tpm.unseal(&sealed, &values)).unwrap_err();
        assert_eq!(why.code().as_str(), code, "0x{response:x}: {why}");
        assert!(why.hint().contains(remedy), "0x{response:x}: {}", why.hint());
        assert!(!why.to_string().contains("not recognized"), "{why}");
    }
}

#[test]
fn a_password_on_the_owner_hierarchy_is_named() {
    let Some(swtpm) = start(&[]) else { return };
    swtpm.tool("tpm2_changeauth", &["-c", "owner", "somebody's"]);
    let why = open(&swtpm.tcti()).unwrap_err();
    assert!(why.to_string().contains("it wants a password") && why.hint().contains("tpm2_evictcontrol"), "{why}");
}

#[test]
fn an_unreachable_tpm_says_what_is_wrong_with_it() {
    let port = crate::lab::free_port();
    let cases = [
        (format!("swtpm:host=127.0.0.1,port={port}"), "refused"),
        ("device:/dev/tpmrm99".to_owned(), "/dev/tpmrm99: No such file or directory"),
    ];
    for (tcti, text) in cases {
        let why = open(&tcti).unwrap_err();
        assert_eq!(why.code().as_str(), "tpm-unreachable");
        assert!(why.to_string().contains(text) && !why.hint().is_empty(), "{why}");
    }
}

#[test]
fn a_tpm_that_goes_away_in_the_middle_is_unreachable() {
    let Some(mut swtpm) = start(&[]) else { return };
    let mut tpm = open(&swtpm.tcti()).unwrap();
    let (sealed, values) = seal(&mut tpm, &secret(), &[]);
    swtpm.power_off();
    assert_eq!(tpm.unseal(&sealed, &values).unwrap_err().code().as_str(), "tpm-unreachable");
}
