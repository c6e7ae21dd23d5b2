//! The long help texts: what a command does, examples, exit codes. They promise what the README and the JSON fixtures promise.

pub(super) const OMENS: &str = "\
omens keeps the short-lived certificates of a Linux host alive. It asks OpenBao's PKI to sign a CSR, checks the answer \
against a profile and the pinned root, publishes certificate, key and chain in one step, makes the service take them up \
and proves on the wire that it did. If anything on that way fails, the old certificate goes on serving.

stdout carries the result, stderr the log and progress. With --json every command prints one document, but for completions, \
man and --version, which print what they are asked for.";

pub(super) const OMENS_AFTER: &str = "\
Files:
  /etc/omens/omens.toml                        settings; omens.d/*.toml beside it adds to them
  /etc/omens/policies/certificates/NAME.toml   profiles; a file wins over a shipped one
  /var/lib/omens                               generations, state, ledger
  /run/omens/NAME/live                         what consumers read

Settings:
  omens help settings                          every key: what it is, its default, an example
  omens help settings certificate.ttl          one key, or one table

Begin with:
  omens check-config --online
  omens plan
  omens renew --all";

pub(super) const RENEW: &str = "\
Looks at the named certificates, or at all of them, and renews what is due: a new key and CSR, a signature by OpenBao, \
the checks of the profile, one rename that publishes, one reload per service, and a handshake that shows the new leaf. \
What was issued earlier but not taken up is published again without issuing.

If a service does not take the new certificate up, the previous one comes back, is reloaded and proven.";

pub(super) const RENEW_AFTER: &str = "\
Examples:
  omens renew --all               what the timer runs
  omens renew nginx --force       sign anew now, whatever the plan says
  omens renew --all --quiet       for cron: silent unless something failed
  omens renew --all --json | jq '.certificates[] | {name, outcome}'

Exit codes:
  0  every certificate is not due, renewed or settled
  1  anything else happened to one of them, or another run held the lock for longer than --wait
  2  wrong settings, wrong usage or an unknown NAME; nothing was attempted";

pub(super) const ATTEST: &str = "\
This host as the attestation agent of its Keylime verifier (push model): registers its TPM's endorsement and attestation \
keys, logs in with them, quotes the PCRs that the verifier asks for and sends the logs that it wants. Evidence is checked \
before it is sent, and what was not offered is not answered. The verdict is left in the run directory, where `omens renew` \
finds it.

Without --once it goes on until SIGTERM or SIGINT, as the verifier wants it; systemd is told that it is ready and alive.";

pub(super) const ATTEST_AFTER: &str = "\
Examples:
  omens attest --once                        register where needed, attest, say the verdict
  omens attest --print-policy --pcrs 0,4,7   what an administrator needs to enrol this host

Exit codes:
  0  the verdict is pass; with --print-policy: printed; without --once: ended by a signal
  1  any other verdict, or the TPM gives no evidence
  2  wrong settings or wrong usage; nothing was attempted";

pub(super) const RUN: &str = "\
For containers and hosts without systemd: does what `omens renew --all` does, at once and then every 15 minutes (--every) \
or at the times of a cron expression (--cron, in UTC), and whenever a certificate is due before that, until a signal. Never two runs at a time; where another process \
holds the lock, the run is left out and said. The settings are read anew before each run: an edit counts from the next run \
on, and while they are wrong the errors are said and nothing is done.

After a wall clock that was set forward by a minute or more, or a suspended machine, a run follows within half a minute; \
a clock that was set back delays nothing.

SIGTERM or SIGINT ends it: no further certificate is begun, an answer of OpenBao is waited for 5 s more, what is published \
is finished or taken back, and after 25 s it ends in any case. A second signal ends it at once. However it ends, the next \
run goes on from there. SIGHUP: a run now.

Each run prints on stdout what it did, with the time, and nothing about what was not due; with --json, one omens.renew/1 document a line. \
The log is on stderr.

As PID 1 of a container it waits for the children it starts, not for orphans of others: use the runtime's init for those.";

pub(super) const RUN_AFTER: &str = "\
Examples:
  omens run                          at once, then every 15 minutes
  omens run --every 1h
  omens run --cron '*/10 * * * *'    minute hour day-of-month month day-of-week
  omens run --cron '30 0 3 * * *'    second first: at 03:00:30 UTC
  omens run --json | jq -c '.certificates[] | {name, outcome}'

