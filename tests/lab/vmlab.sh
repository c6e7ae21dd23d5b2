#!/bin/bash
# vmlab.sh - a guest with measured boot: Debian's own kernel under qemu (plain emulation, no KVM) with a swtpm as a real
# TPM 2.0: /dev/tpm0, /dev/tpmrm0 with the kernel's resource manager, PCRs, firmware event log, IMA run-time list
# (ima_policy=tcb, sha256). Its disk is an ext4 image made in seconds from the packages installed on the host.
#
#   vmlab.sh [-S] [-b FILE:PATH]... [-u UNIT_FILE]... [-p 'PKG ...'] [-T TPM_DIR] [-D DISK] [-o OUT_DIR] [-t SECONDS]
#            [-m MB] [-a 'KERNEL ARGS'] [-q 'QEMU ARGS'] [-c CACHE] [-k KERNEL_DEB] SCRIPT
#   vmlab.sh [-c CACHE] clean
#
#   -S  systemd as PID 1, SCRIPT runs when basic.target is up. Default: the initramfs starts SCRIPT (quicker)
#   -b  put a file into the guest (the binary under test)     -u  install a unit file in /etc/systemd/system
#   -p  more installed Debian packages to put on the disk     -t  time limit of the whole (120)
#   -T  keep the TPM's state in TPM_DIR: the next run is the same machine, booted again
#   -D  keep the disk's changes in this file (made when it is not there). Default: a new disk each time
#   -o  keep guest.log console.log journal.txt rc there; it is /vmlab in the guest, read and write, so a script can hand
#       files out and the next boot can find them. Default: not kept; when the guest fails, the console's end is shown
#   -m  memory (768)     -a  e.g. ima_policy=critical_data     -q  e.g. '-drive if=pflash,format=raw,readonly=on,file=OVMF.fd'
#   -c  where kernel, initramfs and disk images are kept between runs (~/.cache/omens-vmlab), also for runs at the same time;
#       `clean` removes them, nothing else stays behind     -k  the linux-image-*-cloud-amd64 .deb to boot. Default: apt-get download
# What SCRIPT (bash, as root) prints comes on stdout at the end. Exit status: SCRIPT's; 2 wrong usage; 125 no guest or no result.
# Needs root, x86-64 Debian, python3, apt (with package lists, the first time) and the Debian packages qemu-system-x86 swtpm
# swtpm-tools busybox-static cpio kmod e2fsprogs; on the disk go, where installed: systemd dbus tpm2-tools nginx openssl curl ...
set -euo pipefail
SELF=$(readlink -f "$0")
T0=${EPOCHREALTIME/[.,]/}
say() { local t=$(((${EPOCHREALTIME/[.,]/} - T0) / 10000)); printf '[vmlab %d.%02ds] %s\n' $((t / 100)) $((t % 100)) "$*" >&2; }
die() { say "$*"; exit 125; }
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$SELF"; exit 2; }
abs() { local p; p=$(readlink -e -- "$1") || die "no such file or directory: $1"; echo "$p"; }
SD='' BINDS=() UNITS=() OUT='' LIMIT=120 TPM='' DISK='' ARGS='' MEM=768 QEMU=() MORE='' DEB='' C=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/omens-vmlab
while getopts Sb:u:p:o:t:T:D:a:m:q:c:k: o; do
    case $o in
    S) SD=1 ;;
    b) BINDS+=("$(abs "${OPTARG%%:*}"):${OPTARG#*:}") ;;
    u) UNITS+=("$(abs "$OPTARG")") ;;
    p) MORE=$OPTARG ;; o) OUT=$OPTARG ;; t) LIMIT=$OPTARG ;; T) TPM=$OPTARG ;; D) DISK=$OPTARG ;;
    a) ARGS=$OPTARG ;; m) MEM=$OPTARG ;; c) C=$OPTARG ;; k) DEB=$(abs "$OPTARG") ;;
    q) read -ra x <<<"$OPTARG"; QEMU+=("${x[@]}") ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# = 1 ] || usage
if [ "$1" = clean ] && [ ! -e clean ]; then rm -rf "$C"; exit 0; fi
SCRIPT=$(abs "$1")
export PATH="$PATH:/usr/sbin:/sbin"
MISSING=()
[ "$(id -u)" = 0 ] || MISSING+=("root")
[ "$(uname -m)" = x86_64 ] || MISSING+=("an x86-64 host")
for x in qemu-system-x86_64:qemu-system-x86 swtpm:swtpm swtpm_setup:swtpm-tools cpio:cpio modprobe:kmod depmod:kmod mkfs.ext4:e2fsprogs \
    python3:python3 dpkg-deb:dpkg apt-get:apt /bin/busybox:busybox-static /usr/lib/qemu/virtiofsd:qemu-system-common; do
    command -v "${x%%:*}" >/dev/null || MISSING+=("${x%%:*} (Debian package ${x##*:})")
