#!/bin/sh
# The whole journey on this machine, from a fresh clone: ./scripts/demo.sh [--keep]
set -eu

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH
if [ "$(id -u)" != 0 ]; then exec sudo env "PATH=$PATH" "$0" "$@"; fi

here=$(cd "$(dirname "$0")" && pwd)
"$here/bootstrap.sh"
exec node "$here/../bin/xingrin.js" demo --yes "$@"
