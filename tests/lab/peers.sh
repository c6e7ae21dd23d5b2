#!/usr/bin/env bash
# peers.sh: real Go programs of the field, built from the Go module proxy, for tests and for measuring side by side.
#
#   peers.sh build NAME... [-o DIR]   build what is missing into DIR (default ~/.cache/omens-peers/bin); prints the paths
#   peers.sh list                     names, what each gives, build time and size (2 cores, nothing cached)
#
# Each is built in a copy of its own module with its own go.sum, so that versions are the ones its authors released.
# Needs: go >= 1.26.6; gcc for spire. Ends with 125 and a line saying what is missing when it cannot build.
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
CACHE=${OMENS_PEERS:-$HOME/.cache/omens-peers} OUT='' NAMES=()
missing() { echo "missing: $*" >&2; exit 125; }
usage() { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }

# name|module@version|cgo|packages (output=package)
TABLE='
spire|github.com/spiffe/spire@v1.15.3|1|spire-server=./cmd/spire-server spire-agent=./cmd/spire-agent keylime-attestor=./cmd/keylime-attestor
step-ca|github.com/smallstep/certificates@v0.30.2|0|step-ca=./cmd/step-ca
step|github.com/smallstep/cli@v0.30.6|0|step=./cmd/step
consul-template|github.com/hashicorp/consul-template@v0.42.0|0|consul-template=.
spiffe-helper|github.com/spiffe/spiffe-helper@v0.11.0|0|spiffe-helper=./cmd/spiffe-helper
lego|github.com/go-acme/lego/v4@v4.35.2|0|lego=./cmd/lego
zlint|github.com/zmap/zlint/v3@v3.7.3|0|zlint=./cmd/zlint
'
row() { grep "^$1|" <<<"$TABLE" || { echo "no peer $1" >&2; exit 2; }; }

build() { # NAME
    local name mod cgo pkgs src todo=() pair
    IFS='|' read -r name mod cgo pkgs <<<"$(row "$1")"
    for pair in $pkgs; do [ -x "$OUT/${pair%%=*}" ] || todo+=("$pair"); done
    if [ ${#todo[@]} -gt 0 ]; then
        command -v go >/dev/null || missing "go (1.26.6 or newer)"
        [ "$cgo" = 0 ] || command -v gcc >/dev/null || missing "gcc"
        src=$(cd / && GOFLAGS=-mod=mod go mod download -json "$mod" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p') || true
        [ -n "$src" ] || missing "module $mod"
        mkdir -p "$OUT"
        WORK=$(mktemp -d "$CACHE/build.XXXXXX"); trap 'chmod -R u+w "$WORK" 2>/dev/null; rm -rf "$WORK"' EXIT
        cp -R "$src/." "$WORK/" && chmod -R u+w "$WORK"
        # A plugin of this directory, built with the modules of SPIRE itself.
        [ "$name" != spire ] || cp -R "$HERE/keylime-attestor" "$WORK/cmd/"
        # SPIRE's EJBCA client is not on every module proxy, and nothing here uses that upstream authority.
        if [ "$name" = spire ]; then (cd "$WORK" && go mod edit -replace "github.com/Keyfactor/ejbca-go-client-sdk=$HERE/ejbca-stub"); fi
        for pair in "${todo[@]}"; do
            (cd "$WORK" && CGO_ENABLED=$cgo go build -mod=mod -trimpath -buildvcs=false -ldflags '-s -w' -o "$OUT/.${pair%%=*}.$$" "${pair#*=}") >&2 || missing "$name does not build"
            mv "$OUT/.${pair%%=*}.$$" "$OUT/${pair%%=*}"
        done
        chmod -R u+w "$WORK"; rm -rf "$WORK"; trap - EXIT
    fi
    for pair in $pkgs; do echo "$OUT/${pair%%=*}"; done
}

[ $# -gt 0 ] || usage
cmd=$1; shift
while [ $# -gt 0 ]; do case $1 in -o) OUT=$2; shift 2 ;; -*) usage ;; *) NAMES+=("$1"); shift ;; esac; done
OUT=${OUT:-$CACHE/bin}; mkdir -p "$CACHE" "$OUT"; OUT=$(readlink -f "$OUT")
case $cmd in
    list) sed "/^$/d" <<<"$TABLE" | cut -d"|" -f1,2,4 | tr "|" "\t" ;;
    build) [ ${#NAMES[@]} -gt 0 ] || usage; exec 9>"$CACHE/lock"; flock 9; for n in "${NAMES[@]}"; do build "$n"; done ;;
    *) usage ;;
esac
