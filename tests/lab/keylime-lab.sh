#!/usr/bin/env bash
# keylime-lab.sh: a real Keylime on loopback, from PyPI and Debian packages only.
#
#   keylime-lab.sh up      STATE_DIR [options]    build if needed, start, print one JSON line on stdout
#   keylime-lab.sh status  STATE_DIR              the same JSON line; exit 0 all running, 4 not (all) running
#   keylime-lab.sh restart STATE_DIR NAME         NAME = verifier | registrar | agent | swtpm ("systemctl restart")
#   keylime-lab.sh tenant  STATE_DIR ARGS...      keylime_tenant with this lab's configuration
#   keylime-lab.sh down    STATE_DIR              stop what `up` started, and nothing else
#
# Modes
#   --mode push   (default) verifier 7.14.3 with push attestation on, registrar 7.14.3, a software TPM with an EK
#                 certificate. No agent: your own attestation client is the agent (registrar API, then v3 sessions
#                 and attestations). Enrol its UUID once it has registered and activated itself:
#                   keylime-lab.sh tenant DIR -c add --push-model -u UUID --tpm_policy '{"23":["<64 hex zeros>"]}'
#                 (a PCR policy is needed: with an empty one the verifier asks for no evidence and never passes)
#   --mode pull   the same verifier and registrar polling the last Python agent (PyPI keylime 6.6.0); `up` enrols it
#                 and returns when its attestation has really passed.
#
# Options of `up` (kept in STATE_DIR/lab.env for the next `up`)
#   --fresh                      forget databases, TPM state, own certificates and ports; keep the virtual environments
#   --venvs DIR                  where the two virtual environments live (default STATE_DIR/venvs): share or cache it
#   --python BIN                 interpreter for them (default python3; tried with 3.11)
#   --root F --chain F           anchor, and intermediate+root file that verifier and registrar trust for clients
#   --verifier-cert F --verifier-key F  --registrar-cert F --registrar-key F  --client-cert F --client-key F
#   --agent-cert F --agent-key F        (pull mode; the Python agent takes RSA keys only)
#                                The files are used where they lie, so replacing them and `restart NAME` is a renewal.
#                                What is not given the lab makes itself in STATE_DIR/pki: root 'Eye of Thundera' ->
#                                intermediate 'Book of Omens' -> leaves, with the CA keys beside them (root.key,
#                                int.key). With a --root of yours, give all pairs.
#   --verifier-port N --registrar-port N --registrar-tls-port N --agent-port N --tpm-port N   (default: free ports)
#   --tcti TCTI [--ek-store DIR] a TPM of yours instead of swtpm, with the directory of its EK CA certificates
#                                (without --ek-store the tenant does not check EK certificates)
#   --quote-interval S           seconds between attestations (default 1)
#   --no-agent                   pull mode without the Python agent
# Any other option of Keylime can be set from the environment of `up` and `restart`, e.g.
#   KEYLIME_VERIFIER_SESSION_LIFETIME=5  KEYLIME_VERIFIER_AUTO_RECOVER_ATTESTATION_FAILURES=True
#
#   OMENS_LAB_PARENT=PID         stop everything once that process is gone (a killed test leaves nothing behind)
#
# Needs: bash, coreutils >= 8.31, util-linux, openssl, curl, python3 >= 3.9 with venv; swtpm and swtpm-tools (unless --tcti);
# tpm2-tools and libtss2-tcti-swtpm0 for pull mode; PyPI for the first `up`. A measured-boot policy also needs tpm2-tools
# and libefivar1, because the verifier parses the event log with them.
# Exit codes: 0 ok, 1 failed, 2 usage, 4 not running, 125 something is missing (named). Progress and errors go to stderr.
# Everything listens on 127.0.0.1. Root is not needed. Processes are started with default signal dispositions, so
# SIGHUP behaves as it does under systemd.
set -euo pipefail

KEYLIME=7.14.3 KEYLIME_AGENT=6.6.0
# The wheels declare no dependencies; these versions are the ones this lab was run with.
COMMON="alembic==1.20.1 cryptography==50.0.2 Jinja2==3.1.6 jsonschema==4.26.0 lark==1.3.1 packaging==26.3
 psutil==7.2.2 pyasn1==0.6.5 pyasn1_modules==0.4.2 PyYAML==6.0.3 pyzmq==27.3.0 requests==2.34.2 tornado==6.6.1"
SERVER_DEPS="SQLAlchemy==2.1.9" AGENT_DEPS="SQLAlchemy==1.4.54 alembic==1.19.2 simplejson==4.3.0"

say() { printf 'keylime-lab: %s\n' "$*" >&2; }
die() { local rc=$1; shift; say "$*"; exit "$rc"; }
usage() { sed -n '2,/^set -euo/p' "$0" | sed -e '$d' -e 's/^# \{0,1\}//' >&2; exit 2; }

