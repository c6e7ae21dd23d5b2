//! Sealed keys through the whole flow: a renewal, a boot, and everything that keeps a TPM from opening them. The binary on a real software TPM.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::lab::estate::{Cert, Estate, Run};
use crate::lab::swtpm::Swtpm;
use crate::tpm::start;

fn host(swtpm: &Swtpm, pcrs: &[u32]) -> Estate {
    Estate::at_openbao().with_tpm(&swtpm.direct(), pcrs)
}

/// A boot: the run directory is empty.
pub(crate) fn empty_run(estate: &Estate) {
    for entry in std::fs::read_dir(estate.run_dir()).unwrap().flatten() {
        std::fs::remove_dir_all(entry.path()).unwrap();
    }
}

/// All files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

/// No private key lies in clear in the state directory.
fn no_plain_key(estate: &Estate) {
    let all = files(&estate.state());
    assert!(all.iter().any(|path| path.ends_with("key.sealed")), "{all:?}");
    for path in all {
        let bytes = std::fs::read(&path).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains("PRIVATE KEY"), "{}", path.display());
    }
}

pub(crate) fn published(estate: &Estate, name: &str) -> (String, String) {
    let read = |file: &str| std::fs::read_to_string(estate.run_dir().join(name).join("live").join(file)).unwrap();
    let (cert, key) = (read("cert.pem"), read("key.pem"));
    assert_eq!(read("combined.pem"), format!("{}{key}", read("fullchain.pem")));
    (cert, key)
}

fn warnings(run: &Run, name: &str) -> Vec<String> {
    let all = run.cert(name)["warnings"].as_array().cloned().unwrap_or_default();
    all.iter().map(|warning| warning["code"].as_str().unwrap_or_default().to_owned()).collect()
}

fn status(estate: &Estate, name: &str) -> Value {
    estate.omens(&["status"]).cert(name).clone()
}

fn rsa() -> Cert {
    let cert = Cert::web("rsa").sealed();
    Cert { algorithm: "rsa-2048".into(), role: "web-rsa".into(), profile: "infrastructure-rsa".into(), ..cert }
}

#[test]
fn a_sealed_certificate_is_renewed_and_comes_back_after_a_boot() {
    let Some(mut swtpm) = start(&[7]) else { return };
    for pcrs in [&[][..], &[7]] {
        let estate = host(&swtpm, pcrs).with(Cert::web("web").sealed()).with(rsa());
        estate.renew().expect(0, "web", "renewed");
        no_plain_key(&estate);
        let before = published(&estate, "web");
        let standing = status(&estate, "web");
        assert_eq!((&standing["keep"], &standing["pcrs"]), (&"sealed".into(), &serde_json::json!(pcrs)));
        assert!(standing["keep_means"].as_str().unwrap().contains("TPM"), "{standing}");
        estate.renew().expect(0, "web", "not-due");
        swtpm.reboot(&[7]);
        empty_run(&estate);
        assert_eq!(estate.omens(&["plan"]).reasons("web"), ["unpublished"]);
        estate.omens(&["restore"]).expect(0, "web", "restored");
        assert_eq!(published(&estate, "web"), before);
        estate.omens(&["restore"]).expect(0, "web", "kept");
        // The next renewal: another key, another sealed file, the same sealing key.
        estate.force().expect(0, "web", "renewed");
        assert_ne!(published(&estate, "web").1, before.1);
        no_plain_key(&estate);
    }
}

