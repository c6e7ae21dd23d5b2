#!/bin/bash
# selftest.sh [NAME]... - show that the tools of this directory work here, with programs of /bin in place of the binary under test:
# good ones must pass, bad ones must be caught.
#
#   syntax                          every script of the tests is read by bash, and by shellcheck where there is one
#   kill power block error random   crash.py, one way of cutting each
#   swtpm sdlab netns vmlab         the tool of that name
#   openbao keylime spire step-ca   the lab of that name: something is issued or attested, a wrong thing is refused, nothing is left
#
# Default: all but keylime (installs it from PyPI), spire and step-ca (`peers.sh build spire step-ca step` builds them, minutes).
# OMENS_LAB_VMLAB and OMENS_LAB_KEYLIME name directories to keep what vmlab.sh and keylime-lab.sh make for themselves.
# Exit status: 0 all ok, 1 something failed, 2 wrong usage, 125 nothing failed but some could not run (the lines say what is missing).
# shellcheck disable=SC2016
set -uo pipefail
HERE=$(dirname "$(readlink -f "$0")")
ROOT=$(readlink -f "$HERE/../..")
W=$(mktemp -d) NET=omst$$
# shellcheck disable=SC2317
cleanup() {
    local state
    [ ! -e "$W/net/ca.pem" ] || "$HERE/netns.sh" -p "$NET" -s "$W/net" down
    for state in openbao keylime spire step-ca; do [ ! -d "$W/$state" ] || "$HERE/$state-lab.sh" down "$W/$state" >&2 || true; done
    rm -rf "$W"
}
trap cleanup EXIT; trap 'exit 130' INT TERM HUP
BAD=0 SKIP=0
T() { # NAME EXPECTED_STATUS COMMAND...
    local name=$1 want=$2 rc=0 t=${EPOCHREALTIME/[.,]/}; shift 2
    "$@" >"$W/log" 2>&1 </dev/null || rc=$?
    t=$(((${EPOCHREALTIME/[.,]/} - t) / 10000))
    if [ $rc = "$want" ]; then printf 'ok      %3d.%02d s  %s\n' $((t / 100)) $((t % 100)) "$name"
    elif [ $rc = 125 ]; then SKIP=1; printf 'missing            %s: %s\n' "$name" "$(grep -m 1 missing: "$W/log" || tail -1 "$W/log")"
    else BAD=1; printf 'FAILED  %3d.%02d s  %s: status %s, not %s\n' $((t / 100)) $((t % 100)) "$name" $rc "$want"; sed 's/^/    /' "$W/log"; fi
    [ $rc = "$want" ]
}
has() { command -v "$2" >/dev/null || { SKIP=1; printf 'missing            %s: missing: %s (Debian package %s)\n' "$1" "$2" "$3"; false; }; }
export PATH="$PATH:/usr/sbin:/sbin"

