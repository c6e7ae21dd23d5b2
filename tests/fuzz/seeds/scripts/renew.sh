#!/bin/bash
set -euo pipefail
export VAULT_ADDR="https://127.0.0.1:8200" VAULT_SKIP_VERIFY=1
TOKEN=$(cat /root/.vault-token) # the root's
for name in web "ver ifier"; do
  curl -k -sS -H "X-Vault-Token: ${TOKEN}" \
    --data '{"common_name": "'"$name"'.example.net"}' "$VAULT_ADDR/v1/pki/issue/$name" > /tmp/out.json || exit 1
  jq -r .data.certificate < /tmp/out.json >"/etc/nginx/tls/$name.pem"
  jq -r '.data.private_key' /tmp/out.json | tee /etc/nginx/tls/$name.key >/dev/null
done
cat <<EOT > /etc/x.conf
$(date) `id -u` \$kept
EOT
if [ -n "${1:-}" ] && ! systemctl reload nginx; then (cd / && kill -HUP "$(cat /run/nginx.pid)") & fi
bao write -format=json pki_int/issue/web common_name=web.example.net ttl=24h 2>&1 | awk '{ print $1 }'
