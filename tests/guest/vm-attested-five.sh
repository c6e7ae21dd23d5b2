#!/bin/bash
# The boot after the planned change (tests/it/vm_attested.rs): it serves at once, Keylime is told by its administrator, and the keys are bound to
# what is measured now. Nothing is signed for that.
. /vmlab/vm-attested.sh
powered_on
[ "$(wire)" = "$(cat /vmlab/served)" ] && echo "served $(generation web), as before"
network
verdict changed
step early renew --all
enrolled_at_keylime
verdict told
settings '[2, 7]'
step bound reseal
bound
step kept enroll --approle file:/vmlab/role-id,file:/vmlab/secret-id
systemctl stop nginx omens-restore
rm -rf /run/omens/*
systemctl start nginx
states again
[ "$(wire)" = "$(cat /vmlab/served)" ] && echo "served $(generation web)"
slots