# ---------------------------------------------------------------------------------------------- arguments
[ $# -ge 2 ] || usage
CMD=$1 DIR=$2; shift 2
case $CMD in up|status|restart|tenant|down) ;; *) usage ;; esac

# Settings hold what was asked for, empty = the lab's own. Options of `up` override lab.env, --fresh forgets it.
SETTINGS="MODE VENVS PY ROOT CHAIN VCERT VKEY RCERT RKEY CCERT CKEY ACERT AKEY VPORT RPORT RTLS APORT TPORT TCTI
 EKSTORE QI AGENT"
MODE=push VENVS='' PY=python3 ROOT='' CHAIN='' VCERT='' VKEY='' RCERT='' RKEY='' CCERT='' CKEY='' ACERT='' AKEY=''
VPORT='' RPORT='' RTLS='' APORT='' TPORT='' TCTI='' EKSTORE='' QI=1 AGENT=yes

mkdir -p "$DIR" 2>/dev/null || die 1 "cannot create $DIR"
S=$(cd "$DIR" && pwd -P)
case $S in *[[:space:]]*) die 2 "no blanks in the state directory, please: $S" ;; esac
FRESH=no
for opt in "$@"; do if [ "$CMD" = up ] && [ "$opt" = --fresh ]; then FRESH=yes; fi; done
# shellcheck source=/dev/null
if [ "$FRESH" = yes ]; then
  [ ! -f "$S/lab.env" ] || VENVS=$(. "$S/lab.env" && printf %s "$VENVS")
elif [ -f "$S/lab.env" ]; then . "$S/lab.env"
elif [ "$CMD" != up ]; then die 4 "no lab in $S"; fi

abspath() { [ -e "$1" ] || die 2 "no such file: $1"; printf '%s/%s\n' "$(cd "$(dirname "$1")" && pwd -P)" "$(basename "$1")"; }
if [ "$CMD" = up ]; then
  while [ $# -gt 0 ]; do
    opt=$1; shift
    case $opt in
      --fresh) continue ;;
      --no-agent) AGENT=no; continue ;;
      --mode|--venvs|--python|--root|--chain|--verifier-*|--registrar-*|--client-*|--agent-*|--tpm-port|--tcti|--ek-store|--quote-interval)
        [ $# -gt 0 ] || die 2 "$opt needs a value" ;;
      *) die 2 "unknown option $opt (try without arguments for help)" ;;
    esac
    val=$1; shift
    case $opt in
      --mode) case $val in push|pull) MODE=$val ;; *) die 2 "--mode push or --mode pull" ;; esac ;;
      --venvs) mkdir -p "$val"; VENVS=$(abspath "$val") ;;
      --python) PY=$val ;;
      --root) ROOT=$(abspath "$val") ;;
      --chain) CHAIN=$(abspath "$val") ;;
      --verifier-cert) VCERT=$(abspath "$val") ;;
      --verifier-key) VKEY=$(abspath "$val") ;;
      --registrar-cert) RCERT=$(abspath "$val") ;;
      --registrar-key) RKEY=$(abspath "$val") ;;
      --client-cert) CCERT=$(abspath "$val") ;;
      --client-key) CKEY=$(abspath "$val") ;;
      --agent-cert) ACERT=$(abspath "$val") ;;
      --agent-key) AKEY=$(abspath "$val") ;;
      --verifier-port) VPORT=$val ;;
      --registrar-port) RPORT=$val ;;
      --registrar-tls-port) RTLS=$val ;;
      --agent-port) APORT=$val ;;
      --tpm-port) TPORT=$val ;;
      --tcti) TCTI=$val ;;
      --ek-store) EKSTORE=$(abspath "$val") ;;
      --quote-interval) QI=$val ;;
      *) die 2 "unknown option $opt" ;;
    esac
  done
fi
[ -n "$VENVS" ] || VENVS=$S/venvs
python_agent() { [ "$MODE" = pull ] && [ "$AGENT" = yes ]; }
root=${ROOT:-$S/pki/root.crt} chain=${CHAIN:-$S/pki/ca-chain.crt}
vcert=${VCERT:-$S/pki/verifier.crt} vkey=${VKEY:-$S/pki/verifier.key}
rcert=${RCERT:-$S/pki/registrar.crt} rkey=${RKEY:-$S/pki/registrar.key}
ccert=${CCERT:-$S/pki/client.crt} ckey=${CKEY:-$S/pki/client.key}
acert=${ACERT:-$S/pki/agent.crt} akey=${AKEY:-$S/pki/agent.key}
tcti=$TCTI; [ -n "$tcti" ] || tcti=swtpm:host=127.0.0.1,port=$TPORT

