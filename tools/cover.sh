#!/bin/sh
# cover.sh MINIMUM PACKAGE... prints which share of each package's statements the tests
# of these packages run, together, and fails if one is below MINIMUM percent.
set -eu

minimum=$1
shift
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
module=$(go list -m)
profile=$(mktemp) log=$(mktemp)
trap 'rm -f "$profile" "$log"' EXIT
covered=$(go list -f '{{.ImportPath}}' "$@" | paste -sd, -)
go test -timeout 30m -coverpkg="$covered" -coverprofile="$profile" "$@" >"$log" 2>&1 || { cat "$log"; exit 1; }
# A block is in the profile once for each test binary, with what that one ran.
awk -v minimum="$minimum" -v module="$module" '
	NR > 1 {
		statements[$1] = $2
		if ($3 > 0) ran[$1] = 1
	}
	END {
		for (block in statements) {
			package = block
			sub(/\/[^\/]*$/, "", package)
			sub(module "/?", "", package)
			if (package == "") package = "."
			all[package] += statements[block]
			if (block in ran) yes[package] += statements[block]
		}
		for (package in all) {
			share = 100 * yes[package] / all[package]
			printf "%5.1f %%  %s\n", share, package | "sort -k3"
			if (share < minimum) low = low " " package
		}
		close("sort -k3")
		if (low != "") {
			print "below " minimum " %:" low
			exit 1
		}
	}' "$profile"
