#!/bin/sh
# dist.sh VERSION OS/ARCH... makes what a release of the proxy (cmd/ratelimiter) consists of, in
# dist/: an archive for each system, their checksums, and what the changelog says of the version.
set -eu

version=$1
shift
root=$(cd "$(dirname "$0")/.." && pwd)
out=$root/dist
rm -rf "$out"
mkdir "$out"
for target in "$@"; do
	os=${target%/*} arch=${target#*/} program=ratelimiter
	[ "$os" != windows ] || program=ratelimiter.exe
	name=ratelimiter_${version}_${os}_$arch
	echo "$name.tar.gz"
	mkdir "$out/$name"
	(cd "$root/cmd/ratelimiter" && CGO_ENABLED=0 GOOS=$os GOARCH=$arch \
		go build -trimpath -ldflags "-s -w -X main.release=$version" -o "$out/$name/$program" .)
	GOOS=$os GOARCH=$arch sh "$root/tools/licenses.sh" >"$out/$name/LICENSES"
	cp "$root/cmd/ratelimiter/README.md" "$out/$name"
	tar -C "$out" -czf "$out/$name.tar.gz" "$name"
	rm -r "$out/$name"
done
cd "$out"
if command -v sha256sum >/dev/null; then sha256sum -- *.tar.gz; else shasum -a 256 -- *.tar.gz; fi >SHA256SUMS
awk -v section="## [${version#v}]" 'index($0, "## [") == 1 { in_it = index($0, section) == 1; next } in_it' "$root/CHANGELOG.md" >NOTES.md
