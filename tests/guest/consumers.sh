#!/bin/bash
# Runs as root under a systemd of its own (tests/it/consumers.rs): what the pages of units/consumers say, copied from them word for word but
# for names and role of this CA. Prints one line a consumer: outcome and proof with the service stopped, running, and at a forced renewal;
# whether the wire shows the new leaf. Then what can happen to HAProxy and PostgreSQL, a line a case.
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
  [ -z "${CASES:-}" ] || cases "$name" "$unit" "$@"
  systemctl stop "$unit"
  rm -f "/etc/omens/omens.d/$name.toml"
}
# cases NAME UNIT PORT [s_client options]: each of them, and the run after it.
cases() {
  local name=$1 unit=$2 settings=/etc/omens/omens.d/$1.toml
  shift 2
  sed -i 's/server_name = "[^"]*"/&, deadline = "3s"/' "$settings"
  # A pair that does not fit: a hook puts another key in the place of what is about to be published.
  echo 'before = { exec = { command = ["/usr/local/sbin/spoil"] } }' >>"$settings"
  case_of refused "$@" --force
  sed -i '/^before = /d' "$settings"
  case_of mended "$@"
  systemctl kill -s STOP --kill-whom=all "$unit"
  case_of hung "$@" --force
  systemctl kill -s CONT --kill-whom=all "$unit"
  case_of awake "$@"
  # It says that it has read its files, and has not.
  mkdir -p "$ETC/$unit.d"
  printf '[Service]\nExecReload=\nExecReload=/bin/true\n' >"$ETC/$unit.d/case.conf"
  systemctl daemon-reload
  case_of lying "$@" --force
  rm "$ETC/$unit.d/case.conf"
  systemctl daemon-reload
  case_of honest "$@"
}
# Exit code, outcome, proof, where it failed and why, warnings; state of the unit; whether the leaf that was published before is so now, and what
# the wire shows, `old` and `new` being before and after; whether it is the same process.
case_of() { # CASE PORT [s_client options] [--force]
  local what=$1 rc=0 old pid seen options=()
  shift
  [ "${*: -1}" != --force ] || { options=(--force); set -- "${@:1:$#-1}"; }
  old=$(serial </run/omens/"$name"/live/cert.pem) pid=$(show "$unit" MainPID)
  omens --json renew "$name" "${options[@]}" >$work/out.json 2>$work/err || rc=$?
  for _ in {1..10}; do seen=$(wire "$@") || true; [ -n "$seen" ] && [ "$seen" != "$(serial </run/omens/"$name"/live/cert.pem)" ] && sleep .1 || break; done
  jq -r --arg asked "$name $what $rc" \
    --arg seen "$(show "$unit" ActiveState) $(age "$old" "$(serial </run/omens/"$name"/live/cert.pem)") $(age "$old" "$seen") $([ "$pid" = "$(show "$unit" MainPID)" ] && echo same || echo other)" \
    '.certificates[0] | [$asked, .outcome, (.proof // "-"), (.error | if . then .stage + "/" + .code else "-" end), ([.warnings[].code] | join(",") | if . == "" then "-" else . end), $seen] | join(" ")' $work/out.json
}
age() { # OLD FOUND
  case $2 in '') echo silent ;; "$1") echo old ;; "$(serial </run/omens/"$name"/live/cert.pem)") echo new ;; *) echo other ;; esac
}
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out $work/other.key 2>/dev/null
printf '#!/bin/sh\ncat %s >"$OMENS_DIR/key.pem" && cat "$OMENS_DIR/fullchain.pem" "$OMENS_DIR/key.pem" >"$OMENS_DIR/combined.pem"\n' $work/other.key >/usr/local/sbin/spoil
chmod 755 /usr/local/sbin/spoil
consumer nginx nginx.service 443
CASES=yes consumer haproxy haproxy.service 443
consumer apache apache2.service 443
CASES=yes consumer postgresql postgresql@15-main.service 5432 -starttls postgres
consumer postfix postfix@-.service 465
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
