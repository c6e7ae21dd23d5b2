#!/bin/bash
# Runs as root under a systemd of its own (tests/it/systemd.rs): OpenBao and Keylime's registrar, verifier and polled agent as units, with the
# drivers made for them. Prints one line a certificate and step: what was done, outcome, proof, error code, state of the unit, whether the wire shows the leaf that
# is published, and whether it is still the same process. KEYLIME names the directory of Keylime's virtual environments.
. /opt/guest/ca.sh
mkdir -p /etc/openbao /etc/keylime/certs
bao_up
log_in /etc/omens/secret-id

patience=3s agent= # how long OpenBao may take; the agent's id, once it has one
# settings VERIFIER-MORE REGISTRAR-MORE OPENBAO-MORE: what one step adds to a certificate.
settings() {
  {
    settings_head
    certificate openbao infrastructure file
    cat <<TOML
install = [ { dir = "/etc/openbao", fullchain = "tls.crt", key = "tls.key" } ]
reload = [ { openbao = { unit = "openbao.service" } } ]
verify = [ { tls = { address = "127.0.0.1:8300", server_name = "spire.funlab.casa", deadline = "$patience" } } ]
${3:-}
TOML
    part registrar 8891 '' "${2:-}"
    part verifier 8881 ', agents = "ignore"' "${1:-}"
    certificate agent infrastructure file
    echo 'install = [ { dir = "/etc/keylime/certs", fullchain = "agent.crt", key = "agent.key" } ]'
    [ -z "$agent" ] || cat <<TOML
reload = [ { keylime_agent = { unit = "keylime_agent.service", verifier = "https://localhost:8881", agent = "$agent", deadline = "40s", admin = { cert = "/etc/keylime/certs/verifier.crt", key = "file:/etc/keylime/certs/verifier.key" } } } ]
verify = [ { tls = { address = "127.0.0.1:8892", server_name = "spire.funlab.casa", deadline = "3s" } } ]
TOML
  } >/etc/omens/omens.toml
}
part() { # NAME PORT MORE-FOR-THE-DRIVER MORE: a server of Keylime's
  certificate "$1" "$1" file
  cat <<TOML
dns = ["localhost"]
install = [ { dir = "/etc/keylime/certs", fullchain = "$1.crt", key = "$1.key" } ]
reload = [ { keylime_$1 = { unit = "keylime_$1.service"$3 } } ]
verify = [ { tls = { address = "127.0.0.1:$2", server_name = "$1.keylime.funlab.casa", deadline = "15s" } } ]
$4
TOML
}
declare -A PORT=([openbao]=8300 [registrar]=8891 [verifier]=8881 [agent]=8892) UNIT=([openbao]=openbao [registrar]=keylime_registrar [verifier]=keylime_verifier [agent]=keylime_agent)
declare -A CN=([openbao]=spire.funlab.casa [registrar]=registrar.keylime.funlab.casa [verifier]=verifier.keylime.funlab.casa [agent]=spire.funlab.casa) PID=()
sha() { openssl x509 -noout -fingerprint -sha256 2>/dev/null; }
wire() { # NAME: whether what is served is what is published and committed
  local served='' live
  # The agent shows its certificate, and then refuses whoever has none: that is no silence.
  served=$(timeout 3 openssl s_client -connect "127.0.0.1:${PORT[$1]}" -servername "${CN[$1]}" </dev/null 2>/dev/null | sha) || true
  live=$(sha </run/omens/"$1"/live/cert.pem)
  if [ "$served" = "$live" ]; then echo agrees; elif [ -z "$served" ]; then echo silent; else echo differs; fi
}
pid() { systemctl show -P MainPID "${UNIT[$1]}"; }
# step WHAT NAMES OPTIONS...: renews and prints a line for each of NAMES.
step() {
  local what=$1 names=$2 name now
  shift 2
  [ -z "${TIMES:-}" ] || echo "$SECONDS s: $what" >&2
  # shellcheck disable=SC2086
  "$OMENS" --json renew $names "$@" >$work/out.json 2>$work/err || true
  for name in $names; do
    now=$(pid "$name")
    jq -r --arg what "$what" --arg name "$name" --arg more "$(systemctl is-active "${UNIT[$name]}" || true) $(wire "$name") $([ "$now" = "${PID[$name]:-}" ] && echo same || echo new)" \
      '.certificates[] | select(.name == $name) | [$name, $what, .outcome, (.proof // "-"), (.error.code // "-"), $more] | join(" ")' $work/out.json
    PID[$name]=$now
  done
}
drop_in() { # UNIT TEXT, or nothing to remove it
  mkdir -p $ETC/"$1".service.d
  if [ -n "${2:-}" ]; then printf '[Service]\n%s\n' "$2" >$ETC/"$1".service.d/broken.conf; else rm -f $ETC/"$1".service.d/broken.conf; fi
  systemctl daemon-reload
}
parts="registrar verifier" all="openbao registrar verifier"
settings
"$OMENS" renew --all >/dev/null 2>&1 || true
"$OMENS" install >/dev/null 2>$work/err || { cat $work/err; exit 1; }

