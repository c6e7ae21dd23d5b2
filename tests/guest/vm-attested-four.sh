#!/bin/bash
# The card is out again (tests/it/vm_attested.rs), and is to be put in for good: a change that is planned. One failed quote is a FAIL until an
# administrator has looked at it.
. /vmlab/vm-attested.sh
powered_on
[ "$(wire)" = "$(cat /vmlab/served)" ] && echo "served $(generation web), as before"
network
verdict before
enrolled_at_keylime
verdict after
# Let go of the PCRs: sealed keys by sealing them anew, the identity by a renewal, since its key was made under them.
settings '[]'
step freed reseal
step unbound renew host-identity --force
bound
wire >/vmlab/served
