#!/bin/bash
# Runs as root under a systemd of its own (tests/it/units.rs): the timer, the sandboxed renewal, its condition, credentials, and what the
# sandbox leaves open. Prints one line a step: what was done, result, state and exit code of omens-renew.service, outcome.
. /opt/guest/host.sh
settings ''
mkdir -p $ETC/omens-renew.timer.d
# Only the times are the test's; the service is the one that is shipped.
printf '[Timer]\nOnCalendar=\nOnActiveSec=500ms\nRandomizedDelaySec=0\nAccuracySec=10ms\n' >$ETC/omens-renew.timer.d/test.conf
systemctl daemon-reload
systemctl enable -q omens-renew.timer
fire() { # WHAT
  local before
  look_from_here
  before=$(show omens-renew StateChangeTimestampMonotonic)
  systemctl restart omens-renew.timer
  for _ in {1..300}; do
    case $(show omens-renew StateChangeTimestampMonotonic):$(show omens-renew ActiveState) in
      "$before":* | *:activating | *:deactivating) sleep .1 ;;
      *) break ;;
    esac
  done
  systemctl stop omens-renew.timer
  became "$1"
}
fire first
systemctl start nginx
fire started
reloads() { journalctl --sync && journalctl -q -o cat --no-pager -u nginx.service | grep -c '^Reloaded nginx.service' || true; }
before=$(reloads)
settings 'dns = ["localhost"]'
fire changed
[ "$(reloads)" = $((before + 1)) ] && served
# The journal says it to people, with the names of the unit and of the certificate.
said | grep -o '^web: renewed: gen-2 after gen-1'
fire idle
[ "$(show omens-renew.timer Result)" = success ] && systemctl -q is-failed omens-renew || echo "not failed"

# Errors: settings that cannot be read, a CA that is not there, a login that is not there.
echo 'nonsense' >>/etc/omens/omens.toml
run nonsense
address=${address%:*}:1 settings ''
run nobody
said | grep -o 'web: failed: issue: unreachable'
settings ''
mv /etc/credstore/omens.secret-id $work/
run loginless
printf 'wrong\n' >/etc/credstore/omens.secret-id
run wronglogin
rm /etc/credstore/omens.secret-id $ETC/omens-renew.service.d/credential.conf
mkdir -p /etc/credstore.encrypted
# Without a TPM: the key of this machine.
systemd-creds encrypt -q --with-key=host --name=secret-id - /etc/credstore.encrypted/omens.secret-id <<<"$secret" 2>/dev/null
drop_in omens-renew.service.d/credential-encrypted.conf
run encrypted
served

# What the sandbox leaves open, seen from inside: the same unit with another program in it.
cat >/usr/local/bin/inside <<'PROBE'
#!/bin/sh
echo "core $(ulimit -Hc) $(ulimit -Sc)"
echo "capabilities $(sed -n 's/^CapBnd:\t//p; s/^CapPrm:\t//p' /proc/self/status | sort -u | tr '\n' ' ')"
echo "seccomp $(sed -n 's/^Seccomp:\t//p' /proc/self/status) $(sed -n 's/^NoNewPrivs:\t//p' /proc/self/status)"
for mount in $(cut -d' ' -f5 /proc/self/mountinfo | sort -u); do find "$mount" -xdev -path /proc -prune -o -type d -writable -print 2>/dev/null; done |
  grep -v '^/run/omens/\|^/var/lib/omens/' | sort -u | tr '\n' ' ' | sed 's/^/writable /; s/ $/\n/'
for node in /dev/other /dev/tpmrm0; do
  [ ! -e $node ] || if (: >>$node) 2>/dev/null; then echo "$node opens"; else echo "$node is closed"; fi
done
PROBE
chmod 755 /usr/local/bin/inside
# One device under two names: as what it is, and in the TPM's place with the TPM's owner.
mknod -m 660 /dev/other c 1 11
chown daemon:tss /dev/other
/usr/local/bin/inside | grep /dev/other
for unit in omens-restore omens-renew; do
  [ $unit = omens-restore ] || mv /dev/other /dev/tpmrm0
  mkdir -p $ETC/$unit.service.d
  printf '[Service]\nExecCondition=\nExecStart=\nExecStart=/usr/local/bin/inside\n' >$ETC/$unit.service.d/zz-inside.conf
  systemctl daemon-reload
  look_from_here
  systemctl start $unit
  said $unit | grep -v "$unit"
done
# Neither the login nor a key went to the journal.
journalctl --sync
journalctl -q --no-pager -o export | grep -c -e "$secret" -e 'PRIVATE KEY' || true
