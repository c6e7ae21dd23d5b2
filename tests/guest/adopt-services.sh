#!/bin/bash
# Runs as root under a systemd of its own (tests/it/adopt.rs): a host of OpenBao, which signs and has its own listener's certificate from itself,
# Keylime's registrar and verifier and, with SPIRE=yes, SPIRE's server and agent, each as a unit with an account of its own and pairs that somebody
# asked for by hand. Then `omens init`, a person's answers, and the steps that its output names. Prints a line a step, and what of the host's files
# is not as it was before.
work=/var/lib/lab
. /opt/guest/ca.sh
. /opt/guest/manifest.sh
stop() { echo "$*"; exit 1; }

# ---- the host as it was before omens
mkdir -p $work /etc/openbao/tls /etc/keylime/tls /var/lib/keylime
for account in openbao keylime; do useradd --system --user-group --no-create-home --shell /usr/sbin/nologin $account; done
echo '127.0.0.1 localhost spire.funlab.casa verifier.keylime.funlab.casa registrar.keylime.funlab.casa' >/etc/hosts
bao_up
admin() { # METHOD PATH [JSON]
  curl -sS --fail --cacert "$(value .root_cert)" -H "X-Vault-Token: $(cat "$(value .admin_token_file)")" -X "$1" "$(value .address)/v1/$2" ${3:+-d "$3"}
}
# What is asked of it besides the lab's roles: certificates by which SPIRE's parts are known.
admin POST pki_int/roles/nodes '{"key_type":"ec","key_bits":256,"key_usage":["DigitalSignature"],"server_flag":false,"client_flag":true,
  "allowed_domains":["spire.funlab.casa"],"allow_bare_domains":true,"not_after_bound":"forbid","not_before_bound":"forbid","ttl":"24h","max_ttl":"168h"}' >/dev/null
admin PUT sys/policies/acl/nodes '{"policy":"path \"pki_int/sign/nodes\" { capabilities = [\"update\"] }"}'
admin POST auth/approle/role/omens '{"token_policies":["omens-renew","nodes"]}'
log_in /etc/omens/secret-id
umask 022
mv /etc/omens/root.pem /etc/ssl/root.pem
address=$(value .address) port=${address##*:}
issue() { # ROLE NAME FILE OWNER MODE
  admin POST "pki_int/issue/$1" "{\"common_name\":\"$2\",\"ttl\":\"24h\"${6:-}}" >$work/answer.json
  jq -r '.data.certificate, .data.ca_chain[0]' $work/answer.json >"$3.crt"
  (umask 077 && jq -r .data.private_key $work/answer.json >"$3.key")
  chown "$4" "$3.key" && chmod "$5" "$3.key"
}
local_too=',"alt_names":"localhost","ip_sans":"127.0.0.1"'
for name in verifier registrar; do issue keylime-services $name.keylime.funlab.casa /etc/keylime/tls/$name root:keylime 640 "$local_too"; done
for name in verifier-client tenant; do issue keylime-services tenant.keylime.funlab.casa /etc/keylime/tls/$name root:keylime 640; done
if [ "${SPIRE:-}" = yes ]; then
  . /opt/guest/spire-conf.sh
  for part in server agent; do issue nodes spire.funlab.casa /etc/spire/$part root: 600; done
fi

# OpenBao as its package would have it.
"$LAB/openbao-lab.sh" stop $work/bao
install -m 644 $work/bao/tls/listener.crt /etc/openbao/tls/bao.crt
install -m 600 -o openbao $work/bao/tls/listener.key /etc/openbao/tls/bao.key
sed -e 's|".*/listener.crt"|"/etc/openbao/tls/bao.crt"|' -e 's|".*/listener.key"|"/etc/openbao/tls/bao.key"|' $work/bao/bao.hcl >/etc/openbao/openbao.hcl
chmod 711 $work/bao && chown -R openbao $work/bao/data $work/bao/audit.log
# shellcheck disable=SC2016
printf '[Service]\nUser=openbao\nExecStart=/usr/bin/bao server -config=/etc/openbao/openbao.hcl\nExecReload=/bin/kill -HUP $MAINPID\n' >$ETC/openbao.service

# Keylime, whose configuration is the lab's; the lab is ended, and the units run the same programs.
"$LAB/keylime-lab.sh" up $work/keylime --mode pull --no-agent --tcti none: --venvs /opt/keylime --root /etc/ssl/root.pem --chain "$(value .chain)" \
  --verifier-cert /etc/keylime/tls/verifier.crt --verifier-key /etc/keylime/tls/verifier.key \
  --registrar-cert /etc/keylime/tls/registrar.crt --registrar-key /etc/keylime/tls/registrar.key \
  --client-cert /etc/keylime/tls/tenant.crt --client-key /etc/keylime/tls/tenant.key \
  --verifier-port 8881 --registrar-port 8890 --registrar-tls-port 8891 >$work/keylime.json 2>$work/keylime.err || { tail -n 5 $work/keylime.err; exit 125; }
"$LAB/keylime-lab.sh" down $work/keylime 2>/dev/null
install -m 644 "$(value .root_cert)" /etc/keylime/tls/root.crt
install -m 644 "$(value .intermediate_cert)" /etc/keylime/tls/intermediate.crt
for file in verifier registrar tenant logging ca; do
  sed -e "s|$work/keylime/work|/var/lib/keylime|" -e "s|'$(value .chain)'|'/etc/keylime/tls/root.crt', '/etc/keylime/tls/intermediate.crt'|" $work/keylime/etc/$file.conf >/etc/keylime/$file.conf
done
sed -i 's|tls/tenant\.|tls/verifier-client.|' /etc/keylime/verifier.conf
chown keylime: /var/lib/keylime
# The interpreter may lie in root's home.
chmod a+x /root
for part in registrar verifier; do
  printf '#!/opt/keylime/server/bin/python\nfrom keylime.cmd.%s import main\nmain()\n' $part >/usr/local/bin/keylime_$part
  chmod 755 /usr/local/bin/keylime_$part
  printf '[Service]\nUser=keylime\nExecStart=/usr/local/bin/keylime_%s\nTimeoutStopSec=5\n' $part >$ETC/keylime_$part.service
done
services="openbao keylime_registrar keylime_verifier"

if [ "${SPIRE:-}" = yes ]; then
  services+=" spire-server spire-agent"
  spire_conf server '  NodeAttestor "x509pop" { plugin_data { ca_bundle_path = "/etc/ssl/root.pem" } }
  NodeAttestor "keylime" {
    plugin_cmd = "/usr/local/bin/keylime-attestor"
    plugin_args = ["server"]
    plugin_data {
      keylime_verifier_host = "localhost"
      keylime_verifier_port = "8881"
      keylime_tls_ca_cert_file = "/etc/ssl/root.pem"
      keylime_tls_cert_file = "/etc/spire/server.crt"
      keylime_tls_key_file = "/etc/spire/server.key"
    }
  }'
  spire_conf agent '  NodeAttestor "x509pop" {
    plugin_data {
      certificate_path = "/etc/spire/agent.crt"
      private_key_path = "/etc/spire/agent.key"
    }
  }'
  spire_units