# OpenBao: a server of its own beside the CA, with one key share.
cat >/etc/openbao/openbao.hcl <<HCL
storage "inmem" {}
listener "tcp" {
  address = "127.0.0.1:8300"
  tls_cert_file = "/etc/openbao/tls.crt"
  tls_key_file = "/etc/openbao/tls.key"
}
api_addr = "https://127.0.0.1:8300"
disable_mlock = true
HCL
printf '[Service]\nExecStart=/usr/bin/bao server -config=/etc/openbao/openbao.hcl\n' >$ETC/openbao.service
# Keylime, configured by the lab, which is ended; the units run the same programs.
"$LAB/keylime-lab.sh" up $work/keylime --mode pull --venvs "$KEYLIME" --root "$(value .root_cert)" --chain "$(value .chain)" \
  --verifier-cert /etc/keylime/certs/verifier.crt --verifier-key /etc/keylime/certs/verifier.key \
  --registrar-cert /etc/keylime/certs/registrar.crt --registrar-key /etc/keylime/certs/registrar.key \
  --client-cert /etc/keylime/certs/verifier.crt --client-key /etc/keylime/certs/verifier.key \
  --agent-cert /etc/keylime/certs/agent.crt --agent-key /etc/keylime/certs/agent.key \
  --verifier-port 8881 --registrar-port 8890 --registrar-tls-port 8891 --agent-port 8892 >$work/keylime.json 2>$work/keylime.err || { tail -n 5 $work/keylime.err; exit 125; }
"$LAB/keylime-lab.sh" down $work/keylime 2>/dev/null
for part in registrar verifier; do
  printf '#!/bin/bash\n. %s/keylime/env.sh\nexec %s/server/bin/keylime_%s\n' $work "$KEYLIME" $part >$work/keylime_$part
  chmod 755 $work/keylime_$part
  printf '[Service]\nExecStart=%s/keylime_%s\nTimeoutStopSec=5\n' $work $part >$ETC/keylime_$part.service
done
# The agent as the lab starts it, which registers and enrols it each time: the one in Python makes a new key at each start.
for part in swtpm agent; do
  printf '[Service]\nType=forking\nPIDFile=%s/keylime/run/%s.pid\nExecStart=%s/keylime-lab.sh restart %s/keylime %s\nTimeoutStartSec=120\nTimeoutStopSec=5\n' \
    $work $part "$LAB" $work $part >$ETC/keylime_$part.service
done
systemctl daemon-reload
systemctl start openbao keylime_registrar keylime_verifier
api() { curl -sS --cacert /etc/omens/root.pem --resolve spire.funlab.casa:8300:127.0.0.1 "https://spire.funlab.casa:8300/v1/sys/$1" "${@:2}"; }
for _ in {1..50}; do api seal-status >/dev/null 2>&1 && break; sleep .1; done
api init -X POST -d '{"secret_shares":1,"secret_threshold":1}' >$work/init.json
api unseal -X POST -d "{\"key\":\"$(jq -r '.keys[0]' $work/init.json)\"}" >/dev/null

