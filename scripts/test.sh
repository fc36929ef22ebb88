#!/bin/sh
# Every check and every test, on real parts, from a fresh clone: ./scripts/test.sh
set -eu

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH
if [ "$(id -u)" != 0 ]; then exec sudo env "PATH=$PATH" "$0" "$@"; fi

cd "$(dirname "$0")/.."
./scripts/bootstrap.sh
npm run check
npm run test:e2e
