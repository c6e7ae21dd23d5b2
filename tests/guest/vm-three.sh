#!/bin/bash
# A boot with another card in the machine (tests/it/vm.rs): its option ROM is measured into PCR 2, PCR 7 is as it was.
. /vmlab/vm.sh
powered_on
step refused restore
named
[ ! -e /run/omens/web/live ] && echo "nothing published"

# The CA is back: new keys, sealed to what is measured now.
ca_up
before=$(signed)
# By the unit: its condition finds them due, and root without privileges starts the failed nginx.
mark=$(wc -l </var/lib/omens/ledger.jsonl)
renewed_by_unit "another card"
tail -n +$((mark + 1)) /var/lib/omens/ledger.jsonl | jq -r '"\(.certificate) \(.outcome) gen-\(.generation)"' | sort -r
journalctl --sync
journalctl -q -o cat --no-pager -u omens-renew -b | grep -o 'pcr-changed' | uniq -c | awk '{ print "journal:", $1, $2 }'
echo "signed $(($(signed) - before))"
[ "$(wire)" = "$(fingerprint </run/omens/web/live/cert.pem)" ] && [ "$(wire)" != "$(cat /vmlab/served)" ] && echo "served $(generation web), another one"
step due renew --all

# And these measurements open it.
systemctl stop nginx omens-restore
rm -rf /run/omens/*
systemctl start nginx
states again
[ "$(wire)" = "$(fingerprint </var/lib/omens/certs/web/live/cert.pem)" ] && echo "served $(generation web)"
on_the_disk
slots

# The card is to be taken out again, and this time somebody thinks of it before.
bound
before=$(signed)
settings '[]'
step freed reseal
echo "signed $(($(signed) - before))"
bound
wire >/vmlab/served
sync
mount -o remount,commit=600 /
power_cut
