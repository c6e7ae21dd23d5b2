#!/bin/bash
# The boot after a change that was planned (tests/it/vm.rs): the card is gone, the keys were bound to no PCR before, and there is no CA.
. /vmlab/vm.sh
powered_on
[ ! -s /root/unflushed ] && echo "what nobody flushed is gone"
[ "$(wire)" = "$(cat /vmlab/served)" ] && echo "served $(generation web), as before the power went"
curl -s --max-time 2 "$(value .address)" >/dev/null || echo "no CA: curl $?"
# Bound again, to what is measured now; no CA is needed for that.
settings '[2, 7]'
step bound reseal
bound
systemctl stop nginx omens-restore
rm -rf /run/omens/*
systemctl start nginx
states again
[ "$(wire)" = "$(cat /vmlab/served)" ] && echo "served $(generation web)"
on_the_disk
slots
