#!/usr/bin/env bash
# build.sh BINARY OUT.deb [VERSION] - a Debian package of an omens binary that is already built: what it generates (manual pages,
# completions) comes from that binary, what it takes from this checkout is listed in Cargo.toml. The same input gives the same bytes.
# CARGO_DEB names cargo-deb, SBOM a CycloneDX file to take in, FAST=1 packs less tightly and sooner.
set -euo pipefail
binary=$(readlink -e "$1") out=$(realpath -m "$2") version=${3:-}
cd "$(dirname "$(readlink -f "$0")")/.."

# The time of every file in the package: that of the newest entry of the changelog.
SOURCE_DATE_EPOCH=$(date -d "$(sed -n 's/^ -- .*>  //p' packaging/changelog | head -n 1)" +%s)
export SOURCE_DATE_EPOCH

stage=target/package/stage
# Two at once would mix their files.
mkdir -p target/package
exec 9>target/package/lock
flock 9
rm -rf $stage
mkdir -p $stage/bin $stage/man/man1 $stage/completions $stage/doc
install -m 755 "$binary" $stage/bin/omens
# A release build is stripped; of a debug build nine tenths would be symbols.
strip $stage/bin/omens
"$binary" man $stage/man/man1
for section in 5 7; do
    for page in "$stage"/man/man1/*.$section; do
        if [ -e "$page" ]; then install -D -m 644 -t "$stage/man/man$section" "$page" && rm "$page"; fi
    done
done
"$binary" completions bash >$stage/completions/omens
"$binary" completions zsh >$stage/completions/_omens
"$binary" completions fish >$stage/completions/omens.fish
cp README.md $stage/doc/
if [ -n "${SBOM:-}" ]; then cp "$SBOM" $stage/doc/omens.cdx.json; fi

"${CARGO_DEB:-cargo-deb}" deb --quiet --no-build --no-strip --locked --offline ${FAST:+--fast} --output "$out" ${version:+--deb-version "$version"}
