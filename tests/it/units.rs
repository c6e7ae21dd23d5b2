//! The systemd units as shipped: what systemd's own checkers say of them, and what they do under a real systemd as PID 1.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::lab::child::{Output, run};
use crate::lab::estate::omens;
use crate::lab::{guest, place, program};

/// The kinds of keeping that the guests run with.
const KEEPS: [&str; 2] = ["sealed", "file"];

const UNITS: [&str; 4] = ["omens-attest.service", "omens-restore.service", "omens-renew.service", "omens-renew.timer"];
/// Drop-ins, with the unit they are for.
const DROP_INS: [(&str, &str); 7] = [
    ("nginx.service.d/omens.conf", "nginx.service"),
    ("omens-.service.d/chown.conf", "omens-renew.service"),
    ("omens-.service.d/copies.conf", "omens-restore.service"),
    ("omens-.service.d/groups.conf", "omens-restore.service"),
    ("omens-renew.service.d/credential-encrypted.conf", "omens-renew.service"),
    ("omens-renew.service.d/credential.conf", "omens-renew.service"),
    ("omens-restore.service.d/tpm.conf", "omens-restore.service"),
];

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("units")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(shipped().join(name)).unwrap_or_else(|why| panic!("units/{name}: {why}"))
}

/// The units in a directory of their own, with these drop-ins, and with the binary under test as their executable.
fn stage(drop_ins: &[&str]) -> PathBuf {
    let dir = place::directory("units");
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.replace("/usr/bin/omens", omens().to_str().unwrap())).unwrap();
    };
    UNITS.iter().for_each(|name| write(name, &text(name)));
    // In place of a consumer that may not be installed.
    write("nginx.service", "[Service]\nExecStart=/bin/true\n");
    drop_ins.iter().for_each(|name| write(name, &text(name)));
    dir
}

/// `systemd-analyze` in a directory of units; `None`, said loudly, where there is none.
fn analyze(dir: &Path, arguments: &[&str]) -> Option<Output> {
    let Some(analyze) = program("systemd-analyze") else {
        crate::skipped("checks of the units: needs systemd-analyze (Debian package systemd)");
        return None;
    };
    let mut command = Command::new(analyze);
    command.args(arguments).current_dir(dir).env("LC_ALL", "C").env("SYSTEMD_PAGER", "");
    Some(run(command, Duration::from_secs(60)))
}

/// An unknown key only warns and exits 0 (io/host.md, "Processes and units"): what counts is that nothing is said.
fn verify(dir: &Path, unit: &str) -> Option<String> {
    // The manual pages that the units name are made by `omens man`; here they are not installed.
    let output = analyze(dir, &["verify", "--man=no", unit])?;
    Some(if output.code == 0 { output.stderr } else { format!("exit {}: {}", output.code, output.stderr) })
}

/// The exit code of `security` with this limit of ten times the score, and what it found.
fn exposure(dir: &Path, unit: &str, threshold: u8) -> Option<(i32, String)> {
    let threshold = format!("--threshold={threshold}");
    let output = analyze(dir, &["security", "--offline=true", "--no-pager", &threshold, unit])?;
    Some((output.code, format!("{}{}", output.stdout, output.stderr)))
}

#[test]
fn systemd_has_nothing_to_say_about_the_units_and_their_drop_ins() {
    for (drop_ins, unit) in UNITS.map(|unit| (vec![], unit)).into_iter().chain(DROP_INS.map(|(file, unit)| (vec![file], unit))) {
        let dir = stage(&drop_ins);
        let Some(said) = verify(&dir, unit) else { return };
        assert_eq!(said, "", "{unit} with {drop_ins:?}");
        // What is checked is what is meant: a misspelled key in the last file is seen.
        let last = dir.join(drop_ins.last().map_or(unit, |file| *file));
        let wrong = format!("{}\nProtectSystme=strict\n", std::fs::read_to_string(&last).unwrap());
        std::fs::write(&last, wrong).unwrap();
        assert!(verify(&dir, unit).unwrap().contains("ProtectSystme"), "{unit} with {drop_ins:?}: a wrong key is not seen");
    }
}

