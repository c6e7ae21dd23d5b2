//! The three hosts of the lab as one: nginx, OpenBao, Keylime and SPIRE on addresses of their own, certificates of one and two minutes for several
//! lifetimes, under a load of clients.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::lab::child::run;
use crate::lab::estate::omens;
use crate::lab::openbao;
use crate::lab::spire::binary;
use crate::systemd::{KEYLIME, keylime};

/// What `tests/demo/estate.sh` has to say yes to.
const CLAIMS: [&str; 13] = [
    "yes: cut off, nginx goes on serving",
    "yes: cut off and back, auth renews by itself",
    "yes: each step of an exchange of the root ends well on each host",
    "yes: everything ends at the second root",
    "yes: and is renewed below it",
    "yes: every certificate was renewed for several lifetimes",
    "yes: nginx: no request failed",
    "yes: OpenBao: no request failed",
    "yes: registrar: refused while it is started anew, and never an invalid certificate",
    "yes: verifier: refused while it is started anew, and never an invalid certificate",
    "yes: SPIRE: the same processes all the time",
    "yes: SPIRE: its agent, evicted, is attested with its newest pair, below the second root",
    "yes: the load was one",
];

#[test]
fn three_hosts_serve_valid_certificates_through_renewals_a_cut_and_an_exchange_of_the_root() {
    let has_keylime = keylime();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("bash");
    command.arg(root.join("tests/demo/estate.sh")).args(["test", "100"]);
    command.env("OMENS", omens()).env("BAO", openbao::binary().expect("OpenBao").canonicalize().expect("OpenBao"));
    command.env("KEYLIME", if has_keylime.is_ok() { KEYLIME } else { "" });
    let spire = binary("spire-server").and_then(|server| server.parent().map(Path::to_path_buf));
    command.env("SPIRE", spire.unwrap_or_default());
    let output = run(command, Duration::from_secs(420));
    if output.code == 125 {
        return crate::skipped(&format!("three hosts: {}", output.stderr.trim()));
    }
    assert_eq!(output.code, 0, "{}\n{}", output.stdout, output.stderr);
    let has_spire = binary("spire-server").is_some();
    let is_asked = |claim: &&str| {
        (has_keylime.is_ok() || !(claim.contains("registrar") || claim.contains("verifier"))) && (has_spire || !claim.contains("SPIRE"))
    };
    let expected: Vec<&str> = CLAIMS.into_iter().filter(is_asked).chain(["yes: the estate is audited clean"]).collect();
    assert_eq!(output.stdout.lines().collect::<Vec<_>>(), expected, "{}", output.stderr);
    if !has_spire {
        crate::skipped("SPIRE on the three hosts: `tests/lab/peers.sh build spire` builds it where Go is");
    }
    if let Err(why) = has_keylime {
        crate::skipped(&format!("Keylime on the three hosts: {why}"));
    }
}
