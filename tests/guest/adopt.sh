#!/bin/bash
# Runs as root under a systemd of its own (tests/it/adopt.rs): Debian's nginx.service with a certificate that a script asks of a real OpenBao,
# as before omens came; then `omens init`, a person's five answers, and the steps that its output names. Prints a line a step, and what of the host's files
# is not as it was before.
. /opt/guest/ca.sh
. /opt/guest/manifest.sh
mkdir -p /etc/nginx/tls /usr/local/sbin
bao_up
log_in /etc/omens/secret-id
address=$(value .address)
cp /etc/omens/root.pem /etc/nginx/tls/root.pem
rm /etc/omens/root.pem
# What renewed until now: certificate and key by `issue`, the root token, a timer.
cat >/usr/local/sbin/renew-web <<SH
#!/bin/sh
export BAO_ADDR="$address"
curl -sS --fail --cacert /etc/nginx/tls/root.pem -H "X-Vault-Token: \$(cat $(value .admin_token_file))" \\
  -d '{"common_name":"spire.funlab.casa","ttl":"24h"}' "$address/v1/pki_int/issue/infrastructure" >/root/answer.json
jq -r '.data.certificate, .data.ca_chain[0]' /root/answer.json >/etc/nginx/tls/web.pem
jq -r .data.private_key /root/answer.json >/etc/nginx/tls/web.key
SH
chmod 755 /usr/local/sbin/renew-web
printf '[Service]\nType=oneshot\nExecStart=/usr/local/sbin/renew-web\n' >/etc/systemd/system/renew-web.service
printf '[Timer]\nOnCalendar=hourly\n[Install]\nWantedBy=timers.target\n' >/etc/systemd/system/renew-web.timer
systemctl daemon-reload
systemctl enable --quiet --now renew-web.timer
systemctl start renew-web.service
cat >/etc/nginx/nginx.conf <<CONF
user www-data;
pid /run/nginx.pid;
events { }
http {
  server {
    listen 127.0.0.1:443 ssl;
    server_name spire.funlab.casa;
    ssl_certificate /etc/nginx/tls/web.pem;
    ssl_certificate_key /etc/nginx/tls/web.key;
    ssl_client_certificate /etc/nginx/tls/root.pem;
    ssl_verify_client optional;
    return 200 ok;
  }
}
CONF
systemctl restart nginx
serial() { openssl s_client -connect 127.0.0.1:443 -servername spire.funlab.casa </dev/null 2>/dev/null | openssl x509 -noout -serial; }
manifest >$work/before
rc=0
$OMENS init >$work/omens.toml || rc=$?
manifest >$work/after
echo "init $rc changed:$(changes $work/before $work/after | tr '\n' ' ')"
cp $work/omens.toml /etc/omens/omens.toml
$OMENS --json check-config >$work/check.json || true
jq -r '"open " + ([.errors[].code] | unique | join(",")) + " " + (.errors | length | tostring)' $work/check.json
grep -q 'systemctl disable --now renew-web.timer' /etc/omens/omens.toml && echo "named the timer"
grep -q 'asked today: infrastructure' /etc/omens/omens.toml && echo "named the role"
sed -i -e "s|\"FILL IN: the SHA-256[^\"]*\"|\"$(value .root_sha256)\"|" -e 's|"FILL IN: the role that[^"]*"|"infrastructure"|' \
  -e 's|"FILL IN: file:PATH of the AppRole[^"]*"|"file:/etc/omens/role-id"|' -e 's|"FILL IN: file:PATH of its secret[^"]*"|"file:/etc/omens/secret-id"|' \
  /etc/omens/omens.toml
$OMENS check-config >$work/out 2>&1 && echo "accepted" || cat $work/out
before=$(serial)
steps() { # COMMAND... - exit code, outcome, proof
  local rc=0
  $OMENS --json "$@" >$work/out.json 2>$work/err || rc=$?
  jq -r --arg rc $rc --arg what "$1" '.certificates[0] | [$what, $rc, .outcome, (.proof // "-"), (.error.code // "-")] | join(" ")' $work/out.json
}
# nginx does not read the new files yet: whatever that is called, nothing is proven.
steps renew --all | cut -d' ' -f4
[ "$before" = "$(serial)" ] && echo "nginx still serves the old one"
steps install
steps renew --all
[ "$before" != "$(serial)" ] && echo "nginx serves the new one"
manifest >$work/after
changes $work/before $work/after
systemctl disable --quiet --now renew-web.timer
steps renew --all
bao_down