#[test]
fn the_sandbox_is_as_tight_as_promised() {
    let chown = ["omens-.service.d/chown.conf"];
    let groups = ["omens-.service.d/groups.conf"];
    // Ten times the score: 0 is closed, 100 open.
    for (drop_ins, threshold) in [(&[][..], 20), (&groups[..], 20), (&chown[..], 22)] {
        let dir = stage(drop_ins);
        for unit in ["omens-restore.service", "omens-renew.service"] {
            let Some((code, said)) = exposure(&dir, unit, threshold) else { return };
            assert_eq!(code, 0, "{unit} with {drop_ins:?}: {said}");
        }
        let renew = dir.join("omens-renew.service");
        std::fs::write(&renew, std::fs::read_to_string(&renew).unwrap().replace("SystemCallFilter=@system-service\n", "")).unwrap();
        assert_eq!(exposure(&dir, "omens-renew.service", threshold).unwrap().0, 1, "a looser sandbox passes as well");
    }
}

fn lines(name: &str) -> Vec<String> {
    text(name).lines().map(str::to_owned).collect()
}

#[test]
fn every_directive_says_why_it_is_there() {
    let drop_ins = DROP_INS.map(|(file, _)| file);
    for name in UNITS.iter().chain(&drop_ins).chain(&["sysusers.d/omens.conf", "tmpfiles.d/omens.conf"]) {
        let mut since_reason = None;
        for line in lines(name) {
            let free = ["", "[", "Description=", "Documentation=", "ExecStart="];
            match line.chars().next() {
                Some('#') => since_reason = Some(0),
                _ if free.iter().any(|start| if start.is_empty() { line.is_empty() } else { line.starts_with(start) }) => {
                    since_reason = None
                }
                _ => {
                    // A reason may stand for a few that go together.
                    let count = since_reason.unwrap_or(usize::MAX).checked_add(1).filter(|count| *count <= 4);
                    assert!(count.is_some(), "units/{name}: no reason before `{line}`");
                    since_reason = count;
                }
            }
        }
    }
}

fn directives(name: &str) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::<String, Vec<String>>::new();
    for line in lines(name).iter().filter(|line| !line.starts_with('#')) {
        if let Some((key, value)) = line.split_once('=') {
            all.entry(key.to_owned()).or_default().push(value.to_owned());
        }
    }
    all
}

#[test]
fn the_boot_step_lives_in_the_sandbox_of_the_renewal_without_the_network() {
    let (restore, renew) = (directives("omens-restore.service"), directives("omens-renew.service"));
    let own = ["Description", "Documentation", "After", "RemainAfterExit", "ExecStart", "TimeoutStartSec", "WantedBy"];
    let different: Vec<&str> = restore
        .iter()
        .filter(|(key, value)| !own.contains(&key.as_str()) && renew.get(*key) != Some(*value))
        .map(|(key, _)| key.as_str())
        .collect();
    // Evidence of the host says when it booted: a renewal reads /proc/stat.
    assert_eq!(different, ["PrivateNetwork", "ProcSubset", "RestrictAddressFamilies"]);
    let missing: Vec<&str> = renew.keys().filter(|key| !restore.contains_key(*key)).map(String::as_str).collect();
    assert_eq!(missing, ["AssertFileIsExecutable", "ExecCondition", "Wants"]);
    let consumer = directives("nginx.service.d/omens.conf");
    assert!(consumer.contains_key("Wants") && consumer.contains_key("After") && !consumer.contains_key("Requires"));
}