step first "$all"
step happy "$all" --force
# A pair that does not fit, from a hook that spoils what is about to be published: OpenBao says nothing and keeps the old one, Keylime dies.
printf '#!/bin/sh\n: >"$OMENS_DIR/key.pem"\n' >/usr/local/bin/spoil && chmod 755 /usr/local/bin/spoil
hook='before = { exec = { command = ["/usr/local/bin/spoil"] } }'
settings "$hook" "$hook" "$hook"
step refused "$all" --force
settings
step mended "$all"
systemctl stop openbao keylime_registrar keylime_verifier
step stopped "$all" --force
systemctl start openbao keylime_registrar keylime_verifier
for _ in {1..50}; do api seal-status >/dev/null 2>&1 && break; sleep .1; done
step started "$all"
# Hung: stopped by SIGSTOP. OpenBao cannot be restarted for that, and is not; Keylime is restarted anyway.
for name in $all; do systemctl kill -s STOP --kill-whom=all "${UNIT[$name]}"; done
step hung "$all" --force
systemctl kill -s CONT --kill-whom=all openbao
step awake openbao
# Slow: it takes its signal a second later; six seconds before it even begins.
systemctl kill -s STOP --kill-whom=all openbao
(sleep 1; systemctl kill -s CONT --kill-whom=all openbao) &
for part in $parts; do drop_in keylime_$part 'ExecStartPre=/bin/sleep 6'; done
step slow "$all" --force
wait
# The old leaf after a restart that claims success: the unit goes on with copies of its own.
for part in $parts; do
  cp -L /etc/keylime/certs/$part.crt $work/$part.crt && cp -L /etc/keylime/certs/$part.key $work/$part.key
  drop_in keylime_$part "Environment=KEYLIME_${part^^}_SERVER_CERT=$work/$part.crt KEYLIME_${part^^}_SERVER_KEY=$work/$part.key"
done
step lying "$parts" --force
for part in $parts; do drop_in keylime_$part; done
step honest "$parts"
# Crash-looping: nothing that it is given makes it start, and nothing is said to be well.
loops() { # UNIT SECONDS: it ends at once, and is started again after that time
  drop_in "$1" "ExecStartPre=
ExecStart=
ExecStart=/bin/false
Type=simple
PIDFile=
Restart=always
RestartSec=$2"
  systemctl restart "$1" || true
}
for part in $parts; do loops keylime_$part 1; done
loops openbao 150
step looping "$all" --force
for part in $parts; do drop_in keylime_$part; done
# Left to systemd, it would be minutes until the next start: it is the run that starts it.
waits=$'Restart=always\nRestartSec=150'
drop_in openbao "$waits"
patience=15s
settings
step recovered "$all"
jq -r '.certificates[] | select(.name == "openbao") | "openbao told " + ([.warnings[].code] | join(" "))' $work/out.json

# The polled agent.
agent=$(jq -er .agent.uuid $work/keylime.json)
settings
systemctl start keylime_swtpm
step stopped agent --force
systemctl start keylime_agent
step started agent
drop_in keylime_agent 'ExecStartPre=/bin/sleep 6'
step slow agent --force
drop_in keylime_agent
loops keylime_agent 150
step looping agent --force
drop_in keylime_agent "$waits"
step recovered agent
# Killed anywhere in a renewal whose service is restarted: the next run, with no help, ends with one generation everywhere.
bad=0
for after in .2 .8 2 4; do
  # A shell says that its child was killed: one of its own, whose words nobody hears.
  bash -c 'timeout -s KILL "$0" "$1" renew registrar --force; :' $after "$OMENS" >/dev/null 2>&1
  "$OMENS" renew registrar >/dev/null 2>&1 || bad=$((bad + 1))
  [ "$(wire registrar)" = agrees ] && [ "$(readlink /run/omens/registrar/live)" = "$(readlink /var/lib/omens/certs/registrar/live)" ] || bad=$((bad + 1))
done
echo "killed 4 times, $bad not whole"
