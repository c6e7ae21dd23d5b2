//! What can happen to a service, and what each driver that knows nothing of it makes of that, under a real systemd with Debian's nginx. The
//! drivers of OpenBao, Keylime and SPIRE have the same cases in `systemd.rs`.

use std::time::Duration;

use crate::lab::guest;

/// As the guest calls them: a unit that is reloaded by systemd (`nginx`, and `systemd` with `action = "reload"`, which is the same call), `systemd`
/// with `action = "restart"`, `signal`, `exec` with a program that has systemd reload it.
const DRIVERS: [&str; 4] = ["nginx", "restart", "signal", "exec"];

/// Exit code, outcome, proof, error code, state of the unit, what the wire shows of what is published, and whether it is the same process.
const CASES: [(&str, &str); 13] = [
    ("happy", "0 renewed served - active agrees same"),
    // A pair that does not fit.
    ("refused", "1 rolled-back served reload-failed active agrees same"),
    ("mended", "0 settled served - active agrees same"),
    ("stopped", "0 renewed service-stopped - inactive silent same"),
    ("started", "0 settled served - active agrees same"),
    // What hangs shows neither the new nor the old one, and nothing is said to be proven.
    ("hung", "1 rolled-back none unreachable active silent same"),
    ("awake", "0 settled served - active agrees same"),
    ("slow", "0 renewed served - active agrees same"),
    // It claims success, and serves what it served before.
    ("lying", "1 rolled-back served old-leaf active agrees same"),
    ("honest", "0 settled served - active agrees same"),
    // Nothing that it is given makes it start: it is down, and not only without its new files.
    ("looping", "1 failed none service-down activating silent same"),
    ("recovered", "0 settled served - active agrees same"),
    // It ends again and again for want of a key: with the key published again it is started.
    ("healed", "0 settled served - active agrees new"),
];

/// Driver and case, where it is otherwise.
const OTHERWISE: [(&str, &str, &str); 14] = [
    ("restart", "happy", "0 renewed served - active agrees new"),
    ("restart", "refused", "1 rolled-back served reload-failed active agrees new"),
    ("restart", "mended", "0 settled served - active agrees new"),
    ("restart", "started", "0 settled served - active agrees new"),
    // A restart mends it.
    ("restart", "hung", "0 renewed served - active agrees new"),
    ("restart", "awake", "0 not-due served - active agrees same"),
    ("restart", "slow", "0 renewed served - active agrees new"),
    ("restart", "lying", "1 rolled-back served old-leaf active agrees new"),
    ("restart", "honest", "0 settled served - active agrees new"),
    ("restart", "recovered", "0 settled served - active agrees new"),
    // nginx reads a pair that does not fit, says so in its log and goes on.
    ("signal", "refused", "1 rolled-back served old-leaf active agrees same"),
    // Whether it runs is for the program to see: this one fails where there is nothing to reload.
    ("exec", "looping", "1 rolled-back none reload-failed activating silent same"),
    ("exec", "stopped", "1 rolled-back none reload-failed inactive silent same"),
    ("exec", "healed", "1 failed none reload-failed activating silent same"),
];

fn expected(driver: &str, case: &str, usual: &str) -> String {
    let own = OTHERWISE.iter().find(|(other, of, _)| (*other, *of) == (driver, case));
    format!("{driver} {case} {}", own.map_or(usual, |(_, _, own)| own))
}

#[test]
fn whatever_happens_to_a_service_no_driver_says_more_than_is_so_and_the_old_pair_comes_back() {
    let output = match guest::boot("every-case.sh", &[], Duration::from_secs(420)) {
        Ok(output) => output,
        Err(why) => return crate::skipped(&format!("what can happen to a service, under a real systemd: {why}")),
    };
    assert_eq!(output.code, 0, "{}\n{}", output.stdout, output.stderr);
    let expected: Vec<String> = DRIVERS.iter().flat_map(|driver| CASES.iter().map(|(case, usual)| expected(driver, case, usual))).collect();
    assert_eq!(output.stdout.lines().collect::<Vec<_>>(), expected, "{}", output.stderr);
}
