#!/bin/sh
# need.sh COMMAND[,COMMAND...] WHY PACKAGE...
#
# Makes sure that one COMMAND is there: as root on a system with apt-get it
# installs the Debian PACKAGEs and says so, elsewhere it says what is missing.
set -eu

commands=$1 why=$2
shift 2
for command in $(echo "$commands" | tr , ' '); do
	if command -v "$command" >/dev/null; then
		exit 0
	fi
done
command=${commands%%,*}
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
	echo "installing $*: $why needs $command"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq >/dev/null
	apt-get install -qq --no-install-recommends "$@" </dev/null >/dev/null
	exit 0
fi
echo "$command is missing: $why needs it. Install it (Debian: apt-get install $*)." >&2
exit 1