# ---------------------------------------------------------------------------------------------- processes
# A process is ours when it carries this directory in its environment and sits in the process group we made for it.
# Keylime's main process ignores TERM on purpose and its shared-memory manager too, so the whole group is signalled,
# process by process, and what is left after a while is killed.
members() { # NAME -> pids of our live processes of that name
  local name=$1 pgid p state group
  [ -f "$S/run/$name.pid" ] || return 0
  pgid=$(cat "$S/run/$name.pid")
  { cat /proc/[0-9]*/stat 2>/dev/null || true; } |
    sed -n 's/^\([0-9]*\) (.*) \([A-Za-z]\) [0-9]* \([0-9]*\) .*/\1 \2 \3/p' |
    while read -r p state group; do
      if [ "$group" != "$pgid" ] || [ "$state" = Z ]; then continue; fi
      if grep -Fxqz "KEYLIME_LAB=$S" "/proc/$p/environ" 2>/dev/null; then echo "$p"; fi
    done
}
signal() { # SIGNAL NAME
  local p; for p in $(members "$2"); do kill "-$1" "$p" 2>/dev/null || true; done
}
start() { # NAME COMMAND...   (own session and group; signals at their defaults, as under systemd)
  local name=$1; shift
  mkdir -p "$S/run" "$S/log"
  env --default-signal=HUP,INT,QUIT,TERM KEYLIME_LAB="$S" setsid "$@" >>"$S/log/$name.log" 2>&1 </dev/null &
  echo $! >"$S/run/$name.pid"
}
stop() { # NAME
  local name=$1
  [ -n "$(members "$name")" ] || { rm -f "$S/run/$name.pid"; return 0; }
  if [ "$name" = swtpm ] && command -v tpm2_shutdown >/dev/null; then
    # Orderly, as the kernel does it at reboot. Without it the TPM's clock goes back, and the verifier fails the next
    # quote ("clock timestamp ... did not increase"): kill -9 of swtpm is this lab's power cut.
    TPM2TOOLS_TCTI=$tcti timeout 5 tpm2_shutdown -c 2>/dev/null || true
  fi
  signal TERM "$name"
  for _ in $(seq 80); do [ -n "$(members "$name")" ] || break; sleep 0.1; done
  if [ -n "$(members "$name")" ]; then signal KILL "$name"; sleep 0.3; fi
  [ -z "$(members "$name")" ] || die 1 "$name does not stop: $(members "$name" | tr '\n' ' ')"
  rm -f "$S/run/$name.pid"
}
await() { # NAME SECONDS COMMAND...   waits until COMMAND succeeds; gives up early if the process is gone
  local name=$1 secs=$2; shift 2
  for _ in $(seq $((secs * 10))); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    [ -n "$(members "$name")" ] || break
    sleep 0.1
  done
  tail -n 15 "$S/log/$name.log" >&2 || true
  die 1 "$name did not come up: $*  (log: $S/log/$name.log)"
}

# ---------------------------------------------------------------------------------------------- what is needed
check_installed() {
  local missing='' c
  for c in openssl:openssl curl:curl setsid:util-linux; do
    command -v "${c%%:*}" >/dev/null || missing="$missing ${c##*:}"
  done
  if [ -z "$TCTI" ]; then
    command -v swtpm >/dev/null || missing="$missing swtpm"
    { command -v swtpm_setup && command -v swtpm_localca; } >/dev/null || missing="$missing swtpm-tools"
  fi
  if python_agent; then
    command -v tpm2_quote >/dev/null || missing="$missing tpm2-tools"
    # Not -q: it would end before ldconfig does, and that would be a failure of the two.
    ldconfig -p 2>/dev/null | grep libtss2-tcti-swtpm >/dev/null || missing="$missing libtss2-tcti-swtpm0"
  fi
  [ -z "$missing" ] || die 125 "missing: Debian packages$missing    (apt-get install$missing)"
  command -v "$PY" >/dev/null || die 125 "missing: $PY   (apt-get install python3)"
  "$PY" -c 'import venv, ensurepip' 2>/dev/null || die 125 "missing: venv for $PY   (apt-get install python3-venv)"
  "$PY" -c 'import sys; sys.exit(sys.version_info < (3, 9))' || die 125 "missing: $PY is older than 3.9"
  env --default-signal=HUP true 2>/dev/null || die 125 "missing: env of coreutils 8.31 or newer"
}
# Labs that start at the same time share the environments: one installs, the others wait. The lock ends with the subshell, so that no
# daemon of the lab inherits it.
make_venv() { # DIR REQUIREMENTS...
  mkdir -p "$(dirname "$1")"
  (flock 9; install_venv "$@") 9>"$1.lock"
}
install_venv() { # DIR REQUIREMENTS...
  local v=$1; shift
  [ "$(cat "$v/.ready" 2>/dev/null)" = "$*" ] && return 0
  say "installing $1 into $v"
  rm -rf "$v"; "$PY" -m venv "$v" || die 125 "missing: $PY -m venv failed"
  "$v/bin/pip" -q --disable-pip-version-check install "$@" >&2 || die 125 "missing: pip could not install: $*"
  # `import gpg` is unconditional in Keylime, but only PGP-signed policies use it; the binding is not on PyPI as a wheel.
  "$v/bin/python" -c 'import gpg' 2>/dev/null ||
    printf 'def __getattr__(name):\n    raise ImportError("no gpg in this lab: PGP-signed policies do not work")\n' \
      >"$("$v/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/gpg.py"
  echo "$*" >"$v/.ready"
}

