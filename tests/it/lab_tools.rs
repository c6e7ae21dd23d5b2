//! The test tools beside the launchers (`tests/lab/README.md`) do what the tests believe: good stand-ins pass, bad ones are caught.

use std::process::Command;
use std::time::Duration;

use crate::lab::child::run;
use crate::lab::{is_root, openbao, tool};

/// Runs parts of `selftest.sh`; what is missing on this machine is said as skipped.
fn self_test(parts: &[&str]) {
    let skipped = |why: &str| crate::skipped(&format!("self-test of the test tools ({}): {why}", parts.join(", ")));
    if !is_root() {
        return skipped("needs root (mounts, namespaces, virtual machines)");
    }
    let mut command = Command::new(tool("selftest.sh"));
    command.args(parts).env("OMENS_LAB_VMLAB", concat!(env!("CARGO_MANIFEST_DIR"), "/target/lab/vmlab"));
    if let Some(bao) = openbao::binary() {
        command.env("BAO", bao);
    }
    let output = run(command, Duration::from_secs(600));
    println!("{}", output.stdout);
    let lines = |mark: &str| output.stdout.lines().filter(|line| line.starts_with(mark)).count();
    match output.code {
        0 => assert!(lines("ok ") > 0 && lines("FAILED ") == 0, "{}", output.stdout),
        125 => output.stdout.lines().filter_map(|line| line.strip_prefix("missing ")).for_each(|line| skipped(line.trim())),
        code => panic!("{code}: {}\n{}", output.stdout, output.stderr),
    }
}

#[test]
fn every_script_of_the_tests_can_be_read() {
    self_test(&["syntax"]);
}

#[test]
fn crash_py_tells_programs_that_survive_a_kill_from_those_that_do_not() {
    self_test(&["kill"]);
}

#[test]
fn crash_py_tells_programs_that_survive_the_loss_of_power_from_those_that_do_not() {
    self_test(&["power", "random"]);
}

#[test]
fn crash_py_tells_programs_that_survive_torn_and_lost_writes_from_those_that_do_not() {
    self_test(&["block"]);
}

#[test]
fn crash_py_tells_programs_that_notice_failing_calls_from_those_that_do_not() {
    self_test(&["error"]);
}

#[test]
fn swtpm_sh_keeps_a_tpm_over_a_restart() {
    self_test(&["swtpm"]);
}

#[test]
fn sdlab_sh_boots_a_systemd_whose_sandbox_holds() {
    self_test(&["sdlab"]);
}

#[test]
fn netns_sh_makes_three_hosts_and_cuts_their_links() {
    self_test(&["netns"]);
}

#[test]
fn openbao_lab_sh_signs_refuses_and_ends() {
    self_test(&["openbao"]);
}

#[test]
fn vmlab_sh_boots_a_measured_machine_twice() {
    self_test(&["vmlab"]);
}
