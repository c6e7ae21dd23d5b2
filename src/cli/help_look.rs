//! Help texts of the commands that only look or print.

use crate::audit::consumer;

pub(super) const CHECK_CONFIG: &str = "\
Reads the settings, the profiles that they use, the anchor and the owners and modes of secrets, and prints every error at \
once with file, line, column and what would be right.

With --online it also asks OpenBao: whether it is reachable, whether the root pin holds, whether the login works, and \
which paths the login may use, also those that it should not; where the login may read the role, whether that allows the names, addresses, \
key and ttl. A login that one use would use up (`wrapped = true`) is not tried: its wrapping token is looked at. Of a secret id whose uses \
are counted, which cannot be known before, the check takes one, and says so as an error where that was the last. And on this host it says whether the endpoints of `verify` answer, the units of `reload` are installed, and the PCRs have values.";

pub(super) const CHECK_CONFIG_AFTER: &str = "\
Examples:
  omens check-config
  omens --config ./omens.toml check-config --online --json

Exit codes:
  0  no error (warnings do not count)
  2  errors, each on stdout";

/// What `chain-audit` looks at; services and kinds of target are those that the audit knows.
pub(super) fn chain_audit() -> String {
    format!(
        "Looks at what the settings name and at the usual places of {titles}, or at the TARGETs that are given, and says what is wrong: with \
         the cause, the evidence, the files and lines to change, and who breaks by it. It starts no process and changes nothing.\n\n\
         TARGET is a PEM file or a directory of them, HOST:PORT, {targets}. With --root DIR, all paths are those of the host whose root \
         directory DIR is: a mounted image, a container, a copy of /etc; then nothing is asked over the network.\n\n\
         Any chain is judged without settings by --anchor, --intermediates, --crl, --key, --profile, --purpose and --name.",
        titles = consumer::titles_in_words(consumer::SERVICES),
        targets = consumer::targets_in_words(consumer::SERVICES),
    )
}

pub(super) const CHAIN_AUDIT_AFTER: &str = "\
Examples:
  omens chain-audit                                          this host
  omens chain-audit --root /mnt/image --no-config            another one's disk
  omens chain-audit web.pem --anchor root.pem --purpose server --name dns:web.example
  omens chain-audit --format html > report.html
  omens chain-audit merge auth.json ca.json spire.json       three hosts' reports as one

Severities:
  high    breaks or endangers now
  medium  breaks some peer, or soon
  low     hygiene
  info    worth knowing

Exit codes:
  0  nothing at or above --fail-on
  1  findings, or a chain that --verdict path rejects
  2  no report could be made";

pub(super) const PROBE: &str = "\
Makes a few handshakes with one endpoint, as a client with --cert and --key and with what --trust names, and says which \
versions of TLS it speaks, what it shows, whether it asks for a client certificate and of which issuers, who refuses whom \
with which alert, the cause in one sentence, and what mends it: with file and line where the peer is configured on this host.

No application data is sent, and no file of the host is changed.";

pub(super) const PROBE_AFTER: &str = "\
Examples:
  omens probe ca.example:8200
  omens probe 127.0.0.1:8881 --server-name verifier.example --cert me.pem --key me.key --trust root.pem
  omens probe mail.example:25 --starttls smtp
  omens probe web.example:443 --json | jq .cause

Exit codes:
  0  both sides accept each other
  1  refused by one side, unreachable, or no TLS
  2  wrong usage";

pub(super) const EXPLAIN_AFTER: &str = "\
Examples:
  omens explain name.not-covered
  omens chain-audit --list-findings | sort

Exit codes:
  0  explained
  2  there is no such finding";

pub(super) const INIT: &str = "\
Reads what nginx, Keylime, SPIRE, OpenBao and systemd of this host are told (or of the host whose root directory DIR is) and prints \
settings: one [[certificate]] for each certificate in use, with its names, key and lifetime, links at the paths that are in use, what makes \
its services take it up, and where it can be seen. Comments say where each comes from, what was left out and why, and what renews today and \
has to be switched off.

What only a person knows is \"FILL IN: what\", the pin of the root too: nothing is trusted because it lies here. Nothing is written or started.

With --server: what OpenBao needs so that a login is worth something, as a script of its own command line (policies/openbao/ in the \
sources): policies, roles that take the name that they sign from the login, auth mounts, this host's entity, and a token for \
`omens enroll`, all in the namespace of the settings. It is printed, and applied by nobody. Settings with an error, or a file of --config that \
is not there, are exit 2; on a host without settings it is for the host HOST, which is said on stderr.";

pub(super) const INIT_AFTER: &str = "\
Examples:
  omens init --server > openbao.sh                              to be read, and run by an administrator of OpenBao
  omens init > /etc/omens/omens.toml && omens check-config      what is to be filled in, line by line
  omens init --root /mnt/image --json | jq .skipped

Exit codes:
  0  settings were printed
  1  no certificate is in use here
  2  wrong usage, or DIR cannot be looked at";

pub(super) const COMPLETIONS_AFTER: &str = "\
Examples:
  omens completions bash > /usr/share/bash-completion/completions/omens
  omens completions zsh > /usr/share/zsh/vendor-completions/_omens
  omens completions fish > /usr/share/fish/vendor_completions.d/omens.fish";

pub(super) const SCHEMA_AFTER: &str = "\
Examples:
  omens schema                                               the names
  omens schema status > status.schema.json
  omens schema renew | jq '.properties | keys'";

pub(super) const MAN_AFTER: &str = "\
Examples:
  omens man | man -l -
  omens man /usr/local/share/man/man1";
