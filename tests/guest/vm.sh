# What the boots of one virtual machine share (tests/it/vm.rs): a kernel with a TPM 2.0 at /dev/tpmrm0, firmware that measures, Debian's
# nginx, a real OpenBao, the units as shipped. Sourced, as root, under systemd. The disk and the TPM stay between the boots; /vmlab is the
# host's, and a second disk, where there is one, brings what is under test and the CA. A line that starts with # is for people.
# shellcheck shell=bash
LAB=/opt LAB_JSON=/vmlab/lab.json work=/root
. /vmlab/ca.sh
export BAO=/run/bao TSS2_LOG=all+NONE
umask 077
[ ! -b /dev/vdb ] || { mkdir -p /opt && mount -o ro /dev/vdb /opt; }
# Where the host made it, so that its own paths hold.
BAO_DIR=$(value .state_dir)

# The CA of the second disk, as the host made it, with a login for us. Run from memory: IMA measures what is run from a disk, and reads
# 180 MB for that, which takes seconds here.
ca_up() {
  cp /opt/bao $BAO
  rm -rf "$BAO_DIR"
  mkdir -p "${BAO_DIR%/*}"
  cp -a /opt/state "$BAO_DIR"
  "$LAB/openbao-lab.sh" start "$BAO_DIR" >/dev/null && "$LAB/openbao-lab.sh" unseal "$BAO_DIR" >/dev/null
  log_in /etc/omens/secret-id
}
signed() { jq -c 'select(.type == "request" and (.request.path | contains("/sign/")))' "$BAO_DIR/audit.log" | wc -l; }

# The host as the README installs it, from /opt; nginx is asked for by every boot from here on.
set_up() {
  ln -sf mawk /usr/bin/awk
  cp /opt/omens /usr/bin/
  install -m 644 -t $ETC /opt/units/*.service
  install -D -m 644 -t $ETC/nginx.service.d /opt/units/nginx.service.d/omens.conf
  install -D -m 644 -t /etc/sysusers.d /opt/units/sysusers.d/omens.conf
  install -D -m 644 -t /etc/tmpfiles.d /opt/units/tmpfiles.d/omens.conf
  # As udev would do it on a host, with the rules of tpm2-tss: the virtual machine has no udev.
  echo 'z /dev/tpmrm0 0660 tss tss' >/etc/tmpfiles.d/tss-device.conf
  systemd-sysusers
  systemd-tmpfiles --create omens.conf tss-device.conf
  site
  # What is started at a power-on: the lab's target, and with it nginx, which wants restore by its drop-in.
  mkdir -p $ETC/vmlab.target.wants /etc/omens
  ln -s /lib/systemd/system/nginx.service $ETC/vmlab.target.wants/nginx.service
  systemctl daemon-reload
}

settings() { # PCRS
  {
    settings_head
    printf '[tpm]\ntcti = "device:/dev/tpmrm0"\npcrs = %s\n' "$1"
    certificate web infrastructure sealed
    cat <<TOML
reload = [ { nginx = { unit = "nginx.service" } } ]
verify = [ { tls = { address = "127.0.0.1:443", server_name = "spire.funlab.casa", deadline = "10s" } } ]
TOML
    certificate other verifier sealed
  } >/etc/omens/omens.toml
}

# step WHAT COMMAND...: one line for each certificate: exit code, name, outcome, proof, stage and code of the error, why, warnings.
step() {
  local what=$1 rc=0
  shift
  "$OMENS" --json "$@" >/root/out.json 2>/root/err || rc=$?
  jq -r --arg start "$what $rc" '.certificates[] | [$start, .name, .outcome, (.proof // "-"), (.error // {} | "\(.stage // "-")/\(.code // "-")"),
    ([.reasons[]?.code] | join("+") | if . == "" then "-" else . end), ([.warnings[]?.code] | join("+") | if . == "" then "-" else . end)] | join(" ")' /root/out.json
}
# The PCRs that the errors of the last step name, for each certificate.
named() { jq -r '.certificates[] | "\(.name) names " + ([.error.text // "" | scan("PCR [0-9]+")] | unique | join(", "))' /root/out.json; }

fingerprint() { openssl x509 -noout -fingerprint -sha256 2>/dev/null; }
wire() { openssl s_client -connect 127.0.0.1:443 -servername spire.funlab.casa </dev/null 2>/dev/null | fingerprint; }
show() { systemctl show -P "$2" "$1"; }
states() { echo "$1: restore $(show omens-restore ActiveState) $(show omens-restore ExecMainStatus), nginx $(show nginx ActiveState)"; }
# Waits for nginx, which the boot must have asked for by itself.
powered_on() {
  [ "$(show nginx ActiveState):$(show nginx Job)" != inactive: ] || echo "nginx is not started by the boot"
  systemctl start nginx 2>/dev/null || true
  served=$(cut -d' ' -f1 /proc/uptime)
  states power-on
}
generation() { readlink /var/lib/omens/certs/"$1"/live; }

# Sealed files, and what the whole state directory holds of private keys in clear, as text.
on_the_disk() {
  echo "disk: $(find -L /var/lib/omens/certs/*/live -name key.sealed | wc -l) sealed, $(find /var/lib/omens -name 'key.pem' | wc -l) key.pem," \
    "$({ grep -rlaE 'PRIVATE KEY' /var/lib/omens /etc/omens || true; } | wc -l) in clear"
}
# What the TPM itself holds, past the kernel's resource manager: nothing of ours but the storage root key.
slots() {
  local kind all=
  for kind in transient loaded-session saved-session; do all+=$(tpm2_getcap -T device:/dev/tpm0 handles-$kind); done
  echo "slots: ${all:-empty}; $(tpm2_getcap -T device:/dev/tpm0 handles-persistent | grep -c 0x81000001) storage root key"
}
# counted COMMAND...: runs omens and counts what it sends to the TPM, and what of it is TPM2_Unseal (0x15e; TPM 2.0 Part 2, §6.5.2).
counted() {
  local rc=0
  strace -f -y -x -s 10 -e trace=write -o /root/trace "$OMENS" "$@" >/root/out.txt 2>&1 || rc=$?
  grep -a '/dev/tpmrm0' /root/trace >/root/sent || true
  echo "$1 $rc: $(grep -cE '"(\\x..){6}\\x00\\x00\\x01\\x5e' /root/sent || true) unseals, TPM $([ -s /root/sent ] && echo asked || echo left alone)"
  echo "# omens $1: $(wc -l </root/sent) TPM commands"
}
milliseconds() { echo $(($1 / 1000)) ms; }
# What the sealing key of the live generation is bound to, by its file.
bound() {
  local key=/var/lib/omens/seal/key-$(jq -er .seal /var/lib/omens/certs/web/live/key.sealed).json
  jq -r '"bound to " + (.pcrs.list | if . == [] then "no PCR" else "PCR " + (map(tostring) | join(", ")) end)' "$key"
}

# The power goes: nothing that was left to the page cache is there tomorrow.
power_cut() {
  echo lost >/root/unflushed
  echo 0 >/vmlab/rc
  echo b >/proc/sysrq-trigger
}

# renewed_by_unit WHEN: a run of the shipped unit, with its condition, and how long that took.
renewed_by_unit() {
  local start=${EPOCHREALTIME/./}
  systemctl start omens-renew
  echo "renew: $(show omens-renew Result), nginx $(show nginx ActiveState)"
  echo "# $1: systemctl start omens-renew, 2 renewed in $(milliseconds $((${EPOCHREALTIME/./} - start)))"
}