# ---------------------------------------------------------------------------------------------- certificates
own_ca() {
  local p=$S/pki; mkdir -p "$p"; chmod 700 "$p"
  [ -f "$p/ca-chain.crt" ] && return 0
  say "making root 'Eye of Thundera' and intermediate 'Book of Omens'"
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$p/root.key" 2>/dev/null
  openssl req -x509 -new -key "$p/root.key" -sha256 -days 3650 -subj "/O=Funlab.Casa/CN=Eye of Thundera" -out "$p/root.crt" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$p/int.key" 2>/dev/null
  openssl req -new -key "$p/int.key" -subj "/O=Funlab.Casa/CN=Book of Omens" -out "$p/int.csr"
  printf '%s\n' basicConstraints=critical,CA:TRUE,pathlen:0 keyUsage=critical,keyCertSign,cRLSign \
    subjectKeyIdentifier=hash authorityKeyIdentifier=keyid >"$p/int.ext"
  openssl x509 -req -in "$p/int.csr" -CA "$p/root.crt" -CAkey "$p/root.key" -CAcreateserial -days 1825 -sha256 \
    -extfile "$p/int.ext" -out "$p/int.crt" 2>/dev/null
  cat "$p/int.crt" "$p/root.crt" >"$p/ca-chain.crt"
}
leaf() { # NAME COMMON_NAME EKU rsa|ec   -> NAME.key, NAME.crt (leaf then intermediate), two days
  local p=$S/pki n=$1 cn=$2 eku=$3
  [ -f "$p/$n.crt" ] && openssl x509 -in "$p/$n.crt" -noout -checkend 7200 >/dev/null && return 0
  if [ "$4" = rsa ]; then openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$p/$n.key" 2>/dev/null
  else openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$p/$n.key" 2>/dev/null; fi
  openssl req -new -key "$p/$n.key" -subj "/CN=$cn" -out "$p/$n.csr"
  printf '%s\n' basicConstraints=critical,CA:FALSE keyUsage=critical,digitalSignature "extendedKeyUsage=$eku" \
    "subjectAltName=DNS:$cn,DNS:localhost,IP:127.0.0.1" subjectKeyIdentifier=hash authorityKeyIdentifier=keyid >"$p/$n.ext"
  openssl x509 -req -in "$p/$n.csr" -CA "$p/int.crt" -CAkey "$p/int.key" -CAcreateserial -days 2 -sha256 \
    -extfile "$p/$n.ext" -out "$p/$n.leaf" 2>/dev/null
  cat "$p/$n.leaf" "$p/int.crt" >"$p/$n.crt"; rm -f "$p/$n.leaf" "$p/$n.csr" "$p/$n.ext"
}
certificates() {
  local c missing=''
  for c in VCERT VKEY RCERT RKEY CCERT CKEY ACERT AKEY; do
    case $c in A*) python_agent || continue ;; esac
    [ -n "${!c}" ] || missing="$missing $c"
  done
  if [ -n "$ROOT$CHAIN" ]; then
    if [ -z "$ROOT" ] || [ -z "$CHAIN" ]; then die 2 "--root and --chain go together"; fi
    [ -z "$missing" ] || die 2 "with a --root of yours, give all pairs; not given:$missing"
  else
    own_ca
    [ -n "$VCERT" ] || leaf verifier verifier.keylime.funlab.casa serverAuth ec
    [ -n "$RCERT" ] || leaf registrar registrar.keylime.funlab.casa serverAuth ec
    # THE administrator certificate of Keylime: the verifier's own client certificate and the tenant's.
    [ -n "$CCERT" ] || leaf client tenant.keylime.funlab.casa clientAuth ec
    # serverAuth only: with clientAuth an agent would be a Keylime administrator.
    [ -n "$ACERT" ] || leaf agent agent.keylime.funlab.casa serverAuth rsa
  fi
  pair "$vcert" "$vkey"; pair "$rcert" "$rkey"; pair "$ccert" "$ckey"
  if python_agent; then pair "$acert" "$akey"; fi
}
pair() { # CERT KEY
  local c k
  c=$(openssl x509 -in "$1" -noout -pubkey) || die 1 "cannot read certificate $1"
  k=$(openssl pkey -in "$2" -pubout) || die 1 "cannot read key $2"
  [ "$c" = "$k" ] || die 1 "key and certificate do not match: $1 $2"
}

