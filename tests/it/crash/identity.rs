//! Kills in the middle of an enrolment and of a renewal of what a host logs in with: the next `enroll` converges, and the one after it has nothing
//! to do, since a login works.

use std::process::Command;
use std::time::Duration;

use super::victim::How;
use crate::identity::{APPROLE, auth_role, host};
use crate::lab::child::run;
use crate::lab::estate::omens;
use crate::lab::{is_root, tool};
use crate::tpm::start;

const AT_NAMES: How = &["kill", "--calls", "renameat2?|symlinkat|unlinkat"];

/// Cuts this command after that setup, which finds `BIN`.
fn cut(name: &str, role: &str, setup: &str, program: &[&str]) {
    let Some(swtpm) = start(&[7]) else { return };
    if !is_root() {
        return crate::skipped(&format!("crash test '{name}': needs root (mounts, namespaces)"));
    }
    auth_role(role, "git.funlab.casa");
    let mut estate = host(role, "git.funlab.casa", &swtpm.direct(), &[], APPROLE);
    estate.certs.truncate(1);
    let dir = estate.dir.display().to_string();
    let (disk, volatile) = (format!("{dir}/disk/state"), format!("{dir}/tmpfs/run"));
    let text = estate.settings_text().replace(&format!("\"{dir}/state\""), &format!("\"{disk}\""));
    let text = text.replace(&format!("\"{}\"", estate.run_dir().display()), &format!("\"{volatile}\""));
    std::fs::write(estate.settings(), text).unwrap();
    let bin = format!("BIN='{}'; CONF='{}'", omens().display(), estate.settings().display());
    // A killed client leaves its slots, and swtpm is no resource manager.
    let check = format!(
        "export TPM2TOOLS_TCTI='{tcti}'; tpm2_flushcontext -t; tpm2_flushcontext -l; {bin}
         first=$(\"$BIN\" --config \"$CONF\" --json enroll 2>&1) || {{ echo \"does not converge: $first\"; exit 1; }}
         again=$(\"$BIN\" --config \"$CONF\" --json enroll 2>&1) || {{ echo \"does not stay: $again\"; exit 1; }}
         echo \"$again\" | grep -Eq '\"outcome\": ?\"kept\"' || {{ echo \"is not kept: $again\"; exit 1; }}
         [ $(ls '{disk}/certs/host-identity' | grep -c '^gen-') -le 2 ] || {{ echo 'generations that nobody needs'; exit 1; }}
         [ -z \"$(find '{disk}' '{volatile}' -name '.?*')\" ] || {{ echo leftovers: $(find '{disk}' '{volatile}' -name '.?*'); exit 1; }}
         echo enrolled",
        tcti = swtpm.direct()
    );
    let mut command = Command::new("python3");
    command.arg(tool("crash.py")).args(AT_NAMES).args(["--timeout", "30"]).arg("--state").arg(estate.dir.join("disk"));
    command.arg("--volatile").arg(estate.dir.join("tmpfs")).args(["--setup", &format!("{bin}; {setup}"), "--check", &check, "--"]);
    command.arg(omens()).arg("--config").arg(estate.settings()).args(program);
    let output = run(command, Duration::from_secs(300));
    assert_eq!(output.code, 0, "{name}:\n{}\n{}", output.stdout, output.stderr);
    println!("{name}:\n{}\n{}", output.stdout, output.stderr);
}

#[test]
fn an_enrolment_survives_every_kill() {
    cut("enroll", "cut-enrolment", "true", &["enroll"]);
}

#[test]
fn a_renewal_of_an_identity_survives_every_kill() {
    cut("identity renewal", "cut-renewal", "\"$BIN\" --config \"$CONF\" enroll", &["renew", "host-identity", "--force"]);
}
