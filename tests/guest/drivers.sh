#!/bin/bash
# Runs as root under a systemd of its own (tests/it/systemd.rs): a real OpenBao, Debian's nginx.service, and the drivers that ask systemd.
# Prints one line a step: what was done, exit code, outcome, proof, error code, state of the unit.
. /opt/guest/ca.sh
mkdir -p /etc/nginx/conf.d
bao_up
log_in /etc/omens/secret-id
endpoint='verify = [ { tls = { address = "127.0.0.1:443", server_name = "spire.funlab.casa", deadline = "3s" } } ]'
settings() { # UNIT-DRIVER ['' for no endpoint]
  {
    settings_head
    certificate web infrastructure file
    cat <<TOML
reload = [ $1 ]
${2-$endpoint}
TOML
  } >/etc/omens/omens.toml
}
step() { # WHAT COMMAND...
  local what=$1 rc=0 unit=nginx.service
  shift
  "$OMENS" --json "$@" >$work/out.json 2>$work/err || rc=$?
  jq -r --arg what "$what" --arg rc $rc --arg unit "$(systemctl is-active $unit || true)" \
    '.certificates[0] | [$what, $rc, .outcome, (.proof // "-"), (.error.code // "-"), $unit] | join(" ")' $work/out.json
}
settings '{ nginx = { unit = "nginx.service" } }'
site
step first renew --all
step sleeping renew --all
systemctl start nginx
step started renew --all
step forced renew --all --force
site '' 'this_is_no_directive on;'
step broken renew --all --force
site
step mended renew --all
settings '{ systemd = { unit = "nginx.service", action = "restart" } }'
before=$(systemctl show -P MainPID nginx)
step restart renew --all --force
[ "$before" != "$(systemctl show -P MainPID nginx)" ] || echo "restart did not restart"
systemctl stop nginx
settings '{ systemd = { unit = "nginx.service", action = "reload" } }'
step stopped renew --all --force
settings '{ systemd = { unit = "nginx.service", action = "reload", start = true } }'
step wanted renew --all
settings '{ systemd = { unit = "nginx.service", action = "reload" } }'
site '' 'this_is_no_directive on;'
systemctl restart nginx 2>/dev/null || true
site
step failed renew --all --force
# Its start ends well, and it ends at once: nobody but systemd sees that where there is no endpoint.
mkdir -p $ETC/nginx.service.d
printf '[Service]\nType=simple\nExecStartPre=\nExecStart=\nExecStart=/bin/false\n' >$ETC/nginx.service.d/case.conf
systemctl daemon-reload
systemctl restart nginx 2>/dev/null || true
until_so systemctl is-failed nginx
settings '{ systemd = { unit = "nginx.service", action = "reload" } }' ''
step dying renew --all --force
rm $ETC/nginx.service.d/case.conf
systemctl daemon-reload
step living renew --all
# It ends at once with exit code 0: after a start of what has failed, and after a restart.
nginx_as() { # TYPE PROGRAM [LINE...]
  printf '[Service]\nType=%s\nExecStartPre=\nExecStart=\nExecStart=%s\nExecStop=\nExecReload=\nExecReload=/bin/true\nPIDFile=\n' "$1" "$2" >$ETC/nginx.service.d/case.conf
  shift 2
  printf '%s\n' "$@" >>$ETC/nginx.service.d/case.conf
  systemctl daemon-reload
}
nginx_as simple /bin/true
systemctl kill --signal=KILL nginx
until_so systemctl is-failed nginx
step ending renew --all --force
nginx_as simple '/bin/sleep infinity'
systemctl start nginx
step staying renew --all
nginx_as simple /bin/true
settings '{ systemd = { unit = "nginx.service", action = "restart" } }' ''
step brief renew --all --force
# A unit that is meant to end has done what it was started for, whether it stays active or not.
nginx_as oneshot /bin/true
settings '{ systemd = { unit = "nginx.service", action = "restart", start = true } }' ''
step once renew --all
nginx_as oneshot /bin/true RemainAfterExit=yes
systemctl restart nginx
step remaining renew --all --force
systemctl stop nginx
rm $ETC/nginx.service.d/case.conf
systemctl daemon-reload
systemctl start nginx
settings '{ systemd = { unit = "no-such.service", action = "reload" } }'
step unknown renew --all --force
systemctl stop nginx
rm -rf /run/omens
step restored restore
bao_down
