//! Sealed keys on a real kernel with a TPM 2.0, firmware that measures and the units as shipped: power cuts, boots, another card in the machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::lab::child::run;
use crate::lab::estate::omens;
use crate::lab::{is_root, openbao, place, program, tool};

/// Beside what vmlab.sh asks for itself: for this side, and from this host's packages for the disk of the guest.
const NEEDED: [(&str, &str); 8] = [
    ("curl", "curl"),
    ("jq", "jq"),
    ("mkfs.ext4", "e2fsprogs"),
    ("nginx", "nginx-light"),
    ("openssl", "openssl"),
    ("strace", "strace"),
    ("strip", "binutils"),
    ("tpm2_getcap", "tpm2-tools"),
];

/// A step with omens is: what, exit code, certificate, outcome, proof, stage/code of its error, why, warnings.
const SET_UP: [&str; 15] = [
    "PCR 2 is measured",
    "PCR 7 is measured",
    "PCR 15 is zero",
    // A PCR that protects nothing: refused, and the CA is not asked.
    "zero 1 web failed - seal/pcr-unmeasured missing -",
    "zero 1 other failed - seal/pcr-unmeasured missing -",
    "web names PCR 15",
    "other names PCR 15",
    "signed 0",
    // PCR 2 and 7, in the sandbox of the unit; nginx is started and proven.
    "renew: success, nginx inactive",
    "settled 0 web settled served -/- unproven -",
    "settled 0 other not-due file -/- fresh -",
    "signed 2",
    "disk: 2 sealed, 0 key.pem, 0 in clear",
    "slots: empty; 1 storage root key",
    "served gen-1",
];

/// After a power cut, with the same measurements and no CA.
const POWER_ON: [&str; 12] = [
    "power-on: restore active 0, nginx active",
    "what nobody flushed is gone",
    "served gen-1, as before the power went",
    "listens on 127.0.0.1:443",
    "no CA: curl 7",
    "disk: 2 sealed, 0 key.pem, 0 in clear",
    "slots: empty; 1 storage root key",
    // Nothing due; then a boot step for two certificates, counted.
    "renew 0: 0 unseals, TPM left alone",
    "restore 0: 1 unseals, TPM asked",
    "web restored",
    "other restored",
    "slots: empty; 1 storage root key",
];

/// With another option ROM, which the firmware measures into PCR 2.
const ANOTHER_CARD: [&str; 23] = [
    "power-on: restore failed 1, nginx failed",
    // The PCR that changed is named, and no other.
    "refused 1 web failed - seal/pcr-changed unpublished -",
    "refused 1 other failed - seal/pcr-changed unpublished -",
    "web names PCR 2",
    "other names PCR 2",
    "nothing published",
    // New keys; the failed nginx gets its one start.
    "renew: success, nginx active",
    "web renewed gen-2",
    "other renewed gen-2",
    "journal: 2 pcr-changed",
    "signed 2",
    "served gen-2, another one",
    "due 0 web not-due served -/- fresh -",
    "due 0 other not-due file -/- fresh -",
    // They open under the measurements of today.
    "again: restore active 0, nginx active",
    "served gen-2",
    "disk: 2 sealed, 0 key.pem, 0 in clear",
    "slots: empty; 1 storage root key",
    "bound to PCR 2, 7",
    // Before the next change, which is planned: let go of the PCRs.
    "freed 0 web resealed served -/- - -",
    "freed 0 other resealed file -/- - -",
    "signed 0",
    "bound to no PCR",
];

/// Without the card again: nothing was asked of a CA for that, neither before nor after.
const PLANNED: [&str; 11] = [
    "power-on: restore active 0, nginx active",
    "what nobody flushed is gone",
    "served gen-3, as before the power went",
    "no CA: curl 7",
    "bound 0 web resealed served -/- - -",
    "bound 0 other resealed file -/- - -",
    "bound to PCR 2, 7",
    "again: restore active 0, nginx active",
    "served gen-4",
    "disk: 2 sealed, 0 key.pem, 0 in clear",
    "slots: empty; 1 storage root key",
];

/// Another card in the machine: its option ROM is measured into PCR 2.
pub(crate) const CARD: [&str; 2] = ["-q", "-device e1000"];

/// What a command printed that must succeed.
pub(crate) fn well(command: &mut Command) -> String {
    let shown = format!("{command:?}");
    let output = run(std::mem::replace(command, Command::new("true")), Duration::from_secs(60));
    assert_eq!(output.code, 0, "{shown}: {}", output.stderr);
    output.stdout
}

/// One machine: what is on its disk and in its TPM stays from boot to boot.
pub(crate) struct Machine {
    root: PathBuf,
    pub(crate) dir: PathBuf,
}

impl Machine {
    /// With a CA that was furnished here, where that takes seconds; `Err` says what is missing.
    fn new() -> Result<Self, String> {
        let machine = Self::bare()?;
        machine.furnish();
        Ok(machine)
    }

