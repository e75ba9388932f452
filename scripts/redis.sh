#!/bin/sh
# redis.sh makes sure that redis-server and redis-cli are there for the tests.
# They start servers of their own, on free ports; Debian's service is not used.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
sh "$root/tools/need.sh" redis-server "the Redis backend's tests" redis-server redis-tools
sh "$root/tools/need.sh" redis-cli "the Redis backend's tests" redis-tools