# ---------------------------------------------------------------------------------------------- ports and settings
ports() { # fills what was not given with free loopback ports (swtpm needs two in a row)
  local got
  got=$("$PY" - <<'PY'
import socket
held = []
def free(n):
    while True:
        a = socket.socket(); a.bind(("127.0.0.1", 0)); p = a.getsockname()[1]
        if n == 1: held.append(a); return p
        b = socket.socket()
        try: b.bind(("127.0.0.1", p + 1)); held.extend((a, b)); return p
        except OSError: a.close()
print(free(1), free(1), free(1), free(1), free(2))
PY
  ) || die 1 "no free ports"
  # shellcheck disable=SC2086
  set -- $got
  VPORT=${VPORT:-$1} RPORT=${RPORT:-$2} RTLS=${RTLS:-$3} APORT=${APORT:-$4} TPORT=${TPORT:-$5}
  [ -n "$TCTI" ] || tcti=swtpm:host=127.0.0.1,port=$TPORT
}
save() {
  local k; for k in $SETTINGS; do printf '%s=%q\n' "$k" "${!k}"; done >"$S/lab.env.new"
  mv "$S/lab.env.new" "$S/lab.env"
}
quoted() { # Python list literal: Keylime dies of a bare file name here
  local out='' f; for f in "$@"; do out="$out, '$f'"; done; printf '[%s]' "${out#, }"
}
configure() {
  local store=${EKSTORE:-$S/ek-store} require=True ca
  mkdir -p "$S/etc" "$S/work" "$S/log" "$S/run" "$S/ek-store"
  if [ -n "$TCTI" ] && [ -z "$EKSTORE" ]; then require=False; fi
  ca=$(quoted "$chain")
  # No comments inside these files: Keylime's parser keeps inline ones as part of the value.
  cat >"$S/etc/registrar.conf" <<E
[registrar]
version = 2.6
ip = "127.0.0.1"
port = $RPORT
tls_port = $RTLS
tls_dir = $S/work
server_key = $rkey
server_cert = $rcert
trusted_client_ca = $ca
database_url = sqlite:///$S/work/registrar.sqlite
auto_migrate_db = True
max_workers = 1
signed_attributes = ek_tpm,aik_tpm,ekcert
E
  cat >"$S/etc/verifier.conf" <<E
[verifier]
version = 2.6
uuid = default
mode = $MODE
ip = "127.0.0.1"
port = $VPORT
registrar_ip = 127.0.0.1
registrar_port = $RTLS
enable_agent_mtls = True
tls_dir = $S/work
server_key = $vkey
server_cert = $vcert
trusted_client_ca = $ca
client_key = $ckey
client_cert = $ccert
trusted_server_ca = $ca
database_url = sqlite:///$S/work/verifier.sqlite
auto_migrate_db = True
max_workers = 1
quote_interval = $QI
exponential_backoff = True
retry_interval = 2
max_retries = 5
request_timeout = 60.0
verification_timeout = 0
challenge_lifetime = 1800
session_lifetime = 180
extend_token_on_attestation = True
auto_recover_attestation_failures = False
session_create_rate_limit_per_agent = 1000
session_create_rate_limit_per_ip = 1000
measured_boot_imports = []
measured_boot_policy_name = accept-all
measured_boot_evaluate = once
severity_labels = ["info", "notice", "warning", "error", "critical", "alert", "emergency"]
severity_policy = [{"event_id": ".*", "severity_label" : "emergency"}]
[revocations]
enabled_revocation_notifications = []
E
  cat >"$S/etc/tenant.conf" <<E
[tenant]
version = 2.6
verifier_ip = 127.0.0.1
verifier_port = $VPORT
registrar_ip = 127.0.0.1
registrar_port = $RTLS
tls_dir = $S/work
enable_agent_mtls = True
client_key = $ckey
client_cert = $ccert
trusted_server_ca = $ca
tpm_cert_store = $store
accept_tpm_hash_algs = ['sha512', 'sha384', 'sha256']
accept_tpm_encryption_algs = ['ecc', 'rsa']
accept_tpm_signing_algs = ['ecdsa', 'ecschnorr', 'rsassa']
require_ek_cert = $require
E
  cat >"$S/etc/logging.conf" <<'E'
[logging]
version = 2.6
[loggers]
keys = root,keylime
[handlers]
keys = consoleHandler
[formatters]
keys = formatter
[formatter_formatter]
format = %(asctime)s.%(msecs)03d - %(name)s - %(levelname)s - %(message)s
datefmt = %Y-%m-%d %H:%M:%S
[logger_root]
level = INFO
handlers = consoleHandler
[handler_consoleHandler]
class = StreamHandler
level = INFO
formatter = formatter
args = (sys.stdout,)
[logger_keylime]
level = INFO
qualname = keylime
handlers =
E
  printf '%s\n' '[ca]' 'version = 2.6' 'cert_country = US' 'cert_ca_name = x' 'cert_state = x' 'cert_locality = x' \
    'cert_organization = x' 'cert_org_unit = x' 'cert_ca_lifetime = 3650' 'cert_lifetime = 365' 'cert_bits = 2048' \
    'password = default' >"$S/etc/ca.conf"
  cat >"$S/env.sh" <<E
export KEYLIME_DIR=$S/work KEYLIME_CA_CONFIG=$S/etc/ca.conf KEYLIME_LOGGING_CONFIG=$S/etc/logging.conf
export KEYLIME_REGISTRAR_CONFIG=$S/etc/registrar.conf KEYLIME_VERIFIER_CONFIG=$S/etc/verifier.conf KEYLIME_TENANT_CONFIG=$S/etc/tenant.conf
E
  python_agent || return 0
  mkdir -p "$S/work-agent/cv_ca"; cp "$chain" "$S/work-agent/cv_ca/cacert.crt"
  cat >"$S/etc/agent.conf" <<E
[agent]
version = 2.0
uuid = "hash_ek"
ip = "127.0.0.1"
port = $APORT
contact_ip = "127.0.0.1"
contact_port = $APORT
registrar_ip = "127.0.0.1"
registrar_port = $RPORT
enable_agent_mtls = true
tls_dir = "default"
server_key = "$akey"
server_key_password = ""
server_cert = "$acert"
trusted_client_ca = ["$chain"]
enc_keyname = "derived_tci_key"
dec_payload_file = "decrypted_payload"
secure_size = "1m"
tpm_ownerpassword = "keylime"
extract_payload_zip = true
enable_revocation_notifications = false
revocation_notification_ip = "127.0.0.1"
revocation_notification_port = 8992
revocation_cert = "default"
revocation_actions = []
revocation_actions_dir = "/usr/libexec/keylime"
payload_script = ""
enable_insecure_payload = false
measure_payload_pcr = -1
exponential_backoff = true
retry_interval = 2
max_retries = 4
tpm_hash_alg = "sha256"
tpm_encryption_alg = "rsa"
tpm_signing_alg = "rsassa"
ek_handle = "generate"
run_as = ""
E
  # What lies between the last Python agent and a 7.14 registrar: it sends no Content-Type, leaves ek_tpm out when it
  # has an EK certificate, and marks a TPM without one as "emulator".
  cat >"$S/etc/agent-launcher.py" <<'E'
import json
import requests
from keylime import registrar_client

ek = {}
send = requests.Session.request


def request(self, method, url, **kw):
    headers = dict(kw.get("headers") or {})
    headers.setdefault("Content-Type", "application/json")
    kw["headers"] = headers
    if method.upper() == "POST" and "/agents/" in url and kw.get("data"):
        body = json.loads(kw["data"])
        if "aik_tpm" in body:
            if body.get("ekcert") == "emulator":
                body["ekcert"] = None
            body.setdefault("ek_tpm", ek.get("ek"))
            kw["data"] = json.dumps(body)
    return send(self, method, url, **kw)


requests.Session.request = request
register = registrar_client.doRegisterAgent


def remember_ek(ip, port, agent_id, ek_tpm, *rest, **kw):
    ek["ek"] = ek_tpm.decode() if isinstance(ek_tpm, bytes) else ek_tpm
    return register(ip, port, agent_id, ek_tpm, *rest, **kw)


registrar_client.doRegisterAgent = remember_ek
from keylime.cmd.agent import main  # noqa: E402

main()
E
}