done
[ ${#MISSING[@]} = 0 ] || die "missing: $(printf '%s, ' "${MISSING[@]}" | sed 's/, $//')"

mkdir -p "$C"; C=$(readlink -f "$C")
W=$(mktemp -d); PIDS=()
# shellcheck disable=SC2317
cleanup() {
    local rc=$?
    trap '' INT TERM HUP
    for p in ${PIDS[@]+"${PIDS[@]}"}; do kill "$p" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$W" "$C/stage.$$" "$C"/*."$$"
    exit "$rc"
}
trap cleanup EXIT; trap 'exit 130' INT TERM HUP

# ---- kernel and initramfs, once; runs that start together wait for the one that makes them
exec 9>"$C/lock"; flock 9
if [ ! -s "$C/initrd.gz" ] || [ -n "$DEB" ]; then
    if [ -z "$DEB" ]; then
        P=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '/Depends:/ { print $2; exit }')
        [ -n "$P" ] || die "apt knows no linux-image-cloud-amd64: run apt-get update, or give -k KERNEL_DEB"
        (cd "$W" && apt-get -qq -o APT::Sandbox::User=root download "$P" >"$W/apt.log" 2>&1) || die "apt-get download $P: $(tail -1 "$W/apt.log")"
        DEB=$(echo "$W/$P"_*.deb)
    fi
    dpkg-deb -x "$DEB" "$W/x"
    K=$(ls "$W/x/lib/modules"); depmod -b "$W/x" "$K"
    I=$W/i; mkdir -p "$I"/{bin,mod,proc,sys,dev,tmp,root}; cp /bin/busybox "$I/bin/"
    for a in sh mount cat insmod mkdir sleep switch_root chroot poweroff echo; do ln -s busybox "$I/bin/$a"; done
    # virtio, and what crash tests and network tests want (dm-log-writes, dm-flakey, netem)
    for m in virtio_pci virtio_blk virtio_net virtio-rng virtiofs overlay dm-log-writes dm-flakey loop sch_netem; do
        modprobe -d "$W/x" -S "$K" --show-depends "$m"
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r f; do cp "$f" "$I/mod/"; echo "${f##*/}"; done >"$I/mod/order"
    cat >"$I/init" <<'INIT'
#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t securityfs s /sys/kernel/security
for m in $(cat /mod/order); do insmod /mod/$m; done
for i in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/vda ] && break; sleep .1; done
mount -t ext4 -o rw,i_version /dev/vda /root && mkdir -p /root/vmlab && mount -t virtiofs out /root/vmlab || { echo "no root"; poweroff -f; }
for d in proc sys dev; do mount --move /$d /root/$d; done
chroot /root /bin/sh /vmlab/.setup
cat /root/proc/uptime >/root/vmlab/.up
if [ -e /root/vmlab/.systemd ]; then exec switch_root /root /lib/systemd/systemd --unit=vmlab.target; fi
mount -t tmpfs tmpfs /root/run; mount -t tmpfs tmpfs /root/tmp; mkdir -p /root/dev/pts /root/dev/shm; mount -t devpts devpts /root/dev/pts
exec switch_root /root /bin/bash /vmlab/.pid1
INIT
    chmod +x "$I/init"
    (cd "$I" && find . | cpio -o -H newc 2>/dev/null | gzip -1) >"$C/initrd.$$"
    cp "$W"/x/boot/vmlinuz-* "$C/vmlinuz.$$"; mv "$C/vmlinuz.$$" "$C/vmlinuz"; mv "$C/initrd.$$" "$C/initrd.gz"
    say "kernel and initramfs made"
fi

# ---- a disk for each choice of packages, made again whenever a package of the host changed
SEED="dash systemd systemd-sysv dbus libnss-systemd bash coreutils util-linux mount openssl tpm2-tools libtss2-rc0 libtss2-tcti-device0 nginx iproute2
 grep sed mawk procps curl ca-certificates dmsetup e2fsprogs hostname base-files base-passwd findutils diffutils iputils-ping passwd $MORE"
