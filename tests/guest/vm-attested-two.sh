#!/bin/bash
# The next boot, with the same measurements (tests/it/vm_attested.rs): what serves is there before there is a network, and is renewed after it.
. /vmlab/vm-attested.sh
powered_on
[ "$(wire)" = "$(cat /vmlab/served)" ] && echo "served $(generation web), as before the power went"
network
verdict again
step renewed renew --all --force
on_the_wire ", another one"
opened renew --all --force
on_the_wire ", another one"
wire >/vmlab/served
slots
# Off in order: a TPM that lost its power may count its clock back, and Keylime takes no such quote.