# ---- all scripts
syntax() {
    local script
    for script in "$HERE"/*.sh "$ROOT"/tests/guest/*.sh "$ROOT/run" "$ROOT/.ci/run"; do
        T "syntax: ${script#"$ROOT"/}" 0 bash -n "$script"
    done
    for script in "$HERE/crash.py" "$ROOT/tests/it/crash/left.py"; do
        T "syntax: ${script#"$ROOT"/}" 0 python3 -ISc 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$script"
    done
    has 'shellcheck' shellcheck shellcheck || return 0
    T 'shellcheck: tools and ./run' 0 shellcheck -S warning "$HERE"/*.sh "$ROOT/run" "$ROOT/.ci/run" "$ROOT"/packaging/{build.sh,postinst,prerm,postrm}
    T 'shellcheck: scripts of the guests' 0 shellcheck -S error "$ROOT"/tests/guest/*.sh
}

# ---- crash.py: a program puts a new configuration, one that has all its lines, in the place of the old one
printf '%s\n' 'old {' "$(seq 2000)" '}' >"$W/old"; printf '%s\n' 'new {' "$(seq 2000)" '}' >"$W/new"
CHECK='c=$(head -1 "$STATE/conf") e=$(tail -1 "$STATE/conf"); echo "${c:-empty} ... ${e:-empty} status=$RC"
[ "$e" = "}" ] && { [ "$RC" != 0 ] || [ "$c" = "new {" ]; }'
SAFE=(/bin/sh -ec 'cp "$1" "$0/next"; sync "$0/next"; mv "$0/next" "$0/conf"; sync "$0"' {} "$W/new")
RENAME=(/bin/sed -i s/old/new/ '{}/conf')             # a new file renamed over the old one, without fsync
INPLACE=(/bin/cp "$W/new" '{}/conf')
crash() { local name=$1 want=$2 args=(); shift 2; while [ "$1" != -- ]; do args+=("$1"); shift; done
    T "$name" "$want" "$HERE/crash.py" "${args[@]}" --setup "cp '$W/old' \"\$STATE/conf\"" --check "$CHECK" "$@"; }
kill_() {
    crash 'crash.py kill: rename passes' 0 kill -- "${RENAME[@]}"
    crash 'crash.py kill: overwriting in place is caught' 1 kill -- "${INPLACE[@]}"
    crash 'crash.py kill: state directory and tmpfs of the program' 0 kill --state "$W/x/state" --volatile "$W/x/run" -- "${SAFE[@]}"
}
power() {
    crash 'crash.py power: fsync, rename, fsync passes' 0 power -- "${SAFE[@]}"
    crash 'crash.py power: rename without fsync is caught' 1 power -- "${RENAME[@]}"
}
block() {
    crash 'crash.py block: fsync, rename, fsync passes' 0 block -- "${SAFE[@]}"
    crash 'crash.py block: rename without fsync is caught' 1 block -- "${RENAME[@]}"
}
error() {
    crash 'crash.py kill --error ENOSPC: rename passes' 0 kill --error ENOSPC -- "${RENAME[@]}"
    crash 'crash.py kill --error EIO: overwriting in place is caught' 1 kill --error EIO -- "${INPLACE[@]}"
}
random() { crash 'crash.py power --random 10' 0 power --random 10 -- "${SAFE[@]}"; }

# ---- swtpm.sh
swtpm_() {
    T 'swtpm.sh: a new TPM; the status is passed on' 7 "$HERE/swtpm.sh" run -- bash -c 'exec 3<>"/dev/tcp/127.0.0.1/${TCTI##*=}" && exit 7'
    has swtpm.sh tpm2_nvread tpm2-tools || return 0
    T 'swtpm.sh: EK certificate, PCR 7, the same TPM after a restart' 0 sh -ec '
        "$0" run -k -s "$1" -- sh -ec "tpm2_nvread -Q -o \"$1/ek.der\" 0x1c00002; tpm2_createprimary -Q -C o -c \"$1/p.ctx\"; tpm2_evictcontrol -Q -C o -c \"$1/p.ctx\" 0x81000001"
        openssl x509 -inform der -in "$1/ek.der" -noout -issuer
        "$0" run -x 7 -s "$1" -- sh -ec "tpm2_getcap handles-persistent | grep -i 0x81000001; ! tpm2_pcrread sha256:7 | grep -E \"0x0{64}\""
        ' "$HERE/swtpm.sh" "$W/tpm"
}

# ---- sdlab.sh: timer -> hardened oneshot -> reload of a consumer; what the sandbox forbids fails
sdlab() {
    printf '[Timer]\nOnActiveSec=500ms\nAccuracySec=10ms\n' >"$W/renew.timer"
    printf '[Service]\nType=oneshot\nLoadCredential=token:/etc/hostname\nStateDirectory=lab\nProtectSystem=strict\nNoNewPrivileges=yes\nCapabilityBoundingSet=
ExecStart=/usr/local/bin/agent ${CREDENTIALS_DIRECTORY}/token /var/lib/lab/conf\nExecStartPost=+systemctl reload consumer.service\n' >"$W/renew.service"
    printf '[Service]\nType=oneshot\nProtectSystem=strict\nExecStart=/usr/local/bin/agent /etc/hostname /etc/forbidden\n' >"$W/bad.service"
    printf '[Service]\nExecStart=/bin/sleep infinity\nExecReload=/bin/touch /run/reloaded\n' >"$W/consumer.service"
    cat >"$W/guest" <<'GUEST'
for _ in {1..50}; do [ ! -e /run/reloaded ] || break; sleep .1; done
set -ex
[ -e /run/reloaded ]; [ "$(cat /var/lib/lab/conf)" = sdlab ]
[ "$(systemctl show renew.service -p Result --value)" = success ]
! systemctl start bad.service; [ "$(systemctl show bad.service -p Result --value)" = exit-code ]; [ ! -e /etc/forbidden ]
journalctl -u bad.service -o cat --no-pager | grep 'Read-only file system'
GUEST
    T 'sdlab.sh: timer, sandboxed oneshot, credential, reload' 0 "$HERE/sdlab.sh" -b /bin/cp:/usr/local/bin/agent -u "$W/renew.timer" -u "$W/renew.service" \
        -u "$W/bad.service" -u "$W/consumer.service" -e consumer.service -e renew.timer -o "$W/sd" "$W/guest"
}

# ---- netns.sh
netns() {
    local n=("$HERE/netns.sh" -p "$NET" -s "$W/net") get=(curl -sS --connect-timeout 1 --cacert "$W/net/ca.pem")
    has netns.sh curl curl && has netns.sh nft nftables || return 0
    T 'netns.sh: three hosts with nginx and TPM' 0 "${n[@]}" up
    [ -e "$W/net/ca.pem" ] || return 0
    T 'netns.sh: mTLS from spire to ca' 0 sh -c '"$@" | grep "peer=CN=spire.funlab.casa verify=SUCCESS"' _ "${n[@]}" in spire \
        "${get[@]}" --cert "$W/net/spire/cert.pem" --key "$W/net/spire/key.pem" https://ca.funlab.casa/
    "${n[@]}" drop auth ca
    T 'netns.sh: auth cannot reach ca after drop' 28 "${n[@]}" in auth "${get[@]}" https://ca.funlab.casa/
    T 'netns.sh: spire still can' 0 "${n[@]}" in spire "${get[@]}" https://ca.funlab.casa/
    "${n[@]}" undrop auth ca; "${n[@]}" delay ca 100
    T 'netns.sh: 100 ms each way delay' 0 sh -c 't=$("$@"); echo "$t"; awk "BEGIN { exit !($t > 0.19 && $t < 1) }"' _ "${n[@]}" in auth "${get[@]}" -o /dev/null -w '%{time_connect}' https://ca.funlab.casa/
    "${n[@]}" delay ca 0
    printf 'curl -sS --cacert /etc/lab-ca.pem https://auth.funlab.casa/ && [ "$(hostname)" = ca.funlab.casa ]\n' >"$W/guest"
    T 'netns.sh + sdlab.sh: systemd as the host ca' 0 "$HERE/sdlab.sh" -n "$NET-ca" -b "$W/net/ca.pem:/etc/lab-ca.pem" "$W/guest"
    T 'netns.sh: down' 0 "${n[@]}" down
    T 'netns.sh: nothing is left' 1 sh -c 'ip netns list | grep "^$1-"; ls -d "/etc/netns/$1"-* "$0" 2>/dev/null | grep .' "$W/net" "$NET"
}

# ---- vmlab.sh: the agent's execution is in the IMA list, and a secret sealed to PCR 7 opens after a reboot
vmlab() {
    has vmlab.sh tpm2_create tpm2-tools || return 0
    cat >"$W/vm" <<'GUEST'
export TPM2TOOLS_TCTI=device:/dev/tpmrm0
set -e; cd /vmlab
/usr/local/bin/agent hello
grep -o 'sha256:.* /usr/local/bin/agent' /sys/kernel/security/ima/ascii_runtime_measurements
tpm2_createprimary -Q -C o -G ecc -c /tmp/p.ctx
if [ ! -e seal.pub ]; then
    tpm2_pcrread -Q -o /tmp/pcrs sha256:7; tpm2_createpolicy -Q --policy-pcr -l sha256:7 -f /tmp/pcrs -L /tmp/policy
    echo secret | tpm2_create -Q -C /tmp/p.ctx -L /tmp/policy -i - -u seal.pub -r seal.priv
else
    tpm2_load -Q -C /tmp/p.ctx -u seal.pub -r seal.priv -c /tmp/s.ctx
    for i in 1 2 3 4 5; do [ "$(tpm2_unseal -c /tmp/s.ctx -p pcr:sha256:7)" != secret ] || exit 0; done      # 0x128: IMA extended PCR 10 meanwhile
    exit 1
fi
GUEST
    local c=(-c "${OMENS_LAB_VMLAB:-$W/cache}")
    T 'vmlab.sh: measured boot, IMA, sealing' 0 "$HERE/vmlab.sh" "${c[@]}" -T "$W/vtpm" -o "$W/vout" -b /bin/echo:/usr/local/bin/agent "$W/vm"
    [ -e "$W/vout/seal.pub" ] || return 0
    T 'vmlab.sh: unsealing after a reboot, with systemd' 0 "$HERE/vmlab.sh" "${c[@]}" -S -T "$W/vtpm" -o "$W/vout" -b /bin/echo:/usr/local/bin/agent "$W/vm"
}

# ---- the labs of other people's servers
# lab NAME CLAIM WORD... SHELL: `up WORD...`, then SHELL with the tool in $0, the state directory in $1 and a directory for files in $2,
# then `down`, after which nothing is left
lab() {
    local name=$1 claim=$2 shell=${*: -1}
    set -- "${@:3:$#-3}"
    mkdir -p "$W/$name.files"
    T "$name-lab.sh: it comes up" 0 "$HERE/$name-lab.sh" up "$W/$name" "$@" || return 0
    T "$name-lab.sh: $claim" 0 bash -euo pipefail -c "$shell" "$HERE/$name-lab.sh" "$W/$name" "$W/$name.files"
    T "$name-lab.sh: it goes down" 0 "$HERE/$name-lab.sh" down "$W/$name"
    # No process names a file of it.
    T "$name-lab.sh: nothing of it runs" 0 bash -c 'for file in /proc/[0-9]*/cmdline; do
        while IFS= read -r -d "" word; do case $word in *"$0/"*) echo "$file: $word"; exit 1 ;; esac; done <"$file"; done 2>/dev/null' "$W/$name"
    rm -rf "${W:?}/$name"
}
openbao() {
    lab openbao 'signs after a login by JWT, refuses a late one, is sealed after a restart' '
        value() { jq -er "$1" "$bao/lab.json"; }
        bao=$1; address=$(value .address); ask=(curl -sS --cacert "$(value .root_cert)")
        login() { "${ask[@]}" --fail -d "{\"role\":\"hosts\",\"jwt\":\"$1\"}" "$address/v1/auth/jwt/login" | jq -er .auth.client_token; }
        openssl req -new -newkey rsa:2048 -noenc -subj /CN=ca.funlab.casa -keyout "$2/key.pem" -out "$2/csr.pem" 2>/dev/null
        token=$(login "$(cat "$(value .jwt.token_file)")")
        jq -n --rawfile csr "$2/csr.pem" "{\$csr}" | "${ask[@]}" --fail -H "X-Vault-Token: $token" -d @- "$address/v1/pki_int/sign/infrastructure" |
            jq -er .data.certificate >"$2/cert.pem"
        openssl verify -CAfile "$(value .root_cert)" -untrusted "$(value .intermediate_cert)" "$2/cert.pem"
        if login "$("$0" jwt "$bao" spiffe://funlab.casa/omens/renewer openbao -60)"; then echo "a late JWT logs in"; exit 1; fi
        health() { "${ask[@]}" -o /dev/null -w "%{http_code}" "$address/v1/sys/health" || true; }
        "$0" stop "$bao"; [ "$(health)" = 000 ]; "$0" start "$bao"; [ "$(health)" = 503 ]; "$0" unseal "$bao"; [ "$(health)" = 200 ]'
}
keylime() { # the agent is enrolled by `up`, which waits for its attestation
    lab keylime 'an agent attested goes on doing so after a restart of the verifier' --mode pull --venvs "${OMENS_LAB_KEYLIME:-$W/venvs}" '
        json=$("$0" status "$1"); uuid=$(jq -er .agent.uuid <<<"$json")
        count() { "$0" tenant "$1" -c status -u "$uuid" 2>&1 | grep -o "\"attestation_count\": [0-9]*" | tail -1 | grep -o "[0-9]*$"; }
        "$0" restart "$1" verifier; before=$(count "$1")
        for _ in {1..30}; do sleep 1; [ "$(count "$1")" -le "$before" ] || exit 0; done; exit 1'
}
spire() {
    lab spire 'gives a JWT-SVID, also after a restart of the agent, and none for an identity that is not entered' '
        audience() { cut -d. -f2 | tr _- /+ | { base64 -di 2>/dev/null || true; } | jq -er ".aud[0]"; }
        [ "$("$0" jwt "$1" openbao | audience)" = openbao ]
        "$0" restart "$1" agent; [ "$("$0" jwt "$1" keylime | audience)" = keylime ]
        if "$0" jwt "$1" openbao spiffe://funlab.casa/stranger; then exit 1; fi'
}
step_ca() {
    lab step-ca 'signs with a token and refuses a name that its policy denies' '
        ca=$1; address=$(jq -er .address "$ca/lab.json")
        sign() { # TOOL NAME FILES
            openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj "/CN=$2" -addext "subjectAltName=DNS:$2" \
                -keyout "$3/key.pem" -out "$3/csr.pem" 2>/dev/null
            jq -n --rawfile csr "$3/csr.pem" --arg ott "$("$1" token "$ca" "$2")" "{\$csr,\$ott}" |
                curl -sS --fail --cacert "$ca/root/root.crt" -d @- "$address/1.0/sign" | jq -er .crt
        }
        sign "$0" ca.funlab.casa "$2" >"$2/cert.pem"
        openssl verify -CAfile "$ca/root/root.crt" -untrusted "$ca/ca/intermediate.crt" "$2/cert.pem"
        if sign "$0" www.denied.funlab.casa "$2"; then exit 1; fi'
}

[ $# -gt 0 ] || set -- syntax power block error random swtpm sdlab netns openbao vmlab
for t; do
    case $t in
    kill) kill_ ;; swtpm) swtpm_ ;; step-ca) step_ca ;;
    syntax | power | block | error | random | sdlab | netns | vmlab | openbao | keylime | spire) "$t" ;;
    *) sed -n '2,/^set /{/^set /d;/^# shellcheck/d;s/^# \{0,1\}//;p}' "$0"; exit 2 ;;
    esac
done
[ $BAD = 0 ] || exit 1
[ $SKIP = 0 ] || exit 125
