#!/bin/bash
# The boot after a power cut (tests/it/vm.rs): no CA, no network, the same measurements. nginx was started by the boot itself.
. /vmlab/vm.sh
powered_on
[ ! -s /root/unflushed ] && echo "what nobody flushed is gone"
[ "$(wire)" = "$(cat /vmlab/served)" ] && echo "served $(generation web), as before the power went"
ss -tlnH | awk '{ print "listens on", $4 }' | sort -u
curl -s --max-time 2 "$(value .address)" >/dev/null || echo "no CA: curl $?"

begun=$(show omens-restore ExecMainStartTimestampMonotonic)
ended=$(show omens-restore ExecMainExitTimestampMonotonic)
echo "# power-on: omens restore $(milliseconds $((ended - begun))) from $(milliseconds "$begun") after the kernel's start," \
  "nginx serving at $(milliseconds "$(show nginx ActiveEnterTimestampMonotonic)"), looked at $served s"
on_the_disk
slots

counted renew --all
systemctl stop nginx
rm -rf /run/omens/*
counted restore
sed -n 's/^\(web\|other\): \([a-z]*\).*/\1 \2/p' /root/out.txt
slots
start=${EPOCHREALTIME/./}
"$OMENS" restore >/dev/null
echo "# omens restore with all there: $(milliseconds $((${EPOCHREALTIME/./} - start)))"
rm -rf /run/omens/*
start=${EPOCHREALTIME/./}
"$OMENS" restore >/dev/null
echo "# omens restore of 2 by hand: $(milliseconds $((${EPOCHREALTIME/./} - start)))"