#[test]
fn a_changed_pcr_keeps_a_boot_from_opening_and_a_renewal_goes_on() {
    let Some(mut swtpm) = start(&[7]) else { return };
    let estate = host(&swtpm, &[7]).with(Cert::web("web").sealed()).with(Cert::web("plain"));
    estate.renew().expect(0, "web", "renewed");
    swtpm.reboot(&[7]);
    swtpm.extend(7, "another boot loader");
    empty_run(&estate);
    let restore = estate.omens(&["restore"]);
    restore.expect(1, "web", "failed").because("web", "seal/pcr-changed").expect(1, "plain", "restored");
    let text = restore.cert("web")["error"]["text"].as_str().unwrap().to_owned();
    assert!(text.contains("PCR 7"), "{text}");
    let hint = restore.cert("web")["error"]["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("`omens renew --all`") && !hint.contains("reseal"), "after a boot there is no key in use to seal anew: {hint}");
    // Nobody can read the certificate: that is not healthy, however the last renewal ended.
    let standing = estate.omens(&["status"]);
    assert_eq!((standing.code, &standing.cert("web")["healthy"], &standing.cert("plain")["healthy"]), (1, &false.into(), &true.into()));
    assert!(estate.plain(&["status"]).stdout.contains("1 of 2 need attention"));
    let renew = estate.renew();
    renew.expect(0, "web", "renewed");
    assert!(renew.reasons("web").contains(&"unreadable"), "{renew}");
    assert!(warnings(&renew, "web").contains(&"pcr-changed".to_owned()), "{renew}");
    published(&estate, "web");
    estate.renew().expect(0, "web", "not-due");
}

#[test]
fn a_change_while_the_host_runs_is_resealed_from_the_run_directory() {
    let Some(mut swtpm) = start(&[7]) else { return };
    let estate = host(&swtpm, &[7]).with(Cert::web("web").sealed());
    estate.renew().expect(0, "web", "renewed");
    let before = published(&estate, "web");
    swtpm.extend(7, "an update");
    let requests = estate.signed();
    let reseal = estate.omens(&["reseal"]);
    reseal.expect(0, "web", "resealed");
    assert_eq!((reseal.json["schema"].as_str(), &reseal.cert("web")["generation"]), (Some("omens.reseal/1"), &2.into()), "{reseal}");
    assert_eq!((published(&estate, "web"), estate.committed("web"), estate.signed()), (before.clone(), Some(2), requests));
    estate.renew().expect(0, "web", "not-due");
    // It opens under the new values after a boot that has them.
    swtpm.reboot(&[7]);
    swtpm.extend(7, "an update");
    empty_run(&estate);
    estate.omens(&["restore"]).expect(0, "web", "restored");
    assert_eq!(published(&estate, "web"), before);
    let keys: Vec<PathBuf> = files(&estate.state().join("seal")).into_iter().filter(|path| !path.ends_with("srk.json")).collect();
    assert_eq!(keys.len(), 1, "the old sealing key is gone: {keys:?}");
}

/// The way that README names: what a new firmware will measure is not known before it has booted.
#[test]
fn a_planned_update_costs_no_certificate() {
    let Some(mut swtpm) = start(&[7]) else { return };
    let mut estate = host(&swtpm, &[7]).with(Cert::web("web").sealed());
    estate.renew().expect(0, "web", "renewed");
    let (before, requests) = (published(&estate, "web"), estate.signed());
    estate.set_tpm(&swtpm.direct(), &[]);
    estate.omens(&["reseal"]).expect(0, "web", "resealed");
    for time in ["the boot after the update", "the next one, bound to what it measured"] {
        swtpm.reboot(&[7]);
        swtpm.extend(7, "a new firmware");
        empty_run(&estate);
        estate.omens(&["restore"]).expect(0, "web", "restored");
        assert_eq!((&published(&estate, "web"), estate.signed()), (&before, requests), "{time}");
        estate.set_tpm(&swtpm.direct(), &[7]);
        estate.omens(&["reseal"]).expect(0, "web", "resealed");
        assert_eq!(status(&estate, "web")["pcrs"], serde_json::json!([7]));
    }
}

#[test]
fn what_waits_is_settled_before_it_is_resealed() {
    let Some(swtpm) = start(&[7]) else { return };
    let mut estate = host(&swtpm, &[]).with(Cert::web("web").sealed());
    estate.renew().expect(0, "web", "renewed");
    // Nobody serves it: generation 2 is put back and waits.
    estate.certs[0] = Cert::web("web").sealed().seen_at(crate::lab::free_port(), "50ms");
    estate.write();
    estate.force().expect(1, "web", "rolled-back");
    let reseal = estate.omens(&["reseal"]);
    reseal.expect(1, "web", "failed").because("web", "plan/debt");
    assert_eq!(estate.committed("web"), Some(1));
    estate.certs[0] = Cert::web("web").sealed();
    estate.write();
    estate.renew().expect(0, "web", "settled");
    let requests = estate.signed();
    estate.omens(&["reseal"]).expect(0, "web", "resealed");
    assert_eq!((estate.committed("web"), estate.signed()), (Some(3), requests));
    // The way back is another certificate, not the same one under an older sealing key.
    let leaf = estate.published_leaf("web");
    estate.omens(&["rollback", "web"]).expect(0, "web", "rolled-back");
    assert_ne!(estate.published_leaf("web"), leaf);
}

#[test]
fn another_tpm_waits_for_a_person() {
    let Some(swtpm) = start(&[7]) else { return };
    let mut estate = host(&swtpm, &[]).with(Cert::web("web").sealed());
    estate.renew().expect(0, "web", "renewed");
    let requests = estate.signed();
    let before = published(&estate, "web");
    let Some(other) = start(&[7]) else { return };
    estate.set_tpm(&other.direct(), &[]);
    estate.force().expect(1, "web", "failed").because("web", "seal/tpm-replaced");
    assert_eq!((published(&estate, "web"), estate.signed()), (before, requests), "the old one goes on serving, nothing was signed");
    estate.omens(&["reseal"]).expect(1, "web", "failed").because("web", "seal/tpm-replaced");
    empty_run(&estate);
    estate.omens(&["restore"]).expect(1, "web", "failed").because("web", "seal/tpm-replaced");
    estate.renew().expect(1, "web", "failed").because("web", "seal/tpm-replaced");
    // A person says that it is meant. The key is nowhere any more: that is said, and the next renewal makes another.
    let status = estate.omens(&["status"]);
    assert_eq!((status.code, &status.cert("web")["last_error"]["failure"]["code"]), (1, &"tpm-replaced".into()), "{status}");
    let run = estate.omens(&["reseal", "--new-tpm"]);
    run.expect(0, "web", "kept");
    assert_eq!(run.reasons("web"), ["unreadable"], "{run}");
    assert_eq!(estate.omens(&["plan"]).reasons("web")[0], "unreadable");
    estate.renew().expect(0, "web", "renewed");
    estate.renew().expect(0, "web", "not-due");
}

#[test]
fn without_its_tpm_nothing_is_signed_and_nothing_falls_back_to_a_file() {
    let Some(mut swtpm) = start(&[7]) else { return };
    let estate = host(&swtpm, &[7]).with(Cert::web("web").sealed()).with(Cert::web("plain"));
    swtpm.power_off();
    let run = estate.renew();
    run.expect(1, "web", "failed").because("web", "seal/tpm-unreachable").expect(1, "plain", "renewed");
    assert_eq!(estate.signed(), 1, "only the file's");
    assert!(files(&estate.state().join("certs/web")).iter().all(|path| path.ends_with("state.json")));
    swtpm.power_on(&[7]);
    estate.renew().expect(0, "web", "renewed").expect(0, "plain", "not-due");
    // The same at a boot, which goes on past it.
    let before = published(&estate, "web");
    swtpm.power_off();
    empty_run(&estate);
    estate.omens(&["restore"]).expect(1, "web", "failed").because("web", "seal/tpm-unreachable").expect(1, "plain", "restored");
    assert!(files(&estate.run_dir().join("web")).is_empty());
    swtpm.power_on(&[7]);
    estate.omens(&["restore"]).expect(0, "web", "restored").expect(0, "plain", "kept");
    assert_eq!(published(&estate, "web"), before);
}

#[test]
fn in_clear_a_sealed_key_is_written_to_memory_alone() {
    let Some(swtpm) = start(&[7]) else { return };
    let mut estate = Estate::at_openbao();
    estate.set_tpm(&swtpm.direct(), &[]);
    let disk = omens::io::dir::Dir::open(&estate.dir).unwrap().unwrap();
    if disk.is_memory_backed().unwrap() {
        return crate::skipped("a run directory on a disk: the temporary directory is in memory");
    }
    let estate = estate.with(Cert::web("web").sealed());
    estate.renew().expect(1, "web", "failed").because("web", "seal/run-not-tmpfs");
    assert_eq!(estate.signed(), 0);
    assert!(files(&estate.run_dir()).iter().all(|path| !path.ends_with("key.pem")));
}

#[test]
fn settings_that_change_the_keeping_take_a_new_key() {
    let Some(swtpm) = start(&[7]) else { return };
    let mut estate = host(&swtpm, &[]).with(Cert::web("web"));
    estate.renew().expect(0, "web", "renewed");
    let old = published(&estate, "web").1;
    let said = |standing: &Value| standing["warnings"].to_string();
    assert_eq!(status(&estate, "web")["warnings"], serde_json::json!([]), "nobody asked for more than a file");
    // Nobody serves the new one yet: the way back has to stay, and that it lies there in clear is said.
    estate.certs[0] = Cert::web("web").sealed().seen_at(crate::lab::free_port(), "50ms");
    estate.write();
    let standing = status(&estate, "web");
    assert_eq!((&standing["keep"], &standing["keep_beyond"]), (&"file".into(), &Value::Null), "{standing}");
    assert!(said(&standing).contains("plaintext-key") && said(&standing).contains("gen-1"), "{standing}");
    let run = estate.renew();
    run.expect(1, "web", "rolled-back");
    assert!(warnings(&run, "web").contains(&"plaintext-key".to_owned()), "{run}");
    assert_eq!(published(&estate, "web").1, old);
    let plain = estate.plain(&["status"]);
    assert!(plain.stdout.contains("warning: plaintext-key: "), "{}", plain.stdout);
    // Once the sealed one is proven, nothing needs the plain one any more.
    estate.certs[0] = Cert::web("web").sealed();
    estate.write();
    let run = estate.renew();
    run.expect(0, "web", "settled");
    assert_eq!(warnings(&run, "web"), Vec::<String>::new());
    assert_ne!(published(&estate, "web").1, old, "what lay on the disk in clear is not what is sealed");
    no_plain_key(&estate);
    let standing = status(&estate, "web");
    assert_eq!((&standing["keep"], said(&standing).as_str()), (&"sealed".into(), "[]"), "{standing}");
    estate.renew().expect(0, "web", "not-due");
    estate.omens(&["rollback", "web"]).expect(1, "web", "refused").because("web", "plan/nothing-to-go-back-to");
}

/// A TPM that is dead or gone is left behind by settings that keep keys in files, also after a boot, when nobody can give the old key back.
#[test]
fn who_leaves_a_dead_tpm_for_files_gets_new_keys_after_a_boot() {
    let Some(mut swtpm) = start(&[7]) else { return };
    let Some(other) = start(&[7]) else { return };
    type Change = fn(&mut Estate, &Swtpm);
    let changes: [(&str, Change); 3] = [
        ("dead", |_, _| {}),
        ("taken out of the settings", |estate, _| estate.tpm = None),
        ("replaced", |estate, other| estate.set_tpm(&other.direct(), &[])),
    ];
    let mut estates: Vec<Estate> = changes
        .iter()
        .map(|_| {
            let estate = host(&swtpm, &[]).with(Cert::web("web").sealed());
            estate.renew().expect(0, "web", "renewed");
            estate
        })
        .collect();
    swtpm.power_off();
    for ((what, change), estate) in changes.iter().zip(&mut estates) {
        empty_run(estate);
        "file".clone_into(&mut estate.certs[0].keep);
        change(estate, &other);
        estate.write();
        let code = if *what == "replaced" { "tpm-replaced" } else { "tpm-unreachable" };
        estate.omens(&["restore"]).expect(1, "web", "failed").because("web", &format!("seal/{code}"));
        let run = if *what == "dead" { estate.force() } else { estate.renew() };
        run.expect(0, "web", "renewed");
        assert!(warnings(&run, "web").contains(&code.to_owned()), "{what}: {run}");
        published(estate, "web");
        estate.renew().expect(0, "web", "not-due");
    }
}
