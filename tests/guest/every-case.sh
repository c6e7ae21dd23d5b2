#!/bin/bash
# Runs as root under a systemd of its own (tests/it/every_case.rs): a real OpenBao, Debian's nginx.service, and the drivers that know nothing of the
# service, with what can happen to one. Prints one line a driver and case: exit code, outcome, proof, error code, state of the unit, whether the
# wire shows the leaf that is published, and whether it is still the same process.
. /opt/guest/ca.sh
mkdir -p /etc/nginx /usr/local/sbin
bao_up
log_in /etc/omens/secret-id
settings() { # DRIVER [MORE]
  {
    settings_head
    certificate web infrastructure file
    cat <<TOML
reload = [ $1 ]
verify = [ { tls = { address = "127.0.0.1:443", server_name = "spire.funlab.casa", deadline = "3s" } } ]
${2:-}
TOML
  } >/etc/omens/omens.toml
}
site
site "ssl_certificate $work/old.crt; ssl_certificate_key $work/old.key;" '' /etc/nginx/old.conf
script() { # FILE COMMAND
  printf '#!/bin/sh\n%s\n' "$2" >"$1" && chmod 755 "$1"
}
script /usr/local/sbin/spoil ': >"$OMENS_DIR/key.pem"'
drop_in() { # TEXT, or nothing to remove it
  mkdir -p $ETC/nginx.service.d
  if [ -n "${1:-}" ]; then printf '[Unit]\nStartLimitIntervalSec=0\n[Service]\n%s\n' "$1" >$ETC/nginx.service.d/case.conf; else rm -f $ETC/nginx.service.d/case.conf; fi
  systemctl daemon-reload
}
again() { systemctl reset-failed nginx 2>/dev/null || true; systemctl restart nginx 2>/dev/null || true; }
sha() { openssl x509 -noout -fingerprint -sha256 2>/dev/null; }
wire() {
  local served
  served=$(timeout 3 openssl s_client -connect 127.0.0.1:443 -servername spire.funlab.casa </dev/null 2>/dev/null | sha) || served=nothing
  if [ "$served" = "$(sha </run/omens/web/live/cert.pem)" ]; then echo agrees; elif [ "$served" = nothing ]; then echo silent; else echo differs; fi
}
step() { # CASE [OPTIONS]
  local rc=0 pid
  [ -z "${TIMES:-}" ] || echo "$SECONDS s: $name $1" >&2
  pid=$(systemctl show -P MainPID nginx)
  "$OMENS" --json renew web "${@:2}" >$work/out.json 2>$work/err || rc=$?
  # What a worker that is about to end still serves is no news.
  for _ in {1..10}; do [ "$(wire)" = differs ] || break; sleep .1; done
  jq -r --arg asked "$name $1 $rc" --arg seen "$(systemctl is-active nginx || true) $(wire) $([ "$pid" = "$(systemctl show -P MainPID nginx)" ] && echo same || echo new)" \
    '.certificates[0] | [$asked, .outcome, (.proof // "-"), (.error.code // "-"), $seen] | join(" ")' $work/out.json
}
# one NAME DRIVER SLOW LYING: every case. SLOW and LYING make the service slow and deaf, and put that back when they are called with `end`.
one() {
  local name=$1 driver=$2
  settings "$driver"
  step happy --force
  # A pair that does not fit: nginx looks at it before it goes on with it.
  settings "$driver" 'before = { exec = { command = ["/usr/local/sbin/spoil"] } }'
  step refused --force
  settings "$driver"
  step mended
  systemctl stop nginx
  step stopped --force
  systemctl start nginx
  step started
  systemctl kill -s STOP --kill-whom=all nginx
  step hung --force
  systemctl kill -s CONT --kill-whom=all nginx
  step awake
  $3 begin
  step slow --force
  $3 end
  cp -L /run/omens/web/live/fullchain.pem $work/old.crt && cp -L /run/omens/web/live/key.pem $work/old.key
  $4 begin
  step lying --force
  $4 end
  step honest
  # Started anew by systemd every second, whatever it is given; and minutes later, for want of a key, which is published again.
  drop_in $'ExecStart=\nExecStart=/bin/false\nRestart=always\nRestartSec=1'
  again
  step looping --force
  drop_in $'Restart=always\nRestartSec=150'
  again
  step recovered
  : >/run/omens/web/live/key.pem
  again
  step healed
  drop_in
}
sleepy() { # It takes a signal a second later.
  [ $1 = begin ] || { wait; return 0; }
  systemctl kill -s STOP --kill-whom=all nginx
  (sleep 1; systemctl kill -s CONT --kill-whom=all nginx) &
}
slow_start() { if [ $1 = begin ]; then drop_in 'ExecStartPre=/bin/sleep 5'; else drop_in; fi; }
deaf() { if [ $1 = begin ]; then drop_in $'ExecReload=\nExecReload=/bin/true'; else drop_in; fi; }
elsewhere() { if [ $1 = begin ]; then drop_in $'ExecStart=\nExecStart=/usr/sbin/nginx -c /etc/nginx/old.conf'; else drop_in; fi; }
# USR1 has nginx open its logs anew.
other_signal() { settings "{ signal = { unit = \"nginx.service\", signal = \"$([ $1 = begin ] && echo USR1 || echo HUP)\" } }"; }
idle() { script /usr/local/sbin/take-up "$([ $1 = begin ] && echo 'exit 0' || echo 'exec systemctl reload nginx')"; }
idle end
settings '{ nginx = { unit = "nginx.service" } }'
"$OMENS" renew web >/dev/null 2>$work/err || { cat $work/err; exit 1; }
systemctl start nginx
one nginx '{ nginx = { unit = "nginx.service" } }' sleepy deaf
one restart '{ systemd = { unit = "nginx.service", action = "restart" } }' slow_start elsewhere
one signal '{ signal = { unit = "nginx.service", signal = "HUP" } }' sleepy other_signal
one exec '{ exec = { command = ["/usr/local/sbin/take-up"] } }' sleepy idle
bao_down
