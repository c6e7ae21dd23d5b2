# What the guests share that run the units (tests/it/units.rs): a real OpenBao, settings, Debian's nginx, the units as the README installs
# them. Sourced, as root, under a systemd of its own. KEEP is the kind of keeping of every key; `sealed` brings a software TPM along.
# shellcheck shell=bash
# With PACKAGED=1 nothing is installed here: a package does that.
. /opt/guest/ca.sh
UNITS=${UNITS:-/opt/units} KEEP=${KEEP:-file}
mkdir -p /etc/nginx/conf.d /etc/credstore /etc/sysusers.d /etc/tmpfiles.d
chmod 700 /etc/credstore
bao_up
TPM=
if [ "$KEEP" = sealed ]; then
  tcti=$("$LAB/swtpm.sh" start $work/tpm) || exit 125
  TPM="[tpm]
tcti = \"$tcti\""
  # A software TPM is on the network; a real one is a device, and the shipped unit has no network.
  mkdir -p $ETC/omens-restore.service.d
  printf '[Service]\nPrivateNetwork=no\nRestrictAddressFamilies=AF_UNIX AF_INET\n' >$ETC/omens-restore.service.d/zz-swtpm.conf
fi
log_in /etc/credstore/omens.secret-id
address=$(value .address) secret=$(cat /etc/credstore/omens.secret-id)

# settings WEB-LINES [OTHER-LINES]: certificate `web` for nginx and, where there are lines for it, `other`, which nothing serves.
settings() {
  {
    settings_head credential:secret-id
    printf '%s\n' "$TPM"
    certificate web infrastructure "$KEEP"
    cat <<TOML
reload = [ { nginx = { unit = "nginx.service" } } ]
verify = [ { tls = { address = "127.0.0.1:443", server_name = "spire.funlab.casa", deadline = "5s" } } ]
$1
TOML
    [ $# -lt 2 ] || { certificate other verifier "$KEEP" && printf '%s\n' "$2"; }
  } >/etc/omens/omens.toml
}
site

# drop_in FILE: as shipped.
drop_in() { install -D -m 644 -t "$ETC/${1%/*}" "$UNITS/$1" && systemctl daemon-reload; }
if [ -z "${PACKAGED:-}" ]; then
  install -m 644 -t $ETC $UNITS/*.service $UNITS/*.timer
  cp $UNITS/sysusers.d/omens.conf /etc/sysusers.d/
  cp $UNITS/tmpfiles.d/omens.conf /etc/tmpfiles.d/
  systemd-sysusers omens.conf
  systemd-tmpfiles --create omens.conf
  drop_in omens-renew.service.d/credential.conf
fi

show() { systemctl show -P "$2" "$1"; }
# What the unit said since the last look.
mark=
said() { journalctl --sync && journalctl -q -o cat --no-pager -u "${1:-omens-renew.service}" ${mark:+--after-cursor="$mark"}; }
look_from_here() { journalctl --sync && mark=$(journalctl -q -n 0 --show-cursor | sed -n 's/^-- cursor: //p'); }
# run WHAT: starts the renewal and prints what became of it: result, state, exit code, `web`.
run() {
  look_from_here
  systemctl reset-failed omens-renew.service 2>/dev/null || true
  systemctl start omens-renew.service 2>/dev/null || true
  became "$1"
}
# A unit that was skipped and is unloaded since then knows of no result any more.
became() { # WHAT [CERTIFICATE]
  local result
  result=$(show omens-renew Result)
  echo "$1 ${result/exec-condition/success} $(show omens-renew ActiveState) $(show omens-renew ExecMainStatus) $(outcome "${2:-web}")"
}
# The word after the certificate's name, or what systemd says instead of running.
outcome() {
  said | sed -n "/^$1: due (/d; s/^$1: \([a-z-]*\)[:, ].*/\1/p; s/.*Skipped due to 'exec-condition'.*/skipped/p; s/.*status=\([0-9]*\/[A-Z]*\)$/\1/p" | head -n 1 | grep . || echo -
}
serial() { openssl x509 -noout -serial 2>/dev/null; }
# Whether nginx serves the very certificate that `live` names.
served() {
  local wire
  wire=$(openssl s_client -connect 127.0.0.1:443 -servername spire.funlab.casa </dev/null 2>/dev/null | serial) || wire=nothing
  if [ -e /run/omens/web/live ] && [ "$wire" = "$(serial </run/omens/web/live/cert.pem)" ]; then echo "$(readlink /run/omens/web/live) served"; else echo "not served"; fi
}