# ---------------------------------------------------------------------------------------------- the parts
admin() { # curl as the administrator
  curl -sf -m 10 --cacert "$chain" --cert "$ccert" --key "$ckey" "$@"
}
start_swtpm() {
  local runas=()
  [ -z "$TCTI" ] || return 0
  # root's swtpm_setup would otherwise become the user tss, who cannot enter this directory
  if [ "$(id -u)" = 0 ]; then runas=(--runas root); fi
  if [ ! -f "$S/tpm/ready" ]; then
    say "making a TPM with an EK certificate"
    mkdir -p "$S/tpm/state" "$S/tpm/ca"
    printf '%s\n' "statedir = $S/tpm/ca" "signingkey = $S/tpm/ca/signkey.pem" "issuercert = $S/tpm/ca/issuercert.pem" \
      "certserial = $S/tpm/ca/certserial" >"$S/tpm/localca.conf"
    printf '%s\n' '--platform-manufacturer lab' '--platform-version 1' '--platform-model lab' >"$S/tpm/localca.options"
    printf '%s\n' "create_certs_tool = $(command -v swtpm_localca)" "create_certs_tool_config = $S/tpm/localca.conf" \
      "create_certs_tool_options = $S/tpm/localca.options" >"$S/tpm/setup.conf"
    swtpm_setup --tpm2 --tpmstate "$S/tpm/state" --config "$S/tpm/setup.conf" --create-ek-cert --lock-nvram \
      --pcr-banks sha256 --overwrite "${runas[@]}" >"$S/log/swtpm_setup.log" 2>&1 ||
      { tail -n 15 "$S/log/swtpm_setup.log" >&2; die 1 "swtpm_setup failed"; }
    cp "$S/tpm/ca/issuercert.pem" "$S/tpm/ca/swtpm-localca-rootca-cert.pem" "$S/ek-store/"
    : >"$S/tpm/ready"
  fi
  start swtpm swtpm socket --tpm2 --tpmstate "dir=$S/tpm/state" --server "type=tcp,port=$TPORT,bindaddr=127.0.0.1" \
    --ctrl "type=tcp,port=$((TPORT + 1)),bindaddr=127.0.0.1" --flags not-need-init,startup-clear
  await swtpm 10 "$PY" -c "import socket; socket.create_connection(('127.0.0.1', $((TPORT + 1))), 1)"
}
start_registrar() {
  # shellcheck source=/dev/null
  (. "$S/env.sh"; start registrar "$VENVS/server/bin/keylime_registrar")
  await registrar 40 curl -sf -m 2 "http://127.0.0.1:$RPORT/version"
  await registrar 10 curl -sf -m 2 --cacert "$chain" -o /dev/null "https://localhost:$RTLS/version"
}
start_verifier() {
  # shellcheck source=/dev/null
  (. "$S/env.sh"; start verifier "$VENVS/server/bin/keylime_verifier")
  # /version answers 410 in push mode, so ask for the list of agents, as the administrator
  await verifier 40 admin "https://localhost:$VPORT/v2.6/agents/"
}
tenant() {
  # shellcheck source=/dev/null
  (. "$S/env.sh"; exec "$VENVS/server/bin/keylime_tenant" "$@")
}
start_agent() {
  local uuid=''
  python_agent || return 0
  # The Python agent makes a new attestation key at each start; the registrar then answers 403 until its old
  # registration is gone. Transient objects of an agent that was killed stay in a TPM without resource manager.
  if [ -f "$S/agent.uuid" ]; then
    uuid=$(cat "$S/agent.uuid")
    for _ in $(seq 50); do
      admin -X DELETE "https://localhost:$VPORT/v2.6/agents/$uuid" >/dev/null 2>&1 || break
      sleep 0.2
    done
    admin -X DELETE "https://localhost:$RTLS/v2.6/agents/$uuid" >/dev/null 2>&1 || true
  fi
  TPM2TOOLS_TCTI=$tcti tpm2_flushcontext -t 2>/dev/null || true
  TPM2TOOLS_TCTI=$tcti tpm2_flushcontext -l 2>/dev/null || true
  : >"$S/log/agent.log"
  start agent env KEYLIME_TEST=1 "KEYLIME_DIR=$S/work-agent" "KEYLIME_AGENT_CONFIG=$S/etc/agent.conf" \
    "KEYLIME_CA_CONFIG=$S/etc/ca.conf" "KEYLIME_LOGGING_CONFIG=$S/etc/logging.conf" "KEYLIME_TENANT_CONFIG=$S/etc/tenant.conf" \
    "TPM2TOOLS_TCTI=$tcti" "PATH=$VENVS/agent/bin:$PATH" "$VENVS/agent/bin/python" "$S/etc/agent-launcher.py"
  await agent 60 grep -q 'Starting Cloud Agent' "$S/log/agent.log"
  uuid=$(sed -n '/Agent UUID: /{s/.*Agent UUID: \([0-9a-f-]*\).*/\1/p;q}' "$S/log/agent.log")
  [ -n "$uuid" ] || die 1 "the agent did not say its UUID ($S/log/agent.log)"
  echo "$uuid" >"$S/agent.uuid"
  say "enrolling $uuid"
  tenant -c add -t 127.0.0.1 -tp "$APORT" -u "$uuid" >"$S/log/tenant.log" 2>&1 ||
    { tail -n 5 "$S/log/tenant.log" >&2; die 1 "keylime_tenant -c add failed"; }
  await agent 60 attested "$uuid"
}
attested() { # UUID: the verifier goes on saying PASS of an agent that has fallen silent, so the time of the last attestation decides
  admin "https://localhost:$VPORT/v2.6/agents/$1" | "$PY" -c '
import json, sys, time
r = json.load(sys.stdin)["results"]
sys.exit(not (r["attestation_status"] == "PASS" and r["last_successful_attestation"] > 0
              and time.time() - r["last_successful_attestation"] < 10))'
}