Exit codes:
  0  ended by SIGTERM or SIGINT, whatever became of the runs: `omens status` says that
  1  it could not begin to serve
  2  wrong settings or wrong usage; nothing was attempted";

pub(super) const PLAN: &str = "\
Reads the settings and what lies on disk, and prints a line for every certificate: whether it is due, the reason that counts most, \
and what a run would wait for: its window, or the pause of the budget. What is due comes first. With -v all reasons, in the order in which they count. Changes nothing, asks nobody.";

pub(super) const PLAN_AFTER: &str = "\
Examples:
  omens plan
  omens plan --json | jq -r '.certificates[] | select(.due) | .name'

Exit codes:
  0  the plan is printed
  1  it is printed, and the settings of some certificate are wrong, or what tells of runs ([notify], [metrics])
  2  settings that all need are wrong, wrong usage, or a file that may not be read";

pub(super) const STATUS: &str = "\
Prints one line for each certificate, the worst first: how it is, which generation serves, how long it is valid and what is wrong. With -v \
all that is known: how it is known to be in use, how its key rests, what waits to be taken up and the last error. Changes nothing, asks \
nobody.

With --format prometheus it prints metrics; `[metrics] textfile = FILE` in the settings makes every run leave them there.";

pub(super) const STATUS_AFTER: &str = "\
Examples:
  omens status
  omens status -v
  omens status --format prometheus
  omens status --due nginx        for ExecCondition= of a unit

Exit codes:
  0  healthy: consumers have what was committed, nothing revoked, expired, not yet valid or overdue, nothing waits, the last run was without error
  1  not healthy, or the settings are wrong, or a secret that a run needs
  2  wrong settings or usage, or a file that may not be read

Exit codes with --due:
  0    due (also: issued but not taken up, unproven, unpublished)
  1    not due
  255  any error; what is wrong with [notify] or [metrics] alone is none, since it stops no renewal";

pub(super) const RESTORE: &str = "\
Publishes under /run what was committed under /var, as a boot needs it: before the consumers start, without network, \
without issuing, without waiting for another run. What is complete and equal is left alone. Goes on past a failure.";

pub(super) const RESTORE_AFTER: &str = "\
Example:
  omens restore                   in a unit that is Before= its consumers

Exit codes:
  0  everything that was committed is published
  1  something could not be published
  2  wrong settings or usage";

pub(super) const RESEAL: &str = "\
Makes a new sealing key under today's PCR values (or those that the settings name now) and puts the private key of every \
committed certificate under it. The certificates stay the same: nothing is asked of the CA and no service is reloaded. A \
private key is taken from the TPM if that still opens it, and else from the run directory.

What an update of firmware or boot loader will measure is known after the reboot, when a key bound to the old values opens no more. \
Before it, set `pcrs = []` and reseal; after the reboot, set `pcrs` again and reseal.

With --new-tpm the TPM that is there now is trusted from here on. Nothing but this command does that: find out first why it \
is another one. A resident key went with the TPM before: its certificate is due then, and `omens enroll` makes a new one of a certificate \
that this host logs in with.";

pub(super) const RESEAL_AFTER: &str = "\
Examples:
  omens reseal                    after a change of `pcrs` in the settings, or of a PCR while the host runs
  omens reseal --new-tpm          after the TPM was cleared or the board replaced; then: omens renew --all

Exit codes:
  0  every sealed key is under the new sealing key; with --new-tpm also where a key went with the TPM before, which the next renewal replaces
  1  one of them is nowhere to be had, or the TPM does not answer; `omens renew --force` makes a new one
  2  wrong settings or usage, or no [tpm]";

pub(super) const ROLLBACK: &str = "\
Withdraws the current generation of a certificate and publishes the one before it: reloaded, proven and committed like a \
renewal. Refused if that one is no longer valid. The withdrawn one does not come back by itself.";

pub(super) const ROLLBACK_AFTER: &str = "\
Example:
  omens rollback nginx