fi
systemctl daemon-reload

# ---- it runs
declare -A PORT=([openbao]=$port [keylime_registrar]=8891 [keylime_verifier]=8881) CERT=([openbao]=openbao-spire [keylime_registrar]=keylime-registrar [keylime_verifier]=keylime-verifier)
sha() { openssl x509 -noout -fingerprint -sha256 2>/dev/null; }
wire() { timeout 5 openssl s_client -connect "127.0.0.1:$1" </dev/null 2>/dev/null | sha || echo "nothing at $1"; }
serves() { [ "$(wire "$1")" != "nothing at $1" ]; }
systemctl start openbao keylime_registrar keylime_verifier
until_so curl -sS --cacert /etc/ssl/root.pem -o /dev/null "$address/v1/sys/seal-status"
curl -sS --fail --cacert /etc/ssl/root.pem -X PUT -d "{\"key\":\"$(cat $work/bao/admin/unseal.key)\"}" "$address/v1/sys/unseal" >/dev/null
until_so admin GET sys/health
for service in keylime_registrar keylime_verifier; do until_so serves "${PORT[$service]}"; done
[ "${SPIRE:-}" != yes ] || spire_up

pids() { systemctl show '*.service' -p Id,MainPID,NRestarts | paste -sd, | sed 's/,,/\n/g' | grep -v 'MainPID=0' | sort; }
declare -A OLD=() PID=()
for service in $services; do
  [ -z "${PORT[$service]:-}" ] || OLD[$service]=$(wire "${PORT[$service]}")
  PID[$service]=$(systemctl show -P MainPID "$service")
done
ls /run | sort >$work/run
pids >$work/pids
manifest >$work/before

