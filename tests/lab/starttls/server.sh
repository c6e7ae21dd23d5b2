#!/bin/sh
# server.sh PROTOCOL DIR PORT CERT KEY: a real server of Debian's in the foreground that goes over to TLS on 127.0.0.1:PORT, with all it
# writes below DIR. Ends with 125 where it is not installed. Root, because these servers change to users of their own.
set -eu
protocol=$1 dir=$2 port=$3 cert=$4 key=$5
need() { command -v "$1" >/dev/null 2>&1 || { echo "not installed: $1" >&2; exit 125; }; }
case $protocol in
postgres)
    bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)
    [ -n "$bin" ] || { echo "not installed: postgresql" >&2; exit 125; }
    mkdir -p "$dir/data" "$dir/socket"
    cp "$cert" "$dir/server.crt"
    cp "$key" "$dir/server.key"
    chmod 0600 "$dir/server.key"
    chown -R postgres: "$dir"
    cd "$dir"
    as="setpriv --reuid=postgres --regid=postgres --clear-groups"
    $as "$bin/initdb" -D "$dir/data" -A trust -N >/dev/null
    exec $as "$bin/postgres" -D "$dir/data" -p "$port" -h 127.0.0.1 -k "$dir/socket" \
        -c ssl=on -c ssl_cert_file="$dir/server.crt" -c ssl_key_file="$dir/server.key"
    ;;
mysql)
    need mariadbd
    mkdir -p "$dir/data"
    cp "$cert" "$dir/server.crt"
    cp "$key" "$dir/server.key"
    chown -R mysql: "$dir"
    mariadb-install-db --no-defaults --datadir="$dir/data" --user=mysql --skip-test-db >/dev/null 2>&1
    exec mariadbd --no-defaults --datadir="$dir/data" --user=mysql --port="$port" --bind-address=127.0.0.1 --socket="$dir/socket" \
        --pid-file="$dir/pid" --ssl-cert="$dir/server.crt" --ssl-key="$dir/server.key"
    ;;
ldap)
    need slapd
    printf 'include /etc/ldap/schema/core.schema\npidfile %s/pid\nTLSCertificateFile %s\nTLSCertificateKeyFile %s\n' "$dir" "$cert" "$key" >"$dir/slapd.conf"
    exec slapd -h "ldap://127.0.0.1:$port" -f "$dir/slapd.conf" -d 0
    ;;
imap | pop3)
    need dovecot
    cat >"$dir/dovecot.conf" <<END
base_dir = $dir/run
state_dir = $dir/state
log_path = $dir/log
protocols = $protocol
listen = 127.0.0.1
ssl = yes
ssl_cert = <$cert
ssl_key = <$key
passdb {
  driver = passwd-file
  args = /dev/null
}
service $protocol-login {
  inet_listener $protocol {
    port = $port
  }
  inet_listener ${protocol}s {
    port = 0
  }
}
END
    mkdir -p "$dir/run" "$dir/state"
    exec dovecot -F -c "$dir/dovecot.conf"
    ;;
smtp)
    need postfix
    mkdir -p "$dir/etc" "$dir/queue" "$dir/data"
    chown postfix: "$dir/data"
    cat >"$dir/etc/main.cf" <<END
compatibility_level = 3.6
queue_directory = $dir/queue
data_directory = $dir/data
maillog_file = $dir/log
maillog_file_prefixes = $dir
myhostname = lab.invalid
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
smtpd_tls_security_level = may
smtpd_tls_chain_files = $key, $cert
END
    cat >"$dir/etc/master.cf" <<END
127.0.0.1:$port inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
END
    postfix -c "$dir/etc" check 2>/dev/null || true
    # Its master is a session of its own, which a signal for this script does not reach.
    trap 'postfix -c "$dir/etc" stop' TERM
    postfix -c "$dir/etc" start-fg &
    wait $! || true
    wait
    ;;
*)
    echo "no such protocol: $protocol" >&2
    exit 2
    ;;
esac
