#!/bin/sh
# deadcode.sh lists functions that nothing reaches: no test of a public package, and no
# program. What an internal package keeps for its own tests alone is dead as well. It
# fails if there are any, but for the exported API of the public packages, and examples
# without output, which are never run.
#
# Methods escape it whose receivers become interfaces: reflection might call them.
set -eu

module=github.com/openai-ratelimiter/ratelimiter
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root/bench" # which sees the library too
public=$(cd "$root" && go list ./... | grep -v /internal/)
found=$(go tool -modfile="$root/tools/go.mod" deadcode -test -filter="^$module(/|\$)" \
	./... $public $module/internal/bpe/gen $module/internal/lineartest)
dead=$(printf '%s\n' "$found" | sed "s,^$root/,," | awk '
	$1 ~ /_test\.go:/ && $NF ~ /^Example/ { next }
	NF && ($1 ~ /^(internal|bench)\// || $NF !~ /^[A-Z][A-Za-z0-9_]*(\.[A-Z][A-Za-z0-9_]*)?$/)')
[ -z "$dead" ] || { printf '%s\n' "$dead"; exit 1; }
# The proxy is a program in a module of its own.
cd "$root/cmd/ratelimiter"
dead=$(go tool -modfile="$root/tools/go.mod" deadcode -test -filter="^$module/cmd/" ./...)
[ -z "$dead" ] || { printf '%s\n' "$dead"; exit 1; }
# What remains of internal packages: methods that escape the above, and fields.
cd "$root/tools"
go run ./unused "$root" "$root/bench" "$root/examples" "$root/cmd/ratelimiter"
