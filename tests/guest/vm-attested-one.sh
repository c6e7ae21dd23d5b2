#!/bin/bash
# The first boot of a machine that attests (tests/it/vm_attested.rs): it registers, is enrolled at Keylime, passes, enrols at OpenBao with a
# login that is used once, and has the certificate of nginx signed by the login of its TPM.
. /vmlab/vm-attested.sh
set_up
network
cp /vmlab/root.pem /vmlab/keylime.pem /etc/omens/
settings '[2, 7]'
once=file:/vmlab/role-id,file:/vmlab/secret-id

verdict unknown
step early enroll --approle $once
enrolled_at_keylime
verdict enrolled
# From here on the unit attests, in its sandbox.
rm -f /run/omens/.attest.json
systemctl start omens-attest
for _ in {1..300}; do jq -e '.verdict.code == "pass"' /run/omens/.attest.json >/dev/null 2>&1 && break; sleep .2; done
echo "omens-attest: $(show omens-attest ActiveState), $(show omens-attest StatusText)"
step enrolled enroll --approle $once
step again enroll --approle $once
[ ! -e /vmlab/secret-id ] && echo "nothing is left of the login that was used once"
renewed_by_unit "first boot"
systemctl start nginx
step settled renew --all
on_the_wire ""
wire >/vmlab/served
systemctl stop omens-attest
on_the_disk
slots
# Off in order: a TPM that lost its power may count its clock back, and Keylime takes no such quote.
