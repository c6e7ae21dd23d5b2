# What every guest begins with: a real OpenBao, a login at it, the head of settings that name both, and the settings of an nginx. Sourced, as root.
# LAB_JSON: what openbao-lab.sh printed; work: where a guest keeps its own.
# shellcheck shell=bash
set -euo pipefail
LAB=${LAB:-/opt/lab} OMENS=/usr/bin/omens ETC=/etc/systemd/system work=${work:-/root/omens-guest}
LAB_JSON=${LAB_JSON:-$work/lab.json}
export LC_ALL=C
value() { jq -er "$1" "$LAB_JSON"; }
# until_so COMMAND...: for half a minute.
until_so() { for _ in {1..300}; do "$@" >/dev/null 2>&1 && return; sleep .1; done; echo "waited in vain: $*"; exit 1; }

# An OpenBao of this guest; 125 where it cannot run.
bao_up() {
  mkdir -p "$work"
  "$LAB/openbao-lab.sh" up "$work/bao" >"$LAB_JSON" 2>"$work/lab.err" || { tail -n 3 "$work/lab.err"; exit 125; }
}
bao_down() { "$LAB/openbao-lab.sh" down "$work/bao" >/dev/null 2>&1 || true; }

# log_in FILE: an AppRole for this host, its secret in FILE; and the root that everything ends at.
log_in() {
  mkdir -p /etc/omens
  umask 077
  value .approle.role_id >/etc/omens/role-id
  curl -sS --fail --cacert "$(value .root_cert)" -H "X-Vault-Token: $(cat "$(value .admin_token_file)")" -X POST \
    "$(value .address)/v1/auth/approle/role/omens/secret-id" | jq -er .data.secret_id >"$1"
  [ "$(value .root_cert)" -ef /etc/omens/root.pem ] || cp "$(value .root_cert)" /etc/omens/root.pem
}

# settings_head [SECRET-ID]: host, root and OpenBao.
settings_head() {
  cat <<TOML
[host]
name = "spire.funlab.casa"
[trust]
anchor = "/etc/omens/root.pem"
anchor_sha256 = "$(value .root_sha256)"
[openbao]
address = "${address:-$(value .address)}"
mount = "pki_int"
login = [ { approle = { role_id = "file:/etc/omens/role-id", secret_id = "${1:-file:/etc/omens/secret-id}" } } ]
TOML
}

# certificate NAME KIND KEEP: its first lines. KIND: infrastructure, an RSA key for spire.funlab.casa; or the first label of a name of Keylime.
certificate() {
  printf '[[certificate]]\nname = "%s"\nttl = "24h"\n' "$1"
  if [ "$2" = infrastructure ]; then
    printf 'profile = "infrastructure-rsa"\nrole = "infrastructure"\ncommon_name = "spire.funlab.casa"\nkey = { algorithm = "rsa-2048", keep = "%s" }\n' "$3"
  else
    printf 'profile = "mtls-service"\nrole = "keylime-services"\ncommon_name = "%s.keylime.funlab.casa"\nkey = { algorithm = "ec-p256", keep = "%s" }\n' "$2" "$3"
  fi
}

# site [PAIR [DIRECTIVE [FILE]]]: nginx's settings, one TLS server; by default its pair is what is published of the certificate `web`.
site() {
  cat >"${3:-/etc/nginx/nginx.conf}" <<CONF
user www-data;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
${2:-}
events { }
http { server { listen 127.0.0.1:443 ssl; server_name spire.funlab.casa; ${1:-include /run/omens/web/nginx.conf;} return 200 ok; } }
CONF
}
