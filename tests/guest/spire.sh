#!/bin/bash
# Runs as root under a systemd of its own (tests/it/systemd.rs): SPIRE's server and agent as units that log to the journal, with the drivers made
# for them. Prints one line a certificate and step: what was done, outcome, proof, error code, state of the unit, whether it is still the same
# process, and the generation whose data file SPIRE said to have read last.
. /opt/guest/ca.sh
. /opt/guest/spire-conf.sh
bao_up
log_in /etc/omens/secret-id

# settings MORE: what one step adds to both certificates.
settings() {
  {
    settings_head
    certificate server infrastructure file
    driver server a_cert a_key ', ca = "ca_bundle_path", data = { agent_path_template = "/x509pop/cn/{{ .Subject.CommonName }}" }'
    printf '%s\n' "${1:-}"
    certificate agent infrastructure file
    driver agent certificate_path private_key_path ''
    printf '%s\n' "${1:-}"
  } >/etc/omens/omens.toml
}
driver() { # PART CERT KEY MORE
  printf 'reload = [ { spire_%s = { unit = "spire-%s.service", plugin = { kind = "NodeAttestor", name = "x509pop", cert = "%s", key = "%s"%s } } } ]\n' "$1" "$1" "$2" "$3" "$4"
}
data() { echo "/run/omens/$1/spire-NodeAttestor-x509pop.json"; }
agent_conf() { spire_conf agent "  NodeAttestor \"x509pop\" { $1 }"; } # what its attestor is told
# By a link, so that the server can be given another file while it runs.
told=/etc/spire/server.json
ln -s "$(data server)" $told
spire_conf server "  NodeAttestor \"x509pop\" { plugin_data_file = \"$told\" }"
agent_conf "plugin_data_file = \"$(data agent)\""
spire_units

declare -A PID=()
# The generation that the last line about the plugin means, by the hash that SPIRE gives of its data file.
read_last() {
  local hash file
  journalctl --sync
  hash=$(journalctl -q -o cat --no-pager -u "spire-$1" | grep 'plugin_name=x509pop' | grep -oE '(new_hash|[^_]hash)=[0-9a-f]+' | tail -n 1 | sed 's/.*=//')
  for file in /run/omens/"$1"/gen-*/spire-NodeAttestor-x509pop.json; do
    [ "$(sha512sum "$file" | cut -c -32)" != "$hash" ] || { file=${file%/*}; echo "${file##*/}"; return; }
  done
  echo -
}
step() { # WHAT NAMES OPTIONS...
  local what=$1 names=$2 name now read
  shift 2
  [ -z "${TIMES:-}" ] || echo "$SECONDS s: $what" >&2
  # shellcheck disable=SC2086
  "$OMENS" --json renew $names "$@" >$work/out.json 2>$work/err || true
  for name in $names; do
    now=$(systemctl show -P MainPID "spire-$name")
    read=$(read_last "$name")
    [ "$read" = - ] || { [ "$read" = "$(readlink /run/omens/"$name"/live)" ] && read=live; }
    jq -r --arg what "$what" --arg name "$name" --arg more "$(systemctl is-active "spire-$name" || true) $([ "$now" = "${PID[$name]:-}" ] && echo same || echo new) $read" \
      '.certificates[] | select(.name == $name) | [$name, $what, .outcome, (.proof // "-"), (.error.code // "-"), $more] | join(" ")' $work/out.json
    PID[$name]=$now
  done
}
both="server agent"
settings
step issued "$both"
spire_up
step first "$both"
step happy "$both" --force
# The agent's attestor looks at its pair, the server's at its roots: a hook spoils what is about to be published.
printf '#!/bin/sh\n: >"$OMENS_DIR/key.pem"\n[ $OMENS_NAME = agent ] || : >"$OMENS_DIR/anchors.pem"\n' >/usr/local/bin/spoil && chmod 755 /usr/local/bin/spoil
settings 'before = { exec = { command = ["/usr/local/bin/spoil"] } }'
step refused "$both" --force
settings
step mended "$both"
systemctl stop spire-agent spire-server
step stopped "$both" --force
spire_up
step started "$both"
# Hung: it takes no signal, and its log, which tells of each one, says nothing. It is not started anew for that.
for name in $both; do systemctl kill -s STOP "spire-$name"; done
step hung "$both" --force
for name in $both; do systemctl kill -s CONT "spire-$name"; done
step awake "$both"
# Slow: it takes its signal two seconds later.
for name in $both; do systemctl kill -s STOP "spire-$name"; done
(sleep 2; systemctl kill -s CONT spire-server spire-agent) &
step slow "$both" --force
wait
# A signal that is taken, and data that are read at the start only.
agent_conf "plugin_data { certificate_path = \"/run/omens/agent/live/fullchain.pem\" private_key_path = \"/run/omens/agent/live/key.pem\" }"
systemctl restart spire-agent
step inline agent --force
agent_conf "plugin_data_file = \"$(data agent)\""
systemctl restart spire-agent
step outside agent
# The server takes the signal, says that all is well, and goes on with the data of before: its file is a copy of its own.
cp --remove-destination "$(data server)" $told
step lying server --force
ln -sf "$(data server)" $told
step honest server
# Crash-looping: nothing that it is given makes it start; then for want of a key, which is published again.
looping() { # NAME MORE
  mkdir -p $ETC/"spire-$1".service.d
  printf '[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=3\n%s\n' "${2:-}" >$ETC/"spire-$1".service.d/looping.conf
  systemctl daemon-reload
  systemctl restart "spire-$1" || true
  for _ in {1..100}; do [ "$(systemctl show -P SubState "spire-$1")" != auto-restart ] || return 0; sleep .1; done
}
for name in $both; do looping "$name" $'ExecStart=\nExecStart=/bin/false'; done
step looping "$both" --force
for name in $both; do rm $ETC/"spire-$name".service.d/looping.conf; done
systemctl daemon-reload
spire_up
step recovered "$both"
: >/run/omens/agent/live/key.pem
looping agent
step healed agent
# Attested, after all of this, as the same node.
spire agent list | grep -o 'spiffe://.*'
bao_down
