#!/bin/bash
# Runs as root under a systemd of its own (tests/it/package.rs): the Debian package is installed, upgraded, removed, installed again and
# purged around a host that serves. Prints one line a step. /opt/package has old.deb and new.deb.
PACKAGED=1 UNITS=/usr/share/doc/omens/examples/units
# Images for containers leave manual pages and documentation out, and let no package start anything.
rm -f /etc/dpkg/dpkg.cfg.d/* /usr/sbin/policy-rc.d
. /opt/guest/host.sh
timer=omens-renew.timer
# It waits, and never comes in between.
mkdir -p $ETC/$timer.d
printf '[Timer]\nOnCalendar=\nOnBootSec=\nOnCalendar=2099-01-01\n' >$ETC/$timer.d/test.conf
package() { DEBIAN_FRONTEND=noninteractive dpkg "$@" >>$work/dpkg.log 2>&1 || { tail -n 5 $work/dpkg.log; exit 1; }; }
# What dpkg says of it; the boot step, the timer and whether that waits; units that failed.
host() { # WHAT
  local state restore enabled
  state=$(dpkg-query -W -f '${db:Status-Status} ${Version}' omens 2>/dev/null) || state=absent
  restore=$(systemctl is-enabled omens-restore.service 2>/dev/null) || restore=${restore:-none}
  enabled=$(systemctl is-enabled $timer 2>/dev/null) || enabled=${enabled:-none}
  echo "$1: $state; $restore $enabled $(systemctl is-active $timer || true); failed: $(systemctl list-units --failed --plain --no-legend 'omens*' | wc -l)"
}

umask 022
package -i /opt/package/old.deb
host installed
stat -c '%n %U:%G %a' /var/lib/omens /run/omens
getent group tss | cut -d: -f1
# Nothing to do yet, and that is no failure.
systemctl start omens-renew.service
host idle
zcat /usr/share/man/man1/omens-renew.1.gz /usr/share/man/man5/omens.toml.5.gz /usr/share/man/man7/omens-words.7.gz | grep -c '^\.TH'
bash -n /usr/share/bash-completion/completions/omens && echo completes

# The example with this host's root in it has no mistake.
sed -e "s/^anchor_sha256.*/anchor_sha256 = \"$(value .root_sha256)\"/" -e 's/credential:secret-id/file:\/etc\/credstore\/omens.secret-id/' \
  /usr/share/doc/omens/examples/omens.toml >/etc/omens/omens.toml
omens check-config >$work/check 2>&1 && echo "the example is right" || cat $work/check

umask 077
settings ''
umask 022
drop_in omens-renew.service.d/credential.conf
drop_in nginx.service.d/omens.conf
run first
systemctl start nginx
run taken
served

# An upgrade stops nothing and starts nothing.
pid=$(show nginx MainPID)
package -i /opt/package/new.deb
host upgraded
[ "$pid" = "$(show nginx MainPID)" ] && served
run quiet
# What the administrator switched off stays off.
systemctl disable -q --now $timer
package -i /opt/package/old.deb
host downgraded
systemctl enable -q --now $timer

# Removed: nothing renews, everything still serves.
package -r omens
host removed
[ -e /usr/bin/omens ] || echo "no binary"
systemctl restart nginx
served
ls /var/lib/omens/certs /etc/omens
package -i /opt/package/new.deb
host again
omens status >/dev/null && echo healthy
systemctl is-active omens-restore.service

package -P omens
host purged
ls /etc/omens
[ ! -e /run/omens ] || echo "/run/omens is there"
# What is left, but for the drop-ins of this administrator.
find /etc/systemd /usr/lib/systemd /usr/lib/sysusers.d /usr/lib/tmpfiles.d /usr/share /var/lib -xdev -name '*omens*' ! -path "$ETC/*.d*" | sort
