//! When a TPM is asked, how often, and that no child process finds the connection to it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::boot::empty_run;
use crate::lab::estate::{Cert, Estate};
use crate::lab::swtpm::{CC_UNSEAL, Relay};
use crate::tpm::start;

#[test]
fn nothing_due_asks_no_tpm_and_a_boot_unseals_once() {
    let Some(swtpm) = start(&[7]) else { return };
    let relay = Relay::recording(&swtpm);
    let mut estate = Estate::at_openbao().with_tpm(&relay.tcti(), &[7]);
    estate.certs = (0..10).map(|number| Cert::web(&format!("c{number}")).sealed()).collect();
    estate.write();
    estate.renew().expect(0, "c0", "renewed");
    let many = relay.codes().len();
    // What a killed run left half-written is not waited with until the TPM is needed.
    let leftover = estate.state().join("seal/.key-0000000000000000.json.0123456789abcdef");
    std::fs::write(&leftover, "torn").unwrap();
    for (quiet, code) in [(&["renew", "--all"][..], 0), (&["plan"], 0), (&["status"], 0), (&["status", "--due"], 1), (&["restore"], 0)] {
        let run = estate.omens(quiet);
        assert_eq!(run.code, code, "{run}");
        assert_eq!(relay.codes(), Vec::<u32>::new(), "{quiet:?}");
        assert!(!leftover.exists(), "{quiet:?}");
    }
    empty_run(&estate);
    estate.omens(&["restore"]).expect(0, "c9", "restored");
    let codes = relay.codes();
    assert_eq!(codes.iter().filter(|code| **code == CC_UNSEAL).count(), 1, "{codes:x?}");
    assert!(codes.len() <= 10, "{codes:x?}");
    // What a run asks of the TPM does not grow with its certificates.
    estate.certs.truncate(1);
    estate.write();
    estate.force().expect(0, "c0", "renewed");
    let one = relay.codes().len();
    assert!(many <= one + 12, "{many} commands for ten first keys, {one} for one key later");
    // A person's way back to one that is no longer in the run directory opens it, and nothing else.
    std::fs::remove_dir_all(estate.run_dir().join("c0/gen-1")).ok();
    estate.omens(&["rollback", "c0"]).expect(0, "c0", "rolled-back");
    assert_eq!(relay.codes().iter().filter(|code| **code == CC_UNSEAL).count(), 1, "the removed one is opened once");
}

/// libtss2 opens the TPM without close-on-exec, so it must be closed while any child is started, also for another certificate.
#[test]
fn no_child_finds_the_tpm_open() {
    let Some(swtpm) = start(&[7]) else { return };
    let slow = Relay::before(
        &swtpm,
        Box::new(|_, _| {
            std::thread::sleep(Duration::from_millis(100));
            None
        }),
    );
    let mut estate = Estate::at_openbao().with_tpm(&slow.tcti(), &[]);
    let bin = estate.dir.join("bin");
    crate::lab::place::make_private(&bin);
    let (heard, nginx) = (estate.dir.join("heard"), bin.join("nginx"));
    std::fs::write(&nginx, format!("#!/bin/sh\nls -l /proc/$$/fd >>'{}'\n", heard.display())).unwrap();
    std::fs::set_permissions(&nginx, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let driver = format!("{{ nginx = {{ conf = \"{}/nginx.conf\" }} }}", estate.dir.display());
    estate.certs = vec![Cert::web("plain").reloaded_by(&driver), Cert::web("web").sealed()];
    estate.write();
    // What this very process has open without close-on-exec, for tests of the TPM beside this one, is not meant.
    let inherited = estate.dir.join("inherited");
    let omens = estate.command(&["renew", "--all"]);
    let mut command = std::process::Command::new("/bin/sh");
    command.arg("-c").arg(format!("ls -l /proc/$$/fd >'{}'; exec \"$@\"", inherited.display())).arg("sh");
    command.arg(omens.get_program()).args(omens.get_args()).env_clear().env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    let output = crate::lab::child::run(command, Duration::from_secs(30));
    assert_eq!(output.code, 0, "{output:?}");
    let sockets = |file: &Path| -> BTreeSet<String> {
        let text = std::fs::read_to_string(file).expect("a list of what is open");
        text.lines().filter_map(|line| Some(line.split_once("socket:")?.1.to_owned())).collect()
    };
    let found: Vec<String> = sockets(&heard).difference(&sockets(&inherited)).cloned().collect();
    assert_eq!(found, Vec::<String>::new(), "a connection that it was not given");
}