    /// With nothing of ours on it yet.
    pub(crate) fn bare() -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf();
        if !is_root() {
            return Err("needs root".to_owned());
        }
        let missing: Vec<&str> = NEEDED.iter().filter(|(name, _)| program(name).is_none()).map(|(_, package)| *package).collect();
        if !missing.is_empty() {
            return Err(format!("missing Debian packages: {}", missing.join(" ")));
        }
        let machine = Self { root, dir: place::directory("vm") };
        std::fs::create_dir_all(machine.dir.join("out")).expect("out");
        for shared in ["ca.sh", "vm.sh"] {
            well(Command::new("cp").args([&machine.root.join("tests/guest").join(shared), &machine.dir.join("out").join(shared)]));
        }
        Ok(machine)
    }

    /// A second disk with the binary under test, the units, an OpenBao and its state.
    fn furnish(&self) {
        let (state, second) = (self.dir.join("state"), self.dir.join("second"));
        let bao = openbao::binary().expect("OpenBao").canonicalize().expect("OpenBao");
        let ca = |what: &str| {
            let mut command = Command::new(tool("openbao-lab.sh"));
            command.arg(what).arg(&state).env("BAO", &bao).env("OMENS_LAB_PARENT", std::process::id().to_string());
            well(&mut command)
        };
        std::fs::write(self.dir.join("out/lab.json"), ca("up")).expect("lab.json");
        ca("stop");
        place::make_private(&second);
        well(Command::new("cp").arg("-rL").args([&state, &bao, &tool("openbao-lab.sh"), &self.root.join("units"), &second]));
        well(Command::new("strip").args(["-g", "-o"]).args([&second.join("omens"), &omens()]));
        well(Command::new("mkfs.ext4").args(["-q", "-d"]).args([&second, &self.dir.join("second.img")]).arg("450M"));
    }

    /// The files that [`Self::furnish`] puts on a second disk, as options that put them into the guest: all but the CA.
    pub(crate) fn files(&self) -> Vec<String> {
        let stripped = self.dir.join("omens");
        well(Command::new("strip").args(["-g", "-o"]).args([&stripped, &omens()]));
        let mut files = vec![(stripped, "/opt/omens".to_owned())];
        for name in ["nginx.service.d/omens.conf", "sysusers.d/omens.conf", "tmpfiles.d/omens.conf"] {
            files.push((self.root.join("units").join(name), format!("/opt/units/{name}")));
        }
        for name in ["omens-attest.service", "omens-renew.service", "omens-restore.service"] {
            files.push((self.root.join("units").join(name), format!("/opt/units/{name}")));
        }
        files.iter().flat_map(|(file, inside)| ["-b".to_owned(), format!("{}:{inside}", file.display())]).collect()
    }

    /// Boots, runs a script of tests/guest, and gives what it printed; `Err` says why nothing could be booted here.
    fn boot(&self, script: &str, with: &[&str]) -> Result<Vec<String>, String> {
        let mut options = Vec::new();
        if with.contains(&"second disk") {
            let disk = format!("-drive file={},format=raw,if=virtio,readonly=on", self.dir.join("second.img").display());
            options.extend(["-q".to_owned(), disk]);
        }
        if with.contains(&"card") {
            options.extend(CARD.map(str::to_owned));
        }
        self.boot_with(script, &options)
    }

    /// The same with these options of `vmlab.sh`.
    pub(crate) fn boot_with(&self, script: &str, options: &[String]) -> Result<Vec<String>, String> {
        let at = |name: &str| self.dir.join(name);
        let mut command = Command::new(tool("vmlab.sh"));
        // The cache is removed by `cargo clean`.
        command.args(["-S", "-m", "1536", "-t", "400", "-p", "nginx-light nginx-common jq strace", "-q", "-smp 2", "-c"]);
        command.arg(self.root.join("target/lab/vmlab"));
        command.arg("-D").arg(at("disk")).arg("-T").arg(at("tpm")).arg("-o").arg(at("out"));
        command.args(options).arg(self.root.join("tests/guest").join(script));
        let output = run(command, Duration::from_secs(520));
        // Once there is a console there was a machine, and 125 is a failure like others.
        if output.code == 125 && !at("out/console.log").exists() {
            return Err(output.stderr.trim().to_owned());
        }
        assert_eq!(output.code, 0, "{script}: {}\n{}", output.stdout, output.stderr);
        let (told, lines): (Vec<&str>, Vec<&str>) = output.stdout.lines().partition(|line| line.starts_with('#'));
        told.iter().for_each(|line| println!("{line}"));
        Ok(lines.into_iter().map(str::to_owned).collect())
    }
}

fn machine_serves_through_power_cuts() -> Result<(), String> {
    let machine = Machine::new()?;
    assert_eq!(machine.boot("vm-one.sh", &["second disk"])?, SET_UP);
    assert_eq!(machine.boot("vm-two.sh", &[])?, POWER_ON);
    assert_eq!(machine.boot("vm-three.sh", &["second disk", "card"])?, ANOTHER_CARD);
    assert_eq!(machine.boot("vm-four.sh", &[])?, PLANNED);
    Ok(())
}

#[test]
fn sealed_keys_serve_after_a_power_cut_and_another_measurement_takes_a_renewal() {
    if let Err(why) = machine_serves_through_power_cuts() {
        crate::skipped(&format!("sealed keys in a virtual machine with a TPM: {why}"));
    }
}
