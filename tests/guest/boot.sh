#!/bin/bash
# Runs as root under a systemd of its own (tests/it/units.rs): keys for a group and for an owner, and the order of a power-on.
# Prints one line a step.
. /opt/guest/host.sh
keys() { stat -c "$1 %U:%G %a" /run/omens/"$1"/live/key.pem; }

# A group: without the drop-in root may not give a file away, and nothing is asked of the CA for that.
settings 'group = "www-data"'
signed() { jq -c 'select(.type == "request" and .request.path == "pki_int/sign/infrastructure")' $work/bao/audit.log | wc -l; }
run alone
echo "asked $(signed)"
drop_in omens-.service.d/groups.conf
run grouped
echo "asked $(signed)"
keys web
systemctl show -p CapabilityBoundingSet omens-renew
systemctl start nginx
run served
served
run idle

# An owner takes a capability; the drop-in as shipped, with other names in it.
rm -r $ETC/omens-.service.d
drop_in omens-.service.d/chown.conf
sed -i 's/www-data/www-data games/' $ETC/omens-.service.d/chown.conf
systemctl daemon-reload
settings 'group = "www-data"' 'owner = "games"
group = "games"'
run owned
became - other
keys other
run idle
settings 'group = "www-data"' 'owner = "games"
group = "games"
dns = ["localhost"]'
run again
became - other
keys other

# Power-on: /run is empty, both are enabled, and everything is started in one transaction. Restore is slow, to be waited for.
mkdir -p $ETC/omens-restore.service.d
printf '[Service]\nExecStartPre=/bin/sleep 1\n' >$ETC/omens-restore.service.d/zz-slow.conf
systemctl daemon-reload
systemctl enable -q omens-restore nginx 2>/dev/null
power_on() { # WHAT
  systemctl stop nginx omens-restore multi-user.target
  systemctl reset-failed
  rm -rf /run/omens
  look_from_here
  systemctl start multi-user.target
  systemctl is-active --wait -q nginx omens-restore || true
  for _ in {1..100}; do [ -z "$(systemctl list-jobs --no-legend)" ] || sleep .1; done
  echo "$1 $(show omens-restore ActiveState) $(show nginx ActiveState) $(ordered) $(served)"
}
ordered() {
  local ended started
  ended=$(show omens-restore ExecMainExitTimestampMonotonic)
  started=$(show nginx ExecMainStartTimestampMonotonic)
  if [ "$started" -gt "$ended" ]; then echo after; else echo before; fi
}
power_on disorderly
drop_in nginx.service.d/omens.conf
power_on orderly
keys web
keys other
# A file of omens.d that is no TOML, then a main file that is none: what was committed is served all the same, and the unit says so.
mkdir /etc/omens/omens.d
printf '[[certificate\n' >/etc/omens/omens.d/broken.toml
power_on hidden
rm -r /etc/omens/omens.d
cp -p /etc/omens/omens.toml $work/
printf '[host\n' >/etc/omens/omens.toml
power_on broken
keys web
cp -p $work/omens.toml /etc/omens/
# One certificate that cannot be restored does not take nginx down, which has another.
other=$(echo /var/lib/omens/certs/other/live/key.*)
mv "$other" $work/
power_on damaged
# The journal has each twice: as the command prints it, and with fields.
said omens-restore | sed -n 's/^\(web\|other\): \([a-z]*\).*/\1 \2/p' | sort -u
# Restarted later, while restore has failed: the same.
systemctl restart nginx
served
mv $work/"${other##*/}" "$other"
systemctl restart omens-restore
keys other
# A sandbox that cannot be built: restore fails where it can be seen.
rm $ETC/omens-restore.service.d/zz-slow.conf
sed -i 's/www-data/no-such-group/' $ETC/omens-.service.d/chown.conf
systemctl daemon-reload
systemctl restart omens-restore 2>/dev/null || echo "groupless $(show omens-restore ActiveState) $(show omens-restore ExecMainStatus)"
# Stopping the boot step must not take away what is being served.
systemctl stop omens-restore
keys web