# ---------------------------------------------------------------------------------------------- output
pid_of() { # NAME -> its main process, if that is alive (after SIGHUP only orphaned workers are left)
  if [ -f "$S/run/$1.pid" ]; then members "$1" | grep -Fx "$(cat "$S/run/$1.pid")" || true; fi
}
wanted() {
  [ -n "$TCTI" ] || echo swtpm
  echo registrar; echo verifier
  if python_agent; then echo agent; fi
}
describe() {
  local up=true n uuid=''
  for n in $(wanted); do [ -n "$(pid_of "$n")" ] || up=false; done
  [ ! -f "$S/agent.uuid" ] || uuid=$(cat "$S/agent.uuid")
  "$PY" - "$up" "$(pid_of verifier)" "$(pid_of registrar)" "$(pid_of agent)" "$(pid_of swtpm)" "$MODE" "$S" "$root" "$chain" \
    "$vcert" "$vkey" "$rcert" "$rkey" "$ccert" "$ckey" "$acert" "$akey" "$VPORT" "$RPORT" "$RTLS" "$APORT" "$tcti" \
    "${EKSTORE:-$S/ek-store}" "$uuid" "$QI" "$KEYLIME" "$KEYLIME_AGENT" "$AGENT" <<'PY'
import json, sys
(up, vpid, rpid, apid, tpid, mode, state, root, chain, vc, vk, rc, rk, cc, ck, ac, ak,
 vp, rp, rt, ap, tcti, store, uuid, qi, ver, aver, agent) = sys.argv[1:]
pid = lambda p: int(p) if p else None
out = {"lab": "keylime", "mode": mode, "running": up == "true", "state": state, "keylime": ver, "quote_interval": float(qi),
       "ca": {"root": root, "chain": chain}, "client": {"cert": cc, "key": ck},
       "verifier": {"url": "https://localhost:" + vp, "port": int(vp), "cert": vc, "key": vk, "pid": pid(vpid)},
       "registrar": {"url": "https://localhost:" + rt, "port": int(rt), "http_url": "http://127.0.0.1:" + rp,
                     "http_port": int(rp), "cert": rc, "key": rk, "pid": pid(rpid)},
       "tpm": {"tcti": tcti, "ek_store": store, "pid": pid(tpid)}, "agent": None, "env": state + "/env.sh",
       "logs": state + "/log"}
if mode == "pull" and agent == "yes":
    out["agent"] = {"version": aver, "url": "https://localhost:" + ap, "port": int(ap), "cert": ac, "key": ak,
                    "uuid": uuid or None, "pid": pid(apid)}
print(json.dumps(out))
PY
  [ "$up" = true ]
}
all_down() { local n; for n in agent verifier registrar swtpm; do stop "$n"; done; }
watch_parent() { # runs `down` when the process OMENS_LAB_PARENT is gone
  stop parent
  [ -n "${OMENS_LAB_PARENT:-}" ] || return 0
  # shellcheck disable=SC2016
  start parent bash -c 'while kill -0 "$1" 2>/dev/null; do sleep 1; done; exec "$2" down "$3"' \
    keylime-lab "$OMENS_LAB_PARENT" "$(cd "$(dirname "$0")" && pwd -P)/$(basename "$0")" "$S"
}

