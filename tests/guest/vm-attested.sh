# What the boots of the machine that attests share (tests/it/vm_attested.rs), beside vm.sh: OpenBao and Keylime are the other side's, at its
# address in the network of the virtual machine; what an administrator does there is asked for through /vmlab.
# shellcheck shell=bash
. /vmlab/vm.sh

# Nothing but the other side is reached: there is no way out of this network.
network() {
  ip address add 10.0.2.15/24 dev eth0
  ip link set eth0 up
  grep -qs keylime /etc/hosts || echo 10.0.2.2 spire.funlab.casa verifier.keylime.funlab.casa registrar.keylime.funlab.casa >>/etc/hosts
}

settings() { sed "s/PCRS/$1/" /vmlab/omens.toml >/etc/omens/omens.toml; }

# verdict WHAT: exit code, the verdict, what it was given for, and the PCRs that its text names.
verdict() {
  local rc=0
  "$OMENS" --json attest --once >/root/out.json 2>/root/err || rc=$?
  jq -r --arg start "$1 $rc" '.verdict | [$start, .code, "of " + ([.attested.pcrs[] | tostring] | join(",")),
    "names " + ([.text, .hint // "" | scan("PCRs? [0-9, ]*[0-9]")] | unique | join("; "))] | join(" ")' /root/out.json
  jq -r '"# " + .verdict.text' /root/out.json
}

# An administrator of Keylime enrols what is measured now.
enrolled_at_keylime() {
  rm -f /vmlab/enrolled
  "$OMENS" --json attest --print-policy --pcrs 2,7 >/root/policy.json
  cp /root/policy.json /vmlab/policy.new
  mv /vmlab/policy.new /vmlab/policy.json
  for _ in {1..900}; do
    [ ! -e /vmlab/enrolled ] || { echo "enrolled at Keylime"; return; }
    sleep .2
  done
  echo "nobody enrols this host"
}

# opened COMMAND...: how often omens opens the TPM, and what of that its children find open.
opened() {
  local rc=0
  strace -f -y -e trace=openat,execve -o /root/trace "$OMENS" "$@" >/root/out.txt 2>&1 || rc=$?
  echo "$1 $rc: the TPM is opened $(grep -cE 'openat\(.*"/dev/tpmrm0".* = [0-9]' /root/trace || true) times"
}

on_the_wire() { [ "$(wire)" = "$(fingerprint </var/lib/omens/certs/web/live/cert.pem)" ] && echo "served $(generation web)$1"; }
