//! `omens init`: a host that a script renewed until now is taken over by what it prints, under a real systemd with Debian's nginx and a real
//! OpenBao; and nothing but the settings changed before a person said so.

use std::path::PathBuf;
use std::time::Duration;

use crate::lab::estate::omens;
use crate::lab::spire::binary;
use crate::lab::{guest, tool};
use crate::systemd::{KEYLIME, keylime};

const EXPECTED: [&str; 17] = [
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
    // What is not as it was before: links with what was there kept beside them, and what is ours.
    "/etc/nginx/tls/web.key",
    "/etc/nginx/tls/web.key.before-omens",
    "/etc/nginx/tls/web.pem",
    "/etc/nginx/tls/web.pem.before-omens",
    "/etc/omens/omens.toml",
    "/var/lib/omens",
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

/// What of a person's answers is left, exit code, certificate, outcome, proof, error, warnings; services, the wire and the process; what changed.
const SERVICES: [&str; 49] = [
    "init 0 changed:",
    // The pin, the login and a role for each.
    "open fill-in",
    "accepted",
    // Issued, and nobody reads it yet.
    "renew 0 keylime-verifier renewed none - not-installed",
    "renew 0 keylime-verifier-tenant renewed none - not-installed",
    "renew 0 keylime-registrar renewed none - not-installed",
    "renew 0 keylime-tenant renewed none - not-installed",
    "renew 0 spire-agent-spire renewed none - not-installed",
    "renew 0 spire-server-spire renewed none - not-installed",
    "renew 0 openbao-spire renewed none - not-installed",
    "install 0 keylime-verifier installed - - kept-aside,kept-aside,plaintext-key",
    "install 0 keylime-verifier-tenant installed - - kept-aside,kept-aside,plaintext-key",
    "install 0 keylime-registrar installed - - kept-aside,kept-aside,plaintext-key",
    "install 0 keylime-tenant installed - - kept-aside,kept-aside,plaintext-key",
    "install 0 spire-agent-spire installed - - kept-aside,kept-aside,plaintext-key",
    "install 0 spire-server-spire installed - - kept-aside,kept-aside,plaintext-key",
    "install 0 openbao-spire installed - - kept-aside,kept-aside,plaintext-key",
    "spire-server and spire-agent told 2",
    // What no listener serves is proven by its file.
    "renew 0 keylime-verifier settled served - ",
    "renew 0 keylime-verifier-tenant settled file - ",
    "renew 0 keylime-registrar settled served - ",
    "renew 0 keylime-tenant settled file - ",
    "renew 0 spire-agent-spire settled served - ",
    "renew 0 spire-server-spire settled served - ",
    "renew 0 openbao-spire settled served - ",
    // OpenBao, which would be sealed, and SPIRE are not started anew.
    "openbao active agrees same",
    "keylime_registrar active agrees new",
    "keylime_verifier active agrees new",
    "spire-server active - same",
    "spire-agent active - same",
    "renew 0 keylime-verifier renewed served - ",
    "renew 0 keylime-verifier-tenant renewed file - ",
    "renew 0 keylime-registrar renewed served - ",
    "renew 0 keylime-tenant renewed file - ",
    "renew 0 spire-agent-spire renewed served - ",
    "renew 0 spire-server-spire renewed served - ",
    "renew 0 openbao-spire renewed served - ",
    "openbao active agrees same",
    "keylime_registrar active agrees new",
    "keylime_verifier active agrees new",
    "spire-server active - same",
    "spire-agent active - same",
    "kept aside, links in their places, and else:",
    "/etc/omens/omens.toml",
    // By the person whom `init` told to.
    "/etc/spire/agent.conf",
    "/etc/spire/server.conf",
    "/var/lib/omens",
    "omens",
    "spire-agent attested",
];

/// The programs of SPIRE, by name.
const SPIRE: [&str; 3] = ["spire-server", "spire-agent", "keylime-attestor"];

#[test]
fn openbao_keylime_and_spire_are_adopted_by_what_init_prints_and_nothing_else_changes() {
    let spire: Option<Vec<PathBuf>> = SPIRE.map(binary).into_iter().collect();
    if spire.is_none() {
        crate::skipped("the adoption of SPIRE: `tests/lab/peers.sh build spire` builds it where Go is");
    }
    let programs = SPIRE.into_iter().zip(spire.iter().flatten().cloned());
    let files = programs.map(|(name, file)| (file, format!("/usr/local/bin/{name}")));
    let files = files.chain([(omens(), "/usr/bin/omens".to_owned()), (tool("keylime-lab.sh"), "/opt/lab/keylime-lab.sh".to_owned())]);
    let mut options: Vec<String> = files.flat_map(|(file, inside)| ["-b".to_owned(), format!("{}:{inside}", file.display())]).collect();
    options.extend(["-m".to_owned(), format!("{KEYLIME}:/opt/keylime")]);
    let variable = if spire.is_some() { "SPIRE=yes" } else { "SPIRE=no" };
    let booted = keylime().and_then(|()| guest::boot_with("adopt-services.sh", &[variable], Duration::from_secs(300), &options));
    let output = match booted {
        Ok(output) => output,
        Err(why) => return crate::skipped(&format!("adoption of OpenBao and Keylime under a real systemd: {why}")),
    };
    assert_eq!(output.code, 0, "{}\n{}", output.stdout, output.stderr);
    let of_spire = |line: &str| ["spire-server", "spire-agent", "/etc/spire"].iter().any(|word| line.contains(word));
    let expected: Vec<&str> = SERVICES.into_iter().filter(|line| spire.is_some() || !of_spire(line)).collect();
    assert_eq!(output.stdout.lines().collect::<Vec<_>>(), expected, "{}", output.stderr);
}