CHOICE=$(echo "$SEED" | sha256sum | cut -c1-8)
KEY=$( (dpkg-query -W -f '${Package} ${Version} ${Status}\n'; sha256sum <"$SELF") | sha256sum | cut -c1-16)
IMG=$C/root-$CHOICE-$KEY.img
if [ ! -s "$IMG" ]; then
    R=$C/stage.$$; mkdir "$R"
    for p in $SEED; do if dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed'; then echo "$p"; fi; done >"$W/seed"
    xargs apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances <"$W/seed" |
        grep -E '^[a-z0-9]' | sort -u | { xargs dpkg -L 2>/dev/null || true; } | sort -u |
        grep -vE '^/usr/share/(doc|man|locale|i18n|info|perl)/|^/usr/lib/x86_64-linux-gnu/perl|^(/usr)?/lib/(firmware|modules)' >"$W/files"
    python3 - "$R" "$W/files" <<'PY'
import os, shutil, stat, sys
R, listing = sys.argv[1:]
seen, dirs = set(), set()
for d in ('bin', 'sbin', 'lib', 'lib64', 'lib32', 'libx32'):                # merged /usr
    if os.path.islink('/' + d):
        os.symlink(os.readlink('/' + d), f'{R}/{d}')
def mkdir(p):
    if p in dirs or p == '/':
        return
    mkdir(os.path.dirname(p))
    dirs.add(p)
    if not os.path.isdir(R + p):
        os.mkdir(R + p)
        s = os.lstat(p)
        os.chmod(R + p, stat.S_IMODE(s.st_mode))
        os.chown(R + p, s.st_uid, s.st_gid)
for p in open(listing).read().split('\n'):
    if not p or not os.path.lexists(p):
        continue
    q = os.path.join(os.path.realpath(os.path.dirname(p)), os.path.basename(p))
    if q in seen:
        continue
    seen.add(q)
    if os.path.islink(q):
        mkdir(os.path.dirname(q))
        if not os.path.lexists(R + q):
            os.symlink(os.readlink(q), R + q)
    elif os.path.isdir(q):
        mkdir(q)
    elif os.path.isfile(q):
        mkdir(os.path.dirname(q))
        try:
            if q.startswith('/etc/'):                                      # is edited below: a copy
                raise OSError
            os.link(q, R + q)
        except OSError:
            shutil.copy2(q, R + q)
PY
    for x in proc sys dev run tmp root home var/tmp var/log/journal var/log/nginx var/lib/nginx etc/alternatives etc/systemd/system vmlab usr/local/bin usr/local/sbin; do
        mkdir -p "$R/$x"
    done
    chmod 1777 "$R/tmp" "$R/var/tmp"
    cp -a --remove-destination /etc/alternatives/. "$R/etc/alternatives/"
    cp -a --remove-destination /etc/passwd /etc/group /etc/shadow /etc/nsswitch.conf /etc/ssl "$R/etc/"
    ldconfig -r "$R"
    : >"$R/etc/fstab"; echo vmlab >"$R/etc/hostname"; tr -d - </proc/sys/kernel/random/uuid >"$R/etc/machine-id"
    S=$R/etc/systemd/system; rm -rf "$S"; mkdir "$S"
    for u in systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service systemd-modules-load.service \
        kmod-static-nodes.service systemd-timesyncd.service systemd-binfmt.service getty@.service serial-getty@.service systemd-remount-fs.service \
        systemd-hwdb-update.service systemd-sysusers.service systemd-random-seed.service systemd-firstboot.service \
        proc-sys-fs-binfmt_misc.automount dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount dev-mqueue.mount; do
        ln -sf /dev/null "$S/$u"
    done
    printf '[Unit]\nRequires=basic.target vmlab.service\nAfter=basic.target\nAllowIsolate=yes\n' >"$S/vmlab.target"
    cat >"$S/vmlab.service" <<'UNIT'
[Unit]
Requires=dbus.socket
After=basic.target dbus.socket
[Service]
Type=oneshot
Environment=HOME=/root
ExecStart=/bin/bash -c 'bash /vmlab/.script >/vmlab/guest.log 2>&1; echo $? >/vmlab/rc; journalctl -b --no-pager -o short-precise >/vmlab/journal.txt; sync; systemctl poweroff -ff'
UNIT
    mkfs.ext4 -q -F -d "$R" "$C/image.$$" 1500M >/dev/null
    rm -rf "$C/root-$CHOICE"-*.img "$R"; mv "$C/image.$$" "$IMG"
    say "disk made"
fi
exec 9>&-

