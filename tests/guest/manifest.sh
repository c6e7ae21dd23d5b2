# What of a host has changed. Sourced, as root, after ca.sh.
# shellcheck shell=bash
# Every file of the host by its bytes, mode and owner; of programs by mode, owner, size and the time of the last change of any
# of these. Not what services and the lab write themselves.
manifest() {
  local own=(-path "$work" -o -path /var/lib/apt -o -path /var/lib/spire -o -path /var/lib/keylime -o -path /var/lib/systemd)
  find /etc /var/lib -xdev \( "${own[@]}" \) -prune -o -printf '%p %y %m %U:%G %l\n'
  find /etc /var/lib -xdev \( "${own[@]}" \) -prune -o -type f -exec sha256sum {} + | awk '{ print $2, $1 }'
  find /usr /opt /srv /boot -xdev -printf '%p %y %m %U:%G %l %s %T@ %C@\n'
}
changes() { # BEFORE AFTER: the paths that differ; what is of omens alone as one
  comm -3 <(sort "$1") <(sort "$2") | sed 's/^\t//' | cut -d' ' -f1 | sed 's|^\(/var/lib/omens\)/.*|\1|' | sort -u
}