Exit codes:
  0  the previous generation is back
  1  refused or failed; the error says which certificate is served
  2  wrong settings, wrong usage or an unknown NAME";

pub(super) const REVOKE: &str = "\
Has the CA revoke a certificate by its serial number, with `openbao.revoke_login`: a login of its own, since a token that may \
revoke can revoke any certificate of the mount. The private key is not sent.

Without --serial and --live it is the certificate that was replaced last: the one committed before the one that serves. With --live it is \
the one that serves, which is due from then on. With --serial it is the one of that serial number; should that be the one that serves, \
--live has to be said too.

Asks on a terminal, and does nothing elsewhere without --yes. The result names generation and serial number of what was revoked, and so does \
the ledger, with --reason.";

pub(super) const REVOKE_AFTER: &str = "\
Examples:
  omens revoke nginx --reason \"the disk went back to its vendor\"
  omens revoke nginx --live --yes && omens renew nginx

Exit codes:
  0  it is revoked
  1  refused by OpenBao or because it serves; OpenBao does not answer; another run held the lock for longer than --wait
  2  wrong settings or usage, an unknown NAME, no openbao.revoke_login, or nobody said yes";

pub(super) const UNBLOCK: &str = "\
Begins the budget of signing requests of one certificate anew. A certificate is `exhausted` when five requests brought no \
committed certificate (what the CA refused outright does not count): from then on it asks with pauses of up to an hour, so that a fault cannot flood the CA. Once the cause \
is mended, this spares the wait; the next run asks at once. The budget also begins anew by itself after a commit, and where \
role, mount, issuer or names in the settings changed.

Asks on a terminal, and does nothing elsewhere without --yes. The ledger tells of it.";

pub(super) const UNBLOCK_AFTER: &str = "\
Example:
  omens unblock nginx --yes && omens renew nginx

Exit codes:
  0  the next request may be sent at once
  1  it could not be written, or another run held the lock for longer than --wait
  2  wrong settings or usage, an unknown NAME, or nobody said yes";

pub(super) const ENROLL: &str = "\
Issues the certificate that a `tpm_identity` login of the settings shows: its key is made in the TPM, and stays there. The \
login that asks for it is used once: a wrapping token, a token, an AppRole or a JWT, each in a file. The new certificate \
is kept once a login with it was granted; that ends the token of the other one, and removes the file of a token that is \
of no use any more.

A wrapping token that gives nothing was perhaps unwrapped by somebody else: `wrapping-token-used`, and nothing is done. Where \
the certificate that is here logs in, it is kept, and nothing is used.";

pub(super) const ENROLL_AFTER: &str = "\
Examples:
  omens enroll --wrapping-token file:/root/enrol
  omens enroll --approle file:/root/role-id,wrapped:/root/secret-id
  omens enroll                    by the other logins of the settings

Exit codes:
  0  this host logs in with its certificate
  1  it does not
  2  wrong settings or usage; nothing was attempted";

pub(super) const FORGET: &str = "\
Removes what is left of a certificate that the settings no longer name: its private keys (overwritten, then unlinked; what a \
copy-on-write file system or a flash drive keeps of them is beyond it), its generations and its state, and what consumers read of it \
in the run directory. Copies at consumers' own paths are left alone and named. The certificate stays valid at its CA until it ends or is revoked.

Refused for a name that the settings still have, or that another certificate takes over (renamed_from).

Asks on a terminal, and does nothing elsewhere without --yes. The ledger tells of it.";

pub(super) const FORGET_AFTER: &str = "\
Examples:
  omens status                    says what the settings no longer name
  omens forget old-web --yes

Exit codes:
  0  it is gone
  1  something of it could not be removed, or another run held the lock for longer than --wait
  2  wrong settings or usage, nothing of that name is left, the settings still have it, or nobody said yes";

pub(super) const INSTALL: &str = "\
Makes the links (or copies) that `install` of a certificate names in its consumers' own directories, once, run by the \
administrator. An existing file is kept as FILE.before-omens. Where nothing has been issued yet nothing is changed.";

pub(super) const INSTALL_AFTER: &str = "\
Example:
  omens install

Exit codes:
  0  all links are in place
  1  something could not be made
  2  wrong settings or usage";