/// Step; result, state and exit code of omens-renew.service; outcome: what the guest prints when everything is as it should be.
const SCHEDULED: [&str; 26] = [
    // By the timer: a stopped nginx, a started one, a certificate that the settings want otherwise.
    "first success inactive 0 renewed",
    "started success inactive 0 settled",
    "changed success inactive 0 renewed",
    // nginx was reloaded exactly once, and serves what `live` names; the journal says it.
    "gen-2 served",
    "web: renewed: gen-2 after gen-1",
    // Nothing due.
    "idle success inactive 0 skipped",
    "not failed",
    // Settings that do not parse end in the condition, and are no "not due".
    "nonsense exit-code failed 0 255/EXCEPTION",
    "nobody exit-code failed 1 failed",
    "web: failed: issue: unreachable",
    // LoadCredential= without its file; with another secret in it; LoadCredentialEncrypted= in its place.
    "loginless exit-code failed 243 243/CREDENTIALS",
    "wronglogin exit-code failed 1 failed",
    "encrypted success inactive 0 renewed",
    "gen-3 served",
    // Seen from inside: outside, in the sandbox of restore, in that of renew, where the same device has the name of the TPM.
    "/dev/other opens",
    "core 0 0",
    "capabilities 0000000000000000",
    "seccomp 2 1",
    "writable /dev/mqueue /run/omens /tmp /var/lib/omens /var/tmp",
    "/dev/other is closed",
    "core 0 0",
    "capabilities 0000000000000000",
    "seccomp 2 1",
    "writable /dev/mqueue /run/omens /tmp /var/lib/omens /var/tmp",
    "/dev/tpmrm0 opens",
    // Lines of the journal with the login or a private key in them.
    "0",
];

const BOOTED: [&str; 30] = [
    // A group without SupplementaryGroups=: refused before anything is asked of the CA; and with it.
    "alone exit-code failed 1 failed",
    "asked 0",
    "grouped success inactive 0 renewed",
    "asked 1",
    "web root:www-data 640",
    "CapabilityBoundingSet=",
    "served success inactive 0 settled",
    "gen-1 served",
    "idle success inactive 0 skipped",
    // An owner, with CAP_CHOWN and nothing else; read again, and renewed.
    "owned success inactive 0 not-due",
    "- success inactive 0 renewed",
    "other games:games 640",
    "idle success inactive 0 skipped",
    "again success inactive 0 not-due",
    "- success inactive 0 renewed",
    "other games:games 640",
    // Power-on; states of omens-restore and nginx, which of them came first, what is served. Without the drop-in for nginx, and with it.
    "disorderly active failed before not served",
    "orderly active active after gen-1 served",
    "web root:www-data 640",
    "other games:games 640",
    // A broken file of omens.d, and a broken main file: everything that was committed boots, and the unit has failed for that.
    "hidden failed active after gen-1 served",
    "broken failed active after gen-1 served",
    "web root:www-data 640",
    // Wants= and not Requires=: one certificate is lost, nginx serves the other.
    "damaged failed active after gen-1 served",
    "other failed",
    "web restored",
    "gen-1 served",
    "other games:games 640",
    "groupless failed 216",
    "web root:www-data 640",
];

/// Runs a guest once for each kind of keeping; it must print exactly this.
fn guest_prints(script: &str, expected: &[&str]) {
    for keep in KEEPS {
        match guest::boot(script, &[&format!("KEEP={keep}")], Duration::from_secs(150)) {
            Err(why) => crate::skipped(&format!("{script} under a real systemd, keep = {keep}: {why}")),
            Ok(output) => {
                assert_eq!(output.code, 0, "{keep}: {}\n{}", output.stdout, output.stderr);
                assert_eq!(output.stdout.lines().collect::<Vec<_>>(), expected, "{keep}: {}", output.stderr);
            }
        }
    }
}

#[test]
fn the_timer_renews_in_the_sandbox_and_nothing_due_is_skipped() {
    guest_prints("units.sh", &SCHEDULED);
}

#[test]
fn a_power_on_serves_before_the_network_and_groups_and_owners_get_their_keys() {
    guest_prints("boot.sh", &BOOTED);
}
