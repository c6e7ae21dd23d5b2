//! Kills in the middle of a first attestation, at every call that changes the disk: the next one converges, no half-written file stays, and
//! the registrar hears of no second key.

use std::process::Command;
use std::time::{Duration, Instant};

use super::victim::KILL;
use crate::lab::child::run;
use crate::lab::estate::omens;
use crate::lab::swtpm::Relay;
use crate::lab::{is_root, tool};
use crate::tpm::start;
use crate::tpm_use::host_of_all_kinds;

/// Hosts that were not cut: where the calls were counted.
const UNCUT: usize = 1;

#[test]
fn a_first_attestation_survives_every_kill_and_registers_no_second_key() {
    let Some(swtpm) = start(&[7]) else { return };
    if !is_root() {
        return crate::skipped("crash test 'attest': needs root (mounts, namespaces)");
    }
    let relay = Relay::recording(&swtpm);
    let (estate, liar) = host_of_all_kinds("cut-attest", "git.funlab.casa", &relay, &[]);
    let dir = estate.dir.display().to_string();
    let (disk, volatile) = (format!("{dir}/disk/state"), format!("{dir}/tmpfs/run"));
    let text = estate.settings_text().replace(&format!("\"{dir}/state\""), &format!("\"{disk}\""));
    let text = text.replace(&format!("\"{}\"", estate.run_dir().display()), &format!("\"{volatile}\""));
    std::fs::write(estate.settings(), text.replace(&relay.tcti(), &swtpm.direct())).unwrap();
    let names = format!("BIN='{}'; CONF='{}'; D='{disk}'; R='{volatile}'", omens().display(), estate.settings().display());
    // A broken glass, which the pass ends.
    let setup = format!("{names}; mkdir -p -m 700 \"$D/attest\"; echo '{{\"v\":1}}' >\"$D/attest/break-glass.json\"");
    // A killed client leaves its slots, and swtpm is no resource manager.
    let check = format!(
        "export TPM2TOOLS_TCTI='{tcti}'; tpm2_flushcontext -t; tpm2_flushcontext -l; {names}
         attest() {{ \"$BIN\" --config \"$CONF\" --json attest --once; }}
         before=$(cat \"$D/attest/ak.json\" 2>/dev/null)
         first=$(attest 2>&1) || {{ echo \"does not converge: $first\"; exit 1; }}
         kept=$(cat \"$D/attest/ak.json\")
         again=$(attest 2>&1) || {{ echo \"does not stay: $again\"; exit 1; }}
         [ \"$kept\" = \"$(cat \"$D/attest/ak.json\")\" ] || {{ echo 'another key, or registered again'; exit 1; }}
         key() {{ grep -o '\"public\": *\"[^\"]*\"'; }}
         [ -z \"$before\" ] || [ \"$(echo \"$before\" | key)\" = \"$(echo \"$kept\" | key)\" ] || {{ echo 'a key was lost'; exit 1; }}
         [ ! -e \"$D/attest/break-glass.json\" ] || {{ echo 'the note of a broken glass stays'; exit 1; }}
         left=$(find \"$D\" \"$R\" -name '.?*' ! -name .attest.json); [ -z \"$left\" ] || {{ echo leftovers: $left; exit 1; }}
         echo attested",
        tcti = swtpm.direct()
    );
    let begun = Instant::now();
    let mut command = Command::new("python3");
    command.arg(tool("crash.py")).args(KILL).args(["--timeout", "30"]).arg("--state").arg(estate.dir.join("disk"));
    command.arg("--volatile").arg(estate.dir.join("tmpfs")).args(["--setup", &setup, "--check", &check, "--"]);
    command.arg(omens()).arg("--config").arg(estate.settings()).args(["attest", "--once"]);
    let output = run(command, Duration::from_secs(200));
    assert_eq!(output.code, 0, "{}\n{}", output.stdout, output.stderr);
    println!("attest, {:?}:\n{}\n{}", begun.elapsed(), output.stdout, output.stderr);
    // A key that the registrar hears of is kept: each host has one, however often it was told of it. Twice only where the kill fell between the
    // registrar's answer and the note of it.
    let mut told = std::collections::BTreeMap::<String, usize>::new();
    liar.registered().into_values().flatten().for_each(|key| *told.entry(key).or_default() += 1);
    let cuts = output.stdout.split("kill: ").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|count| count.parse().ok());
    let cuts: usize = cuts.unwrap_or_else(|| panic!("{}", output.stdout));
    assert!(cuts > 10 && told.len() <= cuts + UNCUT, "{} keys for {cuts} hosts", told.len());
    assert!(told.values().all(|times| *times <= 2), "{:?}", told.values());
}
