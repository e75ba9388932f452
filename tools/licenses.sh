#!/bin/sh
# licenses.sh prints the licenses of what is linked into the proxy (cmd/ratelimiter), for the
# files in which it is handed on.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
head() { printf '\n==== %s\n\n' "$1"; }
head "ratelimiter"
cat "$root/LICENSE"
head "ratelimiter's vocabularies"
cat "$root/internal/bpe/NOTICE"
head "Go"
cat "$(go env GOROOT)/LICENSE"
cd "$root/cmd/ratelimiter"
go list -deps -f '{{with .Module}}{{if not (or .Main .Replace)}}{{.Path}} {{.Dir}}{{end}}{{end}}' . | sort -u | while read -r module dir; do
	head "$module"
	found=
	for f in "$dir"/LICENSE* "$dir"/LICENCE* "$dir"/COPYING* "$dir"/NOTICE*; do
		[ -f "$f" ] || continue
		found=1
		cat "$f"
	done
	[ "$found" ] || { echo "$module has no license" >&2; exit 1; }
done
