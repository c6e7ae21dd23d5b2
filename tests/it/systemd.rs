//! The drivers that ask systemd, under a real one as PID 1: Debian's nginx.service, a real OpenBao, the binary.

use std::time::Duration;

use crate::lab::guest;

/// Step, exit code, outcome, proof, error code, nginx.service: what the guest prints when everything is as it should be.
const EXPECTED: [&str; 12] = [
    // A stopped unit is not started for its certificate, and is asked about again without a change.
    "first 0 renewed service-stopped - inactive",
    "sleeping 0 not-due service-stopped - inactive",
    "started 0 settled served - active",
    "forced 0 renewed served - active",
    // A reload that systemd says failed: put back, seen on the wire, settled later.
    "broken 1 rolled-back served reload-failed active",
    "mended 0 settled served - active",
    // `action = "restart"` is a restart: the guest compares main pids, and prints a line more where they are equal.
    "restart 0 renewed served - active",
    "stopped 0 renewed service-stopped - inactive",
    // `start = true` starts it.
    "wanted 0 settled served - active",
    // A failed unit gets one start.
    "failed 0 renewed served - active",
    "unknown 1 rolled-back served reload-failed active",
    // After a boot: /run is empty, and `restore` asks no service.
    "restored 0 restored served - inactive",
];

#[test]
fn units_are_reloaded_restarted_started_once_and_left_alone() {
    let output = match guest::boot("drivers.sh", &[], Duration::from_secs(150)) {
        Ok(output) => output,
        Err(why) => return crate::skipped(&format!("drivers under a real systemd: {why}")),
    };
    assert_eq!(output.code, 0, "{}\n{}", output.stdout, output.stderr);
    assert_eq!(output.stdout.lines().collect::<Vec<_>>(), EXPECTED, "{}", output.stderr);
}

/// What the guest prints of a certificate of a minute.
const STANDING: [&str; 6] = [
    // Renewed when it was due, a day before the next tick.
    "gen-2",
    "renewed 0 true false false",
    // 5 is notice.
    "journal web 1 commit renewed 5 true",
    "journal web 2 commit renewed 5 true",
    // Nobody renews: seen before it has ended.
    "abandoned 1 false true false",
    "web  overdue",
];

#[test]
fn status_and_the_journal_tell_what_is_so_under_a_real_systemd() {
    let output = match guest::boot("status.sh", &[], Duration::from_secs(200)) {
        Ok(output) => output,
        Err(why) => return crate::skipped(&format!("status under a real systemd: {why}")),
    };
    assert_eq!(output.code, 0, "{}\n{}", output.stdout, output.stderr);
    assert_eq!(output.stdout.lines().collect::<Vec<_>>(), STANDING, "{}", output.stderr);
}