# ---------------------------------------------------------------------------------------------- commands
case $CMD in
  up)
    check_installed
    if [ "$FRESH" = yes ]; then
      all_down
      for part in pki etc work work-agent tpm ek-store log run agent.uuid env.sh lab.env running.env; do rm -rf "${S:?}/$part"; done
    fi
    t0=$SECONDS
    # shellcheck disable=SC2086
    make_venv "$VENVS/server" "keylime==$KEYLIME" $SERVER_DEPS $COMMON
    if python_agent; then
      # shellcheck disable=SC2086
      make_venv "$VENVS/agent" "keylime==$KEYLIME_AGENT" $AGENT_DEPS ${COMMON//alembic==1.20.1/}
    fi
    certificates; ports; save
    # What runs with other settings is stopped first; what is already running with these stays.
    if [ -f "$S/running.env" ] && ! cmp -s "$S/lab.env" "$S/running.env"; then all_down; fi
    configure; cp "$S/lab.env" "$S/running.env"
    trap 'rc=$?; if [ $rc -ne 0 ]; then say "stopping what was started"; all_down; fi' EXIT
    for n in swtpm registrar verifier agent; do
      if [ -z "$(pid_of "$n")" ]; then stop "$n"; "start_$n"; fi
    done
    watch_parent
    say "$MODE mode up after $((SECONDS - t0)) s"
    describe
    ;;
  status) describe || exit 4 ;;
  restart)
    [ $# -eq 1 ] || usage
    case $1 in verifier|registrar|agent|swtpm) ;; *) usage ;; esac
    stop "$1"; configure; "start_$1"
    # Of the others that do not run the JSON line tells; it is this one that was asked for.
    describe || [ -n "$(pid_of "$1")" ] || exit 4
    ;;
  tenant) tenant "$@" ;;
  down)
    all_down; rm -f "$S/running.env"; say "down"
    if [ "$(pid_of parent)" != $$ ]; then stop parent; fi
    ;;
esac
