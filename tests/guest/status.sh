#!/bin/bash
# Runs as root under a systemd of its own (tests/it/systemd.rs): what `status` and the journal say of a certificate of a minute, with
# `omens run` at work, and without it. Prints one line a step.
. /opt/guest/ca.sh
bao_up
log_in /etc/omens/secret-id
mkdir -p /etc/omens/policies/certificates
cat >/etc/omens/policies/certificates/short.toml <<'TOML'
purpose = "server"
eku = { required = ["serverAuth"], allowed = ["clientAuth"] }
key_usage = { required = ["digitalSignature"], allowed = ["keyEncipherment", "keyAgreement"] }
keys = ["rsa-2048"]
lifetime = { min = "60s", max = "24h" }
wildcard = false
TOML
{
  settings_head
  certificate web infrastructure file | sed 's/infrastructure-rsa/short/; s/"24h"/"60s"/'
} >/etc/omens/omens.toml
status() { # WHAT
  local rc=0
  "$OMENS" --json status >$work/status.json || rc=$?
  jq -r --arg what "$1" --arg rc $rc '.certificates[0] | [$what, $rc, .healthy, .overdue, (.in_progress != null)] | join(" ")' $work/status.json
}
# A day between two ticks, and a certificate that is due in forty seconds.
systemd-run --quiet --unit=omens-run.service "$OMENS" run --every 24h
for _ in $(seq 60); do
  [ "$(readlink /var/lib/omens/certs/web/live 2>/dev/null)" = gen-2 ] && break
  sleep 1
done
readlink /var/lib/omens/certs/web/live
status renewed
journalctl --sync
journalctl -u omens-run.service -o json --no-pager | jq -r 'select(.MESSAGE_ID and .CERTIFICATE) |
  ["journal", .CERTIFICATE, .GENERATION, .STAGE, .OUTCOME, .PRIORITY, (.SERIAL | length > 0)] | map(tostring) | join(" ")'
systemctl stop omens-run.service
# Nobody renews any more.
sleep 47
status abandoned
"$OMENS" status | grep -o 'web  overdue' || true
bao_down
