#!/bin/bash
# Runs as root under a systemd of its own (tests/it/systemd.rs): what `status` and the journal say of a certificate of a minute, with
# `omens run` at work, and without it. Prints one line a step.
set -euo pipefail
LAB=/opt/lab OMENS=/usr/bin/omens
work=/root/omens-guest
mkdir -p $work /etc/omens/policies/certificates
"$LAB/openbao-lab.sh" up $work/bao >$work/lab.json 2>$work/lab.err || { tail -n 3 $work/lab.err; exit 125; }
value() { jq -er "$1" $work/lab.json; }
address=$(value .address)
umask 077
value .approle.role_id >/etc/omens/role-id
curl -sS --fail --cacert "$(value .root_cert)" -H "X-Vault-Token: $(cat "$(value .admin_token_file)")" -X POST \
  "$address/v1/auth/approle/role/omens/secret-id" | jq -er .data.secret_id >/etc/omens/secret-id
cp "$(value .root_cert)" /etc/omens/root.pem
cat >/etc/omens/policies/certificates/short.toml <<'TOML'
purpose = "server"
eku = { required = ["serverAuth"], allowed = ["clientAuth"] }
key_usage = { required = ["digitalSignature"], allowed = ["keyEncipherment", "keyAgreement"] }
keys = ["rsa-2048"]
lifetime = { min = "60s", max = "24h" }
wildcard = false
TOML
cat >/etc/omens/omens.toml <<TOML
[host]
name = "spire.funlab.casa"
[trust]
anchor = "/etc/omens/root.pem"
anchor_sha256 = "$(value .root_sha256)"
[openbao]
address = "$address"
mount = "pki_int"
login = [ { approle = { role_id = "file:/etc/omens/role-id", secret_id = "file:/etc/omens/secret-id" } } ]
[[certificate]]
name = "web"
profile = "short"
role = "infrastructure"
ttl = "60s"
common_name = "spire.funlab.casa"
key = { algorithm = "rsa-2048", keep = "file" }
TOML
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
"$LAB/openbao-lab.sh" down $work/bao >/dev/null 2>&1 || true
