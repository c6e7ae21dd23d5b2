#!/bin/bash
# The first boot (tests/it/vm.rs): the host is set up, its keys are sealed to what the firmware measured, nginx serves; then the power goes.
. /vmlab/vm.sh

ln -sf mawk /usr/bin/awk
cp /opt/omens /usr/bin/
install -m 644 -t $ETC /opt/units/*.service
install -D -m 644 -t $ETC/nginx.service.d /opt/units/nginx.service.d/omens.conf
install -D -m 644 -t /etc/sysusers.d /opt/units/sysusers.d/omens.conf
install -D -m 644 -t /etc/tmpfiles.d /opt/units/tmpfiles.d/omens.conf
# As udev would do it on a host, with the rules of tpm2-tss: the virtual machine has no udev.
echo 'z /dev/tpmrm0 0660 tss tss' >/etc/tmpfiles.d/tss-device.conf
systemd-sysusers
systemd-tmpfiles --create omens.conf tss-device.conf
cat >/etc/nginx/nginx.conf <<CONF
user www-data;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
events { }
http { server { listen 127.0.0.1:443 ssl; server_name spire.funlab.casa; include /run/omens/web/nginx.conf; return 200 ok; } }
CONF
# What is started at a power-on: the lab's target, and with it nginx, which wants restore by its drop-in.
mkdir -p $ETC/vmlab.target.wants /etc/omens
ln -s /lib/systemd/system/nginx.service $ETC/vmlab.target.wants/nginx.service
systemctl daemon-reload

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
