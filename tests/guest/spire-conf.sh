# A SPIRE server and agent of the trust domain funlab.casa as units. Sourced, as root, after ca.sh.
# shellcheck shell=bash
mkdir -p /etc/spire /var/lib/spire/server /var/lib/spire/agent

# spire_conf PART PLUGINS: its settings; PLUGINS beside those that it cannot do without.
spire_conf() {
  local own plugins
  if [ "$1" = server ]; then
    own='  bind_address = "127.0.0.1"
  bind_port = "8081"'
    plugins='  DataStore "sql" { plugin_data {
    database_type = "sqlite3"
    connection_string = "/var/lib/spire/server/data.sqlite3"
  } }
  KeyManager "disk" { plugin_data { keys_path = "/var/lib/spire/server/keys.json" } }'
  else
    own='  server_address = "127.0.0.1"
  server_port = "8081"
  trust_bundle_path = "/var/lib/spire/bundle.pem"'
    plugins='  KeyManager "disk" { plugin_data { directory = "/var/lib/spire/agent" } }
  WorkloadAttestor "unix" { plugin_data {} }'
  fi
  cat >"/etc/spire/$1.conf" <<CONF
$1 {
$own
  socket_path = "/run/spire-$1.sock"
  trust_domain = "funlab.casa"
  data_dir = "/var/lib/spire/$1"
  log_level = "INFO"
}
plugins {
$plugins
$2
}
CONF
}
spire_units() {
  local part
  for part in server agent; do
    printf '[Service]\nExecStart=/usr/local/bin/spire-%s run -config /etc/spire/%s.conf\nTimeoutStopSec=5\n' $part $part >"$ETC/spire-$part.service"
  done
  systemctl daemon-reload
}

# Asks the server.
spire() { /usr/local/bin/spire-server "$@" -socketPath /run/spire-server.sock; }
attested() { spire agent list 2>/dev/null | grep x509pop >/dev/null; }
# Starts both anew, the agent once there is a bundle, and waits for its identity.
spire_up() {
  systemctl restart spire-server && until_so spire healthcheck
  spire bundle show >/var/lib/spire/bundle.pem
  systemctl restart spire-agent && until_so attested
}
