#!/bin/bash
# Runs as root under a systemd of its own (tests/it/consumers.rs): what the pages of units/consumers say, copied from them word for word but
# for names and role of this CA. Prints one line a consumer: outcome and proof with the service stopped, running, and at a forced renewal;
# whether the wire shows the new leaf. Then what can happen to HAProxy and PostgreSQL, two lines a case.
. /opt/guest/host.sh
settings ''
mkdir -p $work/credentials
cp /etc/credstore/omens.secret-id $work/credentials/secret-id
export CREDENTIALS_DIRECTORY=$work/credentials
# The frame without its certificate.
sed -i '/^\[\[certificate\]\]/,$d' /etc/omens/omens.toml
mkdir -p /etc/omens/omens.d
umask 022
chmod 755 /etc/nginx /etc/nginx/conf.d
cat >/etc/nginx/nginx.conf <<CONF
user www-data;
pid /run/nginx.pid;
events { }
http { include /etc/nginx/conf.d/*.conf; }
CONF
rm -f /usr/sbin/policy-rc.d

# Writes and runs the blocks of a page.
follow() { # PAGE
  local page=$UNITS/consumers/${1}.md commands=$work/$1.sh
  awk -v commands="$commands" '
    /^```[a-z]* (file|append)=/ { sub(/^[^=]*=/, ""); to = $0; dir = to; sub(/\/[^\/]*$/, "", dir); system("mkdir -p \"" dir "\""); next }
    /^```sh run/ { to = commands; next }
    /^```/ { to = ""; next }
    to != "" { print >> to }' "$page"
  sed -i -e 's/\(www\|db\|mail\)\.example\.net/spire.funlab.casa/; s/"tls-server"/"infrastructure-rsa"/; s/"web"/"infrastructure"/; s/ec-p256/rsa-2048/' "/etc/omens/omens.d/$1.toml"
  [ ! -e "$commands" ] || bash -e "$commands" >$work/$1.log 2>&1 || tail -n 3 $work/$1.log
  systemctl daemon-reload
}
renew() { # NAME [--force]: by the unit's own sandbox unless forced
  local out
  out=$(omens --json renew "$@" 2>$work/err) || true
  jq -r '.certificates[0] | [.outcome, (.proof // "-"), (.error.code // empty)] | join(" ")' <<<"$out"
}
wire() { # PORT [s_client options]
  local port=$1
  shift
  timeout 2 openssl s_client -connect "127.0.0.1:$port" -servername spire.funlab.casa "$@" </dev/null 2>/dev/null | serial
}
consumer() { # NAME UNIT PORT [s_client options]
  local name=$1 unit=$2 first second third
  shift 2
  systemctl stop "$unit" 2>/dev/null || true
  follow "$name"
  systemctl reset-failed omens-renew.service 2>/dev/null || true
  systemctl start omens-renew.service 2>/dev/null || true
  ! grep -q "^install" "/etc/omens/omens.d/$name.toml" || { omens install >$work/install.log 2>&1 || cat $work/install.log; }
  first=$({ omens --json status || true; } 2>/dev/null | jq -r --arg name "$name" '.certificates[] | select(.name == $name) | .proof // "-"')
  systemctl start "$unit" || journalctl -q -u "$unit" -n 5 -o cat
  for _ in {1..50}; do [ -n "$(wire "$@")" ] && break || sleep .1; done
  second=$(renew "$name")
  third=$(renew "$name" --force)
  if [ "$(wire "$@")" = "$(serial </run/omens/"$name"/live/cert.pem)" ]; then seen=served; else seen="not served"; fi
  echo "$name: $first; $second; $third; $(readlink /run/omens/"$name"/live) $seen"
  systemctl stop "$unit"
  mkdir -p $work/pages
  mv "/etc/omens/omens.d/$name.toml" $work/pages/
}
consumer nginx nginx.service 443
consumer haproxy haproxy.service 443
consumer apache apache2.service 443
consumer postgresql postgresql@15-main.service 5432 -starttls postgres
consumer postfix postfix@-.service 465
# What can happen to HAProxy and PostgreSQL, to both in one run.
declare -A UNIT=([haproxy]=haproxy.service [postgresql]=postgresql@15-main.service) AT=([haproxy]=443 [postgresql]='5432 -starttls postgres')
both="haproxy postgresql"
all_units() { for name in $both; do "$@" "${UNIT[$name]}"; done; }
told() { for name in $both; do sed -i "$1" /etc/omens/omens.d/$name.toml; done; } # SED-SCRIPT
published() { serial </run/omens/"$1"/live/cert.pem; }
shown() { # NAME: what the wire shows
  # shellcheck disable=SC2086
  wire ${AT[$1]} || true
}
# Exit code of the run, outcome, proof, where it failed and why, warnings; state of the unit; whether the leaf that was published before is so
# now, and what the wire shows, `old` and `new` being before and after; whether it is the same process.
step() { # CASE [--force]
  local what=$1 rc=0 name seen
  local -A old pid
  shift
  for name in $both; do old[$name]=$(published $name) pid[$name]=$(show "${UNIT[$name]}" MainPID); done
  # shellcheck disable=SC2086
  omens --json renew $both "$@" >$work/out.json 2>$work/err || rc=$?
  for name in $both; do
    # What a process that is about to end still serves is no news.
    for _ in {1..10}; do seen=$(shown $name); [ -n "$seen" ] && [ "$seen" != "$(published $name)" ] && sleep .1 || break; done
    jq -r --arg name $name --arg asked "$name $what $rc" \
      --arg seen "$(show "${UNIT[$name]}" ActiveState) $(age $name "${old[$name]}" "$(published $name)") $(age $name "${old[$name]}" "$seen") $([ "${pid[$name]}" = "$(show "${UNIT[$name]}" MainPID)" ] && echo same || echo other)" \
      '.certificates[] | select(.name == $name) | [$asked, .outcome, (.proof // "-"), (.error | if . then .stage + "/" + .code else "-" end), ([.warnings[].code] | join(",") | if . == "" then "-" else . end), $seen] | join(" ")' $work/out.json
  done
}
age() { # NAME OLD FOUND
  case $3 in '') echo silent ;; "$2") echo old ;; "$(published $1)") echo new ;; *) echo other ;; esac
}
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out $work/other.key 2>/dev/null
printf '#!/bin/sh\ncat %s >"$OMENS_DIR/key.pem" && cat "$OMENS_DIR/fullchain.pem" "$OMENS_DIR/key.pem" >"$OMENS_DIR/combined.pem"\n' $work/other.key >/usr/local/sbin/spoil
chmod 755 /usr/local/sbin/spoil
for name in $both; do cp $work/pages/$name.toml /etc/omens/omens.d/; done
told 's/server_name = "[^"]*"/&, deadline = "3s"/'
all_units systemctl start
for name in $both; do until [ -n "$(shown $name)" ]; do sleep .1; done; done
# A pair that does not fit: a hook puts another key in the place of what is about to be published.
told '$a before = { exec = { command = ["/usr/local/sbin/spoil"] } }'
step refused --force
told '/^before = /d'
step mended
all_units systemctl kill -s STOP --kill-whom=all
step hung --force
all_units systemctl kill -s CONT --kill-whom=all
step awake
# They say that they have read their files, and have not.
deaf() { mkdir -p "$ETC/$1.d" && printf '[Service]\nExecReload=\nExecReload=/bin/true\n' >"$ETC/$1.d/case.conf"; }
all_units deaf
systemctl daemon-reload
step lying --force
for name in $both; do rm "$ETC/${UNIT[$name]}.d/case.conf"; done
systemctl daemon-reload
step honest
all_units systemctl stop
for name in $both; do rm /etc/omens/omens.d/$name.toml; done

# One file with the key first is as good to the two that take either order: their pages, with that.
cp -r $UNITS/consumers $work/
key_first() { # NAME [FILE]: also in what the page has written there
  local page=$work/consumers/$1; page+=.md
  sed -i -e 's/live\/\(combined\|fullchain\|key\).pem/live\/combined-key-first.pem/; s/^```haproxy append=.*/```/' \
    -e "s/^reload = /install = [ { dir = \"\/run\", combined = \"$1.pem\", order = \"key-first\" } ]\n&/" "$page"
  [ $# -eq 1 ] || sed -i 's/live\/combined.pem/live\/combined-key-first.pem/' "$2"
  rm -rf /var/lib/omens/certs/$1 /run/omens/$1
}
key_first haproxy /etc/haproxy/haproxy.cfg
key_first postgresql
UNITS=$work
consumer haproxy haproxy.service 443
consumer postgresql postgresql@15-main.service 5432 -starttls postgres