# ---- run
KEEP=$OUT; OUT=${OUT:-$W/out}; mkdir -p "$OUT"; OUT=$(readlink -f "$OUT")
rm -rf "$OUT"/{rc,guest.log,journal.txt,console.log,.setup,.systemd,.up,.script,.pid1,.in}; mkdir "$OUT/.in"
cp "$SCRIPT" "$OUT/.script"
echo 'export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; ip link set lo up
bash /vmlab/.script >/vmlab/guest.log 2>&1; echo $? >/vmlab/rc; sync; echo o >/proc/sysrq-trigger; sleep 60' >"$OUT/.pid1"
: >"$OUT/.setup"
put() { # FILE PATH
    N=$((${N:-0} + 1)); cp "$1" "$OUT/.in/$N"
    printf 'mkdir -p %q; cp /vmlab/.in/%s %q; chmod %s %q\n' "${2%/*}" "$N" "$2" "$(stat -L -c %a "$1")" "$2" >>"$OUT/.setup"
}
for b in ${BINDS[@]+"${BINDS[@]}"}; do put "${b%%:*}" "${b#*:}"; done
for u in ${UNITS[@]+"${UNITS[@]}"}; do put "$u" "/etc/systemd/system/${u##*/}"; done
[ -z "$SD" ] || : >"$OUT/.systemd"
TPM=${TPM:-$W/tpm}; mkdir -p "$TPM"; TPM=$(readlink -f "$TPM")
# a virgin TPM gets EK and platform certificates, if the host's swtpm-localca can make them
[ -s "$TPM/tpm2-00.permall" ] ||
    swtpm_setup --tpm2 --tpmstate "$TPM" --pcr-banks sha256 --create-ek-cert --create-platform-cert --overwrite >"$W/setup.log" 2>&1 ||
    swtpm_setup --tpm2 --tpmstate "$TPM" --pcr-banks sha256 --overwrite >>"$W/setup.log" 2>&1 || die "swtpm_setup: $(tail -1 "$W/setup.log")"
swtpm socket --tpm2 --tpmstate dir="$TPM" --ctrl type=unixio,path="$W/tpm.sock" --terminate 2>"$W/swtpm.log" & PIDS+=($!)
/usr/lib/qemu/virtiofsd --socket-path="$W/out.sock" -o source="$OUT" -o cache=none -o sandbox=chroot >"$W/fs.log" 2>&1 & PIDS+=($!)
for s in tpm out; do
    for _ in {1..150}; do [ ! -S "$W/$s.sock" ] || break; sleep .02; done
    [ -S "$W/$s.sock" ] || die "no $s socket: $(cat "$W/swtpm.log" "$W/fs.log")"
done
if [ -n "$DISK" ]; then
    [ -s "$DISK" ] || cp --sparse=always "$IMG" "$DISK"
    DRIVE=file=$DISK,format=raw,if=virtio
else DRIVE=file=$IMG,format=raw,if=virtio,snapshot=on; fi
say "boot"
TMPDIR=$W timeout -k 2 "$LIMIT" qemu-system-x86_64 -accel tcg,thread=multi -M q35 -cpu max -m "$MEM" -smp 1 -nodefaults -no-user-config -display none -no-reboot \
    -serial file:"$OUT/console.log" -object memory-backend-memfd,id=mem,size="$MEM"M,share=on -numa node,memdev=mem -drive "$DRIVE" \
    -chardev socket,id=t,path="$W/tpm.sock" -tpmdev emulator,id=tpm0,chardev=t -device tpm-tis,tpmdev=tpm0 -device virtio-rng-pci \
    -chardev socket,id=o,path="$W/out.sock" -device vhost-user-fs-pci,chardev=o,tag=out -kernel "$C/vmlinuz" -initrd "$C/initrd.gz" \
    -append "console=ttyS0 quiet panic=-1 ima_policy=tcb ima_hash=sha256 systemd.firstboot=no $ARGS" ${QEMU[@]+"${QEMU[@]}"} >"$W/qemu.log" 2>&1 & PIDS+=($!)
Q=0; wait $! || Q=$?
RC=$(cat "$OUT/rc" 2>/dev/null || true)
[ ! -s "$OUT/guest.log" ] || cat "$OUT/guest.log"
if [ -z "$RC" ]; then
    cat "$W/qemu.log" >&2; tail -20 "$OUT/console.log" >&2 || true
    [ "$Q" != 124 ] || die "no result after $LIMIT s"
    die "the guest ended without a result (qemu: $Q)"
fi
[ "$RC" = 0 ] || [ -n "$KEEP" ] || tail -20 "$OUT/console.log" >&2
say "off, status $RC (kernel to init: $(cut -d' ' -f1 "$OUT/.up" 2>/dev/null) s)"
rm -rf "$OUT"/{.setup,.systemd,.up,.script,.pid1,.in}
exit "$RC"
