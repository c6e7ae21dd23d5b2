#!/bin/bash
# A boot with another card in the machine (tests/it/vm.rs): its option ROM is measured into PCR 2, PCR 7 is as it was.
. /vmlab/vm.sh
systemctl start nginx 2>/dev/null || true
states power-on
step refused restore
named
[ ! -e /run/omens/web/live ] && echo "nothing published"

# The CA is back: new keys, sealed to what is measured now.
bao_up
before=$(signed)
step recovered renew --all
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
