#!/bin/bash
# The first boot (tests/it/vm.rs): the host is set up, its keys are sealed to what the firmware measured, nginx serves; then the power goes.
. /vmlab/vm.sh

set_up

# Which PCRs are measured here.
for pcr in 2 7 15; do
  tpm2_pcrread -T device:/dev/tpmrm0 sha256:$pcr | awk -v pcr=$pcr '/ 0x/ { print "PCR", pcr, ($NF ~ /^0x0+$/ ? "is zero" : "is measured") }'
done

ca_up
cp "$(value .root_cert)" /etc/omens/root.pem

begun=$(signed)
# A PCR that nobody measured into protects nothing: refused, and the CA is not asked.
settings '[15]'
step zero renew --all
named
echo "signed $(($(signed) - begun))"

settings '[2, 7]'
# What is flushed from here on is flushed by who wrote it.
sync
mount -o remount,commit=600 /
# In the sandbox of the unit, as a root without capabilities that is in the group of the device.
renewed_by_unit "first boot"
systemctl start nginx
step settled renew --all
echo "signed $(($(signed) - begun))"
on_the_disk
slots
[ "$(wire)" = "$(fingerprint </run/omens/web/live/cert.pem)" ] && echo "served $(generation web)"
wire >/vmlab/served

power_cut
