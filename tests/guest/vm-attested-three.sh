#!/bin/bash
# A boot with another card in the machine, of which nobody was told (tests/it/vm_attested.rs): neither keys nor the login nor Keylime go on as
# if nothing had happened, and each says which PCR.
. /vmlab/vm-attested.sh
powered_on
step refused restore
named
[ ! -e /run/omens/web/live ] && echo "nothing published"
network
verdict changed
step blocked renew web --force
# A person lets it be asked for all the same: the login refuses by itself.
step glass renew web --force --break-glass "to see what the login says"
named
slots
power_cut
