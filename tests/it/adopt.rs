//! `omens init`: a host that a script renewed until now is taken over by what it prints, under a real systemd with Debian's nginx and a real
//! OpenBao; and nothing but the settings changed before a person said so.

use std::time::Duration;

use crate::lab::guest;

const EXPECTED: [&str; 16] = [
    "init 0 changed:",
    "open fill-in 4",
    "named the timer",
    "named the role",
    "accepted",
    "none",
    "nginx still serves the old one",
    "install 0 installed - -",
    "renew 0 settled served -",
    "nginx serves the new one",
    "root.pem",
    "web.key",
    "web.key.before-omens",
    "web.pem",
    "web.pem.before-omens",
    "renew 0 not-due served -",
];

#[test]
fn a_host_is_adopted_by_what_init_prints() {
    let output = match guest::boot("adopt.sh", &[], Duration::from_secs(150)) {
        Ok(output) => output,
        Err(why) => return crate::skipped(&format!("adoption under a real systemd: {why}")),
    };
    assert_eq!(output.code, 0, "{}\n{}", output.stdout, output.stderr);
    assert_eq!(output.stdout.lines().collect::<Vec<_>>(), EXPECTED, "{}", output.stderr);
}