# ---- omens init
rc=0
$OMENS init >$work/omens.toml || rc=$?
manifest >$work/after
echo "init $rc changed:$(changes $work/before $work/after | tr '\n' ' ')"
cp $work/omens.toml /etc/omens/omens.toml
$OMENS --json check-config >$work/check.json || true
# The pin, two for the login, and a role for each certificate.
jq -r --argjson certificates "$(grep -c '^\[\[certificate' $work/omens.toml)" \
  '"open " + ([.errors[].code] | unique | join(",")) + (if (.errors | length) == $certificates + 3 then "" else " \(.errors)" end)' $work/check.json
grep -A 99 '^# Left out' $work/omens.toml || true
# A person's answers: the pin, the mount, the login, and which role signs what.
awk -v pin="$(value .root_sha256)" '
  /^name = / { split($0, part, "\""); name = part[2] }
  /^role = / { sub(/"FILL IN: [^"]*"/, name ~ /^openbao/ ? "\"openbao-server\"" : name ~ /^spire/ ? "\"nodes\"" : "\"keylime-services\"") }
  /^anchor_sha256 = / { sub(/"FILL IN: [^"]*"/, "\"" pin "\"") }
  /^mount = / { sub(/"FILL IN: [^"]*"/, "\"pki_int\"") }
  /^login = / { sub(/"FILL IN: file:PATH of the AppRole[^"]*"/, "\"file:/etc/omens/role-id\""); sub(/"FILL IN: file:PATH of its secret[^"]*"/, "\"file:/etc/omens/secret-id\"") }
  { print }' $work/omens.toml >/etc/omens/omens.toml
$OMENS check-config >$work/out 2>&1 && echo "accepted" || cat $work/out
all() { # COMMAND...: a line a certificate
  local rc=0
  $OMENS --json "$@" >$work/out.json 2>$work/err || rc=$?
  jq -r --arg rc $rc --arg what "$1" '.certificates[] | [$what, $rc, .name, .outcome, (.proof // "-"), (.error.code // "-"), ([.warnings[]?.code] | join(","))] | join(" ")' $work/out.json
}
# ---- the steps that it names
all renew --all
for service in "${!OLD[@]}"; do [ "$(wire "${PORT[$service]}")" = "${OLD[$service]}" ] || echo "$service serves another one already"; done
all install
if [ "${SPIRE:-}" = yes ]; then
  sed -n 's/^# before step 4: in \(.*\) (\(.*\):[0-9]*) write \(plugin_data_file = .*\) in place of plugin_data,$/\2\t\3/p' $work/omens.toml >$work/told
  echo "spire-server and spire-agent told $(wc -l <$work/told)"
  while IFS=$'\t' read -r file line; do
    # Of the attestor whose data name the pair.
    perl -0pi -e 's/plugin_data \{[^{}]*\.key"[^{}]*\}/'"${line//\//\\/}"'/' "$file"
    grep -qF "$line" "$file" || echo "$file has no $line"
  done <$work/told
  spire_up
  for part in server agent; do PID[spire-$part]=$(systemctl show -P MainPID spire-$part); done
fi
all renew --all
taken() {
  for service in $services; do
    now=$(systemctl show -P MainPID "$service") seen=-
    [ -z "${PORT[$service]:-}" ] || { [ "$(wire "${PORT[$service]}")" = "$(sha </run/omens/"${CERT[$service]}"/live/cert.pem)" ] && seen=agrees || seen=differs; }
    echo "$service $(systemctl is-active "$service") $seen $([ "$now" = "${PID[$service]}" ] && echo same || echo new)"
    PID[$service]=$now
  done
}
taken
all renew --all --force
taken

# ---- what else is not as it was
manifest >$work/after
changes $work/before $work/after >$work/changed
kept=0 links=0
while read -r aside; do
  was=${aside%.before-omens}
  if [ "$(grep -F "$was " $work/before)" = "$(grep -F "$aside " $work/after | sed 's/\.before-omens / /')" ]; then kept=$((kept + 1)); else echo "$aside is not what $was was"; fi
  case $(readlink "$was") in /run/omens/*/live/*) links=$((links + 1)) ;; *) echo "$was is no link to what is published" ;; esac
done < <(grep 'before-omens$' $work/changed)
[ "$kept $links" = "$((2 * $(grep -c '^\[\[certificate' $work/omens.toml))) $kept" ] || echo "$kept files kept, $links links"
echo "kept aside, links in their places, and else:"
grep 'before-omens$' $work/changed | sed 'p; s/\.before-omens$//' | grep -vxFf - $work/changed
ls /run | sort | comm -3 $work/run - | tr -d '\t'
pids | comm -13 $work/pids - | grep -v -e '=openbao' -e '=keylime_' -e '=spire-' || true
[ "${SPIRE:-}" != yes ] || { attested && echo "spire-agent attested"; }
